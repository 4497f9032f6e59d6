/* rollcall <command> [options] */
#include "base/nearest.h"
#include "cli/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct rc_cli_command *const commands[] = {
    &rc_cli_serve, &rc_cli_watch, &rc_cli_status, &rc_cli_sign,     &rc_cli_passwd, &rc_cli_sim,
    &rc_cli_bench, &rc_cli_store, &rc_cli_rule,   &rc_cli_registry, &rc_cli_ctl,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *out)
{
    fputs("Rollcall is an MQTT server that keeps the roll: every arrival and departure of a client\n"
          "becomes one message that RocketMQ consumers read.\n\n"
          "Usage: rollcall <command> [options]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n  rollcall <command> --help   what a command takes, with examples\n"
          "  rollcall --version          the version\n\n"
          "Start with: rollcall serve -c examples/quickstart.yaml\n",
          out);
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
    optind = 0; /* getopt starts afresh on the command's own arguments */
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(word, commands[i]->name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    }
    return refuse_unknown(word);
}
