/* A connection of a RocketMQ client: bytes in, commands out to the dispatcher, answers back. */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/log.h"

#include <sys/epoll.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, READS_PER_WAKE = 8 };

void rc_peer_ref(struct rc_peer *peer)
{
    peer->refs++;
}

void rc_peer_unref(struct rc_peer *peer)
{
    if (--peer->refs > 0)
        return;
    rc_buf_free(&peer->in);
    rc_output_free(&peer->output);
    free(peer);
}

void rc_peer_close(struct rc_peer *peer)
{
    struct rc_endpoint *endpoint = peer->endpoint;
    if (peer->is_closed)
        return;
    peer->is_closed = true;
    rc_stream_close(&peer->stream);
    rc_output_free(&peer->output);
    rc_list_remove(&peer->node);
    rc_list_remove(&peer->dirty);
    RC_COUNTER_DOWN(endpoint, peers);
    rc_pull_forget_peer(peer);
    if (peer->memberships > 0)
        rc_consumer_groups_forget_peer(endpoint, peer);
    rc_peer_unref(peer);
}

static void log_peer(struct rc_peer *peer, const char *what)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_log_warn("rocketmq", "%s from=%s", what, rc_address_format(&peer->address, address));
}

void rc_peer_touch(struct rc_peer *peer)
{
    if (!peer->is_closed && !rc_list_is_linked(&peer->dirty))
        rc_list_push_back(&peer->endpoint->dirty, &peer->dirty);
}

void rc_peer_send(struct rc_peer *peer, const struct rc_remoting *command)
{
    struct rc_buf out;
    if (peer->is_closed)
        return;
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX);
    if (rc_remoting_put(&out, command) == RC_OK)
        rc_output_put(&peer->output, out.data, out.end);
    rc_buf_free(&out);
    rc_peer_touch(peer);
}

void rc_peer_flush(struct rc_peer *peer)
{
    rc_list_remove(&peer->dirty);
    int err = rc_output_flush(&peer->output, &peer->stream);
    if (err != RC_OK && err != RC_ERR_AGAIN) {
        rc_peer_close(peer);
    } else if (rc_output_pending(&peer->output) > RC_ENDPOINT_OUTPUT_MAX) {
        RC_COUNTER(peer->endpoint, slow_peers);
        log_peer(peer, "connection closed: the client does not read its answers");
        rc_peer_close(peer);
    }
}

/* Handles the whole frames at the front of `in`; the bytes used, or < 0 when the connection was closed. */
static int64_t handle_frames(struct rc_peer *peer, struct rc_slice in)
{
    int64_t total = 0;
    for (;;) {
        struct rc_remoting command;
        int64_t used = rc_remoting_decode(rc_slice_from(in, (size_t)total), &command);
        if (used == 0)
            return total;
        if (used < 0) {
            RC_COUNTER(peer->endpoint, protocol_errors);
            log_peer(peer, "connection closed: its bytes are no RocketMQ frames");
            rc_peer_close(peer);
            return -1;
        }
        rc_endpoint_dispatch(peer, &command);
        rc_remoting_done(&command);
        if (peer->is_closed)
            return -1;
        total += used;
    }
}

/* Whole frames are handled where they were read; what is left over is kept. */
static bool consume(struct rc_peer *peer, struct rc_slice in)
{
    if (rc_buf_len(&peer->in) > 0) {
        if (rc_buf_put_slice(&peer->in, in) != RC_OK) {
            RC_COUNTER(peer->endpoint, protocol_errors);
            rc_peer_close(peer);
            return false;
        }
        int64_t size = rc_remoting_frame_size(rc_buf_slice(&peer->in));
        if (size >= 0 && (size == 0 || (size_t)size > rc_buf_len(&peer->in)))
            return true;
        int64_t used = handle_frames(peer, rc_buf_slice(&peer->in));
        if (used < 0)
            return false;
        rc_buf_consume(&peer->in, (size_t)used);
        if (rc_buf_len(&peer->in) == 0)
            rc_buf_free(&peer->in);
        return true;
    }
    int64_t used = handle_frames(peer, in);
    if (used < 0)
        return false;
    if ((size_t)used < in.len)
        rc_buf_put_slice(&peer->in, rc_slice_from(in, (size_t)used));
    return true;
}

static void read_some(struct rc_peer *peer)
{
    static _Thread_local uint8_t scratch[READ_BYTES];
    for (int i = 0; i < READS_PER_WAKE; i++) {
        ssize_t len = rc_stream_read(&peer->stream, scratch, sizeof(scratch));
        if (len == RC_ERR_AGAIN)
            return;
        if (len <= 0) {
            rc_peer_close(peer);
            return;
        }
        peer->active_ms = rc_loop_now_ms(peer->endpoint->loop);
        if (!consume(peer, rc_slice(scratch, (size_t)len)) || len < (ssize_t)sizeof(scratch))
            return;
    }
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_peer *peer = rc_container_of(watch, struct rc_peer, stream.watch);
    rc_peer_ref(peer);
    if (events & EPOLLOUT)
        rc_peer_touch(peer);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_some(peer);
    rc_peer_unref(peer);
}

void rc_peer_accept(struct rc_listener *listener, int fd, const struct rc_address *address)
{
    struct rc_endpoint *endpoint = listener->owner;
    RC_COUNTER(endpoint, accepted);
    if (atomic_load_explicit(&endpoint->counters.peers, memory_order_relaxed) >= RC_ENDPOINT_PEERS_MAX) {
        RC_COUNTER(endpoint, refused);
        rc_log_error("rocketmq", "connection refused: %d are open", RC_ENDPOINT_PEERS_MAX);
        close(fd);
        return;
    }
    struct rc_peer *peer = rc_new(struct rc_peer);
    peer->endpoint = endpoint;
    peer->refs = 1;
    peer->address = *address;
    rc_address_of_socket(fd, &peer->local);
    rc_buf_init(&peer->in, RC_REMOTING_FRAME_MAX + READ_BYTES + 8);
    rc_list_init(&peer->holds);
    peer->active_ms = rc_loop_now_ms(endpoint->loop);
    rc_list_push_back(&endpoint->peers, &peer->node);
    RC_COUNTER(endpoint, peers);
    rc_stream_open(&peer->stream, fd);
    peer->stream.watch.on_ready = on_ready;
    if (rc_stream_attach(&peer->stream, endpoint->loop, EPOLLIN) != RC_OK)
        rc_peer_close(peer);
}

void rc_request_reply_with(const struct rc_request *request, struct rc_remoting *response)
{
    if (!(request->command->flag & RC_REMOTING_ONEWAY))
        rc_peer_send(request->peer, response);
}

void rc_request_reply(const struct rc_request *request, int32_t code, const char *remark)
{
    struct rc_remoting response;
    rc_remoting_response(&response, request->command, code);
    if (remark != NULL)
        response.remark = rc_slice_str(remark);
    rc_request_reply_with(request, &response);
}
