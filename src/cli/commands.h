/*
 * The program's commands. Each lives in a file of its own and offers one of these; main.c lists them.
 * `run` gets the arguments from the command's name on (argv[0] is the name), parses its own options (with
 * getopt_long; optind is 0 already) and answers --help itself. It returns the process's exit code.
 */
#ifndef RC_CLI_COMMANDS_H
#define RC_CLI_COMMANDS_H

enum rc_cli_exit {
    RC_EXIT_OK = 0,
    RC_EXIT_FAILURE = 1, /* it was tried and did not work */
    RC_EXIT_USAGE = 2,   /* the command line or the configuration is wrong */
};

struct rc_cli_usage;

struct rc_cli_command {
    const char *name;
    const char *summary; /* one line for `rollcall --help` */
    int (*run)(int argc, char **argv);
    const struct rc_cli_usage *const *usages; /* its own, or each verb's; NULL-terminated */
};

extern const struct rc_cli_command rc_cli_serve;
extern const struct rc_cli_command rc_cli_watch;
extern const struct rc_cli_command rc_cli_status;
extern const struct rc_cli_command rc_cli_sign;
extern const struct rc_cli_command rc_cli_passwd;
extern const struct rc_cli_command rc_cli_sim;
extern const struct rc_cli_command rc_cli_bench;
extern const struct rc_cli_command rc_cli_store;
extern const struct rc_cli_command rc_cli_rule;
extern const struct rc_cli_command rc_cli_registry;
extern const struct rc_cli_command rc_cli_ctl;

#endif
