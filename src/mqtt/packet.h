/*
 * MQTT packets of 3.1, 3.1.1 and 5.0: bytes in, views out; and the other way. No I/O, no memory of its own:
 * views point into the caller's bytes and live as long as those.
 */
#ifndef RC_MQTT_PACKET_H
#define RC_MQTT_PACKET_H

#include "mqtt/props.h"

struct rc_mqtt_connect {
    uint8_t version; /* RC_MQTT_V31, V311, V5 */
    bool is_clean;   /* clean session / clean start */
    uint16_t keep_alive_s;
    struct rc_slice client_id;
    bool has_will, will_retain;
    uint8_t will_qos;
    struct rc_slice will_topic, will_payload;
    bool has_user, has_password;
    struct rc_slice user, password;
    struct rc_mqtt_props props, will_props; /* of version 5 */
};

struct rc_mqtt_connack {
    bool session_present;
    uint8_t reason; /* of version 5, or the return code of 3.x */
    struct rc_mqtt_props props;
};

struct rc_mqtt_publish {
    bool dup, retain;
    uint8_t qos;
    uint16_t packet_id;    /* 0 with QoS 0 */
    struct rc_slice topic; /* empty only in version 5 with a topic alias */
    struct rc_slice payload;
    struct rc_mqtt_props props;
};

/* PUBACK, PUBREC, PUBREL, PUBCOMP */
struct rc_mqtt_ack {
    uint16_t packet_id;
    uint8_t reason;
    struct rc_mqtt_props props;
};

/* SUBSCRIBE and UNSUBSCRIBE: walk `entries`, which were checked, with rc_mqtt_next_*. */
struct rc_mqtt_subscribe {
    uint16_t packet_id;
    struct rc_slice entries;
    uint32_t count;
    struct rc_mqtt_props props;
};

/* SUBACK and UNSUBACK: one code an entry (none in UNSUBACK of 3.x). */
struct rc_mqtt_suback {
    uint16_t packet_id;
    struct rc_slice codes;
    struct rc_mqtt_props props;
};

/* DISCONNECT and AUTH */
struct rc_mqtt_reasoned {
    uint8_t reason;
    struct rc_mqtt_props props;
};

struct rc_mqtt_packet {
    uint8_t type;   /* enum rc_mqtt_type */
    uint8_t reason; /* on failure: the reason code of version 5 that fits best */
    union {
        struct rc_mqtt_connect connect;
        struct rc_mqtt_connack connack;
        struct rc_mqtt_publish publish;
        struct rc_mqtt_ack ack;
        struct rc_mqtt_subscribe subscribe; /* and unsubscribe */
        struct rc_mqtt_suback suback;       /* and unsuback */
        struct rc_mqtt_reasoned reasoned;   /* disconnect, auth */
    };
};

/*
 * Looks at the fixed header alone: the size of the whole packet (> 0), 0 when more bytes are needed to tell,
 * or an error: RC_ERR_PROTOCOL (type or flags are illegal), RC_ERR_TOO_LARGE (over `max_size` bytes in all).
 * `version` is that of the connection; 0 before CONNECT. Cheap enough to ask again for every byte of a slow
 * sender.
 */
int64_t rc_mqtt_frame_size(struct rc_slice in, uint8_t version, uint32_t max_size, uint8_t *ret_reason);

/*
 * Decodes the packet at the front of `in`. `version` is that of the connection (ignored for CONNECT). Returns
 * its size (> 0); 0 when `in` ends inside of it; RC_ERR_PROTOCOL, RC_ERR_TOO_LARGE or RC_ERR_VERSION with
 * ret->reason and, as far as it was read, ret->type and (for CONNECT) ret->connect.version: 0 when there is
 * nothing that could be answered; after RC_ERR_VERSION the one in whose form to answer.
 */
int64_t rc_mqtt_decode(struct rc_slice in, uint8_t version, uint32_t max_size, struct rc_mqtt_packet *ret);

/* Subscription options as they stand on the wire. */
enum {
    RC_MQTT_SUB_QOS = 0x03,
    RC_MQTT_SUB_NO_LOCAL = 0x04,
    RC_MQTT_SUB_RETAIN_AS_PUBLISHED = 0x08,
    RC_MQTT_SUB_RETAIN_HANDLING = 0x30,
    RC_MQTT_SUB_RESERVED = 0xc0,
    RC_MQTT_SUB_RETAIN_HANDLING_SHIFT = 4,
};
/* Start with *at = 0; false at the end. */
bool rc_mqtt_next_subscription(struct rc_slice entries, size_t *at, struct rc_slice *filter,
                               uint8_t *options);
bool rc_mqtt_next_unsubscription(struct rc_slice entries, size_t *at, struct rc_slice *filter);

/*
 * Encoding appends one packet to `out`: 0, RC_ERR_FULL (the buffer's limit), RC_ERR_TOO_LARGE (the
 * protocol's), and then nothing was appended. `props` are encoded properties without their length (version 5;
 * else ignored).
 */
int rc_mqtt_put_connect(struct rc_buf *out, const struct rc_mqtt_connect *connect, struct rc_slice props,
                        struct rc_slice will_props);
int rc_mqtt_put_connack(struct rc_buf *out, uint8_t version, bool session_present, uint8_t reason,
                        struct rc_slice props);
int rc_mqtt_put_publish(struct rc_buf *out, uint8_t version, const struct rc_mqtt_publish *publish,
                        struct rc_slice props);
/* The whole packet's size in bytes. */
uint64_t rc_mqtt_publish_size(uint8_t version, const struct rc_mqtt_publish *publish, size_t props_len);
/*
 * The same packet but for the payload's bytes, which must follow: for payloads that many receivers share. The
 * caller has the room, rc_mqtt_publish_size less the payload, and knows topic and packet to be within MQTT's
 * limits; returns the place behind it.
 */
uint8_t *rc_mqtt_write_publish_head(uint8_t *at, uint8_t version, const struct rc_mqtt_publish *publish,
                                    struct rc_slice props);
/* PUBACK, PUBREC, PUBREL, PUBCOMP by `type`; version 3.x carries no reason. */
int rc_mqtt_put_ack(struct rc_buf *out, uint8_t version, uint8_t type, uint16_t packet_id, uint8_t reason,
                    struct rc_slice props);
/* `entries` as on the wire: put each with rc_mqtt_put_subscription / rc_mqtt_put_text into a buffer before.
 */
int rc_mqtt_put_subscribe(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice entries,
                          struct rc_slice props);
int rc_mqtt_put_unsubscribe(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice entries,
                            struct rc_slice props);
int rc_mqtt_put_suback(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice codes,
                       struct rc_slice props);
int rc_mqtt_put_unsuback(struct rc_buf *out, uint8_t version, uint16_t packet_id, struct rc_slice codes,
                         struct rc_slice props);
int rc_mqtt_put_pingreq(struct rc_buf *out);
int rc_mqtt_put_pingresp(struct rc_buf *out);
int rc_mqtt_put_disconnect(struct rc_buf *out, uint8_t version, uint8_t reason, struct rc_slice props);
int rc_mqtt_put_auth(struct rc_buf *out, uint8_t reason, struct rc_slice props);

int rc_mqtt_put_text(struct rc_buf *out, struct rc_slice text);
int rc_mqtt_put_subscription(struct rc_buf *out, struct rc_slice filter, uint8_t options);

#endif
