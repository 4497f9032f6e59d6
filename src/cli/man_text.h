/* Text as man(7) and its readers take it. All append to `out`; whether all of it fitted is for the caller to
 * ask. */
#ifndef RC_CLI_MAN_TEXT_H
#define RC_CLI_MAN_TEXT_H

#include "base/buf.h"

/* The page's title and NAME. */
void rc_man_put_head(struct rc_buf *out, const char *name, int section, const char *what);

/* Shows the text as it is, whatever is in it. */
void rc_man_put_plain(struct rc_buf *out, struct rc_slice text);
/* The same for Markdown: `code` and **strong** are bold, *this* is italic, of [text](link) the text stays. */
void rc_man_put_marked(struct rc_buf *out, struct rc_slice text);

/* Takes the first line off `rest`, without its end; false when nothing is left. */
bool rc_man_next_line(struct rc_slice *rest, struct rc_slice *ret_line);

/*
 * Lines of Markdown that the reader may fill anew, but those that are laid out with blanks: they keep their
 * line to themselves.
 */
void rc_man_put_lines(struct rc_buf *out, const char *text);
/* Lines that are shown as they are. */
void rc_man_put_shown(struct rc_buf *out, const char *text);
#endif
