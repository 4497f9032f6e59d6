/*
 * What a connection reads from and writes to: a socket, with layers (TLS, WebSocket, ...) stacked on top
 * where they are used. A plain socket costs no memory beyond this struct. One thread at a time; a stream
 * moves between loops by rc_stream_detach and rc_stream_attach.
 *
 *     rc_stream_open(&conn->stream, fd);
 *     conn->stream.watch.on_ready = on_ready;              // events as of epoll
 *     rc_stream_attach(&conn->stream, loop, EPOLLIN);
 *     on_ready: len = rc_stream_read(&conn->stream, scratch, sizeof(scratch));
 *               0: the peer has finished; RC_ERR_AGAIN: later; other negative: broken
 *     output:   rc_output_put(&conn->output, ...); at the end of the turn rc_output_flush(&conn->output,
 * &conn->stream), which asks for EPOLLOUT by itself while the socket takes no more close:
 * rc_stream_close(&conn->stream); rc_output_free(&conn->output);
 */
#ifndef RC_NET_STREAM_H
#define RC_NET_STREAM_H

#include "loop/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

struct rc_stream;

/*
 * A kind of stream. All calls are non-blocking, on the stream's thread. Results: > 0 bytes, 0 the peer's end
 * (read only), RC_ERR_AGAIN, or another negative rc_err after which only close is legal. `close` releases
 * `state` and the socket.
 */
struct rc_stream_ops {
    const char *name; /* "tcp", "tls", ... */
    ssize_t (*read)(struct rc_stream *stream, void *to, size_t len);
    ssize_t (*writev)(struct rc_stream *stream, const struct iovec *iov, int count);
    void (*close)(struct rc_stream *stream);
};

struct rc_stream {
    const struct rc_stream_ops *ops; /* NULL while closed */
    void *state;                     /* of a layered kind; NULL for a plain socket */
    struct rc_loop *loop;            /* NULL while detached */
    struct rc_watch watch;           /* watch.fd is the socket */
};

/* Takes fd (non-blocking). The stream is detached at first. */
void rc_stream_open(struct rc_stream *stream, int fd);
/* Puts the stream on a loop; watch.on_ready must be set. */
int rc_stream_attach(struct rc_stream *stream, struct rc_loop *loop, uint32_t events);
/* Takes it off; the struct may then be copied to where another thread attaches it. */
void rc_stream_detach(struct rc_stream *stream);
/* Harmless when closed. */
void rc_stream_close(struct rc_stream *stream);

static inline bool rc_stream_is_open(const struct rc_stream *stream)
{
    return stream->ops != NULL;
}

static inline ssize_t rc_stream_read(struct rc_stream *stream, void *to, size_t len)
{
    return stream->ops->read(stream, to, len);
}

static inline ssize_t rc_stream_writev(struct rc_stream *stream, const struct iovec *iov, int count)
{
    return stream->ops->writev(stream, iov, count);
}

/* Changes what is waited for (EPOLLIN and/or EPOLLOUT). */
int rc_stream_want(struct rc_stream *stream, uint32_t events);

#endif
