/* From the server to one session: QoS 0 at once or not at all, QoS 1 until it is acknowledged. */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"

struct waiting {
    struct waiting *next;
    struct rc_publication *publication;
};

struct inflight {
    uint16_t packet_id; /* 0: free */
    struct rc_publication *publication;
};

struct rc_delivery {
    struct rc_broker *broker;
    struct waiting *first, *last;
    uint32_t waiting_count, inflight_count, incoming_count;
    uint16_t last_id;
    struct inflight inflight[RC_BROKER_INFLIGHT_MAX]; /* in the order sent, from the front */
    uint16_t *incoming;                               /* QoS 2 ids received and not released */
};

static struct rc_delivery *delivery_of(struct rc_broker *broker, struct rc_session *session)
{
    if (session->delivery == NULL) {
        session->delivery = rc_new(struct rc_delivery);
        session->delivery->broker = broker;
    }
    return session->delivery;
}

/*
 * What a message counts towards the shard's limit while a session holds it. One that many sessions hold
 * counts for each: too much rather than too little.
 */
static size_t cost_of(const struct rc_publication *publication)
{
    return sizeof(struct waiting) + sizeof(*publication) + publication->topic_len + publication->payload_len;
}

static void hold(struct rc_delivery *delivery, struct rc_publication *publication)
{
    atomic_fetch_add_explicit(&publication->refs, 1, memory_order_relaxed);
    delivery->broker->queued_bytes += cost_of(publication);
}

static void let_go(struct rc_delivery *delivery, struct rc_publication *publication)
{
    delivery->broker->queued_bytes -= cost_of(publication);
    rc_publication_unref(publication);
}

/* Takes the first out of the line; the reference is the caller's now. */
static struct rc_publication *take_first(struct rc_delivery *delivery)
{
    struct waiting *waiting = delivery->first;
    struct rc_publication *publication = waiting->publication;
    delivery->first = waiting->next;
    if (delivery->first == NULL)
        delivery->last = NULL;
    delivery->waiting_count--;
    free(waiting);
    return publication;
}

void rc_delivery_free(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return;
    while (delivery->first != NULL)
        let_go(delivery, take_first(delivery));
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        let_go(delivery, delivery->inflight[i].publication);
    free(delivery->incoming);
    free(delivery);
    session->delivery = NULL;
}

/* An idle session holds no delivery state. */
static void free_if_idle(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery->first == NULL && delivery->inflight_count == 0 && delivery->incoming_count == 0)
        rc_delivery_free(session);
}

static void unref(void *arg)
{
    rc_publication_unref(arg);
}

static void put_publish(struct rc_conn *conn, struct rc_publication *publication, uint8_t qos,
                        uint16_t packet_id, bool dup)
{
    uint8_t small[512];
    struct rc_mqtt_publish publish = {
        .dup = dup,
        .qos = qos,
        .packet_id = packet_id,
        .topic = rc_publication_topic(publication),
        .payload = rc_publication_payload(publication),
    };
    struct rc_buf head = {.data = small, .cap = sizeof(small), .max = sizeof(small)};
    bool is_small = publish.topic.len + RC_MQTT_FIXED_HEADER_MAX + 8 <= sizeof(small);
    if (!is_small)
        rc_buf_init(&head, RC_MQTT_STRING_MAX + 64);
    rc_mqtt_put_publish_head(&head, conn->version, &publish, rc_slice(NULL, 0));
    rc_output_put(&conn->output, head.data, head.end);
    if (publish.payload.len > RC_OUTPUT_COPY_MAX) {
        atomic_fetch_add_explicit(&publication->refs, 1, memory_order_relaxed);
        rc_output_put_ref(&conn->output, publish.payload, unref, publication);
    } else {
        rc_output_put(&conn->output, publish.payload.ptr, publish.payload.len);
    }
    if (!is_small)
        rc_buf_free(&head);
    RC_COUNT(&conn->broker->counters, publishes_sent);
    rc_conn_touch(conn);
}

static bool id_is_used(const struct rc_delivery *delivery, uint16_t id)
{
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        if (delivery->inflight[i].packet_id == id)
            return true;
    return false;
}

static uint16_t next_id(struct rc_delivery *delivery)
{
    do {
        delivery->last_id = delivery->last_id == UINT16_MAX ? 1 : delivery->last_id + 1;
    } while (id_is_used(delivery, delivery->last_id)); /* far fewer are under way than there are ids */
    return delivery->last_id;
}

