/* rollcall registry export|import: what was made at run time as one file, without a server. */
#include "registry/registry.h"

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/registry_names.h"
#include "control/control.h"
#include "registry/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct registry_options {
    const char *config_file, *file;
};

static const struct rc_cli_option rows[] = {
    {.name = "config",
     .letter = 'c',
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct registry_options, config_file),
     .value = "FILE",
     .help = "the server's configuration\n(default: /etc/rollcall/rollcall.yaml)"},
    {.name = "file",
     .letter = 'f',
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct registry_options, file),
     .value = "FILE",
     .help = "the export (default: standard output, or input)"},
};

static const struct rc_cli_usage export_usage = {
    .command = "registry export",
    .synopsis = "[-c FILE] [-f FILE]",
    .about =
        "Writes everything that was made at run time (groups, keys, device credentials, topics and consumer\n"
        "groups of the RocketMQ endpoint...) as JSON, a line each. Secrets stand in it as they are. The\n"
        "server may run meanwhile.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall registry export -c rollcall.yaml -f registry.jsonl\n",
};
static const struct rc_cli_usage import_usage = {
    .command = "registry import",
    .synopsis = "[-c FILE] [-f FILE]",
    .about =
        "Reads an export, all of it or nothing; what is there by the same name is replaced. Where something\n"
        "is wrong, the line is told, and what may stand there. The server must not run.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall registry import -c rollcall.yaml -f registry.jsonl\n",
};

static int fail(const struct rc_cli_usage *usage, const char *text)
{
    fprintf(stderr, "rollcall %s: %s\n", usage->command, text);
    return RC_EXIT_FAILURE;
}

static int open_registry(const struct rc_config *config, bool is_reader, struct rc_registry **ret,
                         struct rc_error *error)
{
    char dir[1024 + 16], path[sizeof(dir) + 16]; /* the configuration takes no longer one */
    const char *key = config->registry.key.text;
    snprintf(dir, sizeof(dir), "%s/rollcall", config->store.dir.text);
    snprintf(path, sizeof(path), "%s/registry.db", dir);
    if (!is_reader && ((mkdir(config->store.dir.text, 0750) != 0 && errno != EEXIST) ||
                       (mkdir(dir, 0750) != 0 && errno != EEXIST)))
        return rc_error_set(error, rc_err_from_errno(errno), "%s cannot be made: %s", dir, strerror(errno));
    struct rc_registry_options options = {
        .path = path, .key_text = key[0] != '\0' ? key : NULL, .is_reader = is_reader};
    return rc_registry_open(&options, ret, error);
}

/* Nobody but its owner may read what is written. */
static FILE *open_file(const char *name, bool is_export)
{
    if (name == NULL)
        return is_export ? stdout : stdin;
    if (!is_export)
        return fopen(name, "r");
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd != -1 ? fdopen(fd, "w") : NULL;
    if (file == NULL && fd != -1)
        close(fd);
    return file;
}

static int64_t transfer(struct rc_registry *registry, const struct rc_config *config,
                        const struct rc_catalog *declared, FILE *file, bool is_export, struct rc_error *error)
{
    struct rc_registry_names *names = rc_registry_names_create(config);
    const struct rc_transfer_names *table = rc_registry_names_table(names);
    int64_t count = is_export ? rc_registry_export(registry, table, file, error)
                              : rc_registry_import(registry, declared, table, file, error);
    rc_registry_names_free(names);
    return count;
}

static int run_with(const struct rc_cli_usage *usage, const struct rc_config *config,
                    const struct rc_catalog *declared, const char *name)
{
    struct rc_error error = {0};
    struct rc_registry *registry;
    bool is_export = usage == &export_usage;
    if (open_registry(config, is_export, &registry, &error) != RC_OK)
        return fail(usage, error.text);
    FILE *file = open_file(name, is_export);
    int64_t count = RC_ERR_IO;
    if (file == NULL)
        rc_error_set(&error, RC_ERR_IO, "%s: %s", name, strerror(errno));
    else
        count = transfer(registry, config, declared, file, is_export, &error);
    if (file != NULL && name != NULL && fclose(file) != 0 && count >= 0)
        count = rc_error_set(&error, RC_ERR_IO, "%s: %s", name, strerror(errno));
    rc_registry_close(registry);
    if (count < 0)
        return fail(usage, error.text);
    fprintf(stderr, "%lld lines %s\n", (long long)count, is_export ? "written" : "read");
    return RC_EXIT_OK;
}

static int run_verb(const struct rc_cli_usage *usage, int argc, char **argv)
{
    struct registry_options options = {.config_file = "/etc/rollcall/rollcall.yaml"};
    struct rc_config_errors errors;
    int code = rc_cli_parse(usage, argc, argv, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_load(options.config_file, &errors);
    struct rc_catalog *declared = config != NULL ? rc_control_build_catalog(config, &errors) : NULL;
    if (declared != NULL) {
        code = run_with(usage, config, declared, options.file);
    } else {
        struct rc_slice text = rc_buf_slice(&errors.text);
        fprintf(stderr, "%.*s", RC_SLICE_FMT(text));
        code = RC_EXIT_USAGE;
    }
    rc_catalog_unref(declared);
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return code;
}

static const char help[] =
    "Usage: rollcall registry <export|import> [options]\n\n"
    "What was made at run time, as one file.\n\n"
    "  export  writes it\n"
    "  import  reads it\n\n"
    "'rollcall registry export --help' and 'rollcall registry import --help' tell more.\n\n"
    "Examples:\n"
    "  rollcall registry export --help\n"
    "  rollcall registry import --help\n";

static int run(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "export") == 0)
        return run_verb(&export_usage, argc - 1, argv + 1);
    if (strcmp(verb, "import") == 0)
        return run_verb(&import_usage, argc - 1, argv + 1);
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(help, stdout);
        return RC_EXIT_OK;
    }
    if (argc > 1)
        fprintf(stderr, "rollcall registry: '%s' was given, export or import was expected\n", verb);
    fputs(help, stderr);
    return RC_EXIT_USAGE;
}

const struct rc_cli_command rc_cli_registry = {
    "registry", "export or import what was made at run time", run,
    (const struct rc_cli_usage *const[]){&export_usage, &import_usage, NULL}};
