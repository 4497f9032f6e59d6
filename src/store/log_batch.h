/* A batch: what one sender stages, the writer appends, and the sender frees again. The mail travels both
 * ways. */
#ifndef RC_STORE_LOG_BATCH_H
#define RC_STORE_LOG_BATCH_H

#include "store/log_writer.h"

struct rc_log_batch {
    struct rc_mail mail;
    struct rc_list node; /* in the sender's spares, or in the writer's queue */
    struct rc_log_sender *sender;
    struct rc_buf bytes;
    struct rc_log_entry *entries; /* append.record counts from the front of `bytes` until it is sealed */
    uint32_t count, cap;
    bool is_lost; /* the writer ended before it could be written */
};

/* Senders hand sealed batches over with this (any thread). */
void rc_log_writer_post(struct rc_log_writer *writer, struct rc_log_batch *batch);
/* The writer gives a batch back with this: it posts it to the sender's loop. */
void rc_log_sender_return(struct rc_log_batch *batch);

struct rc_log_writer *rc_log_sender_writer(const struct rc_log_sender *sender);

/* What senders and readers share with the writer. */
void rc_log_writer_retain(struct rc_log_writer *writer);
void rc_log_writer_release(struct rc_log_writer *writer);
bool rc_log_writer_is_stopped(const struct rc_log_writer *writer);
uint64_t rc_log_writer_segment_bytes(const struct rc_log_writer *writer);
/* The published end of the log. */
uint64_t rc_log_writer_end(const struct rc_log_writer *writer);

#endif
