/* Sizes and durations as people write them: 64KiB, 500ms. */
#ifndef RC_BASE_UNITS_H
#define RC_BASE_UNITS_H

#include "base/slice.h"

enum rc_units {
    RC_UNITS_NONE,     /* a whole number */
    RC_UNITS_SIZE,     /* B, KiB, MiB, GiB, TiB; none: bytes. Value: bytes */
    RC_UNITS_DURATION, /* ms, s, m, h, d; 0 alone needs none. Value: milliseconds */
};

/* False for anything else, and for what an int64_t cannot hold. */
bool rc_units_parse(enum rc_units units, struct rc_slice text, int64_t *ret);

#endif
