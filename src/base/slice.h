/* A view of bytes that somebody else owns. Passed by value; never NUL-terminated by contract. */
#ifndef RC_BASE_SLICE_H
#define RC_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rc_slice {
    const uint8_t *ptr; /* may be NULL only when len is 0 */
    size_t len;
};

/* For printf("%.*s", RC_SLICE_FMT(s)); only for text that has been checked to be printable. */
#define RC_SLICE_FMT(s) (int)(s).len, (const char *)(s).ptr

static inline struct rc_slice rc_slice(const void *ptr, size_t len)
{
    return (struct rc_slice){.ptr = ptr, .len = len};
}

static inline struct rc_slice rc_slice_str(const char *str)
{
    return rc_slice(str, strlen(str));
}

static inline bool rc_slice_eq(struct rc_slice a, struct rc_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool rc_slice_eq_str(struct rc_slice a, const char *str)
{
    return rc_slice_eq(a, rc_slice_str(str));
}

static inline bool rc_slice_starts_with(struct rc_slice s, struct rc_slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The bytes from `at` on; `at` must not exceed s.len. */
static inline struct rc_slice rc_slice_from(struct rc_slice s, size_t at)
{
    return rc_slice(s.ptr + at, s.len - at);
}

#endif
