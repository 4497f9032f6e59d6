/*
 * TLS as a layer of a stream, of the server's side or the client's. The handshake is made by
 * rc_stream_tls_handshake; only then may the stream be read and written. The layer may move to another thread
 * between any two calls.
 */
#ifndef RC_NET_STREAM_TLS_H
#define RC_NET_STREAM_TLS_H

#include "net/stream.h"
#include "net/tls_context.h"

enum {
    RC_TLS_RECORD_BYTES = 16384, /* a read of at least this leaves nothing behind in the layer */
    RC_TLS_NAME_MAX = 256,
};

/* Puts TLS on the stream; takes a reference to `tls` until the handshake is over. 0 or RC_ERR_FULL. */
int rc_stream_push_tls(struct rc_stream *stream, struct rc_tls *tls);
/*
 * The client's side; `tls` is of rc_tls_create_client. The server's certificate must be for `host`, a name or
 * an address (copied), unless it is not verified.
 */
int rc_stream_push_tls_client(struct rc_stream *stream, struct rc_tls *tls, const char *host);

/*
 * Goes on with the handshake; TLS is the topmost layer. 0: done. RC_ERR_AGAIN: *ret_events is what to wait
 * for. Another negative rc_err: failed, and the peer was told why as far as TLS says it; `error` (may be
 * NULL) is filled.
 */
int rc_stream_tls_handshake(struct rc_stream *stream, uint32_t *ret_events, struct rc_error *error);

/* Who the peer is, by the certificate that it has shown and that was verified. */
struct rc_tls_peer {
    char serial[2 * 20 + 2];           /* upper-case hex */
    char subject[4 * RC_TLS_NAME_MAX]; /* as RFC 2253 writes it; cut at this length */
    char common_name[RC_TLS_NAME_MAX]; /* "" when there is none, or one that does not fit */
};

/* False when the stream has no TLS or the peer has shown no certificate. Any layers may be on top. */
bool rc_stream_tls_peer(const struct rc_stream *stream, struct rc_tls_peer *ret);
/* The certificate itself, and those behind it (NULL: none); owned by the stream, valid until it is closed. */
const struct x509_st *rc_stream_tls_certificate(const struct rc_stream *stream);
const struct stack_st_X509 *rc_stream_tls_chain(const struct rc_stream *stream);

/*
 * The owner knows who the peer is: what its certificates take is given back, as far as the library lets go of
 * it. From here on the functions above tell of nobody. Harmless without TLS or certificate.
 */
void rc_stream_tls_forget_peer(struct rc_stream *stream);

/* True when nobody has looked yet who signed it (RC_TLS_CLIENT_REGISTERED). */
bool rc_stream_tls_is_unchecked(const struct rc_stream *stream);

/* "TLSv1.3", and the cipher's name; NULL without TLS. */
const char *rc_stream_tls_version(const struct rc_stream *stream);
const char *rc_stream_tls_cipher(const struct rc_stream *stream);

#endif
