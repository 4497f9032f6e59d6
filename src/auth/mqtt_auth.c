#include "auth/mqtt_auth.h"

#include "auth/sign.h"
#include "auth/token.h"
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

static bool signature_is_right(struct rc_slice secret, const struct rc_auth_login *login)
{
    char expected[RC_SIGNATURE_LEN + 1];
    rc_sign(secret, &login->client_id, 1, expected);
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
    if (client->group == NULL)
        return RC_AUTH_UNKNOWN_GROUP;
    return rc_instance_mark(&instance->black, login->client_id) == NULL ? RC_AUTH_OK : RC_AUTH_BLACKLISTED;
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

/* ---- the ways that name an access key ---- */

static enum rc_auth_result by_signature(const struct rc_catalog *catalog, struct rc_slice access_key,
                                        const struct rc_auth_login *login, struct rc_auth_client *client)
{
    client->way = RC_AUTH_BY_SIGNATURE;
    client->key = rc_catalog_instance_key(catalog, client->instance, access_key);
    if (client->key == NULL)
        return RC_AUTH_UNKNOWN_KEY;
    if (!signature_is_right(client->key->secret_key, login))
        return RC_AUTH_BAD_SIGNATURE;
    return find_group(login, client);
}

/* Every token that is presented must be right. */
static bool tokens_are_right(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                             const struct rc_auth_client *client)
{
    struct rc_token_pair pairs[RC_TOKEN_PAIRS_MAX];
    struct rc_token token;
    uint32_t count = login->has_password ? rc_token_split(login->password, pairs) : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rc_token_check(catalog, client->instance, pairs[i].text, login->now_ms, &token) !=
                RC_TOKEN_VALID ||
            (pairs[i].actions & ~token.head.actions) != 0 ||
            !rc_slice_eq(token.head.access_key, client->key->access_key))
            return false;
    }
    return count > 0;
}

static enum rc_auth_result by_token(const struct rc_catalog *catalog, struct rc_slice access_key,
                                    const struct rc_auth_login *login, struct rc_auth_client *client)
{
    client->way = RC_AUTH_BY_TOKEN;
    client->key = rc_catalog_instance_key(catalog, client->instance, access_key);
    if (client->key == NULL)
        return RC_AUTH_UNKNOWN_KEY;
    if (!tokens_are_right(catalog, login, client))
        return RC_AUTH_BAD_TOKEN;
    return find_group(login, client);
}

static enum rc_auth_result by_credential(struct rc_slice access_key, const struct rc_auth_login *login,
                                         struct rc_auth_client *client)
{
    client->way = RC_AUTH_BY_CREDENTIAL;
    client->credential = rc_instance_credential(client->instance, login->client_id);
    if (client->credential == NULL || !rc_slice_eq(client->credential->access_key, access_key))
        return RC_AUTH_UNKNOWN_CREDENTIAL;
    if (!signature_is_right(client->credential->secret, login))
        return RC_AUTH_BAD_SIGNATURE;
    return find_group(login, client);
}

/* Nothing but the certificate, which is looked at whatever the way (check_certificate). */
static enum rc_auth_result by_certificate(const struct rc_auth_login *login, struct rc_auth_client *client)
{
    client->way = RC_AUTH_BY_CERTIFICATE;
    if (client->instance == NULL || (login->certificate == NULL && login->certificate_key.len == 0))
        return RC_AUTH_BAD_CERTIFICATE;
    return client_id_fits(client->instance, login->client_id) ? find_group(login, client)
                                                              : RC_AUTH_BAD_CLIENT_ID;
}

/* `user`: its three parts. */
static enum rc_auth_result by_three_parts(const struct rc_catalog *catalog, const struct rc_slice user[3],
                                          const struct rc_auth_login *login, struct rc_auth_client *client)
{
    bool is_signature = rc_slice_eq_str(user[0], "Signature"), is_token = rc_slice_eq_str(user[0], "Token");
    bool is_certificate = rc_slice_eq_str(user[0], "Certificate");
    if (user[2].len == 0)
        return RC_AUTH_BAD_USER;
    if (!is_signature && !is_token && !is_certificate && !rc_slice_eq_str(user[0], "DeviceCredential"))
        return RC_AUTH_UNSUPPORTED_MODE;
    client->instance = rc_catalog_instance(catalog, user[2]);
    if (client->instance == NULL)
        return RC_AUTH_UNKNOWN_INSTANCE;
    if (!client_id_fits(client->instance, login->client_id))
        return RC_AUTH_BAD_CLIENT_ID;
    if (is_certificate)
        return by_certificate(login, client);
    if (is_signature)
        return by_signature(catalog, user[1], login, client);
    return is_token ? by_token(catalog, user[1], login, client) : by_credential(user[1], login, client);
}

