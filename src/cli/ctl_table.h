/* What rollcall ctl can do: one row a resource and verb, each a call of the server's OpenAPI. */
#ifndef RC_CLI_CTL_TABLE_H
#define RC_CLI_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    RC_CTL_PARAMS_MAX = 10,
    RC_CTL_COLUMNS_MAX = 16,
    RC_CTL_WORDS_MAX = 10, /* of an operand that is a list */
};

struct rc_ctl_param {
    const char *option, *param, *value; /* --option VALUE becomes the action's parameter */
    const char *help;
    bool is_file, is_flag; /* the value names a file whose content it is / is "true" */
};

enum rc_ctl_paging {
    RC_CTL_WHOLE,
    RC_CTL_BY_TOKEN, /* NextToken beside the list */
    RC_CTL_BY_NUMBER,
};

struct rc_ctl_row {
    const char *resource, *verb, *action, *about;
    const char *operand,
        *operand_param; /* NULL: it takes none. "Name.N": Name.1, .2, ..., parted by commas */
    bool needs_operand;
    const char *instance; /* the parameter of the instance; NULL: InstanceId */
    const char *fixed;    /* parameters that are always the same, "A=1 B=2"; NULL: none */
    struct rc_ctl_param params[RC_CTL_PARAMS_MAX];
    /* What a person sees: a table with these fields of what stands at `list`; without `list` each field of
     * the answer in a line. */
    const char *list, *columns;
    enum rc_ctl_paging paging;
    const char *verdict; /* a field of the answer: false is exit code 1; NULL: none */
};

const struct rc_ctl_row *rc_ctl_rows(size_t *ret_count);

#endif
