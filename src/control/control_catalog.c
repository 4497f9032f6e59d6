#include "control/control.h"

#include "base/alloc.h"
#include "base/nearest.h"
#include "catalog/catalog.h"
#include "control/control_limits.h"
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
        if (keys[i].is_admin)
            rc_catalog_make_key_admin(builder->instance, rc_slice_str(keys[i].access_key.text));
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

/* ---- profile standard ---- */

#define STANDARD_GROUP "GID_standard"

static void add_standard_group(struct builder *builder, const struct rc_config_instance *instance)
{
    struct rc_config_text name = instance->group;
    if (name.text[0] == '\0')
        name.text = STANDARD_GROUP;
    builder->instance->group = rc_map_find(&builder->instance->groups, rc_slice_str(name.text));
    if (builder->instance->group != NULL)
        return;
    int err = rc_catalog_add_group(builder->catalog, builder->instance, rc_slice_str(name.text),
                                   &builder->instance->group);
    check_added(builder, err, &name, NULL, 0, "group");
}

static void add_users(struct builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_user *users = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err = rc_catalog_add_user(builder->catalog, builder->instance, rc_slice_str(users[i].name.text),
                                      rc_slice_str(users[i].password.text), users[i].is_admin);
        check_added(builder, err, &users[i].name, "users", i, "user");
    }
}

static struct rc_acl_rule make_rule(const struct rc_config_acl *acl, struct rc_slice *topics)
{
    static const uint8_t actions[] = {
        [RC_CONFIG_READ] = RC_ACL_READ,
        [RC_CONFIG_WRITE] = RC_ACL_WRITE,
        [RC_CONFIG_READWRITE] = RC_ACL_READ | RC_ACL_WRITE,
        [RC_CONFIG_DENY] = RC_ACL_READ | RC_ACL_WRITE,
        [RC_CONFIG_DENY_READ] = RC_ACL_READ,
        [RC_CONFIG_DENY_WRITE] = RC_ACL_WRITE,
    };
    const struct rc_config_text *texts = acl->topics.items;
    for (uint32_t i = 0; i < acl->topics.count; i++)
        topics[i] = rc_slice_str(texts[i].text);
    return (struct rc_acl_rule){
        .user = rc_slice_str(acl->user.text),
        .client = rc_slice_str(acl->client.text),
        .actions = actions[acl->access],
        .denies = acl->access >= RC_CONFIG_DENY,
        .topics = topics,
        .topics_count = acl->topics.count,
    };
}

static void add_acl(struct builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_acl *acl = list->items;
    size_t topics_count = 0;
    for (uint32_t i = 0; i < list->count; i++)
        topics_count += acl[i].topics.count;
    struct rc_acl_rule *rules = rc_calloc(list->count + 1, sizeof(*rules));
    struct rc_slice *topics = rc_calloc(topics_count + 1, sizeof(*topics));
    topics_count = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        rules[i] = make_rule(&acl[i], topics + topics_count);
        topics_count += acl[i].topics.count;
    }
    rc_catalog_set_acl(builder->catalog, builder->instance, rules, list->count);
    free(topics);
    free(rules);
}

/* What the product profile has no use for is refused there: it would look as if it were in force. */
static void check_profile(struct builder *builder, const struct rc_config_instance *instance)
{
    const char *what = instance->users.count > 0   ? "users"
                       : instance->acl.count > 0   ? "acl"
                       : instance->takes_anonymous ? "anonymous"
                       : instance->group.text[0]   ? "group"
                                                   : NULL;
    char text[160];
    if (instance->profile == RC_PROFILE_STANDARD || what == NULL)
        return;
    snprintf(text, sizeof(text), "`%s` was given, which goes with `profile: standard` alone", what);
    refuse(builder, instance->id.at, NULL, 0, text);
}

static void add_standard(struct builder *builder, const struct rc_config_instance *instance)
{
    check_profile(builder, instance);
    rc_catalog_set_profile(builder->instance, (enum rc_profile)instance->profile);
    rc_control_set_limits(&builder->instance->limits, &instance->limits);
    if (instance->profile != RC_PROFILE_STANDARD)
        return;
    add_standard_group(builder, instance);
    builder->instance->takes_anonymous = instance->takes_anonymous;
    add_users(builder, &instance->users);
    add_acl(builder, &instance->acl);
}

/* The named one, or the only one of profile standard. */
static void choose_default_instance(struct builder *builder)
{
    const struct rc_config_text *name = &builder->config->mqtt.default_instance;
    struct rc_catalog *catalog = builder->catalog;
    struct rc_instance *instance, *standard = NULL;
    uint32_t cursor = 0, count = 0;
    if (name->text[0] != '\0') {
        catalog->default_instance = rc_map_find(&catalog->instances, rc_slice_str(name->text));
        if (catalog->default_instance == NULL)
            rc_config_errors_add(builder->errors, builder->config->file, name->at, "mqtt.default_instance",
                                 "'%s' was given, the ID of one of the instances was expected", name->text);
        return;
    }
    while ((instance = rc_map_next(&catalog->instances, &cursor)) != NULL) {
        if (instance->profile != RC_PROFILE_STANDARD)
            continue;
        standard = instance;
        count++;
    }
    catalog->default_instance = count == 1 ? standard : NULL;
}

/* ---- rules ---- */

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
        add_standard(&builder, &instances[i]);
        add_rules(&builder, &instances[i]);
    }
    choose_default_instance(&builder);
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
