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

void rc_store_options_of(const struct rc_config_store *config, struct rc_store_options *ret)
{
    rc_store_options_default(ret);
    ret->dir = config->dir.text;
    ret->segment_bytes = (uint64_t)config->segment_size;
    ret->queue_file_entries = (uint32_t)config->queue_file_entries;
    ret->flush = (enum rc_flush)config->flush;
    ret->flush_interval_ms = (uint32_t)config->flush_interval;
    ret->retain_ms = (uint64_t)config->retain_time;
    ret->retain_bytes = (uint64_t)config->retain_size;
    ret->quota_bytes = (uint64_t)config->quota;
    ret->min_free_bytes = (uint64_t)config->min_free;
}
