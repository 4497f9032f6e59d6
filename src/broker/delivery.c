#include "broker/delivery.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/error.h"
#include "broker/packet_ids.h"
#include "broker/private.h"

enum outgoing_state {
    OUT_WAITING,   /* in the line, without a packet id */
    OUT_PUBLISHED, /* PUBLISH was sent */
    OUT_RELEASED,  /* QoS 2: PUBREC has come, PUBREL was sent; the message itself is let go */
};

struct outgoing {
    struct outgoing *next; /* in the line */
    struct rc_list aged;   /* among what waits in the instance; linked while in the line */
    struct rc_delivery *delivery;
    uint64_t seq; /* its place among the session's; names it in the store, and its packet id */
    struct rc_publication *publication;
    struct rc_share_name *share; /* NULL: a plain subscription */
    uint16_t packet_id, ids_count;
    uint8_t qos, state; /* enum outgoing_state */
    bool retain;
    bool is_sent; /* on this connection */
    bool is_dup;  /* on an earlier one */
    bool is_late; /* it had to wait for the client's coming */
    uint32_t ids[];
};

struct rc_delivery {
    struct rc_broker *broker;
    struct rc_session *session;
    struct rc_held *held;          /* of its instance */
    struct outgoing *first, *last; /* the line */
    struct outgoing **inflight;    /* in the order sent, from the front */
    uint32_t waiting_count, inflight_count, inflight_cap;
    size_t waiting_bytes;
    uint64_t next_seq;
    struct rc_packet_ids incoming; /* QoS 2 ids received and not released */
};

static struct rc_delivery *delivery_of(struct rc_broker *broker, struct rc_session *session)
{
    if (session->delivery == NULL) {
        session->delivery = rc_new(struct rc_delivery);
        session->delivery->broker = broker;
        session->delivery->session = session;
        session->delivery->held = rc_held_of(&broker->held, rc_session_instance(session));
    }
    return session->delivery;
}

static const struct rc_limits *limits_of(struct rc_broker *broker, const struct rc_session *session)
{
    if (session->conn != NULL)
        return rc_conn_limits(session->conn);
    const struct rc_instance *instance = rc_catalog_instance(broker->catalog, rc_session_instance(session));
    return instance != NULL ? &instance->limits : rc_limits_of(RC_PROFILE_PRODUCT);
}

static bool is_online(const struct rc_session *session)
{
    return session->conn != NULL && session->conn->channel.state == RC_CHANNEL_ONLINE;
}

/* The clock is asked only for those that can. */
static bool is_expired(const struct rc_broker *broker, const struct rc_publication *publication)
{
    return publication->expires_ms != 0 &&
           rc_publication_is_expired(publication, rc_loop_now_ms(broker->options.loop));
}

/* ---- what is held ---- */

/*
 * What a message counts towards the limits while a session holds it. One that many sessions hold counts for
 * each: too much rather than too little.
 */
static size_t cost_of(const struct outgoing *out)
{
    return sizeof(*out) + out->ids_count * sizeof(out->ids[0]) +
           (out->publication != NULL ? rc_publication_size(out->publication) : 0);
}

/*
 * The packet id follows from the place in the session, which is durable before PUBLISH goes out: after the
 * end of the process the same message has the same id again, and its receiver knows it by that.
 */
static uint16_t packet_id_of(uint64_t seq)
{
    return (uint16_t)(seq % UINT16_MAX + 1);
}

static struct outgoing *outgoing_create(struct rc_delivery *delivery, const struct rc_copy *copy)
{
    struct outgoing *out = rc_calloc(1, sizeof(*out) + copy->ids_count * sizeof(out->ids[0]));
    rc_list_init(&out->aged);
    out->delivery = delivery;
    out->publication = rc_publication_ref(copy->publication);
    out->share = rc_share_name_ref(copy->share);
    out->seq = delivery->next_seq++;
    out->packet_id = packet_id_of(out->seq);
    out->qos = copy->qos;
    out->retain = copy->retain;
    out->ids_count = copy->ids_count;
    if (copy->ids_count > 0)
        memcpy(out->ids, copy->ids, copy->ids_count * sizeof(out->ids[0]));
    delivery->broker->queued_bytes += cost_of(out);
    return out;
}

/* The message has reached the client: only the packet id is still held. */
static void let_go_of_message(struct rc_delivery *delivery, struct outgoing *out)
{
    delivery->broker->queued_bytes -= cost_of(out);
    rc_publication_unref(out->publication);
    out->publication = NULL;
    delivery->broker->queued_bytes += cost_of(out);
}

