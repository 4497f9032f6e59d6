#include "base/hex.h"

static void encode(char *out, const uint8_t *bytes, size_t len, const char *digits)
{
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void rc_hex_lower(char *out, const void *bytes, size_t len)
{
    encode(out, bytes, len, "0123456789abcdef");
}

void rc_hex_upper(char *out, const void *bytes, size_t len)
{
    encode(out, bytes, len, "0123456789ABCDEF");
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rc_hex_decode(void *out, size_t len, struct rc_slice text)
{
    if (text.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = digit(text.ptr[2 * i]), low = digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ((uint8_t *)out)[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
