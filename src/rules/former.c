/*
 * Former targets: feeds that no rule leads to any more. One is forgotten, with its file, when nothing is owed
 * to it: no channel that began there is open, no record for it is under way to the log, and all that the log
 * has of it is sent. To be sure of the first two its queue is closed (rc_queue_close): who comes later with
 * an old catalog in his hand is refused, and comes again with the new one.
 *
 * A rule that is given the target again later has a new feed: its topic of the log may still be there, and so
 * it begins at that one's end.
 */
#include "base/log.h"
#include "rules/rules_private.h"

#include <inttypes.h>

void rc_former_begin(struct rc_rules *rules)
{
    for (uint32_t i = 0; i < rules->feeds_count; i++)
        rules->feeds[i]->is_wanted_next = false;
}

void rc_former_want(struct rc_feed *feed)
{
    feed->is_wanted_next = true;
}

/* True when it is closed for good. */
static bool is_spent(struct rc_feed *feed)
{
    if (feed->is_wanted || feed->is_wanted_next || feed->is_asking || feed->under_way > 0 ||
        feed->cursor != rc_queue_end(feed->queue) || !rc_queue_close(feed->queue))
        return false;
    if (feed->cursor == rc_queue_end(feed->queue)) /* it was held when that was asked before */
        return true;
    rc_queue_reopen(feed->queue);
    return false;
}

static void take_out(struct rc_rules *rules, uint32_t at)
{
    pthread_mutex_lock(&rules->mutex);
    rules->feeds_count--;
    memmove(&rules->feeds[at], &rules->feeds[at + 1], (rules->feeds_count - at) * sizeof(rules->feeds[0]));
    pthread_mutex_unlock(&rules->mutex);
    rules->known--;
}

/* Whether it is gone. */
static bool forget(struct rc_rules *rules, uint32_t at)
{
    struct rc_feed *feed = rules->feeds[at];
    int err = rc_feed_remove_file(feed);
    if (err != RC_OK) {
        rc_log_error("rules", "%s -> %s/%s: the file of a former target cannot be removed: %s", feed->rule,
                     feed->target, feed->target_topic, rc_err_text(err));
        rc_queue_reopen(feed->queue);
        return false;
    }
    uint64_t dropped = feed->dropped_by_operator + feed->dropped_lost;
    rc_log_info("rules",
                "%s -> %s/%s: a former target is forgotten, as nothing is owed to it: matched=%" PRIu64
                " delivered=%" PRIu64 " dropped=%" PRIu64,
                feed->rule, feed->target, feed->target_topic, feed->cursor - feed->begun,
                feed->cursor - feed->begun - dropped, dropped);
    take_out(rules, at);
    rc_feed_destroy(feed);
    return true;
}

void rc_former_sweep(struct rc_rules *rules)
{
    uint32_t swept = 0;
    if (pthread_mutex_trylock(&rules->life) != 0)
        return; /* a catalog is being applied: the next time */
    for (uint32_t i = 0; i < rules->known && swept < RC_RULES_SWEPT_AT_ONCE;) {
        if (is_spent(rules->feeds[i]) && forget(rules, i))
            swept++;
        else
            i++;
    }
    pthread_mutex_unlock(&rules->life);
}
