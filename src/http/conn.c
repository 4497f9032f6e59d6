#include "http/conn.h"

#include "base/alloc.h"

#include <sys/socket.h>

/* libmicrohttpd closes what has ended, when it looks next. */
static void end(struct rc_http_conn *conn)
{
    shutdown(conn->fd, SHUT_RDWR);
}

static void on_give_up(void *owner)
{
    end(owner);
}

/* Nothing of the request's answer has been sent yet, so this may be said past libmicrohttpd. */
static void end_request(struct rc_http_conn *conn)
{
    static const char text[] =
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":408}\n";
    conn->counters->late_requests++;
    send(conn->fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    end(conn);
}

/* What the kernel holds for a client that does not read goes too. */
static void end_answer(struct rc_http_conn *conn)
{
    struct linger at_once = {.l_onoff = 1};
    conn->counters->unread_answers++;
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    end(conn);
}

static void on_due(struct rc_timer *timer)
{
    struct rc_http_conn *conn = rc_container_of(timer, struct rc_http_conn, timer);
    switch (conn->phase) {
    case RC_HTTP_READING:
        end_request(conn);
        break;
    case RC_HTTP_ANSWERING:
        end_answer(conn);
        break;
    case RC_HTTP_WAITING:
    case RC_HTTP_HANDLED:
        end(conn);
        break;
    }
}

void rc_http_conn_enter(struct rc_http_conn *conn, enum rc_http_phase phase, size_t answer_len)
{
    uint64_t ms = 0;
    conn->phase = phase;
    switch (phase) {
    case RC_HTTP_WAITING:
        ms = conn->options->idle_ms;
        break;
    case RC_HTTP_READING:
        ms = conn->options->request_ms;
        break;
    case RC_HTTP_ANSWERING:
        ms = conn->options->answer_ms + answer_len * 1000 / RC_HTTP_ANSWER_BYTES_PER_S;
        break;
    case RC_HTTP_HANDLED:
        break;
    }
    if (ms > 0)
        rc_timer_start(conn->loop, &conn->timer, ms);
    else
        rc_timer_stop(&conn->timer);
    rc_place_set_waiting(conn->place, phase == RC_HTTP_WAITING || phase == RC_HTTP_READING);
}

struct rc_http_conn *rc_http_conn_create(struct rc_loop *loop, const struct rc_http_options *options,
                                         struct rc_http_counters *counters, struct rc_place *place, int fd)
{
    struct rc_http_conn *conn = rc_new(struct rc_http_conn);
    *conn = (struct rc_http_conn){.loop = loop,
                                  .options = options,
                                  .counters = counters,
                                  .place = place,
                                  .fd = fd,
                                  .timer.on_due = on_due};
    if (place->give_up == NULL) {
        place->give_up = on_give_up;
        place->owner = conn;
    }
    rc_http_conn_enter(conn, RC_HTTP_WAITING, 0);
    return conn;
}

void rc_http_conn_free(struct rc_http_conn *conn)
{
    rc_timer_stop(&conn->timer);
    bool is_owner = conn->place->owner == conn;
    if (is_owner)
        conn->place->give_up = NULL;
    rc_place_set_waiting(conn->place, !is_owner); /* what is left of a TLS connection may be made to go */
    rc_place_unref(conn->place);
    free(conn);
}
