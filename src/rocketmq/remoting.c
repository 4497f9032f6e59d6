#include "rocketmq/remoting.h"

#include "auth/sign.h"
#include "base/error.h"
#include "base/json_write.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { LENGTHS = 8 }; /* total length, then serialization and header length */
enum { LANGUAGE_CPP = 1 };

int64_t rc_remoting_frame_size(struct rc_slice in)
{
    if (in.len < LENGTHS)
        return 0;
    uint32_t total = rc_load_u32(in.ptr), word = rc_load_u32(in.ptr + 4);
    uint32_t header = word & 0xffffff, serialization = word >> 24;
    if (total > RC_REMOTING_FRAME_MAX)
        return RC_ERR_TOO_LARGE;
    if (total < 4 || header > total - 4 || serialization > RC_REMOTING_BINARY)
        return RC_ERR_PROTOCOL;
    if (header > RC_REMOTING_HEADER_MAX)
        return RC_ERR_TOO_LARGE;
    return 4 + (int64_t)total;
}

static bool add_field(struct rc_remoting *command, struct rc_slice name, struct rc_slice value)
{
    if (command->fields_count == RC_REMOTING_FIELDS_MAX)
        return false;
    command->fields[command->fields_count++] = (struct rc_remoting_field){name, value};
    return true;
}

/* ---- the binary header ---- */

struct cursor {
    const uint8_t *at, *end;
};

static bool take(struct cursor *in, size_t len, const uint8_t **ret)
{
    if ((size_t)(in->end - in->at) < len)
        return false;
    *ret = in->at;
    in->at += len;
    return true;
}

static bool take_block(struct cursor *in, size_t size_of_len, struct rc_slice *ret)
{
    const uint8_t *p;
    if (!take(in, size_of_len, &p))
        return false;
    int64_t len = size_of_len == 2 ? (int16_t)rc_load_u16(p) : (int32_t)rc_load_u32(p);
    if (len < 0 || !take(in, (size_t)len, &p))
        return false;
    *ret = rc_slice(p, (size_t)len);
    return true;
}

/* Clients in Java write the fields of some headers twice; the later value counts, once. */
static bool set_field(struct rc_remoting *command, struct rc_slice name, struct rc_slice value)
{
    for (uint32_t i = 0; i < command->fields_count; i++)
        if (rc_slice_eq(command->fields[i].name, name)) {
            command->fields[i].value = value;
            return true;
        }
    return add_field(command, name, value);
}

static int decode_binary(struct rc_slice header, struct rc_remoting *ret)
{
    enum { FIXED = 2 + 1 + 2 + 4 + 4 };
    struct cursor in = {header.ptr, header.ptr + header.len};
    const uint8_t *p;
    struct rc_slice fields;
    if (!take(&in, FIXED, &p))
        return RC_ERR_PROTOCOL;
    ret->code = (int16_t)rc_load_u16(p);
    ret->version = (int16_t)rc_load_u16(p + 3);
    ret->opaque = (int32_t)rc_load_u32(p + 5);
    ret->flag = (int32_t)rc_load_u32(p + 9);
    if (!take_block(&in, 4, &ret->remark) || !take_block(&in, 4, &fields))
        return RC_ERR_PROTOCOL;
    in = (struct cursor){fields.ptr, fields.ptr + fields.len};
    while (in.at < in.end) {
        struct rc_slice name, value;
        if (!take_block(&in, 2, &name) || !take_block(&in, 4, &value) || !set_field(ret, name, value))
            return RC_ERR_PROTOCOL;
    }
    return RC_OK;
}

/* ---- the JSON header ---- */

static struct rc_slice text_of(json_t *value)
{
    return json_is_string(value) ? rc_slice(json_string_value(value), json_string_length(value))
                                 : rc_slice(NULL, 0);
}

static int32_t int_of(json_t *root, const char *name)
{
    return (int32_t)json_integer_value(json_object_get(root, name));
}

/* Some clients send numbers and booleans where others send text. Fields of other types are nobody's. */
static bool add_json_field(struct rc_remoting *ret, const char *name, json_t *value)
{
    enum { NUMBER_MAX = 24 };
    if (json_is_string(value))
        return add_field(ret, rc_slice_str(name), text_of(value));
    if (!json_is_integer(value) && !json_is_boolean(value))
        return true;
    if (ret->fields_count == RC_REMOTING_FIELDS_MAX || ret->text_len + NUMBER_MAX > RC_REMOTING_TEXT_MAX)
        return false;
    if (json_is_integer(value))
        rc_remoting_add_number(ret, name, json_integer_value(value));
    else
        rc_remoting_add_bool(ret, name, json_is_true(value));
    return true;
}

