/*
 * The PROXY protocol's header, versions 1 and 2: what a load balancer says about the client in front of it.
 * No I/O here. The header is never read past its end, so that what follows it (a TLS handshake, say) stays in
 * the socket: rc_proxy_wants tells how much may be read next.
 */
#ifndef RC_NET_PROXY_PROTOCOL_H
#define RC_NET_PROXY_PROTOCOL_H

#include "net/address.h"

enum {
    RC_PROXY_V1_MAX = 107,      /* with its CR LF, as the specification has it */
    RC_PROXY_V2_HEAD = 16,      /* signature, command, family, length */
    RC_PROXY_HEADER_MAX = 4096, /* of version 2, with its extra fields */
};

struct rc_proxy_header {
    bool is_local;            /* the balancer itself speaks (a health check): its own address counts */
    struct rc_address client; /* len 0 when the header names none */
};

/*
 * The header at the front of `in`: its length, 0 when it has not come whole (and is right so far), or
 * RC_ERR_PROTOCOL. The extra fields of version 2 are passed over.
 */
int64_t rc_proxy_parse(struct rc_slice in, struct rc_proxy_header *ret);

/* How many bytes more belong to the header for certain: > 0 after rc_proxy_parse has said 0 of `in`. */
size_t rc_proxy_wants(struct rc_slice in);

#endif
