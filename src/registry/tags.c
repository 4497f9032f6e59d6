#include "registry/private.h"

#include "base/utf8.h"

static bool is_text(struct rc_slice text, size_t min)
{
    return text.len >= min && text.len <= RC_REGISTRY_TAG_TEXT_MAX && rc_utf8_is_valid(text);
}

struct rc_slice rc_registry_split_tagged(struct rc_slice id, struct rc_slice *ret_group)
{
    const uint8_t *slash = memchr(id.ptr, '/', id.len);
    size_t len = slash != NULL ? (size_t)(slash - id.ptr) : id.len;
    *ret_group = rc_slice_from(id, slash != NULL ? len + 1 : len);
    return rc_slice(id.ptr, len);
}

static bool is_declared(const struct rc_registry *registry, const struct rc_registry_tag *tag)
{
    struct rc_slice group;
    const struct rc_instance *instance =
        rc_registry_declared(registry, rc_registry_split_tagged(tag->id, &group));
    return instance != NULL && rc_instance_tag(instance, group, tag->key) != NULL;
}

/* The resource must be there, and the tag not the file's. */
static int check_tag(struct rc_registry *registry, const struct rc_registry_tag *tag, struct rc_error *error)
{
    struct rc_slice group;
    const struct rc_instance *instance =
        rc_catalog_instance(rc_registry_catalog(registry), rc_registry_split_tagged(tag->id, &group));
    bool is_there = instance != NULL && group.len == 0 && rc_slice_eq_str(tag->type, "instance");
    if (instance != NULL && group.len > 0 && rc_slice_eq_str(tag->type, "group"))
        is_there = rc_instance_group(instance, group) != NULL;
    if (!is_there)
        return rc_registry_refuse(error, RC_ERR_NOT_FOUND, "resource", tag->id);
    if (is_declared(registry, tag))
        return rc_registry_refuse_declared(registry, "tag", tag->key, error);
    return RC_OK;
}

int rc_registry_tag(struct rc_registry *registry, const struct rc_registry_tag *tag, struct rc_error *error)
{
    struct rc_sql *sql = &registry->sql;
    int err = check_tag(registry, tag, error);
    if (err == RC_OK && (!is_text(tag->key, 1) || !is_text(tag->value, 0)))
        err = rc_registry_refuse(error, RC_ERR_INVALID, "tag", tag->key);
    err = err ? err : rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    int64_t others = rc_sql_number(
        sql,
        rc_sql_bind(sql, "SELECT count(DISTINCT key) FROM tags WHERE type = ? AND id = ? AND key <> ?", "ttt",
                    tag->type, tag->id, tag->key),
        0);
    if (others >= RC_REGISTRY_TAGS_MAX)
        return rc_registry_refuse(error, RC_ERR_FULL, "tag", tag->key);
    return rc_sql_change(sql,
                         rc_sql_bind(sql, "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, 0, ?)", "tttt",
                                     tag->type, tag->id, tag->key, tag->value),
                         error);
}

int rc_registry_untag(struct rc_registry *registry, const struct rc_registry_tag *tag, struct rc_error *error)
{
    int err = rc_registry_begin(registry, error);
    if (err != RC_OK)
        return err;
    if (tag->key.len > 0 && is_declared(registry, tag))
        return rc_registry_refuse_declared(registry, "tag", tag->key, error);
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "DELETE FROM tags WHERE type = ?1 AND id = ?2 AND (?3 = '' OR key = ?3)"
                                     " AND origin = 0",
                                     "ttt", tag->type, tag->id, tag->key),
                         error);
}

#define LIKE_TAG                                                                                             \
    " AND (?3 = '' OR key = ?3) AND (?4 = '' OR value = ?4) AND NOT EXISTS (SELECT 1 FROM tags AS file"      \
    " WHERE file.type = tags.type AND file.id = tags.id AND file.key = tags.key AND file.origin >"           \
    " tags.origin)"
#define ANY_RESOURCE " FROM tags WHERE (?1 = '' OR type = ?1) AND (?2 = '' OR id = ?2)" LIKE_TAG
/* Found by the primary key: a list of many resources asks this for each of them. */
#define ONE_RESOURCE " FROM tags WHERE type = ?1 AND id = ?2" LIKE_TAG
#define ROWS(from) "SELECT type, id, key, value, origin" from " ORDER BY type, id, key LIMIT ?5 OFFSET ?6"

int rc_registry_list_tags(struct rc_registry *registry, const struct rc_registry_tag *like,
                          const struct rc_registry_page *page, rc_registry_tag_fn visit, void *arg,
                          uint64_t *ret_total)
{
    struct rc_sql *sql = &registry->sql;
    bool is_one = like->type.len > 0 && like->id.len > 0;
    int err, count = 0;
    if (!rc_registry_page_is_valid(page))
        return RC_ERR_INVALID;
    if (ret_total != NULL) {
        const char *text = is_one ? "SELECT count(*)" ONE_RESOURCE : "SELECT count(*)" ANY_RESOURCE;
        *ret_total = (uint64_t)rc_sql_number(
            sql, rc_sql_bind(sql, text, "tttt", like->type, like->id, like->key, like->value), 0);
    }
    sqlite3_stmt *statement =
        rc_sql_bind(sql, is_one ? ROWS(ONE_RESOURCE) : ROWS(ANY_RESOURCE), "ttttii", like->type, like->id,
                    like->key, like->value, (int64_t)page->limit, (int64_t)page->skip);
    while ((err = rc_sql_row(sql, statement, NULL)) == 1) {
        struct rc_registry_tag row = {rc_sql_text(statement, 0), rc_sql_text(statement, 1),
                                      rc_sql_text(statement, 2), rc_sql_text(statement, 3),
                                      sqlite3_column_int(statement, 4) == RC_ORIGIN_FILE};
        visit(&row, arg);
        count++;
    }
    return err < 0 ? err : count;
}
