/*
 * What a new connection goes through before its first byte of MQTT: the PROXY header of a trusted peer, the
 * TLS handshake, the WebSocket upgrade. Each step does what can be done without waiting; the layers that it
 * puts on the stream stay. One thread at a time; needed until it is done, then freed.
 */
#ifndef RC_NET_OPENING_H
#define RC_NET_OPENING_H

#include "net/stream.h"
#include "net/transport.h"

struct rc_opening;

/* NULL when a connection of that peer has nothing to go through. Takes a reference to the transport. */
struct rc_opening *rc_opening_create(struct rc_transport *transport, const struct rc_address *peer);
/* NULL is harmless. */
void rc_opening_free(struct rc_opening *opening);

/*
 * Goes on, once the stream is attached and ready for what was waited for. 0: MQTT begins (the stream waits
 * for EPOLLIN). RC_ERR_AGAIN: it waits for what is needed next. Another negative rc_err: the connection has
 * to be closed; `error` says why.
 */
int rc_opening_step(struct rc_opening *opening, struct rc_stream *stream, struct rc_error *error);

/* The client's address, as the PROXY header has it: NULL while there is none, or when it says nothing. */
const struct rc_address *rc_opening_client(const struct rc_opening *opening);

#endif
