/* What somebody should look after, before clients are refused. */
#include "base/clock.h"
#include "base/log.h"
#include "rules/rules_private.h"

#include <inttypes.h>
#include <stdio.h>

enum { AGAIN_MS = 600000 };

bool rc_feed_alarm_is_due(struct rc_feed_alarm *alarm, bool is_on)
{
    uint64_t now = rc_clock_mono_ms();
    bool is_told = is_on && (!alarm->is_on || now - alarm->told_ms >= AGAIN_MS);
    if (is_told)
        alarm->told_ms = now;
    alarm->is_on = is_on;
    return is_told;
}

uint64_t rc_feed_held_bytes(struct rc_feed *feed)
{
    uint64_t end = rc_store_max_physical(feed->rules->store);
    uint64_t from = rc_queue_holds(feed->queue, feed->cursor, end);
    uint64_t min = rc_store_min_physical(feed->rules->store);
    return end - (from > min ? from : min);
}

static bool is_most(uint64_t used, uint64_t limit)
{
    return limit > 0 && used / RC_RULES_RETENTION_ALARM_PERCENT >= limit / 100 &&
           used >= limit / 100 * RC_RULES_RETENTION_ALARM_PERCENT;
}

/* Without a quota the log may grow until the disk is full. */
static bool is_most_of_disk(const struct rc_feed *feed, uint64_t held)
{
    uint64_t room = rc_store_free_bytes(feed->rules->store);
    return room < UINT64_MAX - held && is_most(held, held + room);
}

void rc_feed_find_broker_in_way(struct rc_feed *feed, struct rc_rule_stats *ret)
{
    uint32_t id;
    if (feed->queues == NULL || feed->cursor == feed->read_to)
        return;
    uint32_t at = rc_feed_queue_of(feed, feed->cursor);
    const struct rc_layout_broker *broker = rc_layout_find(&feed->layout_used, at, &id);
    if (feed->queues[at].attempts == 0 || broker == NULL)
        return;
    snprintf(ret->waits_for, sizeof(ret->waits_for), "%s", broker->name);
    ret->is_window_full = feed->read_to - feed->cursor == RC_FEED_WINDOW;
}

static void look_at_window(struct rc_feed *feed, const struct rc_rule_stats *stats)
{
    bool was_full = feed->window_alarm.is_on;
    if (rc_feed_alarm_is_due(&feed->window_alarm, stats->is_window_full))
        rc_log_error("rules",
                     "ALARM: %s -> %s/%s waits for broker %s, and its window of %d messages is full: the "
                     "clients of other brokers wait too: waiting=%" PRIu64 ": %s",
                     feed->rule, feed->target, feed->target_topic, stats->waits_for, RC_FEED_WINDOW,
                     stats->waiting, feed->error);
    else if (was_full && !feed->window_alarm.is_on)
        rc_log_info("rules", "alarm over: %s -> %s/%s: its window is full no more", feed->rule, feed->target,
                    feed->target_topic);
}

void rc_feed_look(struct rc_feed *feed, const struct rc_rule_stats *stats)
{
    const struct rc_store_options *limits = rc_store_settings(feed->rules->store);
    bool had_lag = feed->lag_alarm.is_on, had_room = !feed->retention_alarm.is_on;
    bool is_near = stats->waiting > 0 && (is_most(stats->held_bytes, limits->retain_bytes) ||
                                          is_most(stats->held_bytes, limits->quota_bytes) ||
                                          is_most_of_disk(feed, stats->held_bytes) ||
                                          is_most((uint64_t)stats->lag_ms, limits->retain_ms));
    look_at_window(feed, stats);
    if (rc_feed_alarm_is_due(&feed->lag_alarm, stats->lag_ms > RC_RULES_LAG_ALARM_MS))
        rc_log_error("rules", "ALARM: %s -> %s/%s lags: lag_ms=%" PRId64 " waiting=%" PRIu64 ": %s",
                     feed->rule, feed->target, feed->target_topic, stats->lag_ms, stats->waiting,
                     feed->error);
    else if (had_lag && !feed->lag_alarm.is_on)
        rc_log_info("rules", "alarm over: %s -> %s/%s lags no more", feed->rule, feed->target,
                    feed->target_topic);
    if (rc_feed_alarm_is_due(&feed->retention_alarm, is_near))
        rc_log_error("rules",
                     "ALARM: retention reaches what %s -> %s/%s has not sent: held_bytes=%" PRIu64
                     " lag_ms=%" PRId64 " waiting=%" PRIu64
                     ": the log grows, and at store.quota or with the disk full new clients are refused: %s",
                     feed->rule, feed->target, feed->target_topic, stats->held_bytes, stats->lag_ms,
                     stats->waiting, feed->error);
    else if (!had_room && !feed->retention_alarm.is_on)
        rc_log_info("rules", "alarm over: retention is ahead of %s -> %s/%s", feed->rule, feed->target,
                    feed->target_topic);
}
