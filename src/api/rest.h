/*
 * REST: paths and JSON for the actions, with a key pair as user name and password. What there is, and what is
 * told of it at /openapi.json, comes from the same tables (rest_routes.c).
 */
#ifndef RC_API_REST_H
#define RC_API_REST_H

#include "http/http_server.h"

#include <jansson.h>

struct rc_api;

enum rc_rest_type { RC_REST_TEXT, RC_REST_INTEGER, RC_REST_FLAG, RC_REST_TEXTS };

/* A parameter is the same wherever it stands. */
struct rc_rest_param {
    const char *name;
    enum rc_rest_type type;
    int64_t min, max;    /* of the number, of the text's length in characters, of the list's length */
    const char *pattern; /* of a text: characters that it may have, for strspn; NULL: any */
    const char *doc;
};

struct rc_rest_route {
    enum rc_http_method method;
    const char *path;                 /* {Name} stands for a parameter */
    const char *action;               /* NULL: served without a key (api.c) */
    const char *query, *body, *needs; /* names with blanks between them; `needs` of the body's */
    const char *summary;
    const char *answer; /* a JSON schema's properties; NULL: {} */
};

/* ---- rest_routes.c ---- */
const struct rc_rest_route *rc_rest_routes(size_t *ret_count);
/* NULL when there is none. */
const struct rc_rest_param *rc_rest_param(struct rc_slice name);
const char *rc_rest_method_name(enum rc_http_method method);

/* ---- rest_document.c ---- */
/* The OpenAPI 3 document; one reference. Any thread. */
json_t *rc_rest_document(void);

/* ---- rest.c ---- */
/* False when the path is not REST's; otherwise it is answered, now or later. The API's thread. */
bool rc_rest_handle(struct rc_api *api, struct rc_http_request *request);

#endif
