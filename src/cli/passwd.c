/* rollcall passwd: a hashed password for the configuration's users. */
#include "auth/password.h"
#include "base/alloc.h"
#include "base/error.h"
#include "catalog/catalog.h"
#include "cli/commands.h"
#include "cli/options.h"

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024 }; /* the server takes no longer ones */

struct passwd_options {
    const char *user;
    uint64_t iterations;
    bool admin;
};

static const struct rc_cli_option rows[] = {
    {.name = "iterations",
     .letter = 'n',
     .kind = RC_CLI_COUNT,
     .offset = offsetof(struct passwd_options, iterations),
     .value = "N",
     .help = "work for one guess (default: 20000, some 20 ms)",
     .min = 1,
     .max = RC_PASSWORD_ITERATIONS_MAX},
    {.name = "admin",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct passwd_options, admin),
     .help = "the user is an administrator"},
};

static const struct rc_cli_usage usage = {
    .command = "passwd",
    .synopsis = "[USER] [options]",
    .about = "Asks for a password, or reads it from standard input, and prints it hashed: the line for USER\n"
             "below `users:` of an instance, or without USER the hash alone. No file is changed.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall passwd alice\n"
                "  printf %s \"$PASSWORD\" | rollcall passwd alice\n",
    .operand = "USER",
    .operand_offset = offsetof(struct passwd_options, user),
};

/* One line from the terminal, unseen. */
static bool ask(const char *prompt, char *out, size_t size, size_t *ret_len)
{
    struct termios before, unseen;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    fputs(prompt, stderr);
    if (is_terminal) {
        unseen = before;
        unseen.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
    }
    bool is_read = fgets(out, (int)size, stdin) != NULL;
    if (is_terminal)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputs("\n", stderr);
    *ret_len = is_read ? strcspn(out, "\n") : 0;
    return is_read;
}

static int ask_twice(char *password, size_t *ret_len)
{
    char again[PASSWORD_MAX + 2];
    size_t again_len;
    if (!ask("Password: ", password, PASSWORD_MAX + 2, ret_len) ||
        !ask("Once more: ", again, sizeof(again), &again_len))
        return rc_cli_fail(usage.command, "no password was given");
    bool same = rc_slice_eq(rc_slice(password, *ret_len), rc_slice(again, again_len));
    explicit_bzero(again, sizeof(again));
    return same ? RC_CLI_GO_ON : rc_cli_fail(usage.command, "the two are not the same");
}

/* All of it, without the line end that `echo` adds. */
static int read_input(char *password, size_t *ret_len)
{
    size_t len = fread(password, 1, PASSWORD_MAX + 2, stdin);
    if (len > 0 && password[len - 1] == '\n')
        len--;
    *ret_len = len;
    return RC_CLI_GO_ON;
}

static void print(const struct passwd_options *options, const char *entry)
{
    if (options->user == NULL) {
        puts(entry);
        return;
    }
    /* In single quotes YAML knows one escape: the quote itself, doubled. */
    fputs("- {name: '", stdout);
    for (const char *c = options->user; *c != '\0'; c++)
        printf(*c == '\'' ? "''" : "%c", *c);
    printf("', password: '%s'%s}\n", entry, options->admin ? ", admin: true" : "");
}

static int run(int argc, char **argv)
{
    struct passwd_options options = {.iterations = RC_PASSWORD_ITERATIONS};
    char password[PASSWORD_MAX + 2], entry[RC_PASSWORD_ENTRY_MAX];
    size_t len = 0;
    int result = rc_cli_parse(&usage, argc, argv, &options);
    if (result != RC_CLI_GO_ON)
        return result;
    if (options.user != NULL && !rc_catalog_is_user_name(rc_slice_str(options.user)))
        return rc_cli_refuse(&usage, "a user's name has 1 to %d bytes, without control characters and |",
                             RC_CATALOG_USER_MAX);
    result = isatty(STDIN_FILENO) ? ask_twice(password, &len) : read_input(password, &len);
    if (result == RC_CLI_GO_ON && len == 0)
        result = rc_cli_fail(usage.command, "the password is empty");
    if (result == RC_CLI_GO_ON && len > PASSWORD_MAX)
        result = rc_cli_fail(usage.command, "a password has at most %d bytes", PASSWORD_MAX);
    if (result == RC_CLI_GO_ON) {
        int err = rc_password_make(rc_slice(password, len), (uint32_t)options.iterations, entry);
        if (err == RC_OK)
            print(&options, entry);
        result = err == RC_OK ? RC_EXIT_OK : rc_cli_fail(usage.command, "%s", rc_err_text(err));
    }
    explicit_bzero(password, sizeof(password));
    return result;
}

const struct rc_cli_command rc_cli_passwd = {"passwd", "hash a password for the configuration's users", run,
                                             (const struct rc_cli_usage *const[]){&usage, NULL}};
