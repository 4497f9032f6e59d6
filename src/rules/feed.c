/*
 * Design notes
 * - The log's topic has one queue, so "how far" is one number: the cursor, before which all is done with.
 *   Ahead of it lies a window of messages that were read; each hangs in the list of its target queue.
 * - Target queues advance on their own; the cursor follows the slowest. One that is out of reach stops the
 *   others when the window is full, not before.
 * - After a crash it goes on at the saved cursor, so what was delivered ahead of it is delivered again, with
 *   the same keys.
 * - When the target's queues change, nothing new leaves until all that is under way is answered; then each
 *   message of the window finds its queue anew.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "rules/rules_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { READ_AGAIN_MS = 1000, TELL_EVERY_MS = 60000 };

/* ---- what is in the way ---- */

void rc_feed_tell(struct rc_feed *feed, const char *where, const char *why)
{
    snprintf(feed->error, sizeof(feed->error), "%s: %s", where, why);
}

/* Its own words, up to the end of the line: Java adds a trace of its stack. */
void rc_feed_tell_refusal(struct rc_feed *feed, const char *where, const struct rc_remoting *answer)
{
    char words[160], why[200];
    rc_log_quote_words(words, sizeof(words), answer->remark);
    bool is_permission = answer->code == RC_RES_NO_PERMISSION || strstr(words, "AclException") != NULL;
    snprintf(why, sizeof(why), "%scode %d, %s", is_permission ? "no permission: " : "", answer->code,
             words[0] != '\0' ? words : "without a reason");
    rc_feed_tell(feed, where, why);
}

/* ---- the window ---- */

static struct rc_feed_entry *at(struct rc_feed *feed, uint64_t offset)
{
    return &feed->window[offset % RC_FEED_WINDOW];
}

uint32_t rc_feed_queue_of(const struct rc_feed *feed, uint64_t offset)
{
    uint32_t hash = (uint32_t)feed->window[offset % RC_FEED_WINDOW].hash;
    return (hash & 0x7fffffffu) % feed->layout_used.queues;
}

static void push(struct rc_feed *feed, uint64_t offset)
{
    struct rc_feed_entry *entry = at(feed, offset);
    struct rc_feed_queue *queue = &feed->queues[rc_feed_queue_of(feed, offset)];
    entry->next = RC_FEED_NONE;
    if (queue->head == RC_FEED_NONE)
        queue->head = offset;
    else
        at(feed, queue->tail)->next = offset;
    queue->tail = offset;
}

void rc_feed_advance(struct rc_feed *feed)
{
    for (; feed->cursor < feed->read_to && at(feed, feed->cursor)->is_done; feed->cursor++) {
        feed->done_ahead--;
        feed->dropped_settled += at(feed, feed->cursor)->is_dropped;
    }
    feed->is_dirty = true;
}

void rc_feed_delivered(struct rc_feed_queue *queue)
{
    struct rc_feed *feed = queue->feed;
    feed->done_ahead += queue->in_flight;
    for (; queue->in_flight > 0; queue->in_flight--) {
        struct rc_feed_entry *entry = at(feed, queue->head);
        entry->is_done = true;
        queue->head = entry->next;
    }
    rc_feed_advance(feed);
    rc_feed_pump(feed);
}

static void on_retry(struct rc_timer *timer)
{
    rc_feed_send(rc_container_of(timer, struct rc_feed_queue, retry));
}

static void free_queues(struct rc_feed *feed)
{
    for (uint32_t i = 0; i < feed->layout_used.queues && feed->queues != NULL; i++) {
        rc_timer_stop(&feed->queues[i].retry);
        rc_list_remove(&feed->queues[i].waiting);
    }
    free(feed->queues);
    feed->queues = NULL;
}

