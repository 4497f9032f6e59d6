/*
 * The flusher thread: makes what was published durable every interval, keeps the checkpoint, and makes the
 * next segment before the writer needs it.
 */
#ifndef RC_STORE_FLUSHER_H
#define RC_STORE_FLUSHER_H

#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    /* consume queues can be rebuilt from the log, so they are synced seldom (and at the end) */
    RC_FLUSH_QUEUES_EVERY_MS = 10000,
};

struct rc_flusher {
    struct rc_store *store;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop, make_segment; /* under mutex */

    pthread_mutex_t flush_mutex; /* one flush at a time; guards what follows */
    uint64_t flushed_to;         /* physical offset */
    int64_t flushed_ms;          /* store time up to which the log is on the disk */
    int64_t queues_ms;           /* likewise the queues */
    uint64_t queues_due_ms;      /* monotonic */

    atomic_uint_fast64_t fdatasyncs, errors;
};

void rc_flusher_init(struct rc_flusher *flusher, struct rc_store *store);
int rc_flusher_start(struct rc_flusher *flusher);
void rc_flusher_stop(struct rc_flusher *flusher);
void rc_flusher_free(struct rc_flusher *flusher);
/* Any thread: makes the log up to its published end durable, then moves the checkpoint; with `queues` these
 * too. */
int rc_flusher_flush(struct rc_flusher *flusher, bool queues);
/* The writer: the segment behind the active one will be needed. */
void rc_flusher_make_segment(struct rc_flusher *flusher);

#endif
