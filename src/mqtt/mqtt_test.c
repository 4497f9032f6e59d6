#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

#include <sys/mman.h>
#include <unistd.h>

enum { MAX = 1 << 20 };

/* The bytes against a page that may not be read: a byte too far is a crash. */
struct guarded {
    uint8_t *map, *at;
    size_t page, len;
};

static struct guarded guard(const char *hex)
{
    struct guarded g = {.page = (size_t)sysconf(_SC_PAGESIZE), .len = strlen(hex) / 2};
    g.map = mmap(NULL, 2 * g.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    mprotect(g.map + g.page, g.page, PROT_NONE);
    g.at = g.map + g.page - g.len;
    assert_true(rc_hex_decode(g.at, g.len, rc_slice_str(hex)));
    return g;
}

struct row {
    const char *what;
    uint8_t version;
    const char *hex;
    uint8_t reason; /* 0: it is right */
};

static const struct row rows[] = {
    {"3.1.1 CONNECT", 0, "101000044d5154540402003c000474657374", 0},
    {"3.1 CONNECT", 0,
     "101200064d514973647003020"
     "03c000474657374",
     0},
    {"5.0 CONNECT with properties", 0, "101600044d5154540502003c05110000000a000474657374", 0},
    {"5.0 CONNECT", 0, "101100044d5154540502003c00000474657374", 0},
    {"CONNECT of version 6", 0, "101000044d5154540602003c000474657374", RC_MQTT_UNSUPPORTED_VERSION},
    {"CONNECT of version 6 in the shape of 5.0", 0, "101100044d5154540602003c00000474657374",
     RC_MQTT_UNSUPPORTED_VERSION},
    {"CONNECT of version 6 in no shape", 0, "101000044d5154540602003c000574657374", RC_MQTT_MALFORMED_PACKET},
    {"CONNECT with another name", 0, "101000044d5154580402003c000474657374", RC_MQTT_MALFORMED_PACKET},
    {"CONNECT with its reserved flag", 0, "101000044d5154540403003c000474657374", RC_MQTT_MALFORMED_PACKET},
    {"CONNECT with a password and no user", 0, "101400044d5154540442003c00047465737400026162",
     RC_MQTT_MALFORMED_PACKET},
    {"CONNECT with will QoS and no will", 0, "101000044d515454040a003c000474657374",
     RC_MQTT_MALFORMED_PACKET},
    {"CONNECT with bytes behind it", 0, "101100044d5154540402003c00047465737400", RC_MQTT_MALFORMED_PACKET},
    {"PUBLISH QoS 0", 4, "30060003612f6268", 0},
    {"PUBLISH QoS 1", 4, "32080003612f62000168", 0},
    {"PUBLISH QoS 3", 4, "36080003612f62000168", RC_MQTT_MALFORMED_PACKET},
    {"PUBLISH DUP with QoS 0", 4, "38060003612f6268", RC_MQTT_MALFORMED_PACKET},
    {"PUBLISH with packet id 0", 4, "32080003612f62000068", RC_MQTT_MALFORMED_PACKET},
    {"PUBLISH to no topic (CVE-2021-34432)", 4, "3003000068", RC_MQTT_TOPIC_NAME_INVALID},
    {"PUBLISH to a wildcard", 4, "30060003612f2368", RC_MQTT_TOPIC_NAME_INVALID},
    {"PUBLISH 5.0 without topic or alias", 5, "300400000068", RC_MQTT_PROTOCOL_ERROR},
    {"PUBLISH 5.0 with an alias", 5, "300700000323000168", 0},
    {"PUBLISH 5.0 with alias 0", 5, "300700000323000068", RC_MQTT_TOPIC_ALIAS_INVALID},
    {"PUBLISH 5.0 with a property twice", 5,
     "300b0003612f620401000101"
     "68",
     RC_MQTT_PROTOCOL_ERROR},
    {"PUBLISH 5.0 with another packet's property", 5,
     "300a0003612f6203210001"
     "68",
     RC_MQTT_MALFORMED_PACKET},
    {"PUBACK", 4, "40020001", 0},
    {"PUBACK with id 0", 4, "40020000", RC_MQTT_MALFORMED_PACKET},
    {"PUBACK 5.0 with id 0", 5, "40020000", RC_MQTT_PROTOCOL_ERROR},
    {"PUBLISH 5.0 with packet id 0", 5, "32090003612f6200000068", RC_MQTT_PROTOCOL_ERROR},
    {"SUBSCRIBE 5.0 with packet id 0", 5, "82090000000003612f2300", RC_MQTT_PROTOCOL_ERROR},
    {"UNSUBSCRIBE 5.0 with packet id 0", 5, "a2080000000003612f23", RC_MQTT_PROTOCOL_ERROR},
    {"PUBACK 5.0 without a whole id", 5, "400100", RC_MQTT_MALFORMED_PACKET},
    {"PUBACK 5.0 with a reason", 5, "4003000110", 0},
    {"PUBACK 5.0 with a reason that nobody knows", 5, "4003000155", RC_MQTT_PROTOCOL_ERROR},
    {"PUBACK 5.0 with a PUBREL's reason", 5, "4003000192", RC_MQTT_PROTOCOL_ERROR},
    {"PUBREC 5.0 with a reason", 5, "5003000197", 0},
    {"PUBREC 5.0 with a SUBACK's reason", 5, "500300019e", RC_MQTT_PROTOCOL_ERROR},
    {"PUBREL 5.0 with a reason", 5, "6203000192", 0},
    {"PUBREL 5.0 with a PUBREC's reason", 5, "6203000110", RC_MQTT_PROTOCOL_ERROR},
    {"PUBCOMP 5.0 with a reason", 5, "7003000192", 0},
    {"PUBCOMP 5.0 with a PUBREC's reason", 5, "7003000187", RC_MQTT_PROTOCOL_ERROR},
    {"PUBREL with wrong flags", 4, "60020001", RC_MQTT_MALFORMED_PACKET},
    {"PUBREL", 4, "62020001", 0},
    {"PUBREL with DUP", 4, "6a020001", RC_MQTT_MALFORMED_PACKET},
    {"PUBREL 3.1 with DUP", 3, "6a020001", 0},
    {"SUBSCRIBE 3.1 with DUP", 3, "8a0800010003612f2301", 0},
    {"UNSUBSCRIBE 5.0 with DUP", 5, "aa080001000003612f23", RC_MQTT_MALFORMED_PACKET},
    {"SUBSCRIBE", 4, "820800010003612f2301", 0},
    {"SUBSCRIBE to nothing", 4, "82020001", RC_MQTT_PROTOCOL_ERROR},
    {"SUBSCRIBE with QoS 3", 4, "820800010003612f2303", RC_MQTT_MALFORMED_PACKET},
    {"SUBSCRIBE 3.1.1 with options of 5.0", 4, "820800010003612f2305", RC_MQTT_MALFORMED_PACKET},
    {"SUBSCRIBE 5.0 with options", 5, "82090001000003612f232d", 0},
    {"SUBSCRIBE 5.0 with retain handling 3", 5, "82090001000003612f2331", RC_MQTT_PROTOCOL_ERROR},
    {"SUBSCRIBE 5.0 with QoS 3", 5, "82090001000003612f2303", RC_MQTT_PROTOCOL_ERROR},
    {"SUBSCRIBE 5.0 with a reserved option", 5, "82090001000003612f2341", RC_MQTT_MALFORMED_PACKET},
    {"SUBSCRIBE 5.0 without options", 5, "82080001000003612f23", RC_MQTT_MALFORMED_PACKET},
    {"UNSUBSCRIBE", 4, "a20700010003612f23", 0},
    {"SUBACK", 4, "9003000101", 0},
    {"UNSUBACK", 4, "b0020001", 0},
    {"PINGREQ", 4, "c000", 0},
    {"PINGREQ with a body", 4, "c00100", RC_MQTT_MALFORMED_PACKET},
    {"PINGRESP", 4, "d000", 0},
    {"DISCONNECT", 4, "e000", 0},
    {"DISCONNECT 5.0 with a reason", 5, "e00104", 0},
    {"AUTH before 5.0", 4, "f000", RC_MQTT_PROTOCOL_ERROR},
    {"AUTH", 5, "f000", 0},
    {"a reserved type", 4, "0000", RC_MQTT_MALFORMED_PACKET},
    {"a length of five bytes (CVE-2026-21888)", 4, "30ffffffff01", RC_MQTT_MALFORMED_PACKET},
    {"a text that is not UTF-8", 4, "30040002ff61", RC_MQTT_MALFORMED_PACKET},
    {"a text with U+0000", 4,
     "3004000200"
     "61",
     RC_MQTT_MALFORMED_PACKET},
    {"a text longer than its packet", 4, "3003000961", RC_MQTT_MALFORMED_PACKET},
};

static void test_each_packet_is_taken_or_refused_for_its_reason(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rc_mqtt_packet packet;
        struct guarded g = guard(rows[i].hex);
        int64_t used = rc_mqtt_decode(rc_slice(g.at, g.len), rows[i].version, MAX, &packet);
        if ((rows[i].reason == 0) != (used == (int64_t)g.len) || packet.reason != rows[i].reason)
            fail_msg("%s: used %d, reason 0x%02x", rows[i].what, (int)used, packet.reason);
        munmap(g.map, 2 * g.page);
    }
}

