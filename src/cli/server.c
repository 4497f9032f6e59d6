/*
 * Start and stop, in order. Start: store, what a crash left open, log writer, shards, RocketMQ endpoint,
 * listeners: nobody is let in before all that stands behind him is there. Stop: the same backwards; every
 * channel's end is in the log before the log writer goes.
 */
#include "cli/server.h"

#include "api/api.h"
#include "auth/password_pool.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/semaphore.h"
#include "broker/broker.h"
#include "cli/listeners.h"
#include "cli/publishing.h"
#include "cli/store_open.h"
#include "control/control.h"
#include "control/control_transports.h"
#include "net/listener.h"
#include "net/tls_context.h"
#include "presence/recovery.h"
#include "registry/registry.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/owners.h"
#include "rules/rules.h"
#include "session_store/session_store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct shard {
    struct rc_loop *loop;
    struct rc_broker *broker;
    bool is_running;
};

struct rc_server {
    const struct rc_config *config;
    struct rc_catalog *catalog;
    struct rc_store *store;
    struct rc_presence_recovery *recovery;
    struct rc_log_writer *writer;
    struct rc_log_retention retention;
    struct rc_owners *owners;
    struct rc_endpoint *endpoint;
    struct rc_rules *rules;
    struct rc_password_pool *passwords;
    struct rc_session_store *sessions;
    struct rc_registry *registry;
    struct rc_publishing publishing;
    struct shard *shards;
    struct rc_broker **brokers;
    uint32_t shards_count;
    sem_t shards_stopped; /* posted by each, by one that is late while it is drained */
    struct rc_api *api;
    struct rc_listeners *listeners;
    struct rc_address rocketmq, http, https;
    int rocketmq_fd, http_fd, https_fd;
    struct rc_tls *https_tls; /* until the API has taken it */
    struct rc_host store_host;
    char *snapshot;
};

/* ---- addresses ---- */

/* What stands in records as this server's address: the configured one, the bound one, or the machine's. */
static void find_store_host(struct rc_server *server)
{
    struct rc_address advertised;
    const char *text = server->config->rocketmq.advertise.text;
    struct rc_host *host = &server->store_host;
    const struct rc_address *address = &server->rocketmq;
    if (text[0] != '\0' && rc_address_parse(text, &advertised, NULL) == RC_OK)
        address = &advertised;
    host->port = rc_address_port(address);
    if (!rc_address_is_wildcard(address) && rc_address_ipv4(address, host->addr))
        return;
    static const uint8_t loopback[4] = {127, 0, 0, 1};
    if (rc_address_of_machine(host->addr) != RC_OK)
        memcpy(host->addr, loopback, sizeof(loopback));
}

/* All sockets are opened before anything else starts: a port in use is told at once. They accept later. */
static int open_sockets(struct rc_server *server, struct rc_transports *transports, struct rc_error *error)
{
    const struct rc_config *config = server->config;
    server->https_tls = transports->https;
    transports->https = NULL;
    int err = rc_listeners_open(config, server->shards_count, transports, &server->listeners, error);
    err = err ? err : rc_address_parse(config->rocketmq.bind.text, &server->rocketmq, error);
    err = err ? err : rc_listen_open(&server->rocketmq, &server->rocketmq_fd, 1, error);
    if (err == RC_OK && config->http.is_enabled) {
        err = rc_address_parse(config->http.bind.text, &server->http, error);
        err = err ? err : rc_listen_open(&server->http, &server->http_fd, 1, error);
    }
    if (err == RC_OK && server->https_tls != NULL) {
        err = rc_address_parse(config->http.tls_bind.text, &server->https, error);
        err = err ? err : rc_listen_open(&server->https, &server->https_fd, 1, error);
    }
    return err;
}

/* ---- the log ---- */

static int open_store(struct rc_server *server, struct rc_error *error)
{
    struct rc_store_options options;
    rc_store_options_of(&server->config->store, &options);
    struct rc_error why = {0};
    int err = rc_store_open(&options, &server->store, &why);
    return err == RC_OK ? RC_OK : rc_error_set(error, err, "%s: %s", options.dir, why.text);
}

