/*
 * A growable byte buffer with a hard limit, for one thread. Bytes are written at the end and consumed from
 * the front. A zeroed struct with `max` set is a valid empty buffer that holds no memory.
 */
#ifndef RC_BASE_BUF_H
#define RC_BASE_BUF_H

#include "base/bytes.h"
#include "base/slice.h"

struct rc_buf {
    uint8_t *data;
    uint32_t start; /* first byte not yet consumed */
    uint32_t end;   /* one past the last byte written */
    uint32_t cap;
    uint32_t max; /* hard limit on end - start */
};

static inline void rc_buf_init(struct rc_buf *buf, uint32_t max)
{
    *buf = (struct rc_buf){.max = max};
}

/* Releases the memory; the buffer stays usable and empty. */
void rc_buf_free(struct rc_buf *buf);

static inline size_t rc_buf_len(const struct rc_buf *buf)
{
    return buf->end - buf->start;
}

static inline struct rc_slice rc_buf_slice(const struct rc_buf *buf)
{
    return rc_slice(buf->data ? buf->data + buf->start : NULL, rc_buf_len(buf));
}

/* Room for `len` more bytes at the end; NULL when that would pass the limit. Follow with rc_buf_commit. */
uint8_t *rc_buf_reserve(struct rc_buf *buf, size_t len);

static inline void rc_buf_commit(struct rc_buf *buf, size_t len)
{
    buf->end += (uint32_t)len;
}

/* Drops `len` bytes from the front (len <= rc_buf_len). */
void rc_buf_consume(struct rc_buf *buf, size_t len);

/* Appending: 0, or RC_ERR_FULL with nothing appended. */
int rc_buf_put(struct rc_buf *buf, const void *ptr, size_t len);
int rc_buf_put_slice(struct rc_buf *buf, struct rc_slice slice);
int rc_buf_put_str(struct rc_buf *buf, const char *str);
int rc_buf_put_u8(struct rc_buf *buf, uint8_t v);
int rc_buf_put_u16(struct rc_buf *buf, uint16_t v);
int rc_buf_put_u32(struct rc_buf *buf, uint32_t v);
int rc_buf_put_u64(struct rc_buf *buf, uint64_t v);
int rc_buf_printf(struct rc_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
