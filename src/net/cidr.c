#include "net/cidr.h"

#include <arpa/inet.h>

enum { V4_OFFSET_BITS = 96 };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool parse_bits(struct rc_slice text, uint32_t max, uint32_t *ret)
{
    uint32_t bits = 0;
    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        bits = bits * 10 + (text.ptr[i] - '0');
    }
    *ret = bits;
    return bits <= max;
}

static bool is_clear_behind(const uint8_t ip[16], uint32_t bits)
{
    for (uint32_t bit = bits; bit < 128; bit++) {
        if (ip[bit / 8] & (0x80u >> (bit % 8)))
            return false;
    }
    return true;
}

bool rc_cidr_parse(struct rc_slice text, struct rc_cidr *ret)
{
    char host[INET6_ADDRSTRLEN];
    struct rc_cidr cidr = {.bits = 128};
    if (rc_slice_eq_str(text, "unix")) {
        *ret = (struct rc_cidr){.is_unix = true};
        return true;
    }
    const uint8_t *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - text.ptr) : text.len;
    if (len == 0 || len >= sizeof(host) || memchr(text.ptr, 0, len) != NULL)
        return false;
    memcpy(host, text.ptr, len);
    host[len] = '\0';
    bool is_v4 = inet_pton(AF_INET, host, cidr.ip + 12) == 1;
    if (is_v4)
        memcpy(cidr.ip, mapped_prefix, sizeof(mapped_prefix));
    else if (inet_pton(AF_INET6, host, cidr.ip) != 1)
        return false;
    uint32_t bits = is_v4 ? 32 : 128;
    if (slash != NULL && !parse_bits(rc_slice_from(text, len + 1), bits, &bits))
        return false;
    cidr.bits = (uint8_t)(is_v4 ? bits + V4_OFFSET_BITS : bits);
    if (!is_clear_behind(cidr.ip, cidr.bits))
        return false;
    *ret = cidr;
    return true;
}

bool rc_cidr_is_valid(struct rc_slice text)
{
    struct rc_cidr cidr;
    return rc_cidr_parse(text, &cidr);
}

bool rc_cidr_has(const struct rc_cidr *cidr, const struct rc_address *address)
{
    uint8_t ip[16], raw[16];
    size_t len = rc_address_ip(address, raw);
    if (cidr->is_unix || len == 0)
        return cidr->is_unix && len == 0;
    if (len == 4) {
        memcpy(ip, mapped_prefix, sizeof(mapped_prefix));
        memcpy(ip + 12, raw, 4);
    } else {
        memcpy(ip, raw, 16);
    }
    uint32_t whole = cidr->bits / 8, rest = cidr->bits % 8;
    if (memcmp(ip, cidr->ip, whole) != 0)
        return false;
    return rest == 0 || ((ip[whole] ^ cidr->ip[whole]) & (0xff00u >> rest) & 0xff) == 0;
}
