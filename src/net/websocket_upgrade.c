#include "net/websocket_upgrade.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

enum {
    BAD_REQUEST = 400,
    NOT_FOUND = 404,
    BAD_METHOD = 405,
    BAD_VERSION = 426,
    HEAD_TOO_LARGE = 431,
    KEY_CHARS = 24, /* base64 of 16 bytes */
};

/* What of the request has been seen; a field that may come once comes once. */
struct fields {
    struct rc_slice upgrade, connection, key, version, protocols, host;
    bool has_length;
};

/* ---- text ---- */

static bool is_token_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool is_same_word(struct rc_slice text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.ptr[i]) != (uint8_t)word[i])
            return false;
    }
    return true;
}

static struct rc_slice trim(struct rc_slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = rc_slice_from(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* The next item of a list with commas; false at its end. */
static bool next_item(struct rc_slice *list, struct rc_slice *ret)
{
    if (list->len == 0)
        return false;
    const uint8_t *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
    *ret = trim(rc_slice(list->ptr, len));
    *list = rc_slice_from(*list, comma != NULL ? len + 1 : len);
    return true;
}

static bool has_item(struct rc_slice list, const char *word)
{
    struct rc_slice item;
    while (next_item(&list, &item)) {
        if (is_same_word(item, word))
            return true;
    }
    return false;
}

/* ---- lines ---- */

/* A line without its CR LF; false when one of the two is alone or another control character is in it. */
static bool next_line(struct rc_slice *in, struct rc_slice *ret)
{
    const uint8_t *end = in->len > 0 ? memchr(in->ptr, '\n', in->len) : NULL;
    if (end == NULL || end == in->ptr || end[-1] != '\r')
        return false;
    size_t len = (size_t)(end - in->ptr) - 1;
    for (size_t i = 0; i < len; i++) {
        if ((in->ptr[i] < ' ' && in->ptr[i] != '\t') || in->ptr[i] == 0x7f)
            return false;
    }
    *ret = rc_slice(in->ptr, len);
    *in = rc_slice_from(*in, len + 2);
    return true;
}

/* "GET /path?query HTTP/1.1": 0 or the status to answer. */
static int read_request_line(struct rc_slice line, struct rc_slice *ret_path)
{
    const uint8_t *first = memchr(line.ptr, ' ', line.len);
    if (first == NULL)
        return BAD_REQUEST;
    struct rc_slice method = rc_slice(line.ptr, (size_t)(first - line.ptr));
    struct rc_slice rest = rc_slice_from(line, method.len + 1);
    const uint8_t *second = rest.len > 0 ? memchr(rest.ptr, ' ', rest.len) : NULL;
    if (second == NULL || rest.ptr[0] != '/')
        return BAD_REQUEST;
    struct rc_slice target = rc_slice(rest.ptr, (size_t)(second - rest.ptr));
    if (!rc_slice_eq_str(rc_slice_from(rest, target.len + 1), "HTTP/1.1"))
        return BAD_REQUEST;
    if (!rc_slice_eq_str(method, "GET"))
        return BAD_METHOD;
    const uint8_t *query = memchr(target.ptr, '?', target.len);
    *ret_path = rc_slice(target.ptr, query != NULL ? (size_t)(query - target.ptr) : target.len);
    return 0;
}

static bool set_once(struct rc_slice *field, struct rc_slice value)
{
    bool is_first = field->ptr == NULL;
    *field = value;
    return is_first;
}

static bool read_field(struct rc_slice line, struct fields *fields)
{
    const uint8_t *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (colon == NULL || colon == line.ptr)
        return false; /* a folded line, too: it begins with a space */
    struct rc_slice name = rc_slice(line.ptr, (size_t)(colon - line.ptr));
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char(name.ptr[i]))
            return false;
    }
    struct rc_slice value = trim(rc_slice_from(line, name.len + 1));
    if (is_same_word(name, "host"))
        return set_once(&fields->host, value);
    if (is_same_word(name, "upgrade"))
        return set_once(&fields->upgrade, value);
    if (is_same_word(name, "connection"))
        return set_once(&fields->connection, value);
    if (is_same_word(name, "sec-websocket-key"))
        return set_once(&fields->key, value);
    if (is_same_word(name, "sec-websocket-version"))
        return set_once(&fields->version, value);
    if (is_same_word(name, "sec-websocket-protocol"))
        return set_once(&fields->protocols, value);
    if (is_same_word(name, "content-length"))
        return rc_slice_eq_str(value, "0");
    return !is_same_word(name, "transfer-encoding"); /* such a request has a body */
}

/* ---- the request ---- */

