#include "base/trie.h"

#include "base/alloc.h"
#include "base/hash.h"

/*
 * A level consumes 6 bits of the hash, from the top; the eleventh has the last 4. Keys whose whole hashes are
 * equal (nobody can bring that about with a seeded hash) share a list below it.
 *
 * A slot is a child node, or an item with the lowest bit set. Whether a node may be changed in place is told
 * by its references alone: copying a node adds a reference to each of its children, so on the way down from a
 * node that is ours a count of one means that nobody else can get there.
 */
enum { BITS = 6, LAST_BITS = 64 - BITS * (RC_TRIE_LEVELS - 1), GROW = 4 };

struct rc_trie_node {
    atomic_uint refs;
    uint16_t count, cap;
    uint64_t bitmap; /* which indices have a slot; 0 for a list */
    uintptr_t slots[];
};

/* ---- slots ---- */

static bool is_item(uintptr_t slot)
{
    return slot & 1;
}

static void *item_of(uintptr_t slot)
{
    return (void *)(slot & ~(uintptr_t)1); /* NOLINT: the tag was ours */
}

static struct rc_trie_node *node_of(uintptr_t slot)
{
    return (struct rc_trie_node *)slot; /* NOLINT: likewise */
}

static uintptr_t slot_of_item(const void *item)
{
    return (uintptr_t)item | 1;
}

static unsigned index_at(uint64_t hash, int level)
{
    return level < RC_TRIE_LEVELS - 1 ? (unsigned)(hash >> (64 - BITS * (level + 1))) & ((1u << BITS) - 1)
                                      : (unsigned)hash & ((1u << LAST_BITS) - 1);
}

static unsigned place_of(const struct rc_trie_node *node, unsigned index)
{
    return (unsigned)__builtin_popcountll(node->bitmap & ((1ull << index) - 1));
}

static bool has(const struct rc_trie_node *node, unsigned index)
{
    return node->bitmap >> index & 1;
}

static uint64_t hash_of(const struct rc_trie_type *type, struct rc_slice key)
{
    return type->hash != NULL ? type->hash(key) : rc_hash(key);
}

/* ---- references ---- */

void rc_trie_item_init(void *item)
{
    atomic_init(&((struct rc_trie_item *)item)->refs, 1);
}

void rc_trie_item_ref(void *item)
{
    atomic_fetch_add_explicit(&((struct rc_trie_item *)item)->refs, 1, memory_order_relaxed);
}

void rc_trie_item_unref(const struct rc_trie_type *type, void *item)
{
    if (item != NULL &&
        atomic_fetch_sub_explicit(&((struct rc_trie_item *)item)->refs, 1, memory_order_acq_rel) == 1)
        type->free(item);
}

static bool is_ours(const struct rc_trie_node *node)
{
    return atomic_load_explicit(&node->refs, memory_order_acquire) == 1;
}

static void node_ref(struct rc_trie_node *node)
{
    atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
}

static void slot_unref(const struct rc_trie_type *type, uintptr_t slot);

static void node_unref(const struct rc_trie_type *type, struct rc_trie_node *node)
{
    if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < node->count; i++)
        slot_unref(type, node->slots[i]);
    free(node);
}

static void slot_unref(const struct rc_trie_type *type, uintptr_t slot)
{
    if (is_item(slot))
        rc_trie_item_unref(type, item_of(slot));
    else
        node_unref(type, node_of(slot));
}

/* ---- nodes ---- */

static struct rc_trie_node *node_create(unsigned cap)
{
    struct rc_trie_node *node = rc_malloc(sizeof(*node) + cap * sizeof(node->slots[0]));
    *node = (struct rc_trie_node){.cap = (uint16_t)cap};
    atomic_init(&node->refs, 1);
    return node;
}

/* Ours to change, in the place of `node`, whose reference goes. */
static struct rc_trie_node *own(const struct rc_trie_type *type, struct rc_trie_node *node)
{
    if (is_ours(node))
        return node;
    struct rc_trie_node *copy = node_create(node->count + 1u);
    copy->count = node->count;
    copy->bitmap = node->bitmap;
    for (unsigned i = 0; i < node->count; i++) {
        copy->slots[i] = node->slots[i];
        if (is_item(node->slots[i]))
            rc_trie_item_ref(item_of(node->slots[i]));
        else
            node_ref(node_of(node->slots[i]));
    }
    node_unref(type, node);
    return copy;
}

