#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "control/config.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char text[RC_CONFIG_FILE_MAX];

/* The messages for a configuration, "" when it is right. */
static const char *errors_of(const char *yaml)
{
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_parse("f.yaml", rc_slice_str(yaml), &errors);
    snprintf(text, sizeof(text), "%.*s", RC_SLICE_FMT(rc_buf_slice(&errors.text)));
    assert_true((config == NULL) == (errors.count > 0));
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return text;
}

static struct rc_config *must_parse(const char *yaml)
{
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_parse("f.yaml", rc_slice_str(yaml), &errors);
    if (config == NULL)
        print_error("%.*s", RC_SLICE_FMT(rc_buf_slice(&errors.text)));
    assert_non_null(config);
    rc_config_errors_free(&errors);
    return config;
}

static void assert_error(const char *yaml, const char *expected)
{
    const char *found = errors_of(yaml);
    if (strstr(found, expected) == NULL)
        fail_msg("expected '%s' in:\n%s", expected, found);
}

static void test_an_empty_file_has_all_defaults(void **state)
{
    struct rc_config *config = must_parse("");
    assert_string_equal(config->node.text, "rollcall-1");
    assert_int_equal(config->log.level, RC_LOG_INFO);
    assert_int_equal(config->store.segment_size, 1 << 30);
    assert_int_equal(config->store.queue_file_entries, 300000);
    assert_int_equal(config->store.retain_time, 72 * 3600 * 1000);
    assert_int_equal(config->store.flush, RC_FLUSH_ASYNC);
    assert_int_equal(config->mqtt.listeners.count, 1);
    const struct rc_config_listener *listener = config->mqtt.listeners.items;
    assert_string_equal(listener->bind.text, "0.0.0.0:1883");
    assert_string_equal(config->rocketmq.advertise.text, "");
    assert_true(config->rocketmq.acl);
    assert_int_equal(config->instances.count, 0);
    rc_config_free(config);
}

static void test_values_arrive_in_their_units(void **state)
{
    struct rc_config *config =
        must_parse("node: n2\n"
                   "shards: 3\n"
                   "log: {level: debug}\n"
                   "store: {segment_size: 64MiB, flush: sync, retain_time: 90m, quota: 2GiB}\n"
                   "mqtt:\n"
                   "  listeners:\n"
                   "    - {name: a, bind: '[::1]:1883'}\n"
                   "    - bind: 127.0.0.1:0\n"
                   "  connect_timeout: 500ms\n"
                   "rocketmq: {acl: false, advertise: 'mq.example.com:9876'}\n"
                   "instances:\n"
                   "  - id: inst\n"
                   "    keys: [{access_key: ak, secret_key: sk}]\n"
                   "    groups: [GID_aaa, GID_bbb]\n"
                   "    rules:\n"
                   "      - {id: r-1, group: GID_bbb, topic: t, enabled: false}\n");
    assert_int_equal(config->shards, 3);
    assert_int_equal(config->log.level, RC_LOG_DEBUG);
    assert_int_equal(config->store.segment_size, 64 << 20);
    assert_int_equal(config->store.flush, RC_FLUSH_SYNC);
    assert_int_equal(config->store.retain_time, 90 * 60 * 1000);
    assert_int_equal(config->store.quota, 2ll << 30);
    assert_int_equal(config->mqtt.connect_timeout, 500);
    const struct rc_config_listener *listeners = config->mqtt.listeners.items;
    assert_int_equal(config->mqtt.listeners.count, 2);
    assert_string_equal(listeners[0].name.text, "a");
    assert_string_equal(listeners[1].bind.text, "127.0.0.1:0");
    assert_false(config->rocketmq.acl);
    const struct rc_config_instance *instance = config->instances.items;
    const struct rc_config_text *groups = instance->groups.items;
    const struct rc_config_rule *rule = instance->rules.items;
    assert_int_equal(instance->groups.count, 2);
    assert_string_equal(groups[1].text, "GID_bbb");
    assert_string_equal(rule->topic.text, "t");
    assert_int_equal(rule->queues, 8);
    assert_false(rule->is_enabled);
    assert_int_equal(rule->group.at.line, 16);
    rc_config_free(config);
}

