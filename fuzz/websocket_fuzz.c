/*
 * The upgrade request, and frames in pieces of any size over a pipe of any width: the layer must neither give
 * out more than came, nor say anything after its end, nor depend on how the bytes were cut.
 */
#include "base/error.h"
#include "net/stream_memory.h"
#include "net/stream_websocket.h"
#include "net/websocket_upgrade.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 17, GOT_MAX = 1 << 17 };

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

struct outcome {
    uint8_t bytes[GOT_MAX];
    size_t len;
    ssize_t end;
};

/* Reads until nothing comes: a read gives up after a while when all that it finds are control frames. */
static void read_all(struct rc_stream *near, size_t room, size_t given, struct outcome *outcome)
{
    size_t gave_up = 0, most = given / RC_WEBSOCKET_READS_MAX + 1;
    while (outcome->end == RC_ERR_AGAIN) {
        size_t left = sizeof(outcome->bytes) - outcome->len;
        ssize_t got = rc_stream_read(near, outcome->bytes + outcome->len, room < left ? room : left);
        if (got == RC_ERR_AGAIN && ++gave_up > most)
            return;
        if (got == RC_ERR_AGAIN)
            continue;
        if (got > 0)
            outcome->len += (size_t)got;
        else
            outcome->end = got;
    }
    check(rc_stream_read(near, outcome->bytes, 1) == outcome->end);
}

static void run(struct rc_slice in, size_t piece, size_t room, struct outcome *outcome)
{
    struct rc_stream near, far;
    uint8_t answers[4096];
    outcome->len = 0;
    outcome->end = RC_ERR_AGAIN;
    rc_stream_pair(&near, &far, ROOM);
    rc_stream_push_websocket(&near);
    while (in.len > 0 && outcome->end == RC_ERR_AGAIN) {
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)in.ptr,
                                  .iov_len = in.len < piece ? in.len : piece};
        check(rc_stream_writev(&far, &iov, 1) == (ssize_t)iov.iov_len);
        in = rc_slice_from(in, iov.iov_len);
        read_all(&near, room, iov.iov_len, outcome);
        while (rc_stream_read(&far, answers, sizeof(answers)) > 0)
            continue;
    }
    rc_stream_close(&near);
    rc_stream_close(&far);
}

static void try_upgrade(const uint8_t *data, size_t size)
{
    struct rc_upgrade upgrade;
    struct rc_buf answer;
    int status = 0;
    int64_t used = rc_upgrade_parse(rc_slice(data, size), "/mqtt", &upgrade, &status);
    rc_buf_init(&answer, 500);
    check(used <= (int64_t)size);
    if (used > 0)
        check(used == (int64_t)size && rc_upgrade_accept(&upgrade, &answer) == RC_OK);
    else if (used < 0)
        check(status >= 400 && status < 500 && rc_upgrade_refuse(status, &answer) == RC_OK);
    rc_buf_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;
    if (size < 3 || size > 32768)
        return 0;
    if (data[0] & 1) {
        try_upgrade(data + 1, size - 1);
        return 0;
    }
    struct rc_slice in = rc_slice(data + 3, size - 3);
    run(in, ROOM / 2, sizeof(whole.bytes), &whole);
    run(in, 1 + data[1] % 64, 1 + data[2], &cut);
    /* Cut in another way, an error may come before or after the last bytes, but no byte is another. */
    check(whole.end == cut.end || whole.end == RC_ERR_AGAIN || cut.end == RC_ERR_AGAIN);
    check(memcmp(whole.bytes, cut.bytes, whole.len < cut.len ? whole.len : cut.len) == 0);
    if (whole.end == RC_ERR_AGAIN && cut.end == RC_ERR_AGAIN)
        check(whole.len == cut.len);
    return 0;
}
