/* Device credentials, and tokens that were revoked. */
#include "auth/token.h"
#include "base/alloc.h"
#include "registry/private.h"

enum { RANDOM_ID_LEN = 22, RANDOM_SECRET_LEN = 32 };

static int check_client(const struct rc_instance *instance, struct rc_slice client_id, struct rc_error *error)
{
    struct rc_slice group, device;
    if (rc_catalog_split_client_id(client_id, &group, &device) != RC_OK)
        return rc_registry_refuse(error, RC_ERR_INVALID, "client id", client_id);
    if (rc_instance_group(instance, group) == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "group", group);
    return RC_OK;
}

/* What the file declares of it; NULL: nothing. */
static const struct rc_credential *declared_of(const struct rc_registry *registry,
                                               struct rc_slice instance_id, struct rc_slice client_id)
{
    const struct rc_instance *instance = rc_registry_declared(registry, instance_id);
    return instance != NULL ? rc_instance_credential(instance, client_id) : NULL;
}

/* Begins a change of one that is not the file's. */
static int edit(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice client_id,
                struct rc_instance **ret, struct rc_error *error)
{
    if (declared_of(registry, instance_id, client_id) != NULL)
        return rc_registry_refuse_declared(registry, "device credential", client_id, error);
    return rc_registry_edit(registry, instance_id, ret, error);
}

static int store_credential(struct rc_registry *registry, struct rc_instance *instance,
                            struct rc_registry_credential *row, struct rc_error *error)
{
    struct rc_slice sealed;
    int err = rc_catalog_put_credential(instance, row->client_id, row->access_key, row->secret);
    err = err ? err
              : rc_registry_seal(registry, "credential", instance->id, row->client_id, row->secret, &sealed,
                                 error);
    if (err != RC_OK)
        return err;
    row->updated_ms = rc_registry_now_ms();
    int changed = rc_sql_run(&registry->sql,
                             rc_sql_bind(&registry->sql,
                                         "INSERT INTO credentials VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)"
                                         " ON CONFLICT (instance, client_id) DO UPDATE SET access_key = ?3,"
                                         " secret = ?4, created = ?5, updated = ?6",
                                         "tttbii", instance->id, row->client_id, row->access_key, sealed,
                                         row->created_ms, row->updated_ms),
                             error);
    if (changed >= 0) /* whoever came by the old one */
        rc_registry_touch_client(registry, instance->id, row->client_id);
    return changed < 0 ? changed : RC_OK;
}

int rc_registry_register_credential(struct rc_registry *registry, struct rc_slice instance_id,
                                    struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                                    struct rc_error *error)
{
    char id[4 + RANDOM_ID_LEN], secret[RANDOM_SECRET_LEN + 1];
    struct rc_instance *instance;
    int err = edit(registry, instance_id, client_id, &instance, error);
    err = err ? err : check_client(instance, client_id, error);
    if (err != RC_OK)
        return err;
    if (instance->credentials.count >= RC_REGISTRY_CREDENTIALS_MAX)
        return rc_registry_refuse(error, RC_ERR_FULL, "device credential", client_id);
    memcpy(id, "DC.", 3);
    rc_registry_random(id + 3, RANDOM_ID_LEN);
    rc_registry_random(secret, RANDOM_SECRET_LEN);
    struct rc_registry_credential row = {
        client_id, rc_slice_str(id), rc_slice_str(secret), rc_registry_now_ms(), 0, false};
    err = store_credential(registry, instance, &row, error);
    if (err == RC_OK)
        visit(&row, arg);
    explicit_bzero(secret, sizeof(secret));
    return err;
}

/* A copy of the row, with its secret: *ret is one allocation that the caller wipes (free_row). */
static int read_row(struct rc_registry *registry, struct rc_slice instance, struct rc_slice client_id,
                    struct rc_registry_credential *ret, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_slice secret;
    const struct rc_credential *declared = declared_of(registry, instance, client_id);
    sqlite3_stmt *statement = rc_sql_bind(sql,
                                          "SELECT access_key, secret, created, updated FROM credentials"
                                          " WHERE instance = ? AND client_id = ?",
                                          "tt", instance, client_id);
    int err = rc_sql_row(sql, statement, error);
    if (err != 1)
        return err < 0 ? err : rc_registry_refuse(error, RC_ERR_NOT_FOUND, "device credential", client_id);
    err = RC_OK;
    if (declared != NULL)
        secret = declared->secret;
    else
        err = rc_registry_unseal(registry, "credential", instance, client_id, rc_sql_bytes(statement, 1),
                                 &secret, error);
    if (err == RC_OK) {
        struct rc_slice id = declared != NULL ? declared->access_key : rc_sql_text(statement, 0);
        *ret = (struct rc_registry_credential){
            .client_id = client_id,
            .access_key = rc_slice(rc_strndup(id.ptr, id.len), id.len),
            .secret = rc_slice(rc_strndup(secret.ptr, secret.len), secret.len),
            .created_ms = sqlite3_column_int64(statement, 2),
            .updated_ms = sqlite3_column_int64(statement, 3),
            .is_declared = declared != NULL,
        };
    }
    rc_sql_end(statement);
    return err;
}

