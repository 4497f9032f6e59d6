/*
 * From the server to one session. QoS 0 goes at once or not at all; QoS 1 and 2 are held until the client has
 * acknowledged them, in order, through any number of connections of the session.
 */
#ifndef RC_BROKER_DELIVERY_H
#define RC_BROKER_DELIVERY_H

#include "broker/publication.h"

struct rc_broker;
struct rc_conn;
struct rc_session;
struct rc_share_name;

enum { RC_COPY_IDS_MAX = 1024 }; /* subscription identifiers that one copy bears; more are left out */

/* One copy for one session. */
struct rc_copy {
    struct rc_publication *publication;
    uint8_t qos; /* as it goes to this session */
    bool retain; /* likewise */
    uint16_t ids_count;
    const uint32_t *ids;         /* subscription identifiers */
    struct rc_share_name *share; /* the shared subscription that it came through; NULL: none */
};

/* Sends or holds a copy; takes references of its own. */
void rc_delivery_send(struct rc_broker *broker, struct rc_session *session, const struct rc_copy *copy);
/* The client is back: what was under way goes again (DUP), then what waits. */
void rc_delivery_resume(struct rc_session *session);
/* Of what waits and was never sent, the rest is dropped, and counted. */
void rc_delivery_keep_only(struct rc_session *session,
                           bool (*is_kept)(const struct rc_publication *publication, void *arg), void *arg);
void rc_delivery_free(struct rc_session *session);
/*
 * The client has left: what came through shared subscriptions and was not sent goes to other members; when
 * the session ends, also what was sent at QoS 1 and not acknowledged.
 */
void rc_delivery_give_back(struct rc_session *session, bool session_ends);
/* Whether it would give anything back when it ends. */
bool rc_delivery_has_shared(const struct rc_session *session);

enum rc_ack {
    RC_ACK_TAKEN,
    RC_ACK_UNKNOWN, /* no such packet id is under way */
    RC_ACK_WRONG,   /* it is, but this is not the packet that answers it */
};

/* What the client answers. `reason` is version 5's, 0 from older ones. */
enum rc_ack rc_delivery_puback(struct rc_session *session, uint16_t packet_id);
/* Taken: the caller sends PUBREL, unless the reason is an error. */
enum rc_ack rc_delivery_pubrec(struct rc_session *session, uint16_t packet_id, uint8_t reason);
enum rc_ack rc_delivery_pubcomp(struct rc_session *session, uint16_t packet_id);

/* ---- QoS 2 from the client ---- */
enum rc_incoming {
    RC_INCOMING_NEW,
    RC_INCOMING_AGAIN, /* it was taken before: answer, but do not publish again */
    RC_INCOMING_FULL,  /* more than the client may have under way */
};
enum rc_incoming rc_delivery_incoming(struct rc_broker *broker, struct rc_session *session,
                                      uint16_t packet_id, uint32_t max);
/* PUBREL: false when the id is not under way. */
bool rc_delivery_released(struct rc_session *session, uint16_t packet_id);

/* ---- for the session store ---- */
/* How many messages may be under way to the client; 0 while it is absent. */
uint32_t rc_delivery_window(const struct rc_session *session);
/* The first message that was not yet sent. */
uint64_t rc_delivery_next_unsent(const struct rc_session *session);

/* A copy as the store has it; they come in the order of seq. A released one's publication is let go at once.
 */
struct rc_stored_copy {
    struct rc_copy copy;
    uint64_t seq;
    bool is_sent, is_released;
};
void rc_delivery_restore(struct rc_broker *broker, struct rc_session *session,
                         const struct rc_stored_copy *stored);
uint32_t rc_delivery_inflight(const struct rc_session *session);
void rc_delivery_restore_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id);

/* ---- publish_out.c ---- */
/* Puts PUBLISH into the client's output; false, and counted, when it is larger than the client takes. */
bool rc_publish_out(struct rc_conn *conn, const struct rc_copy *copy, uint16_t packet_id, bool dup);

#endif
