#include "base/hex.h"

/* Both digits of a byte at once. */
#define ROW_LOWER(h)                                                                                         \
    h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "a" h "b" h "c" h "d" h "e" h "f"
#define ROW_UPPER(h)                                                                                         \
    h "0" h "1" h "2" h "3" h "4" h "5" h "6" h "7" h "8" h "9" h "A" h "B" h "C" h "D" h "E" h "F"
#define ROWS_OF_DIGITS(ROW)                                                                                  \
    ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7") ROW("8") ROW("9")

static const char lower[] = ROWS_OF_DIGITS(ROW_LOWER) ROW_LOWER("a") ROW_LOWER("b") ROW_LOWER("c")
    ROW_LOWER("d") ROW_LOWER("e") ROW_LOWER("f");
static const char upper[] = ROWS_OF_DIGITS(ROW_UPPER) ROW_UPPER("A") ROW_UPPER("B") ROW_UPPER("C")
    ROW_UPPER("D") ROW_UPPER("E") ROW_UPPER("F");

static inline void put(char *out, uint8_t byte, const char *pairs)
{
    memcpy(out, pairs + 2 * (size_t)byte, 2);
}

static void encode(char *out, const uint8_t *bytes, size_t len, const char *pairs)
{
    for (; len >= 4; len -= 4, bytes += 4, out += 8) { /* ids are 12 or 16 bytes */
        put(out, bytes[0], pairs);
        put(out + 2, bytes[1], pairs);
        put(out + 4, bytes[2], pairs);
        put(out + 6, bytes[3], pairs);
    }
    for (; len > 0; len--, bytes++, out += 2)
        put(out, *bytes, pairs);
}

void rc_hex_lower(char *out, const void *bytes, size_t len)
{
    encode(out, bytes, len, lower);
}

void rc_hex_upper(char *out, const void *bytes, size_t len)
{
    encode(out, bytes, len, upper);
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