static void test_an_error_names_place_key_given_and_expected(void **state)
{
    assert_string_equal(
        errors_of("mqtt:\n  max_connections: lots\n"),
        "f.yaml:2:20: mqtt.max_connections: 'lots' was given, a whole number from 0 to 50000000 was "
        "expected\n");
    assert_error("store: {segment_size: 64MB}",
                 "f.yaml:1:23: store.segment_size: '64MB' was given, a size (B, KiB");
    assert_error("store: {retain_time: 5}", "a duration (ms, s, m, h, d) from 1s to 3650d was expected");
    assert_error("log: {level: verbose}", "'verbose' was given, error, warn, info or debug was expected");
    assert_error("hints: yes", "'yes' was given, true or false was expected");
    assert_error("mqtt: {listeners: [{bind: localhost:1883}]}",
                 "mqtt.listeners[0].bind: 'localhost:1883' was given");
    assert_error("mqtt: {listeners: [{bind: '1.2.3.4:70000'}]}", "an IP address and a port");
    assert_error("rocketmq: {advertise: '0.0.0.0:9876'}", "'0.0.0.0:9876' was given, a host and a port");
    assert_error("rocketmq: {advertise: mq.example.com}", "'mq.example.com' was given");
    assert_error("rocketmq: {bind: 'unix:/tmp/x'}", "'unix:/tmp/x' was given");
    assert_error("mqtt: {listeners: {bind: 1.2.3.4:1}}",
                 "mqtt.listeners: a mapping was given, a list of mappings");
    assert_error("store: [1]", "store: a list was given, a mapping (key: value) was expected");
    assert_error("shards:\n", "shards: nothing was given, a whole number from 0 to 256 was expected");
    assert_error("shards: 99999999999999999999999", "shards: '99999999999999999999999' was given");
    assert_error("shards: -1", "'-1' was given");
    assert_error("instances: [{id: x, groups: [GIDa]}]",
                 "instances[0].groups[0]: 'GIDa' was given, a group ID");
}

static void test_an_unknown_key_is_told_its_nearest_name(void **state)
{
    assert_string_equal(errors_of("mqtt:\n  listener: []\n"),
                        "f.yaml:2:3: mqtt: the key 'listener' is unknown, did you mean 'listeners'?\n");
    assert_error("zzzzzz: 1", "f.yaml:1:1: the key 'zzzzzz' is unknown\n");
}

static void test_all_errors_of_a_file_are_reported(void **state)
{
    const char *found = errors_of("shards: x\n"
                                  "nod: y\n"
                                  "shards: 2\n"
                                  "instances:\n"
                                  "  - keys: [{access_key: a}]\n");
    assert_non_null(strstr(found, "f.yaml:1:9: shards: 'x'"));
    assert_non_null(strstr(found, "f.yaml:2:1: the key 'nod' is unknown, did you mean 'node'?"));
    assert_non_null(strstr(found, "f.yaml:3:1: shards: the key was given twice"));
    assert_non_null(strstr(found, "f.yaml:5:5: instances[0].id: nothing was given"));
    assert_non_null(strstr(found, "f.yaml:5:12: instances[0].keys[0].secret_key: nothing was given"));
}

static void test_many_errors_are_counted_but_not_all_written(void **state)
{
    char *yaml = malloc(200000);
    size_t len = 0;
    for (int i = 0; i < 5000; i++)
        len += (size_t)snprintf(yaml + len, 200000 - len, "zz%d: 1\n", i);
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    assert_null(rc_config_parse("f", rc_slice(yaml, len), &errors));
    assert_int_equal(errors.count, 5000);
    assert_true(rc_buf_len(&errors.text) < 10000);
    rc_config_errors_free(&errors);
    free(yaml);
}

static void test_yaml_that_could_blow_up_is_refused(void **state)
{
    assert_error("a: &x [1]\nb: *x\n", "f.yaml:1:4: an anchor (&name) was given");
    assert_error("b: *x\n", "f.yaml:1:4: an alias (*name) was given");
    assert_error("node: !!str x\n", "a tag (!name) was given");
    assert_error("node: x\n---\nnode: y\n", "f.yaml:2:1: a second document (---) was given");
    char deep[2000];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_error(deep, "f.yaml:1:17: the nesting is too deep");
}

static void test_text_that_is_no_yaml_is_refused_with_its_place(void **state)
{
    assert_error("node: x\n\tshards: 1\n",
                 "f.yaml:2:1: this is not YAML: found a tab character that violates indentation");
    assert_error("node: [a\n", "this is not YAML");
    assert_error("node: x\nshards: \xff\n", "f.yaml:2:9: this is not YAML");
    assert_error("[a]: 1", "a list was given, a key was expected");
    assert_error("- a", "a list was given, a mapping (key: value) was expected");
}

#define WITH_SECRET(secret) "instances: [{id: x, keys: [{access_key: a, secret_key: '" secret "'}]}]"

static const char *secret_of(const char *yaml)
{
    struct rc_config *config = must_parse(yaml);
    const struct rc_config_instance *instance = config->instances.items;
    const struct rc_config_key *key = instance->keys.items;
    snprintf(text, sizeof(text), "%s", key->secret_key.text);
    rc_config_free(config);
    return text;
}

