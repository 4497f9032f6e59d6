/*
 * The running server: everything between a checked configuration and "ready", and back. Main thread only.
 */
#ifndef RC_CLI_SERVER_H
#define RC_CLI_SERVER_H

#include "base/error.h"
#include "control/config.h"
#include "net/address.h"

struct rc_catalog;
struct rc_server;
struct rc_transports;

/*
 * Starts all of it: store, log writer, recovery of channels, shards, RocketMQ endpoint, listeners. Takes over
 * the reference to `catalog` and what `transports` holds in any case; `config` must outlive the server. 0, or
 * a negative rc_err with `error` saying what to do and nothing left running.
 */
int rc_server_start(const struct rc_config *config, struct rc_catalog *catalog,
                    struct rc_transports *transports, struct rc_server **ret, struct rc_error *error);

/* What the ready line says: where it listens. */
void rc_server_describe(const struct rc_server *server, char *out, size_t size);
/* Where clients connect, as it came out (a configured port 0 takes any). The first MQTT listener's; NULL
 * without one. */
const struct rc_address *rc_server_mqtt_address(const struct rc_server *server);
const struct rc_address *rc_server_rocketmq_address(const struct rc_server *server);

/*
 * Resolves the catalog's topics and publishes it and the transports: when this returns, every shard and the
 * endpoint go by them. Takes over both in any case.
 */
int rc_server_reload(struct rc_server *server, struct rc_catalog *catalog, struct rc_transports *transports,
                     struct rc_error *error);

/* Stops in order: no new connections, every open channel's end in the log, files closed. */
void rc_server_stop(struct rc_server *server);

#endif