static void outgoing_free(struct rc_broker *broker, struct outgoing *out)
{
    broker->queued_bytes -= cost_of(out);
    rc_publication_unref(out->publication);
    rc_share_name_unref(out->share);
    free(out);
}

/* It is over, in the store as well. */
static void outgoing_end(struct rc_delivery *delivery, struct outgoing *out)
{
    rc_persist_end_outgoing(delivery->broker, delivery->session, out->seq);
    outgoing_free(delivery->broker, out);
}

/* It leaves the line. */
static void count_out(struct outgoing *out)
{
    struct rc_delivery *delivery = out->delivery;
    size_t cost = cost_of(out);
    out->next = NULL;
    rc_list_remove(&out->aged);
    delivery->held->count--;
    delivery->held->bytes -= cost;
    delivery->waiting_count--;
    delivery->waiting_bytes -= cost;
}

static struct outgoing *take_first(struct rc_delivery *delivery)
{
    struct outgoing *out = delivery->first;
    delivery->first = out->next;
    if (delivery->first == NULL)
        delivery->last = NULL;
    count_out(out);
    return out;
}

/* Takes those out of the line that are not to stay, in their order. */
static struct outgoing *take_out(struct rc_delivery *delivery,
                                 bool (*stays)(const struct outgoing *out, void *arg), void *arg)
{
    struct outgoing *taken = NULL, **end = &taken, **link = &delivery->first;
    delivery->last = NULL;
    for (struct outgoing *out; (out = *link) != NULL;) {
        if (stays(out, arg)) {
            delivery->last = out;
            link = &out->next;
            continue;
        }
        *link = out->next;
        count_out(out);
        *end = out;
        end = &out->next;
    }
    return taken;
}

static void put_last(struct rc_delivery *delivery, struct outgoing *out)
{
    if (delivery->last != NULL)
        delivery->last->next = out;
    else
        delivery->first = out;
    delivery->last = out;
    rc_list_push_back(&delivery->held->waiting, &out->aged);
    delivery->held->count++;
    delivery->held->bytes += cost_of(out);
    delivery->waiting_count++;
    delivery->waiting_bytes += cost_of(out);
}

void rc_delivery_free(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return;
    while (delivery->first != NULL)
        outgoing_free(delivery->broker, take_first(delivery));
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        outgoing_free(delivery->broker, delivery->inflight[i]);
    free(delivery->inflight);
    rc_packet_ids_free(&delivery->incoming);
    free(delivery);
    session->delivery = NULL;
}

/* An idle session holds no delivery state. */
static void free_if_idle(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery->first == NULL && delivery->inflight_count == 0 && delivery->incoming.count == 0)
        rc_delivery_free(session);
}

/* ---- the window ---- */

static bool id_is_used(const struct rc_delivery *delivery, uint16_t id)
{
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        if (delivery->inflight[i]->packet_id == id)
            return true;
    return false;
}

static void add_inflight(struct rc_delivery *delivery, struct outgoing *out)
{
    if (delivery->inflight_count == delivery->inflight_cap) {
        delivery->inflight_cap = delivery->inflight_cap > 0 ? 2 * delivery->inflight_cap : 4;
        delivery->inflight =
            rc_realloc(delivery->inflight, delivery->inflight_cap * sizeof(delivery->inflight[0]));
    }
    delivery->inflight[delivery->inflight_count++] = out;
}

static void remove_inflight(struct rc_delivery *delivery, uint32_t at)
{
    outgoing_end(delivery, delivery->inflight[at]);
    delivery->inflight_count--;
    memmove(&delivery->inflight[at], &delivery->inflight[at + 1],
            (delivery->inflight_count - at) * sizeof(delivery->inflight[0]));
}

static void put_pubrel(struct rc_conn *conn, uint16_t packet_id)
{
    rc_conn_put_ack(conn, RC_MQTT_PUBREL, packet_id, RC_MQTT_SUCCESS);
}

/* False when the client cannot take it. */
static bool send_out(struct rc_conn *conn, struct outgoing *out)
{
    struct rc_copy copy = {.publication = out->publication,
                           .qos = out->qos,
                           .retain = out->retain,
                           .ids_count = out->ids_count,
                           .ids = out->ids};
    out->is_sent = true;
    if (out->state == OUT_RELEASED) {
        put_pubrel(conn, out->packet_id);
        return true;
    }
    if (!rc_publish_out(conn, &copy, out->packet_id, out->is_dup))
        return false;
    rc_trace_step(conn->broker, conn->session, out->publication,
                  out->is_late ? RC_TRACE_PUSH_OFFLINE : RC_TRACE_SUB);
    return true;
}