static void make_queues(struct rc_feed *feed)
{
    free_queues(feed);
    feed->layout_used = feed->layout;
    feed->is_layout_new = false;
    feed->queues = rc_calloc(feed->layout.queues, sizeof(*feed->queues));
    for (uint32_t i = 0; i < feed->layout.queues; i++) {
        feed->queues[i] =
            (struct rc_feed_queue){.feed = feed, .head = RC_FEED_NONE, .batch_max = RC_FEED_BATCH_MESSAGES};
        feed->queues[i].retry.on_due = on_retry;
    }
    for (uint64_t offset = feed->cursor; offset < feed->read_to; offset++)
        if (!at(feed, offset)->is_done)
            push(feed, offset);
}

/* ---- reading the log ---- */

static int read_one(struct rc_feed *feed, const struct rc_queue_entry *from)
{
    struct rc_feed_entry *entry = at(feed, feed->read_to);
    struct rc_slice bytes;
    struct rc_segment *segment;
    struct rc_message message;
    if (feed->read_to < feed->drop_to) {
        *entry = (struct rc_feed_entry){.is_done = true, .is_dropped = true};
        feed->read_to++;
        feed->done_ahead++;
        feed->dropped_by_operator++;
        return RC_OK;
    }
    int err = rc_store_view(feed->rules->store, from->physical_offset, from->size, &bytes, &segment);
    if (err != RC_OK)
        return err;
    err = rc_message_decode(bytes, false, &message) > 0 ? RC_OK : RC_ERR_CORRUPT;
    if (err == RC_OK) {
        *entry = (struct rc_feed_entry){
            .physical = from->physical_offset, .size = from->size, .hash = rc_feed_client_hash(&message)};
        push(feed, feed->read_to++);
    }
    rc_segment_release(segment);
    return err;
}

/* Somebody took messages out of the log before they were sent (by hand: retention does not). */
static void skip_lost(struct rc_feed *feed)
{
    uint64_t min = rc_queue_min(feed->queue);
    if (feed->cursor != feed->read_to || min <= feed->cursor)
        return;
    rc_log_error("rules", "%s: the log has lost %" PRIu64 " messages that were not sent yet", feed->rule,
                 min - feed->cursor);
    feed->dropped_lost += min - feed->cursor;
    feed->cursor = feed->read_to = min;
    feed->is_dirty = true;
}

static void read_log(struct rc_feed *feed)
{
    enum { AT_ONCE = 64 };
    struct rc_queue_entry entries[AT_ONCE];
    uint32_t count = 0;
    int got = 1, err = RC_OK;
    skip_lost(feed);
    while (err == RC_OK && got > 0 && count < RC_FEED_READ_PER_TURN) {
        uint64_t room = RC_FEED_WINDOW - (feed->read_to - feed->cursor);
        if (room == 0)
            return; /* whoever makes room calls again */
        got = rc_queue_read(feed->queue, feed->read_to, entries, room < AT_ONCE ? (uint32_t)room : AT_ONCE);
        for (int i = 0; err == RC_OK && i < got; i++, count++)
            err = read_one(feed, &entries[i]);
        if (feed->cursor < feed->drop_to)
            rc_feed_advance(feed);
    }
    feed->is_log_bad = got < 0 || err != RC_OK;
    if (feed->is_log_bad)
        rc_feed_tell(feed, "the log", rc_err_text(got < 0 ? got : err));
    if (got != 0 || err != RC_OK)
        rc_timer_start(feed->rules->loop, &feed->pump, got > 0 && err == RC_OK ? 0 : READ_AGAIN_MS);
}

void rc_feed_pump(struct rc_feed *feed)
{
    if (feed->cluster == NULL || !feed->has_route || feed->layout.queues == 0)
        return;
    if (feed->is_layout_new) {
        if (feed->under_way > 0)
            return;
        make_queues(feed);
    }
    read_log(feed);
    for (uint32_t i = 0; i < feed->layout_used.queues; i++)
        rc_feed_send(&feed->queues[i]);
}

/* ---- how it stands ---- */

static int64_t lag_ms(struct rc_feed *feed)
{
    int64_t stored =
        feed->cursor < rc_queue_end(feed->queue) ? rc_queue_store_ms(feed->queue, feed->cursor) : -1;
    int64_t lag = stored < 0 ? 0 : rc_clock_wall_ms() - stored;
    return lag > 0 ? lag : 0;
}