static int decode_json(struct rc_slice header, struct rc_remoting *ret)
{
    json_t *root = json_loadb((const char *)header.ptr, header.len, JSON_ALLOW_NUL, NULL);
    const char *name;
    json_t *value;
    if (!json_is_object(root)) {
        json_decref(root);
        return RC_ERR_PROTOCOL;
    }
    ret->json = root;
    ret->code = int_of(root, "code");
    ret->opaque = int_of(root, "opaque");
    ret->flag = int_of(root, "flag");
    ret->version = int_of(root, "version");
    ret->remark = text_of(json_object_get(root, "remark"));
    json_object_foreach(json_object_get(root, "extFields"), name, value)
    {
        if (add_json_field(ret, name, value))
            continue;
        rc_remoting_done(ret);
        return RC_ERR_PROTOCOL;
    }
    return RC_OK;
}

int64_t rc_remoting_decode(struct rc_slice in, struct rc_remoting *ret)
{
    int64_t size = rc_remoting_frame_size(in);
    if (size <= 0 || (size_t)size > in.len)
        return size <= 0 ? size : 0;
    uint32_t word = rc_load_u32(in.ptr + 4);
    struct rc_slice header = rc_slice(in.ptr + LENGTHS, word & 0xffffff);
    ret->serialization = (uint8_t)(word >> 24);
    ret->fields_count = ret->text_len = 0;
    ret->json = NULL;
    ret->remark = rc_slice(NULL, 0);
    ret->body = rc_slice(header.ptr + header.len, (size_t)size - LENGTHS - header.len);
    int err = ret->serialization == RC_REMOTING_JSON ? decode_json(header, ret) : decode_binary(header, ret);
    return err ? err : size;
}

void rc_remoting_done(struct rc_remoting *command)
{
    json_decref(command->json);
    command->json = NULL;
}

struct rc_slice rc_remoting_get(const struct rc_remoting *command, const char *name)
{
    for (uint32_t i = 0; i < command->fields_count; i++)
        if (rc_slice_eq_str(command->fields[i].name, name))
            return command->fields[i].value;
    return rc_slice(NULL, 0);
}

int64_t rc_remoting_get_number(const struct rc_remoting *command, const char *name, int64_t otherwise)
{
    struct rc_slice value = rc_remoting_get(command, name);
    char text[24], *end;
    if (value.len == 0 || value.len >= sizeof(text))
        return otherwise;
    if (rc_slice_eq_str(value, "true") || rc_slice_eq_str(value, "false"))
        return value.len == 4;
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
    int64_t number = strtoll(text, &end, 10);
    return *end == '\0' ? number : otherwise;
}

bool rc_remoting_get_bool(const struct rc_remoting *command, const char *name)
{
    return rc_remoting_get_number(command, name, 0) != 0;
}

/* ---- to be sent ---- */

void rc_remoting_request(struct rc_remoting *command, int32_t code, int32_t opaque)
{
    command->code = code;
    command->opaque = opaque;
    command->flag = 0;
    command->version = RC_REMOTING_VERSION;
    command->serialization = RC_REMOTING_JSON;
    command->remark = command->body = rc_slice(NULL, 0);
    command->fields_count = command->text_len = 0;
    command->json = NULL;
}

void rc_remoting_response(struct rc_remoting *command, const struct rc_remoting *request, int32_t code)
{
    rc_remoting_request(command, code, request->opaque);
    command->flag = RC_REMOTING_RESPONSE;
    command->serialization = request->serialization;
}

void rc_remoting_add(struct rc_remoting *command, const char *name, struct rc_slice value)
{
    if (!add_field(command, rc_slice_str(name), value))
        abort();
}

void rc_remoting_add_number(struct rc_remoting *command, const char *name, int64_t value)
{
    char *at = command->text + command->text_len;
    size_t room = RC_REMOTING_TEXT_MAX - command->text_len;
    int len = snprintf(at, room, "%" PRId64, value);
    if ((size_t)len >= room)
        abort();
    command->text_len += (uint32_t)len;
    rc_remoting_add(command, name, rc_slice(at, (size_t)len));
}

void rc_remoting_add_bool(struct rc_remoting *command, const char *name, bool value)
{
    rc_remoting_add(command, name, rc_slice_str(value ? "true" : "false"));
}

