#include "client/link.h"

#include "auth/sign.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/stream_tls.h"

#include <linux/sockios.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

enum {
    READ_BYTES = 64 * 1024,
    READS_PER_TURN = 256,
    LOOK_MS = 250, /* how often it is looked how much of a request has arrived */
};

struct call {
    struct rc_list node;
    struct rc_timer timer;
    struct rc_link *link;
    int32_t opaque;
    rc_link_reply_fn on_reply;
    void *arg;
    const char *error; /* decided, to be told on the next turn */
    uint64_t timeout_ms;
    uint64_t end;     /* of its frame, in bytes of the connection */
    uint64_t arrived; /* of the connection's bytes, when that was looked at last */
    uint64_t moved_ms;
    bool has_arrived;
};

struct rc_link {
    struct rc_link_options options;
    char *address;
    struct rc_dial *dial;
    struct rc_stream stream;
    bool is_ready; /* connected, and with TLS the handshake is over */
    char why[256]; /* of the last failure, where it is not said by a constant */
    struct rc_output output;
    uint64_t queued; /* bytes of this connection */
    struct rc_buf in;
    struct rc_list calls;
    uint32_t calls_count;
    int32_t next_opaque;
};

struct rc_link *rc_link_create(const struct rc_link_options *options, const char *address)
{
    struct rc_link *link = rc_new(struct rc_link);
    link->options = *options;
    link->address = rc_strdup(address);
    rc_list_init(&link->calls);
    rc_buf_init(&link->in, RC_REMOTING_FRAME_MAX + READ_BYTES + 8);
    return link;
}

static void free_call(struct call *call)
{
    rc_timer_stop(&call->timer);
    rc_list_remove(&call->node);
    call->link->calls_count--;
    free(call);
}

static void disconnect(struct rc_link *link)
{
    rc_dial_cancel(link->dial);
    link->dial = NULL;
    link->is_ready = false;
    rc_stream_close(&link->stream);
    rc_output_free(&link->output);
    link->queued = 0;
    rc_buf_free(&link->in);
}

void rc_link_destroy(struct rc_link *link)
{
    if (link == NULL)
        return;
    disconnect(link);
    while (!rc_list_is_empty(&link->calls))
        free_call(rc_container_of(link->calls.next, struct call, node));
    free(link->address);
    free(link);
}

const char *rc_link_address(const struct rc_link *link)
{
    return link->address;
}

bool rc_link_is_ready(const struct rc_link *link)
{
    return link->is_ready;
}

/* ---- calls that fail are told of on their timers, never inside of rc_link_call ---- */

static void fail_all(struct rc_link *link, const char *error)
{
    disconnect(link);
    rc_list_for_each(node, &link->calls)
    {
        struct call *call = rc_container_of(node, struct call, node);
        call->error = error;
        rc_timer_start(link->options.loop, &call->timer, 0);
    }
}

/* How many of the connection's bytes the other side's kernel has acknowledged (TLS: that many or more). */
static uint64_t arrived(const struct rc_link *link)
{
    int unsent = 0;
    uint64_t waiting = rc_output_pending(&link->output);
    if (!link->is_ready || ioctl(link->stream.watch.fd, SIOCOUTQ, &unsent) != 0)
        unsent = 0;
    waiting += (uint64_t)unsent;
    return waiting < link->queued ? link->queued - waiting : 0;
}

/* Whether the call may wait on; then its timer is set again. */
static bool has_time(struct call *call)
{
    uint64_t now = rc_clock_mono_ms(), got = arrived(call->link);
    uint64_t look_ms = call->timeout_ms < LOOK_MS ? call->timeout_ms : LOOK_MS;
    if (call->has_arrived)
        return false;
    if (got >= call->end) {
        call->has_arrived = true;
        look_ms = call->timeout_ms - look_ms; /* it may have arrived just after the last look */
    } else if (got != call->arrived) {
        call->arrived = got;
        call->moved_ms = now;
    } else if (now - call->moved_ms >= call->timeout_ms) {
        return false;
    }
    rc_timer_start(call->link->options.loop, &call->timer, look_ms);
    return true;
}

/*
 * The time is over for a call: told at once when its fate was known. When it was the answer that did not
 * come, the other side may be gone without a word, so the connection is given up, and all that wait on it
 * with it.
 */
