/* Custom identities, what they may use, and client ids that may not connect. */
#include "mqtt/topic.h"
#include "registry/private.h"

/* ---- identities ---- */

static int check_identity(const struct rc_registry_identity *identity, struct rc_error *error)
{
    if (identity->username.len == 0 || identity->username.len > RC_CATALOG_CUSTOM_USER_MAX ||
        !rc_catalog_is_user_name(identity->username))
        return rc_registry_refuse(error, RC_ERR_INVALID, "user name", identity->username);
    if (identity->is_client != (identity->client_id.len > 0) || !rc_catalog_is_client_id(identity->client_id))
        return rc_registry_refuse(error, RC_ERR_INVALID, "client id", identity->client_id);
    return RC_OK;
}

/* The row's name in the database; also what its secret is bound to. */
static struct rc_slice name_of(char *out, size_t size, const struct rc_registry_identity *identity)
{
    size_t len = identity->username.len + 1 + identity->client_id.len;
    if (len > size)
        return identity->username;
    memcpy(out, identity->username.ptr, identity->username.len);
    out[identity->username.len] = '\0';
    if (identity->client_id.len > 0)
        memcpy(out + identity->username.len + 1, identity->client_id.ptr, identity->client_id.len);
    return rc_slice(out, len);
}

static const struct rc_custom_identity *declared_identity(const struct rc_registry *registry,
                                                          struct rc_slice instance_id,
                                                          const struct rc_registry_identity *identity)
{
    const struct rc_instance *instance = rc_registry_declared(registry, instance_id);
    return instance != NULL ? rc_instance_exact_identity(instance, identity->username, identity->client_id)
                            : NULL;
}

static int put_identity(struct rc_registry *registry, struct rc_slice instance_id,
                        const struct rc_registry_identity *identity, bool is_new, struct rc_error *error)
{
    char text[RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX];
    struct rc_instance *instance;
    struct rc_slice sealed;
    int err = check_identity(identity, error);
    if (err == RC_OK && declared_identity(registry, instance_id, identity) != NULL)
        err = rc_registry_refuse_declared(registry, "identity", identity->username, error);
    err = err ? err : rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (is_new && instance->identities.count >= RC_REGISTRY_IDENTITIES_MAX)
        return rc_registry_refuse(error, RC_ERR_FULL, "identity", identity->username);
    if (rc_catalog_put_identity(instance, identity->username, identity->client_id, identity->secret,
                                identity->is_signed) != RC_OK)
        return rc_error_set(error, RC_ERR_INVALID, "The secret is not valid.");
    err = rc_registry_seal(registry, "identity", instance_id, name_of(text, sizeof(text), identity),
                           identity->secret, &sealed, error);
    if (err != RC_OK)
        return err;
    const char *statement = is_new
                                ? "INSERT INTO identities VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, 0)"
                                : "UPDATE identities SET is_signed = ?5, secret = ?6, updated = ?7"
                                  " WHERE instance = ?1 AND type = ?2 AND username = ?3 AND client_id = ?4";
    int changed =
        rc_sql_run(&registry->sql,
                   rc_sql_bind(&registry->sql, statement, "tittibi", instance_id,
                               (int64_t)identity->is_client, identity->username, identity->client_id,
                               (int64_t)identity->is_signed, sealed, rc_registry_now_ms()),
                   error);
    if (changed == RC_ERR_EXISTS || changed == 0)
        return rc_registry_refuse(error, changed ? changed : RC_ERR_NOT_FOUND, "identity",
                                  identity->username);
    registry->change.all = true; /* who came by the old secret, or by the name alone */
    return changed < 0 ? changed : RC_OK;
}

int rc_registry_add_identity(struct rc_registry *registry, struct rc_slice instance,
                             const struct rc_registry_identity *identity, struct rc_error *error)
{
    return put_identity(registry, instance, identity, true, error);
}

