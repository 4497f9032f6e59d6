/*
 * From a call whose key is known to its action: may this key do that, to this instance, as often; is all
 * there that it needs? The one way for the product's OpenAPI and for REST.
 */
#include "api/actions.h"
#include "base/clock.h"
#include "base/error.h"

#include <stdio.h>

enum { PER_SECOND_OF_ADDRESS = 300 /* of one operation, from one address */ };

static bool is_throttled(struct rc_api_call *call, const struct rc_api_action *action)
{
    char key[RC_RATE_KEY_MAX];
    uint8_t ip[16];
    uint64_t now_ms = rc_clock_mono_ns() / 1000000;
    size_t ip_len = rc_address_holder(&call->request->peer, ip);
    int len = snprintf(key, sizeof(key), "k%.*s/%s", RC_SLICE_FMT(call->key->access_key), action->name);
    if (!rc_rate_limit_take(&call->api->rates, rc_slice(key, (size_t)len), action->per_second, now_ms))
        return true;
    len = snprintf(key, sizeof(key), "a%s/", action->name);
    memcpy(key + len, ip, ip_len);
    return !rc_rate_limit_take(&call->api->rates, rc_slice(key, (size_t)len + ip_len), PER_SECOND_OF_ADDRESS,
                               now_ms);
}

/* The product's word for a call that comes too often. */
static enum rc_api_error too_often(const struct rc_api_action *action)
{
    static const struct {
        const char *action;
        enum rc_api_error error;
    } words[] = {{"ApplyToken", RC_API_APPLIED_OFTEN},
                 {"QueryToken", RC_API_QUERIED_OFTEN},
                 {"RevokeToken", RC_API_REVOKED_OFTEN}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].action, action->name) == 0)
            return words[i].error;
    return RC_API_THROTTLED;
}

/* A signed call is good once. After the limits, so that what is over them is not remembered. */
static bool use_nonce(struct rc_api_call *call)
{
    const struct rc_key_pair *key = call->key;
    struct rc_nonce_use use = {.owner = key->instance_id.len > 0 ? key->instance_id : key->access_key,
                               .key = key->access_key,
                               .nonce = call->nonce,
                               .keep_ms = call->nonce_keep_ms};
    if (call->nonce.ptr == NULL)
        return true;
    int err = rc_nonces_use(&call->api->nonces, &use, rc_clock_mono_ns() / 1000000);
    if (err != RC_OK)
        rc_api_call_fail(call, err == RC_ERR_FULL ? RC_API_THROTTLED : RC_API_NONCE_USED, "%s", "");
    return err == RC_OK;
}

/* What a key's role allows. False when the call was answered. */
static bool is_role_enough(struct rc_api_call *call, const struct rc_api_action *action)
{
    bool is_admin = call->key->role == RC_KEY_ADMIN;
    if ((action->flags & RC_ACTION_ADMIN) && !is_admin)
        rc_api_call_fail(call, RC_API_NOT_ALLOWED, "%s", "It is an administrator's.");
    else if ((action->flags & RC_ACTION_WRITES) && call->key->role == RC_KEY_READ_ONLY)
        rc_api_call_fail(call, RC_API_NOT_ALLOWED, "%s", "The AccessKey may only read.");
    else
        return true;
    return false;
}

/* The instance that the call is about. False when the call was answered. */
static bool find_instance(struct rc_api_call *call, const struct rc_api_action *action)
{
    if (action->instance == NULL)
        return true;
    const char *id = rc_params_get(&call->params, action->instance);
    bool is_left_out = (id == NULL || id[0] == '\0') && (action->flags & RC_ACTION_OWN);
    struct rc_slice name = call->key->instance_id; /* empty: an administrator's, who has to say */
    if (is_left_out && name.len == 0) {
        rc_api_call_fail(call, RC_API_MISSING_PARAMETER,
                         "It is %s: an administrator's key says which instance it is about (--instance).",
                         action->instance);
        return false;
    }
    if (!is_left_out) {
        id = rc_api_call_need(call, action->instance);
        if (id == NULL)
            return false;
        name = rc_slice_str(id);
    }
    call->instance = rc_catalog_instance(call->catalog, name);
    if (call->instance == NULL ||
        rc_catalog_instance_key(call->catalog, call->instance, call->key->access_key) == NULL) {
        rc_api_call_fail(call, RC_API_NO_PERMISSION, "%s", "");
        return false;
    }
    return true;
}

/* "A B C": each of them is there. False when the call was answered. */
static bool has_all(struct rc_api_call *call, const char *names)
{
    char name[64];
    for (; names != NULL && names[0] != '\0'; names += strspn(names, " ")) {
        size_t len = strcspn(names, " ");
        snprintf(name, sizeof(name), "%.*s", (int)len, names);
        if (rc_api_call_need(call, name) == NULL)
            return false;
        names += len;
    }
    return true;
}

static void start(struct rc_api_call *call, const struct rc_api_action *action)
{
    if (action->run != NULL)
        action->run(call);
    else if (action->store != NULL)
        rc_api_call_store(call, action->store);
    else if (action->read != NULL)
        rc_api_call_read(call, action->read);
    else
        rc_api_call_work(call, action->work);
}

void rc_api_dispatch(struct rc_api_call *call)
{
    const struct rc_api_action *action = call->action != NULL ? rc_api_action_find(call->action) : NULL;
    if (call->action == NULL)
        rc_api_call_fail(call, RC_API_MISSING_ACTION, "%s", "");
    else if (action == NULL)
        rc_api_call_fail(call, RC_API_UNKNOWN_ACTION, "%s", "");
    else if (!call->is_rest && (call->request->method == RC_HTTP_GET ? !action->may_get : !action->may_post))
        rc_api_call_fail(call, RC_API_WRONG_METHOD, "%s", "");
    else if (is_throttled(call, action))
        rc_api_call_fail(call, too_often(action), "The limit is %u a second.", action->per_second);
    else if (use_nonce(call) && is_role_enough(call, action) && find_instance(call, action) &&
             has_all(call, action->needs))
        start(call, action);
}
