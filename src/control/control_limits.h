/* Private to control: what the configuration sets on top of a profile's limits. */
#ifndef RC_CONTROL_CONTROL_LIMITS_H
#define RC_CONTROL_CONTROL_LIMITS_H

#include "control/config.h"

struct rc_limits;

/* `limits` holds the profile's; those that the configuration names are replaced. */
void rc_control_set_limits(struct rc_limits *limits, const struct rc_config_limits *config);

#endif
