/* rollcall ctl: resources of a running server listed, made, changed and deleted through its OpenAPI. */
#include "base/alloc.h"
#include "cli/api_client.h"
#include "cli/commands.h"
#include "cli/ctl_print.h"
#include "cli/ctl_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VALUE_FILE_MAX = 64 * 1024,
    OPTIONS_OF_ALL = 6, /* in every command: url, instance, json, and the key's three */
    PAGES_MAX = 100000,
    INSTANCE_MAX = 80,
};

struct ctl_options {
    const char *url, *instance, *operand;
    bool json;
    struct rc_cli_keys keys;
    const char *values[RC_CTL_PARAMS_MAX];
    bool flags[RC_CTL_PARAMS_MAX];
};

/* ---- the command line ---- */

static const struct rc_cli_option common[OPTIONS_OF_ALL] = {
    {.name = "url",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ctl_options, url),
     .value = "URL",
     .help = "the server's http.bind or https://... (default:\nhttp://127.0.0.1:18083/)"},
    {.name = "instance",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct ctl_options, instance),
     .value = "ID",
     .help = "the instance (default: the key pair's)"},
    RC_CLI_KEY_OPTIONS(struct ctl_options, keys),
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct ctl_options, json),
     .help = "print the answer as JSON"},
};

static const struct rc_cli_usage usage = {
    .command = "ctl",
    .synopsis = "RESOURCE VERB [NAME] [options]",
    .about = "The key pair comes from --key-file, such as the server's configuration, or from "
             "ROLLCALL_ACCESS_KEY and\n"
             "ROLLCALL_SECRET_KEY. ROLLCALL_CA_FILE names a PEM file that https:// is checked against.\n",
    .options = common,
    .count = OPTIONS_OF_ALL,
    .examples = "  rollcall ctl group list --key-file rollcall.yaml\n"
                "  rollcall ctl group create GID_new --key-file rollcall.yaml\n"
                "  rollcall ctl consumer show GID_backend --key-file rollcall.yaml\n",
};

static size_t make_options(const struct rc_ctl_row *row, struct rc_cli_option *out)
{
    size_t count = 0;
    for (int i = 0; i < RC_CTL_PARAMS_MAX && row->params[i].option != NULL; i++) {
        const struct rc_ctl_param *param = &row->params[i];
        size_t at = param->is_flag ? offsetof(struct ctl_options, flags) + (size_t)i * sizeof(bool)
                                   : offsetof(struct ctl_options, values) + (size_t)i * sizeof(char *);
        out[count++] = (struct rc_cli_option){.name = param->option,
                                              .kind = param->is_flag ? RC_CLI_FLAG : RC_CLI_TEXT,
                                              .offset = at,
                                              .value = param->value,
                                              .help = param->help};
    }
    memcpy(out + count, common, sizeof(common));
    return count + OPTIONS_OF_ALL;
}

/* RC_CLI_GO_ON, or the exit code. */
static int parse(const struct rc_ctl_row *row, int argc, char **argv, struct ctl_options *options)
{
    struct rc_cli_option list[RC_CTL_PARAMS_MAX + OPTIONS_OF_ALL];
    char command[64], synopsis[64], about[160];
    snprintf(command, sizeof(command), "ctl %s %s", row->resource, row->verb);
    snprintf(synopsis, sizeof(synopsis),
             row->operand == NULL ? "[options]"
             : row->needs_operand ? "%s [options]"
                                  : "[%s] [options]",
             row->operand);
    snprintf(about, sizeof(about), "%s: %s.\n", row->action, row->about);
    struct rc_cli_usage own = {.command = command,
                               .synopsis = synopsis,
                               .about = about,
                               .options = list,
                               .count = make_options(row, list),
                               .operand = row->operand,
                               .operand_offset = offsetof(struct ctl_options, operand)};
    int result = rc_cli_parse(&own, argc, argv, options);
    if (result == RC_CLI_GO_ON && row->needs_operand && options->operand == NULL)
        result = rc_cli_refuse(&own, "%s is missing", row->operand);
    if (result == RC_CLI_GO_ON)
        result = rc_cli_load_keys(&own, &options->keys);
    if (result == RC_CLI_GO_ON && options->keys.secret[0] == '\0')
        result =
            rc_cli_refuse(&own, "the key pair is missing: name the server's configuration with --key-file");
    return result;
}

