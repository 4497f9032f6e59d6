/* rollcall rule list, and rule drop: what rules have sent, asked of a running server. */
#include "cli/rule_status.h"

#include "cli/api_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct ask_options {
    const char *url, *rule, *instance, *target, *topic, *before, *message;
    bool all, json;
    struct rc_cli_keys keys;
};

#define URL_OPTION                                                                                           \
    {                                                                                                        \
        .name = "url", .kind = RC_CLI_TEXT, .offset = offsetof(struct ask_options, url), .value = "URL",     \
        .help = "the server's http.bind (default: http://127.0.0.1:18083/)"                                  \
    }
#define INSTANCE_OPTION                                                                                      \
    {                                                                                                        \
        .name = "instance", .kind = RC_CLI_TEXT, .offset = offsetof(struct ask_options, instance),           \
        .value = "ID", .help = "the instance (default: the key pair's)"                                      \
    }
#define JSON_OPTION                                                                                          \
    {                                                                                                        \
        .name = "json", .kind = RC_CLI_FLAG, .offset = offsetof(struct ask_options, json),                   \
        .help = "print the answer as JSON"                                                                   \
    }

/* ---- asking ---- */

static int add(struct rc_params *params, const char *name, const char *value)
{
    return value == NULL ? RC_OK : rc_params_add(params, rc_slice_str(name), rc_slice_str(value));
}

/* RC_EXIT_OK and the answer, or the exit code after a message. */
static int ask(const struct rc_cli_usage *usage, const struct ask_options *options, const char *action,
               json_t **ret)
{
    struct rc_params params;
    struct rc_error error = {.text = ""};
    rc_params_init(&params);
    int err = add(&params, "Action", action);
    err = err ? err : add(&params, "InstanceId", options->instance);
    err = err ? err : add(&params, "RuleId", options->rule);
    err = err ? err : add(&params, "TargetInstance", options->target);
    err = err ? err : add(&params, "Topic", options->topic);
    err = err ? err : add(&params, "Before", options->before);
    err = err ? err : add(&params, "Message", options->message);
    err = err ? err : add(&params, "All", options->all ? "true" : NULL);
    if (err != RC_OK)
        rc_error_set(&error, err, "what was given is not UTF-8 text, or too long");
    else
        err = rc_api_client_call(options->url, &options->keys, &params, ret, &error);
    rc_params_free(&params);
    return err == RC_OK ? RC_EXIT_OK : rc_cli_fail(usage->command, "%s", error.text);
}

static int load_keys(const struct rc_cli_usage *usage, struct ask_options *options)
{
    int result = rc_cli_load_keys(usage, &options->keys);
    if (result == RC_CLI_GO_ON && options->keys.secret[0] == '\0')
        result =
            rc_cli_refuse(usage, "the key pair is missing: name the server's configuration with --key-file");
    return result;
}

static void print_json(const json_t *answer)
{
    json_dumpf(answer, stdout, JSON_COMPACT);
    putchar('\n');
}

/* ---- rule list ---- */

static const struct rc_cli_option list_rows[] = {
    URL_OPTION,
    INSTANCE_OPTION,
    RC_CLI_KEY_OPTIONS(struct ask_options, keys),
    JSON_OPTION,
};

const struct rc_cli_usage rc_rule_list_usage = {
    .command = "rule list",
    .synopsis = "[RULE] [options]",
    .about =
        "Tells where the rules of the key pair's instance lead, how far they got and what is in the way.\n"
        "Targets that a rule had before are listed while channels that began there may still end.\n"
        "Exit code 1 when an alarm is on: a rule lags, waits for one of several brokers with its window\n"
        "full, or retention reaches what it has not sent.\n",
    .options = list_rows,
    .count = sizeof(list_rows) / sizeof(list_rows[0]),
    .examples = "  rollcall rule list --key-file rollcall.yaml\n",
    .operand = "RULE",
    .operand_offset = offsetof(struct ask_options, rule),
};

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    return text != NULL ? text : "";
}

static int64_t number_of(const json_t *item, const char *key)
{
    return json_integer_value(json_object_get(item, key));
}

static void print_since(int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    char text[32];
    localtime_r(&seconds, &local);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
    printf(" since %s", text);
}

/* True when an alarm is on. */
static bool print_rule(const json_t *item, bool is_former)
{
    const char *target = text_of(item, "TargetInstance"), *error = text_of(item, "Error"),
               *description = text_of(item, "Description"), *state = text_of(item, "State"),
               *broker = text_of(item, "WaitsFor");
    bool lags = json_is_true(json_object_get(item, "LagAlarm")),
         is_held = json_is_true(json_object_get(item, "RetentionAlarm")),
         is_full = json_is_true(json_object_get(item, "WindowFull"));
    bool is_disabled = json_is_false(json_object_get(item, "Enabled"));
    bool is_inflow = strcmp(text_of(item, "Type"), "inflow") == 0;
    const char *place = is_inflow ? text_of(item, "SourceInstance") : target;
    printf("%s %s %s%s%s%s: %s", text_of(item, "RuleId"), is_inflow ? "<-" : "->", place, place[0] ? "/" : "",
           text_of(item, "Topic"), is_former ? " (former target)" : "", is_disabled ? "disabled" : state);
    if (number_of(item, "RetryingSince") > 0)
        print_since(number_of(item, "RetryingSince"));
    printf("\n");
    if (description[0] != '\0')
        printf("  %s\n", description);
    printf("  matched=%" PRId64 " delivered=%" PRId64 " waiting=%" PRId64 " dropped=%" PRId64
           " retries=%" PRId64 " lag=%.1fs\n",
           number_of(item, "Matched"), number_of(item, "Delivered"), number_of(item, "Waiting"),
           number_of(item, "Dropped"), number_of(item, "Retries"), (double)number_of(item, "LagMs") / 1000);
    if (number_of(item, "Refused") > 0)
        printf("  refused=%" PRId64 ": the log took nothing, their publishers send them again\n",
               number_of(item, "Refused"));
    if (error[0] != '\0')
        printf("  %s: %s\n", strcmp(state, "running") == 0 ? "last error" : "error", error);
    if (broker[0] != '\0')
        printf("  waits for broker %s\n", broker);
    if (is_full)
        printf("  ALARM: its window is full: the clients of other brokers wait for %s too\n", broker);
    if (lags)
        printf("  ALARM: it lags\n");
    if (is_held)
        printf("  ALARM: retention reaches what it has not sent; at the quota new clients are refused\n");
    return lags || is_full || is_held;
}

