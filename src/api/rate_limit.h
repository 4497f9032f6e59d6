/* Token buckets by key, one second deep. Bounded: the bucket not used for longest makes room. One thread. */
#ifndef RC_API_RATE_LIMIT_H
#define RC_API_RATE_LIMIT_H

#include "base/list.h"
#include "base/map.h"

enum { RC_RATE_BUCKETS_MAX = 100000, RC_RATE_KEY_MAX = 256 };

struct rc_rate_limit {
    struct rc_map buckets;
    struct rc_list used; /* the longest unused first */
};

void rc_rate_limit_init(struct rc_rate_limit *limit);
void rc_rate_limit_free(struct rc_rate_limit *limit);
/* Takes one of `per_second`: false when there is none left now. Keys beyond RC_RATE_KEY_MAX are cut. */
bool rc_rate_limit_take(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second,
                        uint64_t now_ms);
/* Whether one is left; takes none. */
bool rc_rate_limit_has(struct rc_rate_limit *limit, struct rc_slice key, uint32_t per_second,
                       uint64_t now_ms);

#endif
