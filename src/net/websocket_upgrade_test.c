#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "net/websocket_upgrade.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE "GET /mqtt HTTP/1.1\r\n"
#define HOST "Host: broker.example\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: mqtt\r\n"
#define REST HOST UPGRADE CONNECTION KEY VERSION PROTOCOL "\r\n"

static const char request[] = LINE REST;

static int64_t parse(const char *text, size_t len, struct rc_upgrade *ret, int *ret_status)
{
    *ret_status = 0;
    return rc_upgrade_parse(rc_slice(text, len), "/mqtt", ret, ret_status);
}

static void test_the_answer_is_that_of_the_specification(void **state)
{
    struct rc_upgrade upgrade;
    struct rc_buf answer;
    int status;
    assert_int_equal(parse(request, sizeof(request) - 1, &upgrade, &status), sizeof(request) - 1);
    rc_buf_init(&answer, 1000);
    assert_int_equal(rc_upgrade_accept(&upgrade, &answer), 0);
    rc_buf_put_u8(&answer, 0);
    assert_string_equal(
        answer.data, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n"
                     "\r\n");
    rc_buf_free(&answer);
}

static void test_a_request_that_comes_byte_by_byte_is_waited_for(void **state)
{
    for (size_t len = 0; len < sizeof(request) - 1; len++) {
        /* Memory of its own, so that reading past the end is seen. */
        char *copy = malloc(len + 1);
        struct rc_upgrade upgrade;
        int status;
        memcpy(copy, request, len);
        assert_int_equal(parse(copy, len, &upgrade, &status), 0);
        free(copy);
    }
}

static void test_requests_of_real_clients_are_taken(void **state)
{
    static const struct {
        const char *text, *subprotocol;
    } rows[] = {
        {"GET /mqtt?token=1 HTTP/1.1\r\n" REST, "mqtt"},
        {LINE "host:x\r\nupgrade:WebSocket\r\nCONNECTION: keep-alive, Upgrade\r\n" KEY VERSION PROTOCOL
              "\r\n",
         "mqtt"},
        {LINE HOST UPGRADE CONNECTION KEY VERSION "Sec-WebSocket-Protocol: chat , mqtt\r\n\r\n", "mqtt"},
        {LINE HOST UPGRADE CONNECTION KEY VERSION "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n", "mqttv3.1"},
        {LINE HOST UPGRADE CONNECTION KEY VERSION PROTOCOL
         "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: "
         "https://x.example\r\nCookie: a=b; c=d\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
         "mqtt"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rc_upgrade upgrade;
        int status;
        if (parse(rows[i].text, strlen(rows[i].text), &upgrade, &status) != (int64_t)strlen(rows[i].text))
            fail_msg("row %zu: %d", i, status);
        assert_true(rc_slice_eq_str(upgrade.subprotocol, rows[i].subprotocol));
    }
}

static const struct {
    const char *text;
    int status;
} refused[] = {
    {"GET / HTTP/1.1\r\n" REST, 404},
    {"GET /mqtt/ HTTP/1.1\r\n" REST, 404},
    {"POST /mqtt HTTP/1.1\r\n" REST, 405},
    {"get /mqtt HTTP/1.1\r\n" REST, 405},
    {"GET /mqtt HTTP/1.0\r\n" REST, 400},
    {"GET /mqtt HTTP/1.1 \r\n" REST, 400},
    {"GET  /mqtt HTTP/1.1\r\n" REST, 400},
    {"GET http://x/mqtt HTTP/1.1\r\n" REST, 400},
    {"GET\r\n" REST, 400},
    {"GET /mqtt\r\n" REST, 400},
    {" GET /mqtt HTTP/1.1\r\n" REST, 400},
    {"\x16\x03\x01\x02", 400},
    {"\x10\x0c\0\4MQTT", 400},
    {LINE UPGRADE CONNECTION KEY VERSION PROTOCOL "\r\n", 400},
    {LINE HOST CONNECTION KEY VERSION PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE KEY VERSION PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE CONNECTION VERSION PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE CONNECTION KEY PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" PROTOCOL "\r\n", 426},
    {LINE HOST UPGRADE CONNECTION KEY VERSION "\r\n", 400},
    {LINE HOST UPGRADE CONNECTION KEY VERSION "Sec-WebSocket-Protocol: MQTT\r\n\r\n", 400},
    {LINE HOST UPGRADE CONNECTION KEY VERSION "Sec-WebSocket-Protocol: wamp\r\n\r\n", 400},
    {LINE HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE "Connection: close\r\n" KEY VERSION PROTOCOL "\r\n", 400},
    {LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" VERSION PROTOCOL "\r\n",
     400},
    {LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" VERSION PROTOCOL "\r\n",
     400},
    {LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ!=\r\n" VERSION PROTOCOL "\r\n",
     400},
    {LINE HOST UPGRADE CONNECTION "Sec-WebSocket-Key: dGhl*HNhbXBsZSBub25jZQ==\r\n" VERSION PROTOCOL "\r\n",
     400},
    {LINE HOST KEY REST, 400},
    {LINE HOST REST, 400},
    {LINE "Content-Length: 3\r\n" REST, 400},
    {LINE "Transfer-Encoding: chunked\r\n" REST, 400},
    {LINE "No colon\r\n" REST, 400},
    {LINE ": no name\r\n" REST, 400},
    {LINE "Space : before colon\r\n" REST, 400},
    {LINE "X: 1\r\n folded\r\n" REST, 400},
    {LINE "X: \x01\r\n" REST, 400},
    {LINE "X: a\rb\r\n" REST, 400},
    {LINE "X: 1\n" REST, 400},
    {LINE REST "more", 400},
};

static void test_other_requests_are_refused_with_a_status(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct rc_upgrade upgrade;
        struct rc_buf answer;
        int status;
        int64_t size = parse(refused[i].text, strlen(refused[i].text), &upgrade, &status);
        if (size != RC_ERR_PROTOCOL || status != refused[i].status)
            fail_msg("row %zu: %lld %d", i, (long long)size, status);
        rc_buf_init(&answer, 500);
        assert_int_equal(rc_upgrade_refuse(status, &answer), 0);
        assert_memory_equal(answer.data, "HTTP/1.1 4", 10);
        assert_memory_equal(answer.data + answer.end - 4, "\r\n\r\n", 4);
        rc_buf_free(&answer);
    }
}

static void test_a_request_has_its_bounds(void **state)
{
    static char text[3 * RC_UPGRADE_HEAD_MAX];
    struct rc_upgrade upgrade;
    int status;
    size_t len = (size_t)snprintf(text, sizeof(text), "%sX: ", LINE);
    memset(text + len, 'x', sizeof(text) - len);
    assert_int_equal(parse(text, RC_UPGRADE_HEAD_MAX - 1, &upgrade, &status), 0);
    assert_int_equal(parse(text, RC_UPGRADE_HEAD_MAX, &upgrade, &status), RC_ERR_PROTOCOL);
    assert_int_equal(status, 431);
    len = strlen(LINE);
    for (int i = 0; i <= RC_UPGRADE_FIELDS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "X: 1\r\n");
    len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", REST);
    assert_int_equal(parse(text, len, &upgrade, &status), RC_ERR_PROTOCOL);
    assert_int_equal(status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_is_that_of_the_specification),
        cmocka_unit_test(test_a_request_that_comes_byte_by_byte_is_waited_for),
        cmocka_unit_test(test_requests_of_real_clients_are_taken),
        cmocka_unit_test(test_other_requests_are_refused_with_a_status),
        cmocka_unit_test(test_a_request_has_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
