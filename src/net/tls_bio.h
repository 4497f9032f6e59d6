/*
 * How OpenSSL reads and writes: a BIO that leads to the layer below a TLS layer.
 *
 *     rc_tls_bio_open(ssl, &end)              once, when the TLS layer is made: a BIO of its own
 *     rc_tls_bio_enter(ssl, &end, stream)     before each call of the library that may read or write
 *     rc_tls_bio_share(&end)                  once, when the handshake is over
 *
 * From then on the connection keeps no BIO: it uses its thread's, which each call points to its own end.
 */
#ifndef RC_NET_TLS_BIO_H
#define RC_NET_TLS_BIO_H

#include "net/stream.h"

typedef struct ssl_st SSL;

/* Part of the TLS layer's state: does not move while the layer lives. */
struct rc_tls_end {
    struct rc_stream_layer below;
    struct rc_stream *stream; /* of the call under way: the struct may move between calls */
    bool is_ended;            /* the layer below has reached the peer's end */
    bool is_own;              /* the BIO is of rc_tls_bio_open, not a socket's */
    bool is_shared;
};

/* False: without memory. The SSL owns the BIO. */
bool rc_tls_bio_open(SSL *ssl, struct rc_tls_end *end);
/* Any thread, as long as calls of one connection do not overlap. False: without memory; make no call then. */
bool rc_tls_bio_enter(SSL *ssl, struct rc_tls_end *end, struct rc_stream *stream);
/* Harmless where the SSL has a socket's BIO instead. */
void rc_tls_bio_share(struct rc_tls_end *end);

#endif
