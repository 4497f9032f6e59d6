#include "control/control.h"

#include "base/alloc.h"
#include "control/control_builder.h"
#include "control/control_declared.h"
#include "control/control_entrances.h"
#include "control/control_flows.h"
#include "control/control_limits.h"
#include "net/tls_context.h"
#include "store/store.h"

#include <stdio.h>

static void add_keys(struct rc_control_builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_key *keys = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err = rc_catalog_add_role_key(
            builder->catalog, builder->instance->id, rc_slice_str(keys[i].access_key.text),
            rc_slice_str(keys[i].secret_key.text),
            keys[i].role == RC_CONFIG_KEY_READ_ONLY ? RC_KEY_READ_ONLY : RC_KEY_USER);
        rc_control_check_added(builder, err, &keys[i].access_key, "keys", i, "access key");
        if (keys[i].is_admin)
            rc_catalog_make_key_admin(builder->catalog, rc_slice_str(keys[i].access_key.text));
    }
}

static void add_groups(struct rc_control_builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_text *groups = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        struct rc_group *group;
        int err = rc_catalog_add_group(builder->instance, rc_slice_str(groups[i].text), &group);
        rc_control_check_added(builder, err, &groups[i], "groups", i, "group");
    }
}

static void add_topics(struct rc_control_builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_text *topics = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err = rc_catalog_add_parent_topic(builder->instance, rc_slice_str(topics[i].text));
        rc_control_check_added(builder, err, &topics[i], "topics", i, "topic");
    }
}

/* ---- profile standard ---- */

static void add_standard_group(struct rc_control_builder *builder, const struct rc_config_instance *instance)
{
    struct rc_config_text name = instance->group;
    if (name.text[0] == '\0')
        name.text = RC_CATALOG_STANDARD_GROUP;
    builder->instance->group = rc_trie_find(&builder->instance->groups, rc_slice_str(name.text));
    if (builder->instance->group != NULL)
        return;
    int err = rc_catalog_add_group(builder->instance, rc_slice_str(name.text), &builder->instance->group);
    rc_control_check_added(builder, err, &name, NULL, 0, "group");
}

static void add_users(struct rc_control_builder *builder, const struct rc_config_list *list)
{
    const struct rc_config_user *users = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err = rc_catalog_add_user(builder->instance, rc_slice_str(users[i].name.text),
                                      rc_slice_str(users[i].password.text), users[i].is_admin);
        rc_control_check_added(builder, err, &users[i].name, "users", i, "user");
    }
}

static struct rc_acl_rule make_rule(const struct rc_config_acl *acl, struct rc_slice *topics)
{
    const struct rc_config_text *texts = acl->topics.items;
    for (uint32_t i = 0; i < acl->topics.count; i++)
        topics[i] = rc_slice_str(texts[i].text);
    return (struct rc_acl_rule){
        .user = rc_slice_str(acl->user.text),
        .client = rc_slice_str(acl->client.text),
        .actions = rc_control_actions(acl->access),
        .denies = acl->access >= RC_CONFIG_DENY,
        .topics = topics,
        .topics_count = acl->topics.count,
    };
}

static void add_acl(struct rc_control_builder *builder, const struct rc_config_list *list)
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
    rc_catalog_set_acl(builder->instance, rules, list->count);
    free(topics);
    free(rules);
}

/* What the product profile has no use for is refused there: it would look as if it were in force. */
static void check_profile(struct rc_control_builder *builder, const struct rc_config_instance *instance)
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
    rc_control_refuse(builder, instance->id.at, NULL, 0, text);
}

static void add_standard(struct rc_control_builder *builder, const struct rc_config_instance *instance)
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

/* The named one, or the only one of profile standard, or the only one. */
static void choose_default_instance(struct rc_control_builder *builder)
{
    const struct rc_config_text *name = &builder->config->mqtt.default_instance;
    struct rc_catalog *catalog = builder->catalog;
    struct rc_instance *instance, *standard = NULL;
    struct rc_trie_walk walk;
    uint32_t count = 0;
    if (name->text[0] != '\0') {
        catalog->default_instance = rc_trie_find(&catalog->instances, rc_slice_str(name->text));
        if (catalog->default_instance == NULL)
            rc_config_errors_add(builder->errors, builder->config->file, name->at, "mqtt.default_instance",
                                 "'%s' was given, the ID of one of the instances was expected", name->text);
        return;
    }
    rc_trie_walk_start(&walk, &catalog->instances);
    while ((instance = rc_trie_walk_next(&walk)) != NULL) {
        if (instance->profile != RC_PROFILE_STANDARD)
            continue;
        standard = instance;
        count++;
    }
    if (count == 0 && catalog->instances.count == 1) {
        rc_trie_walk_start(&walk, &catalog->instances);
        standard = rc_trie_walk_next(&walk);
        count = 1;
    }
    catalog->default_instance = count == 1 ? standard : NULL;
}