static void test_a_secret_comes_from_text_environment_or_file(void **state)
{
    char path[] = "/tmp/rc-config-test-XXXXXX";
    char yaml[256];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    close(fd);
    setenv("RC_TEST_SECRET", "from-env", 1);
    assert_string_equal(secret_of(WITH_SECRET("plain")), "plain");
    assert_string_equal(secret_of(WITH_SECRET("env:RC_TEST_SECRET")), "from-env");
    snprintf(yaml, sizeof(yaml), WITH_SECRET("file:%s"), path);
    assert_string_equal(secret_of(yaml), "from-file");
    unlink(path);
    assert_error(yaml, "instances[0].keys[0].secret_key: the file /tmp/rc-config-test-");
    assert_error(WITH_SECRET("env:RC_TEST_NOT_SET"), "the environment has no variable RC_TEST_NOT_SET");
    setenv("RC_TEST_SECRET", "", 1);
    assert_error(WITH_SECRET("env:RC_TEST_SECRET"), "the secret has 0 bytes, 1 to 256 were expected");
}

static void test_what_is_printed_reads_back_the_same_and_hides_secrets(void **state)
{
    struct rc_buf first, second;
    rc_buf_init(&first, 1 << 20);
    rc_buf_init(&second, 1 << 20);
    struct rc_config *config =
        must_parse("store: {dir: 'a \"b\" \\ c', flush_interval: 1500ms, quota: 4097}\n"
                   "instances:\n"
                   "  - {id: x, keys: [{access_key: a, secret_key: hush}], groups: [GID_aa1]}\n"
                   "  - {id: y}\n");
    assert_int_equal(rc_config_print(config, &first), RC_OK);
    rc_config_free(config);
    rc_buf_put_u8(&first, 0);
    assert_null(strstr((const char *)first.data, "hush"));
    config = must_parse((const char *)first.data);
    assert_int_equal(config->store.quota, 4097);
    assert_int_equal(config->store.flush_interval, 1500);
    assert_int_equal(rc_config_print(config, &second), RC_OK);
    rc_config_free(config);
    rc_buf_put_u8(&second, 0);
    assert_string_equal((const char *)first.data, (const char *)second.data);
    rc_buf_free(&first);
    rc_buf_free(&second);
}

static void collect(const char *path, void *arg)
{
    strcat(arg, path);
    strcat(arg, " ");
}

static void test_changes_that_need_a_restart_are_named(void **state)
{
    char changed[200] = "";
    struct rc_config *before = must_parse("instances: []");
    struct rc_config *after = must_parse("shards: 2\n"
                                         "log: {level: debug}\n"
                                         "store: {dir: elsewhere}\n"
                                         "mqtt: {listeners: [{bind: 127.0.0.1:1884}]}\n"
                                         "instances: [{id: x}]\n");
    rc_config_each_fixed_change(before, after, collect, changed);
    assert_string_equal(changed, "shards store.dir mqtt.listeners ");
    rc_config_free(before);
    rc_config_free(after);
}

static void test_the_reference_page_is_up_to_date(void **state)
{
    struct rc_buf page;
    rc_buf_init(&page, 1 << 20);
    assert_int_equal(rc_config_print_reference(&page), RC_OK);
    int fd = open(RC_SOURCE_DIR "/docs/configuration.md", O_RDONLY);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof(text));
    close(fd);
    if (len < 0 || !rc_slice_eq(rc_buf_slice(&page), rc_slice(text, (size_t)len)))
        fail_msg("docs/configuration.md is stale: run ./dev docs");
    rc_buf_free(&page);
}

static void test_a_missing_file_is_an_error_not_a_default(void **state)
{
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    assert_null(rc_config_load("/nonexistent/rollcall.yaml", &errors));
    assert_int_equal(errors.count, 1);
    assert_null(rc_config_load("/tmp", &errors));
    assert_int_equal(errors.count, 2);
    rc_config_errors_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_file_has_all_defaults),
        cmocka_unit_test(test_values_arrive_in_their_units),
        cmocka_unit_test(test_an_error_names_place_key_given_and_expected),
        cmocka_unit_test(test_an_unknown_key_is_told_its_nearest_name),
        cmocka_unit_test(test_all_errors_of_a_file_are_reported),
        cmocka_unit_test(test_many_errors_are_counted_but_not_all_written),
        cmocka_unit_test(test_yaml_that_could_blow_up_is_refused),
        cmocka_unit_test(test_text_that_is_no_yaml_is_refused_with_its_place),
        cmocka_unit_test(test_a_secret_comes_from_text_environment_or_file),
        cmocka_unit_test(test_what_is_printed_reads_back_the_same_and_hides_secrets),
        cmocka_unit_test(test_changes_that_need_a_restart_are_named),
        cmocka_unit_test(test_the_reference_page_is_up_to_date),
        cmocka_unit_test(test_a_missing_file_is_an_error_not_a_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
