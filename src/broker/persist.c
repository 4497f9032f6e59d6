/* Changes of sessions and retained messages, put into the turn's batch. */
#include "broker/persist.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/private.h"

#include <inttypes.h>
#include <stdio.h>

/* Monotonic to wall clock and back; 0 stays 0. */
static int64_t wall_of(const struct rc_broker *broker, uint64_t mono_ms)
{
    if (mono_ms == 0)
        return 0;
    int64_t ms = rc_clock_wall_ms() + (int64_t)(mono_ms - rc_loop_now_ms(broker->options.loop));
    return ms > 0 ? ms : 1;
}

static struct rc_message_record message_of(const struct rc_broker *broker,
                                           const struct rc_publication *publication)
{
    return (struct rc_message_record){
        .topic = rc_publication_topic(publication),
        .payload = rc_publication_payload(publication),
        .props = rc_publication_props(publication),
        .expires_ms = wall_of(broker, publication->expires_ms),
        .qos = publication->qos,
        .retain = publication->retain,
    };
}

/* The change was put into the batch; who must not hear of it too early waits. */
static void note(struct rc_broker *broker, const struct rc_session *session, int err)
{
    if (err != RC_OK) { /* never happens: rc_persist_is_blocked is asked long before */
        rc_log_error("sessions", "a change of a session was not kept: %s", rc_err_text(err));
        return;
    }
    broker->persist.marks++;
    if (session != NULL && session->conn != NULL)
        rc_conn_hold(session->conn);
}

static bool is_kept(const struct rc_broker *broker, const struct rc_session *session)
{
    return broker->persist.store != NULL && rc_session_store_id(session) != 0;
}

/* ---- sessions ---- */

static struct rc_message_record will_of(const struct rc_will *will)
{
    struct rc_message_record message = {.qos = will->qos, .retain = will->retain};
    message.topic = rc_slice(will->bytes, will->topic_len);
    message.payload = rc_slice(will->bytes + will->topic_len, will->payload_len);
    message.props = rc_slice(will->bytes + will->topic_len + will->payload_len, will->props_len);
    return message;
}

void rc_persist_session(struct rc_broker *broker, struct rc_session *session)
{
    struct rc_persist *persist = &broker->persist;
    if (session->expiry_s == 0)
        rc_persist_end_session(broker, session);
    if (persist->store == NULL || session->expiry_s == 0)
        return;
    if (rc_session_store_id(session) == 0) {
        rc_session_rare(session)->store_id =
            persist->first_id + persist->ids++ * broker->options.shards + broker->options.shard;
        RC_COUNT(&broker->counters, sessions_persistent);
    }
    struct rc_session_record record = {
        .instance = rc_session_instance(session),
        .client_id = rc_slice_str(rc_session_client_id(session)),
        .expiry_s = session->expiry_s,
        .owner = session->owner,
        .is_connected = session->conn != NULL,
        .left_ms = rc_session_left_ms(session),
        .window = rc_delivery_window(session),
        .next_seq = rc_delivery_next_unsent(session),
        .has_will = rc_session_will(session) != NULL,
    };
    if (rc_session_will(session) != NULL) {
        record.will_delay_s = rc_session_will(session)->delay_s;
        record.will = will_of(rc_session_will(session));
    }
    note(broker, session,
         rc_session_batch_put_session(rc_persist_batch(broker), rc_session_store_id(session), &record));
}

/*
 * Others are to have what the session leaves: until they do it stays, under a name that no client can have,
 * so that the same client may begin a new one at once. After an end of the process in between it is restored,
 * has ended long ago, and leaves it all once more.
 */
static void keep_estate(struct rc_broker *broker, const struct rc_session *session)
{
    char name[32];
    uint64_t id = rc_session_store_id(session);
    snprintf(name, sizeof(name), "\x01%" PRIu64, id); /* client ids have no control characters */
    struct rc_session_record record = {
        .instance = rc_session_instance(session),
        .client_id = rc_slice_str(name),
        .left_ms = rc_clock_wall_ms(),
        .next_seq = rc_delivery_next_unsent(session),
    };
    note(broker, session, rc_session_batch_put_session(rc_persist_batch(broker), id, &record));
    note(broker, session, rc_session_batch_end_session(rc_persist_commit_batch(broker, true), id));
}

void rc_persist_end_session(struct rc_broker *broker, struct rc_session *session)
{
    if (!is_kept(broker, session))
        return;
    if (rc_delivery_has_shared(session))
        keep_estate(broker, session);
    else
        note(broker, session,
             rc_session_batch_end_session(rc_persist_batch(broker), rc_session_store_id(session)));
    session->rare->store_id = 0;
    RC_COUNT_DOWN(&broker->counters, sessions_persistent);
}

void rc_persist_subscription(struct rc_broker *broker, struct rc_subscription *subscription)
{
    struct rc_session *session = subscription->session;
    if (!is_kept(broker, session))
        return;
    if (subscription->number == 0)
        subscription->number = ++session->rare->subscription_numbers;
    struct rc_subscription_record record = {
        .filter = rc_slice(subscription->filter, subscription->filter_len),
        .id = subscription->id,
        .options = subscription->options,
    };
    note(broker, session,
         rc_session_batch_put_subscription(rc_persist_batch(broker), rc_session_store_id(session),
                                           subscription->number, &record));
}

