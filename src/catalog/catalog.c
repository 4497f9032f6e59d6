#include "catalog/catalog.h"

#include "base/alloc.h"
#include "base/error.h"

/* Everything a catalog holds lives in chunks that go away with it: nothing is freed one by one. */
enum { RC_CATALOG_CHUNK = 16 * 1024 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
};

struct rc_catalog_memory {
    struct chunk *chunks;
};

static void *take(struct rc_catalog *catalog, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    struct chunk *chunk = catalog->memory->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > RC_CATALOG_CHUNK ? size : RC_CATALOG_CHUNK;
        chunk = rc_malloc(sizeof(*chunk) + room);
        *chunk = (struct chunk){.next = catalog->memory->chunks, .size = room};
        catalog->memory->chunks = chunk;
    }
    void *at = chunk->bytes + chunk->used;
    chunk->used += size;
    memset(at, 0, size);
    return at;
}

static struct rc_slice copy(struct rc_catalog *catalog, struct rc_slice text)
{
    uint8_t *at = take(catalog, text.len + 1);
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    return rc_slice(at, text.len);
}

static struct rc_slice instance_key(const void *item)
{
    return ((const struct rc_instance *)item)->id;
}

static struct rc_slice key_pair_key(const void *item)
{
    return ((const struct rc_key_pair *)item)->access_key;
}

static struct rc_slice user_key(const void *item)
{
    return ((const struct rc_user *)item)->name;
}

static struct rc_slice group_key(const void *item)
{
    return ((const struct rc_group *)item)->id;
}

static struct rc_slice parent_topic_key(const void *item)
{
    return ((const struct rc_parent_topic *)item)->name;
}

static struct rc_slice target_key(const void *item)
{
    return ((const struct rc_target *)item)->name;
}

struct rc_catalog *rc_catalog_create(void)
{
    struct rc_catalog *catalog = rc_new(struct rc_catalog);
    atomic_init(&catalog->refs, 1);
    catalog->memory = rc_new(struct rc_catalog_memory);
    rc_map_init(&catalog->instances, instance_key);
    rc_map_init(&catalog->key_pairs, key_pair_key);
    rc_map_init(&catalog->targets, target_key);
    return catalog;
}

