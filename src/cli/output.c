#include "cli/output.h"

#include "base/error.h"
#include "cli/commands.h"

#include <stdio.h>

int rc_cli_write_out(struct rc_buf *text, int err)
{
    struct rc_slice all = rc_buf_slice(text);
    bool is_written = err == RC_OK && fwrite(all.ptr, 1, all.len, stdout) == all.len && fflush(stdout) == 0;
    rc_buf_free(text);
    return is_written ? RC_EXIT_OK : RC_EXIT_FAILURE;
}