static void publish(struct rc_feed *feed)
{
    struct rc_rule_stats stats = {.is_current = feed->is_current,
                                  .dropped = feed->dropped_by_operator + feed->dropped_lost,
                                  .dropped_by_operator = feed->dropped_by_operator,
                                  .dropped_lost = feed->dropped_lost,
                                  .retries = feed->retries,
                                  .uncertain = feed->uncertain,
                                  .lag_ms = lag_ms(feed),
                                  .retrying_since_ms = feed->retrying_since_ms};
    snprintf(stats.topic, sizeof(stats.topic), "%s", feed->topic);
    snprintf(stats.rule, sizeof(stats.rule), "%s", feed->rule);
    snprintf(stats.instance, sizeof(stats.instance), "%s", feed->instance);
    snprintf(stats.target, sizeof(stats.target), "%s", feed->target);
    snprintf(stats.target_topic, sizeof(stats.target_topic), "%s", feed->target_topic);
    snprintf(stats.error, sizeof(stats.error), "%s", feed->error);
    stats.state = feed->cluster == NULL ? RC_RULE_STOPPED
                  : feed->is_retrying   ? RC_RULE_RETRYING
                                        : RC_RULE_RUNNING;
    uint64_t end = rc_queue_end(feed->queue);
    stats.matched = end - feed->begun;
    stats.waiting = end - feed->cursor - feed->done_ahead;
    stats.delivered = feed->cursor - feed->begun + feed->done_ahead - stats.dropped;
    stats.held_bytes = rc_feed_held_bytes(feed);
    rc_feed_find_broker_in_way(feed, &stats);
    rc_feed_look(feed, &stats);
    stats.is_lag_alarm = feed->lag_alarm.is_on;
    stats.is_retention_alarm = feed->retention_alarm.is_on;
    pthread_mutex_lock(&feed->rules->mutex);
    feed->stats = stats;
    pthread_mutex_unlock(&feed->rules->mutex);
}

static bool is_held_up(const struct rc_feed *feed)
{
    if (!feed->has_route)
        return feed->error[0] != '\0';
    if (feed->is_log_bad)
        return true;
    for (uint32_t i = 0; i < feed->layout_used.queues && feed->queues != NULL; i++)
        if (feed->queues[i].attempts > 0)
            return true;
    return false;
}

/* Once when it begins and when it ends, and now and then while it lasts. */
static void say(struct rc_feed *feed, bool was_retrying)
{
    uint64_t now = rc_clock_mono_ms(), waiting = rc_queue_end(feed->queue) - feed->cursor - feed->done_ahead;
    if (feed->is_retrying && (!was_retrying || now - feed->told_ms > TELL_EVERY_MS)) {
        feed->told_ms = now;
        rc_log_warn("rules", "%s -> %s/%s: retrying: waiting=%" PRIu64 " lag_ms=%" PRId64 ": %s", feed->rule,
                    feed->target, feed->target_topic, waiting, lag_ms(feed), feed->error);
    } else if (was_retrying && !feed->is_retrying) {
        rc_log_info("rules", "%s -> %s/%s: runs again: waiting=%" PRIu64, feed->rule, feed->target,
                    feed->target_topic, waiting);
    }
}

void rc_feed_tick(struct rc_feed *feed)
{
    bool was_retrying = feed->is_retrying;
    feed->is_retrying = feed->cluster != NULL && is_held_up(feed);
    if (feed->is_retrying && !was_retrying)
        feed->retrying_since_ms = rc_clock_wall_ms();
    else if (!feed->is_retrying)
        feed->retrying_since_ms = 0;
    if (feed->is_dirty) {
        int err = rc_feed_save(feed);
        feed->is_dirty = err != RC_OK;
        if (err != RC_OK)
            rc_log_error("rules", "%s: how far it got cannot be saved: %s", feed->rule, rc_err_text(err));
    }
    publish(feed);
    say(feed, was_retrying);
}

/* ---- life ---- */

static void on_route_due(struct rc_timer *timer)
{
    rc_feed_ask_route(rc_container_of(timer, struct rc_feed, route));
}

