/*
 * Rows for what the file declares of the kinds that there may be many of: since when it is there, so that it
 * is listed with the rest. Its secrets stay in the file. A row that was made here by the same name stays as
 * it is; what is listed then is the file's, as long as the file declares it.
 *
 * All rows of the file are marked as gone first, those that are declared are the file's again, and what is
 * still gone in the end is deleted. All in one transaction.
 */
#include "registry/private.h"

static int change_all(struct rc_registry *registry, const char *const *texts, size_t count,
                      struct rc_error *error)
{
    int changed = 0;
    for (size_t i = 0; changed >= 0 && i < count; i++)
        changed = rc_sql_run(&registry->sql, rc_sql_bind(&registry->sql, texts[i], ""), error);
    return changed < 0 ? changed : RC_OK;
}

static int mark_gone(struct rc_registry *registry, struct rc_error *error)
{
    static const char *const texts[] = {
        "UPDATE credentials SET origin = 2 WHERE origin = 1 AND " RC_NOT_API,
        "UPDATE identities SET origin = 2 WHERE origin = 1 AND " RC_NOT_API,
        "UPDATE permissions SET origin = 2 WHERE origin = 1 AND " RC_NOT_API,
        "UPDATE blacklist SET origin = 2 WHERE origin = 1 AND " RC_NOT_API,
        "UPDATE certificates SET origin = 2 WHERE origin = 1 AND " RC_NOT_API,
        "DELETE FROM tags WHERE origin = 1 AND " RC_NOT_API,
    };
    return change_all(registry, texts, sizeof(texts) / sizeof(texts[0]), error);
}

static int delete_gone(struct rc_registry *registry, struct rc_error *error)
{
    static const char *const texts[] = {
        "DELETE FROM credentials WHERE origin = 2 AND " RC_NOT_API,
        "DELETE FROM identities WHERE origin = 2 AND " RC_NOT_API,
        "DELETE FROM permissions WHERE origin = 2 AND " RC_NOT_API,
        "DELETE FROM blacklist WHERE origin = 2 AND " RC_NOT_API,
        "DELETE FROM certificates WHERE origin = 2 AND " RC_NOT_API,
    };
    return change_all(registry, texts, sizeof(texts) / sizeof(texts[0]), error);
}

/* ---- each kind ---- */

static int put_credential(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                          struct rc_error *error)
{
    const struct rc_credential *one = item;
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(&registry->sql,
                    "INSERT INTO credentials VALUES (?1, ?2, ?3, X'', ?4, ?4, 1)"
                    " ON CONFLICT DO UPDATE SET access_key = ?3, origin = 1 WHERE origin = 2",
                    "ttti", instance->id, one->client_id, one->access_key, rc_registry_now_ms()),
        error);
}

static int put_identity(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                        struct rc_error *error)
{
    const struct rc_custom_identity *one = item;
    const uint8_t *end = memchr(one->key.ptr, 0, one->key.len);
    size_t len = end != NULL ? (size_t)(end - one->key.ptr) : one->key.len;
    struct rc_slice client = rc_slice_from(one->key, end != NULL ? len + 1 : len);
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "INSERT INTO identities VALUES (?1, ?2, ?3, ?4, ?5, X'', ?6, ?6, 1)"
                                     " ON CONFLICT DO UPDATE SET is_signed = ?5, origin = 1 WHERE origin = 2",
                                     "tittii", instance->id, (int64_t)(client.len > 0),
                                     rc_slice(one->key.ptr, len), client, (int64_t)one->is_signed,
                                     rc_registry_now_ms()),
                         error);
}

/* All of one user name or client id. */
static int put_permissions(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                           struct rc_error *error)
{
    const struct rc_custom_permissions *all = item;
    bool is_client = all->key.ptr[0] == 'c';
    int err = RC_OK;
    for (uint32_t i = 0; err == RC_OK && i < all->count; i++)
        err = rc_sql_change(
            &registry->sql,
            rc_sql_bind(&registry->sql,
                        "INSERT INTO permissions VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)"
                        " ON CONFLICT DO UPDATE SET actions = ?5, denies = ?6, origin = 1 WHERE origin = 2",
                        "tittii", instance->id, (int64_t)is_client, rc_slice_from(all->key, 1),
                        all->list[i].topic, (int64_t)all->list[i].actions, (int64_t)all->list[i].denies),
            error);
    return err;
}

static int put_black(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                     struct rc_error *error)
{
    const struct rc_mark *one = item;
    return rc_sql_change(&registry->sql,
                         rc_sql_bind(&registry->sql,
                                     "INSERT INTO blacklist VALUES (?, ?, ?, 1)"
                                     " ON CONFLICT DO UPDATE SET origin = 1 WHERE origin = 2",
                                     "tti", instance->id, one->key, rc_registry_now_ms()),
                         error);
}

static int put_certificate(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                           struct rc_error *error)
{
    return rc_registry_declare_certificate(registry, instance->id, item, error);
}

static int put_tag(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
                   struct rc_error *error)
{
    const struct rc_tag *one = item;
    struct rc_slice type = rc_slice_str(one->group.len > 0 ? "group" : "instance");
    return rc_sql_change(
        &registry->sql,
        rc_sql_bind(
            &registry->sql,
            "INSERT INTO tags VALUES (?1, ?2 || CASE ?3 WHEN '' THEN '' ELSE '/' || ?3 END, ?4, 1, ?5)",
            "ttttt", type, instance->id, one->group, one->name, one->value),
        error);
}

static const struct {
    size_t table; /* of struct rc_instance */
    int (*put)(struct rc_registry *registry, const struct rc_instance *instance, const void *item,
               struct rc_error *error);
} kinds[] = {
    {offsetof(struct rc_instance, credentials), put_credential},
    {offsetof(struct rc_instance, identities), put_identity},
    {offsetof(struct rc_instance, permissions), put_permissions},
    {offsetof(struct rc_instance, black), put_black},
    {offsetof(struct rc_instance, certificates), put_certificate},
    {offsetof(struct rc_instance, tags), put_tag},
};

static int declare_rows(struct rc_registry *registry, const struct rc_instance *instance,
                        struct rc_error *error)
{
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct rc_trie_walk walk;
        const void *item;
        rc_trie_walk_start(&walk, (const struct rc_trie *)((uintptr_t)instance + kinds[i].table));
        while (err == RC_OK && (item = rc_trie_walk_next(&walk)) != NULL)
            err = kinds[i].put(registry, instance, item, error);
    }
    return err;
}

int rc_registry_sync_rows(struct rc_registry *registry, const struct rc_catalog *declared,
                          struct rc_error *error)
{
    struct rc_trie_walk walk;
    const struct rc_instance *instance;
    int err = mark_gone(registry, error);
    rc_trie_walk_start(&walk, &declared->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&walk)) != NULL)
        err = declare_rows(registry, instance, error);
    return err ? err : delete_gone(registry, error);
}
