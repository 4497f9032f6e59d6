#include "registry/private.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <sys/random.h>

/* A row, unless it is there: with a key for tokens and a code for certificates of its own. */
int rc_registry_insert_instance(struct rc_registry *registry, struct rc_slice id, struct rc_slice name,
                                enum rc_origin origin, struct rc_error *error)
{
    uint8_t token_key[RC_CATALOG_TOKEN_KEY_LEN];
    char code[33];
    struct rc_slice sealed;
    if (getrandom(token_key, sizeof(token_key), 0) != (ssize_t)sizeof(token_key))
        return rc_error_set(error, RC_ERR_IO, "no random numbers");
    rc_registry_random(code, 32);
    int err = rc_registry_seal(registry, "instance", id, rc_slice(NULL, 0),
                               rc_slice(token_key, sizeof(token_key)), &sealed, error);
    OPENSSL_cleanse(token_key, sizeof(token_key));
    if (err != RC_OK)
        return err;
    int64_t now = rc_registry_now_ms();
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql, "INSERT OR IGNORE INTO instances VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', 0)",
                    "ttibtii", id, name, (int64_t)origin, sealed, rc_slice_str(code), now, now),
        error);
}

int rc_registry_load_instance(struct rc_registry *registry, struct rc_instance *instance,
                              struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_slice key;
    sqlite3_stmt *statement =
        rc_sql_bind(sql, "SELECT token_key FROM instances WHERE id = ?", "t", instance->id);
    int err = rc_sql_row(sql, statement, error);
    if (err != 1)
        return err < 0 ? err : rc_registry_refuse(error, RC_ERR_NOT_FOUND, "instance", instance->id);
    err = rc_registry_unseal(registry, "instance", instance->id, rc_slice(NULL, 0),
                             rc_sql_bytes(statement, 0), &key, error);
    rc_sql_end(statement);
    if (err != RC_OK || key.len != sizeof(instance->token_key))
        return err ? err : RC_ERR_CORRUPT;
    memcpy(instance->token_key, key.ptr, key.len);
    instance->has_token_key = true;
    return RC_OK;
}

int rc_registry_erase_instance(struct rc_registry *registry, struct rc_slice id, struct rc_error *error)
{
    static const char *const texts[] = {
        "DELETE FROM groups WHERE instance = ?",
        "DELETE FROM topics WHERE instance = ?",
        "DELETE FROM keys WHERE instance = ?",
        "DELETE FROM credentials WHERE instance = ?",
        "DELETE FROM revocations WHERE instance = ?",
        "DELETE FROM identities WHERE instance = ?",
        "DELETE FROM permissions WHERE instance = ?",
        "DELETE FROM blacklist WHERE instance = ?",
        "DELETE FROM certificates WHERE instance = ?",
        "DELETE FROM rules WHERE instance = ?",
        "DELETE FROM instances WHERE id = ?",
        ("DELETE FROM tags WHERE (type = 'instance' AND id = ?1)"
         " OR (type = 'group' AND id >= ?1 || '/' AND id < ?1 || '0')"),
    };
    int changed = 0;
    for (size_t i = 0; changed >= 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
        changed = rc_sql_run(&registry->sql, rc_sql_bind(&registry->sql, texts[i], "t", id), error);
    return changed < 0 ? changed : RC_OK;
}

int rc_registry_create_instance(struct rc_registry *registry, struct rc_slice id, struct rc_slice name,
                                char ret_id[RC_CATALOG_ID_MAX + 1], struct rc_error *error)
{
    char made[RC_CATALOG_ID_MAX + 1];
    struct rc_instance *instance;
    if (id.len == 0) {
        memcpy(made, "mqtt-rc-", 8);
        rc_registry_random(made + 8, 12);
        id = rc_slice_str(made);
    }
    if (name.len > RC_REGISTRY_TAG_TEXT_MAX)
        return rc_registry_refuse(error, RC_ERR_INVALID, "instance name", name);
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    err = rc_catalog_add_instance(registry->next, id, &instance);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "instance", id);
    err = rc_registry_insert_instance(registry, id, name.len > 0 ? name : id, RC_ORIGIN_API, error);
    err = err ? err : rc_registry_load_instance(registry, instance, error);
    if (err == RC_OK && ret_id != NULL) {
        memcpy(ret_id, id.ptr, id.len);
        ret_id[id.len] = '\0';
    }
    return err;
}

