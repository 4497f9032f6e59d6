/*
 * Design notes
 * - A turn is done when its own batch is durable and when everything is that it asked other shards to do. An
 *   errand for another shard's turn waits for the batch of the turn in which it is run, never for that turn
 *   to be done: two shards that work for each other would wait for ever.
 */
#include "broker/persist.h"

#include "base/alloc.h"
#include "broker/private.h"

struct rc_turn {
    struct rc_mail mail; /* home, when nothing holds it any more */
    struct rc_list node;
    struct rc_broker *broker;
    struct rc_session_batch *batch; /* until it is posted */
    struct rc_turn **errands;       /* of other shards: each held until the batch is durable */
    uint32_t errands_count, errands_cap;
    uint64_t number;
    size_t bytes;
    atomic_uint holds;
    bool is_done;
};

/* A connection's output: what may go, what waits for one turn, and what for a later one. */
struct rc_hold {
    struct rc_list node;
    struct rc_conn *conn;
    size_t free_bytes;      /* at the front */
    size_t first_bytes;     /* free ones and those of the first turn; only while there is a second one */
    uint64_t first, second; /* turns; second 0: none */
};

void rc_persist_init(struct rc_broker *broker, struct rc_session_store *store)
{
    broker->persist.store = store;
    broker->persist.first_id = 1;
    rc_list_init(&broker->persist.turns);
    rc_list_init(&broker->persist.held);
}

static void free_turn(struct rc_turn *turn)
{
    rc_list_remove(&turn->node);
    rc_session_batch_free(turn->batch);
    free(turn->errands);
    free(turn);
}

void rc_persist_free(struct rc_broker *broker)
{
    while (!rc_list_is_empty(&broker->persist.turns))
        free_turn(rc_container_of(broker->persist.turns.next, struct rc_turn, node));
}

bool rc_persist_is_blocked(const struct rc_broker *broker)
{
    const struct rc_persist *persist = &broker->persist;
    return persist->store != NULL &&
           (rc_session_store_is_blocked(persist->store) || persist->under_way > RC_PERSIST_UNDER_WAY_MAX);
}

/* ---- turns ---- */

static void release(struct rc_turn *turn)
{
    if (atomic_fetch_sub_explicit(&turn->holds, 1, memory_order_acq_rel) == 1)
        rc_loop_post(turn->broker->options.loop, &turn->mail);
}

static void let_go(struct rc_hold *hold, uint64_t done)
{
    if (hold->first > done)
        return;
    struct rc_conn *conn = hold->conn;
    if (hold->second == 0 || hold->second <= done) {
        rc_conn_unhold(conn);
    } else {
        hold->free_bytes = hold->first_bytes;
        hold->first = hold->second;
        hold->second = 0;
    }
    rc_conn_touch(conn);
}

static void on_done(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_turn *turn = rc_container_of(mail, struct rc_turn, mail);
    struct rc_persist *persist = &turn->broker->persist;
    uint64_t before = persist->done;
    turn->is_done = true;
    while (!rc_list_is_empty(&persist->turns)) {
        turn = rc_container_of(persist->turns.next, struct rc_turn, node);
        if (!turn->is_done)
            break;
        persist->done = turn->number;
        free_turn(turn);
    }
    if (persist->done == before)
        return;
    rc_list_for_each_safe(node, &persist->held)
        let_go(rc_container_of(node, struct rc_hold, node), persist->done);
}

static void on_durable(struct rc_session_batch *batch)
{
    struct rc_turn *turn = batch->owner;
    turn->broker->persist.under_way -= turn->bytes;
    rc_session_batch_free(batch);
    for (uint32_t i = 0; i < turn->errands_count; i++)
        release(turn->errands[i]);
    turn->errands_count = 0;
    release(turn);
}

static struct rc_turn *turn_of(struct rc_broker *broker)
{
    struct rc_persist *persist = &broker->persist;
    if (persist->turn != NULL)
        return persist->turn;
    struct rc_turn *turn = rc_new(struct rc_turn);
    turn->mail.deliver = on_done;
    turn->broker = broker;
    turn->number = ++persist->numbers;
    atomic_init(&turn->holds, 1);
    turn->batch = rc_session_batch_create(broker->options.loop, on_durable, turn);
    rc_list_push_back(&persist->turns, &turn->node);
    persist->turn = turn;
    return turn;
}

