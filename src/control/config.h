/*
 * The configuration as the program sees it: every value checked, every default in place. What keys there are,
 * their bounds, defaults and explanations stand in one table (config_table.c); reading, printing and the
 * reference in docs/configuration.md all come from that table.
 *
 * Units: sizes in bytes, durations in milliseconds. All strings live as long as the rc_config.
 */
#ifndef RC_CONTROL_CONFIG_H
#define RC_CONTROL_CONFIG_H

#include "base/buf.h"
#include "base/error.h"

enum {
    RC_CONFIG_FILE_MAX = 8 * 1024 * 1024,
    RC_CONFIG_DEPTH_MAX = 16,
    RC_CONFIG_NODES_MAX = 500000,
    RC_CONFIG_TEXT_FILE_MAX = 20 * 1024, /* read of a file: of a secret, of a certificate */
    RC_CONFIG_ALLOWED_MAX = 1000,        /* instances that may use one RocketMQ cluster */
    RC_CONFIG_NAMESERVERS_MAX = 16,      /* of one RocketMQ cluster */
    RC_CONFIG_ERRORS_MAX = 50,           /* reported one by one; further ones are counted */
};

/* A place in the file, counted from 1; line 0 for a default. */
struct rc_config_at {
    uint32_t line, column;
};

struct rc_config_text {
    const char *text; /* never NULL */
    struct rc_config_at at;
};

struct rc_config_list {
    void *items; /* of the type that the field's comment names */
    uint32_t count;
};

enum rc_config_key_role { RC_CONFIG_KEY_USER, RC_CONFIG_KEY_READ_ONLY };

struct rc_config_key {
    struct rc_config_text access_key, secret_key;
    int role; /* enum rc_config_key_role */
    bool is_admin;
};

struct rc_config_user {
    struct rc_config_text name, password;
    bool is_admin;
};

enum rc_config_access {
    RC_CONFIG_READ,
    RC_CONFIG_WRITE,
    RC_CONFIG_READWRITE,
    RC_CONFIG_DENY,
    RC_CONFIG_DENY_READ,
    RC_CONFIG_DENY_WRITE,
};

struct rc_config_acl {
    struct rc_config_text user, client;
    int access;                   /* enum rc_config_access */
    struct rc_config_list topics; /* struct rc_config_text */
};

struct rc_config_credential {
    struct rc_config_text client_id, access_key, secret_key;
};

/* Its permissions are struct rc_config_acl, with names instead of patterns. */
struct rc_config_identity {
    struct rc_config_text user, client, secret;
    bool is_signed;
};

struct rc_config_device_certificate {
    struct rc_config_text certificate; /* PEM */
    bool is_active;
};

struct rc_config_ca {
    struct rc_config_text name, certificate; /* PEM */
    bool is_active;
    struct rc_config_list devices; /* struct rc_config_device_certificate */
};

struct rc_config_tag {
    struct rc_config_text key, value, group;
};

struct rc_config_endpoint_topic {
    struct rc_config_text name;
    int64_t queues;
};

/* Of the embedded RocketMQ endpoint. */
struct rc_config_endpoint {
    struct rc_config_list topics; /* struct rc_config_endpoint_topic */
    struct rc_config_list groups; /* struct rc_config_text */
};

enum rc_config_choice { RC_CONFIG_OF_PROFILE, RC_CONFIG_NO, RC_CONFIG_YES };

/* What an instance sets on top of its profile; 0 and RC_CONFIG_OF_PROFILE leave it to that. */
struct rc_config_limits {
    int64_t payload, subscriptions, keep_alive, inflight, receive_maximum, queued, queued_bytes, session_keep;
    int64_t queued_all, queued_all_bytes;
    int64_t client_id, topic_length, topic_levels, topic_aliases;
    int qos;                                                               /* of the profile, 0, 1, 2 */
    int retained, wills, shared_subscriptions, wildcards, refusal_reasons; /* enum rc_config_choice */
};

enum rc_config_rule_type {
    RC_CONFIG_RULE_STATUS_NOTICE,
    RC_CONFIG_RULE_OUTFLOW,
    RC_CONFIG_RULE_INFLOW,
};

enum rc_config_from { RC_CONFIG_FROM_LAST, RC_CONFIG_FROM_FIRST };

struct rc_config_rule {
    struct rc_config_text id;
    int type; /* enum rc_config_rule_type */
    struct rc_config_text description;
    struct rc_config_text group, topic;
    struct {
        struct rc_config_text mqtt_topic;             /* outflow */
        struct rc_config_text instance, topic, group; /* inflow */
        int from;                                     /* enum rc_config_from */
    } source;
    struct {
        struct rc_config_text instance, topic; /* both or none */
        bool fails_over;
        struct rc_config_text mqtt_topic; /* inflow */
    } target;
    int64_t queues;
    bool is_enabled;
};

struct rc_config_instance {
    struct rc_config_text id;
    int profile;                  /* enum rc_profile */
    struct rc_config_list keys;   /* struct rc_config_key */
    struct rc_config_list groups; /* struct rc_config_text */
    struct rc_config_list topics; /* struct rc_config_text */
    struct rc_config_list rules;  /* struct rc_config_rule */
    bool takes_anonymous, is_traced;
    struct rc_config_text group;
    struct rc_config_list users; /* struct rc_config_user */
    struct rc_config_list acl;   /* struct rc_config_acl */
    struct rc_config_limits limits;
    struct rc_config_list credentials; /* struct rc_config_credential */
    struct rc_config_list identities;  /* struct rc_config_identity */
    struct rc_config_list permissions; /* struct rc_config_acl */
    struct rc_config_list blacklist;   /* struct rc_config_text */
    struct rc_config_list cas;         /* struct rc_config_ca */
    struct rc_config_list tags;        /* struct rc_config_tag */
    struct rc_config_endpoint rocketmq;
};