/* ---- profile and limits ---- */

/* Clients whose id names no group are of that one, until the profile is another. */
static int put_standard_group(struct rc_registry *registry, struct rc_instance *instance,
                              struct rc_error *error)
{
    static const char is_made[] = "SELECT EXISTS (SELECT 1 FROM groups WHERE instance = ? AND id = ?)";
    struct rc_slice id = rc_slice_str(RC_CATALOG_STANDARD_GROUP);
    if (instance->profile == RC_PROFILE_STANDARD) {
        instance->group = rc_trie_find(&instance->groups, id);
        if (instance->group == NULL)
            rc_catalog_add_group(instance, id, &instance->group);
        return RC_OK;
    }
    bool had_one = instance->group != NULL;
    instance->group = NULL;
    if (!had_one ||
        rc_sql_number(&registry->sql, rc_sql_bind(&registry->sql, is_made, "tt", instance->id, id), 1) != 0)
        return RC_OK;
    int err = rc_catalog_remove_group(instance, id);
    return err == RC_OK ? RC_OK : rc_registry_refuse(error, err, "group", id);
}

static int put_settings(struct rc_registry *registry, struct rc_instance *instance, enum rc_profile profile,
                        struct rc_slice limits, struct rc_error *error)
{
    rc_catalog_set_profile(instance, profile);
    int err = rc_limits_apply(&instance->limits, limits, error);
    return err ? err : put_standard_group(registry, instance, error);
}

int rc_registry_load_settings(struct rc_registry *registry, struct rc_instance *instance,
                              struct rc_error *error)
{
    char text[RC_LIMITS_TEXT_MAX];
    struct rc_sql *sql = &registry->sql;
    if (rc_registry_declared(registry, instance->id) != NULL)
        return RC_OK;
    sqlite3_stmt *statement =
        rc_sql_bind(sql, "SELECT profile, limits, is_traced FROM instances WHERE id = ? AND origin = 0", "t",
                    instance->id);
    int err = rc_sql_row(sql, statement, error);
    if (err != 1)
        return err;
    int64_t profile = sqlite3_column_int64(statement, 0);
    struct rc_slice limits = rc_sql_text(statement, 1);
    bool is_right =
        limits.len <= sizeof(text) && (profile == RC_PROFILE_PRODUCT || profile == RC_PROFILE_STANDARD);
    if (is_right && limits.len > 0)
        memcpy(text, limits.ptr, limits.len);
    instance->is_traced = sqlite3_column_int64(statement, 2) != 0;
    rc_sql_end(statement);
    if (!is_right)
        return rc_registry_refuse(error, RC_ERR_INVALID, "profile or limits of instance", instance->id);
    return put_settings(registry, instance, (enum rc_profile)profile, rc_slice(text, limits.len), error);
}

static int keep_settings(struct rc_registry *registry, struct rc_slice id,
                         const struct rc_registry_settings *settings, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    struct rc_slice none = rc_slice("", 0);
    return rc_sql_change(
        sql,
        rc_sql_bind(sql,
                    "UPDATE instances SET name = CASE WHEN ?2 THEN ?3 ELSE name END,"
                    " profile = CASE WHEN ?4 THEN ?5 ELSE profile END,"
                    " limits = CASE WHEN ?6 THEN ?7 ELSE limits END,"
                    " is_traced = CASE WHEN ?8 THEN ?9 ELSE is_traced END, updated = ?10"
                    " WHERE id = ?1",
                    "titiiitiii", id, (int64_t)(settings->name != NULL),
                    settings->name != NULL ? *settings->name : none, (int64_t)(settings->profile != NULL),
                    settings->profile != NULL ? (int64_t)*settings->profile : (int64_t)0,
                    (int64_t)(settings->limits != NULL), settings->limits != NULL ? *settings->limits : none,
                    (int64_t)(settings->is_traced != NULL),
                    (int64_t)(settings->is_traced != NULL && *settings->is_traced), rc_registry_now_ms()),
        error);
}

