/*
 * Appending a batch: the commit log first, then the consume queues, then what readers see. Nothing is copied
 * but the 20-byte entries: the records are written from where the sender encoded them, after the four fields
 * that only the writer knows were put in place.
 *
 * All or nothing: until the last write has succeeded no reader sees any of it, and what was written is wiped.
 * A retry lands in the same place.
 */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/bytes.h"

enum {
    IOV_MAX_USED = 64,
    ENTRIES_AT_ONCE = 256,
    AT_SYS_FLAG = 36,
    NO_RECORD = UINT32_MAX,
};

/* Bytes that go to one place in one write. */
struct run {
    struct rc_commit_log *log;
    struct iovec iov[IOV_MAX_USED];
    int count;
    uint64_t at, len;
};

static int write_run(struct run *run)
{
    int err = RC_OK;
    if (run->count > 0)
        err = rc_commit_log_write(run->log, run->iov, run->count, run->at, run->len);
    run->at += run->len;
    run->len = 0;
    run->count = 0;
    return err;
}

static int add_to_run(struct run *run, uint8_t *bytes, size_t len)
{
    struct iovec *last = run->count > 0 ? &run->iov[run->count - 1] : NULL;
    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == bytes) {
        last->iov_len += len; /* records of one batch lie side by side */
    } else {
        if (run->count == IOV_MAX_USED) {
            int err = write_run(run);
            if (err != RC_OK)
                return err;
        }
        run->iov[run->count++] = (struct iovec){.iov_base = bytes, .iov_len = len};
    }
    run->len += len;
    return RC_OK;
}

/* The blank record that fills the rest of a segment; the rest itself is zero. */
static int end_segment(struct run *run, uint64_t left)
{
    uint8_t blank[RC_LOG_BLANK_LEN];
    rc_store_u32(blank, (uint32_t)left);
    rc_store_u32(blank + 4, RC_MESSAGE_BLANK);
    int err = add_to_run(run, blank, sizeof(blank));
    if (err == RC_OK)
        err = write_run(run);
    run->at += left - sizeof(blank);
    return err;
}

static bool is_well_formed(const struct rc_append *append, uint64_t segment_bytes)
{
    return append->queue != NULL && append->len > RC_MESSAGE_AT_PHYSICAL_OFFSET + 60 &&
           append->len <= RC_MESSAGE_MAX && append->len + RC_LOG_BLANK_LEN <= segment_bytes &&
           append->delay_level <= RC_DELAY_LEVELS && rc_load_u32(append->record) == append->len;
}

static int check_batch(struct rc_store *store, const struct rc_append *records, uint32_t count)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_well_formed(&records[i], store->log.segment_bytes))
            return RC_ERR_INVALID;
        total += records[i].len;
    }
    if (total > RC_STORE_BATCH_MAX)
        return RC_ERR_TOO_LARGE;
    uint64_t end = atomic_load_explicit(&store->log.end, memory_order_relaxed);
    uint64_t min = atomic_load_explicit(&store->log.min, memory_order_relaxed);
    if (store->log.quota_bytes > 0 && !store->is_quota_lifted && end + total - min > store->log.quota_bytes)
        return RC_ERR_NO_SPACE;
    return RC_OK;
}

static void put_in_place(struct rc_append *append, int64_t store_ms)
{
    uint32_t sys_flag = rc_load_u32(append->record + AT_SYS_FLAG);
    uint32_t store_ms_at = rc_message_store_ms_at((sys_flag & RC_SYSFLAG_BORN_HOST_V6) != 0);
    rc_store_u64(append->record + RC_MESSAGE_AT_QUEUE_OFFSET, append->ret_queue_offset);
    rc_store_u64(append->record + RC_MESSAGE_AT_PHYSICAL_OFFSET, append->ret_physical_offset);
    rc_store_u64(append->record + store_ms_at, (uint64_t)store_ms);
}

/* Gives each record its place in its queue, and strings the records of a queue together. */
static struct rc_queue *assign_queue_offsets(struct rc_store *store, struct rc_append *records,
                                             uint32_t count)
{
    struct rc_queue *touched = NULL;
    if (store->next_cap < count) {
        store->next_in_queue = rc_realloc(store->next_in_queue, count * sizeof(*store->next_in_queue));
        store->next_cap = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct rc_queue *queue = records[i].queue;
        store->next_in_queue[i] = NO_RECORD;
        if (queue->pending_count == 0) {
            queue->touched_next = touched;
            touched = queue;
            queue->pending_head = i;
        } else {
            store->next_in_queue[queue->pending_tail] = i;
        }
        queue->pending_tail = i;
        records[i].ret_queue_offset =
            atomic_load_explicit(&queue->end, memory_order_relaxed) + queue->pending_count++;
    }
    return touched;
}

static int write_log(struct rc_store *store, struct rc_append *records, uint32_t count, int64_t store_ms,
                     uint64_t *ret_end)
{
    struct rc_commit_log *log = &store->log;
    struct run run = {.log = log, .at = atomic_load_explicit(&log->end, memory_order_relaxed)};
    uint64_t segment_end = rc_commit_log_base_of(log, run.at) + log->segment_bytes;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t left = segment_end - (run.at + run.len);
        int err = RC_OK;
        if (records[i].len + RC_LOG_BLANK_LEN > left) {
            err = end_segment(&run, left);
            segment_end += log->segment_bytes;
        }
        if (err == RC_OK) {
            records[i].ret_physical_offset = run.at + run.len;
            put_in_place(&records[i], store_ms);
            err = add_to_run(&run, records[i].record, records[i].len);
        }
        if (err != RC_OK)
            return err;
    }
    int err = write_run(&run);
    *ret_end = run.at;
    return err;
}

