/* What instances are told of the listeners. */
#ifndef RC_CONTROL_CONTROL_ENTRANCES_H
#define RC_CONTROL_CONTROL_ENTRANCES_H

#include "catalog/entrances.h"
#include "control/config.h"

/* One for each domain of each listener; one reference. */
struct rc_entrances *rc_control_build_entrances(const struct rc_config *config);

#endif
