/* Deleting what is over age or size: whole segments, oldest first, never the newest. */
#include "store/store_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>

/* Store time of the record at a segment's first byte; -1 when it cannot be told. */
static int64_t first_store_ms(struct rc_commit_log *log, uint64_t base)
{
    struct rc_segment *segment;
    struct rc_message message;
    int64_t ms = -1;
    if (rc_commit_log_map(log, base, &segment) != RC_OK)
        return -1;
    if (rc_message_decode(rc_slice(segment->bytes, segment->size), false, &message) > 0)
        ms = message.store_ms;
    rc_segment_release(segment);
    return ms;
}

/* A segment is over age when the next one had begun that long ago: all its messages are older. */
static bool is_over(struct rc_store *store, uint64_t base, uint64_t next, uint64_t end)
{
    if (store->options.retain_bytes > 0 && end - base > store->options.retain_bytes)
        return true;
    int64_t ms = store->options.retain_ms > 0 ? first_store_ms(&store->log, next) : -1;
    return ms >= 0 && rc_clock_wall_ms() - ms > (int64_t)store->options.retain_ms;
}

uint64_t rc_store_retain_target(struct rc_store *store)
{
    uint64_t end = rc_store_max_physical(store);
    uint64_t base = rc_commit_log_first_base(&store->log);
    for (;;) {
        uint64_t next = base + store->log.segment_bytes;
        if (next >= end || !is_over(store, base, next, end))
            return base;
        base = next;
    }
}

/* The queues as of now; their table is not held while files are being deleted. */
struct queue_list {
    struct rc_queue **queues;
    uint32_t count, cap;
};

static void collect(struct rc_queue *queue, void *arg)
{
    struct queue_list *list = arg;
    if (rc_queue_min(queue) == rc_queue_end(queue) && queue->first_file == queue->file_end)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->queues = rc_realloc(list->queues, list->cap * sizeof(struct rc_queue *));
    }
    list->queues[list->count++] = queue;
}

void rc_store_retain(struct rc_store *store, uint64_t keep_from)
{
    uint64_t upto = rc_store_retain_target(store);
    uint64_t old_min = rc_store_min_physical(store);
    if (upto > keep_from)
        upto = keep_from;
    if (upto <= old_min || store->options.read_only)
        return;
    rc_commit_log_drop_before(&store->log, upto);
    uint64_t min = rc_store_min_physical(store);
    if (min == old_min)
        return;
    struct queue_list list = {.queues = NULL};
    rc_topics_each_queue(&store->topics, collect, &list);
    for (uint32_t i = 0; i < list.count; i++)
        rc_queue_drop_before(list.queues[i], min);
    free(list.queues);
    rc_log_info("store", "retention: the log now starts at %" PRIu64 ", deleted_bytes=%" PRIu64, min,
                min - old_min);
}
