#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "cli/ctl_table.h"
#include "cli/man.h"
#include "cli/man_text.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static char *text_of(struct rc_buf *out)
{
    rc_buf_put_u8(out, '\0');
    return (char *)out->data + out->start;
}

static void assert_marked(const char *markdown, const char *expected)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    rc_man_put_marked(&out, rc_slice_str(markdown));
    assert_string_equal(text_of(&out), expected);
    rc_buf_free(&out);
}

static void test_what_would_be_a_command_is_shown(void **state)
{
    assert_marked(".nf", "\\&.nf");
    assert_marked("'x' a-b ~^ \\n", "\\(aqx\\(aq a\\-b \\(ti\\(ha \\en");
}

static void test_marks_become_fonts_and_links_their_text(void **state)
{
    assert_marked("**`key`** *live*", "\\fB\\fBkey\\fB\\fR \\fIlive\\fR");
    assert_marked("`a*b[]` c", "\\fBa*b[]\\fR c");
    assert_marked("see [a.md](../a.md), b[] (c)", "see a.md, b[] (c)");
}

static void test_lines_that_are_laid_out_stay_lines(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    rc_man_put_lines(&out, "a\nb\nc   d\ne   f\ng\n");
    assert_string_equal(text_of(&out), "a\nb\n.br\nc   d\n.br\ne   f\n.br\ng\n");
    rc_buf_free(&out);
}

static void test_the_program_is_told_with_all_that_its_commands_take(void **state)
{
    static const struct rc_cli_option rows[] = {
        {.name = "dry-run", .letter = 'n', .value = "HOW", .help = "it is `tried`"}};
    static const struct rc_cli_usage usage = {.command = "go now",
                                              .synopsis = "[options]\n       rollcall go back",
                                              .about = "Goes.\n",
                                              .options = rows,
                                              .count = 1,
                                              .examples = "  rollcall go\n"};
    static const struct rc_cli_usage *const usages[] = {&usage, NULL};
    static const struct rc_cli_command go = {.name = "go", .summary = "goes", .usages = usages};
    static const struct rc_cli_command *const commands[] = {&go};
    const struct rc_man_program program = {
        .what = "a thing", .about = "It is.\n", .commands = commands, .count = 1};
    struct rc_buf out;
    rc_buf_init(&out, RC_MAN_PAGE_MAX);
    assert_int_equal(rc_man_program(&program, &out), RC_OK);
    const char *page = text_of(&out);
    assert_non_null(strstr(page, ".SH NAME\nrollcall \\- a thing\n"));
    assert_non_null(strstr(page, ".TP\n.B go\ngoes\n"));
    assert_non_null(strstr(page, "rollcall go now [options]\nrollcall go back\n.fi\n.PP\nGoes.\n"));
    assert_non_null(
        strstr(page, ".TP\n\\fB\\-n\\fR, \\fB\\-\\-dry\\-run\\fR \\fIHOW\\fR\nit is \\fBtried\\fR\n"));
    assert_non_null(strstr(page, ".nf\n\\&  rollcall go\n.fi\n"));
    rc_buf_free(&out);
}

static void test_ctl_is_told_with_each_row(void **state)
{
    static const struct rc_cli_command *const commands[] = {&rc_cli_ctl};
    const struct rc_man_program program = {.what = "", .about = "", .commands = commands, .count = 1};
    struct rc_buf out;
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    rc_buf_init(&out, RC_MAN_PAGE_MAX);
    assert_int_equal(rc_man_program(&program, &out), RC_OK);
    const char *page = text_of(&out);
    for (size_t i = 0; i < count; i++) {
        char action[80];
        snprintf(action, sizeof(action), "\n%s: ", rows[i].action);
        assert_non_null(strstr(page, action));
    }
    rc_buf_free(&out);
}

static void test_the_configuration_is_told_without_a_trace_of_markdown(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, RC_MAN_PAGE_MAX);
    assert_int_equal(rc_man_configuration(&out), RC_OK);
    const char *page = text_of(&out);
    assert_non_null(strstr(page, ".SH store\nThe log of events"));
    assert_non_null(strstr(
        page,
        ".TP\n\\fB\\fBdir\\fB\\fR\n(text of 1 to 1024 bytes; default \\fB/var/lib/rollcall\\fR)\n.br\nThe "));
    assert_non_null(strstr(page, ".nf\nrollcall serve \\-c FILE \\-\\-test\\-config     checks"));
    assert_null(strstr(page, "]("));
    assert_null(strstr(page, "`"));
    assert_null(strstr(page, "**"));
    assert_null(strstr(page, "<!\\-"));
    rc_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_would_be_a_command_is_shown),
        cmocka_unit_test(test_marks_become_fonts_and_links_their_text),
        cmocka_unit_test(test_lines_that_are_laid_out_stay_lines),
        cmocka_unit_test(test_the_program_is_told_with_all_that_its_commands_take),
        cmocka_unit_test(test_ctl_is_told_with_each_row),
        cmocka_unit_test(test_the_configuration_is_told_without_a_trace_of_markdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
