/* What devices and operators are let in by, besides key pairs and users. */
#include "base/alloc.h"
#include "base/error.h"
#include "catalog/items.h"

int rc_catalog_put_credential(struct rc_instance *instance, struct rc_slice client_id,
                              struct rc_slice access_key, struct rc_slice secret)
{
    if (client_id.len == 0 || client_id.len > RC_CLIENT_ID_MAX || !rc_catalog_is_access_key(access_key) ||
        secret.len == 0 || secret.len > RC_CATALOG_SECRET_MAX)
        return RC_ERR_INVALID;
    struct rc_credential *one = rc_item_create(sizeof(*one), client_id.len + access_key.len + secret.len + 3);
    uint8_t *at = (uint8_t *)(one + 1);
    one->client_id = rc_item_text(&at, client_id);
    one->access_key = rc_item_text(&at, access_key);
    one->secret = rc_item_text(&at, secret);
    rc_trie_put(&instance->credentials, one);
    return RC_OK;
}

const struct rc_credential *rc_instance_credential(const struct rc_instance *instance,
                                                   struct rc_slice client_id)
{
    return rc_trie_find(&instance->credentials, client_id);
}

/* ---- custom identities ---- */

enum { IDENTITY_KEY_MAX = RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX };

/* The user name alone, or with a NUL and the client id. */
static struct rc_slice identity_key(char out[IDENTITY_KEY_MAX], struct rc_slice username,
                                    struct rc_slice client_id)
{
    memcpy(out, username.ptr, username.len);
    if (client_id.len == 0)
        return rc_slice(out, username.len);
    out[username.len] = '\0';
    memcpy(out + username.len + 1, client_id.ptr, client_id.len);
    return rc_slice(out, username.len + 1 + client_id.len);
}

static bool is_identity(struct rc_slice username, struct rc_slice client_id)
{
    return username.len > 0 && username.len <= RC_CATALOG_CUSTOM_USER_MAX &&
           rc_catalog_is_user_name(username) && rc_catalog_is_client_id(client_id);
}

int rc_catalog_put_identity(struct rc_instance *instance, struct rc_slice username, struct rc_slice client_id,
                            struct rc_slice secret, bool is_signed)
{
    char text[IDENTITY_KEY_MAX];
    if (!is_identity(username, client_id) || secret.len == 0 || secret.len > RC_CATALOG_SECRET_MAX)
        return RC_ERR_INVALID;
    struct rc_slice key = identity_key(text, username, client_id);
    struct rc_custom_identity *identity = rc_item_create(sizeof(*identity), key.len + secret.len + 2);
    uint8_t *at = (uint8_t *)(identity + 1);
    identity->key = rc_item_text(&at, key);
    identity->secret = rc_item_text(&at, secret);
    identity->is_signed = is_signed;
    rc_trie_put(&instance->identities, identity);
    return RC_OK;
}

bool rc_catalog_remove_identity(struct rc_instance *instance, struct rc_slice username,
                                struct rc_slice client_id)
{
    char text[IDENTITY_KEY_MAX];
    return is_identity(username, client_id) &&
           rc_trie_remove(&instance->identities, identity_key(text, username, client_id));
}

const struct rc_custom_identity *rc_instance_identity(const struct rc_instance *instance,
                                                      struct rc_slice username, struct rc_slice client_id)
{
    char text[IDENTITY_KEY_MAX];
    if (instance->identities.count == 0 || !is_identity(username, client_id))
        return NULL;
    const struct rc_custom_identity *identity =
        rc_trie_find(&instance->identities, identity_key(text, username, client_id));
    return identity != NULL ? identity : rc_trie_find(&instance->identities, username);
}

const struct rc_custom_identity *rc_instance_exact_identity(const struct rc_instance *instance,
                                                            struct rc_slice username,
                                                            struct rc_slice client_id)
{
    char text[IDENTITY_KEY_MAX];
    if (!is_identity(username, client_id))
        return NULL;
    return rc_trie_find(&instance->identities, identity_key(text, username, client_id));
}

/* ---- what they may use ---- */

enum { PERMISSIONS_KEY_MAX = 1 + RC_CLIENT_ID_MAX };

static struct rc_slice permissions_key(char out[PERMISSIONS_KEY_MAX], bool is_client,
                                       struct rc_slice identity)
{
    out[0] = is_client ? 'c' : 'u';
    memcpy(out + 1, identity.ptr, identity.len);
    return rc_slice(out, identity.len + 1);
}

