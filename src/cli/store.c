/* rollcall store check|dump: what is in a log directory, read without a server and without changing it. */
#include "cli/commands.h"
#include "cli/store_check.h"
#include "cli/store_dump.h"

#include <stdio.h>
#include <string.h>

static const char help[] = "Usage: rollcall store <check|dump> DIR [options]\n\n"
                           "Reads a log directory and changes nothing in it.\n\n"
                           "  check   is it sound? Exit code 1 when something is damaged\n"
                           "  dump    prints its messages\n\n"
                           "'rollcall store check --help' and 'rollcall store dump --help' tell more.\n";

static int run(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "check") == 0)
        return rc_store_check_run(argc - 1, argv + 1);
    if (strcmp(verb, "dump") == 0)
        return rc_store_dump_run(argc - 1, argv + 1);
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
        fputs(help, stdout);
        return RC_EXIT_OK;
    }
    if (argc > 1)
        fprintf(stderr, "rollcall store: '%s' was given, check or dump was expected\n", verb);
    fputs(help, stderr);
    return RC_EXIT_USAGE;
}

const struct rc_cli_command rc_cli_store = {
    "store", "check or dump a log directory", run,
    (const struct rc_cli_usage *const[]){&rc_store_check_usage, &rc_store_dump_usage, NULL}};
