/*
 * Recovery reads the log from a segment that is known to be wholly behind the last flush and dispatches every
 * message into its queue again, as if it had just been written; what is in the queues from that segment on is
 * not believed. After a clean stop that segment is the last one, after a crash the checkpoint says which.
 * When the queues turn out not to reach up to it (someone deleted them), it starts over at the first segment.
 *
 * The first place that holds no whole record is the log's end. It is a tail that may be cut if nothing that
 * was flushed is lost with it: neither does the last record's time stay behind the checkpoint's, nor does a
 * record older than the checkpoint lie behind it. Without a checkpoint file there is nothing to compare with;
 * that is the way out which the messages name.
 */
#include "store/recovery.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/fs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

enum { REBUILD_ENTRIES = 64, SEARCH_WINDOW = 1024 * 1024 };

/* Entries of one queue that wait for being written. */
struct rebuild {
    uint64_t next;  /* queue offset that the next message must have */
    uint32_t count; /* waiting, they end at `next` */
    uint8_t entries[REBUILD_ENTRIES * RC_QUEUE_ENTRY_LEN];
};

struct recovery {
    struct rc_store *store;
    struct rc_error *error;
    struct rc_checkpoint checkpoint;
    bool was_clean;
    uint64_t start;        /* physical offset where the reading starts */
    uint64_t end;          /* where it stopped */
    int64_t last_store_ms; /* of the last good record */
    uint64_t records;
    bool starts_too_late; /* the queues lack messages from before `start` */
    int err;
};

bool rc_recovery_entry(const struct rc_message *message, uint32_t size, struct rc_queue_entry *ret)
{
    uint32_t transaction = message->sys_flag & RC_SYSFLAG_TRANSACTION_MASK;
    if (transaction == 0x4 || transaction == 0xc)
        return false;
    *ret = (struct rc_queue_entry){
        .physical_offset = message->physical_offset,
        .size = size,
        .tags_code = rc_props_tags_code(message->props),
    };
    if (!rc_slice_eq_str(message->topic, RC_DELAY_TOPIC))
        return true;
    struct rc_slice delay = rc_props_get(message->props, RC_PROP_DELAY);
    uint32_t level = 0;
    for (size_t i = 0; i < delay.len && i < 3 && delay.ptr[i] >= '0' && delay.ptr[i] <= '9'; i++)
        level = level * 10 + (uint32_t)(delay.ptr[i] - '0');
    if (level > RC_DELAY_LEVELS)
        level = RC_DELAY_LEVELS;
    if (level > 0)
        ret->tags_code = message->store_ms + (int64_t)rc_delay_level_ms(level);
    return true;
}

/* ---- where to start ---- */

/* Store time of a segment's first record, -1 when it does not begin with one. */
static int64_t first_store_ms(struct rc_commit_log *log, uint64_t base)
{
    struct rc_segment *segment;
    struct rc_message message;
    int64_t ms = -1;
    if (rc_commit_log_map(log, base, &segment) != RC_OK)
        return -1;
    if (rc_message_decode(rc_slice(segment->bytes, segment->size), true, &message) > 0 &&
        message.physical_offset == base)
        ms = message.store_ms;
    rc_segment_release(segment);
    return ms;
}

static uint64_t choose_start(struct recovery *r)
{
    struct rc_commit_log *log = &r->store->log;
    int64_t flushed =
        r->checkpoint.log_ms < r->checkpoint.queues_ms ? r->checkpoint.log_ms : r->checkpoint.queues_ms;
    int64_t limit = r->was_clean ? INT64_MAX : flushed - RC_CHECKPOINT_SLACK_MS;
    for (uint32_t i = log->count; i > 0; i--) {
        int64_t ms = first_store_ms(log, log->slots[i - 1].base);
        if (ms >= 0 && ms <= limit)
            return log->slots[i - 1].base;
    }
    return log->slots[0].base;
}

/* ---- queues ---- */

static int write_waiting(struct rc_queue *queue, struct rebuild *rebuild)
{
    uint32_t count = rebuild->count;
    rebuild->count = 0;
    return count == 0 ? RC_OK : rc_queue_write(queue, rebuild->next - count, rebuild->entries, count);
}

/* What the queue holds from before `start` stays; the rest is written again. */
static struct rebuild *begin_rebuild(struct rc_queue *queue)
{
    struct rebuild *rebuild = queue->rebuild;
    if (rebuild == NULL) {
        rebuild = rc_malloc(sizeof(*rebuild));
        rebuild->next = atomic_load_explicit(&queue->end, memory_order_relaxed);
        rebuild->count = 0;
        queue->rebuild = rebuild;
    }
    return rebuild;
}