static int recover(struct rc_server *server, struct rc_error *error)
{
    size_t len = strlen(server->config->store.dir.text) + sizeof("/rollcall/channels");
    server->snapshot = rc_malloc(len);
    snprintf(server->snapshot, len, "%s/rollcall/channels", server->config->store.dir.text);
    struct rc_presence_recovery_options options = {
        .store = server->store,
        .path = server->snapshot,
        .node = server->config->node.text,
        .store_host = server->store_host,
    };
    int err = rc_presence_recover(&options, &server->recovery, error);
    if (err == RC_OK && rc_presence_recovery_count(server->recovery) > 0)
        rc_log_warn("presence",
                    "the last run did not stop cleanly: %u channels were open and have got their tcpclean",
                    rc_presence_recovery_count(server->recovery));
    return err;
}

/* The log's bytes that open channels or rules still need stay. */
static uint64_t keep_from(void *arg, uint64_t target)
{
    struct rc_server *server = arg;
    uint64_t channels = rc_presence_recovery_keep_from(server->recovery, target);
    return rc_rules_keep_from(server->rules, channels);
}

/* From here on server->catalog is what the file declares and what was made by the API, ready to be used. */
static int open_registry(struct rc_server *server, struct rc_error *error)
{
    char dir[1024 + 16], path[sizeof(dir) + 16]; /* the configuration takes no longer one */
    const char *key = server->config->registry.key.text;
    snprintf(dir, sizeof(dir), "%s/rollcall", server->config->store.dir.text);
    snprintf(path, sizeof(path), "%s/registry.db", dir);
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return rc_error_set(error, rc_err_from_errno(errno), "%s cannot be made: %s", dir, strerror(errno));
    server->publishing.store = server->store;
    server->publishing.owners = server->owners;
    server->publishing.rules = server->rules;
    server->publishing.brokers = server->brokers;
    server->publishing.shards = server->shards_count;
    struct rc_registry_options options = {
        .path = path,
        .key_text = key[0] != '\0' ? key : NULL,
        .prepare = rc_publishing_prepare,
        .unprepare = rc_publishing_unprepare,
        .claim_topic = rc_publishing_claim_topic,
        .publish = rc_publishing_publish,
        .arg = &server->publishing,
    };
    int err = rc_registry_open(&options, &server->registry, error);
    struct rc_catalog *declared = server->catalog;
    err = err ? err : rc_registry_declare(server->registry, declared, &server->catalog, error);
    if (err == RC_OK)
        rc_catalog_unref(declared);
    return err;
}

static int start_log(struct rc_server *server, struct rc_error *error)
{
    int err = open_store(server, error);
    err = err ? err : rc_rules_create(server->store, &server->rules, error);
    err = err ? err : rc_owners_open(rc_store_own_dir(server->store), &server->owners, error);
    err = err ? err : open_registry(server, error);
    err = err ? err : recover(server, error);
    server->retention = (struct rc_log_retention){keep_from, server};
    err = err ? err : rc_log_writer_start(server->store, &server->retention, &server->writer, error);
    return err ? err : rc_rules_start(server->rules, server->writer, error);
}

/* ---- what MQTT keeps ---- */

static int open_sessions(struct rc_server *server, struct rc_error *error)
{
    char dir[1024 + 32]; /* the configuration takes no longer one */
    const struct rc_config_sessions *config = &server->config->mqtt.sessions;
    struct rc_session_store_options options;
    snprintf(dir, sizeof(dir), "%s/rollcall/sessions", server->config->store.dir.text);
    rc_session_store_options_default(&options);
    options.dir = dir;
    options.max_bytes = (uint64_t)config->max_size;
    options.flush = (enum rc_session_flush)config->flush;
    options.flush_interval_ms = (uint32_t)config->flush_interval;
    return rc_session_store_open(&options, &server->sessions, error);
}

/* All shards are there and none runs. */
static int restore_sessions(struct rc_server *server, struct rc_error *error)
{
    int err = rc_broker_restore(server->brokers, server->shards_count, server->sessions, error);
    return err ? err : rc_session_store_start(server->sessions, error);
}

/* ---- shards ---- */

