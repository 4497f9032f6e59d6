#include "api/openapi_call.h"

#include "api/api_private.h"
#include "api/xml_write.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/log.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ANSWER_MAX = 32 << 20, REFUSALS_LOGGED = 10 /* a second */ };

static const struct {
    unsigned status, rest_status;
    const char *code, *message;
} errors[] = {
    [RC_API_MISSING_ACTION] = {400, 400, "MissingAction", "The parameter Action is missing."},
    [RC_API_UNKNOWN_ACTION] = {404, 404, "InvalidAction.NotFound", "There is no such action."},
    [RC_API_UNKNOWN_VERSION] = {404, 404, "InvalidVersion", "The version that is served is 2020-04-20."},
    [RC_API_WRONG_METHOD] = {405, 405, "UnsupportedHTTPMethod", "This is not called by this method."},
    [RC_API_MISSING_PARAMETER] = {400, 400, "MissingParameter", "A parameter is missing."},
    [RC_API_INVALID_PARAMETER] = {400, 400, "InvalidParameter", "A parameter is not valid."},
    [RC_API_MISSING_KEY] = {400, 401, "MissingAccessKeyId", "The request is not signed."},
    [RC_API_UNKNOWN_KEY] = {404, 401, "InvalidAccessKeyId.NotFound", "There is no such AccessKey."},
    [RC_API_FOREIGN_TOKEN] = {400, 401, "CheckAccountInfoFailed",
                              "Security tokens (STS) are not known here: call with the key pair itself."},
    [RC_API_WRONG_SIGNATURE] = {400, 401, "SignatureDoesNotMatch",
                                "The signature is not the one of this request."},
    [RC_API_EXPIRED] = {400, 401, "InvalidTimeStamp.Expired",
                        "The request is older or newer than 15 minutes."},
    [RC_API_NONCE_USED] = {400, 401, "SignatureNonceUsed", "The nonce was used before."},
    [RC_API_NO_PERMISSION] = {400, 403, "InstancePermissionCheckFailed",
                              "The AccessKey may not use this instance."},
    [RC_API_NOT_ALLOWED] = {400, 403, "PermissionCheckFailed", "The AccessKey may not do this."},
    [RC_API_THROTTLED] = {429, 429, "Throttling.User", "Too many requests of this action."},
    [RC_API_APPLIED_OFTEN] = {400, 429, "ApplyTokenOverFlow", "Too many tokens are applied for."},
    [RC_API_QUERIED_OFTEN] = {400, 429, "QueryTokenOverFlow", "Too many tokens are asked about."},
    [RC_API_REVOKED_OFTEN] = {400, 429, "RevokeTokenOverFlow", "Too many tokens are revoked."},
    [RC_API_OVERLOADED] = {500, 429, "SystemOverFlow", "The server has too much to do: try again."},
    [RC_API_NOT_SUPPORTED] = {404, 404, "ApiNotSupport", "This action is not served here."},
    [RC_API_CHECK_FAILED] = {400, 400, "ParameterCheckFailed", "A parameter is not valid."},
    [RC_API_OVERFLOW] = {400, 409, "Customauth.over.capacity", "There is no room for more."},
    [RC_API_FULL] = {400, 409, "InvalidParameter.OverLimit", "There is no room for more."},
    [RC_API_NOT_FOUND] = {404, 404, "InvalidParameter.NotFound", "There is no such resource."},
    [RC_API_EXISTS] = {400, 409, "InvalidParameter.Exists", "It is there already."},
    [RC_API_IN_USE] = {400, 409, "InvalidParameter.InUse", "It is in use."},
    [RC_API_INTERNAL] = {500, 500, "InternalError", "The server could not do it."},
};

const char *rc_api_error_code(enum rc_api_error error)
{
    return errors[error].code;
}

