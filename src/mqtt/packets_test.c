/*
 * Every packet in every version: whole, round and back, and spoiled in each way that can be told from
 * outside: cut off, a byte too many, other flags, each byte with each value, text that is none, longer
 * integers than needed. The decoder also reads what servers send, for the clients of `rollcall bench` and
 * `sim`.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "mqtt/test_put_packet.h"

enum { MAX = 1 << 20, OLD = 1, MIDDLE = 2, NEW = 4, BEFORE_5 = OLD | MIDDLE, ALL = BEFORE_5 | NEW };

#define BODY(text)                                                                                           \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }

static const struct whole {
    uint8_t first_byte, versions; /* bits: 3.1, 3.1.1, 5.0 */
    struct rc_slice body;
} wholes[] = {
    {0x10, OLD, BODY("\0\6MQIsdp\3\2\0\x3c\0\4test")},
    {0x10, OLD, BODY("\0\6MQIsdp\3\xee\0\x3c\0\1a\0\1t\0\2by\0\4user\0\4pass")},
    {0x10, MIDDLE, BODY("\0\4MQTT\4\2\0\0\0\0")},
    {0x10, MIDDLE, BODY("\0\4MQTT\4\xf6\0\x3c\0\1a\0\1t\0\1b\0\4user\0\4pass")},
    {0x10, NEW, BODY("\0\4MQTT\5\2\0\x3c\0\0\0")},
    {0x10, NEW, BODY("\0\4MQTT\5\x42\0\x3c\0\0\1a\0\1p")},
    {0x10, NEW,
     BODY("\0\4MQTT\5\xce\0\x3c\x08\x11\0\0\0\x0a\x21\0\5\0\1a"
          "\x0a\x18\0\0\0\1\3\0\2tx\0\1t\0\1b\0\4user\0\4pass")},
    {0x20, BEFORE_5, BODY("\0\0")},
    {0x20, BEFORE_5, BODY("\0\5")},
    {0x20, MIDDLE, BODY("\1\0")},
    {0x20, NEW, BODY("\0\0\0")},
    {0x20, NEW, BODY("\1\0\5\x21\0\x0a\x24\1")},
    {0x20, NEW, BODY("\0\x87\5\x1f\0\2no")},
    {0x30, BEFORE_5, BODY("\0\3a/b")},
    {0x31, BEFORE_5, BODY("\0\3a/bh")},
    {0x3a, BEFORE_5, BODY("\0\3a/b\0\1h")},
    {0x3d, BEFORE_5, BODY("\0\3a/b\xff\xffh")},
    {0x30, NEW, BODY("\0\3a/b\0")},
    {0x3d, NEW, BODY("\0\3a/b\0\1\x0a\x23\0\1\x26\0\1k\0\1vhi")},
    {0x30, NEW, BODY("\0\0\3\x23\0\1h")},
    {0x40, ALL, BODY("\0\1")},
    {0x40, NEW, BODY("\0\1\x10")},
    {0x40, NEW, BODY("\0\1\x97\5\x1f\0\2no")},
    {0x50, ALL, BODY("\1\2")},
    {0x50, NEW, BODY("\0\1\x99")},
    {0x50, NEW, BODY("\0\1\x87\5\x1f\0\2no")},
    {0x62, ALL, BODY("\0\1")},
    {0x62, NEW, BODY("\0\1\x92")},
    {0x62, NEW, BODY("\0\1\x92\5\x1f\0\2no")},
    {0x70, ALL, BODY("\xff\xff")},
    {0x70, NEW, BODY("\0\1\x92")},
    {0x70, NEW, BODY("\0\1\x92\5\x1f\0\2no")},
    {0x82, BEFORE_5, BODY("\0\1\0\3a/#\0")},
    {0x82, BEFORE_5, BODY("\0\1\0\3a/+\1\0\1#\2")},
    {0x82, NEW, BODY("\0\1\2\x0b\1\0\3a/#\x2e")},
    {0x82, NEW, BODY("\0\1\0\0\3a/+\1\0\1#\2")},
    {0x90, BEFORE_5, BODY("\0\1\0")},
    {0x90, BEFORE_5, BODY("\0\1\0\1\2\x80")},
    {0x90, NEW, BODY("\0\1\0\2")},
    {0x90, NEW, BODY("\0\1\5\x1f\0\2no\1\x87\xa2")},
    {0xa2, BEFORE_5, BODY("\0\1\0\3a/#\0\1b")},
    {0xa2, NEW, BODY("\0\1\7\x26\0\1k\0\1v\0\1b")},
    {0xb0, BEFORE_5, BODY("\0\1")},
    {0xb0, NEW, BODY("\0\1\0\0\x11")},
    {0xb0, NEW, BODY("\0\1\5\x1f\0\2no\x11\x87")},
    {0xc0, ALL, BODY("")},
    {0xd0, ALL, BODY("")},
    {0xe0, ALL, BODY("")},
    {0xe0, NEW, BODY("\4")},
    {0xe0, NEW, BODY("\x8e\5\x1f\0\2no")},
    {0xe0, NEW, BODY("\0\5\x11\0\0\0\1")},
    {0xf0, NEW, BODY("")},
    {0xf0, NEW, BODY("\x18\x0c\x15\0\6method\x16\0\0")},
};

