/* Groups and parent topics: names in an instance. */
#include "registry/private.h"

/* ---- what both have ---- */

static int insert(struct rc_registry *registry, const char *text, struct rc_slice instance,
                  struct rc_slice id, struct rc_error *error)
{
    int64_t now = rc_registry_now_ms();
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql, text, "ttiii", instance, id, (int64_t)RC_ORIGIN_API, now, now), error);
}

static int erase(struct rc_registry *registry, const char *text, struct rc_slice instance, struct rc_slice id,
                 struct rc_error *error)
{
    return rc_sql_change(&registry->sql, rc_sql_bind(&registry->sql, text, "tt", instance, id), error);
}

/* How they are counted and read; whether the file has one, whose row may be older than its declaration. */
struct listing {
    const char *count, *rows;
    bool (*is_declared)(const struct rc_instance *declared, struct rc_slice id);
};

static int list(struct rc_registry *registry, const struct listing *listing, struct rc_slice instance,
                const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    const struct rc_instance *declared = rc_registry_declared(registry, instance);
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL)
        *ret_total = (uint64_t)rc_sql_number(sql, rc_sql_bind(sql, listing->count, "t", instance), 0);
    sqlite3_stmt *statement = rc_sql_bind(sql, listing->rows, "ttii", instance, page->after,
                                          (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_name row = {
            .id = rc_sql_text(statement, 0),
            .created_ms = sqlite3_column_int64(statement, 1),
            .updated_ms = sqlite3_column_int64(statement, 2),
        };
        row.is_declared = declared != NULL && listing->is_declared(declared, row.id);
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}

/* ---- groups ---- */

int rc_registry_create_group(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice id,
                             struct rc_error *error)
{
    struct rc_instance *instance;
    struct rc_group *group;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    err = instance->groups.count >= RC_REGISTRY_GROUPS_MAX ? RC_ERR_FULL
                                                           : rc_catalog_add_group(instance, id, &group);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "group", id);
    return insert(registry, "INSERT INTO groups VALUES (?, ?, ?, ?, ?)", instance_id, id, error);
}

/* Rows and credentials of a group's clients: their ids begin with its id and @@@. */
static int erase_credentials(struct rc_registry *registry, struct rc_instance *instance, struct rc_slice id,
                             struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    int err;
    sqlite3_stmt *statement =
        rc_sql_bind(sql,
                    "DELETE FROM credentials WHERE instance = ?1 AND client_id >= ?2 || '@@@'"
                    " AND client_id < ?2 || '@@A' RETURNING client_id",
                    "tt", instance->id, id);
    while ((err = rc_sql_row(sql, statement, error)) == 1)
        rc_trie_remove(&instance->credentials, rc_sql_text(statement, 0));
    return err;
}

int rc_registry_delete_group(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice id,
                             struct rc_error *error)
{
    struct rc_instance *instance;
    const struct rc_instance *declared = rc_registry_declared(registry, instance_id);
    if (declared != NULL && rc_instance_group(declared, id) != NULL)
        return rc_registry_refuse_declared(registry, "group", id, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    err = rc_catalog_remove_group(instance, id);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "group", id);
    registry->change.all = true;
    err = erase_credentials(registry, instance, id, error);
    err = err ? err
              : erase(registry, "DELETE FROM tags WHERE type = 'group' AND id = ?1 || '/' || ?2", instance_id,
                      id, error);
    return err ? err
               : erase(registry, "DELETE FROM groups WHERE instance = ? AND id = ?", instance_id, id, error);
}

static bool has_group(const struct rc_instance *declared, struct rc_slice id)
{
    return rc_instance_group(declared, id) != NULL;
}

int rc_registry_list_groups(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                            uint64_t *ret_total)
{
    static const struct listing listing = {
        "SELECT count(*) FROM groups WHERE instance = ?",
        "SELECT id, created, updated FROM groups WHERE instance = ? AND id > ?"
        " ORDER BY id LIMIT ? OFFSET ?",
        has_group,
    };
    return list(registry, &listing, instance, page, visit, arg, ret_total);
}

/* ---- parent topics ---- */

int rc_registry_create_topic(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice name,
                             struct rc_error *error)
{
    struct rc_instance *instance;
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    err = instance->topics.count >= RC_REGISTRY_TOPICS_MAX ? RC_ERR_FULL
                                                           : rc_catalog_add_parent_topic(instance, name);
    if (err != RC_OK)
        return rc_registry_refuse(error, err, "parent topic", name);
    return insert(registry, "INSERT INTO topics VALUES (?, ?, ?, ?, ?)", instance_id, name, error);
}

int rc_registry_delete_topic(struct rc_registry *registry, struct rc_slice instance_id, struct rc_slice name,
                             struct rc_error *error)
{
    struct rc_instance *instance;
    const struct rc_instance *declared = rc_registry_declared(registry, instance_id);
    if (declared != NULL && rc_instance_has_topic(declared, name))
        return rc_registry_refuse_declared(registry, "topic", name, error);
    int err = rc_registry_edit(registry, instance_id, &instance, error);
    if (err != RC_OK)
        return err;
    if (rc_trie_find(&instance->outflows, name) != NULL || rc_trie_find(&instance->inflows, name) != NULL)
        return rc_registry_refuse(error, RC_ERR_BUSY, "topic", name);
    if (!rc_catalog_remove_parent_topic(instance, name))
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "topic", name);
    registry->change.all = true;
    return erase(registry, "DELETE FROM topics WHERE instance = ? AND id = ?", instance_id, name, error);
}

int rc_registry_list_topics(struct rc_registry *registry, struct rc_slice instance,
                            const struct rc_registry_page *page, rc_registry_name_fn visit, void *arg,
                            uint64_t *ret_total)
{
    static const struct listing listing = {
        "SELECT count(*) FROM topics WHERE instance = ?",
        "SELECT id, created, updated FROM topics WHERE instance = ? AND id > ?"
        " ORDER BY id LIMIT ? OFFSET ?",
        rc_instance_has_topic,
    };
    return list(registry, &listing, instance, page, visit, arg, ret_total);
}