static void on_call_over(struct rc_timer *timer)
{
    struct call *call = rc_container_of(timer, struct call, timer);
    rc_link_reply_fn on_reply = call->on_reply;
    void *arg = call->arg;
    const char *error = call->error;
    if (error == NULL && has_time(call))
        return;
    if (error == NULL) {
        fail_all(call->link, RC_LINK_NO_ANSWER);
        return; /* its timer runs again, with the others' */
    }
    free_call(call);
    on_reply(arg, NULL, error);
}

/* ---- the connection ---- */

static void handle(struct rc_link *link, const struct rc_remoting *command)
{
    if (!(command->flag & RC_REMOTING_RESPONSE)) {
        if (link->options.on_request != NULL)
            link->options.on_request(link->options.arg, command);
        return;
    }
    rc_list_for_each(node, &link->calls)
    {
        struct call *call = rc_container_of(node, struct call, node);
        if (call->opaque != command->opaque)
            continue;
        rc_link_reply_fn on_reply = call->on_reply;
        void *arg = call->arg;
        free_call(call);
        on_reply(arg, command, NULL);
        return;
    }
}

/* Takes the whole frames off the input. Callbacks may make new calls, but do not destroy the link. */
static int handle_frames(struct rc_link *link)
{
    for (;;) {
        struct rc_remoting command;
        int64_t used = rc_remoting_decode(rc_buf_slice(&link->in), &command);
        if (used <= 0)
            return (int)used;
        handle(link, &command);
        rc_remoting_done(&command);
        rc_buf_consume(&link->in, (size_t)used);
    }
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_link *link = rc_container_of(watch, struct rc_link, stream.watch);
    if (events & EPOLLOUT) {
        int err = rc_output_flush(&link->output, &link->stream);
        if (err != RC_OK && err != RC_ERR_AGAIN) {
            fail_all(link, "the connection broke");
            return;
        }
    }
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !rc_stream_reads_on_out(&link->stream))
        return;
    /* All that has come, so that no answer lies here unread while its time runs out. */
    for (int reads = 0; reads < READS_PER_TURN || rc_stream_pending(&link->stream) > 0; reads++) {
        uint8_t *room = rc_buf_reserve(&link->in, READ_BYTES);
        ssize_t len = room ? rc_stream_read(&link->stream, room, READ_BYTES) : RC_ERR_FULL;
        if (len == RC_ERR_AGAIN)
            return;
        if (len > 0)
            rc_buf_commit(&link->in, (size_t)len);
        if (len <= 0 || handle_frames(link) < 0) {
            fail_all(link, len == 0 ? "the connection was closed" : "the connection broke");
            return;
        }
    }
}

/* What was asked meanwhile leaves. */
static void begin(struct rc_link *link)
{
    link->is_ready = true;
    link->stream.watch.on_ready = on_ready;
    int err = rc_output_flush(&link->output, &link->stream);
    if (err != RC_OK && err != RC_ERR_AGAIN)
        fail_all(link, "the connection broke");
}

/* ---- TLS ---- */

/* "host:port" or "[v6]:port" without its port. */
static int begin_tls(struct rc_link *link)
{
    char host[RC_DIAL_TARGET_MAX];
    const char *from = link->address + (link->address[0] == '['), *colon = strrchr(link->address, ':');
    size_t len = colon != NULL && colon > from ? (size_t)(colon - from) : strlen(from);
    len -= from > link->address && len > 0 && from[len - 1] == ']';
    snprintf(host, sizeof(host), "%.*s", (int)len, from);
    return rc_stream_push_tls_client(&link->stream, link->options.tls,
                                     link->options.tls_name != NULL ? link->options.tls_name : host);
}

/* A handshake that does not end runs into the time of the calls that wait for it. */
static void shake_hands(struct rc_link *link)
{
    struct rc_error error = {.text = ""};
    uint32_t events = 0;
    int err = rc_stream_tls_handshake(&link->stream, &events, &error);
    if (err == RC_OK && (err = rc_stream_want(&link->stream, EPOLLIN)) == RC_OK) {
        begin(link);
    } else if (err != RC_ERR_AGAIN || rc_stream_want(&link->stream, events) != RC_OK) {
        snprintf(link->why, sizeof(link->why), "no TLS: %.200s", error.text);
        fail_all(link, link->why);
    }
}

