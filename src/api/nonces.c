#include "api/nonces.h"

#include "base/alloc.h"
#include "base/error.h"

struct nonce {
    struct rc_list node;
    uint64_t until_ms;
    uint16_t len;
    char text[]; /* access key NUL nonce */
};

static struct rc_slice nonce_key(const void *item)
{
    const struct nonce *nonce = item;
    return rc_slice(nonce->text, nonce->len);
}

void rc_nonces_init(struct rc_nonces *nonces)
{
    rc_map_init(&nonces->seen, nonce_key);
    rc_list_init(&nonces->by_age);
}

static void drop_oldest(struct rc_nonces *nonces)
{
    struct nonce *nonce = rc_container_of(rc_list_pop_front(&nonces->by_age), struct nonce, node);
    rc_map_remove(&nonces->seen, nonce_key(nonce));
    free(nonce);
}

static bool is_oldest_over(const struct rc_nonces *nonces, uint64_t now_ms)
{
    return !rc_list_is_empty(&nonces->by_age) &&
           rc_container_of(nonces->by_age.next, struct nonce, node)->until_ms <= now_ms;
}

void rc_nonces_free(struct rc_nonces *nonces)
{
    while (!rc_list_is_empty(&nonces->by_age))
        drop_oldest(nonces);
    rc_map_free(&nonces->seen);
}

int rc_nonces_use(struct rc_nonces *nonces, struct rc_slice key, struct rc_slice nonce, uint64_t now_ms,
                  uint64_t keep_ms)
{
    if (nonce.len == 0 || nonce.len > RC_NONCE_LEN_MAX || key.len > RC_NONCE_LEN_MAX)
        return RC_ERR_INVALID;
    while (is_oldest_over(nonces, now_ms))
        drop_oldest(nonces);
    struct nonce *seen = rc_malloc(sizeof(*seen) + key.len + 1 + nonce.len);
    seen->until_ms = now_ms + keep_ms;
    seen->len = (uint16_t)(key.len + 1 + nonce.len);
    memcpy(seen->text, key.ptr, key.len);
    seen->text[key.len] = '\0';
    memcpy(seen->text + key.len + 1, nonce.ptr, nonce.len);
    int err = rc_map_find(&nonces->seen, nonce_key(seen)) != NULL ? RC_ERR_EXISTS
              : nonces->seen.count >= RC_NONCES_MAX               ? RC_ERR_FULL
                                                                  : RC_OK;
    if (err != RC_OK) {
        free(seen);
        return err;
    }
    rc_list_init(&seen->node);
    rc_list_push_back(&nonces->by_age, &seen->node);
    rc_map_insert(&nonces->seen, seen);
    return RC_OK;
}
