/* Outflow and inflow rules: from the configuration into the catalog. Main thread. */
#ifndef RC_CONTROL_CONTROL_FLOWS_H
#define RC_CONTROL_CONTROL_FLOWS_H

#include "catalog/catalog.h"
#include "control/config.h"
#include "store/store.h"

/* Why a rule may not name a topic of rc_catalog_is_system_topic. */
#define RC_CONTROL_SYSTEM_TOPIC                                                                              \
    "topics that begin with " RC_RULE_TOPIC_PREFIX                                                           \
    ", %RETRY%, %DLQ% or RMQ_SYS_, and SCHEDULE_TOPIC_XXXX, TBW102 and the like, are the server's own"

/* Adds the rule, of type outflow or inflow, to the instance. NULL, or what is wrong with it. */
const char *rc_control_add_flow(const struct rc_catalog *catalog, struct rc_instance *instance,
                                const struct rc_config_rule *rule);

/* Finds or makes in the store the topics of the instance's enabled flow rules. */
int rc_control_resolve_flows(const struct rc_instance *instance, struct rc_store *store,
                             struct rc_error *error);

#endif
