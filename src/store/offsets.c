#include "store/offsets.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/fs.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    GROUP_MAX = 255,
    KEY_MAX = RC_MESSAGE_TOPIC_MAX + 1 + GROUP_MAX,
};
#define NONE UINT64_MAX

/* The offsets of one group in one topic, by queue id. */
struct entry {
    uint64_t *values;
    uint32_t count;
    uint32_t key_len;
    char key[]; /* topic@group */
};

static struct rc_slice key_of(const void *item)
{
    const struct entry *entry = item;
    return rc_slice(entry->key, entry->key_len);
}

void rc_offsets_init(struct rc_offsets *offsets, int config_dir)
{
    *offsets = (struct rc_offsets){.config_dir = config_dir};
    rc_map_init(&offsets->map, key_of);
    pthread_mutex_init(&offsets->mutex, NULL);
    pthread_mutex_init(&offsets->save_mutex, NULL);
}

void rc_offsets_free(struct rc_offsets *offsets)
{
    uint32_t cursor = 0;
    for (struct entry *entry; (entry = rc_map_next(&offsets->map, &cursor)) != NULL;) {
        free(entry->values);
        free(entry);
    }
    rc_map_free(&offsets->map);
    pthread_mutex_destroy(&offsets->mutex);
    pthread_mutex_destroy(&offsets->save_mutex);
}

/* Empty when the names cannot be: the file needs no escapes that way, and no foreign text reaches it. */
static struct rc_slice make_key(char *out, struct rc_slice topic, struct rc_slice group)
{
    if (!rc_config_name_is_valid(topic, RC_MESSAGE_TOPIC_MAX) || !rc_config_name_is_valid(group, GROUP_MAX))
        return rc_slice(NULL, 0);
    memcpy(out, topic.ptr, topic.len);
    out[topic.len] = '@';
    memcpy(out + topic.len + 1, group.ptr, group.len);
    return rc_slice(out, topic.len + 1 + group.len);
}

/* With the mutex held. */
static int put(struct rc_offsets *offsets, struct rc_slice key, uint32_t queue, uint64_t offset)
{
    if (queue >= RC_STORE_QUEUES_PER_TOPIC_MAX || offset > INT64_MAX)
        return RC_ERR_INVALID;
    struct entry *entry = rc_map_find(&offsets->map, key);
    if (entry == NULL) {
        if (offsets->map.count >= RC_OFFSETS_MAX)
            return RC_ERR_FULL;
        entry = rc_calloc(1, sizeof(*entry) + key.len);
        memcpy(entry->key, key.ptr, key.len);
        entry->key_len = (uint32_t)key.len;
        rc_map_insert(&offsets->map, entry);
    }
    if (queue >= entry->count) {
        entry->values = rc_realloc(entry->values, (queue + 1) * sizeof(*entry->values));
        while (entry->count <= queue)
            entry->values[entry->count++] = NONE;
    }
    if (entry->values[queue] != offset) {
        entry->values[queue] = offset;
        offsets->is_changed = true;
    }
    return RC_OK;
}

int rc_offsets_find(struct rc_offsets *offsets, struct rc_slice topic, struct rc_slice group, uint32_t queue,
                    uint64_t *ret)
{
    char text[KEY_MAX];
    struct rc_slice key = make_key(text, topic, group);
    int err = RC_ERR_NOT_FOUND;
    if (key.len == 0)
        return err;
    pthread_mutex_lock(&offsets->mutex);
    struct entry *entry = rc_map_find(&offsets->map, key);
    if (entry != NULL && queue < entry->count && entry->values[queue] != NONE) {
        *ret = entry->values[queue];
        err = RC_OK;
    }
    pthread_mutex_unlock(&offsets->mutex);
    return err;
}