/* ---- parameters ---- */

static int add(struct rc_params *params, const char *name, const char *value)
{
    return rc_params_add(params, rc_slice_str(name), rc_slice_str(value));
}

/* Without the line's end. */
static int add_file(struct rc_params *params, const char *name, const char *path, struct rc_error *error)
{
    char *text = rc_malloc(VALUE_FILE_MAX + 1);
    FILE *file = fopen(path, "re");
    size_t len = file != NULL ? fread(text, 1, VALUE_FILE_MAX + 1, file) : 0;
    int err = file == NULL           ? RC_ERR_NOT_FOUND
              : len > VALUE_FILE_MAX ? RC_ERR_TOO_LARGE
              : ferror(file)         ? RC_ERR_IO
                                     : RC_OK;
    while (err == RC_OK && len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (err == RC_OK)
        err = rc_params_add(params, rc_slice_str(name), rc_slice(text, len));
    if (file != NULL)
        fclose(file);
    free(text);
    return err == RC_OK ? RC_OK : rc_error_set(error, err, "%s: %s", path, rc_err_text(err));
}

/* "A=1 B=2" */
static int add_fixed(struct rc_params *params, const char *fixed)
{
    int err = RC_OK;
    while (fixed != NULL && fixed[0] != '\0' && err == RC_OK) {
        size_t name_len = strcspn(fixed, "="), value_len = strcspn(fixed + name_len + 1, " ");
        err = rc_params_add(params, rc_slice(fixed, name_len), rc_slice(fixed + name_len + 1, value_len));
        fixed += name_len + 1 + value_len;
        fixed += strspn(fixed, " ");
    }
    return err;
}

/* To "Name.N" as a list: a,b is Name.1=a and Name.2=b. */
static int add_operand(struct rc_params *params, const char *name, const char *operand,
                       struct rc_error *error)
{
    char one[64];
    size_t len = strlen(name);
    if (len < 2 || strcmp(name + len - 2, ".N") != 0)
        return add(params, name, operand);
    int err = RC_OK;
    for (int n = 1; err == RC_OK && operand != NULL; n++) {
        size_t word = strcspn(operand, ",");
        if (n > RC_CTL_WORDS_MAX)
            return rc_error_set(error, RC_ERR_RANGE, "%d are the most at once", RC_CTL_WORDS_MAX);
        snprintf(one, sizeof(one), "%.*s.%d", (int)(len - 2), name, n);
        err = rc_params_add(params, rc_slice_str(one), rc_slice(operand, word));
        operand = operand[word] == ',' ? operand + word + 1 : NULL;
    }
    return err;
}

static int add_all(const struct rc_ctl_row *row, const struct ctl_options *options, struct rc_params *params,
                   struct rc_error *error)
{
    const char *instance = row->instance != NULL ? row->instance : "InstanceId";
    int err = add(params, "Action", row->action);
    if (err == RC_OK && row->operand_param != NULL && options->operand != NULL)
        err = add_operand(params, row->operand_param, options->operand, error);
    if (err == RC_OK && options->instance != NULL && rc_params_get(params, instance) == NULL)
        err = add(params, instance, options->instance);
    err = err ? err : add_fixed(params, row->fixed);
    for (int i = 0; err == RC_OK && i < RC_CTL_PARAMS_MAX && row->params[i].option != NULL; i++) {
        const struct rc_ctl_param *param = &row->params[i];
        if (param->is_flag && options->flags[i])
            err = add(params, param->param, "true");
        else if (param->is_file && options->values[i] != NULL)
            err = add_file(params, param->param, options->values[i], error);
        else if (options->values[i] != NULL)
            err = add(params, param->param, options->values[i]);
    }
    if (err != RC_OK && error->text[0] == '\0')
        rc_error_set(error, err, "what was given is not UTF-8 text, or too long");
    return err;
}

/* ---- asking, page after page ---- */

/* What stands at "A.B" of the answer; *ret_beside is what holds it. */
static json_t *find(json_t *answer, const char *path, json_t **ret_beside)
{
    char name[64];
    json_t *at = answer;
    *ret_beside = answer;
    while (path != NULL && at != NULL && path[0] != '\0') {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        *ret_beside = at;
        at = json_object_get(at, name);
        path += len + (path[len] == '.');
    }
    return at;
}

static int ask_page(const struct rc_ctl_row *row, const struct ctl_options *options, const char *token,
                    long number, json_t **ret, struct rc_error *error)
{
    struct rc_params params;
    char text[24];
    rc_params_init(&params);
    int err = add_all(row, options, &params, error);
    if (err == RC_OK && token[0] != '\0')
        err = add(&params, "NextToken", token);
    snprintf(text, sizeof(text), "%ld", number);
    if (err == RC_OK && row->paging == RC_CTL_BY_NUMBER)
        err = add(&params, "PageNo", text);
    err = err ? err : rc_api_client_call(options->url, &options->keys, &params, ret, error);
    rc_params_free(&params);
    return err;
}

/* The first page, with the lists of all others behind its own. */
static int ask(const struct rc_ctl_row *row, const struct ctl_options *options, json_t **ret,
               struct rc_error *error)
{
    char token[256] = "";
    json_t *whole = NULL, *list = NULL, *beside;
    for (long number = 1; number <= PAGES_MAX; number++) {
        json_t *answer;
        int err = ask_page(row, options, token, number, &answer, error);
        if (err != RC_OK) {
            json_decref(whole);
            return err;
        }
        json_t *page = find(answer, row->list, &beside);
        const char *next = json_string_value(json_object_get(beside, "NextToken"));
        snprintf(token, sizeof(token), "%s", next != NULL ? next : "");
        bool has_more = row->paging == RC_CTL_BY_TOKEN    ? token[0] != '\0'
                        : row->paging == RC_CTL_BY_NUMBER ? json_array_size(page) == 100
                                                          : false;
        if (whole == NULL) {
            whole = answer;
            list = page;
        } else {
            json_array_extend(list, page);
            json_decref(answer);
        }
        if (!has_more)
            break;
    }
    *ret = whole;
    return RC_OK;
}

/* Without --instance: the one that the key pair may use. */
static int find_instance(const struct rc_ctl_row *row, struct ctl_options *options, char own[INSTANCE_MAX],
                         struct rc_error *error)
{
    static const struct rc_ctl_row list = {.action = "ListInstances"};
    struct ctl_options asked = {.url = options->url, .keys = options->keys};
    json_t *answer;
    if (options->instance != NULL || strcmp(row->resource, "instance") == 0 ||
        strcmp(row->resource, "tag") == 0)
        return RC_OK;
    int err = ask(&list, &asked, &answer, error);
    if (err != RC_OK)
        return err;
    const json_t *instances = json_object_get(answer, "Instances");
    const char *id = json_string_value(json_object_get(json_array_get(instances, 0), "InstanceId"));
    bool is_one = json_array_size(instances) == 1 && id != NULL;
    snprintf(own, INSTANCE_MAX, "%s", is_one ? id : "");
    options->instance = own;
    json_decref(answer);
    return is_one ? RC_OK
                  : rc_error_set(error, RC_ERR_INVALID,
                                 "the key pair has several instances: name one with --instance");
}

static bool has_word(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    return at != NULL && (at == text || !isalnum((unsigned char)at[-1])) &&
           !isalnum((unsigned char)at[strlen(word)]);
}

/* What is missing or wrong is told by the API's names: by which options these are given. */
static int fail(const struct rc_ctl_row *row, const struct rc_error *error)
{
    int result = rc_cli_fail("ctl", "%s", error->text);
    for (int i = 0; i < RC_CTL_PARAMS_MAX && row->params[i].option != NULL; i++)
        if (has_word(error->text, row->params[i].param))
            fprintf(stderr, "%s is given by --%s.\n", row->params[i].param, row->params[i].option);
    return result;
}

static int run_row(const struct rc_ctl_row *row, int argc, char **argv)
{
    struct ctl_options options = {.url = "http://127.0.0.1:18083/"};
    struct rc_error error = {.text = ""};
    json_t *answer, *beside;
    char own[INSTANCE_MAX];
    int result = parse(row, argc, argv, &options);
    if (result != RC_CLI_GO_ON)
        return result;
    if (find_instance(row, &options, own, &error) != RC_OK || ask(row, &options, &answer, &error) != RC_OK)
        return fail(row, &error);
    if (options.json) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (row->list != NULL) {
        rc_ctl_print_table(find(answer, row->list, &beside), row->columns);
    } else {
        rc_ctl_print_fields(answer);
    }
    bool is_bad = row->verdict != NULL && !json_is_true(json_object_get(answer, row->verdict));
    json_decref(answer);
    return is_bad ? RC_EXIT_FAILURE : RC_EXIT_OK;
}

/* ---- which ---- */

static void print_help(FILE *out)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    const char *resource = "";
    fprintf(out, "Usage: rollcall %s %s\n\n", usage.command, usage.synopsis);
    for (size_t i = 0; i < count; i++) {
        bool is_new = strcmp(resource, rows[i].resource) != 0;
        resource = rows[i].resource;
        fprintf(out, "  %-15s %-12s %s\n", is_new ? resource : "", rows[i].verb, rows[i].about);
    }
    fprintf(out, "\n  rollcall ctl RESOURCE VERB --help   what it takes\n\n%s\nExamples:\n%s", usage.about,
            usage.examples);
}

