#include "broker/inflow.h"

#include "base/hash.h"
#include "broker/private.h"
#include "mqtt/topic.h"

static void on_durable(struct rc_persist_waiter *waiter)
{
    struct rc_inflow *inflow = rc_container_of(waiter, struct rc_inflow, waiter);
    inflow->on_done(inflow, RC_INFLOW_TAKEN);
}

static bool is_sound(const struct rc_instance *instance, const struct rc_inflow *inflow)
{
    struct rc_slice client_id;
    bool is_p2p = rc_access_p2p_target(instance, inflow->topic, &client_id);
    return rc_mqtt_is_text(inflow->topic) && rc_topic_name_is_valid(inflow->topic) &&
           inflow->payload.len <= instance->limits.payload_max &&
           (is_p2p || inflow->topic.len <= instance->limits.topic_len_max);
}

/* To one client, as its session says; false when there is nobody to get it. */
static bool deliver_p2p(struct rc_broker *broker, const struct rc_instance *instance,
                        const struct rc_inflow *inflow, const struct rc_mqtt_publish *publish,
                        struct rc_slice client_id)
{
    struct rc_session *session = rc_session_find(broker, inflow->instance, client_id);
    if (session == NULL || (session->conn == NULL && inflow->is_for_present))
        return false;
    struct rc_publication *publication = rc_trace_publication(broker, instance, publish, 0, NULL);
    publication->is_p2p = true;
    if (publication->is_traced)
        rc_trace_published(broker, instance->id, publication, NULL);
    struct rc_copy copy = {.publication = publication, .qos = publication->qos};
    rc_delivery_send(broker, session, &copy);
    rc_publication_unref(publication);
    return true;
}

static bool end(struct rc_inflow *inflow, enum rc_inflow_result result)
{
    inflow->on_done(inflow, result);
    return true;
}

/* False when it has to wait. */
static bool publish(struct rc_broker *broker, struct rc_inflow *inflow)
{
    const struct rc_instance *instance = rc_catalog_instance(broker->catalog, inflow->instance);
    struct rc_mqtt_publish packet = {.topic = inflow->topic, .payload = inflow->payload, .qos = inflow->qos};
    struct rc_slice client_id;
    uint8_t reason;
    if (atomic_load_explicit(&inflow->is_given_up, memory_order_relaxed))
        return end(inflow, RC_INFLOW_GIVEN_UP);
    if (instance == NULL || (inflow->qos > 0 && rc_persist_is_blocked(broker)))
        return false;
    if (!is_sound(instance, inflow) ||
        rc_mqtt_props_decode(inflow->props, RC_MQTT_PUBLISH, &packet.props, &reason) < 0) {
        RC_COUNT(&broker->counters, inflow_refused);
        return end(inflow, RC_INFLOW_REFUSED);
    }
    if (packet.qos > instance->limits.qos_max)
        packet.qos = instance->limits.qos_max;
    uint64_t marks = broker->persist.marks;
    if (rc_access_p2p_target(instance, inflow->topic, &client_id)) {
        if (inflow->shown_topic.len > 0)
            packet.topic = inflow->shown_topic;
        if (!deliver_p2p(broker, instance, inflow, &packet, client_id))
            return end(inflow, RC_INFLOW_NO_CLIENT);
    } else {
        if (rc_route(broker, instance, &packet, NULL) == RC_ROUTED_LATER) {
            broker->outflow.was_refused = false; /* no client is to be told */
            return false;
        }
    }
    rc_persist_wait(broker, &inflow->waiter, marks);
    return true;
}

void rc_inflow_retry(struct rc_broker *broker)
{
    struct rc_list waiting;
    rc_list_init(&waiting);
    for (struct rc_list *node; (node = rc_list_pop_front(&broker->inflows)) != NULL;)
        if (!publish(broker, rc_container_of(node, struct rc_inflow, node)))
            rc_list_push_back(&waiting, node);
    for (struct rc_list *node; (node = rc_list_pop_front(&waiting)) != NULL;)
        rc_list_push_back(&broker->inflows, node);
}

static void on_mail(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_inflow *inflow = rc_container_of(mail, struct rc_inflow, mail);
    struct rc_broker *broker = inflow->broker;
    if (!publish(broker, inflow))
        rc_list_push_back(&broker->inflows, &inflow->node);
}

void rc_inflow_post(struct rc_broker **brokers, uint32_t shards, struct rc_inflow *inflow)
{
    struct rc_slice client_id;
    uint32_t shard = rc_access_split_p2p(inflow->topic, &client_id)
                         ? rc_broker_shard_of(inflow->instance, client_id, shards)
                         : (uint32_t)(rc_hash(inflow->topic) % shards);
    inflow->broker = brokers[shard];
    inflow->mail.deliver = on_mail;
    inflow->waiter.on_done = on_durable;
    rc_loop_post(inflow->broker->options.loop, &inflow->mail);
}
