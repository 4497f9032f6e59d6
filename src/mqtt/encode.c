#include "base/error.h"
#include "mqtt/packet.h"

/*
 * A packet is put together at the buffer's end; when a part does not fit, what was put is taken back, so a
 * buffer never holds half a packet.
 */
struct writer {
    struct rc_buf *out;
    uint32_t start; /* bytes in the buffer before the packet */
    int err;
};

static struct writer begin(struct rc_buf *out, uint8_t first_byte, uint64_t remaining)
{
    struct writer w = {.out = out, .start = (uint32_t)rc_buf_len(out)};
    if (remaining > RC_MQTT_REMAINING_MAX) {
        w.err = RC_ERR_TOO_LARGE;
        return w;
    }
    w.err = rc_buf_put_u8(out, first_byte);
    if (w.err == RC_OK)
        w.err = rc_mqtt_varint_put(out, (uint32_t)remaining);
    return w;
}

static void put_u8(struct writer *w, uint8_t value)
{
    if (w->err == RC_OK)
        w->err = rc_buf_put_u8(w->out, value);
}

static void put_u16(struct writer *w, uint16_t value)
{
    if (w->err == RC_OK)
        w->err = rc_buf_put_u16(w->out, value);
}

static void put_raw(struct writer *w, struct rc_slice bytes)
{
    if (w->err == RC_OK)
        w->err = rc_buf_put_slice(w->out, bytes);
}

static void put_block(struct writer *w, struct rc_slice bytes)
{
    if (w->err == RC_OK)
        w->err = rc_mqtt_put_text(w->out, bytes);
}

static void put_props(struct writer *w, uint8_t version, struct rc_slice props)
{
    if (version < RC_MQTT_V5)
        return;
    if (w->err == RC_OK)
        w->err = rc_mqtt_varint_put(w->out, (uint32_t)props.len);
    put_raw(w, props);
}

static int end(struct writer *w)
{
    if (w->err != RC_OK)
        w->out->end = w->out->start + w->start;
    return w->err;
}

static uint64_t props_size(uint8_t version, size_t len)
{
    return version < RC_MQTT_V5 ? 0 : (uint64_t)rc_mqtt_varint_size((uint32_t)len) + len;
}

int rc_mqtt_put_text(struct rc_buf *out, struct rc_slice text)
{
    if (text.len > RC_MQTT_STRING_MAX)
        return RC_ERR_TOO_LARGE;
    uint32_t before = (uint32_t)rc_buf_len(out);
    int err = rc_buf_put_u16(out, (uint16_t)text.len);
    if (err == RC_OK)
        err = rc_buf_put_slice(out, text);
    if (err != RC_OK)
        out->end = out->start + before;
    return err;
}

int rc_mqtt_put_subscription(struct rc_buf *out, struct rc_slice filter, uint8_t options)
{
    int err = rc_mqtt_put_text(out, filter);
    return err ? err : rc_buf_put_u8(out, options);
}

int rc_mqtt_put_connect(struct rc_buf *out, const struct rc_mqtt_connect *connect, struct rc_slice props,
                        struct rc_slice will_props)
{
    uint8_t version = connect->version;
    struct rc_slice name = rc_slice_str(version == RC_MQTT_V31 ? "MQIsdp" : "MQTT");
    uint64_t size = 2 + name.len + 4 + props_size(version, props.len) + 2 + connect->client_id.len;
    if (connect->has_will)
        size += props_size(version, will_props.len) + 4 + connect->will_topic.len + connect->will_payload.len;
    size += (connect->has_user ? 2 + connect->user.len : 0) +
            (connect->has_password ? 2 + connect->password.len : 0);
    uint8_t flags =
        (uint8_t)(connect->is_clean << 1 | connect->has_will << 2 | connect->will_qos << 3 |
                  connect->will_retain << 5 | connect->has_password << 6 | connect->has_user << 7);
    struct writer w = begin(out, RC_MQTT_CONNECT << 4, size);
    put_block(&w, name);
    put_u8(&w, version);
    put_u8(&w, flags);
    put_u16(&w, connect->keep_alive_s);
    put_props(&w, version, props);
    put_block(&w, connect->client_id);
    if (connect->has_will) {
        put_props(&w, version, will_props);
        put_block(&w, connect->will_topic);
        put_block(&w, connect->will_payload);
    }
    if (connect->has_user)
        put_block(&w, connect->user);
    if (connect->has_password)
        put_block(&w, connect->password);
    return end(&w);
}

int rc_mqtt_put_connack(struct rc_buf *out, uint8_t version, bool session_present, uint8_t reason,
                        struct rc_slice props)
{
    struct writer w = begin(out, RC_MQTT_CONNACK << 4, 2 + props_size(version, props.len));
    put_u8(&w, session_present);
    put_u8(&w, reason);
    put_props(&w, version, props);
    return end(&w);
}

static uint64_t publish_remaining(uint8_t version, const struct rc_mqtt_publish *publish, size_t props_len)
{
    return 2 + publish->topic.len + (publish->qos > 0 ? 2 : 0) + props_size(version, props_len) +
           publish->payload.len;
}

uint64_t rc_mqtt_publish_size(uint8_t version, const struct rc_mqtt_publish *publish, size_t props_len)
{
    uint64_t remaining = publish_remaining(version, publish, props_len);
    return 1 + (uint64_t)rc_mqtt_varint_size((uint32_t)remaining) + remaining;
}