int rc_registry_update_identity(struct rc_registry *registry, struct rc_slice instance,
                                const struct rc_registry_identity *identity, struct rc_error *error)
{
    return put_identity(registry, instance, identity, false, error);
}

int rc_registry_delete_identity(struct rc_registry *registry, struct rc_slice instance_id,
                                const struct rc_registry_identity *identity, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = check_identity(identity, error);
    err = err ? err : rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (declared_identity(registry, instance_id, identity) != NULL)
        return rc_registry_refuse_declared(registry, "identity", identity->username, error);
    if (!rc_catalog_remove_identity(instance, identity->username, identity->client_id))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "identity", identity->username);
    registry->change.all = true;
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(
            &registry->sql,
            "DELETE FROM identities WHERE instance = ? AND type = ? AND username = ? AND client_id = ?",
            "titt", instance_id, (int64_t)identity->is_client, identity->username, identity->client_id),
        error);
}

/* The row behind which a page begins: type, and two names. */
struct after {
    int64_t type; /* -1: at the start */
    struct rc_slice first, second;
};

static struct after split_after(struct rc_slice key)
{
    struct after after = {key.len > 0 ? key.ptr[0] - '0' : -1, {NULL, 0}, {NULL, 0}};
    if (key.len < 2)
        return after;
    struct rc_slice rest = rc_slice_from(key, 2);
    const uint8_t *end = memchr(rest.ptr, RC_REGISTRY_KEY_SEPARATOR, rest.len);
    size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
    after.first = rc_slice(rest.ptr, len);
    after.second = rc_slice_from(rest, end != NULL ? len + 1 : len);
    return after;
}

#define LIKE_IDENTITY                                                                                        \
    " FROM identities WHERE instance = ?1 AND (?2 < 0 OR type = ?2) AND (?3 = '' OR username = ?3)"          \
    " AND (?4 = '' OR client_id = ?4)"

int rc_registry_list_identities(struct rc_registry *registry, struct rc_slice instance, int of_type,
                                const struct rc_registry_identity *like, const struct rc_registry_page *page,
                                rc_registry_identity_fn visit, void *arg, uint64_t *ret_total)
{
    char text[RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX];
    struct rc_sql *sql = &registry->sql;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    struct after after = split_after(page->after);
    if (ret_total != NULL)
        *ret_total =
            (uint64_t)rc_sql_number(sql,
                                    rc_sql_bind(sql, "SELECT count(*)" LIKE_IDENTITY, "titt", instance,
                                                (int64_t)of_type, like->username, like->client_id),
                                    0);
    sqlite3_stmt *statement =
        rc_sql_bind(sql,
                    "SELECT type, username, client_id, is_signed, secret" LIKE_IDENTITY
                    " AND (type, username, client_id) > (?7, ?8, ?9) ORDER BY type, username, client_id "
                    "LIMIT ?5 OFFSET ?6",
                    "tittiiitt", instance, (int64_t)of_type, like->username, like->client_id,
                    (int64_t)page->limit, (int64_t)page->skip, after.type, after.first, after.second);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_identity row = {
            .is_client = sqlite3_column_int(statement, 0) != 0,
            .username = rc_sql_text(statement, 1),
            .client_id = rc_sql_text(statement, 2),
            .is_signed = sqlite3_column_int(statement, 3) != 0,
        };
        const struct rc_custom_identity *declared = declared_identity(registry, instance, &row);
        err = RC_OK;
        if (declared != NULL) {
            row.secret = declared->secret;
            row.is_signed = declared->is_signed;
            row.is_declared = true;
        } else if (rc_sql_bytes(statement, 4).len == 0) {
            row.secret =
                rc_slice("", 0); /* a read beside a reload: the file's, whose secret is not known yet */
            row.is_declared = true;
        } else {
            err = rc_registry_unseal(registry, "identity", instance, name_of(text, sizeof(text), &row),
                                     rc_sql_bytes(statement, 4), &row.secret, NULL);
        }
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}

