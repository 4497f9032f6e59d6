#include "cli/man.h"

#include "cli/ctl_table.h"
#include "cli/man_text.h"
#include "cli/options.h"

static void put_str(struct rc_buf *out, const char *text)
{
    rc_man_put_plain(out, rc_slice_str(text));
}

static void put_option(const struct rc_cli_option *option, struct rc_buf *out)
{
    rc_buf_put_str(out, ".TP\n");
    if (option->letter != 0)
        rc_buf_printf(out, "\\fB\\-%c\\fR, ", option->letter);
    rc_buf_put_str(out, "\\fB\\-\\-");
    put_str(out, option->name);
    rc_buf_put_str(out, "\\fR");
    if (option->value != NULL) {
        rc_buf_put_str(out, " \\fI");
        put_str(out, option->value);
        rc_buf_put_str(out, "\\fR");
    }
    rc_buf_put_u8(out, '\n');
    rc_man_put_lines(out, option->help);
}

/* Its lines but the first are indented for --help, to stand below "Usage: ". */
static void put_synopsis(const char *synopsis, struct rc_buf *out)
{
    struct rc_slice rest = rc_slice_str(synopsis), line;
    while (rc_man_next_line(&rest, &line)) {
        while (line.len > 0 && line.ptr[0] == ' ')
            line = rc_slice_from(line, 1);
        rc_man_put_plain(out, line);
        rc_buf_put_u8(out, '\n');
    }
}

static void put_usage(const struct rc_cli_usage *usage, struct rc_buf *out)
{
    rc_buf_printf(out, ".SH rollcall %s\n.nf\nrollcall %s ", usage->command, usage->command);
    put_synopsis(usage->synopsis, out);
    rc_buf_put_str(out, ".fi\n.PP\n");
    rc_man_put_lines(out, usage->about);
    for (size_t i = 0; i < usage->count; i++)
        put_option(&usage->options[i], out);
    if (usage->examples == NULL)
        return;
    rc_buf_put_str(out, ".PP\nExamples:\n.PP\n");
    rc_man_put_shown(out, usage->examples);
}

/* "group create GID", what that does, and the options that only this takes. */
static void put_row(const struct rc_ctl_row *row, struct rc_buf *out)
{
    rc_buf_put_str(out, ".TP\n\\fB");
    put_str(out, row->resource);
    rc_buf_put_u8(out, ' ');
    put_str(out, row->verb);
    rc_buf_put_str(out, "\\fR");
    if (row->operand != NULL)
        rc_buf_printf(out, row->needs_operand ? " \\fI%s\\fR" : " [\\fI%s\\fR]", row->operand);
    rc_buf_printf(out, "\n%s: ", row->action);
    put_str(out, row->about);
    rc_buf_put_str(out, ".\n");
    if (row->params[0].option == NULL)
        return;
    rc_buf_put_str(out, ".RS\n");
    for (int i = 0; i < RC_CTL_PARAMS_MAX && row->params[i].option != NULL; i++) {
        const struct rc_cli_option option = {
            .name = row->params[i].option, .value = row->params[i].value, .help = row->params[i].help};
        put_option(&option, out);
    }
    rc_buf_put_str(out, ".RE\n");
}

static void put_rows(struct rc_buf *out)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    rc_buf_put_str(out, ".SS RESOURCE VERB [NAME]\n");
    for (size_t i = 0; i < count; i++)
        put_row(&rows[i], out);
}

int rc_man_program(const struct rc_man_program *program, struct rc_buf *out)
{
    rc_man_put_head(out, "rollcall", 1, program->what);
    rc_buf_put_str(out, ".SH SYNOPSIS\n.B rollcall\n.I command\n[options]\n.SH DESCRIPTION\n");
    rc_man_put_lines(out, program->about);
    for (size_t i = 0; i < program->count; i++) {
        const struct rc_cli_command *command = program->commands[i];
        rc_buf_printf(out, ".TP\n.B %s\n", command->name);
        rc_man_put_lines(out, command->summary);
    }
    for (size_t i = 0; i < program->count; i++) {
        const struct rc_cli_command *command = program->commands[i];
        for (size_t k = 0; command->usages[k] != NULL; k++)
            put_usage(command->usages[k], out);
        if (command == &rc_cli_ctl)
            put_rows(out);
    }
    rc_buf_put_str(out, ".SH EXIT STATUS\n");
    rc_man_put_lines(out, RC_CLI_EXIT_CODES);
    return rc_buf_put_str(out, ".SH SEE ALSO\n.BR rollcall.yaml (5)\n");
}
