/* rollcall sim: brings a fleet of devices up and down and knows what it did. */
#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/sim_fleet.h"
#include "cli/sim_stats.h"
#include "cli/sim_verify.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    PORTS_PER_SOURCE = 20000, /* a loopback address has some 28,000 to give, and closed ones rest a minute */
    REST_S = 60,
    SOURCES_MAX = 60000,
    PROGRESS_MS = 500,
    READY_MS = 15000, /* for the consumer to find its queues */
    WARM_UP_MS = 500, /* for its first pulls to be held */
};

struct sim_options {
    const char *server, *instance, *group, *prefix, *pattern, *record_file;
    const char *verify_file, *topic, *endpoint;
    uint64_t clients, duration_ms, stay_ms, timeout_ms, flaps, keep_alive_s, sources, pid, wait_ms;
    double rate, end_rate;
    bool json;
    struct rc_cli_keys keys;
};

struct sim {
    struct sim_options options;
    struct rc_sim_fleet_options fleet_options;
    struct rc_sim_record record;
    struct rc_loop *loop;
    struct rc_interrupt interrupt;
    struct rc_sim_fleet *fleet;
    struct rc_timer progress;
    bool has_progress_line;
    struct rc_sim_usage before, full, after; /* of --pid; full = when most were up */
    uint32_t full_up;
    struct rc_sim_collector *collector; /* NULL: events are not looked at */
    struct rc_sim_verdict verdict;
};

#define TEXT(option, field, placeholder, text)                                                               \
    {                                                                                                        \
        .name = option, .kind = RC_CLI_TEXT, .offset = offsetof(struct sim_options, field),                  \
        .value = placeholder, .help = text                                                                   \
    }
#define COUNT(option, field, placeholder, least, most, text)                                                 \
    {                                                                                                        \
        .name = option, .kind = RC_CLI_COUNT, .offset = offsetof(struct sim_options, field),                 \
        .value = placeholder, .help = text, .min = least, .max = most                                        \
    }
#define TIME(option, field, least, most, text)                                                               \
    {                                                                                                        \
        .name = option, .kind = RC_CLI_DURATION, .offset = offsetof(struct sim_options, field),              \
        .value = "TIME", .help = text, .min = least, .max = most                                             \
    }
#define RATE(option, field, text)                                                                            \
    {                                                                                                        \
        .name = option, .kind = RC_CLI_RATE, .offset = offsetof(struct sim_options, field), .value = "RATE", \
        .help = text                                                                                         \
    }

static const struct rc_cli_option rows[] = {
    TEXT("server", server, "HOST:PORT", "where MQTT is spoken (default: 127.0.0.1:1883)"),
    TEXT("instance", instance, "ID", "the MQTT instance"),
    TEXT("group", group, "GROUP", "the devices' group; client IDs are GROUP@@@PREFIX-<n>"),
    TEXT("prefix", prefix, "PREFIX", "(default: sim)"),
    RC_CLI_KEY_OPTIONS(struct sim_options, keys),
    COUNT("clients", clients, "N", 1, 1000000, "how many devices (default: 100)"),
    TEXT("pattern", pattern, "PATTERN",
         "hold      all come, stay, and leave in the end (default)\n"
         "churn     each comes, stays a while and leaves, over and over\n"
         "flap      each comes, loses its connection and is back\n"
         "          at once, several times; over and over\n"
         "takeover  each comes again while it is still there\n"
         "cut       like churn, but they vanish without a word (RST)"),
    RATE("rate", rate, "arrivals a second, whatever the server does (default: 100/s)"),
    RATE("end-rate", end_rate, "departures a second at the end (default: as --rate)"),
    TIME("duration", duration_ms, 1, 0, "of arriving and staying (default: 10s)"),
    TIME("stay", stay_ms, 1, 0, "how long one stays, but in hold and takeover (default: 1s)"),
    COUNT("flaps", flaps, "N", 1, 1000, "connections in a row with flap (default: 3)"),
    COUNT("keep-alive", keep_alive_s, "SECONDS", 0, 65535, "(default: 60)"),
    TIME("timeout", timeout_ms, 1, 600000, "to wait for CONNACK (default: 10s)"),
    COUNT("sources", sources, "N", 1, SOURCES_MAX,
          "loopback addresses to come from, 127.1.0.1 and up\n(default: as many as the ports need)"),
    TEXT("record", record_file, "FILE", "write what was done, one JSON object a connection"),
    TEXT("topic", topic, "TOPIC",
         "read the events from this RocketMQ topic while it runs and\n"
         "compare: each accepted connection has exactly one connect\n"
         "and one tcpclean, in order, and statuses agree in the end"),
    TEXT("verify", verify_file, "FILE", "start no fleet; compare the events with this earlier record"),
    TEXT("endpoint", endpoint, "HOST:PORT", "RocketMQ name server (default: 127.0.0.1:9876)"),
    TIME("wait", wait_ms, 1, 0, "for events that are late (default: 5s without one)"),
    COUNT("pid", pid, "PID", 1, 0, "the server's process: report its CPU and memory"),
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct sim_options, json),
     .help = "print the result as one JSON object"},
};

