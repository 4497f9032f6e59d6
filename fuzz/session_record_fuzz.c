/* Whatever bytes stand in the session store, decoding a record reads only those, and what it takes it writes
 * again as it was. */
#include "session_store/session_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct rc_buf *out, struct rc_slice in, int err)
{
    if (err != 0 || !rc_slice_eq(rc_buf_slice(out), in))
        abort();
}

static void decode(uint8_t kind, struct rc_slice in, struct rc_buf *out)
{
    struct rc_session_record session;
    struct rc_subscription_record subscription;
    static struct rc_outgoing_record outgoing;
    struct rc_retained_record retained;
    if (kind == 0 && rc_session_record_get(in, &session) == 0)
        check(out, in, rc_session_record_put(out, &session));
    else if (kind == 1 && rc_subscription_record_get(in, &subscription) == 0)
        check(out, in, rc_subscription_record_put(out, &subscription));
    else if (kind == 2 && rc_outgoing_record_get(in, &outgoing) == 0)
        check(out, in, rc_outgoing_record_put(out, &outgoing));
    else if (kind == 3 && rc_retained_record_get(in, &retained) == 0)
        check(out, in, rc_retained_record_put(out, &retained));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_buf out;
    if (size == 0)
        return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    rc_buf_init(&out, 1 << 20);
    decode(data[0] & 3, rc_slice(copy, size - 1), &out);
    rc_buf_free(&out);
    free(copy);
    return 0;
}
