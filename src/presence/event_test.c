#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/hex.h"
#include "presence/event.h"
#include "store/message.h"

#include <stdlib.h>
#include <time.h>

enum { MAX = 64 * 1024 };

/* The parts of an event that are prepared once a client. */
struct parts {
    struct rc_buf client_id_json, keys;
};

static struct rc_event event_of(struct parts *parts, const char *client_id)
{
    rc_buf_init(&parts->client_id_json, MAX);
    rc_buf_init(&parts->keys, MAX);
    assert_int_equal(rc_event_put_client_id_json(&parts->client_id_json, rc_slice_str(client_id)), RC_OK);
    assert_int_equal(rc_event_put_keys(&parts->keys, rc_slice_str(client_id)), RC_OK);
    struct rc_event event = {
        .type = RC_EVENT_TCPCLEAN,
        .time_ms = 1700000000123,
        .client_id_json = rc_buf_slice(&parts->client_id_json),
        .keys = rc_buf_slice(&parts->keys),
        .client_ip = rc_slice_str("203.0.113.9:13301"),
        .sequence = 3,
        .instance = rc_slice_str("mqtt-cn-1"),
        .node = rc_slice_str("node-1"),
        .reason = rc_slice_str("keepalive-timeout"),
        .protocol = rc_slice_str("mqtt-3.1.1"),
        .connect_ms = 1700000000000,
        .last_active_ms = 1699999999000,
    };
    for (int i = 0; i < RC_CHANNEL_ID_LEN; i++)
        event.channel_id[i] = (uint8_t)(0xa0 + i);
    return event;
}

static void free_parts(struct parts *parts)
{
    rc_buf_free(&parts->client_id_json);
    rc_buf_free(&parts->keys);
}

static void assert_buf(struct rc_buf *buf, const char *want)
{
    rc_buf_put_u8(buf, 0);
    assert_string_equal((const char *)rc_buf_slice(buf).ptr, want);
    rc_buf_free(buf);
}

static void test_a_body_has_exactly_the_documented_keys(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct rc_buf out;
    rc_buf_init(&out, MAX);
    event.type = RC_EVENT_CONNECT;
    assert_int_equal(rc_event_put_body(&out, &event), RC_OK);
    assert_buf(&out,
               "{\"clientId\":\"GID_XXX@@@YYYYY\",\"time\":1700000000123,\"eventType\":\"connect\","
               "\"channelId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"clientIp\":\"203.0.113.9:13301\"}");
    free_parts(&parts);
}

static struct rc_slice prop(const struct rc_buf *props, const char *name)
{
    return rc_props_get(rc_buf_slice(props), name);
}

static void test_properties_say_what_the_body_does_not(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct rc_buf out;
    rc_buf_init(&out, MAX);
    assert_int_equal(rc_event_put_props(&out, &event), RC_OK);
    assert_true(rc_slice_eq_str(prop(&out, "KEYS"), "GID_XXX@@@YYYYY"));
    assert_true(rc_slice_eq_str(prop(&out, "TAGS"), "tcpclean"));
    assert_true(rc_slice_eq_str(prop(&out, "rcNode"), "node-1"));
    assert_true(rc_slice_eq_str(prop(&out, "rcInstance"), "mqtt-cn-1"));
    assert_true(rc_slice_eq_str(prop(&out, "rcSequence"), "3"));
    assert_true(rc_slice_eq_str(prop(&out, "rcProtocol"), "mqtt-3.1.1"));
    assert_true(rc_slice_eq_str(prop(&out, "rcReason"), "keepalive-timeout"));
    assert_true(rc_slice_eq_str(prop(&out, "rcDurationMs"), "123"));
    assert_true(rc_slice_eq_str(prop(&out, "rcLastActiveMs"), "1699999999000"));
    rc_buf_consume(&out, rc_buf_len(&out));
    event.type = RC_EVENT_CONNECT;
    event.reason = rc_slice(NULL, 0);
    assert_int_equal(rc_event_put_props(&out, &event), RC_OK);
    assert_null(prop(&out, "rcDurationMs").ptr);
    assert_null(prop(&out, "rcLastActiveMs").ptr);
    assert_null(prop(&out, "rcReason").ptr);
    rc_buf_free(&out);
    free_parts(&parts);
}

static void test_keys_are_encoded_where_rocketmq_would_split_them(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, MAX);
    assert_int_equal(rc_event_put_keys(&out, rc_slice_str("a b%c\x01\x02\x7f-\xc3\xa9")), RC_OK);
    assert_buf(&out, "a%20b%25c%01%02%7F-\xc3\xa9");
}

static void test_a_unique_key_is_the_same_on_a_retry_and_never_for_another_event(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    char first[RC_UNIQ_KEY_LEN], again[RC_UNIQ_KEY_LEN], other[RC_UNIQ_KEY_LEN];
    rc_event_uniq_key(&event, first);
    rc_event_uniq_key(&event, again);
    assert_memory_equal(first, again, RC_UNIQ_KEY_LEN);
    event.type = RC_EVENT_DISCONNECT;
    rc_event_uniq_key(&event, other);
    assert_memory_not_equal(first, other, RC_UNIQ_KEY_LEN);
    event.type = RC_EVENT_TCPCLEAN;
    event.channel_id[0] ^= 1;
    rc_event_uniq_key(&event, other);
    assert_memory_not_equal(first, other, RC_UNIQ_KEY_LEN);
    for (int i = 0; i < RC_UNIQ_KEY_LEN; i++)
        assert_true((first[i] >= '0' && first[i] <= '9') || (first[i] >= 'A' && first[i] <= 'F'));
    free_parts(&parts);
}

