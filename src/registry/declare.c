/*
 * What the configuration file declares. Its rows only say since when; what counts is the declared catalog. A
 * row that is declared no longer goes, unless something made here hangs on it: then it becomes one that was
 * made here, so that nothing that was made here is lost by a line taken out of a file.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "registry/private.h"

const struct rc_catalog *rc_registry_declared_all(const struct rc_registry *registry)
{
    return registry->next_declared != NULL ? registry->next_declared : registry->declared;
}

const struct rc_catalog *rc_registry_declared_before(const struct rc_registry *registry)
{
    return registry->undo_declared != NULL ? registry->undo_declared : registry->declared;
}

const struct rc_instance *rc_registry_declared(const struct rc_registry *registry, struct rc_slice instance)
{
    return rc_catalog_instance(rc_registry_declared_all(registry), instance);
}

int rc_registry_refuse_declared(struct rc_registry *registry, const char *what, struct rc_slice name,
                                struct rc_error *error)
{
    char text[160];
    return rc_error_set(error, RC_ERR_DENIED,
                        "The %s %s is declared in the configuration file, and is changed there.", what,
                        rc_log_quote(text, sizeof(text), name));
}

/* ---- rows for what is declared ---- */

static int declare_name(struct rc_registry *registry, const char *insert, struct rc_slice instance,
                        struct rc_slice id, struct rc_error *error)
{
    int64_t now = rc_registry_now_ms();
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql, insert, "ttiii", instance, id, (int64_t)RC_ORIGIN_FILE, now, now), error);
}

static int declare_instance(struct rc_registry *registry, const struct rc_instance *instance,
                            struct rc_error *error)
{
    int err = rc_registry_insert_instance(registry, instance->id, instance->id, RC_ORIGIN_FILE, error);
    struct rc_trie_walk walk;
    const struct rc_group *group;
    rc_trie_walk_start(&walk, &instance->groups);
    while (err == RC_OK && (group = rc_trie_walk_next(&walk)) != NULL)
        err = declare_name(registry, "INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?, ?)", instance->id,
                           group->id, error);
    const struct rc_parent_topic *topic;
    rc_trie_walk_start(&walk, &instance->topics);
    while (err == RC_OK && (topic = rc_trie_walk_next(&walk)) != NULL)
        err = declare_name(registry, "INSERT OR IGNORE INTO topics VALUES (?, ?, ?, ?, ?)", instance->id,
                           topic->name, error);
    return err;
}

/* A declared key's secret stays in the file. One that was made here by the same name has to give way. */
static int declare_key(struct rc_registry *registry, const struct rc_key_pair *pair, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    return rc_sql_change(
        sql,
        rc_sql_bind(sql,
                    "INSERT INTO keys VALUES (?1, ?2, ?3, X'', ?4, ?5) ON CONFLICT (access_key) DO UPDATE SET"
                    " instance = ?2, role = ?3 WHERE origin = ?4",
                    "ttiii", pair->access_key, pair->instance_id, (int64_t)pair->role,
                    (int64_t)RC_ORIGIN_FILE, rc_registry_now_ms()),
        error);
}

/* ---- rows of what is declared no longer ---- */

enum { GONE_MAX = 1024 }; /* found in one go */

struct gone {
    uint32_t count;
    struct {
        char instance[RC_CATALOG_ID_MAX + 1], id[RC_CATALOG_ID_MAX + 1];
    } rows[GONE_MAX];
};

typedef bool (*is_declared_fn)(const struct rc_catalog *declared, struct rc_slice instance,
                               struct rc_slice id);

static bool is_group(const struct rc_catalog *declared, struct rc_slice instance_id, struct rc_slice id)
{
    const struct rc_instance *instance = rc_catalog_instance(declared, instance_id);
    return instance != NULL && rc_instance_group(instance, id) != NULL;
}

static bool is_topic(const struct rc_catalog *declared, struct rc_slice instance_id, struct rc_slice id)
{
    const struct rc_instance *instance = rc_catalog_instance(declared, instance_id);
    return instance != NULL && rc_instance_has_topic(instance, id);
}

static bool is_key(const struct rc_catalog *declared, struct rc_slice instance_id, struct rc_slice id)
{
    return rc_catalog_key(declared, id) != NULL;
}

static bool is_instance(const struct rc_catalog *declared, struct rc_slice instance_id, struct rc_slice id)
{
    return rc_catalog_instance(declared, instance_id) != NULL;
}

static void put(char out[RC_CATALOG_ID_MAX + 1], struct rc_slice text)
{
    size_t len = text.len > RC_CATALOG_ID_MAX ? RC_CATALOG_ID_MAX : text.len;
    memcpy(out, text.ptr, len);
    out[len] = '\0';
}

/* Rows of `select` (instance, id) that are declared no longer, at most GONE_MAX. */
static int find_gone(struct rc_registry *registry, const struct rc_catalog *declared, const char *select,
                     is_declared_fn is_declared, struct gone *gone, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    sqlite3_stmt *statement = rc_sql_bind(sql, select, "");
    int err;
    gone->count = 0;
    while ((err = rc_sql_row(sql, statement, error)) == 1) {
        struct rc_slice instance = rc_sql_text(statement, 0), id = rc_sql_text(statement, 1);
        if (is_declared(declared, instance, id))
            continue;
        put(gone->rows[gone->count].instance, instance);
        put(gone->rows[gone->count++].id, id);
        if (gone->count == GONE_MAX) {
            rc_sql_end(statement);
            return RC_OK;
        }
    }
    return err;
}

