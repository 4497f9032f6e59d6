#include "registry/schema.h"

#include <stdio.h>

/*
 * One entry a version; a published one is never changed. Times are milliseconds since 1970. `origin`: 0 made
 * by the API, 1 declared in the file. Secrets are sealed (secret_box.h), with the row's key as their context.
 */
static const char *const versions[RC_REGISTRY_VERSION] = {
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE instances (id TEXT PRIMARY KEY, name TEXT NOT NULL, origin INTEGER NOT NULL,"
    " token_key BLOB NOT NULL, registration_code TEXT NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE groups (instance TEXT NOT NULL, id TEXT NOT NULL, origin INTEGER NOT NULL,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (instance, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE topics (instance TEXT NOT NULL, id TEXT NOT NULL, origin INTEGER NOT NULL,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (instance, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE keys (access_key TEXT PRIMARY KEY, instance TEXT NOT NULL, role INTEGER NOT NULL,"
    " secret BLOB NOT NULL, origin INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE INDEX keys_instance ON keys (instance);"
    "CREATE TABLE credentials (instance TEXT NOT NULL, client_id TEXT NOT NULL, access_key TEXT NOT NULL,"
    " secret BLOB NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,"
    " PRIMARY KEY (instance, client_id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE revocations (instance TEXT NOT NULL, token BLOB NOT NULL, until INTEGER NOT NULL,"
    " PRIMARY KEY (instance, token)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX revocations_until ON revocations (until);"
    "CREATE TABLE identities (instance TEXT NOT NULL, type INTEGER NOT NULL, username TEXT NOT NULL,"
    " client_id TEXT NOT NULL, is_signed INTEGER NOT NULL, secret BLOB NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL, PRIMARY KEY (instance, type, username, client_id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE permissions (instance TEXT NOT NULL, type INTEGER NOT NULL, identity TEXT NOT NULL,"
    " topic TEXT NOT NULL, actions INTEGER NOT NULL, denies INTEGER NOT NULL,"
    " PRIMARY KEY (instance, type, identity, topic)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE blacklist (instance TEXT NOT NULL, client_id TEXT NOT NULL, created INTEGER NOT NULL,"
    " PRIMARY KEY (instance, client_id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE certificates (instance TEXT NOT NULL, ca_sn TEXT NOT NULL, sn TEXT NOT NULL,"
    " name TEXT NOT NULL, content TEXT NOT NULL, verification TEXT NOT NULL, code TEXT NOT NULL,"
    " is_active INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER NOT NULL,"
    " PRIMARY KEY (instance, ca_sn, sn)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE tags (type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " PRIMARY KEY (type, id, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE rules (instance TEXT NOT NULL, id TEXT NOT NULL, group_id TEXT NOT NULL, topic TEXT NOT "
    "NULL,"
    " target_instance TEXT NOT NULL, target_topic TEXT NOT NULL, queues INTEGER NOT NULL,"
    " is_enabled INTEGER NOT NULL, fails_over INTEGER NOT NULL, PRIMARY KEY (instance, id))"
    " STRICT, WITHOUT ROWID;",
    /* Outflow and inflow rules (target_*: of an inflow's source), descriptions. */
    "ALTER TABLE rules ADD COLUMN type INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE rules ADD COLUMN description TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE rules ADD COLUMN mqtt_topic TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE rules ADD COLUMN consumer_group TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE rules ADD COLUMN is_from_first INTEGER NOT NULL DEFAULT 0;",
    /*
     * What the file declares of further kinds: without its secrets. A tag of the file hides one made here.
     * Profiles and limits of instances made here (limits: JSON, as the API has them).
     */
    "ALTER TABLE credentials ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE identities ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE permissions ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE blacklist ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE certificates ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE tags_3 (type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,"
    " origin INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY (type, id, key, origin)) STRICT, WITHOUT "
    "ROWID;"
    "INSERT INTO tags_3 SELECT type, id, key, 0, value FROM tags;"
    "DROP TABLE tags;"
    "ALTER TABLE tags_3 RENAME TO tags;"
    "ALTER TABLE instances ADD COLUMN profile INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE instances ADD COLUMN limits TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE instances ADD COLUMN is_traced INTEGER NOT NULL DEFAULT 0;",
    /* What the file declares is found without reading what the API made. */
    "CREATE INDEX groups_declared ON groups (origin) WHERE origin <> 0;"
    "CREATE INDEX topics_declared ON topics (origin) WHERE origin <> 0;"
    "CREATE INDEX keys_declared ON keys (origin) WHERE origin <> 0;"
    "CREATE INDEX credentials_declared ON credentials (origin) WHERE origin <> 0;"
    "CREATE INDEX identities_declared ON identities (origin) WHERE origin <> 0;"
    "CREATE INDEX permissions_declared ON permissions (origin) WHERE origin <> 0;"
    "CREATE INDEX blacklist_declared ON blacklist (origin) WHERE origin <> 0;"
    "CREATE INDEX certificates_declared ON certificates (origin) WHERE origin <> 0;"
    "CREATE INDEX tags_declared ON tags (origin) WHERE origin <> 0;",
};

static int execute(struct rc_sql *sql, const char *text, struct rc_error *error)
{
    int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? RC_OK : rc_sql_error(sql, code, error);
}

int rc_schema_prepare(struct rc_sql *sql, struct rc_error *error)
{
    sqlite3_busy_timeout(sql->db, 2000);
    sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return execute(sql,
                   "PRAGMA trusted_schema = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                   "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA cache_size = -16384;"
                   "PRAGMA journal_size_limit = 67108864",
                   error);
}

static int64_t version_of(struct rc_sql *sql)
{
    return rc_sql_number(sql, rc_sql_bind(sql, "PRAGMA user_version", ""), -1);
}

static int migrate_to(struct rc_sql *sql, int version, struct rc_error *error)
{
    char set[64];
    snprintf(set, sizeof(set), "PRAGMA user_version = %d", version);
    int err = execute(sql, "BEGIN IMMEDIATE", error);
    if (err != RC_OK)
        return err;
    err = execute(sql, versions[version - 1], error);
    err = err ? err : execute(sql, set, error);
    err = err ? err : execute(sql, "COMMIT", error);
    if (err != RC_OK)
        execute(sql, "ROLLBACK", NULL);
    return err;
}

int rc_schema_migrate(struct rc_sql *sql, const char *path, struct rc_error *error)
{
    int64_t version = version_of(sql);
    if (version > RC_REGISTRY_VERSION)
        return rc_error_set(
            error, RC_ERR_VERSION,
            "%s is of a later Rollcall (its version is %lld, this one knows %d): start that one", path,
            (long long)version, RC_REGISTRY_VERSION);
    int err = version < 0 ? rc_sql_error(sql, sqlite3_errcode(sql->db), error) : RC_OK;
    for (int next = (int)version + 1; err == RC_OK && next <= RC_REGISTRY_VERSION; next++)
        err = migrate_to(sql, next, error);
    return err;
}

int rc_schema_expect(struct rc_sql *sql, const char *path, struct rc_error *error)
{
    int64_t version = version_of(sql);
    if (version == RC_REGISTRY_VERSION)
        return RC_OK;
    return rc_error_set(
        error, RC_ERR_VERSION,
        "%s is of another Rollcall (its version is %lld, this one knows %d): read it with that "
        "one, or start this one's server on it first",
        path, (long long)version, RC_REGISTRY_VERSION);
}

int rc_schema_check(struct rc_sql *sql, const char *path, struct rc_error *error)
{
    sqlite3_stmt *statement = rc_sql_bind(sql, "PRAGMA quick_check(1)", "");
    int err = rc_sql_row(sql, statement, error);
    bool is_whole = err == 1 && rc_slice_eq_str(rc_sql_text(statement, 0), "ok");
    if (err == 1)
        rc_sql_end(statement);
    if (is_whole)
        return RC_OK;
    return rc_error_set(error, RC_ERR_CORRUPT,
                        "%s is damaged: move it away and put a copy back, or begin a new one and `rollcall "
                        "registry import` an export (what the configuration file declares needs neither)",
                        path);
}
