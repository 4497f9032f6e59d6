/*
 * A token's bytes: version (1), actions (1), expiry in ms (8), id (16), instance and access key (a length
 * byte and the text each), the number of topics (1), the topics (a length byte and the text each),
 * HMAC-SHA256 (32) of all before it. Numbers are big-endian.
 */
#include "auth/token.h"

#include "base/alloc.h"
#include "base/error.h"
#include "mqtt/topic.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sys/random.h>

enum { VERSION = 1, HMAC_LEN = SHA256_DIGEST_LENGTH, HEAD_LEN = 1 + 1 + 8 + RC_CATALOG_TOKEN_ID_LEN };

uint8_t rc_token_actions(struct rc_slice text)
{
    if (rc_slice_eq_str(text, "R"))
        return RC_ACL_READ;
    if (rc_slice_eq_str(text, "W"))
        return RC_ACL_WRITE;
    if (rc_slice_eq_str(text, "RW") || rc_slice_eq_str(text, "R,W") || rc_slice_eq_str(text, "W,R"))
        return RC_ACL_READ | RC_ACL_WRITE;
    return 0;
}

static bool sign(const struct rc_instance *instance, const uint8_t *bytes, size_t len, uint8_t ret[HMAC_LEN])
{
    unsigned int ret_len;
    return HMAC(EVP_sha256(), instance->token_key, sizeof(instance->token_key), bytes, len, ret, &ret_len) !=
           NULL;
}

/* ---- Base64url without padding ---- */

static void to_url(char *text)
{
    for (; *text != '\0' && *text != '='; text++)
        *text = *text == '+' ? '-' : *text == '/' ? '_' : *text;
    *text = '\0';
}

static int value_of(uint8_t c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '-'             ? 62
           : c == '_'             ? 63
                                  : -1;
}

/* How many bytes it was; negative for anything but what to_url makes. */
static int64_t from_url(struct rc_slice text, uint8_t *out, size_t max)
{
    uint32_t bits = 0, have = 0;
    size_t len = 0;
    if (text.len % 4 == 1)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0)
            return -1;
        bits = (bits << 6 | (uint32_t)value) & 0xffffff;
        have += 6;
        if (have < 8)
            continue;
        if (len == max)
            return -1;
        have -= 8;
        out[len++] = (uint8_t)(bits >> have);
    }
    return (bits & ((1u << have) - 1)) == 0 ? (int64_t)len : -1; /* one token has one text */
}

/* ---- making ---- */

static int by_bytes(const void *a, const void *b)
{
    const struct rc_slice *left = a, *right = b;
    size_t len = left->len < right->len ? left->len : right->len;
    int order = memcmp(left->ptr, right->ptr, len);
    return order != 0 ? order : (left->len > right->len) - (left->len < right->len);
}

/* The topics between the commas, sorted, each once. */
static int split(struct rc_slice text, struct rc_slice topics[RC_TOKEN_RESOURCES_MAX], uint32_t *ret_count)
{
    uint32_t count = 0;
    while (text.len > 0) {
        const uint8_t *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma != NULL ? (size_t)(comma - text.ptr) : text.len;
        struct rc_slice topic = rc_slice(text.ptr, len);
        if (len > RC_TOKEN_RESOURCE_LEN_MAX || !rc_topic_filter_is_valid(topic))
            return RC_ERR_INVALID;
        if (count == RC_TOKEN_RESOURCES_MAX)
            return RC_ERR_FULL;
        topics[count++] = topic;
        text = rc_slice_from(text, comma != NULL ? len + 1 : len);
    }
    if (count == 0)
        return RC_ERR_INVALID;
    qsort(topics, count, sizeof(*topics), by_bytes);
    *ret_count = count;
    return RC_OK;
}

static void put_text(struct rc_buf *buf, struct rc_slice text)
{
    rc_buf_put_u8(buf, (uint8_t)text.len);
    rc_buf_put_slice(buf, text);
}

