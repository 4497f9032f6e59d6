/* What a new catalog goes through before and when it is published. On the registry's thread. */
#ifndef RC_CLI_PUBLISHING_H
#define RC_CLI_PUBLISHING_H

#include "broker/broker.h"

struct rc_api;
struct rc_endpoint;
struct rc_error;
struct rc_owners;
struct rc_rules;
struct rc_store;

/* Filled before the registry's thread starts. */
struct rc_publishing {
    struct rc_store *store;
    struct rc_owners *owners;
    struct rc_rules *rules;
    struct rc_broker **brokers;
    struct rc_loop *loops[RC_BROKER_SHARDS_MAX]; /* of the brokers */
    uint32_t shards;
    struct rc_endpoint *endpoint;
    struct rc_api *api; /* may be NULL */
};

/* As the registry's options want them; `arg` is a struct rc_publishing. */
int rc_publishing_prepare(void *arg, struct rc_catalog *next, struct rc_error *error);
void rc_publishing_unprepare(void *arg, struct rc_catalog *stays);
int rc_publishing_claim_topic(void *arg, const struct rc_catalog *next, struct rc_slice instance,
                              struct rc_slice topic);
/* When it returns every shard and the endpoint go by it; the API does before it gets later mail. */
void rc_publishing_publish(void *arg, struct rc_catalog *next, const struct rc_catalog_change *change);

/* For brokers (on_certificate); `arg` is the registry. */
void rc_publishing_on_certificate(void *arg, struct rc_slice instance, const char *key,
                                  const struct x509_st *certificate);

#endif