/* ---- RocketMQ clusters, and rules ---- */

/* False after `error` was set. */
static bool take_tls(const struct rc_config_cluster *cluster, struct rc_target *target,
                     struct rc_error *error)
{
    const char *ca = cluster->tls.ca.text, *certificate = cluster->tls.certificate.text,
               *key = cluster->tls.key.text, *name = cluster->tls.server_name.text;
    struct rc_tls_client_settings settings = {ca, certificate, key, !cluster->tls.verifies};
    struct rc_tls *tls;
    if (!cluster->tls.is_enabled) {
        if (cluster->tls.verifies && !ca[0] && !certificate[0] && !key[0] && !name[0])
            return true;
        rc_error_set(error, RC_ERR_INVALID, "`tls` was given without `enabled: true`");
        return false;
    }
    if ((certificate[0] == '\0') != (key[0] == '\0')) {
        rc_error_set(error, RC_ERR_INVALID,
                     "one of `tls.certificate` and `tls.key` was given, both were expected");
        return false;
    }
    if (rc_tls_create_client(&settings, &tls, error) != RC_OK)
        return false;
    target->has_tls = true;
    target->is_tls_unverified = settings.is_unverified;
    target->tls_ca = rc_slice_str(ca);
    target->tls_certificate = rc_slice_str(certificate);
    target->tls_key = rc_slice_str(key);
    target->tls_name = rc_slice_str(name);
    target->tls_fingerprint = rc_tls_fingerprint(tls);
    rc_tls_unref(tls);
    return true;
}

/* "a;b;" for the catalog. */
static void join_allowed(const struct rc_config_cluster *cluster, struct rc_buf *out)
{
    const struct rc_config_text *allowed = cluster->allowed.items;
    for (uint32_t i = 0; i < cluster->allowed.count; i++) {
        rc_buf_put_slice(out, rc_slice_str(allowed[i].text));
        rc_buf_put_u8(out, ';');
    }
}

static void add_target(struct rc_control_builder *builder, const struct rc_config_cluster *cluster,
                       uint32_t index)
{
    char names[RC_CONFIG_NAMESERVERS_MAX * 257] = "", path[64];
    const struct rc_config_text *servers = cluster->nameservers.items;
    const char *what = NULL;
    struct rc_error error = {.text = ""};
    struct rc_buf allowed;
    rc_buf_init(&allowed, RC_CONFIG_ALLOWED_MAX * (RC_CATALOG_ID_MAX + 1));
    join_allowed(cluster, &allowed);
    for (uint32_t i = 0; i < cluster->nameservers.count; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ";" : "", servers[i].text);
    struct rc_target target = {
        .name = rc_slice_str(cluster->name.text),
        .nameservers = rc_slice_str(names),
        .access_key = rc_slice_str(cluster->access_key.text),
        .secret_key = rc_slice_str(cluster->secret_key.text),
        .name_space = rc_slice_str(cluster->name_space.text),
        .allowed = rc_buf_slice(&allowed),
    };
    if (cluster->nameservers.count == 0)
        what = "no `nameservers` were given, one at least was expected";
    else if (target.access_key.len > 0 && target.secret_key.len == 0)
        what = "an `access_key` was given without its `secret_key`";
    else if (!take_tls(cluster, &target, &error))
        what = error.text;
    else if (rc_catalog_add_target(builder->catalog, &target) != RC_OK)
        what = "the name was given before, once was expected";
    rc_buf_free(&allowed);
    if (what == NULL)
        return;
    snprintf(path, sizeof(path), "rocketmq.instances[%u]", index);
    rc_config_errors_add(builder->errors, builder->config->file, cluster->name.at, path, "%s", what);
}