static const struct rc_cli_usage usage = {
    .command = "sim",
    .synopsis = "--instance ID --group GROUP [options]\n"
                "       rollcall sim --verify FILE --topic TOPIC [options]",
    .about = "Brings a fleet of simulated devices up and down at a stated rate and tells what came of it.\n"
             "Ctrl-C begins the end of the run; again, it ends at once.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples =
        "  export ROLLCALL_ACCESS_KEY=QuickAccessKey ROLLCALL_SECRET_KEY=QuickSecretKey\n"
        "  rollcall sim --instance rc-quick --group GID_quick --clients 1000 --rate 500/s\n"
        "  rollcall sim --instance rc-quick --group GID_quick --pattern churn --clients 5000 \\\n"
        "      --rate 1000/s --stay 2s --duration 30s --topic GID_quick_MQTT --pid $(pidof rollcall) \\\n"
        "      --record fleet.jsonl\n"
        "  rollcall sim --verify fleet.jsonl --topic GID_quick_MQTT\n",
};

/* ---- options ---- */

static bool pattern_of(const char *name, enum rc_sim_pattern *ret)
{
    static const char *const names[] = {
        [RC_SIM_HOLD] = "hold",         [RC_SIM_CHURN] = "churn", [RC_SIM_FLAP] = "flap",
        [RC_SIM_TAKEOVER] = "takeover", [RC_SIM_CUT] = "cut",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum rc_sim_pattern)i;
            return true;
        }
    }
    return false;
}

/* Numbers at once; a name is resolved here, before anything runs. */
static int resolve(const char *text, struct rc_address *ret, struct rc_error *error)
{
    char host[256];
    const char *colon = strrchr(text, ':');
    if (rc_address_parse(text, ret, error) == RC_OK)
        return RC_OK;
    if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
        return RC_ERR_INVALID;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
    int code = getaddrinfo(host, colon + 1, &hints, &found);
    if (code != 0)
        return rc_error_set(error, RC_ERR_NOT_FOUND, "%s: %s", text, gai_strerror(code));
    memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
    ret->len = found->ai_addrlen;
    freeaddrinfo(found);
    return RC_OK;
}

static uint32_t sources_for(const struct sim_options *options, const struct rc_address *server)
{
    uint8_t ip[4];
    if (!rc_address_ipv4(server, ip) || ip[0] != 127)
        return 0;
    if (options->sources != 0)
        return (uint32_t)options->sources;
    double ports = (double)options->clients + options->rate * REST_S;
    double sources = ports / PORTS_PER_SOURCE + 1;
    return sources < SOURCES_MAX ? (uint32_t)sources : SOURCES_MAX;
}

