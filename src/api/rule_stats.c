#include "api/rule_stats.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

static void put(char *out, size_t size, struct rc_slice text)
{
    snprintf(out, size, "%.*s", RC_SLICE_FMT(text));
}

uint64_t rc_api_rule_told(const struct rc_status_rule *rule)
{
    uint64_t told = 0;
    for (uint32_t i = 0; rule->topic != NULL && i < rc_topic_queue_count(rule->topic); i++)
        told += rc_queue_end(rc_topic_queue(rule->topic, i));
    return told;
}

/* Where a status rule leads to the log itself, what is in its topic was delivered. */
static void read_own(const struct rc_instance *instance, const struct rc_status_rule *rule,
                     struct rc_rule_stats *ret)
{
    *ret = (struct rc_rule_stats){.state = rule->is_enabled ? RC_RULE_RUNNING : RC_RULE_STOPPED,
                                  .is_current = true};
    ret->matched = ret->delivered = rc_api_rule_told(rule);
    put(ret->instance, sizeof(ret->instance), instance->id);
    put(ret->rule, sizeof(ret->rule), rule->id);
    put(ret->topic, sizeof(ret->topic), rule->topic_name);
    put(ret->target_topic, sizeof(ret->target_topic), rule->topic_name);
}

static void read_instance(const struct rc_instance *instance, struct rc_api_rules *rules)
{
    const struct rc_status_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &instance->status_rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        if (rule->target == NULL && rules->count < RC_RULES_MAX)
            read_own(instance, rule, &rules->list[rules->count++]);
    }
}

/* Only what is of the instance. */
static void keep_of(struct rc_api_rules *rules, const struct rc_instance *instance)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rules->count; i++)
        if (rc_slice_eq_str(instance->id, rules->list[i].instance))
            rules->list[kept++] = rules->list[i];
    rules->count = kept;
}

void rc_api_rules_read(const struct rc_api *api, const struct rc_instance *instance, struct rc_api_rules *ret)
{
    *ret = (struct rc_api_rules){.list = rc_calloc(RC_RULES_MAX, sizeof(*ret->list))};
    if (api->options.rules != NULL)
        ret->count = rc_rules_stats(api->options.rules, ret->list, RC_RULES_MAX);
    if (ret->count > RC_RULES_MAX)
        ret->count = RC_RULES_MAX;
    keep_of(ret, instance);
    read_instance(instance, ret);
}

void rc_api_rules_free(struct rc_api_rules *rules)
{
    free(rules->list);
}

const struct rc_rule_stats *rc_api_rules_find(const struct rc_api_rules *rules, struct rc_slice instance,
                                              struct rc_slice id)
{
    for (uint32_t i = 0; i < rules->count; i++)
        if (rules->list[i].is_current && rc_slice_eq_str(id, rules->list[i].rule) &&
            rc_slice_eq_str(instance, rules->list[i].instance))
            return &rules->list[i];
    return NULL;
}
