#include "cli/sim_stats.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t at(const uint64_t *sorted, size_t count, unsigned per_mille)
{
    size_t index = (count * per_mille + 999) / 1000;
    return sorted[index > 0 ? index - 1 : 0];
}

struct rc_sim_percentiles rc_sim_percentiles_of(uint64_t *values_us, size_t count)
{
    if (count == 0)
        return (struct rc_sim_percentiles){0};
    qsort(values_us, count, sizeof(*values_us), compare);
    return (struct rc_sim_percentiles){
        .count = count,
        .p50_us = at(values_us, count, 500),
        .p90_us = at(values_us, count, 900),
        .p99_us = at(values_us, count, 990),
        .p999_us = at(values_us, count, 999),
        .max_us = values_us[count - 1],
    };
}

const char *rc_sim_percentiles_text(const struct rc_sim_percentiles *p, char *out, size_t size)
{
    snprintf(out, size, "p50 %.2f  p90 %.2f  p99 %.2f  p99.9 %.2f  max %.2f ms  (%llu)",
             (double)p->p50_us / 1e3, (double)p->p90_us / 1e3, (double)p->p99_us / 1e3,
             (double)p->p999_us / 1e3, (double)p->max_us / 1e3, (unsigned long long)p->count);
    return out;
}

void rc_sim_percentiles_json(struct rc_json *json, const char *key, const struct rc_sim_percentiles *p)
{
    rc_json_key(json, key);
    rc_json_object_begin(json);
    rc_json_put_int(json, "count", (int64_t)p->count);
    rc_json_put_int(json, "p50Us", (int64_t)p->p50_us);
    rc_json_put_int(json, "p90Us", (int64_t)p->p90_us);
    rc_json_put_int(json, "p99Us", (int64_t)p->p99_us);
    rc_json_put_int(json, "p999Us", (int64_t)p->p999_us);
    rc_json_put_int(json, "maxUs", (int64_t)p->max_us);
    rc_json_object_end(json);
}

/* ---- another process ---- */

/* To the nanosecond where the kernel tells it, as Linux does of any process. */
static bool read_cpu_clock(uint64_t pid, double *ret)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid((pid_t)pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return false;
    *ret = (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    return true;
}

/* Fields 14 and 15 of /proc/<pid>/stat; the name before them may hold anything, so count from its end. */
static bool parse_cpu(const char *stat, double *ret)
{
    const char *at_field = strrchr(stat, ')');
    for (int field = 2; at_field != NULL && field < 14; field++)
        at_field = strchr(at_field + 1, ' ');
    if (at_field == NULL)
        return false;
    char *end;
    double user = strtod(at_field, &end);
    double system_part = strtod(end, NULL);
    *ret = (user + system_part) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static uint64_t parse_kib(const char *status, const char *name)
{
    const char *found = strstr(status, name);
    return found ? strtoull(found + strlen(name), NULL, 10) * 1024 : 0;
}

static int read_file(uint64_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%llu/%s", (unsigned long long)pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return rc_err_from_errno(errno);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    fclose(file);
    return len > 0 ? RC_OK : RC_ERR_IO;
}

int rc_sim_usage_of(uint64_t pid, struct rc_sim_usage *ret)
{
    char stat[2048], status[8192];
    struct rc_sim_usage usage;
    int err = read_file(pid, "stat", stat, sizeof(stat));
    if (err == RC_OK)
        err = read_file(pid, "status", status, sizeof(status));
    if (err != RC_OK)
        return err;
    if (!read_cpu_clock(pid, &usage.cpu_s) && !parse_cpu(stat, &usage.cpu_s))
        return RC_ERR_INVALID;
    usage.memory_bytes = parse_kib(status, "RssAnon:") + parse_kib(status, "RssShmem:");
    *ret = usage;
    return RC_OK;
}
