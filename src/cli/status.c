/* rollcall status: who is online, asked of a running server. */
#include "cli/api_client.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct status_options {
    const char *url, *group, *client, *instance;
    bool json;
    struct rc_cli_keys keys;
};

static const struct rc_cli_option rows[] = {
    {.name = "url",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct status_options, url),
     .value = "URL",
     .help = "the server's http.bind (default: http://127.0.0.1:18083/)"},
    {.name = "group",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct status_options, group),
     .value = "ID",
     .help = "without CLIENT: counts the clients of this group alone"},
    {.name = "instance",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct status_options, instance),
     .value = "ID",
     .help = "the instance (default: the key pair's)"},
    RC_CLI_KEY_OPTIONS(struct status_options, keys),
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct status_options, json),
     .help = "print the answer as JSON"},
};

static const struct rc_cli_usage usage = {
    .command = "status",
    .synopsis = "[CLIENT] [options]",
    .about =
        "Tells whether a client is online, since when and from where, and its last events; without CLIENT\n"
        "how many of the key pair's instance are online, and what its rules have sent. Asks the server's\n"
        "OpenAPI.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall status --key-file rollcall.yaml\n"
                "  rollcall status --key-file rollcall.yaml GID_quick@@@device001\n",
    .operand = "CLIENT",
    .operand_offset = offsetof(struct status_options, client),
};

static void print_time(const char *what, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000), ago = time(NULL) - seconds;
    struct tm local;
    char text[32];
    localtime_r(&seconds, &local);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
    printf("  %-10s %s (%" PRId64 " s ago)\n", what, text, (int64_t)ago);
}

static void print_text(const char *what, const json_t *client, const char *key)
{
    const char *text = json_string_value(json_object_get(client, key));
    printf("  %-10s %s\n", what, text != NULL ? text : "?");
}

static void print_client(const json_t *answer)
{
    const json_t *client = json_array_get(json_object_get(answer, "Clients"), 0);
    bool is_online = json_is_true(json_object_get(client, "OnlineStatus"));
    printf("%s: %s\n", json_string_value(json_object_get(client, "ClientId")),
           is_online ? "online" : "offline");
    if (!is_online)
        return;
    print_time("since", json_integer_value(json_object_get(client, "Since")));
    print_time("last heard", json_integer_value(json_object_get(client, "LastActive")));
    print_text("from", client, "ClientIp");
    print_text("protocol", client, "Protocol");
    print_text("channel", client, "ChannelId");
}

