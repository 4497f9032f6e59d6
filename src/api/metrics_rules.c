/*
 * Rules have a thread that counts for them, but for status rules that lead to the log itself: of those there
 * may be a million, and all that there is to tell is how much stands in their topic. Lines of one metric
 * stand together, so all that is told is chosen before the first line is written.
 */
#include "api/metrics_rules.h"

#include "api/rule_stats.h"
#include "base/alloc.h"

#include <stdlib.h>

struct rule_metric {
    const char *name, *kind, *help;
    size_t offset;
    bool is_ms; /* milliseconds, told in seconds */
};

#define RULE(field) offsetof(struct rc_rule_stats, field)
static const struct rule_metric rule_metrics[] = {
    {"rule_matched_total", "counter", "messages that the rule took", RULE(matched), false},
    {"rule_delivered_total", "counter", "messages that the cluster has stored", RULE(delivered), false},
    {"rule_dropped_total", "counter", "messages that will not be sent", RULE(dropped), false},
    {"rule_dropped_by_operator_total", "counter", "of those: by an operator's order",
     RULE(dropped_by_operator), false},
    {"rule_dropped_lost_total", "counter", "of those: the log had them no more", RULE(dropped_lost), false},
    {"rule_dropped_unfit_total", "counter", "of those: too large, or a topic that is none",
     RULE(dropped_for[RC_RULE_DROP_UNFIT]), false},
    {"rule_dropped_log_full_total", "counter", "of those: QoS 0, and the log took nothing",
     RULE(dropped_for[RC_RULE_DROP_LOG_FULL]), false},
    {"rule_dropped_expired_total", "counter", "of those: expired", RULE(dropped_for[RC_RULE_DROP_EXPIRED]),
     false},
    {"rule_dropped_echo_total", "counter", "of those: an outflow rule had sent them",
     RULE(dropped_for[RC_RULE_DROP_ECHO]), false},
    {"rule_dropped_no_client_total", "counter", "of those: for a client without a session, or away",
     RULE(dropped_for[RC_RULE_DROP_NO_CLIENT]), false},
    {"rule_refused_total", "counter", "messages not taken, which their publishers send again", RULE(refused),
     false},
    {"rule_waiting", "gauge", "messages to be sent yet", RULE(waiting), false},
    {"rule_retries_total", "counter", "messages sent again", RULE(retries), false},
    {"rule_uncertain_total", "counter", "messages stored by a broker that had not flushed or copied them yet",
     RULE(uncertain), false},
    {"rule_held_bytes", "gauge", "bytes of the log from the oldest message to be sent", RULE(held_bytes),
     false},
    {"rule_lag_seconds", "gauge", "age of the oldest message to be sent", RULE(lag_ms), true},
};

/* Of rules to the log itself. */
static const struct own_metric {
    const char *name, *kind, *help;
} own_metrics[] = {
    {"rule_matched_total", "counter", "messages that the rule took"},
    {"rule_delivered_total", "counter", "messages that the cluster has stored"},
    {"rule_state", "gauge", "0 runs, 1 retries, 2 stopped"},
};

enum {
    METRICS = sizeof(rule_metrics) / sizeof(rule_metrics[0]),
    OWN_METRICS = sizeof(own_metrics) / sizeof(own_metrics[0]),
    MORE_METRICS = 2,      /* state and alarm */
    LINE_MAX = 130,        /* besides the names in it */
    HELP_BYTES = 8 * 1024, /* of all metrics */
};

struct telling {
    struct rc_buf *out;
    const struct rc_catalog *catalog;
    struct rc_rule_stats *list;
    uint32_t count;
    uint64_t own; /* of the catalog's, in its order */
    uint64_t left_out;
    size_t room;
};

/* ---- which ---- */

static bool take(struct telling *telling, size_t names, size_t lines)
{
    size_t cost = (names + LINE_MAX) * lines;
    if (telling->left_out > 0 || cost > telling->room) {
        telling->left_out++;
        return false;
    }
    telling->room -= cost;
    return true;
}

static void choose(struct telling *telling, uint32_t known)
{
    uint32_t taken = 0;
    for (; taken < telling->count; taken++) {
        const struct rc_rule_stats *rule = &telling->list[taken];
        size_t names =
            strlen(rule->instance) + strlen(rule->rule) + strlen(rule->target) + strlen(rule->target_topic);
        if (!take(telling, names, METRICS + MORE_METRICS))
            break;
    }
    if (taken < known)
        telling->left_out = known - taken;
    telling->count = taken;
}

typedef void own_fn(struct telling *telling, const struct rc_instance *instance,
                    const struct rc_status_rule *rule, const struct own_metric *metric);

