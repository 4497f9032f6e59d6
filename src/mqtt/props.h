/*
 * Properties of MQTT 5. Decoding checks which packet may carry which, their values and that none stands
 * twice; it copies nothing. A value is meaningful only when its bit is in `present`.
 */
#ifndef RC_MQTT_PROPS_H
#define RC_MQTT_PROPS_H

#include "base/buf.h"
#include "mqtt/types.h"

enum rc_mqtt_prop {
    RC_MQTT_PROP_PAYLOAD_FORMAT = 1,
    RC_MQTT_PROP_MESSAGE_EXPIRY = 2,
    RC_MQTT_PROP_CONTENT_TYPE = 3,
    RC_MQTT_PROP_RESPONSE_TOPIC = 8,
    RC_MQTT_PROP_CORRELATION_DATA = 9,
    RC_MQTT_PROP_SUBSCRIPTION_ID = 11,
    RC_MQTT_PROP_SESSION_EXPIRY = 17,
    RC_MQTT_PROP_ASSIGNED_CLIENT_ID = 18,
    RC_MQTT_PROP_SERVER_KEEP_ALIVE = 19,
    RC_MQTT_PROP_AUTH_METHOD = 21,
    RC_MQTT_PROP_AUTH_DATA = 22,
    RC_MQTT_PROP_REQUEST_PROBLEM_INFO = 23,
    RC_MQTT_PROP_WILL_DELAY = 24,
    RC_MQTT_PROP_REQUEST_RESPONSE_INFO = 25,
    RC_MQTT_PROP_RESPONSE_INFO = 26,
    RC_MQTT_PROP_SERVER_REFERENCE = 28,
    RC_MQTT_PROP_REASON_STRING = 31,
    RC_MQTT_PROP_RECEIVE_MAXIMUM = 33,
    RC_MQTT_PROP_TOPIC_ALIAS_MAXIMUM = 34,
    RC_MQTT_PROP_TOPIC_ALIAS = 35,
    RC_MQTT_PROP_MAXIMUM_QOS = 36,
    RC_MQTT_PROP_RETAIN_AVAILABLE = 37,
    RC_MQTT_PROP_USER = 38,
    RC_MQTT_PROP_MAXIMUM_PACKET_SIZE = 39,
    RC_MQTT_PROP_WILDCARDS_AVAILABLE = 40,
    RC_MQTT_PROP_SUBSCRIPTION_IDS_AVAILABLE = 41,
    RC_MQTT_PROP_SHARED_AVAILABLE = 42,
    RC_MQTT_PROP_COUNT = 43,
};

/* The pseudo packet type of a will's properties, beside the enum rc_mqtt_type values. */
enum { RC_MQTT_WILL = 0 };

struct rc_mqtt_props {
    uint64_t present;    /* bit (1 << id) */
    struct rc_slice raw; /* all properties as they stood, for the iterators and for passing on */
    uint32_t numbers[RC_MQTT_PROP_COUNT];        /* by id, for those with a number */
    struct rc_slice strings[RC_MQTT_PROP_COUNT]; /* by id, for those with text or bytes (not USER) */
};

static inline bool rc_mqtt_props_has(const struct rc_mqtt_props *props, enum rc_mqtt_prop id)
{
    return (props->present >> id) & 1;
}

/* The number of a property, `otherwise` when it is absent. */
static inline uint32_t rc_mqtt_props_number(const struct rc_mqtt_props *props, enum rc_mqtt_prop id,
                                            uint32_t otherwise)
{
    return rc_mqtt_props_has(props, id) ? props->numbers[id] : otherwise;
}

/*
 * Decodes `raw` (the properties without their length) of a packet of that type (or RC_MQTT_WILL). 0, or a
 * negative rc_err with *ret_reason.
 */
int rc_mqtt_props_decode(struct rc_slice raw, uint8_t packet_type, struct rc_mqtt_props *ret,
                         uint8_t *ret_reason);

/* Walk user properties / subscription identifiers in order; start with *at = 0; false at the end. */
bool rc_mqtt_props_next_user(struct rc_slice raw, size_t *at, struct rc_slice *name, struct rc_slice *value);
bool rc_mqtt_props_next_subscription_id(struct rc_slice raw, size_t *at, uint32_t *id);

/* Appending one property: 0 or RC_ERR_FULL / RC_ERR_TOO_LARGE. */
int rc_mqtt_props_put_number(struct rc_buf *out, enum rc_mqtt_prop id, uint32_t value);
int rc_mqtt_props_put_string(struct rc_buf *out, enum rc_mqtt_prop id, struct rc_slice value);
int rc_mqtt_props_put_user(struct rc_buf *out, struct rc_slice name, struct rc_slice value);
/*
 * Copies from `raw` the properties of a PUBLISH (or will) that a server passes on unchanged: payload format,
 * content type, response topic, correlation data, user properties, in order.
 */
int rc_mqtt_props_copy_forwarded(struct rc_buf *out, struct rc_slice raw);

/* Variable byte integers. Decode: bytes used (1..4), 0 needs more, RC_ERR_PROTOCOL for a fifth byte or a
 * longer form than needed. */
int rc_mqtt_varint_decode_any(struct rc_slice in, uint32_t *ret);
/* The same, quick for one of one byte, as most are. */
static inline int rc_mqtt_varint_decode(struct rc_slice in, uint32_t *ret)
{
    if (in.len == 0 || in.ptr[0] >= 0x80)
        return rc_mqtt_varint_decode_any(in, ret);
    *ret = in.ptr[0];
    return 1;
}
static inline int rc_mqtt_varint_size(uint32_t value)
{
    return value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : 4;
}
int rc_mqtt_varint_put(struct rc_buf *out, uint32_t value);
/* The same where the caller has the room (rc_mqtt_varint_size) and knows the value to be within the limit;
 * returns the place behind it. */
uint8_t *rc_mqtt_varint_write(uint8_t *at, uint32_t value);

/* UTF-8 as MQTT wants it: valid, without U+0000. */
bool rc_mqtt_is_text(struct rc_slice text);

#endif
