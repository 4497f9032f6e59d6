/* PUBLISH as one client gets it: its version, its aliases, its limit on packets. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/error.h"

enum { EXPIRY_BYTES = 5, ALIAS_BYTES = 3 };

static void unref(void *arg)
{
    rc_publication_unref(arg);
}

/*
 * Whole seconds that are left, at least one: an expired message is not sent at all, but for one that was sent
 * before and is sent again, whose receiver may have begun with it.
 */
static uint32_t seconds_left(const struct rc_publication *publication, uint64_t now_ms)
{
    if (now_ms >= publication->expires_ms)
        return 1;
    return (uint32_t)((publication->expires_ms - now_ms + 999) / 1000);
}

/* The properties of this copy, without an alias. */
static size_t props_size(const struct rc_copy *copy)
{
    const struct rc_publication *publication = copy->publication;
    size_t size = rc_publication_props(publication).len;
    if (publication->expires_ms != 0)
        size += EXPIRY_BYTES;
    for (uint16_t i = 0; i < copy->ids_count; i++)
        size += 1 + (size_t)rc_mqtt_varint_size(copy->ids[i]);
    return size;
}

static void put_props(const struct rc_conn *conn, const struct rc_copy *copy, struct rc_buf *out)
{
    const struct rc_publication *publication = copy->publication;
    rc_buf_put_slice(out, rc_publication_props(publication));
    if (publication->expires_ms != 0)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_MESSAGE_EXPIRY,
                                 seconds_left(publication, rc_loop_now_ms(conn->broker->options.loop)));
    for (uint16_t i = 0; i < copy->ids_count; i++)
        rc_mqtt_props_put_number(out, RC_MQTT_PROP_SUBSCRIPTION_ID, copy->ids[i]);
}

/* Takes the topic out of the packet where the client knows the alias. */
static void put_alias(struct rc_conn *conn, struct rc_mqtt_publish *publish, struct rc_buf *out)
{
    bool is_known;
    uint16_t alias =
        rc_topic_alias_assign(&rc_conn_rare(conn)->aliases, conn->alias_max_out, publish->topic, &is_known);
    rc_mqtt_props_put_number(out, RC_MQTT_PROP_TOPIC_ALIAS, alias);
    if (is_known)
        publish->topic.len = 0;
}

static bool fits(const struct rc_conn *conn, const struct rc_mqtt_publish *publish, size_t props_len)
{
    return conn->max_packet_out == UINT32_MAX ||
           rc_mqtt_publish_size(conn->version, publish, props_len) <= conn->max_packet_out;
}

/* A small payload is copied behind the head, a large one is sent from where it is. */
static inline void put(struct rc_conn *conn, struct rc_publication *publication,
                       const struct rc_mqtt_publish *publish, struct rc_slice props)
{
    size_t payload_len = publish->payload.len;
    size_t head_len = (size_t)rc_mqtt_publish_size(conn->version, publish, props.len) - payload_len;
    bool is_copied = payload_len <= RC_OUTPUT_COPY_MAX;
    uint8_t *at = rc_output_reserve(&conn->output, head_len + (is_copied ? payload_len : 0));
    at = rc_mqtt_write_publish_head(at, conn->version, publish, props);
    if (!is_copied)
        rc_output_put_ref(&conn->output, publish->payload, unref, rc_publication_ref(publication));
    else if (payload_len > 0)
        memcpy(at, publish->payload.ptr, payload_len);
}

/* With properties that the publication does not have. */
static RC_APART void put_with_own_props(struct rc_conn *conn, const struct rc_copy *copy,
                                        struct rc_mqtt_publish *publish, size_t props_len, bool has_alias)
{
    struct rc_buf own;
    rc_buf_init(&own, (uint32_t)props_len + ALIAS_BYTES);
    put_props(conn, copy, &own);
    if (has_alias)
        put_alias(conn, publish, &own);
    put(conn, copy->publication, publish, rc_buf_slice(&own));
    rc_buf_free(&own);
}

bool rc_publish_out(struct rc_conn *conn, const struct rc_copy *copy, uint16_t packet_id, bool dup)
{
    struct rc_publication *publication = copy->publication;
    struct rc_mqtt_publish publish; /* `props`, a kilobyte, is not for sending and stays as it is */
    publish.dup = dup;
    publish.qos = copy->qos;
    publish.retain = copy->retain;
    publish.packet_id = packet_id;
    publish.topic = rc_publication_topic(publication);
    publish.payload = rc_publication_payload(publication);
    struct rc_slice props =
        conn->version >= RC_MQTT_V5 ? rc_publication_props(publication) : rc_slice(NULL, 0);
    size_t props_len = conn->version >= RC_MQTT_V5 ? props_size(copy) : 0;
    if (!fits(conn, &publish, props_len)) {
        RC_COUNT(&conn->broker->counters, dropped_too_large);
        return false;
    }
    /* Whether an alias is known is not known beforehand: it is left out where it might be too much. */
    bool has_alias = conn->alias_max_out > 0 && fits(conn, &publish, props_len + ALIAS_BYTES);
    if (has_alias || props_len > props.len)
        put_with_own_props(conn, copy, &publish, props_len, has_alias);
    else
        put(conn, publication, &publish, props);
    RC_COUNT(&conn->broker->counters, publishes_sent);
    RC_COUNT(&conn->broker->counters, packets_sent);
    RC_COUNT_ADD(&conn->broker->counters, publish_bytes_sent, publication->payload_len);
    rc_conn_touch(conn);
    return true;
}
