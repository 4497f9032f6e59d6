#include "rocketmq/name_list.h"

#include "base/alloc.h"
#include "rocketmq/declared_names.h"
#include "store/config_file.h"
#include "store/fs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int compare(const void *a, const void *b)
{
    const struct rc_listed_name *one = a, *other = b;
    if (one->kind != other->kind)
        return one->kind < other->kind ? -1 : 1;
    size_t len = one->name.len < other->name.len ? one->name.len : other->name.len;
    int order = memcmp(one->name.ptr, other->name.ptr, len);
    return order != 0                         ? order
           : one->name.len == other->name.len ? 0
           : one->name.len < other->name.len  ? -1
                                              : 1;
}

static void add(struct rc_name_list *list, uint32_t *cap, const struct rc_listed_name *name)
{
    if (list->count == *cap) {
        *cap = *cap > 0 ? 2 * *cap : 64;
        list->names = rc_realloc(list->names, *cap * sizeof(*list->names));
    }
    struct rc_listed_name *kept = &list->names[list->count++];
    *kept = *name;
    kept->name = rc_slice(rc_strndup((const char *)name->name.ptr, name->name.len), name->name.len);
}

/* ---- the log's own files ---- */

static uint32_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static int read_topics(int config, struct rc_name_list *list, uint32_t *cap, struct rc_error *error)
{
    json_t *root = NULL, *object;
    const char *name;
    int err = rc_config_read(config, "topics.json", &root, error);
    json_object_foreach(json_object_get(root, "topicConfigTable"), name, object)
    {
        uint32_t read = number(object, "readQueueNums"), write = number(object, "writeQueueNums");
        struct rc_listed_name one = {.kind = RC_OWNED_TOPIC,
                                     .queues = read > write ? read : write,
                                     .perm = number(object, "perm") & 7,
                                     .name = rc_slice_str(name)};
        if (one.perm != 0 && one.queues > 0 && !rc_catalog_is_system_topic(one.name))
            add(list, cap, &one);
    }
    json_decref(root);
    return err;
}

static int read_groups(int config, struct rc_name_list *list, uint32_t *cap, struct rc_error *error)
{
    json_t *root = NULL, *object;
    const char *name;
    int err = rc_config_read(config, "subscriptionGroup.json", &root, error);
    json_object_foreach(json_object_get(root, "subscriptionGroupTable"), name, object)
    {
        struct rc_listed_name one = {.kind = RC_OWNED_GROUP, .name = rc_slice_str(name)};
        add(list, cap, &one);
    }
    json_decref(root);
    return err;
}

/* ---- whose they are ---- */

static void leave_out(enum rc_owned kind, struct rc_slice name, void *arg)
{
    struct rc_name_list *list = arg;
    struct rc_listed_name like = {.kind = kind, .name = name};
    struct rc_listed_name *found = bsearch(&like, list->names, list->count, sizeof(like), compare);
    if (found != NULL)
        found->queues = UINT32_MAX;
}

/* Marks what the file has, and then takes it out, so that the order stands while it is looked for. */
static int take_out_declared(int own, struct rc_name_list *list)
{
    uint32_t kept = 0;
    int err = rc_declared_names_read(own, leave_out, list);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->names[i].queues == UINT32_MAX)
            free((void *)(uintptr_t)list->names[i].name.ptr);
        else
            list->names[kept++] = list->names[i];
    }
    list->count = kept;
    return err;
}

static int add_owners(int own, struct rc_name_list *list, struct rc_error *error)
{
    struct rc_owners *owners;
    int err = rc_owners_open_to_read(own, &owners, error);
    if (err != RC_OK)
        return err;
    for (uint32_t i = 0; i < list->count; i++)
        rc_owners_find(owners, list->names[i].kind, list->names[i].name, list->names[i].owner);
    rc_owners_close(owners);
    return RC_OK;
}

static int read_all(int root, int own, struct rc_name_list *list, struct rc_error *error)
{
    uint32_t cap = 0;
    int config = openat(root, "config", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (config == -1) /* no server has been here yet */
        return RC_OK;
    int err = read_topics(config, list, &cap, error);
    err = err ? err : read_groups(config, list, &cap, error);
    close(config);
    if (list->count > 0)
        qsort(list->names, list->count, sizeof(*list->names), compare);
    if (err == RC_OK && take_out_declared(own, list) != RC_OK)
        err = rc_error_set(error, RC_ERR_IO, "rollcall/declared in the store's directory cannot be read");
    return err ? err : add_owners(own, list, error);
}

int rc_name_list_read(const char *store_dir, struct rc_name_list *ret, struct rc_error *error)
{
    int root = open(store_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = RC_OK;
    int own = root != -1 ? openat(root, "rollcall", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    *ret = (struct rc_name_list){0};
    if (own != -1)
        err = read_all(root, own, ret, error);
    if (own != -1)
        close(own);
    if (root != -1)
        close(root);
    return err;
}

void rc_name_list_free(struct rc_name_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        free((void *)(uintptr_t)list->names[i].name.ptr);
    free(list->names);
    *list = (struct rc_name_list){0};
}
