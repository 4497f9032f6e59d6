/*
 * Delay levels: a delayed message waits in SCHEDULE_TOPIC_XXXX, a queue a level, with the time of its
 * delivery in its entry's tag field. Each level is in order of time by itself, so looking at the first of
 * each is enough; a timer waits for the nearest. How far each was delivered is kept in delayOffset.json, and
 * counts only what is in the log again: after a crash some may be delivered twice, none is lost.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <stdio.h>

enum {
    DELIVERIES_PER_TURN = 256, /* of one level, before others run */
    LOOK_MAX_MS = 1000,        /* the wall clock may be set: so often it is compared at least */
    AGAIN_MS = 100,            /* when the log took no more, or something is on its way */
};

struct rc_delay_level {
    struct rc_endpoint *endpoint;
    struct rc_queue *queue;
    uint32_t level;
    uint64_t next;      /* to be staged */
    uint64_t delivered; /* all before it are in the log; equal to `next` when nothing is on its way */
};

/* ---- into the delay topic ---- */

static int put_number(struct rc_buf *props, const char *name, uint32_t number)
{
    char digits[16];
    int len = snprintf(digits, sizeof(digits), "%u", number);
    return rc_props_put(props, name, rc_slice(digits, (size_t)len));
}

int rc_delay_stage(struct rc_endpoint *endpoint, struct rc_queue *queue, struct rc_message *message,
                   uint32_t level, void (*on_written)(void *owner, const struct rc_append *append),
                   void *owner)
{
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = rc_props_copy_without(&props, message->props, RC_PROP_DELAY);
    err = err ? err : put_number(&props, RC_PROP_DELAY, level);
    err = err ? err : rc_props_put(&props, RC_PROP_REAL_TOPIC, rc_topic_name(rc_queue_topic(queue)));
    err = err ? err : put_number(&props, RC_PROP_REAL_QUEUE, rc_queue_id(queue));
    if (err == RC_ERR_FULL)
        err = RC_ERR_TOO_LARGE; /* FULL would mean: later */
    struct rc_message delayed = *message;
    delayed.props = rc_buf_slice(&props);
    if (err == RC_OK)
        err =
            rc_log_stage(endpoint->sender, endpoint->levels[level].queue, &delayed, level, on_written, owner);
    rc_buf_free(&props);
    return err;
}

/* ---- and out of it ---- */

/* The queue that a waiting message is for; NULL when its topic is gone. */
static struct rc_queue *real_queue(struct rc_endpoint *endpoint, const struct rc_message *message)
{
    struct rc_slice name = rc_props_get(message->props, RC_PROP_REAL_TOPIC);
    struct rc_slice id = rc_props_get(message->props, RC_PROP_REAL_QUEUE);
    struct rc_topic *topic = rc_store_find_topic(endpoint->options.store, name);
    char digits[12] = "";
    if (topic == NULL || id.len >= sizeof(digits))
        return NULL;
    memcpy(digits, id.ptr, id.len);
    unsigned long queue = strtoul(digits, NULL, 10);
    return rc_topic_queue(topic, queue < rc_topic_queue_count(topic) ? (uint32_t)queue : 0);
}

static void on_written(void *owner, const struct rc_append *append)
{
    struct rc_delay_level *level = owner;
    level->delivered++; /* reports come in the order staged */
    RC_COUNTER(level->endpoint, delayed_delivered);
    rc_delay_offset_set(level->endpoint->options.store, level->level, level->delivered);
}

static bool is_delay_prop(struct rc_slice name)
{
    return rc_slice_eq_str(name, RC_PROP_DELAY) || rc_slice_eq_str(name, RC_PROP_REAL_TOPIC) ||
           rc_slice_eq_str(name, RC_PROP_REAL_QUEUE);
}

/* As it was before it was delayed. */
static int restore_props(struct rc_buf *out, struct rc_slice props)
{
    struct rc_slice name, value;
    int err = RC_OK;
    for (size_t at = 0; err == RC_OK && rc_props_next(props, &at, &name, &value);) {
        if (is_delay_prop(name))
            continue;
        err = rc_buf_put_slice(out, name);
        err = err ? err : rc_buf_put_u8(out, 1);
        err = err ? err : rc_buf_put_slice(out, value);
        err = err ? err : rc_buf_put_u8(out, 2);
    }
    return err == RC_ERR_FULL ? RC_ERR_TOO_LARGE : err;
}

static int deliver(struct rc_delay_level *level, const struct rc_message *waiting)
{
    struct rc_endpoint *endpoint = level->endpoint;
    struct rc_queue *queue = real_queue(endpoint, waiting);
    struct rc_buf props;
    if (queue == NULL)
        return RC_ERR_NOT_FOUND;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = restore_props(&props, waiting->props);
    struct rc_message message = *waiting;
    message.store_host = endpoint->options.store_host;
    message.props = rc_buf_slice(&props);
    if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, queue, &message, 0, on_written, level);
    rc_buf_free(&props);
    return err;
}

