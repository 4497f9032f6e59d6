/*
 * Design notes
 * - The file has a line for each name, "t <name>" or "g <name>". Before anything is made it names what was
 * and what will be there for the file, so that a crash leaves nothing behind that nobody deletes; at the end
 * it names what is.
 */
#include "rocketmq/declared_names.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"
#include "rocketmq/tenancy.h"
#include "store/fs.h"

#include <stdlib.h>

#define FILE_NAME "declared"
enum { FILE_MAX = 64 << 20 };

/* A name that is there for the file. */
struct made {
    bool is_declared;
    uint32_t len;
    char key[]; /* enum rc_owned, then the name */
};

struct names {
    struct rc_store *store;
    struct rc_owners *owners;
    const struct rc_catalog *catalog;
    struct rc_map made;
    bool has_changed;
};

static struct rc_slice key_of(const void *item)
{
    const struct made *made = item;
    return rc_slice(made->key, made->len);
}

static struct made *add(struct names *names, struct rc_slice key)
{
    struct made *made = rc_map_find(&names->made, key);
    if (made != NULL)
        return made;
    made = rc_calloc(1, sizeof(*made) + key.len);
    made->len = (uint32_t)key.len;
    memcpy(made->key, key.ptr, key.len);
    rc_map_insert(&names->made, made);
    return made;
}

/* ---- the file ---- */

int rc_declared_names_read(int own_dir, void (*visit)(enum rc_owned kind, struct rc_slice name, void *arg),
                           void *arg)
{
    struct rc_buf text;
    rc_buf_init(&text, FILE_MAX);
    int err = rc_fs_read_file(own_dir, FILE_NAME, &text);
    struct rc_slice rest = rc_buf_slice(&text);
    const uint8_t *end;
    while (err == RC_OK && rest.len > 0 && (end = memchr(rest.ptr, '\n', rest.len)) != NULL) {
        size_t len = (size_t)(end - rest.ptr);
        if (len > 2 && len <= 2 + RC_OWNERS_NAME_MAX && rest.ptr[1] == ' ' &&
            (rest.ptr[0] == RC_OWNED_TOPIC || rest.ptr[0] == RC_OWNED_GROUP))
            visit((enum rc_owned)rest.ptr[0], rc_slice(rest.ptr + 2, len - 2), arg);
        rest = rc_slice_from(rest, len + 1);
    }
    rc_buf_free(&text);
    return err == RC_ERR_NOT_FOUND ? RC_OK : err;
}

static void add_read(enum rc_owned kind, struct rc_slice name, void *arg)
{
    char key[1 + RC_OWNERS_NAME_MAX];
    key[0] = (char)kind;
    memcpy(key + 1, name.ptr, name.len);
    add(arg, rc_slice(key, name.len + 1));
}

static int read_names(struct names *names)
{
    return rc_declared_names_read(rc_store_own_dir(names->store), add_read, names);
}

static int write_names(struct names *names)
{
    struct rc_buf text;
    const struct made *made;
    rc_buf_init(&text, FILE_MAX);
    for (uint32_t cursor = 0; (made = rc_map_next(&names->made, &cursor)) != NULL;)
        rc_buf_printf(&text, "%c %.*s\n", made->key[0], (int)made->len - 1, made->key + 1);
    int err = rc_fs_replace_file(rc_store_own_dir(names->store), FILE_NAME, rc_buf_slice(&text), false);
    rc_buf_free(&text);
    return err;
}

/* ---- what is there ---- */

static bool has_topic(struct rc_store *store, struct rc_slice name)
{
    const struct rc_topic *topic = rc_store_find_topic(store, name);
    return topic != NULL && rc_topic_perm(topic) != 0;
}

/* ---- those that are declared ---- */

/* Of all instances: visit each with its kind, until one fails. */
static int each_declared(struct names *names,
                         int (*visit)(struct names *names, enum rc_owned kind, struct rc_slice instance,
                                      const struct rc_endpoint_name *one, struct rc_error *error),
                         struct rc_error *error)
{
    struct rc_trie_walk instances, walk;
    const struct rc_instance *instance;
    int err = RC_OK;
    rc_trie_walk_start(&instances, &names->catalog->instances);
    while (err == RC_OK && (instance = rc_trie_walk_next(&instances)) != NULL) {
        const struct rc_endpoint_name *one;
        rc_trie_walk_start(&walk, &instance->endpoint_topics);
        while (err == RC_OK && (one = rc_trie_walk_next(&walk)) != NULL)
            err = visit(names, RC_OWNED_TOPIC, instance->id, one, error);
        rc_trie_walk_start(&walk, &instance->endpoint_groups);
        while (err == RC_OK && (one = rc_trie_walk_next(&walk)) != NULL)
            err = visit(names, RC_OWNED_GROUP, instance->id, one, error);
    }
    return err;
}

static int plan(struct names *names, enum rc_owned kind, struct rc_slice instance,
                const struct rc_endpoint_name *one, struct rc_error *error)
{
    char key[1 + RC_OWNERS_NAME_MAX];
    key[0] = (char)kind;
    memcpy(key + 1, one->name.ptr, one->name.len);
    struct made *made = rc_map_find(&names->made, rc_slice(key, one->name.len + 1));
    bool is_there =
        kind == RC_OWNED_TOPIC ? has_topic(names->store, one->name) : rc_groups_has(names->store, one->name);
    if (made == NULL && !is_there) {
        made = add(names, rc_slice(key, one->name.len + 1));
        names->has_changed = true;
    }
    if (made != NULL)
        made->is_declared = true;
    return RC_OK;
}

