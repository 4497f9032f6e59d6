/*
 * HTTPS: TLS connections for an HTTP server. Each goes through a pair of sockets: libmicrohttpd has the inner
 * one, and what is read from TLS is written there, and back. So OpenSSL is the one TLS library, with the
 * certificates, versions and limits of the other listeners. Everything is for the loop's thread.
 */
#ifndef RC_HTTP_TLS_RELAY_H
#define RC_HTTP_TLS_RELAY_H

#include "http/http_server.h"
#include "net/tls_context.h"

struct rc_tls_relay;

enum {
    RC_TLS_RELAY_HANDSHAKE_MS = 10000, /* then it is closed */
    RC_TLS_RELAY_STALL_MS = 30000,     /* a client that takes no byte for as long; the end, all in all */
};

struct rc_tls_relay_counters {
    uint64_t accepted, refused, failed_handshakes, late_handshakes;
};

/* Takes a reference to `tls`. `server` outlives the relay. */
struct rc_tls_relay *rc_tls_relay_create(struct rc_loop *loop, struct rc_http_server *server,
                                         struct rc_tls *tls);
/* Closes what is open. NULL is harmless. */
void rc_tls_relay_destroy(struct rc_tls_relay *relay);
/* New connections get these certificates. Takes a reference. */
void rc_tls_relay_set_tls(struct rc_tls_relay *relay, struct rc_tls *tls);
/* Takes a connected, non-blocking socket in any case. */
void rc_tls_relay_accept(struct rc_tls_relay *relay, int fd, const struct rc_address *peer);
const struct rc_tls_relay_counters *rc_tls_relay_counters(const struct rc_tls_relay *relay);

#endif
