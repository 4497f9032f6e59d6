/*
 * The configuration's keys. To add one: a field in config.h, a line here. `./dev docs` then rewrites
 * docs/configuration.md; a unit test fails while it is stale.
 */
#include "control/config_table.h"

#include "base/log.h"
#include "catalog/catalog.h"
#include "store/store.h"

#define KIB 1024ll
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define SECOND 1000ll
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

#define SECTION(name_, type_, entries_)                                                                      \
    static const struct rc_config_section name_##_section = {.name = #name_,                                 \
                                                             .size = sizeof(type_),                          \
                                                             .entries = entries_,                            \
                                                             .count =                                        \
                                                                 sizeof(entries_) / sizeof(entries_[0])}

static bool is_node_name(struct rc_slice text)
{
    return rc_catalog_is_instance_id(text);
}

static bool is_instance_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_instance_id(text);
}

/* ---- log ---- */
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
_Static_assert(RC_LOG_ERROR == 0 && RC_LOG_WARN == 1 && RC_LOG_INFO == 2 && RC_LOG_DEBUG == 3,
               "as log_levels has them");

static const struct rc_config_entry log_entries[] = {
    {.key = "level",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config, log.level) - offsetof(struct rc_config, log),
     .names = log_levels,
     .default_text = "info",
     .is_live = true,
     .doc = "How much the server says on its standard error."},
};
static const struct rc_config_section log_section = {
    .name = "log", .size = sizeof(int), .entries = log_entries, .count = 1};

/* ---- store ---- */
static const char *const flush_names[] = {"async", "sync", NULL};
_Static_assert(RC_FLUSH_ASYNC == 0 && RC_FLUSH_SYNC == 1, "as flush_names has them");

static const struct rc_config_entry store_entries[] = {
    {.key = "dir",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_store, dir),
     .min = 1,
     .max = 1024,
     .default_text = "/var/lib/rollcall",
     .doc =
         "The directory of the log, in RocketMQ's own on-disk format. It is made when it is missing, and is "
         "used by one server at a time. A relative path starts at the working directory."},
    {.key = "segment_size",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_store, segment_size),
     .min = 64 * KIB,
     .max = 2 * GIB - 4 * KIB,
     .default_text = "1GiB",
     .doc = "Size of one file of the log; its disk space is taken when the file is begun. Fixed for a "
            "directory's life."},
    {.key = "queue_file_entries",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_store, queue_file_entries),
     .min = 64,
     .max = 30000000,
     .default_text = "300000",
     .doc = "Messages in one index file of a queue. Fixed for a directory's life."},
    {.key = "flush",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_store, flush),
     .names = flush_names,
     .default_text = "async",
     .doc = "`async`: what was acknowledged survives the death of the process at once, and a power cut once "
            "`flush_interval` has passed. `sync`: it survives a power cut at once, one fdatasync a batch."},
    {.key = "flush_interval",
     .type = RC_CONFIG_DURATION,
     .offset = offsetof(struct rc_config_store, flush_interval),
     .min = 1,
     .max = 60 * SECOND,
     .default_text = "500ms",
     .doc = "With `flush: async`: the longest time until what was written is on the disk itself."},
    {.key = "retain_time",
     .type = RC_CONFIG_DURATION,
     .offset = offsetof(struct rc_config_store, retain_time),
     .min = SECOND,
     .max = 3650 * DAY,
     .default_text = "72h",
     .doc = "Messages older than this are deleted, a whole log file at a time."},
    {.key = "retain_size",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_store, retain_size),
     .max = 1024 * TIB,
     .default_text = "0",
     .doc = "The oldest log files are deleted while the log is larger than this. 0: no limit."},
    {.key = "quota",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_store, quota),
     .max = 1024 * TIB,
     .default_text = "0",
     .doc = "The most that the log may hold. When it is reached the server acts as on a full disk: it keeps "
            "what it has and refuses new connections. 0: the disk is the limit."},
    {.key = "min_free",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_store, min_free),
     .max = 1024 * TIB,
     .default_text = "256MiB",
     .doc =
         "What is to stay free on the disk. The log begins no file that would leave less, and with less left "
         "(whoever took it) new connections are refused, so that there is room to note what was delivered "
         "and to delete it. 0: nothing."},
};
SECTION(store, struct rc_config_store, store_entries);

