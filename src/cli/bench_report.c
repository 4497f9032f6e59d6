#include "cli/bench_report.h"

#include <stdio.h>
#include <string.h>

static const struct percentile {
    const char *name;
    uint32_t per_100k;
} percentiles[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p999", 99900}};
enum { PERCENTILES = sizeof(percentiles) / sizeof(percentiles[0]) };

static const char *const names[] = {"hold", "churn", "publish", "produce", "consume"};

const char *rc_bench_pattern_name(enum rc_bench_pattern pattern)
{
    return names[pattern];
}

bool rc_bench_pattern_parse(const char *name, enum rc_bench_pattern *ret)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum rc_bench_pattern)i;
            return true;
        }
    }
    return false;
}

static bool has_messages(const struct rc_bench_options *options)
{
    return options->pattern >= RC_BENCH_PUBLISH;
}

/* The phase that counts, and how much was done in it. */
static double work_cpu_s(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    if (has_messages(options))
        return result->worked.cpu_s - result->connected.cpu_s;
    return (options->pattern == RC_BENCH_CHURN ? result->after.cpu_s : result->connected.cpu_s) -
           result->before.cpu_s;
}

static uint64_t work_count(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    if (options->pattern == RC_BENCH_CONSUME)
        return result->received;
    if (options->pattern == RC_BENCH_PRODUCE)
        return result->acked;
    return has_messages(options) ? result->sent : result->up;
}

static double each_us(double cpu_s, uint64_t count)
{
    return count > 0 ? cpu_s * 1e6 / (double)count : 0;
}

static double bytes_each(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    if (options->pattern != RC_BENCH_HOLD || result->up == 0)
        return 0;
    return ((double)result->connected.memory_bytes - (double)result->before.memory_bytes) /
           (double)result->up;
}

/* ---- for programs ---- */

static void put_real(struct rc_json *json, const char *key, double value)
{
    rc_json_put_int(json, key, (int64_t)(value * 1000 + (value < 0 ? -0.5 : 0.5)));
}

static void put_histogram(struct rc_json *json, const char *key, const struct rc_histogram *histogram)
{
    rc_json_key(json, key);
    rc_json_object_begin(json);
    rc_json_put_int(json, "count", (int64_t)histogram->count);
    for (int i = 0; i < PERCENTILES; i++)
        rc_json_put_int(json, percentiles[i].name,
                        (int64_t)rc_histogram_at(histogram, percentiles[i].per_100k));
    rc_json_put_int(json, "max", (int64_t)histogram->max);
    rc_json_object_end(json);
}

static void put_server(struct rc_json *json, const struct rc_bench_options *options,
                       const struct rc_bench_result *result)
{
    double cpu_s = work_cpu_s(options, result);
    rc_json_key(json, "server");
    rc_json_object_begin(json);
    rc_json_put_int(json, "pid", (int64_t)options->pid);
    put_real(json, "cpuMs", cpu_s);
    put_real(json, "cpuNsEach", each_us(cpu_s, work_count(options, result)));
    if (options->pattern == RC_BENCH_PUBLISH)
        put_real(json, "cpuNsEachDelivery", each_us(cpu_s, result->received));
    if (options->is_absent)
        put_real(json, "cpuReturnMs", result->after.cpu_s - result->worked.cpu_s);
    rc_json_put_int(json, "memoryBefore", (int64_t)result->before.memory_bytes);
    rc_json_put_int(json, "memoryConnected", (int64_t)result->connected.memory_bytes);
    rc_json_put_int(json, "memoryAfter", (int64_t)result->after.memory_bytes);
    if (options->pattern == RC_BENCH_HOLD) {
        rc_json_put_int(json, "bytesEach", (int64_t)bytes_each(options, result));
        put_real(json, "cpuIdleMs", result->after.cpu_s - result->connected.cpu_s);
    }
    rc_json_object_end(json);
}

