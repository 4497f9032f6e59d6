/*
 * A REST call becomes a call of an action: path, query and JSON body are checked by the table of parameters
 * and become the action's. From there on it goes the way of all calls (dispatch.c).
 */
#include "api/rest.h"

#include "api/actions.h"
#include "auth/sign.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BASIC_MAX = 1024,
    WRONG_KEYS_PER_SECOND = 20, /* of one access key and address; more are not looked at */
    TRIES_KEY_MAX = 4 + 16 + RC_CATALOG_ID_MAX,
    NUMBER_TEXT_MAX = 24,
};

static const char prefix[] = "/v1/";

/* ---- finding the route ---- */

/* Whether the path fits; what stands for {Name} goes to `ret`, which may be NULL. */
static bool fits(const char *pattern, struct rc_slice path, struct rc_params *ret)
{
    size_t at = 0;
    while (*pattern != '\0') {
        if (*pattern != '{') {
            if (at == path.len || path.ptr[at++] != (uint8_t)*pattern++)
                return false;
            continue;
        }
        size_t name_len = strcspn(pattern + 1, "}");
        const uint8_t *slash = memchr(path.ptr + at, '/', path.len - at);
        size_t len = slash != NULL ? (size_t)(slash - (path.ptr + at)) : path.len - at;
        if (len == 0)
            return false;
        if (ret != NULL)
            rc_params_add(ret, rc_slice(pattern + 1, name_len), rc_slice(path.ptr + at, len));
        at += len;
        pattern += name_len + 2;
    }
    return at == path.len;
}

/* NULL when there is none; *ret_allowed then lists the methods that the path has. */
static const struct rc_rest_route *find_route(const struct rc_http_request *request, char *ret_allowed,
                                              size_t size)
{
    size_t count, len = 0;
    const struct rc_rest_route *routes = rc_rest_routes(&count);
    ret_allowed[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (routes[i].action == NULL || !fits(routes[i].path, request->path, NULL))
            continue;
        if (routes[i].method == request->method)
            return &routes[i];
        if (len < size)
            len += (size_t)snprintf(ret_allowed + len, size - len, "%s%s", len > 0 ? ", " : "",
                                    rc_rest_method_name(routes[i].method));
    }
    for (char *c = ret_allowed; *c != '\0'; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    return NULL;
}

/* ---- parameters ---- */

static bool has_name(const char *names, const char *name)
{
    size_t len = strlen(name);
    while (names != NULL && names[0] != '\0') {
        size_t one = strcspn(names, " ");
        if (one == len && memcmp(names, name, len) == 0)
            return true;
        names += one + strspn(names + one, " ");
    }
    return false;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        count += ((uint8_t)*text & 0xc0) != 0x80;
    return count;
}

/* Whether a value, as text, is one that the parameter takes. */
static bool is_right(const struct rc_rest_param *param, const char *text)
{
    char *end;
    size_t len = count_characters(text);
    switch (param->type) {
    case RC_REST_INTEGER: {
        bool is_number = text[0] != '\0' && strspn(text, "0123456789") == strlen(text) && len <= 19;
        long long value = strtoll(text, &end, 10);
        return is_number && value >= param->min && value <= param->max;
    }
    case RC_REST_FLAG:
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case RC_REST_TEXT:
    case RC_REST_TEXTS:
        break;
    }
    if (param->type == RC_REST_TEXTS)
        return len > 0 && len <= 1024;
    return len >= (size_t)param->min && len <= (size_t)param->max &&
           (param->pattern == NULL || text[strspn(text, param->pattern)] == '\0');
}

struct reader {
    struct rc_api_call *call;
    const struct rc_rest_route *route;
    const char *wrong; /* the name of the first parameter that is */
};

static void take(struct reader *reader, const char *name, const char *text)
{
    const struct rc_rest_param *param = rc_rest_param(rc_slice_str(name));
    if (reader->wrong != NULL)
        return;
    if (param == NULL || !is_right(param, text) ||
        rc_params_add(&reader->call->params, rc_slice_str(name), rc_slice_str(text)) != RC_OK)
        reader->wrong = name;
}

static void take_query(const char *name, const char *value, void *arg)
{
    struct reader *reader = arg;
    if (!has_name(reader->route->query, name) && reader->wrong == NULL)
        reader->wrong = name;
    take(reader, name, value);
}

static void take_path(struct reader *reader)
{
    struct rc_params found;
    rc_params_init(&found);
    fits(reader->route->path, reader->call->request->path, &found);
    for (uint32_t i = 0; i < found.count; i++)
        take(reader, rc_rest_param(rc_slice_str(found.list[i].name))->name, found.list[i].value);
    rc_params_free(&found);
}

static void take_list(struct reader *reader, const struct rc_rest_param *param, const json_t *list)
{
    char name[64];
    const json_t *item;
    size_t i, count = json_array_size(list);
    if (!json_is_array(list) || count < (size_t)param->min || count > (size_t)param->max) {
        reader->wrong = param->name;
        return;
    }
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        snprintf(name, sizeof(name), "%s.%zu", param->name, i + 1);
        if (text == NULL || !is_right(param, text) ||
            rc_params_add(&reader->call->params, rc_slice_str(name), rc_slice_str(text)) != RC_OK)
            reader->wrong = param->name;
    }
}

