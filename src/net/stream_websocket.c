/*
 * Design notes
 * - Nearly all frames are one message each and come whole: those are taken here, since wslay unmasks byte by
 * byte. All others are wslay's. Its context carries a buffer of 4 KiB, so it exists only while a frame has
 * come in part: between two frames it knows nothing that matters.
 * - What was offered once to the layer below is offered again unchanged until it is taken, as a layer of TLS
 * demands: first what is left of a control frame or of a header, then the payload that was announced.
 * - Of several pings that wait for their pong the last is answered, as the protocol allows: what a peer can
 * make us keep is one pong.
 */
#include "net/stream_websocket.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/slice.h"
#include "net/websocket_output.h"

#include <wslay/wslay.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    CONTROL_MAX = 125,      /* payload of a control frame */
    FIN = 0x80,             /* in the first byte of a frame */
    MASKED = 0x80,          /* in the second */
    LEN_IN_TWO_BYTES = 126, /* in its other bits: the length follows */
    KEY_BYTES = 4,          /* of the mask, behind the length */
    CLOSE_NORMAL = 1000,
    CLOSE_PROTOCOL = 1002,
    CLOSE_UNSUPPORTED = 1003,
};

/* A control frame of the peer, until it is whole. */
struct control {
    uint8_t len, opcode;
    uint8_t bytes[CONTROL_MAX];
};

struct layer {
    struct rc_stream_layer below;
    wslay_frame_context_ptr frames; /* NULL between frames */
    struct rc_slice in;             /* what the read under way has not yet handed to it */
    uint64_t unaccounted;           /* bytes handed to it, less those of headers and payloads it gave back */
    uint64_t frame_left;            /* payload of the frame that is being read */
    struct rc_websocket_output out;
    uint8_t *waiting; /* a control frame that could not be written yet; owned */
    uint8_t waiting_len, waiting_done;
    bool is_waiting_offered; /* to the layer below: it must not change */
    struct control *control; /* owned; NULL but within a control frame */
    int ended;               /* 1: the peer's end; < 0: what every later call returns */
    uint16_t close_code;     /* what a close frame of ours says; 0 for none */
    bool is_in_message;      /* a fragment came, its last has not */
    bool is_close_sent;
};

/* ---- writing frames ---- */

static int write_piece(struct rc_stream *stream, struct layer *layer, const uint8_t *bytes, uint8_t len,
                       uint8_t *done)
{
    while (*done < len) {
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)(bytes + *done),
                                  .iov_len = (size_t)(len - *done)};
        ssize_t sent = layer->below.ops->writev(stream, layer->below.state, &iov, 1);
        if (sent <= 0)
            return sent < 0 ? (int)sent : RC_ERR_AGAIN;
        *done = (uint8_t)(*done + sent);
    }
    return RC_OK;
}

/* A control frame goes between frames only: 0 when none waits, RC_ERR_AGAIN while it does. */
static int write_waiting(struct rc_stream *stream, struct layer *layer)
{
    if (layer->waiting == NULL)
        return RC_OK;
    if (rc_websocket_is_within_frame(&layer->out))
        return RC_ERR_AGAIN;
    layer->is_waiting_offered = true;
    int err = write_piece(stream, layer, layer->waiting, layer->waiting_len, &layer->waiting_done);
    if (err == RC_ERR_AGAIN)
        return err;
    free(layer->waiting);
    layer->waiting = NULL;
    return err;
}

/* Makes room behind what waits and may not change any more, or instead of it; NULL: this one is left out. */
static uint8_t *place_control(struct layer *layer, uint8_t opcode)
{
    if (layer->waiting != NULL && layer->is_waiting_offered) {
        if (opcode != WSLAY_CONNECTION_CLOSE)
            return NULL;
        layer->waiting = rc_realloc(layer->waiting, 2 * (2 + CONTROL_MAX));
        return layer->waiting + layer->waiting_len;
    }
    free(layer->waiting);
    layer->waiting = rc_malloc(2 + CONTROL_MAX);
    layer->waiting_len = layer->waiting_done = 0;
    layer->is_waiting_offered = false;
    return layer->waiting;
}

