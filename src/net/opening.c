#include "net/opening.h"

#include "base/alloc.h"
#include "net/output.h"
#include "net/proxy_protocol.h"
#include "net/stream_tls.h"
#include "net/stream_websocket.h"
#include "net/websocket_upgrade.h"

#include <sys/epoll.h>

enum phase { PROXY_HEADER, TLS_START, TLS_HANDSHAKE, UPGRADE_REQUEST, UPGRADE_ANSWER, DONE };

struct rc_opening {
    struct rc_transport *transport;
    enum phase phase;
    int refusal; /* HTTP status of an upgrade that is refused, 0 for one that is not */
    struct rc_buf in;
    struct rc_output out;
    struct rc_address client;
};

static enum phase after_proxy(const struct rc_transport *transport)
{
    if (transport->tls != NULL)
        return TLS_START;
    return transport->path != NULL ? UPGRADE_REQUEST : DONE;
}

struct rc_opening *rc_opening_create(struct rc_transport *transport, const struct rc_address *peer)
{
    enum phase first = rc_transport_trusts(transport, peer) ? PROXY_HEADER : after_proxy(transport);
    if (first == DONE)
        return NULL;
    struct rc_opening *opening = rc_new(struct rc_opening);
    opening->transport = rc_transport_ref(transport);
    opening->phase = first;
    rc_buf_init(&opening->in, RC_UPGRADE_HEAD_MAX + 1);
    return opening;
}

void rc_opening_free(struct rc_opening *opening)
{
    if (opening == NULL)
        return;
    rc_buf_free(&opening->in);
    rc_output_free(&opening->out);
    rc_transport_unref(opening->transport);
    free(opening);
}

const struct rc_address *rc_opening_client(const struct rc_opening *opening)
{
    return opening->client.len > 0 ? &opening->client : NULL;
}

static int wait_for(struct rc_stream *stream, uint32_t events)
{
    int err = stream->watch.events == events ? RC_OK : rc_stream_want(stream, events);
    return err == RC_OK ? RC_ERR_AGAIN : err;
}

/* Reads up to `max` bytes more: 0, RC_ERR_AGAIN (waited for), or another negative rc_err. */
static int read_more(struct rc_opening *opening, struct rc_stream *stream, size_t max, struct rc_error *error)
{
    uint8_t *room = rc_buf_reserve(&opening->in, max);
    if (room == NULL)
        return rc_error_set(error, RC_ERR_TOO_LARGE, "too much before MQTT");
    ssize_t got = rc_stream_read(stream, room, max);
    if (got == RC_ERR_AGAIN)
        return wait_for(stream, EPOLLIN);
    if (got <= 0)
        return rc_error_set(error, got < 0 ? (int)got : RC_ERR_CLOSED, "the peer has gone");
    rc_buf_commit(&opening->in, (size_t)got);
    return RC_OK;
}

static int read_proxy_header(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    struct rc_proxy_header header;
    int64_t size;
    while ((size = rc_proxy_parse(rc_buf_slice(&opening->in), &header)) == 0) {
        int err = read_more(opening, stream, rc_proxy_wants(rc_buf_slice(&opening->in)), error);
        if (err != RC_OK)
            return err;
    }
    if (size < 0)
        return rc_error_set(error, (int)size, "no PROXY header, or a malformed one, from a trusted address");
    opening->client = header.client;
    rc_buf_free(&opening->in); /* nothing was read past the header */
    opening->phase = after_proxy(opening->transport);
    return RC_OK;
}

static int start_tls(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    int err = rc_stream_push_tls(stream, opening->transport->tls);
    if (err != RC_OK)
        return rc_error_set(error, err, "no memory for TLS");
    opening->phase = TLS_HANDSHAKE;
    return RC_OK;
}

static int shake_hands(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    uint32_t events;
    int err = rc_stream_tls_handshake(stream, &events, error);
    if (err == RC_ERR_AGAIN)
        return wait_for(stream, events);
    if (err == RC_OK)
        opening->phase = opening->transport->path != NULL ? UPGRADE_REQUEST : DONE;
    return err;
}

static int read_upgrade(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    enum { PIECE = 1024 };
    struct rc_upgrade upgrade;
    struct rc_buf answer;
    int64_t size;
    do {
        size_t room = opening->in.max - rc_buf_len(&opening->in);
        int err = read_more(opening, stream, room < PIECE ? room : PIECE, error);
        if (err != RC_OK)
            return err;
        size = rc_upgrade_parse(rc_buf_slice(&opening->in), opening->transport->path, &upgrade,
                                &opening->refusal);
    } while (size == 0);
    rc_buf_init(&answer, PIECE);
    int err = size > 0 ? rc_upgrade_accept(&upgrade, &answer) : rc_upgrade_refuse(opening->refusal, &answer);
    if (err == RC_OK)
        rc_output_put(&opening->out, answer.data, rc_buf_len(&answer));
    rc_buf_free(&answer);
    rc_buf_free(&opening->in);
    opening->phase = UPGRADE_ANSWER;
    return err;
}

static int write_answer(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    int err = rc_output_flush(&opening->out, stream);
    if (err != RC_OK)
        return err == RC_ERR_AGAIN ? err : rc_error_set(error, err, "the peer has gone");
    if (opening->refusal != 0)
        return rc_error_set(error, RC_ERR_PROTOCOL, "the WebSocket request was answered with %d",
                            opening->refusal);
    rc_stream_push_websocket(stream);
    opening->phase = DONE;
    return RC_OK;
}

int rc_opening_step(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error)
{
    int err = RC_OK;
    while (err == RC_OK && opening->phase != DONE) {
        switch (opening->phase) {
        case PROXY_HEADER:
            err = read_proxy_header(opening, stream, error);
            break;
        case TLS_START:
            err = start_tls(opening, stream, error);
            break;
        case TLS_HANDSHAKE:
            err = shake_hands(opening, stream, error);
            break;
        case UPGRADE_REQUEST:
            err = read_upgrade(opening, stream, error);
            break;
        case UPGRADE_ANSWER:
            err = write_answer(opening, stream, error);
            break;
        case DONE:
            break;
        }
    }
    if (err == RC_OK && wait_for(stream, EPOLLIN) != RC_ERR_AGAIN)
        err = rc_error_set(error, RC_ERR_IO, "the loop takes no more connections");
    return err;
}
