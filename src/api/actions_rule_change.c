/* Rules: made, changed and deleted. What they have sent: actions_rule.c. */
#include "api/registry_work.h"

#include <stdlib.h>

enum { QUEUES_DEFAULT = 4 };

static bool read_rule(struct rc_registry_work *work, struct rc_registry_rule *ret)
{
    const char *queues = rc_params_get(&work->call->params, "Queues");
    struct rc_slice enabled = rc_work_param(work, "Enabled");
    char *end = NULL;
    unsigned long count = queues != NULL && queues[0] != '\0' ? strtoul(queues, &end, 10) : QUEUES_DEFAULT;
    *ret = (struct rc_registry_rule){.id = rc_work_param(work, "RuleId"),
                                     .group = rc_work_param(work, "GroupId"),
                                     .topic = rc_work_param(work, "Topic"),
                                     .target_instance = rc_work_param(work, "TargetInstance"),
                                     .target_topic = rc_work_param(work, "TargetTopic"),
                                     .queues = (uint32_t)count,
                                     .is_enabled = !rc_slice_eq_str(enabled, "false"),
                                     .fails_over = rc_api_call_flag(work->call, "Failover")};
    return (end == NULL || *end == '\0') && count > 0 && count <= UINT16_MAX;
}

int rc_work_create_rule(struct rc_registry_work *work)
{
    struct rc_registry_rule rule;
    if (!read_rule(work, &rule))
        return rc_work_refuse(work, "Queues is a number above 0.");
    return rc_registry_create_rule(work->registry, work->instance, &rule, work->error);
}

int rc_work_update_rule(struct rc_registry_work *work)
{
    struct rc_registry_rule rule;
    if (!read_rule(work, &rule))
        return rc_work_refuse(work, "Queues is a number above 0.");
    return rc_registry_update_rule(work->registry, work->instance, &rule, work->error);
}

int rc_work_delete_rule(struct rc_registry_work *work)
{
    return rc_registry_delete_rule(work->registry, work->instance, rc_work_param(work, "RuleId"),
                                   work->error);
}