int rc_registry_load_identities(struct rc_registry *registry, struct rc_instance *instance,
                                const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] =
        "SELECT username, client_id, is_signed, secret FROM identities WHERE instance = ?1"
        " AND origin = 0",
                      one[] =
                          "SELECT username, client_id, is_signed, secret FROM identities WHERE instance = ?1"
                          " AND origin = 0 AND type IN (0, 1) AND username = ?2";
    char text[RC_CATALOG_CUSTOM_USER_MAX + 1 + RC_CLIENT_ID_MAX];
    struct rc_sql *sql = &registry->sql;
    struct rc_slice name = key != NULL ? *key : rc_slice("", 0);
    const uint8_t *end = memchr(name.ptr, 0, name.len); /* a client id follows */
    int err;
    if (end != NULL)
        name.len = (size_t)(end - name.ptr);
    sqlite3_stmt *statement = rc_registry_bind_rows(registry, all, one, instance, key != NULL ? &name : NULL);
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_slice secret;
        struct rc_registry_identity row = {.username = rc_sql_text(statement, 0),
                                           .client_id = rc_sql_text(statement, 1)};
        if (rc_instance_exact_identity(instance, row.username, row.client_id) != NULL)
            continue; /* the file declares it by now */
        err = rc_registry_unseal(registry, "identity", instance->id, name_of(text, sizeof(text), &row),
                                 rc_sql_bytes(statement, 3), &secret, error);
        if (err == RC_OK) {
            err = rc_catalog_put_identity(instance, row.username, row.client_id, secret,
                                          sqlite3_column_int(statement, 2) != 0);
            if (err != RC_OK)
                rc_registry_refuse(error, err, "identity", row.username);
        }
        if (err != RC_OK) {
            rc_sql_end(statement);
            return err;
        }
    }
    return err;
}

/* ---- permissions ---- */

static const struct rc_custom_permission *declared_permission(const struct rc_registry *registry,
                                                              struct rc_slice instance_id,
                                                              const struct rc_registry_permission *one)
{
    const struct rc_instance *instance = rc_registry_declared(registry, instance_id);
    return instance != NULL ? rc_instance_permission(instance, one->is_client, one->identity, one->topic)
                            : NULL;
}

static int put_permission(struct rc_registry *registry, struct rc_slice instance_id,
                          const struct rc_registry_permission *permission, bool is_new,
                          struct rc_error *error)
{
    struct rc_instance *instance;
    if (permission->identity.len == 0 || permission->identity.len > RC_CLIENT_ID_MAX)
        return rc_registry_refuse(error, RC_ERR_INVALID, "identity", permission->identity);
    if (permission->topic.len > RC_REGISTRY_TAG_TEXT_MAX || !rc_topic_filter_is_valid(permission->topic))
        return rc_registry_refuse(error, RC_ERR_INVALID, "topic", permission->topic);
    if (permission->actions == 0 || (permission->actions & ~(RC_ACL_READ | RC_ACL_WRITE)) != 0)
        return rc_error_set(error, RC_ERR_INVALID, "The actions are not valid.");
    if (declared_permission(registry, instance_id, permission) != NULL)
        return rc_registry_refuse_declared(registry, "permission", permission->topic, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    struct rc_custom_permission one = {permission->topic, permission->actions, permission->denies};
    err = rc_catalog_put_permission(instance, permission->is_client, permission->identity, &one);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "permission", permission->topic);
    const char *statement = is_new ? "INSERT INTO permissions VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)"
                                   : "UPDATE permissions SET actions = ?5, denies = ?6 WHERE instance = ?1"
                                     " AND type = ?2 AND identity = ?3 AND topic = ?4";
    int changed =
        rc_sql_run(&registry->sql,
                   rc_sql_bind(&registry->sql, statement, "tittii", instance_id,
                               (int64_t)permission->is_client, permission->identity, permission->topic,
                               (int64_t)permission->actions, (int64_t)permission->denies),
                   error);
    if (changed == RC_ERR_EXISTS || changed == 0)
        return rc_registry_refuse(error, changed ? changed : RC_ERR_NOT_FOUND, "permission",
                                  permission->topic);
    if (!is_new || permission->denies)
        registry->change.all = true;
    return changed < 0 ? changed : RC_OK;
}

