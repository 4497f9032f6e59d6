/*
 * Whom a client logged in as: a key pair, a user or nobody in particular, of one instance. Clients that came
 * by the same one share it (a fleet has one key pair), so it costs an idle connection a pointer. It follows
 * the catalog: after a reload it points to what the new one has of that name, or to nothing.
 * One shard's; on its loop.
 */
#ifndef RC_BROKER_IDENTITY_H
#define RC_BROKER_IDENTITY_H

#include "auth/mqtt_auth.h"
#include "base/map.h"

struct rc_broker;
struct rc_conn;

enum rc_identity_kind {
    RC_IDENTITY_ANONYMOUS,
    RC_IDENTITY_KEY,
    RC_IDENTITY_USER,
    RC_IDENTITY_TOKEN,      /* a key pair's name; the tokens are the connection's own (tokens.h) */
    RC_IDENTITY_CREDENTIAL, /* one client's */
    RC_IDENTITY_CUSTOM,
    RC_IDENTITY_CERTIFICATE, /* whether it still counts is the connection's to know (rc_review_verdict) */
};

struct rc_identity {
    const struct rc_instance *instance; /* NULL: it exists no more */
    /* By its kind, NULL: it exists no more; the others are NULL. */
    const struct rc_key_pair *key; /* of RC_IDENTITY_KEY and _TOKEN */
    const struct rc_user *user;
    const struct rc_credential *credential;
    const struct rc_custom_identity *custom;
    uint32_t generation; /* of the catalog that these are of */
    uint32_t refs;
    enum rc_identity_kind kind;
    bool is_listed; /* new clients of that name share it */
    bool is_valid;  /* in that catalog, with the same secret */
    uint32_t
        owner; /* of sessions: the same for all that may take one over from each other, in any run; not 0 */
    uint64_t secret_mark; /* of the secret it came with: another secret is another identity */
    uint16_t instance_len, key_len;
    char text[]; /* instance NUL kind name; the map's key */
};

void rc_identities_init(struct rc_map *identities);

/* With a reference for the caller. `client` is of the broker's catalog or of an older one. */
struct rc_identity *rc_identity_open(struct rc_broker *broker, const struct rc_auth_client *client);
void rc_identity_close(struct rc_broker *broker, struct rc_identity *identity); /* NULL is fine */

/* The connection's, up to date with the broker's catalog; NULL before the client is known. */
const struct rc_identity *rc_conn_identity(const struct rc_conn *conn);

/* Whether it may still be there: its instance, and its key or user, exist with the same secret. */
static inline bool rc_identity_is_valid(const struct rc_identity *identity)
{
    return identity->is_valid;
}
/* The user name that topic rules and permissions go by; empty: none. */
struct rc_slice rc_identity_user_name(const struct rc_identity *identity);
bool rc_identity_is_admin(const struct rc_identity *identity);

#endif