/* Where the rule goes; false after a refusal. `topic` takes the log's topic, *ret NULL for the endpoint. */
static bool find_target(struct rc_control_builder *builder, const struct rc_config_instance *instance,
                        uint32_t index, char topic[RC_MESSAGE_TOPIC_MAX + 1], const struct rc_target **ret)
{
    const struct rc_config_rule *rule = &((const struct rc_config_rule *)instance->rules.items)[index];
    bool has_instance = rule->target.instance.text[0], has_topic = rule->target.topic.text[0];
    const char *what = NULL;
    *ret = NULL;
    snprintf(topic, RC_MESSAGE_TOPIC_MAX + 1, "%s", rule->topic.text);
    if (has_instance != has_topic)
        what = "`target` lacks its `instance` or `topic`, both were expected";
    else if (has_topic == (topic[0] != '\0'))
        what = has_topic ? "`topic` and `target` were given, one of them was expected"
                         : "neither `topic` nor `target` was given, one of them was expected";
    else if (has_topic) {
        *ret = rc_catalog_target(builder->catalog, rc_slice_str(instance->id.text),
                                 rc_slice_str(rule->target.instance.text));
        if (*ret == NULL)
            what = "`target.instance` names none of `rocketmq.instances` that this instance may use";
        rc_catalog_name_rule_topic(topic, RC_MESSAGE_TOPIC_MAX + 1, rc_slice_str(instance->id.text),
                                   rc_slice_str(rule->id.text), rc_slice_str(rule->target.instance.text),
                                   rc_slice_str(rule->target.topic.text));
    } else if (rc_catalog_is_system_topic(rc_slice_str(topic))) {
        what = RC_CONTROL_SYSTEM_TOPIC;
    }
    if (what != NULL)
        rc_control_refuse(builder, rule->id.at, "rules", index, what);
    return what == NULL;
}

static bool is_rule_id_used(const struct rc_config_rule *rules, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++) {
        if (strcmp(rules[i].id.text, rules[before].id.text) == 0)
            return true;
    }
    return false;
}

static void add_status_rule(struct rc_control_builder *builder, const struct rc_config_instance *instance,
                            uint32_t i)
{
    const struct rc_config_rule *rule = &((const struct rc_config_rule *)instance->rules.items)[i];
    struct rc_group *group = rc_trie_find(&builder->instance->groups, rc_slice_str(rule->group.text));
    if (group == NULL) {
        rc_control_refuse_group(builder, instance, rule->group.at, "rules", i,
                                rc_slice_str(rule->group.text));
        return;
    }
    char topic[RC_MESSAGE_TOPIC_MAX + 1];
    const struct rc_target *target;
    if (!find_target(builder, instance, i, topic, &target))
        return;
    int err =
        rc_catalog_set_status_rule(builder->instance, group, rc_slice_str(rule->id.text), rc_slice_str(topic),
                                   target ? 1 : (uint32_t)rule->queues, rule->is_enabled);
    if (err == RC_OK) {
        rc_catalog_set_rule_target(group->status_rule, target, rc_slice_str(rule->target.topic.text),
                                   rule->target.fails_over);
        rc_catalog_describe_rule(group->status_rule, rc_slice_str(rule->description.text));
    }
    if (err == RC_ERR_EXISTS)
        rc_control_refuse(builder, rule->group.at, "rules", i,
                          "the group has a status-notice rule already, one was expected");
    else
        rc_control_check_added(builder, err, &rule->id, "rules", i, "rule");
}

static void add_rules(struct rc_control_builder *builder, const struct rc_config_instance *instance)
{
    const struct rc_config_rule *rules = instance->rules.items;
    for (uint32_t i = 0; i < instance->rules.count; i++) {
        const struct rc_config_rule *rule = &rules[i];
        const char *what = NULL;
        if (is_rule_id_used(rules, i))
            rc_control_check_added(builder, RC_ERR_EXISTS, &rule->id, "rules", i, "rule");
        else if (rule->type != RC_CONFIG_RULE_STATUS_NOTICE)
            what = rc_control_add_flow(builder->catalog, builder->instance, rule);
        else if (rule->source.mqtt_topic.text[0] || rule->source.topic.text[0] ||
                 rule->target.mqtt_topic.text[0])
            what = "`source` and `mqtt_topic` go with `type: outflow` or `inflow`";
        else
            add_status_rule(builder, instance, i);
        if (what != NULL)
            rc_control_refuse(builder, rule->id.at, "rules", i, what);
    }
}

