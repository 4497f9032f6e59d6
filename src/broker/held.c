#include "broker/held.h"

#include "base/alloc.h"

static struct rc_slice held_key(const void *item)
{
    const struct rc_held *held = item;
    return rc_slice(held->instance, held->instance_len);
}

void rc_held_init(struct rc_map *held)
{
    rc_map_init(held, held_key);
}

void rc_held_free(struct rc_map *held)
{
    struct rc_held *one;
    for (uint32_t cursor = 0; (one = rc_map_next(held, &cursor)) != NULL;)
        free(one);
    rc_map_free(held);
}

struct rc_held *rc_held_of(struct rc_map *held, struct rc_slice instance)
{
    struct rc_held *one = rc_map_find(held, instance);
    if (one != NULL)
        return one;
    one = rc_calloc(1, sizeof(*one) + instance.len);
    rc_list_init(&one->waiting);
    one->instance_len = (uint16_t)instance.len;
    memcpy(one->instance, instance.ptr, instance.len);
    rc_map_insert(held, one);
    return one;
}

struct rc_held *rc_held_largest(const struct rc_map *held)
{
    struct rc_held *one, *largest = NULL;
    for (uint32_t cursor = 0; (one = rc_map_next(held, &cursor)) != NULL;)
        if (one->count > 0 && (largest == NULL || one->bytes > largest->bytes))
            largest = one;
    return largest;
}
