/* Decimal digits without the detour through a format string, for what is written per message. */
#ifndef RC_BASE_DECIMAL_H
#define RC_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { RC_DECIMAL_MAX = 20 };

/* Writes at most RC_DECIMAL_MAX digits and no NUL; returns how many. */
static inline size_t rc_decimal(char *out, uint64_t value)
{
    char digits[RC_DECIMAL_MAX];
    size_t at = RC_DECIMAL_MAX;
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    memcpy(out, digits + at, RC_DECIMAL_MAX - at);
    return RC_DECIMAL_MAX - at;
}

#endif
