/*
 * What waits to be written to a stream: bytes that were copied in, and references to bytes that others keep
 * (log segments, shared payloads). Costs one pointer while empty. One thread.
 */
#ifndef RC_NET_OUTPUT_H
#define RC_NET_OUTPUT_H

#include "base/buf.h"
#include "net/stream.h"

enum {
    RC_OUTPUT_IOV_MAX = 64,       /* pieces in one system call */
    RC_OUTPUT_FIRST_BYTES = 240,  /* room made for the first small packet */
    RC_OUTPUT_COPY_MAX = 1024,    /* a reference to less than this is copied: cheaper than to keep track of */
    RC_OUTPUT_TURN_MAX = 1 << 20, /* bytes in one flush, so that a fast reader leaves the others their turn */
};

struct rc_output {
    struct rc_output_queue *queue; /* NULL while empty */
};

/* Bytes waiting. */
size_t rc_output_pending(const struct rc_output *output);

/*
 * The limit is the caller's, who knows the peer and what to do about a slow one: true while `len` more bytes
 * keep what waits within `limit`. Ask before each put.
 */
static inline bool rc_output_has_room(const struct rc_output *output, size_t len, size_t limit)
{
    size_t pending = rc_output_pending(output);
    return pending <= limit && len <= limit - pending;
}

/* Appends a copy. */
void rc_output_put(struct rc_output *output, const void *bytes, size_t len);
/* Room for exactly `len` bytes that the caller fills at once. */
uint8_t *rc_output_reserve(struct rc_output *output, size_t len);

/*
 * Appends bytes that stay valid until `release(arg)` is called (once, possibly before this returns; it must
 * not touch this output).
 */
void rc_output_put_ref(struct rc_output *output, struct rc_slice bytes, void (*release)(void *arg),
                       void *arg);

/*
 * Writes what the stream takes: 0 when all is gone, RC_ERR_AGAIN when some is left (EPOLLOUT is then waited
 * for, and the owner calls again when it comes), another negative rc_err when the stream is broken. The
 * stream must be attached.
 */
int rc_output_flush(struct rc_output *output, struct rc_stream *stream);

/* The same, but the last `keep` bytes stay: 0 when no more may go. */
int rc_output_flush_part(struct rc_output *output, struct rc_stream *stream, size_t keep);
/* Drops the last `len` bytes. */
void rc_output_drop_last(struct rc_output *output, size_t len);

/* Drops what waits, releasing references. */
void rc_output_free(struct rc_output *output);

#endif
