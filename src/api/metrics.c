#include "api/api_private.h"
#include "api/metrics_rules.h"
#include "base/alloc.h"
#include "registry/registry.h"
#include "rocketmq/endpoint.h"
#include "session_store/session_store.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what shards count ---- */

struct counter {
    const char *name, *help;
    size_t offset;
};

#define X(name, text) {#name, text, offsetof(struct rc_broker_counters, name)},
static const struct counter counters[] = {RC_BROKER_COUNTER_MAP(X)};
#undef X

/* Those that also go down. */
static bool is_gauge(const struct counter *counter)
{
    static const char *const gauges[] = {"connections",         "clients",       "sessions",
                                         "sessions_persistent", "subscriptions", "sys_subscriptions",
                                         "shared_groups"};
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        if (strcmp(gauges[i], counter->name) == 0)
            return true;
    return false;
}

static uint64_t sum(const struct rc_api *api, const struct counter *counter)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < api->options.shards; i++) {
        const uint8_t *base = (const uint8_t *)rc_broker_counters(api->options.brokers[i]);
        total += atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(base + counter->offset),
                                      memory_order_relaxed);
    }
    return total;
}

static void put(struct rc_buf *out, const char *kind, const char *name, const char *help, uint64_t value)
{
    const char *suffix = strcmp(kind, "counter") == 0 ? "_total" : "";
    rc_buf_printf(out, "# HELP rollcall_%s%s %s\n# TYPE rollcall_%s%s %s\nrollcall_%s%s %llu\n", name, suffix,
                  help, name, suffix, kind, name, suffix, (unsigned long long)value);
}

/* ---- what the RocketMQ endpoint counts ---- */

#define X(name, text) {"rocketmq_" #name, text, offsetof(struct rc_endpoint_counters, name)},
static const struct counter endpoint_counters[] = {RC_ENDPOINT_COUNTER_MAP(X)};
#undef X

static void put_endpoint(const struct rc_endpoint *endpoint, struct rc_buf *out)
{
    const uint8_t *base = (const uint8_t *)rc_endpoint_counters(endpoint);
    for (size_t i = 0; i < sizeof(endpoint_counters) / sizeof(endpoint_counters[0]); i++) {
        const struct counter *counter = &endpoint_counters[i];
        bool goes_down =
            strcmp(counter->name, "rocketmq_peers") == 0 || strcmp(counter->name, "rocketmq_pulls_held") == 0;
        put(out, goes_down ? "gauge" : "counter", counter->name, counter->help,
            atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)(base + counter->offset),
                                 memory_order_relaxed));
    }
}

static void put_sessions(const struct rc_session_store *store, struct rc_buf *out)
{
    if (store == NULL)
        return;
    const struct rc_session_store_counters *counted = rc_session_store_counters(store);
    put(out, "counter", "session_store_transactions", "transactions of the session store",
        counted->transactions);
    put(out, "counter", "session_store_operations", "changes of sessions that were written",
        counted->operations);
    put(out, "counter", "session_store_failures", "transactions of the session store that failed",
        counted->failures);
    put(out, "gauge", "session_store_blocked", "1 while the session store takes nothing (full?)",
        rc_session_store_is_blocked(store));
}

/* A histogram, as Prometheus has them: each bucket counts those before it too. */
static void put_reach(const struct rc_registry_stats *stats, struct rc_buf *out)
{
    static const char name[] = "rollcall_registry_change_seconds";
    uint64_t count = 0;
    rc_buf_printf(
        out,
        "# HELP %s from a change that was asked for until it is durable and every shard goes by it\n"
        "# TYPE %s histogram\n",
        name, name);
    for (size_t i = 0; i < RC_REGISTRY_REACH_BOUNDS; i++) {
        count += stats->reach[i];
        rc_buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, rc_registry_reach_bounds_us[i] / 1e6,
                      (unsigned long long)count);
    }
    count += stats->reach[RC_REGISTRY_REACH_BOUNDS];
    rc_buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
                  (unsigned long long)count, name, (double)stats->reach_sum_us / 1e6, name,
                  (unsigned long long)count);
    rc_buf_printf(out,
                  "# HELP rollcall_registry_longest_change_seconds the longest of them since the start\n"
                  "# TYPE rollcall_registry_longest_change_seconds gauge\n"
                  "rollcall_registry_longest_change_seconds %.6f\n",
                  (double)stats->reach_max_us / 1e6);
}

static void put_registry(const struct rc_registry *registry, struct rc_buf *out)
{
    struct rc_registry_stats stats;
    if (registry == NULL)
        return;
    rc_registry_stats(registry, &stats);
    put(out, "gauge", "registry_jobs_waiting", "changes that wait for the registry", stats.waiting);
    put(out, "gauge", "registry_reads_waiting", "lists that wait for the registry", stats.waiting_reads);
    put(out, "counter", "registry_commits", "transactions of the registry", stats.commits);
    put(out, "counter", "registry_failures", "transactions of the registry that failed", stats.failures);
    put(out, "counter", "registry_checkpoints",
        "times that its write-ahead log was carried over into the database", stats.checkpoints);
    put(out, "counter", "registry_checkpoints_in_way", "times that changes had to wait for that",
        stats.checkpoints_in_way);
    put_reach(&stats, out);
}

