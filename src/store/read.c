/* What readers see of the log: views, searches, the walk over all messages. */
#include "store/store_private.h"

#include "base/bytes.h"

uint64_t rc_store_min_physical(const struct rc_store *store)
{
    return atomic_load_explicit(&store->log.min, memory_order_acquire);
}

uint64_t rc_store_max_physical(const struct rc_store *store)
{
    return atomic_load_explicit(&store->log.end, memory_order_acquire);
}

int64_t rc_store_last_store_ms(const struct rc_store *store)
{
    return atomic_load_explicit(&store->log.last_store_ms, memory_order_acquire);
}

uint64_t rc_store_segment_bytes(const struct rc_store *store)
{
    return store->log.segment_bytes;
}

int rc_store_own_dir(const struct rc_store *store)
{
    return store->own;
}

int rc_store_view(struct rc_store *store, uint64_t physical, uint32_t size, struct rc_slice *ret,
                  struct rc_segment **ret_segment)
{
    uint64_t end = rc_store_max_physical(store);
    if (physical < rc_store_min_physical(store) || physical >= end || size > end - physical)
        return RC_ERR_RANGE;
    struct rc_segment *segment;
    int err = rc_commit_log_map(&store->log, physical, &segment);
    if (err != RC_OK)
        return err;
    uint64_t at = physical - segment->base;
    if (size > segment->size - at) {
        rc_segment_release(segment);
        return RC_ERR_RANGE;
    }
    *ret = rc_slice(segment->bytes + at, size);
    *ret_segment = segment;
    return RC_OK;
}

int64_t rc_queue_store_ms(struct rc_queue *queue, uint64_t offset)
{
    struct rc_queue_entry entry;
    struct rc_slice record;
    struct rc_segment *segment;
    struct rc_message message;
    if (rc_queue_read(queue, offset, &entry, 1) != 1 || entry.size > RC_MESSAGE_MAX)
        return -1;
    if (rc_store_view(queue->all->store, entry.physical_offset, entry.size, &record, &segment) != RC_OK)
        return -1;
    int64_t ms = rc_message_decode(record, false, &message) > 0 ? message.store_ms : -1;
    rc_segment_release(segment);
    return ms;
}

uint64_t rc_queue_search(struct rc_queue *queue, int64_t ms)
{
    uint64_t lo = rc_queue_min(queue), hi = rc_queue_end(queue);
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        /* what is gone, or was never there, counts as older than anything */
        if (rc_queue_store_ms(queue, mid) < ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint64_t rc_queue_holds(struct rc_queue *queue, uint64_t offset, uint64_t limit)
{
    struct rc_queue_entry entry = {.physical_offset = 0};
    for (;;) {
        uint64_t min = rc_queue_min(queue);
        int got = rc_queue_read(queue, offset > min ? offset : min, &entry, 1);
        if (got == RC_ERR_RANGE && rc_queue_min(queue) != min)
            continue; /* retention went on in between */
        if (got == 0 || (got == RC_ERR_RANGE && offset >= rc_queue_end(queue)))
            return limit;
        return got < 0 ? 0 : entry.physical_offset < limit ? entry.physical_offset : limit;
    }
}

uint64_t rc_queue_seek(struct rc_queue *queue, uint64_t physical)
{
    uint64_t lo = rc_queue_min(queue), hi = rc_queue_end(queue);
    while (lo < hi) {
        struct rc_queue_entry entry;
        uint64_t mid = lo + (hi - lo) / 2;
        if (rc_queue_read(queue, mid, &entry, 1) != 1 || entry.physical_offset < physical)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct walk {
    uint64_t at, end;
    bool (*visit)(const struct rc_message *message, uint32_t size, void *arg);
    void *arg;
    bool is_stopped;
};

static int walk_segment(struct walk *walk, const struct rc_segment *segment)
{
    uint64_t segment_end = segment->base + segment->size;
    while (walk->at < walk->end && walk->at < segment_end && !walk->is_stopped) {
        uint64_t stop = walk->end < segment_end ? walk->end : segment_end;
        struct rc_slice rest = rc_slice(segment->bytes + (walk->at - segment->base), stop - walk->at);
        struct rc_message message;
        if (rest.len >= RC_LOG_BLANK_LEN && rc_load_u32(rest.ptr + 4) == RC_MESSAGE_BLANK) {
            walk->at = segment_end;
            break;
        }
        int64_t size = rc_message_decode(rest, false, &message);
        if (size <= 0 || message.physical_offset != walk->at)
            return RC_ERR_CORRUPT;
        walk->is_stopped = !walk->visit(&message, (uint32_t)size, walk->arg);
        walk->at += (uint64_t)size;
    }
    return RC_OK;
}

int rc_store_scan(struct rc_store *store, uint64_t from,
                  bool (*visit)(const struct rc_message *message, uint32_t size, void *arg), void *arg)
{
    struct walk walk = {.at = from, .end = rc_store_max_physical(store), .visit = visit, .arg = arg};
    uint64_t min = rc_store_min_physical(store);
    if (from == 0)
        walk.at = min;
    if (walk.at < min || walk.at > walk.end)
        return RC_ERR_RANGE;
    int err = RC_OK;
    while (err == RC_OK && walk.at < walk.end && !walk.is_stopped) {
        struct rc_segment *segment;
        err = rc_commit_log_map(&store->log, walk.at, &segment);
        if (err == RC_OK) {
            err = walk_segment(&walk, segment);
            rc_segment_release(segment);
        }
    }
    return err;
}
