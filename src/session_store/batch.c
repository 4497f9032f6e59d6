/* Operations on their way to the store: op, length of the key, length of the value, key, value. */
#include "base/alloc.h"
#include "base/error.h"
#include "session_store/private.h"

#include <openssl/sha.h>
#include <libdeflate.h>

enum { OP_HEAD = 1 + 1 + 4 };
_Static_assert(RC_STORE_KEY_MAX <= UINT8_MAX, "a key's length has one byte");
_Static_assert(RC_RETAINED_KEY_LEN == 1 + SHA256_DIGEST_LENGTH, "a retained message is found by a digest");

struct rc_session_batch *
rc_session_batch_create(struct rc_loop *from, void (*on_durable)(struct rc_session_batch *batch), void *owner)
{
    struct rc_session_batch *batch = rc_new(struct rc_session_batch);
    batch->from = from;
    batch->on_durable = on_durable;
    batch->owner = owner;
    rc_buf_init(&batch->ops, RC_SESSION_BATCH_BYTES_MAX);
    return batch;
}

void rc_session_batch_free(struct rc_session_batch *batch)
{
    if (batch == NULL)
        return;
    rc_buf_free(&batch->ops);
    free(batch);
}

uint32_t rc_session_checksum(struct rc_slice key, struct rc_slice body)
{
    uint32_t crc = libdeflate_crc32(0, key.ptr, key.len);
    return body.len > 0 ? libdeflate_crc32(crc, body.ptr, body.len) : crc;
}

int rc_session_value_open(struct rc_slice key, struct rc_slice value, struct rc_slice *ret_body)
{
    if (value.len < RC_VALUE_HEAD)
        return RC_ERR_CORRUPT;
    struct rc_slice body = rc_slice_from(value, RC_VALUE_HEAD);
    if (rc_load_u32(value.ptr) != rc_session_checksum(key, body))
        return RC_ERR_CORRUPT;
    *ret_body = body;
    return RC_OK;
}

/* ---- writing ---- */

/* An operation without its value; where it begins, for finish. */
static int begin(struct rc_session_batch *batch, enum rc_session_op op, struct rc_slice key,
                 size_t *ret_start)
{
    *ret_start = rc_buf_len(&batch->ops);
    uint8_t *at = rc_buf_reserve(&batch->ops, OP_HEAD + key.len + RC_VALUE_HEAD);
    if (at == NULL)
        return RC_ERR_FULL;
    at[0] = (uint8_t)op;
    at[1] = (uint8_t)key.len;
    rc_store_u32(at + 2, 0);
    memcpy(at + OP_HEAD, key.ptr, key.len);
    bool has_value = op != RC_OP_DELETE && op != RC_OP_DELETE_PREFIX;
    rc_buf_commit(&batch->ops, OP_HEAD + key.len + (has_value ? RC_VALUE_HEAD : 0));
    batch->count++;
    return RC_OK;
}

/* The value was appended: its length and checksum are filled in. `err`: whether that went well. */
static int finish(struct rc_session_batch *batch, size_t start, int err)
{
    if (err != RC_OK) { /* as if it had never been begun */
        batch->ops.end = batch->ops.start + (uint32_t)start;
        batch->count--;
        return err;
    }
    uint8_t *at = batch->ops.data + batch->ops.start + start;
    struct rc_slice key = rc_slice(at + OP_HEAD, at[1]);
    uint8_t *value = at + OP_HEAD + key.len;
    size_t value_len = rc_buf_len(&batch->ops) - start - OP_HEAD - key.len;
    rc_store_u32(at + 2, (uint32_t)value_len);
    struct rc_slice body = rc_slice(value + RC_VALUE_HEAD, value_len - RC_VALUE_HEAD);
    rc_store_u32(value, rc_session_checksum(key, body));
    return RC_OK;
}

bool rc_session_batch_next(const struct rc_session_batch *batch, size_t *at, struct rc_session_operation *ret)
{
    struct rc_slice all = rc_buf_slice(&batch->ops);
    if (*at >= all.len)
        return false;
    const uint8_t *op = all.ptr + *at;
    ret->op = (enum rc_session_op)op[0];
    ret->key = rc_slice(op + OP_HEAD, op[1]);
    ret->value = rc_slice(op + OP_HEAD + op[1], rc_load_u32(op + 2));
    *at += OP_HEAD + ret->key.len + ret->value.len;
    return true;
}

/* ---- keys ---- */

struct key {
    uint8_t bytes[RC_STORE_KEY_MAX];
    size_t len;
};

static struct rc_slice key_slice(const struct key *key)
{
    return rc_slice(key->bytes, key->len);
}

static struct key session_prefix(uint64_t session)
{
    struct key key = {.len = RC_SESSION_PREFIX_LEN};
    key.bytes[0] = RC_TABLE_SESSIONS;
    rc_store_u64(key.bytes + 1, session);
    return key;
}

