#include "store/topics.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>

static struct rc_slice key_of(const void *item)
{
    return rc_topic_name(item);
}

void rc_topics_init(struct rc_topics *topics, int config_dir, struct rc_queues *queues)
{
    *topics = (struct rc_topics){.config_dir = config_dir, .queues = queues};
    rc_map_init(&topics->map, key_of);
    pthread_mutex_init(&topics->mutex, NULL);
}

static void free_topic(struct rc_topic *topic)
{
    for (uint32_t i = 0; i < topic->queue_count; i++)
        rc_queue_free(topic->queues[i]);
    free(topic->queues);
    json_decref(topic->raw);
    free(topic);
}

void rc_topics_free(struct rc_topics *topics)
{
    uint32_t cursor = 0;
    for (struct rc_topic *topic; (topic = rc_map_next(&topics->map, &cursor)) != NULL;)
        free_topic(topic);
    rc_map_free(&topics->map);
    pthread_mutex_destroy(&topics->mutex);
}

static void grow(struct rc_topics *topics, struct rc_topic *topic, uint32_t count)
{
    if (count <= topic->queue_count)
        return;
    topic->queues = rc_realloc(topic->queues, count * sizeof(*topic->queues));
    for (uint32_t id = topic->queue_count; id < count; id++)
        topic->queues[id] = rc_queue_create(topics->queues, topic, id);
    topic->queue_count = count;
}

static struct rc_topic *add(struct rc_topics *topics, struct rc_slice name, uint32_t queues, uint32_t perm)
{
    struct rc_topic *topic = rc_calloc(1, sizeof(*topic) + name.len + 1);
    memcpy(topic->name, name.ptr, name.len);
    topic->name_len = (uint32_t)name.len;
    topic->perm = perm;
    grow(topics, topic, queues);
    rc_map_insert(&topics->map, topic);
    return topic;
}

/* ---- topics.json ---- */

static uint32_t get_count(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v < 1 || v > RC_STORE_QUEUES_PER_TOPIC_MAX ? 0 : (uint32_t)v;
}

/* Whether writing the topic anew would lose something that another broker put there. */
static bool holds_more(const json_t *object, uint32_t queues)
{
    const char *filter = json_string_value(json_object_get(object, "topicFilterType"));
    return json_object_size(object) != 7 || json_is_true(json_object_get(object, "order")) ||
           json_integer_value(json_object_get(object, "topicSysFlag")) != 0 || filter == NULL ||
           strcmp(filter, "SINGLE_TAG") != 0 || get_count(object, "readQueueNums") != queues ||
           get_count(object, "writeQueueNums") != queues;
}

static int load_topic(struct rc_topics *topics, const char *key, json_t *object)
{
    struct rc_slice name = rc_slice_str(key);
    uint32_t read = get_count(object, "readQueueNums");
    uint32_t write = get_count(object, "writeQueueNums");
    uint32_t count = read > write ? read : write;
    if (count == 0 || !rc_config_name_is_valid(name, RC_MESSAGE_TOPIC_MAX))
        return RC_ERR_CORRUPT;
    if (topics->map.count >= RC_STORE_TOPICS_MAX)
        return RC_ERR_FULL;
    if (rc_map_find(&topics->map, name) != NULL)
        return RC_OK;
    uint32_t perm = (uint32_t)json_integer_value(json_object_get(object, "perm"));
    struct rc_topic *topic = add(topics, name, count, perm & 7);
    if (holds_more(object, count))
        topic->raw = json_incref(object);
    return RC_OK;
}

int rc_topics_load(struct rc_topics *topics, struct rc_error *error)
{
    json_t *root;
    int err = rc_config_read(topics->config_dir, "topics.json", &root, error);
    if (err != RC_OK || root == NULL)
        return err;
    json_t *version = json_object_get(root, "dataVersion");
    topics->version = (uint64_t)json_integer_value(json_object_get(version, "counter"));
    const char *key;
    json_t *object;
    json_object_foreach(json_object_get(root, "topicConfigTable"), key, object)
    {
        err = load_topic(topics, key, object);
        if (err != RC_OK) {
            char quoted[RC_MESSAGE_TOPIC_MAX + 1];
            rc_error_set(error, err, "config/topics.json: topic `%s`: %s",
                         rc_log_quote(quoted, sizeof(quoted), rc_slice_str(key)),
                         err == RC_ERR_FULL ? "more topics than can be held"
                                            : "its name or queue counts cannot be");
            break;
        }
    }
    json_decref(root);
    return err;
}

static json_t *topic_json(struct rc_topic *topic)
{
    if (topic->raw != NULL)
        return json_incref(topic->raw);
    return json_pack("{s:b,s:i,s:i,s:s,s:s,s:i,s:i}", "order", 0, "perm", (int)topic->perm, "readQueueNums",
                     (int)topic->queue_count, "topicFilterType", "SINGLE_TAG", "topicName", topic->name,
                     "topicSysFlag", 0, "writeQueueNums", (int)topic->queue_count);
}

