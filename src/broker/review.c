/*
 * After a reload: clients that lost their right go. All connections are gone through, some at a time, so that
 * a reload is no pause for the others; a client that comes meanwhile is checked against the new catalog
 * anyway.
 */
#include "broker/private.h"

#include "base/log.h"

enum { REVIEW_BATCH = 2000, REVIEW_PAUSE_MS = 4 };

static struct rc_slice group_of(const struct rc_conn *conn)
{
    if (conn->tally == NULL)
        return conn->arrival != NULL && conn->arrival->client.group != NULL ? conn->arrival->client.group->id
                                                                            : rc_slice(NULL, 0);
    return rc_slice(conn->tally->key + conn->identity->instance_len + 1,
                    conn->tally->key_len - conn->identity->instance_len - 1u);
}

uint8_t rc_review_verdict(const struct rc_conn *conn)
{
    const struct rc_identity *identity = rc_conn_identity(conn);
    if (identity == NULL || identity->instance == NULL)
        return RC_MQTT_ADMINISTRATIVE_ACTION;
    if (!rc_identity_is_valid(identity))
        return RC_MQTT_NOT_AUTHORIZED;
    if (rc_conn_certificate(conn) != NULL &&
        !rc_certificate_counts(identity->instance, rc_slice_str(rc_conn_certificate(conn))))
        return RC_MQTT_NOT_AUTHORIZED;
    struct rc_slice client_id =
        rc_slice_str(conn->session != NULL ? rc_session_client_id(conn->session) : conn->arrival->client_id);
    if (rc_instance_mark(&identity->instance->black, client_id) != NULL)
        return RC_MQTT_ADMINISTRATIVE_ACTION; /* "banned" is for CONNACK alone */
    return rc_instance_group(identity->instance, group_of(conn)) != NULL ? RC_MQTT_SUCCESS
                                                                         : RC_MQTT_ADMINISTRATIVE_ACTION;
}

bool rc_review_subscriptions(struct rc_conn *conn)
{
    bool all_allowed = true;
    for (struct rc_subscription *one = conn->session->subscriptions, *next; one != NULL; one = next) {
        next = one->session_next;
        struct rc_slice filter = rc_slice(one->filter, one->filter_len);
        enum rc_access_result access = rc_access_subscribe(conn, filter, one->options & RC_MQTT_SUB_QOS);
        one->is_partial = access == RC_ACCESS_PARTLY;
        if (rc_access_is_granted(access))
            continue;
        all_allowed = false;
        rc_session_unsubscribe(conn->broker, conn->session, filter);
    }
    return all_allowed;
}

static bool may_read(const struct rc_publication *publication, void *arg)
{
    return publication->is_p2p || rc_access_reads(arg, rc_publication_topic(publication));
}

static bool has_partial(const struct rc_session *session)
{
    const struct rc_subscription *one = session->subscriptions;
    while (one != NULL && !one->is_partial)
        one = one->session_next;
    return one != NULL;
}

void rc_review_return(struct rc_conn *conn)
{
    if (!rc_review_subscriptions(conn) || has_partial(conn->session))
        rc_delivery_keep_only(conn->session, may_read, conn);
}

static void review(struct rc_conn *conn)
{
    char client[128];
    if (conn->session == NULL)
        return;
    uint8_t verdict = rc_review_verdict(conn);
    if (verdict == RC_MQTT_SUCCESS && !rc_tokens_review(conn))
        return;
    if (verdict == RC_MQTT_SUCCESS && !rc_review_subscriptions(conn))
        verdict = RC_MQTT_NOT_AUTHORIZED;
    if (verdict == RC_MQTT_SUCCESS)
        return;
    RC_COUNT(&conn->broker->counters, revoked);
    rc_log_info("auth", "client closed: the configuration gives it no right to be here any more: client=%s",
                rc_log_quote(client, sizeof(client), rc_slice_str(rc_session_client_id(conn->session))));
    rc_conn_disconnect(conn, verdict, "revoked");
}

static void on_due(struct rc_timer *timer)
{
    struct rc_broker *broker = rc_container_of(timer, struct rc_broker, review_timer);
    for (int i = 0; i < REVIEW_BATCH && !rc_list_is_empty(&broker->review); i++) {
        struct rc_conn *conn = rc_container_of(rc_list_pop_front(&broker->review), struct rc_conn, node);
        rc_list_push_back(&broker->conns, &conn->node);
        review(conn);
    }
    if (!rc_list_is_empty(&broker->review))
        rc_timer_start(broker->options.loop, timer, REVIEW_PAUSE_MS);
}

void rc_review_init(struct rc_broker *broker)
{
    rc_list_init(&broker->review);
    broker->review_timer.on_due = on_due;
}

void rc_review_start(struct rc_broker *broker, const struct rc_catalog_change *change)
{
    for (uint32_t i = 0; !change->all && i < change->clients_count; i++) {
        const struct rc_session *session =
            rc_session_find(broker, change->clients[i].instance, change->clients[i].client_id);
        if (session != NULL && session->conn != NULL)
            review(session->conn);
    }
    if (!change->all && !change->tokens)
        return;
    rc_list_splice_back(&broker->review, &broker->conns);
    on_due(&broker->review_timer);
}

void rc_review_stop(struct rc_broker *broker)
{
    rc_timer_stop(&broker->review_timer);
    rc_list_splice_back(&broker->conns, &broker->review);
}