static void make_request_id(char out[RC_REQUEST_ID_LEN + 1])
{
    uint8_t bytes[16];
    char hex[32];
    RAND_bytes(bytes, sizeof(bytes));
    rc_hex_upper(hex, bytes, sizeof(bytes));
    snprintf(out, RC_REQUEST_ID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

struct rc_api_call *rc_api_call_create(struct rc_api *api, struct rc_http_request *request)
{
    struct rc_api_call *call = rc_new(struct rc_api_call);
    call->api = api;
    call->request = request;
    call->answer = json_object();
    rc_params_init(&call->params);
    make_request_id(call->request_id);
    return call;
}

static void free_call(struct rc_api_call *call)
{
    rc_params_free(&call->params);
    rc_catalog_unref(call->catalog);
    json_decref(call->answer);
    rc_buf_free(&call->written);
    free(call);
}

static void write_answer(const struct rc_api_call *call, json_t *answer, const char *root, struct rc_buf *ret)
{
    json_object_set_new(answer, "RequestId", json_string(call->request_id));
    rc_buf_init(ret, ANSWER_MAX);
    if (call->is_xml) {
        rc_xml_write(ret, root, answer);
        return;
    }
    char *text = json_dumps(answer, JSON_COMPACT);
    if (text == NULL) {
        rc_buf_put_str(ret, "{}");
        return;
    }
    uint32_t len = (uint32_t)strlen(text);
    *ret = (struct rc_buf){.data = (uint8_t *)text, .end = len, .cap = len, .max = len}; /* as it is */
}

static void send_answer(struct rc_api_call *call, unsigned status, const struct rc_buf *written)
{
    const char *type = call->is_xml ? "text/xml;charset=utf-8" : "application/json;charset=utf-8";
    rc_http_answer_header(call->request, "x-acs-request-id", call->request_id);
    rc_http_answer(call->request, status, type, rc_buf_slice(written));
}

void rc_api_call_write(struct rc_api_call *call)
{
    char root[96];
    if (call->answer_as != NULL)
        return; /* it goes by the parts of the answer */
    snprintf(root, sizeof(root), "%.80sResponse", call->action);
    write_answer(call, call->answer, root, &call->written);
    call->is_written = true;
    json_decref(call->answer); /* to free it may take as long */
    call->answer = NULL;
}

void rc_api_call_finish(struct rc_api_call *call)
{
    if (call->answer_as != NULL) {
        call->answer_as(call, NULL, NULL);
        free_call(call);
        return;
    }
    if (!call->is_written)
        rc_api_call_write(call);
    send_answer(call, 200, &call->written);
    free_call(call);
}

/* Anybody can have calls refused, and must not fill the log by it. */
static void log_refusal(const struct rc_api_call *call, const char *code)
{
    struct rc_api *api = call->api;
    uint64_t second = rc_clock_mono_ns() / 1000000000;
    if (api->refusals_second != second) {
        if (api->refusals > REFUSALS_LOGGED)
            rc_log_info("api", "%u more calls were refused within a second", api->refusals - REFUSALS_LOGGED);
        api->refusals_second = second;
        api->refusals = 0;
    }
    if (++api->refusals <= REFUSALS_LOGGED)
        rc_log_info("api", "call refused: code=%s request=%s", code, call->request_id);
}

void rc_api_call_fail(struct rc_api_call *call, enum rc_api_error error, const char *format, ...)
{
    struct rc_buf written;
    va_list args;
    va_start(args, format);
    json_t *detail = json_vsprintf(format, args);
    call->api->errors[error]++;
    va_end(args);
    const char *text = detail != NULL ? json_string_value(detail) : "";
    if (call->answer_as != NULL) {
        call->answer_as(call, errors[error].code, text[0] != '\0' ? text : errors[error].message);
        json_decref(detail);
        free_call(call);
        return;
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "Code", json_string(errors[error].code));
    json_object_set_new(answer, "Message",
                        json_sprintf("%s%s%s", errors[error].message, text[0] != '\0' ? " " : "", text));
    json_decref(detail);
    json_object_set_new(answer, "HostId", json_string("rollcall"));
    json_object_set_new(answer, "Recommend", json_string(""));
    log_refusal(call, errors[error].code);
    unsigned status = call->is_rest ? errors[error].rest_status : errors[error].status;
    if (status == 401)
        rc_http_answer_header(call->request, "WWW-Authenticate", "Basic realm=\"rollcall\"");
    write_answer(call, answer, "Error", &written);
    send_answer(call, status, &written);
    rc_buf_free(&written);
    json_decref(answer);
    free_call(call);
}

/* The product's word for what is full. */
static enum rc_api_error full_of(const struct rc_api_call *call)
{
    return call->action != NULL && strstr(call->action, "CustomAuth") != NULL ? RC_API_OVERFLOW : RC_API_FULL;
}

void rc_api_call_fail_err(struct rc_api_call *call, int err, const char *sentence)
{
    const struct {
        int err;
        enum rc_api_error error;
    } table[] = {{RC_ERR_NOT_FOUND, RC_API_NOT_FOUND},      {RC_ERR_EXISTS, RC_API_EXISTS},
                 {RC_ERR_INVALID, RC_API_CHECK_FAILED},     {RC_ERR_RANGE, RC_API_CHECK_FAILED},
                 {RC_ERR_TOO_LARGE, RC_API_CHECK_FAILED},   {RC_ERR_FULL, full_of(call)},
                 {RC_ERR_DENIED, RC_API_NOT_ALLOWED},       {RC_ERR_BUSY, RC_API_IN_USE},
                 {RC_ERR_UNSUPPORTED, RC_API_NOT_SUPPORTED}};
    enum rc_api_error error = RC_API_INTERNAL;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].err == err)
            error = table[i].error;
    rc_api_call_fail(call, error, "%s", sentence);
}

const char *rc_api_call_need(struct rc_api_call *call, const char *name)
{
    const char *value = rc_params_get(&call->params, name);
    if (value == NULL || value[0] == '\0') {
        rc_api_call_fail(call, RC_API_MISSING_PARAMETER, "It is %s.", name);
        return NULL;
    }
    return value;
}

bool rc_api_call_need_int(struct rc_api_call *call, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    const char *text = rc_api_call_need(call, name);
    if (text == NULL)
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s is a whole number from %lld to %lld.", name,
                         (long long)min, (long long)max);
        return false;
    }
    *ret = value;
    return true;
}

bool rc_api_call_flag(const struct rc_api_call *call, const char *name)
{
    const char *text = rc_params_get(&call->params, name);
    return text != NULL && strcasecmp(text, "true") == 0;
}

json_t *rc_api_text(struct rc_slice text)
{
    return json_stringn(text.len > 0 ? (const char *)text.ptr : "", text.len);
}

void rc_api_call_put_success(struct rc_api_call *call)
{
    json_object_set_new(call->answer, "Code", json_integer(200));
    json_object_set_new(call->answer, "Success", json_true());
    json_object_set_new(call->answer, "Message", json_string("operation success."));
}
