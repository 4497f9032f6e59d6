#include "net/test_certificates.h"

#include "control/control_transports.h"
#include "net/transport.h"

static char dir[] = "/tmp/rc-transports-test-XXXXXX";
static char messages[64 * 1024];

static int set_up(void **state)
{
    static const struct test_certificate good = {"good", "x", "DNS:x", -1000, 86400, false},
                                         old = {"old", "x", "DNS:x", -2000, -1000, false};
    assert_non_null(mkdtemp(dir));
    test_make_certificate(dir, &good, NULL);
    test_make_certificate(dir, &old, NULL);
    return 0;
}

static int tear_down(void **state)
{
    test_remove_certificate(dir, "good");
    test_remove_certificate(dir, "old");
    return rmdir(dir);
}

/* `yaml` has @ where the directory's path belongs. */
static bool build(const char *yaml, struct rc_transports *ret)
{
    struct rc_config_errors errors;
    char text[4096];
    size_t len = 0;
    for (const char *c = yaml; *c != '\0'; c++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, *c == '@' ? "%s" : "%.1s", *c == '@' ? dir : c);
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_parse("f.yaml", rc_slice(text, len), &errors);
    bool is_right = config != NULL && rc_control_build_transports(config, ret, &errors);
    snprintf(messages, sizeof(messages), "%.*s", RC_SLICE_FMT(rc_buf_slice(&errors.text)));
    rc_config_free(config); /* the transports must not lean on its memory */
    rc_config_errors_free(&errors);
    return is_right;
}

#define GOOD "{certificates: [{certificate: @/good.pem, key: @/good.key}]}"

static void test_transports_are_what_the_file_says(void **state)
{
    struct rc_transports transports;
    assert_true(build(
        "mqtt:\n"
        "  listeners:\n"
        "    - {}\n"
        "    - {transport: tls, tls: " GOOD "}\n"
        "    - {transport: ws, bind: \"[::1]:1\", websocket: {path: /x}}\n"
        "    - name: all\n"
        "      transport: wss\n"
        "      bind: unix:/tmp/x\n"
        "      tls: " GOOD "\n"
        "      proxy_protocol: {trusted: [10.0.0.0/8, unix]}\n"
        "      limits: {connections: 5, connections_per_second: 6, handshakes: 7, bytes_per_second: 1MiB}\n",
        &transports));
    assert_int_equal(transports.count, 4);
    const struct rc_transport *tcp = transports.items[0], *tls = transports.items[1],
                              *ws = transports.items[2], *all = transports.items[3];
    assert_string_equal(tcp->name, "tcp");
    assert_true(tcp->tls == NULL && tcp->path == NULL && tcp->trusted_count == 0);
    assert_int_equal(tcp->limits.handshakes, 2000);
    assert_true(tls->tls != NULL && tls->path == NULL);
    assert_true(ws->tls == NULL);
    assert_string_equal(ws->path, "/x");
    assert_string_equal(all->name, "all");
    assert_true(all->tls != NULL && rc_tls_valid_until(all->tls) > 0);
    assert_string_equal(all->path, "/mqtt");
    assert_int_equal(all->trusted_count, 2);
    assert_int_equal(all->limits.connections, 5);
    assert_int_equal(all->limits.connections_per_second, 6);
    assert_int_equal(all->limits.handshakes, 7);
    assert_int_equal(all->limits.bytes_per_second, 1 << 20);
    rc_transports_free(&transports);
    assert_int_equal(transports.count, 0);
}

#define LISTENER "mqtt:\n  listeners:\n    - "

