/* Outflow and inflow rules: from the configuration into the catalog. Main thread. */
#ifndef RC_CONTROL_CONTROL_FLOWS_H
#define RC_CONTROL_CONTROL_FLOWS_H

#include "catalog/catalog.h"
#include "control/config.h"
#include "store/store.h"

/* Adds the rule, of type outflow or inflow, to the instance. NULL, or what is wrong with it. */
const char *rc_control_add_flow(const struct rc_catalog *catalog, struct rc_instance *instance,
                                const struct rc_config_rule *rule);

/* Finds or makes in the store the topics of the instance's enabled flow rules. */
int rc_control_resolve_flows(const struct rc_instance *instance, struct rc_store *store,
                             struct rc_error *error);

#endif
