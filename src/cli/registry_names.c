/*
 * An export reads the log's files, so the server may run. An import opens the log at the first name, to know
 * what is there already; then it makes all that it took with one write of each table.
 */
#include "cli/registry_names.h"

#include "base/alloc.h"
#include "base/log.h"
#include "cli/store_open.h"
#include "rocketmq/name_list.h"

#include <stdlib.h>

struct taken {
    enum rc_owned kind;
    uint32_t queues, perm;
    char name[RC_OWNERS_NAME_MAX + 1], instance[RC_CATALOG_ID_MAX + 1];
};

struct rc_registry_names {
    struct rc_transfer_names table;
    const struct rc_config *config;
    struct rc_store *store; /* of an import; NULL: no name came yet */
    struct rc_owners *owners;
    struct taken *taken;
    uint32_t count, cap;
};

/* ---- out ---- */

static int each(void *arg, int (*visit)(const struct rc_transfer_name *name, void *visitor), void *visitor,
                struct rc_error *error)
{
    const struct rc_registry_names *names = arg;
    struct rc_name_list list;
    int err = rc_name_list_read(names->config->store.dir.text, &list, error);
    for (uint32_t i = 0; err == RC_OK && i < list.count; i++) {
        const struct rc_listed_name *one = &list.names[i];
        struct rc_transfer_name name = {one->kind == RC_OWNED_GROUP, one->name, rc_slice_str(one->owner),
                                        one->queues, one->perm};
        err = visit(&name, visitor);
    }
    rc_name_list_free(&list);
    return err;
}

/* ---- in ---- */

static int open_store(struct rc_registry_names *names, struct rc_error *error)
{
    struct rc_store_options options;
    if (names->store != NULL)
        return RC_OK;
    rc_store_options_of(&names->config->store, &options);
    int err = rc_store_open(&options, &names->store, error);
    return err ? err : rc_owners_open(rc_store_own_dir(names->store), &names->owners, error);
}

static int refuse_owned(const struct rc_transfer_name *name, const char *owner, struct rc_error *error)
{
    return rc_error_set(error, RC_ERR_DENIED,
                        "instance: the %s %.*s is here the instance %s's, and cannot become %.*s's",
                        name->is_group ? "consumer group" : "topic", RC_SLICE_FMT(name->name), owner,
                        RC_SLICE_FMT(name->instance));
}

static int take(void *arg, const struct rc_transfer_name *name, struct rc_error *error)
{
    struct rc_registry_names *names = arg;
    char owner[RC_CATALOG_ID_MAX + 1];
    enum rc_owned kind = name->is_group ? RC_OWNED_GROUP : RC_OWNED_TOPIC;
    int err = open_store(names, error);
    if (err != RC_OK)
        return err;
    if (name->instance.len > 0 && rc_owners_find(names->owners, kind, name->name, owner) &&
        !rc_slice_eq_str(name->instance, owner))
        return refuse_owned(name, owner, error);
    if (names->count == names->cap) {
        names->cap = names->cap > 0 ? 2 * names->cap : 64;
        names->taken = rc_realloc(names->taken, names->cap * sizeof(*names->taken));
    }
    struct taken *taken = &names->taken[names->count++];
    *taken = (struct taken){.kind = kind, .queues = name->queues, .perm = name->perm};
    memcpy(taken->name, name->name.ptr, name->name.len);
    memcpy(taken->instance, name->instance.ptr, name->instance.len);
    return RC_OK;
}

/* One that is there keeps its queues: clients are told apart by them. */
static int make(struct rc_registry_names *names, const struct taken *taken, struct rc_error *error)
{
    struct rc_slice name = rc_slice_str(taken->name);
    struct rc_topic *topic;
    int err;
    if (taken->kind == RC_OWNED_GROUP)
        err = rc_groups_ensure(names->store, name);
    else
        err = rc_store_create_topic(names->store, name, taken->queues, taken->perm, &topic, error);
    if (err == RC_OK && taken->kind == RC_OWNED_TOPIC && rc_topic_perm(topic) != taken->perm)
        err = rc_store_set_topic_perm(names->store, topic, taken->perm);
    if (err == RC_OK && taken->instance[0] != '\0')
        err = rc_owners_claim(names->owners, taken->kind, name, rc_slice_str(taken->instance), NULL);
    if (err == RC_OK)
        return RC_OK;
    return rc_error_set(error, err, "%s, a %s of the file, cannot be made: %s", taken->name,
                        taken->kind == RC_OWNED_GROUP ? "consumer group" : "topic", rc_err_text(err));
}

static int keep(void *arg, struct rc_error *error)
{
    struct rc_registry_names *names = arg;
    int err = RC_OK;
    if (names->store == NULL)
        return RC_OK;
    rc_store_defer_names(names->store);
    for (uint32_t i = 0; err == RC_OK && i < names->count; i++)
        err = make(names, &names->taken[i], error);
    if (err != RC_OK)
        return err;
    err = rc_store_keep_names(names->store);
    return err ? rc_error_set(error, err, "topics and consumer groups cannot be kept: %s", rc_err_text(err))
               : RC_OK;
}

/* ---- */

struct rc_registry_names *rc_registry_names_create(const struct rc_config *config)
{
    struct rc_registry_names *names = rc_new(struct rc_registry_names);
    names->config = config;
    names->table = (struct rc_transfer_names){names, each, take, keep};
    return names;
}

void rc_registry_names_free(struct rc_registry_names *names)
{
    rc_owners_close(names->owners);
    rc_store_close(names->store);
    free(names->taken);
    free(names);
}

const struct rc_transfer_names *rc_registry_names_table(const struct rc_registry_names *names)
{
    return &names->table;
}