static void print(const struct status_options *options, const json_t *answer)
{
    if (options->json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (options->client != NULL) {
        print_client(answer);
    } else {
        printf("%" JSON_INTEGER_FORMAT " online\n",
               json_integer_value(json_object_get(answer, "OnlineCount")));
    }
}

static const char *text_or_empty(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_events(const json_t *answer)
{
    const json_t *event;
    size_t i;
    json_array_foreach(json_object_get(answer, "DeviceInfoList"), i, event)
    {
        printf("  %-10s %s  %-10s %s\n", i == 0 ? "events" : "", text_or_empty(event, "Time"),
               text_or_empty(event, "Action"), text_or_empty(event, "ActionInfo"));
    }
}

/* A RocketMQ topic, with its cluster in front where it is another's. */
static void print_topic(const json_t *rule, const char *instance)
{
    const char *cluster = text_or_empty(rule, instance);
    printf("%s%s%s", cluster, cluster[0] ? "/" : "", text_or_empty(rule, "Topic"));
}

static void print_rule(const json_t *rule)
{
    bool is_inflow = strcmp(text_or_empty(rule, "Type"), "inflow") == 0;
    const char *error = text_or_empty(rule, "Error"), *broker = text_or_empty(rule, "WaitsFor");
    printf("rule %s: %s, ", text_or_empty(rule, "RuleId"), text_or_empty(rule, "State"));
    if (is_inflow)
        print_topic(rule, "SourceInstance");
    else
        printf("%s%s", text_or_empty(rule, "GroupId"), text_or_empty(rule, "MqttTopic"));
    printf(" -> ");
    if (is_inflow)
        printf("%s", text_or_empty(rule, "MqttTopic"));
    else
        print_topic(rule, "TargetInstance");
    printf(", delivered %" JSON_INTEGER_FORMAT ", waiting %" JSON_INTEGER_FORMAT
           ", dropped %" JSON_INTEGER_FORMAT ", lag %.1f s",
           number(rule, "Delivered"), number(rule, "Waiting"), number(rule, "Dropped"),
           (double)number(rule, "LagMs") / 1000);
    if (broker[0] != '\0')
        printf(", waits for broker %s%s", broker,
               json_is_true(json_object_get(rule, "WindowFull")) ? " (window full)" : "");
    printf("%s%s\n", error[0] ? ": " : "", error);
}

static void print_rules(const json_t *answer)
{
    const json_t *rule;
    size_t i;
    json_array_foreach(json_object_get(answer, "Rules"), i, rule) print_rule(rule);
}

/* "A=1&B=2" and what the options name. */
static int call(const struct status_options *options, const char *parameters, json_t **ret)
{
    struct rc_params params;
    struct rc_error error = {.text = ""};
    rc_params_init(&params);
    int err = rc_params_add_form(&params, rc_slice_str(parameters));
    if (err == RC_OK && options->client != NULL)
        err = rc_params_add(&params, rc_slice_str("ClientId"), rc_slice_str(options->client));
    else if (err == RC_OK && options->group != NULL)
        err = rc_params_add(&params, rc_slice_str("GroupId"), rc_slice_str(options->group));
    if (err == RC_OK && options->instance != NULL)
        err = rc_params_add(&params, rc_slice_str("InstanceId"), rc_slice_str(options->instance));
    if (err != RC_OK)
        rc_error_set(&error, err, "CLIENT and --group are UTF-8 text");
    else
        err = rc_api_client_call(options->url, &options->keys, &params, ret, &error);
    rc_params_free(&params);
    return err == RC_OK ? RC_EXIT_OK : rc_cli_fail(usage.command, "%s", error.text);
}

static int ask(const struct status_options *options)
{
    static const char events[] = "Action=DescribeClientEvents&MqttRegionId=local&BeginTime=0&"
                                 "EndTime=9223372036854775807&CurrentPage=1&PageSize=5&Reverse=true";
    json_t *answer, *more;
    int result = call(
        options, options->client != NULL ? "Action=DescribeClients" : "Action=CountOnlineClients", &answer);
    if (result != RC_EXIT_OK)
        return result;
    bool has_more = options->client != NULL || options->group == NULL;
    if (has_more) {
        result = call(options, options->client != NULL ? events : "Action=ListRules", &more);
        if (result == RC_EXIT_OK && options->json)
            json_object_update_missing(answer, more);
    }
    print(options, answer);
    if (has_more && result == RC_EXIT_OK && !options->json)
        options->client != NULL ? print_events(more) : print_rules(more);
    if (has_more && result == RC_EXIT_OK)
        json_decref(more);
    json_decref(answer);
    return result;
}

static int run(int argc, char **argv)
{
    struct status_options options = {.url = "http://127.0.0.1:18083/"};
    int result = rc_cli_parse(&usage, argc, argv, &options);
    if (result == RC_CLI_GO_ON)
        result = rc_cli_load_keys(&usage, &options.keys);
    if (result == RC_CLI_GO_ON && options.keys.secret[0] == '\0')
        result =
            rc_cli_refuse(&usage, "the key pair is missing: name the server's configuration with --key-file");
    return result == RC_CLI_GO_ON ? ask(&options) : result;
}

const struct rc_cli_command rc_cli_status = {.name = "status",
                                             .summary = "tells whether a client is online",
                                             .run = run,
                                             .usages = (const struct rc_cli_usage *const[]){&usage, NULL}};
