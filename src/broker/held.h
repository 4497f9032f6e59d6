/*
 * Which messages wait in the sessions of a shard, by instance, in the order of their coming: when there is no
 * room for another, the oldest of the instance that has the most goes, so that none starves the others. On
 * the broker's loop.
 */
#ifndef RC_BROKER_HELD_H
#define RC_BROKER_HELD_H

#include "base/list.h"
#include "base/map.h"

/* Of one instance. It stays until the broker ends: there are as many as there were instances. */
struct rc_held {
    struct rc_list waiting; /* the oldest first; what they are is delivery.c's */
    size_t bytes;           /* of them */
    uint32_t count;
    uint16_t instance_len;
    char instance[];
};

void rc_held_init(struct rc_map *held);
void rc_held_free(struct rc_map *held);
/* Made when it is not there yet. */
struct rc_held *rc_held_of(struct rc_map *held, struct rc_slice instance);
/* The one whose messages take the most bytes; NULL when none waits anywhere. */
struct rc_held *rc_held_largest(const struct rc_map *held);

#endif
