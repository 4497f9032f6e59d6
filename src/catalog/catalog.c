#include "catalog/catalog.h"

#include "base/alloc.h"
#include "base/error.h"
#include "catalog/items.h"

#include <stdio.h>

/* ---- life ---- */

struct rc_catalog *rc_catalog_create(void)
{
    struct rc_catalog *catalog = rc_new(struct rc_catalog);
    atomic_init(&catalog->refs, 1);
    rc_trie_init(&catalog->instances, &rc_instance_type);
    rc_trie_init(&catalog->key_pairs, &rc_key_pair_type);
    rc_trie_init(&catalog->targets, &rc_target_type);
    return catalog;
}

struct rc_catalog *rc_catalog_fork(const struct rc_catalog *catalog)
{
    struct rc_catalog *fork = rc_new(struct rc_catalog);
    atomic_init(&fork->refs, 1);
    rc_trie_share(&fork->instances, &catalog->instances);
    rc_trie_share(&fork->key_pairs, &catalog->key_pairs);
    rc_trie_share(&fork->targets, &catalog->targets);
    fork->default_instance = catalog->default_instance;
    fork->entrances = rc_entrances_ref(catalog->entrances);
    fork->presence_topic = catalog->presence_topic;
    fork->trace_topic = catalog->trace_topic;
    return fork;
}