/* ---- mqtt.sessions ---- */
static const struct rc_config_entry sessions_entries[] = {
    {.key = "flush",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_sessions, flush),
     .names = flush_names,
     .default_text = "async",
     .doc =
         "`async`: what was acknowledged survives the death of the process at once; a power cut may cost the "
         "last moments, and may damage the session store, which is then refused at the start. `sync`: it "
         "survives a power cut at once, one fdatasync a batch."},
    {.key = "flush_interval",
     .type = RC_CONFIG_DURATION,
     .offset = offsetof(struct rc_config_sessions, flush_interval),
     .min = 1,
     .max = 60 * SECOND,
     .default_text = "1s",
     .doc = "With `flush: async`: the longest time until what was written is on the disk itself."},
    {.key = "max_size",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_sessions, max_size),
     .min = 1 << 20,
     .max = 16 * TIB,
     .default_text = "8GiB",
     .doc =
         "The most that sessions and retained messages may take on the disk. When it is reached the server "
         "acts as on a full disk: what has to be kept is not acknowledged. The file grows as it is needed."},
};
SECTION(sessions, struct rc_config_sessions, sessions_entries);

/* ---- mqtt ---- */
static const struct rc_config_entry mqtt_entries[] = {
    {.key = "listeners",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_mqtt, listeners),
     .max = 16,
     .section = &rc_config_listener_section,
     .one_by_default = true,
     .doc = "Where MQTT clients connect."},
    {.key = "default_instance",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_mqtt, default_instance),
     .default_text = "",
     .is_valid = is_instance_or_empty,
     .expected = "the ID of one of the instances",
     .is_live = true,
     .doc = "The instance of clients whose user name names none, as those of an ordinary MQTT broker do. "
            "Empty: the only instance with `profile: standard`, when there is one."},
    {.key = "max_connections",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_mqtt, max_connections),
     .max = 50000000,
     .default_text = "0",
     .doc =
         "Connections at a time, on all listeners together. 0: as many as the limit on open files allows."},
    {.key = "max_packet_size",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_mqtt, max_packet_size),
     .min = 1 * KIB,
     .max = 4 * MIB,
     .default_text = "256KiB",
     .doc = "A client that sends a larger packet is disconnected."},
    {.key = "connect_timeout",
     .type = RC_CONFIG_DURATION,
     .offset = offsetof(struct rc_config_mqtt, connect_timeout),
     .min = 100,
     .max = 600 * SECOND,
     .default_text = "10s",
     .doc = "A connection without a complete CONNECT packet after this time is closed; a PROXY header, a TLS "
            "handshake and a WebSocket upgrade count in."},
    {.key = "sys_interval",
     .type = RC_CONFIG_DURATION,
     .offset = offsetof(struct rc_config_mqtt, sys_interval),
     .max = 3600 * SECOND,
     .default_text = "10s",
     .doc = "How often the numbers below `$SYS` are published to those who may read them. 0: never."},
    {.key = "queued_bytes",
     .type = RC_CONFIG_SIZE,
     .offset = offsetof(struct rc_config_mqtt, queued_bytes),
     .max = TIB,
     .default_text = "0",
     .doc =
         "Memory for QoS 1 and 2 messages that wait for clients or are under way to them, of all instances, "
         "divided evenly among the shards. When it is used up, the oldest message of the instance that has "
         "the most is dropped for a new one; where none waits the publisher is told (0x97). 0: 256MiB a "
         "shard."},
    {.key = "sessions",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_mqtt, sessions),
     .section = &sessions_section,
     .doc = "What outlives the server: sessions that outlive their connection, with their subscriptions and "
            "messages, and retained messages. They are kept in `rollcall/sessions` below `store.dir`. How "
            "long a "
            "session is kept is its instance's `limits.session_keep`, or less where a client of MQTT 5 asks "
            "for less."},
    {.key = "login_failures_per_address",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_mqtt, login_failures_per_address),
     .max = 65535,
     .default_text = "300",
     .doc = "Wrong passwords from one address in a minute; above that, logins with a password are refused "
            "there until the minute is over. 0: no limit."},
    {.key = "login_failures_per_client",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_mqtt, login_failures_per_client),
     .max = 65535,
     .default_text = "10",
     .doc = "The same for one client ID from one address. 0: no limit."},
    {.key = "traces_per_second",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_mqtt, traces_per_second),
     .min = 1,
     .max = 1000000,
     .default_text = "1000",
     .doc = "Steps that are kept in a second for all instances with `trace: true`, in equal parts by each "
            "thread; further ones are dropped and counted (`traces_dropped`). They are kept as long as the "
            "log keeps anything (`store.retain_time`): 1000 a second are about 25 GiB a day."},
};
SECTION(mqtt, struct rc_config_mqtt, mqtt_entries);

