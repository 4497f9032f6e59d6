#include "base/apart.h"
#include "base/error.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

/* What is left to read of the packet; every take_* checks the bounds and fails with false. */
struct reader {
    const uint8_t *at, *end;
    uint8_t version;
    uint8_t *reason;
};

static int malformed(struct reader *in)
{
    *in->reason = RC_MQTT_MALFORMED_PACKET;
    return RC_ERR_PROTOCOL;
}

static int refused(struct reader *in, uint8_t reason)
{
    *in->reason = reason;
    return RC_ERR_PROTOCOL;
}

static size_t left(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

static bool take_u8(struct reader *in, uint8_t *ret)
{
    if (left(in) < 1)
        return false;
    *ret = *in->at++;
    return true;
}

static bool take_u16(struct reader *in, uint16_t *ret)
{
    if (left(in) < 2)
        return false;
    *ret = rc_load_u16(in->at);
    in->at += 2;
    return true;
}

static bool take_bytes(struct reader *in, struct rc_slice *ret)
{
    uint16_t len;
    if (!take_u16(in, &len) || left(in) < len)
        return false;
    *ret = rc_slice(in->at, len);
    in->at += len;
    return true;
}

static bool take_text(struct reader *in, struct rc_slice *ret)
{
    return take_bytes(in, ret) && rc_mqtt_is_text(*ret);
}

/* Sets the reason on failure: version 5 tells a packet id of 0 (MQTT-2.2.1-3) from one that is not there. */
static int take_packet_id(struct reader *in, uint16_t *ret)
{
    if (!take_u16(in, ret))
        return malformed(in);
    if (*ret == 0)
        return refused(in, in->version < RC_MQTT_V5 ? RC_MQTT_MALFORMED_PACKET : RC_MQTT_PROTOCOL_ERROR);
    return RC_OK;
}

static RC_APART int take_props_5(struct reader *in, uint8_t packet_type, struct rc_mqtt_props *ret)
{
    uint32_t len;
    int used = rc_mqtt_varint_decode(rc_slice(in->at, left(in)), &len);
    if (used <= 0 || left(in) - (size_t)used < len)
        return malformed(in);
    struct rc_slice raw = rc_slice(in->at + used, len);
    in->at += (size_t)used + len;
    return rc_mqtt_props_decode(raw, packet_type, ret, in->reason);
}

/* The properties of this packet; none before version 5. Sets the reason on failure. */
static int take_props(struct reader *in, uint8_t packet_type, struct rc_mqtt_props *ret)
{
    ret->present = 0;
    ret->raw = rc_slice(NULL, 0);
    return in->version < RC_MQTT_V5 ? RC_OK : take_props_5(in, packet_type, ret);
}

/* ---- CONNECT ---- */

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USER = 0x80,
};

/* Name and level; whether the name is that of 3.1. */
static int take_protocol(struct reader *in, bool *ret_is_old, uint8_t *ret_level)
{
    struct rc_slice name;
    if (!take_bytes(in, &name) || !take_u8(in, ret_level))
        return malformed(in);
    *ret_is_old = rc_slice_eq_str(name, "MQIsdp");
    return *ret_is_old || rc_slice_eq_str(name, "MQTT") ? RC_OK : malformed(in);
}

static bool flags_are_legal(uint8_t flags, uint8_t version)
{
    uint8_t will_qos = (flags & FLAG_WILL_QOS) >> 3;
    if ((flags & FLAG_RESERVED) || will_qos > 2)
        return false;
    if (!(flags & FLAG_WILL) && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)))
        return false;
    /* 3.x: a password needs a user name; version 5 lets it stand alone. */
    return version >= RC_MQTT_V5 || !(flags & FLAG_PASSWORD) || (flags & FLAG_USER);
}

static int take_will(struct reader *in, uint8_t flags, struct rc_mqtt_connect *ret)
{
    ret->has_will = flags & FLAG_WILL;
    ret->will_qos = (flags & FLAG_WILL_QOS) >> 3;
    ret->will_retain = flags & FLAG_WILL_RETAIN;
    ret->will_topic = ret->will_payload = rc_slice(NULL, 0);
    ret->will_props.present = 0;
    ret->will_props.raw = rc_slice(NULL, 0);
    if (!ret->has_will)
        return RC_OK;
    int err = take_props(in, RC_MQTT_WILL, &ret->will_props);
    if (err != RC_OK)
        return err;
    if (!take_text(in, &ret->will_topic) || !take_bytes(in, &ret->will_payload))
        return malformed(in);
    if (!rc_topic_name_is_valid(ret->will_topic))
        return refused(in, RC_MQTT_TOPIC_NAME_INVALID);
    if (rc_mqtt_props_has(&ret->will_props, RC_MQTT_PROP_RESPONSE_TOPIC) &&
        !rc_topic_name_is_valid(ret->will_props.strings[RC_MQTT_PROP_RESPONSE_TOPIC]))
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    return RC_OK;
}