static void take_value(struct reader *reader, const char *name, const json_t *value)
{
    char number[NUMBER_TEXT_MAX];
    const struct rc_rest_param *param = rc_rest_param(rc_slice_str(name));
    if (param == NULL || !has_name(reader->route->body, name)) {
        reader->wrong = param != NULL ? param->name : "another than it has";
    } else if (param->type == RC_REST_TEXTS) {
        take_list(reader, param, value);
    } else if (param->type == RC_REST_INTEGER && json_is_integer(value)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        take(reader, param->name, number);
    } else if (param->type == RC_REST_FLAG && json_is_boolean(value)) {
        take(reader, param->name, json_is_true(value) ? "true" : "false");
    } else if (param->type == RC_REST_TEXT && json_is_string(value)) {
        take(reader, param->name, json_string_value(value));
    } else {
        reader->wrong = param->name;
    }
}

/* False when the call was answered. */
static bool take_body(struct reader *reader)
{
    struct rc_slice body = reader->call->request->body;
    const char *type = rc_http_header(reader->call->request, "content-type"), *name;
    json_t *value, *root = NULL;
    if (body.len == 0)
        return true;
    if (type != NULL && strncasecmp(type, "application/json", 16) == 0)
        root = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (reader->route->body == NULL || !json_is_object(root)) {
        json_decref(root);
        rc_api_call_fail(reader->call, RC_API_INVALID_PARAMETER, "%s", "The body is a JSON object, or none.");
        return false;
    }
    json_object_foreach(root, name, value)
    {
        if (reader->wrong == NULL)
            take_value(reader, name, value);
    }
    json_decref(root);
    return true;
}

/* False when the call was answered. */
static bool has_all(struct rc_api_call *call, const char *names)
{
    char name[64];
    while (names != NULL && names[0] != '\0') {
        size_t len = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)len, names);
        if (rc_params_get(&call->params, name) == NULL && rc_params_get_nth(&call->params, name, 1) == NULL) {
            rc_api_call_fail(call, RC_API_MISSING_PARAMETER, "It is %s.", name);
            return false;
        }
        names += len + strspn(names + len, " ");
    }
    return true;
}

static bool read_params(struct rc_api_call *call, const struct rc_rest_route *route)
{
    struct reader reader = {call, route, NULL};
    take_path(&reader);
    rc_http_each_query(call->request, take_query, &reader);
    if (!take_body(&reader))
        return false;
    if (reader.wrong != NULL) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "It is %.64s.", reader.wrong);
        return false;
    }
    rc_params_sort(&call->params);
    return has_all(call, route->needs);
}

/* ---- who calls ---- */