/* Moves what waits into the window while there is room. */
static void fill_window(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    while (delivery->first != NULL && delivery->inflight_count < RC_BROKER_INFLIGHT_MAX &&
           session->conn != NULL) {
        struct inflight *slot = &delivery->inflight[delivery->inflight_count++];
        *slot = (struct inflight){next_id(delivery), take_first(delivery)};
        put_publish(session->conn, slot->publication, 1, slot->packet_id, false);
    }
}

static void send_qos0(struct rc_broker *broker, struct rc_session *session,
                      struct rc_publication *publication)
{
    struct rc_conn *conn = session->conn;
    if (conn == NULL || conn->channel.state != RC_CHANNEL_ONLINE)
        return;
    if (rc_output_pending(&conn->output) > RC_BROKER_OUTPUT_QOS0_MAX) {
        RC_COUNT(&broker->counters, dropped_qos0);
        return;
    }
    put_publish(conn, publication, 0, 0, false);
}

/* The session's oldest go when it holds too many, or when all sessions of the shard hold too much. */
static bool make_room(struct rc_delivery *delivery, size_t cost)
{
    struct rc_broker *broker = delivery->broker;
    while (delivery->waiting_count >= RC_BROKER_QUEUED_MAX ||
           broker->queued_bytes + cost > broker->options.max_queued_bytes) {
        RC_COUNT(&broker->counters, dropped_queue);
        if (delivery->first == NULL)
            return false;
        let_go(delivery, take_first(delivery));
    }
    return true;
}

void rc_delivery_send(struct rc_broker *broker, struct rc_session *session,
                      struct rc_publication *publication, uint8_t qos)
{
    if (qos == 0) {
        send_qos0(broker, session, publication);
        return;
    }
    struct rc_delivery *delivery = delivery_of(broker, session);
    bool is_online = session->conn != NULL && session->conn->channel.state == RC_CHANNEL_ONLINE;
    /* What can go out at once always may: the absent do not starve those who are there. */
    bool goes_at_once =
        is_online && delivery->inflight_count + delivery->waiting_count < RC_BROKER_INFLIGHT_MAX;
    if (!goes_at_once && !make_room(delivery, cost_of(publication))) {
        free_if_idle(session);
        return;
    }
    struct waiting *waiting = rc_new(struct waiting);
    waiting->publication = publication;
    hold(delivery, publication);
    if (delivery->last != NULL)
        delivery->last->next = waiting;
    else
        delivery->first = waiting;
    delivery->last = waiting;
    delivery->waiting_count++;
    if (is_online)
        fill_window(session);
}

bool rc_delivery_acked(struct rc_session *session, uint16_t packet_id)
{
    struct rc_delivery *delivery = session->delivery;
    for (uint32_t i = 0; delivery != NULL && i < delivery->inflight_count; i++) {
        if (delivery->inflight[i].packet_id != packet_id)
            continue;
        let_go(delivery, delivery->inflight[i].publication);
        delivery->inflight_count--;
        memmove(&delivery->inflight[i], &delivery->inflight[i + 1],
                (delivery->inflight_count - i) * sizeof(delivery->inflight[0]));
        fill_window(session);
        free_if_idle(session);
        return true;
    }
    return false;
}

void rc_delivery_resume(struct rc_session *session)
{
    struct rc_delivery *delivery = session->delivery;
    if (delivery == NULL)
        return;
    for (uint32_t i = 0; i < delivery->inflight_count; i++)
        put_publish(session->conn, delivery->inflight[i].publication, 1, delivery->inflight[i].packet_id,
                    true);
    fill_window(session);
}

/* ---- QoS 2 received ---- */

bool rc_delivery_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id,
                          bool *ret_full)
{
    struct rc_delivery *delivery = delivery_of(broker, session);
    *ret_full = false;
    for (uint32_t i = 0; i < delivery->incoming_count; i++)
        if (delivery->incoming[i] == packet_id)
            return false;
    if (delivery->incoming_count >= RC_BROKER_INCOMING_MAX) {
        *ret_full = true;
        return false;
    }
    if (delivery->incoming == NULL)
        delivery->incoming = rc_malloc(RC_BROKER_INCOMING_MAX * sizeof(*delivery->incoming));
    delivery->incoming[delivery->incoming_count++] = packet_id;
    return true;
}

void rc_delivery_released(struct rc_session *session, uint16_t packet_id)
{
    struct rc_delivery *delivery = session->delivery;
    for (uint32_t i = 0; delivery != NULL && i < delivery->incoming_count; i++) {
        if (delivery->incoming[i] != packet_id)
            continue;
        delivery->incoming[i] = delivery->incoming[--delivery->incoming_count];
        free_if_idle(session);
        return;
    }
}
