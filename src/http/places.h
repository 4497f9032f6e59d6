/*
 * Who takes how much of the HTTP server: connections, and bytes of bodies and answers in memory, each counted
 * by address (of IPv6: a /64) and in all. A place is one connection's, from before its TLS handshake until
 * the last who serves it has let it go. When all are taken, who comes from an address that has fewer gets the
 * place of another: at the address that has the most, the one that has been without a whole request for
 * longest. For one thread.
 */
#ifndef RC_HTTP_PLACES_H
#define RC_HTTP_PLACES_H

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "net/address.h"

enum {
    RC_HTTP_BYTES_MAX = 128 << 20,        /* of bodies and answers, in all */
    RC_HTTP_BYTES_PER_ADDRESS = 16 << 20, /* ... and of one address */
};

struct rc_places {
    struct rc_map addresses; /* of those that have a place */
    uint32_t max, per_address_max;
    uint32_t count;
    size_t bytes;
    uint64_t refused, refused_of_address, given_up; /* counters */
};

struct rc_place_address;

struct rc_place {
    struct rc_places *places;
    struct rc_place_address *address;
    struct rc_list node; /* among those of its address that may be made to go, the longest first */
    uint32_t references;
    size_t bytes;
    bool is_given_up; /* counted no more, but for its bytes */
    /* Ends the connection, at once or soon. NULL: it cannot be made to go. */
    void (*give_up)(void *owner);
    void *owner;
};

/* per_address_max goes for IP addresses alone. */
void rc_places_init(struct rc_places *places, uint32_t max, uint32_t per_address_max);
/* All places have been let go. */
void rc_places_free(struct rc_places *places);

/* A place with one reference, or NULL when there is none for that address. */
struct rc_place *rc_place_take(struct rc_places *places, const struct rc_address *peer);
struct rc_place *rc_place_ref(struct rc_place *place);
void rc_place_unref(struct rc_place *place);

/* Whether it may be made to go; if so, it is the last that is, at its address. */
void rc_place_set_waiting(struct rc_place *place, bool is_waiting);

/* Whether `len` bytes more are within both limits: RC_OK, RC_ERR_TOO_LARGE (of its address) or
 * RC_ERR_FULL (of all). */
int rc_place_has_room(const struct rc_place *place, size_t len);
void rc_place_add_bytes(struct rc_place *place, size_t len);
void rc_place_drop_bytes(struct rc_place *place, size_t len);

#endif
