/*
 * Design notes
 * - While more than RC_ENDPOINT_OUTPUT_PAUSE bytes of answers wait for a peer, its requests wait too: nothing
 * is read from it, so what one peer makes this server hold is bounded by that and one answer.
 * - Bytes of frames that are not whole are counted over all peers, strangers (who have not signed anything)
 * by themselves: they cannot take the room of those who may be here.
 */
#include "rocketmq/peer.h"

#include "base/alloc.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <sys/epoll.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, READS_PER_WAKE = 8 };

/* ---- life ---- */

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

static uint64_t *input_count(struct rc_peer *peer)
{
    return peer->is_known ? &peer->endpoint->input_bytes : &peer->endpoint->stranger_input_bytes;
}

void rc_peer_set_known(struct rc_peer *peer)
{
    if (peer->is_known)
        return;
    *input_count(peer) -= rc_buf_len(&peer->in);
    peer->is_known = true;
    *input_count(peer) += rc_buf_len(&peer->in);
}

void rc_peer_close(struct rc_peer *peer)
{
    if (peer->is_closed)
        return;
    peer->is_closed = true;
    *input_count(peer) -= rc_buf_len(&peer->in);
    rc_stream_close(&peer->stream);
    rc_output_free(&peer->output);
    rc_list_remove(&peer->node);
    rc_list_remove(&peer->dirty);
    RC_COUNTER_DOWN(peer->endpoint, peers);
    rc_hold_forget_peer(peer);
    rc_consumer_groups_forget_peer(peer);
    rc_peer_unref(peer);
}

static void close_for(struct rc_peer *peer, const char *why)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_log_warn("rocketmq", "connection closed: %s from=%s", why, rc_address_format(&peer->address, address));
    rc_peer_close(peer);
}

void rc_peer_check_idle(struct rc_peer *peer)
{
    const struct rc_endpoint_times *times = &peer->endpoint->options.times;
    uint64_t now = rc_loop_now_ms(peer->endpoint->loop);
    if (!peer->is_known && now - peer->accepted_ms >= times->stranger) {
        RC_COUNTER(peer->endpoint, strangers);
        close_for(peer, "no request of it was signed");
    } else if (now - peer->active_ms < times->idle) {
        return;
    } else if (rc_output_pending(&peer->output) > 0) {
        RC_COUNTER(peer->endpoint, slow_peers);
        close_for(peer, "the client does not read its answers");
    } else {
        RC_COUNTER(peer->endpoint, idle_peers);
        rc_peer_close(peer);
    }
}

/* ---- writing ---- */

static void touch(struct rc_peer *peer)
{
    if (!peer->is_closed && !rc_list_is_linked(&peer->dirty))
        rc_list_push_back(&peer->endpoint->dirty, &peer->dirty);
}

bool rc_peer_send_head(struct rc_peer *peer, const struct rc_remoting *command, size_t body_len)
{
    struct rc_buf head;
    if (peer->is_closed)
        return false;
    rc_buf_init(&head, RC_REMOTING_HEADER_MAX + 8);
    bool fits = rc_remoting_put_head(&head, command, body_len) == RC_OK;
    if (fits)
        rc_output_put(&peer->output, head.data, head.end);
    else /* answers are made to fit; the client's request then times out */
        rc_log_error("rocketmq", "an answer does not fit a frame: code=%d bytes=%zu", command->code,
                     body_len);
    rc_buf_free(&head);
    touch(peer);
    return fits;
}

void rc_peer_send(struct rc_peer *peer, const struct rc_remoting *command)
{
    if (rc_peer_send_head(peer, command, command->body.len))
        rc_output_put(&peer->output, command->body.ptr, command->body.len);
}

/* ---- reading ---- */

static bool must_wait(const struct rc_peer *peer)
{
    return rc_output_pending(&peer->output) > RC_ENDPOINT_OUTPUT_PAUSE;
}

/* Handles the whole frames at the front of `in`; the bytes used, or < 0 when the connection was closed. */
static int64_t handle_frames(struct rc_peer *peer, struct rc_slice in)
{
    int64_t total = 0;
    while (!(peer->is_held_back = must_wait(peer))) {
        struct rc_remoting command;
        int64_t used = rc_remoting_decode(rc_slice_from(in, (size_t)total), &command);
        if (used == 0)
            return total;
        if (used < 0) {
            RC_COUNTER(peer->endpoint, protocol_errors);
            close_for(peer, in.ptr[total] == 0x16 ? "it speaks TLS, which is not served here"
                                                  : "its bytes are no RocketMQ frames");
            return -1;
        }
        rc_endpoint_dispatch(peer, &command);
        rc_remoting_done(&command);
        if (peer->is_closed)
            return -1;
        total += used;
    }
    return total;
}

