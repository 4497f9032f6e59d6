/*
 * The two ways in which calls of the cloud product's OpenAPI are signed. Both only compute what the signature
 * should be; the caller compares (rc_secret_equal), and checks time and nonce. No I/O.
 */
#ifndef RC_API_API_SIGN_H
#define RC_API_API_SIGN_H

#include "api/params.h"

enum {
    RC_API_SIGNATURE_MAX = 65, /* with its NUL; either kind */
    RC_API_SIGNED_HEADERS_MAX = 64,
};

/* What an RPC signature signs: METHOD & %2F & encoded parameters. 0, or RC_ERR_FULL when it is too long. */
int rc_api_rpc_text(struct rc_buf *out, const char *method, const struct rc_params *params);

/*
 * RPC signature v1: Base64(HMAC-SHA1(secret + "&", METHOD & %2F & encoded parameters)). `params` are sorted;
 * the one named Signature is left out. False when they are too long.
 */
bool rc_api_sign_rpc(const char *method, const struct rc_params *params, struct rc_slice secret,
                     char ret[RC_API_SIGNATURE_MAX]);

/* The parts of "ACS3-HMAC-SHA256 Credential=..,SignedHeaders=..,Signature=.."; RC_ERR_INVALID for others. */
struct rc_acs3 {
    struct rc_slice access_key, signed_headers, signature;
};
int rc_acs3_parse(const char *authorization, struct rc_acs3 *ret);
/* Whether what a call is about, and what makes it good once, is among the signed headers. */
bool rc_acs3_covers_all(const struct rc_acs3 *acs3);

struct rc_acs3_request {
    const char *method;
    struct rc_slice path;
    const struct rc_params *query; /* sorted */
    /* The value of a header field by its lower-case name, NULL when there is none. */
    const char *(*header)(void *arg, const char *name);
    void *arg;
    struct rc_slice content_sha256; /* hex, as the header x-acs-content-sha256 has it */
};

/*
 * ACS3-HMAC-SHA256: hex(HMAC-SHA256(secret, algorithm \n hex(SHA-256(canonical request)))). False when a
 * header that is said to be signed is missing, or something is too long.
 */
bool rc_api_sign_acs3(const struct rc_acs3_request *request, struct rc_slice signed_headers,
                      struct rc_slice secret, char ret[RC_API_SIGNATURE_MAX]);

/* What that signs: algorithm \n hex(SHA-256(canonical request)). RC_ERR_INVALID where it returns false. */
int rc_api_acs3_text(struct rc_buf *out, const struct rc_acs3_request *request,
                     struct rc_slice signed_headers);

/* Hex of SHA-256 in lower case, with a NUL. */
void rc_api_sha256_hex(struct rc_slice data, char ret[65]);

#endif
