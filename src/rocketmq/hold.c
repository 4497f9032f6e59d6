/*
 * Pulls that wait, by queue. A pull moves past messages that its filter does not take while it waits, so it
 * is answered once, not for every message of others.
 */
#include "base/alloc.h"
#include "rocketmq/endpoint_private.h"

struct hold {
    struct rc_list in_queue, in_peer;
    struct rc_timer timer;
    struct rc_endpoint *endpoint;
    struct held_queue *at;
    struct rc_pull pull;
};

struct held_queue {
    struct rc_queue *queue;
    struct rc_list holds;
};

static struct rc_slice queue_key(const void *item)
{
    return rc_slice(&((const struct held_queue *)item)->queue, sizeof(struct rc_queue *));
}

static struct held_queue *find_queue(struct rc_endpoint *endpoint, struct rc_queue *queue)
{
    return rc_map_find(&endpoint->holds, rc_slice(&queue, sizeof(queue)));
}

void rc_hold_init(struct rc_endpoint *endpoint)
{
    rc_map_init(&endpoint->holds, queue_key);
}

void rc_hold_free(struct rc_endpoint *endpoint)
{
    rc_map_free(&endpoint->holds); /* the holds went with their peers */
}

static void drop(struct hold *hold)
{
    rc_list_remove(&hold->in_queue);
    rc_list_remove(&hold->in_peer);
    rc_timer_stop(&hold->timer);
    if (rc_list_is_empty(&hold->at->holds)) {
        rc_map_remove(&hold->endpoint->holds, queue_key(hold->at));
        free(hold->at);
    }
    hold->pull.to.peer->holds_count--;
    RC_COUNTER_DOWN(hold->endpoint, pulls_held);
    rc_pull_done(&hold->pull);
    free(hold);
}

static void on_over(struct rc_timer *timer)
{
    struct hold *hold = rc_container_of(timer, struct hold, timer);
    struct rc_pulled pulled;
    rc_pull_look(hold->endpoint, &hold->pull, &pulled);
    rc_pull_answer(hold->endpoint, &hold->pull, &pulled);
    drop(hold);
}

/* False when it goes on waiting: it is at the end, behind what it does not take. */
static bool try_again(struct hold *hold)
{
    struct rc_pulled pulled;
    rc_pull_look(hold->endpoint, &hold->pull, &pulled);
    bool took_none = pulled.code == RC_RES_PULL_NOT_FOUND || pulled.code == RC_RES_PULL_RETRY_IMMEDIATELY;
    if (took_none && pulled.next_offset >= rc_queue_end(hold->pull.queue)) {
        hold->pull.offset = pulled.next_offset;
        return false;
    }
    rc_pull_answer(hold->endpoint, &hold->pull, &pulled);
    return true;
}

void rc_hold_add(struct rc_endpoint *endpoint, const struct rc_pull *pull, uint64_t wait_ms)
{
    struct held_queue *at = find_queue(endpoint, pull->queue);
    bool is_first = at == NULL;
    if (is_first) {
        at = rc_new(struct held_queue);
        at->queue = pull->queue;
        rc_list_init(&at->holds);
        rc_map_insert(&endpoint->holds, at);
    }
    struct hold *hold = rc_new(struct hold);
    hold->endpoint = endpoint;
    hold->at = at;
    hold->pull = *pull;
    hold->timer.on_due = on_over;
    rc_list_push_back(&at->holds, &hold->in_queue);
    rc_list_push_back(&pull->to.peer->holds, &hold->in_peer);
    rc_timer_start(endpoint->loop, &hold->timer, wait_ms);
    pull->to.peer->holds_count++;
    RC_COUNTER(endpoint, pulls_held);
    if (!is_first)
        return;
    rc_log_reader_await(endpoint->reader, pull->queue);
    /* what came between the look that found nothing and this */
    if (rc_queue_end(pull->queue) > hold->pull.offset && try_again(hold))
        drop(hold);
}

void rc_hold_on_grown(struct rc_endpoint *endpoint, struct rc_queue *queue)
{
    struct held_queue *at = find_queue(endpoint, queue);
    if (at == NULL) {
        rc_log_reader_rest(endpoint->reader,
                           queue); /* nobody waits: the next records need not wake this thread */
        return;
    }
    struct rc_list *last = at->holds.prev;
    for (struct rc_list *node = at->holds.next, *next;; node = next) {
        struct hold *hold = rc_container_of(node, struct hold, in_queue);
        next = node->next;
        if (try_again(hold))
            drop(hold); /* the last one takes `at` with it when all went */
        if (node == last)
            return;
    }
}

void rc_hold_forget_peer(struct rc_peer *peer)
{
    while (!rc_list_is_empty(&peer->holds))
        drop(rc_container_of(peer->holds.next, struct hold, in_peer));
}