static void on_handshake(struct rc_watch *watch, uint32_t events)
{
    shake_hands(rc_container_of(watch, struct rc_link, stream.watch));
}

/* ---- connecting ---- */

static void on_dialed(void *arg, int fd, const struct rc_error *error)
{
    struct rc_link *link = arg;
    link->dial = NULL;
    if (fd < 0) {
        fail_all(link, "no connection");
        return;
    }
    rc_stream_open(&link->stream, fd);
    int err = link->options.tls != NULL ? begin_tls(link) : RC_OK;
    link->stream.watch.on_ready = link->options.tls != NULL ? on_handshake : on_ready;
    err = err ? err : rc_stream_attach(&link->stream, link->options.loop, EPOLLIN);
    if (err != RC_OK)
        fail_all(link, "no connection: out of memory or files");
    else if (link->options.tls != NULL)
        shake_hands(link);
    else
        begin(link);
}

static void send_frame(struct rc_link *link, struct rc_slice head, struct rc_slice body)
{
    rc_output_put(&link->output, head.ptr, head.len);
    if (body.len > 0)
        rc_output_put(&link->output, body.ptr, body.len);
    link->queued += head.len + body.len;
    if (link->is_ready) {
        /* A broken connection is found by reading, too: nothing may be torn down below a callback. */
        rc_output_flush(&link->output, &link->stream);
    } else if (link->dial == NULL && !rc_stream_is_open(&link->stream)) {
        struct rc_error error;
        if (rc_dial_start(link->options.loop, link->address, NULL, RC_LINK_CONNECT_MS, on_dialed, link,
                          &link->dial, &error) != RC_OK)
            fail_all(link, "no connection");
    }
}

static void sign(struct rc_link *link, struct rc_remoting *request, char signature[RC_SIGNATURE_LEN + 1])
{
    rc_remoting_add(request, "AccessKey", rc_slice_str(link->options.access_key));
    rc_remoting_sign(request, rc_slice_str(link->options.secret_key), false, NULL, signature);
    rc_remoting_add(request, "Signature", rc_slice(signature, RC_SIGNATURE_LEN));
}

/* A consumer's callback may have taken its time in this turn; the loop's clock does not know of it yet. */
static uint64_t lag_ms(const struct rc_link *link)
{
    return rc_clock_mono_ms() - rc_loop_now_ms(link->options.loop);
}

/* False when there is no room for it, which it is told of. */
static bool add_call(struct rc_link *link, int32_t opaque, uint64_t timeout_ms, rc_link_reply_fn on_reply,
                     void *arg, size_t len)
{
    struct call *call = rc_new(struct call);
    *call = (struct call){.link = link,
                          .opaque = opaque,
                          .on_reply = on_reply,
                          .arg = arg,
                          .timeout_ms = timeout_ms,
                          .end = link->queued + len,
                          .moved_ms = rc_clock_mono_ms()};
    call->timer.on_due = on_call_over;
    rc_list_push_back(&link->calls, &call->node);
    bool is_full =
        ++link->calls_count > RC_LINK_CALLS_MAX || rc_output_pending(&link->output) > RC_LINK_OUTPUT_MAX;
    call->error = is_full ? "too many requests under way" : NULL;
    uint64_t first_look = timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS;
    rc_timer_start(link->options.loop, &call->timer, is_full ? 0 : first_look + lag_ms(link));
    return !is_full;
}

void rc_link_call(struct rc_link *link, struct rc_remoting *request, uint64_t timeout_ms,
                  rc_link_reply_fn on_reply, void *arg)
{
    char signature[RC_SIGNATURE_LEN + 1];
    struct rc_buf frame;
    request->opaque = link->next_opaque++;
    if (on_reply == NULL)
        request->flag |= RC_REMOTING_ONEWAY;
    if (link->options.access_key != NULL)
        sign(link, request, signature);
    rc_buf_init(&frame, RC_REMOTING_FRAME_MAX);
    int err = rc_remoting_put_head(&frame, request, request->body.len);
    size_t len = rc_buf_len(&frame) + request->body.len;
    if ((on_reply == NULL || add_call(link, request->opaque, timeout_ms, on_reply, arg, len)) && err == RC_OK)
        send_frame(link, rc_buf_slice(&frame), request->body);
    rc_buf_free(&frame);
}
