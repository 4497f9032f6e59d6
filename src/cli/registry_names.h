/* The topics and consumer groups of the RocketMQ endpoint in a registry's export and import. */
#ifndef RC_CLI_REGISTRY_NAMES_H
#define RC_CLI_REGISTRY_NAMES_H

#include "control/config.h"
#include "registry/transfer.h"

struct rc_registry_names;

/* `config` must outlive it. */
struct rc_registry_names *rc_registry_names_create(const struct rc_config *config);
/* Closes the log, if an import had to open it. */
void rc_registry_names_free(struct rc_registry_names *names);
const struct rc_transfer_names *rc_registry_names_table(const struct rc_registry_names *names);

#endif
