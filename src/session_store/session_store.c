/*
 * Design notes
 * - Without MDB_WRITEMAP: pages are written with pwrite, the meta page last, so a process that is killed at
 *   any point leaves the last transaction whole in the kernel's page cache. With a writable map, a stray
 *   write of this process could damage the file.
 * - RC_SESSION_FLUSH_SYNC leaves LMDB's own fdatasync in place: each transaction is on the disk, in order.
 * - RC_SESSION_FLUSH_ASYNC is MDB_NOSYNC and a sync now and then. The kernel may then write pages in another
 *   order than LMDB did, so a power failure can damage the tree, not only cost the last moments: each value
 *   bears a checksum with its key, all are read at the start, and a damaged store is refused.
 */
#include "session_store/session_store.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "session_store/private.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIN_BYTES = 1 << 20, DIR_MODE = 0750, FILE_MODE = 0640, META_BYTES = 4 + 8 + 8 };
static const uint8_t meta_key[] = {RC_TABLE_META};

void rc_session_store_options_default(struct rc_session_store_options *options)
{
    *options = (struct rc_session_store_options){
        .max_bytes = 8ull << 30,
        .flush_interval_ms = 1000,
    };
}

int rc_err_of_mdb(int err)
{
    switch (err) {
    case 0:
        return RC_OK;
    case MDB_MAP_FULL:
        return RC_ERR_FULL;
    case MDB_VERSION_MISMATCH:
        return RC_ERR_VERSION;
    case MDB_CORRUPTED:
    case MDB_INVALID:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
        return RC_ERR_CORRUPT;
    default:
        return err > 0 ? rc_err_from_errno(err) : RC_ERR_IO;
    }
}

/* ---- what it knows of itself: version, epoch, the last sign of life ---- */

int rc_session_store_put_alive(struct rc_session_store *store, MDB_txn *txn)
{
    uint8_t bytes[RC_VALUE_HEAD + META_BYTES];
    struct rc_slice key = rc_slice(meta_key, sizeof(meta_key));
    rc_store_u32(bytes + RC_VALUE_HEAD, RC_SESSION_STORE_VERSION);
    rc_store_u64(bytes + RC_VALUE_HEAD + 4, store->epoch);
    rc_store_u64(bytes + RC_VALUE_HEAD + 12, (uint64_t)rc_clock_wall_ms());
    rc_store_u32(bytes, rc_session_checksum(key, rc_slice(bytes + RC_VALUE_HEAD, META_BYTES)));
    MDB_val at = rc_mdb_val(key), value = {.mv_size = sizeof(bytes), .mv_data = bytes};
    return mdb_put(txn, store->dbi, &at, &value, 0);
}

/* MDB_NOTFOUND: it is new. */
static int read_meta(struct rc_session_store *store, MDB_txn *txn, struct rc_error *error)
{
    struct rc_slice key = rc_slice(meta_key, sizeof(meta_key)), body;
    MDB_val at = rc_mdb_val(key), value;
    int err = mdb_get(txn, store->dbi, &at, &value);
    if (err == MDB_NOTFOUND)
        return RC_OK;
    if (err != 0)
        return rc_error_set(error, rc_err_of_mdb(err), "%s: %s", store->dir, mdb_strerror(err));
    if (rc_session_value_open(key, rc_slice(value.mv_data, value.mv_size), &body) != RC_OK ||
        body.len < META_BYTES)
        return rc_error_set(error, RC_ERR_CORRUPT,
                            "%s: the session store is damaged; move it away to start without the sessions "
                            "and retained messages in it",
                            store->dir);
    uint32_t version = rc_load_u32(body.ptr);
    if (version == 0 || version > RC_SESSION_STORE_VERSION)
        return rc_error_set(error, RC_ERR_VERSION,
                            "%s: the session store is of version %u, this program knows version %d",
                            store->dir, version, RC_SESSION_STORE_VERSION);
    store->epoch = rc_load_u64(body.ptr + 4);
    store->last_alive_ms = (int64_t)rc_load_u64(body.ptr + 12);
    return RC_OK;
}

static int open_meta(struct rc_session_store *store, struct rc_error *error)
{
    MDB_txn *txn;
    int err = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (err != 0)
        return rc_error_set(error, rc_err_of_mdb(err), "%s: %s", store->dir, mdb_strerror(err));
    err = mdb_dbi_open(txn, NULL, 0, &store->dbi);
    if (err == 0) {
        int code = read_meta(store, txn, error);
        if (code != RC_OK) {
            mdb_txn_abort(txn);
            return code;
        }
        store->epoch++;
        err = rc_session_store_put_alive(store, txn);
    }
    if (err == 0)
        err = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return err ? rc_error_set(error, rc_err_of_mdb(err), "%s: %s", store->dir, mdb_strerror(err)) : RC_OK;
}

/* ---- opening ---- */

static int open_env(struct rc_session_store *store, uint64_t max_bytes, struct rc_error *error)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    long page = sysconf(_SC_PAGESIZE);
    if (store->flush == RC_SESSION_FLUSH_ASYNC)
        flags |= MDB_NOSYNC;
    if (max_bytes < MIN_BYTES)
        max_bytes = MIN_BYTES;
    max_bytes -= max_bytes % (uint64_t)page;
    int err = mdb_env_create(&store->env);
    err = err ? err : mdb_env_set_mapsize(store->env, max_bytes);
    err = err ? err : mdb_env_open(store->env, store->dir, flags, FILE_MODE);
    return err ? rc_error_set(error, rc_err_of_mdb(err), "%s: %s", store->dir, mdb_strerror(err)) : RC_OK;
}

