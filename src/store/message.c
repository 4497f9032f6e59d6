#include "store/message.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/hex.h"

#include <libdeflate.h>

enum {
    AT_SIZE = 0,
    AT_MAGIC = 4,
    AT_BODY_CRC = 8,
    AT_QUEUE_ID = 12,
    AT_FLAG = 16,
    AT_SYS_FLAG = 36,
    AT_BORN_MS = 40,
    AT_BORN_HOST = 48,

    HOST_V4_LEN = 8,
    HOST_V6_LEN = 20,
    /* all that is always there: 48 bytes up to bornHost, storeTimestamp 8, reconsumeTimes 4, prepared offset
     * 8, bodyLen 4, topicLen 1, propsLen 2 */
    FIXED_LEN = AT_BORN_HOST + 8 + 4 + 8 + 4 + 1 + 2,
    SMALLEST = FIXED_LEN + 2 * HOST_V4_LEN,
};

static uint32_t host_len(bool is_v6)
{
    return is_v6 ? HOST_V6_LEN : HOST_V4_LEN;
}

uint32_t rc_message_store_ms_at(bool born_host_v6)
{
    return AT_BORN_HOST + host_len(born_host_v6);
}

uint32_t rc_message_crc(struct rc_slice body)
{
    if (body.len == 0)
        return 0;
    return libdeflate_crc32(0, body.ptr, body.len) & 0x7fffffffu;
}

/* Lengths that the compiler knows: moves, not a call. */
static inline void copy_address(uint8_t *to, const uint8_t *from, bool is_v6)
{
    memcpy(to, from, 4);
    if (is_v6)
        memcpy(to + 4, from + 4, 12);
}

static uint8_t *put_host(uint8_t *p, const struct rc_host *host)
{
    uint8_t *end = p + host_len(host->is_v6);
    copy_address(p, host->addr, host->is_v6);
    rc_store_u32(end - 4, host->port);
    return end;
}

static const uint8_t *get_host(const uint8_t *p, bool is_v6, struct rc_host *ret)
{
    const uint8_t *end = p + host_len(is_v6);
    *ret = (struct rc_host){.is_v6 = is_v6, .port = rc_load_u32(end - 4)};
    copy_address(ret->addr, p, is_v6);
    return end;
}

static uint8_t *put_bytes(uint8_t *p, struct rc_slice bytes)
{
    if (bytes.len > 0)
        memcpy(p, bytes.ptr, bytes.len);
    return p + bytes.len;
}

size_t rc_message_encoded_len(const struct rc_message *message)
{
    return FIXED_LEN + host_len(message->born_host.is_v6) + host_len(message->store_host.is_v6) +
           message->body.len + message->topic.len + message->props.len;
}

int rc_message_encode(struct rc_buf *out, const struct rc_message *message)
{
    if (message->body.len > RC_MESSAGE_BODY_MAX || message->topic.len > RC_MESSAGE_TOPIC_MAX ||
        message->props.len > RC_MESSAGE_PROPS_MAX)
        return RC_ERR_TOO_LARGE;
    /* what encoding refuses, no record of our own log holds: so decoding may take it for torn */
    if (message->topic.len == 0 || (!message->props_are_sound && !rc_props_are_whole(message->props)))
        return RC_ERR_INVALID;
    size_t len = rc_message_encoded_len(message);
    uint8_t *start = rc_buf_reserve(out, len);
    if (start == NULL)
        return RC_ERR_FULL;

    uint32_t sys_flag = message->sys_flag & ~(uint32_t)(RC_SYSFLAG_BORN_HOST_V6 | RC_SYSFLAG_STORE_HOST_V6);
    if (message->born_host.is_v6)
        sys_flag |= RC_SYSFLAG_BORN_HOST_V6;
    if (message->store_host.is_v6)
        sys_flag |= RC_SYSFLAG_STORE_HOST_V6;

    rc_store_u32(start + AT_SIZE, (uint32_t)len);
    rc_store_u32(start + AT_MAGIC, RC_MESSAGE_MAGIC);
    rc_store_u32(start + AT_BODY_CRC, rc_message_crc(message->body));
    rc_store_u32(start + AT_QUEUE_ID, message->queue_id);
    rc_store_u32(start + AT_FLAG, message->flag);
    rc_store_u64(start + RC_MESSAGE_AT_QUEUE_OFFSET, message->queue_offset);
    rc_store_u64(start + RC_MESSAGE_AT_PHYSICAL_OFFSET, message->physical_offset);
    rc_store_u32(start + AT_SYS_FLAG, sys_flag);
    rc_store_u64(start + AT_BORN_MS, (uint64_t)message->born_ms);
    uint8_t *p = put_host(start + AT_BORN_HOST, &message->born_host);
    rc_store_u64(p, (uint64_t)message->store_ms);
    p = put_host(p + 8, &message->store_host);
    rc_store_u32(p, message->reconsume_times);
    rc_store_u64(p + 4, message->prepared_offset);
    rc_store_u32(p + 12, (uint32_t)message->body.len);
    p = put_bytes(p + 16, message->body);
    *p++ = (uint8_t)message->topic.len;
    p = put_bytes(p, message->topic);
    rc_store_u16(p, (uint16_t)message->props.len);
    put_bytes(p + 2, message->props);
    rc_buf_commit(out, len);
    return RC_OK;
}

