/*
 * Delay levels: a delayed message waits in SCHEDULE_TOPIC_XXXX, a queue a level, with the time of its
 * delivery in its entry's tag field. Each level is in order of time by itself, so looking at the first of
 * each is enough. How far each was delivered is kept in delayOffset.json; after a crash some may be delivered
 * twice, none is lost.
 */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { DELIVERIES_PER_TICK = 256 };

struct rc_delay_level {
    struct rc_endpoint *endpoint;
    struct rc_queue *queue;
    uint32_t level;
    uint64_t next;      /* to be staged */
    uint64_t delivered; /* all before it are in the log */
};

int rc_delay_stage(struct rc_endpoint *endpoint, struct rc_queue *queue, struct rc_message *message,
                   uint32_t level, void (*on_written)(void *owner, const struct rc_append *append),
                   void *owner)
{
    char number[16];
    struct rc_buf props;
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = rc_props_copy_without(&props, message->props, RC_PROP_DELAY);
    int len = snprintf(number, sizeof(number), "%u", level);
    err = err ? err : rc_props_put(&props, RC_PROP_DELAY, rc_slice(number, (size_t)len));
    err = err ? err : rc_props_put(&props, RC_PROP_REAL_TOPIC, rc_topic_name(rc_queue_topic(queue)));
    len = snprintf(number, sizeof(number), "%u", rc_queue_id(queue));
    err = err ? err : rc_props_put(&props, RC_PROP_REAL_QUEUE, rc_slice(number, (size_t)len));
    struct rc_message delayed = *message;
    delayed.props = rc_buf_slice(&props);
    if (err == RC_OK)
        err =
            rc_log_stage(endpoint->sender, endpoint->levels[level].queue, &delayed, level, on_written, owner);
    rc_buf_free(&props);
    return err;
}

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
    uint32_t queue = (uint32_t)strtoul(digits, NULL, 10);
    return rc_topic_queue(topic, queue < rc_topic_queue_count(topic) ? queue : 0);
}

static void on_written(void *owner, const struct rc_append *append)
{
    struct rc_delay_level *level = owner;
    level->delivered++; /* reports come in the order staged */
    RC_COUNTER(level->endpoint, delayed_delivered);
    rc_delay_offset_set(level->endpoint->options.store, level->level, level->delivered);
}

static int deliver(struct rc_delay_level *level, const struct rc_message *waiting)
{
    struct rc_endpoint *endpoint = level->endpoint;
    struct rc_queue *queue = real_queue(endpoint, waiting);
    struct rc_buf some, middle, props;
    if (queue == NULL) {
        rc_log_error("rocketmq", "a delayed message is given up: its topic does not exist any more");
        level->delivered++;
        return RC_OK;
    }
    rc_buf_init(&some, RC_MESSAGE_PROPS_MAX);
    rc_buf_init(&middle, RC_MESSAGE_PROPS_MAX);
    rc_buf_init(&props, RC_MESSAGE_PROPS_MAX);
    int err = rc_props_copy_without(&some, waiting->props, RC_PROP_DELAY);
    err = err ? err : rc_props_copy_without(&middle, rc_buf_slice(&some), RC_PROP_REAL_TOPIC);
    err = err ? err : rc_props_copy_without(&props, rc_buf_slice(&middle), RC_PROP_REAL_QUEUE);
    struct rc_message message = *waiting;
    message.store_host = endpoint->options.store_host;
    message.props = rc_buf_slice(&props);
    if (err == RC_OK)
        err = rc_log_stage(endpoint->sender, queue, &message, 0, on_written, level);
    rc_buf_free(&some);
    rc_buf_free(&middle);
    rc_buf_free(&props);
    return err;
}

/* Delivers the level's next message if it is due: false when there is nothing more to do now. */
static bool deliver_next(struct rc_delay_level *level, int64_t now_ms)
{
    struct rc_queue_entry entry;
    struct rc_segment *segment;
    struct rc_slice view;
    struct rc_message message;
    uint64_t min = rc_queue_min(level->queue);
    if (level->next < min)
        level->next = level->delivered = min;
    if (rc_queue_read(level->queue, level->next, &entry, 1) != 1 || entry.tags_code > now_ms)
        return false;
    int err =
        rc_store_view(level->endpoint->options.store, entry.physical_offset, entry.size, &view, &segment);
    if (err == RC_OK) {
        err = rc_message_decode(view, false, &message) > 0 ? deliver(level, &message) : RC_ERR_CORRUPT;
        rc_segment_release(segment);
    }
    if (err == RC_ERR_FULL || err == RC_ERR_CLOSED)
        return false; /* the log takes no more: later */
    if (err != RC_OK) {
        rc_log_error("rocketmq", "a delayed message is given up: %s", rc_err_text(err));
        level->delivered++;
    }
    level->next++;
    return true;
}

static void on_tick(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, delay_tick);
    int64_t now_ms = rc_clock_wall_ms();
    for (uint32_t i = 1; i <= RC_DELAY_LEVELS; i++)
        for (int count = 0; count < DELIVERIES_PER_TICK && deliver_next(&endpoint->levels[i], now_ms);
             count++)
            continue;
    rc_timer_start(endpoint->loop, timer, RC_ENDPOINT_DELAY_TICK_MS);
}

int rc_delay_start(struct rc_endpoint *endpoint, struct rc_error *error)
{
    struct rc_store *store = endpoint->options.store;
    struct rc_topic *topic;
    int err = rc_store_create_topic(store, rc_slice_str(RC_DELAY_TOPIC), RC_DELAY_LEVELS, RC_PERM_READ_WRITE,
                                    &topic, error);
    if (err != RC_OK)
        return err;
    endpoint->levels = rc_calloc(RC_DELAY_LEVELS + 1, sizeof(*endpoint->levels));
    for (uint32_t i = 1; i <= RC_DELAY_LEVELS; i++) {
        struct rc_delay_level *level = &endpoint->levels[i];
        level->endpoint = endpoint;
        level->queue = rc_topic_queue(topic, i - 1);
        level->level = i;
        level->next = level->delivered = rc_delay_offset_get(store, i);
    }
    endpoint->delay_tick.on_due = on_tick;
    rc_timer_start(endpoint->loop, &endpoint->delay_tick, RC_ENDPOINT_DELAY_TICK_MS);
    return RC_OK;
}

void rc_delay_free(struct rc_endpoint *endpoint)
{
    free(endpoint->levels);
}
