/* rollcall store dump */
#ifndef RC_CLI_STORE_DUMP_H
#define RC_CLI_STORE_DUMP_H

#include "cli/options.h"

extern const struct rc_cli_usage rc_store_dump_usage;
int rc_store_dump_run(int argc, char **argv); /* argv[0] is "dump"; returns an exit code */

#endif
