/* A block of addresses, as a list of trusted peers has it. */
#ifndef RC_NET_CIDR_H
#define RC_NET_CIDR_H

#include "net/address.h"

struct rc_cidr {
    uint8_t ip[16]; /* an IPv4 block as the IPv6 block that it is mapped to */
    uint8_t bits;   /* of ip, that count */
    bool is_unix;   /* peers of unix sockets, and nobody else */
};

/*
 * "10.0.0.0/8", "2001:db8::/32", a single address, or "unix". False for anything else, also for a block with
 * bits set behind its prefix: "10.0.0.1/8" is more likely a slip than meant.
 */
bool rc_cidr_parse(struct rc_slice text, struct rc_cidr *ret);
/* The same as a mere check. */
bool rc_cidr_is_valid(struct rc_slice text);
bool rc_cidr_has(const struct rc_cidr *cidr, const struct rc_address *address);

#endif
