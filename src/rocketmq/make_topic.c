/*
 * Topics that come into being because a client named them: those of groups (retries, dead letters) and, where
 * it is allowed, those that a producer sends to. Making one writes a file, so how many a minute is limited.
 */
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <stdio.h>

static bool may_create(struct rc_endpoint *endpoint)
{
    uint64_t minute = rc_loop_now_ms(endpoint->loop) / 60000;
    if (endpoint->creations_minute != minute) {
        endpoint->creations_minute = minute;
        endpoint->creations = 0;
    }
    if (endpoint->creations >= endpoint->options.max_creations) {
        RC_COUNTER(endpoint, limits_hit);
        rc_log_error("rocketmq", "a topic was not made: clients have asked for %u within a minute",
                     endpoint->options.max_creations);
        return false;
    }
    endpoint->creations++;
    return true;
}

int rc_endpoint_make_topic(struct rc_endpoint *endpoint, struct rc_slice name, uint32_t queues,
                           struct rc_topic **ret)
{
    struct rc_store *store = endpoint->options.store;
    struct rc_topic *topic = rc_store_find_topic(store, name);
    struct rc_error error;
    if (topic == NULL && !may_create(endpoint))
        return RC_ERR_FULL;
    int err = topic ? RC_OK : rc_store_create_topic(store, name, queues, RC_PERM_READ_WRITE, &topic, &error);
    if (err == RC_OK)
        *ret = topic;
    else
        rc_log_warn("rocketmq", "a topic that a client named was not made: %s", rc_err_text(err));
    return err;
}

static struct rc_topic *make_of_group(struct rc_endpoint *endpoint, const char *prefix, struct rc_slice group)
{
    char name[RC_MESSAGE_TOPIC_MAX + 1];
    size_t prefix_len = strlen(prefix);
    struct rc_topic *topic;
    if (group.len == 0 || prefix_len + group.len >= sizeof(name))
        return NULL;
    memcpy(name, prefix, prefix_len);
    memcpy(name + prefix_len, group.ptr, group.len);
    return rc_endpoint_make_topic(endpoint, rc_slice(name, prefix_len + group.len), 1, &topic) == RC_OK
               ? topic
               : NULL;
}

struct rc_topic *rc_endpoint_make_retry_topic(struct rc_endpoint *endpoint, struct rc_slice group)
{
    struct rc_topic *topic = make_of_group(endpoint, RC_RETRY_PREFIX, group);
    if (topic != NULL)
        rc_groups_ensure(endpoint->options.store, group);
    return topic;
}

struct rc_topic *rc_endpoint_make_dead_letter_topic(struct rc_endpoint *endpoint, struct rc_slice group)
{
    return make_of_group(endpoint, RC_DEAD_LETTER_PREFIX, group);
}
