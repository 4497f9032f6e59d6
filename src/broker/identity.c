#include "broker/identity.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "broker/private.h"

#include <openssl/sha.h>

/* The longest name is that of a custom identity with a client id. */
enum { KEY_MAX = RC_CATALOG_ID_MAX + 2 + RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX };
_Static_assert((int)RC_CATALOG_USER_MAX < (int)RC_CLIENT_ID_MAX, "users' names fit too");

static struct rc_slice identity_key(const void *item)
{
    const struct rc_identity *identity = item;
    return rc_slice(identity->text, identity->key_len);
}

void rc_identities_init(struct rc_map *identities)
{
    rc_map_init(identities, identity_key);
}

static enum rc_identity_kind kind_of(const struct rc_auth_client *client)
{
    return client->way == RC_AUTH_BY_TOKEN         ? RC_IDENTITY_TOKEN
           : client->way == RC_AUTH_BY_CERTIFICATE ? RC_IDENTITY_CERTIFICATE
           : client->key != NULL                   ? RC_IDENTITY_KEY
           : client->user != NULL                  ? RC_IDENTITY_USER
           : client->credential != NULL            ? RC_IDENTITY_CREDENTIAL
           : client->custom != NULL                ? RC_IDENTITY_CUSTOM
                                                   : RC_IDENTITY_ANONYMOUS;
}

static struct rc_slice name_of(const struct rc_auth_client *client)
{
    return client->key != NULL                     ? client->key->access_key
           : client->user != NULL                  ? client->user->name
           : client->credential != NULL            ? client->credential->client_id
           : client->custom != NULL                ? client->custom->key
           : client->way == RC_AUTH_BY_CERTIFICATE ? rc_slice_str(client->certificate_key)
                                                   : rc_slice(NULL, 0);
}

static struct rc_slice identity_name(const struct rc_identity *identity)
{
    return rc_slice_from(identity_key(identity), (size_t)identity->instance_len + 2);
}

/* Seeded, and never leaves the process: that it is equal says that the secret has not changed. A token's key
 * pair may get another secret: tokens are not made with it. */
static uint64_t secret_mark(enum rc_identity_kind kind, const struct rc_auth_client *client)
{
    switch (kind) {
    case RC_IDENTITY_KEY:
        return rc_hash(client->key->secret_key);
    case RC_IDENTITY_USER:
        return rc_hash(client->user->password);
    case RC_IDENTITY_CREDENTIAL:
        return rc_hash(client->credential->secret) ^ rc_hash(client->credential->access_key);
    case RC_IDENTITY_CUSTOM:
        return rc_hash(client->custom->secret) + client->custom->is_signed;
    case RC_IDENTITY_TOKEN:
    case RC_IDENTITY_CERTIFICATE:
    case RC_IDENTITY_ANONYMOUS:
        break;
    }
    return 1;
}

/*
 * A user's sessions are his own: another one who calls himself by the same client id gets a new session, not
 * what waits for the first. Keys of an instance, its tokens and device credentials are one owner: they are
 * changed for each other.
 */
static uint32_t owner_of(enum rc_identity_kind kind, struct rc_slice name)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    uint32_t owner;
    if (kind == RC_IDENTITY_ANONYMOUS)
        return 1;
    if (kind != RC_IDENTITY_USER && kind != RC_IDENTITY_CUSTOM)
        return 1 + (uint32_t)RC_IDENTITY_KEY;
    SHA256(name.ptr, name.len, digest);
    memcpy(&owner, digest, sizeof(owner));
    return owner > RC_IDENTITY_USER ? owner : owner + RC_IDENTITY_USER + 1;
}

static bool has_same_secret(const struct rc_identity *identity)
{
    const struct rc_auth_client now = {.key = identity->key,
                                       .user = identity->user,
                                       .credential = identity->credential,
                                       .custom = identity->custom};
    bool exists = now.key != NULL || now.user != NULL || now.credential != NULL || now.custom != NULL;
    return exists && identity->secret_mark == secret_mark(identity->kind, &now);
}

/* By the catalog that it was looked up in. */
static bool may_stay(const struct rc_identity *identity)
{
    if (identity->instance == NULL || identity->secret_mark == 0)
        return false;
    if (identity->kind == RC_IDENTITY_ANONYMOUS)
        return identity->instance->profile == RC_PROFILE_STANDARD && identity->instance->takes_anonymous;
    return identity->kind == RC_IDENTITY_CERTIFICATE || has_same_secret(identity);
}

