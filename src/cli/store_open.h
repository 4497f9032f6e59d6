/* How the log is opened. */
#ifndef RC_CLI_STORE_OPEN_H
#define RC_CLI_STORE_OPEN_H

#include "cli/options.h"
#include "control/config.h"
#include "store/store.h"

/* Opens a log directory for reading, with the sizes that it has. RC_CLI_GO_ON, or an exit code after a
 * message. */
int rc_store_open_to_read(const struct rc_cli_usage *usage, const char *dir, struct rc_store **ret);

/* As the server has it; the directory is the configuration's own text. */
void rc_store_options_of(const struct rc_config_store *config, struct rc_store_options *ret);

#endif
