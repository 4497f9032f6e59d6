#include "store/flusher.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/store_private.h"

#include <errno.h>

void rc_flusher_init(struct rc_flusher *flusher, struct rc_store *store)
{
    pthread_condattr_t attr;
    *flusher = (struct rc_flusher){.store = store};
    pthread_mutex_init(&flusher->mutex, NULL);
    pthread_mutex_init(&flusher->flush_mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&flusher->wake, &attr);
    pthread_condattr_destroy(&attr);
}

void rc_flusher_free(struct rc_flusher *flusher)
{
    pthread_mutex_destroy(&flusher->mutex);
    pthread_mutex_destroy(&flusher->flush_mutex);
    pthread_cond_destroy(&flusher->wake);
}

/* With flush_mutex held. *ret_moved tells whether there was anything new. */
static int flush_log(struct rc_flusher *flusher, bool *ret_moved)
{
    struct rc_commit_log *log = &flusher->store->log;
    /* the time before the end: see publish() in append.c */
    int64_t last_ms = atomic_load_explicit(&log->last_store_ms, memory_order_acquire);
    uint64_t end = atomic_load_explicit(&log->end, memory_order_acquire);
    uint64_t min = atomic_load_explicit(&log->min, memory_order_acquire);
    *ret_moved = false;
    if (flusher->flushed_to < min)
        flusher->flushed_to = min;
    if (end == flusher->flushed_to)
        return RC_OK;
    int err = rc_commit_log_sync(log, flusher->flushed_to, end);
    if (err != RC_OK)
        return err;
    atomic_fetch_add_explicit(&flusher->fdatasyncs, 1, memory_order_relaxed);
    flusher->flushed_to = end;
    flusher->flushed_ms = last_ms;
    *ret_moved = true;
    return RC_OK;
}

/* With flush_mutex held: only what the log has on the disk counts as flushed in the queues too. */
static int flush_queues(struct rc_flusher *flusher, bool *ret_moved)
{
    int64_t last_ms = atomic_load_explicit(&flusher->store->log.last_store_ms, memory_order_acquire);
    if (last_ms == flusher->queues_ms)
        return RC_OK;
    int err = rc_queues_sync(&flusher->store->queues);
    if (err != RC_OK)
        return err;
    flusher->queues_ms = last_ms;
    *ret_moved = true;
    return RC_OK;
}

int rc_flusher_flush(struct rc_flusher *flusher, bool queues)
{
    bool log_moved, queues_moved = false;
    pthread_mutex_lock(&flusher->flush_mutex);
    int err = flush_log(flusher, &log_moved);
    uint64_t now = rc_clock_mono_ms();
    if (err == RC_OK && (queues || now >= flusher->queues_due_ms)) {
        err = flush_queues(flusher, &queues_moved);
        flusher->queues_due_ms = now + RC_FLUSH_QUEUES_EVERY_MS;
    }
    if (err == RC_OK && (log_moved || queues_moved)) {
        struct rc_checkpoint checkpoint = {.log_ms = flusher->flushed_ms, .queues_ms = flusher->queues_ms};
        err = rc_checkpoint_write(flusher->store->root, &checkpoint);
    }
    pthread_mutex_unlock(&flusher->flush_mutex);
    if (err != RC_OK)
        atomic_fetch_add_explicit(&flusher->errors, 1, memory_order_relaxed);
    return err;
}

static void make_segment(struct rc_store *store)
{
    uint64_t end = atomic_load_explicit(&store->log.end, memory_order_acquire);
    int err =
        rc_commit_log_make(&store->log, rc_commit_log_base_of(&store->log, end) + store->log.segment_bytes);
    if (err != RC_OK)
        rc_log_error("store",
                     "the log's next segment cannot be made: %s; the log stops when the present one is full",
                     rc_err_text(err));
}

/* Waits for the interval or a wish; false when it is time to stop. */
static bool wait_for_work(struct rc_flusher *flusher, bool *ret_make)
{
    uint64_t until = rc_clock_mono_ns() + (uint64_t)flusher->store->options.flush_interval_ms * 1000000;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};
    pthread_mutex_lock(&flusher->mutex);
    while (!flusher->stop && !flusher->make_segment)
        if (pthread_cond_timedwait(&flusher->wake, &flusher->mutex, &ts) == ETIMEDOUT)
            break;
    *ret_make = flusher->make_segment;
    flusher->make_segment = false;
    bool go_on = !flusher->stop;
    pthread_mutex_unlock(&flusher->mutex);
    return go_on;
}

static void *run(void *arg)
{
    struct rc_flusher *flusher = arg;
    bool make;
    while (wait_for_work(flusher, &make)) {
        if (make)
            make_segment(flusher->store);
        int err = rc_flusher_flush(flusher, false);
        if (err != RC_OK)
            rc_log_error("store", "flushing to the disk failed: %s", rc_err_text(err));
    }
    return NULL;
}

int rc_flusher_start(struct rc_flusher *flusher)
{
    int err = pthread_create(&flusher->thread, NULL, run, flusher);
    if (err != 0)
        return rc_err_from_errno(err);
    pthread_setname_np(flusher->thread, "rc-flusher");
    flusher->is_running = true;
    return RC_OK;
}

void rc_flusher_stop(struct rc_flusher *flusher)
{
    if (!flusher->is_running)
        return;
    pthread_mutex_lock(&flusher->mutex);
    flusher->stop = true;
    pthread_cond_signal(&flusher->wake);
    pthread_mutex_unlock(&flusher->mutex);
    pthread_join(flusher->thread, NULL);
    flusher->is_running = false;
}

void rc_flusher_make_segment(struct rc_flusher *flusher)
{
    pthread_mutex_lock(&flusher->mutex);
    flusher->make_segment = true;
    pthread_cond_signal(&flusher->wake);
    pthread_mutex_unlock(&flusher->mutex);
}
