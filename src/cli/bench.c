/* rollcall bench: what a server costs, and how long it takes, under a stated load. */
#include "base/alloc.h"
#include "cli/bench_pid.h"
#include "cli/bench_report.h"
#include "cli/bench_rocketmq.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PROGRESS_MS = 500, FILES_BESIDE = 100, PORTS_PER_SOURCE = 20000, SOURCES_MAX = 60000 };

struct bench_options {
    const char *pattern, *server, *instance, *group, *prefix, *user, *password, *topic;
    const char *transport, *path, *ca, *certificate, *key, *tls_name;
    uint64_t version, clients, subscriptions, at_once, count, duration_ms, publishers, subscribers, topics,
        qos, size, batch, window, inflight, wait_ms, settle_ms, keep_alive_s, sources, pid;
    double rate;
    bool is_absent, json, is_insecure;
    struct rc_cli_keys keys;
};

struct bench {
    struct bench_options options;
    struct rc_bench_options run_options;
    struct rc_bench_net net;
    struct rc_loop *loop;
    struct rc_interrupt interrupt;
    struct rc_timer progress;
    struct rc_bench_run *run;           /* NULL for RocketMQ */
    struct rc_bench_rocketmq *rocketmq; /* NULL for MQTT */
    struct rc_bench_rocketmq_options rocketmq_options;
    char consumer_group[32];
    uint64_t last_sent, last_received, last_up;
    bool has_line;
    char ip[RC_ADDRESS_TEXT_MAX]; /* the server's */
};

#define ROW(option, of_kind, field, placeholder, text)                                                       \
    .name = option, .kind = of_kind, .offset = offsetof(struct bench_options, field), .value = placeholder,  \
    .help = text
#define TEXT(option, field, placeholder, text)                                                               \
    {                                                                                                        \
        ROW(option, RC_CLI_TEXT, field, placeholder, text)                                                   \
    }
#define COUNT(option, field, placeholder, least, most, text)                                                 \
    {                                                                                                        \
        ROW(option, RC_CLI_COUNT, field, placeholder, text), .min = least, .max = most                       \
    }
#define TIME(option, field, least, text)                                                                     \
    {                                                                                                        \
        ROW(option, RC_CLI_DURATION, field, "TIME", text), .min = least                                      \
    }

