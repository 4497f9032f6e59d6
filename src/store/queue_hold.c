/*
 * Who is still to write a queue: one number, whose highest bit says that it is closed. So closing is one
 * exchange of nobody for that bit, and whoever comes later sees it.
 */
#include "store/consume_queue.h"

static const uint_fast32_t CLOSED = (uint_fast32_t)1 << 31;

void rc_queue_watch(struct rc_queue *queue)
{
    if (!queue->is_watched) /* others may be reading it by now */
        queue->is_watched = true;
}

bool rc_queue_hold(struct rc_queue *queue)
{
    if (!queue->is_watched)
        return true;
    if ((atomic_fetch_add(&queue->holders, 1) & CLOSED) == 0)
        return true;
    atomic_fetch_sub(&queue->holders, 1);
    return false;
}

void rc_queue_release(struct rc_queue *queue)
{
    if (queue->is_watched)
        atomic_fetch_sub(&queue->holders, 1);
}

bool rc_queue_close(struct rc_queue *queue)
{
    uint_fast32_t nobody = 0;
    return queue->is_watched && atomic_compare_exchange_strong(&queue->holders, &nobody, CLOSED);
}

void rc_queue_reopen(struct rc_queue *queue)
{
    atomic_fetch_and(&queue->holders, ~CLOSED);
}
