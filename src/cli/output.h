/* What a command prints as a whole. Main thread. */
#ifndef RC_CLI_OUTPUT_H
#define RC_CLI_OUTPUT_H

#include "base/buf.h"

/* Writes `text`, made with result `err`, to standard output and releases it. The exit code: 0, or 1. */
int rc_cli_write_out(struct rc_buf *text, int err);

#endif