int rc_registry_add_permission(struct rc_registry *registry, struct rc_slice instance,
                               const struct rc_registry_permission *permission, struct rc_error *error)
{
    return put_permission(registry, instance, permission, true, error);
}

int rc_registry_update_permission(struct rc_registry *registry, struct rc_slice instance,
                                  const struct rc_registry_permission *permission, struct rc_error *error)
{
    return put_permission(registry, instance, permission, false, error);
}

int rc_registry_delete_permission(struct rc_registry *registry, struct rc_slice instance_id,
                                  const struct rc_registry_permission *permission, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (declared_permission(registry, instance_id, permission) != NULL)
        return rc_registry_refuse_declared(registry, "permission", permission->topic, error);
    if (!rc_catalog_remove_permission(instance, permission->is_client, permission->identity,
                                      permission->topic))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "permission", permission->topic);
    registry->change.all = true;
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql,
                    "DELETE FROM permissions WHERE instance = ? AND type = ? AND identity = ? AND topic = ?",
                    "titt", instance_id, (int64_t)permission->is_client, permission->identity,
                    permission->topic),
        error);
}

#define LIKE_PERMISSION                                                                                      \
    " FROM permissions WHERE instance = ?1 AND (?2 < 0 OR type = ?2) AND (?3 = '' OR identity = ?3)"         \
    " AND (?4 = '' OR topic = ?4)"

static struct rc_registry_permission permission_of(sqlite3_stmt *statement)
{
    return (struct rc_registry_permission){
        .is_client = sqlite3_column_int(statement, 0) != 0,
        .identity = rc_sql_text(statement, 1),
        .topic = rc_sql_text(statement, 2),
        .actions = (uint8_t)sqlite3_column_int(statement, 3),
        .denies = sqlite3_column_int(statement, 4) != 0,
    };
}

int rc_registry_list_permissions(struct rc_registry *registry, struct rc_slice instance, int of_type,
                                 const struct rc_registry_permission *like,
                                 const struct rc_registry_page *page, rc_registry_permission_fn visit,
                                 void *arg, uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    struct after after = split_after(page->after);
    if (ret_total != NULL)
        *ret_total =
            (uint64_t)rc_sql_number(sql,
                                    rc_sql_bind(sql, "SELECT count(*)" LIKE_PERMISSION, "titt", instance,
                                                (int64_t)of_type, like->identity, like->topic),
                                    0);
    sqlite3_stmt *statement = rc_sql_bind(
        sql,
        "SELECT type, identity, topic, actions, denies" LIKE_PERMISSION
        " AND (type, identity, topic) > (?7, ?8, ?9) ORDER BY type, identity, topic LIMIT ?5 OFFSET ?6",
        "tittiiitt", instance, (int64_t)of_type, like->identity, like->topic, (int64_t)page->limit,
        (int64_t)page->skip, after.type, after.first, after.second);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_permission row = permission_of(statement);
        const struct rc_custom_permission *declared = declared_permission(registry, instance, &row);
        if (declared != NULL) {
            row.actions = declared->actions;
            row.denies = declared->denies;
            row.is_declared = true;
        }
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}

