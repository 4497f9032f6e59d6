/* A read-only mapping of one whole commit log file, kept alive by references. */
#ifndef RC_STORE_SEGMENT_H
#define RC_STORE_SEGMENT_H

#include "store/store.h"

#include <stdatomic.h>

struct rc_segment {
    atomic_uint_fast32_t refs;
    const uint8_t *bytes;
    uint64_t base; /* physical offset of the first byte */
    uint64_t size;
    uint64_t last_use; /* for the table of the commit log, under its mutex */
};

/* Maps dir/<base> (with one reference); RC_ERR_NOT_FOUND, RC_ERR_CORRUPT when it is shorter than `size`. */
int rc_segment_map(int dir, uint64_t base, uint64_t size, struct rc_segment **ret);
void rc_segment_retain(struct rc_segment *segment);

#endif
