/*
 * Tokens: a bearer's right to some topics of one instance until a time, signed with the instance's own key.
 * A token tells all about itself, so nothing is kept of those that were made; what is revoked is kept until
 * it would have expired. Base64url of: version, actions, time, id, instance, access key, topics, and
 * HMAC-SHA256 of all that. No I/O; any thread that holds the catalog.
 */
#ifndef RC_AUTH_TOKEN_H
#define RC_AUTH_TOKEN_H

#include "base/buf.h"
#include "catalog/catalog.h"

enum {
    RC_TOKEN_RESOURCES_MAX = 100,
    RC_TOKEN_RESOURCE_LEN_MAX = 128,
    RC_TOKEN_BYTES_MAX = 14000, /* before Base64 */
    RC_TOKEN_TEXT_MAX = RC_TOKEN_BYTES_MAX / 3 * 4 + 4,
};
#define RC_TOKEN_LIFE_MIN_MS (60 * 1000ll)
#define RC_TOKEN_LIFE_MAX_MS (30 * 24 * 3600 * 1000ll)

/* As the product numbers them, in $SYS/tokenInvalidNotice. */
enum rc_token_state {
    RC_TOKEN_VALID = 0,
    RC_TOKEN_FORGED = 1,
    RC_TOKEN_EXPIRED = 2,
    RC_TOKEN_REVOKED = 3,
    RC_TOKEN_WRONG_RESOURCE = 4,
    RC_TOKEN_WRONG_TYPE = 5,
    RC_TOKEN_BAD_SIGNATURE = 8,
    RC_TOKEN_BAD_ACCOUNT = -1,
};

/* What is asked of a token again and again. */
struct rc_token_head {
    uint8_t actions; /* RC_ACL_READ, RC_ACL_WRITE, or both */
    int64_t expire_ms;
    uint8_t id[RC_CATALOG_TOKEN_ID_LEN];
    struct rc_slice access_key;
};

/* A token that was read: the texts are in `bytes`. */
struct rc_token {
    struct rc_token_head head;
    struct rc_slice instance;
    uint32_t resources_count;
    struct rc_slice resources[RC_TOKEN_RESOURCES_MAX]; /* topic filters */
    uint8_t bytes[RC_TOKEN_BYTES_MAX];
};

/* "R", "W" or "RW" (also "R,W"); 0 for anything else. */
uint8_t rc_token_actions(struct rc_slice text);

/*
 * Makes a token. `resources`: topic filters between commas, at most RC_TOKEN_RESOURCES_MAX. The time is held
 * to the limits above, counted from now_ms: one that is too near is RC_ERR_RANGE, one too far becomes the
 * farthest. 0, RC_ERR_INVALID (a topic), RC_ERR_FULL (too many of them). `ret` needs room for
 * RC_TOKEN_TEXT_MAX bytes.
 */
int rc_token_make(const struct rc_instance *instance, struct rc_slice access_key, uint8_t actions,
                  struct rc_slice resources, int64_t expire_ms, int64_t now_ms, struct rc_buf *ret);

/* Reads a token and checks its signature, and nothing else: VALID, FORGED or BAD_SIGNATURE. */
enum rc_token_state rc_token_read(const struct rc_instance *instance, struct rc_slice text,
                                  struct rc_token *ret);
/* The same, and whether it counts now: its time, its key pair, and that it was not revoked. */
enum rc_token_state rc_token_check(const struct rc_catalog *catalog, const struct rc_instance *instance,
                                   struct rc_slice text, int64_t now_ms, struct rc_token *ret);
/* The second half of that, for one that was read before. */
enum rc_token_state rc_token_recheck(const struct rc_catalog *catalog, const struct rc_instance *instance,
                                     const struct rc_token_head *head, int64_t now_ms);

/* ---- how clients present them ---- */
enum { RC_TOKEN_PAIRS_MAX = 3 };

struct rc_token_pair {
    uint8_t actions; /* as what it is presented */
    struct rc_slice text;
};

/* A password: R|<token>, W|<token>, RW|<token>, or several of these with a bar between them, each type once.
 * How many; 0 for anything else. */
uint32_t rc_token_split(struct rc_slice password, struct rc_token_pair ret[RC_TOKEN_PAIRS_MAX]);

/*
 * The payload of $SYS/uploadToken: {"token": "...", "type": "R"|"W"|"RW"}. The text is the caller's to free;
 * NULL for anything else.
 */
char *rc_token_parse_upload(struct rc_slice json, uint8_t *ret_actions);

#endif
