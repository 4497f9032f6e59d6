/*
 * All batches that wait, in one transaction: what costs is the transaction, so the busier it gets the more go
 * into one.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "session_store/private.h"

/* A retained message that was deleted: it has to win over what is under way, then it goes. */
struct tombstone {
    struct rc_list node;
    uint64_t since_ms;
    uint8_t key[RC_RETAINED_KEY_LEN];
    uint8_t value[RC_VALUE_HEAD]; /* the checksum: another value of that key has another one */
};

MDB_val rc_mdb_val(struct rc_slice slice)
{
    return (MDB_val){.mv_size = slice.len, .mv_data = (void *)(uintptr_t)slice.ptr};
}

static struct rc_slice slice_of(MDB_val val)
{
    return rc_slice(val.mv_data, val.mv_size);
}

static int delete_one(struct rc_session_store *store, MDB_txn *txn, struct rc_slice key)
{
    MDB_val at = rc_mdb_val(key);
    int err = mdb_del(txn, store->dbi, &at, NULL);
    return err == MDB_NOTFOUND ? 0 : err;
}

static int delete_prefix(struct rc_session_store *store, MDB_txn *txn, struct rc_slice prefix)
{
    MDB_cursor *cursor;
    MDB_val key = rc_mdb_val(prefix), value;
    int err = mdb_cursor_open(txn, store->dbi, &cursor);
    if (err != 0)
        return err;
    /* Found anew each time: after a deletion the cursor may stand past the end of its page. */
    while ((err = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)) == 0 &&
           rc_slice_starts_with(slice_of(key), prefix)) {
        err = mdb_cursor_del(cursor, 0);
        if (err != 0)
            break;
        key = rc_mdb_val(prefix);
    }
    mdb_cursor_close(cursor);
    return err == MDB_NOTFOUND ? 0 : err;
}

static int put_newer(struct rc_session_store *store, MDB_txn *txn, const struct rc_session_operation *op)
{
    MDB_val key = rc_mdb_val(op->key), old, value = rc_mdb_val(op->value);
    struct rc_slice body, old_body;
    int err = mdb_get(txn, store->dbi, &key, &old);
    if (err != 0 && err != MDB_NOTFOUND)
        return err;
    if (err == 0 && rc_session_value_open(op->key, op->value, &body) == RC_OK &&
        rc_session_value_open(op->key, slice_of(old), &old_body) == RC_OK &&
        rc_retained_record_is_older(body, old_body))
        return 0;
    return mdb_put(txn, store->dbi, &key, &value, 0);
}

static int put_of_session(struct rc_session_store *store, MDB_txn *txn, const struct rc_session_operation *op)
{
    uint8_t session[RC_SESSION_PREFIX_LEN + 1];
    memcpy(session, op->key.ptr, RC_SESSION_PREFIX_LEN);
    session[RC_SESSION_PREFIX_LEN] = RC_KIND_SESSION;
    MDB_val key = rc_mdb_val(rc_slice(session, sizeof(session))), value;
    int err = mdb_get(txn, store->dbi, &key, &value);
    if (err != 0)
        return err == MDB_NOTFOUND ? 0 : err;
    key = rc_mdb_val(op->key);
    value = rc_mdb_val(op->value);
    return mdb_put(txn, store->dbi, &key, &value, 0);
}

static int apply(struct rc_session_store *store, MDB_txn *txn, const struct rc_session_operation *op)
{
    MDB_val key = rc_mdb_val(op->key), value = rc_mdb_val(op->value);
    switch (op->op) {
    case RC_OP_PUT:
        return mdb_put(txn, store->dbi, &key, &value, 0);
    case RC_OP_PUT_NEWER:
        return put_newer(store, txn, op);
    case RC_OP_PUT_OF_SESSION:
        return put_of_session(store, txn, op);
    case RC_OP_DELETE:
        return delete_one(store, txn, op->key);
    case RC_OP_DELETE_PREFIX:
        return delete_prefix(store, txn, op->key);
    }
    return 0;
}

static int apply_batch(struct rc_session_store *store, MDB_txn *txn, const struct rc_session_batch *batch)
{
    struct rc_session_operation op;
    int err = 0;
    for (size_t at = 0; err == 0 && rc_session_batch_next(batch, &at, &op);)
        err = apply(store, txn, &op);
    return err;
}

/* ---- deleted retained messages ---- */

void rc_session_store_add_tombstone(struct rc_session_store *store, struct rc_slice key,
                                    struct rc_slice value)
{
    struct tombstone *tombstone = rc_new(struct tombstone);
    tombstone->since_ms = rc_clock_mono_ms();
    memcpy(tombstone->key, key.ptr, sizeof(tombstone->key));
    memcpy(tombstone->value, value.ptr, sizeof(tombstone->value));
    rc_list_push_back(&store->tombstones, &tombstone->node);
}