static void test_a_packet_cut_short_needs_more_and_reads_no_further(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].reason != 0)
            continue;
        struct guarded whole = guard(rows[i].hex);
        for (size_t len = 0; len < whole.len; len++) {
            struct rc_mqtt_packet packet;
            uint8_t *start = whole.map + whole.page - len;
            memmove(start, whole.at, len);
            assert_int_equal(rc_mqtt_decode(rc_slice(start, len), rows[i].version, MAX, &packet), 0);
            munmap(whole.map, 2 * whole.page);
            whole = guard(rows[i].hex);
        }
        munmap(whole.map, 2 * whole.page);
    }
}

static void test_an_oversized_packet_is_refused_by_its_header_alone(void **state)
{
    uint8_t reason, header[] = {0x30, 0x80, 0x80, 0x04};
    assert_int_equal(rc_mqtt_frame_size(rc_slice(header, 4), RC_MQTT_V311, 65536, &reason), RC_ERR_TOO_LARGE);
    assert_int_equal(reason, RC_MQTT_PACKET_TOO_LARGE);
    assert_int_equal(rc_mqtt_frame_size(rc_slice(header, 2), RC_MQTT_V311, 65536, &reason), 0);
}

static void test_what_is_encoded_decodes_to_the_same(void **state)
{
    struct rc_mqtt_connect connect = {
        .version = RC_MQTT_V5,
        .is_clean = true,
        .keep_alive_s = 77,
        .client_id = rc_slice_str("client"),
        .has_will = true,
        .will_qos = 2,
        .will_topic = rc_slice_str("w/t"),
        .will_payload = rc_slice_str("bye"),
        .has_user = true,
        .has_password = true,
        .user = rc_slice_str("u"),
        .password = rc_slice_str("p"),
    };
    struct rc_mqtt_packet packet;
    struct rc_buf out, props;
    rc_buf_init(&out, 4096);
    rc_buf_init(&props, 256);
    rc_mqtt_props_put_number(&props, RC_MQTT_PROP_SESSION_EXPIRY, 3600);
    rc_mqtt_props_put_user(&props, rc_slice_str("k"), rc_slice_str("v"));
    assert_int_equal(rc_mqtt_put_connect(&out, &connect, rc_buf_slice(&props), rc_slice(NULL, 0)), 0);
    assert_int_equal(rc_mqtt_decode(rc_buf_slice(&out), 0, MAX, &packet), rc_buf_len(&out));
    assert_int_equal(packet.connect.keep_alive_s, 77);
    assert_int_equal(packet.connect.will_qos, 2);
    assert_true(rc_slice_eq_str(packet.connect.will_payload, "bye"));
    assert_true(rc_slice_eq_str(packet.connect.password, "p"));
    assert_int_equal(packet.connect.props.numbers[RC_MQTT_PROP_SESSION_EXPIRY], 3600);
    rc_buf_free(&out);
    rc_buf_free(&props);
}

