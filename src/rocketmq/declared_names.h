/*
 * Topics and consumer groups of the endpoint that the configuration file declares (catalog: endpoint_topics,
 * endpoint_groups). What it declares is made, and is its instance's. What it declares no longer is deleted,
 * if it was made for the file: such names are kept in rollcall/declared beside the log.
 */
#ifndef RC_ROCKETMQ_DECLARED_NAMES_H
#define RC_ROCKETMQ_DECLARED_NAMES_H

#include "base/error.h"
#include "catalog/catalog.h"
#include "rocketmq/owners.h"
#include "store/store.h"

/* At the start and when the file was read again; one thread at a time. An error leaves what was made. */
int rc_declared_names_apply(struct rc_store *store, struct rc_owners *owners,
                            const struct rc_catalog *catalog, struct rc_error *error);
/* Which names are there for the file, as kept; they may be no more. Beside a running server, too. */
int rc_declared_names_read(int own_dir, void (*visit)(enum rc_owned kind, struct rc_slice name, void *arg),
                           void *arg);

#endif
