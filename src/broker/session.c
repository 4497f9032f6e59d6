#include "broker/private.h"

#include "base/alloc.h"
#include "base/log.h"

const char *rc_session_client_id(const struct rc_session *session)
{
    return session->key + session->instance_len + 1;
}

struct rc_slice rc_session_instance(const struct rc_session *session)
{
    return rc_slice(session->key, session->instance_len);
}

void rc_session_unref(struct rc_session *session)
{
    if (--session->refs > 0)
        return;
    rc_delivery_free(session);
    free(session);
}

static void drop_subscriptions(struct rc_broker *broker, struct rc_session *session)
{
    while (session->subscriptions != NULL) {
        struct rc_subscription *subscription = session->subscriptions;
        session->subscriptions = subscription->session_next;
        rc_subscriptions_remove(subscription);
        free(subscription);
    }
    RC_COUNT_ADD(&broker->counters, subscriptions, -(int64_t)session->subscription_count);
    session->subscription_count = 0;
}

/* The session ends: nobody finds it any more. */
static void discard(struct rc_broker *broker, struct rc_session *session)
{
    drop_subscriptions(broker, session);
    rc_delivery_free(session);
    rc_list_remove(&session->absent_node);
    if (!session->is_listed)
        return;
    rc_map_remove(&broker->sessions, rc_slice(session->key, session->key_len));
    session->is_listed = false;
    RC_COUNT_DOWN(&broker->counters, sessions);
    rc_session_unref(session);
}

static struct rc_session *create(struct rc_broker *broker, struct rc_slice key, struct rc_slice instance)
{
    struct rc_session *session = rc_calloc(1, sizeof(*session) + key.len + 1);
    memcpy(session->key, key.ptr, key.len);
    session->key_len = (uint16_t)key.len;
    session->instance_len = (uint16_t)instance.len;
    session->is_listed = true;
    session->refs = 1;
    rc_list_init(&session->absent_node);
    rc_map_insert(&broker->sessions, session);
    RC_COUNT(&broker->counters, sessions);
    return session;
}

struct rc_session *rc_session_open(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_slice client_id, bool is_clean, bool *ret_present)
{
    char bytes[RC_CATALOG_ID_MAX + 1 + RC_CLIENT_ID_MAX];
    memcpy(bytes, instance.ptr, instance.len);
    bytes[instance.len] = '\0';
    memcpy(bytes + instance.len + 1, client_id.ptr, client_id.len);
    struct rc_slice key = rc_slice(bytes, instance.len + 1 + client_id.len);
    struct rc_session *session = rc_map_find(&broker->sessions, key);
    if (session != NULL && session->conn != NULL) {
        RC_COUNT(&broker->counters, takeovers);
        rc_conn_disconnect(session->conn, RC_MQTT_SESSION_TAKEN_OVER, "takeover");
        session = rc_map_find(&broker->sessions, key); /* one that does not outlive it is gone */
    }
    if (session != NULL && is_clean) {
        discard(broker, session);
        session = NULL;
    }
    *ret_present = session != NULL;
    if (session == NULL)
        session = create(broker, key, instance);
    rc_list_remove(&session->absent_node);
    session->refs++;
    return session;
}

void rc_session_leave(struct rc_broker *broker, struct rc_session *session)
{
    session->conn = NULL;
    if (session->expiry_s == 0) {
        discard(broker, session);
        return;
    }
    session->absent_since_ms = rc_loop_now_ms(broker->options.loop);
    rc_list_push_back(&broker->absent, &session->absent_node);
    uint32_t kept_max = RC_BROKER_SESSIONS_KEPT_MAX / broker->options.shards;
    if (broker->sessions.count > kept_max + broker->options.max_connections) {
        struct rc_session *oldest = rc_container_of(broker->absent.next, struct rc_session, absent_node);
        RC_COUNT(&broker->counters, sessions_dropped);
        rc_log_warn("mqtt", "a session was dropped: more than %u clients are absent", kept_max);
        discard(broker, oldest);
    }
}

void rc_session_sweep(struct rc_broker *broker, bool all)
{
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    while (!rc_list_is_empty(&broker->absent)) {
        struct rc_session *session = rc_container_of(broker->absent.next, struct rc_session, absent_node);
        if (!all && now - session->absent_since_ms < broker->options.session_keep_ms)
            return;
        discard(broker, session);
    }
}