int rc_registry_load_permissions(struct rc_registry *registry, struct rc_instance *instance,
                                 const struct rc_slice *key, struct rc_error *error)
{
    static const char all[] =
        "SELECT type, identity, topic, actions, denies FROM permissions WHERE instance = ?1"
        " AND origin = 0",
                      user[] =
                          "SELECT type, identity, topic, actions, denies FROM permissions WHERE instance = ?1"
                          " AND origin = 0 AND type = 0 AND identity = ?2",
                      client[] =
                          "SELECT type, identity, topic, actions, denies FROM permissions WHERE instance ="
                          " ?1 AND origin = 0 AND type = 1 AND identity = ?2";
    struct rc_sql *sql = &registry->sql;
    bool is_client = key != NULL && key->ptr[0] == 'c';
    struct rc_slice name = key != NULL ? rc_slice_from(*key, 1) : rc_slice("", 0);
    int err;
    sqlite3_stmt *statement =
        rc_registry_bind_rows(registry, all, is_client ? client : user, instance, key != NULL ? &name : NULL);
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_registry_permission row = permission_of(statement);
        struct rc_custom_permission one = {row.topic, row.actions, row.denies};
        if (rc_instance_permission(instance, row.is_client, row.identity, row.topic) == NULL)
            rc_catalog_put_permission(instance, row.is_client, row.identity, &one);
    }
    return err;
}

/* ---- the blacklist ---- */

static bool is_declared_black(const struct rc_registry *registry, struct rc_slice instance_id,
                              struct rc_slice client_id)
{
    const struct rc_instance *instance = rc_registry_declared(registry, instance_id);
    return instance != NULL && rc_instance_mark(&instance->black, client_id) != NULL;
}

int rc_registry_add_black(struct rc_registry *registry, struct rc_slice instance_id,
                          struct rc_slice client_id, struct rc_error *error)
{
    struct rc_instance *instance;
    if (client_id.len == 0 || !rc_catalog_is_client_id(client_id))
        return rc_registry_refuse(error, RC_ERR_INVALID, "client id", client_id);
    if (is_declared_black(registry, instance_id, client_id))
        return rc_registry_refuse_declared(registry, "entry of the blacklist", client_id, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (instance->black.count >= RC_REGISTRY_IDENTITIES_MAX)
        return rc_registry_refuse(error, RC_ERR_FULL, "entry of the blacklist", client_id);
    rc_catalog_put_mark(&instance->black, client_id, INT64_MAX);
    rc_registry_touch_client(registry, instance_id, client_id);
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql, "INSERT OR REPLACE INTO blacklist VALUES (?, ?, ?, 0)",
                                     "tti", instance_id, client_id, rc_registry_now_ms()),
                         error);
}

int rc_registry_delete_black(struct rc_registry *registry, struct rc_slice instance_id,
                             struct rc_slice client_id, struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (is_declared_black(registry, instance_id, client_id))
        return rc_registry_refuse_declared(registry, "entry of the blacklist", client_id, error);
    if (!rc_trie_remove(&instance->black, client_id))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "entry of the blacklist", client_id);
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "DELETE FROM blacklist WHERE instance = ? AND client_id = ?", "tt",
                                     instance_id, client_id),
                         error);
}

int rc_registry_list_black(struct rc_registry *registry, struct rc_slice instance, struct rc_slice client_id,
                           const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                           uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(
            sql,
            rc_sql_bind(sql,
                        "SELECT count(*) FROM blacklist WHERE instance = ?1 AND (?2 = '' OR client_id = ?2)",
                        "tt", instance, client_id),
            0);
    sqlite3_stmt *statement =
        rc_sql_bind(sql,
                    "SELECT client_id, created FROM blacklist WHERE instance = ?1 AND (?2 = '' OR client_id ="
                    " ?2) AND client_id > ?3 ORDER BY client_id LIMIT ?4 OFFSET ?5",
                    "tttii", instance, client_id, page->after, (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_name row = {.id = rc_sql_text(statement, 0),
                                       .created_ms = sqlite3_column_int64(statement, 1)};
        row.updated_ms = row.created_ms;
        row.is_declared = is_declared_black(registry, instance, row.id);
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}
