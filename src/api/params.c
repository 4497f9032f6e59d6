#include "api/params.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/utf8.h"

#include <stdio.h>

enum { FIRST_PARAMS = 16, NAME_MAX = 256 };

void rc_params_init(struct rc_params *params)
{
    *params = (struct rc_params){.list = NULL};
}

void rc_params_free(struct rc_params *params)
{
    for (uint32_t i = 0; i < params->count; i++) {
        free((char *)params->list[i].name);
        free((char *)params->list[i].value);
    }
    free(params->list);
    rc_params_init(params);
}

static bool is_text(struct rc_slice text)
{
    return rc_utf8_is_valid(text) && (text.len == 0 || memchr(text.ptr, 0, text.len) == NULL);
}

int rc_params_add(struct rc_params *params, struct rc_slice name, struct rc_slice value)
{
    if (!is_text(name) || !is_text(value))
        return RC_ERR_INVALID;
    if (params->count == RC_PARAMS_MAX || params->bytes + name.len + value.len > RC_PARAMS_BYTES_MAX)
        return RC_ERR_FULL;
    if (params->count == params->cap) {
        params->cap = params->cap > 0 ? params->cap * 2 : FIRST_PARAMS;
        params->list = rc_realloc(params->list, params->cap * sizeof(*params->list));
    }
    params->list[params->count++] =
        (struct rc_param){rc_strndup(name.ptr, name.len), rc_strndup(value.ptr, value.len)};
    params->bytes += name.len + value.len;
    return RC_OK;
}

/* ---- forms ---- */

static int decode(struct rc_slice in, struct rc_buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t byte = in.ptr[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            if (in.len - i < 3 || !rc_hex_decode(&byte, 1, rc_slice(in.ptr + i + 1, 2)))
                return RC_ERR_INVALID;
            i += 2;
        }
        if (rc_buf_put_u8(out, byte) != RC_OK)
            return RC_ERR_FULL;
    }
    return RC_OK;
}

static int add_pair(struct rc_params *params, struct rc_slice pair, struct rc_buf *text)
{
    const uint8_t *equals = memchr(pair.ptr, '=', pair.len);
    size_t name_len = equals != NULL ? (size_t)(equals - pair.ptr) : pair.len;
    rc_buf_consume(text, rc_buf_len(text));
    rc_buf_reserve(text, 1); /* so that it has an address even when nothing is put */
    int err = decode(rc_slice(pair.ptr, name_len), text);
    size_t decoded_name = rc_buf_len(text);
    if (err == RC_OK && equals != NULL)
        err = decode(rc_slice_from(pair, name_len + 1), text);
    if (err != RC_OK)
        return err;
    struct rc_slice both = rc_buf_slice(text);
    return rc_params_add(params, rc_slice(both.ptr, decoded_name), rc_slice_from(both, decoded_name));
}

int rc_params_add_form(struct rc_params *params, struct rc_slice form)
{
    struct rc_buf text;
    int err = RC_OK;
    rc_buf_init(&text, RC_PARAMS_BYTES_MAX);
    while (form.len > 0 && err == RC_OK) {
        const uint8_t *end = memchr(form.ptr, '&', form.len);
        size_t len = end != NULL ? (size_t)(end - form.ptr) : form.len;
        if (len > 0)
            err = add_pair(params, rc_slice(form.ptr, len), &text);
        form = rc_slice_from(form, len < form.len ? len + 1 : len);
    }
    rc_buf_free(&text);
    return err;
}

/* ---- reading ---- */

static int by_name(const void *a, const void *b)
{
    const struct rc_param *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : strcmp(left->value, right->value);
}

void rc_params_sort(struct rc_params *params)
{
    if (params->count > 1)
        qsort(params->list, params->count, sizeof(*params->list), by_name);
}

const char *rc_params_get(const struct rc_params *params, const char *name)
{
    for (uint32_t i = 0; i < params->count; i++)
        if (strcmp(params->list[i].name, name) == 0)
            return params->list[i].value;
    return NULL;
}

struct rc_slice rc_params_text(const struct rc_params *params, const char *name)
{
    const char *value = rc_params_get(params, name);
    return rc_slice_str(value != NULL ? value : "");
}

const char *rc_params_get_nth(const struct rc_params *params, const char *name, unsigned n)
{
    char full[NAME_MAX];
    snprintf(full, sizeof(full), "%s.%u", name, n);
    return rc_params_get(params, full);
}

const char *rc_params_get_field(const struct rc_params *params, const char *name, unsigned n,
                                const char *field)
{
    char full[NAME_MAX];
    snprintf(full, sizeof(full), "%s.%u.%s", name, n, field);
    return rc_params_get(params, full);
}

void rc_percent_encode(struct rc_buf *out, struct rc_slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                        c == '-' || c == '_' || c == '.' || c == '~';
        if (is_plain) {
            rc_buf_put_u8(out, c);
        } else {
            rc_buf_put_u8(out, '%');
            rc_buf_put_u8(out, (uint8_t)digits[c >> 4]);
            rc_buf_put_u8(out, (uint8_t)digits[c & 15]);
        }
    }
}
