#include "control/control.h"

#include "base/nearest.h"
#include "catalog/catalog.h"
#include "store/store.h"

#include <stdio.h>

struct builder {
    const struct rc_config *config;
    struct rc_config_errors *errors;
    struct rc_catalog *catalog;
    struct rc_instance *instance;
    uint32_t index; /* of the instance in the file */
};

static void refuse(struct builder *builder, struct rc_config_at at, const char *list, uint32_t index,
                   const char *what)
{
    char path[128];
    if (list == NULL)
        snprintf(path, sizeof(path), "instances[%u]", builder->index);
    else
        snprintf(path, sizeof(path), "instances[%u].%s[%u]", builder->index, list, index);
    rc_config_errors_add(builder->errors, builder->config->file, at, path, "%s", what);
}

/* `what` names the thing, for the sentence that refuses it. */
static void check_added(struct builder *builder, int err, const struct rc_config_text *name, const char *list,
                        uint32_t index, const char *what)
{
    char text[256];
    if (err == RC_OK)
        return;
    if (err == RC_ERR_EXISTS)
        snprintf(text, sizeof(text), "the %s '%s' was given before, once was expected", what, name->text);
    else
        snprintf(text, sizeof(text), "the %s '%s' cannot be used: %s", what, name->text, rc_err_text(err));
    refuse(builder, name->at, list, index, text);
}

static void add_keys(struct builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_key *keys = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err =
            rc_catalog_add_key(builder->catalog, builder->instance, rc_slice_str(keys[i].access_key.text),
                               rc_slice_str(keys[i].secret_key.text));
        check_added(builder, err, &keys[i].access_key, "keys", i, "access key");
    }
}

static void add_groups(struct builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_text *groups = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        struct rc_group *group;
        int err =
            rc_catalog_add_group(builder->catalog, builder->instance, rc_slice_str(groups[i].text), &group);
        check_added(builder, err, &groups[i], "groups", i, "group");
    }
}

static void add_topics(struct builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_text *topics = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err =
            rc_catalog_add_parent_topic(builder->catalog, builder->instance, rc_slice_str(topics[i].text));
        check_added(builder, err, &topics[i], "topics", i, "topic");
    }
}

static const char *group_name(const void *groups, size_t index)
{
    return ((const struct rc_config_text *)groups)[index].text;
}

static void refuse_unknown_group(struct builder *builder, const struct rc_config_instance *instance,
                                 uint32_t index)
{
    char text[256];
    const struct rc_config_rule *rule = &((const struct rc_config_rule *)instance->rules.items)[index];
    const char *near = rc_nearest(rc_slice_str(rule->group.text), group_name, instance->groups.items,
                                  instance->groups.count);
    int len =
        snprintf(text, sizeof(text), "the group '%s' was given, one of the instance's groups was expected",
                 rule->group.text);
    if (near != NULL && len > 0 && (size_t)len < sizeof(text))
        snprintf(text + len, sizeof(text) - (size_t)len, ", perhaps '%s'", near);
    refuse(builder, rule->group.at, "rules", index, text);
}

static bool is_rule_id_used(const struct rc_config_rule *rules, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++) {
        if (strcmp(rules[i].id.text, rules[before].id.text) == 0)
            return true;
    }
    return false;
}

static void add_rules(struct builder *builder, const struct rc_config_instance *instance)
{
    const struct rc_config_rule *rules = instance->rules.items;
    for (uint32_t i = 0; i < instance->rules.count; i++) {
        const struct rc_config_rule *rule = &rules[i];
        if (is_rule_id_used(rules, i)) {
            check_added(builder, RC_ERR_EXISTS, &rule->id, "rules", i, "rule");
            continue;
        }
        struct rc_group *group = rc_map_find(&builder->instance->groups, rc_slice_str(rule->group.text));
        if (group == NULL) {
            refuse_unknown_group(builder, instance, i);
            continue;
        }
        int err = rc_catalog_set_status_rule(builder->catalog, group, rc_slice_str(rule->id.text),
                                             rc_slice_str(rule->topic.text), (uint32_t)rule->queues,
                                             rule->is_enabled);
        if (err == RC_ERR_EXISTS)
            refuse(builder, rule->group.at, "rules", i,
                   "the group has a status-notice rule already, one was expected");
        else
            check_added(builder, err, &rule->id, "rules", i, "rule");
    }
}

struct rc_catalog *rc_control_build_catalog(const struct rc_config *config, struct rc_config_errors *errors)
{
    uint32_t errors_before = errors->count;
    struct builder builder = {.config = config, .errors = errors, .catalog = rc_catalog_create()};
    const struct rc_config_instance *instances = config->instances.items;
    for (uint32_t i = 0; i < config->instances.count; i++) {
        builder.index = i;
        int err =
            rc_catalog_add_instance(builder.catalog, rc_slice_str(instances[i].id.text), &builder.instance);
        check_added(&builder, err, &instances[i].id, NULL, 0, "instance");
        if (err != RC_OK)
            continue;
        add_keys(&builder, &instances[i].keys);
        add_groups(&builder, &instances[i].groups);
        add_topics(&builder, &instances[i].topics);
        add_rules(&builder, &instances[i]);
    }
    if (errors->count == errors_before)
        return builder.catalog;
    rc_catalog_unref(builder.catalog);
    return NULL;
}

static int resolve_rule(struct rc_status_rule *rule, struct rc_store *store, struct rc_error *error)
{
    rule->topic = NULL;
    if (!rule->is_enabled)
        return RC_OK;
    return rc_store_create_topic(store, rule->topic_name, rule->queues, RC_PERM_READ_WRITE, &rule->topic,
                                 error);
}

int rc_control_resolve_topics(struct rc_catalog *catalog, struct rc_store *store, struct rc_error *error)
{
    int err = rc_store_create_topic(store, rc_slice_str(RC_PRESENCE_TOPIC), RC_PRESENCE_TOPIC_QUEUES,
                                    RC_PERM_READ_WRITE, &catalog->presence_topic, error);
    uint32_t instance_cursor = 0;
    struct rc_instance *instance;
    while (err == RC_OK && (instance = rc_map_next(&catalog->instances, &instance_cursor)) != NULL) {
        uint32_t group_cursor = 0;
        struct rc_group *group;
        while (err == RC_OK && (group = rc_map_next(&instance->groups, &group_cursor)) != NULL) {
            if (group->status_rule != NULL)
                err = resolve_rule(group->status_rule, store, error);
        }
    }
    return err;
}
