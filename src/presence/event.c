#include "presence/event.h"

#include "base/decimal.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "base/words.h"
#include "store/message.h"

#include <pthread.h>
#include <time.h>

const char *rc_event_type_text(enum rc_event_type type)
{
    static const char *const texts[] = {
#define X(name, text) text,
        RC_EVENT_TYPE_MAP(X)
#undef X
    };
    return texts[type];
}

int rc_event_type_parse(struct rc_slice text, enum rc_event_type *ret)
{
    for (int type = RC_EVENT_CONNECT; type <= RC_EVENT_TCPCLEAN; type++)
        if (rc_slice_eq_str(text, rc_event_type_text(type))) {
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
    if (rc_event_is_plain(client_id))
        return rc_buf_put_slice(out, client_id);
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

static struct rc_slice number(char digits[RC_DECIMAL_MAX], int64_t value)
{
    return rc_slice(digits, rc_decimal(digits, value > 0 ? (uint64_t)value : 0));
}

/* All of them, with one look at the buffer. */
static int put_pieces(struct rc_buf *out, const struct rc_slice *pieces, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += pieces[i].len;
    uint8_t *at = rc_buf_reserve(out, len);
    if (at == NULL)
        return RC_ERR_FULL;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > 0)
            memcpy(at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    rc_buf_commit(out, len);
    return RC_OK;
}

/* Between the address and its value, where a client has a certificate; as the product's own SDK reads it. */
#define CERTIFICATE_KEY "\",\"certificateChainSn\":\""

int rc_event_put_body(struct rc_buf *out, const struct rc_event *event)
{
    char hex[RC_CHANNEL_HEX_LEN], time[RC_DECIMAL_MAX];
    rc_hex_lower(hex, event->channel_id, RC_CHANNEL_ID_LEN);
    const struct rc_slice pieces[] = {
        rc_slice_str("{\"clientId\":\""),
        event->client_id_json,
        rc_slice_str("\",\"time\":"),
        number(time, event->time_ms),
        rc_slice_str(",\"eventType\":\""),
        rc_slice_str(rc_event_type_text(event->type)),
        rc_slice_str("\",\"channelId\":\""),
        rc_slice(hex, sizeof(hex)),
        rc_slice_str("\",\"clientIp\":\""),
        event->client_ip,
        rc_slice_str(event->certificate_sn.len > 0 ? CERTIFICATE_KEY : ""),
        event->certificate_sn,
        rc_slice_str("\"}"),
    };
    return put_pieces(out, pieces, sizeof(pieces) / sizeof(pieces[0]));
}

/* ---- properties ---- */

enum { PROPS_MAX = 10 };

int rc_event_put_props(struct rc_buf *out, const struct rc_event *event)
{
    char uniq_key[RC_UNIQ_KEY_LEN], sequence[RC_DECIMAL_MAX], duration[RC_DECIMAL_MAX],
        active[RC_DECIMAL_MAX];
    struct rc_prop props[PROPS_MAX];
    size_t count = 0;
#define PUT(of_name, of_value) props[count++] = (struct rc_prop){rc_slice_str(of_name), of_value}
    rc_event_uniq_key(event, uniq_key);
    PUT(RC_PROP_KEYS, event->keys);
    PUT(RC_PROP_UNIQ_KEY, rc_slice(uniq_key, sizeof(uniq_key)));
    PUT(RC_PROP_TAGS, rc_slice_str(rc_event_type_text(event->type)));
    PUT(RC_PROP_NODE, event->node);
    if (event->instance.len > 0)
        PUT(RC_PROP_INSTANCE, event->instance);
    PUT(RC_PROP_SEQUENCE, number(sequence, event->sequence));
    if (event->protocol.len > 0)
        PUT(RC_PROP_PROTOCOL, event->protocol);
    if (event->reason.len > 0)
        PUT(RC_PROP_REASON, event->reason);
    if (event->type != RC_EVENT_CONNECT && event->connect_ms > 0)
        PUT(RC_PROP_DURATION, number(duration, event->time_ms - event->connect_ms));
    if (event->type != RC_EVENT_CONNECT && event->last_active_ms > 0)
        PUT(RC_PROP_LAST_ACTIVE, number(active, event->last_active_ms));
#undef PUT
    return rc_props_put_all(out, props, count);
}

/*
 * The starts of local months, as RocketMQ's clients compute them: worked out once, since mktime takes a lock
 * and may read a file, neither of which a shard does.
 */
enum { MONTHS_KEPT = 600 };
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
