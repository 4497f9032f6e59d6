#include "catalog/limits.h"

#define RC_DAYS_MS(days) ((days)*24ull * 3600 * 1000)

static const struct rc_limits profiles[] = {
    /* The cloud product's documented numbers; where it has none, ours. */
    [RC_PROFILE_PRODUCT] =
        {
            .payload_max = 64 * 1024,
            .subscriptions_max = 30,
            .keep_alive_max_s = 8 * 60,
            .inflight_max = 32,
            .receive_max = 1024,
            .incoming_max = UINT16_MAX, /* all that there are */
            .queued_max = 1000,
            .queued_bytes_max = 64u << 20,
            .queued_all_max = 1000000,
            .session_keep_ms = RC_DAYS_MS(3),
            .session_expiry_min_s = 600,
            .client_id_max = 64,
            .topic_len_max = 64,
            .topic_levels_max = 64,
            .topic_alias_max = 32,
            .qos_max = 2,
            .has_wildcards = true,
            .has_subscription_ids = true,
            .tells_why = true,
        },
    [RC_PROFILE_STANDARD] =
        {
            .payload_max = 256u << 20, /* the packet size decides */
            .subscriptions_max = 1000,
            .keep_alive_max_s = 0,
            .inflight_max = 32,
            .receive_max = 1024,
            .incoming_max = UINT16_MAX, /* all that there are */
            .queued_max = 1000,
            .queued_bytes_max = 64u << 20,
            .session_keep_ms = RC_DAYS_MS(3),
            .session_expiry_min_s = 0,
            .client_id_max = RC_CLIENT_ID_MAX,
            .topic_len_max = UINT16_MAX,
            .topic_levels_max = 200,
            .topic_alias_max = 32,
            .qos_max = 2,
            .has_retained = true,
            .has_wills = true,
            .has_shared = true,
            .has_wildcards = true,
            .has_subscription_ids = true,
            .tells_why = true,
        },
};

const struct rc_limits *rc_limits_of(enum rc_profile profile)
{
    return &profiles[profile];
}
