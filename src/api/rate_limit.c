#include "api/rate_limit.h"

#include "base/alloc.h"

struct bucket {
    struct rc_list node;
    uint64_t filled_ms;
    uint64_t thousandths; /* of a token */
    uint16_t key_len;
    char key[];
};

static struct rc_slice bucket_key(const void *item)
{
    const struct bucket *bucket = item;
    return rc_slice(bucket->key, bucket->key_len);
}

void rc_rate_limit_init(struct rc_rate_limit *limit)
{
    rc_map_init(&limit->buckets, bucket_key);
    rc_list_init(&limit->used);
}

static void drop_oldest(struct rc_rate_limit *limit)
{
    struct bucket *bucket = rc_container_of(rc_list_pop_front(&limit->used), struct bucket, node);
    rc_map_remove(&limit->buckets, bucket_key(bucket));
    free(bucket);
}

void rc_rate_limit_free(struct rc_rate_limit *limit)
{
    while (!rc_list_is_empty(&limit->used))
        drop_oldest(limit);
    rc_map_free(&limit->buckets);
}

static struct bucket *add(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second,
                          uint64_t now_ms)
{
    if (limit->buckets.count >= RC_RATE_BUCKETS_MAX)
        drop_oldest(limit);
    struct bucket *bucket = rc_calloc(1, sizeof(*bucket) + key.len);
    bucket->filled_ms = now_ms;
    bucket->thousandths = (uint64_t)per_second * 1000;
    bucket->key_len = (uint16_t)key.len;
    memcpy(bucket->key, key.ptr, key.len);
    rc_list_init(&bucket->node);
    rc_map_insert(&limit->buckets, bucket);
    return bucket;
}

static struct bucket *fill(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second,
                           uint64_t now_ms)
{
    if (key.len > RC_RATE_KEY_MAX)
        key.len = RC_RATE_KEY_MAX;
    struct bucket *bucket = rc_map_find(&limit->buckets, key);
    if (bucket == NULL)
        bucket = add(limit, key, per_second, now_ms);
    uint64_t passed_ms = now_ms - bucket->filled_ms, full = (uint64_t)per_second * 1000;
    bucket->thousandths = passed_ms >= 1000 ? full : bucket->thousandths + passed_ms * per_second;
    if (bucket->thousandths > full)
        bucket->thousandths = full;
    bucket->filled_ms = now_ms;
    rc_list_remove(&bucket->node);
    rc_list_push_back(&limit->used, &bucket->node);
    return bucket;
}

bool rc_rate_limit_has(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second, uint64_t now_ms)
{
    return fill(limit, key, per_second, now_ms)->thousandths >= 1000;
}

bool rc_rate_limit_take(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second,
                        uint64_t now_ms)
{
    struct bucket *bucket = fill(limit, key, per_second, now_ms);
    if (bucket->thousandths < 1000)
        return false;
    bucket->thousandths -= 1000;
    return true;
}
