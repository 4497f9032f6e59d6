/*
 * The store: CommitLog, ConsumeQueues, topics, consumer offsets, in RocketMQ's on-disk format, under one
 * directory. One thread writes (the log writer, log_writer.h); any thread reads.
 *
 * What is published (rc_queue_end) was written to the operating system before; with flush: sync it was
 * fdatasync'ed before. Writes use pwrite into files whose space was allocated before, so a full disk is an
 * error code; reads are views into read-only mappings of whole segments.
 *
 * Layout beside RocketMQ's own files: rollcall/version (the format's version and the sizes it was made with).
 */
#ifndef RC_STORE_STORE_H
#define RC_STORE_STORE_H

#include "base/error.h"
#include "store/message.h"

enum rc_flush { RC_FLUSH_ASYNC, RC_FLUSH_SYNC };

enum {
    RC_STORE_TOPICS_MAX = 100000, /* topics, the retry and dead-letter ones included */
    RC_STORE_QUEUES_PER_TOPIC_MAX = 1024,
    RC_STORE_OPEN_FILES_MAX = 512,           /* ConsumeQueue files held open or mapped at a time */
    RC_STORE_BATCH_MAX = 4 * RC_MESSAGE_MAX, /* bytes in one append */
};

struct rc_store_options {
    const char *dir;
    uint64_t segment_bytes;      /* commit log file; default 1 GiB */
    uint32_t queue_file_entries; /* consume queue file; default 300000 */
    enum rc_flush flush;
    uint32_t flush_interval_ms; /* RC_FLUSH_ASYNC: at most this long until fdatasync; default 500 */
    uint64_t retain_ms;         /* by age; default 72 h */
    uint64_t retain_bytes;      /* by size of the commit log; 0 = no limit */
    uint64_t quota_bytes; /* most that the commit log may hold; 0 = the disk. Reached = RC_ERR_NO_SPACE */
    /* What the log leaves free of the disk, for the small files without which nothing can go on: the next
     * segment is RC_ERR_NO_SPACE when less would be left. The first one is made in any case. 0 = nothing. */
    uint64_t min_free_bytes;
    bool read_only; /* store check, store dump: nothing is written or repaired, no lock taken */
};

void rc_store_options_default(struct rc_store_options *options);
/* Sets the sizes that the directory `options->dir` was made with, for offline tools that know no
 * configuration. */
int rc_store_options_detect(struct rc_store_options *options, struct rc_error *error);

struct rc_store;
struct rc_topic; /* live until rc_store_close */
struct rc_queue; /* one ConsumeQueue; live until rc_store_close */

/*
 * Opens or creates; recovers a torn tail; takes the directory's lock. A directory that cannot be trusted
 * (somebody else's files, another version, other sizes, damage before the tail) is refused, and `error` says
 * what to do.
 */
int rc_store_open(const struct rc_store_options *options, struct rc_store **ret, struct rc_error *error);
/*
 * Of a store that was opened read_only: the damage for which it would have been refused otherwise (the
 * messages before it can be read); NULL when there is none.
 */
const struct rc_error *rc_store_damage(const struct rc_store *store);
/* Flushes, writes checkpoint and config, removes `abort`. After the log writer has ended. */
void rc_store_close(struct rc_store *store);
/* What it was opened with; `dir` is the store's own copy. */
const struct rc_store_options *rc_store_settings(const struct rc_store *store);

/* ---- topics (any thread; a mutex inside, so not from a shard's hot path: keep the pointers) ---- */
enum rc_topic_perm { RC_PERM_WRITE = 2, RC_PERM_READ = 4, RC_PERM_READ_WRITE = 6 };

struct rc_topic *rc_store_find_topic(struct rc_store *store, struct rc_slice name);
/*
 * Finds or creates (durably, in config/topics.json, before it returns). An existing topic keeps its queue
 * count. RC_ERR_INVALID for a name that RocketMQ would refuse, RC_ERR_FULL at RC_STORE_TOPICS_MAX.
 */
int rc_store_create_topic(struct rc_store *store, struct rc_slice name, uint32_t queues, uint32_t perm,
                          struct rc_topic **ret, struct rc_error *error);
