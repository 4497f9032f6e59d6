/*
 * The client's side of WebSocket, as far as a load generator needs it: the request and its answer, headers of
 * frames, and payloads out of what a server sends. No I/O. Frames are masked with zeros, which costs nothing
 * and protects no proxy on the way: not for programs that others can make send what they like.
 */
#ifndef RC_NET_WEBSOCKET_CLIENT_H
#define RC_NET_WEBSOCKET_CLIENT_H

#include "base/buf.h"

enum {
    RC_WEBSOCKET_CLIENT_HEADER_MAX = 14,
    RC_WEBSOCKET_CLIENT_HEAD_MAX = 4096, /* of the HTTP answer */
    RC_WEBSOCKET_CONTROL_MAX = 125,
};

/* Appends the request that asks for MQTT over WebSocket. 0 or RC_ERR_FULL. */
int rc_websocket_client_request(struct rc_buf *out, const char *host, const char *path);
/* The length of a whole HTTP answer at the front of `in` that agrees, 0 when it has not come whole, or
 * RC_ERR_PROTOCOL. */
int64_t rc_websocket_client_answer(struct rc_slice in);

/* The header of a whole binary message; `out` has room for RC_WEBSOCKET_CLIENT_HEADER_MAX. Its length. */
size_t rc_websocket_client_header(uint8_t *out, uint64_t len);
/* A pong as a whole frame; `out` has room for RC_WEBSOCKET_CLIENT_HEADER_MAX + RC_WEBSOCKET_CONTROL_MAX. */
size_t rc_websocket_client_pong(uint8_t *out, struct rc_slice payload);

/* Where in the server's frames the reading is; all zero at first. */
struct rc_websocket_reader {
    uint64_t left; /* of the payload */
    uint8_t head[10];
    uint8_t head_len;
    uint8_t opcode; /* of the frame under way */
    uint8_t control[RC_WEBSOCKET_CONTROL_MAX];
    uint8_t control_len;
    bool has_ping; /* the last of a call; `control` is what it said: for the caller to answer and to unset */
};

/*
 * Takes the headers and control frames out of `bytes`, in place: how many bytes of messages are left at its
 * front. RC_ERR_CLOSED behind a close frame, RC_ERR_PROTOCOL for what a server must not send.
 */
int64_t rc_websocket_reader_take(struct rc_websocket_reader *reader, uint8_t *bytes, size_t len);

#endif
