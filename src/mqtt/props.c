#include "mqtt/props.h"

#include "base/error.h"
#include "base/utf8.h"
#include "base/words.h"

enum kind { NONE, BYTE, U16, U32, VARINT, TEXT, BINARY, TEXT_PAIR };

#define ON(type) (1u << (type))
#define BIT(b) ON(RC_MQTT_##b)

struct rule {
    uint8_t kind;
    bool is_flag;     /* only 0 and 1 */
    bool is_nonzero;  /* 0 is a protocol error */
    uint32_t packets; /* one bit a packet type; bit 0 for a will */
};

#define ACKS                                                                                                 \
    (BIT(CONNACK) | BIT(PUBACK) | BIT(PUBREC) | BIT(PUBREL) | BIT(PUBCOMP) | BIT(SUBACK) | BIT(UNSUBACK))

static const struct rule rules[RC_MQTT_PROP_COUNT] = {
    [RC_MQTT_PROP_PAYLOAD_FORMAT] = {BYTE, true, false, BIT(PUBLISH) | BIT(WILL)},
    [RC_MQTT_PROP_MESSAGE_EXPIRY] = {U32, false, false, BIT(PUBLISH) | BIT(WILL)},
    [RC_MQTT_PROP_CONTENT_TYPE] = {TEXT, false, false, BIT(PUBLISH) | BIT(WILL)},
    [RC_MQTT_PROP_RESPONSE_TOPIC] = {TEXT, false, false, BIT(PUBLISH) | BIT(WILL)},
    [RC_MQTT_PROP_CORRELATION_DATA] = {BINARY, false, false, BIT(PUBLISH) | BIT(WILL)},
    [RC_MQTT_PROP_SUBSCRIPTION_ID] = {VARINT, false, true, BIT(PUBLISH) | BIT(SUBSCRIBE)},
    [RC_MQTT_PROP_SESSION_EXPIRY] = {U32, false, false, BIT(CONNECT) | BIT(CONNACK) | BIT(DISCONNECT)},
    [RC_MQTT_PROP_ASSIGNED_CLIENT_ID] = {TEXT, false, false, BIT(CONNACK)},
    [RC_MQTT_PROP_SERVER_KEEP_ALIVE] = {U16, false, false, BIT(CONNACK)},
    [RC_MQTT_PROP_AUTH_METHOD] = {TEXT, false, false, BIT(CONNECT) | BIT(CONNACK) | BIT(AUTH)},
    [RC_MQTT_PROP_AUTH_DATA] = {BINARY, false, false, BIT(CONNECT) | BIT(CONNACK) | BIT(AUTH)},
    [RC_MQTT_PROP_REQUEST_PROBLEM_INFO] = {BYTE, true, false, BIT(CONNECT)},
    [RC_MQTT_PROP_WILL_DELAY] = {U32, false, false, BIT(WILL)},
    [RC_MQTT_PROP_REQUEST_RESPONSE_INFO] = {BYTE, true, false, BIT(CONNECT)},
    [RC_MQTT_PROP_RESPONSE_INFO] = {TEXT, false, false, BIT(CONNACK)},
    [RC_MQTT_PROP_SERVER_REFERENCE] = {TEXT, false, false, BIT(CONNACK) | BIT(DISCONNECT)},
    [RC_MQTT_PROP_REASON_STRING] = {TEXT, false, false, ACKS | BIT(DISCONNECT) | BIT(AUTH)},
    [RC_MQTT_PROP_RECEIVE_MAXIMUM] = {U16, false, true, BIT(CONNECT) | BIT(CONNACK)},
    [RC_MQTT_PROP_TOPIC_ALIAS_MAXIMUM] = {U16, false, false, BIT(CONNECT) | BIT(CONNACK)},
    [RC_MQTT_PROP_TOPIC_ALIAS] = {U16, false, true, BIT(PUBLISH)},
    [RC_MQTT_PROP_MAXIMUM_QOS] = {BYTE, true, false, BIT(CONNACK)},
    [RC_MQTT_PROP_RETAIN_AVAILABLE] = {BYTE, true, false, BIT(CONNACK)},
    [RC_MQTT_PROP_USER] = {TEXT_PAIR, false, false, 0xffffu & ~(BIT(PINGREQ) | BIT(PINGRESP))},
    [RC_MQTT_PROP_MAXIMUM_PACKET_SIZE] = {U32, false, true, BIT(CONNECT) | BIT(CONNACK)},
    [RC_MQTT_PROP_WILDCARDS_AVAILABLE] = {BYTE, true, false, BIT(CONNACK)},
    [RC_MQTT_PROP_SUBSCRIPTION_IDS_AVAILABLE] = {BYTE, true, false, BIT(CONNACK)},
    [RC_MQTT_PROP_SHARED_AVAILABLE] = {BYTE, true, false, BIT(CONNACK)},
};

