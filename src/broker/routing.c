/* From one PUBLISH to the subscribers of all shards: each shard matches its own tree. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/log.h"

struct rc_publication *rc_publication_create(struct rc_slice topic, struct rc_slice payload, uint8_t qos,
                                             bool retain)
{
    struct rc_publication *publication = rc_malloc(sizeof(*publication) + topic.len + payload.len);
    atomic_init(&publication->refs, 1);
    publication->qos = qos;
    publication->retain = retain;
    publication->topic_len = (uint32_t)topic.len;
    publication->payload_len = (uint32_t)payload.len;
    memcpy(publication->bytes, topic.ptr, topic.len);
    if (payload.len > 0)
        memcpy(publication->bytes + topic.len, payload.ptr, payload.len);
    return publication;
}

void rc_publication_unref(struct rc_publication *publication)
{
    if (atomic_fetch_sub_explicit(&publication->refs, 1, memory_order_acq_rel) == 1)
        free(publication);
}

struct rc_slice rc_publication_topic(const struct rc_publication *publication)
{
    return rc_slice(publication->bytes, publication->topic_len);
}

struct rc_slice rc_publication_payload(const struct rc_publication *publication)
{
    return rc_slice(publication->bytes + publication->topic_len, publication->payload_len);
}

/* ---- one shard ---- */

struct matching {
    struct rc_broker *broker;
    uint32_t count;
};

/* A session that several of its subscriptions match gets one copy, at the highest QoS. */
static void on_match(struct rc_subscription *subscription, void *arg)
{
    struct matching *matching = arg;
    struct rc_broker *broker = matching->broker;
    struct rc_session *session = subscription->session;
    if (session->stamp == broker->publish_stamp) {
        if (session->stamp_qos < subscription->qos)
            session->stamp_qos = subscription->qos;
        return;
    }
    session->stamp = broker->publish_stamp;
    session->stamp_qos = subscription->qos;
    if (matching->count == broker->matched_cap) {
        broker->matched_cap = broker->matched_cap ? 2 * broker->matched_cap : 64;
        broker->matched = rc_realloc(broker->matched, broker->matched_cap * sizeof(*broker->matched));
    }
    broker->matched[matching->count++] = session;
}

static void deliver_here(struct rc_broker *broker, struct rc_slice instance,
                         struct rc_publication *publication)
{
    struct matching matching = {.broker = broker};
    broker->publish_stamp++;
    rc_subscriptions_match(&broker->subscriptions, instance, rc_publication_topic(publication), on_match,
                           &matching);
    for (uint32_t i = 0; i < matching.count; i++) {
        struct rc_session *session = broker->matched[i];
        uint8_t qos = session->stamp_qos < publication->qos ? session->stamp_qos : publication->qos;
        rc_delivery_send(broker, session, publication, qos);
    }
}

/* ---- the others ---- */

struct forward {
    struct rc_mail mail;
    struct rc_broker *to;
    struct rc_publication *publication;
    uint16_t instance_len;
    char instance[RC_CATALOG_ID_MAX];
};

static void on_forward(struct rc_mail *mail, struct rc_loop *loop)
{
    struct forward *forward = rc_container_of(mail, struct forward, mail);
    atomic_fetch_sub_explicit(&forward->to->forwards_in, 1, memory_order_relaxed);
    deliver_here(forward->to, rc_slice(forward->instance, forward->instance_len), forward->publication);
    rc_publication_unref(forward->publication);
    free(forward);
}

static void post_forward(struct rc_broker *from, struct rc_broker *to, struct rc_slice instance,
                         struct rc_publication *publication)
{
    if (atomic_load_explicit(&to->counters.subscriptions, memory_order_relaxed) == 0)
        return; /* a subscription made this very moment on another shard has no order with this message */
    if (atomic_fetch_add_explicit(&to->forwards_in, 1, memory_order_relaxed) >= RC_BROKER_FORWARDS_MAX) {
        atomic_fetch_sub_explicit(&to->forwards_in, 1, memory_order_relaxed);
        RC_COUNT(&from->counters, dropped_forward);
        rc_log_error("mqtt", "messages dropped: shard %u is %d publishes behind", to->options.shard,
                     RC_BROKER_FORWARDS_MAX);
        return;
    }
    struct forward *forward = rc_malloc(sizeof(*forward));
    forward->mail.deliver = on_forward;
    forward->to = to;
    forward->publication = publication;
    forward->instance_len = (uint16_t)instance.len;
    memcpy(forward->instance, instance.ptr, instance.len);
    atomic_fetch_add_explicit(&publication->refs, 1, memory_order_relaxed);
    rc_loop_post(to->options.loop, &forward->mail);
}

void rc_route(struct rc_broker *broker, struct rc_slice instance, const struct rc_mqtt_publish *publish)
{
    struct rc_publication *publication = rc_publication_create(
        publish->topic, publish->payload, publish->qos > 1 ? 1 : publish->qos, publish->retain);
    deliver_here(broker, instance, publication);
    for (uint32_t i = 0; i < broker->options.shards; i++)
        if (i != broker->options.shard)
            post_forward(broker, broker->options.brokers[i], instance, publication);
    rc_publication_unref(publication);
}

void rc_publish_internal(struct rc_broker *broker, struct rc_slice instance,
                         const struct rc_mqtt_publish *publish, struct rc_session *from)
{
    rc_route(broker, instance, publish);
}
