#include "store/config_file.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/fs.h"

#include <stdio.h>
#include <stdlib.h>

/* Where a value or a key may begin: what decides whether digits are a key. */
struct scan {
    bool in_object[RC_CONFIG_DEPTH_MAX];
    uint32_t depth;
    bool key_may_start;
};

static bool is_key_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-';
}

static size_t string_len(struct rc_slice text)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '\\')
            i++;
        else if (text.ptr[i] == '"')
            return i + 1;
    }
    return text.len;
}

static size_t number_len(struct rc_slice text)
{
    size_t i = 0;
    while (i < text.len && is_key_byte(text.ptr[i]))
        i++;
    return i;
}

static int copy_key(struct rc_buf *out, struct rc_slice number)
{
    int err = rc_buf_put_u8(out, '"');
    if (err == RC_OK)
        err = rc_buf_put_slice(out, number);
    return err == RC_OK ? rc_buf_put_u8(out, '"') : err;
}

/* Follows brackets and commas; false when there are too many levels. */
static bool step(struct scan *scan, uint8_t c)
{
    switch (c) {
    case '{':
    case '[':
        if (scan->depth == RC_CONFIG_DEPTH_MAX)
            return false;
        scan->in_object[scan->depth++] = c == '{';
        scan->key_may_start = c == '{';
        break;
    case '}':
    case ']':
        if (scan->depth > 0)
            scan->depth--;
        scan->key_may_start = false;
        break;
    case ',':
        scan->key_may_start = scan->depth > 0 && scan->in_object[scan->depth - 1];
        break;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        break;
    default:
        scan->key_may_start = false;
    }
    return true;
}

int rc_config_quote_keys(struct rc_slice text, struct rc_buf *out)
{
    struct scan scan = {.depth = 0};
    size_t at = 0;
    while (at < text.len) {
        struct rc_slice rest = rc_slice_from(text, at);
        size_t len = 1;
        int err;
        if (*rest.ptr == '"') {
            len = string_len(rest);
            scan.key_may_start = false;
            err = rc_buf_put(out, rest.ptr, len);
        } else if (scan.key_may_start && is_key_byte(*rest.ptr)) {
            len = number_len(rest);
            scan.key_may_start = false;
            err = copy_key(out, rc_slice(rest.ptr, len));
        } else {
            if (!step(&scan, *rest.ptr))
                return RC_ERR_INVALID;
            err = rc_buf_put_u8(out, *rest.ptr);
        }
        if (err != RC_OK)
            return err;
        at += len;
    }
    return RC_OK;
}

static int read_one(int dir, const char *name, json_t **ret)
{
    struct rc_buf raw, quoted;
    rc_buf_init(&raw, RC_FS_CONFIG_MAX);
    rc_buf_init(&quoted, 2u * RC_FS_CONFIG_MAX);
    int err = rc_fs_read_file(dir, name, &raw);
    if (err == RC_OK)
        err = rc_config_quote_keys(rc_buf_slice(&raw), &quoted);
    if (err == RC_OK) {
        struct rc_slice text = rc_buf_slice(&quoted);
        json_error_t json_error;
        json_t *root = text.len == 0 ? NULL : json_loadb((const char *)text.ptr, text.len, 0, &json_error);
        if (json_is_object(root)) {
            *ret = root;
        } else {
            json_decref(root);
            err = RC_ERR_CORRUPT;
        }
    }
    rc_buf_free(&raw);
    rc_buf_free(&quoted);
    return err;
}

int rc_config_read(int dir, const char *name, json_t **ret, struct rc_error *error)
{
    char bak[64];
    snprintf(bak, sizeof(bak), "%s.bak", name);
    int err = read_one(dir, name, ret);
    if (err == RC_OK)
        return RC_OK;
    int bak_err = read_one(dir, bak, ret);
    if (bak_err == RC_OK) {
        rc_log_warn("store", "config/%s: %s; its previous version (.bak) is used", name, rc_err_text(err));
        return RC_OK;
    }
    if (err == RC_ERR_NOT_FOUND && bak_err == RC_ERR_NOT_FOUND) {
        *ret = NULL;
        return RC_OK;
    }
    return rc_error_set(
        error, RC_ERR_CORRUPT,
        "config/%s cannot be read (%s), nor can its .bak: repair the JSON, or put back a copy", name,
        rc_err_text(err));
}

int rc_config_write(int dir, const char *name, const json_t *root)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    if (text == NULL)
        return RC_ERR_FULL;
    int err = rc_fs_replace_file(dir, name, rc_slice_str(text), true);
    free(text);
    return err;
}

json_t *rc_config_data_version(uint64_t counter)
{
    return json_pack("{s:I,s:I}", "counter", (json_int_t)counter, "timestamp",
                     (json_int_t)rc_clock_wall_ms());
}

bool rc_config_name_is_valid(struct rc_slice name, size_t max)
{
    if (name.len == 0 || name.len > max)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool is_ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '%' ||
                     c == '|' || c == '-' || c == '_';
        if (!is_ok)
            return false;
    }
    return true;
}