bool rc_mqtt_is_text(struct rc_slice text)
{
    for (size_t at = 0; at < text.len; at += RC_WORD) {
        uint64_t word = rc_word_at(text, at);
        if (rc_word_has(word, 0))
            return false;
        if (!rc_word_is_ascii(word)) /* seldom in names and identifiers */
            return rc_utf8_is_valid(text) && memchr(text.ptr, 0, text.len) == NULL;
    }
    return true;
}

int rc_mqtt_varint_decode_any(struct rc_slice in, uint32_t *ret)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        if ((size_t)i >= in.len)
            return 0;
        value |= (uint32_t)(in.ptr[i] & 0x7f) << (7 * i);
        if (in.ptr[i] & 0x80)
            continue;
        if (i > 0 && in.ptr[i] == 0)
            return RC_ERR_PROTOCOL;
        *ret = value;
        return i + 1;
    }
    return RC_ERR_PROTOCOL;
}

uint8_t *rc_mqtt_varint_write(uint8_t *at, uint32_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

int rc_mqtt_varint_put(struct rc_buf *out, uint32_t value)
{
    uint8_t bytes[4];
    if (value > RC_MQTT_REMAINING_MAX)
        return RC_ERR_TOO_LARGE;
    return rc_buf_put(out, bytes, (size_t)(rc_mqtt_varint_write(bytes, value) - bytes));
}

/* A value as it stood. */
struct value {
    uint32_t number;
    struct rc_slice text; /* the name of a pair */
    struct rc_slice second;
};

static bool take_block(struct rc_slice raw, size_t *at, struct rc_slice *ret)
{
    if (raw.len - *at < 2)
        return false;
    size_t len = rc_load_u16(raw.ptr + *at);
    if (raw.len - *at - 2 < len)
        return false;
    *ret = rc_slice(raw.ptr + *at + 2, len);
    *at += 2 + len;
    return true;
}

static bool take_number(struct rc_slice raw, size_t *at, size_t size, uint32_t *ret)
{
    if (raw.len - *at < size)
        return false;
    const uint8_t *p = raw.ptr + *at;
    *ret = size == 1 ? p[0] : size == 2 ? rc_load_u16(p) : rc_load_u32(p);
    *at += size;
    return true;
}

/* Reads identifier and value at *at; the kind's layout only. */
static bool take(struct rc_slice raw, size_t *at, uint32_t *id, struct value *value)
{
    int len = rc_mqtt_varint_decode(rc_slice_from(raw, *at), id);
    if (len <= 0 || *id >= RC_MQTT_PROP_COUNT)
        return false;
    *at += (size_t)len;
    switch (rules[*id].kind) {
    case BYTE:
        return take_number(raw, at, 1, &value->number);
    case U16:
        return take_number(raw, at, 2, &value->number);
    case U32:
        return take_number(raw, at, 4, &value->number);
    case VARINT:
        len = rc_mqtt_varint_decode(rc_slice_from(raw, *at), &value->number);
        *at += len > 0 ? (size_t)len : 0;
        return len > 0;
    case TEXT:
    case BINARY:
        return take_block(raw, at, &value->text);
    case TEXT_PAIR:
        return take_block(raw, at, &value->text) && take_block(raw, at, &value->second);
    default:
        return false;
    }
}

/* 0 or the reason why this value may not stand here. */
static uint8_t judge(uint32_t id, const struct value *value, uint8_t packet_type, uint64_t present)
{
    const struct rule *rule = &rules[id];
    bool may_repeat =
        id == RC_MQTT_PROP_USER || (id == RC_MQTT_PROP_SUBSCRIPTION_ID && packet_type == RC_MQTT_PUBLISH);
    if (!(rule->packets & ON(packet_type)))
        return RC_MQTT_MALFORMED_PACKET;
    if ((present >> id & 1) && !may_repeat)
        return RC_MQTT_PROTOCOL_ERROR;
    if (rule->is_nonzero && value->number == 0)
        return id == RC_MQTT_PROP_TOPIC_ALIAS ? RC_MQTT_TOPIC_ALIAS_INVALID : RC_MQTT_PROTOCOL_ERROR;
    if (rule->is_flag && value->number > 1)
        return RC_MQTT_PROTOCOL_ERROR;
    if ((rule->kind == TEXT || rule->kind == TEXT_PAIR) && !rc_mqtt_is_text(value->text))
        return RC_MQTT_MALFORMED_PACKET;
    if (rule->kind == TEXT_PAIR && !rc_mqtt_is_text(value->second))
        return RC_MQTT_MALFORMED_PACKET;
    return 0;
}

int rc_mqtt_props_decode(struct rc_slice raw, uint8_t packet_type, struct rc_mqtt_props *ret,
                         uint8_t *ret_reason)
{
    ret->present = 0;
    ret->raw = raw;
    for (size_t at = 0; at < raw.len;) {
        uint32_t id;
        struct value value = {0};
        uint8_t reason = RC_MQTT_MALFORMED_PACKET;
        if (take(raw, &at, &id, &value))
            reason = judge(id, &value, packet_type, ret->present);
        if (reason != 0) {
            *ret_reason = reason;
            return RC_ERR_PROTOCOL;
        }
        if (id != RC_MQTT_PROP_USER && !rc_mqtt_props_has(ret, id)) {
            ret->numbers[id] = value.number;
            ret->strings[id] = value.text;
        }
        ret->present |= (uint64_t)1 << id;
    }
    if (rc_mqtt_props_has(ret, RC_MQTT_PROP_AUTH_DATA) && !rc_mqtt_props_has(ret, RC_MQTT_PROP_AUTH_METHOD)) {
        *ret_reason = RC_MQTT_PROTOCOL_ERROR;
        return RC_ERR_PROTOCOL;
    }
    return RC_OK;
}

static bool next_of(struct rc_slice raw, size_t *at, uint32_t wanted, struct value *value)
{
    uint32_t id;
    while (*at < raw.len && take(raw, at, &id, value))
        if (id == wanted)
            return true;
    return false;
}

bool rc_mqtt_props_next_user(struct rc_slice raw, size_t *at, struct rc_slice *name, struct rc_slice *value)
{
    struct value found;
    if (!next_of(raw, at, RC_MQTT_PROP_USER, &found))
        return false;
    *name = found.text;
    *value = found.second;
    return true;
}

bool rc_mqtt_props_next_subscription_id(struct rc_slice raw, size_t *at, uint32_t *id)
{
    struct value found;
    if (!next_of(raw, at, RC_MQTT_PROP_SUBSCRIPTION_ID, &found))
        return false;
    *id = found.number;
    return true;
}

int rc_mqtt_props_put_number(struct rc_buf *out, enum rc_mqtt_prop id, uint32_t value)
{
    int err = rc_buf_put_u8(out, (uint8_t)id);
    if (err != RC_OK)
        return err;
    switch (rules[id].kind) {
    case BYTE:
        return rc_buf_put_u8(out, (uint8_t)value);
    case U16:
        return rc_buf_put_u16(out, (uint16_t)value);
    case VARINT:
        return rc_mqtt_varint_put(out, value);
    default:
        return rc_buf_put_u32(out, value);
    }
}

static int put_block(struct rc_buf *out, struct rc_slice value)
{
    if (value.len > RC_MQTT_STRING_MAX)
        return RC_ERR_TOO_LARGE;
    int err = rc_buf_put_u16(out, (uint16_t)value.len);
    return err ? err : rc_buf_put_slice(out, value);
}

int rc_mqtt_props_put_string(struct rc_buf *out, enum rc_mqtt_prop id, struct rc_slice value)
{
    int err = rc_buf_put_u8(out, (uint8_t)id);
    return err ? err : put_block(out, value);
}

int rc_mqtt_props_put_user(struct rc_buf *out, struct rc_slice name, struct rc_slice value)
{
    int err = rc_mqtt_props_put_string(out, RC_MQTT_PROP_USER, name);
    return err ? err : put_block(out, value);
}

int rc_mqtt_props_copy_forwarded(struct rc_buf *out, struct rc_slice raw)
{
    const uint64_t forwarded = 1ull << RC_MQTT_PROP_PAYLOAD_FORMAT | 1ull << RC_MQTT_PROP_CONTENT_TYPE |
                               1ull << RC_MQTT_PROP_RESPONSE_TOPIC | 1ull << RC_MQTT_PROP_CORRELATION_DATA |
                               1ull << RC_MQTT_PROP_USER;
    int err = RC_OK;
    for (size_t at = 0; at < raw.len && err == RC_OK;) {
        size_t start = at;
        uint32_t id;
        struct value value;
        if (!take(raw, &at, &id, &value))
            return RC_ERR_PROTOCOL;
        if (forwarded >> id & 1)
            err = rc_buf_put(out, raw.ptr + start, at - start);
    }
    return err;
}