struct rc_session_batch *rc_persist_batch(struct rc_broker *broker)
{
    return turn_of(broker)->batch;
}

void rc_persist_turn_end(struct rc_broker *broker)
{
    struct rc_turn *turn = broker->persist.turn;
    if (turn == NULL)
        return;
    broker->persist.turn = NULL;
    struct rc_session_batch *batch = turn->batch;
    turn->batch = NULL;
    if (batch->count > 0) {
        turn->bytes = rc_buf_len(&batch->ops);
        broker->persist.under_way += turn->bytes;
        atomic_fetch_add_explicit(&turn->holds, 1, memory_order_relaxed);
        rc_session_store_post(broker->persist.store, batch);
    } else {
        rc_session_batch_free(batch);
    }
    release(turn);
}

/* ---- other shards ---- */

static bool may_keep(const struct rc_broker *broker)
{
    return atomic_load_explicit(&broker->counters.sessions_persistent, memory_order_relaxed) > 0 ||
           atomic_load_explicit(&broker->counters.shared_groups, memory_order_relaxed) > 0;
}

struct rc_turn *rc_persist_entrust(struct rc_broker *broker, const struct rc_broker *to,
                                   const struct rc_publication *publication)
{
    struct rc_persist *persist = &broker->persist;
    if (persist->store == NULL || publication->qos == 0 || !may_keep(to))
        return NULL;
    struct rc_turn *turn = persist->cause != NULL ? persist->cause : turn_of(broker);
    atomic_fetch_add_explicit(&turn->holds, 1, memory_order_relaxed);
    persist->marks++;
    return turn;
}

void rc_persist_begin_errand(struct rc_broker *broker, struct rc_turn *turn)
{
    broker->persist.cause = turn;
}

void rc_persist_end_errand(struct rc_broker *broker, struct rc_turn *turn)
{
    struct rc_turn *here = broker->persist.turn;
    broker->persist.cause = NULL;
    if (turn == NULL)
        return;
    bool is_noted = here != NULL && here->errands_count > 0 && here->errands[here->errands_count - 1] == turn;
    if (here == NULL || here->batch->count == 0 || is_noted) {
        release(turn);
        return;
    }
    if (here->errands_count == here->errands_cap) {
        here->errands_cap = here->errands_cap > 0 ? 2 * here->errands_cap : 4;
        here->errands = rc_realloc(here->errands, here->errands_cap * sizeof(*here->errands));
    }
    here->errands[here->errands_count++] = turn;
}

/* ---- held output ---- */

void rc_conn_hold(struct rc_conn *conn)
{
    struct rc_persist *persist = &conn->broker->persist;
    struct rc_hold *hold = conn->hold;
    if (persist->store == NULL || conn->is_dead)
        return;
    uint64_t number = turn_of(conn->broker)->number;
    size_t pending = rc_output_pending(&conn->output);
    if (hold == NULL) {
        hold = conn->hold = rc_new(struct rc_hold);
        hold->conn = conn;
        hold->free_bytes = pending;
        hold->first = number;
        rc_list_push_back(&persist->held, &hold->node);
    } else if (hold->second != 0) {
        hold->second = number;
    } else if (hold->first != number) {
        hold->second = number;
        hold->first_bytes = pending;
    }
}

size_t rc_conn_held_bytes(const struct rc_conn *conn)
{
    return conn->hold != NULL ? rc_output_pending(&conn->output) - conn->hold->free_bytes : 0;
}

void rc_conn_held_flushed(struct rc_conn *conn, size_t len)
{
    if (conn->hold == NULL)
        return;
    conn->hold->free_bytes -= len;
    if (conn->hold->second != 0)
        conn->hold->first_bytes -= len;
}

void rc_conn_unhold(struct rc_conn *conn)
{
    if (conn->hold == NULL)
        return;
    rc_list_remove(&conn->hold->node);
    free(conn->hold);
    conn->hold = NULL;
}
