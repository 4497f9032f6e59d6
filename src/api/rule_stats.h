/* How every rule stands: what the rules' thread knows, and what the log says of those that end in it. */
#ifndef RC_API_RULE_STATS_H
#define RC_API_RULE_STATS_H

#include "api/api_private.h"
#include "rules/rules.h"

struct rc_api_rules {
    struct rc_rule_stats *list;
    uint32_t count;
};

/* Those of an instance, former targets too; at most RC_RULES_MAX. On the API's thread. */
void rc_api_rules_read(const struct rc_api *api, const struct rc_instance *instance,
                       struct rc_api_rules *ret);
/* How many messages have come to where a status rule leads that has no target but the log. */
uint64_t rc_api_rule_told(const struct rc_status_rule *rule);
void rc_api_rules_free(struct rc_api_rules *rules);
/* The one where the rule leads now; NULL: nothing is known of it, as it is disabled. */
const struct rc_rule_stats *rc_api_rules_find(const struct rc_api_rules *rules, struct rc_slice instance,
                                              struct rc_slice id);

#endif
