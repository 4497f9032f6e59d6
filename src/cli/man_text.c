#include "cli/man_text.h"

#include <string.h>

/* What typesetters make something finer of, or take for their own. */
static const char *escaped(uint8_t c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    default:
        return NULL;
    }
}

static void put_char(struct rc_buf *out, uint8_t c)
{
    const char *escape = escaped(c);
    if (escape != NULL)
        rc_buf_put_str(out, escape);
    else
        rc_buf_put_u8(out, c);
}

/* A dot or a blank that begins a line would be a command. */
static void guard(struct rc_buf *out, struct rc_slice text)
{
    if (text.len > 0 && (text.ptr[0] == '.' || text.ptr[0] == ' '))
        rc_buf_put_str(out, "\\&");
}

void rc_man_put_plain(struct rc_buf *out, struct rc_slice text)
{
    guard(out, text);
    for (size_t i = 0; i < text.len; i++)
        put_char(out, text.ptr[i]);
}

/*
 * Without a date: what is made of the same sources is the same. Names of options and keys are not to be
 * parted, so lines are neither hyphenated nor stretched.
 */
void rc_man_put_head(struct rc_buf *out, const char *name, int section, const char *what)
{
    rc_buf_printf(out, ".TH %s %d \"\" \"Rollcall %s\"\n.nh\n.ad l\n.SH NAME\n%s \\- ", name, section,
                  RC_VERSION, name);
    rc_man_put_plain(out, rc_slice_str(what));
    rc_buf_put_u8(out, '\n');
}

/* ---- Markdown ---- */

struct marks {
    bool code, strong, emphasis, link;
};

static void put_font(struct rc_buf *out, const struct marks *marks)
{
    rc_buf_put_str(out, marks->code || marks->strong ? "\\fB" : marks->emphasis ? "\\fI" : "\\fR");
}

/* The length of the mark that `text` begins with; 0: it is text. */
static size_t take_mark(struct marks *marks, struct rc_slice text)
{
    if (text.ptr[0] == '`') {
        marks->code = !marks->code;
        return 1;
    }
    if (marks->code || text.ptr[0] != '*')
        return 0;
    if (text.len > 1 && text.ptr[1] == '*') {
        marks->strong = !marks->strong;
        return 2;
    }
    marks->emphasis = !marks->emphasis;
    return 1;
}

/* The length of what belongs to a link without being its text: "[" or "](...)". */
static size_t take_link(struct marks *marks, struct rc_slice text)
{
    if (marks->code)
        return 0;
    if (text.ptr[0] == '[') {
        marks->link = memmem(text.ptr, text.len, "](", 2) != NULL;
        return marks->link;
    }
    if (!marks->link || text.ptr[0] != ']')
        return 0;
    const uint8_t *end = memchr(text.ptr, ')', text.len);
    marks->link = false;
    return end != NULL ? (size_t)(end - text.ptr) + 1 : 0;
}

void rc_man_put_marked(struct rc_buf *out, struct rc_slice text)
{
    struct marks marks = {0};
    guard(out, text);
    while (text.len > 0) {
        size_t len = take_mark(&marks, text);
        if (len > 0) {
            put_font(out, &marks);
        } else if ((len = take_link(&marks, text)) == 0) {
            put_char(out, text.ptr[0]);
            len = 1;
        }
        text = rc_slice_from(text, len);
    }
}

/* ---- lines ---- */

bool rc_man_next_line(struct rc_slice *rest, struct rc_slice *ret_line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
    *ret_line = rc_slice(rest->ptr, len);
    *rest = rc_slice_from(*rest, end != NULL ? len + 1 : len);
    return true;
}

void rc_man_put_lines(struct rc_buf *out, const char *text)
{
    struct rc_slice rest = rc_slice_str(text), line;
    bool was_laid_out = false;
    for (bool is_first = true; rc_man_next_line(&rest, &line); is_first = false) {
        bool is_laid_out = memmem(line.ptr, line.len, "  ", 2) != NULL;
        if (!is_first && (is_laid_out || was_laid_out))
            rc_buf_put_str(out, ".br\n");
        rc_man_put_marked(out, line);
        rc_buf_put_u8(out, '\n');
        was_laid_out = is_laid_out;
    }
}

void rc_man_put_shown(struct rc_buf *out, const char *text)
{
    struct rc_slice rest = rc_slice_str(text), line;
    rc_buf_put_str(out, ".nf\n");
    while (rc_man_next_line(&rest, &line)) {
        rc_man_put_plain(out, line);
        rc_buf_put_u8(out, '\n');
    }
    rc_buf_put_str(out, ".fi\n");
}