static const struct rc_cli_option rows[] = {
    TEXT("pattern", pattern, "PATTERN",
         "hold     clients come and stay: memory each\n"
         "churn    connect, CONNACK, DISCONNECT, close: CPU each (default)\n"
         "publish  publishers to subscribers: CPU a message, latency\n"
         "produce  of RocketMQ: producers to a broker, due to its answer\n"
         "consume  of RocketMQ: producers to consumers; with\n"
         "         --publishers 0 consumers to the topic's oldest messages"),
    TEXT("server", server, "IP:PORT",
         "any MQTT server (default: 127.0.0.1:1883); produce, consume:\n"
         "the name server (default: 127.0.0.1:9876)"),
    TEXT("transport", transport, "NAME", "tcp, tls, ws or wss (default: tcp)"),
    TEXT("path", path, "PATH", "of WebSocket (default: /mqtt)"),
    TEXT("ca", ca, "FILE",
         "PEM: who may have signed the server's certificate (default: as\nthe system says)"),
    TEXT("tls-name", tls_name, "NAME", "whom that certificate must be for (default: the IP)"),
    {ROW("insecure", RC_CLI_FLAG, is_insecure, NULL, "believe whatever certificate the server has")},
    TEXT("certificate", certificate, "FILE", "PEM: of the clients, for servers that ask for one"),
    TEXT("key", key, "FILE", "PEM: its private key"),
    COUNT("mqtt-version", version, "N", 4, 5, "4 is MQTT 3.1.1, 5 is MQTT 5.0 (default: 4)"),
    TEXT("instance", instance, "ID", "of Rollcall: user names are Signature|KEY|ID"),
    TEXT("group", group, "GROUP",
         "of Rollcall: client IDs begin with GROUP@@@; consume: the\nconsumers' (default: one for this run)"),
    RC_CLI_KEY_OPTIONS(struct bench_options, keys),
    TEXT("user", user, "NAME", "for other servers; without user and key it is anonymous"),
    TEXT("password", password, "PASSWORD", "of that user"),
    TEXT("prefix", prefix, "PREFIX", "of client IDs (default: bench-)"),
    TEXT("topic", topic, "TOPIC",
         "the topics are TOPIC/<n> (default: sensors/bench); produce,\nconsume: the topic (default: "
         "rollcall-bench)"),
    COUNT("clients", clients, "N", 1, 1000000, "hold, churn: different clients (default: 1000)"),
    COUNT("subscriptions", subscriptions, "N", 0, 10000, "hold: of each client, all different (default: 0)"),
    COUNT("at-once", at_once, "N", 1, 10000, "connections in the making (default: 64)"),
    COUNT("count", count, "N", 0, 0,
          "churn: connections; publish: messages, 0 for as many as\nfit into --duration (default: 10000)"),
    TIME("duration", duration_ms, 0, "hold: of staying; publish with --count 0 (default: 0s)"),
    {ROW("rate", RC_CLI_RATE, rate, "RATE",
         "connects or messages a second whatever the server does, and\n"
         "latencies count from when each was due; without: as many as\nthe server takes")},
    COUNT("publishers", publishers, "N", 0, 1000000, "(default: 4)"),
    COUNT("subscribers", subscribers, "N", 0, 1000000, "(default: 1)"),
    COUNT("topics", topics, "N", 1, 1000000,
          "publisher and subscriber n use topic n modulo this: 1 for\n"
          "fan-in and fan-out, as many as each of them for pairs (default: 1)"),
    {ROW("absent", RC_CLI_FLAG, is_absent, NULL,
         "publish: subscribers keep a session, are away meanwhile, and\ncome back for it")},
    COUNT("qos", qos, "N", 0, 2, "(default: 0)"),
    COUNT("size", size, "BYTES", 8, 1048576, "of a payload (default: 64)"),
    COUNT("batch", batch, "N", 1, 1000, "produce, consume: messages in one request (default: 1)"),
    COUNT("window", window, "N", 1, 1000000,
          "without --rate: messages of a publisher under way (default: 100)"),
    COUNT("inflight", inflight, "N", 1, 65535,
          "QoS 1 and 2, produce: of a publisher unacknowledged\n(default: 20)"),
    COUNT("keep-alive", keep_alive_s, "SECONDS", 0, 65535,
          "nothing is sent for it, so longer than the run (default: 600)"),
    COUNT("sources", sources, "N", 1, SOURCES_MAX,
          "loopback addresses to come from, 127.1.0.1 and up\n(default: as needed)"),
    TIME("settle", settle_ms, 0, "from the last connection to the look at memory (default: 1s)"),
    TIME("wait", wait_ms, 1, "without progress, then it ends (default: 10s)"),
    COUNT("pid", pid, "PID", 1, 0, "the server's process (default: found by its port)"),
    {ROW("json", RC_CLI_FLAG, json, NULL, "print the result as one JSON object")},
};

static const struct rc_cli_usage usage = {
    .command = "bench",
    .synopsis = "[options]",
    .about = "Puts a server of MQTT, or a broker of RocketMQ, under a stated load and tells what that cost "
             "the server: CPU time and "
             "memory of\n"
             "its process, beside latencies. Rates without --rate say more about the machine than about a "
             "server.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples =
        "  rollcall bench --server 127.0.0.1:1884 --pattern churn --count 20000      # mosquitto\n"
        "  export ROLLCALL_ACCESS_KEY=QuickAccessKey ROLLCALL_SECRET_KEY=QuickSecretKey\n"
        "  rollcall bench --instance rc-quick --group GID_quick --pattern hold --clients 10000\n"
        "  rollcall bench --instance rc-quick --group GID_quick --pattern publish --topic sensors/b \\\n"
        "      --publishers 1 --subscribers 1000 --count 1000 --json\n"
        "  rollcall bench --pattern churn --server 127.0.0.1:8883 --transport tls --ca ca.pem\n"
        "  rollcall bench --pattern produce --batch 32 --count 100000\n",
};

