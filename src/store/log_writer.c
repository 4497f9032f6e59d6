/*
 * The writer's side: batches that arrive in a turn are appended together at its end. When that fails they
 * stay in line, in order, and are tried again; nothing overtakes them.
 */
#include "store/log_writer.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/log_batch.h"
#include "store/log_reader.h"
#include "store/store_private.h"

#include <inttypes.h>

enum {
    PIECE_RECORDS = 8192, /* at most so many records in one append */
    RETAIN_EVERY_MS = 60 * 1000,
    RETAIN_WHEN_FULL_EVERY = 10, /* retries */
    LOOK_AT_DISK_MS = 1000,
};

struct rc_log_writer {
    struct rc_store *store;
    struct rc_loop *loop;
    struct rc_log_retention retention;
    struct rc_log_readers readers;
    atomic_uint_fast32_t refs; /* the owner, each sender, each reader */
    atomic_bool is_blocked, is_stopped, is_disk_low;

    /* the thread's own */
    struct rc_hook hook;
    struct rc_timer retry_timer, retain_timer, disk_timer;
    struct rc_list queue; /* batches in line */
    struct rc_append *piece;
    uint32_t piece_cap;
    uint32_t retries;

    struct rc_mail stop_mail;
    bool is_stopping, has_ended;
    uint64_t stop_deadline_ms;
    int stop_result;

    atomic_uint_fast64_t records, bytes, batches, write_errors;
};

/* ---- retention ---- */

static void retain(struct rc_log_writer *writer)
{
    uint64_t target = rc_store_retain_target(writer->store);
    if (target <= rc_store_min_physical(writer->store))
        return;
    uint64_t keep_from = target;
    if (writer->retention.keep_from != NULL)
        keep_from = writer->retention.keep_from(writer->retention.arg, target);
    rc_store_retain(writer->store, keep_from);
}

static void on_retain_due(struct rc_timer *timer)
{
    struct rc_log_writer *writer = rc_container_of(timer, struct rc_log_writer, retain_timer);
    retain(writer);
    rc_timer_start(writer->loop, timer, RETAIN_EVERY_MS);
}

/* Others fill the disk too. Told when it begins and when it is over; what can be deleted goes at once. */
static void on_disk_due(struct rc_timer *timer)
{
    struct rc_log_writer *writer = rc_container_of(timer, struct rc_log_writer, disk_timer);
    uint64_t bytes = rc_store_free_bytes(writer->store), min = writer->store->options.min_free_bytes;
    bool is_low = bytes < min, was_low = atomic_exchange(&writer->is_disk_low, is_low);
    if (is_low && !was_low) {
        rc_log_error("log",
                     "ALARM: the disk has free_bytes=%" PRIu64 ", less than store.min_free=%" PRIu64
                     ": new clients are refused until there is more",
                     bytes, min);
        retain(writer);
    } else if (was_low && !is_low) {
        rc_log_info("log", "alarm over: the disk has free_bytes=%" PRIu64, bytes);
    }
    rc_timer_start(writer->loop, timer, LOOK_AT_DISK_MS);
}

/* ---- appending ---- */

static uint64_t batch_bytes(const struct rc_log_batch *batch)
{
    return rc_buf_len(&batch->bytes);
}

/* Gathers batches from the front of the line, as many as one append takes; how many records that makes. */
static uint32_t gather(struct rc_log_writer *writer, uint64_t *ret_bytes)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    rc_list_for_each(node, &writer->queue)
    {
        struct rc_log_batch *batch = rc_container_of(node, struct rc_log_batch, node);
        if (count > 0 &&
            (count + batch->count > PIECE_RECORDS || bytes + batch_bytes(batch) > RC_STORE_BATCH_MAX))
            break;
        if (count + batch->count > writer->piece_cap) {
            writer->piece_cap = count + batch->count;
            writer->piece = rc_realloc(writer->piece, writer->piece_cap * sizeof(*writer->piece));
        }
        for (uint32_t i = 0; i < batch->count; i++)
            writer->piece[count + i] = batch->entries[i].append;
        count += batch->count;
        bytes += batch_bytes(batch);
    }
    *ret_bytes = bytes;
    return count;
}