static int place_is_taken(struct recovery *r, const struct rc_message *message)
{
    return rc_error_set(r->error, RC_ERR_CORRUPT,
                        "commitlog: the message at %" PRIu64 " claims a place in its queue (%" PRIu64
                        ") that another message has: the log is damaged; put back a copy of the directory",
                        message->physical_offset, message->queue_offset);
}

static int dispatch(struct recovery *r, const struct rc_message *message, uint32_t size)
{
    struct rc_queue_entry entry;
    struct rc_queue *queue;
    if (!rc_recovery_entry(message, size, &entry))
        return RC_OK;
    int err = rc_topics_require(&r->store->topics, message->topic, message->queue_id, &queue);
    if (err != RC_OK)
        return rc_error_set(r->error, err,
                            "commitlog: the message at %" PRIu64 " has a topic or queue that cannot be",
                            message->physical_offset);
    struct rebuild *rebuild = begin_rebuild(queue);
    bool starts_at_front = r->start == r->store->log.slots[0].base;
    if (message->queue_offset != rebuild->next && !starts_at_front) {
        r->starts_too_late = true;
        return RC_OK;
    }
    if (message->queue_offset < rebuild->next)
        return place_is_taken(r, message);
    if (message->queue_offset > rebuild->next) {
        err = write_waiting(queue, rebuild);
        if (err == RC_OK)
            err = rc_queue_fill(queue, rebuild->next, message->queue_offset);
        rebuild->next = message->queue_offset;
    }
    rc_queue_put_entry(rebuild->entries + rebuild->count * RC_QUEUE_ENTRY_LEN, &entry);
    rebuild->next++;
    if (++rebuild->count == REBUILD_ENTRIES && err == RC_OK)
        err = write_waiting(queue, rebuild);
    return err == RC_OK ? RC_OK : rc_error_set(r->error, err, "consumequeue/: %s", rc_err_text(err));
}

/* Before the reading: the queue's end is taken to be where it reaches the part of the log that is read again.
 */
static void guess_end(struct rc_queue *queue, void *arg)
{
    struct recovery *r = arg;
    uint32_t per_file = queue->all->file_entries;
    free(queue->rebuild);
    queue->rebuild = NULL;
    uint64_t first = queue->first_file * per_file;
    uint64_t end = rc_queue_find(queue, first, queue->file_end * per_file, r->start);
    atomic_store_explicit(&queue->end, end, memory_order_relaxed);
}

static void find_min(struct rc_queue *queue, struct recovery *r, uint64_t end)
{
    uint64_t first = queue->first_file * queue->all->file_entries;
    uint64_t min = first < end ? rc_queue_find(queue, first, end, r->store->log.slots[0].base) : end;
    atomic_store_explicit(&queue->min, min, memory_order_relaxed);
    atomic_store_explicit(&queue->end, end, memory_order_relaxed);
}

/* After the reading, in a store that is to be written. */
static void settle_queue(struct rc_queue *queue, void *arg)
{
    struct recovery *r = arg;
    struct rebuild *rebuild = queue->rebuild;
    uint64_t end = atomic_load_explicit(&queue->end, memory_order_relaxed);
    int err = RC_OK;
    if (rebuild != NULL) {
        err = write_waiting(queue, rebuild);
        end = rebuild->next;
        free(rebuild);
        queue->rebuild = NULL;
    }
    if (err == RC_OK)
        err = rc_queue_cut(queue, end);
    if (err != RC_OK && r->err == RC_OK)
        r->err = rc_error_set(r->error, err, "consumequeue/: %s", rc_err_text(err));
    find_min(queue, r, end);
    if (end > 0 && !r->was_clean)
        rc_queue_mark_dirty(queue);
}

static void settle_queue_read_only(struct rc_queue *queue, void *arg)
{
    struct recovery *r = arg;
    uint32_t per_file = queue->all->file_entries;
    uint64_t first = queue->first_file * per_file;
    find_min(queue, r, rc_queue_find(queue, first, queue->file_end * per_file, r->end));
}

/* ---- reading the log ---- */