/* ---- options ---- */

static bool is_rocketmq(const struct bench *bench)
{
    return bench->run_options.pattern >= RC_BENCH_PRODUCE;
}

static void fill_in(const char **option, const char *otherwise)
{
    if (*option == NULL)
        *option = otherwise;
}

static uint32_t sources_for(const struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    uint8_t ip[4];
    if (!rc_address_ipv4(&bench->net.server, ip) || ip[0] != 127)
        return 0;
    if (options->sources != 0)
        return (uint32_t)options->sources;
    uint64_t ports = options->clients + options->count * (bench->run_options.pattern == RC_BENCH_CHURN) +
                     options->publishers + options->subscribers;
    uint64_t sources = ports / PORTS_PER_SOURCE + 1;
    return sources < SOURCES_MAX ? (uint32_t)sources : SOURCES_MAX;
}

static void fill_run_options(struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    struct rc_bench_options *to = &bench->run_options;
    to->clients = (uint32_t)options->clients;
    to->subscriptions = (uint32_t)options->subscriptions;
    to->at_once = (uint32_t)options->at_once;
    to->count = options->count;
    to->duration_ms = options->duration_ms;
    to->rate = options->rate;
    to->publishers = (uint32_t)options->publishers;
    to->subscribers = (uint32_t)options->subscribers;
    to->topics = (uint32_t)options->topics;
    to->is_absent = options->is_absent;
    to->qos = (uint8_t)options->qos;
    to->size = (uint32_t)options->size;
    to->window = (uint32_t)options->window;
    to->inflight = (uint32_t)options->inflight;
    to->wait_ms = options->wait_ms;
    to->settle_ms = options->settle_ms;
    to->topic = options->topic;
    to->batch = (uint32_t)options->batch;
    to->pid = options->pid != 0 ? options->pid : rc_bench_pid_of_port(rc_address_port(&bench->net.server));
}

static int fill_net(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    struct rc_bench_net *net = &bench->net;
    const char *group = options->group != NULL ? options->group : "";
    bool has_keys = options->keys.secret[0] != '\0' && options->instance != NULL;
    net->version = (uint8_t)options->version;
    net->is_clean = !options->is_absent;
    net->keep_alive_s = (uint16_t)options->keep_alive_s;
    net->secret = has_keys ? options->keys.secret : NULL;
    net->password = options->password;
    int len = has_keys
                  ? snprintf(net->user, sizeof(net->user), "Signature|%s|%s", options->keys.access,
                             options->instance)
                  : snprintf(net->user, sizeof(net->user), "%s", options->user != NULL ? options->user : "");
    if (len >= (int)sizeof(net->user))
        return rc_cli_refuse(&usage, "the user name is too long");
    len = snprintf(net->client_id_prefix, sizeof(net->client_id_prefix), "%s%s%s", group,
                   group[0] ? "@@@" : "", options->prefix);
    if (len >= (int)sizeof(net->client_id_prefix))
        return rc_cli_refuse(&usage, "--group and --prefix are too long");
    net->sources = sources_for(bench);
    return RC_CLI_GO_ON;
}

/* "127.0.0.1:8883" or "[::1]:8883" without the port, as certificates name it. */
static void note_ip(struct bench *bench)
{
    char *text = bench->ip;
    rc_address_format(&bench->net.server, text);
    *strrchr(text, ':') = '\0';
    if (text[0] == '[') {
        text[strlen(text) - 1] = '\0';
        memmove(text, text + 1, strlen(text));
    }
}

