/*
 * Design notes
 * - An end that waits for something it already has posts itself one mail; the delivery calls on_ready and
 * posts again while the reason stands. That is level-triggered readiness, one call a turn.
 * - An end may be closed by its own callback, or with its mail under way: the mail frees it then.
 */
#include "net/stream_memory.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <sys/epoll.h>

struct end {
    struct rc_mail mail;
    bool is_posted, is_closed;
    bool is_finished;         /* the peer writes no more */
    struct end *peer;         /* NULL once it has closed */
    struct rc_stream *stream; /* where it was attached last */
    struct rc_buf in;
};

static uint32_t ready_events(const struct end *end)
{
    uint32_t ready = 0;
    if (rc_buf_len(&end->in) > 0 || end->is_finished)
        ready |= EPOLLIN;
    if (end->peer == NULL || rc_buf_len(&end->peer->in) < end->peer->in.max)
        ready |= EPOLLOUT;
    return ready & end->stream->watch.events;
}

static void tell(struct end *end)
{
    if (end == NULL || end->is_posted || end->is_closed || end->stream == NULL || end->stream->loop == NULL ||
        ready_events(end) == 0)
        return;
    end->is_posted = true;
    rc_loop_post(end->stream->loop, &end->mail);
}

static void on_mail(struct rc_mail *mail, struct rc_loop *loop)
{
    struct end *end = rc_container_of(mail, struct end, mail);
    end->is_posted = false;
    if (end->is_closed) {
        free(end);
        return;
    }
    if (end->stream == NULL || end->stream->loop != loop) {
        tell(end); /* it has moved to another loop meanwhile */
        return;
    }
    uint32_t ready = ready_events(end);
    if (ready == 0)
        return;
    end->is_posted = true; /* so that closing in the callback leaves the freeing to us */
    end->stream->watch.on_ready(&end->stream->watch, ready);
    end->is_posted = false;
    if (end->is_closed)
        free(end);
    else
        tell(end);
}

static ssize_t memory_read(struct rc_stream *stream, void *state, void *to, size_t len)
{
    struct end *end = state;
    size_t have = rc_buf_len(&end->in);
    if (have == 0)
        return end->is_finished ? 0 : RC_ERR_AGAIN;
    if (len > have)
        len = have;
    memcpy(to, rc_buf_slice(&end->in).ptr, len);
    rc_buf_consume(&end->in, len);
    tell(end->peer);
    return (ssize_t)len;
}

static ssize_t memory_writev(struct rc_stream *stream, void *state, const struct iovec *iov, int count)
{
    struct end *end = state, *peer = end->peer;
    if (peer == NULL || peer->is_finished)
        return RC_ERR_CLOSED;
    size_t written = 0;
    for (int i = 0; i < count; i++) {
        size_t room = peer->in.max - rc_buf_len(&peer->in),
               len = iov[i].iov_len < room ? iov[i].iov_len : room;
        rc_buf_put(&peer->in, iov[i].iov_base, len);
        written += len;
    }
    tell(peer);
    return written > 0 ? (ssize_t)written : RC_ERR_AGAIN;
}

static int memory_shutdown(struct rc_stream *stream, void *state)
{
    struct end *end = state;
    if (end->peer != NULL) {
        end->peer->is_finished = true;
        tell(end->peer);
    }
    return RC_OK;
}

static int memory_want(struct rc_stream *stream, void *state, uint32_t events)
{
    struct end *end = state;
    stream->watch.events = events;
    end->stream = events == 0 ? NULL : stream;
    tell(end);
    return RC_OK;
}

static void memory_close(struct rc_stream *stream, void *state)
{
    struct end *end = state;
    memory_shutdown(stream, state);
    if (end->peer != NULL)
        end->peer->peer = NULL;
    tell(end->peer);
    rc_buf_free(&end->in);
    end->is_closed = true;
    if (!end->is_posted)
        free(end);
}

static const struct rc_stream_ops memory_ops = {
    .name = "memory",
    .read = memory_read,
    .writev = memory_writev,
    .shutdown = memory_shutdown,
    .want = memory_want,
    .close = memory_close,
};

static struct end *end_create(struct rc_stream *stream, uint32_t capacity)
{
    struct end *end = rc_new(struct end);
    end->mail.deliver = on_mail;
    rc_buf_init(&end->in, capacity);
    *stream = (struct rc_stream){.ops = &memory_ops, .state = end, .watch.fd = -1};
    return end;
}

void rc_stream_pair(struct rc_stream *one, struct rc_stream *other, uint32_t capacity)
{
    struct end *first = end_create(one, capacity), *second = end_create(other, capacity);
    first->peer = second;
    second->peer = first;
}
