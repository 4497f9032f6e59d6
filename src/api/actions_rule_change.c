/* Rules of all types: made, changed and deleted. What they have sent: actions_rule.c. */
#include "api/registry_work.h"

#include <stdlib.h>

/* ---- parameters: what is not there leaves a field as it is ---- */

static const char *given(const struct rc_registry_work *work, const char *name)
{
    const char *text = rc_params_get(&work->call->params, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static void take_text(const struct rc_registry_work *work, const char *name, struct rc_slice *field)
{
    const char *text = given(work, name);
    if (text != NULL)
        *field = rc_slice_str(text);
}

/* Given empty it takes the text away. */
static void take_optional(const struct rc_registry_work *work, const char *name, struct rc_slice *field)
{
    const char *text = rc_params_get(&work->call->params, name);
    if (text != NULL)
        *field = rc_slice_str(text);
}

static int take_queues(struct rc_registry_work *work, uint32_t *field)
{
    const char *text = given(work, "Queues");
    char *end;
    if (text == NULL)
        return RC_OK;
    unsigned long count = strtoul(text, &end, 10);
    if (*end != '\0' || count == 0 || count > UINT16_MAX)
        return rc_work_refuse(work, "Queues is a number above 0.");
    *field = (uint32_t)count;
    return RC_OK;
}

/* A topic of the endpoint takes the place of one of another cluster, and the other way round. */
static void take_place(const struct rc_registry_work *work, const char *instance, const char *topic,
                       struct rc_registry_rule *rule)
{
    bool is_near = given(work, "Topic") != NULL,
         is_far = given(work, instance) != NULL || given(work, topic) != NULL;
    if (is_far)
        rule->topic = rc_slice("", 0);
    if (is_near)
        rule->target_instance = rule->target_topic = rc_slice("", 0);
    if (is_near && rule->type == RC_RULE_INFLOW)
        rule->consumer_group = rc_slice("", 0);
    take_text(work, "Topic", &rule->topic);
    take_text(work, instance, &rule->target_instance);
    take_text(work, topic, &rule->target_topic);
}

static int take_rule(struct rc_registry_work *work, struct rc_registry_rule *rule)
{
    bool is_inflow = rule->type == RC_RULE_INFLOW;
    rule->id = rc_work_param(work, "RuleId");
    take_optional(work, "Description", &rule->description);
    if (rule->type == RC_RULE_STATUS_NOTICE)
        take_text(work, "GroupId", &rule->group);
    else
        take_text(work, "MqttTopic", &rule->mqtt_topic);
    take_place(work, is_inflow ? "SourceInstance" : "TargetInstance",
               is_inflow ? "SourceTopic" : "TargetTopic", rule);
    if (is_inflow)
        take_optional(work, "ConsumerGroup", &rule->consumer_group);
    int err = take_queues(work, &rule->queues);
    err = err ? err : rc_work_take_one_of(work, "Enabled", "false", "true", &rule->is_enabled);
    if (is_inflow)
        return err ? err : rc_work_take_one_of(work, "From", "last", "first", &rule->is_from_first);
    return err ? err : rc_work_take_one_of(work, "Failover", "false", "true", &rule->fails_over);
}

/* ---- the actions ---- */

static int create(struct rc_registry_work *work, enum rc_rule_type type)
{
    struct rc_slice none = rc_slice("", 0);
    struct rc_registry_rule rule = {.type = type,
                                    .description = none,
                                    .group = none,
                                    .mqtt_topic = none,
                                    .topic = none,
                                    .target_instance = none,
                                    .target_topic = none,
                                    .consumer_group = none,
                                    .queues = RC_RULE_QUEUES_DEFAULT,
                                    .is_enabled = true};
    int err = take_rule(work, &rule);
    return err ? err : rc_registry_create_rule(work->registry, work->instance, &rule, work->error);
}

static int update(struct rc_registry_work *work, enum rc_rule_type type)
{
    struct rc_registry_kept_rule kept;
    int err = rc_registry_find_rule(work->registry, work->instance, type, rc_work_param(work, "RuleId"),
                                    &kept, work->error);
    err = err ? err : take_rule(work, &kept.rule);
    return err ? err : rc_registry_update_rule(work->registry, work->instance, &kept.rule, work->error);
}

static int drop(struct rc_registry_work *work, enum rc_rule_type type)
{
    return rc_registry_delete_rule(work->registry, work->instance, type, rc_work_param(work, "RuleId"),
                                   work->error);
}

int rc_work_create_status_rule(struct rc_registry_work *work)
{
    return create(work, RC_RULE_STATUS_NOTICE);
}

int rc_work_update_status_rule(struct rc_registry_work *work)
{
    return update(work, RC_RULE_STATUS_NOTICE);
}

int rc_work_delete_status_rule(struct rc_registry_work *work)
{
    return drop(work, RC_RULE_STATUS_NOTICE);
}

int rc_work_create_outflow(struct rc_registry_work *work)
{
    return create(work, RC_RULE_OUTFLOW);
}

int rc_work_update_outflow(struct rc_registry_work *work)
{
    return update(work, RC_RULE_OUTFLOW);
}

int rc_work_delete_outflow(struct rc_registry_work *work)
{
    return drop(work, RC_RULE_OUTFLOW);
}

int rc_work_create_inflow(struct rc_registry_work *work)
{
    return create(work, RC_RULE_INFLOW);
}

int rc_work_update_inflow(struct rc_registry_work *work)
{
    return update(work, RC_RULE_INFLOW);
}

int rc_work_delete_inflow(struct rc_registry_work *work)
{
    return drop(work, RC_RULE_INFLOW);
}
