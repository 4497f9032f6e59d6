#include "auth/mqtt_auth.h"

#include "auth/sign.h"
#include "base/error.h"

const char *rc_auth_result_text(enum rc_auth_result result)
{
    switch (result) {
#define X(name, text)                                                                                        \
    case name:                                                                                               \
        return text;
        RC_AUTH_RESULT_MAP(X)
#undef X
    }
    return "unknown";
}

/* Splits mode|key|instance. */
static bool split_user(struct rc_slice user, struct rc_slice parts[3])
{
    for (int i = 0; i < 2; i++) {
        const uint8_t *bar = user.len ? memchr(user.ptr, '|', user.len) : NULL;
        if (bar == NULL)
            return false;
        parts[i] = rc_slice(user.ptr, (size_t)(bar - user.ptr));
        user = rc_slice_from(user, parts[i].len + 1);
    }
    parts[2] = user;
    return user.len > 0 && memchr(user.ptr, '|', user.len) == NULL;
}

static bool signature_is_right(const struct rc_key_pair *pair, const struct rc_auth_login *login)
{
    char expected[RC_SIGNATURE_LEN + 1];
    rc_sign(pair->secret_key, &login->client_id, 1, expected);
    return login->has_password && rc_secret_equal(login->password, rc_slice(expected, RC_SIGNATURE_LEN));
}

enum rc_auth_result rc_auth_mqtt(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 const struct rc_group **ret_group)
{
    struct rc_slice user[3], group_id, device;
    if (!login->has_user || login->user.len == 0)
        return RC_AUTH_NO_USER;
    if (!split_user(login->user, user))
        return RC_AUTH_BAD_USER;
    if (!rc_slice_eq_str(user[0], "Signature"))
        return RC_AUTH_UNSUPPORTED_MODE;
    if (rc_catalog_split_client_id(login->client_id, &group_id, &device) != RC_OK)
        return RC_AUTH_BAD_CLIENT_ID;
    const struct rc_instance *instance = rc_catalog_instance(catalog, user[2]);
    if (instance == NULL)
        return RC_AUTH_UNKNOWN_INSTANCE;
    const struct rc_key_pair *pair = rc_instance_key(instance, user[1]);
    if (pair == NULL)
        return RC_AUTH_UNKNOWN_KEY;
    if (!signature_is_right(pair, login))
        return RC_AUTH_BAD_SIGNATURE;
    const struct rc_group *group = rc_instance_group(instance, group_id);
    if (group == NULL)
        return RC_AUTH_UNKNOWN_GROUP;
    *ret_group = group;
    return RC_AUTH_OK;
}
