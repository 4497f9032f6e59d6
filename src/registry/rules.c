/* Status rules that were made here. Those of the file are in the catalog alone, and are listed from there. */
#include "base/alloc.h"
#include "registry/private.h"

enum { TOPIC_MAX = 127, QUEUES_MAX = 1024, QUEUES_DEFAULT = 8 };

static bool is_topic(struct rc_slice topic)
{
    if (topic.len == 0 || topic.len > TOPIC_MAX || rc_catalog_is_system_topic(topic))
        return false;
    for (size_t i = 0; i < topic.len; i++) { /* what RocketMQ takes */
        uint8_t c = topic.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!is_alnum && c != '_' && c != '-' && c != '%' && c != '|')
            return false;
    }
    return true;
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

int rc_registry_put_rule(struct rc_registry *registry, struct rc_catalog *next, struct rc_instance *instance,
                         const struct rc_registry_rule *rule, struct rc_error *error)
{
    char name[TOPIC_MAX + 1];
    const struct rc_target *target = NULL;
    struct rc_slice topic = rule->topic;
    struct rc_group *group = rc_catalog_edit_group(instance, rule->group);
    if (group == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "group", rule->group);
    if ((rule->target_instance.len > 0) == (rule->topic.len > 0) ||
        (rule->target_instance.len > 0) != (rule->target_topic.len > 0))
        return rc_error_set(error, RC_ERR_INVALID,
                            "A rule needs a topic, or a target instance and its topic.");
    if (rule->target_instance.len > 0) {
        if (!is_topic(rule->target_topic))
            return rc_registry_refuse(error, RC_ERR_INVALID, "topic", rule->target_topic);
        target = rc_trie_find(&next->targets, rule->target_instance);
        if (target == NULL)
            return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "RocketMQ instance", rule->target_instance);
        rc_catalog_name_rule_topic(name, sizeof(name), instance->id, rule->id, rule->target_instance,
                                   rule->target_topic);
        topic = rc_slice_str(name);
    }
    if (target == NULL) {
        int err = rc_registry_claim_topic(registry, next, instance->id, topic, error);
        if (err != RC_OK)
            return err;
    }
    uint32_t queues = target != NULL ? 1 : rule->queues > 0 ? rule->queues : QUEUES_DEFAULT;
    if (queues > QUEUES_MAX)
        return rc_error_set(error, RC_ERR_INVALID, "A topic has at most %d queues.", QUEUES_MAX);
    int err = rc_catalog_set_status_rule(instance, group, rule->id, topic, queues, rule->is_enabled);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "rule (or one of its group)", rule->id);
    rc_catalog_set_rule_target(group->status_rule, target, rule->target_topic, rule->fails_over);
    return RC_OK;
}

static int store_rule(struct rc_registry *registry, struct rc_slice instance,
                      const struct rc_registry_rule *rule, struct rc_error *error)
{
    int changed = rc_sql_run(&registry->sql,
                             rc_sql_bind(&registry->sql,
                                         "INSERT OR REPLACE INTO rules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                         "ttttttiii", instance, rule->id, rule->group, rule->topic,
                                         rule->target_instance, rule->target_topic, (int64_t)rule->queues,
                                         (int64_t)rule->is_enabled, (int64_t)rule->fails_over),
                             error);
    registry->change.rules_changed = true;
    return changed < 0 ? changed : RC_OK;
}

static bool is_declared_rule(const struct rc_registry *registry, struct rc_slice instance, struct rc_slice id)
{
    const struct rc_instance *declared = rc_registry_declared(registry, instance);
    return declared != NULL && rc_trie_find(&declared->status_rules, id) != NULL;
}

int rc_registry_create_rule(struct rc_registry *registry, struct rc_slice instance_id,
                            const struct rc_registry_rule *rule, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    err = err ? err : rc_registry_put_rule(registry, registry->next, instance, rule, error);
    return err ? err : store_rule(registry, instance_id, rule, error);
}

int rc_registry_update_rule(struct rc_registry *registry, struct rc_slice instance_id,
                            const struct rc_registry_rule *rule, struct rc_error *error)
{
    struct rc_instance *instance;
    char group[RC_CATALOG_ID_MAX + 1];
    struct rc_registry_rule changed = *rule;
    if (is_declared_rule(registry, instance_id, rule->id))
        return rc_registry_refuse_declared(registry, "rule", rule->id, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    const struct rc_status_rule *old = rc_trie_find(&instance->status_rules, rule->id);
    if (old == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "rule", rule->id);
    memcpy(group, old->group_id.ptr, old->group_id.len);
    changed.group = rc_slice(group, old->group_id.len);
    rc_catalog_remove_status_rule(instance, rule->id);
    err = rc_registry_put_rule(registry, registry->next, instance, &changed, error);
    return err ? err : store_rule(registry, instance_id, &changed, error);
}

int rc_registry_delete_rule(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice id,
                            struct rc_error *error)
{
    struct rc_instance *instance;
    if (is_declared_rule(registry, instance_id, id))
        return rc_registry_refuse_declared(registry, "rule", id, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (!rc_catalog_remove_status_rule(instance, id))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "rule", id);
    registry->change.rules_changed = true;
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql, "DELETE FROM rules WHERE instance = ? AND id = ?", "tt", instance_id, id),
        error);
}
