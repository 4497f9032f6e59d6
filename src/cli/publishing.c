#include "cli/publishing.h"

#include "api/api.h"
#include "control/control.h"
#include "loop/loop.h"
#include "rocketmq/endpoint.h"
#include "rules/rules.h"

int rc_publishing_prepare(void *arg, struct rc_catalog *next, struct rc_error *error)
{
    struct rc_publishing *publishing = arg;
    int err = rc_control_resolve_topics(next, publishing->store, error);
    return err ? err : rc_rules_apply(publishing->rules, next, error);
}

void rc_publishing_publish(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change)
{
    struct rc_publishing *publishing = arg;
    for (uint32_t i = 0; i < publishing->shards; i++)
        rc_broker_post_change(publishing->brokers[i], next, change);
    rc_endpoint_post_catalog(publishing->endpoint, next);
    if (publishing->api != NULL)
        rc_api_post_catalog(publishing->api, next);
    for (uint32_t i = 0; i < publishing->shards; i++)
        rc_loop_sync(publishing->loops[i]);
    rc_endpoint_sync(publishing->endpoint);
}