static int refuse(const char *resource, const char *verb)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    const char *separator = "";
    bool is_known = false;
    for (size_t i = 0; i < count; i++)
        is_known |= strcmp(rows[i].resource, resource) == 0;
    if (!is_known) {
        fprintf(stderr, "rollcall ctl: there is no resource '%s'\nTry 'rollcall ctl --help'.\n", resource);
        return RC_EXIT_USAGE;
    }
    fprintf(stderr, "rollcall ctl: %s has no verb '%s', it has: ", resource, verb);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].resource, resource) != 0)
            continue;
        fprintf(stderr, "%s%s", separator, rows[i].verb);
        separator = ", ";
    }
    fputc('\n', stderr);
    return RC_EXIT_USAGE;
}

/* For the shell: `ctl --complete [RESOURCE [VERB]]` prints the words that may come next. */
static int complete(int argc, char **argv)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    const char *last = "";
    for (size_t i = 0; i < count; i++) {
        if (argc == 0 && strcmp(last, rows[i].resource) != 0)
            puts(last = rows[i].resource);
        else if (argc == 1 && strcmp(argv[0], rows[i].resource) == 0)
            puts(rows[i].verb);
        else if (argc > 1 && strcmp(argv[0], rows[i].resource) == 0 && strcmp(argv[1], rows[i].verb) == 0)
            for (int p = 0; p < RC_CTL_PARAMS_MAX && rows[i].params[p].option != NULL; p++)
                printf("--%s\n", rows[i].params[p].option);
    }
    for (size_t i = 0; argc > 1 && i < OPTIONS_OF_ALL; i++)
        printf("--%s\n", common[i].name);
    return RC_EXIT_OK;
}

static int run(int argc, char **argv)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return complete(argc - 2, argv + 2);
    if (argc < 3 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        bool is_asked = argc > 1 && argv[1][0] == '-';
        print_help(is_asked ? stdout : stderr);
        return is_asked ? RC_EXIT_OK : RC_EXIT_USAGE;
    }
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].resource, argv[1]) == 0 && strcmp(rows[i].verb, argv[2]) == 0)
            return run_row(&rows[i], argc - 2, argv + 2);
    return refuse(argv[1], argv[2]);
}

const struct rc_cli_command rc_cli_ctl = {.name = "ctl",
                                          .summary = "lists, makes, changes, deletes what the server has",
                                          .run = run,
                                          .usages = (const struct rc_cli_usage *const[]){&usage, NULL}};
