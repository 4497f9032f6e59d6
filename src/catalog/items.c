/*
 * The items of a catalog: one allocation each, its texts behind it. Those that hold secrets are wiped before
 * they are freed.
 */
#include "catalog/items.h"

#include "base/alloc.h"

void *rc_item_create(size_t size, size_t texts)
{
    void *item = rc_calloc(1, size + texts);
    rc_trie_item_init(item);
    return item;
}

struct rc_slice rc_item_text(uint8_t **at, struct rc_slice text)
{
    struct rc_slice copied = rc_slice(*at, text.len);
    if (text.len > 0)
        memcpy(*at, text.ptr, text.len);
    *at += text.len + 1;
    return copied;
}

static void wipe(struct rc_slice secret)
{
    if (secret.len > 0)
        explicit_bzero((void *)(uintptr_t)secret.ptr, secret.len);
}

/* Every kind that is known by one slice. */
#define KEY_OF(function, type, member)                                                                       \
    static struct rc_slice function(const void *item)                                                        \
    {                                                                                                        \
        return ((const struct type *)item)->member;                                                          \
    }

KEY_OF(instance_key, rc_instance, id)
KEY_OF(key_pair_key, rc_key_pair, access_key)
KEY_OF(target_key, rc_target, name)
KEY_OF(group_key, rc_group, id)
KEY_OF(parent_topic_key, rc_parent_topic, name)
KEY_OF(status_rule_key, rc_status_rule, id)
KEY_OF(flow_rule_key, rc_flow_rule, mqtt_topic)
KEY_OF(user_key, rc_user, name)
KEY_OF(credential_key, rc_credential, client_id)
KEY_OF(identity_key, rc_custom_identity, key)
KEY_OF(permissions_key, rc_custom_permissions, key)
KEY_OF(mark_key, rc_mark, key)
KEY_OF(ca_key, rc_ca, sn)
KEY_OF(tag_key, rc_tag, key)
KEY_OF(endpoint_name_key, rc_endpoint_name, name)
KEY_OF(declared_certificate_key, rc_declared_certificate, key)

/* ---- with secrets ---- */

static void free_key_pair(void *item)
{
    wipe(((struct rc_key_pair *)item)->secret_key);
    free(item);
}

static void *copy_key_pair(const void *item)
{
    const struct rc_key_pair *from = item;
    struct rc_key_pair *pair = rc_item_create(sizeof(*pair), from->access_key.len + from->secret_key.len +
                                                                 from->instance_id.len + 3);
    uint8_t *at = (uint8_t *)(pair + 1);
    pair->access_key = rc_item_text(&at, from->access_key);
    pair->secret_key = rc_item_text(&at, from->secret_key);
    pair->instance_id = rc_item_text(&at, from->instance_id);
    pair->role = from->role;
    pair->is_admin = from->is_admin;
    return pair;
}

static void free_target(void *item)
{
    wipe(((struct rc_target *)item)->secret_key);
    free(item);
}

static void free_user(void *item)
{
    wipe(((struct rc_user *)item)->password);
    free(item);
}

static void free_credential(void *item)
{
    wipe(((struct rc_credential *)item)->secret);
    free(item);
}

static void free_identity(void *item)
{
    wipe(((struct rc_custom_identity *)item)->secret);
    free(item);
}

/* ---- that hold others ---- */

static void free_status_rule(void *item)
{
    struct rc_status_rule *rule = item;
    rc_trie_item_unref(&rc_target_type, (void *)(uintptr_t)rule->target);
    free((void *)(uintptr_t)rule->target_topic.ptr);
    free((void *)(uintptr_t)rule->description.ptr);
    free(rule);
}

static void free_flow_rule(void *item)
{
    rc_trie_item_unref(&rc_target_type, (void *)(uintptr_t)((struct rc_flow_rule *)item)->target);
    free(item);
}

static void free_group(void *item)
{
    struct rc_group *group = item;
    rc_trie_item_unref(&rc_status_rule_type, group->status_rule);
    free(group);
}