/* Sends the batches that make up the first `count` records back, with where each record went. */
static void report(struct rc_log_writer *writer, uint32_t count)
{
    uint32_t at = 0;
    while (at < count) {
        struct rc_list *node = rc_list_pop_front(&writer->queue);
        struct rc_log_batch *batch = rc_container_of(node, struct rc_log_batch, node);
        for (uint32_t i = 0; i < batch->count; i++)
            batch->entries[i].append = writer->piece[at + i];
        at += batch->count;
        rc_log_sender_return(batch);
    }
}

static void block(struct rc_log_writer *writer, int err)
{
    atomic_fetch_add_explicit(&writer->write_errors, 1, memory_order_relaxed);
    if (!atomic_exchange(&writer->is_blocked, true)) {
        rc_log_error(
            "log", "WRITING TO THE LOG FAILS: %s; records wait in memory, new work is refused until it works",
            rc_err_text(err));
        writer->retries = 0;
    }
    if (writer->retries++ % RETAIN_WHEN_FULL_EVERY == 0)
        retain(writer);
    rc_timer_start(writer->loop, &writer->retry_timer, RC_LOG_RETRY_MS);
}

static void unblock(struct rc_log_writer *writer)
{
    if (!atomic_load_explicit(&writer->is_blocked, memory_order_relaxed))
        return;
    atomic_store(&writer->is_blocked, false);
    rc_log_error("log", "writing to the log works again after %" PRIu32 " failed tries", writer->retries);
}

static void write_line(struct rc_log_writer *writer)
{
    while (!rc_list_is_empty(&writer->queue)) {
        uint64_t bytes;
        uint32_t count = gather(writer, &bytes);
        int err = rc_store_append(writer->store, writer->piece, count);
        if (err != RC_OK) {
            block(writer, err);
            return;
        }
        unblock(writer);
        atomic_fetch_add_explicit(&writer->records, count, memory_order_relaxed);
        atomic_fetch_add_explicit(&writer->bytes, bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&writer->batches, 1, memory_order_relaxed);
        rc_log_readers_note(&writer->readers, writer->piece, count);
        report(writer, count);
    }
    rc_log_readers_wake(&writer->readers);
}

/* ---- stopping ---- */

/* With a full disk what is left in line goes back unwritten. */
static void give_back(struct rc_log_writer *writer)
{
    for (struct rc_list *node; (node = rc_list_pop_front(&writer->queue)) != NULL;) {
        struct rc_log_batch *batch = rc_container_of(node, struct rc_log_batch, node);
        batch->is_lost = true;
        rc_log_sender_return(batch);
    }
}

static void stop_when_done(struct rc_log_writer *writer)
{
    bool is_late = rc_loop_now_ms(writer->loop) >= writer->stop_deadline_ms;
    bool is_done = rc_list_is_empty(&writer->queue);
    if (!is_done && !is_late)
        return;
    writer->stop_result = is_done ? rc_store_flush(writer->store) : RC_ERR_NO_SPACE;
    writer->has_ended = true;
    give_back(writer);
    rc_timer_stop(&writer->retry_timer);
    rc_timer_stop(&writer->retain_timer);
    rc_timer_stop(&writer->disk_timer);
    rc_loop_stop(writer->loop);
}

static void deliver_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_log_writer *writer = rc_container_of(mail, struct rc_log_writer, stop_mail);
    writer->is_stopping = true;
    writer->stop_deadline_ms = rc_loop_now_ms(loop) + RC_LOG_STOP_MS;
}

/* ---- the loop's side ---- */

static void deliver_batch(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_log_batch *batch = rc_container_of(mail, struct rc_log_batch, mail);
    struct rc_log_writer *writer = rc_log_sender_writer(batch->sender);
    rc_list_push_back(&writer->queue, &batch->node);
}

void rc_log_writer_post(struct rc_log_writer *writer, struct rc_log_batch *batch)
{
    batch->mail.deliver = deliver_batch;
    rc_loop_post(writer->loop, &batch->mail);
}

static void on_turn_end(struct rc_hook *hook)
{
    struct rc_log_writer *writer = rc_container_of(hook, struct rc_log_writer, hook);
    if (writer->has_ended) /* the loop runs its hooks once more */
        return;
    /* while blocked only the timer tries again */
    if (!rc_timer_is_running(&writer->retry_timer))
        write_line(writer);
    if (writer->is_stopping)
        stop_when_done(writer);
}

