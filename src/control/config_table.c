/*
 * The configuration's keys. To add one: a field in config.h, a line here. `./dev docs` then rewrites
 * docs/configuration.md; a unit test fails while it is stale.
 */
#include "control/config_table.h"

#include "auth/acl.h"
#include "auth/password.h"
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

static bool is_access_key(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '|')
            return false;
    }
    return text.len > 0;
}

static bool is_log_topic(struct rc_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '_' && c != '-' && c != '%' && c != '|')
            return false;
    }
    return text.len > 0;
}

static bool is_group_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_group_id(text);
}

static bool is_instance_or_empty(struct rc_slice text)
{
    return text.len == 0 || rc_catalog_is_instance_id(text);
}

/* What --print-config writes instead reads back too; nobody can log in by it. */
static bool is_password(struct rc_slice text)
{
    struct rc_password_entry entry;
    return rc_password_parse(text, &entry) || rc_slice_eq_str(text, "(secret)");
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
};
SECTION(store, struct rc_config_store, store_entries);

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
};
SECTION(http, struct rc_config_http, http_entries);

/* ---- instances ---- */
static const struct rc_config_entry key_entries[] = {
    {.key = "access_key",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_key, access_key),
     .min = 1,
     .max = RC_CATALOG_ID_MAX,
     .is_valid = is_access_key,
     .expected = "1 to 64 printable ASCII characters without spaces and |",
     .is_live = true,
     .doc = "The AccessKey: the middle of a device's user name `Signature|<access_key>|<instance>`, and what "
            "RocketMQ clients sign with."},
    {.key = "secret_key",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_key, secret_key),
     .min = 1,
     .max = RC_CATALOG_SECRET_MAX,
     .is_live = true,
     .doc = "The SecretKey that goes with it."},
    {.key = "admin",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_key, is_admin),
     .default_text = "false",
     .is_live = true,
     .doc = "Clients that sign with this pair may read `$SYS`."},
};
SECTION(key, struct rc_config_key, key_entries);

static const struct rc_config_entry user_entries[] = {
    {.key = "name",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_user, name),
     .is_valid = rc_catalog_is_user_name,
     .expected = "1 to 128 bytes without control characters and |",
     .is_live = true,
     .doc =
         "The user name that clients send; `<name>|<instance>` where the instance is not the default one."},
    {.key = "password",
     .type = RC_CONFIG_SECRET,
     .offset = offsetof(struct rc_config_user, password),
     .min = 1,
     .max = RC_PASSWORD_ENTRY_MAX - 1,
     .is_valid = is_password,
     .expected = "a hashed password as `rollcall passwd` and mosquitto_passwd write it: $7$...",
     .is_live = true,
     .doc = "The hashed password: what `rollcall passwd` prints, or the part behind the colon of a line that "
            "`mosquitto_passwd` wrote."},
    {.key = "admin",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_user, is_admin),
     .default_text = "false",
     .is_live = true,
     .doc = "May read `$SYS`, and may use all topics whatever `acl` says."},
};
SECTION(user, struct rc_config_user, user_entries);

static const char *const access_names[] = {"read",      "write",      "readwrite", "deny",
                                           "deny-read", "deny-write", NULL};

static const struct rc_config_entry acl_entries[] = {
    {.key = "user",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, user),
     .max = RC_CATALOG_USER_MAX,
     .default_text = "",
     .is_live = true,
     .doc =
         "Whose user name fits this pattern (`*` any text, `?` one byte). Empty: everybody, those without a "
         "user name too."},
    {.key = "client",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_acl, client),
     .max = RC_CLIENT_ID_MAX,
     .default_text = "",
     .is_live = true,
     .doc = "Whose client ID fits this pattern. Empty: any."},
    {.key = "access",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_acl, access),
     .names = access_names,
     .default_text = "readwrite",
     .is_live = true,
     .doc = "`read`: may subscribe. `write`: may publish. `deny`, `deny-read`, `deny-write`: may not."},
    {.key = "topics",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_acl, topics),
     .max = 1000,
     .is_valid = rc_acl_topic_is_valid,
     .expected = "an MQTT topic filter, in which a % is %c, %u or %%",
     .is_live = true,
     .doc =
         "Topic filters with `+` and `#`. `%c` stands for the client ID, `%u` for the user name, `%%` for a "
         "percent sign. A subscription is allowed by a rule that covers all of it, and denied by one that "
         "meets any part of it: with `deny` on `secret/#`, a subscription to `#` is refused. `#` and `+` "
         "in front do not take topics that begin with `$`."},
};
SECTION(acl, struct rc_config_acl, acl_entries);

static const char *const choices[] = {"profile", "false", "true", NULL};
static const char *const qos_choices[] = {"profile", "0", "1", "2", NULL};

