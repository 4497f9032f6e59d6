/* The nonces of signed requests, each good for once while its timestamp is. One thread. */
#ifndef RC_API_NONCES_H
#define RC_API_NONCES_H

#include "base/list.h"
#include "base/map.h"

enum { RC_NONCES_MAX = 500000, RC_NONCE_LEN_MAX = 128 };

struct rc_nonces {
    struct rc_map seen;
    struct rc_list by_age; /* the oldest first */
};

void rc_nonces_init(struct rc_nonces *nonces);
void rc_nonces_free(struct rc_nonces *nonces);
/*
 * 0 and it is remembered for `keep_ms`; RC_ERR_EXISTS when it was used before; RC_ERR_INVALID for an empty or
 * too long one; RC_ERR_FULL when too many are remembered.
 */
int rc_nonces_use(struct rc_nonces *nonces, struct rc_slice key, struct rc_slice nonce, uint64_t now_ms,
                  uint64_t keep_ms);

#endif
