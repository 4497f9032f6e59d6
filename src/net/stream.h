/*
 * What a connection reads from and writes to: a socket, with layers (TLS, WebSocket, ...) stacked on top
 * where they are used. A plain socket costs no memory beyond this struct. One thread at a time.
 *
 *     on_accept(listener, fd, peer):                        // net/listener.h
 *         rc_stream_open(&conn->stream, fd);                // takes fd; detached at first
 *         conn->stream.watch.on_ready = on_ready;
 *         rc_stream_attach(&conn->stream, loop, EPOLLIN);
 *
 *     on_ready(watch, events):
 *         conn = rc_container_of(watch, struct conn, stream.watch);
 *         if (events & EPOLLOUT)                            // room again for what waits
 *             rc_output_flush(&conn->output, &conn->stream);
 *         if (!(events & ~EPOLLOUT) && !rc_stream_reads_on_out(&conn->stream))
 *             return;
 *         len = rc_stream_read(&conn->stream, scratch, sizeof(scratch));
 *         > 0: bytes; 0: the peer has finished; RC_ERR_AGAIN: later; other negative: broken
 *
 *     answering, in the turn:   rc_output_put(&conn->output, packet, len);
 *     at the turn's end:        rc_output_flush(&conn->output, &conn->stream);
 *         0: all gone; RC_ERR_AGAIN: EPOLLOUT will come; other negative: broken
 *     a slow reader:            rc_output_has_room(&conn->output, len, limit) is false: drop, or close
 *
 *     moving to another loop:   rc_stream_detach, copy the struct into the mail, and there rc_stream_attach,
 *                               then rc_output_flush for what is still waiting. Bytes that were read and not
 *                               yet used travel with it, by the owner.
 *     the end:                  rc_stream_close(&conn->stream); rc_output_free(&conn->output);
 *
 * Closing with bytes of the peer unread makes the kernel drop what it has not yet sent: before closing on a
 * peer that still talks, rc_stream_shutdown, then read (and throw away) until 0 or until a timer ends it.
 */
#ifndef RC_NET_STREAM_H
#define RC_NET_STREAM_H

#include "loop/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct rc_stream;

/*
 * A kind of stream, or a layer. All calls are non-blocking and come on the stream's thread. Results: > 0
 * bytes, 0 the peer's end (read only), RC_ERR_AGAIN, or another negative rc_err after which only close is
 * legal. `state` is the layer's own.
 */
struct rc_stream_ops {
    const char *name; /* "tcp", "tls", ... */
    ssize_t (*read)(struct rc_stream *stream, void *state, void *to, size_t len);
    ssize_t (*writev)(struct rc_stream *stream, void *state, const struct iovec *iov, int count);
    /* Bytes that a read would yield although the socket has nothing. NULL when there are never any. */
    size_t (*pending)(const struct rc_stream *stream, void *state);
    /* Whether it can read on only after it has written, so that EPOLLOUT means: read. NULL for never. */
    bool (*reads_on_out)(void *state);
    /* Tells the peer that nothing more will be written; reading goes on. */
    int (*shutdown)(struct rc_stream *stream, void *state);
    /* Waits for EPOLLIN and/or EPOLLOUT on stream->loop, 0 for none, and keeps stream->watch.events true. */
    int (*want)(struct rc_stream *stream, void *state, uint32_t events);
    /* Releases the state and what is below it. The stream may be attached or not. */
    void (*close)(struct rc_stream *stream, void *state);
    /* What the layer was put on; NULL at the bottom. */
    const struct rc_stream_layer *(*below)(const void *state);
};

/* What a layer keeps of the one that it was put on; it calls below.ops->read(stream, below.state, ...). */
struct rc_stream_layer {
    const struct rc_stream_ops *ops;
    void *state;
};

struct rc_stream {
    const struct rc_stream_ops *ops; /* of the topmost layer; NULL while closed */
    void *state;                     /* its state; NULL for a plain socket */
    struct rc_loop *loop;            /* NULL while detached */
    struct rc_watch watch;           /* watch.fd is the socket */
};

/* Takes fd (non-blocking). The stream is detached at first. */
void rc_stream_open(struct rc_stream *stream, int fd);
/* Puts a layer on top, which from then on owns what was there (*ret_below). */
void rc_stream_push(struct rc_stream *stream, const struct rc_stream_ops *ops, void *state,
                    struct rc_stream_layer *ret_below);

/* Puts the stream on a loop; watch.on_ready must be set. 0 or a negative rc_err, and then it is detached. */
int rc_stream_attach(struct rc_stream *stream, struct rc_loop *loop, uint32_t events);
/* Takes it off; the struct may then be copied to where another thread attaches it. Harmless when off. */
void rc_stream_detach(struct rc_stream *stream);
/* Harmless when closed. */
void rc_stream_close(struct rc_stream *stream);

/* Whether it is a socket without any layer. */
bool rc_stream_is_socket(const struct rc_stream *stream);
/* The state of the layer with these ops, NULL when there is none. */
void *rc_stream_find(const struct rc_stream *stream, const struct rc_stream_ops *ops);

static inline bool rc_stream_is_open(const struct rc_stream *stream)
{
    return stream->ops != NULL;
}

static inline ssize_t rc_stream_read(struct rc_stream *stream, void *to, size_t len)
{
    return stream->ops->read(stream, stream->state, to, len);
}

static inline ssize_t rc_stream_writev(struct rc_stream *stream, const struct iovec *iov, int count)
{
    return stream->ops->writev(stream, stream->state, iov, count);
}

/* Above 0: read again, for no event will tell of these bytes. */
static inline size_t rc_stream_pending(const struct rc_stream *stream)
{
    return stream->ops->pending == NULL ? 0 : stream->ops->pending(stream, stream->state);
}

static inline bool rc_stream_reads_on_out(const struct rc_stream *stream)
{
    return stream->ops->reads_on_out != NULL && stream->ops->reads_on_out(stream->state);
}

static inline int rc_stream_shutdown(struct rc_stream *stream)
{
    return stream->ops->shutdown(stream, stream->state);
}

/*
 * Changes what is waited for: EPOLLIN and/or EPOLLOUT, or 0 to pause (then not even the peer's end is told).
 * The stream must be attached, else RC_ERR_INVALID.
 */
int rc_stream_want(struct rc_stream *stream, uint32_t events);

#endif
