#include "cli/options.h"

#include "base/nearest.h"
#include "cli/commands.h"
#include "control/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 27, OPTION_CODE_FIRST = 1000 };

/* ---- help ---- */

static void print_option(const struct rc_cli_option *option)
{
    int width =
        printf("  --%s%s%s", option->name, option->value ? " " : "", option->value ? option->value : "");
    const char *line = option->help;
    if (width >= HELP_COLUMN - 1) {
        putchar('\n');
        width = 0;
    }
    for (;;) {
        const char *end = strchrnul(line, '\n');
        printf("%*s%.*s\n", HELP_COLUMN - width, "", (int)(end - line), line);
        if (*end == '\0')
            return;
        line = end + 1;
        width = 0;
    }
}

static void print_help(const struct rc_cli_usage *usage)
{
    printf("Usage: rollcall %s %s\n\n%s\nOptions:\n", usage->command, usage->synopsis, usage->about);
    for (size_t i = 0; i < usage->count; i++)
        print_option(&usage->options[i]);
    printf("  --help\n");
    if (usage->examples != NULL)
        printf("\nExamples:\n%s", usage->examples);
    puts("\nExit codes: " RC_CLI_EXIT_CODES);
}

/* ---- messages ---- */

static void __attribute__((format(printf, 2, 0)))
complain(const char *command, const char *format, va_list args)
{
    fprintf(stderr, "rollcall %s: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int rc_cli_refuse(const struct rc_cli_usage *usage, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(usage->command, format, args);
    va_end(args);
    fprintf(stderr, "Try 'rollcall %s --help'.\n", usage->command);
    return RC_EXIT_USAGE;
}

int rc_cli_fail(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    complain(command, format, args);
    va_end(args);
    return RC_EXIT_FAILURE;
}

/* ---- values ---- */

static bool parse_whole(const char *text, uint64_t *ret, const char **ret_rest)
{
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *ret = number;
    *ret_rest = end;
    return true;
}

static bool parse_duration(const char *text, uint64_t *ret)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
    const char *unit;
    uint64_t number;
    if (!parse_whole(text, &number, &unit))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].unit) == 0 && number <= UINT64_MAX / units[i].ms) {
            *ret = number * units[i].ms;
            return true;
        }
    }
    return false;
}

static bool parse_rate(const char *text, double *ret)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || !isfinite(number) || number <= 0)
        return false;
    if (strcmp(end, "/m") == 0)
        number /= 60;
    else if (*end != '\0' && strcmp(end, "/s") != 0)
        return false;
    *ret = number;
    return true;
}

static int refuse_bounds(const struct rc_cli_usage *usage, const struct rc_cli_option *option)
{
    const char *unit = option->kind == RC_CLI_DURATION ? " ms" : "";
    if (option->max == 0)
        return rc_cli_refuse(usage, "--%s must be at least %llu%s", option->name,
                             (unsigned long long)option->min, unit);
    return rc_cli_refuse(usage, "--%s must be from %llu to %llu%s", option->name,
                         (unsigned long long)option->min, (unsigned long long)option->max, unit);
}

static int set_number(const struct rc_cli_usage *usage, const struct rc_cli_option *option, const char *text,
                      uint64_t *field)
{
    uint64_t number;
    const char *rest = "";
    if (option->kind == RC_CLI_DURATION) {
        if (!parse_duration(text, &number))
            return rc_cli_refuse(usage, "--%s takes a time like 500ms, 10s, 5m or 1h, not '%s'", option->name,
                                 text);
    } else if (!parse_whole(text, &number, &rest) || *rest != '\0') {
        return rc_cli_refuse(usage, "--%s takes a whole number, not '%s'", option->name, text);
    }
    if (number < option->min || (option->max != 0 && number > option->max))
        return refuse_bounds(usage, option);
    *field = number;
    return RC_CLI_GO_ON;
}