static void print_json(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    struct rc_buf out;
    struct rc_json json;
    rc_buf_init(&out, 65536);
    rc_json_init(&json, &out);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "pattern", rc_bench_pattern_name(options->pattern));
    rc_json_put_int(&json, "started", (int64_t)result->started);
    rc_json_put_int(&json, "up", (int64_t)result->up);
    rc_json_put_int(&json, "failed", (int64_t)result->failed);
    rc_json_put_int(&json, "sent", (int64_t)result->sent);
    rc_json_put_int(&json, "acked", (int64_t)result->acked);
    rc_json_put_int(&json, "received", (int64_t)result->received);
    rc_json_put_int(&json, "expected", (int64_t)result->expected);
    rc_json_put_int(&json, "connectNs", (int64_t)result->connect_ns);
    rc_json_put_int(&json, "workNs", (int64_t)result->work_ns);
    put_histogram(&json, "connectUs", &result->connect_us);
    put_histogram(&json, "latencyUs", &result->latency_us);
    put_histogram(&json, "lateUs", &result->late_us);
    if (options->pid != 0)
        put_server(&json, options, result);
    rc_json_object_end(&json);
    printf("%.*s\n", RC_SLICE_FMT(rc_buf_slice(&out)));
    rc_buf_free(&out);
}

/* ---- for people ---- */

static void print_histogram(const char *what, const struct rc_histogram *histogram)
{
    if (histogram->count == 0)
        return;
    printf("%-18s", what);
    for (int i = 0; i < PERCENTILES; i++)
        printf(" %s %.3f", percentiles[i].name,
               (double)rc_histogram_at(histogram, percentiles[i].per_100k) / 1e3);
    printf(" max %.3f ms (%llu)\n", (double)histogram->max / 1e3, (unsigned long long)histogram->count);
}

static void print_server(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    double cpu_s = work_cpu_s(options, result);
    if (options->pid == 0) {
        printf("server            its process was not found: --pid tells its CPU and memory\n");
        return;
    }
    printf("server CPU         %.3f s, %.2f us a %s", cpu_s, each_us(cpu_s, work_count(options, result)),
           has_messages(options) ? "message" : "connection");
    if (options->pattern == RC_BENCH_PUBLISH && result->received > 0)
        printf(", %.2f us a delivery", each_us(cpu_s, result->received));
    if (options->is_absent)
        printf(", %.3f s for the return", result->after.cpu_s - result->worked.cpu_s);
    printf("\nserver memory      %.1f MiB before, %.1f MiB connected, %.1f MiB after",
           (double)result->before.memory_bytes / 1048576, (double)result->connected.memory_bytes / 1048576,
           (double)result->after.memory_bytes / 1048576);
    if (options->pattern == RC_BENCH_HOLD)
        printf(": %.0f bytes a connection", bytes_each(options, result));
    printf("  (RssAnon + RssShmem)\n");
}

static void print_text(const struct rc_bench_options *options, const struct rc_bench_result *result)
{
    if (options->pattern < RC_BENCH_PRODUCE)
        printf("connections        %llu begun, %llu accepted, %llu failed, in %.2f s\n",
               (unsigned long long)result->started, (unsigned long long)result->up,
               (unsigned long long)result->failed, (double)result->connect_ns / 1e9);
    else
        printf("requests           %llu, %llu messages failed\n", (unsigned long long)result->started,
               (unsigned long long)result->failed);
    if (has_messages(options)) {
        printf("messages           %llu sent, %llu acknowledged, %llu of %llu received",
               (unsigned long long)result->sent, (unsigned long long)result->acked,
               (unsigned long long)result->received, (unsigned long long)result->expected);
        if (result->work_ns > 0)
            printf(", in %.2f s: %.0f sent/s, %.0f received/s", (double)result->work_ns / 1e9,
                   (double)result->sent * 1e9 / (double)result->work_ns,
                   (double)result->received * 1e9 / (double)result->work_ns);
        printf("\n");
    }
    print_histogram("due to CONNACK", &result->connect_us);
    print_histogram(options->pattern == RC_BENCH_PRODUCE ? "due to answer" : "due to received",
                    &result->latency_us);
    if (options->rate > 0)
        print_histogram("due to sent", &result->late_us);
    print_server(options, result);
}

void rc_bench_report(const struct rc_bench_options *options, const struct rc_bench_result *result,
                     bool is_json)
{
    if (is_json)
        print_json(options, result);
    else
        print_text(options, result);
}