struct rc_catalog *rc_catalog_ref(struct rc_catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

static void destroy(struct rc_catalog *catalog)
{
    uint32_t cursor = 0;
    struct rc_instance *instance;
    while ((instance = rc_map_next(&catalog->instances, &cursor)) != NULL) {
        rc_map_free(&instance->keys);
        rc_map_free(&instance->groups);
        rc_map_free(&instance->topics);
        rc_map_free(&instance->users);
    }
    rc_map_free(&catalog->instances);
    rc_map_free(&catalog->key_pairs);
    rc_map_free(&catalog->targets);
    while (catalog->memory->chunks != NULL) {
        struct chunk *chunk = catalog->memory->chunks;
        catalog->memory->chunks = chunk->next;
        /* Keys were in here. */
        explicit_bzero(chunk->bytes, chunk->used);
        free(chunk);
    }
    free(catalog->memory);
    free(catalog);
}

void rc_catalog_unref(struct rc_catalog *catalog)
{
    if (catalog != NULL && atomic_fetch_sub_explicit(&catalog->refs, 1, memory_order_acq_rel) == 1)
        destroy(catalog);
}

/* ---- building ---- */

int rc_catalog_add_instance(struct rc_catalog *catalog, struct rc_slice id, struct rc_instance **ret)
{
    if (!rc_catalog_is_instance_id(id))
        return RC_ERR_INVALID;
    if (catalog->instances.count >= RC_CATALOG_INSTANCES_MAX)
        return RC_ERR_FULL;
    if (rc_map_find(&catalog->instances, id) != NULL)
        return RC_ERR_EXISTS;
    struct rc_instance *instance = take(catalog, sizeof(*instance));
    instance->id = copy(catalog, id);
    rc_map_init(&instance->keys, key_pair_key);
    rc_map_init(&instance->groups, group_key);
    rc_map_init(&instance->topics, parent_topic_key);
    rc_map_init(&instance->users, user_key);
    rc_catalog_set_profile(instance, RC_PROFILE_PRODUCT);
    rc_map_insert(&catalog->instances, instance);
    *ret = instance;
    return RC_OK;
}

void rc_catalog_set_profile(struct rc_instance *instance, enum rc_profile profile)
{
    instance->profile = profile;
    instance->limits = *rc_limits_of(profile);
}

static bool is_access_key(struct rc_slice key)
{
    if (key.len == 0 || key.len > RC_CATALOG_ID_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) /* '|' parts the fields of a user name */
        if (key.ptr[i] <= ' ' || key.ptr[i] >= 0x7f || key.ptr[i] == '|')
            return false;
    return true;
}

int rc_catalog_add_key(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice access_key,
                       struct rc_slice secret_key)
{
    if (!is_access_key(access_key) || secret_key.len == 0 || secret_key.len > RC_CATALOG_SECRET_MAX)
        return RC_ERR_INVALID;
    if (rc_map_find(&catalog->key_pairs, access_key) != NULL)
        return RC_ERR_EXISTS;
    struct rc_key_pair *pair = take(catalog, sizeof(*pair));
    pair->access_key = copy(catalog, access_key);
    pair->secret_key = copy(catalog, secret_key);
    pair->instance = instance;
    rc_map_insert(&instance->keys, pair);
    rc_map_insert(&catalog->key_pairs, pair);
    return RC_OK;
}

void rc_catalog_make_key_admin(struct rc_instance *instance, struct rc_slice access_key)
{
    struct rc_key_pair *pair = rc_map_find(&instance->keys, access_key);
    if (pair != NULL)
        pair->is_admin = true;
}

int rc_catalog_add_user(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice name,
                        struct rc_slice password, bool is_admin)
{
    if (!rc_catalog_is_user_name(name) || password.len == 0 || password.len > RC_CATALOG_PASSWORD_MAX)
        return RC_ERR_INVALID;
    if (rc_map_find(&instance->users, name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_user *user = take(catalog, sizeof(*user));
    user->name = copy(catalog, name);
    user->password = copy(catalog, password);
    user->is_admin = is_admin;
    rc_map_insert(&instance->users, user);
    return RC_OK;
}

static void copy_rule(struct rc_catalog *catalog, struct rc_acl_rule *to, const struct rc_acl_rule *from)
{
    *to = *from;
    to->user = copy(catalog, from->user);
    to->client = copy(catalog, from->client);
    to->topics = take(catalog, from->topics_count * sizeof(*to->topics));
    for (uint32_t i = 0; i < from->topics_count; i++)
        to->topics[i] = copy(catalog, from->topics[i]);
}

void rc_catalog_set_acl(struct rc_catalog *catalog, struct rc_instance *instance,
                        const struct rc_acl_rule *rules, uint32_t count)
{
    instance->rules = take(catalog, count * sizeof(*rules));
    instance->rules_count = count;
    for (uint32_t i = 0; i < count; i++)
        copy_rule(catalog, &instance->rules[i], &rules[i]);
}

int rc_catalog_add_group(struct rc_catalog *catalog, struct rc_instance *instance, struct rc_slice id,
                         struct rc_group **ret)
{
    if (!rc_catalog_is_group_id(id))
        return RC_ERR_INVALID;
    if (rc_map_find(&instance->groups, id) != NULL)
        return RC_ERR_EXISTS;
    struct rc_group *group = take(catalog, sizeof(*group));
    group->id = copy(catalog, id);
    group->instance = instance;
    rc_map_insert(&instance->groups, group);
    *ret = group;
    return RC_OK;
}

int rc_catalog_add_parent_topic(struct rc_catalog *catalog, struct rc_instance *instance,
                                struct rc_slice name)
{
    if (!rc_catalog_is_parent_topic(name))
        return RC_ERR_INVALID;
    if (rc_map_find(&instance->topics, name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_parent_topic *topic = take(catalog, sizeof(*topic));
    topic->name = copy(catalog, name);
    rc_map_insert(&instance->topics, topic);
    return RC_OK;
}

int rc_catalog_set_status_rule(struct rc_catalog *catalog, struct rc_group *group, struct rc_slice id,
                               struct rc_slice topic_name, uint32_t queues, bool is_enabled)
{
    if (!rc_catalog_is_rule_id(id) || topic_name.len == 0 || queues == 0)
        return RC_ERR_INVALID;
    if (group->status_rule != NULL)
        return RC_ERR_EXISTS;
    struct rc_status_rule *rule = take(catalog, sizeof(*rule));
    rule->id = copy(catalog, id);
    rule->topic_name = copy(catalog, topic_name);
    rule->queues = queues;
    rule->is_enabled = is_enabled;
    group->status_rule = rule;
    return RC_OK;
}

int rc_catalog_add_target(struct rc_catalog *catalog, const struct rc_target *target)
{
    if (!rc_catalog_is_instance_id(target->name) || target->nameservers.len == 0)
        return RC_ERR_INVALID;
    if (rc_map_find(&catalog->targets, target->name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_target *copied = take(catalog, sizeof(*copied));
    copied->name = copy(catalog, target->name);
    copied->nameservers = copy(catalog, target->nameservers);
    copied->access_key = copy(catalog, target->access_key);
    copied->secret_key = copy(catalog, target->secret_key);
    copied->name_space = copy(catalog, target->name_space);
    rc_map_insert(&catalog->targets, copied);
    return RC_OK;
}

void rc_catalog_set_rule_target(struct rc_catalog *catalog, struct rc_status_rule *rule,
                                const struct rc_target *target, struct rc_slice topic, bool fails_over)
{
    rule->target = target;
    rule->target_topic = copy(catalog, topic);
    rule->fails_over = fails_over;
}

/* ---- looking up ---- */

const struct rc_instance *rc_catalog_instance(const struct rc_catalog *catalog, struct rc_slice id)
{
    return rc_map_find(&catalog->instances, id);
}

const struct rc_key_pair *rc_instance_key(const struct rc_instance *instance, struct rc_slice access_key)
{
    return rc_map_find(&instance->keys, access_key);
}

const struct rc_user *rc_instance_user(const struct rc_instance *instance, struct rc_slice name)
{
    return rc_map_find(&instance->users, name);
}

const struct rc_group *rc_instance_group(const struct rc_instance *instance, struct rc_slice id)
{
    return rc_map_find(&instance->groups, id);
}

const struct rc_key_pair *rc_catalog_key(const struct rc_catalog *catalog, struct rc_slice access_key)
{
    return rc_map_find(&catalog->key_pairs, access_key);
}

struct rc_topic *rc_group_event_topic(const struct rc_catalog *catalog, const struct rc_group *group)
{
    const struct rc_status_rule *rule = group->status_rule;
    return rule != NULL && rule->topic != NULL ? rule->topic : catalog->presence_topic;
}
