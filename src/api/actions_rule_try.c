/*
 * TestRule: does the cluster that a rule leads to take what will be sent (or let it read)? Of a rule that is
 * there, or of one that might be made: any target of the configuration, as a rule of this instance may lead
 * to each of them. Nobody names an address. The answer tells what is in the way; the call itself went well.
 */
#include "api/actions.h"
#include "base/alloc.h"
#include "rules/target_trial.h"

#include <stdlib.h>

enum { TRIALS_MAX = 4 /* threads at once */ };

/* ---- what is tried ---- */

struct place {
    const struct rc_target *target; /* NULL: it is this server's own endpoint */
    struct rc_slice topic, group;
};

static bool find_flow(const struct rc_trie *rules, struct rc_slice id, struct place *ret)
{
    const struct rc_flow_rule *rule = rc_instance_flow(rules, id);
    if (rule != NULL)
        *ret = (struct place){rule->target, rule->target_topic, rule->group};
    return rule != NULL;
}

static bool find_rule(const struct rc_instance *instance, struct rc_slice id, struct place *ret)
{
    const struct rc_status_rule *rule = rc_trie_find(&instance->status_rules, id);
    if (rule == NULL)
        return find_flow(&instance->outflows, id, ret) || find_flow(&instance->inflows, id, ret);
    *ret = (struct place){rule->target, rule->target_topic, rc_slice("", 0)};
    return true;
}

static struct rc_slice param(const struct rc_api_call *call, const char *name)
{
    return rc_params_text(&call->params, name);
}

/* False when the call was answered with an error, and is gone. */
static bool find_place(struct rc_api_call *call, struct place *ret)
{
    struct rc_slice id = param(call, "RuleId"), target = param(call, "TargetInstance");
    *ret = (struct place){NULL, param(call, "TargetTopic"), param(call, "ConsumerGroup")};
    if (id.len > 0 && find_rule(call->instance, id, ret))
        return true;
    if (id.len > 0) {
        rc_api_call_fail(call, RC_API_NOT_FOUND, "There is no rule %.64s.",
                         rc_params_get(&call->params, "RuleId"));
        return false;
    }
    if (target.len == 0 || ret->topic.len == 0 || ret->topic.len > RC_CATALOG_ID_MAX ||
        ret->group.len > RC_CATALOG_GROUP_NAME_MAX) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s",
                         "RuleId is needed, or TargetInstance and TargetTopic (with ConsumerGroup: whether "
                         "that group may read there).");
        return false;
    }
    ret->target = rc_catalog_target(call->catalog, call->instance->id, target);
    if (ret->target == NULL)
        rc_api_call_fail(call, RC_API_NOT_FOUND, "There is no RocketMQ instance %.64s.",
                         rc_params_get(&call->params, "TargetInstance"));
    return ret->target != NULL;
}

/* ---- the answer ---- */

static void answer(struct rc_api_call *call, const struct place *place, const struct rc_target_found *found,
                   const char *error)
{
    json_t *to = call->answer;
    json_object_set_new(to, "Ok", json_boolean(error[0] == '\0'));
    json_object_set_new(to, "Error", json_string(error));
    json_object_set_new(to, "TargetInstance",
                        place->target != NULL ? rc_api_text(place->target->name) : json_string(""));
    json_object_set_new(to, "TargetTopic", rc_api_text(place->topic));
    json_object_set_new(to, "Brokers", json_integer(found->brokers));
    json_object_set_new(to, "Queues", json_integer(found->queues));
    rc_api_call_finish(call);
}

static void on_done(struct rc_target_trial *trial)
{
    struct rc_api_call *call = trial->owner;
    const struct rc_target_question *question = &trial->question;
    const struct place place = {question->target, question->topic, question->group};
    call->api->questions--;
    call->api->trials--;
    answer(call, &place, &trial->found, trial->err == RC_OK ? "" : trial->error.text);
    free(trial);
}

void rc_action_test_rule(struct rc_api_call *call)
{
    struct place place;
    struct rc_api *api = call->api;
    if (!find_place(call, &place))
        return;
    if (place.target == NULL) { /* what it is sent to is there for as long as this server is */
        const struct rc_target_found none = {0, 0};
        answer(call, &place, &none, "");
        return;
    }
    if (api->trials >= TRIALS_MAX) {
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many rules are being tested.");
        return;
    }
    struct rc_target_trial *trial = rc_new(struct rc_target_trial);
    trial->question = (struct rc_target_question){
        .target = place.target, .topic = place.topic, .group = place.group, .is_cancelled = &api->trials_end};
    trial->reply_to = api->loop;
    trial->on_done = on_done;
    trial->owner = call;
    if (rc_target_trial_start(trial) != RC_OK) {
        free(trial);
        rc_api_call_fail(call, RC_API_INTERNAL, "%s", "There is no thread for it.");
        return;
    }
    api->questions++;
    api->trials++;
}
