/* At the start: what the session store has, each session to the shard that owns it now. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/private.h"
#include "mqtt/topic.h"

struct restoring {
    struct rc_broker **brokers;
    uint32_t shards;
    int64_t now_ms, last_alive_ms;
    uint64_t greatest_id;
    uint32_t sessions, messages, withdrawn, retained;
    struct rc_session *session; /* whose records come; NULL: none yet */
    struct rc_broker *broker;   /* its owner */
    bool was_connected;
    int64_t left_ms;
    uint32_t window;
    uint64_t next_seq;
};

/* All of the session that came is there. */
static void finish(struct restoring *restoring)
{
    struct rc_session *session = restoring->session;
    if (session == NULL)
        return;
    restoring->session = NULL;
    rc_session_restored(restoring->broker, session, restoring->left_ms);
    if (restoring->was_connected) /* from now on its absence counts, through further ends as well */
        rc_persist_session(restoring->broker, session);
}

static int on_session(void *arg, uint64_t id, const struct rc_session_record *record)
{
    struct restoring *restoring = arg;
    finish(restoring);
    if (record->instance.len > RC_CATALOG_ID_MAX || record->client_id.len > RC_CLIENT_ID_MAX)
        return RC_ERR_CORRUPT;
    uint32_t owner = rc_broker_shard_of(record->instance, record->client_id, restoring->shards);
    struct rc_broker *broker = restoring->brokers[owner];
    if (rc_session_find(broker, record->instance, record->client_id) != NULL)
        return RC_ERR_CORRUPT;
    struct rc_session *session = rc_session_restore(broker, record->instance, record->client_id);
    rc_session_rare(session)->store_id = id;
    session->owner = record->owner;
    session->expiry_s = record->expiry_s;
    if (record->has_will)
        rc_will_restore(broker, session, record->will_delay_s, &record->will);
    RC_COUNT(&broker->counters, sessions_persistent);
    restoring->session = session;
    restoring->broker = broker;
    restoring->was_connected = record->is_connected;
    restoring->left_ms = record->is_connected ? restoring->last_alive_ms : record->left_ms;
    restoring->window = record->window;
    restoring->next_seq = record->next_seq;
    if (id > restoring->greatest_id)
        restoring->greatest_id = id;
    restoring->sessions++;
    return RC_OK;
}

static int on_subscription(void *arg, uint64_t id, uint32_t number,
                           const struct rc_subscription_record *record)
{
    struct restoring *restoring = arg;
    if (number == 0 || !rc_topic_filter_is_valid(record->filter) ||
        rc_session_subscription(restoring->session, record->filter) != NULL)
        return RC_ERR_CORRUPT;
    rc_session_restore_subscription(restoring->broker, restoring->session, number, record);
    return RC_OK;
}

static uint64_t expiry_of(const struct restoring *restoring, const struct rc_broker *broker, int64_t wall_ms)
{
    if (wall_ms == 0)
        return 0;
    int64_t left_ms = wall_ms - restoring->now_ms;
    uint64_t now = rc_loop_now_ms(broker->options.loop);
    return left_ms > 0 ? now + (uint64_t)left_ms : 1; /* 1: long over */
}

static struct rc_publication *publication_of(const struct restoring *restoring,
                                             const struct rc_broker *broker,
                                             const struct rc_message_record *message)
{
    struct rc_mqtt_publish publish = {
        .qos = message->qos,
        .retain = message->retain,
        .topic = message->topic,
        .payload = message->payload,
        .props = {.raw = message->props},
    };
    struct rc_publication *publication = rc_publication_create(NULL, &publish, 0, 0);
    publication->expires_ms = expiry_of(restoring, broker, message->expires_ms);
    return publication;
}

/* A reference; NULL: it came through no shared subscription. */
static struct rc_share_name *share_of(struct rc_session *session, struct rc_slice filter)
{
    if (filter.len == 0)
        return NULL;
    const struct rc_subscription *subscription = rc_session_subscription(session, filter);
    return subscription != NULL ? rc_share_name_ref(subscription->share) : rc_share_name_create(filter);
}

