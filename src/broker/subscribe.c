/* SUBSCRIBE and UNSUBSCRIBE. */
#include "broker/private.h"

#include "base/alloc.h"
#include "mqtt/topic.h"

/* ---- a session's subscriptions ---- */

static struct rc_subscription **find_subscription(struct rc_session *session, struct rc_slice filter)
{
    struct rc_subscription **at = &session->subscriptions;
    while (*at != NULL && !rc_slice_eq(rc_slice((*at)->filter, (*at)->filter_len), filter))
        at = &(*at)->session_next;
    return at;
}

static bool is_shared(struct rc_slice filter)
{
    struct rc_slice name, inner;
    return rc_topic_filter_split_shared(filter, &name, &inner);
}

struct rc_subscription *rc_session_subscription(struct rc_session *session, struct rc_slice filter)
{
    return *find_subscription(session, filter);
}

static struct rc_subscription *add(struct rc_broker *broker, struct rc_session *session,
                                   struct rc_slice filter)
{
    struct rc_subscription *subscription = rc_calloc(1, sizeof(*subscription) + filter.len);
    subscription->session = session;
    subscription->filter_len = (uint16_t)filter.len;
    memcpy(subscription->filter, filter.ptr, filter.len);
    subscription->session_next = session->subscriptions;
    session->subscriptions = subscription;
    session->subscription_count++;
    RC_COUNT(&broker->counters, subscriptions);
    if (is_shared(filter)) {
        subscription->share = rc_share_name_create(filter);
        session->shared_count++;
        return subscription;
    }
    if (rc_sys_is_about(filter))
        RC_COUNT(&broker->counters, sys_subscriptions);
    rc_subscriptions_add(&broker->subscriptions, rc_session_instance(session), subscription);
    return subscription;
}

static void take_out(struct rc_broker *broker, struct rc_session *session, struct rc_subscription **link)
{
    struct rc_subscription *subscription = *link;
    *link = subscription->session_next;
    rc_persist_end_subscription(broker, subscription);
    if (subscription->share != NULL) {
        rc_share_leave(broker, subscription);
        rc_share_name_unref(subscription->share);
        session->shared_count--;
    } else {
        if (rc_sys_is_about(rc_slice(subscription->filter, subscription->filter_len)))
            RC_COUNT_DOWN(&broker->counters, sys_subscriptions);
        rc_subscriptions_remove(&broker->subscriptions, subscription);
    }
    free(subscription);
    session->subscription_count--;
    RC_COUNT_DOWN(&broker->counters, subscriptions);
}

bool rc_session_unsubscribe(struct rc_broker *broker, struct rc_session *session, struct rc_slice filter)
{
    struct rc_subscription **link = find_subscription(session, filter);
    if (*link == NULL)
        return false;
    take_out(broker, session, link);
    return true;
}

void rc_session_drop_subscriptions(struct rc_broker *broker, struct rc_session *session)
{
    while (session->subscriptions != NULL)
        take_out(broker, session, &session->subscriptions);
}

void rc_session_restore_subscription(struct rc_broker *broker, struct rc_session *session, uint32_t number,
                                     const struct rc_subscription_record *record)
{
    struct rc_subscription *subscription = add(broker, session, record->filter);
    subscription->number = number;
    subscription->id = record->id;
    subscription->options = record->options;
    if (number > rc_session_rare(session)->subscription_numbers)
        session->rare->subscription_numbers = number;
    if (subscription->share != NULL)
        rc_share_join(broker, subscription, NULL, 0);
}

/* ---- SUBACK and UNSUBACK ---- */

static uint8_t first_refusal(struct rc_slice codes)
{
    for (size_t i = 0; i < codes.len; i++)
        if (codes.ptr[i] >= RC_MQTT_UNSPECIFIED_ERROR)
            return codes.ptr[i];
    return RC_MQTT_SUCCESS;
}

static void put_codes(struct rc_conn *conn, uint8_t type, uint16_t packet_id, struct rc_slice codes)
{
    enum { HEAD = RC_MQTT_FIXED_HEADER_MAX + 3 }; /* the packet id, an empty list of properties */
    uint8_t text[RC_MQTT_REASON_STRING_MAX];
    struct rc_buf out, props = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    rc_conn_put_reason(conn, first_refusal(codes), HEAD + codes.len, &props);
    rc_buf_init(&out, (uint32_t)(HEAD + sizeof(text) + codes.len));
    if (type == RC_MQTT_SUBACK)
        rc_mqtt_put_suback(&out, conn->version, packet_id, codes, rc_buf_slice(&props));
    else
        rc_mqtt_put_unsuback(&out, conn->version, packet_id, codes, rc_buf_slice(&props));
    rc_output_put(&conn->output, rc_buf_slice(&out).ptr, rc_buf_len(&out));
    RC_COUNT(&conn->broker->counters, packets_sent);
    rc_conn_touch(conn);
    rc_buf_free(&out);
}

