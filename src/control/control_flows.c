#include "control/control_flows.h"

static bool is_given(const struct rc_config_text *text)
{
    return text->text[0] != '\0';
}

static bool is_system_topic(const struct rc_config_text *topic)
{
    return rc_catalog_is_system_topic(rc_slice_str(topic->text));
}

/* What both types ask of their MQTT topic. */
static const char *check_mqtt_topic(const struct rc_instance *instance, const struct rc_config_text *topic)
{
    if (instance->profile == RC_PROFILE_PRODUCT &&
        !rc_instance_has_topic(instance, rc_slice_str(topic->text)))
        return "its `mqtt_topic` is none of the instance's `topics`";
    return NULL;
}

static const char *add(struct rc_trie *rules, const struct rc_flow_rule *flow)
{
    switch (rc_catalog_add_flow_rule(rules, flow)) {
    case RC_OK:
        return NULL;
    case RC_ERR_EXISTS:
        return "the MQTT topic has a rule of this type already, one was expected";
    default:
        return "it cannot be used: invalid";
    }
}

/* ---- outflow ---- */

static const char *check_outflow(const struct rc_config_rule *rule)
{
    bool has_target = is_given(&rule->target.instance) || is_given(&rule->target.topic);
    if (!is_given(&rule->source.mqtt_topic))
        return "`source.mqtt_topic` was expected: the parent topic whose messages go out";
    if (is_given(&rule->source.instance) || is_given(&rule->source.topic) || is_given(&rule->source.group))
        return "`source` has keys of an inflow rule, `mqtt_topic` alone was expected";
    if (is_given(&rule->target.mqtt_topic))
        return "`target.mqtt_topic` goes with `type: inflow`";
    if (is_given(&rule->target.instance) != is_given(&rule->target.topic))
        return "`target` lacks its `instance` or `topic`, both were expected";
    if (has_target == is_given(&rule->topic))
        return has_target ? "`topic` and `target` were given, one of them was expected"
                          : "neither `topic` nor `target` was given, one of them was expected";
    return is_system_topic(&rule->topic) ? RC_CONTROL_SYSTEM_TOPIC : NULL;
}

static const char *add_outflow(const struct rc_catalog *catalog, struct rc_instance *instance,
                               const struct rc_config_rule *rule)
{
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    struct rc_flow_rule flow = {
        .id = rc_slice_str(rule->id.text),
        .mqtt_topic = rc_slice_str(rule->source.mqtt_topic.text),
        .topic_name = rc_slice_str(rule->topic.text),
        .queues = (uint32_t)rule->queues,
        .is_enabled = rule->is_enabled,
        .fails_over = rule->target.fails_over,
        .description = rc_slice_str(rule->description.text),
    };
    const char *what = check_outflow(rule);
    what = what ? what : check_mqtt_topic(instance, &rule->source.mqtt_topic);
    if (what != NULL)
        return what;
    if (is_given(&rule->target.instance)) {
        flow.target = rc_catalog_target(catalog, instance->id, rc_slice_str(rule->target.instance.text));
        flow.target_topic = rc_slice_str(rule->target.topic.text);
        flow.queues = 1;
        rc_catalog_name_rule_topic(topic, sizeof(topic), instance->id, flow.id,
                                   rc_slice_str(rule->target.instance.text), flow.target_topic);
        flow.topic_name = rc_slice_str(topic);
        if (flow.target == NULL)
            return "`target.instance` names none of `rocketmq.instances` that this instance may use";
    }
    return add(&instance->outflows, &flow);
}

/* ---- inflow ---- */

static const char *check_inflow(const struct rc_config_rule *rule)
{
    bool is_own = !is_given(&rule->source.instance);
    if (!is_given(&rule->source.topic))
        return "`source.topic` was expected: the RocketMQ topic whose messages come in";
    if (is_given(&rule->source.mqtt_topic))
        return "`source.mqtt_topic` goes with `type: outflow`";
    if (!is_given(&rule->target.mqtt_topic))
        return "`target.mqtt_topic` was expected: the parent topic below which they are published";
    if (is_given(&rule->target.instance) || is_given(&rule->target.topic) || is_given(&rule->topic))
        return "a RocketMQ topic was given to send to, `target.mqtt_topic` alone was expected";
    if (is_given(&rule->source.group) && is_own)
        return "`source.group` goes with `source.instance`: this server's own topics need none";
    return is_own && is_system_topic(&rule->source.topic) ? RC_CONTROL_SYSTEM_TOPIC : NULL;
}

static const char *add_inflow(const struct rc_catalog *catalog, struct rc_instance *instance,
                              const struct rc_config_rule *rule)
{
    char group[RC_CATALOG_GROUP_NAME_MAX + 1];
    struct rc_flow_rule flow = {
        .id = rc_slice_str(rule->id.text),
        .mqtt_topic = rc_slice_str(rule->target.mqtt_topic.text),
        .queues = (uint32_t)rule->queues,
        .is_enabled = rule->is_enabled,
        .is_from_first = rule->source.from == RC_CONFIG_FROM_FIRST,
        .description = rc_slice_str(rule->description.text),
    };
    const char *what = check_inflow(rule);
    what = what ? what : check_mqtt_topic(instance, &rule->target.mqtt_topic);
    if (what != NULL)
        return what;
    rc_catalog_name_inflow_group(group, instance->id, flow.id);
    flow.group = rc_slice_str(is_given(&rule->source.group) ? rule->source.group.text : group);
    if (is_given(&rule->source.instance)) {
        flow.target = rc_catalog_target(catalog, instance->id, rc_slice_str(rule->source.instance.text));
        flow.target_topic = rc_slice_str(rule->source.topic.text);
        if (flow.target == NULL)
            return "`source.instance` names none of `rocketmq.instances` that this instance may use";
    } else {
        flow.topic_name = rc_slice_str(rule->source.topic.text);
    }
    if (rc_catalog_has_inflow_group(catalog, flow.target, flow.group))
        return is_given(&rule->source.group) ? "another inflow rule reads that cluster with its "
                                               "`source.group`, a group of its own was expected"
                                             : "another inflow rule's consumer group is called as this one's "
                                               "would be: give it another `id`, "
                                               "or a `source.group` where it has a `source.instance`";
    return add(&instance->inflows, &flow);
}

const char *rc_control_add_flow(const struct rc_catalog *catalog, struct rc_instance *instance,
                                const struct rc_config_rule *rule)
{
    if (is_given(&rule->group))
        return "`group` was given, which goes with `type: status-notice`";
    return rule->type == RC_CONFIG_RULE_OUTFLOW ? add_outflow(catalog, instance, rule)
                                                : add_inflow(catalog, instance, rule);
}

/* ---- topics ---- */

static int resolve_all(const struct rc_trie *rules, struct rc_store *store, struct rc_error *error)
{
    struct rc_trie_walk walk;
    struct rc_flow_rule *rule;
    int err = RC_OK;
    rc_trie_walk_start(&walk, rules);
    while (err == RC_OK && (rule = rc_trie_walk_next(&walk)) != NULL) {
        /* One that has its topic may have been published before, and is not touched. */
        if (rule->is_enabled && rule->topic == NULL && rule->topic_name.len > 0)
            err = rc_store_create_topic(store, rule->topic_name, rule->queues, RC_PERM_READ_WRITE,
                                        &rule->topic, error);
    }
    return err;
}

int rc_control_resolve_flows(const struct rc_instance *instance, struct rc_store *store,
                             struct rc_error *error)
{
    int err = resolve_all(&instance->outflows, store, error);
    return err ? err : resolve_all(&instance->inflows, store, error);
}
