/* A client of OpenSSL in memory speaks with the layer, over a pipe with as little room as a test wants. */
#include "net/test_certificates.h"

#include "base/alloc.h"
#include "base/error.h"
#include "net/output.h"
#include "net/stream_memory.h"
#include "net/stream_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <sys/epoll.h>

enum { ROOM = 1 << 20, DAY = 86400 };

static char dir[] = "/tmp/rc-tls-test-XXXXXX";

static const struct test_certificate certificates[] = {
    {"ca", "Test CA", NULL, -DAY, DAY, true},
    {"a", "a.example", "DNS:a.example", -DAY, DAY, false},
    {"b", "b.example", "DNS:b.example,DNS:*.wild.example", -DAY, DAY, false},
    {"device", "GID_test@@@dev1", NULL, -DAY, DAY, false},
    {"stranger", "GID_test@@@dev1", NULL, -DAY, DAY, false},
    {"old", "a.example", "DNS:a.example", -10 * DAY, -DAY, false},
    {"early", "a.example", "DNS:a.example", DAY, 2 * DAY, false},
};

static int set_up(void **state)
{
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++) {
        bool is_root = certificates[i].is_ca || strcmp(certificates[i].name, "stranger") == 0;
        test_make_certificate(dir, &certificates[i], is_root ? NULL : "ca");
    }
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++)
        test_remove_certificate(dir, certificates[i].name);
    return rmdir(dir);
}

/* ---- the two ends ---- */

struct paths {
    char text[8][TEST_PATH_MAX];
    struct rc_tls_pair pairs[2];
    struct rc_tls_settings settings;
};

static struct rc_tls_settings *make_settings(struct paths *paths)
{
    paths->pairs[0] = (struct rc_tls_pair){test_path(paths->text[0], dir, "a", ".pem"),
                                           test_path(paths->text[1], dir, "a", ".key")};
    paths->pairs[1] = (struct rc_tls_pair){test_path(paths->text[2], dir, "b", ".pem"),
                                           test_path(paths->text[3], dir, "b", ".key")};
    paths->settings = (struct rc_tls_settings){
        .pairs = paths->pairs,
        .count = 2,
        .client_ca = test_path(paths->text[4], dir, "ca", ".pem"),
        .has_tls12 = true,
        .has_tls13 = true,
        .ciphers = "",
        .ciphersuites = "",
    };
    return &paths->settings;
}

static struct rc_tls *make_tls(enum rc_tls_client_certificate client_certificate)
{
    struct paths paths;
    struct rc_tls *tls;
    struct rc_tls_fault fault;
    struct rc_error error;
    make_settings(&paths)->client_certificate = client_certificate;
    assert_int_equal(rc_tls_create(&paths.settings, &tls, &fault, &error), 0);
    return tls;
}

struct client {
    SSL_CTX *context;
    SSL *ssl;
    struct rc_stream far;
};

struct link {
    struct rc_stream near;
    struct client client;
};

static void open_client(struct client *client, int version, const char *name, const char *certificate)
{
    char path[TEST_PATH_MAX];
    client->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(client->context, version);
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_file(client->context, test_path(path, dir, "ca", ".pem")), 1);
    if (certificate != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_file(
                             client->context, test_path(path, dir, certificate, ".pem"), SSL_FILETYPE_PEM),
                         1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(
                             client->context, test_path(path, dir, certificate, ".key"), SSL_FILETYPE_PEM),
                         1);
    }
    client->ssl = SSL_new(client->context);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (name != NULL)
        SSL_set_tlsext_host_name(client->ssl, name);
    SSL_set_connect_state(client->ssl);
}

