/* What an action does with the registry: on a thread of the registry's, within one transaction. */
#ifndef RC_API_REGISTRY_WORK_H
#define RC_API_REGISTRY_WORK_H

#include "api/actions.h"
#include "registry/registry.h"

enum { RC_WORK_LIST_MAX = 200000 /* rows of an answer that has no pages */ };

struct rc_registry_work {
    struct rc_registry *registry;
    struct rc_api_call *call; /* its parameters are read, its answer is made */
    struct rc_slice instance; /* of the call; empty when it is about none */
    struct rc_error *error;   /* gets a sentence for the caller */
};

/* The parameter's value, empty when there is none. */
struct rc_slice rc_work_param(const struct rc_registry_work *work, const char *name);
/* Refuses the call: a parameter is wrong. */
int rc_work_refuse(struct rc_registry_work *work, const char *sentence);
/* A parameter that is `no` or `yes`, in any case. Without it, or empty, *field stays. 0 or RC_ERR_INVALID. */
int rc_work_take_one_of(struct rc_registry_work *work, const char *name, const char *no, const char *yes,
                        bool *field);

/*
 * A list of the answer in pages: PageNo and PageSize, or NextToken and Size. A token names the last row that
 * was told, so that none is left out or told twice when others come or go. 0 or RC_ERR_INVALID.
 */
enum { RC_WORK_KEY_MAX = 2048 };
struct rc_work_page {
    struct rc_registry_page page;
    uint32_t number; /* from 1 */
    uint32_t size;   /* rows that it tells; one more is asked for, to know whether there are any */
    bool has_more;
    json_t *list;
    size_t after_len, last_len;
    uint8_t after[RC_WORK_KEY_MAX], last[RC_WORK_KEY_MAX];
};
/* Each visitor asks first: false for the row that is on the next page. */
bool rc_work_page_takes(struct rc_work_page *page);
/* Notes the row that was put last, by the key in whose order the list is; the parts that it has. */
void rc_work_note_last(struct rc_work_page *page, struct rc_slice first, struct rc_slice second,
                       struct rc_slice third);
int rc_work_read_page(struct rc_registry_work *work, const char *size_name, struct rc_work_page *ret);
/* The token of the next page, "" when there is none. */
json_t *rc_work_next_token(const struct rc_work_page *page);

#endif