void rc_persist_end_subscription(struct rc_broker *broker, const struct rc_subscription *subscription)
{
    const struct rc_session *session = subscription->session;
    if (is_kept(broker, session) && subscription->number != 0)
        note(broker, session,
             rc_session_batch_end_subscription(rc_persist_batch(broker), rc_session_store_id(session),
                                               subscription->number));
}

/* ---- messages ---- */

void rc_persist_outgoing(struct rc_broker *broker, struct rc_session *session, uint64_t seq,
                         const struct rc_copy *copy)
{
    struct rc_outgoing_record record;
    if (!is_kept(broker, session))
        return;
    record.is_released = false;
    record.origin = copy->publication->origin;
    record.origin_number = copy->publication->origin_number;
    record.qos = copy->qos;
    record.retain = copy->retain;
    record.share = copy->share != NULL ? rc_slice(copy->share->text, copy->share->len) : rc_slice(NULL, 0);
    record.ids_count = copy->ids_count;
    if (copy->ids_count > 0)
        memcpy(record.ids, copy->ids, copy->ids_count * sizeof(record.ids[0]));
    record.message = message_of(broker, copy->publication);
    note(broker, session,
         rc_session_batch_put_outgoing(rc_persist_batch(broker), rc_session_store_id(session), seq, &record));
}

void rc_persist_released(struct rc_broker *broker, struct rc_session *session, uint64_t seq)
{
    struct rc_outgoing_record record;
    if (!is_kept(broker, session))
        return;
    record.is_released = true;
    record.origin = 0;
    record.retain = false;
    record.qos = 2;
    note(broker, session,
         rc_session_batch_put_outgoing(rc_persist_batch(broker), rc_session_store_id(session), seq, &record));
}

void rc_persist_hold(struct rc_broker *broker, struct rc_session *session)
{
    if (is_kept(broker, session) && session->conn != NULL)
        rc_conn_hold(session->conn);
}

/* Nobody waits for it: at worst the client gets again what it knows as sent before. */
void rc_persist_end_outgoing(struct rc_broker *broker, struct rc_session *session, uint64_t seq)
{
    if (is_kept(broker, session))
        rc_session_batch_end_outgoing(rc_persist_batch(broker), rc_session_store_id(session), seq);
}

void rc_persist_hand_over(struct rc_broker *broker, struct rc_session *session, uint64_t seq)
{
    if (is_kept(broker, session))
        rc_session_batch_end_outgoing(rc_persist_commit_batch(broker, true), rc_session_store_id(session),
                                      seq);
}

/* Greater than all of earlier runs. */
static uint64_t number_of(const struct rc_broker *broker, uint64_t published)
{
    enum { RUN_SHIFT = 40 };
    return (rc_session_store_epoch(broker->persist.store) << RUN_SHIFT) + published;
}

void rc_persist_origin(struct rc_broker *broker, const struct rc_session *session,
                       struct rc_publication *publication)
{
    broker->persist.has_entrusted = false;
    if (!is_kept(broker, session))
        return;
    publication->origin = rc_session_store_id(session);
    publication->origin_number = number_of(broker, ++broker->persist.published);
}

void rc_persist_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id)
{
    if (is_kept(broker, session))
        note(broker, session,
             rc_session_batch_put_published(rc_persist_commit_batch(broker, broker->persist.has_entrusted),
                                            rc_session_store_id(session), packet_id,
                                            number_of(broker, broker->persist.published)));
}

void rc_persist_end_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id)
{
    if (is_kept(broker, session))
        note(broker, session,
             rc_session_batch_end_incoming(rc_persist_commit_batch(broker, false),
                                           rc_session_store_id(session), packet_id));
}

void rc_persist_retained(struct rc_broker *broker, struct rc_slice instance,
                         struct rc_publication *publication)
{
    if (broker->persist.store == NULL)
        return;
    struct rc_retained_record record = {
        .epoch = rc_session_store_epoch(broker->persist.store),
        .stamp = publication->stamp,
        .instance = instance,
        .message = message_of(broker, publication),
    };
    note(broker, NULL, rc_session_batch_put_retained(rc_persist_batch(broker), &record));
}

void rc_persist_retained_expired(struct rc_broker *broker, struct rc_slice instance,
                                 struct rc_publication *publication)
{
    if (broker->persist.store == NULL)
        return;
    struct rc_retained_record record = {
        .epoch = rc_session_store_epoch(broker->persist.store),
        .stamp = publication->stamp + 1, /* newer than itself, older than whatever came after it */
        .instance = instance,
        .message = {.topic = rc_publication_topic(publication), .qos = publication->qos, .retain = true},
    };
    note(broker, NULL, rc_session_batch_put_retained(rc_persist_batch(broker), &record));
}