static void send_control(struct rc_stream *stream, struct layer *layer, uint8_t opcode,
                         struct rc_slice payload)
{
    uint8_t *at = layer->is_close_sent ? NULL : place_control(layer, opcode);
    if (at == NULL)
        return;
    rc_websocket_put_header(at, opcode, payload.len);
    if (payload.len > 0)
        memcpy(at + 2, payload.ptr, payload.len);
    layer->waiting_len = (uint8_t)(layer->waiting_len + 2 + payload.len);
    layer->is_close_sent = opcode == WSLAY_CONNECTION_CLOSE;
    if (write_waiting(stream, layer) == RC_ERR_AGAIN && stream->loop != NULL && stream->watch.events != 0)
        layer->below.ops->want(stream, layer->below.state, stream->watch.events | EPOLLOUT);
}

/* Code 0: none is given. */
static void send_close(struct rc_stream *stream, struct layer *layer, uint16_t code)
{
    uint8_t bytes[2];
    rc_store_u16(bytes, code);
    send_control(stream, layer, WSLAY_CONNECTION_CLOSE, rc_slice(bytes, code != 0 ? sizeof(bytes) : 0));
}

/* ---- reading frames ---- */

static int fail(struct rc_stream *stream, struct layer *layer, uint16_t code)
{
    layer->ended = RC_ERR_PROTOCOL;
    send_close(stream, layer, code);
    return layer->ended;
}

static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static int handle_control(struct rc_stream *stream, struct layer *layer, const struct control *control)
{
    struct rc_slice payload = rc_slice(control->bytes, control->len);
    if (control->opcode == WSLAY_PING)
        send_control(stream, layer, WSLAY_PONG, payload);
    if (control->opcode != WSLAY_CONNECTION_CLOSE)
        return RC_OK;
    uint16_t code = payload.len >= 2 ? rc_load_u16(payload.ptr) : 0;
    if (payload.len == 1 || (payload.len >= 2 && !is_close_code(code)))
        return fail(stream, layer, CLOSE_PROTOCOL);
    layer->ended = 1;
    layer->close_code = code; /* answered when the owner closes: it may have answers to what came before */
    return RC_OK;
}

/* A frame's header has come: 0, or the close code that answers it. */
static uint16_t begin_frame(struct layer *layer, const struct wslay_frame_iocb *frame)
{
    if (!frame->mask || frame->rsv != 0)
        return CLOSE_PROTOCOL;
    layer->frame_left = frame->payload_length;
    switch (frame->opcode) {
    case WSLAY_BINARY_FRAME:
    case WSLAY_CONTINUATION_FRAME:
        if (layer->is_in_message != (frame->opcode == WSLAY_CONTINUATION_FRAME))
            return CLOSE_PROTOCOL;
        layer->is_in_message = !frame->fin;
        return 0;
    case WSLAY_PING:
    case WSLAY_PONG:
    case WSLAY_CONNECTION_CLOSE:
        if (!frame->fin || frame->payload_length > CONTROL_MAX)
            return CLOSE_PROTOCOL;
        layer->control = rc_new(struct control);
        layer->control->opcode = frame->opcode;
        return 0;
    case WSLAY_TEXT_FRAME:
        return CLOSE_UNSUPPORTED;
    default:
        return CLOSE_PROTOCOL;
    }
}

static ssize_t on_recv(uint8_t *to, size_t len, int flags, void *arg)
{
    struct layer *layer = arg;
    if (layer->in.len == 0)
        return -1;
    if (len > layer->in.len)
        len = layer->in.len;
    memcpy(to, layer->in.ptr, len);
    layer->in = rc_slice_from(layer->in, len);
    layer->unaccounted += len;
    return (ssize_t)len;
}

static uint64_t header_bytes(uint64_t payload_length)
{
    return 2u + 4u + (payload_length <= CONTROL_MAX ? 0 : payload_length <= UINT16_MAX ? 2 : 8);
}

