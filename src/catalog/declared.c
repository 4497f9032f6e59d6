/* What only the configuration file declares. */
#include "base/alloc.h"
#include "base/error.h"
#include "catalog/items.h"

static struct rc_slice tag_key(char out[RC_CATALOG_ID_MAX + 1 + RC_CATALOG_LABEL_MAX], struct rc_slice group,
                               struct rc_slice name)
{
    memcpy(out, group.ptr, group.len);
    out[group.len] = '\0';
    memcpy(out + group.len + 1, name.ptr, name.len);
    return rc_slice(out, group.len + 1 + name.len);
}

int rc_catalog_declare_tag(struct rc_instance *instance, struct rc_slice group, struct rc_slice name,
                           struct rc_slice value)
{
    char text[RC_CATALOG_ID_MAX + 1 + RC_CATALOG_LABEL_MAX];
    if (group.len > RC_CATALOG_ID_MAX || name.len == 0 || name.len > RC_CATALOG_LABEL_MAX ||
        value.len > RC_CATALOG_LABEL_MAX)
        return RC_ERR_INVALID;
    struct rc_slice key = tag_key(text, group, name);
    if (rc_trie_find(&instance->tags, key) != NULL)
        return RC_ERR_EXISTS;
    struct rc_tag *tag = rc_item_create(sizeof(*tag), key.len + value.len + 2);
    uint8_t *at = (uint8_t *)(tag + 1);
    tag->key = rc_item_text(&at, key);
    tag->group = rc_slice(tag->key.ptr, group.len);
    tag->name = rc_slice_from(tag->key, group.len + 1);
    tag->value = rc_item_text(&at, value);
    rc_trie_put(&instance->tags, tag);
    return RC_OK;
}

const struct rc_tag *rc_instance_tag(const struct rc_instance *instance, struct rc_slice group,
                                     struct rc_slice name)
{
    char text[RC_CATALOG_ID_MAX + 1 + RC_CATALOG_LABEL_MAX];
    if (group.len > RC_CATALOG_ID_MAX || name.len > RC_CATALOG_LABEL_MAX)
        return NULL;
    return rc_trie_find(&instance->tags, tag_key(text, group, name));
}

int rc_catalog_declare_name(struct rc_trie *names, struct rc_slice name, uint32_t queues)
{
    if (rc_trie_find(names, name) != NULL)
        return RC_ERR_EXISTS;
    struct rc_endpoint_name *one = rc_item_create(sizeof(*one), name.len + 1);
    uint8_t *at = (uint8_t *)(one + 1);
    one->name = rc_item_text(&at, name);
    one->queues = queues;
    rc_trie_put(names, one);
    return RC_OK;
}

int rc_catalog_declare_certificate(struct rc_instance *instance, struct rc_slice key, struct rc_slice name,
                                   struct rc_slice content, bool is_active)
{
    if (rc_trie_find(&instance->certificates, key) != NULL)
        return RC_ERR_EXISTS;
    struct rc_declared_certificate *one = rc_item_create(sizeof(*one), key.len + name.len + content.len + 3);
    uint8_t *at = (uint8_t *)(one + 1);
    one->key = rc_item_text(&at, key);
    one->name = rc_item_text(&at, name);
    one->content = rc_item_text(&at, content);
    one->is_active = is_active;
    rc_trie_put(&instance->certificates, one);
    return RC_OK;
}