/* What stands behind the protocol's level, in the shape of in->version. */
static int take_connect_rest(struct reader *in, struct rc_mqtt_connect *ret)
{
    uint8_t flags;
    if (!take_u8(in, &flags) || !flags_are_legal(flags, in->version) || !take_u16(in, &ret->keep_alive_s))
        return malformed(in);
    ret->is_clean = flags & FLAG_CLEAN;
    int err = take_props(in, RC_MQTT_CONNECT, &ret->props);
    if (err != RC_OK)
        return err;
    if (!take_text(in, &ret->client_id))
        return malformed(in);
    err = take_will(in, flags, ret);
    if (err != RC_OK)
        return err;
    ret->has_user = flags & FLAG_USER;
    ret->has_password = flags & FLAG_PASSWORD;
    ret->user = ret->password = rc_slice(NULL, 0);
    if ((ret->has_user && !take_text(in, &ret->user)) ||
        (ret->has_password && !take_bytes(in, &ret->password)))
        return malformed(in);
    return RC_OK;
}

/*
 * A level that nobody knows. Its sender understands the answer that belongs to the shape of its packet: so
 * bridges of mosquitto, which ask with a bit of their own in the level, come again without it. What has no
 * shape at all gets no answer.
 */
static int refuse_level(const struct reader *in, bool is_before_v5, struct rc_mqtt_connect *ret)
{
    static const uint8_t shapes[] = {RC_MQTT_V311, RC_MQTT_V5};
    for (size_t i = 0; i < sizeof(shapes); i++) {
        struct reader rest = *in;
        rest.version = shapes[i];
        if (take_connect_rest(&rest, ret) != RC_OK || left(&rest) > 0)
            continue;
        ret->version = is_before_v5 ? RC_MQTT_V311 : shapes[i];
        *in->reason = RC_MQTT_UNSUPPORTED_VERSION;
        return RC_ERR_VERSION;
    }
    *in->reason = RC_MQTT_MALFORMED_PACKET;
    return RC_ERR_PROTOCOL;
}

static int decode_connect(struct reader *in, struct rc_mqtt_connect *ret)
{
    bool is_old;
    uint8_t level;
    int err = take_protocol(in, &is_old, &level);
    if (err != RC_OK)
        return err;
    bool is_known = is_old ? level == RC_MQTT_V31 : level == RC_MQTT_V311 || level == RC_MQTT_V5;
    if (!is_known)
        return refuse_level(in, is_old || level < RC_MQTT_V5, ret);
    ret->version = in->version = level;
    return take_connect_rest(in, ret);
}

static int decode_connack(struct reader *in, struct rc_mqtt_connack *ret)
{
    uint8_t flags;
    if (!take_u8(in, &flags) || flags > 1 || !take_u8(in, &ret->reason))
        return malformed(in);
    ret->session_present = flags;
    bool is_known = in->version < RC_MQTT_V5 ? ret->reason <= RC_MQTT_V3_NOT_AUTHORIZED
                                             : rc_mqtt_reason_is_of(RC_MQTT_CONNACK, ret->reason);
    if (!is_known || (ret->session_present && ret->reason != 0)) /* MQTT-3.2.2-6 */
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    return take_props(in, RC_MQTT_CONNACK, &ret->props);
}

/* ---- the others ---- */

static int decode_publish(struct reader *in, uint8_t flags, struct rc_mqtt_publish *ret)
{
    ret->dup = flags & 8;
    ret->qos = (flags >> 1) & 3;
    ret->retain = flags & 1;
    ret->packet_id = 0;
    if (ret->qos == 3 || (ret->dup && ret->qos == 0))
        return malformed(in);
    if (!take_bytes(in, &ret->topic))
        return malformed(in);
    bool is_plain = rc_topic_name_is_plain(ret->topic);
    if (!is_plain && !rc_mqtt_is_text(ret->topic))
        return malformed(in);
    int err = ret->qos > 0 ? take_packet_id(in, &ret->packet_id) : RC_OK;
    if (err == RC_OK)
        err = take_props(in, RC_MQTT_PUBLISH, &ret->props);
    if (err != RC_OK)
        return err;
    bool has_alias = in->version >= RC_MQTT_V5 && rc_mqtt_props_has(&ret->props, RC_MQTT_PROP_TOPIC_ALIAS);
    if (ret->topic.len == 0 && has_alias)
        ; /* the alias names the topic */
    else if (ret->topic.len == 0 && in->version >= RC_MQTT_V5)
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    else if (!is_plain && !rc_topic_name_is_valid(ret->topic))
        return refused(in, RC_MQTT_TOPIC_NAME_INVALID);
    if (in->version >= RC_MQTT_V5 && rc_mqtt_props_has(&ret->props, RC_MQTT_PROP_RESPONSE_TOPIC) &&
        !rc_topic_name_is_valid(ret->props.strings[RC_MQTT_PROP_RESPONSE_TOPIC]))
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    ret->payload = rc_slice(in->at, left(in));
    in->at = in->end;
    return RC_OK;
}

