/* DropRuleMessages: an operator gives up what a rule has not sent. The thread rc-rules does it. */
#include "api/actions.h"
#include "base/alloc.h"
#include "rules/rules.h"

#include <stdio.h>

enum { DROPS_MAX = 64 /* under way */ };

static void on_done(struct rc_rules_drop *drop)
{
    struct rc_api_call *call = drop->owner;
    call->api->questions--;
    if (drop->targets == 0) {
        rc_api_call_fail(call, RC_API_NOT_FOUND, "%s",
                         "There is no such rule that leads to another cluster.");
    } else {
        json_object_set_new(call->answer, "Dropped", json_integer((json_int_t)drop->dropped));
        json_object_set_new(call->answer, "Targets", json_integer(drop->targets));
        rc_api_call_finish(call);
    }
    free(drop);
}

/* False when it does not fit: then there is none of this name. */
static bool put(const struct rc_api_call *call, const char *name, char *out, size_t size)
{
    const char *text = rc_params_get(&call->params, name);
    int len = snprintf(out, size, "%s", text != NULL ? text : "");
    return len >= 0 && (size_t)len < size;
}

/* None of them by mistake: one of All, Before and Message has to be there, and no other. */
static bool take_extent(struct rc_api_call *call, int64_t *ret_before_ms, int64_t *ret_message)
{
    bool is_all = rc_api_call_flag(call, "All"), has_before = rc_params_get(&call->params, "Before") != NULL,
         has_message = rc_params_get(&call->params, "Message") != NULL;
    *ret_before_ms = INT64_MAX;
    *ret_message = -1;
    if (is_all + has_before + has_message != 1) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s",
                         "One of All=true, Before, in milliseconds, and Message, a number, has to be given.");
        return false;
    }
    if (has_before)
        return rc_api_call_need_int(call, "Before", 1, INT64_MAX - 1, ret_before_ms);
    return is_all || rc_api_call_need_int(call, "Message", 0, INT64_MAX - 1, ret_message);
}

void rc_action_drop_rule_messages(struct rc_api_call *call)
{
    int64_t before_ms, message;
    if (!take_extent(call, &before_ms, &message))
        return;
    if (call->api->options.rules == NULL || call->api->questions >= DROPS_MAX) {
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many questions are under way.");
        return;
    }
    struct rc_rules_drop *drop = rc_new(struct rc_rules_drop);
    *drop = (struct rc_rules_drop){.before_ms = before_ms,
                                   .message = message,
                                   .reply_to = call->api->loop,
                                   .on_done = on_done,
                                   .owner = call};
    snprintf(drop->instance, sizeof(drop->instance), "%.*s", RC_SLICE_FMT(call->instance->id));
    snprintf(drop->by, sizeof(drop->by), "%.*s", RC_SLICE_FMT(call->key->access_key));
    if (!put(call, "RuleId", drop->rule, sizeof(drop->rule)) ||
        !put(call, "TargetInstance", drop->target, sizeof(drop->target)) ||
        !put(call, "Topic", drop->target_topic, sizeof(drop->target_topic))) {
        free(drop);
        rc_api_call_fail(call, RC_API_NOT_FOUND, "%s",
                         "There is no such rule that leads to another cluster.");
        return;
    }
    call->api->questions++;
    rc_rules_post_drop(call->api->options.rules, drop);
}
