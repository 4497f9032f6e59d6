/* What the registry counts, for any thread to read. */
#include "base/clock.h"
#include "registry/private.h"

const uint32_t rc_registry_reach_bounds_us[RC_REGISTRY_REACH_BOUNDS] = {
    1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000,
};

void rc_registry_note_reach(struct rc_registry *registry, const struct rc_registry_job *job)
{
    uint64_t us = (rc_clock_mono_ns() - job->posted_ns) / 1000;
    size_t i = 0;
    while (i < RC_REGISTRY_REACH_BOUNDS && us > rc_registry_reach_bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&registry->reach[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&registry->reach_sum_us, us, memory_order_relaxed);
    if (us > atomic_load_explicit(&registry->reach_max_us, memory_order_relaxed)) /* one thread writes it */
        atomic_store_explicit(&registry->reach_max_us, us, memory_order_relaxed);
}

void rc_registry_stats(const struct rc_registry *registry, struct rc_registry_stats *ret)
{
    const struct rc_registry *reader = registry->reader;
    ret->waiting = atomic_load_explicit(&registry->waiting, memory_order_relaxed);
    ret->waiting_reads = reader != NULL ? atomic_load_explicit(&reader->waiting, memory_order_relaxed) : 0;
    ret->commits = atomic_load_explicit(&registry->commits, memory_order_relaxed);
    ret->failures = atomic_load_explicit(&registry->failures, memory_order_relaxed);
    ret->checkpoints = ret->checkpoints_in_way = 0;
    rc_registry_keeper_stats(registry->keeper, ret);
    for (size_t i = 0; i <= RC_REGISTRY_REACH_BOUNDS; i++)
        ret->reach[i] = atomic_load_explicit(&registry->reach[i], memory_order_relaxed);
    ret->reach_sum_us = atomic_load_explicit(&registry->reach_sum_us, memory_order_relaxed);
    ret->reach_max_us = atomic_load_explicit(&registry->reach_max_us, memory_order_relaxed);
}
