#include "net/stream.h"

#include "base/error.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t socket_read(struct rc_stream *stream, void *to, size_t len)
{
    ssize_t got;
    do {
        got = recv(stream->watch.fd, to, len, 0);
    } while (got == -1 && errno == EINTR);
    return got == -1 ? rc_err_from_errno(errno) : got;
}

static ssize_t socket_writev(struct rc_stream *stream, const struct iovec *iov, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    ssize_t sent;
    do {
        sent = sendmsg(stream->watch.fd, &message, MSG_NOSIGNAL);
    } while (sent == -1 && errno == EINTR);
    return sent == -1 ? rc_err_from_errno(errno) : sent;
}

static void socket_close(struct rc_stream *stream)
{
    close(stream->watch.fd);
}

static const struct rc_stream_ops socket_ops = {
    .name = "tcp",
    .read = socket_read,
    .writev = socket_writev,
    .close = socket_close,
};

void rc_stream_open(struct rc_stream *stream, int fd)
{
    *stream = (struct rc_stream){.ops = &socket_ops, .watch.fd = fd};
}

int rc_stream_attach(struct rc_stream *stream, struct rc_loop *loop, uint32_t events)
{
    int err = rc_loop_watch(loop, &stream->watch, stream->watch.fd, events);
    if (err == RC_OK)
        stream->loop = loop;
    return err;
}

void rc_stream_detach(struct rc_stream *stream)
{
    if (stream->loop == NULL)
        return;
    rc_loop_unwatch(stream->loop, &stream->watch);
    stream->loop = NULL;
}

void rc_stream_close(struct rc_stream *stream)
{
    if (stream->ops == NULL)
        return;
    if (stream->loop != NULL)
        rc_loop_forget(stream->loop, &stream->watch);
    stream->loop = NULL;
    stream->ops->close(stream);
    stream->ops = NULL;
    stream->state = NULL;
}

int rc_stream_want(struct rc_stream *stream, uint32_t events)
{
    return rc_loop_rewatch(stream->loop, &stream->watch, events);
}
