/* The one signature of this world: Base64(HMAC-SHA1(secret key, text)). Devices' passwords and requests to
 * RocketMQ both use it. */
#ifndef RC_CLIENT_SIGNATURE_H
#define RC_CLIENT_SIGNATURE_H

#include "base/slice.h"

enum { RC_SIGNATURE_LEN = 28 };

void rc_client_sign(char out[RC_SIGNATURE_LEN + 1], const char *secret, struct rc_slice text);

#endif
