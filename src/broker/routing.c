/*
 * From one PUBLISH to the subscribers of all shards: each shard matches its own tree. A session that several
 * of its subscriptions match gets one copy: at the highest QoS, with the identifiers of all of them.
 */
#include "broker/routing.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/clock.h"
#include "broker/forward.h"
#include "broker/private.h"

enum { SHARD_BITS = 6 };
_Static_assert(RC_BROKER_SHARDS_MAX <= 1 << SHARD_BITS, "a stamp names its shard");

/* ---- matching, on one shard ---- */

struct match {
    struct rc_session *session;
    uint32_t first_id; /* place in `ids` + 1; 0: none */
    uint16_t ids_count;
    uint8_t qos;
    bool retain_as_published;
};

struct id_link {
    uint32_t id, next; /* next: place + 1 */
};

/* Scratch, used again for each message that more than one subscription matches. */
struct rc_matches {
    struct match *list;
    struct id_link *ids;
    uint32_t count, cap, ids_count, ids_cap;
};

void rc_matches_free(struct rc_matches *matches)
{
    if (matches == NULL)
        return;
    free(matches->list);
    free(matches->ids);
    free(matches);
}

static struct match *match_of(struct rc_broker *broker, struct rc_session *session)
{
    struct rc_matches *matches = broker->matches;
    if (session->stamp == broker->publish_stamp)
        return &matches->list[session->match_at];
    if (matches->count == matches->cap) {
        matches->cap = matches->cap > 0 ? 2 * matches->cap : 64;
        matches->list = rc_realloc(matches->list, matches->cap * sizeof(*matches->list));
    }
    session->stamp = broker->publish_stamp;
    session->match_at = matches->count;
    struct match *match = &matches->list[matches->count++];
    *match = (struct match){.session = session};
    return match;
}

static void add_id(struct rc_matches *matches, struct match *match, uint32_t id)
{
    if (id == 0 || match->ids_count == RC_COPY_IDS_MAX)
        return;
    if (matches->ids_count == matches->ids_cap) {
        matches->ids_cap = matches->ids_cap > 0 ? 2 * matches->ids_cap : 64;
        matches->ids = rc_realloc(matches->ids, matches->ids_cap * sizeof(*matches->ids));
    }
    matches->ids[matches->ids_count] = (struct id_link){id, match->first_id};
    match->first_id = ++matches->ids_count;
    match->ids_count++;
}

static void begin_list(struct rc_broker *broker)
{
    if (broker->matches == NULL)
        broker->matches = rc_new(struct rc_matches);
    broker->publish_stamp++;
    broker->matches->count = broker->matches->ids_count = 0;
}

static void add_to_list(struct rc_broker *broker, const struct rc_subscription *subscription)
{
    struct match *match = match_of(broker, subscription->session);
    uint8_t qos = subscription->options & RC_MQTT_SUB_QOS;
    if (qos > match->qos)
        match->qos = qos;
    if (subscription->options & RC_MQTT_SUB_RETAIN_AS_PUBLISHED)
        match->retain_as_published = true;
    add_id(broker->matches, match, subscription->id);
}

struct matching {
    struct rc_broker *broker;
    struct rc_publication *publication;
    uint32_t count;                      /* of subscriptions */
    const struct rc_subscription *first; /* mostly the only one: it needs no list */
    bool was_own; /* a subscriber was left out because the message is its own (No Local) */
};

/* What comes for an absent client is asked for when it returns (rc_review_return). */
static bool may_bring(const struct rc_subscription *subscription, const struct rc_publication *publication)
{
    struct rc_conn *conn = subscription->session->conn;
    return !subscription->is_partial || conn == NULL ||
           rc_access_reads(conn, rc_publication_topic(publication));
}

static void on_match(struct rc_subscription *subscription, void *arg)
{
    struct matching *matching = arg;
    const struct rc_publication *publication = matching->publication;
    if ((subscription->options & RC_MQTT_SUB_NO_LOCAL) &&
        subscription->session->number == publication->from) {
        matching->was_own = true;
        return;
    }
    if (!may_bring(subscription, publication))
        return;
    if (matching->count++ == 0) {
        matching->first = subscription;
        return;
    }
    if (matching->count == 2) {
        begin_list(matching->broker);
        add_to_list(matching->broker, matching->first);
    }
    add_to_list(matching->broker, subscription);
}