enum { WHOLES = sizeof(wholes) / sizeof(wholes[0]), PACKET_MAX = 128 };

static bool is_of(const struct whole *whole, uint8_t version)
{
    return (whole->versions >> (version - RC_MQTT_V31) & 1) != 0;
}

static uint8_t type_of(const struct whole *whole)
{
    return whole->first_byte >> 4;
}

static size_t bytes_of(const struct whole *whole, uint8_t bytes[PACKET_MAX])
{
    bytes[0] = whole->first_byte;
    bytes[1] = (uint8_t)whole->body.len;
    memcpy(bytes + 2, whole->body.ptr, whole->body.len);
    return 2 + whole->body.len;
}

/* What may be left out is not written again: reason and length of properties that say nothing. */
static bool says_it_at_length(const struct rc_mqtt_packet *packet)
{
    switch (packet->type) {
    case RC_MQTT_PUBACK:
    case RC_MQTT_PUBREC:
    case RC_MQTT_PUBREL:
    case RC_MQTT_PUBCOMP:
        return packet->ack.props.raw.len == 0;
    case RC_MQTT_DISCONNECT:
    case RC_MQTT_AUTH:
        return packet->reasoned.props.raw.len == 0;
    default:
        return false;
    }
}

/*
 * Decodes bytes in memory of just their size, so that the sanitizer sees a byte read too far. 0 when they are
 * a whole packet, which then must be the same when it is written again; else the reason; UINT8_MAX when more
 * is wanted.
 */
static uint8_t judge(uint8_t version, const uint8_t *bytes, size_t len)
{
    struct rc_mqtt_packet packet;
    struct rc_buf out;
    uint8_t *exact = rc_malloc(len > 0 ? len : 1);
    memcpy(exact, bytes, len);
    int64_t used = rc_mqtt_decode(rc_slice(exact, len), version, MAX, &packet);
    uint8_t reason = used == 0 ? UINT8_MAX : packet.reason;
    assert_int_equal(used > 0, reason == 0);
    rc_buf_init(&out, 1024);
    if (used > 0 && (bytes[0] & 0xf8) != (RC_MQTT_PUBREL << 4 | 8)) { /* DUP of 3.1 is not written again */
        assert_int_equal(used, len);
        assert_int_equal(test_put_packet(&out, version, &packet), RC_OK);
        bool is_same = rc_slice_eq(rc_buf_slice(&out), rc_slice(exact, len));
        bool has_dup = (bytes[0] & 8) != 0 && packet.type != RC_MQTT_PUBLISH;
        if (!is_same && !has_dup && !says_it_at_length(&packet))
            fail_msg("%s of version %u is not what it was", rc_mqtt_type_name(packet.type), version);
    }
    rc_buf_free(&out);
    free(exact);
    return reason;
}

static void test_every_packet_of_every_version_goes_round(void **state)
{
    uint8_t bytes[PACKET_MAX], seen[16] = {0};
    for (size_t i = 0; i < WHOLES; i++) {
        size_t len = bytes_of(&wholes[i], bytes);
        seen[bytes[0] >> 4] |= wholes[i].versions;
        for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++) {
            uint8_t reason = is_of(&wholes[i], version) ? judge(version, bytes, len) : 0;
            if (reason != 0)
                fail_msg("row %zu in version %u: 0x%02x", i, version, reason);
        }
    }
    for (uint8_t type = RC_MQTT_CONNECT; type <= RC_MQTT_AUTH; type++)
        assert_int_equal(seen[type], type == RC_MQTT_AUTH ? NEW : ALL);
}

