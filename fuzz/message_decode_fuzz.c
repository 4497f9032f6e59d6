/* Whatever bytes come, decoding a stored message reads only those, and walking its properties stays inside of
 * them. */
#include "store/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    struct rc_message message;
    struct rc_slice name, value;
    memcpy(copy, data, size);
    int64_t used = rc_message_decode(rc_slice(copy, size), false, &message);
    if (used > (int64_t)size)
        abort();
    if (used > 0) {
        rc_props_tags_code(message.props);
        for (size_t at = 0; rc_props_next(message.props, &at, &name, &value);)
            if (value.ptr + value.len > copy + size)
                abort();
        if (message.keys.ptr != rc_props_get(message.props, RC_PROP_KEYS).ptr ||
            message.unique_key.ptr != rc_props_get(message.props, RC_PROP_UNIQ_KEY).ptr)
            abort();
    }
    free(copy);
    return 0;
}
