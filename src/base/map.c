#include "base/map.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { FEW = 4, RC_MAP_FIRST_SLOTS = 16, PAGE_STEP = 64 };

/*
 * Trees of topics are made of tables of one or two items. Up to FEW they stand one behind the other, without
 * tags: looking at each costs less than a hash, and they take a sixth of the memory.
 */
static bool is_list(const struct rc_map *map)
{
    return map->mask < RC_MAP_FIRST_SLOTS - 1;
}

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

/* The place in the list; `count` when it is not there. */
static uint32_t place_of(const struct rc_map *map, struct rc_slice key)
{
    uint32_t place = 0;
    while (place < map->count && !rc_slice_eq(map->key_of(map->items[place]), key))
        place++;
    return place;
}

void *rc_map_find(const struct rc_map *map, struct rc_slice key)
{
    if (is_list(map)) {
        uint32_t place = place_of(map, key);
        return place < map->count ? map->items[place] : NULL;
    }
    uint32_t slot = slot_of(map, key, rc_hash(key));
    return map->tags[slot] ? map->items[slot] : NULL;
}

static void put_in_slot(struct rc_map *map, void *item)
{
    uint64_t hash = rc_hash(map->key_of(item));
    uint32_t slot = home_of(map, hash);
    while (map->tags[slot] != 0)
        slot = (slot + 1) & map->mask;
    map->tags[slot] = tag_of(hash);
    map->items[slot] = item;
}

static void resize(struct rc_map *map, uint32_t slots)
{
    struct rc_map old = *map;
    uint32_t cursor = 0;
    map->items = rc_malloc(slots * sizeof(*map->items));
    map->tags = rc_calloc(slots, sizeof(*map->tags));
    map->mask = slots - 1;
    for (void *item; (item = rc_map_next(&old, &cursor)) != NULL;)
        put_in_slot(map, item);
    free(old.items);
    free(old.tags);
}

/* False when the list is full. */
static bool append_to_list(struct rc_map *map, void *item)
{
    if (map->mask == 0) {
        map->items = rc_malloc(FEW * sizeof(*map->items));
        map->mask = FEW - 1;
    }
    if (map->count == FEW)
        return false;
    map->items[map->count++] = item;
    return true;
}

void rc_map_insert(struct rc_map *map, void *item)
{
    if (is_list(map)) {
        if (append_to_list(map, item))
            return;
        resize(map, RC_MAP_FIRST_SLOTS);
    } else if (map->count + 1 > (map->mask + 1) / 4 * 3) {
        resize(map, (map->mask + 1) * 2);
    }
    put_in_slot(map, item);
    map->count++;
}

static void *remove_from_list(struct rc_map *map, struct rc_slice key)
{
    uint32_t place = place_of(map, key);
    if (place == map->count)
        return NULL;
    void *item = map->items[place];
    map->items[place] = map->items[--map->count];
    return item;
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
    if (is_list(map))
        return remove_from_list(map, key);
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
    if (is_list(map))
        return *cursor < map->count ? map->items[(*cursor)++] : NULL;
    while (*cursor <= map->mask) {
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

static uint32_t collect_list(const struct rc_map *map, struct page_item **ret)
{
    struct page_item *items = rc_malloc(FEW * sizeof(*items));
    for (uint32_t i = 0; i < map->count; i++)
        items[i] = (struct page_item){rc_hash(map->key_of(map->items[i])), map->items[i]};
    qsort(items, map->count, sizeof(*items), by_hash);
    *ret = items;
    return map->count;
}

/* The items whose home is in [from, to), by hash: they are in those slots and in the run that follows. */
static uint32_t collect(const struct rc_map *map, uint32_t from, uint32_t to, struct page_item **ret)
{
    uint32_t slots = to - from, count = 0;
    if (is_list(map)) /* has no homes: all of it is one page's step */
        return collect_list(map, ret);
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
    for (uint32_t from = is_list(map) ? 0 : home_of(map, at); from <= map->mask;) {
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