/* Carries up to `step` bytes each way between the client's memory and the pipe. True when any moved. */
static bool carry(struct client *client, size_t step)
{
    uint8_t bytes[4096];
    bool has_moved = false;
    size_t max = step < sizeof(bytes) ? step : sizeof(bytes);
    BIO *out = SSL_get_wbio(client->ssl), *in = SSL_get_rbio(client->ssl);
    char *ready;
    long waiting = BIO_get_mem_data(out, &ready);
    if (waiting > 0) {
        const struct iovec iov = {.iov_base = ready,
                                  .iov_len = (size_t)waiting < max ? (size_t)waiting : max};
        ssize_t sent = rc_stream_writev(&client->far, &iov, 1);
        if (sent > 0)
            assert_int_equal(BIO_read(out, bytes, (int)sent), sent);
        has_moved = sent > 0;
    }
    ssize_t got = rc_stream_read(&client->far, bytes, max);
    if (got > 0)
        assert_int_equal(BIO_write(in, bytes, (int)got), got);
    return has_moved || got > 0;
}

static void open_link(struct link *link, struct rc_tls *tls, uint32_t room)
{
    rc_stream_pair(&link->near, &link->client.far, room);
    assert_int_equal(rc_stream_push_tls(&link->near, tls), 0);
}

/* Both shake hands, `step` bytes at a time: the server's result. */
static int shake_hands(struct link *link, size_t step, struct rc_error *error)
{
    uint32_t events;
    int err = RC_ERR_AGAIN, idle = 0;
    while (idle < 3 && (err == RC_ERR_AGAIN || !SSL_is_init_finished(link->client.ssl))) {
        SSL_do_handshake(link->client.ssl);
        bool has_moved = carry(&link->client, step);
        if (err == RC_ERR_AGAIN)
            err = rc_stream_tls_handshake(&link->near, &events, error);
        if (err == RC_ERR_AGAIN)
            assert_true(events == EPOLLIN || events == EPOLLOUT);
        idle = has_moved ? 0 : idle + 1;
    }
    return err;
}

static void close_link(struct link *link)
{
    rc_stream_close(&link->near);
    SSL_free(link->client.ssl);
    SSL_CTX_free(link->client.context);
    rc_stream_close(&link->client.far);
    ERR_clear_error();
}

static void expect_read(struct link *link, const char *expected)
{
    char bytes[RC_TLS_RECORD_BYTES];
    assert_int_equal(rc_stream_read(&link->near, bytes, sizeof(bytes)), strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
    assert_int_equal(rc_stream_pending(&link->near), 0);
}

/* ---- handshakes ---- */

static void check_talk(int version, uint32_t room, size_t step, const char *version_text)
{
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link link;
    struct rc_error error;
    struct rc_tls_peer peer;
    char bytes[64];
    open_link(&link, tls, room);
    open_client(&link.client, version, "a.example", NULL);
    rc_tls_unref(tls); /* the layer has its own */
    assert_int_equal(shake_hands(&link, step, &error), 0);
    assert_string_equal(rc_stream_tls_version(&link.near), version_text);
    assert_false(rc_stream_tls_peer(&link.near, &peer));
    while (carry(&link.client, step))
        continue;
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), RC_ERR_AGAIN);
    assert_int_equal(SSL_write(link.client.ssl, "hello", 5), 5);
    ssize_t got;
    while ((got = rc_stream_read(&link.near, bytes, sizeof(bytes))) == RC_ERR_AGAIN)
        carry(&link.client, step);
    assert_int_equal(got, 5);
    const struct iovec iov[] = {{.iov_base = (void *)"good", .iov_len = 4},
                                {.iov_base = NULL, .iov_len = 0},
                                {.iov_base = (void *)"bye", .iov_len = 3}};
    while ((got = rc_stream_writev(&link.near, iov, 3)) == RC_ERR_AGAIN)
        carry(&link.client, step);
    assert_int_equal(got, 7);
    while (SSL_read(link.client.ssl, bytes, sizeof(bytes)) <= 0)
        carry(&link.client, step);
    assert_memory_equal(bytes, "goodbye", 7);
    close_link(&link);
}

static void test_both_versions_talk(void **state)
{
    check_talk(TLS1_2_VERSION, ROOM, 4096, "TLSv1.2");
    check_talk(TLS1_3_VERSION, ROOM, 4096, "TLSv1.3");
}