/* Its owner may be another: the operator says so, and is told what comes of it. */
static void claim(struct names *names, enum rc_owned kind, struct rc_slice instance, struct rc_slice name)
{
    struct rc_tenancy tenancy = {names->owners, names->catalog, names->store, instance, true};
    bool is_owned =
        kind == RC_OWNED_TOPIC ? rc_tenancy_has_topic(&tenancy, name) : rc_tenancy_has_group(&tenancy, name);
    if (!is_owned)
        rc_log_warn("rocketmq", "the file declares the %s %.*s of %.*s, but it is another instance's",
                    kind == RC_OWNED_TOPIC ? "topic" : "consumer group", RC_SLICE_FMT(name),
                    RC_SLICE_FMT(instance));
}

static int make(struct names *names, enum rc_owned kind, struct rc_slice instance,
                const struct rc_endpoint_name *one, struct rc_error *error)
{
    struct rc_topic *topic;
    int err;
    claim(names, kind, instance, one->name);
    if (kind == RC_OWNED_GROUP)
        err = rc_groups_ensure(names->store, one->name);
    else if ((topic = rc_store_find_topic(names->store, one->name)) == NULL)
        err = rc_store_create_topic(names->store, one->name, one->queues, RC_PERM_READ_WRITE, &topic, error);
    else
        err = rc_topic_perm(topic) == 0 ? rc_store_set_topic_perm(names->store, topic, RC_PERM_READ_WRITE)
                                        : RC_OK;
    if (err == RC_OK)
        return RC_OK;
    return rc_error_set(error, err, "%.*s, which the file declares, cannot be made: %s",
                        RC_SLICE_FMT(one->name), rc_err_text(err));
}

/* ---- those that are declared no longer ---- */

/* Where events of clients go stays: the rule has it now. */
static bool is_needed(const struct names *names, struct rc_slice topic)
{
    return rc_catalog_leads_elsewhere(names->catalog, rc_slice("", 0), topic);
}

static int delete_one(struct names *names, enum rc_owned kind, struct rc_slice name)
{
    if (kind == RC_OWNED_TOPIC) {
        struct rc_topic *topic = rc_store_find_topic(names->store, name);
        return topic == NULL || is_needed(names, name) ? RC_OK
                                                       : rc_store_set_topic_perm(names->store, topic, 0);
    }
    int err = rc_groups_remove(names->store, name);
    if (err == RC_OK) {
        rc_offsets_forget(names->store, name);
        rc_owners_drop(names->owners, RC_OWNED_GROUP, name);
    }
    return err == RC_ERR_NOT_FOUND ? RC_OK : err;
}

static int delete_gone(struct names *names, struct rc_error *error)
{
    struct made **gone = rc_calloc(names->made.count + 1, sizeof(struct made *)), *made;
    uint32_t count = 0;
    int err = RC_OK;
    for (uint32_t cursor = 0; (made = rc_map_next(&names->made, &cursor)) != NULL;)
        if (!made->is_declared)
            gone[count++] = made;
    for (uint32_t i = 0; err == RC_OK && i < count; i++) {
        struct rc_slice name = rc_slice(gone[i]->key + 1, gone[i]->len - 1);
        err = delete_one(names, (enum rc_owned)gone[i]->key[0], name);
        if (err != RC_OK) {
            rc_error_set(error, err, "%.*s, which the file declares no longer, cannot be deleted: %s",
                         RC_SLICE_FMT(name), rc_err_text(err));
            break;
        }
        rc_map_remove(&names->made, key_of(gone[i]));
        free(gone[i]);
        names->has_changed = true;
    }
    free(gone);
    return err;
}

/* ---- */

static int write_changes(struct names *names, struct rc_error *error)
{
    int err = names->has_changed ? write_names(names) : RC_OK;
    names->has_changed = false;
    if (err == RC_OK)
        return RC_OK;
    return rc_error_set(error, err, "rollcall/" FILE_NAME " in the store's directory: %s", rc_err_text(err));
}

int rc_declared_names_apply(struct rc_store *store, struct rc_owners *owners,
                            const struct rc_catalog *catalog, struct rc_error *error)
{
    struct names names = {.store = store, .owners = owners, .catalog = catalog};
    struct made *made;
    rc_map_init(&names.made, key_of);
    int err = read_names(&names);
    if (err != RC_OK)
        rc_error_set(error, err, "rollcall/" FILE_NAME " in the store's directory: %s", rc_err_text(err));
    err = err ? err : each_declared(&names, plan, error);
    err = err ? err : write_changes(&names, error);
    err = err ? err : each_declared(&names, make, error);
    err = err ? err : delete_gone(&names, error);
    err = err ? err : write_changes(&names, error);
    for (uint32_t cursor = 0; (made = rc_map_next(&names.made, &cursor)) != NULL;)
        free(made);
    rc_map_free(&names.made);
    return err;
}
