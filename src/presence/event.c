#include "presence/event.h"

#include "base/decimal.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "base/words.h"
#include "store/message.h"

#include <pthread.h>
#include <time.h>

static const struct rc_slice type_texts[] = {
#define X(name, text) {(const uint8_t *)(text), sizeof(text) - 1},
    RC_EVENT_TYPE_MAP(X)
#undef X
};

const char *rc_event_type_text(enum rc_event_type type)
{
    return (const char *)type_texts[type].ptr;
}

int rc_event_type_parse(struct rc_slice text, enum rc_event_type *ret)
{
    for (int type = RC_EVENT_CONNECT; type <= RC_EVENT_TCPCLEAN; type++)
        if (rc_slice_eq(text, type_texts[type])) {
            *ret = type;
            return RC_OK;
        }
    return RC_ERR_INVALID;
}

bool rc_event_is_plain(struct rc_slice client_id)
{
    for (size_t at = 0; at < client_id.len; at += RC_WORD) {
        uint64_t word = rc_word_at(client_id, at);
        if (rc_word_below(word, ' ' + 1) != 0 || !rc_word_is_ascii(word) || rc_word_has(word, 0x7f) ||
            rc_word_has(word, '"') || rc_word_has(word, '\\') || rc_word_has(word, '%'))
            return false;
    }
    return true;
}

int rc_event_put_client_id_json(struct rc_buf *out, struct rc_slice client_id)
{
    struct rc_buf quoted;
    struct rc_json json;
    rc_buf_init(&quoted, 8 * (uint32_t)client_id.len + 16);
    rc_json_init(&json, &quoted);
    rc_json_string(&json, client_id);
    struct rc_slice text = rc_buf_slice(&quoted);
    int err = json.err ? json.err : rc_buf_put(out, text.ptr + 1, text.len - 2);
    rc_buf_free(&quoted);
    return err;
}

/* KEYS are parted by spaces, properties by control characters: those, and the % that escapes them, are
 * encoded. */
int rc_event_put_keys(struct rc_buf *out, struct rc_slice client_id)
{
    if (rc_event_is_plain(client_id))
        return rc_buf_put_slice(out, client_id);
    int err = RC_OK;
    for (size_t i = 0; i < client_id.len && err == RC_OK; i++) {
        uint8_t byte = client_id.ptr[i];
        if (byte <= ' ' || byte == '%' || byte == 0x7f)
            err = rc_buf_printf(out, "%%%02X", byte);
        else
            err = rc_buf_put_u8(out, byte);
    }
    return err;
}

/*
 * Body and properties are written piece behind piece into room that was made for all of it before. Literals
 * have lengths that the compiler knows, so they are a few moves each.
 */
static inline uint8_t *put_text(uint8_t *at, const char *literal)
{
    return mempcpy(at, literal, strlen(literal));
}

static inline uint8_t *put_slice(uint8_t *at, struct rc_slice text)
{
    return text.len > 0 ? mempcpy(at, text.ptr, text.len) : at;
}

static uint8_t *put_number(uint8_t *at, int64_t value)
{
    return at + rc_decimal((char *)at, value > 0 ? (uint64_t)value : 0);
}

/* Between the address and its value, where a client has a certificate; as the product's own SDK reads it. */
#define CERTIFICATE_KEY "\",\"certificateChainSn\":\""

static uint8_t *write_body(uint8_t *at, const struct rc_event *event)
{
    at = put_text(at, "{\"clientId\":\"");
    at = put_slice(at, event->client_id_json);
    at = put_text(at, "\",\"time\":");
    at = put_number(at, event->time_ms);
    at = put_text(at, ",\"eventType\":\"");
    at = put_slice(at, type_texts[event->type]);
    at = put_text(at, "\",\"channelId\":\"");
    rc_hex_lower((char *)at, event->channel_id, RC_CHANNEL_ID_LEN);
    at = put_text(at + RC_CHANNEL_HEX_LEN, "\",\"clientIp\":\"");
    at = put_slice(at, event->client_ip);
    if (event->certificate_sn.len > 0)
        at = put_slice(put_text(at, CERTIFICATE_KEY), event->certificate_sn);
    return put_text(at, "\"}");
}

/* ---- properties ---- */

#define FIRST(name) name RC_PROP_NAME_END
#define NEXT(name) RC_PROP_VALUE_END name RC_PROP_NAME_END

/* What tells of the time since the channel's connect. */
static uint8_t *write_span(uint8_t *at, const struct rc_event *event)
{
    if (event->connect_ms > 0)
        at = put_number(put_text(at, NEXT(RC_PROP_DURATION)), event->time_ms - event->connect_ms);
    if (event->last_active_ms > 0)
        at = put_number(put_text(at, NEXT(RC_PROP_LAST_ACTIVE)), event->last_active_ms);
    return at;
}