/* Reads one segment from its first byte; true when the log goes on in the next one. */
static bool read_segment(struct recovery *r, const struct rc_segment *segment)
{
    uint64_t at = 0;
    while (r->err == RC_OK && !r->starts_too_late) {
        struct rc_slice rest = rc_slice(segment->bytes + at, segment->size - at);
        struct rc_message message;
        r->end = segment->base + at;
        if (rc_load_u32(rest.ptr + 4) == RC_MESSAGE_BLANK && rc_load_u32(rest.ptr) == rest.len) {
            r->end = segment->base + segment->size;
            return true;
        }
        int64_t size = rc_message_decode(rest, true, &message);
        if (size <= 0 || message.physical_offset != r->end || rest.len - (uint64_t)size < RC_LOG_BLANK_LEN)
            return false;
        if (!r->store->options.read_only)
            r->err = dispatch(r, &message, (uint32_t)size);
        if (message.store_ms > r->last_store_ms)
            r->last_store_ms = message.store_ms;
        r->records++;
        at += (uint64_t)size;
    }
    return false;
}

static int read_log(struct recovery *r)
{
    struct rc_commit_log *log = &r->store->log;
    uint64_t capacity_end = rc_commit_log_capacity_end(log);
    r->last_store_ms = 0;
    r->records = 0;
    r->starts_too_late = false;
    r->end = r->start;
    bool go_on = true;
    while (go_on && r->end < capacity_end) {
        struct rc_segment *segment;
        int err = rc_commit_log_map(log, r->end, &segment);
        if (err != RC_OK)
            return rc_error_set(r->error, err, "commitlog/ cannot be read at %" PRIu64 ": %s", r->end,
                                rc_err_text(err));
        go_on = read_segment(r, segment);
        rc_segment_release(segment);
        if (r->err != RC_OK)
            return r->err;
    }
    return RC_OK;
}

/* ---- the tail ---- */

/* Searches for a whole record in its place that was flushed; its offset, or UINT64_MAX. */
static uint64_t find_flushed_in(struct recovery *r, const struct rc_segment *segment, int fd, uint64_t at)
{
    uint8_t magic[4];
    struct rc_message message;
    rc_store_u32(magic, RC_MESSAGE_MAGIC);
    while ((at = rc_fs_next_data(fd, at, segment->size)) < segment->size) {
        uint64_t window = segment->size - at < SEARCH_WINDOW ? segment->size - at : SEARCH_WINDOW;
        const uint8_t *found = memmem(segment->bytes + at, window, magic, sizeof(magic));
        if (found == NULL) { /* the next window may begin with the end of a magic; and may be a hole */
            at += window > sizeof(magic) ? window - sizeof(magic) + 1 : window;
            continue;
        }
        uint64_t record = (uint64_t)(found - segment->bytes) - 4;
        at = record + 5;
        if (found < segment->bytes + 4)
            continue;
        struct rc_slice rest = rc_slice(segment->bytes + record, segment->size - record);
        if (rc_message_decode(rest, true, &message) <= 0 || message.physical_offset != segment->base + record)
            continue;
        if (message.store_ms < r->checkpoint.log_ms ||
            (r->was_clean && message.store_ms == r->checkpoint.log_ms))
            return segment->base + record;
    }
    return UINT64_MAX;
}

