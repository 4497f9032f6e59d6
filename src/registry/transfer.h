/*
 * A registry as one file, and back: JSON, a line for each thing, the first of which says what it is. Secrets
 * stand in it as they are, so it is as secret as all of them; it does not depend on the key. Of what the
 * configuration file declares only the instances are in it, as what was made hangs on them.
 */
#ifndef RC_REGISTRY_TRANSFER_H
#define RC_REGISTRY_TRANSFER_H

#include "registry/registry.h"

#include <stdio.h>

enum { RC_TRANSFER_LINE_MAX = 64 * 1024, RC_TRANSFER_VERSION = 1 };

/* Rows written, or a negative rc_err. A registry that is in use elsewhere is read as it is at one moment. */
int64_t rc_registry_export(struct rc_registry *registry, FILE *out, struct rc_error *error);
/*
 * Rows read, all of them or none: RC_ERR_INVALID with the line. What is there by the same name is replaced.
 * Before rc_registry_declare and rc_registry_start.
 */
int64_t rc_registry_import(struct rc_registry *registry, FILE *in, struct rc_error *error);

#endif