static void test_a_handshake_may_come_byte_by_byte(void **state)
{
    check_talk(TLS1_2_VERSION, ROOM, 1, "TLSv1.2");
    check_talk(TLS1_3_VERSION, ROOM, 1, "TLSv1.3");
}

static void test_a_handshake_goes_through_a_bottleneck(void **state)
{
    check_talk(TLS1_2_VERSION, 1, 1, "TLSv1.2");
    check_talk(TLS1_3_VERSION, 7, 100, "TLSv1.3");
}

static void test_the_certificate_is_chosen_by_name(void **state)
{
    static const struct {
        const char *asked, *common_name;
    } rows[] = {{"a.example", "a.example"},    {"b.example", "b.example"},
                {"B.Example", "b.example"},    {"x.wild.example", "b.example"},
                {"wild.example", "a.example"}, {"x.y.wild.example", "a.example"},
                {"else.example", "a.example"}, {NULL, "a.example"}};
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct link link;
        struct rc_error error;
        char name[64];
        open_link(&link, tls, ROOM);
        open_client(&link.client, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION, rows[i].asked, NULL);
        assert_int_equal(shake_hands(&link, 4096, &error), 0);
        X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(link.client.ssl)),
                                  NID_commonName, name, sizeof(name));
        assert_string_equal(name, rows[i].common_name);
        close_link(&link);
    }
    rc_tls_unref(tls);
}

static void test_a_client_is_known_by_its_certificate(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_REQUIRED);
    for (int i = 0; i < 2; i++) {
        struct link link;
        struct rc_error error;
        struct rc_tls_peer peer;
        open_link(&link, tls, ROOM);
        open_client(&link.client, versions[i], "b.example", "device");
        assert_false(rc_stream_tls_peer(&link.near, &peer));
        assert_int_equal(shake_hands(&link, 4096, &error), 0);
        assert_true(rc_stream_tls_peer(&link.near, &peer));
        assert_string_equal(peer.common_name, "GID_test@@@dev1");
        assert_string_equal(peer.subject, "CN=GID_test@@@dev1,O=Test");
        assert_string_equal(peer.serial, "1004");
        assert_non_null(rc_stream_tls_certificate(&link.near));
        assert_non_null(rc_stream_tls_chain(&link.near));
        close_link(&link);
    }
    rc_tls_unref(tls);
}

/* Its certificates take nothing any more, and the connection goes on. */
static void test_who_the_peer_is_may_be_forgotten(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_REQUIRED);
    X509 *ca = test_read_certificate(dir, "ca");
    for (int i = 0; i < 2; i++) {
        struct link link;
        struct rc_error error;
        struct rc_tls_peer peer;
        char bytes[16];
        open_link(&link, tls, ROOM);
        open_client(&link.client, versions[i], "b.example", "device");
        assert_int_equal(SSL_add1_chain_cert(link.client.ssl, ca), 1);
        assert_int_equal(shake_hands(&link, 4096, &error), 0);
        const X509 *certificate = rc_stream_tls_certificate(&link.near);
        const STACK_OF(X509) *chain = rc_stream_tls_chain(&link.near);
        assert_true(sk_X509_num(chain) > 0);
        rc_stream_tls_forget_peer(&link.near);
        rc_stream_tls_forget_peer(&link.near);
        assert_int_equal(sk_X509_num(chain), 0);
        assert_int_equal(X509_get_ext_count(certificate), 0);
        assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(certificate)), 0);
        assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(certificate)), EVP_PKEY_ED25519);
        assert_false(rc_stream_tls_peer(&link.near, &peer));
        assert_null(rc_stream_tls_certificate(&link.near));
        assert_null(rc_stream_tls_chain(&link.near));
        assert_false(rc_stream_tls_is_unchecked(&link.near));
        assert_int_equal(SSL_write(link.client.ssl, "here", 4), 4);
        while (carry(&link.client, 4096))
            continue;
        assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 4);
        close_link(&link);
    }
    X509_free(ca);
    rc_tls_unref(tls);
}

