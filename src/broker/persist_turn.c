/*
 * Design notes
 * - A turn goes through three states. Ready: its own batch is durable, and so is everything that other shards
 *   did for it (its errands). Committed: what makes its messages count is durable too; see below. Done: it is
 *   committed, and so are the turns of other shards for which it ran errands that must not be heard of
 * before.
 * - What other shards are asked to do is durable apart from the packet id by which a publisher's message at
 *   QoS 2 is known when it comes again, and either without the other would be a message lost or one too many.
 *   So the packet id is the commit: it is written after everything else, with the message's number, and a
 * copy that bears a number not yet committed is withdrawn at the next start. Until then no receiver is sent
 * it.
 * - An errand waits for the batch of the turn in which it is run, and a commit for errands: never for a turn
 * to be done. Otherwise two shards that work for each other would wait for ever.
 * - Commits are posted in the order of their turns, for a number says that all before it count.
 */
#include "broker/persist.h"

#include "base/alloc.h"
#include "broker/private.h"

/* A turn that ran an errand, and the other shard's turn whose commit it waits for. */
struct follow {
    struct rc_mail mail;
    struct rc_list node;
    struct rc_turn *of, *by;
};

struct errand {
    struct rc_turn *turn;  /* of another shard: held until the batch is durable */
    struct follow *follow; /* NULL: it may be heard of as soon as that */
};

struct rc_turn {
    struct rc_mail mail; /* home, when nothing holds it any more */
    struct rc_list node;
    struct rc_broker *broker;
    struct rc_session_batch *batch;  /* until it is posted */
    struct rc_session_batch *commit; /* NULL: none; until it is posted */
    struct errand *errands;          /* of other shards */
    uint32_t errands_count, errands_cap;
    uint32_t following;       /* commits of other shards that it waits for */
    struct rc_list followers; /* who wait for its own */
    uint64_t number;
    size_t bytes;
    atomic_uint holds;
    bool is_ready, is_posted, is_committed;
};

void rc_persist_init(struct rc_broker *broker, struct rc_session_store *store)
{
    broker->persist.store = store;
    broker->persist.first_id = 1;
    rc_list_init(&broker->persist.turns);
    rc_list_init(&broker->persist.held);
    rc_list_init(&broker->persist.waiters);
}

