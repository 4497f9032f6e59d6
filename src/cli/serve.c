/* rollcall serve: options, configuration, signals. What is started and in which order is server.c's. */
#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "cli/commands.h"
#include "cli/hints.h"
#include "cli/notify.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/server.h"
#include "control/control.h"
#include "control/control_transports.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/rollcall/rollcall.yaml"

struct serve_options {
    const char *config_file;
    bool test_config, print_config, print_reference, hints;
};

static const struct rc_cli_option rows[] = {
    {.name = "config",
     .letter = 'c',
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct serve_options, config_file),
     .value = "FILE",
     .help = "the configuration (default: " CONFIG_FILE ")"},
    {.name = "hints",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct serve_options, hints),
     .help = "once started, print commands to try"},
    {.name = "test-config",
     .letter = 't',
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct serve_options, test_config),
     .help = "check the configuration and exit"},
    {.name = "print-config",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct serve_options, print_config),
     .help = "check it, print what is in effect (defaults\nincluded, secrets not) and exit"},
    {.name = "print-reference",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct serve_options, print_reference),
     .help = "print every key's bounds, default and meaning\n(Markdown) and exit"},
};

static const struct rc_cli_usage usage = {
    .command = "serve",
    .synopsis = "[-c FILE] [options]",
    .about = "Runs the server in the foreground, until SIGTERM or Ctrl-C; a second one stops it at once.\n"
             "SIGHUP reads the configuration again. A wrong configuration ends it with exit code 2.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall serve -c examples/quickstart.yaml\n"
                "  rollcall serve -c rollcall.yaml --test-config\n",
};

static int print_reference(void)
{
    struct rc_buf page;
    rc_buf_init(&page, RC_CONFIG_FILE_MAX);
    return rc_cli_write_out(&page, rc_config_print_reference(&page));
}

static int print_config(const struct rc_config *config)
{
    struct rc_buf text;
    rc_buf_init(&text, 4 * RC_CONFIG_FILE_MAX);
    return rc_cli_write_out(&text, rc_config_print(config, &text));
}

/* Configuration, catalog and transports, or nothing with all that is wrong in `errors`. */
static bool load(const char *file, struct rc_config **config, struct rc_catalog **catalog,
                 struct rc_transports *transports, struct rc_config_errors *errors)
{
    *transports = (struct rc_transports){0};
    *config = rc_config_load(file, errors);
    *catalog = *config != NULL ? rc_control_build_catalog(*config, errors) : NULL;
    bool is_right = *config != NULL && rc_control_build_transports(*config, transports, errors);
    if (is_right && *catalog != NULL)
        return true;
    rc_transports_free(transports);
    rc_catalog_unref(*catalog);
    rc_config_free(*config);
    *config = NULL;
    return false;
}

static void print_errors(const struct rc_config_errors *errors)
{
    struct rc_slice text = rc_buf_slice(&errors->text);
    fprintf(stderr, "%.*s", RC_SLICE_FMT(text));
    if (errors->count > RC_CONFIG_ERRORS_MAX)
        fprintf(stderr, "and %u more\n", errors->count - RC_CONFIG_ERRORS_MAX);
}

/* ---- the process ---- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        rc_log_warn("serve", "the limit on open files cannot be raised: %s", strerror(errno));
}

/*
 * The signals are blocked in all threads and waited for by the main thread, so nothing is ever interrupted.
 * Must run before any thread is started.
 */
static void block_signals(sigset_t *waited)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(waited);
    sigaddset(waited, SIGTERM);
    sigaddset(waited, SIGINT);
    sigaddset(waited, SIGHUP);
    sigprocmask(SIG_BLOCK, waited, NULL);
}

static void on_second_signal(int number)
{
    static const char text[] = "stopped at once; what is missing in the log is added at the next start\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    _exit(RC_EXIT_FAILURE);
}

/* From here on another SIGTERM or SIGINT ends the process on the spot. */
static void let_second_signal_through(void)
{
    struct sigaction action = {.sa_handler = on_second_signal};
    sigset_t fatal;
    sigemptyset(&fatal);
    sigaddset(&fatal, SIGTERM);
    sigaddset(&fatal, SIGINT);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &fatal, NULL);
}

/* ---- reload ---- */

