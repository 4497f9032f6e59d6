/* rollcall <command> [options] */
#include "base/error.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "cli/man.h"
#include "cli/output.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct rc_cli_command *const commands[] = {
    &rc_cli_serve, &rc_cli_watch, &rc_cli_status, &rc_cli_sign,     &rc_cli_passwd, &rc_cli_sim,
    &rc_cli_bench, &rc_cli_store, &rc_cli_rule,   &rc_cli_registry, &rc_cli_ctl,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

#define WHAT "an MQTT server that keeps the roll"
#define ABOUT                                                                                                \
    "Rollcall is " WHAT ": every arrival and departure of a client\n"                                        \
    "becomes one message that RocketMQ consumers read.\n"

static void print_help(FILE *out)
{
    fputs(ABOUT "\nUsage: rollcall <command> [options]\n\nCommands:\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n  rollcall <command> --help   what a command takes, with examples\n"
          "  rollcall --version          the version\n\n"
          "Start with: rollcall serve -c examples/quickstart.yaml\n",
          out);
}

/* For the installation: `--man rollcall.1` or `--man rollcall.yaml.5` prints that manual page. */
static int print_page(const char *name)
{
    static const struct rc_man_program program = {
        .what = WHAT, .about = ABOUT, .commands = commands, .count = COMMANDS};
    struct rc_buf page;
    int err = RC_ERR_NOT_FOUND;
    rc_buf_init(&page, RC_MAN_PAGE_MAX);
    if (strcmp(name, "rollcall.1") == 0)
        err = rc_man_program(&program, &page);
    else if (strcmp(name, "rollcall.yaml.5") == 0)
        err = rc_man_configuration(&page);
    return rc_cli_write_out(&page, err);
}

static const char *command_name(const void *list, size_t index)
{
    return ((const struct rc_cli_command *const *)list)[index]->name;
}

static int refuse_unknown(const char *given)
{
    const char *near = rc_nearest(rc_slice_str(given), command_name, commands, COMMANDS);
    fprintf(stderr, "rollcall: there is no command '%s'", given);
    if (near != NULL)
        fprintf(stderr, "; did you mean '%s'?", near);
    fputs("\nTry 'rollcall --help'.\n", stderr);
    return RC_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return RC_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help(stdout);
        return RC_EXIT_OK;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("rollcall " RC_VERSION);
        return RC_EXIT_OK;
    }
    if (strcmp(word, "--complete") == 0) { /* for the shell */
        for (size_t i = 0; i < COMMANDS; i++)
            puts(commands[i]->name);
        return RC_EXIT_OK;
    }
    if (strcmp(word, "--man") == 0)
        return print_page(argc > 2 ? argv[2] : "");
    optind = 0; /* getopt starts afresh on the command's own arguments */
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(word, commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    }
    return refuse_unknown(word);
}
