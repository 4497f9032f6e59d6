/*
 * The product's withdrawn HTTP calls, which programs still make: GET /route/clientId/get, and /token/apply,
 * /token/revoke, /token/query.
 */
#ifndef RC_API_LEGACY_H
#define RC_API_LEGACY_H

#include <stdbool.h>

struct rc_api;
struct rc_http_request;

/* False when the path is none of these; otherwise it is answered, now or later. */
bool rc_legacy_handle(struct rc_api *api, struct rc_http_request *request);

#endif
