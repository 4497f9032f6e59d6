/* Rules: what they have sent, and telling the roll again. */
#include "api/actions.h"
#include "base/alloc.h"
#include "broker/roll.h"
#include "rules/rules.h"

enum {
    REPLAYS_MAX = 4,         /* at once */
    REPLAY_PAUSE_MS = 50,    /* while the log takes no more */
    REPLAY_STALLS_MAX = 200, /* then it is given up */
};

/* ---- ListRules ---- */

static const char *state_text(const struct rc_rule_stats *stats)
{
    static const char *const texts[] = {
        [RC_RULE_RUNNING] = "running", [RC_RULE_RETRYING] = "retrying", [RC_RULE_STOPPED] = "stopped"};
    return texts[stats->state];
}

static json_t *describe_stats(const struct rc_rule_stats *stats)
{
    json_t *item = json_object();
    json_object_set_new(item, "State", json_string(state_text(stats)));
    json_object_set_new(item, "Matched", json_integer((json_int_t)stats->matched));
    json_object_set_new(item, "Delivered", json_integer((json_int_t)stats->delivered));
    json_object_set_new(item, "Waiting", json_integer((json_int_t)stats->waiting));
    json_object_set_new(item, "Dropped", json_integer((json_int_t)stats->dropped));
    json_object_set_new(item, "Retries", json_integer((json_int_t)stats->retries));
    json_object_set_new(item, "DroppedByOperator", json_integer((json_int_t)stats->dropped_by_operator));
    json_object_set_new(item, "Uncertain", json_integer((json_int_t)stats->uncertain));
    json_object_set_new(item, "RetryingSince", json_integer(stats->retrying_since_ms));
    json_object_set_new(item, "HeldBytes", json_integer((json_int_t)stats->held_bytes));
    json_object_set_new(item, "LagAlarm", json_boolean(stats->is_lag_alarm));
    json_object_set_new(item, "RetentionAlarm", json_boolean(stats->is_retention_alarm));
    json_object_set_new(item, "LagMs", json_integer(stats->lag_ms));
    json_object_set_new(item, "Error", json_string(stats->error));
    return item;
}

/* Where a rule leads to the log itself, what is in its topic was delivered. */
static json_t *describe_own(const struct rc_status_rule *rule)
{
    uint64_t count = 0;
    for (uint32_t i = 0; rule->topic != NULL && i < rc_topic_queue_count(rule->topic); i++)
        count += rc_queue_end(rc_topic_queue(rule->topic, i));
    json_t *item = json_object();
    json_object_set_new(item, "State", json_string(rule->is_enabled ? "running" : "stopped"));
    json_object_set_new(item, "Matched", json_integer((json_int_t)count));
    json_object_set_new(item, "Delivered", json_integer((json_int_t)count));
    json_object_set_new(item, "Waiting", json_integer(0));
    json_object_set_new(item, "Dropped", json_integer(0));
    json_object_set_new(item, "Retries", json_integer(0));
    json_object_set_new(item, "LagMs", json_integer(0));
    json_object_set_new(item, "Error", json_string(""));
    return item;
}

static const struct rc_rule_stats *find_stats(const struct rc_rule_stats *stats, uint32_t count,
                                              struct rc_slice instance, const struct rc_status_rule *rule)
{
    for (uint32_t i = 0; i < count; i++)
        if (stats[i].is_current && rc_slice_eq_str(rule->id, stats[i].rule) &&
            rc_slice_eq_str(instance, stats[i].instance))
            return &stats[i];
    return NULL;
}

static json_t *describe_rule(const struct rc_status_rule *rule, const struct rc_rule_stats *stats)
{
    json_t *item = stats != NULL ? describe_stats(stats) : describe_own(rule);
    bool is_own = rule->target == NULL;
    json_object_set_new(item, "RuleId", rc_api_text(rule->id));
    json_object_set_new(item, "Type", json_string("status-notice"));
    json_object_set_new(item, "GroupId", rc_api_text(rule->group_id));
    json_object_set_new(item, "Enabled", json_boolean(rule->is_enabled));
    json_object_set_new(item, "Topic", rc_api_text(is_own ? rule->topic_name : rule->target_topic));
    json_object_set_new(item, "TargetInstance", is_own ? json_string("") : rc_api_text(rule->target->name));
    return item;
}

