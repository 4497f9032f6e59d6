#include "rocketmq/batch.h"

#include "base/bytes.h"
#include "base/error.h"

enum { FLAG_AT = 12, BODY_LEN_AT = 16, HEAD = 20, PROPS_LEN = 2 };

int rc_batch_next(struct rc_slice batch, size_t *at, struct rc_batch_item *ret)
{
    struct rc_slice in = rc_slice_from(batch, *at);
    if (in.len == 0)
        return 0;
    if (in.len < HEAD + PROPS_LEN)
        return RC_ERR_PROTOCOL;
    size_t body_len = rc_load_u32(in.ptr + BODY_LEN_AT), rest = in.len - HEAD - PROPS_LEN;
    if (body_len > rest)
        return RC_ERR_PROTOCOL;
    size_t props_len = rc_load_u16(in.ptr + HEAD + body_len);
    if (props_len > rest - body_len)
        return RC_ERR_PROTOCOL;
    ret->flag = rc_load_u32(in.ptr + FLAG_AT);
    ret->body = rc_slice(in.ptr + HEAD, body_len);
    ret->properties = rc_slice(in.ptr + HEAD + body_len + PROPS_LEN, props_len);
    *at += HEAD + body_len + PROPS_LEN + props_len;
    return 1;
}

int rc_batch_put(struct rc_buf *out, const struct rc_batch_item *item)
{
    size_t len = HEAD + item->body.len + PROPS_LEN + item->properties.len;
    if (rc_buf_reserve(out, len) == NULL)
        return RC_ERR_FULL;
    rc_buf_put_u32(out, (uint32_t)len);
    rc_buf_put_u32(out, 0); /* magic and checksum: brokers ignore them */
    rc_buf_put_u32(out, 0);
    rc_buf_put_u32(out, item->flag);
    rc_buf_put_u32(out, (uint32_t)item->body.len);
    rc_buf_put_slice(out, item->body);
    rc_buf_put_u16(out, (uint16_t)item->properties.len);
    rc_buf_put_slice(out, item->properties);
    return RC_OK;
}
