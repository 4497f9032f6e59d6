/*
 * What MQTT keeps through the end of the process: sessions and retained messages, in an LMDB environment that
 * one thread owns. Shards post operations in batches; all batches that wait are written in one transaction,
 * and each comes back to the loop that posted it when it is durable.
 *
 * Durable means: the operating system has it, so it survives the end of the process at any moment; with
 * RC_SESSION_FLUSH_SYNC the disk has it. What is not yet durable at the end of the process is there as a
 * whole batch or not at all, and with it everything that the same loop had posted before.
 *
 * A failing disk or a full map leaves the batches where they are: they are tried again each second, and until
 * then nothing is reported and rc_session_store_is_blocked is true.
 */
#ifndef RC_SESSION_STORE_SESSION_STORE_H
#define RC_SESSION_STORE_SESSION_STORE_H

#include "base/buf.h"
#include "loop/loop.h"
#include "session_store/session_record.h"

enum {
    RC_SESSION_STORE_VERSION = 2, /* of keys and values; 1, without shared names, is read, others refused */
    RC_SESSION_TRANSACTION_BYTES_MAX = 64 << 20, /* of operations; more go into several */
    RC_SESSION_RETRY_MS = 1000,
    RC_SESSION_TOMBSTONE_MS = 10 * 1000, /* far longer than mail between shards takes */
};
#define RC_SESSION_BATCH_BYTES_MAX (1u << 30)

enum rc_session_flush { RC_SESSION_FLUSH_ASYNC, RC_SESSION_FLUSH_SYNC };

struct rc_error;
struct rc_session_store;

struct rc_session_store_options {
    const char *dir;    /* made when it is missing */
    uint64_t max_bytes; /* of the map: address space, and the most that the file may grow to */
    enum rc_session_flush flush;
    uint32_t flush_interval_ms; /* async: how often the disk is brought up to date */
};

struct rc_session_store_counters {
    atomic_uint_fast64_t transactions, operations, failures;
};

void rc_session_store_options_default(struct rc_session_store_options *options);
/* Opens or makes it. `options->dir` is not kept. Nothing else has it open: the caller holds the log's lock.
 */
int rc_session_store_open(const struct rc_session_store_options *options, struct rc_session_store **ret,
                          struct rc_error *error);
/* After rc_session_store_stop, or without a start. NULL is harmless. */
void rc_session_store_close(struct rc_session_store *store);

/* One more with each opening. */
uint64_t rc_session_store_epoch(const struct rc_session_store *store);
/* Wall clock, ms: when the run before this one was last seen alive; 0: there was none. */
int64_t rc_session_store_last_alive_ms(const struct rc_session_store *store);

/*
 * Reads everything, before the start: each session, then what it has, in order. A function that returns an
 * error ends it. A value that cannot be read is an error that names it: nothing is skipped silently.
 */
struct rc_session_visitor {
    int (*on_session)(void *arg, uint64_t session, const struct rc_session_record *record);
    int (*on_subscription)(void *arg, uint64_t session, uint32_t number,
                           const struct rc_subscription_record *record);
    int (*on_outgoing)(void *arg, uint64_t session, uint64_t seq, const struct rc_outgoing_record *record);
    /*
     * The run ended before the message counted as published: its publisher, who is still there, sends it
     * again. Nobody has received it. The caller deletes the record.
     */
    int (*on_withdrawn)(void *arg, uint64_t session, uint64_t seq);
    int (*on_incoming)(void *arg, uint64_t session, uint16_t packet_id);
    int (*on_retained)(void *arg, const struct rc_retained_record *record);
};
int rc_session_store_load(struct rc_session_store *store, const struct rc_session_visitor *visitor, void *arg,
                          struct rc_error *error);

int rc_session_store_start(struct rc_session_store *store, struct rc_error *error);
/* Writes what was posted before, reports it, and ends the thread. Harmless when it does not run. */
void rc_session_store_stop(struct rc_session_store *store);
/* Once it is stopped: writes what was posted since, and reports it. False when there was nothing, or when it
 * could not be written. */
bool rc_session_store_write_rest(struct rc_session_store *store);
/* Any thread. */
bool rc_session_store_is_blocked(const struct rc_session_store *store);
const struct rc_session_store_counters *rc_session_store_counters(const struct rc_session_store *store);

/* ---- batches ---- */
struct rc_session_batch {
    struct rc_mail mail;
    struct rc_list node;
    struct rc_session_store *store;
    struct rc_loop *from; /* where it is reported */
    void (*on_durable)(struct rc_session_batch *batch);
    void *owner;
    uint64_t number; /* the owner's */
    struct rc_buf ops;
    uint32_t count;
};

/* NULL on_durable is not allowed; the batch is the caller's again when that is called. */
struct rc_session_batch *rc_session_batch_create(struct rc_loop *from,
                                                 void (*on_durable)(struct rc_session_batch *batch),
                                                 void *owner);
void rc_session_batch_free(struct rc_session_batch *batch); /* NULL is harmless */

/* Appending, in the order in which they take effect. RC_OK or RC_ERR_FULL (RC_SESSION_BATCH_BYTES_MAX). */
int rc_session_batch_put_session(struct rc_session_batch *batch, uint64_t session,
                                 const struct rc_session_record *record);
/* The session and all that it has. */
int rc_session_batch_end_session(struct rc_session_batch *batch, uint64_t session);
int rc_session_batch_put_subscription(struct rc_session_batch *batch, uint64_t session, uint32_t number,
                                      const struct rc_subscription_record *record);
int rc_session_batch_end_subscription(struct rc_session_batch *batch, uint64_t session, uint32_t number);
int rc_session_batch_put_outgoing(struct rc_session_batch *batch, uint64_t session, uint64_t seq,
                                  const struct rc_outgoing_record *record);
int rc_session_batch_end_outgoing(struct rc_session_batch *batch, uint64_t session, uint64_t seq);
/*
 * The session published its message of that number at QoS 2, under that packet id, and it is taken: of its
 * outgoing records those of a greater number are withdrawn. Nothing when the session has ended meanwhile.
 */
int rc_session_batch_put_published(struct rc_session_batch *batch, uint64_t session, uint16_t packet_id,
                                   uint64_t number);
int rc_session_batch_end_incoming(struct rc_session_batch *batch, uint64_t session, uint16_t packet_id);
/* Takes the place of an older one of that topic; a newer one stays. An empty payload deletes. */
int rc_session_batch_put_retained(struct rc_session_batch *batch, const struct rc_retained_record *record);

/* From the batch's loop or any thread that runs none yet. `batch` is the store's until it is reported. */
void rc_session_store_post(struct rc_session_store *store, struct rc_session_batch *batch);

#endif
