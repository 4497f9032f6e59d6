/*
 * Design notes
 * - Each direction has one buffer of a TLS record. It is read only when it is empty, so a side that does not
 *   take its bytes stops the other side's reading, and a connection costs two records and no more.
 * - How long a connection may stay silent is the HTTP server's to say: it closes its socket, and the relay
 *   ends when what it said before has gone. A client that takes nothing for RC_TLS_RELAY_STALL_MS is closed:
 *   the server's own clock does not see it, since the relay has read what the client does not take.
 * - That the client has ended is told a moment after its last bytes: libmicrohttpd waits for edges, and takes
 *   what it reads in one go for all that there is, so an end that came with bytes would not be seen.
 */
#include "http/tls_relay.h"

#include "base/alloc.h"
#include "base/list.h"
#include "base/log.h"
#include "net/stream_tls.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROUNDS_PER_TURN = 4, /* then other watches of the loop get their turn */
    TELL_MS = 5,         /* the server has read by then: it is on the same loop */
};

/* Bytes on their way from one side to the other. */
struct pipe {
    size_t at, len;
    bool is_ended; /* nothing more will be read */
    bool is_told;  /* ... and the other side knows */
    uint8_t bytes[RC_TLS_RECORD_BYTES];
};

struct link {
    struct rc_tls_relay *relay;
    struct rc_list node;
    struct rc_stream outer; /* TLS, to the client */
    struct rc_watch inner;  /* to the HTTP server */
    struct rc_timer timer;
    struct rc_timer tell; /* the server, that the client has ended */
    struct rc_address peer;
    struct rc_place *place; /* a reference, from before the handshake on */
    struct pipe in, out;    /* to the server, to the client */
};

struct rc_tls_relay {
    struct rc_loop *loop;
    struct rc_http_server *server;
    struct rc_tls *tls;
    struct rc_list links;
    struct rc_tls_relay_counters counters;
};

static void end(struct link *link)
{
    rc_timer_stop(&link->timer);
    rc_timer_stop(&link->tell);
    rc_list_remove(&link->node);
    rc_stream_close(&link->outer);
    if (link->inner.fd != -1) {
        rc_loop_unwatch(link->relay->loop, &link->inner);
        close(link->inner.fd);
    }
    rc_place_set_waiting(link->place, false);
    link->place->give_up = NULL;
    rc_place_unref(link->place);
    free(link);
}

static void on_give_up(void *owner)
{
    end(owner);
}

static void on_due(struct rc_timer *timer)
{
    struct link *link = rc_container_of(timer, struct link, timer);
    if (link->inner.fd == -1)
        link->relay->counters.late_handshakes++;
    end(link);
}

/* ---- one direction: each function is false when the connection is broken ---- */

static bool fill(struct pipe *pipe, ssize_t got)
{
    if (got == RC_ERR_AGAIN)
        return true;
    pipe->is_ended = got == 0;
    pipe->at = 0;
    pipe->len = got > 0 ? (size_t)got : 0;
    return got >= 0;
}

static bool read_outer(struct link *link)
{
    struct pipe *pipe = &link->in;
    if (pipe->len > 0 || pipe->is_ended)
        return true;
    return fill(pipe, rc_stream_read(&link->outer, pipe->bytes, sizeof(pipe->bytes)));
}

/* A server that closes with bytes of the client unread resets its end: what it said is told first. */
static bool read_inner(struct link *link)
{
    struct pipe *pipe = &link->out;
    if (pipe->len > 0 || pipe->is_ended)
        return true;
    ssize_t got = recv(link->inner.fd, pipe->bytes, sizeof(pipe->bytes), 0);
    if (got < 0)
        got = errno == EAGAIN || errno == EINTR ? RC_ERR_AGAIN : 0;
    return fill(pipe, got);
}

static void take(struct pipe *pipe, size_t len)
{
    pipe->at += len;
    pipe->len -= len;
}

static void write_inner(struct link *link)
{
    struct pipe *pipe = &link->in;
    if (pipe->len > 0) {
        ssize_t put = send(link->inner.fd, pipe->bytes + pipe->at, pipe->len, MSG_NOSIGNAL);
        if (put > 0)
            take(pipe, (size_t)put);
        else if (errno != EAGAIN && errno != EINTR)
            take(pipe, pipe->len); /* the server takes no more, which its own end will tell */
    }
    if (pipe->len == 0 && pipe->is_ended && !pipe->is_told && !rc_timer_is_running(&link->tell))
        rc_timer_start(link->relay->loop, &link->tell, TELL_MS);
}

static bool write_outer(struct link *link)
{
    struct pipe *pipe = &link->out;
    if (pipe->len > 0) {
        struct iovec iov = {pipe->bytes + pipe->at, pipe->len};
        ssize_t put = rc_stream_writev(&link->outer, &iov, 1);
        if (put > 0) {
            take(pipe, (size_t)put);
            if (!pipe->is_ended)
                rc_timer_stop(&link->timer);
        } else if (put != RC_ERR_AGAIN) {
            return false;
        }
    }
    if (pipe->len == 0 && pipe->is_ended && !pipe->is_told) {
        pipe->is_told = true;
        rc_stream_shutdown(&link->outer);
    }
    return true;
}

/* ---- both ---- */