/* Calls `spoil` for each row in each of its versions. */
static void for_each(void (*spoil)(const struct whole *whole, uint8_t version, uint8_t *bytes, size_t len))
{
    uint8_t bytes[PACKET_MAX];
    for (size_t i = 0; i < WHOLES; i++)
        for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++)
            if (is_of(&wholes[i], version))
                spoil(&wholes[i], version, bytes, bytes_of(&wholes[i], bytes));
}

static void come_in_part(const struct whole *whole, uint8_t version, uint8_t *bytes, size_t len)
{
    for (size_t part = 0; part < len; part++)
        assert_int_equal(judge(version, bytes, part), UINT8_MAX);
}

static void test_a_part_of_a_packet_wants_more(void **state)
{
    for_each(come_in_part);
}

/* A shorter body may be a packet of its own (a shorter payload, a filter less), but then it is that one. */
static void end_early(const struct whole *whole, uint8_t version, uint8_t *bytes, size_t len)
{
    for (size_t body = 0; body < len - 2; body++) {
        bytes[1] = (uint8_t)body;
        uint8_t reason = judge(version, bytes, 2 + body);
        assert_int_not_equal(reason, UINT8_MAX);
        bool has_list = type_of(whole) >= RC_MQTT_PUBLISH && type_of(whole) != RC_MQTT_PINGREQ;
        if (reason == 0 && !has_list)
            fail_msg("%s of version %u with %zu bytes", rc_mqtt_type_name(type_of(whole)), version, body);
    }
}

static void test_a_packet_that_ends_early_is_refused_or_another(void **state)
{
    for_each(end_early);
}

static void end_late(const struct whole *whole, uint8_t version, uint8_t *bytes, size_t len)
{
    static const uint8_t more[] = {0, 1, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(more); i++) {
        bytes[1] = (uint8_t)(len - 1);
        bytes[len] = more[i];
        uint8_t reason = judge(version, bytes, len + 1);
        bool has_list = type_of(whole) == RC_MQTT_PUBLISH || type_of(whole) == RC_MQTT_SUBACK ||
                        (type_of(whole) == RC_MQTT_UNSUBACK && version == RC_MQTT_V5);
        bool has_rest =
            version == RC_MQTT_V5 && len <= 5; /* an acknowledgement that goes on with its reason */
        if (reason == UINT8_MAX || (reason == 0 && !has_list && !has_rest))
            fail_msg("%s of version %u with 0x%02x behind it", rc_mqtt_type_name(type_of(whole)), version,
                     more[i]);
    }
}

static void test_a_packet_with_a_byte_too_many_is_refused(void **state)
{
    for_each(end_late);
}

/* Each byte takes each value: whatever is still accepted is exactly what stands there. */
static void change_bytes(const struct whole *whole, uint8_t version, uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        uint8_t before = bytes[at];
        for (int value = 0; value <= UINT8_MAX; value++) {
            bytes[at] = (uint8_t)value;
            if (at != 1 && type_of(whole) != RC_MQTT_CONNECT)
                judge(version, bytes, len);
            else if (at != 1)
                judge(0, bytes, len);
        }
        bytes[at] = before;
    }
}

static void test_whatever_is_accepted_is_what_stood_there(void **state)
{
    for_each(change_bytes);
}

static void test_the_flags_of_the_first_byte_are_those_of_the_packet(void **state)
{
    uint8_t reason;
    for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++)
        for (int byte = 0; byte <= UINT8_MAX; byte++) {
            uint8_t type = (uint8_t)(byte >> 4), flags = byte & 15, header[] = {(uint8_t)byte, 0};
            bool has_two = type == RC_MQTT_PUBREL || type == RC_MQTT_SUBSCRIBE || type == RC_MQTT_UNSUBSCRIBE;
            bool is_legal = type == RC_MQTT_PUBLISH ? (flags & 6) != 6
                            : has_two ? flags == 2 || (flags == 10 && version == RC_MQTT_V31) /* sent again */
                                      : type != 0 && flags == 0;
            int64_t size = rc_mqtt_frame_size(rc_slice(header, 2), version, MAX, &reason);
            if (size != (is_legal ? 2 : RC_ERR_PROTOCOL))
                fail_msg("first byte 0x%02x of version %u: %d", (unsigned)byte, version, (int)size);
            if (!is_legal)
                assert_int_equal(reason, RC_MQTT_MALFORMED_PACKET);
        }
}