/* With the mutex held. */
static int save_locked(struct rc_topics *topics)
{
    if (topics->is_deferred) {
        topics->is_changed = true;
        return RC_OK;
    }
    json_t *table = json_object();
    uint32_t cursor = 0;
    for (struct rc_topic *topic; (topic = rc_map_next(&topics->map, &cursor)) != NULL;)
        json_object_set_new(table, topic->name, topic_json(topic));
    json_t *root = json_pack("{s:o,s:o}", "dataVersion", rc_config_data_version(topics->version + 1),
                             "topicConfigTable", table);
    int err = rc_config_write(topics->config_dir, "topics.json", root);
    json_decref(root);
    if (err == RC_OK) {
        topics->version++;
        topics->is_changed = false;
    }
    return err;
}

int rc_topics_save(struct rc_topics *topics)
{
    pthread_mutex_lock(&topics->mutex);
    int err = topics->is_changed ? save_locked(topics) : RC_OK;
    pthread_mutex_unlock(&topics->mutex);
    return err;
}

/* ---- finding and making ---- */

struct rc_topic *rc_topics_find(struct rc_topics *topics, struct rc_slice name)
{
    pthread_mutex_lock(&topics->mutex);
    struct rc_topic *topic = rc_map_find(&topics->map, name);
    pthread_mutex_unlock(&topics->mutex);
    return topic;
}

int rc_topics_create(struct rc_topics *topics, struct rc_slice name, uint32_t queues, uint32_t perm,
                     struct rc_topic **ret)
{
    int err = RC_OK;
    pthread_mutex_lock(&topics->mutex);
    struct rc_topic *topic = rc_map_find(&topics->map, name);
    if (topic == NULL && topics->map.count >= RC_STORE_TOPICS_MAX)
        err = RC_ERR_FULL;
    if (topic == NULL && err == RC_OK) {
        topic = add(topics, name, queues, perm);
        err = save_locked(topics);
        if (err != RC_OK) { /* not on the disk, so it is not there */
            rc_map_remove(&topics->map, name);
            free_topic(topic);
        }
    }
    pthread_mutex_unlock(&topics->mutex);
    if (err == RC_OK)
        *ret = topic;
    return err;
}

int rc_topics_set_perm(struct rc_topics *topics, struct rc_topic *topic, uint32_t perm)
{
    pthread_mutex_lock(&topics->mutex);
    uint32_t before = topic->perm;
    json_t *raw = topic->raw;
    topic->perm = perm;
    topic->raw = NULL;
    int err = save_locked(topics);
    if (err != RC_OK) {
        topic->perm = before;
        topic->raw = raw;
    } else {
        json_decref(raw);
    }
    pthread_mutex_unlock(&topics->mutex);
    return err;
}

int rc_topics_require(struct rc_topics *topics, struct rc_slice name, uint32_t id, struct rc_queue **ret)
{
    struct rc_topic *topic = rc_map_find(&topics->map, name);
    if (id >= RC_STORE_QUEUES_PER_TOPIC_MAX)
        return RC_ERR_CORRUPT;
    if (topic == NULL) {
        if (!rc_config_name_is_valid(name, RC_MESSAGE_TOPIC_MAX))
            return RC_ERR_CORRUPT;
        if (topics->map.count >= RC_STORE_TOPICS_MAX)
            return RC_ERR_FULL;
        topic = add(topics, name, id + 1, RC_PERM_READ_WRITE);
        topics->is_changed = true;
    }
    if (id >= topic->queue_count) {
        grow(topics, topic, id + 1);
        json_decref(topic->raw);
        topic->raw = NULL;
        topics->is_changed = true;
    }
    *ret = topic->queues[id];
    return RC_OK;
}

void rc_topics_each_queue(struct rc_topics *topics, void (*visit)(struct rc_queue *queue, void *arg),
                          void *arg)
{
    pthread_mutex_lock(&topics->mutex);
    uint32_t cursor = 0;
    for (struct rc_topic *topic; (topic = rc_map_next(&topics->map, &cursor)) != NULL;)
        for (uint32_t id = 0; id < topic->queue_count; id++)
            visit(topic->queues[id], arg);
    pthread_mutex_unlock(&topics->mutex);
}

struct rc_slice rc_topic_name(const struct rc_topic *topic)
{
    return rc_slice(topic->name, topic->name_len);
}

uint32_t rc_topic_queue_count(const struct rc_topic *topic)
{
    return topic->queue_count;
}

uint32_t rc_topic_perm(const struct rc_topic *topic)
{
    return atomic_load_explicit(&topic->perm, memory_order_relaxed);
}

struct rc_queue *rc_topic_queue(struct rc_topic *topic, uint32_t id)
{
    return topic->queues[id];
}