static void check_refused(enum rc_tls_client_certificate wanted, int version, const char *certificate,
                          const char *why)
{
    struct rc_tls *tls = make_tls(wanted);
    struct link link;
    struct rc_error error = {.text = ""};
    open_link(&link, tls, ROOM);
    open_client(&link.client, version, "a.example", certificate);
    int err = shake_hands(&link, 4096, &error);
    assert_int_equal(err, RC_ERR_PROTOCOL);
    assert_non_null(strstr(error.text, why));
    char byte;
    assert_int_equal(rc_stream_read(&link.near, &byte, 1), RC_ERR_PROTOCOL); /* and so for ever */
    close_link(&link);
    rc_tls_unref(tls);
}

static void test_a_client_without_a_right_certificate_is_refused(void **state)
{
    check_refused(RC_TLS_CLIENT_REQUIRED, TLS1_2_VERSION, NULL, "did not return a certificate");
    check_refused(RC_TLS_CLIENT_REQUIRED, TLS1_3_VERSION, NULL, "did not return a certificate");
    check_refused(RC_TLS_CLIENT_REQUIRED, TLS1_3_VERSION, "stranger", "self-signed certificate");
    check_refused(RC_TLS_CLIENT_OPTIONAL, TLS1_3_VERSION, "stranger", "self-signed certificate");
    check_refused(RC_TLS_CLIENT_OPTIONAL, TLS1_2_VERSION, "old", "certificate has expired");
}

static void test_a_certificate_may_be_optional(void **state)
{
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_OPTIONAL);
    struct link link;
    struct rc_error error;
    struct rc_tls_peer peer;
    open_link(&link, tls, ROOM);
    open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
    assert_int_equal(shake_hands(&link, 4096, &error), 0);
    assert_false(rc_stream_tls_peer(&link.near, &peer));
    close_link(&link);
    rc_tls_unref(tls);
}

static void test_who_speaks_no_tls_is_refused(void **state)
{
    static const char *const texts[] = {"\x10\x0c\0\4MQTT\4\2\0\x3c\0\0", "GET /mqtt HTTP/1.1\r\n\r\n",
                                        "\x16\x03\x01\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\x15\x03\x01\0\2\2\x28\x15\x03\x01\0"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
        struct rc_stream near, far;
        struct rc_error error = {.text = ""};
        uint32_t events;
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)texts[i], .iov_len = i == 1 ? 22 : 11};
        rc_stream_pair(&near, &far, ROOM);
        assert_int_equal(rc_stream_push_tls(&near, tls), 0);
        rc_stream_writev(&far, &iov, 1);
        rc_stream_shutdown(&far);
        int err = rc_stream_tls_handshake(&near, &events, &error);
        assert_true(err == RC_ERR_PROTOCOL || err == RC_ERR_CLOSED);
        assert_true(error.text[0] != '\0');
        rc_stream_close(&near);
        rc_stream_close(&far);
        rc_tls_unref(tls);
    }
}

/* ---- data ---- */

static void test_reading_leaves_nothing_behind(void **state)
{
    enum { SIZE = 100000 };
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link link;
    struct rc_error error;
    uint8_t *sent = rc_malloc(SIZE), *got = rc_malloc(2 * SIZE);
    size_t len = 0;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (uint8_t)(i * 31);
    open_link(&link, tls, ROOM);
    open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
    assert_int_equal(shake_hands(&link, 4096, &error), 0);
    assert_int_equal(SSL_write(link.client.ssl, sent, SIZE), SIZE);
    while (carry(&link.client, 4096))
        continue;
    while (len < SIZE) {
        ssize_t part = rc_stream_read(&link.near, got + len, 65536);
        assert_true(part > 0);
        len += (size_t)part;
        assert_int_equal(rc_stream_pending(&link.near), 0);
    }
    assert_memory_equal(got, sent, SIZE);
    /* A reader with less room than a record is told of the rest. */
    assert_int_equal(SSL_write(link.client.ssl, "hello", 5), 5);
    while (carry(&link.client, 4096))
        continue;
    assert_int_equal(rc_stream_read(&link.near, got, 2), 2);
    assert_int_equal(rc_stream_pending(&link.near), 3);
    expect_read(&link, "llo");
    close_link(&link);
    rc_tls_unref(tls);
    free(sent);
    free(got);
}

