/* What the files of this room share: how each kind of item is found, copied and freed. */
#ifndef RC_CATALOG_ITEMS_H
#define RC_CATALOG_ITEMS_H

#include "catalog/catalog.h"

extern const struct rc_trie_type rc_instance_type, rc_key_pair_type, rc_target_type, rc_group_type,
    rc_parent_topic_type, rc_status_rule_type, rc_flow_rule_type, rc_user_type, rc_credential_type,
    rc_custom_identity_type, rc_custom_permissions_type, rc_mark_type, rc_ca_type, rc_tag_type,
    rc_endpoint_name_type, rc_declared_certificate_type;

/* The rules of an instance: one piece of memory, shared by snapshots. */
struct rc_acl_list {
    atomic_uint refs;
    uint32_t count;
    struct rc_acl_rule rules[]; /* topics and texts behind them */
};
void rc_acl_list_unref(struct rc_acl_list *list); /* NULL is fine */

/* An item of `size` bytes with room for `texts` more behind it, zeroed, with one reference. */
void *rc_item_create(size_t size, size_t texts);
/* Puts a copy of the text, and a NUL, at *at, which moves on. */
struct rc_slice rc_item_text(uint8_t **at, struct rc_slice text);

#endif