static void put_https(const struct rc_tls_relay *https, struct rc_buf *out)
{
    if (https == NULL)
        return;
    const struct rc_tls_relay_counters *counted = rc_tls_relay_counters(https);
    put(out, "counter", "https_accepted", "HTTPS connections accepted", counted->accepted);
    put(out, "counter", "https_refused", "HTTPS connections refused: a limit", counted->refused);
    put(out, "counter", "https_failed_handshakes", "HTTPS handshakes that failed",
        counted->failed_handshakes);
    put(out, "counter", "https_late_handshakes", "HTTPS handshakes that took too long",
        counted->late_handshakes);
}

static void put_http(struct rc_http_server *server, struct rc_buf *out)
{
    const struct rc_http_counters *http = rc_http_server_counters(server);
    const struct rc_places *places = rc_http_server_places(server);
    put(out, "gauge", "http_connections", "HTTP and HTTPS connections", places->count);
    put(out, "gauge", "http_held_bytes", "bytes of bodies and answers in memory", places->bytes);
    put(out, "counter", "http_requests", "HTTP requests", http->requests);
    put(out, "counter", "http_refused_connections", "HTTP connections refused: a limit of all together",
        places->refused);
    put(out, "counter", "http_refused_connections_of_address",
        "HTTP connections refused: the limit of one address", places->refused_of_address);
    put(out, "counter", "http_given_up_connections",
        "HTTP connections closed for those of an address that had fewer", places->given_up);
    put(out, "counter", "http_refused_bodies", "HTTP requests refused: too large, or too many bytes at once",
        http->refused_bodies);
    put(out, "counter", "http_late_requests", "HTTP requests that took too long to come",
        http->late_requests);
    put(out, "counter", "http_unread_answers", "HTTP answers that were not read in time",
        http->unread_answers);
    put(out, "counter", "http_answers_4xx", "HTTP answers that blame the asker", http->answers_4xx);
    put(out, "counter", "http_answers_5xx", "HTTP answers that blame the server", http->answers_5xx);
}

static void put_refusals(const struct rc_api *api, struct rc_buf *out)
{
    rc_buf_printf(out, "# HELP rollcall_api_refusals_total calls of the API that were refused\n"
                       "# TYPE rollcall_api_refusals_total counter\n");
    for (uint32_t i = 0; i < RC_API_ERRORS; i++)
        rc_buf_printf(out, "rollcall_api_refusals_total{code=\"%s\"} %llu\n", rc_api_error_code(i),
                      (unsigned long long)api->errors[i]);
}

void rc_metrics_write(const struct rc_api *api, struct rc_buf *out)
{
    const struct rc_log_writer *writer = api->options.writer;
    struct rc_log_stats log;
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        char name[96];
        snprintf(name, sizeof(name), "mqtt_%s", counters[i].name);
        put(out, is_gauge(&counters[i]) ? "gauge" : "counter", name, counters[i].help,
            sum(api, &counters[i]));
    }
    rc_log_writer_stats(writer, &log);
    put(out, "counter", "log_records", "records appended to the log", log.records);
    put(out, "counter", "log_bytes", "bytes appended to the log", log.bytes);
    put(out, "counter", "log_batches", "writes of the log", log.batches);
    put(out, "counter", "log_fdatasyncs", "fdatasync calls", log.fdatasyncs);
    put(out, "counter", "log_write_errors", "writes that failed", log.write_errors);
    put(out, "gauge", "log_blocked", "1 while the log takes nothing (a full disk)",
        rc_log_writer_is_blocked(writer));
    put(out, "gauge", "log_disk_low", "1 while the disk has less than store.min_free left",
        rc_log_writer_is_disk_low(writer));
    put(out, "gauge", "log_disk_free_bytes", "what is free on the disk of the log",
        rc_store_free_bytes(api->options.store));
    put(out, "gauge", "log_end_bytes", "the published end of the log",
        rc_store_max_physical(api->options.store));
    put_endpoint(api->options.endpoint, out);
    put_sessions(api->options.sessions, out);
    rc_metrics_put_rules(api, out);
    put_registry(api->options.registry, out);
    put_refusals(api, out);
    put_https(api->https, out);
    put_http(api->http, out);
    rc_buf_printf(out,
                  "# HELP rollcall_build_info version and node\n# TYPE rollcall_build_info gauge\n"
                  "rollcall_build_info{version=\"%s\",node=\"%s\"} 1\n",
                  RC_VERSION, api->options.node);
}