static void log_errors(const struct rc_config_errors *errors)
{
    struct rc_slice rest = rc_buf_slice(&errors->text);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
        rc_log_error("config", "%.*s", (int)len, (const char *)rest.ptr);
        rest = rc_slice_from(rest, len < rest.len ? len + 1 : len);
    }
}

static void report_fixed(const char *path, void *arg)
{
    rc_log_warn("config", "%s has changed; that takes effect at the next start", path);
}

/* `started` is what the server was started with: what cannot change goes on being compared with that. */
static void reload(struct rc_server *server, const struct rc_config *started)
{
    struct rc_config_errors errors;
    struct rc_config *config;
    struct rc_catalog *catalog;
    struct rc_transports transports;
    struct rc_error error = {0};
    rc_config_errors_init(&errors);
    rc_notify_reloading();
    if (!load(started->file, &config, &catalog, &transports, &errors)) {
        log_errors(&errors);
        rc_log_error("config", "the configuration was not reloaded, the old one stays: errors=%u",
                     errors.count);
    } else if (rc_server_reload(server, catalog, &transports, &error) != RC_OK) {
        rc_log_error("config", "the configuration was not reloaded, the old one stays: %s", error.text);
    } else {
        rc_config_each_fixed_change(started, config, report_fixed, NULL);
        rc_log_set_level((enum rc_log_level)config->log.level);
        rc_log_info("config", "reloaded: file=%s instances=%u", started->file, config->instances.count);
    }
    rc_config_free(config);
    rc_config_errors_free(&errors);
    rc_notify("READY=1");
}

/* ---- run ---- */

static void wait_for_stop(struct rc_server *server, const struct rc_config *config, const sigset_t *waited)
{
    for (;;) {
        int number = sigwaitinfo(waited, NULL);
        if (number == SIGHUP) {
            reload(server, config);
        } else if (number == SIGTERM || number == SIGINT) {
            rc_log_info("serve", "stopping: signal=%s", number == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
    }
}

static int run_server(const struct rc_config *config, struct rc_catalog *catalog,
                      struct rc_transports *transports, bool hints)
{
    struct rc_server *server;
    struct rc_error error = {0};
    sigset_t waited;
    char where[1024];
    uint64_t begun_ns = rc_clock_mono_ns();
    tzset(); /* before there are threads that ask for local time, so that none of them sees it being read */
    block_signals(&waited);
    raise_file_limit();
    rc_log_set_level((enum rc_log_level)config->log.level);
    if (rc_server_start(config, catalog, transports, &server, &error) != RC_OK) {
        fprintf(stderr, "rollcall serve: %s\n", error.text);
        return RC_EXIT_FAILURE;
    }
    rc_server_describe(server, where, sizeof(where));
    rc_log_info("serve", "ready: version=%s %s pid=%d start_ms=%llu", RC_VERSION, where, (int)getpid(),
                (unsigned long long)((rc_clock_mono_ns() - begun_ns) / 1000000u));
    rc_notify("READY=1");
    if (hints)
        rc_hints_print(config, rc_server_mqtt_address(server), rc_server_rocketmq_address(server), stdout);
    wait_for_stop(server, config, &waited);
    rc_notify("STOPPING=1");
    let_second_signal_through();
    rc_server_stop(server);
    rc_log_info("serve", "stopped");
    return RC_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct serve_options options = {.config_file = CONFIG_FILE};
    struct rc_config_errors errors;
    struct rc_config *config;
    struct rc_catalog *catalog;
    struct rc_transports transports;
    int code = rc_cli_parse(&usage, argc, argv, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    if (options.print_reference)
        return print_reference();
    rc_config_errors_init(&errors);
    if (!load(options.config_file, &config, &catalog, &transports, &errors)) {
        print_errors(&errors);
        code = RC_EXIT_USAGE;
    } else if (options.print_config) {
        code = print_config(config);
        rc_catalog_unref(catalog);
        rc_transports_free(&transports);
    } else if (options.test_config) {
        printf("%s: OK\n", options.config_file);
        code = RC_EXIT_OK;
        rc_catalog_unref(catalog);
        rc_transports_free(&transports);
    } else {
        code = run_server(config, catalog, &transports, options.hints || config->hints);
    }
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return code;
}

const struct rc_cli_command rc_cli_serve = {.name = "serve",
                                            .summary = "runs the server (-c FILE)",
                                            .run = run,
                                            .usages = (const struct rc_cli_usage *const[]){&usage, NULL}};
