/* The store's directory: whose it is, which format, and which sizes it was made with. */
#ifndef RC_STORE_DIRECTORY_H
#define RC_STORE_DIRECTORY_H

#include "store/store.h"

enum { RC_STORE_FORMAT = 1 };

enum rc_directory_kind {
    RC_DIRECTORY_NEW,   /* empty */
    RC_DIRECTORY_OURS,  /* has rollcall/version */
    RC_DIRECTORY_OTHER, /* RocketMQ's files without ours: written by a broker, or copied back from one */
};

/* Opens the directory; makes it, and those above it, with `create`. */
int rc_directory_open(const char *path, bool create, int *ret_fd, struct rc_error *error);
/* Looks at what is in it. RC_ERR_INVALID when it is somebody else's, RC_ERR_VERSION for a format or sizes
 * that are not those of `options`. */
int rc_directory_inspect(int root, const struct rc_store_options *options, enum rc_directory_kind *ret,
                         struct rc_error *error);
/* Writes rollcall/version (`own` is the directory rollcall/). */
int rc_directory_mark(int own, const struct rc_store_options *options);

#endif
