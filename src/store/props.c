/* Properties: name \x01 value \x02 ...; the last \x02 may be missing (Java 4.9 leaves it out). */
#include "store/message.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/words.h"

#include <endian.h>

enum { NAME_END = 1, VALUE_END = 2 };

bool rc_props_next(struct rc_slice props, size_t *at, struct rc_slice *name, struct rc_slice *value)
{
    if (*at >= props.len)
        return false;
    struct rc_slice rest = rc_slice_from(props, *at);
    const uint8_t *value_end = memchr(rest.ptr, VALUE_END, rest.len);
    size_t pair_len = value_end != NULL ? (size_t)(value_end - rest.ptr) : rest.len;
    const uint8_t *name_end = memchr(rest.ptr, NAME_END, pair_len);
    if (name_end == NULL)
        return false;
    *name = rc_slice(rest.ptr, (size_t)(name_end - rest.ptr));
    *value = rc_slice(name_end + 1, pair_len - name->len - 1);
    *at += pair_len + (value_end != NULL ? 1 : 0);
    return true;
}

/* A name that comes twice counts with its last value, as it does for a Java consumer. */
struct rc_slice rc_props_get(struct rc_slice props, const char *name)
{
    struct rc_slice wanted = rc_slice_str(name);
    struct rc_slice found = rc_slice(NULL, 0);
    struct rc_slice pair_name, value;
    size_t at = 0;
    while (rc_props_next(props, &at, &pair_name, &value))
        if (rc_slice_eq(pair_name, wanted))
            found = value;
    return found;
}

/* A mark is VALUE_END or less. */
static bool holds_mark(struct rc_slice text)
{
    for (size_t at = 0; at < text.len; at += RC_WORD)
        if (rc_word_below(rc_word_at(text, at), VALUE_END + 1) != 0)
            return true;
    return false;
}

/* False when properties may not hold this byte here. */
static bool take_byte(uint8_t byte, bool *has_name)
{
    bool had_name = *has_name;
    if (byte == NAME_END)
        *has_name = true;
    if (byte == VALUE_END)
        *has_name = false;
    return byte == VALUE_END ? had_name : byte != 0;
}

bool rc_props_are_whole(struct rc_slice props)
{
    bool has_name = false;
    size_t at = 0;
    for (; props.len - at >= RC_WORD; at += RC_WORD) {
        uint64_t word;
        memcpy(&word, props.ptr + at, sizeof(word));
        for (uint64_t marks = rc_word_below(le64toh(word), VALUE_END + 1); marks != 0; marks &= marks - 1)
            if (!take_byte(props.ptr[at + (size_t)__builtin_ctzll(marks) / 8], &has_name))
                return false;
    }
    for (; at < props.len; at++)
        if (!take_byte(props.ptr[at], &has_name))
            return false;
    return props.len == 0 || props.ptr[props.len - 1] == VALUE_END || has_name;
}

static uint8_t *write_pair(uint8_t *p, struct rc_slice name, struct rc_slice value)
{
    memcpy(p, name.ptr, name.len);
    p += name.len;
    *p++ = NAME_END;
    if (value.len > 0)
        memcpy(p, value.ptr, value.len);
    p += value.len;
    *p++ = VALUE_END;
    return p;
}

static int put_pair(struct rc_buf *out, struct rc_slice name, struct rc_slice value)
{
    uint8_t *p = rc_buf_reserve(out, name.len + value.len + 2);
    if (p == NULL)
        return RC_ERR_FULL;
    write_pair(p, name, value);
    rc_buf_commit(out, name.len + value.len + 2);
    return RC_OK;
}

int rc_props_put(struct rc_buf *out, const char *name, struct rc_slice value)
{
    struct rc_slice name_slice = rc_slice_str(name);
    if (holds_mark(name_slice) || holds_mark(value))
        return RC_ERR_INVALID;
    return put_pair(out, name_slice, value);
}

int rc_props_put_all(struct rc_buf *out, const struct rc_prop *props, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (holds_mark(props[i].value))
            return RC_ERR_INVALID;
        len += props[i].name.len + props[i].value.len + 2;
    }
    uint8_t *p = rc_buf_reserve(out, len);
    if (p == NULL)
        return RC_ERR_FULL;
    for (size_t i = 0; i < count; i++)
        p = write_pair(p, props[i].name, props[i].value);
    rc_buf_commit(out, len);
    return RC_OK;
}

int rc_props_copy_without(struct rc_buf *out, struct rc_slice props, const char *name)
{
    struct rc_slice unwanted = rc_slice_str(name);
    struct rc_slice pair_name, value;
    size_t at = 0;
    while (rc_props_next(props, &at, &pair_name, &value)) {
        if (rc_slice_eq(pair_name, unwanted))
            continue;
        int err = put_pair(out, pair_name, value);
        if (err != RC_OK)
            return err;
    }
    return RC_OK;
}

int64_t rc_props_tags_code(struct rc_slice props)
{
    struct rc_slice tags = rc_props_get(props, RC_PROP_TAGS);
    return tags.len == 0 ? 0 : rc_hash_java(tags);
}
