/*
 * Who calls, and may they? Both signatures of the product end here: RPC v1 in the parameters, ACS3 in the
 * header Authorization. Everything that was signed is looked at only after the signature is known to be
 * right, but for what finding the key needs.
 */
#include "api/api_private.h"
#include "api/api_sign.h"
#include "auth/sign.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>
#include <strings.h>
#include <time.h>

enum {
    CLOCK_SKEW_S = 15 * 60,
    SIGNED_TEXT_MAX = 16 * 1024, /* told to whose signature is wrong */
};

static const char version[] = "2020-04-20";

/* ---- reading the call ---- */

struct reader {
    struct rc_params *query, *all;
    int err;
};

static void add_query(const char *name, const char *value, void *arg)
{
    struct reader *reader = arg;
    struct rc_slice n = rc_slice_str(name), v = rc_slice_str(value);
    if (reader->err == RC_OK)
        reader->err = rc_params_add(reader->query, n, v);
    if (reader->err == RC_OK)
        reader->err = rc_params_add(reader->all, n, v);
}

static bool is_form(const struct rc_http_request *request)
{
    static const char form[] = "application/x-www-form-urlencoded";
    const char *type = rc_http_header(request, "content-type");
    return request->body.len > 0 && type != NULL && strncasecmp(type, form, sizeof(form) - 1) == 0;
}

static int read_params(struct rc_api_call *call, struct rc_params *query)
{
    struct reader reader = {query, &call->params, RC_OK};
    rc_http_each_query(call->request, add_query, &reader);
    if (reader.err == RC_OK && is_form(call->request))
        reader.err = rc_params_add_form(&call->params, call->request->body);
    rc_params_sort(query);
    rc_params_sort(&call->params);
    return reader.err;
}

static const char *method_name(const struct rc_http_request *request)
{
    return request->method == RC_HTTP_GET ? "GET" : request->method == RC_HTTP_POST ? "POST" : "OTHER";
}

/* ---- signatures ---- */

/* What both kinds of signature come down to. */
struct claim {
    struct rc_slice access_key, signature, nonce;
    const char *time, *version, *security_token;
};

static const char *header_of(void *arg, const char *name)
{
    return rc_http_header(arg, name);
}

static struct rc_acs3_request acs3_request(struct rc_api_call *call, const struct rc_params *query,
                                           const char hash[65])
{
    return (struct rc_acs3_request){.method = method_name(call->request),
                                    .path = call->request->path,
                                    .query = query,
                                    .header = header_of,
                                    .arg = call->request,
                                    .content_sha256 = rc_slice_str(hash)};
}

static bool is_signed(struct rc_api_call *call, const struct claim *claim, const struct rc_acs3 *acs3,
                      const struct rc_params *query)
{
    char signature[RC_API_SIGNATURE_MAX], hash[65];
    struct rc_slice secret = call->key->secret_key;
    bool was_made;
    if (acs3 == NULL) {
        was_made = rc_api_sign_rpc(method_name(call->request), &call->params, secret, signature);
    } else {
        const char *said = rc_http_header(call->request, "x-acs-content-sha256");
        rc_api_sha256_hex(call->request->body, hash);
        struct rc_acs3_request request = acs3_request(call, query, hash);
        was_made = said != NULL && strcasecmp(said, hash) == 0 && rc_acs3_covers_all(acs3) &&
                   rc_api_sign_acs3(&request, acs3->signed_headers, secret, signature);
    }
    return was_made && rc_secret_equal(claim->signature, rc_slice_str(signature));
}

static struct rc_slice slice_or_empty(const char *text)
{
    return text != NULL ? rc_slice_str(text) : rc_slice("", 0);
}

static void claim_of_rpc(const struct rc_api_call *call, struct claim *ret)
{
    const struct rc_params *params = &call->params;
    *ret = (struct claim){.access_key = slice_or_empty(rc_params_get(params, "AccessKeyId")),
                          .signature = slice_or_empty(rc_params_get(params, "Signature")),
                          .nonce = slice_or_empty(rc_params_get(params, "SignatureNonce")),
                          .time = rc_params_get(params, "Timestamp"),
                          .version = rc_params_get(params, "Version"),
                          .security_token = rc_params_get(params, "SecurityToken")};
}

static void claim_of_acs3(const struct rc_api_call *call, const struct rc_acs3 *acs3, struct claim *ret)
{
    const struct rc_http_request *request = call->request;
    *ret = (struct claim){.access_key = acs3->access_key,
                          .signature = acs3->signature,
                          .nonce = slice_or_empty(rc_http_header(request, "x-acs-signature-nonce")),
                          .time = rc_http_header(request, "x-acs-date"),
                          .version = rc_http_header(request, "x-acs-version"),
                          .security_token = rc_http_header(request, "x-acs-security-token")};
}

