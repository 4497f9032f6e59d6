/* Tokens, for the actions about them. On the API's thread. */
#ifndef RC_API_API_TOKEN_H
#define RC_API_API_TOKEN_H

#include "api/openapi_call.h"
#include "auth/token.h"

/* For the call's key and instance. NULL, or what is wrong, as a sentence. `ret` takes RC_TOKEN_TEXT_MAX. */
const char *rc_api_make_token(struct rc_api_call *call, const char *actions, const char *resources,
                              int64_t expire_ms, struct rc_buf *ret);
enum rc_token_state rc_api_check_token(const struct rc_api_call *call, const char *text);

#endif