static int check_transport(struct bench *bench)
{
    static const struct {
        const char *name;
        bool is_tls, is_websocket;
    } transports[] = {{"tcp", false, false}, {"tls", true, false}, {"ws", false, true}, {"wss", true, true}};
    const struct bench_options *options = &bench->options;
    struct rc_tls_client_settings settings = {
        .ca = options->ca != NULL ? options->ca : "",
        .certificate = options->certificate != NULL ? options->certificate : "",
        .key = options->key != NULL ? options->key : "",
        .is_unverified = options->is_insecure,
    };
    struct rc_error error = {.text = ""};
    size_t i = 0;
    while (i < 4 && strcmp(options->transport, transports[i].name) != 0)
        i++;
    if (i == 4)
        return rc_cli_refuse(&usage, "--transport is tcp, tls, ws or wss, not '%s'", options->transport);
    if ((options->certificate == NULL) != (options->key == NULL))
        return rc_cli_refuse(&usage, "--certificate and --key go together");
    if (!transports[i].is_tls &&
        (options->ca != NULL || options->certificate != NULL || options->is_insecure))
        return rc_cli_refuse(&usage, "--ca, --certificate and --insecure are for --transport tls and wss");
    note_ip(bench);
    bench->net.tls_name = options->tls_name != NULL ? options->tls_name : bench->ip;
    bench->net.path = transports[i].is_websocket ? options->path : NULL;
    if (transports[i].is_tls && rc_tls_create_client(&settings, &bench->net.tls, &error) != RC_OK)
        return rc_cli_refuse(&usage, "%s", error.text);
    return RC_CLI_GO_ON;
}

static int check_rocketmq(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    struct rc_error error = {0};
    bool is_consuming = bench->run_options.pattern == RC_BENCH_CONSUME;
    fill_in(&options->server, "127.0.0.1:9876");
    fill_in(&options->topic, "rollcall-bench");
    if (rc_address_parse(options->server, &bench->net.server, &error) != RC_OK)
        return rc_cli_refuse(&usage, "--server: %s", error.text);
    if (strcmp(options->transport, "tcp") != 0)
        return rc_cli_refuse(&usage, "--pattern %s knows no --transport but tcp", options->pattern);
    if (options->size < RC_BENCH_STAMP_BYTES)
        return rc_cli_refuse(&usage, "--pattern %s needs a --size of %d at least", options->pattern,
                             RC_BENCH_STAMP_BYTES);
    if (!is_consuming && options->publishers == 0)
        return rc_cli_refuse(&usage, "--pattern produce needs --publishers");
    if (is_consuming && (options->subscribers == 0 || options->subscribers > RC_BENCH_CONSUMERS_MAX))
        return rc_cli_refuse(&usage, "--pattern consume takes 1 to %d --subscribers", RC_BENCH_CONSUMERS_MAX);
    if (is_consuming && options->publishers == 0 && options->count == 0)
        return rc_cli_refuse(&usage, "--pattern consume without --publishers needs a --count");
    fill_run_options(bench);
    /* A group of its own for each run: nobody has consumed for it. */
    snprintf(bench->consumer_group, sizeof(bench->consumer_group), "GID_bench_%d", getpid());
    bench->rocketmq_options = (struct rc_bench_rocketmq_options){
        .namesrv = options->server,
        .group = options->group != NULL ? options->group : bench->consumer_group,
        .access_key = options->keys.secret[0] != '\0' ? options->keys.access : NULL,
        .secret_key = options->keys.secret[0] != '\0' ? options->keys.secret : NULL,
    };
    return RC_CLI_GO_ON;
}