/* ---- the ways that name a user, or nobody ---- */

static enum rc_auth_result by_custom(const struct rc_auth_login *login, struct rc_auth_client *client)
{
    const struct rc_custom_identity *custom = client->custom;
    client->way = RC_AUTH_BY_CUSTOM;
    bool is_right = custom->is_signed
                        ? signature_is_right(custom->secret, login)
                        : login->has_password && rc_secret_equal(login->password, custom->secret);
    return is_right ? find_group(login, client) : RC_AUTH_BAD_PASSWORD;
}

/* `name` is empty for anonymous clients. */
static enum rc_auth_result by_name(struct rc_slice name, const struct rc_auth_login *login,
                                   struct rc_auth_client *client)
{
    const struct rc_instance *instance = client->instance;
    if (instance == NULL)
        return name.len > 0 ? RC_AUTH_BAD_USER : RC_AUTH_NO_USER;
    client->custom = rc_instance_identity(instance, name, login->client_id);
    if (client->custom == NULL && instance->profile != RC_PROFILE_STANDARD) {
        bool has_custom = instance->identities.count > 0;
        return name.len == 0 ? RC_AUTH_NO_USER : has_custom ? RC_AUTH_BAD_PASSWORD : RC_AUTH_BAD_USER;
    }
    if (!client_id_fits(instance, login->client_id))
        return RC_AUTH_BAD_CLIENT_ID;
    if (client->custom != NULL)
        return by_custom(login, client);
    /* An instance without users asks nobody who he is: a name given all the same means nothing there. */
    bool is_anonymous = name.len == 0 || instance->users.count == 0;
    if (is_anonymous && !instance->takes_anonymous)
        return name.len > 0 ? RC_AUTH_BAD_PASSWORD : RC_AUTH_NO_USER;
    if (!is_anonymous) {
        client->way = RC_AUTH_BY_PASSWORD;
        client->user = rc_instance_user(instance, name);
    }
    enum rc_auth_result result = find_group(login, client);
    return result == RC_AUTH_OK && !is_anonymous ? RC_AUTH_NEEDS_PASSWORD : result;
}

static enum rc_auth_result by_user_name(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                        struct rc_auth_client *client)
{
    struct rc_slice parts[4];
    if (!login->has_user || login->user.len == 0) {
        bool has_certificate = login->certificate != NULL || login->certificate_key.len > 0;
        return has_certificate ? by_certificate(login, client) : by_name(rc_slice(NULL, 0), login, client);
    }
    switch (split_user(login->user, parts)) {
    case 1:
        return by_name(parts[0], login, client);
    case 2:
        client->instance = rc_catalog_instance(catalog, parts[1]);
        return by_name(parts[0], login, client);
    case 3:
        return by_three_parts(catalog, parts, login, client);
    default:
        return RC_AUTH_BAD_USER;
    }
}

enum rc_auth_result rc_auth_mqtt(const struct rc_catalog *catalog, const struct rc_auth_login *login,
                                 struct rc_auth_client *ret_client)
{
    *ret_client = (struct rc_auth_client){.instance = catalog->default_instance};
    enum rc_auth_result result = by_user_name(catalog, login, ret_client);
    if (result != RC_AUTH_OK && result != RC_AUTH_NEEDS_PASSWORD)
        return result;
    if (login->certificate_key.len > 0 && login->certificate_key.len <= RC_CERTIFICATE_KEY_MAX)
        memcpy(ret_client->certificate_key, login->certificate_key.ptr, login->certificate_key.len);
    else if (login->certificate != NULL && !rc_certificate_check(ret_client->instance, login->certificate,
                                                                 login->chain, ret_client->certificate_key))
        return RC_AUTH_BAD_CERTIFICATE;
    return result;
}
