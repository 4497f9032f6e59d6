/* Rules: what they have sent, and telling the roll again. */
#include "api/actions.h"
#include "api/rule_stats.h"
#include "base/alloc.h"
#include "broker/roll.h"

enum {
    REPLAYS_MAX = 4,         /* at once */
    REPLAY_PAUSE_MS = 50,    /* while the log takes no more */
    REPLAY_STALLS_MAX = 200, /* then it is given up */
};

/* ---- lists ---- */

enum { LISTS_STATUS = 1, LISTS_OUTFLOW = 2, LISTS_INFLOW = 4 };

static void set_number(json_t *item, const char *name, uint64_t value)
{
    json_object_set_new(item, name, json_integer((json_int_t)value));
}

static json_t *describe_stats(const struct rc_rule_stats *stats)
{
    static const char *const states[] = {
        [RC_RULE_RUNNING] = "running", [RC_RULE_RETRYING] = "retrying", [RC_RULE_STOPPED] = "stopped"};
    static const char *const reasons[] = {[RC_RULE_DROP_UNFIT] = "DroppedUnfit",
                                          [RC_RULE_DROP_LOG_FULL] = "DroppedLogFull",
                                          [RC_RULE_DROP_EXPIRED] = "DroppedExpired",
                                          [RC_RULE_DROP_ECHO] = "DroppedEcho",
                                          [RC_RULE_DROP_NO_CLIENT] = "DroppedNoClient"};
    json_t *item = json_object();
    json_object_set_new(item, "State", json_string(states[stats->state]));
    set_number(item, "Matched", stats->matched);
    set_number(item, "Delivered", stats->delivered);
    set_number(item, "Waiting", stats->waiting);
    set_number(item, "Dropped", stats->dropped);
    set_number(item, "DroppedByOperator", stats->dropped_by_operator);
    set_number(item, "DroppedLost", stats->dropped_lost);
    for (size_t i = 0; i < RC_RULE_DROP_REASONS; i++)
        set_number(item, reasons[i], stats->dropped_for[i]);
    set_number(item, "Refused", stats->refused);
    set_number(item, "Retries", stats->retries);
    set_number(item, "Uncertain", stats->uncertain);
    set_number(item, "HeldBytes", stats->held_bytes);
    json_object_set_new(item, "RetryingSince", json_integer(stats->retrying_since_ms));
    json_object_set_new(item, "LagAlarm", json_boolean(stats->is_lag_alarm));
    json_object_set_new(item, "RetentionAlarm", json_boolean(stats->is_retention_alarm));
    json_object_set_new(item, "WindowFull", json_boolean(stats->is_window_full));
    json_object_set_new(item, "WaitsFor", json_string(stats->waits_for));
    json_object_set_new(item, "LagMs", json_integer(stats->lag_ms));
    json_object_set_new(item, "Error", json_string(stats->error));
    return item;
}

/* What all types have. */
static json_t *describe(const struct rc_api_call *call, const struct rc_api_rules *rules, struct rc_slice id,
                        const char *type, struct rc_slice description, bool is_enabled)
{
    static const struct rc_rule_stats nothing = {.state = RC_RULE_STOPPED};
    const struct rc_rule_stats *stats = rc_api_rules_find(rules, call->instance->id, id);
    json_t *item = describe_stats(stats != NULL ? stats : &nothing);
    if (!is_enabled)
        json_object_set_new(item, "State", json_string("stopped"));
    json_object_set_new(item, "RuleId", rc_api_text(id));
    json_object_set_new(item, "Type", json_string(type));
    json_object_set_new(item, "Description", rc_api_text(description));
    json_object_set_new(item, "Enabled", json_boolean(is_enabled));
    return item;
}

static void put_place(json_t *item, const char *instance, const struct rc_target *target,
                      struct rc_slice topic, struct rc_slice topic_there)
{
    json_object_set_new(item, "Topic", rc_api_text(target == NULL ? topic : topic_there));
    json_object_set_new(item, instance, target == NULL ? json_string("") : rc_api_text(target->name));
}

static void list_status(const struct rc_api_call *call, const struct rc_api_rules *rules, json_t *list)
{
    const struct rc_status_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &call->instance->status_rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        json_t *item = describe(call, rules, rule->id, "status-notice", rule->description, rule->is_enabled);
        json_object_set_new(item, "GroupId", rc_api_text(rule->group_id));
        put_place(item, "TargetInstance", rule->target, rule->topic_name, rule->target_topic);
        json_array_append_new(list, item);
    }
}

static void list_flows(const struct rc_api_call *call, const struct rc_api_rules *rules, bool is_inflow,
                       json_t *list)
{
    const struct rc_flow_rule *rule;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, is_inflow ? &call->instance->inflows : &call->instance->outflows);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        json_t *item = describe(call, rules, rule->id, is_inflow ? "inflow" : "outflow", rule->description,
                                rule->is_enabled);
        json_object_set_new(item, "MqttTopic", rc_api_text(rule->mqtt_topic));
        put_place(item, is_inflow ? "SourceInstance" : "TargetInstance", rule->target, rule->topic_name,
                  rule->target_topic);
        if (is_inflow)
            json_object_set_new(item, "ConsumerGroup", rc_api_text(rule->group));
        json_array_append_new(list, item);
    }
}

/* Where rules led before, as long as something may still go there. */
static json_t *list_former(const struct rc_api_rules *rules)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct rc_rule_stats *stats = &rules->list[i];
        if (stats->is_current)
            continue;
        json_t *item = describe_stats(stats);
        json_object_set_new(item, "RuleId", json_string(stats->rule));
        json_object_set_new(item, "TargetInstance", json_string(stats->target));
        json_object_set_new(item, "Topic", json_string(stats->target_topic));
        json_array_append_new(list, item);
    }
    return list;
}

static void list_rules(struct rc_api_call *call, int types)
{
    struct rc_api_rules rules;
    json_t *list = json_array();
    rc_api_rules_read(call->api, call->instance, &rules);
    if (types & LISTS_STATUS)
        list_status(call, &rules, list);
    if (types & LISTS_OUTFLOW)
        list_flows(call, &rules, false, list);
    if (types & LISTS_INFLOW)
        list_flows(call, &rules, true, list);
    json_object_set_new(call->answer, "FormerTargets", list_former(&rules));
    json_object_set_new(call->answer, "Rules", list);
    rc_api_rules_free(&rules);
    rc_api_call_finish(call);
}

void rc_action_list_rules(struct rc_api_call *call)
{
    list_rules(call, LISTS_STATUS | LISTS_OUTFLOW | LISTS_INFLOW);
}

void rc_action_list_status_rules(struct rc_api_call *call)
{
    list_rules(call, LISTS_STATUS);
}

void rc_action_list_outflows(struct rc_api_call *call)
{
    list_rules(call, LISTS_OUTFLOW);
}

void rc_action_list_inflows(struct rc_api_call *call)
{
    list_rules(call, LISTS_INFLOW);
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
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many rules are being replayed.");
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