static void test_lengths_are_as_short_as_they_can_be(void **state)
{
    static const struct {
        const char *hex;
        int64_t size; /* RC_ERR_*, or of the packet */
    } cases[] = {
        {"3000", 2},
        {"307f", 129},
        {"308001", 131},
        {"30ff7f", 16386},
        {"30808001", 16388},
        {"30ffff7f", RC_ERR_TOO_LARGE},
        {"30ffffff7f", RC_ERR_TOO_LARGE},
        {"30", 0},
        {"3080", 0},
        {"30808080", 0},
        {"308000", RC_ERR_PROTOCOL}, /* longer than needed */
        {"30ff00", RC_ERR_PROTOCOL},
        {"30808000", RC_ERR_PROTOCOL},
        {"3080808000", RC_ERR_PROTOCOL},
        {"3080808080", RC_ERR_PROTOCOL}, /* a fifth byte */
        {"30ffffffff", RC_ERR_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[8], reason;
        size_t len = strlen(cases[i].hex) / 2;
        rc_hex_decode(bytes, len, rc_slice_str(cases[i].hex));
        int64_t size = rc_mqtt_frame_size(rc_slice(bytes, len), RC_MQTT_V5, MAX, &reason);
        if (size != cases[i].size)
            fail_msg("%s: %d", cases[i].hex, (int)size);
    }
    for (uint32_t value = 0; value <= RC_MQTT_REMAINING_MAX; value = value * 2 + 1) {
        struct rc_buf out;
        uint32_t back;
        rc_buf_init(&out, 8);
        assert_int_equal(rc_mqtt_varint_put(&out, value), RC_OK);
        assert_int_equal(rc_buf_len(&out), rc_mqtt_varint_size(value));
        assert_int_equal(rc_mqtt_varint_decode(rc_buf_slice(&out), &back), rc_mqtt_varint_size(value));
        assert_int_equal(back, value);
        rc_buf_free(&out);
    }
}

/* What only a table can tell: values that are well laid out and yet may not be. */
static void test_values_that_no_packet_may_have_are_refused(void **state)
{
    static const struct {
        const char *what;
        struct whole whole;
        uint8_t reason;
    } cases[] = {
        {"CONNACK without a code", {0x20, ALL, BODY("\0")}, RC_MQTT_MALFORMED_PACKET},
        {"CONNACK with a reserved flag", {0x20, BEFORE_5, BODY("\2\0")}, RC_MQTT_MALFORMED_PACKET},
        {"CONNACK with a reserved flag", {0x20, NEW, BODY("\2\0\0")}, RC_MQTT_MALFORMED_PACKET},
        {"CONNACK with both flags", {0x20, NEW, BODY("\3\0\0")}, RC_MQTT_MALFORMED_PACKET},
        {"CONNACK that refuses a session that is there",
         {0x20, BEFORE_5, BODY("\1\5")},
         RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK that refuses a session that is there",
         {0x20, NEW, BODY("\1\x87\0")},
         RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK with a code that is reserved", {0x20, BEFORE_5, BODY("\0\6")}, RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK with a code of version 5", {0x20, BEFORE_5, BODY("\0\x87")}, RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK with a code of 3.1.1", {0x20, NEW, BODY("\0\5\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK with a DISCONNECT's reason", {0x20, NEW, BODY("\0\x8e\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"CONNACK without a length of properties", {0x20, NEW, BODY("\0\0")}, RC_MQTT_MALFORMED_PACKET},
        {"SUBACK for nothing", {0x90, BEFORE_5, BODY("\0\1")}, RC_MQTT_MALFORMED_PACKET},
        {"SUBACK for nothing", {0x90, NEW, BODY("\0\1\0")}, RC_MQTT_MALFORMED_PACKET},
        {"SUBACK with packet id 0", {0x90, BEFORE_5, BODY("\0\0\0")}, RC_MQTT_MALFORMED_PACKET},
        {"SUBACK with packet id 0", {0x90, NEW, BODY("\0\0\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"SUBACK that grants QoS 3", {0x90, BEFORE_5, BODY("\0\1\3")}, RC_MQTT_PROTOCOL_ERROR},
        {"SUBACK that grants QoS 3", {0x90, NEW, BODY("\0\1\0\3")}, RC_MQTT_PROTOCOL_ERROR},
        {"SUBACK with a code of version 5", {0x90, BEFORE_5, BODY("\0\1\x87")}, RC_MQTT_PROTOCOL_ERROR},
        {"SUBACK with an UNSUBACK's reason", {0x90, NEW, BODY("\0\1\0\x11")}, RC_MQTT_PROTOCOL_ERROR},
        {"SUBACK whose second code is none", {0x90, NEW, BODY("\0\1\0\0\x55")}, RC_MQTT_PROTOCOL_ERROR},
        {"UNSUBACK with codes", {0xb0, BEFORE_5, BODY("\0\1\0")}, RC_MQTT_MALFORMED_PACKET},
        {"UNSUBACK for nothing", {0xb0, NEW, BODY("\0\1\0")}, RC_MQTT_MALFORMED_PACKET},
        {"UNSUBACK with packet id 0", {0xb0, NEW, BODY("\0\0\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"UNSUBACK with a SUBACK's reason", {0xb0, NEW, BODY("\0\1\0\1")}, RC_MQTT_PROTOCOL_ERROR},
        {"UNSUBACK with a SUBACK's refusal", {0xb0, NEW, BODY("\0\1\0\xa2")}, RC_MQTT_PROTOCOL_ERROR},
        {"PINGRESP with a body", {0xd0, ALL, BODY("\0")}, RC_MQTT_MALFORMED_PACKET},
        {"PINGREQ with a body", {0xc0, ALL, BODY("\0")}, RC_MQTT_MALFORMED_PACKET},
        {"DISCONNECT with a body", {0xe0, BEFORE_5, BODY("\0")}, RC_MQTT_MALFORMED_PACKET},
        {"DISCONNECT with a CONNACK's reason", {0xe0, NEW, BODY("\x86")}, RC_MQTT_PROTOCOL_ERROR},
        {"DISCONNECT with a reason that nobody knows", {0xe0, NEW, BODY("\x55")}, RC_MQTT_PROTOCOL_ERROR},
        {"DISCONNECT with an AUTH's reason", {0xe0, NEW, BODY("\x18")}, RC_MQTT_PROTOCOL_ERROR},
        {"AUTH before version 5", {0xf0, BEFORE_5, BODY("")}, RC_MQTT_PROTOCOL_ERROR},
        {"AUTH with a DISCONNECT's reason", {0xf0, NEW, BODY("\4")}, RC_MQTT_PROTOCOL_ERROR},
        {"AUTH with an error", {0xf0, NEW, BODY("\x80")}, RC_MQTT_PROTOCOL_ERROR},
        {"AUTH with data and no method", {0xf0, NEW, BODY("\x18\3\x16\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"PUBACK without a whole id", {0x40, ALL, BODY("\0")}, RC_MQTT_MALFORMED_PACKET},
        {"PUBACK with a reason", {0x40, BEFORE_5, BODY("\0\1\0")}, RC_MQTT_MALFORMED_PACKET},
        {"PUBREC with packet id 0", {0x50, NEW, BODY("\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"PUBREL with packet id 0", {0x62, NEW, BODY("\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"PUBCOMP with packet id 0", {0x70, NEW, BODY("\0\0")}, RC_MQTT_PROTOCOL_ERROR},
        {"PUBCOMP with a reason", {0x70, BEFORE_5, BODY("\0\1\x92")}, RC_MQTT_MALFORMED_PACKET},
    };
    uint8_t bytes[PACKET_MAX];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++) {
            if (!is_of(&cases[i].whole, version))
                continue;
            uint8_t reason = judge(version, bytes, bytes_of(&cases[i].whole, bytes));
            if (reason != cases[i].reason)
                fail_msg("%s, version %u: 0x%02x", cases[i].what, version, reason);
        }
}

/* Where the standard wants text, what is not well-formed UTF-8 or has U+0000 is malformed. */
static void test_text_is_well_formed_wherever_it_stands(void **state)
{
    static const struct {
        const char *what;
        uint8_t first_byte, version;
        struct rc_slice before, behind;
    } places[] = {
        {"client id", 0x10, 0, {(const uint8_t *)"\0\4MQTT\4\2\0\x3c", 10}, {NULL, 0}},
        {"client id of 5.0", 0x10, 0, {(const uint8_t *)"\0\4MQTT\5\2\0\x3c\0", 11}, {NULL, 0}},
        {"user", 0x10, 0, {(const uint8_t *)"\0\4MQTT\4\x82\0\x3c\0\1a", 13}, {NULL, 0}},
        {"will topic",
         0x10,
         0,
         {(const uint8_t *)"\0\4MQTT\4\6\0\x3c\0\1a", 13},
         {(const uint8_t *)"\0\0", 2}},
        {"topic", 0x30, 4, {NULL, 0}, {NULL, 0}},
        {"filter", 0x82, 4, {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\1", 1}},
        {"filter to leave", 0xa2, 3, {(const uint8_t *)"\0\1", 2}, {NULL, 0}},
    };
    static const struct {
        struct rc_slice text;
        bool is_right;
    } texts[] = {
        {{(const uint8_t *)"x", 1}, true},
        {{(const uint8_t *)"\xc3\xa4", 2}, true},
        {{(const uint8_t *)"\xe6\xbc\xa2\xf0\xa0\x9c\x8e", 7}, true},
        {{(const uint8_t *)"\xef\xbb\xbfx", 4}, true},    /* U+FEFF is a character as any (1.5.4-3) */
        {{(const uint8_t *)"\xed\x9f\xbf", 3}, true},     /* the last before the surrogates */
        {{(const uint8_t *)"\xf4\x8f\xbf\xbf", 4}, true}, /* the last of all */
        {{(const uint8_t *)"a\0b", 3}, false},            /* U+0000 */
        {{(const uint8_t *)"\0", 1}, false},
        {{(const uint8_t *)"\xed\xa0\x80", 3}, false}, /* surrogates */
        {{(const uint8_t *)"\xed\xbf\xbf", 3}, false},
        {{(const uint8_t *)"\xed\xa0\x81\xed\xb0\x80", 6}, false},
        {{(const uint8_t *)"\xc0\x80", 2}, false}, /* longer than needed */
        {{(const uint8_t *)"\xc1\xbf", 2}, false},
        {{(const uint8_t *)"\xe0\x9f\xbf", 3}, false},
        {{(const uint8_t *)"\xf0\x8f\xbf\xbf", 4}, false},
        {{(const uint8_t *)"\xf4\x90\x80\x80", 4}, false}, /* beyond U+10FFFF */
        {{(const uint8_t *)"\xf8\x88\x80\x80\x80", 5}, false},
        {{(const uint8_t *)"\x80", 1}, false}, /* in the middle of nothing */
        {{(const uint8_t *)"\xc3", 1}, false}, /* cut off */
        {{(const uint8_t *)"\xe2\x82", 2}, false},
        {{(const uint8_t *)"\xf0\x9f\x98", 3}, false},
        {{(const uint8_t *)"\xff", 1}, false},
    };
    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            struct rc_buf in;
            rc_buf_init(&in, 128);
            rc_buf_put_u8(&in, places[p].first_byte);
            rc_buf_put_u8(&in,
                          (uint8_t)(places[p].before.len + 2 + texts[i].text.len + places[p].behind.len));
            rc_buf_put_slice(&in, places[p].before);
            rc_mqtt_put_text(&in, texts[i].text);
            rc_buf_put_slice(&in, places[p].behind);
            uint8_t reason = judge(places[p].version, rc_buf_slice(&in).ptr, rc_buf_len(&in));
            if (reason != (texts[i].is_right ? 0 : RC_MQTT_MALFORMED_PACKET))
                fail_msg("text %zu as %s: 0x%02x", i, places[p].what, reason);
            rc_buf_free(&in);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_packet_of_every_version_goes_round),
        cmocka_unit_test(test_a_part_of_a_packet_wants_more),
        cmocka_unit_test(test_a_packet_that_ends_early_is_refused_or_another),
        cmocka_unit_test(test_a_packet_with_a_byte_too_many_is_refused),
        cmocka_unit_test(test_whatever_is_accepted_is_what_stood_there),
        cmocka_unit_test(test_the_flags_of_the_first_byte_are_those_of_the_packet),
        cmocka_unit_test(test_lengths_are_as_short_as_they_can_be),
        cmocka_unit_test(test_values_that_no_packet_may_have_are_refused),
        cmocka_unit_test(test_text_is_well_formed_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