static void test_output_arrives_through_a_bottleneck(void **state)
{
    enum { SIZE = 50000 };
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link link;
    struct rc_loop *loop;
    struct rc_error error;
    struct rc_output output = {0};
    uint8_t *sent = rc_malloc(SIZE), *got = rc_malloc(SIZE);
    size_t put = 0, len = 0;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (uint8_t)(i * 37 + i / 255);
    assert_int_equal(rc_loop_create("test", &loop), 0);
    open_link(&link, tls, 100);
    open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
    assert_int_equal(shake_hands(&link, 4096, &error), 0);
    assert_int_equal(rc_stream_attach(&link.near, loop, EPOLLIN), 0);
    while (len < SIZE) {
        size_t more = SIZE - put < 777 ? SIZE - put : 777; /* it grows while the library waits */
        rc_output_put(&output, sent + put, more);
        put += more;
        int err = rc_output_flush(&output, &link.near);
        assert_true(err == RC_OK || err == RC_ERR_AGAIN);
        carry(&link.client, 4096);
        int part = SSL_read(link.client.ssl, got + len, (int)(SIZE - len));
        len += part > 0 ? (size_t)part : 0;
    }
    assert_memory_equal(got, sent, SIZE);
    rc_output_free(&output);
    close_link(&link);
    while (rc_loop_drain(loop))
        continue;
    rc_loop_destroy(loop);
    rc_tls_unref(tls);
    free(sent);
    free(got);
}

static void test_both_ways_of_going_are_the_end(void **state)
{
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    for (int says_so = 0; says_so < 2; says_so++) {
        struct link link;
        struct rc_error error;
        char bytes[16];
        open_link(&link, tls, ROOM);
        open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
        assert_int_equal(shake_hands(&link, 4096, &error), 0);
        if (says_so)
            SSL_shutdown(link.client.ssl);
        while (carry(&link.client, 4096))
            continue;
        rc_stream_shutdown(&link.client.far);
        assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 0);
        close_link(&link);
    }
    rc_tls_unref(tls);
}

static void test_a_damaged_record_ends_it(void **state)
{
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link link;
    struct rc_error error;
    char bytes[64];
    open_link(&link, tls, ROOM);
    open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
    assert_int_equal(shake_hands(&link, 4096, &error), 0);
    while (carry(&link.client, 4096))
        continue;
    const struct iovec iov = {.iov_base = (void *)"\x17\x03\x03\0\x20 0123456789012345678901234567890",
                              .iov_len = 37};
    rc_stream_writev(&link.client.far, &iov, 1);
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), RC_ERR_PROTOCOL);
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), RC_ERR_PROTOCOL);
    assert_int_equal(rc_stream_writev(&link.near, &iov, 1), RC_ERR_PROTOCOL);
    close_link(&link);
    rc_tls_unref(tls);
}

/* ---- another thread, another place in memory ---- */

static void *go_on_elsewhere(void *arg)
{
    struct link *link = arg;
    const struct iovec iov = {.iov_base = (void *)"there", .iov_len = 5};
    expect_read(link, "here");
    assert_int_equal(rc_stream_writev(&link->near, &iov, 1), 5);
    return NULL;
}