static struct rc_trie_node *insert_at(struct rc_trie_node *node, unsigned place, uintptr_t slot)
{
    if (node->count == node->cap) {
        unsigned cap = node->cap < 2 ? 2 : node->cap + GROW;
        node = rc_realloc(node, sizeof(*node) + cap * sizeof(node->slots[0]));
        node->cap = (uint16_t)cap;
    }
    memmove(&node->slots[place + 1], &node->slots[place], (node->count - place) * sizeof(node->slots[0]));
    node->slots[place] = slot;
    node->count++;
    return node;
}

static void remove_at(struct rc_trie_node *node, unsigned place)
{
    node->count--;
    memmove(&node->slots[place], &node->slots[place + 1], (node->count - place) * sizeof(node->slots[0]));
}

/* The item of that key in a list; node->count when there is none. */
static unsigned find_in_list(const struct rc_trie_type *type, const struct rc_trie_node *node,
                             struct rc_slice key)
{
    unsigned i = 0;
    while (i < node->count && !rc_slice_eq(type->key_of(item_of(node->slots[i])), key))
        i++;
    return i;
}

/* ---- the table ---- */

void rc_trie_init(struct rc_trie *trie, const struct rc_trie_type *type)
{
    *trie = (struct rc_trie){.type = type};
}

void rc_trie_free(struct rc_trie *trie)
{
    if (trie->root != NULL)
        node_unref(trie->type, trie->root);
    rc_trie_init(trie, trie->type);
}

void rc_trie_share(struct rc_trie *to, const struct rc_trie *from)
{
    *to = *from;
    if (to->root != NULL)
        node_ref(to->root);
}

void *rc_trie_find(const struct rc_trie *trie, struct rc_slice key)
{
    const struct rc_trie_node *node = trie->root;
    if (node == NULL)
        return NULL;
    if (trie->count == 1 && is_item(node->slots[0])) /* one instance, one topic: no hash for that */
        return rc_slice_eq(trie->type->key_of(item_of(node->slots[0])), key) ? item_of(node->slots[0]) : NULL;
    uint64_t hash = hash_of(trie->type, key);
    for (int level = 0; level < RC_TRIE_LEVELS; level++) {
        unsigned index = index_at(hash, level);
        if (!has(node, index))
            return NULL;
        uintptr_t slot = node->slots[place_of(node, index)];
        if (is_item(slot))
            return rc_slice_eq(trie->type->key_of(item_of(slot)), key) ? item_of(slot) : NULL;
        node = node_of(slot);
    }
    unsigned place = find_in_list(trie->type, node, key);
    return place < node->count ? item_of(node->slots[place]) : NULL;
}

struct change {
    const struct rc_trie_type *type;
    struct rc_slice key;
    uint64_t hash;
    void *item;
    bool has_replaced;
};

static struct rc_trie_node *put_in_list(struct change *change, struct rc_trie_node *node)
{
    unsigned place = find_in_list(change->type, node, change->key);
    if (place == node->count)
        return insert_at(node, place, slot_of_item(change->item));
    slot_unref(change->type, node->slots[place]);
    node->slots[place] = slot_of_item(change->item);
    change->has_replaced = true;
    return node;
}

static struct rc_trie_node *put(struct change *change, struct rc_trie_node *node, int level);

/* Two items want one slot: both go a level down. */
static struct rc_trie_node *split(struct change *change, uintptr_t first, int level)
{
    struct rc_trie_node *node = node_create(2);
    if (level < RC_TRIE_LEVELS) {
        uint64_t hash = hash_of(change->type, change->type->key_of(item_of(first)));
        node->bitmap = 1ull << index_at(hash, level);
    }
    node->slots[0] = first;
    node->count = 1;
    return put(change, node, level);
}

