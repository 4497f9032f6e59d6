/* rollcall.yaml(5) from the reference's Markdown, of which it knows what that page is made of. */
#include "base/error.h"
#include "cli/man.h"
#include "cli/man_text.h"
#include "control/config.h"

#include <string.h>

enum line_kind { BLANK, COMMENT, TITLE, SECTION, KEY, SHOWN, TEXT };

static enum line_kind take_kind(struct rc_slice *line)
{
    static const struct {
        const char *begin;
        enum line_kind kind;
    } kinds[] = {{"<!--", COMMENT}, {"# ", TITLE},   {"## ", SECTION},
                 {"- ", KEY},       {"    ", SHOWN}, {"  ", TEXT}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct rc_slice begin = rc_slice_str(kinds[i].begin);
        if (!rc_slice_starts_with(*line, begin))
            continue;
        *line = rc_slice_from(*line, begin.len);
        return kinds[i].kind;
    }
    return line->len == 0 ? BLANK : TEXT;
}

/* **`key`** (bounds; default): the key stands out, the rest begins its description. */
static void put_key(struct rc_slice line, struct rc_buf *out)
{
    const uint8_t *end = memmem(line.ptr, line.len, " (", 2);
    size_t len = end != NULL ? (size_t)(end - line.ptr) : line.len;
    struct rc_slice bounds = rc_slice_from(line, len);
    while (bounds.len > 0 && bounds.ptr[0] == ' ')
        bounds = rc_slice_from(bounds, 1);
    while (bounds.len > 0 && bounds.ptr[bounds.len - 1] == ' ')
        bounds.len--;
    rc_buf_put_str(out, ".TP\n");
    rc_man_put_marked(out, rc_slice(line.ptr, len));
    rc_buf_put_u8(out, '\n');
    rc_man_put_marked(out, bounds);
    rc_buf_put_str(out, "\n.br\n");
}

static void put_title(struct rc_slice line, struct rc_buf *out)
{
    rc_buf_put_str(out, ".SH ");
    rc_man_put_plain(out, line);
    rc_buf_put_u8(out, '\n');
}

static void put_text(struct rc_slice line, bool begins, struct rc_buf *out)
{
    rc_buf_put_str(out, begins ? ".PP\n" : "");
    rc_man_put_marked(out, line);
    rc_buf_put_u8(out, '\n');
}

static void put_shown(struct rc_slice line, bool begins, struct rc_buf *out)
{
    rc_buf_put_str(out, begins ? ".PP\n.nf\n" : "");
    rc_man_put_plain(out, line);
    rc_buf_put_u8(out, '\n');
}

static void put_line(struct rc_slice line, enum line_kind kind, enum line_kind before, struct rc_buf *out)
{
    if (before == SHOWN && kind != SHOWN)
        rc_buf_put_str(out, ".fi\n");
    switch (kind) {
    case BLANK:
    case COMMENT:
        break;
    case TITLE:
        rc_buf_put_str(out, ".SH DESCRIPTION\n");
        break;
    case SECTION:
        put_title(line, out);
        break;
    case KEY:
        put_key(line, out);
        break;
    case SHOWN:
        put_shown(line, before != SHOWN, out);
        break;
    case TEXT:
        put_text(line, before == BLANK, out);
        break;
    }
}

int rc_man_configuration(struct rc_buf *out)
{
    struct rc_buf reference;
    struct rc_slice rest, line;
    enum line_kind before = BLANK;
    rc_buf_init(&reference, RC_CONFIG_FILE_MAX);
    int err = rc_config_print_reference(&reference);
    rest = rc_buf_slice(&reference);
    rc_man_put_head(out, "rollcall.yaml", 5, "the configuration of rollcall");
    while (rc_man_next_line(&rest, &line)) {
        enum line_kind kind = take_kind(&line);
        put_line(line, kind, before, out);
        if (kind != BLANK ||
            (before != TITLE && before != SECTION)) /* a title begins a paragraph by itself */
            before = kind;
    }
    rc_buf_free(&reference);
    return rc_buf_put_str(out, ".SH SEE ALSO\n.BR rollcall (1)\n") != RC_OK ? RC_ERR_FULL : err;
}