static int check(struct bench *bench)
{
    struct bench_options *options = &bench->options;
    struct rc_error error = {0};
    if (!rc_bench_pattern_parse(options->pattern, &bench->run_options.pattern))
        return rc_cli_refuse(&usage, "--pattern is hold, churn, publish, produce or consume, not '%s'",
                             options->pattern);
    if (is_rocketmq(bench))
        return check_rocketmq(bench);
    fill_in(&options->server, "127.0.0.1:1883");
    fill_in(&options->topic, "sensors/bench");
    if (rc_address_parse(options->server, &bench->net.server, &error) != RC_OK)
        return rc_cli_refuse(&usage, "--server: %s", error.text);
    if (strlen(options->topic) > RC_BENCH_TOPIC_MAX - 16)
        return rc_cli_refuse(&usage, "--topic is too long");
    if (bench->run_options.pattern == RC_BENCH_CHURN && options->count == 0)
        return rc_cli_refuse(&usage, "--pattern churn needs a --count");
    if (bench->run_options.pattern == RC_BENCH_CHURN && options->clients < options->at_once &&
        options->rate == 0)
        options->clients = options->at_once; /* nobody takes over from himself */
    if (bench->run_options.pattern == RC_BENCH_PUBLISH && options->publishers == 0)
        return rc_cli_refuse(&usage, "--pattern publish needs --publishers");
    if (options->is_absent && options->qos == 0)
        return rc_cli_refuse(&usage, "--absent needs --qos 1 or 2: nothing waits of QoS 0");
    fill_run_options(bench);
    int result = check_transport(bench);
    return result == RC_CLI_GO_ON ? fill_net(bench) : result;
}

static int raise_file_limit(const struct bench *bench)
{
    const struct bench_options *options = &bench->options;
    uint64_t clients = bench->run_options.pattern == RC_BENCH_HOLD ? options->clients : options->at_once;
    uint64_t need =
        FILES_BESIDE + clients +
        (bench->run_options.pattern == RC_BENCH_PUBLISH ? options->publishers + options->subscribers : 0);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= need)
        return RC_CLI_GO_ON;
    return rc_cli_fail("bench", "it needs %llu open files, the limit is %llu (ulimit -n)",
                       (unsigned long long)need, (unsigned long long)limit.rlim_cur);
}

/* ---- while it runs ---- */

static const struct rc_bench_result *figures_of(const struct bench *bench)
{
    return bench->rocketmq != NULL ? rc_bench_rocketmq_result(bench->rocketmq)
                                   : rc_bench_run_result(bench->run);
}

static void on_progress(struct rc_timer *timer)
{
    struct bench *bench = rc_container_of(timer, struct bench, progress);
    const struct rc_bench_result *now = figures_of(bench);
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\rup %llu (%llu/s)  failed %llu  sent %llu (%llu/s)  received %llu (%llu/s)\033[K",
                (unsigned long long)now->up,
                (unsigned long long)(now->up - bench->last_up) * 1000 / PROGRESS_MS,
                (unsigned long long)now->failed, (unsigned long long)now->sent,
                (unsigned long long)(now->sent - bench->last_sent) * 1000 / PROGRESS_MS,
                (unsigned long long)now->received,
                (unsigned long long)(now->received - bench->last_received) * 1000 / PROGRESS_MS);
        bench->has_line = true;
    }
    bench->last_up = now->up;
    bench->last_sent = now->sent;
    bench->last_received = now->received;
    rc_timer_start(bench->loop, &bench->progress, PROGRESS_MS);
}

static void on_interrupt(struct rc_interrupt *interrupt)
{
    struct bench *bench = rc_container_of(interrupt, struct bench, interrupt);
    if (bench->rocketmq != NULL)
        rc_bench_rocketmq_finish(bench->rocketmq);
    else
        rc_bench_run_finish(bench->run);
}

static void on_done(void *arg)
{
    struct bench *bench = arg;
    rc_loop_stop(bench->loop);
}

