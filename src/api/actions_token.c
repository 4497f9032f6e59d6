/* Tokens: made and read from the catalog alone; what is revoked is kept in the registry. */
#include "api/api_token.h"
#include "api/registry_work.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"

const char *rc_api_make_token(struct rc_api_call *call, const char *actions_text, const char *resources,
                              int64_t expire_ms, struct rc_buf *ret)
{
    uint8_t actions = rc_token_actions(rc_slice_str(actions_text));
    if (actions == 0)
        return "Actions is R, W or R,W.";
    switch (rc_token_make(call->instance, call->key->access_key, actions, rc_slice_str(resources), expire_ms,
                          rc_clock_wall_ms(), ret)) {
    case RC_OK:
        return NULL;
    case RC_ERR_RANGE:
        return "ExpireTime is at least a minute from now.";
    case RC_ERR_FULL:
        return "Resources are at most 100 topics.";
    default:
        return "Resources are topics of MQTT with commas between them.";
    }
}

enum rc_token_state rc_api_check_token(const struct rc_api_call *call, const char *text)
{
    struct rc_token *token = rc_new(struct rc_token);
    enum rc_token_state state =
        rc_token_check(call->catalog, call->instance, rc_slice_str(text), rc_clock_wall_ms(), token);
    free(token);
    return state;
}

void rc_action_apply_token(struct rc_api_call *call)
{
    struct rc_buf token;
    int64_t expire_ms;
    if (!rc_api_call_need_int(call, "ExpireTime", 0, INT64_MAX, &expire_ms))
        return;
    rc_buf_init(&token, RC_TOKEN_TEXT_MAX);
    const char *why = rc_api_make_token(call, rc_params_get(&call->params, "Actions"),
                                        rc_params_get(&call->params, "Resources"), expire_ms, &token);
    if (why == NULL)
        json_object_set_new(call->answer, "Token", rc_api_text(rc_buf_slice(&token)));
    rc_buf_free(&token);
    if (why == NULL)
        rc_api_call_finish(call);
    else
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s", why);
}

void rc_action_query_token(struct rc_api_call *call)
{
    bool is_valid = rc_api_check_token(call, rc_params_get(&call->params, "Token")) == RC_TOKEN_VALID;
    json_object_set_new(call->answer, "TokenStatus", json_boolean(is_valid));
    rc_api_call_finish(call);
}

int rc_work_revoke_token(struct rc_registry_work *work)
{
    return rc_registry_revoke_token(work->registry, work->instance, rc_work_param(work, "Token"),
                                    work->error);
}