struct rc_catalog *rc_catalog_ref(struct rc_catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

void rc_catalog_unref(struct rc_catalog *catalog)
{
    if (catalog == NULL || atomic_fetch_sub_explicit(&catalog->refs, 1, memory_order_acq_rel) != 1)
        return;
    rc_trie_free(&catalog->instances);
    rc_trie_free(&catalog->key_pairs);
    rc_trie_free(&catalog->targets);
    rc_entrances_unref(catalog->entrances);
    free(catalog);
}

/* ---- instances ---- */

int rc_catalog_add_instance(struct rc_catalog *catalog, struct rc_slice id, struct rc_instance **ret)
{
    if (!rc_catalog_is_instance_id(id))
        return RC_ERR_INVALID;
    if (catalog->instances.count >= RC_CATALOG_INSTANCES_MAX)
        return RC_ERR_FULL;
    if (rc_trie_find(&catalog->instances, id) != NULL)
        return RC_ERR_EXISTS;
    struct rc_instance *instance = rc_item_create(sizeof(*instance), id.len + 1);
    uint8_t *at = (uint8_t *)(instance + 1);
    instance->id = rc_item_text(&at, id);
    rc_trie_init(&instance->groups, &rc_group_type);
    rc_trie_init(&instance->topics, &rc_parent_topic_type);
    rc_trie_init(&instance->status_rules, &rc_status_rule_type);
    rc_trie_init(&instance->outflows, &rc_flow_rule_type);
    rc_trie_init(&instance->inflows, &rc_flow_rule_type);
    rc_trie_init(&instance->credentials, &rc_credential_type);
    rc_trie_init(&instance->identities, &rc_custom_identity_type);
    rc_trie_init(&instance->permissions, &rc_custom_permissions_type);
    rc_trie_init(&instance->black, &rc_mark_type);
    rc_trie_init(&instance->revoked, &rc_mark_type);
    rc_trie_init(&instance->cas, &rc_ca_type);
    rc_trie_init(&instance->devices, &rc_mark_type);
    rc_trie_init(&instance->users, &rc_user_type);
    rc_trie_init(&instance->tags, &rc_tag_type);
    rc_trie_init(&instance->endpoint_topics, &rc_endpoint_name_type);
    rc_trie_init(&instance->endpoint_groups, &rc_endpoint_name_type);
    rc_trie_init(&instance->certificates, &rc_declared_certificate_type);
    rc_catalog_set_profile(instance, RC_PROFILE_PRODUCT);
    rc_trie_put(&catalog->instances, instance);
    *ret = instance;
    return RC_OK;
}

struct rc_instance *rc_catalog_edit_instance(struct rc_catalog *catalog, struct rc_slice id)
{
    const struct rc_instance *old = rc_trie_find(&catalog->instances, id);
    struct rc_instance *instance = rc_trie_edit(&catalog->instances, id);
    if (instance != NULL && catalog->default_instance == old)
        catalog->default_instance = instance;
    return instance;
}

static void remove_keys(struct rc_catalog *catalog, struct rc_slice instance_id)
{
    struct rc_trie_walk walk;
    struct rc_trie before;
    struct rc_key_pair *pair;
    rc_trie_share(&before, &catalog->key_pairs);
    rc_trie_walk_start(&walk, &before);
    while ((pair = rc_trie_walk_next(&walk)) != NULL)
        if (rc_slice_eq(pair->instance_id, instance_id))
            rc_trie_remove(&catalog->key_pairs, pair->access_key);
    rc_trie_free(&before);
}

bool rc_catalog_remove_instance(struct rc_catalog *catalog, struct rc_slice id)
{
    const struct rc_instance *old = rc_trie_find(&catalog->instances, id);
    if (old == NULL)
        return false;
    if (catalog->default_instance == old)
        catalog->default_instance = NULL;
    remove_keys(catalog, id);
    return rc_trie_remove(&catalog->instances, id);
}

void rc_catalog_set_profile(struct rc_instance *instance, enum rc_profile profile)
{
    instance->profile = profile;
    instance->limits = *rc_limits_of(profile);
}

/* ---- keys and users ---- */

static bool is_secret(struct rc_slice secret_key)
{
    return secret_key.len > 0 && secret_key.len <= RC_CATALOG_SECRET_MAX;
}

static void put_key(struct rc_catalog *catalog, struct rc_slice instance_id, struct rc_slice access_key,
                    struct rc_slice secret_key, enum rc_key_role role)
{
    struct rc_key_pair *pair =
        rc_item_create(sizeof(*pair), access_key.len + secret_key.len + instance_id.len + 3);
    uint8_t *at = (uint8_t *)(pair + 1);
    pair->access_key = rc_item_text(&at, access_key);
    pair->secret_key = rc_item_text(&at, secret_key);
    pair->instance_id = rc_item_text(&at, instance_id);
    pair->role = role;
    pair->is_admin = role == RC_KEY_ADMIN;
    rc_trie_put(&catalog->key_pairs, pair);
}

int rc_catalog_add_role_key(struct rc_catalog *catalog, struct rc_slice instance_id,
                            struct rc_slice access_key, struct rc_slice secret_key, enum rc_key_role role)
{
    if (!rc_catalog_is_access_key(access_key) || !is_secret(secret_key) ||
        (instance_id.len == 0 && role != RC_KEY_ADMIN))
        return RC_ERR_INVALID;
    if (rc_trie_find(&catalog->key_pairs, access_key) != NULL)
        return RC_ERR_EXISTS;
    put_key(catalog, instance_id, access_key, secret_key, role);
    return RC_OK;
}

int rc_catalog_change_key(struct rc_catalog *catalog, struct rc_slice access_key, struct rc_slice secret_key,
                          enum rc_key_role role)
{
    const struct rc_key_pair *old = rc_catalog_key(catalog, access_key);
    if (!is_secret(secret_key))
        return RC_ERR_INVALID;
    put_key(catalog, old->instance_id, old->access_key, secret_key, role);
    return RC_OK;
}

int rc_catalog_add_key(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice access_key,
                       struct rc_slice secret_key)
{
    return rc_catalog_add_role_key(catalog, instance->id, access_key, secret_key, RC_KEY_USER);
}

bool rc_catalog_remove_key(struct rc_catalog *catalog, struct rc_slice access_key)
{
    return rc_trie_remove(&catalog->key_pairs, access_key);
}

void rc_catalog_make_key_admin(struct rc_catalog *catalog, struct rc_slice access_key)
{
    struct rc_key_pair *pair = rc_trie_edit(&catalog->key_pairs, access_key);
    if (pair != NULL)
        pair->is_admin = true;
}

int rc_catalog_add_user(struct rc_instance *instance, struct rc_slice name, struct rc_slice password,
                        bool is_admin)
{
    if (!rc_catalog_is_user_name(name) || password.len == 0 || password.len > RC_CATALOG_PASSWORD_MAX)
        return RC_ERR_INVALID;
    if (rc_trie_find(&instance->users, name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_user *user = rc_item_create(sizeof(*user), name.len + password.len + 2);
    uint8_t *at = (uint8_t *)(user + 1);
    user->name = rc_item_text(&at, name);
    user->password = rc_item_text(&at, password);
    user->is_admin = is_admin;
    rc_trie_put(&instance->users, user);
    return RC_OK;
}

/* ---- rules of access ---- */

static size_t acl_size(const struct rc_acl_rule *rules, uint32_t count, size_t *topics)
{
    size_t texts = 0;
    *topics = 0;
    for (uint32_t i = 0; i < count; i++) {
        texts += rules[i].user.len + rules[i].client.len + 2;
        *topics += rules[i].topics_count;
        for (uint32_t t = 0; t < rules[i].topics_count; t++)
            texts += rules[i].topics[t].len + 1;
    }
    return texts;
}

void rc_catalog_set_acl(struct rc_instance *instance, const struct rc_acl_rule *rules, uint32_t count)
{
    size_t topics_count, texts = acl_size(rules, count, &topics_count);
    struct rc_acl_list *list =
        rc_calloc(1, sizeof(*list) + count * sizeof(*rules) + topics_count * sizeof(struct rc_slice) + texts);
    struct rc_slice *topics = (struct rc_slice *)(void *)(list->rules + count);
    uint8_t *at = (uint8_t *)(topics + topics_count);
    atomic_init(&list->refs, 1);
    list->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct rc_acl_rule *rule = &list->rules[i];
        *rule = rules[i];
        rule->user = rc_item_text(&at, rules[i].user);
        rule->client = rc_item_text(&at, rules[i].client);
        rule->topics = topics;
        for (uint32_t t = 0; t < rule->topics_count; t++)
            *topics++ = rc_item_text(&at, rules[i].topics[t]);
    }
    rc_acl_list_unref(instance->acl);
    instance->acl = list;
    instance->rules = list->rules;
    instance->rules_count = count;
}

/* ---- groups, topics, status rules ---- */

int rc_catalog_add_group(struct rc_instance *instance, struct rc_slice id, struct rc_group **ret)
{
    if (!rc_catalog_is_group_id(id))
        return RC_ERR_INVALID;
    if (rc_trie_find(&instance->groups, id) != NULL)
        return RC_ERR_EXISTS;
    struct rc_group *group = rc_item_create(sizeof(*group), id.len + 1);
    uint8_t *at = (uint8_t *)(group + 1);
    group->id = rc_item_text(&at, id);
    rc_trie_put(&instance->groups, group);
    *ret = group;
    return RC_OK;
}

struct rc_group *rc_catalog_edit_group(struct rc_instance *instance, struct rc_slice id)
{
    const struct rc_group *old = rc_trie_find(&instance->groups, id);
    struct rc_group *group = rc_trie_edit(&instance->groups, id);
    if (group != NULL && instance->group == old)
        instance->group = group;
    return group;
}

int rc_catalog_remove_group(struct rc_instance *instance, struct rc_slice id)
{
    const struct rc_group *group = rc_trie_find(&instance->groups, id);
    if (group == NULL)
        return RC_ERR_NOT_FOUND;
    if (group->status_rule != NULL || group == instance->group)
        return RC_ERR_BUSY;
    rc_trie_remove(&instance->groups, id);
    return RC_OK;
}

int rc_catalog_add_parent_topic(struct rc_instance *instance, struct rc_slice name)
{
    if (!rc_catalog_is_parent_topic(name))
        return RC_ERR_INVALID;
    if (rc_trie_find(&instance->topics, name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_parent_topic *topic = rc_item_create(sizeof(*topic), name.len + 1);
    uint8_t *at = (uint8_t *)(topic + 1);
    topic->name = rc_item_text(&at, name);
    rc_trie_put(&instance->topics, topic);
    return RC_OK;
}

bool rc_catalog_remove_parent_topic(struct rc_instance *instance, struct rc_slice name)
{
    return rc_trie_remove(&instance->topics, name);
}

int rc_catalog_set_status_rule(struct rc_instance *instance, struct rc_group *group, struct rc_slice id,
                               struct rc_slice topic_name, uint32_t queues, bool is_enabled)
{
    if (!rc_catalog_is_rule_id(id) || topic_name.len == 0 || queues == 0)
        return RC_ERR_INVALID;
    if (group->status_rule != NULL || rc_trie_find(&instance->status_rules, id) != NULL)
        return RC_ERR_EXISTS;
    struct rc_status_rule *rule = rc_item_create(sizeof(*rule), id.len + group->id.len + topic_name.len + 3);
    uint8_t *at = (uint8_t *)(rule + 1);
    rule->id = rc_item_text(&at, id);
    rule->group_id = rc_item_text(&at, group->id);
    rule->topic_name = rc_item_text(&at, topic_name);
    rule->queues = queues;
    rule->is_enabled = is_enabled;
    group->status_rule = rule;
    rc_trie_item_ref(rule);
    rc_trie_put(&instance->status_rules, rule);
    return RC_OK;
}

void rc_catalog_name_rule_topic(char *out, size_t size, struct rc_slice instance, struct rc_slice rule,
                                struct rc_slice target, struct rc_slice topic)
{
    const struct rc_slice parts[] = {instance, rule, target, topic};
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        /* FNV-1a, a NUL behind each: it is kept on disk, so it must not be seeded. */
        for (size_t at = 0; at < parts[i].len; at++)
            hash = (hash ^ parts[i].ptr[at]) * 0x100000001b3u;
        hash *= 0x100000001b3u;
    }
    snprintf(out, size, RC_RULE_TOPIC_PREFIX "%.*s_%016llx", RC_SLICE_FMT(rule), (unsigned long long)hash);
}

void rc_catalog_clear_group(struct rc_instance *instance, struct rc_slice id)
{
    struct rc_group *group = rc_catalog_edit_group(instance, id);
    if (group == NULL)
        return;
    rc_trie_item_unref(&rc_status_rule_type, group->status_rule);
    group->status_rule = NULL;
}

bool rc_catalog_remove_status_rule(struct rc_instance *instance, struct rc_slice id)
{
    const struct rc_status_rule *rule = rc_trie_find(&instance->status_rules, id);
    if (rule == NULL)
        return false;
    rc_catalog_clear_group(instance, rule->group_id);
    return rc_trie_remove(&instance->status_rules, id);
}

void rc_catalog_describe_rule(struct rc_status_rule *rule, struct rc_slice description)
{
    rule->description = rc_slice(rc_strndup(description.ptr, description.len), description.len);
}

int rc_catalog_add_flow_rule(struct rc_trie *rules, const struct rc_flow_rule *from)
{
    if (!rc_catalog_is_rule_id(from->id) || from->mqtt_topic.len == 0)
        return RC_ERR_INVALID;
    if (rc_trie_find(rules, from->mqtt_topic) != NULL)
        return RC_ERR_EXISTS;
    struct rc_flow_rule *rule = rc_item_create(
        sizeof(*rule), from->mqtt_topic.len + from->id.len + from->topic_name.len + from->target_topic.len +
                           from->group.len + from->description.len + 6);
    uint8_t *at = (uint8_t *)(rule + 1);
    rule->mqtt_topic = rc_item_text(&at, from->mqtt_topic);
    rule->id = rc_item_text(&at, from->id);
    rule->topic_name = rc_item_text(&at, from->topic_name);
    rule->target_topic = rc_item_text(&at, from->target_topic);
    rule->group = rc_item_text(&at, from->group);
    rule->description = rc_item_text(&at, from->description);
    rule->queues = from->queues;
    rule->is_enabled = from->is_enabled;
    rule->fails_over = from->fails_over;
    rule->is_from_first = from->is_from_first;
    rule->target = from->target;
    if (rule->target != NULL)
        rc_trie_item_ref((void *)(uintptr_t)rule->target);
    rc_trie_put(rules, rule);
    return RC_OK;
}

bool rc_catalog_remove_flow_rule(struct rc_trie *rules, struct rc_slice id)
{
    struct rc_flow_rule *rule = (struct rc_flow_rule *)(uintptr_t)rc_instance_flow(rules, id);
    if (rule == NULL)
        return false;
    rc_trie_item_ref(rule); /* its key is needed until it is out */
    rc_trie_remove(rules, rule->mqtt_topic);
    rc_trie_item_unref(&rc_flow_rule_type, rule);
    return true;
}

void rc_catalog_name_inflow_group(char out[RC_CATALOG_GROUP_NAME_MAX + 1], struct rc_slice instance,
                                  struct rc_slice rule)
{
    snprintf(out, RC_CATALOG_GROUP_NAME_MAX + 1, "GID_rollcall_%.*s_%.*s", RC_SLICE_FMT(instance),
             RC_SLICE_FMT(rule));
}

int rc_catalog_add_target(struct rc_catalog *catalog, const struct rc_target *target)
{
    if (!rc_catalog_is_instance_id(target->name) || target->nameservers.len == 0)
        return RC_ERR_INVALID;
    if (rc_trie_find(&catalog->targets, target->name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_target copy = *target;
    struct rc_slice *texts[] = {&copy.name,       &copy.nameservers, &copy.access_key,      &copy.secret_key,
                                &copy.name_space, &copy.tls_ca,      &copy.tls_certificate, &copy.tls_key,
                                &copy.tls_name,   &copy.allowed};
    size_t count = sizeof(texts) / sizeof(texts[0]), len = count;
    for (size_t i = 0; i < count; i++)
        len += texts[i]->len;
    struct rc_target *copied = rc_item_create(sizeof(*copied), len);
    uint8_t *at = (uint8_t *)(copied + 1);
    for (size_t i = 0; i < count; i++)
        *texts[i] = rc_item_text(&at, *texts[i]);
    copy.item = copied->item;
    *copied = copy;
    rc_trie_put(&catalog->targets, copied);
    return RC_OK;
}

static bool may_use(const struct rc_target *target, struct rc_slice instance_id)
{
    struct rc_slice rest = target->allowed;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, ';', rest.len); /* behind each */
        size_t len = (size_t)(end - rest.ptr);
        if (rc_slice_eq(rc_slice(rest.ptr, len), instance_id))
            return true;
        rest = rc_slice_from(rest, len + 1);
    }
    return target->allowed.len == 0;
}

const struct rc_target *rc_catalog_target(const struct rc_catalog *catalog, struct rc_slice instance_id,
                                          struct rc_slice name)
{
    const struct rc_target *target = rc_trie_find(&catalog->targets, name);
    return target != NULL && may_use(target, instance_id) ? target : NULL;
}

void rc_catalog_set_rule_target(struct rc_status_rule *rule, const struct rc_target *target,
                                struct rc_slice topic, bool fails_over)
{
    if (target != NULL)
        rc_trie_item_ref((void *)(uintptr_t)target);
    rule->target = target;
    rule->target_topic = rc_slice(rc_strndup(topic.ptr, topic.len), topic.len);
    rule->fails_over = fails_over;
}

/* ---- looking up ---- */

const struct rc_instance *rc_catalog_instance(const struct rc_catalog *catalog, struct rc_slice id)
{
    return rc_trie_find(&catalog->instances, id);
}

const struct rc_key_pair *rc_catalog_instance_key(const struct rc_catalog *catalog,
                                                  const struct rc_instance *instance,
                                                  struct rc_slice access_key)
{
    const struct rc_key_pair *pair = rc_trie_find(&catalog->key_pairs, access_key);
    bool is_its =
        pair != NULL && (pair->role == RC_KEY_ADMIN || rc_slice_eq(pair->instance_id, instance->id));
    return is_its ? pair : NULL;
}

const struct rc_user *rc_instance_user(const struct rc_instance *instance, struct rc_slice name)
{
    return rc_trie_find(&instance->users, name);
}

const struct rc_group *rc_instance_group(const struct rc_instance *instance, struct rc_slice id)
{
    return rc_trie_find(&instance->groups, id);
}

bool rc_instance_has_topic(const struct rc_instance *instance, struct rc_slice name)
{
    return rc_trie_find(&instance->topics, name) != NULL;
}

const struct rc_key_pair *rc_catalog_key(const struct rc_catalog *catalog, struct rc_slice access_key)
{
    return rc_trie_find(&catalog->key_pairs, access_key);
}

static bool flows_lead_to(const struct rc_trie *rules, struct rc_slice topic)
{
    const struct rc_flow_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        if (rc_slice_eq(rule->topic_name, topic))
            return true;
    return false;
}

bool rc_instance_leads_to(const struct rc_instance *instance, struct rc_slice topic)
{
    const struct rc_status_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &instance->status_rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        if (rc_slice_eq(rule->topic_name, topic))
            return true;
    return flows_lead_to(&instance->outflows, topic) || flows_lead_to(&instance->inflows, topic);
}

bool rc_catalog_leads_elsewhere(const struct rc_catalog *catalog, struct rc_slice id, struct rc_slice topic)
{
    const struct rc_instance *instance;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &catalog->instances);
    while ((instance = rc_trie_walk_next(&walk)) != NULL)
        if (!rc_slice_eq(instance->id, id) && rc_instance_leads_to(instance, topic))
            return true;
    return false;
}

const struct rc_flow_rule *rc_instance_flow(const struct rc_trie *rules, struct rc_slice id)
{
    const struct rc_flow_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        if (rc_slice_eq(rule->id, id))
            return rule;
    return NULL;
}

bool rc_instance_has_rule(const struct rc_instance *instance, struct rc_slice id)
{
    return rc_trie_find(&instance->status_rules, id) != NULL ||
           rc_instance_flow(&instance->outflows, id) != NULL ||
           rc_instance_flow(&instance->inflows, id) != NULL;
}

uint32_t rc_instance_rules_count(const struct rc_instance *instance)
{
    return (uint32_t)(instance->status_rules.count + instance->outflows.count + instance->inflows.count);
}

/* One cluster may be configured under two names. */
static bool is_same_cluster(const struct rc_target *a, const struct rc_target *b)
{
    return a == b || (a != NULL && b != NULL && rc_slice_eq(a->nameservers, b->nameservers) &&
                      rc_slice_eq(a->name_space, b->name_space));
}

bool rc_catalog_has_inflow_group(const struct rc_catalog *catalog, const struct rc_target *target,
                                 struct rc_slice group)
{
    const struct rc_instance *instance;
    const struct rc_flow_rule *rule;
    struct rc_trie_walk instances, rules;
    rc_trie_walk_start(&instances, &catalog->instances);
    while ((instance = rc_trie_walk_next(&instances)) != NULL) {
        rc_trie_walk_start(&rules, &instance->inflows);
        while ((rule = rc_trie_walk_next(&rules)) != NULL)
            if (is_same_cluster(rule->target, target) && rc_slice_eq(rule->group, group))
                return true;
    }
    return false;
}

const struct rc_flow_rule *rc_instance_outflow(const struct rc_instance *instance, struct rc_slice topic)
{
    size_t len = 0;
    if (instance->outflows.count == 0)
        return NULL;
    while (len < topic.len && topic.ptr[len] != '/')
        len++;
    const struct rc_flow_rule *rule = rc_trie_find(&instance->outflows, rc_slice(topic.ptr, len));
    return rule != NULL && rule->is_enabled ? rule : NULL;
}

struct rc_topic *rc_group_event_topic(const struct rc_catalog *catalog, const struct rc_group *group)
{
    const struct rc_status_rule *rule = group->status_rule;
    return rule != NULL && rule->topic != NULL ? rule->topic : catalog->presence_topic;
}
