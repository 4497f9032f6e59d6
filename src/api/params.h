/*
 * The parameters of an API call: those of the query and of a form body, decoded, sorted by name. Names and
 * values are texts without NUL. One thread.
 */
#ifndef RC_API_PARAMS_H
#define RC_API_PARAMS_H

#include "base/buf.h"

enum {
    RC_PARAMS_MAX = 2048,             /* of one call */
    RC_PARAMS_BYTES_MAX = 512 * 1024, /* names and values */
};

struct rc_param {
    const char *name, *value;
};

struct rc_params {
    struct rc_param *list; /* sorted by name when rc_params_sort was called */
    uint32_t count, cap;
    size_t bytes;
};

void rc_params_init(struct rc_params *params);
void rc_params_free(struct rc_params *params);
/* Copies both. 0, RC_ERR_FULL, or RC_ERR_INVALID (a NUL, not UTF-8). */
int rc_params_add(struct rc_params *params, struct rc_slice name, struct rc_slice value);
/* application/x-www-form-urlencoded: 0, RC_ERR_FULL, or RC_ERR_INVALID (a broken %XX). */
int rc_params_add_form(struct rc_params *params, struct rc_slice form);
/* By name, then by value, as bytes. */
void rc_params_sort(struct rc_params *params);

/* The value; NULL when there is none. */
const char *rc_params_get(const struct rc_params *params, const char *name);
/* The same as a slice; empty when there is none. */
struct rc_slice rc_params_text(const struct rc_params *params, const char *name);
/* The n-th of a list, Name.1, Name.2, ...; NULL when there is none. */
const char *rc_params_get_nth(const struct rc_params *params, const char *name, unsigned n);
/* The n-th's field, Name.1.Field. */
const char *rc_params_get_field(const struct rc_params *params, const char *name, unsigned n,
                                const char *field);

/* Percent-encoding of RFC 3986, as signatures want it: all but A-Z a-z 0-9 - _ . ~ */
void rc_percent_encode(struct rc_buf *out, struct rc_slice text);

#endif
