/*
 * A hash table of pointers to items that hold their own key: open addressing, linear probing, 12 bytes a
 * slot; up to four items are a plain list. For one thread. Keys are hashed with rc_hash, so strangers cannot
 * make them collide. The table does not own its items. Growing rehashes all at once (about 40 ns an item).
 */
#ifndef RC_BASE_MAP_H
#define RC_BASE_MAP_H

#include "base/slice.h"

typedef struct rc_slice (*rc_map_key_fn)(const void *item);

struct rc_map {
    void **items;
    uint32_t *tags; /* a part of the hash, so that most misses never touch an item; NULL of a list */
    uint32_t mask;  /* slots - 1 (of a list, places - 1); 0 while nothing is allocated */
    uint32_t count;
    rc_map_key_fn key_of;
};

void rc_map_init(struct rc_map *map, rc_map_key_fn key_of);
void rc_map_free(struct rc_map *map);

void *rc_map_find(const struct rc_map *map, struct rc_slice key);
/* The key must not be in the table. */
void rc_map_insert(struct rc_map *map, void *item);
/* Removes and returns the item of that key, NULL when there is none. */
void *rc_map_remove(struct rc_map *map, struct rc_slice key);

/*
 * Walks the table: start with *cursor = 0, NULL ends it. Insert or remove during a walk and it may miss or
 * repeat items.
 */
void *rc_map_next(const struct rc_map *map, uint32_t *cursor);

/*
 * Reads the table in pages, in the order of the keys' hashes: start with *cursor = 0; it is 0 again after the
 * last page. Returns how many items (at most `max` > 0) were put into ret_items. The table may change between
 * the pages: what is in it all the time comes exactly once.
 */
uint32_t rc_map_page(const struct rc_map *map, uint64_t *cursor, void **ret_items, uint32_t max);

#endif