static void on_pump_due(struct rc_timer *timer)
{
    rc_feed_pump(rc_container_of(timer, struct rc_feed, pump));
}

struct rc_feed *rc_feed_create(struct rc_rules *rules)
{
    struct rc_feed *feed = rc_new(struct rc_feed);
    feed->rules = rules;
    feed->route.on_due = on_route_due;
    feed->pump.on_due = on_pump_due;
    feed->window = rc_calloc(RC_FEED_WINDOW, sizeof(*feed->window));
    return feed;
}

/*
 * A power cut may have taken the end of the log (its files are not synced each time) and left the cursor
 * behind it. What is said of those messages must not be true of the ones that get their offsets, so this is
 * saved before there are any.
 */
static int forget_what_is_gone(struct rc_feed *feed)
{
    uint64_t end = rc_queue_end(feed->queue);
    if (feed->cursor <= end && feed->drop_to <= end)
        return RC_OK;
    rc_log_warn("rules", "%s -> %s/%s: the log ends %" PRIu64 " messages before what is known to be sent",
                feed->rule, feed->target, feed->target_topic, feed->cursor > end ? feed->cursor - end : 0);
    feed->drop_to = feed->drop_to < end ? feed->drop_to : end;
    feed->cursor = feed->cursor < end ? feed->cursor : end;
    feed->begun = feed->begun < end ? feed->begun : end;
    uint64_t done = feed->cursor - feed->begun;
    if (feed->dropped_lost > done)
        feed->dropped_lost = done;
    if (feed->dropped_settled > done - feed->dropped_lost)
        feed->dropped_settled = done - feed->dropped_lost;
    feed->dropped_by_operator = feed->dropped_settled;
    return rc_feed_save(feed);
}

static int find_queue(struct rc_feed *feed, struct rc_error *error)
{
    struct rc_topic *topic;
    int err = rc_store_create_topic(feed->rules->store, rc_slice_str(feed->topic), 1, RC_PERM_READ_WRITE,
                                    &topic, error);
    if (err == RC_OK)
        feed->queue = rc_topic_queue(topic, 0);
    return err;
}

/* Who writes it is counted from here on, and nobody does yet. */
static int open_queue(struct rc_feed *feed, int err, struct rc_error *error)
{
    if (err != RC_OK)
        return rc_error_set(error, err, "rollcall/rule-%s, how far a rule got, cannot be written: %s",
                            feed->topic, rc_err_text(err));
    feed->read_to = feed->cursor;
    atomic_store(&feed->saved_cursor, feed->cursor);
    rc_queue_watch(feed->queue);
    rc_queue_reopen(feed->queue);
    return RC_OK;
}

int rc_feed_open(struct rc_feed *feed, struct rc_error *error)
{
    int err = find_queue(feed, error);
    return err ? err : open_queue(feed, forget_what_is_gone(feed), error);
}

int rc_feed_begin(struct rc_feed *feed, struct rc_error *error)
{
    int err = find_queue(feed, error);
    if (err != RC_OK)
        return err;
    feed->begun = feed->cursor = rc_queue_end(feed->queue);
    return open_queue(feed, rc_feed_save(feed), error);
}

void rc_feed_destroy(struct rc_feed *feed)
{
    if (feed == NULL)
        return;
    rc_timer_stop(&feed->route);
    rc_timer_stop(&feed->pump);
    free_queues(feed);
    free(feed->window);
    free(feed);
}

void rc_feed_set_cluster(struct rc_feed *feed, struct rc_cluster *cluster)
{
    rc_timer_stop(&feed->route);
    rc_timer_stop(&feed->pump);
    free_queues(feed);
    feed->layout_used = (struct rc_layout){.count = 0};
    feed->cluster = cluster;
    feed->under_way = 0;
    feed->is_asking = feed->is_route_soon = feed->has_route = false;
    feed->is_layout_new = true;
    feed->error[0] = '\0'; /* of the one before */
    if (cluster != NULL)
        rc_feed_ask_route(feed);
    else
        rc_feed_tell(feed, feed->target, "the configuration has no RocketMQ instance of this name");
}
