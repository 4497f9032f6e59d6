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

/* Splits at the bars: how many parts there are, at most 4; the last takes the rest. */
static int split_user(struct rc_slice user, struct rc_slice parts[4])
{
    int count = 0;
    for (const uint8_t *bar; count < 3 && (bar = memchr(user.ptr, '|', user.len)) != NULL; count++) {
        parts[count] = rc_slice(user.ptr, (size_t)(bar - user.ptr));
        user = rc_slice_from(user, parts[count].len + 1);
    }
    parts[count++] = user;
    return count;
}

static bool signature_is_right(const struct rc_key_pair *pair, const struct rc_auth_login *login)
{
    char expected[RC_SIGNATURE_LEN + 1];
    rc_sign(pair->secret_key, &login->client_id, 1, expected);
    return login->has_password && rc_secret_equal(login->password, rc_slice(expected, RC_SIGNATURE_LEN));
}

/* The group that a client id belongs to. */
static enum rc_auth_result find_group(const struct rc_auth_login *login, struct rc_auth_client *client)
{
    struct rc_slice group_id, device;
    const struct rc_instance *instance = client->instance;
    bool has_group = rc_catalog_split_client_id(login->client_id, &group_id, &device) == RC_OK;
    client->group = has_group ? rc_instance_group(instance, group_id) : NULL;
    if (client->group == NULL)
        client->group = instance->group;
    return client->group != NULL ? RC_AUTH_OK : RC_AUTH_UNKNOWN_GROUP;
}

static bool client_id_fits(const struct rc_instance *instance, struct rc_slice client_id)
{
    struct rc_slice group, device;
    if (client_id.len > instance->limits.client_id_max)
        return false;
    if (instance->profile == RC_PROFILE_STANDARD)
        return rc_catalog_is_client_id(client_id);
    return rc_catalog_split_client_id(client_id, &group, &device) == RC_OK;
}

/* `user`: its three parts. */
static enum rc_auth_result by_signature(const struct rc_catalog *catalog, const struct rc_slice user[3],
                                        const struct rc_auth_login *login, bool checks,
                                        struct rc_auth_client *client)
{
    if (user[2].len == 0)
        return RC_AUTH_BAD_USER;
    if (!rc_slice_eq_str(user[0], "Signature"))
        return RC_AUTH_UNSUPPORTED_MODE;
    client->instance = rc_catalog_instance(catalog, user[2]);
    if (client->instance == NULL)
        return RC_AUTH_UNKNOWN_INSTANCE;
    if (!client_id_fits(client->instance, login->client_id))
        return RC_AUTH_BAD_CLIENT_ID;
    client->key = rc_catalog_instance_key(catalog, client->instance, user[1]);
    if (client->key == NULL)
        return RC_AUTH_UNKNOWN_KEY;
    if (checks && !signature_is_right(client->key, login))
        return RC_AUTH_BAD_SIGNATURE;
    return find_group(login, client);
}

/* Anonymous clients and users with a password: `name` is empty for the former. */
static enum rc_auth_result by_password(struct rc_slice name, const struct rc_auth_login *login,
                                       struct rc_auth_client *client)
{
    const struct rc_instance *instance = client->instance;
    if (instance == NULL || instance->profile != RC_PROFILE_STANDARD)
        return name.len > 0 ? RC_AUTH_BAD_USER : RC_AUTH_NO_USER;
    if (!client_id_fits(instance, login->client_id))
        return RC_AUTH_BAD_CLIENT_ID;
    /* An instance without users asks nobody who he is: a name given all the same means nothing there. */
    bool is_anonymous = name.len == 0 || instance->users.count == 0;
    if (is_anonymous && !instance->takes_anonymous)
        return name.len > 0 ? RC_AUTH_BAD_PASSWORD : RC_AUTH_NO_USER;
    if (!is_anonymous)
        client->user = rc_instance_user(instance, name);
    enum rc_auth_result result = find_group(login, client);
    return result == RC_AUTH_OK && !is_anonymous ? RC_AUTH_NEEDS_PASSWORD : result;
}

static enum rc_auth_result check(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 bool checks, struct rc_auth_client *client)
{
    struct rc_slice parts[4];
    *client = (struct rc_auth_client){.instance = catalog->default_instance};
    if (!login->has_user || login->user.len == 0)
        return by_password(rc_slice(NULL, 0), login, client);
    switch (split_user(login->user, parts)) {
    case 1:
        return by_password(parts[0], login, client);
    case 2:
        client->instance = rc_catalog_instance(catalog, parts[1]);
        return by_password(parts[0], login, client);
    case 3:
        return by_signature(catalog, parts, login, checks, client);
    default:
        return RC_AUTH_BAD_USER;
    }
}

enum rc_auth_result rc_auth_mqtt(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 struct rc_auth_client *ret_client)
{
    return check(catalog, login, true, ret_client);
}

enum rc_auth_result rc_auth_identify(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                     struct rc_auth_client *ret_client)
{
    enum rc_auth_result result = check(catalog, login, false, ret_client);
    return result == RC_AUTH_NEEDS_PASSWORD && ret_client->user != NULL ? RC_AUTH_OK : result;
}
