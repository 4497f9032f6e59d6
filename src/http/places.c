#include "http/places.h"

#include "base/alloc.h"

struct rc_place_address {
    uint8_t key[16];
    size_t key_len;
    uint32_t references; /* its places */
    uint32_t count;      /* ... but for those given up */
    size_t bytes;
    struct rc_list waiting;
};

static struct rc_slice key_of(const void *item)
{
    const struct rc_place_address *address = item;
    return rc_slice(address->key, address->key_len);
}

void rc_places_init(struct rc_places *places, uint32_t max, uint32_t per_address_max)
{
    *places = (struct rc_places){.max = max, .per_address_max = per_address_max};
    rc_map_init(&places->addresses, key_of);
}

void rc_places_free(struct rc_places *places)
{
    rc_map_free(&places->addresses);
}

/* ---- addresses ---- */

static struct rc_place_address *address_of(struct rc_places *places, const struct rc_address *peer)
{
    uint8_t key[16];
    size_t len = rc_address_holder(peer, key);
    struct rc_place_address *address = rc_map_find(&places->addresses, rc_slice(key, len));
    if (address != NULL)
        return address;
    address = rc_new(struct rc_place_address);
    memcpy(address->key, key, len);
    address->key_len = len;
    rc_list_init(&address->waiting);
    rc_map_insert(&places->addresses, address);
    return address;
}

static void drop_if_unused(struct rc_places *places, struct rc_place_address *address)
{
    if (address->references > 0)
        return;
    rc_map_remove(&places->addresses, key_of(address));
    free(address);
}

/* The address with the most places, of those that have one to give: more than `count`. NULL: none. */
static struct rc_place_address *richest(const struct rc_places *places, uint32_t count)
{
    struct rc_place_address *address, *found = NULL;
    for (uint32_t cursor = 0; (address = rc_map_next(&places->addresses, &cursor)) != NULL;) {
        if (address->count > count && !rc_list_is_empty(&address->waiting)) {
            found = address;
            count = address->count;
        }
    }
    return found;
}

/* ---- places ---- */

static void uncount(struct rc_place *place)
{
    place->address->count--;
    place->places->count--;
}

/* False when nobody has to make room for one more of that address. */
static bool make_room(struct rc_places *places, const struct rc_place_address *newcomer)
{
    struct rc_place_address *address = richest(places, newcomer->count);
    if (address == NULL)
        return false;
    struct rc_place *place = rc_container_of(address->waiting.next, struct rc_place, node);
    rc_list_remove(&place->node);
    uncount(place);
    place->is_given_up = true;
    places->given_up++;
    place->give_up(place->owner);
    return true;
}

struct rc_place *rc_place_take(struct rc_places *places, const struct rc_address *peer)
{
    struct rc_place_address *address = address_of(places, peer);
    if (address->key_len > 0 && address->count >= places->per_address_max) {
        places->refused_of_address++;
        return NULL;
    }
    address->references++; /* stays when its own last place is given up for it */
    if (places->count >= places->max && !make_room(places, address)) {
        places->refused++;
        address->references--;
        drop_if_unused(places, address);
        return NULL;
    }
    address->count++;
    places->count++;
    struct rc_place *place = rc_new(struct rc_place);
    *place = (struct rc_place){.places = places, .address = address, .references = 1};
    rc_list_init(&place->node);
    return place;
}

struct rc_place *rc_place_ref(struct rc_place *place)
{
    place->references++;
    return place;
}

void rc_place_unref(struct rc_place *place)
{
    if (place == NULL || --place->references > 0)
        return;
    rc_list_remove(&place->node);
    rc_place_drop_bytes(place, place->bytes);
    if (!place->is_given_up)
        uncount(place);
    place->address->references--;
    drop_if_unused(place->places, place->address);
    free(place);
}

void rc_place_set_waiting(struct rc_place *place, bool is_waiting)
{
    rc_list_remove(&place->node);
    if (is_waiting && !place->is_given_up && place->give_up != NULL)
        rc_list_push_back(&place->address->waiting, &place->node);
}

int rc_place_has_room(const struct rc_place *place, size_t len)
{
    if (place->address->key_len > 0 && place->address->bytes + len > RC_HTTP_BYTES_PER_ADDRESS)
        return RC_ERR_TOO_LARGE;
    return place->places->bytes + len > RC_HTTP_BYTES_MAX ? RC_ERR_FULL : RC_OK;
}

void rc_place_add_bytes(struct rc_place *place, size_t len)
{
    place->bytes += len;
    place->address->bytes += len;
    place->places->bytes += len;
}

void rc_place_drop_bytes(struct rc_place *place, size_t len)
{
    place->bytes -= len;
    place->address->bytes -= len;
    place->places->bytes -= len;
}