#define LIMIT(key_, type_, field_, max_, doc_)                                                               \
    {                                                                                                        \
        .key = key_, .type = type_, .offset = offsetof(struct rc_config_limits, field_), .max = max_,        \
        .default_text = "0", .is_live = true, .doc = doc_                                                    \
    }
#define LIMIT_CHOICE(key_, field_, names_, doc_)                                                             \
    {                                                                                                        \
        .key = key_, .type = RC_CONFIG_ENUM, .offset = offsetof(struct rc_config_limits, field_),            \
        .names = names_, .default_text = "profile", .is_live = true, .doc = doc_                             \
    }

static const struct rc_config_entry limits_entries[] = {
    LIMIT(
        "payload", RC_CONFIG_SIZE, payload, 256 * MIB,
        "Bytes of one message; a client that publishes a larger one is disconnected. product 64KiB, standard "
        "as `mqtt.max_packet_size` allows."),
    LIMIT("subscriptions", RC_CONFIG_INTEGER, subscriptions, 100000,
          "Subscriptions of one client. product 30, standard 1000."),
    LIMIT("keep_alive", RC_CONFIG_DURATION, keep_alive, 65535 * SECOND,
          "The longest keep-alive; a longer one, and none, count as this. product 8m, standard no limit."),
    LIMIT("inflight", RC_CONFIG_INTEGER, inflight, RC_LIMIT_INFLIGHT_MAX,
          "QoS 1 and 2 messages sent to a client and not acknowledged. Both 32."),
    LIMIT("receive_maximum", RC_CONFIG_INTEGER, receive_maximum, 65535,
          "QoS 1 and 2 messages that a client may have unacknowledged towards the server. Both 1024."),
    LIMIT("queued", RC_CONFIG_INTEGER, queued, 1000000,
          "Messages that wait for one client; the oldest is dropped. Both 1000."),
    LIMIT("queued_bytes", RC_CONFIG_SIZE, queued_bytes, TIB, "... and their bytes. Both 64MiB."),
    LIMIT("session_keep", RC_CONFIG_DURATION, session_keep, 3650 * DAY,
          "How long the session of an absent client of version 3.x, with its messages, is kept; clients of "
          "version 5 name a time of their own. Both 3d."),
    LIMIT("client_id", RC_CONFIG_INTEGER, client_id, RC_CLIENT_ID_MAX,
          "Bytes of a client ID. product 64, standard 1024."),
    LIMIT("topic_length", RC_CONFIG_INTEGER, topic_length, 65535,
          "Bytes of a topic. product 64 (P2P topics aside), standard 65535."),
    LIMIT("topic_levels", RC_CONFIG_INTEGER, topic_levels, 200,
          "Levels of a topic. product 64, standard 200."),
    LIMIT("topic_aliases", RC_CONFIG_INTEGER, topic_aliases, 1024,
          "Topic aliases that a client of version 5 may set. Both 32."),
    LIMIT_CHOICE("qos", qos, qos_choices, "The highest QoS. Both 2."),
    LIMIT_CHOICE("retained", retained, choices, "Retained messages. product false, standard true."),
    LIMIT_CHOICE("wills", wills, choices, "Wills. product false, standard true."),
    LIMIT_CHOICE("shared_subscriptions", shared_subscriptions, choices,
                 "`$share/<group>/<filter>`. product false, standard true."),
    LIMIT_CHOICE("wildcards", wildcards, choices, "`+` and `#` in subscriptions. Both true."),
};
SECTION(limits, struct rc_config_limits, limits_entries);

static const char *const rule_types[] = {"status-notice", NULL};

static const struct rc_config_entry rule_entries[] = {
    {.key = "id",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, id),
     .is_valid = rc_catalog_is_rule_id,
     .expected = "3 to 64 of letters, digits, - and _, at least one letter or digit",
     .is_live = true,
     .doc = "The rule's name, unique in its instance."},
    {.key = "type",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_rule, type),
     .names = rule_types,
     .default_text = "status-notice",
     .is_live = true,
     .doc = "`status-notice`: the arrivals and departures of a group's clients go to a RocketMQ topic."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, group),
     .is_valid = rc_catalog_is_group_id,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "The group whose clients it is about; one of the instance's `groups`. A group has one status "
            "rule at most."},
    {.key = "topic",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_rule, topic),
     .min = 1,
     .max = RC_MESSAGE_TOPIC_MAX,
     .is_valid = is_log_topic,
     .expected = "1 to 127 of letters, digits, -, _, % and |",
     .is_live = true,
     .doc = "The RocketMQ topic. For consumers that use a RocketMQ instance ID (a namespace) write "
            "`<namespace>%<topic>`."},
    {.key = "queues",
     .type = RC_CONFIG_INTEGER,
     .offset = offsetof(struct rc_config_rule, queues),
     .min = 1,
     .max = RC_STORE_QUEUES_PER_TOPIC_MAX,
     .default_text = "8",
     .is_live = true,
     .doc =
         "Queues of the topic when it does not exist yet; an existing topic keeps its own count. The events "
         "of one client are always in one queue."},
    {.key = "enabled",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_rule, is_enabled),
     .default_text = "true",
     .is_live = true,
     .doc = "A disabled rule is as none: the group's events go to the system topic. A connection keeps the "
            "topic "
            "that it began with."},
};
SECTION(rule, struct rc_config_rule, rule_entries);