static void free_turn(struct rc_turn *turn)
{
    rc_list_remove(&turn->node);
    rc_session_batch_free(turn->batch);
    rc_session_batch_free(turn->commit);
    for (uint32_t i = 0; i < turn->errands_count; i++)
        free(turn->errands[i].follow);
    free(turn->errands);
    rc_list_for_each_safe(node, &turn->followers) free(rc_container_of(node, struct follow, node));
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

/* ---- the end of turns ---- */

static void tell_waiters(struct rc_persist *persist)
{
    while (!rc_list_is_empty(&persist->waiters)) {
        struct rc_persist_waiter *waiter =
            rc_container_of(persist->waiters.next, struct rc_persist_waiter, node);
        if (waiter->number > persist->done)
            return;
        rc_list_remove(&waiter->node);
        waiter->on_done(waiter);
    }
}

static void end_turns(struct rc_broker *broker)
{
    struct rc_persist *persist = &broker->persist;
    uint64_t before = persist->done;
    while (!rc_list_is_empty(&persist->turns)) {
        struct rc_turn *turn = rc_container_of(persist->turns.next, struct rc_turn, node);
        if (!turn->is_committed || turn->following > 0)
            break;
        persist->done = turn->number;
        free_turn(turn);
    }
    if (persist->done == before)
        return;
    rc_persist_let_go(broker);
    tell_waiters(persist);
}

static void on_followed(struct rc_mail *mail, struct rc_loop *loop)
{
    struct follow *follow = rc_container_of(mail, struct follow, mail);
    struct rc_turn *turn = follow->by;
    free(follow);
    turn->following--;
    end_turns(turn->broker);
}

/* What the turn's messages were waiting for has come to pass. */
static void committed(struct rc_turn *turn)
{
    turn->is_committed = true;
    rc_list_for_each_safe(node, &turn->followers)
    {
        struct follow *follow = rc_container_of(node, struct follow, node);
        rc_list_remove(&follow->node);
        follow->mail.deliver = on_followed;
        rc_loop_post(follow->by->broker->options.loop, &follow->mail);
    }
}

static void post(struct rc_turn *turn, struct rc_session_batch *batch)
{
    struct rc_persist *persist = &turn->broker->persist;
    turn->bytes = rc_buf_len(&batch->ops);
    persist->under_way += turn->bytes;
    rc_session_store_post(persist->store, batch);
}

static void commit(struct rc_turn *turn)
{
    turn->is_posted = true;
    if (turn->commit == NULL) {
        committed(turn);
        return;
    }
    struct rc_session_batch *batch = turn->commit;
    turn->commit = NULL;
    turn->broker->persist.commits--;
    post(turn, batch);
}

/* Commits whatever may be, then ends what may end. */
static void advance(struct rc_broker *broker)
{
    rc_list_for_each(node, &broker->persist.turns)
    {
        struct rc_turn *turn = rc_container_of(node, struct rc_turn, node);
        if (!turn->is_ready)
            break;
        if (!turn->is_posted)
            commit(turn);
    }
    end_turns(broker);
}

static void on_commit_durable(struct rc_session_batch *batch)
{
    struct rc_turn *turn = batch->owner;
    turn->broker->persist.under_way -= turn->bytes;
    rc_session_batch_free(batch);
    committed(turn);
    end_turns(turn->broker);
}

/* ---- what a turn waits for ---- */

static void on_ready(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_turn *turn = rc_container_of(mail, struct rc_turn, mail);
    turn->is_ready = true;
    advance(turn->broker);
}

/* Any thread. */
static void release(struct rc_turn *turn)
{
    if (atomic_fetch_sub_explicit(&turn->holds, 1, memory_order_acq_rel) == 1)
        rc_loop_post(turn->broker->options.loop, &turn->mail);
}

/* On the loop whose errand it was: the other shard has it, and wants to hear of the commit. */
static void on_follow(struct rc_mail *mail, struct rc_loop *loop)
{
    struct follow *follow = rc_container_of(mail, struct follow, mail);
    rc_list_push_back(&follow->of->followers, &follow->node);
    release(follow->of);
}

static void errand_durable(struct errand *errand)
{
    if (errand->follow == NULL) {
        release(errand->turn);
        return;
    }
    errand->follow->mail.deliver = on_follow;
    rc_loop_post(errand->turn->broker->options.loop, &errand->follow->mail);
}

static void on_durable(struct rc_session_batch *batch)
{
    struct rc_turn *turn = batch->owner;
    turn->broker->persist.under_way -= turn->bytes;
    rc_session_batch_free(batch);
    for (uint32_t i = 0; i < turn->errands_count; i++)
        errand_durable(&turn->errands[i]);
    turn->errands_count = 0;
    release(turn);
}

/* ---- this turn ---- */

static struct rc_turn *turn_of(struct rc_broker *broker)
{
    struct rc_persist *persist = &broker->persist;
    if (persist->turn != NULL)
        return persist->turn;
    struct rc_turn *turn = rc_new(struct rc_turn);
    turn->mail.deliver = on_ready;
    turn->broker = broker;
    turn->number = ++persist->numbers;
    atomic_init(&turn->holds, 1);
    rc_list_init(&turn->followers);
    turn->batch = rc_session_batch_create(broker->options.loop, on_durable, turn);
    rc_list_push_back(&persist->turns, &turn->node);
    persist->turn = turn;
    return turn;
}

uint64_t rc_persist_turn_number(struct rc_broker *broker)
{
    return turn_of(broker)->number;
}

struct rc_session_batch *rc_persist_batch(struct rc_broker *broker)
{
    return turn_of(broker)->batch;
}

struct rc_session_batch *rc_persist_commit_batch(struct rc_broker *broker, bool waits)
{
    struct rc_turn *turn = turn_of(broker);
    if (!waits && broker->persist.commits == 0)
        return turn->batch;
    if (turn->commit == NULL) {
        turn->commit = rc_session_batch_create(broker->options.loop, on_commit_durable, turn);
        broker->persist.commits++;
    }
    return turn->commit;
}

/* Something else has to happen before the turn is ready: whoever published in it waits for that too. */
static struct rc_turn *hold(struct rc_persist *persist, struct rc_turn *turn)
{
    atomic_fetch_add_explicit(&turn->holds, 1, memory_order_relaxed);
    persist->marks++;
    persist->has_entrusted = true;
    return turn;
}

struct rc_turn *rc_persist_await(struct rc_broker *broker)
{
    return hold(&broker->persist, turn_of(broker));
}

void rc_persist_happened(struct rc_turn *turn)
{
    release(turn);
}

void rc_persist_wait(struct rc_broker *broker, struct rc_persist_waiter *waiter, uint64_t marks)
{
    if (broker->persist.marks == marks) {
        waiter->on_done(waiter);
        return;
    }
    waiter->number = turn_of(broker)->number;
    rc_list_push_back(&broker->persist.waiters, &waiter->node);
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
        atomic_fetch_add_explicit(&turn->holds, 1, memory_order_relaxed);
        post(turn, batch);
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
    return hold(persist, persist->cause != NULL ? persist->cause : turn_of(broker));
}

void rc_persist_begin_errand(struct rc_broker *broker, struct rc_turn *turn)
{
    broker->persist.cause = turn;
}

/* The errand's place in this turn: one for all that were run for the same turn one after the other. */
static struct errand *note_errand(struct rc_turn *here, struct rc_turn *turn)
{
    struct errand *last = here->errands_count > 0 ? &here->errands[here->errands_count - 1] : NULL;
    if (last != NULL && last->turn == turn) {
        release(turn);
        return last;
    }
    if (here->errands_count == here->errands_cap) {
        here->errands_cap = here->errands_cap > 0 ? 2 * here->errands_cap : 4;
        here->errands = rc_realloc(here->errands, here->errands_cap * sizeof(*here->errands));
    }
    here->errands[here->errands_count] = (struct errand){.turn = turn};
    return &here->errands[here->errands_count++];
}

void rc_persist_end_errand(struct rc_broker *broker, struct rc_turn *turn, bool is_numbered)
{
    struct rc_turn *here = broker->persist.turn;
    broker->persist.cause = NULL;
    if (turn == NULL)
        return;
    if (here == NULL || here->batch->count == 0) { /* nothing of it is kept */
        release(turn);
        return;
    }
    struct errand *errand = note_errand(here, turn);
    if (!is_numbered || errand->follow != NULL)
        return;
    errand->follow = rc_new(struct follow);
    errand->follow->of = turn;
    errand->follow->by = here;
    here->following++;
}
