/* The answer to a request for a topic's route, as JSON. No I/O. */
#ifndef RC_CLIENT_TOPIC_ROUTE_H
#define RC_CLIENT_TOPIC_ROUTE_H

#include "base/slice.h"

#include <jansson.h>

/* NULL when it is none; json_decref it. */
json_t *rc_topic_route_json(struct rc_slice body);

#endif
