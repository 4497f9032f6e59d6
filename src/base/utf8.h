/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef RC_BASE_UTF8_H
#define RC_BASE_UTF8_H

#include "base/slice.h"

/* Length (1..4) of the well-formed sequence at the front of a non-empty slice, 0 when it is malformed. */
size_t rc_utf8_sequence_len(struct rc_slice text);

bool rc_utf8_is_valid(struct rc_slice text);

#endif