static uint32_t window_of(struct rc_broker *broker, const struct rc_session *session)
{
    uint32_t inflight_max = limits_of(broker, session)->inflight_max;
    return session->conn->receive_max < inflight_max ? session->conn->receive_max : inflight_max;
}

/* After a resume: what was under way before, as far as the client's receive maximum goes this time. */
static void send_again(struct rc_session *session, uint32_t window)
{
    struct rc_delivery *delivery = session->delivery;
    for (uint32_t i = 0; i < delivery->inflight_count && i < window;) {
        struct outgoing *out = delivery->inflight[i];
        if (!out->is_sent && !send_out(session->conn, out))
            remove_inflight(delivery, i);
        else
            i++;
    }
}

/* Sends what the window has room for. */
static void pump(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    struct rc_broker *broker = delivery->broker;
    if (!is_online(session))
        return;
    uint32_t window = window_of(broker, session);
    send_again(session, window);
    /* An id that is still under way after 65535 others: it is waited for. */
    while (delivery->first != NULL && delivery->inflight_count < window &&
           !id_is_used(delivery, delivery->first->packet_id)) {
        struct outgoing *out = take_first(delivery);
        if (is_expired(broker, out->publication)) {
            RC_COUNT(&broker->counters, dropped_expired);
            outgoing_end(delivery, out);
            continue;
        }
        out->state = OUT_PUBLISHED;
        if (send_out(session->conn, out))
            add_inflight(delivery, out);
        else
            outgoing_end(delivery, out);
    }
}

/* ---- sending ---- */

static void send_qos0(struct rc_broker *broker, struct rc_session *session, const struct rc_copy *copy)
{
    if (!is_online(session))
        return;
    if (rc_output_pending(&session->conn->output) > RC_BROKER_OUTPUT_QOS0_MAX) {
        RC_COUNT(&broker->counters, dropped_qos0);
        return;
    }
    if (rc_publish_out(session->conn, copy, 0, false))
        rc_trace_step(broker, session, copy->publication, RC_TRACE_SUB);
}

/* The oldest message that waits goes: false when none does. Its session may be another one. */
static bool drop_oldest(struct rc_held *held, const struct rc_delivery *for_whom)
{
    if (held == NULL || rc_list_is_empty(&held->waiting))
        return false;
    /* The instance's oldest is the oldest of its session. */
    struct outgoing *out = rc_container_of(held->waiting.next, struct outgoing, aged);
    struct rc_delivery *delivery = out->delivery;
    RC_COUNT(&delivery->broker->counters, dropped_queue);
    outgoing_end(delivery, take_first(delivery));
    if (delivery != for_whom)
        free_if_idle(delivery->session);
    return true;
}

/* A shard has its part of what the instance may hold; one message may always be there. */
static bool is_instance_full(const struct rc_delivery *delivery, const struct rc_limits *limits, size_t cost)
{
    uint32_t shards = delivery->broker->options.shards;
    const struct rc_held *held = delivery->held;
    if (held->count == 0)
        return false;
    return (limits->queued_all_max > 0 && held->count >= (limits->queued_all_max + shards - 1) / shards) ||
           (limits->queued_all_bytes_max > 0 && held->bytes + cost > limits->queued_all_bytes_max / shards);
}

/*
 * What is larger than the session's or the instance's whole room takes it alone: if it were refused, one
 * client who is away would stop its publisher, who sends it again and again.
 */
static bool make_room(struct rc_delivery *delivery, const struct rc_limits *limits, size_t cost)
{
    struct rc_broker *broker = delivery->broker;
    while (delivery->first != NULL && (delivery->waiting_count >= limits->queued_max ||
                                       delivery->waiting_bytes + cost > limits->queued_bytes_max)) {
        RC_COUNT(&broker->counters, dropped_queue);
        outgoing_end(delivery, take_first(delivery));
    }
    while (is_instance_full(delivery, limits, cost))
        drop_oldest(delivery->held, delivery);
    while (broker->queued_bytes + cost > broker->options.max_queued_bytes)
        if (!drop_oldest(rc_held_largest(&broker->held), delivery))
            return false;
    return true;
}

/* The session's oldest go when it holds too many, then the instance's, then those of the instance that has
 * the most. False, counted, and for a publisher on this shard to hear, when nothing is left that could go. */
static bool has_room(struct rc_delivery *delivery, size_t cost)
{
    struct rc_broker *broker = delivery->broker;
    if (make_room(delivery, limits_of(broker, delivery->session), cost))
        return true;
    RC_COUNT(&broker->counters, dropped_queue);
    broker->was_full = true;
    return false;
}

