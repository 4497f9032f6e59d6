/*
 * Writes compact JSON into an rc_buf: call in document order, commas are put in for you. Errors (the buffer's
 * limit) stick in `err`; check once at the end. Nesting at most RC_JSON_DEPTH_MAX.
 */
#ifndef RC_BASE_JSON_WRITE_H
#define RC_BASE_JSON_WRITE_H

#include "base/buf.h"

enum { RC_JSON_DEPTH_MAX = 32 };

struct rc_json {
    struct rc_buf *out;
    int err;
    uint32_t depth;
    uint32_t has_item; /* one bit a level: something was written, a comma is due */
};

void rc_json_init(struct rc_json *json, struct rc_buf *out);
void rc_json_object_begin(struct rc_json *json);
void rc_json_object_end(struct rc_json *json);
void rc_json_array_begin(struct rc_json *json);
void rc_json_array_end(struct rc_json *json);
void rc_json_key(struct rc_json *json, const char *key);
/* Text must be UTF-8 or bytes: what is not UTF-8 is written as U+FFFD. */
void rc_json_string(struct rc_json *json, struct rc_slice text);
void rc_json_int(struct rc_json *json, int64_t value);
void rc_json_bool(struct rc_json *json, bool value);
void rc_json_null(struct rc_json *json);

/* key and value at once */
void rc_json_put_string(struct rc_json *json, const char *key, struct rc_slice text);
void rc_json_put_str(struct rc_json *json, const char *key, const char *text);
void rc_json_put_int(struct rc_json *json, const char *key, int64_t value);
void rc_json_put_bool(struct rc_json *json, const char *key, bool value);

#endif
