#include "api/api_sign.h"

#include "auth/sign.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <strings.h>

enum { TEXT_MAX = 4 * RC_PARAMS_BYTES_MAX };

static const char algorithm[] = "ACS3-HMAC-SHA256";

/* ---- RPC v1 ---- */

static bool is_signature(const struct rc_param *param)
{
    return strcmp(param->name, "Signature") == 0;
}

static void put_query(struct rc_buf *out, const struct rc_params *params, bool with_signature)
{
    bool is_first = true;
    for (uint32_t i = 0; i < params->count; i++) {
        const struct rc_param *param = &params->list[i];
        if (is_signature(param) && !with_signature)
            continue;
        if (!is_first)
            rc_buf_put_u8(out, '&');
        is_first = false;
        rc_percent_encode(out, rc_slice_str(param->name));
        rc_buf_put_u8(out, '=');
        rc_percent_encode(out, rc_slice_str(param->value));
    }
}

int rc_api_rpc_text(struct rc_buf *out, const char *method, const struct rc_params *params)
{
    struct rc_buf query;
    rc_buf_init(&query, TEXT_MAX);
    put_query(&query, params, false);
    rc_buf_printf(out, "%s&%%2F&", method);
    rc_percent_encode(out, rc_buf_slice(&query));
    rc_buf_free(&query);
    return rc_buf_len(out) < out->max - 2 ? RC_OK : RC_ERR_FULL; /* the last put may have been cut short */
}

bool rc_api_sign_rpc(const char *method, const struct rc_params *params, struct rc_slice secret,
                     char ret[RC_API_SIGNATURE_MAX])
{
    struct rc_buf text, key;
    rc_buf_init(&text, TEXT_MAX);
    rc_buf_init(&key, 4096);
    rc_buf_put_slice(&key, secret);
    bool fits = rc_buf_put_u8(&key, '&') == RC_OK && rc_api_rpc_text(&text, method, params) == RC_OK;
    if (fits) {
        struct rc_slice data = rc_buf_slice(&text);
        rc_sign(rc_buf_slice(&key), &data, 1, ret);
    }
    rc_buf_free(&text);
    OPENSSL_cleanse(key.data, key.cap);
    rc_buf_free(&key);
    return fits;
}

/* ---- ACS3 ---- */

void rc_api_sha256_hex(struct rc_slice data, char ret[65])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256(data.len > 0 ? data.ptr : (const uint8_t *)"", data.len, digest);
    rc_hex_lower(ret, digest, sizeof(digest));
    ret[64] = '\0';
}

static struct rc_slice trim(struct rc_slice text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = rc_slice_from(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Takes the text up to `end` off the front, all when there is none. */
static struct rc_slice take_until(struct rc_slice *rest, char end)
{
    const uint8_t *found = rest->len > 0 ? memchr(rest->ptr, end, rest->len) : NULL;
    struct rc_slice part = rc_slice(rest->ptr, found != NULL ? (size_t)(found - rest->ptr) : rest->len);
    *rest = rc_slice_from(*rest, part.len < rest->len ? part.len + 1 : part.len);
    return part;
}

int rc_acs3_parse(const char *authorization, struct rc_acs3 *ret)
{
    struct rc_slice rest = rc_slice_str(authorization);
    struct rc_acs3 found = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (!rc_slice_eq_str(take_until(&rest, ' '), algorithm))
        return RC_ERR_INVALID;
    while (rest.len > 0) {
        struct rc_slice value = trim(take_until(&rest, ','));
        struct rc_slice name = take_until(&value, '=');
        if (rc_slice_eq_str(name, "Credential"))
            found.access_key = value;
        else if (rc_slice_eq_str(name, "SignedHeaders"))
            found.signed_headers = value;
        else if (rc_slice_eq_str(name, "Signature"))
            found.signature = value;
    }
    if (found.access_key.len == 0 || found.signed_headers.len == 0 || found.signature.len == 0)
        return RC_ERR_INVALID;
    *ret = found;
    return RC_OK;
}

static bool covers(struct rc_slice names, const char *name)
{
    while (names.len > 0) {
        struct rc_slice part = take_until(&names, ';');
        if (part.len == strlen(name) && strncasecmp((const char *)part.ptr, name, part.len) == 0)
            return true;
    }
    return false;
}

bool rc_acs3_covers_all(const struct rc_acs3 *acs3)
{
    static const char *const needed[] = {"host",       "x-acs-action",          "x-acs-version",
                                         "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"};
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (!covers(acs3->signed_headers, needed[i]))
            return false;
    return true;
}

/* name:value\n for each signed header, in the order in which they are named. */
static bool put_headers(struct rc_buf *out, const struct rc_acs3_request *request, struct rc_slice names)
{
    for (int count = 0; names.len > 0; count++) {
        char name[128];
        struct rc_slice part = take_until(&names, ';');
        if (part.len == 0 || part.len >= sizeof(name) || count == RC_API_SIGNED_HEADERS_MAX)
            return false;
        memcpy(name, part.ptr, part.len);
        name[part.len] = '\0';
        const char *value = request->header(request->arg, name);
        if (value == NULL)
            return false;
        rc_buf_printf(out, "%s:", name);
        rc_buf_put_slice(out, trim(rc_slice_str(value)));
        rc_buf_put_u8(out, '\n');
    }
    return true;
}

static bool put_canonical(struct rc_buf *out, const struct rc_acs3_request *request,
                          struct rc_slice signed_headers)
{
    rc_buf_printf(out, "%s\n", request->method);
    for (struct rc_slice rest = request->path; rest.len > 0;) {
        size_t len = rest.len;
        struct rc_slice part = take_until(&rest, '/');
        rc_percent_encode(out, part);
        if (part.len < len)
            rc_buf_put_u8(out, '/');
    }
    rc_buf_put_u8(out, '\n');
    put_query(out, request->query, true);
    rc_buf_put_u8(out, '\n');
    if (!put_headers(out, request, signed_headers))
        return false;
    rc_buf_put_u8(out, '\n');
    rc_buf_put_slice(out, signed_headers);
    rc_buf_put_u8(out, '\n');
    return rc_buf_put_slice(out, request->content_sha256) == RC_OK;
}

int rc_api_acs3_text(struct rc_buf *out, const struct rc_acs3_request *request,
                     struct rc_slice signed_headers)
{
    struct rc_buf canonical;
    char hash[65];
    rc_buf_init(&canonical, TEXT_MAX);
    bool is_complete = put_canonical(&canonical, request, signed_headers);
    rc_api_sha256_hex(rc_buf_slice(&canonical), hash);
    rc_buf_free(&canonical);
    rc_buf_printf(out, "%s\n%s", algorithm, hash);
    return is_complete ? RC_OK : RC_ERR_INVALID;
}

bool rc_api_sign_acs3(const struct rc_acs3_request *request, struct rc_slice signed_headers,
                      struct rc_slice secret, char ret[RC_API_SIGNATURE_MAX])
{
    struct rc_buf text;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    unsigned len = sizeof(digest);
    rc_buf_init(&text, TEXT_MAX);
    bool is_complete = rc_api_acs3_text(&text, request, signed_headers) == RC_OK;
    struct rc_slice data = rc_buf_slice(&text);
    is_complete = is_complete &&
                  HMAC(EVP_sha256(), secret.ptr, (int)secret.len, data.ptr, data.len, digest, &len) != NULL;
    rc_buf_free(&text);
    if (!is_complete)
        return false;
    rc_hex_lower(ret, digest, sizeof(digest));
    ret[64] = '\0';
    return true;
}