const struct rc_custom_permissions *rc_instance_permissions(const struct rc_instance *instance,
                                                            bool is_client, struct rc_slice identity)
{
    char text[PERMISSIONS_KEY_MAX];
    if (identity.len == 0 || identity.len > RC_CLIENT_ID_MAX || instance->permissions.count == 0)
        return NULL;
    return rc_trie_find(&instance->permissions, permissions_key(text, is_client, identity));
}

const struct rc_custom_permission *rc_instance_permission(const struct rc_instance *instance, bool is_client,
                                                          struct rc_slice identity, struct rc_slice topic)
{
    const struct rc_custom_permissions *all = rc_instance_permissions(instance, is_client, identity);
    for (uint32_t i = 0; all != NULL && i < all->count; i++)
        if (rc_slice_eq(all->list[i].topic, topic))
            return &all->list[i];
    return NULL;
}

/* A list of those of `old` (may be NULL) but the one of `added`'s topic, and then `added` itself if `adds`.
 */
static struct rc_custom_permissions *make_permissions(struct rc_slice key,
                                                      const struct rc_custom_permissions *old,
                                                      const struct rc_custom_permission *added, bool adds)
{
    uint32_t count = (old != NULL ? old->count : 0) + adds;
    size_t texts = key.len + 1 + added->topic.len + 1;
    for (uint32_t i = 0; old != NULL && i < old->count; i++)
        texts += old->list[i].topic.len + 1;
    struct rc_custom_permissions *list = rc_item_create(sizeof(*list) + count * sizeof(list->list[0]), texts);
    uint8_t *at = (uint8_t *)(list->list + count);
    list->key = rc_item_text(&at, key);
    for (uint32_t i = 0; old != NULL && i < old->count; i++) {
        if (rc_slice_eq(old->list[i].topic, added->topic))
            continue;
        list->list[list->count] = old->list[i];
        list->list[list->count++].topic = rc_item_text(&at, old->list[i].topic);
    }
    if (adds) {
        list->list[list->count] = *added;
        list->list[list->count++].topic = rc_item_text(&at, added->topic);
    }
    return list;
}

int rc_catalog_put_permission(struct rc_instance *instance, bool is_client, struct rc_slice identity,
                              const struct rc_custom_permission *permission)
{
    char text[PERMISSIONS_KEY_MAX];
    if (identity.len == 0 || identity.len > RC_CLIENT_ID_MAX)
        return RC_ERR_INVALID;
    struct rc_slice key = permissions_key(text, is_client, identity);
    const struct rc_custom_permissions *old = rc_trie_find(&instance->permissions, key);
    if (old != NULL && old->count >= RC_CATALOG_PERMISSIONS_MAX)
        return RC_ERR_FULL;
    rc_trie_put(&instance->permissions, make_permissions(key, old, permission, true));
    return RC_OK;
}

bool rc_catalog_remove_permission(struct rc_instance *instance, bool is_client, struct rc_slice identity,
                                  struct rc_slice topic)
{
    char text[PERMISSIONS_KEY_MAX];
    const struct rc_custom_permissions *old = rc_instance_permissions(instance, is_client, identity);
    if (old == NULL)
        return false;
    struct rc_custom_permission gone = {.topic = topic};
    struct rc_custom_permissions *list = make_permissions(old->key, old, &gone, false);
    bool had = list->count < old->count;
    if (list->count > 0) {
        rc_trie_put(&instance->permissions, list);
    } else {
        rc_trie_remove(&instance->permissions, permissions_key(text, is_client, identity));
        rc_trie_item_unref(&rc_custom_permissions_type, list);
    }
    return had;
}

/* ---- marks and certificates ---- */

void rc_catalog_put_mark(struct rc_trie *marks, struct rc_slice key, int64_t until_ms)
{
    struct rc_mark *mark = rc_item_create(sizeof(*mark), key.len + 1);
    uint8_t *at = (uint8_t *)(mark + 1);
    mark->key = rc_item_text(&at, key);
    mark->until_ms = until_ms;
    rc_trie_put(marks, mark);
}

const struct rc_mark *rc_instance_mark(const struct rc_trie *marks, struct rc_slice key)
{
    return marks->count > 0 ? rc_trie_find(marks, key) : NULL;
}

void rc_catalog_put_ca(struct rc_instance *instance, struct rc_slice sn, void *certificate,
                       void (*free_certificate)(void *certificate), bool is_active)
{
    struct rc_ca *ca = rc_item_create(sizeof(*ca), sn.len + 1);
    uint8_t *at = (uint8_t *)(ca + 1);
    ca->sn = rc_item_text(&at, sn);
    ca->certificate = certificate;
    ca->free_certificate = free_certificate;
    ca->is_active = is_active;
    rc_trie_put(&instance->cas, ca);
}
