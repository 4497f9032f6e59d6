/* One signed call of a server's OpenAPI, over HTTP. Main thread; blocks. */
#ifndef RC_CLI_API_CLIENT_H
#define RC_CLI_API_CLIENT_H

#include "api/params.h"
#include "base/error.h"
#include "cli/options.h"

#include <jansson.h>

enum { RC_API_ANSWER_MAX = 16 << 20, RC_API_PATIENCE_S = 10 };

/*
 * Adds what a call needs to `params` (which hold Action and its own parameters), signs and sends it. 0 and
 * the answer, which the caller releases with json_decref; or a negative rc_err with a sentence that says what
 * to do.
 */
int rc_api_client_call(const char *url, const struct rc_cli_keys *keys, struct rc_params *params,
                       json_t **ret, struct rc_error *error);

#endif