static int decode_ack(struct reader *in, uint8_t type, struct rc_mqtt_ack *ret)
{
    ret->reason = RC_MQTT_SUCCESS;
    ret->props.present = 0;
    ret->props.raw = rc_slice(NULL, 0);
    int err = take_packet_id(in, &ret->packet_id);
    if (err != RC_OK || in->version < RC_MQTT_V5 || left(in) == 0)
        return err;
    take_u8(in, &ret->reason);
    if (!rc_mqtt_reason_is_of(type, ret->reason))
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    return left(in) == 0 ? RC_OK : take_props(in, type, &ret->props);
}

static int decode_reasoned(struct reader *in, uint8_t type, struct rc_mqtt_reasoned *ret)
{
    ret->reason = RC_MQTT_SUCCESS;
    ret->props.present = 0;
    ret->props.raw = rc_slice(NULL, 0);
    if (in->version < RC_MQTT_V5)
        return type == RC_MQTT_AUTH ? refused(in, RC_MQTT_PROTOCOL_ERROR) : RC_OK;
    if (left(in) == 0)
        return RC_OK;
    take_u8(in, &ret->reason);
    if (!rc_mqtt_reason_is_of(type, ret->reason))
        return refused(in, RC_MQTT_PROTOCOL_ERROR);
    return left(in) == 0 ? RC_OK : take_props(in, type, &ret->props);
}

/* What is wrong with a subscription's options, RC_MQTT_SUCCESS when nothing is. */
static uint8_t fault_of_options(uint8_t options, uint8_t version)
{
    if (version < RC_MQTT_V5)
        return options <= 2 ? RC_MQTT_SUCCESS : RC_MQTT_MALFORMED_PACKET;
    if ((options & RC_MQTT_SUB_RESERVED) != 0)
        return RC_MQTT_MALFORMED_PACKET; /* MQTT-3.8.3-5 */
    bool is_right = (options & RC_MQTT_SUB_QOS) != RC_MQTT_SUB_QOS &&
                    (options & RC_MQTT_SUB_RETAIN_HANDLING) != RC_MQTT_SUB_RETAIN_HANDLING;
    return is_right ? RC_MQTT_SUCCESS : RC_MQTT_PROTOCOL_ERROR;
}

static int take_options(struct reader *in)
{
    uint8_t options;
    if (!take_u8(in, &options))
        return malformed(in);
    uint8_t fault = fault_of_options(options, in->version);
    return fault == RC_MQTT_SUCCESS ? RC_OK : refused(in, fault);
}

static int decode_subscribe(struct reader *in, uint8_t type, struct rc_mqtt_subscribe *ret)
{
    int err = take_packet_id(in, &ret->packet_id);
    if (err == RC_OK)
        err = take_props(in, type, &ret->props);
    if (err != RC_OK)
        return err;
    ret->entries = rc_slice(in->at, left(in));
    ret->count = 0;
    while (left(in) > 0) {
        struct rc_slice filter;
        if (!take_text(in, &filter) || filter.len == 0)
            return malformed(in);
        if (type == RC_MQTT_SUBSCRIBE && (err = take_options(in)) != RC_OK)
            return err;
        ret->count++;
    }
    return ret->count > 0 ? RC_OK : refused(in, RC_MQTT_PROTOCOL_ERROR);
}

static bool codes_are_of(struct rc_slice codes, uint8_t type, uint8_t version)
{
    for (size_t i = 0; i < codes.len; i++) {
        uint8_t code = codes.ptr[i];
        bool is_known = version < RC_MQTT_V5
                            ? code <= RC_MQTT_GRANTED_QOS_2 || code == RC_MQTT_UNSPECIFIED_ERROR
                            : rc_mqtt_reason_is_of(type, code);
        if (!is_known)
            return false;
    }
    return true;
}

static int decode_suback(struct reader *in, uint8_t type, struct rc_mqtt_suback *ret)
{
    int err = take_packet_id(in, &ret->packet_id);
    if (err == RC_OK)
        err = take_props(in, type, &ret->props);
    if (err != RC_OK)
        return err;
    ret->codes = rc_slice(in->at, left(in));
    in->at = in->end;
    bool has_codes = type == RC_MQTT_SUBACK || in->version >= RC_MQTT_V5;
    if ((ret->codes.len > 0) != has_codes)
        return malformed(in);
    return codes_are_of(ret->codes, type, in->version) ? RC_OK : refused(in, RC_MQTT_PROTOCOL_ERROR);
}