static uint8_t *write_props(uint8_t *at, const struct rc_event *event)
{
    at = put_text(at, FIRST(RC_PROP_KEYS));
    at = put_slice(at, event->keys);
    at = put_text(at, NEXT(RC_PROP_UNIQ_KEY));
    rc_event_uniq_key(event, (char *)at);
    at = put_text(at + RC_UNIQ_KEY_LEN, NEXT(RC_PROP_TAGS));
    at = put_slice(at, type_texts[event->type]);
    at = put_text(at, NEXT(RC_PROP_NODE));
    at = put_slice(at, event->node);
    if (event->instance.len > 0)
        at = put_slice(put_text(at, NEXT(RC_PROP_INSTANCE)), event->instance);
    at = put_text(at, NEXT(RC_PROP_SEQUENCE));
    at = put_number(at, event->sequence);
    if (event->protocol.len > 0)
        at = put_slice(put_text(at, NEXT(RC_PROP_PROTOCOL)), event->protocol);
    if (event->reason.len > 0)
        at = put_slice(put_text(at, NEXT(RC_PROP_REASON)), event->reason);
    if (event->type != RC_EVENT_CONNECT)
        at = write_span(at, event);
    if (event->is_replay)
        at = put_text(at, NEXT(RC_PROP_REPLAY) "1");
    return put_text(at, RC_PROP_VALUE_END);
}

int rc_event_put(struct rc_buf *out, const struct rc_event *event, struct rc_slice *ret_body,
                 struct rc_slice *ret_props)
{
    uint8_t *start = rc_buf_reserve(out, RC_EVENT_MORE + event->client_id_json.len + event->client_ip.len +
                                             event->certificate_sn.len + event->keys.len + event->node.len +
                                             event->instance.len + event->protocol.len + event->reason.len);
    if (start == NULL)
        return RC_ERR_FULL;
    uint8_t *props = write_body(start, event);
    uint8_t *end = write_props(props, event);
    *ret_body = rc_slice(start, (size_t)(props - start));
    *ret_props = rc_slice(props, (size_t)(end - props));
    rc_buf_commit(out, (size_t)(end - start));
    return RC_OK;
}

/*
 * The starts of local months, as RocketMQ's clients compute them: worked out once, since mktime takes a lock
 * and may read a file, neither of which a shard does. Ten years of them: each costs the start 20 us.
 */
enum { MONTHS_KEPT = 120 };
static int64_t month_starts[MONTHS_KEPT];
static pthread_once_t months_once = PTHREAD_ONCE_INIT;

static void find_months(void)
{
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    for (int i = 0; i < MONTHS_KEPT; i++) {
        struct tm first = {.tm_year = tm.tm_year, .tm_mon = tm.tm_mon - 1 + i, .tm_mday = 1, .tm_isdst = -1};
        month_starts[i] = (int64_t)mktime(&first) * 1000;
    }
}

uint32_t rc_event_month_ms(int64_t ms)
{
    pthread_once(&months_once, find_months);
    int i = 0;
    while (i + 1 < MONTHS_KEPT && month_starts[i + 1] <= ms)
        i++;
    return ms < month_starts[0] ? 0 : (uint32_t)(ms - month_starts[i]);
}

/* A channel's id is drawn at random: twelve of its bytes, with the type mixed in, are as good as a hash. */
void rc_event_uniq_key(const struct rc_event *event, char *out)
{
    uint8_t key[RC_UNIQ_KEY_LEN / 2];
    memcpy(key, event->channel_id, 10);
    rc_store_u32(key + 10, rc_event_month_ms(event->time_ms));
    key[14] = event->channel_id[10];
    key[15] = event->channel_id[11] ^ (uint8_t)event->type;
    rc_hex_upper(out, key, sizeof(key));
}

/* ---- taking a body apart ---- */

static bool take_literal(struct rc_slice *in, const char *text)
{
    struct rc_slice want = rc_slice_str(text);
    if (!rc_slice_starts_with(*in, want))
        return false;
    *in = rc_slice_from(*in, want.len);
    return true;
}

/* The bytes up to the first `end`, which is skipped. */
static bool take_until(struct rc_slice *in, const char *end, struct rc_slice *ret)
{
    size_t len = strlen(end);
    const uint8_t *at = in->len ? memmem(in->ptr, in->len, end, len) : NULL;
    if (at == NULL)
        return false;
    *ret = rc_slice(in->ptr, (size_t)(at - in->ptr));
    *in = rc_slice_from(*in, ret->len + len);
    return true;
}

/* Digits alone, up to what fits. */
static bool parse_time(struct rc_slice text, int64_t *ret)
{
    int64_t value = 0;
    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = value;
    return value > 0;
}

int rc_event_parse_body(struct rc_slice body, struct rc_event *ret)
{
    struct rc_slice time, type, channel;
    memset(ret, 0, sizeof(*ret));
    if (!take_literal(&body, "{\"clientId\":\"") ||
        !take_until(&body, "\",\"time\":", &ret->client_id_json) ||
        !take_until(&body, ",\"eventType\":\"", &time) || !take_until(&body, "\",\"channelId\":\"", &type) ||
        !take_until(&body, "\",\"clientIp\":\"", &channel) || !take_until(&body, "\"}", &ret->client_ip) ||
        body.len != 0)
        return RC_ERR_CORRUPT;
    const uint8_t *certificate =
        memmem(ret->client_ip.ptr, ret->client_ip.len, CERTIFICATE_KEY, strlen(CERTIFICATE_KEY));
    if (certificate != NULL) {
        size_t ip_len = (size_t)(certificate - ret->client_ip.ptr);
        ret->certificate_sn = rc_slice_from(ret->client_ip, ip_len + strlen(CERTIFICATE_KEY));
        ret->client_ip.len = ip_len;
    }
    if (!parse_time(time, &ret->time_ms) || rc_event_type_parse(type, &ret->type) != RC_OK ||
        !rc_hex_decode(ret->channel_id, RC_CHANNEL_ID_LEN, channel))
        return RC_ERR_CORRUPT;
    return RC_OK;
}
