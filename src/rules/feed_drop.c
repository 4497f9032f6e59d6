/*
 * An operator drops what waits. What is under way stays where it is until its answer: it may be stored
 * already. When it comes back instead, it is dropped then.
 */
#include "rules/rules_private.h"

static struct rc_feed_entry *at(struct rc_feed *feed, uint64_t offset)
{
    return &feed->window[offset % RC_FEED_WINDOW];
}

/* Takes what is before `offset` out of a queue, behind the batch under way. */
static uint64_t drop_of_queue(struct rc_feed_queue *queue, uint64_t offset)
{
    struct rc_feed *feed = queue->feed;
    uint64_t last = RC_FEED_NONE, next = queue->head, count = 0;
    for (uint64_t i = 0; i < queue->in_flight; i++) {
        last = next;
        next = at(feed, next)->next;
    }
    for (; next != RC_FEED_NONE && next < offset; count++) {
        at(feed, next)->is_done = at(feed, next)->is_dropped = true;
        next = at(feed, next)->next;
    }
    if (last == RC_FEED_NONE)
        queue->head = next;
    else
        at(feed, last)->next = next;
    if (next == RC_FEED_NONE)
        queue->tail = last;
    feed->done_ahead += count;
    feed->dropped_by_operator += count;
    return count;
}

/* Without a cluster what was read hangs in no queue, and nothing is under way. */
static uint64_t drop_of_window(struct rc_feed *feed, uint64_t offset)
{
    uint64_t count = 0;
    for (uint64_t i = feed->cursor; i < offset && i < feed->read_to; i++) {
        if (at(feed, i)->is_done)
            continue;
        at(feed, i)->is_done = at(feed, i)->is_dropped = true;
        count++;
    }
    feed->done_ahead += count;
    feed->dropped_by_operator += count;
    return count;
}

uint64_t rc_feed_drop(struct rc_feed *feed, uint64_t offset)
{
    uint64_t count = 0;
    if (offset <= feed->cursor)
        return 0;
    if (offset > feed->drop_to)
        feed->drop_to = offset;
    if (feed->queues == NULL)
        count = drop_of_window(feed, offset);
    for (uint32_t i = 0; i < feed->layout_used.queues && feed->queues != NULL; i++)
        count += drop_of_queue(&feed->queues[i], offset);
    rc_feed_advance(feed);
    if (offset <= feed->read_to)
        return count;
    count += offset - feed->read_to;
    if (feed->cursor == feed->read_to) { /* else what is under way is before it: read_log comes by */
        feed->dropped_by_operator += offset - feed->read_to;
        feed->dropped_settled += offset - feed->read_to;
        feed->cursor = feed->read_to = offset;
    }
    return count;
}

void rc_feed_drop_returned(struct rc_feed_queue *queue)
{
    struct rc_feed *feed = queue->feed;
    if (drop_of_queue(queue, feed->drop_to) > 0)
        rc_feed_advance(feed);
    if (queue->head == RC_FEED_NONE)
        queue->attempts = 0;
}
