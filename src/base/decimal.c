#include "base/decimal.h"

#include <string.h>

/* Two digits at once. */
#define ROW(tens) tens "0" tens "1" tens "2" tens "3" tens "4" tens "5" tens "6" tens "7" tens "8" tens "9"
static const char pairs[] =
    ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7") ROW("8") ROW("9");

/* 1233/4096 is the logarithm of 2: from the number's bits its digits, or one less. */
static size_t digits_of(uint64_t value)
{
    static const uint64_t powers[RC_DECIMAL_MAX] = {0,
                                                    10u,
                                                    100u,
                                                    1000u,
                                                    10000u,
                                                    100000u,
                                                    1000000u,
                                                    10000000u,
                                                    100000000u,
                                                    1000000000u,
                                                    10000000000u,
                                                    100000000000u,
                                                    1000000000000u,
                                                    10000000000000u,
                                                    100000000000000u,
                                                    1000000000000000u,
                                                    10000000000000000u,
                                                    100000000000000000u,
                                                    1000000000000000000u,
                                                    10000000000000000000u};
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    size_t least = bits * 1233 >> 12;
    return least + (value >= powers[least]);
}

static inline char *put_pair(char *end, uint32_t value)
{
    return memcpy(end - 2, pairs + 2 * (size_t)value, 2);
}

size_t rc_decimal(char *out, uint64_t value)
{
    if (value < 10) {
        *out = (char)('0' + value);
        return 1;
    }
    size_t len = digits_of(value);
    char *at = out + len;
    for (; value >= 10000; value /= 10000) { /* a long division for four digits, short ones for two */
        uint32_t four = value % 10000;
        at = put_pair(at, four % 100);
        at = put_pair(at, four / 100);
    }
    uint32_t first = (uint32_t)value;
    if (first >= 100) {
        at = put_pair(at, first % 100);
        first /= 100;
    }
    if (first >= 10)
        put_pair(at, first);
    else
        *out = (char)('0' + first);
    return len;
}