struct rc_config_certificate {
    struct rc_config_text certificate, key;
};

struct rc_config_tls {
    struct rc_config_list certificates; /* struct rc_config_certificate */
    struct rc_config_text client_ca;
    int client_certificate;         /* enum rc_tls_client_certificate (net/tls_context.h) */
    struct rc_config_list versions; /* struct rc_config_text: tls1.2, tls1.3; none: both */
    struct rc_config_text ciphers, ciphersuites;
    bool kernel_tls;
};

struct rc_config_listener {
    struct rc_config_text name, bind; /* complete: filled in where the file leaves them out */
    int transport;                    /* enum rc_transport_kind (net/transport.h) */
    int zone;                         /* enum rc_config_zone */
    struct rc_config_list domains;    /* struct rc_config_text */
    struct rc_config_tls tls;
    struct {
        struct rc_config_text path;
    } websocket;
    struct {
        struct rc_config_list trusted; /* struct rc_config_text: blocks of addresses */
    } proxy_protocol;
    struct {
        int64_t connections, connections_per_second, handshakes, bytes_per_second;
    } limits;
};

enum rc_config_zone { RC_CONFIG_ZONE_PUBLIC, RC_CONFIG_ZONE_VPC };

struct rc_config_store {
    struct rc_config_text dir;
    int64_t segment_size, queue_file_entries;
    int flush; /* enum rc_flush (store/store.h) */
    int64_t flush_interval, retain_time, retain_size, quota, min_free;
};

struct rc_config_sessions {
    int flush; /* enum rc_session_flush (session_store/session_store.h) */
    int64_t flush_interval, max_size;
};

struct rc_config_mqtt {
    struct rc_config_list listeners; /* struct rc_config_listener */
    struct rc_config_text default_instance;
    int64_t max_connections, max_packet_size, connect_timeout;
    int64_t sys_interval, queued_bytes;
    struct rc_config_sessions sessions;
    int64_t login_failures_per_address, login_failures_per_client;
    int64_t traces_per_second;
};

/* A RocketMQ cluster that rules may send to. */
struct rc_config_cluster {
    struct rc_config_text name;
    struct rc_config_list nameservers; /* struct rc_config_text */
    struct rc_config_list allowed;     /* struct rc_config_text: instances; none: all */
    struct rc_config_text access_key, secret_key, name_space;
    struct {
        bool is_enabled, verifies;
        struct rc_config_text ca, certificate, key, server_name;
    } tls;
};

struct rc_config_rocketmq {
    struct rc_config_text bind, advertise;
    bool acl, auto_create_topics;
    struct rc_config_list instances; /* struct rc_config_cluster */
};

struct rc_config_registry {
    struct rc_config_text key; /* 64 hexadecimal digits, or empty */
};

struct rc_config_http {
    bool is_enabled;
    struct rc_config_text bind, tls_bind; /* tls_bind: empty for no HTTPS */
    struct rc_config_tls tls;
};

struct rc_config {
    struct rc_config_text node;
    int64_t shards; /* 0: as many as there are cores */
    bool hints;
    struct {
        int level; /* enum rc_log_level */
    } log;
    struct rc_config_store store;
    struct rc_config_mqtt mqtt;
    struct rc_config_rocketmq rocketmq;
    struct rc_config_http http;
    struct rc_config_registry registry;
    struct rc_config_list administrators; /* struct rc_config_key */
    struct rc_config_list instances;      /* struct rc_config_instance */

    const char *file; /* the path it was read from */
    struct rc_config_memory *memory;
};

/* What is wrong with a file: one line an error, `file:line:column: key: what was given, what was expected`.
 */
struct rc_config_errors {
    struct rc_buf text; /* lines, each with its newline */
    uint32_t count;
};

void rc_config_errors_init(struct rc_config_errors *errors);
void rc_config_errors_free(struct rc_config_errors *errors);
/* `at` line 0: the line and column are left out. `path` may be empty. */
void rc_config_errors_add(struct rc_config_errors *errors, const char *file, struct rc_config_at at,
                          const char *path, const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Reads and checks a file. NULL when anything is wrong; then `errors` tells all of it. Warnings do not exist:
 * a file is right or it is refused. Reads the environment and files where a secret says so.
 */
struct rc_config *rc_config_load(const char *file, struct rc_config_errors *errors);
/* The same from memory; `file` is only a name for the messages. */
struct rc_config *rc_config_parse(const char *file, struct rc_slice yaml, struct rc_config_errors *errors);
void rc_config_free(struct rc_config *config); /* NULL is fine */

/* Appends the effective configuration as YAML (secrets replaced). 0 or RC_ERR_FULL. */
int rc_config_print(const struct rc_config *config, struct rc_buf *out);

/* Appends docs/configuration.md. 0 or RC_ERR_FULL. */
int rc_config_print_reference(struct rc_buf *out);

/*
 * Calls `report` with the path of every key that differs between the two and takes effect only at a start.
 */
void rc_config_each_fixed_change(const struct rc_config *before, const struct rc_config *after,
                                 void (*report)(const char *path, void *arg), void *arg);

#endif
