#include "net/proxy_protocol.h"

#include "base/bytes.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- version 2 ---- */

static const uint8_t v2_signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

enum {
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V2_UNIX = 0x31,
    V2_TCP4_BYTES = 12,
    V2_TCP6_BYTES = 36,
    V2_UNIX_BYTES = 216,
};

static void set_ip(struct rc_address *address, int family, const void *ip, uint16_t port)
{
    memset(address, 0, sizeof(*address));
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
        v4->sin_family = AF_INET;
        memcpy(&v4->sin_addr, ip, 4);
        address->len = sizeof(*v4);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, ip, 16);
        address->len = sizeof(*v6);
    }
    rc_address_set_port(address, port);
}

static int read_v2_addresses(uint8_t family, struct rc_slice fields, struct rc_proxy_header *ret)
{
    switch (family) {
    case V2_UNSPEC:
        return RC_OK;
    case V2_TCP4:
        if (fields.len < V2_TCP4_BYTES)
            return RC_ERR_PROTOCOL;
        set_ip(&ret->client, AF_INET, fields.ptr, rc_load_u16(fields.ptr + 8));
        return RC_OK;
    case V2_TCP6:
        if (fields.len < V2_TCP6_BYTES)
            return RC_ERR_PROTOCOL;
        set_ip(&ret->client, AF_INET6, fields.ptr, rc_load_u16(fields.ptr + 32));
        return RC_OK;
    case V2_UNIX:
        if (fields.len < V2_UNIX_BYTES)
            return RC_ERR_PROTOCOL;
        /* Its path says nothing to anybody here. */
        ret->client.any.sa_family = AF_UNIX;
        ret->client.len = sizeof(sa_family_t);
        return RC_OK;
    default:
        return RC_ERR_PROTOCOL; /* datagrams, and what does not exist */
    }
}

/* `in` begins with the signature as far as it goes. */
static int64_t parse_v2(struct rc_slice in, struct rc_proxy_header *ret)
{
    if (in.len > 12 && in.ptr[12] != V2_LOCAL && in.ptr[12] != V2_PROXY)
        return RC_ERR_PROTOCOL;
    if (in.len < RC_PROXY_V2_HEAD)
        return 0;
    size_t size = RC_PROXY_V2_HEAD + (size_t)rc_load_u16(in.ptr + 14);
    if (size > RC_PROXY_HEADER_MAX)
        return RC_ERR_PROTOCOL;
    if (in.len < size)
        return 0;
    ret->is_local = in.ptr[12] == V2_LOCAL;
    struct rc_slice fields = rc_slice(in.ptr + RC_PROXY_V2_HEAD, size - RC_PROXY_V2_HEAD);
    int err = ret->is_local ? RC_OK : read_v2_addresses(in.ptr[13], fields, ret);
    return err == RC_OK ? (int64_t)size : err;
}

/* ---- version 1 ---- */

static bool next_word(struct rc_slice *line, struct rc_slice *ret)
{
    const uint8_t *space = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
    size_t len = space != NULL ? (size_t)(space - line->ptr) : line->len;
    *ret = rc_slice(line->ptr, len);
    *line = rc_slice_from(*line, space != NULL ? len + 1 : len);
    return len > 0;
}

static bool parse_port(struct rc_slice text, uint16_t *ret)
{
    uint32_t port = 0;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        port = port * 10 + (text.ptr[i] - '0');
    }
    *ret = (uint16_t)port;
    return port <= 65535;
}

static bool parse_ip(int family, struct rc_slice text, uint8_t ret[16])
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len >= sizeof(copy) || memchr(text.ptr, 0, text.len) != NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, ret) == 1;
}

/* `line` is what stands between "PROXY " and CR LF. */
static bool parse_v1_line(struct rc_slice line, struct rc_proxy_header *ret)
{
    struct rc_slice family_name, from, to, from_port, to_port;
    uint8_t client[16], server[16];
    uint16_t client_port, server_port;
    if (!next_word(&line, &family_name))
        return false;
    if (rc_slice_eq_str(family_name, "UNKNOWN"))
        return true; /* whatever follows */
    bool is_v4 = rc_slice_eq_str(family_name, "TCP4");
    if (!is_v4 && !rc_slice_eq_str(family_name, "TCP6"))
        return false;
    int family = is_v4 ? AF_INET : AF_INET6;
    bool has_words = next_word(&line, &from) && next_word(&line, &to) && next_word(&line, &from_port);
    to_port = line; /* the last one: a space in it is an error */
    if (!has_words || !parse_ip(family, from, client) || !parse_ip(family, to, server) ||
        !parse_port(from_port, &client_port) || !parse_port(to_port, &server_port))
        return false;
    set_ip(&ret->client, family, client, client_port);
    return true;
}

static int64_t parse_v1(struct rc_slice in, struct rc_proxy_header *ret)
{
    enum { START = 6 };
    size_t max = in.len < RC_PROXY_V1_MAX ? in.len : RC_PROXY_V1_MAX;
    const uint8_t *end = max > START ? memchr(in.ptr, '\n', max) : NULL;
    if (end == NULL)
        return in.len >= RC_PROXY_V1_MAX ? RC_ERR_PROTOCOL : 0;
    size_t size = (size_t)(end - in.ptr) + 1;
    if (size < START + 2 || in.ptr[size - 2] != '\r' || memchr(in.ptr, '\r', size - 2) != NULL ||
        !parse_v1_line(rc_slice(in.ptr + START, size - START - 2), ret))
        return RC_ERR_PROTOCOL;
    return (int64_t)size;
}

/* ---- both ---- */

static bool begins_like(struct rc_slice in, const void *what, size_t len)
{
    return memcmp(in.ptr, what, in.len < len ? in.len : len) == 0;
}

int64_t rc_proxy_parse(struct rc_slice in, struct rc_proxy_header *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (in.len == 0)
        return 0;
    if (begins_like(in, v2_signature, sizeof(v2_signature)))
        return parse_v2(in, ret);
    if (begins_like(in, "PROXY ", 6))
        return parse_v1(in, ret);
    return RC_ERR_PROTOCOL;
}

size_t rc_proxy_wants(struct rc_slice in)
{
    enum { SHORTEST = 15 /* "PROXY UNKNOWN", CR, LF */, FIELDS = 5 };
    if (in.len < SHORTEST)
        return SHORTEST - in.len;
    if (in.ptr[0] == v2_signature[0]) {
        size_t size = in.len < RC_PROXY_V2_HEAD ? RC_PROXY_V2_HEAD
                                                : RC_PROXY_V2_HEAD + (size_t)rc_load_u16(in.ptr + 14);
        return size > in.len ? size - in.len : 1;
    }
    if (in.ptr[in.len - 1] == '\r')
        return 1;
    size_t spaces = 0;
    for (size_t i = 0; i < in.len; i++)
        spaces += in.ptr[i] == ' ';
    bool has_fields = in.ptr[6] == 'T' && spaces < FIELDS;
    /* Each field that has not begun is a space and a digit at least; then CR LF. */
    return has_fields ? 2 * (FIELDS - spaces) + 2 : 2;
}
