/*
 * WebSocket frames as a layer of a stream, the server's side, after the upgrade: what is read and written are
 * the bytes within binary messages. Where a message or a frame begins and ends says nothing to the reader;
 * what is written are MQTT packets, each of which becomes a frame.
 *
 * Pings are answered, pongs passed over. A text message, a frame that is not masked, and whatever else the
 * protocol forbids ends the stream with RC_ERR_PROTOCOL; the peer is told by a close frame. A close frame of
 * the peer is the end (0) to the reader. Closing and shutting down send a close frame, with the peer's code
 * if it has sent one; until then what is left to say can be written.
 *
 * Between frames the layer holds a few dozen bytes and no buffer. It may move to another thread between
 * calls.
 */
#ifndef RC_NET_STREAM_WEBSOCKET_H
#define RC_NET_STREAM_WEBSOCKET_H

#include "net/stream.h"

enum {
    RC_WEBSOCKET_READ_BYTES = 16384, /* taken from the layer below at once; a record of TLS */
    RC_WEBSOCKET_READS_MAX = 8,      /* ... and so often in one read, when all of it was control frames */
};

void rc_stream_push_websocket(struct rc_stream *stream);

#endif
