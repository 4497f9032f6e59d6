/*
 * A table of items by key whose copies share structure: a hash array mapped trie of reference-counted nodes.
 * rc_trie_share costs nothing; changing one of the copies copies the nodes on the way to the change (some
 * 2 KiB among a million items) and leaves the others as they are. Nodes that only one copy has are changed
 * in place, so filling a fresh table copies nothing.
 *
 * One thread may change a copy while others read and drop theirs: references are counted atomically. Items
 * start with a struct rc_trie_item and hold their own key; the table owns one reference of each.
 */
#ifndef RC_BASE_TRIE_H
#define RC_BASE_TRIE_H

#include "base/slice.h"

#include <stdatomic.h>

struct rc_trie_item {
    atomic_uint refs; /* of tables' nodes, and of whoever else holds it */
};

struct rc_trie_type {
    struct rc_slice (*key_of)(const void *item);
    void (*free)(void *item);        /* its last reference went */
    void *(*copy)(const void *item); /* with one reference, for rc_trie_edit; NULL: items are never edited */
    uint64_t (*hash)(struct rc_slice key); /* NULL: rc_hash */
};

struct rc_trie {
    const struct rc_trie_type *type;
    struct rc_trie_node *root;
    uint32_t count;
};

void rc_trie_init(struct rc_trie *trie, const struct rc_trie_type *type);
/* Drops all that it holds; it is empty and usable. */
void rc_trie_free(struct rc_trie *trie);
/* `to` (uninitialised) becomes a copy of `from`. */
void rc_trie_share(struct rc_trie *to, const struct rc_trie *from);

/* NULL when there is none. The item lives as long as the table holds it. */
void *rc_trie_find(const struct rc_trie *trie, struct rc_slice key);
/* Takes over one reference of the item, which replaces that of the same key. */
void rc_trie_put(struct rc_trie *trie, void *item);
/* False when there was none. */
bool rc_trie_remove(struct rc_trie *trie, struct rc_slice key);
/*
 * The item, to be changed by the caller (its key aside): no other copy of the table has it, it was copied
 * when one had. NULL when there is none.
 */
void *rc_trie_edit(struct rc_trie *trie, struct rc_slice key);

/* An item's references. */
void rc_trie_item_init(void *item); /* one */
void rc_trie_item_ref(void *item);
void rc_trie_item_unref(const struct rc_trie_type *type, void *item);

/* Walks a table that is not changed meanwhile, in the order of the hashes: NULL ends it. */
enum { RC_TRIE_LEVELS = 11 };
struct rc_trie_walk {
    const struct rc_trie_node *nodes[RC_TRIE_LEVELS + 1];
    uint32_t at[RC_TRIE_LEVELS + 1];
    int depth; /* -1: it is over */
};
void rc_trie_walk_start(struct rc_trie_walk *walk, const struct rc_trie *trie);
void *rc_trie_walk_next(struct rc_trie_walk *walk);

#endif