static int deliver_entry(struct rc_delay_level *level, const struct rc_queue_entry *entry)
{
    struct rc_segment *segment;
    struct rc_slice view;
    struct rc_message message;
    int err =
        rc_store_view(level->endpoint->options.store, entry->physical_offset, entry->size, &view, &segment);
    if (err != RC_OK)
        return err;
    err = rc_message_decode(view, false, &message) > 0 ? deliver(level, &message) : RC_ERR_CORRUPT;
    rc_segment_release(segment);
    return err;
}

/* What cannot be delivered is passed over, once all before it is in the log: the offset counts without gaps.
 */
static bool pass_over(struct rc_delay_level *level, int err)
{
    if (level->next != level->delivered)
        return false;
    rc_log_error("rocketmq", "a delayed message is given up: %s", rc_err_text(err));
    level->delivered = ++level->next;
    rc_delay_offset_set(level->endpoint->options.store, level->level, level->delivered);
    return true;
}

/* Retention, or a file of offsets from another time. */
static bool leave_gone_behind(struct rc_delay_level *level)
{
    uint64_t min = rc_queue_min(level->queue), end = rc_queue_end(level->queue);
    if (level->next >= min && level->next <= end)
        return true;
    if (level->next != level->delivered)
        return false;
    level->next = level->delivered = level->next < min ? min : end;
    return true;
}

/* How long the entry has to wait. Never longer than its level's delay: the clock may have been set back. */
static int64_t wait_of(const struct rc_delay_level *level, const struct rc_queue_entry *entry, int64_t now_ms)
{
    int64_t wait = entry->tags_code - now_ms;
    return wait > (int64_t)rc_delay_level_ms(level->level) ? 0 : wait;
}

/* Delivers what is due of a level; after how many ms to look again. */
static uint64_t deliver_due(struct rc_delay_level *level, int64_t now_ms)
{
    struct rc_queue_entry entry;
    if (!leave_gone_behind(level))
        return AGAIN_MS;
    for (int count = 0; count < DELIVERIES_PER_TURN; count++) {
        if (rc_queue_read(level->queue, level->next, &entry, 1) != 1)
            return LOOK_MAX_MS;
        int64_t wait = wait_of(level, &entry, now_ms);
        if (wait > 0)
            return (uint64_t)wait;
        int err = deliver_entry(level, &entry);
        if (err == RC_OK)
            level->next++;
        else if (err == RC_ERR_FULL || err == RC_ERR_CLOSED || !pass_over(level, err))
            return AGAIN_MS;
    }
    return 0;
}

static void look(struct rc_endpoint *endpoint)
{
    int64_t now_ms = rc_clock_wall_ms();
    uint64_t wait = LOOK_MAX_MS;
    for (uint32_t i = 1; i <= RC_DELAY_LEVELS; i++) {
        uint64_t again = deliver_due(&endpoint->levels[i], now_ms);
        wait = again < wait ? again : wait;
    }
    rc_timer_start(endpoint->loop, &endpoint->delay_timer, wait);
}

static void on_due(struct rc_timer *timer)
{
    look(rc_container_of(timer, struct rc_endpoint, delay_timer));
}

bool rc_delay_on_grown(struct rc_endpoint *endpoint, struct rc_queue *queue)
{
    if (rc_queue_topic(queue) != endpoint->delay_topic)
        return false;
    if (rc_timer_is_running(&endpoint->delay_timer)) /* not once the endpoint is stopping */
        look(endpoint);
    return true;
}

/* ---- start and stop ---- */

int rc_delay_start(struct rc_endpoint *endpoint, struct rc_error *error)
{
    struct rc_store *store = endpoint->options.store;
    int err = rc_store_create_topic(store, rc_slice_str(RC_DELAY_TOPIC), RC_DELAY_LEVELS, RC_PERM_READ_WRITE,
                                    &endpoint->delay_topic, error);
    if (err != RC_OK)
        return err;
    if (rc_topic_queue_count(endpoint->delay_topic) < RC_DELAY_LEVELS)
        return rc_error_set(error, RC_ERR_INVALID, "the topic " RC_DELAY_TOPIC " has fewer than %d queues",
                            RC_DELAY_LEVELS);
    endpoint->levels = rc_calloc(RC_DELAY_LEVELS + 1, sizeof(*endpoint->levels));
    for (uint32_t i = 1; i <= RC_DELAY_LEVELS; i++) {
        struct rc_delay_level *level = &endpoint->levels[i];
        level->endpoint = endpoint;
        level->queue = rc_topic_queue(endpoint->delay_topic, i - 1);
        level->level = i;
        level->next = level->delivered = rc_delay_offset_get(store, i);
    }
    endpoint->delay_timer.on_due = on_due;
    rc_timer_start(endpoint->loop, &endpoint->delay_timer, 0);
    return RC_OK;
}

void rc_delay_stop(struct rc_endpoint *endpoint)
{
    rc_timer_stop(&endpoint->delay_timer);
}

void rc_delay_free(struct rc_endpoint *endpoint)
{
    free(endpoint->levels);
}