static int check(struct sim *sim)
{
    struct sim_options *options = &sim->options;
    struct rc_sim_fleet_options *to = &sim->fleet_options;
    struct rc_error error = {0};
    if (options->verify_file != NULL && options->topic == NULL)
        return rc_cli_refuse(&usage, "--verify needs --topic, where the events are");
    if (options->verify_file != NULL)
        return RC_CLI_GO_ON;
    if (options->instance == NULL || options->group == NULL)
        return rc_cli_refuse(&usage, "--instance and --group are needed");
    if (options->keys.secret[0] == '\0')
        return rc_cli_refuse(&usage,
                             "the key pair is missing: set ROLLCALL_ACCESS_KEY and ROLLCALL_SECRET_KEY");
    if (!pattern_of(options->pattern, &to->pattern))
        return rc_cli_refuse(&usage, "--pattern is hold, churn, flap, takeover or cut, not '%s'",
                             options->pattern);
    if (resolve(options->server, &to->server, &error) != RC_OK)
        return rc_cli_refuse(&usage, "--server: %s", error.text);
    if (rc_sim_record_init(&sim->record, options->group, options->prefix, (uint32_t)options->clients) !=
        RC_OK)
        return rc_cli_refuse(&usage, "--group and --prefix are too long");
    to->instance = options->instance;
    to->access_key = options->keys.access;
    to->secret_key = options->keys.secret;
    to->clients = (uint32_t)options->clients;
    to->rate = options->rate;
    to->end_rate = options->end_rate > 0 ? options->end_rate : options->rate;
    to->duration_ms = options->duration_ms;
    to->stay_ms = options->stay_ms;
    to->timeout_ms = options->timeout_ms;
    to->flaps = to->pattern == RC_SIM_FLAP ? (uint32_t)options->flaps : 0;
    to->keep_alive_s = (uint16_t)options->keep_alive_s;
    to->sources = sources_for(options, &to->server);
    return RC_CLI_GO_ON;
}

static int raise_file_limit(uint64_t clients)
{
    struct rlimit limit;
    uint64_t need = clients * 2 + 100;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= need)
        return RC_CLI_GO_ON;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= clients + 100)
        return RC_CLI_GO_ON;
    return rc_cli_fail("sim", "%llu clients need as many open files, the limit is %llu (ulimit -n)",
                       (unsigned long long)clients, (unsigned long long)limit.rlim_cur);
}

/* ---- while it runs ---- */

static void look_at_server(struct sim *sim)
{
    const struct rc_sim_tally *tally = rc_sim_fleet_tally(sim->fleet);
    if (sim->options.pid == 0 || tally->up < sim->full_up || tally->up == 0 ||
        rc_sim_fleet_is_leaving(sim->fleet))
        return;
    if (rc_sim_usage_of(sim->options.pid, &sim->full) == RC_OK)
        sim->full_up = tally->up;
}

static void print_progress(struct sim *sim)
{
    const struct rc_sim_tally *tally = rc_sim_fleet_tally(sim->fleet);
    fprintf(stderr,
            "\r%7.1f s  up %u  started %llu  accepted %llu  refused %llu  failed %llu  missed %llu \033[K",
            (double)rc_sim_record_now_us(&sim->record) / 1e6, tally->up, (unsigned long long)tally->started,
            (unsigned long long)tally->accepted, (unsigned long long)tally->refused,
            (unsigned long long)(tally->not_reached + tally->unanswered), (unsigned long long)tally->missed);
    sim->has_progress_line = true;
}

static void on_progress(struct rc_timer *timer)
{
    struct sim *sim = rc_container_of(timer, struct sim, progress);
    look_at_server(sim);
    if (isatty(STDERR_FILENO))
        print_progress(sim);
    rc_timer_start(sim->loop, &sim->progress, PROGRESS_MS);
}

static void on_interrupt(struct rc_interrupt *interrupt)
{
    struct sim *sim = rc_container_of(interrupt, struct sim, interrupt);
    rc_sim_fleet_finish(sim->fleet);
}

static void on_done(void *arg)
{
    struct sim *sim = arg;
    rc_loop_stop(sim->loop);
}

/* ---- the result ---- */