static const char *const profile_names[] = {"product", "standard", NULL};
_Static_assert(RC_PROFILE_PRODUCT == 0 && RC_PROFILE_STANDARD == 1, "as profile_names has them");

static const struct rc_config_entry instance_entries[] = {
    {.key = "id",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_instance, id),
     .is_valid = rc_catalog_is_instance_id,
     .expected = "1 to 64 of letters, digits, - and _",
     .is_live = true,
     .doc = "The instance's ID: the last part of a device's user name."},
    {.key = "profile",
     .type = RC_CONFIG_ENUM,
     .offset = offsetof(struct rc_config_instance, profile),
     .names = profile_names,
     .default_text = "product",
     .is_live = true,
     .doc =
         "`product`: the ways and limits of ApsaraMQ for MQTT, for devices that were written for it. "
         "`standard`: an ordinary MQTT broker, with all that MQTT allows. `product` is the default because "
         "that is what the guide's devices, keys and groups expect, and because it lets in nobody whom "
         "the configuration does not name."},
    {.key = "keys",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, keys),
     .max = 1000,
     .section = &key_section,
     .is_live = true,
     .doc = "Key pairs. An access key belongs to one instance only."},
    {.key = "groups",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_instance, groups),
     .max = 10000,
     .is_valid = rc_catalog_is_group_id,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "Group IDs. A client's ID is `<group>@@@<device>`; clients of other groups are refused (profile "
            "product) or belong to `group` (profile standard)."},
    {.key = "topics",
     .type = RC_CONFIG_STRINGS,
     .offset = offsetof(struct rc_config_instance, topics),
     .max = 10000,
     .is_valid = rc_catalog_is_parent_topic,
     .expected = "3 to 64 of letters, digits, - and _",
     .is_live = true,
     .doc = "Parent topics: the first level of the MQTT topics that clients may publish and subscribe to "
            "(profile product). A client that uses another one is disconnected."},
    {.key = "rules",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, rules),
     .max = 100,
     .section = &rule_section,
     .is_live = true,
     .doc = "What goes to RocketMQ."},
    {.key = "group",
     .type = RC_CONFIG_STRING,
     .offset = offsetof(struct rc_config_instance, group),
     .default_text = "",
     .is_valid = is_group_or_empty,
     .expected = "a group ID: GID_ or GID- and then letters, digits, - and _, 7 to 64 in all",
     .is_live = true,
     .doc = "Profile standard: the group of clients whose ID does not begin with one of `groups`; its status "
            "rule says where their arrivals and departures go. Empty: `GID_standard`."},
    {.key = "anonymous",
     .type = RC_CONFIG_BOOL,
     .offset = offsetof(struct rc_config_instance, takes_anonymous),
     .default_text = "false",
     .is_live = true,
     .doc = "Profile standard: clients without a user name are let in. Where there are no `users`, any user "
            "name will do too."},
    {.key = "users",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, users),
     .max = 100000,
     .section = &user_section,
     .is_live = true,
     .doc = "Profile standard: who may log in with a password."},
    {.key = "acl",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config_instance, acl),
     .max = 1000,
     .section = &acl_section,
     .is_live = true,
     .doc = "Profile standard: who may use which topics. The first rule that fits decides; what none fits is "
            "refused. Without rules everything is allowed but `$SYS`."},
    {.key = "limits",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config_instance, limits),
     .section = &limits_section,
     .is_live = true,
     .doc = "Other limits than the profile's; 0 and `profile` leave it as it is."},
};
SECTION(instance, struct rc_config_instance, instance_entries);

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
     .doc = "Threads that serve MQTT clients. 0: one a core."},
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
    {.key = "http",
     .type = RC_CONFIG_SECTION,
     .offset = offsetof(struct rc_config, http),
     .section = &http_section,
     .doc = "The HTTP side."},
    {.key = "instances",
     .type = RC_CONFIG_SECTIONS,
     .offset = offsetof(struct rc_config, instances),
     .max = RC_CATALOG_INSTANCES_MAX,
     .section = &instance_section,
     .is_live = true,
     .doc = "Who may connect, and where their events go."},
};

const struct rc_config_section rc_config_root = {.name = "",
                                                 .size = sizeof(struct rc_config),
                                                 .entries = root_entries,
                                                 .count = sizeof(root_entries) / sizeof(root_entries[0])};
