/*
 * Counts values in buckets whose width grows with the value, so that a percentile is off by less than 1 %
 * over the whole range, in constant memory. One thread.
 */
#ifndef RC_BASE_HISTOGRAM_H
#define RC_BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    RC_HISTOGRAM_HALF_BITS = 7, /* 128 buckets to a doubling */
    RC_HISTOGRAM_VALUE_BITS = 42,
    RC_HISTOGRAM_BUCKETS = (RC_HISTOGRAM_VALUE_BITS - RC_HISTOGRAM_HALF_BITS + 1) << RC_HISTOGRAM_HALF_BITS,
};
#define RC_HISTOGRAM_VALUE_MAX (((uint64_t)1 << RC_HISTOGRAM_VALUE_BITS) - 1)

struct rc_histogram {
    uint64_t count, max; /* max is exact */
    uint64_t buckets[RC_HISTOGRAM_BUCKETS];
};

/* A zeroed struct is an empty histogram. Values above RC_HISTOGRAM_VALUE_MAX count as that. */
void rc_histogram_add(struct rc_histogram *histogram, uint64_t value);

/*
 * The least value that `per_100k` of 100,000 of the values do not exceed (99000: p99), rounded up to the end
 * of its bucket, at most `max`; 0 when there is none.
 */
uint64_t rc_histogram_at(const struct rc_histogram *histogram, uint32_t per_100k);

#endif
