#include "base/map.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { RC_MAP_FIRST_SLOTS = 16, PAGE_STEP = 64, FEW = 2 };

void rc_map_init(struct rc_map *map, rc_map_key_fn key_of)
{
    *map = (struct rc_map){.key_of = key_of};
}

void rc_map_free(struct rc_map *map)
{
    free(map->items);
    free(map->tags);
    rc_map_init(map, map->key_of);
}

/* A tag of 0 marks a free slot. */
static uint32_t tag_of(uint64_t hash)
{
    uint32_t tag = (uint32_t)hash;
    return tag ? tag : 1;
}

/* The upper bits of the hash: so slots are in the order of the hashes, however large the table is. */
static uint32_t home_of(const struct rc_map *map, uint64_t hash)
{
    return (uint32_t)(hash >> __builtin_clzll(map->mask));
}

/* The slot of the key, or the free slot where it would go. */
static uint32_t slot_of(const struct rc_map *map, struct rc_slice key, uint64_t hash)
{
    uint32_t tag = tag_of(hash);
    uint32_t slot = home_of(map, hash);
    while (map->tags[slot] != 0) {
        if (map->tags[slot] == tag && rc_slice_eq(map->key_of(map->items[slot]), key))
            break;
        slot = (slot + 1) & map->mask;
    }
    return slot;
}

/* Trees of topics are made of tables of one or two items: looking at those costs less than a hash. */
static void *find_among_few(const struct rc_map *map, struct rc_slice key)
{
    uint32_t left = map->count;
    for (uint32_t slot = 0; left > 0; slot++) {
        if (map->tags[slot] == 0)
            continue;
        if (rc_slice_eq(map->key_of(map->items[slot]), key))
            return map->items[slot];
        left--;
    }
    return NULL;
}

void *rc_map_find(const struct rc_map *map, struct rc_slice key)
{
    if (map->count <= FEW && map->mask < RC_MAP_FIRST_SLOTS)
        return find_among_few(map, key);
    uint32_t slot = slot_of(map, key, rc_hash(key));
    return map->tags[slot] ? map->items[slot] : NULL;
}

static void resize(struct rc_map *map, uint32_t slots)
{
    struct rc_map old = *map;
    map->items = rc_malloc(slots * sizeof(*map->items));
    map->tags = rc_calloc(slots, sizeof(*map->tags));
    map->mask = slots - 1;
    for (uint32_t i = 0; old.mask != 0 && i <= old.mask; i++) {
        if (old.tags[i] == 0)
            continue;
        uint64_t hash = rc_hash(map->key_of(old.items[i]));
        uint32_t slot = home_of(map, hash);
        while (map->tags[slot] != 0)
            slot = (slot + 1) & map->mask;
        map->tags[slot] = old.tags[i];
        map->items[slot] = old.items[i];
    }
    free(old.items);
    free(old.tags);
}

void rc_map_insert(struct rc_map *map, void *item)
{
    if (map->mask == 0)
        resize(map, RC_MAP_FIRST_SLOTS);
    else if (map->count + 1 > (map->mask + 1) / 4 * 3)
        resize(map, (map->mask + 1) * 2);
    struct rc_slice key = map->key_of(item);
    uint64_t hash = rc_hash(key);
    uint32_t slot = slot_of(map, key, hash);
    map->tags[slot] = tag_of(hash);
    map->items[slot] = item;
    map->count++;
}

/* Closes the hole by moving later items of the same run back (no tombstones to clean up). */
static void close_hole(struct rc_map *map, uint32_t hole)
{
    uint32_t slot = hole;
    for (;;) {
        slot = (slot + 1) & map->mask;
        if (map->tags[slot] == 0)
            break;
        uint32_t home = home_of(map, rc_hash(map->key_of(map->items[slot])));
        if (((slot - home) & map->mask) >= ((slot - hole) & map->mask)) {
            map->tags[hole] = map->tags[slot];
            map->items[hole] = map->items[slot];
            hole = slot;
        }
    }
    map->tags[hole] = 0;
}

void *rc_map_remove(struct rc_map *map, struct rc_slice key)
{
    if (map->count == 0)
        return NULL;
    uint32_t slot = slot_of(map, key, rc_hash(key));
    if (map->tags[slot] == 0)
        return NULL;
    void *item = map->items[slot];
    close_hole(map, slot);
    map->count--;
    if (map->mask + 1 > RC_MAP_FIRST_SLOTS && map->count < (map->mask + 1) / 8)
        resize(map, (map->mask + 1) / 2);
    return item;
}

void *rc_map_next(const struct rc_map *map, uint32_t *cursor)
{
    while (map->mask != 0 && *cursor <= map->mask) {
        uint32_t slot = (*cursor)++;
        if (map->tags[slot] != 0)
            return map->items[slot];
    }
    return NULL;
}

/* ---- pages ---- */

struct page_item {
    uint64_t hash;
    void *item;
};

static int by_hash(const void *a, const void *b)
{
    uint64_t left = ((const struct page_item *)a)->hash, right = ((const struct page_item *)b)->hash;
    return left < right ? -1 : left > right;
}

/* The items whose home is in [from, to), by hash: they are in those slots and in the run that follows. */
static uint32_t collect(const struct rc_map *map, uint32_t from, uint32_t to, struct page_item **ret)
{
    uint32_t slots = to - from, count = 0;
    while (slots <= map->mask && map->tags[(from + slots) & map->mask] != 0)
        slots++;
    struct page_item *items = rc_malloc(slots * sizeof(*items));
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t slot = (from + i) & map->mask;
        if (map->tags[slot] == 0)
            continue;
        uint64_t hash = rc_hash(map->key_of(map->items[slot]));
        uint32_t home = home_of(map, hash);
        if (home >= from && home < to)
            items[count++] = (struct page_item){hash, map->items[slot]};
    }
    qsort(items, count, sizeof(*items), by_hash);
    *ret = items;
    return count;
}

uint32_t rc_map_page(const struct rc_map *map, uint64_t *cursor, void **ret_items, uint32_t max)
{
    uint32_t filled = 0;
    uint64_t at = *cursor;
    *cursor = 0;
    if (map->count == 0)
        return 0;
    for (uint32_t from = home_of(map, at); from <= map->mask;) {
        struct page_item *items;
        uint32_t to = map->mask - from < PAGE_STEP ? map->mask + 1 : from + PAGE_STEP;
        uint32_t count = collect(map, from, to, &items);
        for (uint32_t i = 0; i < count; i++) {
            if (items[i].hash < at)
                continue;
            if (filled == max) {
                *cursor = items[i].hash;
                free(items);
                return filled;
            }
            ret_items[filled++] = items[i].item;
        }
        free(items);
        from = to;
    }
    return filled;
}
