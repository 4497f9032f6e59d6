/*
 * The MQTT server's part of one shard: connections, sessions, subscriptions, routing. One broker a loop;
 * together they own all clients, each client by one broker (rc_broker_shard_of). Everything here runs on the
 * broker's loop but where "any thread" is said.
 */
#ifndef RC_BROKER_BROKER_H
#define RC_BROKER_BROKER_H

#include "broker/counters.h"
#include "catalog/catalog.h"
#include "net/address.h"
#include "presence/presence.h"

struct rc_broker;
struct rc_admission;
struct x509_st;
struct rc_transport;
struct rc_password_pool;
struct rc_session_store;

enum {
    RC_BROKER_SHARDS_MAX = 64,
    RC_BROKER_CONNECT_BYTES_MAX = 128 * 1024,  /* what may come before a client is known */
    RC_BROKER_CONNECTING_MAX = 16384,          /* connections of a shard that have not sent CONNECT */
    RC_BROKER_HANDSHAKES_SEEN_MAX = 64,        /* looked at for one that may be dropped */
    RC_BROKER_OPENING_TURN_NS = 2000000,       /* for handshakes in one turn of the loop */
    RC_BROKER_CONNECTING_BYTES_MAX = 16 << 20, /* half-sent CONNECTs of a shard, in all */
    RC_BROKER_WILLS_BYTES_MAX =
        256 << 20,                  /* of a shard's wills, in all; then a CONNECT with one is refused */
    RC_BROKER_LINGERING_MAX = 1024, /* closed connections of a shard whose last word is under way */
    RC_BROKER_QUEUED_MAX = 1000,    /* messages that wait in one session; the oldest goes */
    RC_BROKER_QUEUED_BYTES_MAX = 256 << 20, /* ... and in all sessions of a shard */
    RC_BROKER_FORWARDS_MAX = 65536,         /* publishes under way to one other shard */
    RC_BROKER_OUTPUT_QOS0_MAX = 512 * 1024, /* bytes waiting for a client above which QoS 0 is dropped */
    RC_BROKER_OUTPUT_MAX = 8 * 1024 * 1024, /* ... above which the client is closed */
    RC_BROKER_SESSIONS_KEPT_MAX = 1000000,  /* sessions of absent clients, in all shards */
};

struct rc_broker_options {
    struct rc_loop *loop;
    struct rc_log_writer *writer;
    uint32_t shard, shards;
    struct rc_broker **brokers; /* of all shards, filled before any loop runs */
    struct rc_catalog *catalog; /* the broker takes a reference of its own */
    const char *node;
    struct rc_host store_host;
    int64_t floor_ms;               /* the greatest time in the log */
    uint32_t max_connections;       /* of all shards together */
    struct rc_admission *admission; /* counts them, outlives the brokers; NULL: that of the first broker */
    uint32_t max_connecting;        /* of those, without a client; default RC_BROKER_CONNECTING_MAX */
    uint32_t max_packet_size;
    uint32_t connect_timeout_ms;
    size_t max_queued_bytes;            /* in this shard's sessions; default RC_BROKER_QUEUED_BYTES_MAX */
    uint32_t sys_interval_ms;           /* how often the numbers of $SYS are published; 0: never */
    struct rc_session_store *sessions;  /* NULL: none survives the end of the process */
    struct rc_password_pool *passwords; /* NULL: nobody can log in by password */
    /*
     * A client came with a certificate that the catalog does not know yet: tell the registry. On the shard,
     * so it must not wait. `key` is <CA's serial number>/<serial number>. May be NULL.
     */
    void (*on_certificate)(void *arg, struct rc_slice instance, const char *key,
                           const struct x509_st *certificate);
    void *on_certificate_arg;
    /* Wrong passwords in a minute above which more are refused unseen; 0: no limit. */
    uint32_t login_failures_per_address, login_failures_per_client;
    uint32_t traces_per_second; /* of this shard; 0: none are kept */
};

void rc_broker_options_default(struct rc_broker_options *options);

/* Before the loop runs, or on it. */
int rc_broker_create(const struct rc_broker_options *options, struct rc_broker **ret);
struct rc_error;
/*
 * Gives every session and retained message of the store to the brokers of all shards. After they were made,
 * before any loop runs; the store has not been started.
 */
int rc_broker_restore(struct rc_broker **brokers, uint32_t shards, struct rc_session_store *store,
                      struct rc_error *error);
/* After its loop has ended: posts to the store what was changed since. */
void rc_broker_write_sessions(struct rc_broker *broker);
/* After rc_broker_stop has reported and the loop has ended. */
void rc_broker_destroy(struct rc_broker *broker);

/*
 * Takes a connection that was accepted on this loop; owns fd from here on. `transport` is that of the
 * listener, with its admission; NULL, or without it: plain TCP without limits of its own.
 */
void rc_broker_accept(struct rc_broker *broker, int fd, const struct rc_address *peer);
void rc_broker_accept_on(struct rc_broker *broker, int fd, const struct rc_address *peer,
                         struct rc_transport *transport);

/* Any thread: publishes a new catalog to this broker (which takes a reference of its own). */
void rc_broker_post_catalog(struct rc_broker *broker, struct rc_catalog *catalog);
/* The same, when it is known who may have lost a right by it: only those are looked at. */
void rc_broker_post_change(struct rc_broker *broker, struct rc_catalog *catalog,
                           const struct rc_catalog_change *change);

/*
 * Any thread: closes every connection (reason server-shutdown) and refuses new ones. `on_stopped` runs on the
 * loop when every channel's tcpclean is in the log.
 */
void rc_broker_post_stop(struct rc_broker *broker, void (*on_stopped)(void *arg), void *arg);

/* Which shard owns a client. */
uint32_t rc_broker_shard_of(struct rc_slice instance, struct rc_slice client_id, uint32_t shards);

/* Any thread. */
const struct rc_broker_counters *rc_broker_counters(const struct rc_broker *broker);

#endif
