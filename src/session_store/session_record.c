#include "session_store/session_record.h"

#include "base/error.h"

enum { FLAG_CONNECTED = 1, FLAG_WILL = 2, SESSION_FLAGS = 3 };
enum {
    FLAG_RETAIN = 1,
    FLAG_RELEASED = 2,
    FLAG_ORIGIN = 4,
    FLAG_SHARE = 8,
    OUTGOING_FLAGS = 15,
    QOS_MAX = 2
};

/* ---- writing ---- */

static int put_string(struct rc_buf *out, struct rc_slice text)
{
    int err = rc_buf_put_u32(out, (uint32_t)text.len);
    return err ? err : rc_buf_put_slice(out, text);
}

static int put_message(struct rc_buf *out, const struct rc_message_record *message)
{
    int err = rc_buf_put_u8(out, message->qos);
    err = err ? err : rc_buf_put_u8(out, message->retain ? FLAG_RETAIN : 0);
    err = err ? err : rc_buf_put_u64(out, (uint64_t)message->expires_ms);
    err = err ? err : put_string(out, message->topic);
    err = err ? err : put_string(out, message->payload);
    return err ? err : put_string(out, message->props);
}

int rc_session_record_put(struct rc_buf *out, const struct rc_session_record *record)
{
    int flags = (record->is_connected ? FLAG_CONNECTED : 0) | (record->has_will ? FLAG_WILL : 0);
    int err = rc_buf_put_u8(out, (uint8_t)flags);
    err = err ? err : rc_buf_put_u32(out, record->expiry_s);
    err = err ? err : rc_buf_put_u32(out, record->owner);
    err = err ? err : rc_buf_put_u32(out, record->window);
    err = err ? err : rc_buf_put_u64(out, record->next_seq);
    err = err ? err : rc_buf_put_u64(out, (uint64_t)record->left_ms);
    err = err ? err : put_string(out, record->instance);
    err = err ? err : put_string(out, record->client_id);
    if (err != RC_OK || !record->has_will)
        return err;
    err = rc_buf_put_u32(out, record->will_delay_s);
    return err ? err : put_message(out, &record->will);
}

int rc_subscription_record_put(struct rc_buf *out, const struct rc_subscription_record *record)
{
    int err = rc_buf_put_u8(out, record->options);
    err = err ? err : rc_buf_put_u32(out, record->id);
    return err ? err : put_string(out, record->filter);
}

int rc_outgoing_record_put(struct rc_buf *out, const struct rc_outgoing_record *record)
{
    bool has_origin = record->origin != 0 && !record->is_released;
    bool has_share = !record->is_released && record->share.len > 0;
    int flags = (record->retain ? FLAG_RETAIN : 0) | (record->is_released ? FLAG_RELEASED : 0) |
                (has_origin ? FLAG_ORIGIN : 0) | (has_share ? FLAG_SHARE : 0);
    int err = rc_buf_put_u8(out, (uint8_t)flags);
    err = err ? err : rc_buf_put_u8(out, record->qos);
    if (err != RC_OK || record->is_released)
        return err;
    if (has_origin) {
        err = rc_buf_put_u64(out, record->origin);
        err = err ? err : rc_buf_put_u64(out, record->origin_number);
    }
    if (has_share)
        err = err ? err : put_string(out, record->share);
    err = err ? err : rc_buf_put_u32(out, record->ids_count);
    for (uint32_t i = 0; err == RC_OK && i < record->ids_count; i++)
        err = rc_buf_put_u32(out, record->ids[i]);
    return err ? err : put_message(out, &record->message);
}

int rc_retained_record_put(struct rc_buf *out, const struct rc_retained_record *record)
{
    int err = rc_buf_put_u64(out, record->epoch);
    err = err ? err : rc_buf_put_u64(out, record->stamp);
    err = err ? err : put_string(out, record->instance);
    return err ? err : put_message(out, &record->message);
}

/* ---- reading ---- */

/* Goes through the bytes; after the first that is missing or wrong everything reads as 0. */
struct reader {
    struct rc_slice in;
    bool is_bad;
};

static const uint8_t *take(struct reader *reader, size_t len)
{
    if (reader->is_bad || reader->in.len < len) {
        reader->is_bad = true;
        return NULL;
    }
    const uint8_t *at = reader->in.ptr;
    if (len > 0) /* an empty input has no address to go on from */
        reader->in = rc_slice_from(reader->in, len);
    return at;
}

static uint8_t take_u8(struct reader *reader, uint8_t max)
{
    const uint8_t *at = take(reader, 1);
    if (at != NULL && *at > max)
        reader->is_bad = true;
    return at != NULL ? *at : 0;
}

static uint32_t take_u32(struct reader *reader)
{
    const uint8_t *at = take(reader, 4);
    return at != NULL ? rc_load_u32(at) : 0;
}

static uint64_t take_u64(struct reader *reader)
{
    const uint8_t *at = take(reader, 8);
    return at != NULL ? rc_load_u64(at) : 0;
}

