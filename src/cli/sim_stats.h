/* Figures for the simulator: percentiles, and what another process has used. */
#ifndef RC_CLI_SIM_STATS_H
#define RC_CLI_SIM_STATS_H

#include "base/json_write.h"

struct rc_sim_percentiles {
    uint64_t count;
    uint64_t p50_us, p90_us, p99_us, p999_us, max_us;
};

/* Sorts the values in place. All zero for none. */
struct rc_sim_percentiles rc_sim_percentiles_of(uint64_t *values_us, size_t count);
/* "p50 0.21 ms, p90 ..., max ... (N)" into `out`; returns it. */
const char *rc_sim_percentiles_text(const struct rc_sim_percentiles *percentiles, char *out, size_t size);
void rc_sim_percentiles_json(struct rc_json *json, const char *key,
                             const struct rc_sim_percentiles *percentiles);

struct rc_sim_usage {
    double cpu_s;          /* user and system, all threads */
    uint64_t memory_bytes; /* RssAnon + RssShmem: what is its own, not pages of files */
};

/* 0 or a negative rc_err when there is no such process or it may not be looked at. */
int rc_sim_usage_of(uint64_t pid, struct rc_sim_usage *ret);

#endif
