/* $SYS: who comes and goes, told as MQTT messages to those of the client's instance who may read that. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "broker/private.h"

#include <stdio.h>

enum { NOTICE_JSON_MAX = 32 * 1024, NOTICE_TOPIC_MAX = 4 * RC_CLIENT_ID_MAX };

struct notice {
    struct rc_list node;
    uint16_t instance_len, topic_len;
    uint32_t payload_len;
    uint8_t bytes[]; /* instance, topic, payload */
};

static bool somebody_listens(const struct rc_broker *broker)
{
    for (uint32_t i = 0; i < broker->options.shards; i++)
        if (atomic_load_explicit(&broker->options.brokers[i]->counters.sys_subscriptions,
                                 memory_order_relaxed) > 0)
            return true;
    return false;
}

/* One level of a topic: what would make it more, or a wildcard, is written as %XX. */
static void put_level(struct rc_buf *out, struct rc_slice client_id)
{
    for (size_t i = 0; i < client_id.len; i++) {
        uint8_t byte = client_id.ptr[i];
        if (byte == '/' || byte == '+' || byte == '#' || byte == '%')
            rc_buf_printf(out, "%%%02X", byte);
        else
            rc_buf_put_u8(out, byte);
    }
}

static struct rc_slice user_name(const struct rc_conn *conn)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    return identity != NULL && identity->user != NULL  ? identity->user->name
           : identity != NULL && identity->key != NULL ? identity->key->access_key
                                                       : rc_slice(NULL, 0);
}

static void put_json(struct rc_buf *out, const struct rc_conn *conn, const char *reason)
{
    char ip[RC_CLIENT_IP_MAX], channel[RC_CHANNEL_HEX_LEN];
    struct rc_json json;
    int64_t now_ms = rc_clock_wall_ms();
    rc_hex_lower(channel, conn->channel.id, RC_CHANNEL_ID_LEN);
    rc_json_init(&json, out);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "clientid", conn->channel.client_id);
    rc_json_put_string(&json, "username", user_name(conn));
    rc_json_put_string(&json, "ipaddress", rc_channel_client_ip(&conn->channel, ip));
    rc_json_put_str(&json, "proto_name", conn->version == RC_MQTT_V31 ? "MQIsdp" : "MQTT");
    rc_json_put_int(&json, "proto_ver", conn->version);
    rc_json_put_string(&json, "channelid", rc_slice(channel, sizeof(channel)));
    rc_json_put_int(&json, "connected_at", conn->channel.connect_ms);
    if (reason == NULL) {
        rc_json_put_int(&json, "keepalive", conn->keep_alive_ms / 1500);
    } else {
        rc_json_put_str(&json, "reason", reason);
        rc_json_put_int(&json, "disconnected_at", now_ms);
    }
    rc_json_put_int(&json, "ts", now_ms);
    rc_json_object_end(&json);
}

static void add(struct rc_broker *broker, struct rc_slice instance, struct rc_slice topic,
                struct rc_slice payload)
{
    struct notice *notice = rc_malloc(sizeof(*notice) + instance.len + topic.len + payload.len);
    notice->instance_len = (uint16_t)instance.len;
    notice->topic_len = (uint16_t)topic.len;
    notice->payload_len = (uint32_t)payload.len;
    memcpy(notice->bytes, instance.ptr, instance.len);
    memcpy(notice->bytes + instance.len, topic.ptr, topic.len);
    memcpy(notice->bytes + instance.len + topic.len, payload.ptr, payload.len);
    rc_list_push_back(&broker->sys.notices, &notice->node);
    broker->sys.notices_count++;
}

static void tell(struct rc_conn *conn, const char *what, const char *reason)
{
    struct rc_broker *broker = conn->broker;
    struct rc_buf topic, payload;
    if (broker->is_stopping || conn->session == NULL || !somebody_listens(broker))
        return;
    if (broker->sys.notices_count >= RC_SYS_NOTICES_MAX) {
        RC_COUNT(&broker->counters, dropped_notices);
        return;
    }
    rc_buf_init(&topic, NOTICE_TOPIC_MAX);
    rc_buf_init(&payload, NOTICE_JSON_MAX);
    rc_buf_printf(&topic, "$SYS/brokers/%s/clients/", broker->options.node);
    put_level(&topic, rc_slice_str(conn->channel.client_id));
    rc_buf_printf(&topic, "/%s", what);
    put_json(&payload, conn, reason);
    add(broker, rc_session_instance(conn->session), rc_buf_slice(&topic), rc_buf_slice(&payload));
    rc_buf_free(&topic);
    rc_buf_free(&payload);
}

void rc_sys_connected(struct rc_conn *conn)
{
    tell(conn, "connected", NULL);
}

void rc_sys_disconnected(struct rc_conn *conn, const char *reason)
{
    tell(conn, "disconnected", reason);
}

bool rc_sys_publish_notices(struct rc_broker *broker)
{
    bool had_any = false;
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->sys.notices)) != NULL; had_any = true) {
        struct notice *notice = rc_container_of(node, struct notice, node);
        struct rc_mqtt_publish publish = {
            .qos = 1,
            .topic = rc_slice(notice->bytes + notice->instance_len, notice->topic_len),
            .payload =
                rc_slice(notice->bytes + notice->instance_len + notice->topic_len, notice->payload_len),
        };
        broker->sys.notices_count--;
        rc_publish_internal(broker, rc_slice(notice->bytes, notice->instance_len), &publish, NULL);
        free(notice);
    }
    return had_any;
}

void rc_sys_free(struct rc_broker *broker)
{
    rc_timer_stop(&broker->sys.timer);
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->sys.notices)) != NULL;)
        free(rc_container_of(node, struct notice, node));
}