/* Its name, in the broker's catalog. */
static void look_up(const struct rc_broker *broker, struct rc_identity *identity)
{
    identity->key = NULL;
    identity->user = NULL;
    identity->credential = NULL;
    identity->custom = NULL;
    identity->instance =
        rc_catalog_instance(broker->catalog, rc_slice(identity->text, identity->instance_len));
    if (identity->instance == NULL)
        return;
    struct rc_slice name = identity_name(identity);
    if (identity->kind == RC_IDENTITY_KEY || identity->kind == RC_IDENTITY_TOKEN)
        identity->key = rc_catalog_instance_key(broker->catalog, identity->instance, name);
    else if (identity->kind == RC_IDENTITY_USER)
        identity->user = rc_instance_user(identity->instance, name);
    else if (identity->kind == RC_IDENTITY_CREDENTIAL)
        identity->credential = rc_instance_credential(identity->instance, name);
    else if (identity->kind == RC_IDENTITY_CUSTOM)
        identity->custom = rc_trie_find(&identity->instance->identities, name);
}

static void refresh(const struct rc_broker *broker, struct rc_identity *identity)
{
    if (identity->generation == broker->catalog_generation)
        return;
    identity->generation = broker->catalog_generation;
    look_up(broker, identity);
    identity->is_valid = may_stay(identity);
}

/* Nearly always the client came by the very items that are known to be right: no secret is looked at. */
static bool has_secret_of(const struct rc_identity *identity, const struct rc_auth_client *client)
{
    bool is_same = identity->key == client->key && identity->user == client->user &&
                   identity->credential == client->credential && identity->custom == client->custom;
    return (identity->is_valid && is_same) || identity->secret_mark == secret_mark(kind_of(client), client);
}

static struct rc_identity *create(struct rc_broker *broker, const struct rc_auth_client *client,
                                  struct rc_slice key, bool is_listed)
{
    struct rc_identity *identity = rc_calloc(1, sizeof(*identity) + key.len);
    memcpy(identity->text, key.ptr, key.len);
    identity->key_len = (uint16_t)key.len;
    identity->instance_len = (uint16_t)client->instance->id.len;
    identity->kind = kind_of(client);
    identity->is_listed = is_listed;
    identity->secret_mark = secret_mark(identity->kind, client);
    identity->owner = owner_of(identity->kind, name_of(client));
    identity->generation = broker->catalog_generation - 1; /* the client may be of an older catalog */
    if (is_listed)
        rc_map_insert(&broker->identities, identity);
    return identity;
}

/* It is not valid any more, and no catalog shall make it so again: those who came by it are being shown out.
 */
static void supersede(struct rc_broker *broker, struct rc_identity *identity)
{
    rc_map_remove(&broker->identities, identity_key(identity));
    identity->secret_mark = 0;
    identity->is_listed = false;
}

struct rc_identity *rc_identity_open(struct rc_broker *broker, const struct rc_auth_client *client)
{
    char bytes[KEY_MAX];
    struct rc_slice instance = client->instance->id, name = name_of(client);
    memcpy(bytes, instance.ptr, instance.len);
    bytes[instance.len] = '\0';
    bytes[instance.len + 1] = (char)('a' + kind_of(client));
    if (name.len > 0)
        memcpy(bytes + instance.len + 2, name.ptr, name.len);
    struct rc_slice key = rc_slice(bytes, instance.len + 2 + name.len);
    struct rc_identity *identity = rc_map_find(&broker->identities, key);
    if (identity != NULL)
        refresh(broker, identity);
    bool is_listed = true;
    if (identity != NULL && !has_secret_of(identity, client)) {
        if (identity->is_valid)
            is_listed = false; /* the client's is the old one: it was checked before the catalog changed */
        else
            supersede(broker, identity);
        identity = NULL;
    }
    if (identity == NULL)
        identity = create(broker, client, key, is_listed);
    identity->refs++;
    refresh(broker, identity);
    return identity;
}

void rc_identity_close(struct rc_broker *broker, struct rc_identity *identity)
{
    if (identity == NULL || --identity->refs > 0)
        return;
    if (identity->is_listed)
        rc_map_remove(&broker->identities, identity_key(identity));
    free(identity);
}

const struct rc_identity *rc_conn_identity(const struct rc_conn *conn)
{
    if (conn->identity != NULL)
        refresh(conn->broker, conn->identity);
    return conn->identity;
}

struct rc_slice rc_identity_user_name(const struct rc_identity *identity)
{
    if (identity->user != NULL)
        return identity->user->name;
    if (identity->custom == NULL)
        return rc_slice(NULL, 0);
    struct rc_slice key = identity->custom->key;
    const uint8_t *end = memchr(key.ptr, '\0', key.len);
    return end != NULL ? rc_slice(key.ptr, (size_t)(end - key.ptr)) : key;
}

bool rc_identity_is_admin(const struct rc_identity *identity)
{
    return (identity->key != NULL && identity->key->is_admin) ||
           (identity->user != NULL && identity->user->is_admin);
}