static void *copy_group(const void *item)
{
    const struct rc_group *from = item;
    struct rc_group *group = rc_item_create(sizeof(*group), from->id.len + 1);
    uint8_t *at = (uint8_t *)(group + 1);
    group->id = rc_item_text(&at, from->id);
    group->status_rule = from->status_rule;
    if (group->status_rule != NULL)
        rc_trie_item_ref(group->status_rule);
    return group;
}

static void free_ca(void *item)
{
    struct rc_ca *ca = item;
    if (ca->free_certificate != NULL)
        ca->free_certificate(ca->certificate);
    free(ca);
}

void rc_acl_list_unref(struct rc_acl_list *list)
{
    if (list != NULL && atomic_fetch_sub_explicit(&list->refs, 1, memory_order_acq_rel) == 1)
        free(list);
}

/* The tables of an instance, in the order of its struct. */
#define EACH_TABLE(X)                                                                                        \
    X(groups)                                                                                                \
    X(topics)                                                                                                \
    X(status_rules)                                                                                          \
    X(outflows)                                                                                              \
    X(inflows)                                                                                               \
    X(credentials)                                                                                           \
    X(identities)                                                                                            \
    X(permissions)                                                                                           \
    X(black)                                                                                                 \
    X(revoked)                                                                                               \
    X(cas)                                                                                                   \
    X(devices)                                                                                               \
    X(users)                                                                                                 \
    X(tags)                                                                                                  \
    X(endpoint_topics)                                                                                       \
    X(endpoint_groups)                                                                                       \
    X(certificates)

static void free_instance(void *item)
{
    struct rc_instance *instance = item;
#define FREE(table) rc_trie_free(&instance->table);
    EACH_TABLE(FREE)
#undef FREE
    rc_acl_list_unref(instance->acl);
    explicit_bzero(instance->token_key, sizeof(instance->token_key));
    free(instance);
}

static void *copy_instance(const void *item)
{
    const struct rc_instance *from = item;
    struct rc_instance *instance = rc_item_create(sizeof(*instance), from->id.len + 1);
    uint8_t *at = (uint8_t *)(instance + 1);
    memcpy((char *)instance + sizeof(instance->item), (const char *)from + sizeof(from->item),
           sizeof(*from) - sizeof(from->item));
    instance->id = rc_item_text(&at, from->id);
#define SHARE(table) rc_trie_share(&instance->table, &from->table);
    EACH_TABLE(SHARE)
#undef SHARE
    if (instance->acl != NULL)
        atomic_fetch_add_explicit(&instance->acl->refs, 1, memory_order_relaxed);
    return instance;
}

const struct rc_trie_type rc_instance_type = {instance_key, free_instance, copy_instance, NULL};
const struct rc_trie_type rc_key_pair_type = {key_pair_key, free_key_pair, copy_key_pair, NULL};
const struct rc_trie_type rc_target_type = {target_key, free_target, NULL, NULL};
const struct rc_trie_type rc_group_type = {group_key, free_group, copy_group, NULL};
const struct rc_trie_type rc_parent_topic_type = {parent_topic_key, free, NULL, NULL};
const struct rc_trie_type rc_status_rule_type = {status_rule_key, free_status_rule, NULL, NULL};
const struct rc_trie_type rc_flow_rule_type = {flow_rule_key, free_flow_rule, NULL, NULL};
const struct rc_trie_type rc_user_type = {user_key, free_user, NULL, NULL};
const struct rc_trie_type rc_credential_type = {credential_key, free_credential, NULL, NULL};
const struct rc_trie_type rc_custom_identity_type = {identity_key, free_identity, NULL, NULL};
const struct rc_trie_type rc_custom_permissions_type = {permissions_key, free, NULL, NULL};
const struct rc_trie_type rc_mark_type = {mark_key, free, NULL, NULL};
const struct rc_trie_type rc_ca_type = {ca_key, free_ca, NULL, NULL};
const struct rc_trie_type rc_tag_type = {tag_key, free, NULL, NULL};
const struct rc_trie_type rc_endpoint_name_type = {endpoint_name_key, free, NULL, NULL};
const struct rc_trie_type rc_declared_certificate_type = {declared_certificate_key, free, NULL, NULL};
