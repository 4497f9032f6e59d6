/* rollcall status: who is online, asked of a running server. */
#include "cli/api_client.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

struct status_options {
    const char *url, *group, *client;
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
    RC_CLI_KEY_OPTIONS(struct status_options, keys),
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct status_options, json),
     .help = "print the answer as JSON"},
};

static const struct rc_cli_usage usage = {
    .command = "status",
    .synopsis = "[CLIENT] [options]",
    .about = "Tells whether a client is online, since when and from where; without CLIENT how many of the\n"
             "key pair's instance are online. Asks the server's OpenAPI.\n",
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

static int ask(const struct status_options *options)
{
    struct rc_params params;
    struct rc_error error = {.text = ""};
    json_t *answer = NULL;
    rc_params_init(&params);
    const char *action = options->client != NULL ? "DescribeClients" : "CountOnlineClients";
    int err = rc_params_add(&params, rc_slice_str("Action"), rc_slice_str(action));
    if (err == RC_OK && options->client != NULL)
        err = rc_params_add(&params, rc_slice_str("ClientIdList.1"), rc_slice_str(options->client));
    else if (err == RC_OK && options->group != NULL)
        err = rc_params_add(&params, rc_slice_str("GroupId"), rc_slice_str(options->group));
    if (err != RC_OK)
        rc_error_set(&error, err, "CLIENT and --group are UTF-8 text");
    else
        err = rc_api_client_call(options->url, &options->keys, &params, &answer, &error);
    rc_params_free(&params);
    if (err != RC_OK)
        return rc_cli_fail(usage.command, "%s", error.text);
    print(options, answer);
    json_decref(answer);
    return RC_EXIT_OK;
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

const struct rc_cli_command rc_cli_status = {
    .name = "status", .summary = "tells whether a client is online", .run = run};
