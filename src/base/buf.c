#include "base/buf.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

enum { RC_BUF_FIRST_CAP = 256 };

void rc_buf_free(struct rc_buf *buf)
{
    free(buf->data);
    *buf = (struct rc_buf){.max = buf->max};
}

/* Moves the unread bytes to the front so that what was consumed can be used again. */
static void compact(struct rc_buf *buf)
{
    size_t len = rc_buf_len(buf);
    if (buf->start > 0 && len > 0)
        memmove(buf->data, buf->data + buf->start, len);
    buf->start = 0;
    buf->end = (uint32_t)len;
}

static RC_APART uint8_t *make_room(struct rc_buf *buf, size_t len)
{
    size_t used = rc_buf_len(buf);
    if (buf->data != NULL)
        compact(buf);
    if (buf->cap - buf->end < len || buf->data == NULL) {
        size_t cap = buf->cap ? buf->cap : RC_BUF_FIRST_CAP;
        while (cap < used + len)
            cap *= 2;
        if (cap > buf->max)
            cap = buf->max;
        buf->data = rc_realloc(buf->data, cap);
        buf->cap = (uint32_t)cap;
    }
    return buf->data + buf->end;
}

uint8_t *rc_buf_reserve(struct rc_buf *buf, size_t len)
{
    if (len > buf->max || rc_buf_len(buf) > buf->max - len)
        return NULL;
    if (buf->cap - buf->end >= len && buf->data != NULL)
        return buf->data + buf->end;
    return make_room(buf, len);
}

void rc_buf_consume(struct rc_buf *buf, size_t len)
{
    buf->start += (uint32_t)len;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

int rc_buf_put(struct rc_buf *buf, const void *ptr, size_t len)
{
    uint8_t *room = rc_buf_reserve(buf, len);
    if (room == NULL)
        return RC_ERR_FULL;
    if (len > 0)
        memcpy(room, ptr, len);
    rc_buf_commit(buf, len);
    return RC_OK;
}

int rc_buf_put_slice(struct rc_buf *buf, struct rc_slice slice)
{
    return rc_buf_put(buf, slice.ptr, slice.len);
}

int rc_buf_put_str(struct rc_buf *buf, const char *str)
{
    return rc_buf_put(buf, str, strlen(str));
}

int rc_buf_put_u8(struct rc_buf *buf, uint8_t v)
{
    return rc_buf_put(buf, &v, 1);
}

int rc_buf_put_u16(struct rc_buf *buf, uint16_t v)
{
    uint8_t raw[2];
    rc_store_u16(raw, v);
    return rc_buf_put(buf, raw, sizeof(raw));
}

int rc_buf_put_u32(struct rc_buf *buf, uint32_t v)
{
    uint8_t raw[4];
    rc_store_u32(raw, v);
    return rc_buf_put(buf, raw, sizeof(raw));
}

int rc_buf_put_u64(struct rc_buf *buf, uint64_t v)
{
    uint8_t raw[8];
    rc_store_u64(raw, v);
    return rc_buf_put(buf, raw, sizeof(raw));
}

int rc_buf_printf(struct rc_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *room = len < 0 ? NULL : rc_buf_reserve(buf, (size_t)len + 1);
    if (room != NULL) {
        vsnprintf((char *)room, (size_t)len + 1, format, again);
        rc_buf_commit(buf, (size_t)len);
    }
    va_end(again);
    return room ? RC_OK : RC_ERR_FULL;
}