/* A part of a frame's payload: adds what is the reader's to `to`. 0 or a negative rc_err. */
static int take_payload(struct rc_stream *stream, struct layer *layer, const struct wslay_frame_iocb *frame,
                        uint8_t *to, size_t *done)
{
    struct control *control = layer->control;
    layer->frame_left -= frame->data_length;
    layer->unaccounted -= frame->data_length;
    if (control == NULL) {
        if (frame->data_length > 0)
            memcpy(to + *done, frame->data, frame->data_length);
        *done += frame->data_length;
        return RC_OK;
    }
    memcpy(control->bytes + control->len, frame->data, frame->data_length);
    control->len = (uint8_t)(control->len + frame->data_length);
    if (layer->frame_left > 0)
        return RC_OK;
    layer->control = NULL;
    int err = handle_control(stream, layer, control);
    free(control);
    return err;
}

static void unmask(uint8_t *to, const uint8_t *from, size_t len, const uint8_t key[KEY_BYTES])
{
    uint64_t mask, word;
    size_t at = 0;
    memcpy(&mask, key, KEY_BYTES);
    memcpy((uint8_t *)&mask + KEY_BYTES, key, KEY_BYTES);
    for (; at + sizeof(word) <= len; at += sizeof(word)) {
        memcpy(&word, from + at, sizeof(word));
        word ^= mask;
        memcpy(to + at, &word, sizeof(word));
    }
    for (; at < len; at++)
        to[at] = from[at] ^ key[at % KEY_BYTES];
}

/* Takes the frame at the front of `in` if it is a message and whole: its bytes; 0: wslay has to look at it.
 */
static size_t take_message(struct rc_slice in, uint8_t *to, size_t *done)
{
    if (in.len < 2 + KEY_BYTES || in.ptr[0] != (FIN | WSLAY_BINARY_FRAME) || !(in.ptr[1] & MASKED))
        return 0;
    size_t header = 2, len = in.ptr[1] & ~MASKED;
    if (len == LEN_IN_TWO_BYTES) {
        len = rc_load_u16(in.ptr + 2);
        header = 4;
    }
    bool is_right_form = header == 2 ? len < LEN_IN_TWO_BYTES : len >= LEN_IN_TWO_BYTES;
    if (!is_right_form || in.len < header + KEY_BYTES + len)
        return 0;
    const uint8_t *key = in.ptr + header;
    unmask(to + *done, key + KEY_BYTES, len, key);
    *done += len;
    return header + KEY_BYTES + len;
}

/*
 * Takes apart what was read: how many bytes are the reader's. There is room for them: payload never needs
 * more than the bytes that it came in, and what wslay keeps between calls is but the part of a header.
 */
static size_t take_apart(struct rc_stream *stream, struct layer *layer, struct rc_slice in, uint8_t *to)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
    size_t done = 0;
    if (layer->frames == NULL && !layer->is_in_message)
        for (size_t used; (used = take_message(in, to, &done)) > 0;)
            in = rc_slice_from(in, used);
    if (in.len == 0)
        return done;
    layer->in = in;
    if (layer->frames == NULL && wslay_frame_context_init(&layer->frames, &callbacks, layer) != 0) {
        layer->ended = RC_ERR_FULL;
        return done; /* what follows is lost, and told at the next read */
    }
    while (layer->ended == 0) {
        struct wslay_frame_iocb frame;
        bool is_new = layer->frame_left == 0;
        ssize_t got = wslay_frame_recv(layer->frames, &frame);
        if (got == WSLAY_ERR_WANT_READ && layer->in.len == 0)
            break;
        if (got == WSLAY_ERR_WANT_READ)
            continue;
        if (got < 0) {
            fail(stream, layer, CLOSE_PROTOCOL);
            break;
        }
        uint16_t code = is_new ? begin_frame(layer, &frame) : 0;
        if (code != 0) {
            fail(stream, layer, code);
            break;
        }
        layer->unaccounted -= is_new ? header_bytes(frame.payload_length) : 0;
        if (take_payload(stream, layer, &frame, to, &done) != RC_OK)
            break;
    }
    layer->in = rc_slice(NULL, 0); /* what follows a close frame is nobody's */
    if (layer->ended != 0 || (layer->frame_left == 0 && layer->unaccounted == 0)) {
        wslay_frame_context_free(layer->frames);
        layer->frames = NULL;
        layer->unaccounted = 0;
    }
    return done;
}

