/*
 * The commit log's files: a table of segments (base = multiple of nothing but its neighbours: each starts
 * where the one before ends), the published range, and the writer's place. Readers hold references to
 * mappings.
 */
#ifndef RC_STORE_COMMIT_LOG_H
#define RC_STORE_COMMIT_LOG_H

#include "store/segment.h"

#include <pthread.h>
#include <sys/uio.h>

enum {
    RC_LOG_MAPPED_MAX = 1024, /* segments mapped at a time; beyond it the one unused for longest goes */
    RC_LOG_BLANK_LEN = 8,     /* what a blank record takes at least; a segment always has room for one */
    RC_LOG_SEGMENT_MIN = 64 * 1024,
    RC_LOG_ZERO_AHEAD = 256 * 1024, /* flush: sync: zeroes written behind the end at a time */
};

struct rc_log_slot {
    uint64_t base;
    struct rc_segment *map; /* NULL while nobody has read it */
};

struct rc_commit_log {
    int dir, scratch;
    bool read_only;
    uint64_t segment_bytes;
    uint64_t quota_bytes, min_free_bytes;
    atomic_bool is_lifted; /* min_free_bytes does not count */

    /* published: [min, end) */
    atomic_uint_fast64_t min, end;
    atomic_int_fast64_t last_store_ms;

    pthread_mutex_t mutex; /* the table */
    struct rc_log_slot *slots;
    uint32_t count, cap;
    uint32_t mapped;
    uint64_t uses;
    pthread_mutex_t make_mutex; /* making a segment: the flusher ahead of time, or the writer */

    /* the writer's own */
    int fd;
    uint64_t fd_base;
    uint64_t zeroed_to; /* see rc_commit_log_sync_written */
    uint64_t dirty_to;  /* a failed write may have left bytes up to here that are not published */
};

void rc_commit_log_init(struct rc_commit_log *log, int dir, int scratch,
                        const struct rc_store_options *options);
void rc_commit_log_free(struct rc_commit_log *log);

/* Fills the table from the directory; every file must have the segment's size and they must follow each
 * other. */
int rc_commit_log_load(struct rc_commit_log *log, struct rc_error *error);

/* One past the last byte that the files hold room for. */
uint64_t rc_commit_log_capacity_end(struct rc_commit_log *log);
uint64_t rc_commit_log_first_base(struct rc_commit_log *log);
/* Base of the segment that holds `physical`; it must lie within the table or at its end. */
uint64_t rc_commit_log_base_of(struct rc_commit_log *log, uint64_t physical);

/* A reference to the segment of `physical`, published or not; RC_ERR_RANGE when there is none. */
int rc_commit_log_map(struct rc_commit_log *log, uint64_t physical, struct rc_segment **ret);

/* Adds a segment behind the last one if `at` is not yet covered. Any thread. RC_ERR_NO_SPACE also for
 * min_free_bytes. */
int rc_commit_log_make(struct rc_commit_log *log, uint64_t at);
/* Removes files: those that end at or before `upto` (never the last), those that start at or after `from`. */
void rc_commit_log_drop_before(struct rc_commit_log *log, uint64_t upto);
int rc_commit_log_drop_from(struct rc_commit_log *log, uint64_t from);

/* The writer's thread: writes within one segment, making it when it is not there. Nothing is published. */
int rc_commit_log_write(struct rc_commit_log *log, struct iovec *iov, int count, uint64_t at, uint64_t len);
/* The writer's thread: takes back what failed writes left behind the end. */
void rc_commit_log_undo(struct rc_commit_log *log);
/* fdatasync of the files that hold [from, to). Any thread. */
int rc_commit_log_sync(struct rc_commit_log *log, uint64_t from, uint64_t to);
/*
 * The writer's thread, for what it has just written: the same, without opening the file, and now and then
 * with zeroes behind `to`. A block that is allocated but was never written costs the file system a
 * transaction when it is synced; one that holds zeroes takes a half of the CPU time and a third of the wait.
 */
int rc_commit_log_sync_written(struct rc_commit_log *log, uint64_t from, uint64_t to);

#endif