static int create_shard(struct rc_server *server, uint32_t i, struct rc_error *error)
{
    static const char *const name = "rc-shard";
    struct shard *shard = &server->shards[i];
    const struct rc_config *config = server->config;
    int err = rc_loop_create(name, &shard->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "no event loop for a shard: %s", rc_err_text(err));
    struct rc_broker_options options;
    rc_broker_options_default(&options);
    options.loop = shard->loop;
    options.writer = server->writer;
    options.shard = i;
    options.shards = server->shards_count;
    options.brokers = server->brokers;
    options.catalog = server->catalog;
    options.node = config->node.text;
    options.store_host = server->store_host;
    options.floor_ms = rc_presence_recovery_greatest_ms(server->recovery);
    options.admission = rc_listeners_admission(server->listeners);
    if (config->mqtt.max_connections > 0) /* 0: as many as the process may have files */
        options.max_connections = (uint32_t)config->mqtt.max_connections;
    options.max_packet_size = (uint32_t)config->mqtt.max_packet_size;
    options.connect_timeout_ms = (uint32_t)config->mqtt.connect_timeout;
    options.sys_interval_ms = (uint32_t)config->mqtt.sys_interval;
    if (config->mqtt.queued_bytes > 0)
        options.max_queued_bytes = (size_t)config->mqtt.queued_bytes / server->shards_count;
    options.passwords = server->passwords;
    options.sessions = server->sessions;
    options.on_certificate = rc_publishing_on_certificate;
    options.on_certificate_arg = server->registry;
    options.login_failures_per_address = (uint32_t)config->mqtt.login_failures_per_address;
    options.login_failures_per_client = (uint32_t)config->mqtt.login_failures_per_client;
    options.traces_per_second =
        ((uint32_t)config->mqtt.traces_per_second + server->shards_count - 1) / server->shards_count;
    err = rc_broker_create(&options, &shard->broker);
    server->brokers[i] = shard->broker;
    return err ? rc_error_set(error, err, "a shard cannot be made: %s", rc_err_text(err)) : RC_OK;
}

static int start_shard(struct rc_server *server, uint32_t i, struct rc_error *error)
{
    struct shard *shard = &server->shards[i];
    int err = rc_listeners_start(server->listeners, i, shard->loop, shard->broker);
    if (err != RC_OK)
        return rc_error_set(error, err, "a shard cannot listen: %s", rc_err_text(err));
    err = rc_loop_start_thread(shard->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "no thread for a shard: %s", rc_err_text(err));
    shard->is_running = true;
    return RC_OK;
}

/* Those that this process may use: a container, or taskset, may have fewer than the machine. */
static uint32_t count_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t holds */
    return online > 0 ? (uint32_t)online : 1;
}

static int start_shards(struct rc_server *server, struct rc_error *error)
{
    int err = rc_password_pool_create(count_cores(), &server->passwords);
    if (err != RC_OK)
        return rc_error_set(error, err, "no threads to verify passwords: %s", rc_err_text(err));
    err = err ? err : open_sessions(server, error);
    for (uint32_t i = 0; err == RC_OK && i < server->shards_count; i++)
        err = create_shard(server, i, error);
    err = err ? err : restore_sessions(server, error);
    for (uint32_t i = 0; err == RC_OK && i < server->shards_count; i++)
        err = start_shard(server, i, error);
    return err;
}

static int start_endpoint(struct rc_server *server, struct rc_error *error)
{
    const struct rc_config *config = server->config;
    struct rc_endpoint_options options;
    rc_endpoint_options_default(&options);
    options.store = server->store;
    options.writer = server->writer;
    options.catalog = server->catalog;
    options.owners = server->owners;
    options.broker_name = config->node.text;
    options.advertise = config->rocketmq.advertise.text[0] ? config->rocketmq.advertise.text : NULL;
    options.store_host = server->store_host;
    options.acl = config->rocketmq.acl;
    options.auto_create_topics = config->rocketmq.auto_create_topics;
    int fd = server->rocketmq_fd;
    server->rocketmq_fd = -1;
    return rc_endpoint_start(&options, &fd, 1, &server->endpoint, error);
}

static int start_api(struct rc_server *server, struct rc_error *error)
{
    if (!server->config->http.is_enabled)
        return RC_OK;
    struct rc_api_options options = {
        .listen_fd = server->http_fd,
        .tls_listen_fd = server->https_fd,
        .tls = server->https_tls,
        .brokers = server->brokers,
        .shards = server->shards_count,
        .store = server->store,
        .writer = server->writer,
        .endpoint = server->endpoint,
        .rules = server->rules,
        .sessions = server->sessions,
        .registry = server->registry,
        .catalog = server->catalog,
        .node = server->config->node.text,
    };
    server->http_fd = server->https_fd = -1;
    server->https_tls = NULL;
    return rc_api_start(&options, &server->api, error);
}

