/*
 * The embedded RocketMQ endpoint: name server and broker in one, on the ports given, on a loop of its own.
 * Unmodified RocketMQ and ONS clients consume and produce through it. One thread; what is "any thread" says
 * so.
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
    RC_ENDPOINT_GROUPS_MAX = 10000,
    RC_ENDPOINT_MEMBERS_MAX = 1000,            /* of one consumer group */
    RC_ENDPOINT_SUBSCRIPTIONS_MAX = 256,       /* topics of one consumer group */
    RC_ENDPOINT_TAGS_MAX = 256,                /* of one subscription */
    RC_ENDPOINT_HOLDS_MAX = 200000,            /* pulls that wait for messages */
    RC_ENDPOINT_LOCKS_MAX = 100000,            /* queues locked by orderly consumers */
    RC_ENDPOINT_SENDS_MAX = 100000,            /* messages of producers on their way into the log */
    RC_ENDPOINT_OUTPUT_MAX = 64 * 1024 * 1024, /* bytes waiting for a client above which it is closed */
    RC_ENDPOINT_PULL_MESSAGES_MAX = 32,
    RC_ENDPOINT_PULL_BYTES_MAX = 256 * 1024,
    RC_ENDPOINT_IDLE_MS = 120000, /* silent clients are closed, silent members dropped */
    RC_ENDPOINT_SAVE_MS = 5000,   /* consumer offsets are saved this often */
    RC_ENDPOINT_LOCK_MS = 60000,
    RC_ENDPOINT_RECONSUME_MAX = 16, /* then a message goes to %DLQ% */
    RC_ENDPOINT_DELAY_TICK_MS = 100,
};
/* A queue whose first message is still among the log's newest bytes counts as new for a group without an
 * offset (a real broker asks whether it is still in memory): the group starts at its beginning. */
#define RC_ENDPOINT_FRESH_BYTES (1ull << 30)

struct rc_endpoint;

struct rc_endpoint_options {
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_catalog *catalog; /* the endpoint takes a reference of its own */
    const char *broker_name;
    const char *advertise; /* host:port in routes; NULL: the address that the client connected to */
    struct rc_host store_host;
    bool acl;                /* requests must be signed with a key pair of the catalog */
    bool auto_create_topics; /* when a producer sends to a new topic */
    uint32_t default_queues; /* of such a topic */
};

void rc_endpoint_options_default(struct rc_endpoint_options *options);

/* Takes the listening sockets (one for each address). Starts its thread. */
int rc_endpoint_start(const struct rc_endpoint_options *options, const int *fds, uint32_t count,
                      struct rc_endpoint **ret, struct rc_error *error);
/* Closes all connections, saves offsets, ends the thread. Before the log writer is stopped. */
void rc_endpoint_stop(struct rc_endpoint *endpoint);

/* Any thread. */
void rc_endpoint_post_catalog(struct rc_endpoint *endpoint, struct rc_catalog *catalog);
const struct rc_endpoint_counters *rc_endpoint_counters(const struct rc_endpoint *endpoint);

#endif
