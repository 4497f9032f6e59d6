/* Private to control: what else an instance declares that the API makes too. */
#ifndef RC_CONTROL_CONTROL_DECLARED_H
#define RC_CONTROL_CONTROL_DECLARED_H

#include "control/control_builder.h"

struct rc_store;

/*
 * Adds credentials, identities, permissions, the blacklist, certificates, tags and the endpoint's names to
 * the builder's instance, after its groups and rules.
 */
void rc_control_add_declared(struct rc_control_builder *builder, const struct rc_config_instance *instance);

#endif
