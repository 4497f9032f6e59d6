#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static struct sockaddr_in *v4(const struct rc_address *address)
{
    return (struct sockaddr_in *)(uintptr_t)&address->storage;
}

static struct sockaddr_in6 *v6(const struct rc_address *address)
{
    return (struct sockaddr_in6 *)(uintptr_t)&address->storage;
}

static int parse_unix(const char *text, const char *path, struct rc_address *ret, struct rc_error *error)
{
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(ret->local.sun_path))
        return rc_error_set(error, RC_ERR_INVALID, "'%.100s': a unix socket path has 1 to %zu characters",
                            text, sizeof(ret->local.sun_path) - 1);
    memset(ret, 0, sizeof(*ret));
    ret->local.sun_family = AF_UNIX;
    memcpy(ret->local.sun_path, path, len + 1);
    ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return RC_OK;
}

static bool parse_port(const char *text, uint16_t *ret)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool parse_host(const char *host, struct rc_address *ret)
{
    memset(ret, 0, sizeof(*ret));
    size_t len = strlen(host);
    if (len == 0 || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    if (inet_pton(AF_INET, host, &v4(ret)->sin_addr) == 1) {
        v4(ret)->sin_family = AF_INET;
        ret->len = sizeof(struct sockaddr_in);
        return true;
    }
    char inner[INET6_ADDRSTRLEN + 2];
    if (len < 3 || len >= sizeof(inner) || host[0] != '[' || host[len - 1] != ']')
        return false;
    memcpy(inner, host + 1, len - 2);
    inner[len - 2] = '\0';
    if (inet_pton(AF_INET6, inner, &v6(ret)->sin6_addr) != 1)
        return false;
    v6(ret)->sin6_family = AF_INET6;
    ret->len = sizeof(struct sockaddr_in6);
    return true;
}

int rc_address_parse(const char *text, struct rc_address *ret, struct rc_error *error)
{
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text, text + 5, ret, error);
    const char *colon = strrchr(text, ':');
    char host[64];
    uint16_t port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host) || !parse_port(colon + 1, &port))
        return rc_error_set(error, RC_ERR_INVALID,
                            "'%.100s' is no address: expected ip:port, [ipv6]:port or unix:/path", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    struct rc_address parsed;
    if (!parse_host(host, &parsed))
        return rc_error_set(
            error, RC_ERR_INVALID,
            "'%.60s' is no IP address (of '%.60s'): expected ip:port, [ipv6]:port or unix:/path", host, text);
    rc_address_set_port(&parsed, port);
    *ret = parsed;
    return RC_OK;
}

/* The kernel gives the path with or without its NUL, and none at all for a nameless peer. */
static void format_unix(const struct rc_address *address, char out[RC_ADDRESS_TEXT_MAX])
{
    size_t max = 0;
    if (address->any.sa_family == AF_UNIX && address->len > offsetof(struct sockaddr_un, sun_path))
        max = address->len - offsetof(struct sockaddr_un, sun_path);
    if (max > sizeof(address->local.sun_path))
        max = sizeof(address->local.sun_path);
    snprintf(out, RC_ADDRESS_TEXT_MAX, "unix:%.*s", (int)max, address->local.sun_path);
}

const char *rc_address_format(const struct rc_address *address, char out[RC_ADDRESS_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "";
    uint8_t mapped[4];
    if (rc_address_ipv4(address, mapped))
        snprintf(out, RC_ADDRESS_TEXT_MAX, "%u.%u.%u.%u:%u", mapped[0], mapped[1], mapped[2], mapped[3],
                 rc_address_port(address));
    else if (address->any.sa_family == AF_INET6)
        snprintf(out, RC_ADDRESS_TEXT_MAX, "[%s]:%u",
                 inet_ntop(AF_INET6, &v6(address)->sin6_addr, ip, sizeof(ip)), rc_address_port(address));
    else
        format_unix(address, out);
    return out;
}

bool rc_address_is_ip(const struct rc_address *address)
{
    return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6;
}

uint16_t rc_address_port(const struct rc_address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(v4(address)->sin_port);
    return address->any.sa_family == AF_INET6 ? ntohs(v6(address)->sin6_port) : 0;
}

void rc_address_set_port(struct rc_address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        v4(address)->sin_port = htons(port);
    else if (address->any.sa_family == AF_INET6)
        v6(address)->sin6_port = htons(port);
}

bool rc_address_ipv4(const struct rc_address *address, uint8_t ret[4])
{
    if (address->any.sa_family == AF_INET) {
        memcpy(ret, &v4(address)->sin_addr, 4);
        return true;
    }
    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6(address)->sin6_addr))
        return false;
    memcpy(ret, v6(address)->sin6_addr.s6_addr + 12, 4);
    return true;
}

size_t rc_address_ip(const struct rc_address *address, uint8_t ret[16])
{
    if (rc_address_ipv4(address, ret))
        return 4;
    if (address->any.sa_family != AF_INET6)
        return 0;
    memcpy(ret, &v6(address)->sin6_addr, 16);
    return 16;
}

size_t rc_address_holder(const struct rc_address *address, uint8_t ret[16])
{
    size_t len = rc_address_ip(address, ret);
    return len == 16 ? 8 : len;
}

bool rc_address_is_wildcard(const struct rc_address *address)
{
    if (address->any.sa_family == AF_INET)
        return v4(address)->sin_addr.s_addr == htonl(INADDR_ANY);
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6(address)->sin6_addr);
}

int rc_address_of_socket(int fd, struct rc_address *ret)
{
    struct rc_address address = {.len = sizeof(address.storage)};
    if (getsockname(fd, &address.any, &address.len) == -1)
        return rc_err_from_errno(errno);
    *ret = address;
    return RC_OK;
}

int rc_address_of_peer(int fd, struct rc_address *ret)
{
    struct rc_address address = {.len = sizeof(address.storage)};
    if (getpeername(fd, &address.any, &address.len) == -1)
        return rc_err_from_errno(errno);
    *ret = address;
    return RC_OK;
}

int rc_address_of_machine(uint8_t ret[4])
{
    struct ifaddrs *all;
    int err = RC_ERR_NOT_FOUND;
    if (getifaddrs(&all) == -1)
        return rc_err_from_errno(errno);
    for (struct ifaddrs *one = all; one != NULL && err != RC_OK; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET)
            continue;
        if ((one->ifa_flags & IFF_LOOPBACK) || !(one->ifa_flags & IFF_UP))
            continue;
        memcpy(ret, &((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr, 4);
        err = RC_OK;
    }
    freeifaddrs(all);
    return err;
}
