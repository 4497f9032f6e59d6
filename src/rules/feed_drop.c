/*
 * An operator drops what waits. What is under way stays where it is until its answer: it may be stored
 * already. When it comes back instead, it is dropped then.
 */
#include "rules/rules_private.h"

static struct rc_feed_entry *at(struct rc_feed *feed, uint64_t offset)
{
    return &feed->window[offset % RC_FEED_WINDOW];
}

/* Nothing is tried again of a queue without messages. */
static void rest_if_empty(struct rc_feed_queue *queue)
{
    if (queue->head != RC_FEED_NONE)
        return;
    queue->attempts = 0;
    rc_timer_stop(&queue->retry);
}

/* What hangs between the two (RC_FEED_NONE: from the head, to the end) hangs in the queue no more. */
static void unlink_between(struct rc_feed_queue *queue, uint64_t last, uint64_t next)
{
    if (last == RC_FEED_NONE)
        queue->head = next;
    else
        at(queue->feed, last)->next = next;
    if (next == RC_FEED_NONE)
        queue->tail = last;
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
    unlink_between(queue, last, next);
    feed->done_ahead += count;
    feed->dropped_by_operator += count;
    rest_if_empty(queue);
    return count;
}

static void drop_in_place(struct rc_feed *feed, uint64_t offset)
{
    at(feed, offset)->is_done = at(feed, offset)->is_dropped = true;
    feed->done_ahead++;
    feed->dropped_by_operator++;
}

/* Without a cluster what was read hangs in no queue, and nothing is under way. */
static uint64_t drop_of_window(struct rc_feed *feed, uint64_t offset)
{
    uint64_t count = 0;
    for (uint64_t i = feed->cursor; i < offset && i < feed->read_to; i++) {
        if (at(feed, i)->is_done)
            continue;
        drop_in_place(feed, i);
        count++;
    }
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

/* Takes one message out of a queue, or notes that it is to go when it comes back. Whether it was there. */
static bool drop_one_of_queue(struct rc_feed_queue *queue, uint64_t offset)
{
    struct rc_feed *feed = queue->feed;
    uint64_t last = RC_FEED_NONE, index = 0;
    uint64_t next = queue->head;
    for (; next != RC_FEED_NONE && next != offset; next = at(feed, next)->next, index++)
        last = next;
    if (next == RC_FEED_NONE)
        return false;
    at(feed, offset)->is_unwanted = true;
    if (index < queue->in_flight)
        return true;
    unlink_between(queue, last, at(feed, offset)->next);
    drop_in_place(feed, offset);
    if (last == RC_FEED_NONE)
        rc_timer_stop(&queue->retry); /* the next one has not failed yet */
    rest_if_empty(queue);
    return true;
}

/* The next message of the log may be one that cannot even be read. */
static void drop_unread(struct rc_feed *feed)
{
    *at(feed, feed->read_to++) = (struct rc_feed_entry){.is_done = true, .is_dropped = true};
    feed->done_ahead++;
    feed->dropped_by_operator++;
}

uint64_t rc_feed_drop_one(struct rc_feed *feed, uint64_t offset)
{
    uint64_t before = feed->dropped_by_operator;
    if (offset == feed->read_to && offset < rc_queue_end(feed->queue) &&
        feed->read_to - feed->cursor < RC_FEED_WINDOW)
        drop_unread(feed);
    else if (offset < feed->cursor || offset >= feed->read_to || at(feed, offset)->is_done)
        return 0;
    else if (feed->queues == NULL)
        drop_in_place(feed, offset);
    for (uint32_t i = 0; i < feed->layout_used.queues && feed->queues != NULL; i++)
        if (drop_one_of_queue(&feed->queues[i], offset))
            break;
    rc_feed_advance(feed);
    return feed->dropped_by_operator - before;
}

void rc_feed_drop_returned(struct rc_feed_queue *queue)
{
    struct rc_feed *feed = queue->feed;
    uint64_t count = drop_of_queue(queue, feed->drop_to);
    for (uint64_t next = queue->head, after; next != RC_FEED_NONE; next = after) {
        after = at(feed, next)->next;
        if (at(feed, next)->is_unwanted)
            count += drop_one_of_queue(queue, next);
    }
    if (count > 0)
        rc_feed_advance(feed);
    rest_if_empty(queue);
}