/* The part with variable lengths, from reconsumeTimes on; `p` to `end` is what the record's size leaves. */
static int decode_rest(const uint8_t *p, const uint8_t *end, bool is_v2, struct rc_message *ret)
{
    size_t topic_field = is_v2 ? 2 : 1;
    ret->reconsume_times = rc_load_u32(p);
    ret->prepared_offset = rc_load_u64(p + 4);
    uint32_t body_len = rc_load_u32(p + 12);
    p += 16;
    if (body_len > RC_MESSAGE_BODY_MAX || (size_t)(end - p) < body_len + topic_field)
        return RC_ERR_CORRUPT;
    ret->body = rc_slice(p, body_len);
    p += body_len;
    size_t topic_len = is_v2 ? rc_load_u16(p) : *p;
    p += topic_field;
    if (topic_len == 0 || (size_t)(end - p) < topic_len + 2)
        return RC_ERR_CORRUPT;
    ret->topic = rc_slice(p, topic_len);
    p += topic_len;
    size_t props_len = rc_load_u16(p);
    p += 2;
    if (props_len > RC_MESSAGE_PROPS_MAX || (size_t)(end - p) != props_len)
        return RC_ERR_CORRUPT;
    ret->props = rc_slice(p, props_len);
    return rc_props_read(ret->props, &ret->keys, &ret->unique_key) ? RC_OK : RC_ERR_CORRUPT;
}

int64_t rc_message_decode(struct rc_slice in, bool check_crc, struct rc_message *ret)
{
    if (in.len < 4)
        return 0;
    uint32_t size = rc_load_u32(in.ptr);
    if (size < SMALLEST || size > RC_MESSAGE_MAX)
        return RC_ERR_CORRUPT;
    if (in.len < 8)
        return 0;
    uint32_t magic = rc_load_u32(in.ptr + AT_MAGIC);
    bool is_v2 = magic == RC_MESSAGE_MAGIC_V2;
    if (magic != RC_MESSAGE_MAGIC && !is_v2)
        return RC_ERR_CORRUPT;
    if (in.len < size)
        return 0;

    ret->queue_id = rc_load_u32(in.ptr + AT_QUEUE_ID);
    ret->flag = rc_load_u32(in.ptr + AT_FLAG);
    ret->queue_offset = rc_load_u64(in.ptr + RC_MESSAGE_AT_QUEUE_OFFSET);
    ret->physical_offset = rc_load_u64(in.ptr + RC_MESSAGE_AT_PHYSICAL_OFFSET);
    ret->sys_flag = rc_load_u32(in.ptr + AT_SYS_FLAG);
    ret->born_ms = (int64_t)rc_load_u64(in.ptr + AT_BORN_MS);
    ret->props_are_sound = false;
    ret->tags_code = 0;
    bool born_v6 = (ret->sys_flag & RC_SYSFLAG_BORN_HOST_V6) != 0;
    bool store_v6 = (ret->sys_flag & RC_SYSFLAG_STORE_HOST_V6) != 0;
    if (size < FIXED_LEN + host_len(born_v6) + host_len(store_v6))
        return RC_ERR_CORRUPT;
    const uint8_t *p = get_host(in.ptr + AT_BORN_HOST, born_v6, &ret->born_host);
    ret->store_ms = (int64_t)rc_load_u64(p);
    p = get_host(p + 8, store_v6, &ret->store_host);
    int err = decode_rest(p, in.ptr + size, is_v2, ret);
    if (err != RC_OK)
        return err;
    /* a body of no bytes has nothing to check, and nobody checks it */
    if (check_crc && ret->body.len > 0 && rc_message_crc(ret->body) != rc_load_u32(in.ptr + AT_BODY_CRC))
        return RC_ERR_CORRUPT;
    return size;
}

size_t rc_message_id_format(char *out, const struct rc_host *store_host, uint64_t physical_offset)
{
    uint8_t raw[HOST_V6_LEN + 8];
    uint8_t *p = put_host(raw, store_host);
    rc_store_u64(p, physical_offset);
    size_t raw_len = (size_t)(p + 8 - raw);
    rc_hex_upper(out, raw, raw_len);
    out[2 * raw_len] = '\0';
    return 2 * raw_len;
}

int rc_message_id_parse(struct rc_slice id, struct rc_host *ret_host, uint64_t *ret_physical_offset)
{
    uint8_t raw[HOST_V6_LEN + 8];
    if (id.len != RC_MESSAGE_ID_LEN && id.len != RC_MESSAGE_ID_V6_LEN)
        return RC_ERR_INVALID;
    if (!rc_hex_decode(raw, id.len / 2, id))
        return RC_ERR_INVALID;
    const uint8_t *p = get_host(raw, id.len == RC_MESSAGE_ID_V6_LEN, ret_host);
    *ret_physical_offset = rc_load_u64(p);
    return RC_OK;
}
