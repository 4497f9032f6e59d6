/* The verbs of `rollcall rule` that ask a running server. Main thread. */
#ifndef RC_CLI_RULE_STATUS_H
#define RC_CLI_RULE_STATUS_H

#include "cli/commands.h"
#include "cli/options.h"

extern const struct rc_cli_usage rc_rule_list_usage, rc_rule_drop_usage;
/* As a command's main: argv[0] is the verb; the exit code. */
int rc_rule_list(int argc, char **argv);
int rc_rule_drop(int argc, char **argv);

#endif
