/*
 * The server's MQTT listeners: their sockets on every shard, what stands between a socket and MQTT
 * (net/transport.h), and how many are let in. Main thread only.
 */
#ifndef RC_CLI_LISTENERS_H
#define RC_CLI_LISTENERS_H

#include "base/error.h"
#include "control/config.h"

struct rc_address;
struct rc_admission;
struct rc_broker;
struct rc_loop;
struct rc_listeners;
struct rc_transports;

enum { RC_LISTENERS_MAX = 16 };

/*
 * Opens all sockets of the configuration, so that a port in use is told before anything else starts. They
 * accept later. Takes over what `transports` holds in any case, and leaves it empty.
 */
int rc_listeners_open(const struct rc_config *config, uint32_t shards, struct rc_transports *transports,
                      struct rc_listeners **ret, struct rc_error *error);

/* Before the loop of that shard runs: from its start on it accepts, for that broker. 0 or a negative rc_err.
 */
int rc_listeners_start(struct rc_listeners *listeners, uint32_t shard, struct rc_loop *loop,
                       struct rc_broker *broker);

/*
 * Publishes new transports to the started shards, whose loops run: when rc_loop_sync of each has returned,
 * new connections go by them. Those of listeners that were not there at the start are dropped, and a listener
 * that is not in them stays as it is. Takes over what `transports` holds.
 */
void rc_listeners_post(struct rc_listeners *listeners, struct rc_transports *transports);

/* Any number of times while the shard's loop runs: accepts no more there. */
void rc_listeners_post_stop(struct rc_listeners *listeners, uint32_t shard);

/* After the loops have ended, and the brokers are gone. NULL is harmless. */
void rc_listeners_free(struct rc_listeners *listeners);

/* Counts the connections of all listeners. */
struct rc_admission *rc_listeners_admission(struct rc_listeners *listeners);
/* "mqtt=ip:port,ip:port mqtts=... ws=... wss=...": where it listens; the length without its NUL. */
size_t rc_listeners_describe(const struct rc_listeners *listeners, char *out, size_t size);
/* Of the first listener for plain MQTT over TCP, as it came out; NULL when there is none. */
const struct rc_address *rc_listeners_mqtt_address(const struct rc_listeners *listeners);

#endif
