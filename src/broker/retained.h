/*
 * Retained messages, for one shard: a tree by topic level under each instance. Every shard holds a replica
 * whose messages are shared; they are brought to all shards by mail, in any order between two publishers, so
 * the greater stamp wins everywhere. A deletion is a message without payload; it stays for a while to win
 * over what is under way.
 */
#ifndef RC_BROKER_RETAINED_H
#define RC_BROKER_RETAINED_H

#include "base/list.h"
#include "base/map.h"
#include "broker/publication.h"

enum {
    RC_RETAINED_MAX = 1000000,            /* messages, of all instances */
    RC_RETAINED_BYTES_MAX = 512 << 20,    /* ... and their size */
    RC_RETAINED_TOMBSTONE_MS = 10 * 1000, /* far longer than mail between shards takes */
    RC_RETAINED_SWEEP_MAX = 10000,        /* of those that expire, how many one sweep looks at */
};

struct rc_retained {
    struct rc_retained_node *root;
    struct rc_list tombstones; /* the oldest first */
    struct rc_list expiring;   /* messages that expire; those that were looked at last are last */
    uint32_t count;            /* messages, without tombstones */
    size_t bytes;
    uint32_t expiring_count;
};

void rc_retained_init(struct rc_retained *retained);
void rc_retained_free(struct rc_retained *retained);

/* Whether a message of that topic would be taken: there is room, or one of that topic already. */
bool rc_retained_has_room(const struct rc_retained *retained, struct rc_slice instance,
                          struct rc_slice topic);
/*
 * Takes a reference, in place of what the topic had, unless that bears a greater stamp. An empty payload
 * deletes. Never refuses: the publisher's shard has asked rc_retained_has_room.
 */
void rc_retained_set(struct rc_retained *retained, struct rc_slice instance,
                     struct rc_publication *publication, uint64_t now_ms);
/*
 * Forgets tombstones that have had their time and messages that have expired; `on_expired` hears of each of
 * those before. Of a great many that expire it looks at RC_RETAINED_SWEEP_MAX, the next time at the others.
 */
void rc_retained_sweep(struct rc_retained *retained, uint64_t now_ms,
                       void (*on_expired)(struct rc_slice instance, struct rc_publication *publication,
                                          void *arg),
                       void *arg);

/* Calls `visit` for each message that the (not shared) filter takes and that has not expired. */
void rc_retained_match(struct rc_retained *retained, struct rc_slice instance, struct rc_slice filter,
                       uint64_t now_ms, void (*visit)(struct rc_publication *publication, void *arg),
                       void *arg);
/* Calls `visit` for every message, of every instance. */
void rc_retained_each(struct rc_retained *retained,
                      void (*visit)(struct rc_slice instance, struct rc_publication *publication, void *arg),
                      void *arg);

#endif
