/*
 * What a server sends to a WebSocket client: the answer to the upgrade, and frames in pieces. What comes out
 * must not depend on how the bytes were cut, and is never more than came.
 */
#include "base/error.h"
#include "net/websocket_client.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_TRIED = 4096 };

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

/* How many bytes of messages came, or how it ended. */
static int64_t read_in_pieces(const uint8_t *data, size_t size, size_t piece, uint8_t *out)
{
    struct rc_websocket_reader reader = {0};
    size_t done = 0;
    for (size_t at = 0; at < size; at += piece) {
        size_t part = piece < size - at ? piece : size - at;
        uint8_t bytes[SIZE_MAX_TRIED];
        memcpy(bytes, data + at, part);
        int64_t taken = rc_websocket_reader_take(&reader, bytes, part);
        if (taken < 0)
            return taken;
        check((size_t)taken <= part);
        memcpy(out + done, bytes, (size_t)taken);
        done += (size_t)taken;
    }
    return (int64_t)done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t whole[SIZE_MAX_TRIED], cut[SIZE_MAX_TRIED];
    if (size == 0 || size > SIZE_MAX_TRIED)
        return 0;
    check(rc_websocket_client_answer(rc_slice(data, size)) <= (int64_t)size);
    int64_t at_once = read_in_pieces(data, size, size, whole);
    check(read_in_pieces(data, size, 1, cut) == at_once);
    if (at_once > 0)
        check(memcmp(whole, cut, (size_t)at_once) == 0);
    return 0;
}
