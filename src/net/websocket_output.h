/* MQTT packets on their way out, each as a WebSocket frame. Private to the layer (stream_websocket.c). */
#ifndef RC_NET_WEBSOCKET_OUTPUT_H
#define RC_NET_WEBSOCKET_OUTPUT_H

#include "net/stream.h"

enum { RC_WEBSOCKET_HEADER_MAX = 10 }; /* of a frame that is not masked */

/* The frame under way; all zero between frames. */
struct rc_websocket_output {
    uint64_t left; /* of the payload that was announced */
    uint8_t header[RC_WEBSOCKET_HEADER_MAX];
    uint8_t header_len; /* bytes of it that are still to be written */
};

static inline bool rc_websocket_is_within_frame(const struct rc_websocket_output *output)
{
    return output->header_len > 0 || output->left > 0;
}

/* The header of a whole message; `out` has room for RC_WEBSOCKET_HEADER_MAX. Returns its length. */
uint8_t rc_websocket_put_header(uint8_t *out, uint8_t opcode, uint64_t len);

/*
 * Writes what the layer below takes of these bytes, which go on where the last call ended: how many of them
 * (headers not counted), 0 when there were none, RC_ERR_AGAIN, or another negative rc_err.
 */
ssize_t rc_websocket_write_packets(struct rc_websocket_output *output, struct rc_stream *stream,
                                   const struct rc_stream_layer *below, const struct iovec *iov, int count);

#endif
