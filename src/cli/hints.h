/* For whoever tries the server out: commands that can be pasted into another terminal. */
#ifndef RC_CLI_HINTS_H
#define RC_CLI_HINTS_H

#include "control/config.h"
#include "net/address.h"

#include <stdio.h>

/* Prints a device's comings and goings for the first group that has a status rule; shows that device's
 * password (not the secret key it is made with). Prints why not when the configuration has no such group. */
void rc_hints_print(const struct rc_config *config, const struct rc_address *mqtt,
                    const struct rc_address *rocketmq, FILE *out);

#endif
