/* What stands before MQTT, over a pipe with as little room as a test wants. */
#include "net/test_certificates.h"

#include "base/error.h"
#include "net/opening.h"
#include "net/stream_memory.h"
#include "net/stream_tls.h"

#include <openssl/ssl.h>

#include <sys/epoll.h>

static char dir[] = "/tmp/rc-opening-test-XXXXXX";

static const char proxy_header[] = "PROXY TCP4 203.0.113.9 192.0.2.1 4242 8084\r\n";
static const char request[] =
    "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";

static int set_up(void **state)
{
    static const struct test_certificate certificate = {"s",   "localhost", "DNS:localhost",
                                                        -1000, 86400,       true};
    assert_non_null(mkdtemp(dir));
    test_make_certificate(dir, &certificate, NULL);
    return 0;
}

static int tear_down(void **state)
{
    test_remove_certificate(dir, "s");
    return rmdir(dir);
}

/* ---- the server's end ---- */

struct link {
    struct rc_loop *loop;
    struct rc_stream near, far;
    struct rc_opening *opening;
    struct rc_error error;
    int result; /* of the last step */
};

static void ignore(struct rc_watch *watch, uint32_t events)
{
}

static struct rc_transport *make_transport(enum rc_transport_kind kind, bool is_trusting)
{
    struct rc_transport *transport = rc_transport_create(kind, "test");
    if (kind == RC_TRANSPORT_TLS || kind == RC_TRANSPORT_WSS) {
        char certificate[TEST_PATH_MAX], key[TEST_PATH_MAX];
        const struct rc_tls_pair pair = {test_path(certificate, dir, "s", ".pem"),
                                         test_path(key, dir, "s", ".key")};
        const struct rc_tls_settings settings = {
            .pairs = &pair, .count = 1, .has_tls13 = true, .ciphers = "", .ciphersuites = ""};
        struct rc_tls_fault fault;
        assert_int_equal(rc_tls_create(&settings, &transport->tls, &fault, NULL), 0);
    }
    if (kind == RC_TRANSPORT_WS || kind == RC_TRANSPORT_WSS)
        transport->path = strdup("/mqtt");
    if (is_trusting) {
        transport->trusted = calloc(1, sizeof(struct rc_cidr));
        transport->trusted_count = 1;
        assert_true(rc_cidr_parse(rc_slice_str("127.0.0.0/8"), &transport->trusted[0]));
    }
    return transport;
}

static void open_link(struct link *link, struct rc_transport *transport, uint32_t room)
{
    struct rc_address peer;
    memset(link, 0, sizeof(*link));
    rc_address_parse("127.0.0.1:1", &peer, NULL);
    assert_int_equal(rc_loop_create("test", &link->loop), 0);
    rc_stream_pair(&link->near, &link->far, room);
    link->near.watch.on_ready = ignore;
    assert_int_equal(rc_stream_attach(&link->near, link->loop, EPOLLIN), 0);
    link->opening = rc_opening_create(transport, &peer);
    assert_non_null(link->opening);
    rc_transport_unref(transport); /* it has its own reference */
    link->result = RC_ERR_AGAIN;
}

static int step(struct link *link)
{
    if (link->result == RC_ERR_AGAIN)
        link->result = rc_opening_step(link->opening, &link->near, &link->error);
    return link->result;
}

static void close_link(struct link *link)
{
    rc_opening_free(link->opening);
    rc_stream_close(&link->near);
    rc_stream_close(&link->far);
    while (rc_loop_drain(link->loop))
        continue;
    rc_loop_destroy(link->loop);
}

/* Sends piece by piece, as much as the pipe takes, with a step between. */
static void send_all(struct link *link, const char *bytes, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && link->result == RC_ERR_AGAIN;) {
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)(bytes + at),
                                  .iov_len = len - at < piece ? len - at : piece};
        ssize_t sent = rc_stream_writev(&link->far, &iov, 1);
        at += sent > 0 ? (size_t)sent : 0;
        step(link);
    }
}

static size_t receive_all(struct link *link, char *out, size_t size)
{
    size_t len = 0;
    ssize_t got;
    do {
        got = rc_stream_read(&link->far, out + len, size - 1 - len);
        len += got > 0 ? (size_t)got : 0;
        step(link);
    } while (got > 0);
    out[len] = '\0';
    return len;
}

/* ---- tests ---- */

static void test_plain_connections_have_nothing_to_go_through(void **state)
{
    struct rc_address trusted, other;
    struct rc_transport *plain = make_transport(RC_TRANSPORT_TCP, false),
                        *trusting = make_transport(RC_TRANSPORT_TCP, true);
    rc_address_parse("127.0.0.1:1", &trusted, NULL);
    rc_address_parse("10.0.0.1:1", &other, NULL);
    assert_null(rc_opening_create(plain, &trusted));
    assert_null(rc_opening_create(trusting, &other));
    struct rc_opening *opening = rc_opening_create(trusting, &trusted);
    assert_non_null(opening);
    rc_opening_free(opening);
    rc_transport_unref(plain);
    rc_transport_unref(trusting);
}

static void test_a_proxy_header_names_the_client_and_leaves_the_rest(void **state)
{
    for (size_t piece = 1; piece < 64; piece += 9) {
        struct link link;
        char bytes[16], text[RC_ADDRESS_TEXT_MAX];
        open_link(&link, make_transport(RC_TRANSPORT_TCP, true), 100);
        assert_int_equal(step(&link), RC_ERR_AGAIN);
        assert_null(rc_opening_client(link.opening));
        send_all(&link, proxy_header, sizeof(proxy_header) - 2, piece);
        assert_int_equal(link.result, RC_ERR_AGAIN);
        send_all(&link, "\nMQTT", 5, 5);
        assert_int_equal(link.result, 0);
        assert_string_equal(rc_address_format(rc_opening_client(link.opening), text), "203.0.113.9:4242");
        assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 4);
        assert_memory_equal(bytes, "MQTT", 4);
        close_link(&link);
    }
}

