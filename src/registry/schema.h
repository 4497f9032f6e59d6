/* The tables, and how older ones become these. */
#ifndef RC_REGISTRY_SCHEMA_H
#define RC_REGISTRY_SCHEMA_H

#include "registry/sql.h"

enum { RC_REGISTRY_VERSION = 5 };

/* The settings of a connection; before anything else. */
int rc_schema_prepare(struct rc_sql *sql, struct rc_error *error);
/* Brings an empty or older database to RC_REGISTRY_VERSION, in one transaction each; refuses a newer one. */
int rc_schema_migrate(struct rc_sql *sql, const char *path, struct rc_error *error);
/* Whether the file is whole: RC_ERR_CORRUPT, with what to do. */
int rc_schema_check(struct rc_sql *sql, const char *path, struct rc_error *error);

/* Of one that is only read: RC_ERR_VERSION unless it is RC_REGISTRY_VERSION. */
int rc_schema_expect(struct rc_sql *sql, const char *path, struct rc_error *error);

#endif