static void test_it_moves_to_another_thread_and_address(void **state)
{
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link link, *moved = rc_new(struct link);
    struct rc_error error;
    pthread_t thread;
    char bytes[16];
    open_link(&link, tls, ROOM);
    open_client(&link.client, TLS1_3_VERSION, NULL, NULL);
    assert_int_equal(shake_hands(&link, 4096, &error), 0);
    assert_int_equal(SSL_write(link.client.ssl, "here", 4), 4);
    while (carry(&link.client, 4096))
        continue;
    *moved = link;
    memset(&link.near, 0xaa, sizeof(link.near));
    assert_int_equal(pthread_create(&thread, NULL, go_on_elsewhere, moved), 0);
    pthread_join(thread, NULL);
    while (carry(&moved->client, 4096))
        continue;
    assert_int_equal(SSL_read(moved->client.ssl, bytes, sizeof(bytes)), 5);
    close_link(moved);
    free(moved);
    rc_tls_unref(tls);
}

/* The connections of a thread share what leads to their sockets: one that waits, ends or breaks stays alone.
 */
static void test_connections_of_a_thread_do_not_meet(void **state)
{
    enum { LINKS = 3, BYTES = 5000 };
    struct rc_tls *tls = make_tls(RC_TLS_CLIENT_NONE);
    struct link links[LINKS];
    struct rc_error error;
    static char sent[LINKS][BYTES], got[LINKS][BYTES];
    size_t done[LINKS] = {0};
    for (int i = 0; i < LINKS; i++) {
        memset(sent[i], 'a' + i, BYTES);
        open_link(&links[i], tls, 64);
        open_client(&links[i].client, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION, NULL, NULL);
        assert_int_equal(shake_hands(&links[i], 4096, &error), 0);
        const struct iovec iov = {.iov_base = sent[i], .iov_len = BYTES};
        assert_int_equal(rc_stream_writev(&links[i].near, &iov, 1), RC_ERR_AGAIN); /* no room: all wait */
    }
    assert_int_equal(rc_stream_shutdown(&links[0].client.far), 0);
    for (bool is_done = false; !is_done;) {
        is_done = true;
        for (int i = LINKS - 1; i >= 0; i--) {
            char nothing[RC_TLS_RECORD_BYTES];
            const struct iovec iov = {.iov_base = sent[i], .iov_len = BYTES};
            carry(&links[i].client, 64);
            rc_stream_writev(&links[i].near, &iov, 1);
            assert_int_equal(rc_stream_read(&links[i].near, nothing, sizeof(nothing)),
                             i == 0 ? 0 : RC_ERR_AGAIN);
            int len = SSL_read(links[i].client.ssl, got[i] + done[i], (int)(BYTES - done[i]));
            done[i] += len > 0 ? (size_t)len : 0;
            is_done = is_done && done[i] == BYTES;
        }
    }
    for (int i = 0; i < LINKS; i++) {
        assert_memory_equal(got[i], sent[i], BYTES);
        close_link(&links[i]);
    }
    rc_tls_unref(tls);
}

/* ---- files ---- */

static void expect_fault(const struct rc_tls_settings *settings, enum rc_tls_part part, uint32_t pair,
                         const char *why)
{
    struct rc_tls *tls;
    struct rc_tls_fault fault;
    struct rc_error error = {.text = ""};
    assert_true(rc_tls_create(settings, &tls, &fault, &error) < 0);
    if (strstr(error.text, why) == NULL)
        fail_msg("'%s' does not say '%s'", error.text, why);
    assert_int_equal(fault.part, part);
    if (part == RC_TLS_PART_CERTIFICATE || part == RC_TLS_PART_KEY)
        assert_int_equal(fault.pair, pair);
}

