/*
 * ConsumeQueues: per topic and queue id, files of fixed size with one entry of 20 bytes a message. The writer
 * appends with pwrite (a full disk is an error code), readers look into a mapping of the file they need last.
 */
#ifndef RC_STORE_CONSUME_QUEUE_H
#define RC_STORE_CONSUME_QUEUE_H

#include "base/list.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    RC_QUEUE_ENTRY_LEN = 20,
    RC_QUEUE_WRITERS_MAX = RC_STORE_OPEN_FILES_MAX / 2, /* files the writer holds open */
    RC_QUEUE_MAPS_MAX = RC_STORE_OPEN_FILES_MAX / 2,    /* files mapped for readers */
    RC_QUEUE_FILLER_SIZE = INT32_MAX,                   /* size field of a skipped place; its offset is 0 */
};

struct rc_queues;

struct rc_queue {
    struct rc_topic *topic;
    struct rc_queues *all;
    uint32_t id;
    atomic_uint_fast64_t min, end;

    /* the writer's own: files [first_file, file_end) exist */
    uint64_t first_file, file_end;
    uint64_t fd_file;
    int fd; /* -1 when closed */
    struct rc_list fd_node;
    struct rc_queue *touched_next; /* within one append */
    uint32_t pending_head, pending_tail, pending_count;

    /* the readers', under rc_queues.read_mutex */
    const uint8_t *map;
    uint64_t map_file;
    struct rc_list map_node;

    /* what the flusher has yet to sync */
    atomic_bool is_dirty;
    struct rc_queue *dirty_next; /* under rc_queues.dirty_mutex */
    uint64_t synced_file;        /* the flusher's: files before it are on the disk */

    atomic_uint_fast8_t grown_for; /* log writer: a bit for each reader that has yet to be told */
    void *rebuild;                 /* recovery's */

    bool is_watched;              /* queue_hold.c */
    atomic_uint_fast32_t holders; /* of a watched one; its highest bit: closed */
};

struct rc_queues {
    struct rc_store *store;
    int dir, scratch;
    bool read_only;
    uint32_t file_entries;

    struct rc_list open_files; /* the writer's: queues with an open file, the one used last at the end */
    uint32_t open_count;

    pthread_mutex_t read_mutex;
    struct rc_list maps; /* likewise, of mapped ones */
    uint32_t map_count;

    pthread_mutex_t dirty_mutex;
    struct rc_queue *dirty;
};

void rc_queues_init(struct rc_queues *queues, int dir, int scratch, const struct rc_store_options *options);
void rc_queues_free(struct rc_queues *queues);

struct rc_queue *rc_queue_create(struct rc_queues *queues, struct rc_topic *topic, uint32_t id);
/* Closes what it holds and frees it. */
void rc_queue_free(struct rc_queue *queue);

void rc_queue_put_entry(uint8_t *at, const struct rc_queue_entry *entry);
void rc_queue_get_entry(const uint8_t *at, struct rc_queue_entry *ret);
/* "topic/id", `out` takes RC_QUEUE_PATH_MAX. */
enum { RC_QUEUE_PATH_MAX = RC_MESSAGE_TOPIC_MAX + 40 };
void rc_queue_dir_path(const struct rc_queue *queue, char *out);

/* The writer's thread: encoded entries to their places; files and directories are made as needed. */
int rc_queue_write(struct rc_queue *queue, uint64_t first, const uint8_t *entries, uint32_t count);
/* Fills places that no message has with filler entries. */
int rc_queue_fill(struct rc_queue *queue, uint64_t from, uint64_t to);
/* Writes zeroes over places of a batch that failed, as far as files are there; errors are passed over. */
void rc_queue_wipe(struct rc_queue *queue, uint64_t from, uint64_t to);
/* Marks it for the flusher. */
void rc_queue_mark_dirty(struct rc_queue *queue);
/* The flusher: makes all marked queues durable. */
int rc_queues_sync(struct rc_queues *queues);

/* An entry by place, published or not; RC_ERR_RANGE where there is no file. */
int rc_queue_peek(struct rc_queue *queue, uint64_t index, struct rc_queue_entry *ret);
/*
 * How many entries from `lo` on (at most up to `hi`) are messages, or fillers, that lie before `physical`;
 * entries ascend. Returns the first place that is not, or hi.
 */
uint64_t rc_queue_find(struct rc_queue *queue, uint64_t lo, uint64_t hi, uint64_t physical);
/* Makes `end` the queue's end on the disk: entries behind it become zero, files behind it go. */
int rc_queue_cut(struct rc_queue *queue, uint64_t end);
/* Moves min to the first entry at or behind `physical`; deletes files before it, but never the last one. */
void rc_queue_drop_before(struct rc_queue *queue, uint64_t physical);

#endif