static int drop_rows(struct rc_registry *registry, const struct rc_catalog *declared, const char *select,
                     const char *remove, is_declared_fn is_declared, struct rc_error *error)
{
    struct gone *gone = rc_malloc(sizeof(*gone));
    int err;
    do {
        err = find_gone(registry, declared, select, is_declared, gone, error);
        for (uint32_t i = 0; err == RC_OK && i < gone->count; i++) {
            sqlite3_stmt *statement =
                rc_sql_bind(&registry->sql, remove, "tt", rc_slice_str(gone->rows[i].instance),
                            rc_slice_str(gone->rows[i].id));
            int changed = rc_sql_run(&registry->sql, statement, error);
            err = changed < 0 ? changed : RC_OK;
        }
    } while (err == RC_OK && gone->count == GONE_MAX);
    free(gone);
    return err;
}

/* Something that was made here hangs on it. */
static bool is_needed(struct rc_registry *registry, struct rc_slice id)
{
    static const char text[] = "SELECT EXISTS (SELECT 1 FROM groups WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM topics WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM keys WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM credentials WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM identities WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM permissions WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM certificates WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM blacklist WHERE instance = ?1 AND origin = 0)"
                               " OR EXISTS (SELECT 1 FROM rules WHERE instance = ?1)";
    return rc_sql_number(&registry->sql, rc_sql_bind(&registry->sql, text, "t", id), 1) != 0;
}

static int drop_instances(struct rc_registry *registry, const struct rc_catalog *declared,
                          struct rc_error *error)
{
    struct gone *gone = rc_malloc(sizeof(*gone));
    int err = find_gone(registry, declared, "SELECT id, id FROM instances WHERE origin = 1", is_instance,
                        gone, error);
    for (uint32_t i = 0; err == RC_OK && i < gone->count; i++) {
        struct rc_slice id = rc_slice_str(gone->rows[i].id);
        if (is_needed(registry, id)) {
            rc_log_warn("registry",
                        "the instance %s is declared no longer, but has what was made by the API: it stays",
                        gone->rows[i].id);
            err = rc_sql_run(
                &registry->sql,
                rc_sql_bind(&registry->sql, "UPDATE instances SET origin = 0 WHERE id = ?", "t", id), error);
        } else {
            err = rc_registry_erase_instance(registry, id, error);
        }
        err = err < 0 ? err : RC_OK;
    }
    free(gone);
    return err;
}

int rc_registry_sync_declared(struct rc_registry *registry, const struct rc_catalog *declared,
                              struct rc_error *error)
{
    struct rc_trie_walk walk;
    const struct rc_instance *instance;
    const struct rc_key_pair *pair;
    int err =
        drop_rows(registry, declared, "SELECT instance, id FROM groups WHERE origin = 1 AND " RC_NOT_API,
                  "DELETE FROM groups WHERE instance = ? AND id = ?", is_group, error);
    err = err ? err
              : drop_rows(registry, declared,
                          "SELECT instance, id FROM topics WHERE origin = 1 AND " RC_NOT_API,
                          "DELETE FROM topics WHERE instance = ? AND id = ?", is_topic, error);
    err = err ? err
              : drop_rows(registry, declared,
                          "SELECT instance, access_key FROM keys WHERE origin = 1 AND " RC_NOT_API,
                          "DELETE FROM keys WHERE instance = ? AND access_key = ?", is_key, error);
    err = err ? err : drop_instances(registry, declared, error);
    rc_trie_walk_start(&walk, &declared->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&walk)) != NULL)
        err = declare_instance(registry, instance, error);
    rc_trie_walk_start(&walk, &declared->key_pairs);
    while (err == RC_OK && (pair = rc_trie_walk_next(&walk)) != NULL)
        err = declare_key(registry, pair, error);
    return err ? err : rc_registry_sync_rows(registry, declared, error);
}

/* ---- the catalog of both ---- */

struct declaration {
    struct rc_registry_job job;
    struct rc_catalog *declared;
};

static int declare(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct declaration *declaration = rc_container_of(job, struct declaration, job);
    int err = rc_registry_begin(registry, &job->error);
    err = err ? err : rc_registry_sync_declared(registry, declaration->declared, &job->error);
    if (err != RC_OK)
        return err;
    registry->next_declared = rc_catalog_ref(declaration->declared);
    struct rc_catalog *next = rc_catalog_fork(declaration->declared);
    const struct rc_catalog *from = registry->catalog->instances.count > 0 ? registry->undo : NULL;
    err = rc_registry_load(registry, next, from, &job->error);
    if (err != RC_OK) {
        rc_catalog_unref(next);
        return err;
    }
    rc_catalog_unref(registry->next);
    registry->next = next;
    registry->change.all = registry->change.rules_changed = true;
    return RC_OK;
}

int rc_registry_declare(struct rc_registry *registry, struct rc_catalog *declared, struct rc_catalog **ret,
                        struct rc_error *error)
{
    struct declaration declaration = {.job.run = declare, .declared = declared};
    int err = registry->is_started ? rc_registry_call(registry, &declaration.job)
                                   : rc_registry_run(registry, &declaration.job);
    if (err != RC_OK)
        return rc_error_set(error, err, "%s", declaration.job.error.text);
    if (ret != NULL)
        *ret = rc_catalog_ref(registry->catalog);
    return RC_OK;
}