/* ---- rocketmq ---- */
static const struct rc_config_entry rocketmq_entries[] = {
    {.key = "bind",
     .type = RC_CONFIG_ADDRESS,
     .offset = offsetof(struct rc_config_rocketmq, bind),
     .default_text = "0.0.0.0:9876",
     .doc = "Where RocketMQ clients connect; the one port is name server and broker both."},
    {.key = "advertise",
     .type = RC_CONFIG_HOSTPORT,
     .offset = offsetof(struct rc_config_rocketmq, advertise),
     .max = 255,
     .default_text = "",
     .doc =
         "The host:port that consumers are told to connect to. Empty: the address at which their own "
         "connection arrived. Set it where they reach the server through NAT or a published container port."},
    {.key = "acl",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_rocketmq, acl),
     .default_text = "true",
     .doc = "RocketMQ clients must sign their requests with a key pair of some instance."},
    {.key = "auto_create_topics",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_rocketmq, auto_create_topics),
     .default_text = "true",
     .doc = "A RocketMQ producer that sends to an unknown topic creates it."},
    {.key = "instances",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_rocketmq, instances),
     .max = 100,
     .section = &rc_config_cluster_section,
     .is_live = true,
     .doc =
         "Apache RocketMQ clusters, 4.9 and 5.x, that rules may send to; the endpoint above needs no entry."},
};
SECTION(rocketmq, struct rc_config_rocketmq, rocketmq_entries);

/* ---- http ---- */
static const struct rc_config_entry http_entries[] = {
    {.key = "enabled",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_http, is_enabled),
     .default_text = "true",
     .doc = "Whether HTTP is served at all: OpenAPI, metrics, health."},
    {.key = "bind",
     .type = RC_CONFIG_ADDRESS,
     .offset = offsetof(struct rc_config_http, bind),
     .default_text = "127.0.0.1:18083",
     .doc =
         "Where HTTP clients connect. Calls of the OpenAPI are signed; metrics and health are not: whoever "
         "reaches this address may read them."},
    {.key = "tls_bind",
     .type = RC_CONFIG_LISTEN,
     .offset = offsetof(struct rc_config_http, tls_bind),
     .default_text = "",
     .doc = "Where HTTPS clients connect, such as `0.0.0.0:18443`; the same is served there as at `bind`. "
            "Empty: "
            "no HTTPS."},
    {.key = "tls",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_http, tls),
     .section = &rc_config_tls_section,
     .is_live = true,
     .doc = "For `tls_bind`. SIGHUP reads the files again, as it does for MQTT listeners."},
};
SECTION(http, struct rc_config_http, http_entries);

/* ---- registry ---- */
static const struct rc_config_entry registry_entries[] = {
    {.key = "key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_registry, key),
     .max = 64,
     .default_text = "",
     .doc = "The key by which secrets are encrypted in `rollcall/registry.db` below `store.dir`: 64 "
            "hexadecimal digits, best as `env:NAME` or `file:PATH`. Empty: the one in "
            "`rollcall/registry.db.key`, which is made at the first start. Without its key a registry cannot "
            "be read."},
};
SECTION(registry, struct rc_config_registry, registry_entries);

/* ---- the file ---- */
static const struct rc_config_entry root_entries[] = {
    {.key = "node",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config, node),
     .default_text = "rollcall-1",
     .is_valid = is_node_name,
     .expected = "1 to 64 of letters, digits, - and _",
     .doc = "The server's name: the broker name that RocketMQ clients see, and `rcNode` of each event."},
    {.key = "shards",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config, shards),
     .max = 256,
     .default_text = "0",
     .doc =
         "Threads that serve MQTT clients. 0: one a core, less one, which is left to the threads that serve "
         "all of them: log, RocketMQ endpoint, API."},
    {.key = "hints",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config, hints),
     .default_text = "false",
     .doc = "Once started, print commands to try, with a device's password: for trying out, not for "
            "production."},
    {.key = "log",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, log),
     .section = &log_section,
     .doc = "The server's own log."},
    {.key = "store",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, store),
     .section = &store_section,
     .doc = "The log of events and messages on disk."},
    {.key = "mqtt",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, mqtt),
     .section = &mqtt_section,
     .doc = "The MQTT side."},
    {.key = "rocketmq",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, rocketmq),
     .section = &rocketmq_section,
     .doc = "The RocketMQ side."},
    {.key = "registry",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, registry),
     .section = &registry_section,
     .doc = "What is made by the API (groups, keys, device credentials...) and kept beside the log."},
    {.key = "http",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, http),
     .section = &http_section,
     .doc = "The HTTP side."},
    {.key = "administrators",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config, administrators),
     .max = 100,
     .section = &rc_config_administrator_section,
     .is_live = true,
     .doc = "Key pairs that may do everything in all instances, and make instances (`rollcall ctl`)."},
    {.key = "instances",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config, instances),
     .max = RC_CATALOG_INSTANCES_MAX,
     .section = &rc_config_instance_section,
     .is_live = true,
     .doc = "Who may connect, and where their events go."},
};

const struct rc_config_section rc_config_root = {.name = "",
                                                 .size = sizeof(struct rc_config),
                                                 .entries = root_entries,
                                                 .count = sizeof(root_entries) / sizeof(root_entries[0])};
