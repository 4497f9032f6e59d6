/*
 * What stands between a listener's socket and MQTT: whom to believe about the client's address, TLS,
 * WebSocket, and the limits of one listener. Made by the main thread, then unchangeable; a reload makes a new
 * one. References may be taken and dropped on any thread.
 */
#ifndef RC_NET_TRANSPORT_H
#define RC_NET_TRANSPORT_H

#include "net/admission.h"
#include "net/cidr.h"
#include "net/tls_context.h"

enum { RC_TRANSPORT_TRUSTED_MAX = 256 };

enum rc_transport_kind { RC_TRANSPORT_TCP, RC_TRANSPORT_TLS, RC_TRANSPORT_WS, RC_TRANSPORT_WSS };

struct rc_transport_limits {
    uint32_t connections;            /* at a time; 0: no limit */
    uint32_t connections_per_second; /* 0: no limit */
    uint32_t handshakes;             /* TLS, WebSocket and PROXY that are not through; 0: no limit */
    uint32_t bytes_per_second;       /* that one client may send; 0: no limit */
};

struct rc_transport {
    atomic_uint refs;
    enum rc_transport_kind kind;
    char *name;
    struct rc_tls *tls;      /* NULL without TLS */
    char *path;              /* of WebSocket; NULL without */
    struct rc_cidr *trusted; /* peers that begin with a PROXY header */
    uint32_t trusted_count;
    struct rc_transport_limits limits;
    struct rc_admission *admission; /* outlives every transport and connection */
};

/* One reference for the caller, who fills the rest before anybody else sees it; it owns what is put in. */
struct rc_transport *rc_transport_create(enum rc_transport_kind kind, const char *name);
struct rc_transport *rc_transport_ref(struct rc_transport *transport);
void rc_transport_unref(struct rc_transport *transport); /* NULL is harmless */

/* A peer of that address begins with a PROXY header, and what that says is believed. */
bool rc_transport_trusts(const struct rc_transport *transport, const struct rc_address *peer);

/* "tcp", "tls", "ws", "wss" */
const char *rc_transport_kind_text(enum rc_transport_kind kind);

#endif
