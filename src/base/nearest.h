/* The name that somebody probably meant: for the messages about unknown keys and commands. */
#ifndef RC_BASE_NEAREST_H
#define RC_BASE_NEAREST_H

#include "base/slice.h"

/*
 * The one of `count` names that takes the fewest edits (insert, delete, replace, swap of neighbours) to reach
 * from `given`, or NULL when all are too far away to be a likely slip. `name_at` gives the names.
 */
const char *rc_nearest(struct rc_slice given, const char *(*name_at)(const void *names, size_t index),
                       const void *names, size_t count);

#endif