int rc_token_make(const struct rc_instance *instance, struct rc_slice access_key, uint8_t actions,
                  struct rc_slice resources, int64_t expire_ms, int64_t now_ms, struct rc_buf *ret)
{
    struct rc_slice topics[RC_TOKEN_RESOURCES_MAX];
    uint8_t id[RC_CATALOG_TOKEN_ID_LEN], hmac[HMAC_LEN];
    uint32_t count;
    if (expire_ms - now_ms < RC_TOKEN_LIFE_MIN_MS)
        return RC_ERR_RANGE;
    if (expire_ms - now_ms > RC_TOKEN_LIFE_MAX_MS)
        expire_ms = now_ms + RC_TOKEN_LIFE_MAX_MS;
    int err = split(resources, topics, &count);
    if (err != RC_OK || actions == 0 || !instance->has_token_key ||
        getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
        return err ? err : RC_ERR_INVALID;
    struct rc_buf buf;
    rc_buf_init(&buf, RC_TOKEN_BYTES_MAX);
    rc_buf_put_u8(&buf, VERSION);
    rc_buf_put_u8(&buf, actions);
    rc_buf_put_u64(&buf, (uint64_t)expire_ms);
    rc_buf_put(&buf, id, sizeof(id));
    put_text(&buf, instance->id);
    put_text(&buf, access_key);
    rc_buf_put_u8(&buf, (uint8_t)count);
    for (uint32_t i = 0; i < count; i++)
        put_text(&buf, topics[i]);
    struct rc_slice bytes = rc_buf_slice(&buf);
    bool is_signed = sign(instance, bytes.ptr, bytes.len, hmac);
    rc_buf_put(&buf, hmac, sizeof(hmac));
    bytes = rc_buf_slice(&buf);
    uint8_t *text = rc_buf_reserve(ret, RC_TOKEN_TEXT_MAX);
    if (text == NULL || !is_signed) {
        rc_buf_free(&buf);
        return RC_ERR_FULL;
    }
    EVP_EncodeBlock(text, bytes.ptr, (int)bytes.len);
    to_url((char *)text);
    rc_buf_commit(ret, strlen((char *)text));
    rc_buf_free(&buf);
    return RC_OK;
}

/* ---- reading ---- */

static bool take_text(struct rc_slice *rest, struct rc_slice *ret)
{
    if (rest->len == 0 || rest->len - 1 < rest->ptr[0])
        return false;
    *ret = rc_slice(rest->ptr + 1, rest->ptr[0]);
    *rest = rc_slice_from(*rest, 1 + ret->len);
    return true;
}

static bool parse(struct rc_slice bytes, struct rc_token *ret)
{
    if (bytes.len < HEAD_LEN || bytes.ptr[0] != VERSION)
        return false;
    ret->head.actions = bytes.ptr[1];
    ret->head.expire_ms = (int64_t)rc_load_u64(bytes.ptr + 2);
    memcpy(ret->head.id, bytes.ptr + 10, sizeof(ret->head.id));
    struct rc_slice rest = rc_slice_from(bytes, HEAD_LEN);
    if (!take_text(&rest, &ret->instance) || !take_text(&rest, &ret->head.access_key) || rest.len == 0)
        return false;
    ret->resources_count = rest.ptr[0];
    rest = rc_slice_from(rest, 1);
    if (ret->resources_count == 0 || ret->resources_count > RC_TOKEN_RESOURCES_MAX)
        return false;
    for (uint32_t i = 0; i < ret->resources_count; i++)
        if (!take_text(&rest, &ret->resources[i]) || !rc_topic_filter_is_valid(ret->resources[i]))
            return false;
    return rest.len == 0 && ret->head.actions != 0 &&
           (ret->head.actions & ~(RC_ACL_READ | RC_ACL_WRITE)) == 0;
}

enum rc_token_state rc_token_read(const struct rc_instance *instance, struct rc_slice text,
                                  struct rc_token *ret)
{
    uint8_t hmac[HMAC_LEN];
    ret->head.expire_ms = 0;
    memset(ret->head.id, 0, sizeof(ret->head.id));
    int64_t len = from_url(text, ret->bytes, sizeof(ret->bytes));
    if (len < HEAD_LEN + HMAC_LEN || !instance->has_token_key)
        return RC_TOKEN_FORGED;
    size_t signed_len = (size_t)len - HMAC_LEN;
    if (!sign(instance, ret->bytes, signed_len, hmac) ||
        CRYPTO_memcmp(hmac, ret->bytes + signed_len, HMAC_LEN) != 0)
        return RC_TOKEN_BAD_SIGNATURE;
    bool is_token = parse(rc_slice(ret->bytes, signed_len), ret) && rc_slice_eq(ret->instance, instance->id);
    return is_token ? RC_TOKEN_VALID : RC_TOKEN_FORGED;
}

enum rc_token_state rc_token_recheck(const struct rc_catalog *catalog, const struct rc_instance *instance,
                                     const struct rc_token_head *head, int64_t now_ms)
{
    if (rc_catalog_instance_key(catalog, instance, head->access_key) == NULL)
        return RC_TOKEN_BAD_ACCOUNT;
    if (rc_instance_mark(&instance->revoked, rc_slice(head->id, sizeof(head->id))) != NULL)
        return RC_TOKEN_REVOKED;
    return head->expire_ms <= now_ms ? RC_TOKEN_EXPIRED : RC_TOKEN_VALID;
}

enum rc_token_state rc_token_check(const struct rc_catalog *catalog, const struct rc_instance *instance,
                                   struct rc_slice text, int64_t now_ms, struct rc_token *ret)
{
    enum rc_token_state state = rc_token_read(instance, text, ret);
    return state == RC_TOKEN_VALID ? rc_token_recheck(catalog, instance, &ret->head, now_ms) : state;
}

/* ---- how clients present them ---- */

uint32_t rc_token_split(struct rc_slice password, struct rc_token_pair ret[RC_TOKEN_PAIRS_MAX])
{
    uint32_t count = 0;
    for (bool more = true; more;) {
        const uint8_t *bar = password.len > 0 ? memchr(password.ptr, '|', password.len) : NULL;
        if (bar == NULL || count == RC_TOKEN_PAIRS_MAX)
            return 0;
        struct rc_token_pair *pair = &ret[count++];
        pair->actions = rc_token_actions(rc_slice(password.ptr, (size_t)(bar - password.ptr)));
        password = rc_slice_from(password, (size_t)(bar - password.ptr) + 1);
        bar = password.len > 0 ? memchr(password.ptr, '|', password.len) : NULL;
        more = bar != NULL;
        pair->text = more ? rc_slice(password.ptr, (size_t)(bar - password.ptr)) : password;
        password = rc_slice_from(password, pair->text.len + more);
        for (uint32_t i = 0; i + 1 < count; i++)
            if (ret[i].actions == pair->actions)
                return 0;
        if (pair->actions == 0 || pair->text.len == 0)
            return 0;
    }
    return count;
}

char *rc_token_parse_upload(struct rc_slice json, uint8_t *ret_actions)
{
    char *text = NULL;
    if (json.len == 0 || json.len > 2 * RC_TOKEN_TEXT_MAX)
        return NULL;
    json_t *root = json_loadb((const char *)json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(root, "token"));
    const char *type = json_string_value(json_object_get(root, "type"));
    *ret_actions = type != NULL ? rc_token_actions(rc_slice_str(type)) : 0;
    if (token != NULL && *ret_actions != 0)
        text = rc_strdup(token);
    json_decref(root);
    return text;
}