static int set_value(const struct rc_cli_usage *usage, const struct rc_cli_option *option, void *into)
{
    void *field = (char *)into + option->offset;
    switch (option->kind) {
    case RC_CLI_FLAG:
        *(bool *)field = true;
        break;
    case RC_CLI_TEXT:
        *(const char **)field = optarg;
        break;
    case RC_CLI_COUNT:
    case RC_CLI_DURATION:
        return set_number(usage, option, optarg, field);
    case RC_CLI_RATE:
        if (!parse_rate(optarg, field))
            return rc_cli_refuse(usage, "--%s takes a rate like 500/s or 30/m, not '%s'", option->name,
                                 optarg);
        break;
    }
    return RC_CLI_GO_ON;
}

/* ---- the command line ---- */

static const char *option_name(const void *options, size_t index)
{
    return ((const struct rc_cli_option *)options)[index].name;
}

static int refuse_option(const struct rc_cli_usage *usage, const char *given)
{
    struct rc_slice name = rc_slice_str(given + strspn(given, "-"));
    name.len = strcspn((const char *)name.ptr, "=");
    const char *near = rc_nearest(name, option_name, usage->options, usage->count);
    if (near != NULL)
        return rc_cli_refuse(usage, "there is no option '%s'; did you mean '--%s'?", given, near);
    return rc_cli_refuse(usage, "there is no option '%s'", given);
}

static int refuse_scanned(const struct rc_cli_usage *usage, int code, char **argv)
{
    if (code == ':')
        return rc_cli_refuse(usage, "%s needs a value", argv[optind - 1]);
    if (optopt >= OPTION_CODE_FIRST) /* a flag was given a value */
        return rc_cli_refuse(usage, "%s: that option takes no value", argv[optind - 1]);
    return refuse_option(usage, argv[optind - 1]);
}

/* Tells getopt of the options; `letters` takes 3 bytes an option and 4 more. */
static void describe(const struct rc_cli_usage *usage, struct option *longs, char *letters)
{
    *letters++ = ':';
    *letters++ = 'h';
    for (size_t i = 0; i < usage->count; i++) {
        const struct rc_cli_option *option = &usage->options[i];
        int has_arg = option->kind == RC_CLI_FLAG ? no_argument : required_argument;
        longs[i] = (struct option){option->name, has_arg, NULL, OPTION_CODE_FIRST + (int)i};
        if (option->letter == 0)
            continue;
        *letters++ = option->letter;
        if (has_arg == required_argument)
            *letters++ = ':';
    }
    longs[usage->count] = (struct option){"help", no_argument, NULL, 'h'};
    *letters = '\0';
}

static const struct rc_cli_option *find_option(const struct rc_cli_usage *usage, int code)
{
    if (code >= OPTION_CODE_FIRST)
        return &usage->options[code - OPTION_CODE_FIRST];
    for (size_t i = 0; i < usage->count; i++) {
        if (code == usage->options[i].letter)
            return &usage->options[i];
    }
    return NULL;
}

static int take_operands(const struct rc_cli_usage *usage, int argc, char **argv, void *into)
{
    if (usage->operand != NULL && optind < argc)
        *(const char **)((char *)into + usage->operand_offset) = argv[optind++];
    if (optind == argc)
        return RC_CLI_GO_ON;
    if (usage->operand != NULL)
        return rc_cli_refuse(usage, "'%s' is one word too many: it takes one %s", argv[optind],
                             usage->operand);
    return rc_cli_refuse(usage, "'%s' is one word too many: all that it takes are options", argv[optind]);
}

int rc_cli_parse(const struct rc_cli_usage *usage, int argc, char **argv, void *into)
{
    struct option longs[RC_CLI_OPTIONS_MAX + 2] = {{0}};
    char letters[3 * RC_CLI_OPTIONS_MAX + 4];
    describe(usage, longs, letters);
    opterr = 0; /* getopt's own messages do not know what was meant */
    for (;;) {
        int code = getopt_long(argc, argv, letters, longs, NULL);
        if (code == -1)
            break;
        if (code == 'h') {
            print_help(usage);
            return RC_EXIT_OK;
        }
        const struct rc_cli_option *option = find_option(usage, code);
        if (option == NULL)
            return refuse_scanned(usage, code, argv);
        int result = set_value(usage, option, into);
        if (result != RC_CLI_GO_ON)
            return result;
    }
    return take_operands(usage, argc, argv, into);
}