/* The hook of the same turn does it. */
static void on_retry_due(struct rc_timer *timer)
{
}

/* ---- life ---- */

int rc_log_writer_start(struct rc_store *store, const struct rc_log_retention *retention,
                        struct rc_log_writer **ret, struct rc_error *error)
{
    struct rc_log_writer *writer = rc_new(struct rc_log_writer);
    writer->store = store;
    if (retention != NULL)
        writer->retention = *retention;
    atomic_init(&writer->refs, 1);
    rc_list_init(&writer->queue);
    rc_log_readers_init(&writer->readers);
    writer->hook.run = on_turn_end;
    writer->retry_timer.on_due = on_retry_due;
    writer->retain_timer.on_due = on_retain_due;
    writer->disk_timer.on_due = on_disk_due;
    writer->stop_mail.deliver = deliver_stop;
    int err = rc_loop_create("rc-log", &writer->loop);
    if (err == RC_OK) {
        rc_loop_add_hook(writer->loop, &writer->hook);
        rc_timer_start(writer->loop, &writer->retain_timer, RETAIN_EVERY_MS);
        rc_timer_start(writer->loop, &writer->disk_timer, 0);
        err = rc_loop_start_thread(writer->loop);
    }
    if (err != RC_OK) {
        rc_log_writer_release(writer);
        return rc_error_set(error, err, "cannot start the log's thread: %s", rc_err_text(err));
    }
    *ret = writer;
    return RC_OK;
}

int rc_log_writer_stop(struct rc_log_writer *writer)
{
    if (writer == NULL)
        return RC_OK;
    atomic_store(&writer->is_stopped, true);
    rc_loop_post(writer->loop, &writer->stop_mail);
    rc_loop_join_thread(writer->loop);
    give_back(writer);
    int result = writer->stop_result;
    rc_log_writer_release(writer);
    return result;
}

void rc_log_writer_retain(struct rc_log_writer *writer)
{
    atomic_fetch_add_explicit(&writer->refs, 1, memory_order_relaxed);
}

void rc_log_writer_release(struct rc_log_writer *writer)
{
    if (atomic_fetch_sub_explicit(&writer->refs, 1, memory_order_acq_rel) != 1)
        return;
    rc_loop_destroy(writer->loop);
    rc_log_readers_free(&writer->readers);
    free(writer->piece);
    free(writer);
}

/* ---- what others ask ---- */

struct rc_loop *rc_log_writer_loop(struct rc_log_writer *writer)
{
    return writer->loop;
}

struct rc_log_readers *rc_log_writer_readers(struct rc_log_writer *writer)
{
    return &writer->readers;
}

struct rc_store *rc_log_writer_store(struct rc_log_writer *writer)
{
    return writer->store;
}

bool rc_log_writer_is_blocked(const struct rc_log_writer *writer)
{
    return atomic_load_explicit(&writer->is_blocked, memory_order_relaxed);
}

bool rc_log_writer_is_disk_low(const struct rc_log_writer *writer)
{
    return atomic_load_explicit(&writer->is_disk_low, memory_order_relaxed);
}

bool rc_log_writer_is_stopped(const struct rc_log_writer *writer)
{
    return atomic_load_explicit(&writer->is_stopped, memory_order_relaxed);
}

uint64_t rc_log_writer_segment_bytes(const struct rc_log_writer *writer)
{
    return writer->store->log.segment_bytes;
}

uint64_t rc_log_writer_end(const struct rc_log_writer *writer)
{
    return rc_store_max_physical(writer->store);
}

void rc_log_writer_stats(const struct rc_log_writer *writer, struct rc_log_stats *ret)
{
    *ret = (struct rc_log_stats){
        .records = atomic_load_explicit(&writer->records, memory_order_relaxed),
        .bytes = atomic_load_explicit(&writer->bytes, memory_order_relaxed),
        .batches = atomic_load_explicit(&writer->batches, memory_order_relaxed),
        .fdatasyncs = atomic_load_explicit(&writer->store->flusher.fdatasyncs, memory_order_relaxed),
        .write_errors = atomic_load_explicit(&writer->write_errors, memory_order_relaxed) +
                        atomic_load_explicit(&writer->store->flusher.errors, memory_order_relaxed),
    };
}
