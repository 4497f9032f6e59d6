/* Properties: name \x01 value \x02 ...; the last \x02 may be missing (Java 4.9 leaves it out). */
#include "store/message.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/words.h"

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

/* A walk from mark to mark. */
struct reading {
    const uint8_t *start;    /* of the pair it is in */
    const uint8_t *name_end; /* of that; NULL before it has come */
    struct rc_slice keys, unique_key;
};

/* The pair ends here: false when it has no name. */
static inline bool take_pair(struct reading *reading, const uint8_t *end)
{
    const uint8_t *name_end = reading->name_end;
    if (name_end == NULL)
        return false;
    struct rc_slice name = rc_slice(reading->start, (size_t)(name_end - reading->start));
    struct rc_slice value = rc_slice(name_end + 1, (size_t)(end - name_end - 1));
    if (rc_slice_eq_str(name, RC_PROP_KEYS))
        reading->keys = value;
    else if (rc_slice_eq_str(name, RC_PROP_UNIQ_KEY))
        reading->unique_key = value;
    reading->start = end + 1;
    reading->name_end = NULL;
    return true;
}

/* False when properties may not hold the byte that stands here. */
static inline bool take_byte(struct reading *reading, const uint8_t *at)
{
    if (*at == VALUE_END)
        return take_pair(reading, at);
    if (*at == NAME_END && reading->name_end == NULL)
        reading->name_end = at;
    return *at != 0;
}

/* Those of the eight bytes from `at` on that may be marks. */
static inline bool take_word(struct reading *reading, const uint8_t *at)
{
    uint64_t marks = rc_word_below(rc_word_from(at), VALUE_END + 1);
    for (; marks != 0; marks &= marks - 1)
        if (!take_byte(reading, at + ((uint32_t)__builtin_ctzll(marks) >> 3)))
            return false;
    return true;
}

static inline bool take_all(struct reading *reading, const uint8_t *at, const uint8_t *end)
{
    for (; end - at >= RC_WORD; at += RC_WORD)
        if (!take_word(reading, at))
            return false;
    for (; at < end; at++)
        if (!take_byte(reading, at))
            return false;
    return reading->start == end || take_pair(reading, end);
}

bool rc_props_read(struct rc_slice props, struct rc_slice *ret_keys, struct rc_slice *ret_unique_key)
{
    struct reading reading = {.start = props.ptr};
    if (props.len > 0 && !take_all(&reading, props.ptr, props.ptr + props.len))
        return false;
    *ret_keys = reading.keys;
    *ret_unique_key = reading.unique_key;
    return true;
}

bool rc_props_are_whole(struct rc_slice props)
{
    struct rc_slice keys, unique_key;
    return rc_props_read(props, &keys, &unique_key);
}

static int put_pair(struct rc_buf *out, struct rc_slice name, struct rc_slice value)
{
    uint8_t *p = rc_buf_reserve(out, name.len + value.len + 2);
    if (p == NULL)
        return RC_ERR_FULL;
    memcpy(p, name.ptr, name.len);
    p += name.len;
    *p++ = NAME_END;
    if (value.len > 0)
        memcpy(p, value.ptr, value.len);
    p[value.len] = VALUE_END;
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
