#include "net/stream.h"

#include "base/error.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t socket_read(struct rc_stream *stream, void *state, void *to, size_t len)
{
    ssize_t got;
    do {
        got = recv(stream->watch.fd, to, len, 0);
    } while (got == -1 && errno == EINTR);
    return got == -1 ? rc_err_from_errno(errno) : got;
}

static ssize_t socket_writev(struct rc_stream *stream, void *state, const struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t sent;
    do {
        /* One piece is the usual case, and the kernel has less to copy in for it. */
        sent = count == 1 ? send(stream->watch.fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                          : sendmsg(stream->watch.fd, &message, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    return sent == -1 ? rc_err_from_errno(errno) : sent;
}

static int socket_shutdown(struct rc_stream *stream, void *state)
{
    return shutdown(stream->watch.fd, SHUT_WR) == -1 ? rc_err_from_errno(errno) : RC_OK;
}

static int socket_want(struct rc_stream *stream, void *state, uint32_t events)
{
    return rc_loop_rewatch(stream->loop, &stream->watch, events);
}

static void socket_close(struct rc_stream *stream, void *state)
{
    if (stream->loop != NULL)
        rc_loop_forget(stream->loop, &stream->watch);
    close(stream->watch.fd);
}

static const struct rc_stream_ops socket_ops = {
    .name = "tcp",
    .read = socket_read,
    .writev = socket_writev,
    .shutdown = socket_shutdown,
    .want = socket_want,
    .close = socket_close,
};

void rc_stream_open(struct rc_stream *stream, int fd)
{
    *stream = (struct rc_stream){.ops = &socket_ops, .watch.fd = fd};
}

bool rc_stream_is_socket(const struct rc_stream *stream)
{
    return stream->ops == &socket_ops;
}

void *rc_stream_find(const struct rc_stream *stream, const struct rc_stream_ops *ops)
{
    struct rc_stream_layer layer = {.ops = stream->ops, .state = stream->state};
    while (layer.ops != NULL && layer.ops != ops) {
        const struct rc_stream_layer *below = layer.ops->below != NULL ? layer.ops->below(layer.state) : NULL;
        layer = below != NULL ? *below : (struct rc_stream_layer){0};
    }
    return layer.ops != NULL ? layer.state : NULL;
}

void rc_stream_push(struct rc_stream *stream, const struct rc_stream_ops *ops, void *state,
                    struct rc_stream_layer *ret_below)
{
    *ret_below = (struct rc_stream_layer){.ops = stream->ops, .state = stream->state};
    stream->ops = ops;
    stream->state = state;
}

int rc_stream_attach(struct rc_stream *stream, struct rc_loop *loop, uint32_t events)
{
    stream->loop = loop;
    int err = rc_stream_want(stream, events);
    if (err != RC_OK)
        stream->loop = NULL;
    return err;
}

void rc_stream_detach(struct rc_stream *stream)
{
    if (stream->loop == NULL)
        return;
    rc_stream_want(stream, 0);
    stream->loop = NULL;
}

void rc_stream_close(struct rc_stream *stream)
{
    if (stream->ops == NULL)
        return;
    stream->ops->close(stream, stream->state);
    stream->ops = NULL;
    stream->state = NULL;
    stream->loop = NULL;
}

int rc_stream_want(struct rc_stream *stream, uint32_t events)
{
    if (stream->loop == NULL)
        return RC_ERR_INVALID;
    return stream->ops->want(stream, stream->state, events);
}
