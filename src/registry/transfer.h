/*
 * All that was made at run time as one file, and back: JSON, a line for each thing, the first of which says
 * what it is. Secrets stand in it as they are, so it is as secret as all of them; it does not depend on the
 * key. Of what the configuration file declares only the instances are in it, as what was made hangs on them.
 */
#ifndef RC_REGISTRY_TRANSFER_H
#define RC_REGISTRY_TRANSFER_H

#include "registry/registry.h"

#include <stdio.h>

enum { RC_TRANSFER_LINE_MAX = 64 * 1024, RC_TRANSFER_VERSION = 1 };

/* A topic or a consumer group of the RocketMQ endpoint. */
struct rc_transfer_name {
    bool is_group;
    struct rc_slice name, instance; /* instance: whose it is; empty: nobody's */
    uint32_t queues, perm;          /* of a topic; perm: enum rc_topic_perm */
};
/* Who keeps them: the log's directory, of which the registry knows nothing. Errors have sentences. */
struct rc_transfer_names {
    void *arg;
    /* Calls `visit` for each, in an order that is always the same, until it fails. */
    int (*each)(void *arg, int (*visit)(const struct rc_transfer_name *name, void *visitor), void *visitor,
                struct rc_error *error);
    /* One of an import, valid during the call; nothing changes before `keep`. */
    int (*take)(void *arg, const struct rc_transfer_name *name, struct rc_error *error);
    /* All lines were right: makes what was taken, just before the registry's own changes are kept. */
    int (*keep)(void *arg, struct rc_error *error);
};

/*
 * Lines written, or a negative rc_err. A registry that is in use elsewhere is read as it is at one moment.
 * `names` NULL: they are left out.
 */
int64_t rc_registry_export(struct rc_registry *registry, const struct rc_transfer_names *names, FILE *out,
                           struct rc_error *error);
/*
 * Lines read, all of them or none: RC_ERR_INVALID with the line, and where in it. What is there by the same
 * name is replaced. `declared`: what the configuration file says, to which lines may refer; `names` NULL:
 * a line that names one is refused. Before rc_registry_declare and rc_registry_start.
 */
int64_t rc_registry_import(struct rc_registry *registry, const struct rc_catalog *declared,
                           const struct rc_transfer_names *names, FILE *in, struct rc_error *error);

#endif