int rc_offsets_put(struct rc_offsets *offsets, struct rc_slice topic, struct rc_slice group, uint32_t queue,
                   uint64_t offset)
{
    char text[KEY_MAX];
    struct rc_slice key = make_key(text, topic, group);
    if (key.len == 0)
        return RC_ERR_INVALID;
    pthread_mutex_lock(&offsets->mutex);
    int err = put(offsets, key, queue, offset);
    pthread_mutex_unlock(&offsets->mutex);
    return err;
}

/* Topic and group of a key; names hold no @. */
static bool is_of(const struct entry *entry, struct rc_slice group, struct rc_slice *ret_topic)
{
    const char *at = memchr(entry->key, '@', entry->key_len);
    size_t topic_len = at != NULL ? (size_t)(at - entry->key) : 0;
    *ret_topic = rc_slice(entry->key, topic_len);
    return at != NULL && rc_slice_eq(rc_slice_from(key_of(entry), topic_len + 1), group);
}

void rc_offsets_visit(struct rc_offsets *offsets, struct rc_slice group,
                      void (*visit)(struct rc_slice topic, uint32_t queue, uint64_t offset, void *arg),
                      void *arg)
{
    struct rc_slice topic;
    struct entry *entry;
    pthread_mutex_lock(&offsets->mutex);
    for (uint32_t cursor = 0; (entry = rc_map_next(&offsets->map, &cursor)) != NULL;)
        for (uint32_t i = 0; is_of(entry, group, &topic) && i < entry->count; i++)
            if (entry->values[i] != NONE)
                visit(topic, i, entry->values[i], arg);
    pthread_mutex_unlock(&offsets->mutex);
}

void rc_offsets_drop(struct rc_offsets *offsets, struct rc_slice group)
{
    struct rc_map kept;
    struct rc_slice topic;
    struct entry *entry;
    pthread_mutex_lock(&offsets->mutex);
    rc_map_init(&kept, key_of);
    for (uint32_t cursor = 0; (entry = rc_map_next(&offsets->map, &cursor)) != NULL;) {
        if (is_of(entry, group, &topic)) {
            free(entry->values);
            free(entry);
            offsets->is_changed = true;
        } else {
            rc_map_insert(&kept, entry);
        }
    }
    rc_map_free(&offsets->map);
    offsets->map = kept;
    pthread_mutex_unlock(&offsets->mutex);
}

/* ---- files ---- */

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || v > max / 10)
            return false;
        v = v * 10 + (uint64_t)(*text - '0');
    }
    *ret = v;
    return v <= max;
}

static bool key_is_valid(const char *key)
{
    char text[KEY_MAX];
    const char *at = strchr(key, '@');
    return at != NULL && make_key(text, rc_slice(key, (size_t)(at - key)), rc_slice_str(at + 1)).len > 0;
}

static int load_entry(struct rc_offsets *offsets, const char *key, json_t *values)
{
    const char *queue_text;
    json_t *value;
    if (!key_is_valid(key))
        return RC_ERR_INVALID;
    json_object_foreach(values, queue_text, value)
    {
        uint64_t queue;
        json_int_t offset = json_integer_value(value);
        if (!json_is_integer(value) || offset < 0 ||
            !parse_number(queue_text, RC_STORE_QUEUES_PER_TOPIC_MAX - 1, &queue))
            continue; /* -1 is Apache's "none" */
        int err = put(offsets, rc_slice_str(key), (uint32_t)queue, (uint64_t)offset);
        if (err != RC_OK)
            return err;
    }
    return RC_OK;
}

static void load_delay(struct rc_offsets *offsets, json_t *table)
{
    const char *level_text;
    json_t *value;
    json_object_foreach(table, level_text, value)
    {
        uint64_t level;
        if (parse_number(level_text, RC_DELAY_LEVELS, &level) && level > 0 && json_integer_value(value) >= 0)
            atomic_store(&offsets->delay[level - 1], (uint64_t)json_integer_value(value));
    }
}