static struct rc_sim_percentiles connack_times(const struct rc_sim_record *record)
{
    uint64_t *values = rc_calloc(record->count ? record->count : 1, sizeof(*values));
    size_t count = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        const struct rc_sim_entry *entry = &record->entries[i];
        if (entry->outcome == RC_SIM_ACCEPTED)
            values[count++] = entry->answer_us - entry->dial_us;
    }
    struct rc_sim_percentiles result = rc_sim_percentiles_of(values, count);
    free(values);
    return result;
}

static void print_server_text(const struct sim *sim, const struct rc_sim_tally *tally)
{
    double cpu = sim->after.cpu_s - sim->before.cpu_s;
    double memory = (double)sim->full.memory_bytes - (double)sim->before.memory_bytes;
    if (sim->options.pid == 0)
        return;
    printf("server CPU         %.2f s", cpu);
    if (tally->accepted > 0)
        printf(", %.1f us a connection", cpu * 1e6 / (double)tally->accepted);
    printf("\nserver memory      %.1f MiB before, %.1f MiB after", (double)sim->before.memory_bytes / 1048576,
           (double)sim->after.memory_bytes / 1048576);
    if (sim->full_up > 0)
        printf(", %.1f MiB with %u up: %.0f bytes each", (double)sim->full.memory_bytes / 1048576,
               sim->full_up, memory / sim->full_up);
    printf("  (RssAnon + RssShmem)\n");
}

static void print_text(const struct sim *sim)
{
    const struct rc_sim_tally *tally = rc_sim_fleet_tally(sim->fleet);
    struct rc_sim_percentiles connack = connack_times(&sim->record);
    char text[160];
    printf("connections        %llu: %llu accepted, %llu refused, %llu not reached, %llu unanswered\n",
           (unsigned long long)tally->started, (unsigned long long)tally->accepted,
           (unsigned long long)tally->refused, (unsigned long long)tally->not_reached,
           (unsigned long long)tally->unanswered);
    if (tally->refused > 0)
        printf("last refusal       CONNACK %u\n", tally->last_refusal);
    printf(
        "ended by           leave %llu, close %llu, cut %llu, takeover %llu, the server %llu, timeout %llu\n",
        (unsigned long long)tally->ends[RC_SIM_END_LEAVE], (unsigned long long)tally->ends[RC_SIM_END_CLOSE],
        (unsigned long long)tally->ends[RC_SIM_END_CUT], (unsigned long long)tally->ends[RC_SIM_END_TAKEOVER],
        (unsigned long long)tally->ends[RC_SIM_END_SERVER],
        (unsigned long long)tally->ends[RC_SIM_END_TIMEOUT]);
    printf("at most up         %u\n", tally->up_max);
    printf("missed arrivals    %llu\n", (unsigned long long)tally->missed);
    printf("dial to CONNACK    %s\n", rc_sim_percentiles_text(&connack, text, sizeof(text)));
    if (sim->collector != NULL)
        rc_sim_verdict_print(&sim->verdict, true);
    print_server_text(sim, tally);
}

static void put_server_json(struct rc_json *json, const struct sim *sim)
{
    rc_json_key(json, "server");
    rc_json_object_begin(json);
    rc_json_put_int(json, "cpuUs", (int64_t)((sim->after.cpu_s - sim->before.cpu_s) * 1e6));
    rc_json_put_int(json, "memoryBefore", (int64_t)sim->before.memory_bytes);
    rc_json_put_int(json, "memoryFull", (int64_t)sim->full.memory_bytes);
    rc_json_put_int(json, "memoryAfter", (int64_t)sim->after.memory_bytes);
    rc_json_put_int(json, "upAtFull", sim->full_up);
    rc_json_object_end(json);
}