static void note_tombstones(struct rc_session_store *store, const struct rc_session_batch *batch)
{
    struct rc_session_operation op;
    struct rc_retained_record record;
    struct rc_slice body;
    for (size_t at = 0; rc_session_batch_next(batch, &at, &op);)
        if (op.op == RC_OP_PUT_NEWER && rc_session_value_open(op.key, op.value, &body) == RC_OK &&
            rc_retained_record_get(body, &record) == RC_OK && record.message.payload.len == 0)
            rc_session_store_add_tombstone(store, op.key, op.value);
}

static int remove_tombstone(struct rc_session_store *store, MDB_txn *txn, const struct tombstone *tombstone)
{
    struct rc_slice key = rc_slice(tombstone->key, sizeof(tombstone->key));
    MDB_val at = rc_mdb_val(key), value;
    int err = mdb_get(txn, store->dbi, &at, &value);
    if (err != 0)
        return err == MDB_NOTFOUND ? 0 : err;
    if (value.mv_size < RC_VALUE_HEAD || memcmp(value.mv_data, tombstone->value, RC_VALUE_HEAD) != 0)
        return 0;
    return delete_one(store, txn, key);
}

static struct tombstone *first_tombstone(struct rc_session_store *store)
{
    return rc_list_is_empty(&store->tombstones)
               ? NULL
               : rc_container_of(store->tombstones.next, struct tombstone, node);
}

static int remove_tombstones(struct rc_session_store *store, MDB_txn *txn, uint32_t *ret_count)
{
    uint64_t now = rc_clock_mono_ms();
    rc_list_for_each(node, &store->tombstones)
    {
        const struct tombstone *tombstone = rc_container_of(node, struct tombstone, node);
        if (now - tombstone->since_ms < RC_SESSION_TOMBSTONE_MS)
            return 0;
        int err = remove_tombstone(store, txn, tombstone);
        if (err != 0)
            return err;
        ++*ret_count;
    }
    return 0;
}

static void free_tombstones(struct rc_session_store *store, uint32_t count)
{
    for (; count > 0; count--) {
        struct tombstone *tombstone = first_tombstone(store);
        rc_list_remove(&tombstone->node);
        free(tombstone);
    }
}

void rc_session_store_forget_tombstones(struct rc_session_store *store)
{
    while (first_tombstone(store) != NULL)
        free_tombstones(store, 1);
}

/* ---- committing ---- */

/* As many of those that wait as make one transaction. */
static int write_some(struct rc_session_store *store, uint32_t *ret_batches, uint32_t *ret_tombstones)
{
    MDB_txn *txn;
    size_t bytes = 0;
    *ret_batches = *ret_tombstones = 0;
    int err = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (err != 0)
        return err;
    err = rc_session_store_put_alive(store, txn);
    if (err == 0)
        err = remove_tombstones(store, txn, ret_tombstones);
    rc_list_for_each(node, &store->waiting)
    {
        const struct rc_session_batch *batch = rc_container_of(node, struct rc_session_batch, node);
        bytes += rc_buf_len(&batch->ops);
        if (err != 0 || (*ret_batches > 0 && bytes > RC_SESSION_TRANSACTION_BYTES_MAX))
            break;
        err = apply_batch(store, txn, batch);
        ++*ret_batches;
    }
    if (err != 0) {
        mdb_txn_abort(txn);
        return err;
    }
    return mdb_txn_commit(txn);
}

static void report(struct rc_session_store *store, uint32_t count)
{
    for (; count > 0; count--) {
        struct rc_session_batch *batch =
            rc_container_of(rc_list_pop_front(&store->waiting), struct rc_session_batch, node);
        note_tombstones(store, batch);
        atomic_fetch_add_explicit(&store->counters.operations, batch->count, memory_order_relaxed);
        rc_loop_post(batch->from, &batch->mail);
    }
}

static bool fail(struct rc_session_store *store, int err)
{
    atomic_fetch_add_explicit(&store->counters.failures, 1, memory_order_relaxed);
    if (!atomic_exchange(&store->is_blocked, true))
        rc_log_error("sessions",
                     "the session store cannot be written: %s; who waits for it gets no answers. %s",
                     mdb_strerror(err),
                     err == MDB_MAP_FULL ? "Raise mqtt.sessions.max_size and restart."
                                         : "It is tried again each second.");
    return false;
}

bool rc_session_store_commit(struct rc_session_store *store)
{
    do {
        uint32_t batches, tombstones;
        int err = write_some(store, &batches, &tombstones);
        if (err != 0)
            return fail(store, err);
        if (atomic_exchange(&store->is_blocked, false))
            rc_log_info("sessions", "the session store is written again");
        atomic_fetch_add_explicit(&store->counters.transactions, 1, memory_order_relaxed);
        store->is_dirty = true;
        free_tombstones(store, tombstones);
        report(store, batches);
    } while (!rc_list_is_empty(&store->waiting));
    return true;
}
