/* Where clients reach the listeners, as instances are told: one list for all, which catalogs share. */
#ifndef RC_CATALOG_ENTRANCES_H
#define RC_CATALOG_ENTRANCES_H

#include "base/slice.h"

#include <stdatomic.h>

enum { RC_ENTRANCE_DOMAIN_MAX = 253 };

struct rc_entrance {
    const char *zone, *transport;            /* literals: "public", "vpc"; "tcp", "tls", "ws", "wss" */
    char domain[RC_ENTRANCE_DOMAIN_MAX + 1]; /* {instance} in it stands for the instance's id */
    uint16_t port;
};

struct rc_entrances {
    atomic_uint refs;
    uint32_t count;
    struct rc_entrance list[];
};

/* One reference; all of the list is empty. */
struct rc_entrances *rc_entrances_create(uint32_t count);
struct rc_entrances *rc_entrances_ref(struct rc_entrances *entrances); /* NULL is harmless to both */
void rc_entrances_unref(struct rc_entrances *entrances);
/* The domain for that instance, NUL-terminated and cut off at `size`. */
void rc_entrance_domain_of(const struct rc_entrance *entrance, struct rc_slice instance, char *out,
                           size_t size);

#endif
