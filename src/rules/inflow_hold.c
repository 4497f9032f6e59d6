/*
 * What inflow rules have not taken yet of this server's own topics: their consumers are clients of the
 * endpoint like any other, but the log must not let go of what an enabled rule still has to bring.
 */
#include "base/alloc.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

struct rc_inflow_hold {
    char topic[RC_MESSAGE_TOPIC_MAX + 1], retries[RC_MESSAGE_TOPIC_MAX + 1],
        group[RC_CATALOG_GROUP_NAME_MAX + 1];
    char rule[RC_CATALOG_ID_MAX + 1];
};

static void put_hold(struct rc_inflow_hold *hold, const struct rc_flow_rule *rule)
{
    snprintf(hold->topic, sizeof(hold->topic), "%.*s", RC_SLICE_FMT(rule->topic_name));
    snprintf(hold->group, sizeof(hold->group), "%.*s", RC_SLICE_FMT(rule->group));
    snprintf(hold->retries, sizeof(hold->retries), "%%RETRY%%%.*s", RC_MESSAGE_TOPIC_MAX - 7, hold->group);
    snprintf(hold->rule, sizeof(hold->rule), "%.*s", RC_SLICE_FMT(rule->id));
}

void rc_inflow_holds_apply(struct rc_rules *rules, const struct rc_catalog *catalog)
{
    struct rc_inflow_hold *holds = rc_calloc(RC_RULES_INFLOWS_MAX, sizeof(*holds));
    struct rc_inflow_walk walk;
    const struct rc_flow_rule *rule;
    uint32_t count = 0;
    rc_inflow_walk_start(&walk, catalog);
    while ((rule = rc_inflow_walk_next_enabled(&walk)) != NULL && count < RC_RULES_INFLOWS_MAX)
        if (rule->target == NULL)
            put_hold(&holds[count++], rule);
    pthread_mutex_lock(&rules->mutex);
    free(rules->holds);
    rules->holds = holds;
    rules->holds_count = count;
    pthread_mutex_unlock(&rules->mutex);
}

/* A group that has committed nothing yet may be about to begin anywhere. */
static uint64_t hold_topic(struct rc_store *store, const char *name, const char *group, uint64_t keep)
{
    struct rc_topic *topic = rc_store_find_topic(store, rc_slice_str(name));
    for (uint32_t i = 0; topic != NULL && i < rc_topic_queue_count(topic); i++) {
        struct rc_queue *queue = rc_topic_queue(topic, i);
        uint64_t offset;
        if (rc_offsets_get(store, rc_slice_str(group), queue, &offset) != RC_OK)
            offset = 0;
        keep = rc_queue_holds(queue, offset, keep);
    }
    return keep;
}

uint64_t rc_inflow_holds_keep_from(struct rc_rules *rules, uint64_t keep, const char **ret_rule)
{
    for (uint32_t i = 0; i < rules->holds_count; i++) {
        const struct rc_inflow_hold *hold = &rules->holds[i];
        uint64_t from = hold_topic(rules->store, hold->topic, hold->group, keep);
        from = hold_topic(rules->store, hold->retries, hold->group, from);
        if (from < keep)
            *ret_rule = hold->rule;
        keep = from;
    }
    return keep;
}