static void free_row(struct rc_registry_credential *row)
{
    explicit_bzero((void *)(uintptr_t)row->secret.ptr, row->secret.len);
    free((void *)(uintptr_t)row->secret.ptr);
    free((void *)(uintptr_t)row->access_key.ptr);
}

int rc_registry_refresh_credential(struct rc_registry *registry, struct rc_slice instance_id,
                                   struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                                   struct rc_error *error)
{
    char secret[RANDOM_SECRET_LEN + 1];
    struct rc_instance *instance;
    struct rc_registry_credential old;
    int err = edit(registry, instance_id, client_id, &instance, error);
    err = err ? err : read_row(registry, instance_id, client_id, &old, error);
    if (err != RC_OK)
        return err;
    rc_registry_random(secret, RANDOM_SECRET_LEN);
    struct rc_registry_credential row = {client_id, old.access_key, rc_slice_str(secret), old.created_ms,
                                         0,         false};
    err = store_credential(registry, instance, &row, error);
    if (err == RC_OK)
        visit(&row, arg);
    explicit_bzero(secret, sizeof(secret));
    free_row(&old);
    return err;
}

int rc_registry_get_credential(struct rc_registry *registry, struct rc_slice instance,
                               struct rc_slice client_id, rc_registry_credential_fn visit, void *arg,
                               struct rc_error *error)
{
    struct rc_registry_credential row;
    int err = read_row(registry, instance, client_id, &row, error);
    if (err != RC_OK)
        return err;
    visit(&row, arg);
    free_row(&row);
    return RC_OK;
}

int rc_registry_unregister_credential(struct rc_registry *registry, struct rc_slice instance_id,
                                      struct rc_slice client_id, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = edit(registry, instance_id, client_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (!rc_trie_remove(&instance->credentials, client_id))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "device credential", client_id);
    rc_registry_touch_client(registry, instance_id, client_id);
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "DELETE FROM credentials WHERE instance = ? AND client_id = ?", "tt",
                                     instance_id, client_id),
                         error);
}

int rc_registry_list_credentials(struct rc_registry *registry, struct rc_slice instance,
                                 struct rc_slice group, const struct rc_registry_page *page,
                                 rc_registry_credential_fn visit, void *arg, uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(
            sql,
            rc_sql_bind(sql,
                        "SELECT count(*) FROM credentials WHERE instance = ?1 AND client_id >= ?2 || '@@@'"
                        " AND client_id < ?2 || '@@A'",
                        "tt", instance, group),
            0);
    sqlite3_stmt *statement =
        rc_sql_bind(sql,
                    "SELECT client_id, access_key, created, updated FROM credentials WHERE instance = ?1"
                    " AND client_id >= ?2 || '@@@' AND client_id < ?2 || '@@A' AND client_id > ?3"
                    " ORDER BY client_id LIMIT ?4 OFFSET ?5",
                    "tttii", instance, group, page->after, (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_credential row = {
            .client_id = rc_sql_text(statement, 0),
            .access_key = rc_sql_text(statement, 1),
            .created_ms = sqlite3_column_int64(statement, 2),
            .updated_ms = sqlite3_column_int64(statement, 3),
        };
        const struct rc_credential *declared = declared_of(registry, instance, row.client_id);
        row.is_declared = declared != NULL;
        if (declared != NULL)
            row.access_key = declared->access_key;
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}

/* ---- tokens ---- */

/* Those that have expired by themselves need no mark any more. */
static int forget_expired(struct rc_registry *registry, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_instance *instance = NULL;
    int err;
    sqlite3_stmt *statement = rc_sql_bind(
        sql, "DELETE FROM revocations WHERE until < ? RETURNING instance, token", "i", rc_registry_now_ms());
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_slice id = rc_sql_text(statement, 0);
        if (instance == NULL || !rc_slice_eq(instance->id, id))
            instance = rc_catalog_edit_instance(registry->next, id);
        if (instance != NULL)
            rc_trie_remove(&instance->revoked, rc_sql_bytes(statement, 1));
    }
    return err;
}

int rc_registry_revoke_token(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice text,
                             struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_begin(registry, error);
    err = err ? err : forget_expired(registry, error);
    err = err ? err : rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    struct rc_token *token = rc_new(struct rc_token);
    enum rc_token_state state = rc_token_read(instance, text, token);
    int64_t until = token->head.expire_ms;
    uint8_t id[RC_CATALOG_TOKEN_ID_LEN];
    memcpy(id, token->head.id, sizeof(id));
    free(token);
    if (state != RC_TOKEN_VALID)
        return rc_error_set(error, RC_ERR_INVALID, "That is no token of the instance.");
    if (until < rc_registry_now_ms())
        return RC_OK; /* it counts no more */
    if (instance->revoked.count >= RC_REGISTRY_REVOCATIONS_MAX)
        return rc_error_set(error, RC_ERR_FULL, "Too many tokens that have not expired are revoked.");
    rc_catalog_put_mark(&instance->revoked, rc_slice(id, sizeof(id)), until);
    registry->change.tokens = true;
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql, "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?)",
                                     "tbi", instance_id, rc_slice(id, sizeof(id)), until),
                         error);
}
