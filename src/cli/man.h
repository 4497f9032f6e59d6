/*
 * The manual pages rollcall(1) and rollcall.yaml(5), in the macros of man(7), from what the program says of
 * itself anyway: the commands' --help and the reference of the configuration. Main thread.
 */
#ifndef RC_CLI_MAN_H
#define RC_CLI_MAN_H

#include "base/buf.h"
#include "cli/commands.h"

enum { RC_MAN_PAGE_MAX = 4 * 1024 * 1024 };

struct rc_man_program {
    const char *what;  /* what it is, in a few words */
    const char *about; /* lines that end in \n */
    const struct rc_cli_command *const *commands;
    size_t count;
};

/* Append a page each. 0 or RC_ERR_FULL. */
int rc_man_program(const struct rc_man_program *program, struct rc_buf *out);
int rc_man_configuration(struct rc_buf *out);

#endif
