/* The nonces of signed requests, each good for once while its timestamp is. One thread. */
#ifndef RC_API_NONCES_H
#define RC_API_NONCES_H

#include "base/list.h"
#include "base/map.h"

enum {
    RC_NONCES_MAX = 2000000,     /* of all; only who has RC_NONCES_FEW at most goes beyond */
    RC_NONCES_EACH_MAX = 500000, /* of one owner: 555 calls a second, all the time */
    RC_NONCES_FEW = 100,
    RC_NONCE_LEN_MAX = 128,
    RC_NONCES_KEEP_MAX_MS = 31 * 60 * 1000,
    RC_NONCES_SLOTS = 64, /* minutes; more than two times what is kept */
};

struct rc_nonces {
    struct rc_map seen, holders;
    struct rc_list slots[RC_NONCES_SLOTS]; /* by the minute in which they end */
    uint64_t swept_minute;                 /* those before it have gone */
    uint32_t max, each_max;                /* RC_NONCES_MAX, RC_NONCES_EACH_MAX; tests lower them */
};

struct rc_nonce_use {
    struct rc_slice owner; /* whose share it is: an instance, or an administrator's access key */
    struct rc_slice key, nonce;
    uint64_t keep_ms; /* at most RC_NONCES_KEEP_MAX_MS */
};

void rc_nonces_init(struct rc_nonces *nonces);
void rc_nonces_free(struct rc_nonces *nonces);
/*
 * 0 and it is remembered for `keep_ms`; RC_ERR_EXISTS when it was used before; RC_ERR_INVALID for an empty or
 * too long one; RC_ERR_FULL when the owner has too many.
 */
int rc_nonces_use(struct rc_nonces *nonces, const struct rc_nonce_use *use, uint64_t now_ms);

#endif