static int start(struct bench *bench)
{
    if (is_rocketmq(bench)) {
        bench->rocketmq = rc_bench_rocketmq_create(bench->loop, &bench->run_options, &bench->rocketmq_options,
                                                   on_done, bench);
        return rc_bench_rocketmq_start(bench->rocketmq);
    }
    rc_bench_net_init(&bench->net);
    bench->run = rc_bench_run_create(bench->loop, &bench->run_options, &bench->net, on_done, bench);
    return rc_bench_run_start(bench->run);
}

static void tell_errors(const struct bench *bench)
{
    if (bench->net.tls_error.text[0] != '\0')
        fprintf(stderr, "rollcall bench: no TLS: %s\n", bench->net.tls_error.text);
    if (bench->rocketmq != NULL && rc_bench_rocketmq_error(bench->rocketmq)[0] != '\0')
        fprintf(stderr, "rollcall bench: %s\n", rc_bench_rocketmq_error(bench->rocketmq));
}

static int measure(struct bench *bench)
{
    int err = rc_loop_create("bench", &bench->loop);
    if (err != RC_OK)
        return rc_cli_fail("bench", "no event loop: %s", rc_err_text(err));
    bench->interrupt.on_interrupt = on_interrupt;
    err = rc_interrupt_start(&bench->interrupt, bench->loop);
    if (err != RC_OK)
        return rc_cli_fail("bench", "signals: %s", rc_err_text(err));
    err = start(bench);
    if (err != RC_OK)
        return rc_cli_fail("bench", "no timer: %s", rc_err_text(err));
    bench->progress.on_due = on_progress;
    rc_timer_start(bench->loop, &bench->progress, PROGRESS_MS);
    rc_loop_run(bench->loop);
    if (bench->has_line)
        fputs("\r\033[K", stderr);
    tell_errors(bench);
    return RC_CLI_GO_ON;
}

static void release(struct bench *bench)
{
    rc_timer_stop(&bench->progress);
    rc_interrupt_stop(&bench->interrupt);
    if (bench->run != NULL)
        rc_bench_net_free(&bench->net);
    rc_bench_run_free(bench->run);
    rc_bench_rocketmq_free(bench->rocketmq);
    rc_loop_destroy(bench->loop);
}

static int run(int argc, char **argv)
{
    struct bench *bench = rc_new(struct bench);
    bench->options = (struct bench_options){
        .pattern = "churn",
        .transport = "tcp",
        .path = "/mqtt",
        .prefix = "bench-",
        .version = 4,
        .clients = 1000,
        .at_once = 64,
        .count = 10000,
        .publishers = 4,
        .subscribers = 1,
        .topics = 1,
        .size = 64,
        .batch = 1,
        .window = 100,
        .inflight = 20,
        .wait_ms = 10000,
        .settle_ms = 1000,
        .keep_alive_s = 600,
    };
    int result = rc_cli_parse(&usage, argc, argv, &bench->options);
    if (result == RC_CLI_GO_ON)
        result = rc_cli_load_keys(&usage, &bench->options.keys);
    if (result == RC_CLI_GO_ON)
        result = check(bench);
    if (result == RC_CLI_GO_ON)
        result = raise_file_limit(bench);
    if (result == RC_CLI_GO_ON)
        result = measure(bench);
    if (result == RC_CLI_GO_ON) {
        const struct rc_bench_result *figures = figures_of(bench);
        rc_bench_report(&bench->run_options, figures, bench->options.json);
        result =
            figures->failed == 0 && figures->received == figures->expected ? RC_EXIT_OK : RC_EXIT_FAILURE;
    }
    if (bench->loop != NULL)
        release(bench);
    rc_tls_unref(bench->net.tls);
    free(bench);
    return result;
}

const struct rc_cli_command rc_cli_bench = {
    .name = "bench",
    .summary = "measure any MQTT server or RocketMQ broker: CPU, memory, latency",
    .run = run,
    .usages = (const struct rc_cli_usage *const[]){&usage, NULL},
};
