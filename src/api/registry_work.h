/* What an action does with the registry: on the registry's thread, within one transaction. */
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

/*
 * A list of the answer in pages: PageNo and PageSize, or NextToken (how many rows were told before) and Size.
 * 0 or RC_ERR_INVALID.
 */
struct rc_work_page {
    struct rc_registry_page page;
    uint32_t number; /* from 1 */
    json_t *list;
};
int rc_work_read_page(struct rc_registry_work *work, const char *size_name, struct rc_work_page *ret);
/* The token of the next page, "" when `total` rows are told with this one. */
json_t *rc_work_next_token(const struct rc_work_page *page, uint64_t total);

#endif