static void print_json(const struct sim *sim)
{
    const struct rc_sim_tally *tally = rc_sim_fleet_tally(sim->fleet);
    struct rc_sim_percentiles connack = connack_times(&sim->record);
    struct rc_buf out;
    struct rc_json json;
    rc_buf_init(&out, 65536);
    rc_json_init(&json, &out);
    rc_json_object_begin(&json);
    rc_json_put_int(&json, "started", (int64_t)tally->started);
    rc_json_put_int(&json, "accepted", (int64_t)tally->accepted);
    rc_json_put_int(&json, "refused", (int64_t)tally->refused);
    rc_json_put_int(&json, "notReached", (int64_t)tally->not_reached);
    rc_json_put_int(&json, "unanswered", (int64_t)tally->unanswered);
    rc_json_put_int(&json, "missed", (int64_t)tally->missed);
    rc_json_put_int(&json, "upMax", tally->up_max);
    rc_json_key(&json, "ends");
    rc_json_object_begin(&json);
    for (int i = 0; i <= RC_SIM_END_TIMEOUT; i++)
        rc_json_put_int(&json, rc_sim_end_name((enum rc_sim_end)i), (int64_t)tally->ends[i]);
    rc_json_object_end(&json);
    rc_sim_percentiles_json(&json, "dialToConnack", &connack);
    if (sim->options.pid != 0)
        put_server_json(&json, sim);
    if (sim->collector != NULL)
        rc_sim_verdict_json(&json, &sim->verdict, true);
    rc_json_object_end(&json);
    printf("%.*s\n", RC_SLICE_FMT(rc_buf_slice(&out)));
    rc_buf_free(&out);
}

/* ---- events ---- */

static int start_collector(struct sim *sim)
{
    struct rc_error error;
    struct rc_sim_collector_options options = {
        .endpoint = sim->options.endpoint,
        .topic = sim->options.topic,
        .access_key = sim->options.keys.access[0] ? sim->options.keys.access : NULL,
        .secret_key = sim->options.keys.secret[0] ? sim->options.keys.secret : NULL,
    };
    if (rc_sim_collector_start(&options, &sim->record, &sim->collector, &error) != RC_OK)
        return rc_cli_fail("sim", "%s", error.text);
    if (!rc_sim_collector_wait_ready(sim->collector, READY_MS))
        return rc_cli_fail("sim", "the consumer has found no queue of %s at %s", options.topic,
                           options.endpoint);
    return RC_CLI_GO_ON;
}

static uint64_t count_ends(const struct rc_sim_record *record)
{
    uint64_t ends = 0;
    for (uint32_t i = 0; i < record->count; i++)
        ends += record->entries[i].outcome == RC_SIM_ACCEPTED && record->entries[i].end != RC_SIM_END_NONE;
    return ends;
}

static void collect_and_verify(struct sim *sim, bool is_live)
{
    rc_sim_collector_wait_ends(sim->collector, count_ends(&sim->record), sim->options.wait_ms);
    rc_sim_collector_stop(sim->collector);
    rc_sim_verify(&sim->record, sim->collector, is_live, &sim->verdict);
}

static int verdict_code(const struct sim *sim)
{
    if (sim->collector == NULL || rc_sim_verdict_is_good(&sim->verdict))
        return RC_EXIT_OK;
    return rc_cli_fail("sim", "the events are not what was done");
}

static int verify_file(struct sim *sim)
{
    struct rc_error error;
    struct rc_buf out;
    struct rc_json json;
    if (rc_sim_record_read(&sim->record, sim->options.verify_file, &error) != RC_OK)
        return rc_cli_fail("sim", "%s", error.text);
    int result = start_collector(sim);
    if (result != RC_CLI_GO_ON)
        return result;
    collect_and_verify(sim, false);
    if (sim->options.json) {
        rc_buf_init(&out, 65536);
        rc_json_init(&json, &out);
        rc_json_object_begin(&json);
        rc_sim_verdict_json(&json, &sim->verdict, false);
        rc_json_object_end(&json);
        printf("%.*s\n", RC_SLICE_FMT(rc_buf_slice(&out)));
        rc_buf_free(&out);
    } else {
        rc_sim_verdict_print(&sim->verdict, false);
    }
    return verdict_code(sim);
}

/* ---- the run ---- */

