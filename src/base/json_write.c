#include "base/json_write.h"

#include "base/error.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

void rc_json_init(struct rc_json *json, struct rc_buf *out)
{
    *json = (struct rc_json){.out = out};
}

static void put(struct rc_json *json, const void *ptr, size_t len)
{
    if (json->err == RC_OK)
        json->err = rc_buf_put(json->out, ptr, len);
}

static void item_begin(struct rc_json *json)
{
    uint32_t bit = 1u << (json->depth % RC_JSON_DEPTH_MAX);
    if (json->has_item & bit)
        put(json, ",", 1);
    json->has_item |= bit;
}

static void level_begin(struct rc_json *json, const char *bracket)
{
    item_begin(json);
    put(json, bracket, 1);
    if (++json->depth >= RC_JSON_DEPTH_MAX)
        json->err = RC_ERR_FULL;
    json->has_item &= ~(1u << (json->depth % RC_JSON_DEPTH_MAX));
}

static void level_end(struct rc_json *json, const char *bracket)
{
    put(json, bracket, 1);
    json->depth--;
}

void rc_json_object_begin(struct rc_json *json)
{
    level_begin(json, "{");
}

void rc_json_object_end(struct rc_json *json)
{
    level_end(json, "}");
}

void rc_json_array_begin(struct rc_json *json)
{
    level_begin(json, "[");
}

void rc_json_array_end(struct rc_json *json)
{
    level_end(json, "]");
}

static void put_escape(struct rc_json *json, uint8_t byte)
{
    static const char named[32] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8];
    int len;
    if (byte == '"' || byte == '\\')
        len = snprintf(text, sizeof(text), "\\%c", byte);
    else if (named[byte & 31] && byte < 32)
        len = snprintf(text, sizeof(text), "\\%c", named[byte]);
    else
        len = snprintf(text, sizeof(text), "\\u%04x", byte);
    put(json, text, (size_t)len);
}

static void put_quoted(struct rc_json *json, struct rc_slice text)
{
    put(json, "\"", 1);
    size_t plain = 0;
    for (size_t at = 0; at < text.len;) {
        uint8_t byte = text.ptr[at];
        size_t len = byte < 0x80 ? 1 : rc_utf8_sequence_len(rc_slice_from(text, at));
        bool escaped = byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7f;
        if (!escaped && len > 0) {
            at += len;
            continue;
        }
        put(json, text.ptr + plain, at - plain);
        if (escaped)
            put_escape(json, byte);
        else
            put(json, "\xef\xbf\xbd", 3);
        plain = ++at;
    }
    if (text.len > plain)
        put(json, text.ptr + plain, text.len - plain);
    put(json, "\"", 1);
}

void rc_json_key(struct rc_json *json, const char *key)
{
    item_begin(json);
    put_quoted(json, rc_slice_str(key));
    put(json, ":", 1);
    /* the value that follows is part of this item: no comma before it */
    json->has_item &= ~(1u << (json->depth % RC_JSON_DEPTH_MAX));
}

void rc_json_string(struct rc_json *json, struct rc_slice text)
{
    item_begin(json);
    put_quoted(json, text);
}

void rc_json_int(struct rc_json *json, int64_t value)
{
    char text[24];
    item_begin(json);
    put(json, text, (size_t)snprintf(text, sizeof(text), "%" PRId64, value));
}

void rc_json_bool(struct rc_json *json, bool value)
{
    item_begin(json);
    put(json, value ? "true" : "false", value ? 4 : 5);
}

void rc_json_null(struct rc_json *json)
{
    item_begin(json);
    put(json, "null", 4);
}

void rc_json_put_string(struct rc_json *json, const char *key, struct rc_slice text)
{
    rc_json_key(json, key);
    rc_json_string(json, text);
}

void rc_json_put_str(struct rc_json *json, const char *key, const char *text)
{
    rc_json_put_string(json, key, rc_slice_str(text));
}

void rc_json_put_int(struct rc_json *json, const char *key, int64_t value)
{
    rc_json_key(json, key);
    rc_json_int(json, value);
}

void rc_json_put_bool(struct rc_json *json, const char *key, bool value)
{
    rc_json_key(json, key);
    rc_json_bool(json, value);
}
