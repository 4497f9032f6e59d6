/* Network addresses as text and as the kernel wants them. */
#ifndef RC_NET_ADDRESS_H
#define RC_NET_ADDRESS_H

#include "base/error.h"
#include "base/slice.h"

#include <sys/socket.h>
#include <sys/un.h>

enum {
    RC_ADDRESS_TEXT_MAX = 128, /* with its NUL; longest: a unix path */
};

struct rc_address {
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    };
    socklen_t len;
};

/*
 * Parses "1.2.3.4:1883", "[::1]:1883", ":1883" and "*:1883" (all of IPv4), "unix:/path". Numbers only, no
 * names: nothing here waits for a resolver. RC_ERR_INVALID with a sentence that says what was expected.
 */
int rc_address_parse(const char *text, struct rc_address *ret, struct rc_error *error);

/* "ip:port", "[v6]:port" (an IPv4 address mapped into IPv6 as IPv4) or "unix:"; returns `out`. */
const char *rc_address_format(const struct rc_address *address, char out[RC_ADDRESS_TEXT_MAX]);

bool rc_address_is_ip(const struct rc_address *address);
/* Host byte order; 0 for a unix address. */
uint16_t rc_address_port(const struct rc_address *address);
void rc_address_set_port(struct rc_address *address, uint16_t port);
/* The IPv4 address (4 bytes in network order; also one mapped into IPv6). False for others. */
bool rc_address_ipv4(const struct rc_address *address, uint8_t ret[4]);
/* The IP address alone in network order: writes and returns 4 (also for one mapped into IPv6), 16, or 0. */
size_t rc_address_ip(const struct rc_address *address, uint8_t ret[16]);
/* Whose an address is, as far as limits go: the IPv4 address (4 bytes), the first 64 bits of another (8), or
 * 0: who has one IPv6 address has the whole network. */
size_t rc_address_holder(const struct rc_address *address, uint8_t ret[16]);
bool rc_address_is_wildcard(const struct rc_address *address);

/* The address of this / the other end of a socket. */
int rc_address_of_socket(int fd, struct rc_address *ret);
int rc_address_of_peer(int fd, struct rc_address *ret);

/* The machine's first IPv4 address that is up and not loopback; RC_ERR_NOT_FOUND when there is none. */
int rc_address_of_machine(uint8_t ret[4]);

#endif
