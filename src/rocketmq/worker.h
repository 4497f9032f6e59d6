/*
 * The endpoint's second thread, for what touches files and nobody should wait for: saving consumer offsets,
 * the index by key, and the queries that use it.
 */
#ifndef RC_ROCKETMQ_WORKER_H
#define RC_ROCKETMQ_WORKER_H

#include "loop/loop.h"
#include "store/store.h"

struct rc_worker;
struct rc_key_index;

/* Without a usable index directory it runs all the same, says so in the log, and queries find nothing. */
int rc_worker_start(struct rc_store *store, struct rc_worker **ret, struct rc_error *error);
/* Ends what is under way and saves offsets. What it was mailed before has been delivered then. NULL is fine.
 */
void rc_worker_stop(struct rc_worker *worker);

struct rc_loop *rc_worker_loop(struct rc_worker *worker);
/* On the worker's thread: the index, brought up to date for as long as that takes no more than
 * RC_WORKER_CATCH_UP_MS; NULL when there is none. */
struct rc_key_index *rc_worker_index(struct rc_worker *worker);

enum { RC_WORKER_CATCH_UP_MS = 1000, RC_WORKER_INDEX_EVERY_MS = 500 };

#endif