/* QoS 1 and 2. */
static RC_APART void send_or_hold(struct rc_broker *broker, struct rc_session *session,
                                  const struct rc_copy *copy)
{
    struct rc_delivery *delivery = delivery_of(broker, session);
    /* What can go out at once always may: the absent do not starve those who are there. */
    bool goes_at_once = is_online(session) && delivery->waiting_count == 0 &&
                        delivery->inflight_count < window_of(broker, session);
    size_t cost = sizeof(struct outgoing) + copy->ids_count * sizeof(copy->ids[0]) +
                  rc_publication_size(copy->publication);
    if (goes_at_once || has_room(delivery, cost)) {
        struct outgoing *out = outgoing_create(delivery, copy);
        out->is_late = !is_online(session);
        rc_persist_outgoing(broker, session, out->seq, copy);
        put_last(delivery, out);
        pump(session);
    }
    free_if_idle(session);
}

void rc_delivery_send(struct rc_broker *broker, struct rc_session *session, const struct rc_copy *copy)
{
    if (is_expired(broker, copy->publication))
        RC_COUNT(&broker->counters, dropped_expired);
    else if (copy->qos == 0)
        send_qos0(broker, session, copy);
    else
        send_or_hold(broker, session, copy);
}

void rc_delivery_resume(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return;
    for (uint32_t i = 0; i < delivery->inflight_count; i++) {
        struct outgoing *out = delivery->inflight[i];
        out->is_dup |= out->is_sent && out->state == OUT_PUBLISHED;
        out->is_sent = false;
    }
    pump(session);
    free_if_idle(session);
}

struct keeping {
    bool (*is_kept)(const struct rc_publication *publication, void *arg);
    void *arg;
};

static bool is_kept(const struct outgoing *out, void *arg)
{
    const struct keeping *keeping = arg;
    return keeping->is_kept(out->publication, keeping->arg);
}

void rc_delivery_keep_only(struct rc_session *session,
                           bool (*is_wanted)(const struct rc_publication *publication, void *arg), void *arg)
{
    struct rc_delivery *delivery = session->delivery;
    struct keeping keeping = {is_wanted, arg};
    if (delivery == NULL)
        return;
    for (struct outgoing *out = take_out(delivery, is_kept, &keeping), *next; out != NULL; out = next) {
        next = out->next;
        RC_COUNT(&delivery->broker->counters, dropped_revoked);
        outgoing_end(delivery, out);
    }
    free_if_idle(session);
}

/* ---- shared subscriptions ---- */

static bool is_plain(const struct outgoing *out, void *arg)
{
    return out->share == NULL;
}

/* Takes those that came through shared subscriptions out of the line. */
static struct outgoing *take_shared(struct rc_delivery *delivery)
{
    struct outgoing *taken = take_out(delivery, is_plain, NULL);
    for (const struct outgoing *out = taken; out != NULL; out = out->next)
        rc_persist_hand_over(delivery->broker, delivery->session, out->seq);
    return taken;
}

/* A QoS 2 message that was sent may have arrived: it goes to nobody else. */
static bool can_go_to_others(const struct outgoing *sent)
{
    return sent->share != NULL && sent->qos == 1;
}

bool rc_delivery_has_shared(const struct rc_session *session)
{
    const struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return false;
    for (const struct outgoing *out = delivery->first; out != NULL; out = out->next)
        if (out->share != NULL)
            return true;
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        if (can_go_to_others(delivery->inflight[i]))
            return true;
    return false;
}

static void give_back_inflight(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    for (uint32_t i = 0; i < delivery->inflight_count; i++) {
        struct outgoing *out = delivery->inflight[i];
        if (can_go_to_others(out))
            rc_share_return(delivery->broker, session, out->share, out->publication);
    }
}

void rc_delivery_give_back(struct rc_session *session, bool session_ends)
{
    if (session->delivery == NULL)
        return;
    struct rc_broker *broker = session->delivery->broker;
    if (session_ends)
        give_back_inflight(session);
    struct outgoing *taken = take_shared(session->delivery);
    if (!session_ends)
        free_if_idle(session);
    while (taken != NULL) { /* one may come back, when nobody is there: the line is not ours any more */
        struct outgoing *out = taken;
        taken = out->next;
        rc_share_return(broker, session, out->share, out->publication);
        outgoing_free(broker, out);
    }
}

/* ---- acknowledgements ---- */

/* Where the id is under way; inflight_count when it is not. */
static uint32_t find_inflight(const struct rc_delivery *delivery, uint16_t packet_id)
{
    uint32_t i = 0;
    while (i < delivery->inflight_count &&
           (delivery->inflight[i]->packet_id != packet_id || !delivery->inflight[i]->is_sent))
        i++;
    return i;
}