/*
 * Durably. Without any permission a topic is as good as deleted: it is neither read nor written, what is in
 * it goes with retention, and it is there again when it is given some. RC_ERR_NO_SPACE, RC_ERR_IO.
 */
int rc_store_set_topic_perm(struct rc_store *store, struct rc_topic *topic, uint32_t perm);
/*
 * From the first on, topics and consumer groups are made without being written to the disk one by one; the
 * second writes them all. For one who makes many while nobody else is there.
 */
void rc_store_defer_names(struct rc_store *store);
int rc_store_keep_names(struct rc_store *store);
struct rc_slice rc_topic_name(const struct rc_topic *topic);
uint32_t rc_topic_queue_count(const struct rc_topic *topic);
uint32_t rc_topic_perm(const struct rc_topic *topic);
/* id < rc_topic_queue_count */
struct rc_queue *rc_topic_queue(struct rc_topic *topic, uint32_t id);
struct rc_topic *rc_queue_topic(const struct rc_queue *queue);
uint32_t rc_queue_id(const struct rc_queue *queue);
/*
 * Who is still to write a queue, for whoever wants to forget it. A watched queue counts its holders: each
 * record that is staged (log_writer.h), and who will stage more (an open channel). Watched before anybody
 * writes it, for good. Others count nothing: they are always held, and never closed. Any thread.
 */
void rc_queue_watch(struct rc_queue *queue);
/* False: it is closed, and is not to be written. */
bool rc_queue_hold(struct rc_queue *queue);
void rc_queue_release(struct rc_queue *queue);
/* Closes a watched queue that nobody holds; false when somebody does. */
bool rc_queue_close(struct rc_queue *queue);
void rc_queue_reopen(struct rc_queue *queue); /* harmless when it is not closed */
/* Calls `visit` for every topic, in no order, with the topics' mutex held. */
void rc_store_each_topic(struct rc_store *store, void (*visit)(struct rc_topic *topic, void *arg), void *arg);

/* ---- writing (the log writer's thread only) ---- */
struct rc_append {
    struct rc_queue *queue;
    uint8_t *record; /* an encoded message; queue and physical offset and store time are put in place */
    uint32_t len;
    uint32_t delay_level; /* > 0: `queue` is SCHEDULE_TOPIC_XXXX's, its tag field takes the delivery time */
    int64_t tags_code;
    uint64_t ret_queue_offset;
    uint64_t ret_physical_offset;
};

/*
 * Appends all or nothing of `count` records, in order, and publishes them. 0, or RC_ERR_NO_SPACE (nothing was
 * published; call again with the same records later), or RC_ERR_IO likewise. At most RC_STORE_BATCH_MAX
 * bytes.
 */
int rc_store_append(struct rc_store *store, struct rc_append *records, uint32_t count);
/*
 * While lifted, quota and min_free_bytes stop nobody (the disk still does): for what must be said whatever it
 * says, and is bounded elsewhere. The thread that appends, or before it starts.
 */
void rc_store_lift_quota(struct rc_store *store, bool is_lifted);
/* Any thread: makes all that was published durable (fdatasync). With RC_FLUSH_SYNC rc_store_append does it
 * itself. */
int rc_store_flush(struct rc_store *store);
/* Deletes what is over age or size, oldest first, but no byte at or after `keep_from` (a physical offset). */
void rc_store_retain(struct rc_store *store, uint64_t keep_from);
/* What retention by age and size alone would delete up to: lets the owner of `keep_from` move first. */
uint64_t rc_store_retain_target(struct rc_store *store);

/* ---- reading (any thread) ---- */
uint64_t rc_store_min_physical(const struct rc_store *store);
uint64_t rc_store_max_physical(const struct rc_store *store); /* one past the last published byte */
int64_t rc_store_last_store_ms(const struct rc_store *store); /* the newest record's; 0 when empty */
/* Bytes that are free on the disk of the log; UINT64_MAX when it does not tell. */
uint64_t rc_store_free_bytes(const struct rc_store *store);
uint64_t rc_store_segment_bytes(const struct rc_store *store);
/* The directory rollcall/ (its descriptor, until rc_store_close): rooms above keep files there that belong to
 * the log. */
int rc_store_own_dir(const struct rc_store *store);

uint64_t rc_queue_min(const struct rc_queue *queue); /* first offset whose message is still in the log */
uint64_t rc_queue_end(const struct rc_queue *queue); /* next offset to be written */

