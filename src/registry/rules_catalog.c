/* A rule that was made here as the catalog has it: what it may name, and what it becomes. */
#include "base/alloc.h"
#include "registry/private.h"

enum { TOPIC_MAX = 127, TARGET_TOPIC_MAX = 62, QUEUES_MAX = 1024, QUEUES_DEFAULT = 8 };

bool rc_registry_is_rocketmq_name(struct rc_slice name, size_t max)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!is_alnum && c != '_' && c != '-' && c != '%' && c != '|')
            return false;
    }
    return name.len > 0 && name.len <= max;
}

static bool is_topic(struct rc_slice topic)
{
    return rc_registry_is_rocketmq_name(topic, TOPIC_MAX) && !rc_catalog_is_system_topic(topic);
}

int rc_registry_claim_topic(struct rc_registry *registry, const struct rc_catalog *next,
                            struct rc_slice instance, struct rc_slice topic, struct rc_error *error)
{
    const struct rc_registry_options *options = &registry->options;
    if (!is_topic(topic))
        return rc_registry_refuse(error, RC_ERR_INVALID, "topic", topic);
    bool is_others = rc_catalog_leads_elsewhere(next, instance, topic);
    int err = is_others                      ? RC_ERR_DENIED
              : options->claim_topic == NULL ? RC_OK
                                             : options->claim_topic(options->arg, next, instance, topic);
    if (err == RC_ERR_DENIED)
        return rc_error_set(error, err, "The topic belongs to another instance: choose another name.");
    return err ? rc_registry_refuse(error, err, "topic", topic) : RC_OK;
}

/* The first level of MQTT topics: with profile product a parent topic that is there. */
static bool is_mqtt_topic(const struct rc_instance *instance, struct rc_slice topic)
{
    if (instance->profile == RC_PROFILE_PRODUCT)
        return rc_instance_has_topic(instance, topic);
    for (size_t i = 0; i < topic.len; i++) {
        uint8_t c = topic.ptr[i];
        if (c < ' ' || c == 0x7f || c == '/' || c == '+' || c == '#' || (i == 0 && c == '$'))
            return false;
    }
    return topic.len > 0 && topic.len <= RC_CATALOG_ID_MAX;
}

/* Where it leads, or comes from: *ret_target NULL for the endpoint. */
static int find_place(struct rc_registry *registry, const struct rc_catalog *next,
                      const struct rc_instance *instance, const struct rc_registry_rule *rule,
                      const struct rc_target **ret_target, struct rc_error *error)
{
    bool is_far = rule->target_instance.len > 0;
    *ret_target = NULL;
    if (is_far == (rule->topic.len > 0) || is_far != (rule->target_topic.len > 0))
        return rc_error_set(error, RC_ERR_INVALID,
                            "A rule needs a topic, or another RocketMQ instance and its topic.");
    if (is_far && (!is_topic(rule->target_topic) || rule->target_topic.len > TARGET_TOPIC_MAX))
        return rc_registry_refuse(error, RC_ERR_INVALID, "topic", rule->target_topic);
    if (is_far && (*ret_target = rc_catalog_target(next, instance->id, rule->target_instance)) == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "RocketMQ instance", rule->target_instance);
    if (rule->queues > QUEUES_MAX)
        return rc_error_set(error, RC_ERR_INVALID, "A topic has at most %d queues.", QUEUES_MAX);
    return is_far ? RC_OK : rc_registry_claim_topic(registry, next, instance->id, rule->topic, error);
}

static uint32_t queues_of(const struct rc_registry_rule *rule, const struct rc_target *target)
{
    return target != NULL ? 1 : rule->queues > 0 ? rule->queues : QUEUES_DEFAULT;
}

/* The log's topic of what is sent: its own on the way to a cluster. */
static struct rc_slice name_topic(const struct rc_instance *instance, const struct rc_registry_rule *rule,
                                  char out[TOPIC_MAX + 1])
{
    if (rule->target_instance.len == 0)
        return rule->topic;
    rc_catalog_name_rule_topic(out, TOPIC_MAX + 1, instance->id, rule->id, rule->target_instance,
                               rule->target_topic);
    return rc_slice_str(out);
}

