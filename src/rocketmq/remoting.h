/*
 * Frames of the RocketMQ remoting protocol, both header serializations (JSON and RocketMQ's binary one). No
 * I/O. Used by the endpoint and by clients.
 */
#ifndef RC_ROCKETMQ_REMOTING_H
#define RC_ROCKETMQ_REMOTING_H

#include "base/buf.h"

enum {
    RC_REMOTING_FRAME_MAX = 16 * 1024 * 1024, /* what the other side's decoders take too */
    RC_REMOTING_HEADER_MAX = 128 * 1024,
    RC_REMOTING_FIELDS_MAX = 64,
    RC_REMOTING_TEXT_MAX = 512, /* numbers that rc_remoting_add_number wrote */
    RC_REMOTING_VERSION = 409,  /* 4.9.8: what this side says it is; some clients read 16 bits */
};

enum { RC_REMOTING_JSON = 0, RC_REMOTING_BINARY = 1 };
enum { RC_REMOTING_RESPONSE = 1, RC_REMOTING_ONEWAY = 2 }; /* bits of `flag` */

/* Request codes. */
enum rc_request_code {
    RC_REQ_SEND = 10,
    RC_REQ_PULL = 11,
    RC_REQ_QUERY_MESSAGE = 12,
    RC_REQ_QUERY_OFFSET = 14,
    RC_REQ_UPDATE_OFFSET = 15,
    RC_REQ_SEARCH_OFFSET = 29,
    RC_REQ_MAX_OFFSET = 30,
    RC_REQ_MIN_OFFSET = 31,
    RC_REQ_EARLIEST_STORE_TIME = 32,
    RC_REQ_VIEW_MESSAGE = 33,
    RC_REQ_HEARTBEAT = 34,
    RC_REQ_UNREGISTER = 35,
    RC_REQ_SEND_BACK = 36,
    RC_REQ_CONSUMER_LIST = 38,
    RC_REQ_CONSUMERS_CHANGED = 40,
    RC_REQ_LOCK_BATCH = 41,
    RC_REQ_UNLOCK_BATCH = 42,
    RC_REQ_CHECK_CLIENT_CONFIG = 46,
    RC_REQ_ROUTE = 105,
    RC_REQ_CLUSTER_INFO = 106,
    RC_REQ_RESET_OFFSET = 220, /* to a consumer */
    RC_REQ_SEND_V2 = 310,
    RC_REQ_SEND_BATCH = 320,
    RC_REQ_LITE_PULL = 361,
};

/* Response codes. */
enum rc_response_code {
    RC_RES_SUCCESS = 0,
    RC_RES_SYSTEM_ERROR = 1,
    RC_RES_SYSTEM_BUSY = 2,
    RC_RES_NOT_SUPPORTED = 3,
    RC_RES_FLUSH_DISK_TIMEOUT = 10,
    RC_RES_MESSAGE_ILLEGAL = 13,
    RC_RES_SERVICE_NOT_AVAILABLE = 14,
    RC_RES_NO_PERMISSION = 16,
    RC_RES_TOPIC_NOT_EXIST = 17,
    RC_RES_PULL_NOT_FOUND = 19,
    RC_RES_PULL_RETRY_IMMEDIATELY = 20,
    RC_RES_PULL_OFFSET_MOVED = 21,
    RC_RES_QUERY_NOT_FOUND = 22,
    RC_RES_SUBSCRIPTION_PARSE_FAILED = 23,
    RC_RES_SUBSCRIPTION_NOT_EXIST = 24,
    RC_RES_SUBSCRIPTION_NOT_LATEST = 25,
    RC_RES_GROUP_NOT_EXIST = 26,
};

struct rc_remoting_field {
    struct rc_slice name, value;
};

/* One command, either way. Decoded: views into the frame and into `json`. To be encoded: views of the
 * caller's. */
struct rc_remoting {
    int32_t code, opaque, flag, version;
    uint8_t serialization;
    struct rc_slice remark; /* empty: none */
    struct rc_slice body;
    uint32_t fields_count;
    struct rc_remoting_field fields[RC_REMOTING_FIELDS_MAX];
    void *json; /* of a decoded JSON header; released by rc_remoting_done */
    uint32_t text_len;
    char text[RC_REMOTING_TEXT_MAX];
};

/*
 * The size of the frame at the front of `in`: > 0, 0 when fewer than its first 8 bytes are there,
 * RC_ERR_PROTOCOL when its lengths make no sense, RC_ERR_TOO_LARGE.
 */
int64_t rc_remoting_frame_size(struct rc_slice in);

/*
 * Decodes the frame at the front of `in`: its size, 0 when it is not whole, RC_ERR_PROTOCOL /
 * RC_ERR_TOO_LARGE (close the connection). After success rc_remoting_done must follow. Unknown keys of a JSON
 * header are ignored, and so are fields that are neither text, whole numbers, booleans nor null.
 */
int64_t rc_remoting_decode(struct rc_slice in, struct rc_remoting *ret);
void rc_remoting_done(struct rc_remoting *command);

/* An extension field; ptr NULL when it is absent. */
struct rc_slice rc_remoting_get(const struct rc_remoting *command, const char *name);
/* As a number, `otherwise` when absent or no number (true and false count as 1 and 0). */
int64_t rc_remoting_get_number(const struct rc_remoting *command, const char *name, int64_t otherwise);
bool rc_remoting_get_bool(const struct rc_remoting *command, const char *name);

/* ---- to be sent ---- */
void rc_remoting_request(struct rc_remoting *command, int32_t code, int32_t opaque);
/* A response to `request`, in its serialization. */
void rc_remoting_response(struct rc_remoting *command, const struct rc_remoting *request, int32_t code);
/* The caller keeps name and value until the encoding; more than RC_REMOTING_FIELDS_MAX are a bug (abort). */
void rc_remoting_add(struct rc_remoting *command, const char *name, struct rc_slice value);
void rc_remoting_add_number(struct rc_remoting *command, const char *name, int64_t value);
void rc_remoting_add_bool(struct rc_remoting *command, const char *name, bool value);

/*
 * Appends everything but the body: `body_len` bytes must follow in the stream. 0, RC_ERR_FULL,
 * RC_ERR_TOO_LARGE.
 */
int rc_remoting_put_head(struct rc_buf *out, const struct rc_remoting *command, size_t body_len);
/* The same with command->body. */
int rc_remoting_put(struct rc_buf *out, const struct rc_remoting *command);

/*
 * The signature of a request under RocketMQ's ACL (and ONS): Base64(HMAC-SHA1(secret, values of all fields
 * but Signature in the order of their names, then the body)). `out` takes 29 bytes. `route_quirk` adds the
 * byte that ONS clients sign with code 105; fields named in `skip` (may be NULL) are left out.
 */
void rc_remoting_sign(const struct rc_remoting *command, struct rc_slice secret, bool route_quirk,
                      const char *skip, char *out);

#endif
