#include "rocketmq/lookup.h"

#include "base/error.h"

int rc_lookup(struct rc_store *store, uint64_t physical, struct rc_message *ret, struct rc_slice *ret_record,
              struct rc_segment **ret_segment)
{
    struct rc_slice record;
    struct rc_segment *segment;
    if (rc_store_view(store, physical, 4, &record, &segment) != RC_OK)
        return RC_ERR_NOT_FOUND;
    uint32_t size = rc_load_u32(record.ptr);
    rc_segment_release(segment);
    if (size > RC_MESSAGE_MAX || rc_store_view(store, physical, size, &record, &segment) != RC_OK)
        return RC_ERR_NOT_FOUND;
    struct rc_message message;
    if (rc_message_decode(record, true, &message) != (int64_t)size || message.physical_offset != physical) {
        rc_segment_release(segment);
        return RC_ERR_NOT_FOUND;
    }
    *ret = message;
    *ret_record = record;
    *ret_segment = segment;
    return RC_OK;
}