static int on_outgoing(void *arg, uint64_t id, uint64_t seq, const struct rc_outgoing_record *record)
{
    struct restoring *restoring = arg;
    static const struct rc_message_record nothing = {.topic = {(const uint8_t *)"-", 1}};
    struct rc_slice group, inner;
    if (record->share.len > 0 && !rc_topic_filter_split_shared(record->share, &group, &inner))
        return RC_ERR_CORRUPT;
    struct rc_share_name *share = share_of(restoring->session, record->share);
    struct rc_publication *publication =
        publication_of(restoring, restoring->broker, record->is_released ? &nothing : &record->message);
    /* What may have been sent goes as such: all that was within the window of who was there at the end. */
    bool is_sent = restoring->was_connected ? rc_delivery_inflight(restoring->session) < restoring->window
                                            : seq < restoring->next_seq;
    struct rc_stored_copy stored = {
        .seq = seq,
        .is_sent = is_sent || record->is_released,
        .is_released = record->is_released,
        .copy = {.publication = publication,
                 .qos = record->qos,
                 .retain = record->retain,
                 .ids = record->ids,
                 .ids_count = (uint16_t)record->ids_count,
                 .share = share},
    };
    rc_delivery_restore(restoring->broker, restoring->session, &stored);
    rc_publication_unref(publication);
    rc_share_name_unref(share);
    restoring->messages++;
    return RC_OK;
}

static int on_withdrawn(void *arg, uint64_t id, uint64_t seq)
{
    struct restoring *restoring = arg;
    rc_persist_end_outgoing(restoring->broker, restoring->session, seq);
    restoring->withdrawn++;
    return RC_OK;
}

static int on_incoming(void *arg, uint64_t id, uint16_t packet_id)
{
    struct restoring *restoring = arg;
    rc_delivery_restore_incoming(restoring->broker, restoring->session, packet_id);
    return RC_OK;
}

/* Every shard has all of them. Those that expired while there was no server are deleted. */
static int on_retained(void *arg, const struct rc_retained_record *record)
{
    struct restoring *restoring = arg;
    struct rc_broker *first = restoring->brokers[0];
    if (record->instance.len > RC_CATALOG_ID_MAX)
        return RC_ERR_CORRUPT;
    struct rc_publication *publication = publication_of(restoring, first, &record->message);
    publication->stamp = 1; /* older than whatever is published from now on */
    bool is_over = rc_publication_is_expired(publication, rc_loop_now_ms(first->options.loop));
    for (uint32_t i = 0; i < restoring->shards && !is_over; i++)
        rc_retained_set(&restoring->brokers[i]->retained, record->instance, publication,
                        rc_loop_now_ms(first->options.loop));
    if (is_over) {
        RC_COUNT(&first->counters, retained_expired);
        rc_persist_retained_expired(first, record->instance, publication);
    } else {
        restoring->retained++;
    }
    rc_publication_unref(publication);
    return RC_OK;
}

/* What they wrote to each other: groups know their members before anybody can publish. */
static void deliver_mail(struct rc_broker **brokers, uint32_t shards)
{
    for (bool had_any = true; had_any;) {
        had_any = false;
        for (uint32_t i = 0; i < shards; i++)
            had_any |= rc_loop_drain(brokers[i]->options.loop);
    }
}

int rc_broker_restore(struct rc_broker **brokers, uint32_t shards, struct rc_session_store *store,
                      struct rc_error *error)
{
    static const struct rc_session_visitor visitor = {on_session,   on_subscription, on_outgoing,
                                                      on_withdrawn, on_incoming,     on_retained};
    struct restoring restoring = {
        .brokers = brokers,
        .shards = shards,
        .now_ms = rc_clock_wall_ms(),
        .last_alive_ms = rc_session_store_last_alive_ms(store),
    };
    int err = rc_session_store_load(store, &visitor, &restoring, error);
    if (err != RC_OK)
        return err;
    finish(&restoring);
    deliver_mail(brokers, shards);
    for (uint32_t i = 0; i < shards; i++) {
        brokers[i]->persist.first_id = restoring.greatest_id + 1;
        rc_persist_turn_end(brokers[i]);
    }
    if (restoring.sessions > 0 || restoring.retained > 0)
        rc_log_info("sessions", "restored: %u sessions with %u messages, %u retained messages",
                    restoring.sessions, restoring.messages, restoring.retained);
    return RC_OK;
}

void rc_broker_write_sessions(struct rc_broker *broker)
{
    rc_persist_turn_end(broker);
}