int rc_session_store_open(const struct rc_session_store_options *options, struct rc_session_store **ret,
                          struct rc_error *error)
{
    if (mkdir(options->dir, DIR_MODE) != 0 && errno != EEXIST)
        return rc_error_set(error, rc_err_from_errno(errno), "%s: %s", options->dir, strerror(errno));
    struct rc_session_store *store = rc_new(struct rc_session_store);
    store->dir = rc_strdup(options->dir);
    store->flush = options->flush;
    store->flush_interval_ms = options->flush_interval_ms;
    rc_list_init(&store->waiting);
    rc_list_init(&store->tombstones);
    int err = open_env(store, options->max_bytes, error);
    err = err ? err : open_meta(store, error);
    if (err == RC_OK && rc_loop_create("rc-sessions", &store->loop) != RC_OK)
        err = rc_error_set(error, RC_ERR_IO, "no event loop for the session store");
    if (err != RC_OK) {
        rc_session_store_close(store);
        return err;
    }
    *ret = store;
    return RC_OK;
}

uint64_t rc_session_store_epoch(const struct rc_session_store *store)
{
    return store->epoch;
}

int64_t rc_session_store_last_alive_ms(const struct rc_session_store *store)
{
    return store->last_alive_ms;
}

bool rc_session_store_is_blocked(const struct rc_session_store *store)
{
    return atomic_load_explicit(&store->is_blocked, memory_order_relaxed);
}

const struct rc_session_store_counters *rc_session_store_counters(const struct rc_session_store *store)
{
    return &store->counters;
}

/* ---- the thread ---- */

static void commit_or_retry(struct rc_session_store *store)
{
    if (!rc_session_store_commit(store))
        rc_timer_start(store->loop, &store->retry, RC_SESSION_RETRY_MS);
}

static void on_turn_end(struct rc_hook *hook)
{
    struct rc_session_store *store = rc_container_of(hook, struct rc_session_store, hook);
    if (!rc_list_is_empty(&store->waiting) && !rc_timer_is_running(&store->retry))
        commit_or_retry(store);
}

static void on_retry(struct rc_timer *timer)
{
    commit_or_retry(rc_container_of(timer, struct rc_session_store, retry));
}

static void sync_now(struct rc_session_store *store)
{
    int err = store->is_dirty ? mdb_env_sync(store->env, 1) : 0;
    if (err != 0)
        rc_log_error("sessions", "the session store did not reach the disk: %s", mdb_strerror(err));
    else
        store->is_dirty = false;
}

/* Also the sign of life of a server where nothing happens, and the end of tombstones. */
enum { ALIVE_MS = 10000 };

static void on_sync(struct rc_timer *timer)
{
    struct rc_session_store *store = rc_container_of(timer, struct rc_session_store, sync);
    if (store->flush == RC_SESSION_FLUSH_ASYNC)
        sync_now(store);
    MDB_txn *txn;
    int64_t now_ms = rc_clock_wall_ms(), since_ms = now_ms - store->last_alive_ms;
    if ((since_ms < 0 || since_ms >= ALIVE_MS) && !rc_timer_is_running(&store->retry) &&
        mdb_txn_begin(store->env, NULL, 0, &txn) == 0) {
        store->last_alive_ms = now_ms;
        if (rc_session_store_put_alive(store, txn) != 0)
            mdb_txn_abort(txn);
        else
            store->is_dirty |= mdb_txn_commit(txn) == 0;
    }
    rc_timer_start(store->loop, timer, store->flush_interval_ms);
}

static void on_reported(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_session_batch *batch = rc_container_of(mail, struct rc_session_batch, mail);
    batch->on_durable(batch);
}

static void on_batch(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_session_batch *batch = rc_container_of(mail, struct rc_session_batch, mail);
    batch->mail.deliver = on_reported;
    rc_list_push_back(&batch->store->waiting, &batch->node);
}

void rc_session_store_post(struct rc_session_store *store, struct rc_session_batch *batch)
{
    batch->store = store;
    batch->mail.deliver = on_batch;
    rc_loop_post(store->loop, &batch->mail);
}

void rc_session_store_close(struct rc_session_store *store)
{
    if (store == NULL)
        return;
    while (store->loop != NULL && rc_loop_drain(store->loop)) /* posted, and never started */
        ;
    sync_now(store);
    rc_session_store_forget_tombstones(store);
    for (struct rc_list *node; (node = rc_list_pop_front(&store->waiting)) != NULL;)
        rc_session_batch_free(rc_container_of(node, struct rc_session_batch, node));
    rc_loop_destroy(store->loop);
    mdb_env_close(store->env);
    free(store->dir);
    free(store);
}

int rc_session_store_start(struct rc_session_store *store, struct rc_error *error)
{
    store->hook.run = on_turn_end;
    store->retry.on_due = on_retry;
    store->sync.on_due = on_sync;
    rc_loop_add_hook(store->loop, &store->hook);
    rc_timer_start(store->loop, &store->sync, store->flush_interval_ms);
    int err = rc_loop_start_thread(store->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "no thread for the session store: %s", rc_err_text(err));
    store->is_running = true;
    return RC_OK;
}

void rc_session_store_stop(struct rc_session_store *store)
{
    if (store == NULL || !store->is_running)
        return;
    rc_loop_stop(store->loop);
    rc_loop_join_thread(store->loop);
    store->is_running = false;
    rc_timer_stop(&store->retry);
    rc_timer_stop(&store->sync);
    rc_loop_remove_hook(&store->hook);
    rc_session_store_write_rest(store);
}

bool rc_session_store_write_rest(struct rc_session_store *store)
{
    while (rc_loop_drain(store->loop))
        ;
    if (rc_list_is_empty(&store->waiting))
        return false;
    bool is_written = rc_session_store_commit(store);
    if (!is_written)
        rc_log_error("sessions", "the last changes of sessions could not be written");
    return is_written;
}
