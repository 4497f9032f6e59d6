/* What a client says is what our own server's side takes, and the reverse, however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "net/websocket_client.h"
#include "net/websocket_output.h"
#include "net/websocket_upgrade.h"

#include <string.h>

static void test_our_server_agrees_to_the_request(void **state)
{
    struct rc_upgrade upgrade;
    struct rc_buf request, answer;
    int status;
    rc_buf_init(&request, 4096);
    rc_buf_init(&answer, 4096);
    assert_int_equal(rc_websocket_client_request(&request, "127.0.0.1:8083", "/mqtt"), 0);
    assert_int_equal(rc_upgrade_parse(rc_buf_slice(&request), "/mqtt", &upgrade, &status),
                     rc_buf_len(&request));
    assert_int_equal(rc_upgrade_accept(&upgrade, &answer), 0);
    struct rc_slice whole = rc_buf_slice(&answer);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(rc_websocket_client_answer(rc_slice(whole.ptr, len)), 0);
    assert_int_equal(rc_websocket_client_answer(whole), whole.len);
    rc_buf_free(&request);
    rc_buf_free(&answer);
}

static void test_a_refusal_is_no_answer(void **state)
{
    struct rc_buf answer;
    rc_buf_init(&answer, 4096);
    assert_int_equal(rc_upgrade_refuse(404, &answer), 0);
    assert_int_equal(rc_websocket_client_answer(rc_buf_slice(&answer)), RC_ERR_PROTOCOL);
    rc_buf_free(&answer);
}

enum { LONG = 70000, ROOM = 80000 };

/* Two messages with a ping between, cut into pieces of that size: what comes out. */
static void check_pieces(size_t piece)
{
    static uint8_t frames[ROOM], got[ROOM], bytes[ROOM];
    struct rc_websocket_reader reader = {0};
    size_t len = rc_websocket_put_header(frames, 2, LONG), done = 0;
    memset(frames + len, 'x', LONG);
    len += LONG;
    len += rc_websocket_put_header(frames + len, 9, 3);
    memcpy(frames + len, "who", 3);
    len += 3;
    len += rc_websocket_put_header(frames + len, 2, 300);
    memset(frames + len, 'y', 300);
    len += 300;
    int pings = 0;
    for (size_t at = 0; at < len; at += piece) {
        size_t part = piece < len - at ? piece : len - at;
        memcpy(bytes, frames + at, part);
        int64_t taken = rc_websocket_reader_take(&reader, bytes, part);
        assert_true(taken >= 0);
        memcpy(got + done, bytes, (size_t)taken);
        done += (size_t)taken;
        if (reader.has_ping) {
            assert_int_equal(reader.control_len, 3);
            assert_memory_equal(reader.control, "who", 3);
            reader.has_ping = false;
            pings++;
        }
    }
    assert_int_equal(done, LONG + 300);
    assert_int_equal(pings, 1);
    assert_true(got[0] == 'x' && got[LONG - 1] == 'x' && got[LONG] == 'y' && got[LONG + 299] == 'y');
}

static void test_payloads_come_out_however_they_are_cut(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 7, 1000, ROOM};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
        check_pieces(pieces[i]);
}

static void test_what_a_server_must_not_send_is_refused(void **state)
{
    static const struct {
        uint8_t bytes[10];
        size_t len;
        int err;
    } rows[] = {
        {{0x82, 0x81}, 2, RC_ERR_PROTOCOL},                             /* masked */
        {{0xc2, 0x01}, 2, RC_ERR_PROTOCOL},                             /* reserved bit */
        {{0x81, 0x01}, 2, RC_ERR_PROTOCOL},                             /* text */
        {{0x09, 0x00}, 2, RC_ERR_PROTOCOL},                             /* a ping in parts */
        {{0x89, 0x7e, 0x00, 0x7e}, 4, RC_ERR_PROTOCOL},                 /* a long ping */
        {{0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10, RC_ERR_PROTOCOL}, /* negative */
        {{0x8b, 0x00}, 2, RC_ERR_PROTOCOL},                             /* unknown */
        {{0x88, 0x02}, 2, RC_ERR_CLOSED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[10];
        struct rc_websocket_reader reader = {0};
        memcpy(bytes, rows[i].bytes, sizeof(bytes));
        assert_int_equal(rc_websocket_reader_take(&reader, bytes, rows[i].len), rows[i].err);
    }
}

static void test_a_header_and_a_pong_are_masked(void **state)
{
    uint8_t out[RC_WEBSOCKET_CLIENT_HEADER_MAX + RC_WEBSOCKET_CONTROL_MAX];
    assert_int_equal(rc_websocket_client_header(out, 5), 6);
    assert_memory_equal(out, "\x82\x85\0\0\0\0", 6);
    assert_int_equal(rc_websocket_client_header(out, 65536), 14);
    assert_int_equal(rc_websocket_client_pong(out, rc_slice("me", 2)), 8);
    assert_memory_equal(out, "\x8a\x82\0\0\0\0me", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_server_agrees_to_the_request),
        cmocka_unit_test(test_a_refusal_is_no_answer),
        cmocka_unit_test(test_payloads_come_out_however_they_are_cut),
        cmocka_unit_test(test_what_a_server_must_not_send_is_refused),
        cmocka_unit_test(test_a_header_and_a_pong_are_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