/* ---- keys ---- */

static bool copy_key(char out[RC_CLI_KEY_MAX + 1], const char *text, size_t len)
{
    if (len > RC_CLI_KEY_MAX)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

/* Takes "name: value", or "name=value", with blanks around; true when the line is that and it fitted. */
static bool take_line(const char *line, const char *name, char out[RC_CLI_KEY_MAX + 1])
{
    size_t len = strlen(name);
    line += strspn(line, " \t");
    if (strncmp(line, name, len) != 0)
        return false;
    line += len;
    line += strspn(line, " \t");
    if (*line != ':' && *line != '=')
        return false;
    line++;
    line += strspn(line, " \t\"");
    return copy_key(out, line, strcspn(line, " \t\"\r\n"));
}

static bool load_key_lines(FILE *file, struct rc_cli_keys *keys)
{
    char line[512];
    keys->access[0] = keys->secret[0] = '\0';
    while (fgets(line, sizeof(line), file) != NULL) {
        if (!take_line(line, "access_key", keys->access))
            take_line(line, "secret_key", keys->secret);
    }
    explicit_bzero(line, sizeof(line));
    return keys->access[0] != '\0' && keys->secret[0] != '\0';
}

/* The first key pair of a server's configuration: whoever may read that file may as well use it. */
static bool load_server_keys(const char *path, struct rc_cli_keys *keys)
{
    struct rc_config_errors errors;
    bool is_found = false;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_load(path, &errors);
    for (uint32_t i = 0; config != NULL && !is_found && i < config->instances.count; i++) {
        const struct rc_config_instance *instance =
            &((const struct rc_config_instance *)config->instances.items)[i];
        const struct rc_config_key *key = instance->keys.items;
        is_found = instance->keys.count > 0 &&
                   copy_key(keys->access, key->access_key.text, strlen(key->access_key.text)) &&
                   copy_key(keys->secret, key->secret_key.text, strlen(key->secret_key.text));
    }
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return is_found;
}

static int load_key_file(const struct rc_cli_usage *usage, struct rc_cli_keys *keys)
{
    FILE *file = fopen(keys->file_option, "re");
    if (file == NULL)
        return rc_cli_fail(usage->command, "--key-file %s: %s", keys->file_option, strerror(errno));
    bool is_found = load_key_lines(file, keys);
    fclose(file);
    if (is_found || load_server_keys(keys->file_option, keys))
        return RC_CLI_GO_ON;
    return rc_cli_refuse(usage,
                         "%s needs the lines 'access_key: ...' and 'secret_key: ...', or is a server's "
                         "configuration with a key pair",
                         keys->file_option);
}

int rc_cli_load_keys(const struct rc_cli_usage *usage, struct rc_cli_keys *keys)
{
    const char *access = getenv("ROLLCALL_ACCESS_KEY");
    const char *secret = getenv("ROLLCALL_SECRET_KEY");
    bool fits = copy_key(keys->access, access ? access : "", access ? strlen(access) : 0);
    fits = copy_key(keys->secret, secret ? secret : "", secret ? strlen(secret) : 0) && fits;
    if (keys->file_option != NULL) {
        int result = load_key_file(usage, keys);
        if (result != RC_CLI_GO_ON)
            return result;
    }
    if (keys->access_option != NULL)
        fits = copy_key(keys->access, keys->access_option, strlen(keys->access_option)) && fits;
    if (keys->secret_option != NULL)
        fits = copy_key(keys->secret, keys->secret_option, strlen(keys->secret_option)) && fits;
    if (!fits)
        return rc_cli_refuse(usage, "a key has at most %d characters", RC_CLI_KEY_MAX);
    if ((keys->access[0] == '\0') != (keys->secret[0] == '\0'))
        return rc_cli_refuse(usage, "an access key and a secret key go together; only one was given");
    return RC_CLI_GO_ON;
}