static bool has_room(struct rc_peer *peer, size_t len)
{
    uint64_t max = peer->is_known ? RC_ENDPOINT_INPUT_MAX : RC_ENDPOINT_STRANGER_INPUT_MAX;
    if (*input_count(peer) + len <= max)
        return true;
    RC_COUNTER(peer->endpoint, limits_hit);
    close_for(peer, "too many bytes of unfinished requests are here");
    return false;
}

/* Keeps bytes that are not handled yet. */
static bool keep(struct rc_peer *peer, struct rc_slice bytes)
{
    if (bytes.len == 0)
        return true;
    if (!has_room(peer, bytes.len))
        return false;
    if (rc_buf_put_slice(&peer->in, bytes) != RC_OK) {
        RC_COUNTER(peer->endpoint, protocol_errors);
        close_for(peer, "a frame is too long");
        return false;
    }
    *input_count(peer) += bytes.len;
    return true;
}

/* Handles what was kept. */
static bool consume_kept(struct rc_peer *peer)
{
    int64_t used = handle_frames(peer, rc_buf_slice(&peer->in));
    if (used < 0)
        return false;
    rc_buf_consume(&peer->in, (size_t)used);
    *input_count(peer) -= (uint64_t)used;
    if (rc_buf_len(&peer->in) == 0)
        rc_buf_free(&peer->in);
    return true;
}

/* Whole frames are handled where they were read; what is left over is kept. */
static bool consume(struct rc_peer *peer, struct rc_slice in)
{
    if (rc_buf_len(&peer->in) > 0)
        return keep(peer, in) && consume_kept(peer);
    int64_t used = handle_frames(peer, in);
    return used >= 0 && keep(peer, rc_slice_from(in, (size_t)used));
}

static void read_some(struct rc_peer *peer)
{
    static _Thread_local uint8_t scratch[READ_BYTES];
    for (int i = 0; i < READS_PER_WAKE && !must_wait(peer); i++) {
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

/* ---- the end of a turn ---- */

/* Stops or resumes reading, by what waits to be written. */
static void adjust_reading(struct rc_peer *peer)
{
    bool waits = must_wait(peer);
    if (waits != peer->is_paused) {
        uint32_t others = peer->stream.watch.events & ~(uint32_t)EPOLLIN;
        peer->is_paused = waits;
        if (rc_stream_want(&peer->stream, waits ? others : others | EPOLLIN) != RC_OK) {
            rc_peer_close(peer);
            return;
        }
    }
    if (!waits && peer->is_held_back)
        consume_kept(peer);
}

static void flush(struct rc_peer *peer)
{
    size_t before = rc_output_pending(&peer->output);
    rc_list_remove(&peer->dirty);
    int err = rc_output_flush(&peer->output, &peer->stream);
    size_t after = rc_output_pending(&peer->output);
    if (err != RC_OK && err != RC_ERR_AGAIN) {
        rc_peer_close(peer);
    } else if (after > RC_ENDPOINT_OUTPUT_MAX) {
        RC_COUNTER(peer->endpoint, slow_peers);
        close_for(peer, "the client does not read its answers");
    } else {
        if (after < before)
            peer->active_ms = rc_loop_now_ms(peer->endpoint->loop);
        adjust_reading(peer);
    }
}

void rc_peer_flush_all(struct rc_endpoint *endpoint)
{
    while (!rc_list_is_empty(&endpoint->dirty)) {
        struct rc_peer *peer = rc_container_of(endpoint->dirty.next, struct rc_peer, dirty);
        rc_peer_ref(peer);
        flush(peer);
        rc_peer_unref(peer);
    }
}

/* ---- events ---- */

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_peer *peer = rc_container_of(watch, struct rc_peer, stream.watch);
    rc_peer_ref(peer);
    if (events & EPOLLOUT)
        touch(peer);
    if (!peer->is_paused && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_some(peer);
    else if (events & (EPOLLHUP | EPOLLERR))
        rc_peer_close(peer); /* nobody is there any more to read the answers */
    rc_peer_unref(peer);
}

static struct rc_peer *make_peer(struct rc_endpoint *endpoint, int fd, const struct rc_address *address)
{
    struct rc_peer *peer = rc_new(struct rc_peer);
    peer->endpoint = endpoint;
    peer->refs = 1;
    peer->is_known = !endpoint->options.acl;
    peer->address = *address;
    rc_address_of_socket(fd, &peer->local);
    rc_buf_init(&peer->in, RC_REMOTING_FRAME_MAX + READ_BYTES + 8);
    rc_list_init(&peer->holds);
    rc_list_init(&peer->members);
    peer->accepted_ms = peer->active_ms = rc_loop_now_ms(endpoint->loop);
    rc_list_push_back(&endpoint->peers, &peer->node);
    RC_COUNTER(endpoint, peers);
    return peer;
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
    struct rc_peer *peer = make_peer(endpoint, fd, address);
    rc_stream_open(&peer->stream, fd);
    peer->stream.watch.on_ready = on_ready;
    if (rc_stream_attach(&peer->stream, endpoint->loop, EPOLLIN) != RC_OK)
        rc_peer_close(peer);
}