/* 2026-01-02T03:04:05Z within CLOCK_SKEW_S of now. *ret_left_ms: how long it stays so, at least. */
static bool is_fresh(const char *text, uint64_t *ret_left_ms)
{
    struct tm tm = {0};
    const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) : NULL;
    if (end == NULL || *end != '\0')
        return false;
    int64_t off_s = (int64_t)timegm(&tm) - rc_clock_wall_ms() / 1000;
    bool is_near = off_s <= CLOCK_SKEW_S && off_s >= -CLOCK_SKEW_S;
    *ret_left_ms = is_near ? (uint64_t)(off_s + CLOCK_SKEW_S + 1) * 1000 : 0;
    return is_near;
}

/* The SDKs compare what the server signed with what they signed, and tell their user which of both is wrong.
 */
static void refuse_signature(struct rc_api_call *call, const struct rc_acs3 *acs3,
                             const struct rc_params *query)
{
    struct rc_buf text;
    char hash[65];
    rc_buf_init(&text, SIGNED_TEXT_MAX);
    rc_api_sha256_hex(call->request->body, hash);
    struct rc_acs3_request request = acs3_request(call, query, hash);
    int err = acs3 != NULL ? rc_api_acs3_text(&text, &request, acs3->signed_headers)
                           : rc_api_rpc_text(&text, method_name(call->request), &call->params);
    if (err != RC_OK)
        rc_buf_consume(&text, rc_buf_len(&text));
    rc_api_call_fail(call, RC_API_WRONG_SIGNATURE, "server string to sign is:%.*s",
                     RC_SLICE_FMT(rc_buf_slice(&text)));
    rc_buf_free(&text);
}

/* Finds and checks the key. False when the call was answered. */
static bool authenticate(struct rc_api_call *call, const struct rc_params *query)
{
    const char *authorization = rc_http_header(call->request, "authorization");
    struct rc_acs3 acs3;
    struct claim claim;
    bool is_acs3 = authorization != NULL && rc_acs3_parse(authorization, &acs3) == RC_OK;
    if (is_acs3)
        claim_of_acs3(call, &acs3, &claim);
    else
        claim_of_rpc(call, &claim);
    if (claim.access_key.len == 0 || claim.signature.len == 0) {
        rc_api_call_fail(call, RC_API_MISSING_KEY, "%s", "");
        return false;
    }
    if (claim.security_token != NULL && claim.security_token[0] != '\0') {
        rc_api_call_fail(call, RC_API_FOREIGN_TOKEN, "%s", "");
        return false;
    }
    call->key = rc_catalog_key(call->catalog, claim.access_key);
    if (call->key == NULL) {
        rc_api_call_fail(call, RC_API_UNKNOWN_KEY, "%s", "");
        return false;
    }
    if (!is_signed(call, &claim, is_acs3 ? &acs3 : NULL, query)) {
        refuse_signature(call, is_acs3 ? &acs3 : NULL, query);
        return false;
    }
    if (!is_fresh(claim.time, &call->nonce_keep_ms)) {
        rc_api_call_fail(call, RC_API_EXPIRED, "%s", "");
        return false;
    }
    if (claim.nonce.len == 0) {
        rc_api_call_fail(call, RC_API_MISSING_PARAMETER, "It is %s.",
                         is_acs3 ? "x-acs-signature-nonce" : "SignatureNonce");
        return false;
    }
    call->nonce = claim.nonce;
    if (claim.version == NULL || strcmp(claim.version, version) != 0) {
        rc_api_call_fail(call, RC_API_UNKNOWN_VERSION, "%s", "");
        return false;
    }
    return true;
}

void rc_openapi_handle(struct rc_api *api, struct rc_http_request *request)
{
    struct rc_api_call *call = rc_api_call_create(api, request);
    struct rc_params query;
    rc_params_init(&query);
    call->catalog = rc_catalog_ref(api->catalog);
    int err = read_params(call, &query);
    const char *format = rc_params_get(&call->params, "Format");
    call->is_xml = format != NULL && strcasecmp(format, "XML") == 0;
    call->action = rc_params_get(&call->params, "Action");
    if (call->action == NULL)
        call->action = rc_http_header(request, "x-acs-action");
    if (err != RC_OK)
        rc_api_call_fail(call, RC_API_INVALID_PARAMETER, "Parameters are %s.", rc_err_text(err));
    else if (authenticate(call, &query))
        rc_api_dispatch(call);
    rc_params_free(&query);
}
