/*
 * What outlives the process, as one shard sees it: operations for the session store, and answers that wait
 * until they are durable. On the broker's loop.
 *
 * Everything that one turn of the loop changes goes to the store as one batch. A connection whose client must
 * not hear of a change before it is durable is held: what is put into its output from then on goes out when
 * that turn's batch is durable, in the order in which it was put there. A message that other shards deliver
 * holds the publisher's turn until theirs are durable too, and one at QoS 2 is theirs to send when the
 * publisher's packet id is.
 *
 * Without a store nothing is held and nothing is kept.
 */
#ifndef RC_BROKER_PERSIST_H
#define RC_BROKER_PERSIST_H

#include "base/slice.h"
#include "base/list.h"
#include "session_store/session_store.h"

struct rc_broker;
struct rc_conn;
struct rc_copy;
struct rc_publication;
struct rc_session;
struct rc_subscription;
struct rc_turn;

enum { RC_PERSIST_UNDER_WAY_MAX = 64 << 20 }; /* bytes for the store; then QoS 1 and 2 are refused */

struct rc_persist {
    struct rc_session_store *store; /* NULL: nothing is kept */
    uint64_t first_id, ids; /* of sessions: the first that no shard had given, how many this one gave */
    struct rc_turn *turn;   /* of now; NULL while nothing was changed in it */
    struct rc_turn *cause;  /* the turn of another shard for which this one does something now */
    struct rc_list turns;   /* those that are not done, the oldest first */
    struct rc_list held;    /* connections */
    struct rc_list waiters; /* struct rc_persist_waiter, in the order of their turns */
    uint64_t numbers, done; /* of turns: the last one given, the last one up to which all are done */
    uint64_t marks;         /* grows with everything that a publisher has to wait for */
    size_t under_way;       /* bytes posted and not yet reported */
    uint64_t published;     /* messages at QoS 2 from sessions that are kept */
    uint32_t commits;       /* turns that have some and did not post them */
    bool has_entrusted;     /* something to another shard, for the message that is published now */
};

void rc_persist_init(struct rc_broker *broker, struct rc_session_store *store);
void rc_persist_free(struct rc_broker *broker);
/* At the end of a turn: posts what it changed. */
void rc_persist_turn_end(struct rc_broker *broker);
/* The batch of this turn, made when it is the first. */
struct rc_session_batch *rc_persist_batch(struct rc_broker *broker);
/* What goes there takes effect after all commits so far, and, if `waits`, after what other shards do for this
 * turn. */
struct rc_session_batch *rc_persist_commit_batch(struct rc_broker *broker, bool waits);
uint64_t rc_persist_turn_number(struct rc_broker *broker);
/* The store does not take what it gets, or not as fast as it comes: nothing more is promised now. */
bool rc_persist_is_blocked(const struct rc_broker *broker);

/* ---- held output ---- */
/* What is put into the connection's output from now on waits for this turn. */
void rc_conn_hold(struct rc_conn *conn);
bool rc_conn_is_held(const struct rc_conn *conn);
/* How many bytes at the end of its output may not go yet. */
size_t rc_conn_held_bytes(const struct rc_conn *conn);
/* `len` bytes went out. */
void rc_conn_held_flushed(struct rc_conn *conn, size_t len);
/* Whatever waits in its output is not sent any more: it is closed. */
void rc_conn_unhold(struct rc_conn *conn);
/* More turns are done. */
void rc_persist_let_go(struct rc_broker *broker);

/* ---- other shards ---- */
/* What another shard is asked to do belongs to this turn (or to the one that caused it); NULL: it need not.
 */
struct rc_turn *rc_persist_entrust(struct rc_broker *broker, const struct rc_broker *to,
                                   const struct rc_publication *publication);
/* On the other shard, around what it was asked to do. */
void rc_persist_begin_errand(struct rc_broker *broker, struct rc_turn *turn);
/* `is_numbered`: it was a message with an origin. */
void rc_persist_end_errand(struct rc_broker *broker, struct rc_turn *turn, bool is_numbered);

/* ---- what is kept elsewhere, or waits from elsewhere ---- */
/* Whoever hears of this turn has to wait until rc_persist_happened is called with what this returns, once: on
 * the broker's loop, or never when the broker ends. */
struct rc_turn *rc_persist_await(struct rc_broker *broker);
void rc_persist_happened(struct rc_turn *turn);

/* Somebody who is to be told when this turn is done. */
struct rc_persist_waiter {
    struct rc_list node;
    uint64_t number;
    void (*on_done)(struct rc_persist_waiter *waiter);
};
/* `marks`: as persist.marks was before; when nothing was changed since he is told at once. */
void rc_persist_wait(struct rc_broker *broker, struct rc_persist_waiter *waiter, uint64_t marks);

/* ---- changes; harmless for sessions that do not outlive their connection ---- */
/* The session as it is now: from its CONNECT on, and when its client has left. Not kept any more when it has
 * no expiry. */
void rc_persist_session(struct rc_broker *broker, struct rc_session *session);
void rc_persist_end_session(struct rc_broker *broker, struct rc_session *session);
void rc_persist_subscription(struct rc_broker *broker, struct rc_subscription *subscription);
void rc_persist_end_subscription(struct rc_broker *broker, const struct rc_subscription *subscription);
void rc_persist_outgoing(struct rc_broker *broker, struct rc_session *session, uint64_t seq,
                         const struct rc_copy *copy);
void rc_persist_released(struct rc_broker *broker, struct rc_session *session, uint64_t seq);
void rc_persist_end_outgoing(struct rc_broker *broker, struct rc_session *session, uint64_t seq);
/* The same for a message that this turn gives to another session: it stays until that one has it, so that an
 * end of the process in between leaves it twice rather than nowhere. */
void rc_persist_hand_over(struct rc_broker *broker, struct rc_session *session, uint64_t seq);
/* A message at QoS 2 is about to be routed: marks it as the session's own, when that one is kept. */
void rc_persist_origin(struct rc_broker *broker, const struct rc_session *session,
                       struct rc_publication *publication);
/* The message that was routed last counts from now on, and is known by its packet id. */
void rc_persist_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id);
/*
 * An acknowledgement makes room for another message: that one waits until the store knows of the first. So
 * never more have gone out than fit into the window from the oldest that is kept, and a restart knows which
 * may have been sent.
 */
void rc_persist_hold(struct rc_broker *broker, struct rc_session *session);
void rc_persist_end_incoming(struct rc_broker *broker, struct rc_session *session, uint16_t packet_id);
void rc_persist_retained(struct rc_broker *broker, struct rc_slice instance,
                         struct rc_publication *publication);
/* It has expired: deleted, unless a newer one of that topic is there. */
void rc_persist_retained_expired(struct rc_broker *broker, struct rc_slice instance,
                                 struct rc_publication *publication);

#endif