/* After all that it publishes to. What clients of the API asked meanwhile has waited. */
static int start_registry(struct rc_server *server, struct rc_error *error)
{
    for (uint32_t i = 0; i < server->shards_count; i++)
        server->publishing.loops[i] = server->shards[i].loop;
    server->publishing.endpoint = server->endpoint;
    server->publishing.api = server->api;
    return rc_registry_start(server->registry, error);
}

/* Its consumers find this server's own topics as any client of the endpoint would. */
static void start_inflow(struct rc_server *server)
{
    char text[RC_ADDRESS_TEXT_MAX + 16];
    if (rc_address_is_wildcard(&server->rocketmq))
        snprintf(text, sizeof(text), "127.0.0.1:%u", rc_address_port(&server->rocketmq));
    else
        rc_address_format(&server->rocketmq, text);
    rc_rules_start_inflow(server->rules, server->brokers, server->shards_count, text);
}

/* ---- start ---- */

/*
 * With a shard on every core the log writer and the endpoint would wait for a core at each event, and on two
 * cores the shards would keep waking each other for what one of them does with less.
 */
static uint32_t choose_shards(const struct rc_config *config)
{
    uint32_t cores = count_cores();
    int64_t shards = config->shards > 0 ? config->shards : cores > 1 ? cores - 1 : 1;
    return shards > RC_BROKER_SHARDS_MAX ? RC_BROKER_SHARDS_MAX : (uint32_t)shards;
}

int rc_server_start(const struct rc_config *config, struct rc_catalog *catalog,
                    struct rc_transports *transports, struct rc_server **ret, struct rc_error *error)
{
    struct rc_server *server = rc_new(struct rc_server);
    server->config = config;
    server->catalog = catalog;
    sem_init(&server->shards_stopped, 0, 0);
    server->rocketmq_fd = server->http_fd = server->https_fd = -1;
    server->shards_count = choose_shards(config);
    server->shards = rc_calloc(server->shards_count, sizeof(*server->shards));
    server->brokers = rc_calloc(server->shards_count, sizeof(struct rc_broker *));
    int err = open_sockets(server, transports, error);
    if (err == RC_OK) {
        find_store_host(server);
        err = start_log(server, error);
    }
    err = err ? err : start_endpoint(server, error);
    err = err ? err : start_shards(server, error);
    err = err ? err : start_api(server, error);
    if (err == RC_OK)
        start_inflow(server);
    err = err ? err : start_registry(server, error);
    if (err != RC_OK) {
        rc_server_stop(server);
        return err;
    }
    rc_catalog_unref(server->catalog); /* all have it, and will have others */
    server->catalog = NULL;
    *ret = server;
    return RC_OK;
}

void rc_server_describe(const struct rc_server *server, char *out, size_t size)
{
    char text[RC_ADDRESS_TEXT_MAX];
    size_t len = rc_listeners_describe(server->listeners, out, size);
    if (len < size)
        len += (size_t)snprintf(out + len, size - len, "%srocketmq=%s", len ? " " : "",
                                rc_address_format(&server->rocketmq, text));
    if (len < size && server->api != NULL)
        len += (size_t)snprintf(out + len, size - len, " http=%s", rc_address_format(&server->http, text));
    if (len < size && server->api != NULL && server->https.len > 0)
        len += (size_t)snprintf(out + len, size - len, " https=%s", rc_address_format(&server->https, text));
    if (len < size)
        snprintf(out + len, size - len, " shards=%u", server->shards_count);
}

const struct rc_address *rc_server_mqtt_address(const struct rc_server *server)
{
    return rc_listeners_mqtt_address(server->listeners);
}

const struct rc_address *rc_server_rocketmq_address(const struct rc_server *server)
{
    return &server->rocketmq;
}

int rc_server_reload(struct rc_server *server, struct rc_catalog *catalog, struct rc_transports *transports,
                     struct rc_error *error)
{
    int err = rc_registry_declare(server->registry, catalog, NULL, error);
    rc_catalog_unref(catalog);
    if (err != RC_OK) {
        rc_transports_free(transports);
        return err;
    }
    struct rc_tls *https = transports->https;
    transports->https = NULL;
    rc_listeners_post(server->listeners, transports);
    for (uint32_t i = 0; i < server->shards_count; i++)
        rc_loop_sync(server->shards[i].loop);
    if (server->api != NULL) {
        rc_api_post_tls(server->api, https);
        rc_api_sync(server->api);
    }
    rc_tls_unref(https);
    return RC_OK;
}