static void test_an_upgrade_is_answered_through_a_bottleneck(void **state)
{
    for (uint32_t room = 1; room < 600; room = room * 3 + 1) {
        struct link link;
        char answer[1024];
        size_t len = 0;
        open_link(&link, make_transport(RC_TRANSPORT_WS, false), room);
        send_all(&link, request, sizeof(request) - 1, 50);
        while (link.result == RC_ERR_AGAIN || len == 0) {
            ssize_t got = rc_stream_read(&link.far, answer + len, sizeof(answer) - 1 - len);
            len += got > 0 ? (size_t)got : 0;
            step(&link);
        }
        assert_int_equal(link.result, 0);
        len += receive_all(&link, answer + len, sizeof(answer) - len);
        assert_memory_equal(answer, "HTTP/1.1 101 ", 13);
        assert_memory_equal(answer + len - 4, "\r\n\r\n", 4);
        assert_string_equal(link.near.ops->name, "websocket");
        assert_int_equal(link.near.watch.events, EPOLLIN);
        close_link(&link);
    }
}

static void test_a_refused_upgrade_is_answered_and_over(void **state)
{
    struct link link;
    char answer[1024];
    open_link(&link, make_transport(RC_TRANSPORT_WS, false), 4096);
    send_all(&link, "GET / HTTP/1.1\r\n\r\n", 18, 5);
    assert_int_equal(link.result, RC_ERR_PROTOCOL);
    assert_string_equal(link.error.text, "the WebSocket request was answered with 404");
    receive_all(&link, answer, sizeof(answer));
    assert_memory_equal(answer, "HTTP/1.1 404 Not Found\r\n", 24);
    close_link(&link);
}

static void test_a_head_without_end_is_refused(void **state)
{
    struct link link;
    char head[9000];
    memset(head, 'x', sizeof(head));
    open_link(&link, make_transport(RC_TRANSPORT_WS, false), 1 << 16);
    send_all(&link, head, sizeof(head), 1000);
    assert_int_equal(link.result, RC_ERR_PROTOCOL);
    close_link(&link);
}

static void test_a_peer_that_goes_is_told_of(void **state)
{
    static const enum rc_transport_kind kinds[] = {RC_TRANSPORT_TCP, RC_TRANSPORT_TLS, RC_TRANSPORT_WS};
    for (size_t i = 0; i < 3; i++) {
        struct link link;
        open_link(&link, make_transport(kinds[i], kinds[i] == RC_TRANSPORT_TCP), 4096);
        assert_int_equal(step(&link), RC_ERR_AGAIN);
        rc_stream_shutdown(&link.far);
        assert_int_equal(step(&link), RC_ERR_CLOSED);
        assert_true(link.error.text[0] != '\0');
        close_link(&link);
    }
}

/* All three, one after the other: the client's TLS stands in memory. */
static void test_proxy_header_tls_and_websocket_stand_on_each_other(void **state)
{
    struct link link;
    char bytes[2048], text[RC_ADDRESS_TEXT_MAX];
    int len = 0;
    open_link(&link, make_transport(RC_TRANSPORT_WSS, true), 90);
    send_all(&link, proxy_header, sizeof(proxy_header) - 1, 7);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    bool has_asked = false;
    for (int i = 0; i < 2000 && (link.result == RC_ERR_AGAIN || len == 0); i++) {
        char *ready;
        if (SSL_do_handshake(ssl) == 1 && !has_asked)
            has_asked = SSL_write(ssl, request, sizeof(request) - 1) > 0;
        long waiting = BIO_get_mem_data(out, &ready);
        const struct iovec iov = {.iov_base = ready, .iov_len = waiting > 0 ? (size_t)waiting : 0};
        ssize_t sent = waiting > 0 ? rc_stream_writev(&link.far, &iov, 1) : 0;
        if (sent > 0)
            BIO_read(out, bytes, (int)sent);
        ssize_t got = rc_stream_read(&link.far, bytes, sizeof(bytes));
        if (got > 0)
            BIO_write(in, bytes, (int)got);
        step(&link);
        int part = has_asked ? SSL_read(ssl, bytes, sizeof(bytes)) : 0;
        len += part > 0 ? part : 0;
    }
    assert_int_equal(link.result, 0);
    assert_true(len > 0);
    assert_memory_equal(bytes, "HTTP/1.1 101 ", 13);
    assert_string_equal(link.near.ops->name, "websocket");
    assert_string_equal(rc_stream_tls_version(&link.near), "TLSv1.3"); /* found below it */
    assert_string_equal(rc_address_format(rc_opening_client(link.opening), text), "203.0.113.9:4242");
    SSL_free(ssl);
    SSL_CTX_free(context);
    close_link(&link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_connections_have_nothing_to_go_through),
        cmocka_unit_test(test_a_proxy_header_names_the_client_and_leaves_the_rest),
        cmocka_unit_test(test_an_upgrade_is_answered_through_a_bottleneck),
        cmocka_unit_test(test_a_refused_upgrade_is_answered_and_over),
        cmocka_unit_test(test_a_head_without_end_is_refused),
        cmocka_unit_test(test_a_peer_that_goes_is_told_of),
        cmocka_unit_test(test_proxy_header_tls_and_websocket_stand_on_each_other),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