int rc_registry_update_instance(struct rc_registry *registry, struct rc_slice id,
                                const struct rc_registry_settings *settings, struct rc_error *error)
{
    struct rc_instance *instance;
    if (rc_registry_declared(registry, id) != NULL)
        return rc_registry_refuse_declared(registry, "instance", id, error);
    if (settings->name != NULL &&
        (settings->name->len == 0 || settings->name->len > RC_REGISTRY_TAG_TEXT_MAX))
        return rc_registry_refuse(error, RC_ERR_INVALID, "instance name", *settings->name);
    if (settings->limits != NULL && settings->limits->len > RC_LIMITS_TEXT_MAX)
        return rc_error_set(error, RC_ERR_INVALID, "The limits' text is too long.");
    int err = rc_registry_edit(registry, id, &instance, error);
    err = err ? err : keep_settings(registry, id, settings, error);
    bool is_about_clients = settings->profile != NULL || settings->limits != NULL;
    if (err != RC_OK || (!is_about_clients && settings->is_traced == NULL))
        return err;
    registry->change.all |= is_about_clients;
    registry->change.rules_changed |= settings->is_traced != NULL; /* so that the topic of traces is made */
    return rc_registry_load_settings(registry, instance, error);
}

/* ---- deleting and listing ---- */

static bool has_anything(struct rc_registry *registry, struct rc_slice id)
{
    static const char text[] = "SELECT EXISTS (SELECT 1 FROM groups WHERE instance = ?1)"
                               " OR EXISTS (SELECT 1 FROM topics WHERE instance = ?1)"
                               " OR EXISTS (SELECT 1 FROM keys WHERE instance = ?1)";
    return rc_sql_number(&registry->sql, rc_sql_bind(&registry->sql, text, "t", id), 1) != 0;
}

int rc_registry_delete_instance(struct rc_registry *registry, struct rc_slice id, bool cascade,
                                struct rc_error *error)
{
    if (rc_registry_declared(registry, id) != NULL)
        return rc_registry_refuse_declared(registry, "instance", id, error);
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    if (rc_catalog_instance(registry->next, id) == NULL)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "instance", id);
    if (!cascade && has_anything(registry, id))
        return rc_registry_refuse(error, RC_ERR_BUSY, "instance", id);
    rc_catalog_remove_instance(registry->next, id);
    registry->change.all = registry->change.rules_changed = true;
    return rc_registry_erase_instance(registry, id, error);
}

int rc_registry_list_instances(struct rc_registry *registry, const struct rc_registry_page *page,
                               rc_registry_instance_fn visit, void *arg, uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(sql, rc_sql_bind(sql, "SELECT count(*) FROM instances", ""), 0);
    sqlite3_stmt *statement = rc_sql_bind(
        sql,
        "SELECT id, name, created, updated, profile, limits, is_traced FROM instances WHERE id > ?"
        " ORDER BY id LIMIT ? OFFSET ?",
        "tii", page->after, (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_instance row = {
            .id = rc_sql_text(statement, 0),
            .name = rc_sql_text(statement, 1),
            .created_ms = sqlite3_column_int64(statement, 2),
            .updated_ms = sqlite3_column_int64(statement, 3),
        };
        const struct rc_instance *declared = rc_registry_declared(registry, row.id);
        row.is_declared = declared != NULL;
        row.profile =
            declared != NULL ? declared->profile : (enum rc_profile)sqlite3_column_int(statement, 4);
        row.limits = declared != NULL ? rc_slice("", 0) : rc_sql_text(statement, 5);
        row.is_traced = declared != NULL ? declared->is_traced : sqlite3_column_int(statement, 6) != 0;
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}
