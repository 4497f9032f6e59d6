#include "store/groups.h"

#include "base/alloc.h"
#include "base/log.h"

struct group {
    json_t *raw; /* as another broker wrote it, NULL for the defaults */
    uint32_t name_len;
    char name[];
};

static struct rc_slice key_of(const void *item)
{
    const struct group *group = item;
    return rc_slice(group->name, group->name_len);
}

void rc_groups_init(struct rc_groups *groups, int config_dir)
{
    *groups = (struct rc_groups){.config_dir = config_dir};
    rc_map_init(&groups->map, key_of);
    pthread_mutex_init(&groups->mutex, NULL);
}

static void free_group(struct group *group)
{
    json_decref(group->raw);
    free(group);
}

void rc_groups_free(struct rc_groups *groups)
{
    uint32_t cursor = 0;
    for (struct group *group; (group = rc_map_next(&groups->map, &cursor)) != NULL;)
        free_group(group);
    rc_map_free(&groups->map);
    pthread_mutex_destroy(&groups->mutex);
}

static struct group *add(struct rc_groups *groups, struct rc_slice name)
{
    struct group *group = rc_calloc(1, sizeof(*group) + name.len + 1);
    memcpy(group->name, name.ptr, name.len);
    group->name_len = (uint32_t)name.len;
    rc_map_insert(&groups->map, group);
    return group;
}

static json_t *default_json(const char *name)
{
    return json_pack("{s:i,s:b,s:b,s:b,s:s,s:b,s:i,s:i,s:i}", "brokerId", 0, "consumeBroadcastEnable", 1,
                     "consumeEnable", 1, "consumeFromMinEnable", 1, "groupName", name,
                     "notifyConsumerIdsChangedEnable", 1, "retryMaxTimes", 16, "retryQueueNums", 1,
                     "whichBrokerWhenConsumeSlowly", 1);
}

int rc_groups_load(struct rc_groups *groups, struct rc_error *error)
{
    json_t *root;
    int err = rc_config_read(groups->config_dir, "subscriptionGroup.json", &root, error);
    if (err != RC_OK || root == NULL)
        return err;
    json_t *version = json_object_get(root, "dataVersion");
    groups->version = (uint64_t)json_integer_value(json_object_get(version, "counter"));
    const char *key;
    json_t *object;
    json_object_foreach(json_object_get(root, "subscriptionGroupTable"), key, object)
    {
        struct rc_slice name = rc_slice_str(key);
        if (!rc_config_name_is_valid(name, RC_GROUP_NAME_MAX) || groups->map.count >= RC_GROUPS_MAX) {
            char quoted[128];
            rc_log_warn("store", "config/subscriptionGroup.json: group `%s` is left out",
                        rc_log_quote(quoted, sizeof(quoted), name));
            continue;
        }
        json_t *plain = default_json(key);
        struct group *group = add(groups, name);
        if (!json_equal(object, plain))
            group->raw = json_incref(object);
        json_decref(plain);
    }
    json_decref(root);
    return RC_OK;
}

/* With the mutex held. */
static int save_locked(struct rc_groups *groups)
{
    if (groups->is_deferred) {
        groups->is_changed = true;
        return RC_OK;
    }
    json_t *table = json_object();
    uint32_t cursor = 0;
    for (struct group *group; (group = rc_map_next(&groups->map, &cursor)) != NULL;)
        json_object_set_new(table, group->name,
                            group->raw ? json_incref(group->raw) : default_json(group->name));
    json_t *root = json_pack("{s:o,s:o}", "dataVersion", rc_config_data_version(groups->version + 1),
                             "subscriptionGroupTable", table);
    int err = rc_config_write(groups->config_dir, "subscriptionGroup.json", root);
    json_decref(root);
    if (err == RC_OK) {
        groups->version++;
        groups->is_changed = false;
    }
    return err;
}

int rc_groups_save(struct rc_groups *groups)
{
    pthread_mutex_lock(&groups->mutex);
    int err = save_locked(groups);
    pthread_mutex_unlock(&groups->mutex);
    return err;
}

int rc_groups_add(struct rc_groups *groups, struct rc_slice name)
{
    if (!rc_config_name_is_valid(name, RC_GROUP_NAME_MAX))
        return RC_ERR_INVALID;
    int err = RC_OK;
    pthread_mutex_lock(&groups->mutex);
    if (rc_map_find(&groups->map, name) == NULL) {
        if (groups->map.count >= RC_GROUPS_MAX) {
            err = RC_ERR_FULL;
        } else {
            struct group *group = add(groups, name);
            err = save_locked(groups);
            if (err != RC_OK) {
                rc_map_remove(&groups->map, name);
                free_group(group);
            }
        }
    }
    pthread_mutex_unlock(&groups->mutex);
    return err;
}

bool rc_groups_know(struct rc_groups *groups, struct rc_slice name)
{
    pthread_mutex_lock(&groups->mutex);
    bool is_there = rc_map_find(&groups->map, name) != NULL;
    pthread_mutex_unlock(&groups->mutex);
    return is_there;
}

void rc_groups_visit(struct rc_groups *groups, void (*visit)(struct rc_slice name, void *arg), void *arg)
{
    const struct group *group;
    pthread_mutex_lock(&groups->mutex);
    for (uint32_t cursor = 0; (group = rc_map_next(&groups->map, &cursor)) != NULL;)
        visit(key_of(group), arg);
    pthread_mutex_unlock(&groups->mutex);
}

int rc_groups_drop(struct rc_groups *groups, struct rc_slice name)
{
    pthread_mutex_lock(&groups->mutex);
    struct group *group = rc_map_remove(&groups->map, name);
    int err = group != NULL ? save_locked(groups) : RC_ERR_NOT_FOUND;
    if (group != NULL && err != RC_OK)
        rc_map_insert(&groups->map, group);
    else if (group != NULL)
        free_group(group);
    pthread_mutex_unlock(&groups->mutex);
    return err;
}
