/* Decimal digits without the detour through a format string, for what is written per message. */
#ifndef RC_BASE_DECIMAL_H
#define RC_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

enum { RC_DECIMAL_MAX = 20 };

/* Writes at most RC_DECIMAL_MAX digits and no NUL; returns how many. */
size_t rc_decimal(char *out, uint64_t value);

#endif