/* Where rules led before, as long as something may still go there. */
static json_t *list_former(const struct rc_api_call *call, const struct rc_rule_stats *stats, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (stats[i].is_current || !rc_slice_eq_str(call->instance->id, stats[i].instance))
            continue;
        json_t *item = describe_stats(&stats[i]);
        json_object_set_new(item, "RuleId", json_string(stats[i].rule));
        json_object_set_new(item, "TargetInstance", json_string(stats[i].target));
        json_object_set_new(item, "Topic", json_string(stats[i].target_topic));
        json_array_append_new(list, item);
    }
    return list;
}

void rc_action_list_rules(struct rc_api_call *call)
{
    struct rc_rule_stats *stats = rc_calloc(RC_RULES_MAX, sizeof(*stats));
    uint32_t count = 0;
    if (call->api->options.rules != NULL)
        count = rc_rules_stats(call->api->options.rules, stats, RC_RULES_MAX);
    if (count > RC_RULES_MAX)
        count = RC_RULES_MAX;
    const struct rc_status_rule *rule;
    struct rc_trie_walk walk;
    json_t *list = json_array();
    rc_trie_walk_start(&walk, &call->instance->status_rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL)
        json_array_append_new(list, describe_rule(rule, find_stats(stats, count, call->instance->id, rule)));
    json_object_set_new(call->answer, "FormerTargets", list_former(call, stats, count));
    free(stats);
    json_object_set_new(call->answer, "Rules", list);
    rc_api_call_finish(call);
}

/* ---- ReplayRule: shard after shard, page after page ---- */

struct replay {
    struct rc_roll_question question;
    struct rc_api_call *call;
    struct rc_slice group;
    struct rc_timer timer;
    uint32_t shard, stalls;
    uint64_t told;
};

static void finish(struct replay *replay)
{
    struct rc_api *api = replay->call->api;
    api->questions--;
    api->replays--;
    if (replay->stalls > REPLAY_STALLS_MAX) {
        rc_api_call_fail(replay->call, RC_API_INTERNAL, "%s", "The log takes no more (disk full?).");
    } else {
        json_object_set_new(replay->call->answer, "Clients", json_integer((json_int_t)replay->told));
        rc_api_call_finish(replay->call);
    }
    rc_timer_stop(&replay->timer);
    free(replay);
}

static void ask(struct replay *replay)
{
    rc_roll_ask(replay->call->api->options.brokers[replay->shard], &replay->question);
}

static void on_pause(struct rc_timer *timer)
{
    ask(rc_container_of(timer, struct replay, timer));
}

static void on_told(struct rc_roll_question *question)
{
    struct replay *replay = question->owner;
    replay->told += question->count;
    if (question->cursor == 0)
        replay->shard++;
    if (question->count > 0 || question->cursor == 0)
        replay->stalls = 0;
    if (replay->call->api->is_stopping)
        replay->stalls = REPLAY_STALLS_MAX;
    if (replay->shard == replay->call->api->options.shards || ++replay->stalls > REPLAY_STALLS_MAX)
        finish(replay);
    else
        rc_timer_start(replay->call->api->loop, &replay->timer, question->count > 0 ? 0 : REPLAY_PAUSE_MS);
}

static const struct rc_group *find_rule(const struct rc_api_call *call, const char *id)
{
    const struct rc_status_rule *rule = rc_trie_find(&call->instance->status_rules, rc_slice_str(id));
    return rule != NULL ? rc_instance_group(call->instance, rule->group_id) : NULL;
}

void rc_action_replay_rule(struct rc_api_call *call)
{
    const char *id = rc_api_call_need(call, "RuleId");
    if (id == NULL)
        return;
    const struct rc_group *group = find_rule(call, id);
    if (group == NULL) {
        rc_api_call_fail(call, RC_API_NOT_FOUND, "There is no rule %.64s.", id);
        return;
    }
    if (call->api->replays >= REPLAYS_MAX) {
        rc_api_call_fail(call, RC_API_THROTTLED, "%s", "Too many rules are being replayed.");
        return;
    }
    struct replay *replay = rc_new(struct replay);
    replay->call = call;
    replay->timer.on_due = on_pause;
    replay->question = (struct rc_roll_question){.kind = RC_ROLL_ANNOUNCE,
                                                 .instance = call->instance->id,
                                                 .group = group->id,
                                                 .reply_to = call->api->loop,
                                                 .on_answer = on_told,
                                                 .owner = replay};
    call->api->questions++;
    call->api->replays++;
    ask(replay);
}
