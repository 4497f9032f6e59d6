/*
 * What presence needs of the log across restarts: which channels a crash left open, told of before anybody
 * connects; and that retention never deletes the `connect` of an open channel which no snapshot holds.
 *
 * A snapshot is made by reading the log that is about to go, on a thread of its own: shards and the log
 * writer are never asked and never wait.
 */
#ifndef RC_PRESENCE_RECOVERY_H
#define RC_PRESENCE_RECOVERY_H

#include "base/error.h"
#include "store/store.h"

enum {
    RC_RECOVERY_BATCH_BYTES = 1 << 20,
    RC_RECOVERY_BATCH_RECORDS = 1024,
    RC_RECOVERY_FOLD_BYTES = 512 << 20, /* so much log at most is read at a start: about two seconds */
    RC_RECOVERY_LOOK_EVERY_MS = 5000,
};

struct rc_presence_recovery;

struct rc_presence_recovery_options {
    struct rc_store *store;
    const char *path; /* of the snapshot */
    const char *node;
    struct rc_host store_host;
    /* A snapshot is made whenever the log is this far past the last one, which is looked at so often; 0: the
     * defaults. */
    uint64_t fold_bytes;
    uint32_t look_every_ms;
};

/*
 * Reads snapshot and log, and appends the `tcpclean` of every channel that is open in them. Before the log
 * writer is started: it writes the store itself. A full disk or a damaged snapshot is an error that says what
 * to do.
 */
int rc_presence_recover(const struct rc_presence_recovery_options *options, struct rc_presence_recovery **ret,
                        struct rc_error *error);
/* After the log writer has ended. */
void rc_presence_recovery_destroy(struct rc_presence_recovery *recovery);

/* The greatest event time in the log: where event clocks start. */
int64_t rc_presence_recovery_greatest_ms(const struct rc_presence_recovery *recovery);
/* Channels that the last run left open. */
uint32_t rc_presence_recovery_count(const struct rc_presence_recovery *recovery);

/*
 * For rc_log_retention (arg: the recovery): how far the log is covered by a durable snapshot; when that is
 * less than `target`, one up to there is begun, and the next call may get further. Never waits for it.
 */
uint64_t rc_presence_recovery_keep_from(void *arg, uint64_t target);

#endif
