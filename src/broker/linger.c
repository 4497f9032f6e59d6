/*
 * Last words that arrive. A socket that is closed with bytes of the peer unread makes the kernel reset the
 * connection, and what was written last may never be seen: a client that is told why it goes (it sent too
 * much, say) is mostly one that is still sending. So the sending side is closed, and what still comes is read
 * and thrown away until the client has closed too; bounded in time, in bytes and in number.
 */
#include "broker/private.h"

#include "base/alloc.h"
#include "base/error.h"

#include <sys/epoll.h>

enum {
    LINGER_MS = 2000,
    LINGER_BYTES_MAX = 8 << 20, /* who sends more than this after the end does not read either */
    LINGER_READS_PER_WAKE = 8,
};

struct last_stream {
    struct rc_broker *broker;
    struct rc_stream stream;
    struct rc_timer timer;
    struct rc_list node;
    size_t bytes_left;
};

static void end(struct last_stream *last)
{
    rc_timer_stop(&last->timer);
    rc_list_remove(&last->node);
    last->broker->lingering_count--;
    rc_stream_close(&last->stream);
    free(last);
}

/* False when there is nothing more to wait for. The broker's scratch may be in use: a caller further up may
 * be in the middle of what it has read. */
static bool throw_away(struct rc_stream *stream, size_t *bytes_left)
{
    uint8_t bytes[16384];
    for (int i = 0; i < LINGER_READS_PER_WAKE; i++) {
        ssize_t len = rc_stream_read(stream, bytes, sizeof(bytes));
        if (len == RC_ERR_AGAIN)
            return true;
        if (len <= 0 || (size_t)len > *bytes_left)
            return false;
        *bytes_left -= (size_t)len;
    }
    return true;
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct last_stream *last = rc_container_of(watch, struct last_stream, stream.watch);
    if (!throw_away(&last->stream, &last->bytes_left))
        end(last);
}

static void on_timer(struct rc_timer *timer)
{
    end(rc_container_of(timer, struct last_stream, timer));
}

void rc_linger_close(struct rc_broker *broker, struct rc_stream *stream)
{
    size_t bytes_left = LINGER_BYTES_MAX;
    if (broker->is_stopping || broker->lingering_count >= RC_BROKER_LINGERING_MAX ||
        rc_stream_shutdown(stream) != RC_OK || !throw_away(stream, &bytes_left)) {
        rc_stream_close(stream);
        return;
    }
    struct last_stream *last = rc_new(struct last_stream);
    rc_stream_detach(stream);
    last->broker = broker;
    last->stream = *stream;
    last->bytes_left = bytes_left;
    last->stream.watch.on_ready = on_ready;
    last->timer.on_due = on_timer;
    *stream = (struct rc_stream){.ops = NULL};
    rc_list_push_back(&broker->lingering, &last->node);
    broker->lingering_count++;
    if (rc_stream_attach(&last->stream, broker->options.loop, EPOLLIN) != RC_OK) {
        end(last);
        return;
    }
    rc_timer_start(broker->options.loop, &last->timer, LINGER_MS);
}

void rc_lingering_free(struct rc_broker *broker)
{
    while (!rc_list_is_empty(&broker->lingering))
        end(rc_container_of(broker->lingering.next, struct last_stream, node));
}