static int print_rules(const struct ask_options *options, const json_t *answer)
{
    static const char *const lists[] = {"Rules", "FormerTargets"};
    uint32_t shown = 0;
    bool is_alarmed = false;
    for (size_t at = 0; at < 2; at++) {
        json_t *item;
        size_t i;
        json_array_foreach(json_object_get(answer, lists[at]), i, item)
        {
            if (options->rule != NULL && strcmp(options->rule, text_of(item, "RuleId")) != 0)
                continue;
            is_alarmed |= print_rule(item, at == 1);
            shown++;
        }
    }
    if (shown == 0 && options->rule != NULL)
        return rc_cli_fail(rc_rule_list_usage.command, "there is no rule %s", options->rule);
    if (shown == 0)
        printf("no rules\n");
    return is_alarmed ? RC_EXIT_FAILURE : RC_EXIT_OK;
}

int rc_rule_list(int argc, char **argv)
{
    struct ask_options options = {.url = "http://127.0.0.1:18083/"};
    json_t *answer = NULL;
    int code = rc_cli_parse(&rc_rule_list_usage, argc, argv, &options);
    if (code == RC_CLI_GO_ON)
        code = load_keys(&rc_rule_list_usage, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    code = ask(&rc_rule_list_usage, &options, "ListRules", &answer);
    if (code == RC_EXIT_OK && options.json)
        print_json(answer);
    else if (code == RC_EXIT_OK)
        code = print_rules(&options, answer);
    json_decref(answer);
    return code;
}

/* ---- rule drop ---- */

static const struct rc_cli_option drop_rows[] = {
    {.name = "all",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct ask_options, all),
     .help = "all that waits now"},
    {.name = "before",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ask_options, before),
     .value = "MS",
     .help = "what came before this time, in milliseconds since 1970"},
    {.name = "message",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ask_options, message),
     .value = "NUMBER",
     .help = "one that the cluster does not take: rule list tells its number"},
    {.name = "target",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ask_options, target),
     .value = "NAME",
     .help = "of its targets, former ones too, only those in this RocketMQ instance"},
    {.name = "topic",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ask_options, topic),
     .value = "TOPIC",
     .help = "only the target with this topic"},
    URL_OPTION,
    INSTANCE_OPTION,
    RC_CLI_KEY_OPTIONS(struct ask_options, keys),
    JSON_OPTION,
};

const struct rc_cli_usage rc_rule_drop_usage = {
    .command = "rule drop",
    .synopsis = "RULE (--all | --before MS | --message NUMBER) [options]",
    .about =
        "Gives up what a rule has not sent to its cluster: it will never be sent. Channels whose `connect`\n"
        "was sent may then stay without their `tcpclean`: have the roll told again afterwards, by the\n"
        "OpenAPI's ReplayClientStatusNotifyRule. What is dropped is counted, and stands in the server's\n"
        "log with the key pair that asked for it.\n",
    .options = drop_rows,
    .count = sizeof(drop_rows) / sizeof(drop_rows[0]),
    .examples = "  rollcall rule drop status-1 --all --key-file rollcall.yaml\n",
    .operand = "RULE",
    .operand_offset = offsetof(struct ask_options, rule),
};

int rc_rule_drop(int argc, char **argv)
{
    struct ask_options options = {.url = "http://127.0.0.1:18083/"};
    json_t *answer = NULL;
    int code = rc_cli_parse(&rc_rule_drop_usage, argc, argv, &options);
    if (code == RC_CLI_GO_ON && options.rule == NULL)
        code = rc_cli_refuse(&rc_rule_drop_usage, "RULE is missing: whose messages are to be dropped?");
    if (code == RC_CLI_GO_ON && options.all + (options.before != NULL) + (options.message != NULL) != 1)
        code = rc_cli_refuse(&rc_rule_drop_usage, "one of --all, --before and --message is needed");
    if (code == RC_CLI_GO_ON)
        code = load_keys(&rc_rule_drop_usage, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    code = ask(&rc_rule_drop_usage, &options, "DropRuleMessages", &answer);
    if (code == RC_EXIT_OK && options.json)
        print_json(answer);
    else if (code == RC_EXIT_OK)
        printf("%s: dropped=%" PRId64 " targets=%" PRId64 "\n", options.rule, number_of(answer, "Dropped"),
               number_of(answer, "Targets"));
    json_decref(answer);
    return code;
}