uint8_t *rc_mqtt_write_publish_head(uint8_t *at, uint8_t version, const struct rc_mqtt_publish *publish,
                                    struct rc_slice props)
{
    *at++ = (uint8_t)(RC_MQTT_PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
    at = rc_mqtt_varint_write(at, (uint32_t)publish_remaining(version, publish, props.len));
    rc_store_u16(at, (uint16_t)publish->topic.len);
    at += 2;
    if (publish->topic.len > 0)
        memcpy(at, publish->topic.ptr, publish->topic.len);
    at += publish->topic.len;
    if (publish->qos > 0) {
        rc_store_u16(at, publish->packet_id);
        at += 2;
    }
    if (version < RC_MQTT_V5)
        return at;
    at = rc_mqtt_varint_write(at, (uint32_t)props.len);
    if (props.len > 0)
        memcpy(at, props.ptr, props.len);
    return at + props.len;
}

int rc_mqtt_put_publish(struct rc_buf *out, uint8_t version, const struct rc_mqtt_publish *publish,
                        struct rc_slice props)
{
    if (publish->topic.len > RC_MQTT_STRING_MAX ||
        publish_remaining(version, publish, props.len) > RC_MQTT_REMAINING_MAX)
        return RC_ERR_TOO_LARGE;
    size_t size = (size_t)rc_mqtt_publish_size(version, publish, props.len);
    uint8_t *at = rc_buf_reserve(out, size);
    if (at == NULL)
        return RC_ERR_FULL;
    at = rc_mqtt_write_publish_head(at, version, publish, props);
    if (publish->payload.len > 0)
        memcpy(at, publish->payload.ptr, publish->payload.len);
    rc_buf_commit(out, size);
    return RC_OK;
}

int rc_mqtt_put_ack(struct rc_buf *out, uint8_t version, uint8_t type, uint16_t packet_id, uint8_t reason,
                    struct rc_slice props)
{
    bool has_props = version >= RC_MQTT_V5 && props.len > 0;
    bool has_reason = version >= RC_MQTT_V5 && (reason != RC_MQTT_SUCCESS || has_props);
    uint8_t flags = type == RC_MQTT_PUBREL ? 2 : 0;
    struct writer w = begin(out, (uint8_t)(type << 4 | flags),
                            2u + has_reason + (has_props ? props_size(version, props.len) : 0));
    put_u16(&w, packet_id);
    if (has_reason)
        put_u8(&w, reason);
    if (has_props)
        put_props(&w, version, props);
    return end(&w);
}

/* packet id, properties, list: the shape of (un)subscribe and their acknowledgements */
static int put_list(struct rc_buf *out, uint8_t version, uint8_t first_byte, uint16_t packet_id,
                    struct rc_slice list, struct rc_slice props)
{
    struct writer w = begin(out, first_byte, 2 + props_size(version, props.len) + list.len);
    put_u16(&w, packet_id);
    put_props(&w, version, props);
    put_raw(&w, list);
    return end(&w);
}

int rc_mqtt_put_subscribe(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice entries,
                          struct rc_slice props)
{
    return put_list(out, version, RC_MQTT_SUBSCRIBE << 4 | 2, packet_id, entries, props);
}

int rc_mqtt_put_unsubscribe(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice entries,
                            struct rc_slice props)
{
    return put_list(out, version, RC_MQTT_UNSUBSCRIBE << 4 | 2, packet_id, entries, props);
}

int rc_mqtt_put_suback(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice codes,
                       struct rc_slice props)
{
    return put_list(out, version, RC_MQTT_SUBACK << 4, packet_id, codes, props);
}

int rc_mqtt_put_unsuback(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice codes,
                         struct rc_slice props)
{
    if (version < RC_MQTT_V5)
        codes = rc_slice(NULL, 0);
    return put_list(out, version, RC_MQTT_UNSUBACK << 4, packet_id, codes, props);
}

int rc_mqtt_put_pingreq(struct rc_buf *out)
{
    struct writer w = begin(out, RC_MQTT_PINGREQ << 4, 0);
    return end(&w);
}

int rc_mqtt_put_pingresp(struct rc_buf *out)
{
    struct writer w = begin(out, RC_MQTT_PINGRESP << 4, 0);
    return end(&w);
}

static int put_reasoned(struct rc_buf *out, uint8_t type, uint8_t version, uint8_t reason,
                        struct rc_slice props)
{
    bool has_props = version >= RC_MQTT_V5 && props.len > 0;
    bool has_reason = version >= RC_MQTT_V5 && (reason != RC_MQTT_SUCCESS || has_props);
    struct writer w =
        begin(out, (uint8_t)(type << 4), has_reason + (has_props ? props_size(version, props.len) : 0));
    if (has_reason)
        put_u8(&w, reason);
    if (has_props)
        put_props(&w, version, props);
    return end(&w);
}

int rc_mqtt_put_disconnect(struct rc_buf *out, uint8_t version, uint8_t reason, struct rc_slice props)
{
    return put_reasoned(out, RC_MQTT_DISCONNECT, version, reason, props);
}

int rc_mqtt_put_auth(struct rc_buf *out, uint8_t reason, struct rc_slice props)
{
    return put_reasoned(out, RC_MQTT_AUTH, RC_MQTT_V5, reason, props);
}
