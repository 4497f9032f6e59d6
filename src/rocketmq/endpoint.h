/*
 * The embedded RocketMQ endpoint: name server and broker in one, on the ports given, on a loop of its own.
 * Unmodified RocketMQ and ONS clients consume and produce through it. One thread (and a second one for files,
 * worker.h); what is "any thread" says so.
 */
#ifndef RC_ROCKETMQ_ENDPOINT_H
#define RC_ROCKETMQ_ENDPOINT_H

#include "catalog/catalog.h"
#include "net/address.h"
#include "rocketmq/endpoint_counters.h"
#include "store/log_writer.h"

enum {
    RC_ENDPOINT_LISTENERS_MAX = 16,
    RC_ENDPOINT_PEERS_MAX = 10000,

    /* bytes of requests that are not whole yet, over all connections / those of strangers */
    RC_ENDPOINT_INPUT_MAX = 256 * 1024 * 1024,
    RC_ENDPOINT_STRANGER_INPUT_MAX = 64 * 1024 * 1024,
    /* bytes waiting for one client above which its requests wait too / above which it is closed */
    RC_ENDPOINT_OUTPUT_PAUSE = 4 * 1024 * 1024,
    RC_ENDPOINT_OUTPUT_MAX = 64 * 1024 * 1024,

    RC_ENDPOINT_GROUPS_MAX = 10000,
    RC_ENDPOINT_MEMBERS_MAX = 1000, /* of one consumer group */
    RC_ENDPOINT_ALL_MEMBERS_MAX = 100000,
    RC_ENDPOINT_SUBSCRIPTIONS_MAX = 256, /* topics of one consumer group */
    RC_ENDPOINT_ALL_SUBSCRIPTIONS_MAX = 100000,
    RC_ENDPOINT_CREATIONS_MAX = 600, /* topics that come into being because clients name them, a minute */
    RC_ENDPOINT_LOCKS_MAX = 100000,  /* queues locked by orderly consumers */

    RC_ENDPOINT_HOLDS_MAX = 200000, /* pulls that wait for messages */
    RC_ENDPOINT_PEER_HOLDS_MAX = 16384,
    RC_ENDPOINT_PULL_MESSAGES_MAX = 32,
    RC_ENDPOINT_PULL_BYTES_MAX = 256 * 1024, /* but one message always */

    RC_ENDPOINT_WAITING_BYTES_MAX = 64 * 1024 * 1024, /* sends that wait until the log takes more */
    RC_ENDPOINT_BATCH_MESSAGES_MAX = 1024,
    RC_ENDPOINT_RECONSUME_MAX = 16, /* then a message goes to %DLQ% */

    RC_ENDPOINT_QUERIES_MAX = 64, /* by key, at once */
    RC_ENDPOINT_QUERY_MESSAGES_MAX = 64,
    RC_ENDPOINT_QUERY_BYTES_MAX = 5 * 1024 * 1024, /* more than the largest message */

    RC_ENDPOINT_SAVE_MS = 5000, /* consumer offsets are saved this often */
};
/* A queue whose first message is still among the log's newest bytes counts as new for a group without an
 * offset (a real broker asks whether it is still in memory): the group starts at its beginning. */
#define RC_ENDPOINT_FRESH_BYTES (1ull << 30)

struct rc_endpoint;
struct rc_owners;

/* In ms. The defaults are those of real brokers, which clients count on. */
struct rc_endpoint_times {
    uint32_t idle;     /* 120 s: silent clients are closed, silent members dropped */
    uint32_t stranger; /* 60 s: a connection without one request that was signed well is closed */
    uint32_t lock;     /* 60 s: a queue stays locked unless it is locked again */
    uint32_t sweep;    /* 10 s: how often those are looked for */
};

struct rc_endpoint_options {
    uint32_t max_creations; /* topics that clients make in a minute; default RC_ENDPOINT_CREATIONS_MAX */
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_catalog *catalog; /* the endpoint takes a reference of its own */
    struct rc_owners *owners;   /* outlives the endpoint */
    const char *broker_name;
    const char *advertise; /* host:port in routes; NULL: the address that the client connected to */
    struct rc_host store_host;
    bool acl;                /* requests must be signed with a key pair of the catalog */
    bool auto_create_topics; /* when a producer sends to a new topic */
    uint32_t default_queues; /* of such a topic */
    struct rc_endpoint_times times;
};

void rc_endpoint_options_default(struct rc_endpoint_options *options);

/* Takes the listening sockets (one for each address), also when it fails. Starts its threads. Strings of the
 * options must outlive it. */
int rc_endpoint_start(const struct rc_endpoint_options *options, const int *fds, uint32_t count,
                      struct rc_endpoint **ret, struct rc_error *error);
/*
 * Closes all connections, saves offsets, ends the threads: before the log writer is stopped. With a full disk
 * the log writer still has messages of this endpoint and will report them to its loop, so memory is freed by
 * rc_endpoint_free: after the log writer was stopped. NULL is harmless to both.
 */
void rc_endpoint_stop(struct rc_endpoint *endpoint);
void rc_endpoint_free(struct rc_endpoint *endpoint);

/* Any thread. */
void rc_endpoint_post_catalog(struct rc_endpoint *endpoint, struct rc_catalog *catalog);
/* Waits until the endpoint has what was posted to it before (rc_loop_sync). */
void rc_endpoint_sync(struct rc_endpoint *endpoint);
const struct rc_endpoint_counters *rc_endpoint_counters(const struct rc_endpoint *endpoint);

#endif
