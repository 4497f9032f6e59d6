#include "control/control_limits.h"

#include "catalog/limits.h"

static void set(uint32_t *limit, int64_t value)
{
    if (value > 0)
        *limit = (uint32_t)value;
}

static void choose(bool *has, int choice)
{
    if (choice != RC_CONFIG_OF_PROFILE)
        *has = choice == RC_CONFIG_YES;
}

void rc_control_set_limits(struct rc_limits *limits, const struct rc_config_limits *config)
{
    set(&limits->payload_max, config->payload);
    set(&limits->subscriptions_max, config->subscriptions);
    /* In whole seconds, as MQTT has it: part of one counts as one. */
    set(&limits->keep_alive_max_s, (config->keep_alive + 999) / 1000);
    set(&limits->inflight_max, config->inflight);
    set(&limits->receive_max, config->receive_maximum);
    set(&limits->incoming_max, config->receive_maximum);
    set(&limits->queued_max, config->queued);
    set(&limits->queued_all_max, config->queued_all);
    set(&limits->client_id_max, config->client_id);
    set(&limits->topic_len_max, config->topic_length);
    set(&limits->topic_levels_max, config->topic_levels);
    if (config->topic_aliases > 0)
        limits->topic_alias_max = (uint16_t)config->topic_aliases;
    if (config->queued_bytes > 0)
        limits->queued_bytes_max = (uint64_t)config->queued_bytes;
    if (config->queued_all_bytes > 0)
        limits->queued_all_bytes_max = (uint64_t)config->queued_all_bytes;
    if (config->session_keep > 0)
        limits->session_keep_ms = (uint64_t)config->session_keep;
    if (config->qos > 0) /* after `profile`, the names are 0, 1, 2 */
        limits->qos_max = (uint8_t)(config->qos - 1);
    choose(&limits->has_retained, config->retained);
    choose(&limits->has_wills, config->wills);
    choose(&limits->has_shared, config->shared_subscriptions);
    choose(&limits->has_wildcards, config->wildcards);
    choose(&limits->tells_why, config->refusal_reasons);
}
