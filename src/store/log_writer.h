/*
 * The log thread: the only one that writes the store. Shards and the RocketMQ endpoint stage records into
 * batches and hand those over; the writer appends whatever has arrived as one write, then reports each batch
 * back to its sender and wakes those who read queues.
 *
 * A full disk: the batches stay with the writer, in order, and are tried again every RC_LOG_RETRY_MS; the
 * senders see rc_log_writer_is_blocked and stop admitting work that needs new records. Memory is bounded by
 * RC_LOG_BATCHES_PER_SENDER batches of at most RC_LOG_BATCH_BYTES each.
 */
#ifndef RC_STORE_LOG_WRITER_H
#define RC_STORE_LOG_WRITER_H

#include "loop/loop.h"
#include "store/store.h"

enum {
    RC_LOG_BATCH_BYTES = 256 * 1024, /* a batch closes here; one larger record makes a batch of its own */
    RC_LOG_BATCH_RECORDS = 1024,
    RC_LOG_BATCHES_PER_SENDER = 16,
    RC_LOG_RETRY_MS = 100,
    RC_LOG_READERS_MAX = 8,
};

struct rc_log_writer;

/* One record in a batch, and who wants to know of it. */
struct rc_log_entry {
    struct rc_append append;
    /* Runs on the sender's thread once the record is in the log, never before; not at all when the writer was
     * stopped with a full disk. May be NULL. */
    void (*on_written)(void *owner, const struct rc_append *append);
    void *owner;
};

/* A sender: owned by one loop's thread. */
struct rc_log_sender;
int rc_log_sender_create(struct rc_log_writer *writer, struct rc_loop *loop, struct rc_log_sender **ret);
/*
 * On the loop's thread, or when it does not run. What was staged is still written, but nobody is told; the
 * last report, which may be delivered as late as by rc_loop_destroy, frees what is left.
 */
void rc_log_sender_destroy(struct rc_log_sender *sender);

/*
 * Encodes `message` into the current batch; the batch leaves at the end of the loop's turn, or of a later one
 * while another is under way or it gathers. `queue` gives topic and queue id (message->topic and queue_id are
 * set from it). 0; RC_ERR_FULL when the sender's batches are all under way (try again when `on_room` has
 * run); RC_ERR_TOO_LARGE (also: than a segment); RC_ERR_INVALID for properties that cannot be (see
 * rc_message_encode) or a delay level above RC_DELAY_LEVELS; RC_ERR_CLOSED when the writer was stopped, or
 * the queue is closed (rc_queue_close).
 */
int rc_log_stage(struct rc_log_sender *sender, struct rc_queue *queue, struct rc_message *message,
                 uint32_t delay_level, void (*on_written)(void *owner, const struct rc_append *append),
                 void *owner);
/*
 * For one whose records come from many at once: while they do, a batch may wait half a millisecond for more.
 * Not for one that answers peers who send nothing more before the answer.
 */
void rc_log_sender_gather(struct rc_log_sender *sender);
/* Runs on the sender's thread, after RC_ERR_FULL, when there is room again. */
void rc_log_sender_set_on_room(struct rc_log_sender *sender, void (*on_room)(void *arg), void *arg);
/* Records staged and not yet reported. */
uint32_t rc_log_sender_under_way(const struct rc_log_sender *sender);

/* How far a sender has got. */
struct rc_log_progress {
    uint64_t staged, reported; /* records, since it was created */
    uint64_t position;         /* of the sender's records, those before this byte of the log were reported */
};
void rc_log_sender_progress(const struct rc_log_sender *sender, struct rc_log_progress *ret);

/*
 * A reader of queues: told which queues have grown, coalesced. Any thread may create it (RC_ERR_FULL at
 * RC_LOG_READERS_MAX); it is destroyed on the loop's thread, or when that does not run.
 */
struct rc_log_reader;
int rc_log_reader_create(struct rc_log_writer *writer, struct rc_loop *loop,
                         void (*on_grown)(struct rc_queue *queue, void *arg), void *arg,
                         struct rc_log_reader **ret);
void rc_log_reader_destroy(struct rc_log_reader *reader);
/*
 * On the reader's thread: from now on it is not told of this queue, until it awaits it. A reader that knows
 * what it waits for is not woken for the rest. It may still be told a last time. A new reader awaits every
 * queue.
 */
void rc_log_reader_rest(struct rc_log_reader *reader, struct rc_queue *queue);
/*
 * On the reader's thread: it is told when the queue grows, beyond what rc_queue_end says after this returns:
 * look there before waiting. Harmless when it does so already.
 */
void rc_log_reader_await(struct rc_log_reader *reader, struct rc_queue *queue);

/*
 * `keep_from` is asked on the writer's thread before retention deletes up to `target`: it returns the
 * smallest physical offset that must stay (e.g. after having written a snapshot of open channels), at most
 * target.
 */
struct rc_log_retention {
    uint64_t (*keep_from)(void *arg, uint64_t target);
    void *arg;
};

/* Starts the thread. The store must outlive the writer. */
int rc_log_writer_start(struct rc_store *store, const struct rc_log_retention *retention,
                        struct rc_log_writer **ret, struct rc_error *error);
/*
 * Writes what has been handed over before the call (of each sender: all that it staged has been reported, or
 * it is lost), flushes, ends the thread. With a full disk it gives up after RC_LOG_STOP_MS and returns
 * RC_ERR_NO_SPACE (the open channels are then told of at the next start). Senders and readers may be
 * destroyed before or after; their loops must still run, or be destroyed after, for the reports to arrive.
 */
enum { RC_LOG_STOP_MS = 3000 };
int rc_log_writer_stop(struct rc_log_writer *writer);

struct rc_loop *rc_log_writer_loop(struct rc_log_writer *writer);
/* Any thread: the last write failed and nothing has been written since. */
bool rc_log_writer_is_blocked(const struct rc_log_writer *writer);

/* Any thread: the disk has less than min_free_bytes left: nobody new should be let in. */
bool rc_log_writer_is_disk_low(const struct rc_log_writer *writer);

struct rc_log_stats {
    uint64_t records, bytes, batches, fdatasyncs, write_errors;
};
void rc_log_writer_stats(const struct rc_log_writer *writer, struct rc_log_stats *ret); /* any thread */

#endif
