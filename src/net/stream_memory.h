/*
 * Two streams joined in memory, so that whole connections can be tested without a socket and with buffers as
 * small as the test wants. Readiness comes through the loop, level-triggered, as it does for sockets. Both
 * ends, and the loops that they are on, belong to one thread.
 */
#ifndef RC_NET_STREAM_MEMORY_H
#define RC_NET_STREAM_MEMORY_H

#include "net/stream.h"

/* Each direction holds `capacity` bytes that were written and not yet read. Both are detached at first. */
void rc_stream_pair(struct rc_stream *one, struct rc_stream *other, uint32_t capacity);

#endif
