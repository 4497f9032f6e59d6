/* A message by its physical offset, which a stranger may have named. Any thread. */
#ifndef RC_ROCKETMQ_LOOKUP_H
#define RC_ROCKETMQ_LOOKUP_H

#include "store/store.h"

/*
 * 0: *ret_record is the whole record and *ret its decoded view, both valid until rc_segment_release. The
 * offset is believed only when the message there says the same of itself. RC_ERR_NOT_FOUND otherwise.
 */
int rc_lookup(struct rc_store *store, uint64_t physical, struct rc_message *ret, struct rc_slice *ret_record,
              struct rc_segment **ret_segment);

#endif