/* RocketMQ's clients take the window of a query by key from there. */
static void test_a_unique_key_holds_the_milliseconds_since_the_local_month_began(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    char key[RC_UNIQ_KEY_LEN];
    uint8_t bytes[RC_UNIQ_KEY_LEN / 2];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = 1, .tm_isdst = -1};
    struct tm next = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon + 1, .tm_mday = 1, .tm_isdst = -1};
    int64_t begun_ms = (int64_t)mktime(&first) * 1000, next_ms = (int64_t)mktime(&next) * 1000;
    const int64_t times[] = {begun_ms, begun_ms + 12345, next_ms - 1, next_ms, next_ms + 7};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        event.time_ms = times[i];
        rc_event_uniq_key(&event, key);
        assert_true(rc_hex_decode(bytes, sizeof(bytes), rc_slice(key, sizeof(key))));
        int64_t want = times[i] - (times[i] < next_ms ? begun_ms : next_ms);
        assert_int_equal(rc_load_u32(bytes + 10), want);
    }
    free_parts(&parts);
}

static void test_what_was_written_is_read_again_whatever_the_client_is_called(void **state)
{
    static const char *const names[] = {"GID_XXX@@@YYYYY", "\",\"time\":1,\"",        "\\", "\\\"",
                                        "\x01\n",          "\xe4\xbd\xa0\xe5\xa5\xbd"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct parts parts;
        struct rc_event event = event_of(&parts, names[i]), back;
        struct rc_buf out;
        rc_buf_init(&out, MAX);
        assert_int_equal(rc_event_put_body(&out, &event), RC_OK);
        assert_int_equal(rc_event_parse_body(rc_buf_slice(&out), &back), RC_OK);
        assert_int_equal(back.type, event.type);
        assert_int_equal(back.time_ms, event.time_ms);
        assert_memory_equal(back.channel_id, event.channel_id, RC_CHANNEL_ID_LEN);
        assert_true(rc_slice_eq(back.client_id_json, event.client_id_json));
        assert_true(rc_slice_eq(back.client_ip, event.client_ip));
        for (size_t cut = 0; cut < rc_buf_len(&out); cut++)
            assert_int_equal(rc_event_parse_body(rc_slice(out.data, cut), &back), RC_ERR_CORRUPT);
        rc_buf_free(&out);
        free_parts(&parts);
    }
}

static void test_a_body_of_another_shape_is_not_an_event(void **state)
{
#define REST                                                                                                 \
    ",\"eventType\":\"connect\",\"channelId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"clientIp\":\"1.2.3.4:"  \
    "5\"}"
    static const char *const bodies[] = {
        "",
        "{}",
        "null",
        "{\"clientId\":\"a\",\"time\":\"1\"" REST,
        "{\"clientId\":\"a\",\"time\":-1" REST,
        "{\"clientId\":\"a\",\"time\":" REST,
        "{\"clientId\":\"a\",\"time\":123456789012345678901234567890" REST,
        "{\"clientId\":\"a\",\"time\":1" REST " ",
        " {\"clientId\":\"a\",\"time\":1" REST,
        "{\"clientId\":\"a\",\"time\":1,\"eventType\":\"gone\",\"channelId\":"
        "\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"clientIp\":\"1.2.3.4:5\"}",
        "{\"clientId\":\"a\",\"time\":1,\"eventType\":\"connect\",\"channelId\":"
        "\"a0a1a2a3a4a5a6a7a8a9aaabacadaeag\",\"clientIp\":\"1.2.3.4:5\"}",
        "{\"clientId\":\"a\",\"time\":1,\"eventType\":\"connect\",\"channelId\":\"a0\",\"clientIp\":\"1.2.3."
        "4:"
        "5\"}",
    };
    struct rc_event event;
    assert_int_equal(rc_event_parse_body(rc_slice_str("{\"clientId\":\"a\",\"time\":1" REST), &event), RC_OK);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(rc_event_parse_body(rc_slice_str(bodies[i]), &event), RC_ERR_CORRUPT);
}

int main(void)
{
    setenv("TZ", "Asia/Shanghai", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_has_exactly_the_documented_keys),
        cmocka_unit_test(test_properties_say_what_the_body_does_not),
        cmocka_unit_test(test_keys_are_encoded_where_rocketmq_would_split_them),
        cmocka_unit_test(test_a_unique_key_is_the_same_on_a_retry_and_never_for_another_event),
        cmocka_unit_test(test_a_unique_key_holds_the_milliseconds_since_the_local_month_began),
        cmocka_unit_test(test_what_was_written_is_read_again_whatever_the_client_is_called),
        cmocka_unit_test(test_a_body_of_another_shape_is_not_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
