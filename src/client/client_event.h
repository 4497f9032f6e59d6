/* A presence event as the server writes it: one JSON object. */
#ifndef RC_CLIENT_CLIENT_EVENT_H
#define RC_CLIENT_CLIENT_EVENT_H

#include "rollcall/client_status.h"

#include <jansson.h>

/*
 * 0, or RC_ERR_INVALID when the body is not the JSON of an event. The views in `ret` live as long as
 * *ret_json, which the caller releases with json_decref.
 */
int rc_client_event_parse(const void *body, size_t len, struct rc_client_event *ret, json_t **ret_json);

/* Neither missing nor empty nor over RC_CLIENT_STATUS_ID_MAX. */
bool rc_client_event_is_id(const char *text);

const char *rc_client_event_type_name(enum rc_client_event_type type);
bool rc_client_event_type_of(const char *name, enum rc_client_event_type *ret);

#endif
