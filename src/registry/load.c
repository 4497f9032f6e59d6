/*
 * The catalog from what the file declares and what the database holds. Names, keys and rules are read each
 * time; what there may be a million of is read at the start, and taken over from the catalog before later on.
 */
#include "registry/private.h"

#define EACH_ROW(registry, statement, err, error)                                                            \
    while ((err = rc_sql_row(&(registry)->sql, statement, error)) == 1)

/* ---- instances, and names in them ---- */

static int load_instances(struct rc_registry *registry, struct rc_catalog *next, struct rc_error *error)
{
    struct rc_instance *instance;
    int err;
    sqlite3_stmt *statement = rc_sql_bind(&registry->sql, "SELECT id FROM instances WHERE origin = 0", "");
    EACH_ROW(registry, statement, err, error)
    {
        err = rc_catalog_add_instance(next, rc_sql_text(statement, 0), &instance);
        if (err == RC_OK || err == RC_ERR_EXISTS) /* the file declares it by now */
            continue;
        err = rc_registry_refuse(error, err, "instance", rc_sql_text(statement, 0));
        rc_sql_end(statement);
        return err;
    }
    return err;
}

static int load_names(struct rc_registry *registry, struct rc_instance *instance, struct rc_error *error)
{
    struct rc_group *group;
    int err;
    sqlite3_stmt *statement = rc_sql_bind(
        &registry->sql, "SELECT id FROM groups WHERE instance = ? AND origin = 0", "t", instance->id);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_add_group(instance, rc_sql_text(statement, 0), &group);
    if (err < 0)
        return err;
    statement = rc_sql_bind(&registry->sql, "SELECT id FROM topics WHERE instance = ? AND origin = 0", "t",
                            instance->id);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_add_parent_topic(instance, rc_sql_text(statement, 0));
    return err;
}

static int load_keys(struct rc_registry *registry, struct rc_catalog *next, struct rc_error *error)
{
    int err;
    sqlite3_stmt *statement = rc_sql_bind(
        &registry->sql, "SELECT access_key, instance, role, secret FROM keys WHERE origin = 0", "");
    EACH_ROW(registry, statement, err, error)
    {
        struct rc_slice access_key = rc_sql_text(statement, 0), instance = rc_sql_text(statement, 1), secret;
        err = rc_registry_unseal(registry, "key", instance, access_key, rc_sql_bytes(statement, 3), &secret,
                                 error);
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
        /* EXISTS: the file has taken the name; then its secret counts. */
        rc_catalog_add_role_key(next, instance, access_key, secret,
                                (enum rc_key_role)sqlite3_column_int(statement, 2));
    }
    return err;
}

/* ---- what there may be many of ---- */

static int load_credentials(struct rc_registry *registry, struct rc_instance *instance,
                            struct rc_error *error)
{
    int err;
    sqlite3_stmt *statement =
        rc_sql_bind(&registry->sql,
                    "SELECT client_id, access_key, secret FROM credentials WHERE instance = ? AND origin = 0",
                    "t", instance->id);
    EACH_ROW(registry, statement, err, error)
    {
        struct rc_slice client_id = rc_sql_text(statement, 0), secret;
        if (rc_instance_credential(instance, client_id) != NULL)
            continue; /* the file declares it by now */
        err = rc_registry_unseal(registry, "credential", instance->id, client_id, rc_sql_bytes(statement, 2),
                                 &secret, error);
        if (err == RC_OK) {
            err = rc_catalog_put_credential(instance, client_id, rc_sql_text(statement, 1), secret);
            if (err != RC_OK)
                rc_registry_refuse(error, err, "device credential", client_id);
        }
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
    }
    return err;
}

static int load_black(struct rc_registry *registry, struct rc_instance *instance, struct rc_error *error)
{
    int err;
    sqlite3_stmt *statement =
        rc_sql_bind(&registry->sql, "SELECT client_id FROM blacklist WHERE instance = ? AND origin = 0", "t",
                    instance->id);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_put_mark(&instance->black, rc_sql_text(statement, 0), INT64_MAX);
    return err;
}

static int load_revoked(struct rc_registry *registry, struct rc_instance *instance, struct rc_error *error)
{
    int err;
    sqlite3_stmt *statement = rc_sql_bind(
        &registry->sql, "SELECT token, until FROM revocations WHERE instance = ?", "t", instance->id);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_put_mark(&instance->revoked, rc_sql_bytes(statement, 0), sqlite3_column_int64(statement, 1));
    return err;
}

/* Tables of an instance to which the API and the file add. */
static const struct {
    size_t table;
    int (*load)(struct rc_registry *registry, struct rc_instance *instance, struct rc_error *error);
} kinds[] = {
    {offsetof(struct rc_instance, credentials), load_credentials},
    {offsetof(struct rc_instance, black), load_black},
    {offsetof(struct rc_instance, revoked), load_revoked},
    {offsetof(struct rc_instance, identities), rc_registry_load_identities},
    {offsetof(struct rc_instance, permissions), rc_registry_load_permissions},
    {offsetof(struct rc_instance, cas), rc_registry_load_cas},
    {offsetof(struct rc_instance, devices), rc_registry_load_devices},
};

static struct rc_trie *table_of(const struct rc_instance *instance, size_t offset)
{
    return (struct rc_trie *)((uintptr_t)instance + offset);
}

/*
 * To what the file declares. A table of which it declares nothing, and declared nothing before, is taken over
 * from `old`; of the others the rows are read again, as what the file hid may show now.
 */
static int load_registered(struct rc_registry *registry, struct rc_instance *instance,
                           const struct rc_instance *old, struct rc_error *error)
{
    const struct rc_instance *before = rc_registry_declared(registry, instance->id);
    int err = rc_registry_load_instance(registry, instance, error);
    for (size_t i = 0; err == RC_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct rc_trie *table = table_of(instance, kinds[i].table);
        bool is_declared =
            table->count > 0 || (before != NULL && table_of(before, kinds[i].table)->count > 0);
        if (old == NULL || is_declared) {
            err = kinds[i].load(registry, instance, error);
            continue;
        }
        rc_trie_free(table);
        rc_trie_share(table, table_of(old, kinds[i].table));
    }
    return err;
}

/* ---- */

static int load_one(struct rc_registry *registry, struct rc_catalog *next, struct rc_slice id,
                    const struct rc_catalog *from, struct rc_error *error)
{
    struct rc_instance *instance = rc_catalog_edit_instance(next, id);
    const struct rc_instance *old = from != NULL ? rc_catalog_instance(from, id) : NULL;
    int err = load_names(registry, instance, error);
    err = err ? err : rc_registry_load_settings(registry, instance, error);
    err = err ? err : load_registered(registry, instance, old, error);
    return err ? err : rc_registry_load_rules(registry, next, instance, error);
}

int rc_registry_load(struct rc_registry *registry, struct rc_catalog *next, const struct rc_catalog *from,
                     struct rc_error *error)
{
    struct rc_trie_walk walk;
    struct rc_trie instances;
    const struct rc_instance *instance;
    int err = load_instances(registry, next, error);
    err = err ? err : load_keys(registry, next, error);
    rc_trie_share(&instances, &next->instances); /* to walk, while the others are changed */
    rc_trie_walk_start(&walk, &instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&walk)) != NULL)
        err = load_one(registry, next, instance->id, from, error);
    rc_trie_free(&instances);
    return err;
}
