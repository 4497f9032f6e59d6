/*
 * Each call is one of the OpenAPI's actions under other names: the signature is checked here, then the action
 * goes its usual way with its usual checks, and the answer is put into the old form.
 */
#include "api/legacy.h"

#include "api/actions.h"
#include "auth/sign.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum {
    CLOCK_SKEW_MS = 5 * 60 * 1000,
    SIGNED_TEXT_MAX = 64 * 1024,
    RENAMED_MAX = 5,
};

struct route {
    const char *path, *action;
    void (*answer_as)(struct rc_api_call *call, const char *code, const char *message);
    const char *unsigned_names; /* parameters that are not signed, beside the signature */
    bool has_time;
    const char *needs;
    struct {
        const char *from, *to;
    } renamed[RENAMED_MAX];
};

/* ---- answers ---- */

static void send_json(struct rc_api_call *call, unsigned status, json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);
    rc_http_answer(call->request, status, "application/json;charset=utf-8",
                   rc_slice_str(text != NULL ? text : "{}"));
    free(text);
    json_decref(answer);
}

static bool is_one_of(const char *code, const char *const *codes)
{
    for (; *codes != NULL; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

static const char *const signature_codes[] = {"SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound",
                                              "MissingAccessKeyId", NULL};
static const char *const permission_codes[] = {"InstancePermissionCheckFailed", "PermissionCheckFailed",
                                               NULL};

/* code: 0 ok, 1 a parameter, 2 the signature, 3 no permission, 4 the timestamp. */
static void answer_route(struct rc_api_call *call, const char *code, const char *message)
{
    int number = 0;
    if (code != NULL)
        number = is_one_of(code, signature_codes)                ? 2
                 : is_one_of(code, permission_codes)             ? 3
                 : strcmp(code, "InvalidTimeStamp.Expired") == 0 ? 4
                                                                 : 1;
    bool is_online = json_is_true(json_object_get(call->answer, "OnlineStatus"));
    send_json(call,
              number == 0   ? 200
              : number == 1 ? 400
                            : 403,
              json_pack("{s:i,s:b,s:i,s:s}", "code", number, "success", number == 0, "online",
                        is_online ? 1 : 0, "message", number == 0 ? "success" : message));
}

static void answer_token(struct rc_api_call *call, const char *code, const char *message)
{
    unsigned status = code == NULL                                                            ? 200
                      : is_one_of(code, signature_codes) || is_one_of(code, permission_codes) ? 403
                                                                                              : 400;
    json_t *answer = json_pack("{s:b,s:i,s:s}", "success", code == NULL, "code", (int)status, "message",
                               code == NULL ? "operation success" : message);
    json_t *token = json_object_get(call->answer, "Token");
    json_t *state = json_object_get(call->answer, "TokenStatus");
    if (token != NULL)
        json_object_set(answer, "tokenData", token);
    if (state != NULL)
        json_object_set(answer, "tokenStatus", state);
    send_json(call, status, answer);
}

static const struct route routes[] = {
    {"/route/clientId/get",
     "QuerySessionByClientId",
     answer_route,
     "",
     true,
     "accessKey resource timestamp instanceId signature",
     {{"resource", "ClientId"}, {"instanceId", "InstanceId"}}},
    {"/token/apply",
     "ApplyToken",
     answer_token,
     " accessKey proxyType ",
     false,
     "accessKey actions resources expireTime instanceId signature",
     {{"actions", "Actions"},
      {"resources", "Resources"},
      {"expireTime", "ExpireTime"},
      {"instanceId", "InstanceId"}}},
    {"/token/revoke",
     "RevokeToken",
     answer_token,
     " accessKey proxyType ",
     false,
     "accessKey token signature",
     {{"token", "Token"}, {"instanceId", "InstanceId"}}},
    {"/token/query",
     "QueryToken",
     answer_token,
     " accessKey proxyType ",
     false,
     "accessKey token signature",
     {{"token", "Token"}, {"instanceId", "InstanceId"}}},
};

/* ---- the signature: Base64(HMAC-SHA1(secret, "a=1&b=2..." sorted)) ---- */

static bool is_signed_name(const struct route *route, const char *name)
{
    const char *found = route->unsigned_names;
    size_t len = strlen(name);
    while ((found = strstr(found, name)) != NULL) {
        if (found > route->unsigned_names && found[-1] == ' ' && found[len] == ' ')
            return false;
        found += len;
    }
    return strcmp(name, "signature") != 0;
}

static bool is_signed(const struct route *route, const struct rc_api_call *call)
{
    char expected[RC_SIGNATURE_LEN + 1];
    struct rc_buf text;
    int err = RC_OK;
    rc_buf_init(&text, SIGNED_TEXT_MAX);
    for (uint32_t i = 0; i < call->params.count; i++) {
        const struct rc_param *param = &call->params.list[i];
        if (is_signed_name(route, param->name))
            err = err ? err
                      : rc_buf_printf(&text, "%s%s=%s", rc_buf_len(&text) > 0 ? "&" : "", param->name,
                                      param->value);
    }
    struct rc_slice whole = rc_buf_slice(&text);
    rc_sign(call->key->secret_key, &whole, 1, expected);
    bool is_right = err == RC_OK && rc_secret_equal(rc_slice_str(rc_params_get(&call->params, "signature")),
                                                    rc_slice_str(expected));
    rc_buf_free(&text);
    return is_right;
}

/* ---- one call ---- */

static bool has_all(struct rc_api_call *call, const char *names)
{
    char name[32];
    while (names[0] != '\0') {
        size_t len = strcspn(names, " ");
        memcpy(name, names, len);
        name[len] = '\0';
        if (rc_api_call_need(call, name) == NULL)
            return false;
        names += len + strspn(names + len, " ");
    }
    return true;
}

static bool is_fresh(const struct rc_api_call *call)
{
    long long ms = strtoll(rc_params_get(&call->params, "timestamp"), NULL, 10);
    int64_t off = rc_clock_wall_ms() - ms;
    return ms > 0 && off <= CLOCK_SKEW_MS && off >= -CLOCK_SKEW_MS;
}

/* False when the call was answered. */
static bool authenticate(const struct route *route, struct rc_api_call *call)
{
    if (!has_all(call, route->needs))
        return false;
    call->key = rc_catalog_key(call->catalog, rc_slice_str(rc_params_get(&call->params, "accessKey")));
    if (call->key == NULL)
        rc_api_call_fail(call, RC_API_UNKNOWN_KEY, "%s", "");
    else if (!is_signed(route, call))
        rc_api_call_fail(call, RC_API_WRONG_SIGNATURE, "%s", "");
    else if (route->has_time && !is_fresh(call))
        rc_api_call_fail(call, RC_API_EXPIRED, "%s", "");
    else
        return true;
    return false;
}

/* The parameters under the names of the action. Tokens name no instance: it is the key's. */
static int rename_params(const struct route *route, struct rc_api_call *call)
{
    int err = RC_OK;
    for (int i = 0; i < RENAMED_MAX && route->renamed[i].from != NULL; i++) {
        const char *value = rc_params_get(&call->params, route->renamed[i].from);
        if (value == NULL && strcmp(route->renamed[i].to, "InstanceId") == 0)
            err =
                err ? err : rc_params_add(&call->params, rc_slice_str("InstanceId"), call->key->instance_id);
        else if (value != NULL)
            err = err ? err
                      : rc_params_add(&call->params, rc_slice_str(route->renamed[i].to), rc_slice_str(value));
    }
    rc_params_sort(&call->params);
    return err;
}

static void add_query(const char *name, const char *value, void *arg)
{
    rc_params_add(arg, rc_slice_str(name), rc_slice_str(value)); /* what does not fit is missing then */
}

static void handle(const struct route *route, struct rc_api *api, struct rc_http_request *request)
{
    struct rc_api_call *call = rc_api_call_create(api, request);
    call->catalog = rc_catalog_ref(api->catalog);
    call->answer_as = route->answer_as;
    call->is_rest = true; /* any method */
    call->action = route->action;
    rc_http_each_query(request, add_query, &call->params);
    if (request->body.len > 0)
        rc_params_add_form(&call->params, request->body);
    rc_params_sort(&call->params);
    if (!authenticate(route, call))
        return;
    if (rename_params(route, call) != RC_OK)
        rc_api_call_fail(call, RC_API_INVALID_PARAMETER, "%s", "");
    else
        rc_api_dispatch(call);
}

bool rc_legacy_handle(struct rc_api *api, struct rc_http_request *request)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!rc_slice_eq_str(request->path, routes[i].path))
            continue;
        handle(&routes[i], api, request);
        return true;
    }
    return false;
}