/* What is waited for next. False when that cannot be. */
static bool wait_for_more(struct link *link)
{
    bool is_ending = link->out.is_ended;
    uint32_t outer = link->out.len > 0 ? EPOLLOUT : 0, inner = 0;
    if (link->in.len == 0 && !link->in.is_ended)
        outer |= EPOLLIN;
    if (!is_ending) {
        inner = link->out.len == 0 ? EPOLLIN : 0;
        inner |= link->in.len > 0 ? EPOLLOUT : 0;
    }
    if ((is_ending || link->out.len > 0) && !rc_timer_is_running(&link->timer))
        rc_timer_start(link->relay->loop, &link->timer, RC_TLS_RELAY_STALL_MS);
    return rc_stream_want(&link->outer, outer) == RC_OK &&
           rc_loop_rewatch(link->relay->loop, &link->inner, inner) == RC_OK;
}

/* Once the server has ended, what the client still sends is read and dropped, until it ends too. */
static void drop_rest(struct link *link)
{
    if (link->out.is_ended && link->out.len == 0)
        link->in.len = 0;
}

static void move(struct link *link)
{
    bool is_sound = true;
    for (int round = 0; is_sound && round < ROUNDS_PER_TURN; round++) {
        is_sound = read_outer(link);
        if (is_sound)
            write_inner(link);
        is_sound = is_sound && read_inner(link) && write_outer(link);
        drop_rest(link);
    }
    bool is_over = link->in.is_ended && link->out.is_told;
    if (!is_sound || is_over || !wait_for_more(link))
        end(link);
}

static void on_tell(struct rc_timer *timer)
{
    struct link *link = rc_container_of(timer, struct link, tell);
    link->in.is_told = true;
    shutdown(link->inner.fd, SHUT_WR);
    move(link);
}

static void on_outer(struct rc_watch *watch, uint32_t events)
{
    move(rc_container_of(watch, struct link, outer.watch));
}

static void on_inner(struct rc_watch *watch, uint32_t events)
{
    move(rc_container_of(watch, struct link, inner));
}

/* ---- the beginning ---- */

static bool connect_to_server(struct link *link)
{
    int pair[2];
    struct rc_tls_relay *relay = link->relay;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    link->inner.fd = pair[0];
    link->inner.on_ready = on_inner;
    if (rc_http_server_accept(relay->server, pair[1], &link->peer, link->place) != RC_OK ||
        rc_loop_watch(relay->loop, &link->inner, pair[0], EPOLLIN) != RC_OK) {
        close(pair[0]);
        link->inner.fd = -1;
        return false;
    }
    return true;
}

static void on_handshake(struct rc_watch *watch, uint32_t events)
{
    struct link *link = rc_container_of(watch, struct link, outer.watch);
    struct rc_error error = {.text = ""};
    uint32_t wanted = EPOLLIN;
    int err = rc_stream_tls_handshake(&link->outer, &wanted, &error);
    if (err == RC_ERR_AGAIN) {
        if (rc_stream_want(&link->outer, wanted) != RC_OK)
            end(link);
        return;
    }
    if (err != RC_OK) {
        link->relay->counters.failed_handshakes++;
        rc_log_debug("http", "TLS handshake failed: %s", error.text);
        end(link);
        return;
    }
    rc_timer_stop(&link->timer);
    link->outer.watch.on_ready = on_outer;
    if (connect_to_server(link))
        move(link); /* the request may have come with the last step's bytes */
    else
        end(link);
}

void rc_tls_relay_accept(struct rc_tls_relay *relay, int fd, const struct rc_address *peer)
{
    int kept = RC_HTTP_SEND_BUFFER;
    struct rc_place *place = rc_place_take(rc_http_server_places(relay->server), peer);
    if (place == NULL) {
        relay->counters.refused++;
        close(fd);
        return;
    }
    struct link *link = rc_new(struct link);
    link->relay = relay;
    link->peer = *peer;
    link->place = place;
    place->give_up = on_give_up;
    place->owner = link;
    rc_place_set_waiting(place, true);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof(kept));
    link->inner.fd = -1;
    link->timer.on_due = on_due;
    link->tell.on_due = on_tell;
    link->outer.watch.on_ready = on_handshake;
    rc_list_push_back(&relay->links, &link->node);
    relay->counters.accepted++;
    rc_stream_open(&link->outer, fd);
    link->outer.watch.on_ready = on_handshake;
    if (rc_stream_push_tls(&link->outer, relay->tls) != RC_OK ||
        rc_stream_attach(&link->outer, relay->loop, EPOLLIN) != RC_OK) {
        end(link);
        return;
    }
    rc_timer_start(relay->loop, &link->timer, RC_TLS_RELAY_HANDSHAKE_MS);
}

/* ---- life ---- */

struct rc_tls_relay *rc_tls_relay_create(struct rc_loop *loop, struct rc_http_server *server,
                                         struct rc_tls *tls)
{
    struct rc_tls_relay *relay = rc_new(struct rc_tls_relay);
    relay->loop = loop;
    relay->server = server;
    relay->tls = rc_tls_ref(tls);
    rc_list_init(&relay->links);
    return relay;
}

void rc_tls_relay_destroy(struct rc_tls_relay *relay)
{
    if (relay == NULL)
        return;
    while (!rc_list_is_empty(&relay->links))
        end(rc_container_of(relay->links.next, struct link, node));
    rc_tls_unref(relay->tls);
    free(relay);
}

void rc_tls_relay_set_tls(struct rc_tls_relay *relay, struct rc_tls *tls)
{
    rc_tls_unref(relay->tls);
    relay->tls = rc_tls_ref(tls);
}

const struct rc_tls_relay_counters *rc_tls_relay_counters(const struct rc_tls_relay *relay)
{
    return &relay->counters;
}