static void test_a_packet_that_does_not_fit_leaves_nothing_behind(void **state)
{
    struct rc_buf out;
    struct rc_mqtt_publish publish = {.topic = rc_slice_str("a/b"), .payload = rc_slice_str("0123456789")};
    rc_buf_init(&out, 20);
    assert_int_equal(rc_mqtt_put_publish(&out, RC_MQTT_V311, &publish, rc_slice(NULL, 0)), 0);
    size_t len = rc_buf_len(&out);
    assert_int_equal(len, rc_mqtt_publish_size(RC_MQTT_V311, &publish, 0));
    assert_int_equal(rc_mqtt_put_publish(&out, RC_MQTT_V311, &publish, rc_slice(NULL, 0)), RC_ERR_FULL);
    assert_int_equal(rc_buf_len(&out), len);
    rc_buf_free(&out);
}

static void test_filters_match_as_the_standard_says(void **state)
{
    static const struct {
        const char *filter, *name;
        bool matches;
    } cases[] = {
        {"sport/#", "sport", true},  {"sport/#", "sport/tennis/p1", true},
        {"#", "a/b", true},          {"#", "$SYS/x", false},
        {"+/x", "$SYS/x", false},    {"$SYS/#", "$SYS/x", true},
        {"+", "finance", true},      {"+", "/finance", false},
        {"+/+", "/finance", true},   {"/+", "/finance", true},
        {"sport/+", "sport", false}, {"sport/+", "sport/", true},
        {"a/+/c", "a/b/c", true},    {"a/+/c", "a/b/d", false},
        {"a/b", "a/b/c", false},
    };
    static const char *const bad[] = {"",         "a#",        "a/#/b",       "a+/b",
                                      "$share/g", "$share//a", "$share/g+/a", "$share/g/"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (rc_topic_matches(rc_slice_str(cases[i].filter), rc_slice_str(cases[i].name)) != cases[i].matches)
            fail_msg("%s against %s", cases[i].filter, cases[i].name);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(rc_topic_filter_is_valid(rc_slice_str(bad[i])));
    assert_true(rc_topic_filter_is_valid(rc_slice_str("$share/g/a/#")));
    char deep[600];
    memset(deep, '/', sizeof(deep));
    assert_false(rc_topic_name_is_valid(rc_slice(deep, sizeof(deep)))); /* work and stack stay bounded */
}

/* Each byte at each place of texts of each length. */
static void test_a_plain_name_is_what_a_close_look_finds_right_and_plain(void **state)
{
    enum { LONGEST = 26 };
    char text[LONGEST];
    for (size_t len = 0; len <= LONGEST; len++) {
        memset(text, 'e', sizeof(text));
        assert_int_equal(rc_topic_name_is_plain(rc_slice(text, len)), len > 0);
        for (size_t place = 0; place < len; place++) {
            for (int byte = 0; byte < 256; byte++) {
                struct rc_slice name = rc_slice(text, len);
                text[place] = (char)byte;
                bool is_right = rc_mqtt_is_text(name) && rc_topic_name_is_valid(name);
                if (rc_topic_name_is_plain(name) != (is_right && byte < 0x80))
                    fail_msg("byte %d at %zu of %zu", byte, place, len);
            }
            text[place] = 'e';
        }
    }
    char deep[RC_TOPIC_LEVELS_MAX + 1];
    memset(deep, '/', sizeof(deep));
    assert_false(rc_topic_name_is_plain(rc_slice(deep, sizeof(deep))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_name_is_what_a_close_look_finds_right_and_plain),
        cmocka_unit_test(test_each_packet_is_taken_or_refused_for_its_reason),
        cmocka_unit_test(test_a_packet_cut_short_needs_more_and_reads_no_further),
        cmocka_unit_test(test_an_oversized_packet_is_refused_by_its_header_alone),
        cmocka_unit_test(test_what_is_encoded_decodes_to_the_same),
        cmocka_unit_test(test_a_packet_that_does_not_fit_leaves_nothing_behind),
        cmocka_unit_test(test_filters_match_as_the_standard_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
