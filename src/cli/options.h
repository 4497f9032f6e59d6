/*
 * Options of a command from one table, which is also its --help. Main thread. Messages go to stderr and say
 * which command they are from.
 */
#ifndef RC_CLI_OPTIONS_H
#define RC_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RC_CLI_OPTIONS_MAX = 48, RC_CLI_KEY_MAX = 255 };

enum rc_cli_kind {
    RC_CLI_FLAG,     /* bool */
    RC_CLI_TEXT,     /* const char *: as on the command line */
    RC_CLI_COUNT,    /* uint64_t */
    RC_CLI_DURATION, /* uint64_t milliseconds: 250ms, 10s, 5m, 1h */
    RC_CLI_RATE,     /* double a second: 500, 500/s, 30/m */
};

struct rc_cli_option {
    const char *name; /* without dashes */
    char letter;      /* its short form, 0 for none */
    enum rc_cli_kind kind;
    size_t offset;     /* of the field in the command's struct */
    const char *value; /* what stands for the value in --help; NULL for a flag */
    const char *help;  /* lines separated by \n */
    uint64_t min, max; /* RC_CLI_COUNT and RC_CLI_DURATION; max 0 = no bound */
};

struct rc_cli_usage {
    const char *command;
    const char *synopsis;
    const char *about; /* paragraphs that end in \n */
    const struct rc_cli_option *options;
    size_t count;
    const char *examples;  /* lines that end in \n */
    const char *operand;   /* the one word that is no option, such as DIR; NULL: there is none */
    size_t operand_offset; /* const char * that takes it; stays NULL when it is not given */
};

/* What each command's exit code says. */
#define RC_CLI_EXIT_CODES "0 done, 1 failure, 2 wrong usage."

enum { RC_CLI_GO_ON = -1 };

/*
 * Fills the fields that the command line names; the others keep what the caller put there. RC_CLI_GO_ON, or
 * the exit code to end with (0 after --help, 2 after a message).
 */
int rc_cli_parse(const struct rc_cli_usage *usage, int argc, char **argv, void *into);

/* Prints "rollcall <command>: ..." and where to find help; returns RC_EXIT_USAGE. */
int rc_cli_refuse(const struct rc_cli_usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same without the pointer to --help; returns RC_EXIT_FAILURE. */
int rc_cli_fail(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- the key pair: never needed on the command line, which other users of the machine can see ---- */
struct rc_cli_keys {
    const char *access_option, *secret_option, *file_option; /* as given, or NULL */
    char access[RC_CLI_KEY_MAX + 1];
    char secret[RC_CLI_KEY_MAX + 1];
};

/* Three rows for an option table, for a command's struct that has a struct rc_cli_keys named `field`. */
#define RC_CLI_KEY_OPTIONS(type, field)                                                                      \
    {.name = "access-key",                                                                                   \
     .kind = RC_CLI_TEXT,                                                                                    \
     .offset = offsetof(type, field.access_option),                                                          \
     .value = "KEY",                                                                                         \
     .help = "the key pair's public half (or ROLLCALL_ACCESS_KEY)"},                                         \
        {.name = "secret-key",                                                                               \
         .kind = RC_CLI_TEXT,                                                                                \
         .offset = offsetof(type, field.secret_option),                                                      \
         .value = "SECRET",                                                                                  \
         .help = "its secret half; others can see command lines, so\n"                                       \
                 "better ROLLCALL_SECRET_KEY or --key-file"},                                                \
    {                                                                                                        \
        .name = "key-file", .kind = RC_CLI_TEXT, .offset = offsetof(type, field.file_option),                \
        .value = "FILE",                                                                                     \
        .help = "lines `access_key: ...` and `secret_key: ...`, or a\nserver's configuration"                \
    }

/*
 * Fills access and secret: from the options, else the file, else ROLLCALL_ACCESS_KEY and ROLLCALL_SECRET_KEY;
 * they stay empty when nobody gave them. RC_CLI_GO_ON or an exit code after a message.
 */
int rc_cli_load_keys(const struct rc_cli_usage *usage, struct rc_cli_keys *keys);

#endif
