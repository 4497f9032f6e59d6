/* HMAC-SHA1 signatures as the product and RocketMQ's ACL use them: Base64(HMAC-SHA1(secret, data)). Any
 * thread. */
#ifndef RC_AUTH_SIGN_H
#define RC_AUTH_SIGN_H

#include "base/slice.h"

enum { RC_SIGNATURE_LEN = 28 }; /* Base64 of 20 bytes */

/* The parts of `data` are signed as if they stood in one piece. Writes a NUL at the end. */
void rc_sign(struct rc_slice secret, const struct rc_slice *data, size_t parts,
             char ret[RC_SIGNATURE_LEN + 1]);

/* In constant time for texts of equal length. */
bool rc_secret_equal(struct rc_slice a, struct rc_slice b);

#endif
