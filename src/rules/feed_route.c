/* Asking name servers where the target's topic is: at the start, now and then, and when something failed. */
#include "rules/rules_private.h"

#include <stdio.h>

void rc_feed_topic_there(const struct rc_feed *feed, char out[RC_MESSAGE_TOPIC_MAX + 1])
{
    const char *name_space = feed->cluster->name_space;
    int len = snprintf(out, RC_MESSAGE_TOPIC_MAX + 1, "%s%s%s", name_space, name_space[0] ? "%" : "",
                       feed->target_topic);
    if (len < 0 || len > RC_MESSAGE_TOPIC_MAX)
        out[0] = '\0'; /* never: the configuration's limits keep it below the topic's */
}

static void take_answer(struct rc_feed *feed, const struct rc_remoting *answer)
{
    char topic[RC_MESSAGE_TOPIC_MAX + 1], why[RC_MESSAGE_TOPIC_MAX + 120];
    rc_feed_topic_there(feed, topic);
    feed->is_route_bad = true;
    if (answer->code == RC_RES_TOPIC_NOT_EXIST) {
        snprintf(why, sizeof(why), "no topic: the cluster has no route for '%s'; it waits until that is made",
                 topic);
        rc_feed_tell(feed, "name server", why);
        return;
    }
    if (answer->code != RC_RES_SUCCESS) {
        rc_feed_tell_refusal(feed, "name server", answer);
        return;
    }
    if (rc_layout_take_route(&feed->layout, answer->body, feed->fails_over))
        feed->is_layout_new = feed->is_dirty = true;
    if (feed->layout.queues == 0) {
        snprintf(why, sizeof(why), "no broker: none has a queue of '%s' that can be written", topic);
        rc_feed_tell(feed, "name server", why);
        return;
    }
    feed->is_route_bad = false;
    feed->has_route = true;
}

static void on_route(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_feed *feed = arg;
    feed->is_asking = feed->is_route_soon = false;
    if (answer == NULL) {
        char where[RC_DIAL_TARGET_MAX + 32];
        snprintf(where, sizeof(where), "name server %s",
                 rc_link_address(rc_cluster_nameserver(feed->cluster)));
        rc_feed_tell(feed, where, error);
        feed->is_route_bad = true;
        rc_cluster_next_nameserver(feed->cluster);
    } else {
        take_answer(feed, answer);
    }
    rc_timer_start(feed->rules->loop, &feed->route,
                   feed->is_route_bad ? RC_FEED_ROUTE_SOON_MS : RC_FEED_ROUTE_MS);
    rc_feed_pump(feed);
}

void rc_feed_ask_route(struct rc_feed *feed)
{
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    struct rc_remoting request;
    struct rc_link *link = rc_cluster_nameserver(feed->cluster);
    if (feed->is_asking || link == NULL)
        return;
    feed->is_asking = true;
    rc_timer_stop(&feed->route);
    rc_feed_topic_there(feed, topic);
    rc_remoting_request(&request, RC_REQ_ROUTE, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(topic));
    rc_remoting_add(&request, "acceptStandardJsonOnly", rc_slice_str("true"));
    rc_link_call(link, &request, RC_FEED_SEND_MS, on_route, feed);
}

void rc_feed_want_route(struct rc_feed *feed)
{
    if (feed->is_asking || feed->is_route_soon)
        return;
    feed->is_route_soon = true;
    rc_timer_start(feed->rules->loop, &feed->route, RC_FEED_ROUTE_SOON_MS);
}
