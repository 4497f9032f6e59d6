/*
 * From the configuration to what the data path reads: the catalog. Main thread only; nothing here is on a hot
 * path.
 */
#ifndef RC_CONTROL_CONTROL_H
#define RC_CONTROL_CONTROL_H

#include "control/config.h"

struct rc_catalog;
struct rc_store;

/* Where the events of groups without an enabled status rule go. */
enum { RC_PRESENCE_TOPIC_QUEUES = 8 };

/*
 * Builds the catalog with one reference for the caller, or returns NULL after adding to `errors` what is
 * twice or refers to nothing, each with its place in the file. Topics are not resolved yet.
 */
struct rc_catalog *rc_control_build_catalog(const struct rc_config *config, struct rc_config_errors *errors);

/*
 * Finds or creates in the store the topics of all enabled rules and the system topic; then the catalog may be
 * published. 0 or a negative rc_err with `error` filled (the catalog must not be published then).
 */
int rc_control_resolve_topics(struct rc_catalog *catalog, struct rc_store *store, struct rc_error *error);

#endif
