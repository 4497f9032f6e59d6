/*
 * The HTTP side: the cloud product's OpenAPI, metrics, health. A thread of its own (rc-api) with a loop; it
 * asks shards by mail and never makes them wait.
 */
#ifndef RC_API_API_H
#define RC_API_API_H

#include "broker/broker.h"
#include "store/log_writer.h"

struct rc_api;
struct rc_endpoint;
struct rc_registry;
struct rc_rules;
struct rc_tls;

struct rc_api_options {
    int listen_fd;      /* opened by rc_listen_open; owned from here on, also on failure */
    int tls_listen_fd;  /* for HTTPS, likewise; -1 for none */
    struct rc_tls *tls; /* of HTTPS, with a reference that is taken over; NULL without */
    struct rc_broker **brokers;
    uint32_t shards;
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_endpoint *endpoint;
    struct rc_rules *rules;            /* may be NULL */
    struct rc_session_store *sessions; /* may be NULL */
    struct rc_registry *registry;      /* may be NULL: then nothing can be made */
    struct rc_catalog *catalog;        /* takes a reference of its own */
    const char *node;
};

int rc_api_start(const struct rc_api_options *options, struct rc_api **ret, struct rc_error *error);
/*
 * While the shards still run, so that every question is answered. A shard may still be posting the last
 * answer then, so memory is freed by rc_api_free: after the shards' threads have ended. NULL is harmless to
 * both.
 */
void rc_api_stop(struct rc_api *api);
void rc_api_free(struct rc_api *api);
/* Any thread. */
void rc_api_post_catalog(struct rc_api *api, struct rc_catalog *catalog);
/* New connections get these certificates; nothing happens without HTTPS. Takes a reference. */
void rc_api_post_tls(struct rc_api *api, struct rc_tls *tls);
/* Waits until it goes by what was posted (rc_loop_sync). */
void rc_api_sync(struct rc_api *api);

#endif
