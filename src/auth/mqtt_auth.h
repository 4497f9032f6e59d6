/* Who may connect by MQTT. No I/O; any thread that holds the catalog. */
#ifndef RC_AUTH_MQTT_AUTH_H
#define RC_AUTH_MQTT_AUTH_H

#include "auth/certificate.h"

#define RC_AUTH_RESULT_MAP(X)                                                                                \
    X(RC_AUTH_OK, "accepted")                                                                                \
    X(RC_AUTH_NEEDS_PASSWORD, "the password has to be verified")                                             \
    X(RC_AUTH_NO_USER, "no user name, and nobody may be anonymous here")                                     \
    X(RC_AUTH_BAD_USER, "the user name is not <way>|<access key>|<instance>, nor a user's")                  \
    X(RC_AUTH_UNSUPPORTED_MODE, "this way of authentication is not supported")                               \
    X(RC_AUTH_UNKNOWN_INSTANCE, "unknown instance")                                                          \
    X(RC_AUTH_UNKNOWN_KEY, "unknown access key")                                                             \
    X(RC_AUTH_BAD_SIGNATURE, "the password is not the signature of the client id")                           \
    X(RC_AUTH_BAD_PASSWORD, "unknown user or wrong password")                                                \
    X(RC_AUTH_BAD_CLIENT_ID, "the client id does not fit the instance's profile")                            \
    X(RC_AUTH_UNKNOWN_GROUP, "unknown group")                                                                \
    X(RC_AUTH_UNKNOWN_CREDENTIAL, "no such device credential of this client")                                \
    X(RC_AUTH_BAD_TOKEN, "a token is malformed, forged, expired, revoked or of another type or key")         \
    X(RC_AUTH_BAD_CERTIFICATE,                                                                               \
      "no registered CA of the instance stands behind the certificate, or it is inactive")                   \
    X(RC_AUTH_BLACKLISTED, "the client id is on the blacklist")                                              \
    X(RC_AUTH_TOO_MANY_FAILURES, "too many wrong passwords came from there")                                 \
    X(RC_AUTH_BUSY, "too many passwords wait to be verified")

enum rc_auth_result {
#define X(name, text) name,
    RC_AUTH_RESULT_MAP(X)
#undef X
};

const char *rc_auth_result_text(enum rc_auth_result result);

struct rc_auth_login {
    struct rc_slice client_id; /* empty: the server is to assign one (profile standard only) */
    bool has_user, has_password;
    struct rc_slice user, password;
    int64_t now_ms; /* wall clock: tokens end */
    /* The certificate that the client has shown and nobody has looked at yet, NULL: none; and what it sent
     * besides. */
    const struct x509_st *certificate;
    const struct stack_st_X509 *chain;
    struct rc_slice certificate_key; /* of one that was looked at before */
};

enum rc_auth_way {
    RC_AUTH_BY_NOTHING, /* anonymous */
    RC_AUTH_BY_SIGNATURE,
    RC_AUTH_BY_PASSWORD,
    RC_AUTH_BY_TOKEN,
    RC_AUTH_BY_CREDENTIAL,
    RC_AUTH_BY_CUSTOM,
    RC_AUTH_BY_CERTIFICATE,
};

/* Who that is; all of it belongs to the catalog. */
struct rc_auth_client {
    const struct rc_instance *instance;
    const struct rc_group *group;
    enum rc_auth_way way;
    const struct rc_key_pair *key;                    /* NULL: not by signature or token */
    const struct rc_user *user;                       /* NULL: not by password */
    const struct rc_credential *credential;           /* NULL: not by that */
    const struct rc_custom_identity *custom;          /* likewise */
    char certificate_key[RC_CERTIFICATE_KEY_MAX + 1]; /* of the one that was shown; "": none was */
};

/*
 * Checks a login. The user name decides how:
 *   Signature|<access key>|<instance>          the password is the client id's signature
 *   Token|<access key>|<instance>              the password is one or more tokens (auth/token.h)
 *   DeviceCredential|<access key>|<instance>   the client's own: the password is the client id's signature
 *   Certificate|<anything>|<instance>, or none  the certificate alone, of that instance or the default one
 *   <user>|<instance>                          a custom identity, or a user, of that instance
 *   <user>                                     one of the default instance
 *   none                                anonymous, where the default instance takes that
 * A certificate that was shown must be right whatever the way (mutual TLS).
 * RC_AUTH_OK: `ret_client` is filled. RC_AUTH_NEEDS_PASSWORD: filled too, and the login is right when the
 * password fits ret_client->user's entry (rc_password_verify; `user` NULL: there is none of that name, which
 * must take as long to say). The signature is checked before the group, so strangers cannot ask which groups
 * exist.
 */
enum rc_auth_result rc_auth_mqtt(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 struct rc_auth_client *ret_client);

#endif