void rc_conn_put_suback(struct rc_conn *conn, uint16_t packet_id, struct rc_slice codes)
{
    put_codes(conn, RC_MQTT_SUBACK, packet_id, codes);
}

/* ---- SUBSCRIBE ---- */

/* One filter of a packet. */
struct wish {
    struct rc_slice filter;
    uint32_t id;
    uint8_t options;
};

/* Why a filter is refused in SUBACK, RC_MQTT_SUCCESS when it is not. */
static uint8_t refusal_of(struct rc_conn *conn, const struct wish *wish, enum rc_access_result access)
{
    const struct rc_limits *limits = rc_conn_limits(conn);
    if (!rc_access_is_granted(access))
        return limits->tells_why ? RC_MQTT_NOT_AUTHORIZED : RC_MQTT_UNSPECIFIED_ERROR;
    if (is_shared(wish->filter) && !limits->has_shared)
        return RC_MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
    if (!limits->has_wildcards && rc_topic_filter_has_wildcard(wish->filter))
        return RC_MQTT_WILDCARDS_NOT_SUPPORTED;
    if (conn->session->subscription_count >= limits->subscriptions_max &&
        *find_subscription(conn->session, wish->filter) == NULL)
        return RC_MQTT_QUOTA_EXCEEDED;
    return RC_MQTT_SUCCESS;
}

/* What SUBACK says of a refusal: before version 5 there is one code for all. */
static uint8_t refuse(struct rc_conn *conn, const struct wish *wish, uint8_t reason)
{
    RC_COUNT(&conn->broker->counters, subscriptions_refused);
    rc_packet_log(conn, rc_mqtt_reason_text(reason), wish->filter);
    return conn->version >= RC_MQTT_V5 ? reason : RC_MQTT_UNSPECIFIED_ERROR;
}

/* Whether the subscription's options ask for what is retained now. */
static bool wants_retained(uint8_t options, bool is_new)
{
    uint8_t handling = (options & RC_MQTT_SUB_RETAIN_HANDLING) >> RC_MQTT_SUB_RETAIN_HANDLING_SHIFT;
    return handling == 0 || (handling == 1 && is_new);
}

/* Makes or changes the subscription: the code for SUBACK. */
static uint8_t subscribe(struct rc_conn *conn, const struct wish *wish, bool *ret_wants_retained)
{
    *ret_wants_retained = false;
    if (!rc_topic_filter_is_valid(wish->filter))
        return refuse(conn, wish, RC_MQTT_TOPIC_FILTER_INVALID);
    enum rc_access_result access = rc_access_subscribe(conn, wish->filter, wish->options & RC_MQTT_SUB_QOS);
    uint8_t reason = refusal_of(conn, wish, access);
    if (reason != RC_MQTT_SUCCESS)
        return refuse(conn, wish, reason);
    struct rc_subscription *subscription = *find_subscription(conn->session, wish->filter);
    bool is_new = subscription == NULL;
    uint8_t qos = wish->options & RC_MQTT_SUB_QOS, qos_max = rc_conn_limits(conn)->qos_max;
    qos = qos < qos_max ? qos : qos_max;
    if (is_new)
        subscription = add(conn->broker, conn->session, wish->filter);
    subscription->options = (wish->options & (uint8_t)~RC_MQTT_SUB_QOS) | qos;
    subscription->id = wish->id;
    subscription->is_partial = access == RC_ACCESS_PARTLY;
    rc_persist_subscription(conn->broker, subscription);
    *ret_wants_retained = wants_retained(wish->options, is_new);
    return qos;
}

/* Shared subscriptions came with version 5, whose SUBACK has a word for one that is not well formed. */
static bool is_for_suback(const struct rc_conn *conn, struct rc_slice filter)
{
    return conn->version >= RC_MQTT_V5 && rc_slice_starts_with(filter, rc_slice_str("$share/"));
}

/*
 * What breaks the protocol, or, in the product's profile, what is forbidden, ends the connection before any
 * filter of the packet took effect. False when it did.
 */