static int64_t tag_field(const struct rc_append *append, int64_t store_ms)
{
    if (append->delay_level > 0)
        return store_ms + (int64_t)rc_delay_level_ms(append->delay_level);
    return append->tags_code;
}

static int write_queue(struct rc_store *store, struct rc_queue *queue, const struct rc_append *records,
                       int64_t store_ms)
{
    uint8_t entries[ENTRIES_AT_ONCE * RC_QUEUE_ENTRY_LEN];
    uint64_t first = atomic_load_explicit(&queue->end, memory_order_relaxed);
    uint32_t n = 0;
    for (uint32_t i = queue->pending_head; i != NO_RECORD; i = store->next_in_queue[i]) {
        struct rc_queue_entry entry = {
            .physical_offset = records[i].ret_physical_offset,
            .size = records[i].len,
            .tags_code = tag_field(&records[i], store_ms),
        };
        rc_queue_put_entry(entries + n++ * RC_QUEUE_ENTRY_LEN, &entry);
        if (n == ENTRIES_AT_ONCE || store->next_in_queue[i] == NO_RECORD) {
            int err = rc_queue_write(queue, first, entries, n);
            if (err != RC_OK)
                return err;
            first += n;
            n = 0;
        }
    }
    return RC_OK;
}

/*
 * The log's end first: who sees a queue's end can view its message. The store time last: who flushes reads it
 * first, and so never takes a time for flushed whose records it has not seen.
 */
static void publish(struct rc_store *store, struct rc_queue *touched, int64_t store_ms, uint64_t end)
{
    atomic_store_explicit(&store->log.end, end, memory_order_release);
    for (struct rc_queue *queue = touched; queue != NULL; queue = queue->touched_next) {
        uint64_t queue_end = atomic_load_explicit(&queue->end, memory_order_relaxed) + queue->pending_count;
        atomic_store_explicit(&queue->end, queue_end, memory_order_release);
        rc_queue_mark_dirty(queue);
    }
    atomic_store_explicit(&store->log.last_store_ms, store_ms, memory_order_release);
}

/* Takes back what a failed batch may have left on the disk. */
static void undo(struct rc_store *store, struct rc_queue *touched)
{
    rc_commit_log_undo(&store->log);
    for (struct rc_queue *queue = touched; queue != NULL; queue = queue->touched_next) {
        uint64_t end = atomic_load_explicit(&queue->end, memory_order_relaxed);
        rc_queue_wipe(queue, end, end + queue->pending_count);
    }
}

/* Half a segment ahead is early enough for the file system, and late enough for a small store. */
static void ask_for_next_segment(struct rc_store *store, uint64_t from, uint64_t to)
{
    uint64_t half = store->log.segment_bytes / 2;
    uint64_t base = rc_commit_log_base_of(&store->log, to);
    if (to >= base + half && (from < base + half) &&
        rc_commit_log_capacity_end(&store->log) < base + 2 * store->log.segment_bytes)
        rc_flusher_make_segment(&store->flusher);
}

void rc_store_lift_quota(struct rc_store *store, bool is_lifted)
{
    store->is_quota_lifted = is_lifted;
    atomic_store(&store->log.is_lifted, is_lifted);
}

int rc_store_append(struct rc_store *store, struct rc_append *records, uint32_t count)
{
    if (count == 0)
        return RC_OK;
    if (store->options.read_only)
        return RC_ERR_DENIED;
    int err = check_batch(store, records, count);
    if (err != RC_OK)
        return err;
    struct rc_commit_log *log = &store->log;
    if (log->dirty_to > 0)
        rc_commit_log_undo(log);

    uint64_t start = atomic_load_explicit(&log->end, memory_order_relaxed), end = start;
    int64_t store_ms = atomic_load_explicit(&log->last_store_ms, memory_order_relaxed);
    int64_t now = rc_clock_wall_ms();
    if (store_ms < now)
        store_ms = now;
    struct rc_queue *touched = assign_queue_offsets(store, records, count);
    err = write_log(store, records, count, store_ms, &end);
    for (struct rc_queue *queue = touched; queue != NULL && err == RC_OK; queue = queue->touched_next)
        err = write_queue(store, queue, records, store_ms);
    if (err == RC_OK && store->options.flush == RC_FLUSH_SYNC) {
        err = rc_commit_log_sync_written(log, start, end);
        atomic_fetch_add_explicit(&store->flusher.fdatasyncs, 1, memory_order_relaxed);
    }
    if (err == RC_OK) {
        publish(store, touched, store_ms, end);
        log->dirty_to = 0;
        ask_for_next_segment(store, start, end);
    } else {
        undo(store, touched);
    }
    for (struct rc_queue *queue = touched; queue != NULL; queue = queue->touched_next)
        queue->pending_count = 0;
    return err;
}
