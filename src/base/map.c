#include "base/map.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { RC_MAP_FIRST_SLOTS = 16 };

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
    uint32_t tag = (uint32_t)(hash >> 32);
    return tag ? tag : 1;
}

/* The slot of the key, or the free slot where it would go. */
static uint32_t slot_of(const struct rc_map *map, struct rc_slice key, uint64_t hash)
{
    uint32_t tag = tag_of(hash);
    uint32_t slot = (uint32_t)hash & map->mask;
    while (map->tags[slot] != 0) {
        if (map->tags[slot] == tag && rc_slice_eq(map->key_of(map->items[slot]), key))
            break;
        slot = (slot + 1) & map->mask;
    }
    return slot;
}

void *rc_map_find(const struct rc_map *map, struct rc_slice key)
{
    if (map->count == 0)
        return NULL;
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
        uint32_t slot = (uint32_t)hash & map->mask;
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
        uint32_t home = (uint32_t)rc_hash(map->key_of(map->items[slot])) & map->mask;
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