static void test_what_is_wrong_is_told_with_its_place(void **state)
{
    static const struct {
        const char *yaml, *told;
    } rows[] = {
        {LISTENER "{}\n    - {bind: \"127.0.0.1:1\"}\n",
         "mqtt.listeners[1].name: the name 'tcp' was given before, once was expected"},
        {LISTENER "{transport: tls}\n",
         "mqtt.listeners[0].tls.certificates: nothing was given, a list of certificates"},
        {LISTENER "{transport: tls, tls: {certificates: [{certificate: @/good.pem, key: @/old.key}]}}\n",
         "mqtt.listeners[0].tls.certificates[0].key: the private key"},
        {LISTENER "{transport: wss, tls: {certificates: [{certificate: @/old.pem, key: @/old.key}]}}\n",
         "mqtt.listeners[0].tls.certificates[0].certificate: the certificate"},
        {LISTENER "{transport: tls, tls: {certificates: [{certificate: @/good.pem, key: @/good.key}], "
                  "client_certificate: required}}\n",
         "mqtt.listeners[0].tls.client_ca: nothing was given, a file was expected"},
        {LISTENER "{transport: tls, tls: {certificates: [{certificate: @/good.pem, key: @/good.key}], "
                  "client_ca: @/good.key, client_certificate: optional}}\n",
         "mqtt.listeners[0].tls.client_ca: the file"},
        {LISTENER "{transport: tls, tls: {certificates: [{certificate: @/good.pem, key: @/good.key}], "
                  "ciphers: NONE-SUCH}}\n",
         "mqtt.listeners[0].tls.ciphers: 'NONE-SUCH' names no cipher"},
        {LISTENER "{transport: tls, tls: {certificates: [{certificate: @/good.pem, key: @/good.key}], "
                  "versions: [tls1.1]}}\n",
         "mqtt.listeners[0].tls.versions[0]: 'tls1.1' was given, tls1.2 or tls1.3 was expected"},
        {LISTENER "{transport: quic}\n", "'quic' was given, tcp, tls, ws or wss was expected"},
        {LISTENER "{bind: here}\n", "'here' was given, an IP address and a port such as"},
        {LISTENER "{transport: ws, websocket: {path: mqtt}}\n", "a path that begins with /"},
        {LISTENER "{proxy_protocol: {trusted: [10.0.0.1/8]}}\n", "without bits behind its prefix"},
        {LISTENER "{limits: {bytes_per_second: 100B}}\n",
         "mqtt.listeners[0].limits.bytes_per_second: a rate below 16KiB was given"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rc_transports transports;
        assert_false(build(rows[i].yaml, &transports));
        if (strstr(messages, rows[i].told) == NULL)
            fail_msg("row %zu: %s", i, messages);
        assert_memory_equal(messages, "f.yaml:", 7);
    }
}

static void count_change(const char *path, void *arg)
{
    assert_string_equal(path, "mqtt.listeners");
    ++*(int *)arg;
}

static int changes_between(const char *before, const char *after)
{
    struct rc_config_errors errors;
    int changes = 0;
    rc_config_errors_init(&errors);
    struct rc_config *one = rc_config_parse("a", rc_slice_str(before), &errors),
                     *other = rc_config_parse("b", rc_slice_str(after), &errors);
    assert_true(one != NULL && other != NULL);
    rc_config_each_fixed_change(one, other, count_change, &changes);
    rc_config_free(one);
    rc_config_free(other);
    rc_config_errors_free(&errors);
    return changes;
}

static void test_only_names_addresses_and_transports_are_fixed(void **state)
{
    assert_int_equal(changes_between(LISTENER "{}\n", LISTENER "{limits: {connections: 3}, zone: vpc}\n"), 0);
    assert_int_equal(changes_between(LISTENER "{}\n", LISTENER "{tls: {client_ca: x}, domains: [a.b]}\n"), 0);
    assert_int_equal(changes_between(LISTENER "{}\n", LISTENER "{bind: \"0.0.0.0:1883\"}\n"), 0);
    assert_int_equal(changes_between(LISTENER "{}\n", LISTENER "{name: other}\n"), 1);
    assert_int_equal(changes_between(LISTENER "{name: a}\n", LISTENER "{name: a, transport: ws}\n"), 1);
    assert_int_equal(changes_between(LISTENER "{}\n", LISTENER "{}\n    - {name: b}\n"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transports_are_what_the_file_says),
        cmocka_unit_test(test_what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(test_only_names_addresses_and_transports_are_fixed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