static int put_status(struct rc_instance *instance, const struct rc_registry_rule *rule,
                      const struct rc_target *target, struct rc_error *error)
{
    char name[TOPIC_MAX + 1];
    struct rc_group *group = rc_catalog_edit_group(instance, rule->group);
    if (group == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "group", rule->group);
    int err = rc_catalog_set_status_rule(instance, group, rule->id, name_topic(instance, rule, name),
                                         queues_of(rule, target), rule->is_enabled);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "rule (or one of its group)", rule->id);
    rc_catalog_set_rule_target(group->status_rule, target, rule->target_topic, rule->fails_over);
    rc_catalog_describe_rule(group->status_rule, rule->description);
    return RC_OK;
}

static int put_outflow(struct rc_instance *instance, const struct rc_registry_rule *rule,
                       const struct rc_target *target, struct rc_error *error)
{
    char name[TOPIC_MAX + 1];
    struct rc_flow_rule flow = {.mqtt_topic = rule->mqtt_topic,
                                .id = rule->id,
                                .description = rule->description,
                                .topic_name = name_topic(instance, rule, name),
                                .queues = queues_of(rule, target),
                                .is_enabled = rule->is_enabled,
                                .fails_over = rule->fails_over,
                                .target = target,
                                .target_topic = rule->target_topic};
    int err = rc_catalog_add_flow_rule(&instance->outflows, &flow);
    return err ? rc_registry_refuse(error, err, "outflow rule (or one of its MQTT topic)", rule->id) : RC_OK;
}

static int put_inflow(const struct rc_catalog *next, struct rc_instance *instance,
                      const struct rc_registry_rule *rule, const struct rc_target *target,
                      struct rc_error *error)
{
    char group[RC_CATALOG_GROUP_NAME_MAX + 1];
    rc_catalog_name_inflow_group(group, instance->id, rule->id);
    struct rc_flow_rule flow = {.mqtt_topic = rule->mqtt_topic,
                                .id = rule->id,
                                .description = rule->description,
                                .topic_name = rule->topic,
                                .queues = queues_of(rule, target),
                                .is_enabled = rule->is_enabled,
                                .target = target,
                                .target_topic = rule->target_topic,
                                .group =
                                    rule->consumer_group.len > 0 ? rule->consumer_group : rc_slice_str(group),
                                .is_from_first = rule->is_from_first};
    if (target == NULL && rule->consumer_group.len > 0)
        return rc_error_set(error, RC_ERR_INVALID, "A consumer group goes with another RocketMQ instance.");
    if (!rc_registry_is_rocketmq_name(flow.group, RC_CATALOG_GROUP_NAME_MAX))
        return rc_registry_refuse(error, RC_ERR_INVALID, "consumer group", flow.group);
    if (rc_catalog_has_inflow_group(next, target, flow.group))
        return rc_error_set(
            error, RC_ERR_BUSY,
            "Another inflow rule reads there with the consumer group %.*s: this one needs %s.",
            RC_SLICE_FMT(flow.group),
            target == NULL ? "another id" : "another id, or a ConsumerGroup of its own");
    int err = rc_catalog_add_flow_rule(&instance->inflows, &flow);
    return err ? rc_registry_refuse(error, err, "inflow rule (or one of its MQTT topic)", rule->id) : RC_OK;
}

int rc_registry_put_rule(struct rc_registry *registry, struct rc_catalog *next, struct rc_instance *instance,
                         const struct rc_registry_rule *rule, struct rc_error *error)
{
    const struct rc_target *target;
    if (!rc_catalog_is_rule_id(rule->id))
        return rc_registry_refuse(error, RC_ERR_INVALID, "rule", rule->id);
    if (rc_instance_has_rule(instance, rule->id))
        return rc_registry_refuse(error, RC_ERR_EXISTS, "rule", rule->id);
    if (rule->description.len > RC_CATALOG_DESCRIPTION_MAX)
        return rc_error_set(error, RC_ERR_INVALID, "A description has at most %d bytes.",
                            RC_CATALOG_DESCRIPTION_MAX);
    if (rule->type != RC_RULE_STATUS_NOTICE && !is_mqtt_topic(instance, rule->mqtt_topic))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "MQTT parent topic", rule->mqtt_topic);
    int err = find_place(registry, next, instance, rule, &target, error);
    if (err != RC_OK)
        return err;
    if (rule->type == RC_RULE_STATUS_NOTICE)
        return put_status(instance, rule, target, error);
    return rule->type == RC_RULE_OUTFLOW ? put_outflow(instance, rule, target, error)
                                         : put_inflow(next, instance, rule, target, error);
}
