/*
 * Design notes
 * - A nonce stands in the slot of the minute in which it ends, so those that are over are found without
 * order. They leave a few at each use: one that is over and still there counts for nothing.
 * - The share of an owner bounds what a busy one takes. When all together have reached the table's limit, an
 *   owner with few goes on: nobody's calls are refused because of another's.
 */
#include "api/nonces.h"

#include "base/alloc.h"
#include "base/error.h"

#include <openssl/sha.h>

enum { MINUTE_MS = 60 * 1000, SWEPT_AT_ONCE = 64, HASH_LEN = 16 };

struct holder {
    uint32_t count;
    uint16_t len;
    char name[];
};

struct nonce {
    struct rc_list node;
    uint64_t until_ms;
    struct holder *holder;
    uint8_t hash[HASH_LEN]; /* of access key and nonce */
};

static struct rc_slice nonce_key(const void *item)
{
    return rc_slice(((const struct nonce *)item)->hash, HASH_LEN);
}

static struct rc_slice holder_key(const void *item)
{
    const struct holder *holder = item;
    return rc_slice(holder->name, holder->len);
}

void rc_nonces_init(struct rc_nonces *nonces)
{
    rc_map_init(&nonces->seen, nonce_key);
    rc_map_init(&nonces->holders, holder_key);
    for (size_t i = 0; i < RC_NONCES_SLOTS; i++)
        rc_list_init(&nonces->slots[i]);
    nonces->swept_minute = 0;
    nonces->max = RC_NONCES_MAX;
    nonces->each_max = RC_NONCES_EACH_MAX;
}

static void drop(struct rc_nonces *nonces, struct nonce *nonce)
{
    struct holder *holder = nonce->holder;
    rc_list_remove(&nonce->node);
    rc_map_remove(&nonces->seen, nonce_key(nonce));
    free(nonce);
    if (--holder->count > 0)
        return;
    rc_map_remove(&nonces->holders, holder_key(holder));
    free(holder);
}

/* At most SWEPT_AT_ONCE of those that are over. */
static void sweep(struct rc_nonces *nonces, uint64_t now_ms)
{
    uint64_t minute = now_ms / MINUTE_MS;
    if (minute > RC_NONCES_SLOTS && nonces->swept_minute < minute - RC_NONCES_SLOTS)
        nonces->swept_minute = minute - RC_NONCES_SLOTS;
    for (int i = 0; i < SWEPT_AT_ONCE && nonces->swept_minute < minute;) {
        struct rc_list *slot = &nonces->slots[nonces->swept_minute % RC_NONCES_SLOTS];
        if (rc_list_is_empty(slot)) {
            nonces->swept_minute++;
            continue;
        }
        drop(nonces, rc_container_of(slot->next, struct nonce, node));
        i++;
    }
}

void rc_nonces_free(struct rc_nonces *nonces)
{
    for (size_t i = 0; i < RC_NONCES_SLOTS; i++)
        while (!rc_list_is_empty(&nonces->slots[i]))
            drop(nonces, rc_container_of(nonces->slots[i].next, struct nonce, node));
    rc_map_free(&nonces->seen);
    rc_map_free(&nonces->holders);
}

static struct holder *hold(struct rc_nonces *nonces, struct rc_slice owner)
{
    struct holder *holder = rc_map_find(&nonces->holders, owner);
    if (holder != NULL)
        return holder;
    holder = rc_calloc(1, sizeof(*holder) + owner.len);
    holder->len = (uint16_t)owner.len;
    memcpy(holder->name, owner.ptr, owner.len);
    rc_map_insert(&nonces->holders, holder);
    return holder;
}

static void make_hash(uint8_t ret[HASH_LEN], struct rc_slice key, struct rc_slice nonce)
{
    uint8_t text[2 * RC_NONCE_LEN_MAX + 1], digest[SHA256_DIGEST_LENGTH];
    memcpy(text, key.ptr, key.len);
    text[key.len] = '\0';
    memcpy(text + key.len + 1, nonce.ptr, nonce.len);
    SHA256(text, key.len + 1 + nonce.len, digest);
    memcpy(ret, digest, HASH_LEN);
}

static bool is_full(const struct rc_nonces *nonces, struct rc_slice owner)
{
    const struct holder *holder = rc_map_find(&nonces->holders, owner);
    uint32_t count = holder != NULL ? holder->count : 0;
    return count >= nonces->each_max || (nonces->seen.count >= nonces->max && count >= RC_NONCES_FEW);
}

int rc_nonces_use(struct rc_nonces *nonces, const struct rc_nonce_use *use, uint64_t now_ms)
{
    uint8_t hash[HASH_LEN];
    struct rc_slice nonce = use->nonce;
    if (nonce.len == 0 || nonce.len > RC_NONCE_LEN_MAX || use->key.len > RC_NONCE_LEN_MAX ||
        use->owner.len > RC_NONCE_LEN_MAX || use->keep_ms > RC_NONCES_KEEP_MAX_MS)
        return RC_ERR_INVALID;
    sweep(nonces, now_ms);
    make_hash(hash, use->key, nonce);
    struct nonce *seen = rc_map_find(&nonces->seen, rc_slice(hash, HASH_LEN));
    if (seen != NULL && seen->until_ms > now_ms)
        return RC_ERR_EXISTS;
    if (seen != NULL)
        drop(nonces, seen);
    if (is_full(nonces, use->owner))
        return RC_ERR_FULL;
    seen = rc_new(struct nonce);
    seen->until_ms = now_ms + use->keep_ms;
    memcpy(seen->hash, hash, HASH_LEN);
    seen->holder = hold(nonces, use->owner);
    seen->holder->count++;
    rc_list_init(&seen->node);
    rc_list_push_back(&nonces->slots[seen->until_ms / MINUTE_MS % RC_NONCES_SLOTS], &seen->node);
    rc_map_insert(&nonces->seen, seen);
    return RC_OK;
}