/* `number` in `len` bytes, 0 for none. */
static struct key session_key(uint64_t session, enum rc_session_kind kind, uint64_t number, size_t len)
{
    struct key key = session_prefix(session);
    uint8_t bytes[8];
    key.bytes[key.len++] = (uint8_t)kind;
    rc_store_u64(bytes, number);
    memcpy(key.bytes + key.len, bytes + sizeof(bytes) - len, len);
    key.len += len;
    return key;
}

/* Topics may be longer than LMDB's keys. */
static struct key retained_key(struct rc_slice instance, struct rc_slice topic)
{
    struct key key = {.len = RC_RETAINED_KEY_LEN};
    struct rc_buf named;
    rc_buf_init(&named, (uint32_t)(instance.len + topic.len + 1));
    rc_buf_put_slice(&named, instance);
    rc_buf_put_u8(&named, 0);
    rc_buf_put_slice(&named, topic);
    key.bytes[0] = RC_TABLE_RETAINED;
    SHA256(rc_buf_slice(&named).ptr, rc_buf_len(&named), key.bytes + 1);
    rc_buf_free(&named);
    return key;
}

static int drop(struct rc_session_batch *batch, enum rc_session_op op, struct key key)
{
    size_t start;
    return begin(batch, op, key_slice(&key), &start);
}

/* ---- the operations ---- */

int rc_session_batch_put_session(struct rc_session_batch *batch, uint64_t session,
                                 const struct rc_session_record *record)
{
    size_t start;
    struct key key = session_key(session, RC_KIND_SESSION, 0, 0);
    int err = begin(batch, RC_OP_PUT, key_slice(&key), &start);
    return err ? err : finish(batch, start, rc_session_record_put(&batch->ops, record));
}

int rc_session_batch_end_session(struct rc_session_batch *batch, uint64_t session)
{
    return drop(batch, RC_OP_DELETE_PREFIX, session_prefix(session));
}

int rc_session_batch_put_subscription(struct rc_session_batch *batch, uint64_t session, uint32_t number,
                                      const struct rc_subscription_record *record)
{
    size_t start;
    struct key key = session_key(session, RC_KIND_SUBSCRIPTION, number, sizeof(number));
    int err = begin(batch, RC_OP_PUT, key_slice(&key), &start);
    return err ? err : finish(batch, start, rc_subscription_record_put(&batch->ops, record));
}

int rc_session_batch_end_subscription(struct rc_session_batch *batch, uint64_t session, uint32_t number)
{
    return drop(batch, RC_OP_DELETE, session_key(session, RC_KIND_SUBSCRIPTION, number, sizeof(number)));
}

int rc_session_batch_put_outgoing(struct rc_session_batch *batch, uint64_t session, uint64_t seq,
                                  const struct rc_outgoing_record *record)
{
    size_t start;
    struct key key = session_key(session, RC_KIND_OUTGOING, seq, sizeof(seq));
    int err = begin(batch, RC_OP_PUT, key_slice(&key), &start);
    return err ? err : finish(batch, start, rc_outgoing_record_put(&batch->ops, record));
}

int rc_session_batch_end_outgoing(struct rc_session_batch *batch, uint64_t session, uint64_t seq)
{
    return drop(batch, RC_OP_DELETE, session_key(session, RC_KIND_OUTGOING, seq, sizeof(seq)));
}

int rc_session_batch_end_incoming(struct rc_session_batch *batch, uint64_t session, uint16_t packet_id)
{
    return drop(batch, RC_OP_DELETE, session_key(session, RC_KIND_INCOMING, packet_id, sizeof(packet_id)));
}

static int put_of_session(struct rc_session_batch *batch, struct key key, struct rc_slice body)
{
    size_t start;
    int err = begin(batch, RC_OP_PUT_OF_SESSION, key_slice(&key), &start);
    return err ? err : finish(batch, start, rc_buf_put_slice(&batch->ops, body));
}

int rc_session_batch_put_published(struct rc_session_batch *batch, uint64_t session, uint16_t packet_id,
                                   uint64_t number)
{
    uint8_t bytes[8];
    rc_store_u64(bytes, number);
    int err =
        put_of_session(batch, session_key(session, RC_KIND_PUBLISHED, 0, 0), rc_slice(bytes, sizeof(bytes)));
    return err ? err
               : put_of_session(batch, session_key(session, RC_KIND_INCOMING, packet_id, sizeof(packet_id)),
                                rc_slice(NULL, 0));
}

int rc_session_batch_put_retained(struct rc_session_batch *batch, const struct rc_retained_record *record)
{
    size_t start;
    struct key key = retained_key(record->instance, record->message.topic);
    int err = begin(batch, RC_OP_PUT_NEWER, key_slice(&key), &start);
    return err ? err : finish(batch, start, rc_retained_record_put(&batch->ops, record));
}
