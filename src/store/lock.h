/* One process at a time: the file `lock`, as RocketMQ takes it (fcntl on its first byte). */
#ifndef RC_STORE_LOCK_H
#define RC_STORE_LOCK_H

#include "base/error.h"

/* RC_ERR_BUSY names the process. The lock lasts until *ret_fd is closed. */
int rc_lock_take(int root, int *ret_fd, struct rc_error *error);

#endif
