/* rollcall store check */
#ifndef RC_CLI_STORE_CHECK_H
#define RC_CLI_STORE_CHECK_H

#include "cli/options.h"

extern const struct rc_cli_usage rc_store_check_usage;
int rc_store_check_run(int argc, char **argv); /* argv[0] is "check"; returns an exit code */

#endif