static int put_json_header(struct rc_buf *out, const struct rc_remoting *command)
{
    struct rc_json json;
    rc_json_init(&json, out);
    rc_json_object_begin(&json);
    rc_json_put_int(&json, "code", command->code);
    if (command->fields_count > 0) {
        rc_json_key(&json, "extFields");
        rc_json_object_begin(&json);
        for (uint32_t i = 0; i < command->fields_count; i++) {
            char name[128];
            struct rc_slice key = command->fields[i].name;
            if (key.len >= sizeof(name))
                return RC_ERR_TOO_LARGE;
            memcpy(name, key.ptr, key.len);
            name[key.len] = '\0';
            rc_json_put_string(&json, name, command->fields[i].value);
        }
        rc_json_object_end(&json);
    }
    rc_json_put_int(&json, "flag", command->flag);
    rc_json_put_str(&json, "language", "CPP");
    rc_json_put_int(&json, "opaque", command->opaque);
    if (command->remark.len > 0)
        rc_json_put_string(&json, "remark", command->remark);
    rc_json_put_str(&json, "serializeTypeCurrentRPC", "JSON");
    rc_json_put_int(&json, "version", command->version);
    rc_json_object_end(&json);
    return json.err;
}

static int put_binary_header(struct rc_buf *out, const struct rc_remoting *command)
{
    size_t fields_len = 0;
    for (uint32_t i = 0; i < command->fields_count; i++)
        fields_len += 6 + command->fields[i].name.len + command->fields[i].value.len;
    int err = rc_buf_put_u16(out, (uint16_t)command->code);
    err = err ? err : rc_buf_put_u8(out, LANGUAGE_CPP);
    err = err ? err : rc_buf_put_u16(out, (uint16_t)command->version);
    err = err ? err : rc_buf_put_u32(out, (uint32_t)command->opaque);
    err = err ? err : rc_buf_put_u32(out, (uint32_t)command->flag);
    err = err ? err : rc_buf_put_u32(out, (uint32_t)command->remark.len);
    err = err ? err : rc_buf_put_slice(out, command->remark);
    err = err ? err : rc_buf_put_u32(out, (uint32_t)fields_len);
    for (uint32_t i = 0; i < command->fields_count && err == RC_OK; i++) {
        const struct rc_remoting_field *field = &command->fields[i];
        err = rc_buf_put_u16(out, (uint16_t)field->name.len);
        err = err ? err : rc_buf_put_slice(out, field->name);
        err = err ? err : rc_buf_put_u32(out, (uint32_t)field->value.len);
        err = err ? err : rc_buf_put_slice(out, field->value);
    }
    return err;
}

int rc_remoting_put_head(struct rc_buf *out, const struct rc_remoting *command, size_t body_len)
{
    uint32_t before = (uint32_t)rc_buf_len(out);
    int err = rc_buf_put_u64(out, 0);
    if (err == RC_OK)
        err = command->serialization == RC_REMOTING_JSON ? put_json_header(out, command)
                                                         : put_binary_header(out, command);
    uint64_t header = rc_buf_len(out) - before - LENGTHS;
    if (err == RC_OK && (header > RC_REMOTING_HEADER_MAX || 4 + header + body_len > RC_REMOTING_FRAME_MAX))
        err = RC_ERR_TOO_LARGE;
    if (err != RC_OK) {
        out->end = out->start + before;
        return err;
    }
    uint8_t *lengths = out->data + out->start + before;
    rc_store_u32(lengths, (uint32_t)(4 + header + body_len));
    rc_store_u32(lengths + 4, (uint32_t)command->serialization << 24 | (uint32_t)header);
    return RC_OK;
}

int rc_remoting_put(struct rc_buf *out, const struct rc_remoting *command)
{
    uint32_t before = (uint32_t)rc_buf_len(out);
    int err = rc_remoting_put_head(out, command, command->body.len);
    if (err == RC_OK)
        err = rc_buf_put_slice(out, command->body);
    if (err != RC_OK)
        out->end = out->start + before;
    return err;
}

/* ---- signing ---- */

static int compare_names(const void *a, const void *b)
{
    const struct rc_remoting_field *x = a, *y = b;
    size_t len = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.ptr, y->name.ptr, len);
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

void rc_remoting_sign(const struct rc_remoting *command, struct rc_slice secret, bool route_quirk,
                      const char *skip, char *out)
{
    struct rc_remoting_field sorted[RC_REMOTING_FIELDS_MAX + 1];
    struct rc_slice parts[RC_REMOTING_FIELDS_MAX + 2];
    uint32_t count = 0;
    for (uint32_t i = 0; i < command->fields_count; i++) {
        struct rc_slice name = command->fields[i].name;
        if (!rc_slice_eq_str(name, "Signature") && !(skip != NULL && rc_slice_eq_str(name, skip)))
            sorted[count++] = command->fields[i];
    }
    /* ONS clients sign a constant of theirs, the byte 1, as if it were a field of that name. */
    if (route_quirk)
        sorted[count++] = (struct rc_remoting_field){rc_slice_str("split"), rc_slice("\x01", 1)};
    qsort(sorted, count, sizeof(sorted[0]), compare_names);
    for (uint32_t i = 0; i < count; i++)
        parts[i] = sorted[i].value;
    parts[count++] = command->body;
    rc_sign(secret, parts, count, out);
}
