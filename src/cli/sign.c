/* rollcall sign: the user name and password of a device. */
#include "base/json_write.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "auth/sign.h"

#include <stdio.h>

enum { CLIENT_ID_MAX = 64, USER_MAX = 512 };

struct sign_options {
    const char *instance, *client_id, *host, *topic;
    uint64_t port;
    bool json;
    struct rc_cli_keys keys;
};

static const struct rc_cli_option rows[] = {
    {.name = "client-id",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct sign_options, client_id),
     .value = "ID",
     .help = "the device's client ID: <group>@@@<device>"},
    {.name = "instance",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct sign_options, instance),
     .value = "ID",
     .help = "the MQTT instance it belongs to"},
    RC_CLI_KEY_OPTIONS(struct sign_options, keys),
    {.name = "host",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct sign_options, host),
     .value = "HOST",
     .help = "for the printed example (default: 127.0.0.1)"},
    {.name = "port",
     .kind = RC_CLI_COUNT,
     .offset = offsetof(struct sign_options, port),
     .value = "PORT",
     .help = "likewise (default: 1883)",
     .min = 1,
     .max = 65535},
    {.name = "topic",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct sign_options, topic),
     .value = "TOPIC",
     .help = "likewise: a parent topic of the instance (default: TOPIC)"},
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct sign_options, json),
     .help = "print one JSON object instead"},
};

static const struct rc_cli_usage usage = {
    .command = "sign",
    .synopsis = "--instance ID --client-id ID [options]",
    .about = "Prints the user name and password that a device connects with. Nothing is sent anywhere.\n"
             "  user name = Signature|<access key>|<instance>\n"
             "  password  = Base64(HMAC-SHA1(secret key, client ID))\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  export ROLLCALL_ACCESS_KEY=QuickAccessKey ROLLCALL_SECRET_KEY=QuickSecretKey\n"
                "  rollcall sign --instance rc-quick --client-id GID_quick@@@device-1 --topic quick\n",
};

static int check(const struct sign_options *options)
{
    if (options->client_id == NULL || options->client_id[0] == '\0')
        return rc_cli_refuse(&usage, "--client-id is missing");
    if (options->instance == NULL || options->instance[0] == '\0')
        return rc_cli_refuse(&usage, "--instance is missing");
    if (options->keys.secret[0] == '\0')
        return rc_cli_refuse(&usage,
                             "the key pair is missing: set ROLLCALL_ACCESS_KEY and ROLLCALL_SECRET_KEY");
    if (strstr(options->client_id, "@@@") == NULL)
        fprintf(stderr, "rollcall sign: warning: a client ID is usually <group>@@@<device>\n");
    if (strlen(options->client_id) > CLIENT_ID_MAX)
        fprintf(stderr, "rollcall sign: warning: a client ID has at most %d characters\n", CLIENT_ID_MAX);
    return RC_CLI_GO_ON;
}

static void print_json(const struct sign_options *options, const char *user, const char *password)
{
    struct rc_buf out;
    struct rc_json json;
    rc_buf_init(&out, 16384);
    rc_json_init(&json, &out);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "clientId", options->client_id);
    rc_json_put_str(&json, "username", user);
    rc_json_put_str(&json, "password", password);
    rc_json_object_end(&json);
    printf("%.*s\n", RC_SLICE_FMT(rc_buf_slice(&out)));
    rc_buf_free(&out);
}

static void print_text(const struct sign_options *options, const char *user, const char *password)
{
    const char *id = options->client_id;
    unsigned long long port = options->port;
    printf("client ID: %s\nuser name: %s\npassword:  %s\n\n", id, user, password);
    printf("# Stays online until Ctrl-C:\n"
           "mosquitto_sub -h %s -p %llu -k 60 -i '%s' -u '%s' -P '%s' -t '%s/p2p/%s'\n",
           options->host, port, id, user, password, options->topic, id);
    printf("# Comes, says something and goes:\n"
           "mosquitto_pub -h %s -p %llu -i '%s' -u '%s' -P '%s' -t '%s/hello' -m hello\n",
           options->host, port, id, user, password, options->topic);
}

static int run(int argc, char **argv)
{
    struct sign_options options = {.host = "127.0.0.1", .port = 1883, .topic = "TOPIC"};
    char user[USER_MAX], password[RC_SIGNATURE_LEN + 1];
    int result = rc_cli_parse(&usage, argc, argv, &options);
    if (result == RC_CLI_GO_ON)
        result = rc_cli_load_keys(&usage, &options.keys);
    if (result == RC_CLI_GO_ON)
        result = check(&options);
    if (result != RC_CLI_GO_ON)
        return result;
    int len = snprintf(user, sizeof(user), "Signature|%s|%s", options.keys.access, options.instance);
    if (len >= (int)sizeof(user))
        return rc_cli_refuse(&usage, "the instance's name is too long");
    struct rc_slice signed_text = rc_slice_str(options.client_id);
    rc_sign(rc_slice_str(options.keys.secret), &signed_text, 1, password);
    if (options.json)
        print_json(&options, user, password);
    else
        print_text(&options, user, password);
    return RC_EXIT_OK;
}

const struct rc_cli_command rc_cli_sign = {"sign", "print the user name and password of a device", run,
                                           (const struct rc_cli_usage *const[]){&usage, NULL}};
