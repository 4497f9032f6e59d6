/* What a directory holds: finds the log's end, mends what a crash left, fills and cuts the consume queues. */
#ifndef RC_STORE_RECOVERY_H
#define RC_STORE_RECOVERY_H

#include "store/store_private.h"

/*
 * After the files were loaded and before anybody else sees the store. Sets the published ends. Damage of what
 * was once flushed is refused (RC_ERR_CORRUPT), a tail that was not yet flushed is cut. With
 * options.read_only nothing is changed on the disk.
 */
int rc_recover(struct rc_store *store, bool was_clean, struct rc_error *error);

/* The entry that a stored message has in its queue; false when it has none (half of a transaction). */
bool rc_recovery_entry(const struct rc_message *message, uint32_t size, struct rc_queue_entry *ret);

#endif
