/* Whatever bytes come, decoding a RocketMQ frame reads only those; what was decoded encodes and decodes to
 * the same. */
#include "base/error.h"
#include "rocketmq/remoting.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct rc_remoting *command)
{
    struct rc_buf out;
    struct rc_remoting again;
    char signature[64];
    rc_remoting_sign(command, rc_slice_str("secret"), true, NULL, signature);
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX + 8);
    if (command->serialization == RC_REMOTING_BINARY && rc_remoting_put(&out, command) == RC_OK) {
        if (rc_remoting_decode(rc_buf_slice(&out), &again) != (int64_t)rc_buf_len(&out))
            abort();
        if (again.code != command->code || again.opaque != command->opaque ||
            again.fields_count != command->fields_count || !rc_slice_eq(again.body, command->body))
            abort();
        rc_remoting_done(&again);
    }
    rc_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    struct rc_remoting command;
    memcpy(copy, data, size);
    int64_t used = rc_remoting_decode(rc_slice(copy, size), &command);
    if (used > (int64_t)size)
        abort();
    if (used > 0) {
        rc_remoting_get_number(&command, "queueId", 0);
        round_trip(&command);
        rc_remoting_done(&command);
    }
    free(copy);
    return 0;
}