static void test_what_is_wrong_with_a_file_is_told(void **state)
{
    struct paths paths;
    char path[TEST_PATH_MAX];
    make_settings(&paths)->pairs = paths.pairs;
    paths.pairs[1].certificate = "/nowhere/x.pem";
    expect_fault(&paths.settings, RC_TLS_PART_CERTIFICATE, 1,
                 "/nowhere/x.pem cannot be read: No such file or directory");
    paths.pairs[1].certificate = paths.text[3];
    expect_fault(&paths.settings, RC_TLS_PART_CERTIFICATE, 1, "b.key is no certificate in PEM form");
    paths.pairs[1].certificate = test_path(path, dir, "old", ".pem");
    expect_fault(&paths.settings, RC_TLS_PART_CERTIFICATE, 1, "old.pem has expired on 20");
    paths.pairs[1].certificate = test_path(path, dir, "early", ".pem");
    expect_fault(&paths.settings, RC_TLS_PART_CERTIFICATE, 1, "early.pem is not valid before 20");
    paths.pairs[1].certificate = paths.text[2];
    paths.pairs[1].key = paths.text[1];
    expect_fault(&paths.settings, RC_TLS_PART_KEY, 1, "a.key does not belong to the certificate");
    paths.pairs[1].key = paths.text[2];
    expect_fault(&paths.settings, RC_TLS_PART_KEY, 1, "b.pem is no private key in PEM form");
    paths.pairs[1].key = "/nowhere/x.key";
    expect_fault(&paths.settings, RC_TLS_PART_KEY, 1, "/nowhere/x.key cannot be read");
    make_settings(&paths)->client_certificate = RC_TLS_CLIENT_REQUIRED;
    paths.settings.client_ca = "/nowhere/ca.pem";
    expect_fault(&paths.settings, RC_TLS_PART_CLIENT_CA, 0, "/nowhere/ca.pem cannot be read");
    paths.settings.client_ca = paths.text[1];
    expect_fault(&paths.settings, RC_TLS_PART_CLIENT_CA, 0, "a.key holds no certificates");
    make_settings(&paths)->ciphers = "NO-SUCH-CIPHER";
    expect_fault(&paths.settings, RC_TLS_PART_CIPHERS, 0, "'NO-SUCH-CIPHER' names no cipher");
    make_settings(&paths)->ciphersuites = "TLS_NO";
    expect_fault(&paths.settings, RC_TLS_PART_CIPHERSUITES, 0, "'TLS_NO' is no list");
}

static void test_an_encrypted_key_is_refused_without_asking(void **state)
{
    struct paths paths;
    char path[TEST_PATH_MAX];
    EVP_PKEY *key = test_read_key(dir, "a");
    FILE *file = fopen(test_path(path, dir, "locked", ".key"), "w");
    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (unsigned char *)(uintptr_t) "secret",
                                          6, NULL, NULL),
                     1);
    fclose(file);
    EVP_PKEY_free(key);
    make_settings(&paths)->pairs = paths.pairs;
    paths.pairs[0].key = path;
    expect_fault(&paths.settings, RC_TLS_PART_KEY, 0, "locked.key is encrypted");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_versions_talk),
        cmocka_unit_test(test_a_handshake_may_come_byte_by_byte),
        cmocka_unit_test(test_a_handshake_goes_through_a_bottleneck),
        cmocka_unit_test(test_the_certificate_is_chosen_by_name),
        cmocka_unit_test(test_a_client_is_known_by_its_certificate),
        cmocka_unit_test(test_who_the_peer_is_may_be_forgotten),
        cmocka_unit_test(test_a_client_without_a_right_certificate_is_refused),
        cmocka_unit_test(test_a_certificate_may_be_optional),
        cmocka_unit_test(test_who_speaks_no_tls_is_refused),
        cmocka_unit_test(test_reading_leaves_nothing_behind),
        cmocka_unit_test(test_output_arrives_through_a_bottleneck),
        cmocka_unit_test(test_both_ways_of_going_are_the_end),
        cmocka_unit_test(test_a_damaged_record_ends_it),
        cmocka_unit_test(test_it_moves_to_another_thread_and_address),
        cmocka_unit_test(test_connections_of_a_thread_do_not_meet),
        cmocka_unit_test(test_what_is_wrong_with_a_file_is_told),
        cmocka_unit_test(test_an_encrypted_key_is_refused_without_asking),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
