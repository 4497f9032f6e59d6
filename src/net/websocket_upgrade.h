/*
 * The HTTP request that opens a WebSocket, and its answer. No I/O here. Strict: one request, nothing behind
 * it, nothing that two readers could understand differently.
 */
#ifndef RC_NET_WEBSOCKET_UPGRADE_H
#define RC_NET_WEBSOCKET_UPGRADE_H

#include "base/buf.h"

enum {
    RC_UPGRADE_HEAD_MAX = 8 * 1024, /* request line and fields; browsers send cookies */
    RC_UPGRADE_FIELDS_MAX = 64,
};

struct rc_upgrade {
    struct rc_slice path;        /* without the query */
    struct rc_slice key;         /* Sec-WebSocket-Key: 24 characters of base64 */
    struct rc_slice subprotocol; /* the one that is chosen of those offered */
};

/*
 * The whole head at the front of `in` (which nothing may follow): its length, 0 when it has not come whole,
 * or RC_ERR_PROTOCOL with *ret_status the HTTP status to answer. `path` is what this listener serves.
 */
int64_t rc_upgrade_parse(struct rc_slice in, const char *path, struct rc_upgrade *ret, int *ret_status);

/* Appends the answer: 101 to `upgrade`, or a refusal. 0 or RC_ERR_FULL (500 bytes of room are enough). */
int rc_upgrade_accept(const struct rc_upgrade *upgrade, struct rc_buf *out);
int rc_upgrade_refuse(int status, struct rc_buf *out);

#endif
