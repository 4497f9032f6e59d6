/*
 * rollcall watch: a consumer that prints each event and, when it changes, the client's status. Without a
 * group of its own it broadcasts: any number of watches at once see everything, and leave no offsets behind.
 */
#include "base/json_write.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "rollcall/client_status.h"
#include "rollcall/consumer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct watch_options {
    const char *endpoint, *group, *topic, *tags, *client;
    struct rc_cli_keys keys;
    uint64_t every_ms;
    bool from_first, json;
};

struct watch {
    const struct watch_options *options;
    struct rc_client_status *status;
    pthread_mutex_t lock; /* the consumer's thread adds, the main thread prints every second */
};

static const struct rc_cli_option rows[] = {
    {.name = "endpoint",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct watch_options, endpoint),
     .value = "HOST:PORT",
     .help = "name server(s), parted by ; (default 127.0.0.1:9876)"},
    {.name = "topic",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct watch_options, topic),
     .value = "TOPIC",
     .help = "where the status rule puts the events"},
    {.name = "group",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct watch_options, group),
     .value = "GROUP",
     .help = "share the events with the others of this consumer group,\nand go on where it was (default: all "
             "events from "
             "now on)"},
    {.name = "tags",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct watch_options, tags),
     .value = "TAGS",
     .help = "which events (default connect||disconnect||tcpclean)"},
    {.name = "client",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct watch_options, client),
     .value = "ID",
     .help = "only this client"},
    {.name = "every",
     .kind = RC_CLI_DURATION,
     .offset = offsetof(struct watch_options, every_ms),
     .value = "TIME",
     .help = "with --client: print `ClientStatus :true|false` this often"},
    {.name = "from-first",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct watch_options, from_first),
     .help = "begin with the oldest event that is kept; a group that\nis known goes on where it was"},
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct watch_options, json),
     .help = "one JSON object a line, for programs"},
    RC_CLI_KEY_OPTIONS(struct watch_options, keys),
};

static const struct rc_cli_usage usage = {
    .command = "watch",
    .synopsis = "--topic TOPIC [options]",
    .about = "Consumes presence events from Rollcall or any Apache RocketMQ and prints them, with each "
             "change of a\n"
             "client's status, until Ctrl-C.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall watch --topic GID_quick_MQTT\n"
                "  rollcall watch --topic GID_quick_MQTT --client GID_quick@@@device001 --every 1s\n"
                "  rollcall watch --topic GID_quick_MQTT --from-first --json\n",
};

/* ---- printing ---- */

enum { REASON_MAX = 64 };

static void print_line(struct rc_buf *line)
{
    struct rc_slice text = rc_buf_slice(line);
    fwrite(text.ptr, 1, text.len, stdout);
    fflush(stdout);
    rc_buf_free(line);
}

static void print_json(const struct rc_client_event *event, enum rc_client_status_result result,
                       bool is_online, const struct rc_consumer_message *message)
{
    static const char *const types[] = {"connect", "disconnect", "tcpclean"};
    char reason[REASON_MAX] = "";
    struct rc_buf line;
    struct rc_json json;
    rc_consumer_property(message, "rcReason", reason, sizeof(reason));
    rc_buf_init(&line, 64 * 1024);
    rc_json_init(&json, &line);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "clientId", event->client_id);
    rc_json_put_str(&json, "eventType", types[event->type]);
    rc_json_put_str(&json, "channelId", event->channel_id);
    rc_json_put_int(&json, "time", event->time_ms);
    rc_json_put_str(&json, "clientIp", event->client_ip ? event->client_ip : "");
    rc_json_put_str(&json, "reason", reason);
    rc_json_put_bool(&json, "online", is_online);
    rc_json_put_bool(&json, "changed", result == RC_CLIENT_STATUS_CHANGED);
    rc_json_put_bool(&json, "duplicate", result == RC_CLIENT_STATUS_DUPLICATE);
    rc_json_put_str(&json, "messageId", message->message_id);
    rc_json_put_int(&json, "reconsumeTimes", message->reconsume_times);
    rc_json_object_end(&json);
    rc_buf_put_u8(&line, '\n');
    print_line(&line);
}

static void print_text(const struct rc_client_event *event, enum rc_client_status_result result,
                       bool is_online, const struct rc_consumer_message *message)
{
    static const char *const types[] = {"connect", "disconnect", "tcpclean"};
    char when[32], reason[REASON_MAX] = "";
    time_t second = (time_t)(event->time_ms / 1000);
    struct tm tm;
    localtime_r(&second, &tm);
    strftime(when, sizeof(when), "%H:%M:%S", &tm);
    rc_consumer_property(message, "rcReason", reason, sizeof(reason));
    printf("%s.%03d %-10s %s from %s%s%s%s\n", when, (int)(event->time_ms % 1000), types[event->type],
           event->client_id, event->client_ip ? event->client_ip : "?", reason[0] ? " reason " : "", reason,
           result == RC_CLIENT_STATUS_DUPLICATE ? " (again)" : "");
    if (result == RC_CLIENT_STATUS_CHANGED)
        printf("ClientStatus :%s  %s\n", is_online ? "true" : "false", event->client_id);
    fflush(stdout);
}

