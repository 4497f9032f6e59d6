/* Who may connect by MQTT. No I/O; any thread that holds the catalog. */
#ifndef RC_AUTH_MQTT_AUTH_H
#define RC_AUTH_MQTT_AUTH_H

#include "catalog/catalog.h"

#define RC_AUTH_RESULT_MAP(X)                                                                                \
    X(RC_AUTH_OK, "accepted")                                                                                \
    X(RC_AUTH_NO_USER, "no user name")                                                                       \
    X(RC_AUTH_BAD_USER, "the user name is not Signature|<access key>|<instance>")                            \
    X(RC_AUTH_UNSUPPORTED_MODE, "this way of authentication is not supported")                               \
    X(RC_AUTH_UNKNOWN_INSTANCE, "unknown instance")                                                          \
    X(RC_AUTH_UNKNOWN_KEY, "unknown access key")                                                             \
    X(RC_AUTH_BAD_SIGNATURE, "the password is not the signature of the client id")                           \
    X(RC_AUTH_BAD_CLIENT_ID, "the client id is not <group>@@@<device>")                                      \
    X(RC_AUTH_UNKNOWN_GROUP, "unknown group")

enum rc_auth_result {
#define X(name, text) name,
    RC_AUTH_RESULT_MAP(X)
#undef X
};

const char *rc_auth_result_text(enum rc_auth_result result);

struct rc_auth_login {
    struct rc_slice client_id;
    bool has_user, has_password;
    struct rc_slice user, password;
};

/*
 * Checks a login. On RC_AUTH_OK *ret_group is the client's group (whose instance is the client's). The
 * signature is checked before the group, so strangers cannot ask which groups exist.
 */
enum rc_auth_result rc_auth_mqtt(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 const struct rc_group **ret_group);

#endif