static struct rc_trie_node *put(struct change *change, struct rc_trie_node *node, int level)
{
    node = own(change->type, node);
    if (level == RC_TRIE_LEVELS)
        return put_in_list(change, node);
    unsigned index = index_at(change->hash, level), place = place_of(node, index);
    if (!has(node, index)) {
        node = insert_at(node, place, slot_of_item(change->item));
        node->bitmap |= 1ull << index;
        return node;
    }
    uintptr_t slot = node->slots[place];
    if (!is_item(slot)) {
        node->slots[place] = (uintptr_t)put(change, node_of(slot), level + 1);
    } else if (rc_slice_eq(change->type->key_of(item_of(slot)), change->key)) {
        slot_unref(change->type, slot);
        node->slots[place] = slot_of_item(change->item);
        change->has_replaced = true;
    } else {
        node->slots[place] = (uintptr_t)split(change, slot, level + 1);
    }
    return node;
}

void rc_trie_put(struct rc_trie *trie, void *item)
{
    struct change change = {.type = trie->type, .key = trie->type->key_of(item), .item = item};
    change.hash = hash_of(trie->type, change.key);
    if (trie->root == NULL)
        trie->root = node_create(GROW);
    trie->root = put(&change, trie->root, 0);
    trie->count += !change.has_replaced;
}

/* The key is there. NULL: nothing is left below. */
static struct rc_trie_node *take(struct change *change, struct rc_trie_node *node, int level)
{
    node = own(change->type, node);
    bool is_list = level == RC_TRIE_LEVELS;
    unsigned index = is_list ? 0 : index_at(change->hash, level);
    unsigned place = is_list ? find_in_list(change->type, node, change->key) : place_of(node, index);
    uintptr_t slot = node->slots[place];
    if (!is_item(slot)) {
        struct rc_trie_node *child = take(change, node_of(slot), level + 1);
        bool is_single = child != NULL && child->count == 1 && is_item(child->slots[0]);
        node->slots[place] = is_single ? child->slots[0] : (uintptr_t)child;
        if (is_single)
            free(child);
        if (child != NULL)
            return node;
    } else {
        slot_unref(change->type, slot);
    }
    remove_at(node, place);
    node->bitmap &= is_list ? 0 : ~(1ull << index);
    if (node->count > 0)
        return node;
    free(node);
    return NULL;
}

bool rc_trie_remove(struct rc_trie *trie, struct rc_slice key)
{
    if (rc_trie_find(trie, key) == NULL)
        return false;
    struct change change = {.type = trie->type, .key = key, .hash = hash_of(trie->type, key)};
    trie->root = take(&change, trie->root, 0);
    trie->count--;
    return true;
}

void *rc_trie_edit(struct rc_trie *trie, struct rc_slice key)
{
    if (rc_trie_find(trie, key) == NULL)
        return NULL;
    const struct rc_trie_type *type = trie->type;
    uint64_t hash = hash_of(type, key);
    struct rc_trie_node *node = trie->root = own(type, trie->root);
    for (int level = 0;; level++) {
        bool is_list = level == RC_TRIE_LEVELS;
        uintptr_t *slot =
            &node->slots[is_list ? find_in_list(type, node, key) : place_of(node, index_at(hash, level))];
        if (!is_item(*slot)) {
            node = own(type, node_of(*slot));
            *slot = (uintptr_t)node;
            continue;
        }
        void *item = item_of(*slot);
        if (atomic_load_explicit(&((struct rc_trie_item *)item)->refs, memory_order_acquire) > 1) {
            *slot = slot_of_item(type->copy(item));
            rc_trie_item_unref(type, item);
        }
        return item_of(*slot);
    }
}

/* ---- walking ---- */

void rc_trie_walk_start(struct rc_trie_walk *walk, const struct rc_trie *trie)
{
    walk->depth = trie->root != NULL ? 0 : -1;
    walk->nodes[0] = trie->root;
    walk->at[0] = 0;
}

void *rc_trie_walk_next(struct rc_trie_walk *walk)
{
    while (walk->depth >= 0) {
        const struct rc_trie_node *node = walk->nodes[walk->depth];
        if (walk->at[walk->depth] == node->count) {
            walk->depth--;
            continue;
        }
        uintptr_t slot = node->slots[walk->at[walk->depth]++];
        if (is_item(slot))
            return item_of(slot);
        walk->depth++;
        walk->nodes[walk->depth] = node_of(slot);
        walk->at[walk->depth] = 0;
    }
    return NULL;
}
