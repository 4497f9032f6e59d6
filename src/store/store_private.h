/* The store's inside, for the files of this room only. */
#ifndef RC_STORE_STORE_PRIVATE_H
#define RC_STORE_STORE_PRIVATE_H

#include "store/checkpoint.h"
#include "store/commit_log.h"
#include "store/consume_queue.h"
#include "store/flusher.h"
#include "store/groups.h"
#include "store/offsets.h"
#include "store/topics.h"

struct rc_store {
    struct rc_store_options options; /* `dir` is the store's copy */
    char *dir;
    int root, own, config, log_dir, queue_dir, lock; /* directories and the lock, -1 when not open */

    struct rc_commit_log log;
    struct rc_queues queues;
    struct rc_topics topics;
    struct rc_offsets offsets;
    struct rc_groups groups;
    struct rc_flusher flusher;
    bool is_quota_lifted;   /* the appending thread's */
    struct rc_error damage; /* read_only: what would have refused the directory; code 0 when nothing */

    /* the writer's own: which record of a batch is next in the same queue */
    uint32_t *next_in_queue;
    uint32_t next_cap;
};

#endif
