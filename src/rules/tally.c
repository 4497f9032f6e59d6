/* What flow rules have done in this server: counted by whoever does it, kept here by name. */
#include "base/alloc.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

static struct rc_named_tally *find(const struct rc_rules *rules, const struct rc_tally_name *name)
{
    for (uint32_t i = 0; i < rules->tallies_count; i++)
        if (memcmp(&rules->tallies[i]->name, name, sizeof(*name)) == 0)
            return rules->tallies[i];
    return NULL;
}

/* A thread that still goes by an old catalog may count once more in a place that is used again. */
static void clear(struct rc_rule_tally *tally)
{
    atomic_store(&tally->matched, 0);
    atomic_store(&tally->delivered, 0);
    atomic_store(&tally->refused, 0);
    atomic_store(&tally->lost, 0);
    for (uint32_t i = 0; i < RC_RULE_DROP_REASONS; i++)
        atomic_store(&tally->dropped[i], 0);
}

/* NULL: there are too many. */
static struct rc_named_tally *make(struct rc_rules *rules, const struct rc_tally_name *name)
{
    struct rc_named_tally *tally = NULL;
    bool is_new = rules->tallies_count < RC_RULES_MAX;
    for (uint32_t i = 0; !is_new && tally == NULL && i < rules->tallies_count; i++)
        if (!rules->tallies[i]->is_used)
            tally = rules->tallies[i];
    if (is_new)
        tally = rc_new(struct rc_named_tally);
    if (tally == NULL)
        return NULL;
    pthread_mutex_lock(&rules->mutex);
    clear(&tally->tally);
    tally->name = *name;
    tally->is_used = true;
    if (is_new)
        rules->tallies[rules->tallies_count++] = tally;
    pthread_mutex_unlock(&rules->mutex);
    return tally;
}

static void name_rule(struct rc_tally_name *name, const struct rc_instance *instance,
                      const struct rc_flow_rule *rule, bool is_inflow)
{
    memset(name, 0, sizeof(*name)); /* compared as a whole */
    snprintf(name->instance, sizeof(name->instance), "%.*s", RC_SLICE_FMT(instance->id));
    snprintf(name->rule, sizeof(name->rule), "%.*s", RC_SLICE_FMT(rule->id));
    snprintf(name->topic, sizeof(name->topic), "%.*s", RC_SLICE_FMT(rule->topic_name));
    name->is_inflow = is_inflow;
    name->is_local = rule->target == NULL;
}

/* False when there are too many. First those that have one, so that their places are not given away. */
static bool give(struct rc_rules *rules, const struct rc_instance *instance, const struct rc_trie *flows,
                 bool is_inflow, bool makes)
{
    struct rc_trie_walk walk;
    struct rc_flow_rule *rule;
    rc_trie_walk_start(&walk, flows);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        struct rc_tally_name name;
        name_rule(&name, instance, rule, is_inflow);
        struct rc_named_tally *tally = find(rules, &name);
        if (tally == NULL && makes)
            tally = make(rules, &name);
        if (tally == NULL && makes)
            return false;
        if (tally == NULL)
            continue;
        tally->is_used = true;
        if (rule->tally == NULL) /* otherwise it was published before, and is not touched */
            rule->tally = &tally->tally;
    }
    return true;
}

static bool give_all(struct rc_rules *rules, const struct rc_catalog *catalog, bool makes)
{
    struct rc_trie_walk walk;
    const struct rc_instance *instance;
    rc_trie_walk_start(&walk, &catalog->instances);
    while ((instance = rc_trie_walk_next(&walk)) != NULL)
        if (!give(rules, instance, &instance->outflows, false, makes) ||
            !give(rules, instance, &instance->inflows, true, makes))
            return false;
    return true;
}

int rc_tallies_give(struct rc_rules *rules, const struct rc_catalog *catalog, struct rc_error *error)
{
    pthread_mutex_lock(&rules->mutex);
    for (uint32_t i = 0; i < rules->tallies_count; i++)
        rules->tallies[i]->is_used = false;
    give_all(rules, catalog, false);
    pthread_mutex_unlock(&rules->mutex);
    return give_all(rules, catalog, true)
               ? RC_OK
               : rc_error_set(error, RC_ERR_FULL, "more than %d outflow and inflow rules", RC_RULES_MAX);
}

void rc_tally_add_drops(const struct rc_rule_tally *tally, struct rc_rule_stats *ret)
{
    for (uint32_t i = 0; i < RC_RULE_DROP_REASONS; i++) {
        ret->dropped_for[i] = atomic_load(&tally->dropped[i]);
        ret->dropped += ret->dropped_for[i];
        ret->matched += ret->dropped_for[i];
    }
    uint64_t lost = atomic_load(&tally->lost);
    ret->dropped_lost += lost;
    ret->dropped += lost;
    ret->matched += lost;
    ret->refused = atomic_load(&tally->refused);
}

void rc_tally_add(const struct rc_rules *rules, struct rc_rule_stats *ret)
{
    for (uint32_t i = 0; i < rules->tallies_count; i++) {
        const struct rc_named_tally *tally = rules->tallies[i];
        if (!tally->name.is_inflow && !tally->name.is_local && strcmp(tally->name.topic, ret->topic) == 0 &&
            strcmp(tally->name.instance, ret->instance) == 0) {
            rc_tally_add_drops(&tally->tally, ret);
            return;
        }
    }
}

bool rc_tally_stats(const struct rc_named_tally *tally, struct rc_rule_stats *ret)
{
    const struct rc_tally_name *name = &tally->name;
    if (name->is_inflow || !name->is_local || !tally->is_used) /* told of by inflows and feeds */
        return false;
    memset(ret, 0, sizeof(*ret));
    snprintf(ret->topic, sizeof(ret->topic), "%s", name->topic);
    snprintf(ret->rule, sizeof(ret->rule), "%s", name->rule);
    snprintf(ret->instance, sizeof(ret->instance), "%s", name->instance);
    snprintf(ret->target_topic, sizeof(ret->target_topic), "%s", name->topic);
    ret->is_current = true;
    ret->delivered = ret->matched = atomic_load(&tally->tally.delivered);
    rc_tally_add_drops(&tally->tally, ret);
    return true;
}