static int decode_body(struct reader *in, uint8_t flags, struct rc_mqtt_packet *ret)
{
    switch (ret->type) {
    case RC_MQTT_CONNECT:
        return decode_connect(in, &ret->connect);
    case RC_MQTT_CONNACK:
        return decode_connack(in, &ret->connack);
    case RC_MQTT_PUBLISH:
        return decode_publish(in, flags, &ret->publish);
    case RC_MQTT_PUBACK:
    case RC_MQTT_PUBREC:
    case RC_MQTT_PUBREL:
    case RC_MQTT_PUBCOMP:
        return decode_ack(in, ret->type, &ret->ack);
    case RC_MQTT_SUBSCRIBE:
    case RC_MQTT_UNSUBSCRIBE:
        return decode_subscribe(in, ret->type, &ret->subscribe);
    case RC_MQTT_SUBACK:
    case RC_MQTT_UNSUBACK:
        return decode_suback(in, ret->type, &ret->suback);
    case RC_MQTT_DISCONNECT:
    case RC_MQTT_AUTH:
        return decode_reasoned(in, ret->type, &ret->reasoned);
    default: /* PINGREQ, PINGRESP */
        return RC_OK;
    }
}

/*
 * The four low bits of the first byte that each type must carry; PUBLISH is free. Version 3.1 alone has DUP
 * in other packets that are sent again.
 */
static bool first_byte_is_legal(uint8_t byte, uint8_t version)
{
    enum { DUP = 8 };
    uint8_t type = byte >> 4, flags = byte & 15;
    if (type == 0)
        return false;
    if (type == RC_MQTT_PUBLISH)
        return (flags & 6) != 6;
    bool wants_two = type == RC_MQTT_PUBREL || type == RC_MQTT_SUBSCRIBE || type == RC_MQTT_UNSUBSCRIBE;
    if (wants_two && version == RC_MQTT_V31)
        flags &= (uint8_t)~DUP;
    return flags == (wants_two ? 2 : 0);
}

/* As rc_mqtt_frame_size; *ret_header: the bytes of the fixed header, where there is a size. */
static inline int64_t frame_size(struct rc_slice in, uint8_t version, uint32_t max_size, uint8_t *ret_reason,
                                 int *ret_header)
{
    *ret_reason = RC_MQTT_MALFORMED_PACKET;
    if (in.len == 0)
        return 0;
    if (!first_byte_is_legal(in.ptr[0], version))
        return RC_ERR_PROTOCOL;
    uint32_t remaining;
    int used = rc_mqtt_varint_decode(rc_slice_from(in, 1), &remaining);
    if (used <= 0)
        return used;
    *ret_header = 1 + used;
    int64_t size = *ret_header + (int64_t)remaining;
    if (size > max_size) {
        *ret_reason = RC_MQTT_PACKET_TOO_LARGE;
        return RC_ERR_TOO_LARGE;
    }
    return size;
}

int64_t rc_mqtt_frame_size(struct rc_slice in, uint8_t version, uint32_t max_size, uint8_t *ret_reason)
{
    int header;
    return frame_size(in, version, max_size, ret_reason, &header);
}

int64_t rc_mqtt_decode(struct rc_slice in, uint8_t version, uint32_t max_size, struct rc_mqtt_packet *ret)
{
    ret->type = in.len > 0 ? in.ptr[0] >> 4 : 0;
    if (ret->type == RC_MQTT_CONNECT)
        ret->connect.version = 0;
    int header;
    int64_t size = frame_size(in, version, max_size, &ret->reason, &header);
    if (size <= 0 || (size_t)size > in.len)
        return size <= 0 ? size : 0;
    struct reader reader = {
        .at = in.ptr + header, .end = in.ptr + size, .version = version, .reason = &ret->reason};
    int err = decode_body(&reader, in.ptr[0] & 15, ret);
    if (err != RC_OK)
        return err;
    if (reader.at != reader.end) {
        ret->reason = RC_MQTT_MALFORMED_PACKET;
        return RC_ERR_PROTOCOL;
    }
    ret->reason = RC_MQTT_SUCCESS;
    return size;
}

bool rc_mqtt_next_unsubscription(struct rc_slice entries, size_t *at, struct rc_slice *filter)
{
    if (*at >= entries.len)
        return false;
    size_t len = rc_load_u16(entries.ptr + *at);
    *filter = rc_slice(entries.ptr + *at + 2, len);
    *at += 2 + len;
    return true;
}

bool rc_mqtt_next_subscription(struct rc_slice entries, size_t *at, struct rc_slice *filter, uint8_t *options)
{
    if (!rc_mqtt_next_unsubscription(entries, at, filter))
        return false;
    *options = entries.ptr[(*at)++];
    return true;
}