struct rc_queue_entry {
    uint64_t physical_offset;
    uint32_t size;
    int64_t tags_code;
};
/* Reads up to `max` entries from `offset`; returns how many (0 at the end), or RC_ERR_RANGE, RC_ERR_IO. */
int rc_queue_read(struct rc_queue *queue, uint64_t offset, struct rc_queue_entry *ret, uint32_t max);

/*
 * A reference keeps a segment mapped (though its file may be deleted) while its bytes are being sent. The
 * view covers exactly [physical, physical + size), published bytes of one segment; RC_ERR_RANGE when they are
 * gone or reach beyond it. With an offset from a ConsumeQueue that is one message; with one from a stranger,
 * decode the view and compare the message's own physical offset before believing it.
 */
struct rc_segment;
int rc_store_view(struct rc_store *store, uint64_t physical, uint32_t size, struct rc_slice *ret,
                  struct rc_segment **ret_segment);
void rc_segment_release(struct rc_segment *segment); /* any thread; NULL is fine */

/* First offset whose storeTimestamp is >= ms (or the end). */
uint64_t rc_queue_search(struct rc_queue *queue, int64_t ms);
/* First offset whose message stands at `physical` or behind it (or the end). */
uint64_t rc_queue_seek(struct rc_queue *queue, uint64_t physical);
/*
 * Where in the log the messages from `offset` on begin, for who must not let them go: `limit` when there are
 * none before that, 0 when it cannot be told (the queue cannot be read).
 */
uint64_t rc_queue_holds(struct rc_queue *queue, uint64_t offset, uint64_t limit);
/* storeTimestamp of the message at `offset`, -1 when it is gone. */
int64_t rc_queue_store_ms(struct rc_queue *queue, uint64_t offset);

/*
 * Walks all messages from a physical offset (a record's start, or 0 for the first kept) to the published end
 * as of the call. `visit` returns false to stop. 0 or a negative rc_err.
 */
int rc_store_scan(struct rc_store *store, uint64_t from,
                  bool (*visit)(const struct rc_message *message, uint32_t size, void *arg), void *arg);

/* ---- consumer offsets (any thread; a mutex inside) ---- */
/* The committed offset, or RC_ERR_NOT_FOUND. */
int rc_offsets_get(struct rc_store *store, struct rc_slice group, const struct rc_queue *queue,
                   uint64_t *ret);
int rc_offsets_set(struct rc_store *store, struct rc_slice group, const struct rc_queue *queue,
                   uint64_t offset);
/* Each committed offset of a group, in no order, with the mutex held. */
void rc_offsets_each(struct rc_store *store, struct rc_slice group,
                     void (*visit)(struct rc_slice topic, uint32_t queue, uint64_t offset, void *arg),
                     void *arg);
/* As if the group had never committed any. */
void rc_offsets_forget(struct rc_store *store, struct rc_slice group);
/* Writes config/consumerOffset.json and delayOffset.json (write beside, fdatasync, rename) when they changed.
 */
int rc_offsets_save(struct rc_store *store);

/* delivered-up-to offset of each delay level (config/delayOffset.json) */
uint64_t rc_delay_offset_get(struct rc_store *store, uint32_t level);
void rc_delay_offset_set(struct rc_store *store, uint32_t level, uint64_t offset);
/* The delays of levels 1..18 in ms (1s 5s 10s 30s 1m ... 2h). */
enum { RC_DELAY_LEVELS = 18 };
uint64_t rc_delay_level_ms(uint32_t level);
#define RC_DELAY_TOPIC "SCHEDULE_TOPIC_XXXX"

/* A consumer group known to the store (config/subscriptionGroup.json), made when it is first seen. */
int rc_groups_ensure(struct rc_store *store, struct rc_slice group);
bool rc_groups_has(struct rc_store *store, struct rc_slice group);
/* In no order, with the mutex held. */
void rc_groups_each(struct rc_store *store, void (*visit)(struct rc_slice name, void *arg), void *arg);
/* Durably. RC_ERR_NOT_FOUND, RC_ERR_NO_SPACE, RC_ERR_IO. */
int rc_groups_remove(struct rc_store *store, struct rc_slice group);

#endif