static struct rc_slice take_string(struct reader *reader, uint32_t min)
{
    uint32_t len = take_u32(reader);
    if (len < min || len > RC_RECORD_STRING_MAX)
        reader->is_bad = true;
    const uint8_t *at = take(reader, len);
    return at != NULL ? rc_slice(at, len) : rc_slice(NULL, 0);
}

static void take_message(struct reader *reader, struct rc_message_record *message)
{
    message->qos = take_u8(reader, QOS_MAX);
    message->retain = take_u8(reader, FLAG_RETAIN) != 0;
    message->expires_ms = (int64_t)take_u64(reader);
    message->topic = take_string(reader, 1);
    message->payload = take_string(reader, 0);
    message->props = take_string(reader, 0);
    if (message->expires_ms < 0 || message->topic.len > UINT16_MAX)
        reader->is_bad = true;
}

/* Nothing was missing and nothing is left over. */
static int verdict(const struct reader *reader)
{
    return reader->is_bad || reader->in.len > 0 ? RC_ERR_CORRUPT : RC_OK;
}

int rc_session_record_get(struct rc_slice in, struct rc_session_record *ret)
{
    struct reader reader = {.in = in};
    struct rc_session_record record = {0};
    uint8_t flags = take_u8(&reader, SESSION_FLAGS);
    record.is_connected = (flags & FLAG_CONNECTED) != 0;
    record.has_will = (flags & FLAG_WILL) != 0;
    record.expiry_s = take_u32(&reader);
    record.owner = take_u32(&reader);
    record.window = take_u32(&reader);
    record.next_seq = take_u64(&reader);
    record.left_ms = (int64_t)take_u64(&reader);
    record.instance = take_string(&reader, 1);
    record.client_id = take_string(&reader, 1);
    if (record.has_will) {
        record.will_delay_s = take_u32(&reader);
        take_message(&reader, &record.will);
    }
    if (record.left_ms < 0)
        return RC_ERR_CORRUPT;
    int err = verdict(&reader);
    if (err == RC_OK)
        *ret = record;
    return err;
}

int rc_subscription_record_get(struct rc_slice in, struct rc_subscription_record *ret)
{
    struct reader reader = {.in = in};
    struct rc_subscription_record record;
    record.options = take_u8(&reader, UINT8_MAX);
    record.id = take_u32(&reader);
    record.filter = take_string(&reader, 1);
    if (record.filter.len > UINT16_MAX)
        return RC_ERR_CORRUPT;
    int err = verdict(&reader);
    if (err == RC_OK)
        *ret = record;
    return err;
}

int rc_outgoing_record_get(struct rc_slice in, struct rc_outgoing_record *ret)
{
    struct reader reader = {.in = in};
    uint8_t flags = take_u8(&reader, OUTGOING_FLAGS);
    uint8_t qos = take_u8(&reader, QOS_MAX);
    bool is_released = (flags & FLAG_RELEASED) != 0;
    bool has_origin = (flags & FLAG_ORIGIN) != 0, has_share = (flags & FLAG_SHARE) != 0;
    uint64_t origin = 0, origin_number = 0;
    uint32_t ids_count = 0;
    struct rc_slice ids = {0}, share = {0};
    struct rc_message_record message = {0};
    if (qos == 0 || (is_released && (qos != 2 || has_origin || has_share)))
        return RC_ERR_CORRUPT;
    if (has_origin) {
        origin = take_u64(&reader);
        origin_number = take_u64(&reader);
    }
    if (has_share)
        share = take_string(&reader, 1);
    if (!is_released) {
        ids_count = take_u32(&reader);
        if (ids_count > RC_RECORD_IDS_MAX)
            return RC_ERR_CORRUPT;
        ids = rc_slice(take(&reader, ids_count * sizeof(uint32_t)), 0);
        take_message(&reader, &message);
    }
    int err = verdict(&reader);
    if (err != RC_OK || has_origin != (origin != 0) || share.len > UINT16_MAX)
        return RC_ERR_CORRUPT;
    ret->origin = origin;
    ret->origin_number = origin_number;
    ret->is_released = is_released;
    ret->qos = qos;
    ret->retain = (flags & FLAG_RETAIN) != 0;
    ret->message = message;
    ret->share = share;
    ret->ids_count = ids_count;
    for (uint32_t i = 0; i < ids_count; i++)
        ret->ids[i] = rc_load_u32(ids.ptr + i * sizeof(uint32_t));
    return RC_OK;
}

int rc_retained_record_get(struct rc_slice in, struct rc_retained_record *ret)
{
    struct reader reader = {.in = in};
    struct rc_retained_record record;
    record.epoch = take_u64(&reader);
    record.stamp = take_u64(&reader);
    record.instance = take_string(&reader, 1);
    take_message(&reader, &record.message);
    int err = verdict(&reader);
    if (err == RC_OK)
        *ret = record;
    return err;
}

bool rc_retained_record_is_older(struct rc_slice a, struct rc_slice b)
{
    enum { STAMPS = 16 }; /* big-endian, the run's first: their bytes compare as the numbers do */
    return a.len >= STAMPS && b.len >= STAMPS && memcmp(a.ptr, b.ptr, STAMPS) < 0;
}
