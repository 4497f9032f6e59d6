/* Key pairs. */
#include "registry/private.h"

enum { RANDOM_ID_LEN = 20, RANDOM_SECRET_LEN = 32 };

static void put(char *out, struct rc_slice text)
{
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
}

int rc_registry_create_key(struct rc_registry *registry, struct rc_slice instance, enum rc_key_role role,
                           struct rc_slice access_key, struct rc_slice secret_key,
                           char ret_access_key[RC_CATALOG_ID_MAX + 1],
                           char ret_secret_key[RC_CATALOG_SECRET_MAX + 1], struct rc_error *error)
{
    char id[4 + RANDOM_ID_LEN], secret[RANDOM_SECRET_LEN + 1];
    struct rc_slice sealed;
    memcpy(id, "RC.", 3);
    rc_registry_random(id + 3, RANDOM_ID_LEN);
    rc_registry_random(secret, RANDOM_SECRET_LEN);
    access_key = access_key.len > 0 ? access_key : rc_slice_str(id);
    secret_key = secret_key.len > 0 ? secret_key : rc_slice_str(secret);
    if (role == RC_KEY_ADMIN)
        instance = rc_slice(NULL, 0);
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    if (role != RC_KEY_ADMIN && rc_catalog_instance(registry->next, instance) == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "instance", instance);
    err = rc_catalog_add_role_key(registry->next, instance, access_key, secret_key, role);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "access key", access_key);
    err = rc_registry_seal(registry, "key", instance, access_key, secret_key, &sealed, error);
    if (err != RC_OK)
        return err;
    int changed = rc_sql_run(&registry->sql,
                             rc_sql_bind(&registry->sql, "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)",
                                         "ttibii", access_key, instance, (int64_t)role, sealed,
                                         (int64_t)RC_ORIGIN_API, rc_registry_now_ms()),
                             error);
    if (changed < 0)
        return changed;
    put(ret_access_key, access_key);
    put(ret_secret_key, secret_key);
    explicit_bzero(secret, sizeof(secret));
    return RC_OK;
}

int rc_registry_update_key(struct rc_registry *registry, struct rc_slice access_key,
                           const enum rc_key_role *role, const struct rc_slice *secret_key,
                           struct rc_error *error)
{
    struct rc_slice sealed;
    if (rc_catalog_key(rc_registry_declared_all(registry), access_key) != NULL)
        return rc_registry_refuse_declared(registry, "access key", access_key, error);
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    const struct rc_key_pair *old = rc_catalog_key(registry->next, access_key);
    if (old == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "access key", access_key);
    enum rc_key_role next_role = role != NULL ? *role : old->role;
    if ((next_role == RC_KEY_ADMIN) != (old->role == RC_KEY_ADMIN))
        return rc_error_set(error, RC_ERR_INVALID,
                            "An administrator's key stays one, and no other becomes one: make another key.");
    err = rc_catalog_change_key(registry->next, access_key,
                                secret_key != NULL ? *secret_key : old->secret_key, next_role);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "secret of access key", access_key);
    const struct rc_key_pair *pair = rc_catalog_key(registry->next, access_key);
    err = rc_registry_seal(registry, "key", pair->instance_id, access_key, pair->secret_key, &sealed, error);
    registry->change.all = true;
    return err ? err
               : rc_sql_change(&registry->sql,
                               rc_sql_bind(&registry->sql,
                                           "UPDATE keys SET role = ?, secret = ? WHERE access_key = ?", "ibt",
                                           (int64_t)next_role, sealed, access_key),
                               error);
}

int rc_registry_delete_key(struct rc_registry *registry, struct rc_slice access_key, struct rc_error *error)
{
    if (rc_catalog_key(rc_registry_declared_all(registry), access_key) != NULL)
        return rc_registry_refuse_declared(registry, "access key", access_key, error);
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    if (!rc_catalog_remove_key(registry->next, access_key))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "access key", access_key);
    registry->change.all = true;
    return rc_sql_change(
        &registry->sql, rc_sql_bind(&registry->sql, "DELETE FROM keys WHERE access_key = ?", "t", access_key),
        error);
}

int rc_registry_list_keys(struct rc_registry *registry, struct rc_slice instance, bool with_admins,
                          const struct rc_registry_page *page, rc_registry_key_fn visit, void *arg,
                          uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_slice others = with_admins ? rc_slice("", 0) : instance;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(
            sql,
            rc_sql_bind(sql, "SELECT count(*) FROM keys WHERE instance = ? OR instance = ?", "tt", instance,
                        others),
            0);
    sqlite3_stmt *statement = rc_sql_bind(
        sql,
        "SELECT access_key, instance, role, created, origin FROM keys WHERE (instance = ? OR instance ="
        " ?) AND access_key > ? ORDER BY access_key LIMIT ? OFFSET ?",
        "tttii", instance, others, page->after, (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_key row = {
            .access_key = rc_sql_text(statement, 0),
            .instance = rc_sql_text(statement, 1),
            .role = (enum rc_key_role)sqlite3_column_int(statement, 2),
            .created_ms = sqlite3_column_int64(statement, 3),
            .is_declared = sqlite3_column_int(statement, 4) == RC_ORIGIN_FILE,
        };
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}
