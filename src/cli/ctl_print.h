/* Answers for people: tables with aligned columns. Main thread. */
#ifndef RC_CLI_CTL_PRINT_H
#define RC_CLI_CTL_PRINT_H

#include <jansson.h>

/* A list of objects, or of texts (one column), with these fields. */
void rc_ctl_print_table(const json_t *list, const char *columns);
/* Each field of an answer in a line; "done" when it has none. */
void rc_ctl_print_fields(const json_t *answer);

#endif
