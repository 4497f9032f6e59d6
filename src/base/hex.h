/* Hexadecimal text. */
#ifndef RC_BASE_HEX_H
#define RC_BASE_HEX_H

#include "base/slice.h"

/* Writes 2*len digits and no NUL. */
void rc_hex_lower(char *out, const void *bytes, size_t len);
void rc_hex_upper(char *out, const void *bytes, size_t len);
/* Reads exactly 2*len digits of either case; false when something else is there. */
bool rc_hex_decode(void *out, size_t len, struct rc_slice text);

#endif
