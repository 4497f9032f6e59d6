/* The file `checkpoint`: up to which store time the log and the queues are known to be on the disk. */
#ifndef RC_STORE_CHECKPOINT_H
#define RC_STORE_CHECKPOINT_H

#include "base/error.h"

#include <stdint.h>

enum { RC_CHECKPOINT_LEN = 4096, RC_CHECKPOINT_SLACK_MS = 3000 };

struct rc_checkpoint {
    int64_t log_ms;
    int64_t queues_ms;
};

/* Zeroes when there is none. */
int rc_checkpoint_read(int root, struct rc_checkpoint *ret);
/* Sets the two times durably; what else the file holds (newer brokers keep more there) stays. */
int rc_checkpoint_write(int root, const struct rc_checkpoint *checkpoint);

#endif