static enum rc_ack finish(struct rc_session *session, uint16_t packet_id, uint8_t qos, uint8_t state,
                          bool is_taken)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return RC_ACK_UNKNOWN;
    uint32_t at = find_inflight(delivery, packet_id);
    if (at == delivery->inflight_count)
        return RC_ACK_UNKNOWN;
    if (delivery->inflight[at]->qos != qos || delivery->inflight[at]->state != state)
        return RC_ACK_WRONG;
    if (is_taken)
        rc_trace_step(delivery->broker, session, delivery->inflight[at]->publication, RC_TRACE_ACK);
    remove_inflight(delivery, at);
    if (delivery->waiting_count > 0)
        rc_persist_hold(delivery->broker, session);
    pump(session);
    free_if_idle(session);
    return RC_ACK_TAKEN;
}

enum rc_ack rc_delivery_puback(struct rc_session *session, uint16_t packet_id)
{
    return finish(session, packet_id, 1, OUT_PUBLISHED, true);
}

enum rc_ack rc_delivery_pubrec(struct rc_session *session, uint16_t packet_id, uint8_t reason)
{
    struct rc_delivery *delivery = session->delivery;
    if (reason >= RC_MQTT_UNSPECIFIED_ERROR)
        return finish(session, packet_id, 2, OUT_PUBLISHED, false);
    uint32_t at = delivery != NULL ? find_inflight(delivery, packet_id) : 0;
    if (delivery == NULL || at == delivery->inflight_count)
        return RC_ACK_UNKNOWN;
    struct outgoing *out = delivery->inflight[at];
    if (out->qos != 2)
        return RC_ACK_WRONG;
    if (out->state == OUT_PUBLISHED) {
        out->state = OUT_RELEASED;
        rc_persist_released(delivery->broker, session, out->seq);
        rc_trace_step(delivery->broker, session, out->publication, RC_TRACE_ACK);
        let_go_of_message(delivery, out);
    }
    return RC_ACK_TAKEN;
}

enum rc_ack rc_delivery_pubcomp(struct rc_session *session, uint16_t packet_id)
{
    return finish(session, packet_id, 2, OUT_RELEASED, false);
}

/* ---- QoS 2 received ---- */

enum rc_incoming rc_delivery_incoming(struct rc_broker *broker, struct rc_session *session,
                                      uint16_t packet_id, uint32_t max)
{
    struct rc_delivery *delivery = delivery_of(broker, session);
    if (rc_packet_ids_have(&delivery->incoming, packet_id))
        return RC_INCOMING_AGAIN;
    if (delivery->incoming.count >= max) {
        free_if_idle(session);
        return RC_INCOMING_FULL;
    }
    rc_packet_ids_add(&delivery->incoming, packet_id);
    return RC_INCOMING_NEW;
}

bool rc_delivery_released(struct rc_session *session, uint16_t packet_id)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL || !rc_packet_ids_remove(&delivery->incoming, packet_id))
        return false;
    rc_persist_end_incoming(delivery->broker, session, packet_id);
    free_if_idle(session);
    return true;
}

/* ---- the store ---- */

uint32_t rc_delivery_window(const struct rc_session *session)
{
    return session->conn != NULL ? window_of(session->conn->broker, session) : 0;
}

uint64_t rc_delivery_next_unsent(const struct rc_session *session)
{
    const struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return 0;
    return delivery->first != NULL ? delivery->first->seq : delivery->next_seq;
}

void rc_delivery_restore(struct rc_broker *broker, struct rc_session *session,
                         const struct rc_stored_copy *stored)
{
    struct rc_delivery *delivery = delivery_of(broker, session);
    const struct rc_copy *copy = &stored->copy;
    delivery->next_seq = stored->seq;
    struct outgoing *out = outgoing_create(delivery, copy);
    if (stored->is_sent) {
        out->state = stored->is_released ? OUT_RELEASED : OUT_PUBLISHED;
        out->is_dup = !stored->is_released;
        if (stored->is_released)
            let_go_of_message(delivery, out);
        add_inflight(delivery, out);
    } else if (has_room(delivery, cost_of(out))) {
        put_last(delivery, out);
    } else {
        outgoing_end(delivery, out);
    }
}

uint32_t rc_delivery_inflight(const struct rc_session *session)
{
    return session->delivery != NULL ? session->delivery->inflight_count : 0;
}

void rc_delivery_restore_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id)
{
    rc_packet_ids_add(&delivery_of(broker, session)->incoming, packet_id);
}