static bool may_subscribe(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet)
{
    struct rc_slice filter;
    uint8_t options;
    if (rc_mqtt_props_has(&packet->props, RC_MQTT_PROP_SUBSCRIPTION_ID) &&
        !rc_conn_limits(conn)->has_subscription_ids)
        return rc_packet_protocol_error(conn, RC_MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED,
                                        "client closed: subscription identifiers are not supported");
    for (size_t at = 0; rc_mqtt_next_subscription(packet->entries, &at, &filter, &options);) {
        bool is_valid = rc_topic_filter_is_valid(filter);
        if (!is_valid && is_for_suback(conn, filter))
            continue;
        if (!is_valid)
            return rc_packet_protocol_error(conn, RC_MQTT_TOPIC_FILTER_INVALID,
                                            "client closed: it subscribed to an invalid filter");
        if ((options & RC_MQTT_SUB_NO_LOCAL) && is_shared(filter))
            return rc_packet_protocol_error(conn, RC_MQTT_PROTOCOL_ERROR,
                                            "client closed: no local with a shared subscription");
        if (rc_access_subscribe(conn, filter, options & RC_MQTT_SUB_QOS) == RC_ACCESS_CLOSE)
            return rc_packet_not_authorized(
                conn, "client closed: it subscribed to a topic that it may not use", filter);
    }
    return true;
}

static uint32_t id_of(const struct rc_mqtt_subscribe *packet)
{
    uint32_t id = 0;
    size_t at = 0;
    rc_mqtt_props_next_subscription_id(packet->props.raw, &at, &id);
    return id;
}

/* SUBACK goes out when every group of a shared subscription knows its new member. */
static void acknowledge(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet, struct rc_slice codes)
{
    struct rc_session *session = conn->session;
    struct rc_slice filter;
    uint8_t options;
    uint32_t i = 0;
    if (session->shared_count == 0) {
        rc_conn_put_suback(conn, packet->packet_id, codes);
        return;
    }
    struct rc_suback_wait *wait = rc_suback_wait_create(session, packet->packet_id, codes);
    for (size_t at = 0; rc_mqtt_next_subscription(packet->entries, &at, &filter, &options); i++) {
        const struct rc_subscription *subscription = *find_subscription(session, filter);
        if (subscription != NULL && subscription->share != NULL && codes.ptr[i] < RC_MQTT_UNSPECIFIED_ERROR)
            rc_share_join(conn->broker, subscription, wait, i);
    }
    rc_suback_wait_seal(conn->broker, wait);
}

bool rc_subscribe_handle(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet)
{
    struct wish wish = {.id = id_of(packet)};
    struct rc_buf codes, retained; /* one byte a filter; the second: whether it wants what is retained */
    bool wants;
    size_t at = 0;
    if (!may_subscribe(conn, packet))
        return false;
    rc_buf_init(&codes, packet->count);
    rc_buf_init(&retained, packet->count);
    while (rc_mqtt_next_subscription(packet->entries, &at, &wish.filter, &wish.options)) {
        rc_buf_put_u8(&codes, subscribe(conn, &wish, &wants));
        rc_buf_put_u8(&retained, wants);
    }
    acknowledge(conn, packet, rc_buf_slice(&codes));
    at = 0;
    for (uint32_t i = 0; rc_mqtt_next_subscription(packet->entries, &at, &wish.filter, &wish.options); i++) {
        struct rc_subscription *subscription = *find_subscription(conn->session, wish.filter);
        if (!rc_buf_slice(&retained).ptr[i] || subscription == NULL || subscription->share != NULL)
            continue;
        rc_route_retained(conn->broker, subscription);
        rc_sys_catch_up(conn->broker, subscription);
    }
    rc_buf_free(&codes);
    rc_buf_free(&retained);
    return true;
}

/* ---- UNSUBSCRIBE ---- */

bool rc_unsubscribe_handle(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet)
{
    struct rc_slice filter;
    struct rc_buf codes;
    rc_buf_init(&codes, packet->count);
    for (size_t at = 0; rc_mqtt_next_unsubscription(packet->entries, &at, &filter);) {
        bool existed = rc_session_unsubscribe(conn->broker, conn->session, filter);
        rc_buf_put_u8(&codes, existed ? RC_MQTT_SUCCESS : RC_MQTT_NO_SUBSCRIPTION_EXISTED);
    }
    put_codes(conn, RC_MQTT_UNSUBACK, packet->packet_id, rc_buf_slice(&codes));
    rc_buf_free(&codes);
    return true;
}