static int start(struct sim *sim)
{
    int err = rc_loop_create("sim", &sim->loop);
    if (err != RC_OK)
        return rc_cli_fail("sim", "no event loop: %s", rc_err_text(err));
    sim->interrupt.on_interrupt = on_interrupt;
    err = rc_interrupt_start(&sim->interrupt, sim->loop);
    if (err != RC_OK)
        return rc_cli_fail("sim", "signals: %s", rc_err_text(err));
    if (sim->options.pid != 0 && rc_sim_usage_of(sim->options.pid, &sim->before) != RC_OK)
        return rc_cli_fail("sim", "--pid %llu: there is no such process",
                           (unsigned long long)sim->options.pid);
    if (sim->options.topic != NULL) {
        int result = start_collector(sim);
        if (result != RC_CLI_GO_ON)
            return result;
        usleep(WARM_UP_MS * 1000);
    }
    sim->fleet = rc_sim_fleet_create(sim->loop, &sim->fleet_options, &sim->record, on_done, sim);
    sim->progress.on_due = on_progress;
    rc_timer_start(sim->loop, &sim->progress, PROGRESS_MS);
    return RC_CLI_GO_ON;
}

static int finish(struct sim *sim)
{
    struct rc_error error;
    const struct rc_sim_tally *tally = rc_sim_fleet_tally(sim->fleet);
    if (sim->has_progress_line)
        fprintf(stderr, "\r\033[K");
    sim->after = sim->before;
    if (sim->options.pid != 0 && rc_sim_usage_of(sim->options.pid, &sim->after) != RC_OK)
        fprintf(stderr, "rollcall sim: warning: process %llu has gone\n",
                (unsigned long long)sim->options.pid);
    if (sim->collector != NULL)
        collect_and_verify(sim, true);
    if (sim->options.json)
        print_json(sim);
    else
        print_text(sim);
    if (sim->options.record_file != NULL &&
        rc_sim_record_write(&sim->record, sim->options.record_file, &error) != RC_OK)
        return rc_cli_fail("sim", "%s", error.text);
    if (tally->accepted == 0)
        return rc_cli_fail("sim", "no connection was accepted");
    return verdict_code(sim);
}

static void release(struct sim *sim)
{
    rc_sim_collector_destroy(sim->collector);
    rc_timer_stop(&sim->progress);
    rc_sim_fleet_destroy(sim->fleet);
    rc_interrupt_stop(&sim->interrupt);
    rc_loop_destroy(sim->loop);
    rc_sim_record_free(&sim->record);
}

static int run_fleet(struct sim *sim)
{
    int result = raise_file_limit(sim->options.clients);
    if (result == RC_CLI_GO_ON)
        result = start(sim);
    if (result != RC_CLI_GO_ON)
        return result;
    rc_sim_fleet_start(sim->fleet);
    rc_loop_run(sim->loop);
    return finish(sim);
}

static int run(int argc, char **argv)
{
    struct sim sim = {
        .options = {.server = "127.0.0.1:1883",
                    .prefix = "sim",
                    .pattern = "hold",
                    .clients = 100,
                    .rate = 100,
                    .duration_ms = 10000,
                    .stay_ms = 1000,
                    .timeout_ms = 10000,
                    .flaps = 3,
                    .keep_alive_s = 60,
                    .endpoint = "127.0.0.1:9876",
                    .wait_ms = 5000},
    };
    int result = rc_cli_parse(&usage, argc, argv, &sim.options);
    if (result == RC_CLI_GO_ON)
        result = rc_cli_load_keys(&usage, &sim.options.keys);
    if (result == RC_CLI_GO_ON)
        result = check(&sim);
    if (result == RC_CLI_GO_ON)
        result = sim.options.verify_file != NULL ? verify_file(&sim) : run_fleet(&sim);
    release(&sim);
    return result;
}

const struct rc_cli_command rc_cli_sim = {"sim", "bring a fleet of devices up and down", run,
                                          (const struct rc_cli_usage *const[]){&usage, NULL}};