/* Base64 of "<access key>:<secret key>" after "Basic ". */
static bool read_basic(const char *header, char out[BASIC_MAX], char **ret_secret)
{
    size_t len = header != NULL ? strlen(header) : 0;
    if (len < 6 || strncasecmp(header, "Basic ", 6) != 0 || (len - 6) / 4 * 3 + 3 > BASIC_MAX ||
        (len - 6) % 4 != 0)
        return false;
    int got = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)header + 6, (int)(len - 6));
    if (got < 0)
        return false;
    out[got] = '\0'; /* padding was decoded to NULs, which end the text before */
    *ret_secret = strchr(out, ':');
    if (*ret_secret == NULL)
        return false;
    *(*ret_secret)++ = '\0';
    return true;
}

/* Wrong secrets of an access key from an address: others behind a proxy, with keys of theirs, go on. */
static struct rc_slice tries_key(const struct rc_api_call *call, struct rc_slice access_key,
                                 uint8_t out[TRIES_KEY_MAX])
{
    memcpy(out, "rest", 4);
    size_t len = 4 + rc_address_holder(&call->request->peer, out + 4);
    access_key.len = access_key.len <= RC_CATALOG_ID_MAX ? access_key.len : RC_CATALOG_ID_MAX;
    memcpy(out + len, access_key.ptr, access_key.len);
    return rc_slice(out, len + access_key.len);
}

/* False when the call was answered. */
static bool authenticate(struct rc_api_call *call)
{
    char text[BASIC_MAX], *secret;
    uint8_t tries_of[TRIES_KEY_MAX];
    const char *site = rc_http_header(call->request, "sec-fetch-site");
    if (site != NULL && strcmp(site, "cross-site") == 0) { /* a browser that somebody else's page misuses */
        rc_api_call_fail(call, RC_API_NOT_ALLOWED, "%s", "Not from another site's page.");
        return false;
    }
    if (!read_basic(rc_http_header(call->request, "authorization"), text, &secret)) {
        rc_api_call_fail(call, RC_API_MISSING_KEY, "%s", "");
        return false;
    }
    /* Asked before the secret is looked at: otherwise the answer tells a right guess however many there were.
     */
    uint64_t now_ms = rc_clock_mono_ns() / 1000000;
    struct rc_slice tries = tries_key(call, rc_slice_str(text), tries_of);
    if (!rc_rate_limit_has(&call->api->rates, tries, WRONG_KEYS_PER_SECOND, now_ms)) {
        OPENSSL_cleanse(text, sizeof(text));
        rc_api_call_fail(call, RC_API_THROTTLED, "%s", "Too many wrong keys came from there.");
        return false;
    }
    const struct rc_key_pair *key = rc_catalog_key(call->catalog, rc_slice_str(text));
    if (key != NULL && rc_secret_equal(key->secret_key, rc_slice_str(secret)))
        call->key = key;
    OPENSSL_cleanse(text, sizeof(text));
    if (call->key != NULL)
        return true;
    rc_rate_limit_take(&call->api->rates, tries, WRONG_KEYS_PER_SECOND, now_ms);
    rc_api_call_fail(call, RC_API_UNKNOWN_KEY, "%s", "");
    return false;
}

/* ---- the call ---- */

bool rc_rest_handle(struct rc_api *api, struct rc_http_request *request)
{
    char allowed[64];
    if (request->path.len < sizeof(prefix) - 1 || memcmp(request->path.ptr, prefix, sizeof(prefix) - 1) != 0)
        return false;
    struct rc_api_call *call = rc_api_call_create(api, request);
    call->catalog = rc_catalog_ref(api->catalog);
    call->is_rest = true;
    const struct rc_rest_route *route = find_route(request, allowed, sizeof(allowed));
    if (route == NULL && allowed[0] != '\0') {
        rc_http_answer_header(request, "Allow", allowed);
        rc_api_call_fail(call, RC_API_WRONG_METHOD, "%s", "");
    } else if (route == NULL) {
        rc_api_call_fail(call, RC_API_NOT_FOUND, "%s", "");
    } else if (authenticate(call) && read_params(call, route)) {
        call->action = route->action;
        rc_api_dispatch(call);
    }
    return true;
}