/* After the instances' keys, so that one that is given twice is told here. */
static void add_administrators(struct rc_control_builder *builder)
{
    const struct rc_config_list *list = &builder->config->administrators;
    const struct rc_config_key *keys = list->items;
    for (uint32_t i = 0; i < list->count; i++) {
        int err =
            rc_catalog_add_role_key(builder->catalog, rc_slice("", 0), rc_slice_str(keys[i].access_key.text),
                                    rc_slice_str(keys[i].secret_key.text), RC_KEY_ADMIN);
        if (err == RC_OK)
            continue;
        char path[64], text[256];
        snprintf(path, sizeof(path), "administrators[%u].access_key", i);
        snprintf(text, sizeof(text), "the access key '%s' %s", keys[i].access_key.text,
                 err == RC_ERR_EXISTS ? "was given before, once was expected" : "cannot be used");
        rc_config_errors_add(builder->errors, builder->config->file, keys[i].access_key.at, path, "%s", text);
    }
}

static struct rc_slice name_of(const void *item)
{
    return ((const struct rc_endpoint_name *)item)->name;
}

struct rc_catalog *rc_control_build_catalog(const struct rc_config *config, struct rc_config_errors *errors)
{
    uint32_t errors_before = errors->count;
    struct rc_control_builder builder = {.config = config, .errors = errors, .catalog = rc_catalog_create()};
    const struct rc_config_instance *instances = config->instances.items;
    const struct rc_config_cluster *clusters = config->rocketmq.instances.items;
    rc_map_init(&builder.topics, name_of);
    rc_map_init(&builder.groups, name_of);
    builder.catalog->entrances = rc_control_build_entrances(config);
    for (uint32_t i = 0; i < config->rocketmq.instances.count; i++)
        add_target(&builder, &clusters[i], i);
    for (uint32_t i = 0; i < config->instances.count; i++) {
        builder.index = i;
        int err =
            rc_catalog_add_instance(builder.catalog, rc_slice_str(instances[i].id.text), &builder.instance);
        rc_control_check_added(&builder, err, &instances[i].id, NULL, 0, "instance");
        if (err != RC_OK)
            continue;
        add_keys(&builder, &instances[i].keys);
        add_groups(&builder, &instances[i].groups);
        add_topics(&builder, &instances[i].topics);
        add_standard(&builder, &instances[i]);
        builder.instance->is_traced = instances[i].is_traced;
        add_rules(&builder, &instances[i]);
        rc_control_add_declared(&builder, &instances[i]);
    }
    add_administrators(&builder);
    choose_default_instance(&builder);
    rc_map_free(&builder.topics);
    rc_map_free(&builder.groups);
    if (errors->count == errors_before)
        return builder.catalog;
    rc_catalog_unref(builder.catalog);
    return NULL;
}

static int resolve_rule(struct rc_status_rule *rule, struct rc_store *store, struct rc_error *error)
{
    /* One that has its topic may have been published before, and is not touched. */
    if (!rule->is_enabled || rule->topic != NULL)
        return RC_OK;
    return rc_store_create_topic(store, rule->topic_name, rule->queues, RC_PERM_READ_WRITE, &rule->topic,
                                 error);
}

/* Made when the first instance asks for traces. */
static int resolve_trace(struct rc_catalog *catalog, struct rc_store *store, struct rc_error *error)
{
    struct rc_trie_walk instances;
    const struct rc_instance *instance;
    bool is_wanted = false;
    rc_trie_walk_start(&instances, &catalog->instances);
    while (!is_wanted && (instance = rc_trie_walk_next(&instances)) != NULL)
        is_wanted = instance->is_traced;
    if (!is_wanted || catalog->trace_topic != NULL)
        return RC_OK;
    return rc_store_create_topic(store, rc_slice_str(RC_TRACE_TOPIC), RC_TRACE_QUEUES, RC_PERM_READ_WRITE,
                                 &catalog->trace_topic, error);
}

int rc_control_resolve_topics(struct rc_catalog *catalog, struct rc_store *store, struct rc_error *error)
{
    int err = rc_store_create_topic(store, rc_slice_str(RC_PRESENCE_TOPIC), RC_PRESENCE_TOPIC_QUEUES,
                                    RC_PERM_READ_WRITE, &catalog->presence_topic, error);
    struct rc_trie_walk instances, rules;
    const struct rc_instance *instance;
    err = err ? err : resolve_trace(catalog, store, error);
    rc_trie_walk_start(&instances, &catalog->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&instances)) != NULL) {
        struct rc_status_rule *rule;
        rc_trie_walk_start(&rules, &instance->status_rules);
        while (err == RC_OK && (rule = rc_trie_walk_next(&rules)) != NULL)
            err = resolve_rule(rule, store, error);
        err = err ? err : rc_control_resolve_flows(instance, store, error);
    }
    return err;
}