/* Up to `max` of those that lead to the log itself. */
static void each_own(struct telling *telling, uint64_t max, own_fn *visit, const struct own_metric *metric)
{
    struct rc_trie_walk instances, rules;
    const struct rc_instance *instance;
    const struct rc_status_rule *rule;
    rc_trie_walk_start(&instances, &telling->catalog->instances);
    while (max > 0 && (instance = rc_trie_walk_next(&instances)) != NULL) {
        rc_trie_walk_start(&rules, &instance->status_rules);
        while (max > 0 && (rule = rc_trie_walk_next(&rules)) != NULL) {
            if (rule->target != NULL)
                continue;
            visit(telling, instance, rule, metric);
            max--;
        }
    }
}

static void choose_own(struct telling *telling, const struct rc_instance *instance,
                       const struct rc_status_rule *rule, const struct own_metric *metric)
{
    telling->own += take(telling, instance->id.len + rule->id.len + rule->topic_name.len, OWN_METRICS);
}

/* ---- lines ---- */

static void put_head(struct telling *telling, const char *name, const char *kind, const char *help)
{
    if (telling->count > 0 || telling->own > 0)
        rc_buf_printf(telling->out, "# HELP rollcall_%s %s\n# TYPE rollcall_%s %s\n", name, help, name, kind);
}

/* Names are of letters, digits, - _ % and |: nothing that would need a backslash. */
static void put_value(struct telling *telling, const struct rc_rule_stats *rule, const char *name,
                      double value)
{
    rc_buf_printf(
        telling->out,
        "rollcall_%s{instance=\"%s\",rule=\"%s\",target=\"%s\",topic=\"%s\",current=\"%s\"} %.15g\n", name,
        rule->instance, rule->rule, rule->target, rule->target_topic, rule->is_current ? "true" : "false",
        value);
}

static void put_own(struct telling *telling, const struct rc_instance *instance,
                    const struct rc_status_rule *rule, const struct own_metric *metric)
{
    uint64_t value = metric == &own_metrics[OWN_METRICS - 1]
                         ? (rule->is_enabled ? RC_RULE_RUNNING : RC_RULE_STOPPED)
                         : rc_api_rule_told(rule);
    rc_buf_printf(
        telling->out,
        "rollcall_%s{instance=\"%.*s\",rule=\"%.*s\",target=\"\",topic=\"%.*s\",current=\"true\"} %llu\n",
        metric->name, RC_SLICE_FMT(instance->id), RC_SLICE_FMT(rule->id), RC_SLICE_FMT(rule->topic_name),
        (unsigned long long)value);
}

static void put_all_own(struct telling *telling, const char *name)
{
    for (size_t i = 0; i < OWN_METRICS; i++)
        if (strcmp(own_metrics[i].name, name) == 0)
            each_own(telling, telling->own, put_own, &own_metrics[i]);
}

static double alarm_of(const struct rc_rule_stats *rule)
{
    return rule->is_retention_alarm ? 2 : rule->is_window_full ? 3 : rule->is_lag_alarm;
}

static void put_metrics(struct telling *telling)
{
    for (size_t m = 0; m < METRICS; m++) {
        const struct rule_metric *metric = &rule_metrics[m];
        put_head(telling, metric->name, metric->kind, metric->help);
        for (uint32_t i = 0; i < telling->count; i++) {
            uint64_t value;
            memcpy(&value, (const uint8_t *)&telling->list[i] + metric->offset, sizeof(value));
            put_value(telling, &telling->list[i], metric->name,
                      metric->is_ms ? (double)value / 1000 : (double)value);
        }
        put_all_own(telling, metric->name);
    }
    put_head(telling, "rule_state", "gauge", "0 runs, 1 retries, 2 stopped");
    for (uint32_t i = 0; i < telling->count; i++)
        put_value(telling, &telling->list[i], "rule_state", (double)telling->list[i].state);
    put_all_own(telling, "rule_state");
    put_head(telling, "rule_alarm", "gauge",
             "1 it lags, 2 retention reaches what it has not sent, 3 all of it waits for one broker");
    for (uint32_t i = 0; i < telling->count; i++)
        put_value(telling, &telling->list[i], "rule_alarm", alarm_of(&telling->list[i]));
}

void rc_metrics_put_rules(const struct rc_api *api, struct rc_buf *out)
{
    struct telling telling = {.out = out,
                              .catalog = api->catalog,
                              .list = rc_calloc(RC_RULES_MAX, sizeof(*telling.list)),
                              .room = RC_METRICS_RULES_MAX - HELP_BYTES};
    uint32_t known =
        api->options.rules != NULL ? rc_rules_stats(api->options.rules, telling.list, RC_RULES_MAX) : 0;
    telling.count = known < RC_RULES_MAX ? known : RC_RULES_MAX;
    choose(&telling, known);
    each_own(&telling, UINT64_MAX, choose_own, NULL);
    put_metrics(&telling);
    free(telling.list);
    rc_buf_printf(out,
                  "# HELP rollcall_rules_left_out rules that are not told here: there are too many\n"
                  "# TYPE rollcall_rules_left_out gauge\nrollcall_rules_left_out %llu\n",
                  (unsigned long long)telling.left_out);
}
