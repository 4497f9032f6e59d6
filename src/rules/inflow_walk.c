/* Walking the inflow rules of a catalog. */
#include "rules/rules_private.h"

void rc_inflow_walk_start(struct rc_inflow_walk *walk, const struct rc_catalog *catalog)
{
    walk->instance = NULL;
    rc_trie_walk_start(&walk->instances, &catalog->instances);
}

const struct rc_flow_rule *rc_inflow_walk_next(struct rc_inflow_walk *walk)
{
    const struct rc_flow_rule *rule;
    while (walk->instance == NULL || (rule = rc_trie_walk_next(&walk->rules)) == NULL) {
        walk->instance = rc_trie_walk_next(&walk->instances);
        if (walk->instance == NULL)
            return NULL;
        rc_trie_walk_start(&walk->rules, &walk->instance->inflows);
    }
    return rule;
}

const struct rc_flow_rule *rc_inflow_walk_next_enabled(struct rc_inflow_walk *walk)
{
    const struct rc_flow_rule *rule;
    while ((rule = rc_inflow_walk_next(walk)) != NULL && !rule->is_enabled)
        ;
    return rule;
}
