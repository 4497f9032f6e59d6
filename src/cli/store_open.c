#include "cli/store_open.h"

int rc_store_open_to_read(const struct rc_cli_usage *usage, const char *dir, struct rc_store **ret)
{
    struct rc_store_options options;
    struct rc_error error = {0};
    if (dir == NULL)
        return rc_cli_refuse(usage, "the log directory is missing");
    rc_store_options_default(&options);
    options.dir = dir;
    options.read_only = true;
    if (rc_store_options_detect(&options, &error) != RC_OK || rc_store_open(&options, ret, &error) != RC_OK)
        return rc_cli_fail(usage->command, "%s", error.text);
    return RC_CLI_GO_ON;
}