int rc_offsets_load(struct rc_offsets *offsets, struct rc_error *error)
{
    json_t *root;
    int err = rc_config_read(offsets->config_dir, "consumerOffset.json", &root, error);
    if (err != RC_OK)
        return err;
    const char *key;
    json_t *values;
    json_object_foreach(json_object_get(root, "offsetTable"), key, values)
    {
        if (load_entry(offsets, key, values) != RC_OK) {
            char quoted[128];
            rc_log_warn("store", "config/consumerOffset.json: the offsets of `%s` are left out",
                        rc_log_quote(quoted, sizeof(quoted), rc_slice_str(key)));
        }
    }
    json_decref(root);
    offsets->is_changed = false;
    err = rc_config_read(offsets->config_dir, "delayOffset.json", &root, error);
    if (err != RC_OK)
        return err;
    load_delay(offsets, json_object_get(root, "offsetTable"));
    json_decref(root);
    return RC_OK;
}

static int write_entry(struct rc_buf *out, const struct entry *entry, bool *is_first)
{
    int err = rc_buf_printf(out, "%s\"%.*s\":{", *is_first ? "" : ",\n", (int)entry->key_len, entry->key);
    const char *comma = "";
    for (uint32_t i = 0; i < entry->count && err == RC_OK; i++) {
        if (entry->values[i] == NONE)
            continue;
        err = rc_buf_printf(out, "%s%" PRIu32 ":%" PRIu64, comma, i, entry->values[i]);
        comma = ",";
    }
    *is_first = false;
    return err == RC_OK ? rc_buf_put_u8(out, '}') : err;
}

static int write_consumer_offsets(struct rc_offsets *offsets)
{
    struct rc_buf out;
    bool is_first = true;
    uint32_t cursor = 0;
    rc_buf_init(&out, RC_FS_CONFIG_MAX);
    pthread_mutex_lock(&offsets->mutex);
    bool is_changed = offsets->is_changed;
    offsets->is_changed = false;
    int err = rc_buf_put_str(&out, "{\"offsetTable\":{\n");
    for (struct entry *entry; is_changed && (entry = rc_map_next(&offsets->map, &cursor)) != NULL;)
        if (err == RC_OK)
            err = write_entry(&out, entry, &is_first);
    pthread_mutex_unlock(&offsets->mutex);
    if (is_changed && err == RC_OK)
        err = rc_buf_put_str(&out, "\n}}\n");
    /* the disk is waited for without the mutex: readers and committers go on */
    if (is_changed && err == RC_OK)
        err = rc_fs_replace_file(offsets->config_dir, "consumerOffset.json", rc_buf_slice(&out), true);
    rc_buf_free(&out);
    if (is_changed && err != RC_OK) {
        pthread_mutex_lock(&offsets->mutex);
        offsets->is_changed = true;
        pthread_mutex_unlock(&offsets->mutex);
    }
    return err;
}

static int write_delay_offsets(struct rc_offsets *offsets)
{
    char text[RC_DELAY_LEVELS * 32 + 64];
    if (!atomic_exchange(&offsets->delay_changed, false))
        return RC_OK;
    int len = snprintf(text, sizeof(text), "{\"offsetTable\":{");
    for (int i = 0; i < RC_DELAY_LEVELS; i++)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%d:%" PRIu64, i ? "," : "", i + 1,
                        (uint64_t)atomic_load(&offsets->delay[i]));
    len += snprintf(text + len, sizeof(text) - (size_t)len, "}}\n");
    int err = rc_fs_replace_file(offsets->config_dir, "delayOffset.json", rc_slice(text, (size_t)len), true);
    if (err != RC_OK)
        atomic_store(&offsets->delay_changed, true);
    return err;
}

int rc_offsets_write(struct rc_offsets *offsets)
{
    pthread_mutex_lock(&offsets->save_mutex);
    int err = write_consumer_offsets(offsets);
    int delay_err = write_delay_offsets(offsets);
    pthread_mutex_unlock(&offsets->save_mutex);
    return err != RC_OK ? err : delay_err;
}
