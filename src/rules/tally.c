/* What flow rules that end in this server have done: counted by whoever does it, kept here by name. */
#include "base/alloc.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

static struct rc_rule_tally *find(struct rc_rules *rules, const struct rc_tally_name *name)
{
    for (uint32_t i = 0; i < rules->tallies_count; i++)
        if (memcmp(&rules->tallies[i]->name, name, sizeof(*name)) == 0)
            return &rules->tallies[i]->tally;
    if (rules->tallies_count == RC_RULES_MAX)
        return NULL;
    struct rc_named_tally *tally = rc_new(struct rc_named_tally);
    tally->name = *name;
    pthread_mutex_lock(&rules->mutex);
    rules->tallies[rules->tallies_count++] = tally;
    pthread_mutex_unlock(&rules->mutex);
    return &tally->tally;
}

static bool give(struct rc_rules *rules, const struct rc_instance *instance, const struct rc_trie *flows,
                 bool is_inflow)
{
    struct rc_trie_walk walk;
    struct rc_flow_rule *rule;
    rc_trie_walk_start(&walk, flows);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        struct rc_tally_name name;
        memset(&name, 0, sizeof(name)); /* compared as a whole */
        snprintf(name.instance, sizeof(name.instance), "%.*s", RC_SLICE_FMT(instance->id));
        snprintf(name.rule, sizeof(name.rule), "%.*s", RC_SLICE_FMT(rule->id));
        snprintf(name.topic, sizeof(name.topic), "%.*s", RC_SLICE_FMT(rule->topic_name));
        name.is_inflow = is_inflow;
        name.is_local = rule->target == NULL;
        if (rule->tally == NULL) /* otherwise it was published before, and is not touched */
            rule->tally = find(rules, &name);
        if (rule->tally == NULL)
            return false;
    }
    return true;
}

int rc_tallies_give(struct rc_rules *rules, const struct rc_catalog *catalog, struct rc_error *error)
{
    struct rc_trie_walk walk;
    const struct rc_instance *instance;
    rc_trie_walk_start(&walk, &catalog->instances);
    while ((instance = rc_trie_walk_next(&walk)) != NULL)
        if (!give(rules, instance, &instance->outflows, false) ||
            !give(rules, instance, &instance->inflows, true))
            return rc_error_set(error, RC_ERR_FULL, "more than %d outflow and inflow rules", RC_RULES_MAX);
    return RC_OK;
}

bool rc_tally_stats(const struct rc_named_tally *tally, struct rc_rule_stats *ret)
{
    const struct rc_tally_name *name = &tally->name;
    if (name->is_inflow || !name->is_local) /* those are told of by inflows and feeds */
        return false;
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->topic, sizeof(ret->topic), "%s", name->topic);
    snprintf(ret->rule, sizeof(ret->rule), "%s", name->rule);
    snprintf(ret->instance, sizeof(ret->instance), "%s", name->instance);
    snprintf(ret->target_topic, sizeof(ret->target_topic), "%s", name->topic);
    ret->is_current = true;
    ret->delivered = atomic_load(&tally->tally.delivered);
    ret->dropped = atomic_load(&tally->tally.dropped);
    ret->matched = ret->delivered + ret->dropped;
    return true;
}