static bool is_key(struct rc_slice key)
{
    uint8_t bytes[18];
    /* 16 bytes end with "==" and with a character whose last four bits are naught. */
    return key.len == KEY_CHARS && key.ptr[22] == '=' && key.ptr[23] == '=' &&
           memchr("AQgw", key.ptr[21], 4) != NULL && memchr(key.ptr, '=', 22) == NULL &&
           EVP_DecodeBlock(bytes, key.ptr, KEY_CHARS) == (int)sizeof(bytes);
}

/* MQTT's own name, or the older one that clients of version 3.1 offer. */
static bool choose_subprotocol(struct rc_slice offered, struct rc_slice *ret)
{
    struct rc_slice item;
    while (next_item(&offered, &item)) {
        if (rc_slice_eq_str(item, "mqtt") || rc_slice_eq_str(item, "mqttv3.1")) {
            *ret = item;
            return true;
        }
    }
    return false;
}

static int check_fields(const struct fields *fields, struct rc_upgrade *ret)
{
    if (fields->host.ptr == NULL || !has_item(fields->upgrade, "websocket") ||
        !has_item(fields->connection, "upgrade"))
        return BAD_REQUEST;
    if (!rc_slice_eq_str(fields->version, "13"))
        return fields->version.ptr != NULL ? BAD_VERSION : BAD_REQUEST;
    if (!is_key(fields->key) || !choose_subprotocol(fields->protocols, &ret->subprotocol))
        return BAD_REQUEST;
    ret->key = fields->key;
    return 0;
}

static int read_head(struct rc_slice head, const char *path, struct rc_upgrade *ret)
{
    struct rc_slice line;
    struct fields fields = {0};
    if (!next_line(&head, &line))
        return BAD_REQUEST;
    int status = read_request_line(line, &ret->path);
    if (status != 0)
        return status;
    for (uint32_t count = 0; next_line(&head, &line); count++) {
        if (line.len == 0) /* the end, and the caller saw that it is the end of `head` too */
            return !rc_slice_eq_str(ret->path, path) ? NOT_FOUND : check_fields(&fields, ret);
        if (count == RC_UPGRADE_FIELDS_MAX)
            return HEAD_TOO_LARGE;
        if (!read_field(line, &fields))
            return BAD_REQUEST;
    }
    return BAD_REQUEST;
}

int64_t rc_upgrade_parse(struct rc_slice in, const char *path, struct rc_upgrade *ret, int *ret_status)
{
    const uint8_t *end = in.len > 0 ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;
    memset(ret, 0, sizeof(*ret));
    /* A stranger who speaks no HTTP (or TLS on the wrong port) is not waited for. */
    if (in.len > 0 && !is_token_char(in.ptr[0])) {
        *ret_status = BAD_REQUEST;
        return RC_ERR_PROTOCOL;
    }
    if (end == NULL) {
        *ret_status = HEAD_TOO_LARGE;
        return in.len >= RC_UPGRADE_HEAD_MAX ? RC_ERR_PROTOCOL : 0;
    }
    size_t size = (size_t)(end - in.ptr) + 4;
    /* A client may not speak before it has the answer. */
    *ret_status = size > RC_UPGRADE_HEAD_MAX ? HEAD_TOO_LARGE
                  : size < in.len            ? BAD_REQUEST
                                             : read_head(in, path, ret);
    return *ret_status == 0 ? (int64_t)size : RC_ERR_PROTOCOL;
}

/* ---- the answer ---- */

int rc_upgrade_accept(const struct rc_upgrade *upgrade, struct rc_buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* of RFC 6455 */
    uint8_t input[KEY_CHARS + sizeof(guid) - 1], digest[SHA_DIGEST_LENGTH], accept[29];
    memcpy(input, upgrade->key.ptr, KEY_CHARS);
    memcpy(input + KEY_CHARS, guid, sizeof(guid) - 1);
    if (EVP_Digest(input, sizeof(input), digest, NULL, EVP_sha1(), NULL) != 1)
        return RC_ERR_FULL;
    EVP_EncodeBlock(accept, digest, sizeof(digest));
    return rc_buf_printf(out,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %.*s\r\n\r\n",
                         (const char *)accept, RC_SLICE_FMT(upgrade->subprotocol));
}

int rc_upgrade_refuse(int status, struct rc_buf *out)
{
    const char *reason = status == NOT_FOUND        ? "Not Found"
                         : status == BAD_METHOD     ? "Method Not Allowed"
                         : status == BAD_VERSION    ? "Upgrade Required"
                         : status == HEAD_TOO_LARGE ? "Request Header Fields Too Large"
                                                    : "Bad Request";
    const char *extra = status == BAD_METHOD    ? "Allow: GET\r\n"
                        : status == BAD_VERSION ? "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                                : "";
    return rc_buf_printf(out, "HTTP/1.1 %d %s\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n", status,
                         reason, extra);
}