/* ---- the layer ---- */

static ssize_t websocket_read(struct rc_stream *stream, void *state, void *to, size_t len)
{
    struct layer *layer = state;
    uint8_t raw[RC_WEBSOCKET_READ_BYTES];
    for (int i = 0; i < RC_WEBSOCKET_READS_MAX && layer->ended == 0; i++) {
        ssize_t got =
            layer->below.ops->read(stream, layer->below.state, raw, len < sizeof(raw) ? len : sizeof(raw));
        if (got <= 0)
            return got;
        size_t done = take_apart(stream, layer, rc_slice(raw, (size_t)got), to);
        if (done > 0)
            return (ssize_t)done;
    }
    return layer->ended == 0 ? RC_ERR_AGAIN : layer->ended > 0 ? 0 : layer->ended;
}

static ssize_t websocket_writev(struct rc_stream *stream, void *state, const struct iovec *iov, int count)
{
    struct layer *layer = state;
    bool is_within_frame = rc_websocket_is_within_frame(&layer->out);
    if (layer->is_close_sent && !is_within_frame)
        return RC_ERR_CLOSED; /* nothing may follow a close frame */
    int err = is_within_frame ? RC_OK : write_waiting(stream, layer);
    if (err != RC_OK)
        return err;
    ssize_t sent = rc_websocket_write_packets(&layer->out, stream, &layer->below, iov, count);
    if (sent >= 0 || sent == RC_ERR_AGAIN)
        write_waiting(stream, layer);
    return sent;
}

/* ---- the layer ---- */

/* An end that has come behind bytes that were read: no event tells of it. */
static size_t websocket_pending(const struct rc_stream *stream, void *state)
{
    const struct layer *layer = state;
    if (layer->ended != 0)
        return 1;
    return layer->below.ops->pending != NULL ? layer->below.ops->pending(stream, layer->below.state) : 0;
}

static bool websocket_reads_on_out(void *state)
{
    const struct layer *layer = state;
    return layer->below.ops->reads_on_out != NULL && layer->below.ops->reads_on_out(layer->below.state);
}

static int websocket_shutdown(struct rc_stream *stream, void *state)
{
    struct layer *layer = state;
    send_close(stream, layer, layer->close_code);
    return layer->below.ops->shutdown(stream, layer->below.state);
}

static int websocket_want(struct rc_stream *stream, void *state, uint32_t events)
{
    struct layer *layer = state;
    /* The owner has nothing to write (any more), but a control frame waits. */
    if (events != 0 && !(events & EPOLLOUT) && write_waiting(stream, layer) == RC_ERR_AGAIN)
        events |= EPOLLOUT;
    return layer->below.ops->want(stream, layer->below.state, events);
}

static void websocket_close(struct rc_stream *stream, void *state)
{
    struct layer *layer = state;
    send_close(stream, layer, layer->close_code);
    struct rc_stream_layer below = layer->below;
    wslay_frame_context_free(layer->frames);
    free(layer->control);
    free(layer->waiting);
    free(layer);
    below.ops->close(stream, below.state);
}

static const struct rc_stream_layer *websocket_below(const void *state)
{
    return &((const struct layer *)state)->below;
}

static const struct rc_stream_ops websocket_ops = {
    .name = "websocket",
    .read = websocket_read,
    .writev = websocket_writev,
    .pending = websocket_pending,
    .reads_on_out = websocket_reads_on_out,
    .shutdown = websocket_shutdown,
    .want = websocket_want,
    .close = websocket_close,
    .below = websocket_below,
};

void rc_stream_push_websocket(struct rc_stream *stream)
{
    struct layer *layer = rc_new(struct layer);
    layer->close_code = CLOSE_NORMAL;
    rc_stream_push(stream, &websocket_ops, layer, &layer->below);
}
