#include "base/histogram.h"

enum { HALF = 1 << RC_HISTOGRAM_HALF_BITS };

/* Below 2 * HALF each value has its own bucket; above, the highest HALF_BITS + 1 bits tell it. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < 2 * HALF)
        return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - RC_HISTOGRAM_HALF_BITS;
    return shift * HALF + (uint32_t)(value >> shift);
}

static uint64_t last_of(uint32_t bucket)
{
    if (bucket < 2 * HALF)
        return bucket;
    uint32_t shift = bucket / HALF - 1;
    return (((uint64_t)(bucket % HALF + HALF) + 1) << shift) - 1;
}

void rc_histogram_add(struct rc_histogram *histogram, uint64_t value)
{
    if (value > RC_HISTOGRAM_VALUE_MAX)
        value = RC_HISTOGRAM_VALUE_MAX;
    histogram->count++;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t rc_histogram_at(const struct rc_histogram *histogram, uint32_t per_100k)
{
    uint64_t rank = (histogram->count * per_100k + 99999) / 100000, seen = 0;
    if (histogram->count == 0)
        return 0;
    if (rank == 0)
        rank = 1;
    for (uint32_t i = 0; i < RC_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return last_of(i) < histogram->max ? last_of(i) : histogram->max;
    }
    return histogram->max;
}
