/*
 * One call of the OpenAPI: who asks for what, and the answer that is being made. A call lives from its HTTP
 * request to its answer, on the API's thread.
 */
#ifndef RC_API_OPENAPI_CALL_H
#define RC_API_OPENAPI_CALL_H

#include "api/params.h"
#include "base/buf.h"
#include "catalog/catalog.h"
#include "http/http_server.h"

#include <jansson.h>

enum { RC_REQUEST_ID_LEN = 36 };

struct rc_api;

struct rc_api_call {
    struct rc_api *api;
    struct rc_http_request *request;
    struct rc_params params;    /* of query and body, sorted */
    struct rc_catalog *catalog; /* what existed when the call came; a reference */
    const struct rc_key_pair *key;
    const struct rc_instance *instance; /* of the parameter InstanceId; NULL where an action takes none */
    const char *action;
    struct rc_slice nonce;  /* of a signed call, which is good once; NULL for others */
    uint64_t nonce_keep_ms; /* then its timestamp is too old */
    json_t *answer;         /* an object, without RequestId */
    char request_id[RC_REQUEST_ID_LEN + 1];
    bool is_xml, is_rest;
    struct rc_buf written; /* the answer as it is sent, when it was written ahead */
    bool is_written;
    void *state; /* of an action that answers later */
    /* Answers in a way of its own; `code` NULL: it went well, see `answer`. NULL: as the product does. */
    void (*answer_as)(struct rc_api_call *call, const char *code, const char *message);
};

/* The errors that the product documents, and those of its gateway. */
enum rc_api_error {
    RC_API_MISSING_ACTION,
    RC_API_UNKNOWN_ACTION,
    RC_API_UNKNOWN_VERSION,
    RC_API_WRONG_METHOD,
    RC_API_MISSING_PARAMETER,
    RC_API_INVALID_PARAMETER,
    RC_API_MISSING_KEY,
    RC_API_UNKNOWN_KEY,
    RC_API_FOREIGN_TOKEN, /* one of the product's security token service */
    RC_API_WRONG_SIGNATURE,
    RC_API_EXPIRED,
    RC_API_NONCE_USED,
    RC_API_NO_PERMISSION,
    RC_API_NOT_ALLOWED,
    RC_API_THROTTLED,     /* whoever calls has called too often */
    RC_API_APPLIED_OFTEN, /* the same, of ApplyToken, QueryToken, RevokeToken */
    RC_API_QUERIED_OFTEN,
    RC_API_REVOKED_OFTEN,
    RC_API_OVERLOADED, /* too much is under way, of all callers */
    RC_API_NOT_SUPPORTED,
    RC_API_CHECK_FAILED,
    RC_API_OVERFLOW, /* of custom identities, permissions, the blacklist */
    RC_API_FULL,     /* of anything else */
    RC_API_NOT_FOUND,
    RC_API_EXISTS,
    RC_API_IN_USE,
    RC_API_INTERNAL,
    RC_API_ERRORS,
};
/* The code that callers are told. */
const char *rc_api_error_code(enum rc_api_error error);

struct rc_api_call *rc_api_call_create(struct rc_api *api, struct rc_http_request *request);
/*
 * Writes the answer that was made, on whatever thread has the call now; the API's would be held up by a long
 * one. Only rc_api_call_finish or _fail may follow.
 */
void rc_api_call_write(struct rc_api_call *call);
/* Answers with what was made and frees the call. */
void rc_api_call_finish(struct rc_api_call *call);
/* Answers with an error and frees the call. The format makes the sentence that follows the error's own. */
void rc_api_call_fail(struct rc_api_call *call, enum rc_api_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same from a negative rc_err and a sentence about it, which may be empty. */
void rc_api_call_fail_err(struct rc_api_call *call, int err, const char *sentence);

/* Parameters. A missing one answers the call with an error and returns NULL: the call is gone then. */
const char *rc_api_call_need(struct rc_api_call *call, const char *name);
/* A whole number within bounds. False when the call was answered with an error, and is gone. */
bool rc_api_call_need_int(struct rc_api_call *call, const char *name, int64_t min, int64_t max, int64_t *ret);
/* "true", in any case; anything else is false. */
bool rc_api_call_flag(const struct rc_api_call *call, const char *name);

/* ---- small parts of answers ---- */
json_t *rc_api_text(struct rc_slice text);
/* Code 200, Success, Message: what many answers of the product have beside their data. */
void rc_api_call_put_success(struct rc_api_call *call);

#endif
