/*
 * Design notes
 * - Each MQTT packet goes out as a frame of its own: there are clients that look no further than the first
 * packet of a frame. A packet says itself how long it is, so a frame can be announced before all of it is
 * there, and many go in one write.
 * - The same bytes always make the same frames: a layer below that was not ready is offered the same again.
 */
#include "net/websocket_output.h"

#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

enum { PIECES_MAX = 96, FRAMES_MAX = 32 /* in one write */, SHORT_MAX = 125, BINARY = 2 };

uint8_t rc_websocket_put_header(uint8_t *out, uint8_t opcode, uint64_t len)
{
    out[0] = 0x80 | opcode;
    if (len <= SHORT_MAX) {
        out[1] = (uint8_t)len;
        return 2;
    }
    out[1] = len <= UINT16_MAX ? 126 : 127;
    if (len <= UINT16_MAX)
        rc_store_u16(out + 2, (uint16_t)len);
    else
        rc_store_u64(out + 2, len);
    return len <= UINT16_MAX ? 4 : 10;
}

/* Where in the owner's pieces the next byte is. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t at; /* in iov[0] */
};

/* A frame of a call: its header, and what of its payload is there. */
struct frame {
    uint8_t header[RC_WEBSOCKET_HEADER_MAX];
    size_t header_len;
    uint64_t size; /* of the payload that is still to come, all of it */
    uint64_t here;
};

struct batch {
    struct frame frames[FRAMES_MAX];
    struct iovec pieces[PIECES_MAX];
    int frames_count, pieces_count;
};

static size_t peek(const struct cursor *from, uint8_t *out, size_t len)
{
    struct cursor cursor = *from;
    size_t done = 0;
    for (; done < len && cursor.count > 0; cursor.iov++, cursor.count--, cursor.at = 0) {
        for (; done < len && cursor.at < cursor.iov->iov_len; cursor.at++)
            out[done++] = ((const uint8_t *)cursor.iov->iov_base)[cursor.at];
    }
    return done;
}

static uint64_t bytes_left(const struct cursor *cursor)
{
    uint64_t left = 0;
    for (int i = 0; i < cursor->count; i++)
        left += cursor->iov[i].iov_len;
    return left - (cursor->count > 0 ? cursor->at : 0);
}

/* The size of the packet that begins there, by its own header. What is no packet goes as it is. */
static uint64_t packet_size(const struct cursor *cursor)
{
    uint8_t head[5];
    size_t len = peek(cursor, head, sizeof(head));
    uint64_t size = 0;
    for (size_t i = 1; i < len; i++) {
        size |= (uint64_t)(head[i] & 0x7f) << (7 * (i - 1));
        if ((head[i] & 0x80) == 0)
            return size + i + 1;
    }
    return bytes_left(cursor);
}

/* Moves up to `len` bytes into the batch, as far as it has pieces left: how many. */
static uint64_t take(struct cursor *cursor, uint64_t len, struct batch *batch)
{
    uint64_t taken = 0;
    while (taken < len && cursor->count > 0 && batch->pieces_count < PIECES_MAX) {
        size_t part = cursor->iov->iov_len - cursor->at;
        if (part > len - taken)
            part = (size_t)(len - taken);
        if (part > 0)
            batch->pieces[batch->pieces_count++] =
                (struct iovec){.iov_base = (uint8_t *)cursor->iov->iov_base + cursor->at, .iov_len = part};
        taken += part;
        cursor->at += part;
        if (cursor->at == cursor->iov->iov_len) {
            cursor->iov++;
            cursor->count--;
            cursor->at = 0;
        }
    }
    return taken;
}

static void add_frame(struct batch *batch, struct frame frame, struct cursor *cursor)
{
    struct frame *added = &batch->frames[batch->frames_count++];
    *added = frame;
    if (added->header_len > 0)
        batch->pieces[batch->pieces_count++] =
            (struct iovec){.iov_base = added->header, .iov_len = added->header_len};
    added->here = take(cursor, added->size, batch);
}

static void fill_batch(struct rc_websocket_output *output, struct cursor *cursor, struct batch *batch)
{
    if (rc_websocket_is_within_frame(output)) { /* one that has begun */
        struct frame frame = {.header_len = (size_t)(output->header_len), .size = output->left};
        memcpy(frame.header, output->header, frame.header_len);
        add_frame(batch, frame, cursor);
    }
    while (bytes_left(cursor) > 0 && batch->frames_count < FRAMES_MAX &&
           batch->pieces_count + 1 < PIECES_MAX) {
        struct frame frame = {.size = packet_size(cursor)};
        frame.header_len = rc_websocket_put_header(frame.header, BINARY, frame.size);
        add_frame(batch, frame, cursor);
    }
}

/* The frame that is under way from now on, `done` bytes of its header gone. */
static void go_on_with(struct rc_websocket_output *output, const struct frame *frame, size_t done,
                       uint64_t left)
{
    output->header_len = (uint8_t)(frame->header_len - done);
    memcpy(output->header, frame->header + done, output->header_len);
    output->left = left;
}

/* `sent` bytes of the batch were taken: how many of them are the owner's. */
static size_t account(struct rc_websocket_output *output, const struct batch *batch, size_t sent)
{
    size_t accepted = 0;
    output->header_len = 0;
    output->left = 0;
    for (int i = 0; i < batch->frames_count; i++) {
        const struct frame *frame = &batch->frames[i];
        size_t of_header = sent < frame->header_len ? sent : frame->header_len;
        uint64_t of_payload = sent - of_header < frame->here ? sent - of_header : frame->here;
        accepted += (size_t)of_payload;
        sent -= of_header + (size_t)of_payload;
        if (of_header < frame->header_len || of_payload < frame->size) {
            go_on_with(output, frame, of_header, frame->size - of_payload);
            break;
        }
    }
    return accepted;
}

ssize_t rc_websocket_write_packets(struct rc_websocket_output *output, struct rc_stream *stream,
                                   const struct rc_stream_layer *below, const struct iovec *iov, int count)
{
    struct cursor cursor = {.iov = iov, .count = count};
    struct batch batch;
    batch.frames_count = batch.pieces_count = 0;
    fill_batch(output, &cursor, &batch);
    if (batch.pieces_count == 0)
        return 0;
    ssize_t sent = below->ops->writev(stream, below->state, batch.pieces, batch.pieces_count);
    if (sent < 0 && sent != RC_ERR_AGAIN)
        return sent;
    /* Refused whole, the first frame still counts as begun: it was offered. */
    size_t accepted = account(output, &batch, sent > 0 ? (size_t)sent : 0);
    return accepted > 0 ? (ssize_t)accepted : RC_ERR_AGAIN;
}