/* ---- stop ---- */

/*
 * How long shards may take to write their channels' ends. A full disk must not hold the stop for as long: the
 * next start tells the rest.
 */
enum { STOP_MS = 10 * 1000, STOP_BLOCKED_MS = 1000, STOP_LOOK_MS = 50 };

static void on_shard_stopped(void *arg)
{
    sem_post(arg);
}

/* Waits for `running` shards, as long as there is hope. */
static void wait_for_shards(struct rc_server *server, uint32_t running)
{
    uint64_t begun = rc_clock_mono_ms(), worked = begun;
    while (running > 0) {
        if (rc_semaphore_wait(&server->shards_stopped, STOP_LOOK_MS)) {
            running--;
            continue;
        }
        uint64_t now = rc_clock_mono_ms();
        if (!rc_log_writer_is_blocked(server->writer))
            worked = now;
        if (now - begun < STOP_MS && now - worked < STOP_BLOCKED_MS)
            continue;
        rc_log_error("serve",
                     "%u shards did not stop in time: what is missing in the log is added at the next start",
                     running);
        return;
    }
}

static void stop_shards(struct rc_server *server)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < server->shards_count; i++) {
        if (!server->shards[i].is_running)
            continue;
        rc_listeners_post_stop(server->listeners, i);
        rc_broker_post_stop(server->shards[i].broker, on_shard_stopped, &server->shards_stopped);
        running++;
    }
    wait_for_shards(server, running);
    for (uint32_t i = 0; i < server->shards_count; i++) {
        if (!server->shards[i].is_running)
            continue;
        rc_loop_stop(server->shards[i].loop);
        rc_loop_join_thread(server->shards[i].loop);
    }
}

/* What shards had posted to each other when they ended: delivered while all of them are still there. */
static void drain_shards(struct rc_server *server)
{
    bool had_any;
    do {
        had_any = false;
        for (uint32_t i = 0; i < server->shards_count; i++)
            if (server->shards[i].loop != NULL)
                had_any |= rc_loop_drain(server->shards[i].loop);
    } while (had_any);
}

/* What the last turns changed is written before the brokers go; a report of the store may bring more. */
static void stop_sessions(struct rc_server *server)
{
    drain_shards(server);
    if (server->sessions == NULL)
        return;
    rc_session_store_stop(server->sessions);
    do {
        drain_shards(server);
        for (uint32_t i = 0; i < server->shards_count; i++)
            if (server->brokers[i] != NULL)
                rc_broker_write_sessions(server->brokers[i]);
    } while (rc_session_store_write_rest(server->sessions));
}

static void free_shards(struct rc_server *server)
{
    stop_sessions(server);
    for (uint32_t i = 0; i < server->shards_count; i++) {
        rc_broker_destroy(server->shards[i].broker);
        rc_loop_destroy(server->shards[i].loop);
    }
    free(server->shards);
    free(server->brokers);
}

void rc_server_stop(struct rc_server *server)
{
    rc_api_stop(server->api);
    rc_registry_stop(server->registry);
    rc_rules_stop_inflow(server->rules);
    stop_shards(server);
    rc_endpoint_stop(server->endpoint);
    rc_rules_stop(server->rules);
    if (server->writer != NULL && rc_log_writer_stop(server->writer) != RC_OK)
        rc_log_error("serve", "the log could not be written to its end: the rest is added at the next start");
    rc_api_free(server->api);
    rc_endpoint_free(server->endpoint);
    rc_password_pool_destroy(server->passwords);
    free_shards(server);
    rc_rules_destroy(server->rules); /* shards have counted for it until now */
    rc_registry_close(server->registry);
    rc_owners_close(server->owners);
    rc_session_store_close(server->sessions);
    rc_presence_recovery_destroy(server->recovery);
    if (server->store != NULL)
        rc_store_close(server->store);
    rc_listeners_free(server->listeners);
    if (server->rocketmq_fd != -1)
        close(server->rocketmq_fd);
    if (server->http_fd != -1)
        close(server->http_fd);
    if (server->https_fd != -1)
        close(server->https_fd);
    rc_tls_unref(server->https_tls);
    rc_catalog_unref(server->catalog);
    free(server->snapshot);
    sem_destroy(&server->shards_stopped);
    free(server);
}
