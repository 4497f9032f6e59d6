/* Which property may stand in which packet, how often, and with which values (MQTT 5.0, 2.2.2.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "mqtt/packet.h"

#define BYTES(text) rc_slice(text, sizeof(text) - 1)

/* A packet but for its properties: what stands before and behind them. */
static const struct place {
    const char *name;
    uint8_t first_byte;
    struct rc_slice before, behind;
} places[] = {
    {"CONNECT", 0x10, {(const uint8_t *)"\0\4MQTT\5\2\0\x3c", 10}, {(const uint8_t *)"\0\1a", 3}},
    {"will", 0x10, {(const uint8_t *)"\0\4MQTT\5\6\0\x3c\0\0\1a", 14}, {(const uint8_t *)"\0\1t\0\1p", 6}},
    {"CONNACK", 0x20, {(const uint8_t *)"\0\0", 2}, {NULL, 0}},
    {"PUBLISH", 0x32, {(const uint8_t *)"\0\1t\0\1", 5}, {(const uint8_t *)"p", 1}},
    {"PUBACK", 0x40, {(const uint8_t *)"\0\1\x10", 3}, {NULL, 0}},
    {"PUBREC", 0x50, {(const uint8_t *)"\0\1\x10", 3}, {NULL, 0}},
    {"PUBREL", 0x62, {(const uint8_t *)"\0\1\x92", 3}, {NULL, 0}},
    {"PUBCOMP", 0x70, {(const uint8_t *)"\0\1\x92", 3}, {NULL, 0}},
    {"SUBSCRIBE", 0x82, {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\0\1t\1", 4}},
    {"SUBACK", 0x90, {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\1", 1}},
    {"UNSUBSCRIBE", 0xa2, {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\0\1t", 3}},
    {"UNSUBACK", 0xb0, {(const uint8_t *)"\0\1", 2}, {(const uint8_t *)"\0", 1}},
    {"DISCONNECT", 0xe0, {(const uint8_t *)"\4", 1}, {NULL, 0}},
    {"AUTH", 0xf0, {(const uint8_t *)"\x18", 1}, {NULL, 0}},
};

enum { PLACES = sizeof(places) / sizeof(places[0]), PROPERTIES = 27 };

/* The properties with a value that is right, and by place, in their order: it may not stand there (.), once,
 * or as often as wished (n). */
static const struct property {
    struct rc_slice encoded;
    char may[PLACES + 1];
} properties[PROPERTIES] = {
    {{(const uint8_t *)"\x01\1", 2}, ".1.1.........."},         /* Payload Format Indicator */
    {{(const uint8_t *)"\x02\0\0\0\1", 5}, ".1.1.........."},   /* Message Expiry Interval */
    {{(const uint8_t *)"\x03\0\1x", 4}, ".1.1.........."},      /* Content Type */
    {{(const uint8_t *)"\x08\0\1x", 4}, ".1.1.........."},      /* Response Topic */
    {{(const uint8_t *)"\x09\0\1\xff", 4}, ".1.1.........."},   /* Correlation Data: no text */
    {{(const uint8_t *)"\x0b\1", 2}, "...n....1....."},         /* Subscription Identifier */
    {{(const uint8_t *)"\x11\0\0\0\1", 5}, "1.1.........1."},   /* Session Expiry Interval */
    {{(const uint8_t *)"\x12\0\1x", 4}, "..1..........."},      /* Assigned Client Identifier */
    {{(const uint8_t *)"\x13\0\1", 3}, "..1..........."},       /* Server Keep Alive */
    {{(const uint8_t *)"\x15\0\1x", 4}, "1.1..........1"},      /* Authentication Method */
    {{(const uint8_t *)"\x16\0\1\xff", 4}, "1.1..........1"},   /* Authentication Data: no text */
    {{(const uint8_t *)"\x17\1", 2}, "1............."},         /* Request Problem Information */
    {{(const uint8_t *)"\x18\0\0\0\1", 5}, ".1............"},   /* Will Delay Interval */
    {{(const uint8_t *)"\x19\1", 2}, "1............."},         /* Request Response Information */
    {{(const uint8_t *)"\x1a\0\1x", 4}, "..1..........."},      /* Response Information */
    {{(const uint8_t *)"\x1c\0\1x", 4}, "..1.........1."},      /* Server Reference */
    {{(const uint8_t *)"\x1f\0\1x", 4}, "..1.1111.1.111"},      /* Reason String */
    {{(const uint8_t *)"\x21\0\1", 3}, "1.1..........."},       /* Receive Maximum */
    {{(const uint8_t *)"\x22\0\0", 3}, "1.1..........."},       /* Topic Alias Maximum */
    {{(const uint8_t *)"\x23\0\1", 3}, "...1.........."},       /* Topic Alias */
    {{(const uint8_t *)"\x24\1", 2}, "..1..........."},         /* Maximum QoS */
    {{(const uint8_t *)"\x25\1", 2}, "..1..........."},         /* Retain Available */
    {{(const uint8_t *)"\x26\0\1k\0\1v", 7}, "nnnnnnnnnnnnnn"}, /* User Property */
    {{(const uint8_t *)"\x27\0\0\0\1", 5}, "1.1..........."},   /* Maximum Packet Size */
    {{(const uint8_t *)"\x28\1", 2}, "..1..........."},         /* Wildcard Subscription Available */
    {{(const uint8_t *)"\x29\1", 2}, "..1..........."},         /* Subscription Identifier Available */
    {{(const uint8_t *)"\x2a\1", 2}, "..1..........."},         /* Shared Subscription Available */
};

/* Decodes a packet with these properties: its reason, 0 when it is right. `props` stand in it as they are. */
static uint8_t reason_of(const struct place *place, struct rc_slice length, struct rc_slice props)
{
    struct rc_mqtt_packet packet;
    struct rc_buf in;
    rc_buf_init(&in, 1024);
    rc_buf_put_u8(&in, place->first_byte);
    rc_mqtt_varint_put(&in, (uint32_t)(place->before.len + length.len + props.len + place->behind.len));
    rc_buf_put_slice(&in, place->before);
    rc_buf_put_slice(&in, length);
    rc_buf_put_slice(&in, props);
    rc_buf_put_slice(&in, place->behind);
    /* in memory of just its size, so that the sanitizer sees a byte read too far */
    size_t len = rc_buf_len(&in);
    uint8_t *exact = rc_malloc(len);
    memcpy(exact, rc_buf_slice(&in).ptr, len);
    rc_buf_free(&in);
    int64_t used = rc_mqtt_decode(rc_slice(exact, len), RC_MQTT_V5, 1 << 20, &packet);
    uint8_t reason = packet.reason;
    if ((used == (int64_t)len) != (reason == 0))
        fail_msg("%s: %d bytes used, reason 0x%02x", place->name, (int)used, reason);
    free(exact);
    return reason;
}

static uint8_t reason_with(const struct place *place, struct rc_slice props)
{
    uint8_t length = (uint8_t)props.len;
    return reason_of(place, rc_slice(&length, 1), props);
}

/* `one` and then `two`, which live in a static buffer. */
static struct rc_slice joined(struct rc_slice one, struct rc_slice two)
{
    static uint8_t bytes[64];
    memcpy(bytes, one.ptr, one.len);
    memcpy(bytes + one.len, two.ptr, two.len);
    return rc_slice(bytes, one.len + two.len);
}

/* Data belongs to a method; without one it is an error of its own. */
static struct rc_slice with_what_it_needs(const struct property *property)
{
    return property->encoded.ptr[0] == RC_MQTT_PROP_AUTH_DATA ? joined(BYTES("\x15\0\1x"), property->encoded)
                                                              : property->encoded;
}

static void test_each_property_stands_where_it_may_and_as_often(void **state)
{
    for (size_t i = 0; i < PROPERTIES; i++)
        for (size_t p = 0; p < PLACES; p++) {
            uint8_t id = properties[i].encoded.ptr[0];
            char may = properties[i].may[p];
            uint8_t once = reason_with(&places[p], with_what_it_needs(&properties[i]));
            if (once != (may == '.' ? RC_MQTT_MALFORMED_PACKET : 0))
                fail_msg("property 0x%02x in %s: 0x%02x", id, places[p].name, once);
            if (may == '.')
                continue;
            uint8_t twice =
                reason_with(&places[p], joined(with_what_it_needs(&properties[i]), properties[i].encoded));
            if (twice != (may == 'n' ? 0 : RC_MQTT_PROTOCOL_ERROR))
                fail_msg("property 0x%02x twice in %s: 0x%02x", id, places[p].name, twice);
        }
}

static void test_a_property_that_is_cut_off_is_malformed_wherever_it_stands(void **state)
{
    for (size_t i = 0; i < PROPERTIES; i++)
        for (size_t p = 0; p < PLACES; p++)
            for (size_t len = 1; len < properties[i].encoded.len && properties[i].may[p] != '.'; len++) {
                uint8_t reason = reason_with(&places[p], rc_slice(properties[i].encoded.ptr, len));
                if (reason != RC_MQTT_MALFORMED_PACKET)
                    fail_msg("%zu bytes of property 0x%02x in %s: 0x%02x", len, properties[i].encoded.ptr[0],
                             places[p].name, reason);
            }
}

static void test_an_identifier_that_is_no_propertys_is_malformed(void **state)
{
    for (uint32_t id = 0; id < 128; id++) {
        bool is_known = false;
        for (size_t i = 0; i < PROPERTIES; i++)
            is_known |= properties[i].encoded.ptr[0] == id;
        uint8_t bytes[] = {(uint8_t)id, 0, 1, 0, 1};
        for (size_t p = 0; p < PLACES && !is_known; p++)
            assert_int_equal(reason_with(&places[p], rc_slice(bytes, sizeof(bytes))),
                             RC_MQTT_MALFORMED_PACKET);
    }
    for (size_t p = 0; p < PLACES; p++) { /* identifiers of several bytes, too long ones, and no end */
        assert_int_equal(reason_with(&places[p], BYTES("\x80\1")), RC_MQTT_MALFORMED_PACKET);
        assert_int_equal(reason_with(&places[p], BYTES("\xa6\1\0\1k\0\1v")), RC_MQTT_MALFORMED_PACKET);
        assert_int_equal(reason_with(&places[p], BYTES("\xa6\0\0\1k\0\1v")), RC_MQTT_MALFORMED_PACKET);
        assert_int_equal(reason_with(&places[p], BYTES("\xff\xff\xff\xff\1")), RC_MQTT_MALFORMED_PACKET);
    }
}

/* A user property may stand everywhere: seven bytes of it, and a length that says something else. */
static void test_the_length_of_properties_is_theirs(void **state)
{
    const struct rc_slice props = BYTES("\x26\0\1k\0\1v");
    const struct {
        struct rc_slice length;
        bool is_right;
    } lengths[] = {
        {BYTES("\x07"), true},
        {BYTES("\x06"), false},             /* one too few */
        {BYTES("\x0d"), false},             /* far too many */
        {BYTES("\x87\0"), false},           /* longer than needed (MQTT-1.5.5-1) */
        {BYTES("\x87\x80\0"), false},       /* ... still longer */
        {BYTES("\xff\xff\xff\x7f"), false}, /* the most that can be said */
        {BYTES("\xff\xff\xff\xff\1"), false},
    };
    for (size_t p = 0; p < PLACES; p++)
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            uint8_t reason = reason_of(&places[p], lengths[i].length, props);
            if (reason != (lengths[i].is_right ? 0 : RC_MQTT_MALFORMED_PACKET))
                fail_msg("length %zu in %s: 0x%02x", i, places[p].name, reason);
        }
}

static void test_values_have_their_bounds(void **state)
{
    enum { CONNECT, WILL, CONNACK, PUBLISH, SUBSCRIBE = 8, AUTH = 13 };
    static const struct {
        uint8_t place;
        struct rc_slice props;
        uint8_t reason;
    } cases[] = {
        {PUBLISH, {(const uint8_t *)"\x01\0", 2}, 0},
        {PUBLISH, {(const uint8_t *)"\x01\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {WILL, {(const uint8_t *)"\x01\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {PUBLISH, {(const uint8_t *)"\x02\xff\xff\xff\xff", 5}, 0},
        {PUBLISH, {(const uint8_t *)"\x03\0\0", 3}, 0},
        {PUBLISH, {(const uint8_t *)"\x08\0\0", 3}, RC_MQTT_PROTOCOL_ERROR},
        {PUBLISH, {(const uint8_t *)"\x08\0\1#", 4}, RC_MQTT_PROTOCOL_ERROR},
        {PUBLISH, {(const uint8_t *)"\x08\0\3a/+", 6}, RC_MQTT_PROTOCOL_ERROR},
        {WILL, {(const uint8_t *)"\x08\0\3a/+", 6}, RC_MQTT_PROTOCOL_ERROR},
        {PUBLISH, {(const uint8_t *)"\x0b\0", 2}, RC_MQTT_PROTOCOL_ERROR},
        {PUBLISH, {(const uint8_t *)"\x0b\1\x0b\1", 4}, 0}, /* of two subscriptions */
        {SUBSCRIBE, {(const uint8_t *)"\x0b\0", 2}, RC_MQTT_PROTOCOL_ERROR},
        {SUBSCRIBE, {(const uint8_t *)"\x0b\xff\xff\xff\x7f", 5}, 0},
        {SUBSCRIBE, {(const uint8_t *)"\x0b\x80\0", 3}, RC_MQTT_MALFORMED_PACKET}, /* longer than needed */
        {SUBSCRIBE, {(const uint8_t *)"\x0b\xff\xff\xff\xff\1", 6}, RC_MQTT_MALFORMED_PACKET},
        {CONNECT, {(const uint8_t *)"\x11\xff\xff\xff\xff", 5}, 0},
        {CONNECT, {(const uint8_t *)"\x16\0\1x", 4}, RC_MQTT_PROTOCOL_ERROR}, /* data without a method */
        {CONNECT, {(const uint8_t *)"\x16\0\0\x15\0\1x", 7}, 0},              /* in either order */
        {CONNACK, {(const uint8_t *)"\x16\0\1x", 4}, RC_MQTT_PROTOCOL_ERROR},
        {AUTH, {(const uint8_t *)"\x16\0\1x", 4}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x17\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x19\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x21\0\0", 3}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x21\xff\xff", 3}, 0},
        {CONNECT, {(const uint8_t *)"\x22\xff\xff", 3}, 0},
        {PUBLISH, {(const uint8_t *)"\x23\0\0", 3}, RC_MQTT_TOPIC_ALIAS_INVALID},
        {PUBLISH, {(const uint8_t *)"\x23\xff\xff", 3}, 0},
        {CONNACK, {(const uint8_t *)"\x24\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNACK, {(const uint8_t *)"\x25\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x27\0\0\0\0", 5}, RC_MQTT_PROTOCOL_ERROR},
        {CONNECT, {(const uint8_t *)"\x27\xff\xff\xff\xff", 5}, 0},
        {CONNACK, {(const uint8_t *)"\x28\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNACK, {(const uint8_t *)"\x29\2", 2}, RC_MQTT_PROTOCOL_ERROR},
        {CONNACK, {(const uint8_t *)"\x2a\2", 2}, RC_MQTT_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t reason = reason_with(&places[cases[i].place], cases[i].props);
        if (reason != cases[i].reason)
            fail_msg("case %zu, in %s: 0x%02x", i, places[cases[i].place].name, reason);
    }
}

static void test_texts_of_properties_are_texts_and_data_is_anything(void **state)
{
    enum { PUBLISH = 3, CONNACK = 2, CONNECT = 0, PUBACK = 4 };
    static const struct {
        uint8_t place, id;
        bool is_text;
    } blocks[] = {
        {PUBLISH, RC_MQTT_PROP_CONTENT_TYPE, true},      {PUBLISH, RC_MQTT_PROP_RESPONSE_TOPIC, true},
        {PUBLISH, RC_MQTT_PROP_CORRELATION_DATA, false}, {CONNACK, RC_MQTT_PROP_ASSIGNED_CLIENT_ID, true},
        {CONNECT, RC_MQTT_PROP_AUTH_METHOD, true},       {CONNACK, RC_MQTT_PROP_RESPONSE_INFO, true},
        {CONNACK, RC_MQTT_PROP_SERVER_REFERENCE, true},  {PUBACK, RC_MQTT_PROP_REASON_STRING, true},
    };
    static const char *const ill[] = {
        "\xff",
        "\x80",
        "\xc3",
        "\xc3(",
        "\xe2\x82",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xfe",
        "" /* U+0000: one byte */
    };
    for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
        for (size_t i = 0; i < sizeof(ill) / sizeof(ill[0]); i++) {
            uint8_t bytes[16] = {blocks[b].id, 0};
            size_t len = strlen(ill[i]) > 0 ? strlen(ill[i]) : 1;
            bytes[2] = (uint8_t)len;
            memcpy(bytes + 3, ill[i], len);
            uint8_t reason = reason_with(&places[blocks[b].place], rc_slice(bytes, 3 + len));
            if (reason != (blocks[b].is_text ? RC_MQTT_MALFORMED_PACKET : 0))
                fail_msg("text %zu of property 0x%02x: 0x%02x", i, blocks[b].id, reason);
        }
}

static void test_what_was_decoded_is_what_stood_there_and_in_its_order(void **state)
{
    const struct rc_slice raw =
        BYTES("\x26\0\1b\0\1\x31\x0b\2\x03\0\4text\x26\0\1a\0\1\x32\x0b\xff\x7f\x02\0\0\1\2"
              "\x26\0\1b\0\1\x33");
    struct rc_mqtt_props props;
    struct rc_slice name, value;
    uint8_t reason = 0;
    uint32_t id;
    size_t at = 0;
    assert_int_equal(rc_mqtt_props_decode(raw, RC_MQTT_PUBLISH, &props, &reason), RC_OK);
    assert_int_equal(rc_mqtt_props_number(&props, RC_MQTT_PROP_MESSAGE_EXPIRY, 0), 258);
    assert_true(rc_slice_eq_str(props.strings[RC_MQTT_PROP_CONTENT_TYPE], "text"));
    static const char *const users[] = {"b1", "a2", "b3"};
    for (int i = 0; i < 3; i++) {
        assert_true(rc_mqtt_props_next_user(raw, &at, &name, &value));
        assert_int_equal(name.ptr[0], users[i][0]);
        assert_int_equal(value.ptr[0], users[i][1]);
    }
    assert_false(rc_mqtt_props_next_user(raw, &at, &name, &value));
    at = 0;
    assert_true(rc_mqtt_props_next_subscription_id(raw, &at, &id));
    assert_int_equal(id, 2);
    assert_true(rc_mqtt_props_next_subscription_id(raw, &at, &id));
    assert_int_equal(id, 16383);
    assert_false(rc_mqtt_props_next_subscription_id(raw, &at, &id));
}

static void test_each_property_is_written_as_it_is_read(void **state)
{
    for (size_t i = 0; i < PROPERTIES; i++) {
        struct rc_slice encoded = properties[i].encoded;
        enum rc_mqtt_prop id = encoded.ptr[0];
        size_t p = 0;
        struct rc_mqtt_props props;
        struct rc_slice name, value;
        struct rc_buf out;
        uint8_t reason = 0;
        while (properties[i].may[p] == '.')
            p++;
        uint8_t type = p == 1 ? RC_MQTT_WILL : places[p].first_byte >> 4;
        int err = rc_mqtt_props_decode(with_what_it_needs(&properties[i]), type, &props, &reason);
        assert_int_equal(err, RC_OK);
        rc_buf_init(&out, 64);
        size_t at = 0;
        if (id == RC_MQTT_PROP_USER && rc_mqtt_props_next_user(encoded, &at, &name, &value))
            rc_mqtt_props_put_user(&out, name, value);
        else if (props.strings[id].ptr != NULL)
            rc_mqtt_props_put_string(&out, id, props.strings[id]);
        else
            rc_mqtt_props_put_number(&out, id, props.numbers[id]);
        if (!rc_slice_eq(rc_buf_slice(&out), encoded))
            fail_msg("property 0x%02x", (unsigned)id);
        rc_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_property_stands_where_it_may_and_as_often),
        cmocka_unit_test(test_a_property_that_is_cut_off_is_malformed_wherever_it_stands),
        cmocka_unit_test(test_an_identifier_that_is_no_propertys_is_malformed),
        cmocka_unit_test(test_the_length_of_properties_is_theirs),
        cmocka_unit_test(test_values_have_their_bounds),
        cmocka_unit_test(test_texts_of_properties_are_texts_and_data_is_anything),
        cmocka_unit_test(test_what_was_decoded_is_what_stood_there_and_in_its_order),
        cmocka_unit_test(test_each_property_is_written_as_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
