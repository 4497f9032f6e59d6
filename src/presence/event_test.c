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

/* What an event is written as; it lies in `out`. */
struct written {
    struct rc_buf out;
    struct rc_slice body, props;
};

static void write_event(struct written *written, const struct rc_event *event)
{
    rc_buf_init(&written->out, MAX);
    assert_int_equal(rc_event_put(&written->out, event, &written->body, &written->props), RC_OK);
}

static void test_a_body_has_exactly_the_documented_keys(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct written written;
    event.type = RC_EVENT_CONNECT;
    write_event(&written, &event);
    assert_true(rc_slice_eq_str(
        written.body,
        "{\"clientId\":\"GID_XXX@@@YYYYY\",\"time\":1700000000123,\"eventType\":\"connect\","
        "\"channelId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"clientIp\":\"203.0.113.9:13301\"}"));
    rc_buf_free(&written.out);
    event.certificate_sn = rc_slice_str("0A1B");
    write_event(&written, &event);
    assert_true(rc_slice_eq_str(
        written.body, "{\"clientId\":\"GID_XXX@@@YYYYY\",\"time\":1700000000123,\"eventType\":\"connect\","
                      "\"channelId\":\"a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\",\"clientIp\":\"203.0.113.9:13301\","
                      "\"certificateChainSn\":\"0A1B\"}"));
    rc_buf_free(&written.out);
    free_parts(&parts);
}

static void test_properties_say_what_the_body_does_not(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct written written;
    write_event(&written, &event);
    assert_true(rc_slice_eq_str(
        written.props, "KEYS\1GID_XXX@@@YYYYY\2UNIQ_KEY\1A0A1A2A3A4A5A6A7A8A900000000AAA9\2TAGS\1tcpclean\2"
                       "rcNode\1node-1\2rcInstance\1mqtt-cn-1\2rcSequence\1"
                       "3\2rcProtocol\1mqtt-3.1.1\2"
                       "rcReason\1keepalive-timeout\2rcDurationMs\1"
                       "123\2rcLastActiveMs\1"
                       "1699999999000\2"));
    rc_buf_free(&written.out);
    free_parts(&parts);
}

static void test_a_connect_has_no_duration_and_what_is_unknown_is_left_out(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct written written;
    event.type = RC_EVENT_CONNECT;
    event.instance = event.protocol = event.reason = rc_slice(NULL, 0);
    event.is_replay = true;
    write_event(&written, &event);
    assert_true(rc_slice_eq_str(written.props,
                                "KEYS\1GID_XXX@@@YYYYY\2UNIQ_KEY\1A0A1A2A3A4A5A6A7A8A900000000AAAB\2TAGS\1"
                                "connect\2"
                                "rcNode\1node-1\2rcSequence\1"
                                "3\2rcReplay\1"
                                "1\2"));
    rc_buf_free(&written.out);
    event.type = RC_EVENT_DISCONNECT;
    event.connect_ms = event.last_active_ms = 0;
    event.is_replay = false;
    write_event(&written, &event);
    assert_true(rc_slice_eq_str(written.props,
                                "KEYS\1GID_XXX@@@YYYYY\2UNIQ_KEY\1A0A1A2A3A4A5A6A7A8A900000000AAAA\2TAGS\1"
                                "disconnect\2"
                                "rcNode\1node-1\2rcSequence\1"
                                "3\2"));
    rc_buf_free(&written.out);
    free_parts(&parts);
}

/* Numbers with all their digits and all texts there: the sanitizer sees what is written behind the buffer. */
static void test_there_is_room_for_the_longest_event_and_none_is_begun_without(void **state)
{
    struct parts parts;
    struct rc_event event = event_of(&parts, "GID_XXX@@@YYYYY");
    struct rc_slice body, props;
    struct rc_buf out;
    event.type = RC_EVENT_DISCONNECT;
    event.time_ms = event.last_active_ms = INT64_MAX;
    event.connect_ms = 1;
    event.sequence = UINT32_MAX;
    event.certificate_sn = rc_slice_str("0A1B");
    event.is_replay = true;
    size_t texts = event.client_id_json.len + event.keys.len + event.client_ip.len +
                   event.certificate_sn.len + event.instance.len + event.node.len + event.reason.len +
                   event.protocol.len;
    rc_buf_init(&out, (uint32_t)texts + RC_EVENT_MORE);
    assert_int_equal(rc_event_put(&out, &event, &body, &props), RC_OK);
    assert_ptr_equal(body.ptr, out.data);
    assert_ptr_equal(props.ptr, body.ptr + body.len);
    assert_int_equal(body.len + props.len, rc_buf_len(&out));
    assert_true(rc_slice_eq_str(rc_props_get(props, "rcDurationMs"), "9223372036854775806"));
    rc_buf_free(&out);
    rc_buf_init(&out, (uint32_t)texts + RC_EVENT_MORE - 1);
    assert_int_equal(rc_event_put(&out, &event, &body, &props), RC_ERR_FULL);
    assert_int_equal(rc_buf_len(&out), 0);
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
        struct written written;
        write_event(&written, &event);
        struct rc_slice body = written.body;
        assert_int_equal(rc_event_parse_body(body, &back), RC_OK);
        assert_int_equal(back.type, event.type);
        assert_int_equal(back.time_ms, event.time_ms);
        assert_memory_equal(back.channel_id, event.channel_id, RC_CHANNEL_ID_LEN);
        assert_true(rc_slice_eq(back.client_id_json, event.client_id_json));
        assert_true(rc_slice_eq(back.client_ip, event.client_ip));
        for (size_t cut = 0; cut < body.len; cut++)
            assert_int_equal(rc_event_parse_body(rc_slice(body.ptr, cut), &back), RC_ERR_CORRUPT);
        rc_buf_free(&written.out);
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
        cmocka_unit_test(test_a_connect_has_no_duration_and_what_is_unknown_is_left_out),
        cmocka_unit_test(test_there_is_room_for_the_longest_event_and_none_is_begun_without),
        cmocka_unit_test(test_keys_are_encoded_where_rocketmq_would_split_them),
        cmocka_unit_test(test_a_unique_key_is_the_same_on_a_retry_and_never_for_another_event),
        cmocka_unit_test(test_a_unique_key_holds_the_milliseconds_since_the_local_month_began),
        cmocka_unit_test(test_what_was_written_is_read_again_whatever_the_client_is_called),
        cmocka_unit_test(test_a_body_of_another_shape_is_not_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