static uint64_t find_flushed_behind_end(struct recovery *r)
{
    struct rc_commit_log *log = &r->store->log;
    uint64_t capacity_end = rc_commit_log_capacity_end(log), found = UINT64_MAX;
    uint64_t at = r->end;
    while (found == UINT64_MAX && at < capacity_end) {
        struct rc_segment *segment;
        char name[RC_FS_OFFSET_NAME_LEN + 1];
        if (rc_commit_log_map(log, at, &segment) != RC_OK)
            break;
        rc_fs_offset_name(name, segment->base);
        int fd = openat(log->dir, name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            found = find_flushed_in(r, segment, fd, at - segment->base);
        if (fd >= 0)
            close(fd);
        at = segment->base + segment->size;
        rc_segment_release(segment);
    }
    return found;
}

static int check_tail(struct recovery *r)
{
    static const char way_out[] = "Put back a copy of the directory; or, to give up what lies behind that "
                                  "place, delete the file `checkpoint` "
                                  "and start again";
    uint64_t flushed = find_flushed_behind_end(r);
    if (flushed != UINT64_MAX)
        return rc_error_set(r->error, RC_ERR_CORRUPT,
                            "commitlog: no whole message at %" PRIu64 ", but the one at %" PRIu64
                            " behind it is good and was flushed: the log is damaged. %s",
                            r->end, flushed, way_out);
    if (r->last_store_ms < r->checkpoint.log_ms)
        return rc_error_set(r->error, RC_ERR_CORRUPT,
                            "commitlog ends at %" PRIu64 " with a message of %" PRId64
                            ", but messages up to %" PRId64 " (ms) were flushed: the log is damaged. %s",
                            r->end, r->last_store_ms, r->checkpoint.log_ms, way_out);
    return RC_OK;
}

/* Nothing but zeroes may stand behind the end, or an older record could seem to follow a new one. */
static int wipe_segment(struct recovery *r, uint64_t base, uint64_t from)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    bool changed = false;
    rc_fs_offset_name(name, base);
    int fd = openat(r->store->log.dir, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return RC_ERR_IO;
    int err = rc_fs_zero(fd, from - base, r->store->log.segment_bytes, &changed);
    close(fd);
    if (changed)
        rc_log_warn("store", "the log ended in a torn write: cut at %" PRIu64, from);
    return err;
}

static int cut_tail(struct recovery *r)
{
    struct rc_commit_log *log = &r->store->log;
    uint64_t end = r->end, segment_bytes = log->segment_bytes;
    uint64_t base = rc_commit_log_base_of(log, end);
    int err = rc_commit_log_drop_from(log, base + 2 * segment_bytes); /* one is kept ahead */
    for (int i = 0; i < 2 && err == RC_OK; i++, base += segment_bytes)
        if (base < rc_commit_log_capacity_end(log))
            err = wipe_segment(r, base, base > end ? base : end);
    return err == RC_OK ? RC_OK
                        : rc_error_set(r->error, err, "commitlog: cannot cut the tail: %s", rc_err_text(err));
}

/* ---- all of it ---- */

static void note_entries(struct rc_queue *queue, void *arg)
{
    struct rc_queue_entry entry;
    uint64_t first = queue->first_file * queue->all->file_entries;
    if (queue->file_end > queue->first_file && rc_queue_peek(queue, first, &entry) == RC_OK && entry.size > 0)
        *(bool *)arg = true;
}

static int recover_empty(struct recovery *r)
{
    bool has_entries = false;
    rc_topics_each_queue(&r->store->topics, note_entries, &has_entries);
    if (has_entries || r->checkpoint.log_ms > 0)
        return rc_error_set(
            r->error, RC_ERR_CORRUPT,
            "commitlog/ is empty, but %s: put the log's files back, or empty the whole directory",
            has_entries ? "consumequeue/ has entries" : "`checkpoint` tells of messages");
    if (r->store->options.read_only)
        return RC_OK;
    int err = rc_commit_log_make(&r->store->log, 0);
    return err == RC_OK
               ? RC_OK
               : rc_error_set(r->error, err, "cannot make the first file of the log (%" PRIu64 " bytes): %s",
                              r->store->log.segment_bytes, rc_err_text(err));
}

static int read_and_dispatch(struct recovery *r)
{
    r->start = choose_start(r);
    for (;;) {
        if (!r->store->options.read_only)
            rc_topics_each_queue(&r->store->topics, guess_end, r);
        int err = read_log(r);
        if (err != RC_OK || !r->starts_too_late)
            return err;
        rc_log_warn("store", "consume queues lack entries; they are built again from the whole log");
        r->start = r->store->log.slots[0].base;
    }
}

/* Who only reads gets what there is, and is told. */
static int note_damage(struct recovery *r)
{
    r->error = &r->store->damage;
    check_tail(r);
    return RC_OK;
}

int rc_recover(struct rc_store *store, bool was_clean, struct rc_error *error)
{
    struct recovery r = {.store = store, .error = error, .was_clean = was_clean};
    int err = rc_checkpoint_read(store->root, &r.checkpoint);
    if (err != RC_OK)
        return rc_error_set(error, err, "cannot read `checkpoint`: %s", rc_err_text(err));
    if (store->log.count == 0)
        return recover_empty(&r);
    err = read_and_dispatch(&r);
    if (err == RC_OK)
        err = store->options.read_only ? note_damage(&r) : check_tail(&r);
    if (err == RC_OK && !store->options.read_only)
        err = cut_tail(&r);
    if (err != RC_OK)
        return err;
    rc_topics_each_queue(&store->topics, store->options.read_only ? settle_queue_read_only : settle_queue,
                         &r);
    atomic_store(&store->log.min, store->log.slots[0].base);
    atomic_store(&store->log.end, r.end);
    atomic_store(&store->log.last_store_ms, r.last_store_ms);
    if (!was_clean && !store->options.read_only)
        rc_log_info("store", "recovered after a crash: messages_read=%" PRIu64 " log_end=%" PRIu64, r.records,
                    r.end);
    return r.err;
}