static uint8_t lesser(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* As one subscription alone brings it. */
static struct rc_copy copy_for(const struct rc_subscription *subscription, struct rc_publication *publication,
                               bool retain)
{
    return (struct rc_copy){
        .publication = publication,
        .qos = lesser(subscription->options & RC_MQTT_SUB_QOS, publication->qos),
        .retain = retain,
        .ids = &subscription->id,
        .ids_count = subscription->id != 0 ? 1 : 0,
    };
}

static void deliver_match(struct rc_broker *broker, const struct match *match,
                          struct rc_publication *publication)
{
    uint32_t ids[RC_COPY_IDS_MAX];
    struct rc_copy copy = {
        .publication = publication,
        .qos = lesser(match->qos, publication->qos),
        .retain = match->retain_as_published && publication->retain,
        .ids = ids,
    };
    for (uint32_t at = match->first_id; at != 0; at = broker->matches->ids[at - 1].next)
        ids[copy.ids_count++] = broker->matches->ids[at - 1].id;
    rc_delivery_send(broker, match->session, &copy);
}

static RC_APART void deliver_list(struct rc_broker *broker, struct rc_publication *publication)
{
    for (uint32_t i = 0; i < broker->matches->count; i++)
        deliver_match(broker, &broker->matches->list[i], publication);
}

static void deliver_alone(struct rc_broker *broker, const struct rc_subscription *subscription,
                          struct rc_publication *publication)
{
    bool retain = publication->retain && (subscription->options & RC_MQTT_SUB_RETAIN_AS_PUBLISHED);
    struct rc_copy copy = copy_for(subscription, publication, retain);
    rc_delivery_send(broker, subscription->session, &copy);
}

/* True when somebody has subscribed to it, although it may be its publisher who wants none of his own.
 * Nothing that delivery does ends a session or changes a subscription: those wait for the end of the turn, or
 * for their own packets. */
static bool deliver_to_subscribers(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_publication *publication)
{
    struct matching matching = {.broker = broker, .publication = publication};
    rc_subscriptions_match(&broker->subscriptions, instance, rc_publication_topic(publication), on_match,
                           &matching);
    if (matching.count > 1)
        deliver_list(broker, publication);
    else if (matching.count == 1)
        deliver_alone(broker, matching.first, publication);
    return matching.count > 0 || matching.was_own;
}

/* <parent>/p2p/<client id>: that client, subscribed or not, and nobody else. */
static RC_APART bool deliver_p2p(struct rc_broker *broker, struct rc_slice instance,
                                 struct rc_publication *publication)
{
    struct rc_slice client_id;
    rc_access_split_p2p(rc_publication_topic(publication), &client_id);
    struct rc_session *session = rc_session_find(broker, instance, client_id);
    struct rc_copy copy = {.publication = publication, .qos = publication->qos};
    if (session == NULL)
        return false;
    rc_delivery_send(broker, session, &copy);
    return true;
}

/* True when somebody here gets it. */
static bool deliver_here(struct rc_broker *broker, struct rc_slice instance,
                         struct rc_publication *publication)
{
    if (publication->is_p2p)
        return deliver_p2p(broker, instance, publication);
    if (publication->stamp != 0)
        rc_retained_set(&broker->retained, instance, publication, rc_loop_now_ms(broker->options.loop));
    bool is_wanted = deliver_to_subscribers(broker, instance, publication);
    return rc_share_route(broker, instance, publication) || is_wanted;
}

void rc_route_arrived(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication)
{
    deliver_here(broker, instance, publication);
}

bool rc_route_here(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication)
{
    return deliver_to_subscribers(broker, instance, publication);
}

/* ---- the other shards ---- */

/* A subscription made this very moment on another shard has no order with this message. */
static bool may_concern(const struct rc_broker *to, const struct rc_publication *publication)
{
    return publication->stamp != 0 ||
           atomic_load_explicit(&to->counters.subscriptions, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&to->counters.shared_groups, memory_order_relaxed) > 0;
}

static RC_APART bool route_p2p(struct rc_broker *broker, struct rc_slice instance,
                               struct rc_publication *publication)
{
    struct rc_slice client_id;
    rc_access_split_p2p(rc_publication_topic(publication), &client_id);
    uint32_t owner = rc_broker_shard_of(instance, client_id, broker->options.shards);
    if (owner == broker->options.shard)
        return deliver_here(broker, instance, publication);
    rc_forward(broker, broker->options.brokers[owner], instance, publication);
    return true;
}

static bool route_to_all(struct rc_broker *broker, struct rc_slice instance,
                         struct rc_publication *publication)
{
    bool is_wanted = deliver_here(broker, instance, publication);
    for (uint32_t i = 0; i < broker->options.shards; i++) {
        struct rc_broker *to = broker->options.brokers[i];
        if (i == broker->options.shard || !may_concern(to, publication))
            continue;
        rc_forward(broker, to, instance, publication);
        is_wanted = true;
    }
    return is_wanted;
}

/* ---- publishing ---- */

/* Whether all shards that it concerns keep up. What is retained goes to each of them in any case. */
static RC_APART bool can_arrive(const struct rc_broker *broker, struct rc_slice instance,
                                const struct rc_publication *publication)
{
    struct rc_slice client_id;
    uint32_t only = UINT32_MAX;
    if (publication->stamp != 0)
        return true;
    if (publication->is_p2p) {
        rc_access_split_p2p(rc_publication_topic(publication), &client_id);
        only = rc_broker_shard_of(instance, client_id, broker->options.shards);
    }
    for (uint32_t i = 0; i < broker->options.shards; i++) {
        struct rc_broker *to = broker->options.brokers[i];
        bool is_concerned = only == UINT32_MAX ? may_concern(to, publication) : only == i;
        if (i != broker->options.shard && is_concerned && !rc_forward_has_room(to))
            return false;
    }
    return true;
}

/* An acknowledgement is a promise: what cannot be handed on is not taken. Its publisher is told, and sends it
 * again. */
static bool is_promised(struct rc_broker *broker, struct rc_slice instance,
                        const struct rc_publication *publication)
{
    if (publication->qos == 0 || can_arrive(broker, instance, publication))
        return true;
    RC_COUNT(&broker->counters, refused_forward);
    broker->outflow.was_refused = true;
    return false;
}

static uint64_t stamp_now(const struct rc_broker *broker)
{
    return rc_clock_mono_ns() << SHARD_BITS | broker->options.shard;
}

enum rc_routed rc_route(struct rc_broker *broker, const struct rc_instance *instance,
                        const struct rc_mqtt_publish *publish, const struct rc_session *from)
{
    return rc_route_named(broker, instance, publish, from, NULL);
}

enum rc_routed rc_route_named(struct rc_broker *broker, const struct rc_instance *instance,
                              const struct rc_mqtt_publish *publish, const struct rc_session *from,
                              const uint8_t *id)
{
    struct rc_slice client_id;
    bool is_retained = publish->retain && instance->limits.has_retained;
    if (is_retained && publish->payload.len > 0 &&
        !rc_retained_has_room(&broker->retained, instance->id, publish->topic)) {
        RC_COUNT(&broker->counters, retained_refused);
        return RC_ROUTED_FULL;
    }
    struct rc_publication *publication =
        rc_trace_publication(broker, instance, publish, from != NULL ? from->number : 0, id);
    publication->retain = is_retained;
    publication->stamp = is_retained ? stamp_now(broker) : 0;
    publication->is_p2p = rc_access_p2p_target(instance, publish->topic, &client_id);
    if (!is_promised(broker, instance->id, publication)) {
        rc_publication_unref_to(&broker->publications, publication);
        return RC_ROUTED_LATER;
    }
    if (from != NULL && publish->qos == 2)
        rc_persist_origin(broker, from, publication);
    enum rc_outflow_result outflow =
        from != NULL ? rc_outflow_take(broker, instance, publish, from,
                                       publication->is_traced ? rc_publication_trace_id(publication) : NULL)
                     : RC_OUTFLOW_NONE;
    if (outflow == RC_OUTFLOW_REFUSED && publish->qos > 0) { /* its publisher is told, and sends it again */
        rc_publication_unref_to(&broker->publications, publication);
        return RC_ROUTED_LATER;
    }
    if (publication->is_traced)
        rc_trace_published(broker, instance->id, publication, from);
    if (is_retained)
        rc_persist_retained(broker, instance->id, publication);
    broker->was_full = false;
    bool is_wanted = publication->is_p2p ? route_p2p(broker, instance->id, publication)
                                         : route_to_all(broker, instance->id, publication);
    rc_publication_unref_to(&broker->publications, publication);
    if (publish->qos > 0 && broker->was_full && from != NULL && from->conn != NULL) {
        broker->outflow.was_refused = true;
        return RC_ROUTED_FULL;
    }
    return is_wanted || outflow == RC_OUTFLOW_TAKEN ? RC_ROUTED : RC_ROUTED_TO_NOBODY;
}

enum rc_routed rc_publish_internal(struct rc_broker *broker, struct rc_slice instance_id,
                                   const struct rc_mqtt_publish *publish, struct rc_session *from)
{
    const struct rc_instance *instance = rc_catalog_instance(broker->catalog, instance_id);
    return instance != NULL ? rc_route(broker, instance, publish, from) : RC_ROUTED_TO_NOBODY;
}

/* ---- retained messages for a new subscription ---- */

struct catching_up {
    struct rc_broker *broker;
    const struct rc_subscription *subscription;
};

static void send_retained(struct rc_publication *publication, void *arg)
{
    const struct catching_up *catching_up = arg;
    const struct rc_subscription *subscription = catching_up->subscription;
    if (!may_bring(subscription, publication))
        return;
    struct rc_copy copy = copy_for(subscription, publication, true);
    rc_delivery_send(catching_up->broker, subscription->session, &copy);
}

void rc_route_retained(struct rc_broker *broker, struct rc_subscription *subscription)
{
    struct catching_up catching_up = {broker, subscription};
    rc_retained_match(&broker->retained, rc_session_instance(subscription->session),
                      rc_slice(subscription->filter, subscription->filter_len),
                      rc_loop_now_ms(broker->options.loop), send_retained, &catching_up);
}
