/*
 * One message as RocketMQ stores and sends it (format V1: the record on disk is the record on the wire).
 * No I/O. Decoding gives views into the input; encoding appends to a buffer.
 */
#ifndef RC_STORE_MESSAGE_H
#define RC_STORE_MESSAGE_H

#include "base/buf.h"

#define RC_MESSAGE_MAGIC 0xDAA320A7u    /* a message, V1 */
#define RC_MESSAGE_MAGIC_V2 0xDAA320ABu /* decoded, never written: its topic length has two bytes */
#define RC_MESSAGE_BLANK 0xCBD43194u    /* filler up to the end of a segment */

enum {
    RC_MESSAGE_BODY_MAX = 4 * 1024 * 1024,
    RC_MESSAGE_TOPIC_MAX = 127,
    RC_MESSAGE_PROPS_MAX = 32767,
    RC_MESSAGE_MAX = RC_MESSAGE_BODY_MAX + RC_MESSAGE_PROPS_MAX + RC_MESSAGE_TOPIC_MAX + 128,

    /* where the log writer puts what only it knows (V1, counted from the record's first byte) */
    RC_MESSAGE_AT_QUEUE_OFFSET = 20,
    RC_MESSAGE_AT_PHYSICAL_OFFSET = 28,

    RC_SYSFLAG_COMPRESSED = 0x1,
    RC_SYSFLAG_MULTI_TAGS = 0x2,
    RC_SYSFLAG_TRANSACTION_MASK = 0xc,
    RC_SYSFLAG_BORN_HOST_V6 = 0x10,
    RC_SYSFLAG_STORE_HOST_V6 = 0x20,
};

/* An address as messages carry it. */
struct rc_host {
    uint8_t addr[16]; /* the first 4 bytes for IPv4 */
    uint32_t port;
    bool is_v6;
};

struct rc_message {
    uint32_t queue_id;
    uint32_t flag;
    uint64_t queue_offset;
    uint64_t physical_offset;
    uint32_t sys_flag; /* the V6 bits are set from the hosts when encoding */
    int64_t born_ms;
    struct rc_host born_host;
    int64_t store_ms;
    struct rc_host store_host;
    uint32_t reconsume_times;
    uint64_t prepared_offset;
    struct rc_slice body;
    struct rc_slice topic;
    struct rc_slice props; /* name \x01 value \x02 ... */
    /* For encoding, of who made the properties, of texts without marks: nobody looks through them again. */
    bool props_are_sound;
    int64_t tags_code; /* of their TAGS; counts only with props_are_sound */
    /* Of decoding: the properties by which messages are looked for, as rc_props_get gives them. */
    struct rc_slice keys, unique_key;
};

/*
 * Appends the record. 0; RC_ERR_TOO_LARGE when a part is over its limit; RC_ERR_INVALID for an empty topic or
 * for properties that do not parse to their end or hold a NUL; RC_ERR_FULL for the buffer's limit.
 */
int rc_message_encode(struct rc_buf *out, const struct rc_message *message);
/* How long that record is. */
size_t rc_message_encoded_len(const struct rc_message *message);

/*
 * Decodes the record at the front of `in`: its size in bytes (> 0), 0 when `in` ends inside of it,
 * RC_ERR_CORRUPT when lengths, magic or properties are wrong or, with `check_crc`, the body's CRC is. Only
 * with a size is there anything in *ret.
 */
int64_t rc_message_decode(struct rc_slice in, bool check_crc, struct rc_message *ret);

/* Where storeTimestamp stands in a record (it follows bornHost). */
uint32_t rc_message_store_ms_at(bool born_host_v6);

/* CRC32 of a stored body, as RocketMQ keeps it. */
uint32_t rc_message_crc(struct rc_slice body);

/* ---- properties ---- */
#define RC_PROP_KEYS "KEYS"
#define RC_PROP_TAGS "TAGS"
#define RC_PROP_UNIQ_KEY "UNIQ_KEY"
#define RC_PROP_DELAY "DELAY"
#define RC_PROP_REAL_TOPIC "REAL_TOPIC"
#define RC_PROP_REAL_QUEUE "REAL_QID"
#define RC_PROP_RETRY_TOPIC "RETRY_TOPIC"
#define RC_PROP_ORIGIN_MESSAGE_ID "ORIGIN_MESSAGE_ID"
#define RC_PROP_WAIT "WAIT"
/* The marks, for who writes properties with literals. */
#define RC_PROP_NAME_END "\1"
#define RC_PROP_VALUE_END "\2"

/* The value of a property, the last one when it comes twice; a slice with ptr NULL when it is absent. */
struct rc_slice rc_props_get(struct rc_slice props, const char *name);
/* Walks the pairs: start with *at = 0; false at the end (malformed rests end it too). */
bool rc_props_next(struct rc_slice props, size_t *at, struct rc_slice *name, struct rc_slice *value);
/* Appends name \x01 value \x02. RC_ERR_INVALID when either holds \x00, \x01 or \x02. */
int rc_props_put(struct rc_buf *out, const char *name, struct rc_slice value);
/* Copies `props` without the named property. */
int rc_props_copy_without(struct rc_buf *out, struct rc_slice props, const char *name);
/*
 * False when they hold a NUL, or a pair without a name: a record whose last page never reached the disk ends
 * in zeroes, and its checksum covers the body alone.
 */
bool rc_props_are_whole(struct rc_slice props);
/* The same, and gives KEYS and UNIQ_KEY, as rc_props_get does, of those that are whole: one walk for all. */
bool rc_props_read(struct rc_slice props, struct rc_slice *ret_keys, struct rc_slice *ret_unique_key);
/* Java hash of TAGS as ConsumeQueues hold it, 0 when there is none. */
int64_t rc_props_tags_code(struct rc_slice props);

/* ---- ids ---- */
enum { RC_MESSAGE_ID_LEN = 32, RC_MESSAGE_ID_V6_LEN = 56 };
/* offsetMsgId: upper-case hex of store host and physical offset; returns its length; `out` takes 56 + NUL. */
size_t rc_message_id_format(char *out, const struct rc_host *store_host, uint64_t physical_offset);
/* 0 or RC_ERR_INVALID */
int rc_message_id_parse(struct rc_slice id, struct rc_host *ret_host, uint64_t *ret_physical_offset);

#endif
