/*
 * The catalog from what the file declares and what the database holds. Keys and rules are read each time;
 * what there may be a million of is read at the start. A reload takes it over from the catalog before, and
 * looks only at the rows that the file hid or hides: it costs what the file declares, not what there is.
 */
#include "registry/private.h"

#define EACH_ROW(registry, statement, err, error)                                                            \
    while ((err = rc_sql_row(&(registry)->sql, statement, error)) == 1)

/* ---- instances and key pairs ---- */

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

/* ---- what there may be many of: all rows of an instance, or those of one key ---- */

#define OF_ALL " WHERE instance = ?1 AND origin = 0"

sqlite3_stmt *rc_registry_bind_rows(struct rc_registry *registry, const char *all, const char *one,
                                    const struct rc_instance *instance, const struct rc_slice *key)
{
    return key == NULL ? rc_sql_bind(&registry->sql, all, "t", instance->id)
                       : rc_sql_bind(&registry->sql, one, "tt", instance->id, *key);
}

static int load_groups(struct rc_registry *registry, struct rc_instance *instance, const struct rc_slice *key,
                       struct rc_error *error)
{
    static const char all[] = "SELECT id FROM groups" OF_ALL,
                      one[] = "SELECT id FROM groups" OF_ALL " AND id = ?2";
    struct rc_group *group;
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_add_group(instance, rc_sql_text(statement, 0), &group);
    return err;
}

static int load_topics(struct rc_registry *registry, struct rc_instance *instance, const struct rc_slice *key,
                       struct rc_error *error)
{
    static const char all[] = "SELECT id FROM topics" OF_ALL,
                      one[] = "SELECT id FROM topics" OF_ALL " AND id = ?2";
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_add_parent_topic(instance, rc_sql_text(statement, 0));
    return err;
}

static int load_credentials(struct rc_registry *registry, struct rc_instance *instance,
                            const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] = "SELECT client_id, access_key, secret FROM credentials" OF_ALL,
                      one[] = "SELECT client_id, access_key, secret FROM credentials" OF_ALL
                              " AND client_id = ?2";
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
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

static int load_black(struct rc_registry *registry, struct rc_instance *instance, const struct rc_slice *key,
                      struct rc_error *error)
{
    static const char all[] = "SELECT client_id FROM blacklist" OF_ALL,
                      one[] = "SELECT client_id FROM blacklist" OF_ALL " AND client_id = ?2";
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_put_mark(&instance->black, rc_sql_text(statement, 0), INT64_MAX);
    return err;
}

/* The file declares none, so they are never asked for one by one. */
static int load_revoked(struct rc_registry *registry, struct rc_instance *instance,
                        const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] = "SELECT token, until FROM revocations WHERE instance = ?1";
    int err;
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, all, instance, NULL);
    EACH_ROW(registry, statement, err, error)
    rc_catalog_put_mark(&instance->revoked, rc_sql_bytes(statement, 0), sqlite3_column_int64(statement, 1));
    return err;
}

/* Tables of an instance to which the API and the file add. */
struct kind {
    size_t table;
    rc_registry_load_fn *load;
    bool is_mixed; /* what the file and the API have by one key counts together */
};
static const struct kind kinds[] = {
    {offsetof(struct rc_instance, groups), load_groups, false},
    {offsetof(struct rc_instance, topics), load_topics, false},
    {offsetof(struct rc_instance, credentials), load_credentials, false},
    {offsetof(struct rc_instance, black), load_black, false},
    {offsetof(struct rc_instance, revoked), load_revoked, false},
    {offsetof(struct rc_instance, identities), rc_registry_load_identities, false},
    {offsetof(struct rc_instance, permissions), rc_registry_load_permissions, true},
    {offsetof(struct rc_instance, cas), rc_registry_load_cas, false},
    {offsetof(struct rc_instance, devices), rc_registry_load_devices, false},
};

static struct rc_trie *table_of(const struct rc_instance *instance, size_t offset)
{
    return (struct rc_trie *)((uintptr_t)instance + offset);
}

/* Rows of the keys in `table` that show, or show besides what the file declares. */
static int load_keys_of(struct rc_registry *registry, struct rc_instance *instance, const struct kind *kind,
                        const struct rc_trie *table, const struct rc_trie *declared, struct rc_error *error)
{
    struct rc_trie_walk walk;
    const void *item;
    int err = RC_OK;
    rc_trie_walk_start(&walk, table);
    while (err == RC_OK && (item = rc_trie_walk_next(&walk)) != NULL) {
        struct rc_slice key = table->type->key_of(item);
        if (kind->is_mixed || rc_trie_find(declared, key) == NULL)
            err = kind->load(registry, instance, &key, error);
    }
    return err;
}

/*
 * The table of what the file declares becomes that of both: `old` without what the file declared until now
 * (`before`), with what it declares. What stands in the database by those keys is read again: the file may
 * have hidden it.
 */
static int merge(struct rc_registry *registry, struct rc_instance *instance, const struct kind *kind,
                 const struct rc_trie *old, const struct rc_trie *before, struct rc_error *error)
{
    struct rc_trie *table = table_of(instance, kind->table), declared = *table;
    struct rc_trie_walk walk;
    void *item;
    rc_trie_share(table, old);
    rc_trie_walk_start(&walk, before);
    while ((item = rc_trie_walk_next(&walk)) != NULL)
        rc_trie_remove(table, before->type->key_of(item));
    rc_trie_walk_start(&walk, &declared);
    while ((item = rc_trie_walk_next(&walk)) != NULL) {
        rc_trie_item_ref(item);
        rc_trie_put(table, item);
    }
    int err = load_keys_of(registry, instance, kind, before, &declared, error);
    if (err == RC_OK && kind->is_mixed)
        err = load_keys_of(registry, instance, kind, &declared, &declared, error);
    rc_trie_free(&declared);
    return err;
}

/* Groups that were taken over have the rules of before; those of now are yet to be put. */
static void forget_rules(struct rc_instance *instance, const struct rc_instance *old)
{
    struct rc_trie_walk walk;
    const struct rc_status_rule *rule;
    rc_trie_walk_start(&walk, &old->status_rules);
    while ((rule = rc_trie_walk_next(&walk)) != NULL) {
        const struct rc_group *group = rc_instance_group(instance, rule->group_id);
        if (group != NULL && group->status_rule == rule)
            rc_catalog_clear_group(instance, rule->group_id);
    }
}

static int load_registered(struct rc_registry *registry, struct rc_instance *instance,
                           const struct rc_instance *old, struct rc_error *error)
{
    struct rc_trie none;
    const struct rc_instance *before =
        rc_catalog_instance(rc_registry_declared_before(registry), instance->id);
    int err = rc_registry_load_instance(registry, instance, error);
    for (size_t i = 0; err == RC_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t table = kinds[i].table;
        rc_trie_init(&none, table_of(instance, table)->type);
        if (old == NULL)
            err = kinds[i].load(registry, instance, NULL, error);
        else
            err = merge(registry, instance, &kinds[i], table_of(old, table),
                        before != NULL ? table_of(before, table) : &none, error);
    }
    if (old != NULL)
        forget_rules(instance, old);
    return err;
}

/* ---- */

static int load_one(struct rc_registry *registry, struct rc_catalog *next, struct rc_slice id,
                    const struct rc_catalog *from, struct rc_error *error)
{
    struct rc_instance *instance = rc_catalog_edit_instance(next, id);
    const struct rc_instance *old = from != NULL ? rc_catalog_instance(from, id) : NULL;
    int err = load_registered(registry, instance, old, error);
    err = err ? err : rc_registry_load_settings(registry, instance, error);
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