/* ---- consuming ---- */

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    struct watch *watch = arg;
    struct rc_client_event event;
    pthread_mutex_lock(&watch->lock);
    enum rc_client_status_result result =
        rc_client_status_add_json(watch->status, message->body, message->body_len, &event);
    if (result == RC_CLIENT_STATUS_INVALID) {
        fprintf(stderr, "rollcall watch: a message that is no presence event was left out\n");
    } else if (watch->options->client == NULL || strcmp(watch->options->client, event.client_id) == 0) {
        bool is_online = rc_client_status_is_online(watch->status, event.client_id);
        if (watch->options->json)
            print_json(&event, result, is_online, message);
        else
            print_text(&event, result, is_online, message);
    }
    pthread_mutex_unlock(&watch->lock);
    return RC_CONSUME_COMMIT;
}

static void on_error(const char *text, void *arg)
{
    fprintf(stderr, "rollcall watch: %s; trying again\n", text);
}

/* 0 when the time is over before a signal comes. */
static int wait_for_signal(const sigset_t *signals, uint64_t ms)
{
    struct timespec period = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    int number = ms > 0 ? sigtimedwait(signals, NULL, &period) : sigwaitinfo(signals, NULL);
    return number > 0 ? number : 0;
}

/* Says when it has begun: until something happens nothing else is to be seen. False when it is to end. */
static bool wait_until_reading(const struct rc_consumer *consumer, const struct watch_options *options,
                               const sigset_t *signals)
{
    while (rc_consumer_queues(consumer) == 0)
        if (wait_for_signal(signals, 100) != 0)
            return false;
    fprintf(stderr, "rollcall watch: reading %s at %s, Ctrl-C ends\n", options->topic, options->endpoint);
    return true;
}

/* Waits for Ctrl-C; prints the client's status meanwhile when that was asked for. */
static void wait_for_end(struct watch *watch, const sigset_t *signals)
{
    const struct watch_options *options = watch->options;
    bool is_asked = options->client != NULL && options->every_ms > 0;
    while (wait_for_signal(signals, is_asked ? options->every_ms : 0) == 0) {
        if (!is_asked)
            continue; /* another thing woke it */
        pthread_mutex_lock(&watch->lock);
        printf("ClientStatus :%s\n",
               rc_client_status_is_online(watch->status, options->client) ? "true" : "false");
        fflush(stdout);
        pthread_mutex_unlock(&watch->lock);
    }
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run_watch(const struct watch_options *options)
{
    struct watch watch = {.options = options, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct rc_consumer_options consumer_options = {
        .namesrv = options->endpoint,
        .group = options->group ? options->group : "GID_rollcall_watch",
        .topic = options->topic,
        .tags = options->tags,
        .access_key = options->keys.access[0] ? options->keys.access : NULL,
        .secret_key = options->keys.secret[0] ? options->keys.secret : NULL,
        .broadcasting = options->group == NULL,
        .from_first = options->from_first,
        .from_ms = options->group == NULL ? now_ms() : 0,
        .on_message = on_message,
        .on_error = on_error,
        .arg = &watch,
    };
    struct rc_consumer *consumer;
    char error[512];
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    watch.status = rc_client_status_create(NULL);
    int code = RC_EXIT_OK;
    if (rc_consumer_start(&consumer_options, &consumer, error, sizeof(error)) == 0) {
        if (wait_until_reading(consumer, options, &signals))
            wait_for_end(&watch, &signals);
        rc_consumer_stop(consumer);
    } else {
        code = rc_cli_fail(usage.command, "%s", error);
    }
    rc_client_status_destroy(watch.status);
    return code;
}

static int run(int argc, char **argv)
{
    struct watch_options options = {
        .endpoint = "127.0.0.1:9876",
        .tags = "connect||disconnect||tcpclean",
    };
    int code = rc_cli_parse(&usage, argc, argv, &options);
    if (code == RC_CLI_GO_ON)
        code = rc_cli_load_keys(&usage, &options.keys);
    if (code != RC_CLI_GO_ON)
        return code;
    if (options.topic == NULL)
        return rc_cli_refuse(&usage, "--topic is missing: the topic that the status rule names");
    return run_watch(&options);
}

const struct rc_cli_command rc_cli_watch = {.name = "watch",
                                            .summary = "prints clients' comings and goings, live",
                                            .run = run,
                                            .usages = (const struct rc_cli_usage *const[]){&usage, NULL}};
