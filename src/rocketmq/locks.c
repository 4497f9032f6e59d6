/* Queues locked by orderly consumers: one client of a group at a time, for a minute unless it locks again. */
#include "base/alloc.h"
#include "base/json_write.h"
#include "rocketmq/endpoint_private.h"

#include <jansson.h>
#include <stdio.h>

struct lock {
    struct rc_list node; /* of endpoint->locks_by_age: the one that runs out first stands first */
    uint64_t until_ms;
    char *client_id;
    bool is_wanted; /* another client of the group was refused it */
    char key[];     /* group, topic, queue */
};

enum { LOCK_KEY_MAX = 768 };

static struct rc_slice lock_key(const void *item)
{
    return rc_slice_str(((const struct lock *)item)->key);
}

void rc_locks_init(struct rc_endpoint *endpoint)
{
    rc_map_init(&endpoint->locks, lock_key);
    rc_list_init(&endpoint->locks_by_age);
}

static void drop(struct rc_endpoint *endpoint, struct lock *lock)
{
    rc_map_remove(&endpoint->locks, lock_key(lock));
    rc_list_remove(&lock->node);
    free(lock->client_id);
    free(lock);
}

static void drop_until(struct rc_endpoint *endpoint, uint64_t now)
{
    while (!rc_list_is_empty(&endpoint->locks_by_age)) {
        struct lock *lock = rc_container_of(endpoint->locks_by_age.next, struct lock, node);
        if (lock->until_ms > now)
            return;
        drop(endpoint, lock);
    }
}

void rc_locks_sweep(struct rc_endpoint *endpoint)
{
    drop_until(endpoint, rc_loop_now_ms(endpoint->loop));
}

void rc_locks_free(struct rc_endpoint *endpoint)
{
    drop_until(endpoint, UINT64_MAX);
    rc_map_free(&endpoint->locks);
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* False for what is no queue of this server. (The tab cannot stand in a topic, so keys of different queues
 * never meet.) */
static bool make_key(struct rc_endpoint *endpoint, char *out, const char *group, json_t *queue)
{
    json_int_t id = json_integer_value(json_object_get(queue, "queueId"));
    struct rc_topic *topic =
        rc_store_find_topic(endpoint->options.store, rc_slice_str(text_of(queue, "topic")));
    if (topic == NULL || id < 0 || id >= (json_int_t)rc_topic_queue_count(topic))
        return false;
    int len = snprintf(out, LOCK_KEY_MAX, "%s\t%s\t%d", group, text_of(queue, "topic"), (int)id);
    return len > 0 && len < LOCK_KEY_MAX;
}

static struct lock *add(struct rc_endpoint *endpoint, const char *key)
{
    if (endpoint->locks.count >= RC_ENDPOINT_LOCKS_MAX)
        rc_locks_sweep(endpoint);
    if (endpoint->locks.count >= RC_ENDPOINT_LOCKS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        return NULL;
    }
    struct lock *lock = rc_calloc(1, sizeof(*lock) + strlen(key) + 1);
    memcpy(lock->key, key, strlen(key));
    rc_map_insert(&endpoint->locks, lock);
    return lock;
}

static bool lock_queue(struct rc_endpoint *endpoint, const char *key, const char *client_id)
{
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    struct lock *lock = rc_map_find(&endpoint->locks, rc_slice_str(key));
    if (lock != NULL && lock->until_ms > now && strcmp(lock->client_id, client_id) != 0) {
        lock->is_wanted = true;
        return false;
    }
    if (lock == NULL)
        lock = add(endpoint, key);
    if (lock == NULL)
        return false;
    if (lock->client_id == NULL || strcmp(lock->client_id, client_id) != 0) {
        free(lock->client_id);
        lock->client_id = rc_strdup(client_id);
        lock->is_wanted = false;
    }
    lock->until_ms = now + endpoint->options.times.lock;
    rc_list_remove(&lock->node);
    rc_list_push_back(&endpoint->locks_by_age, &lock->node);
    return true;
}

/* True when somebody waits for it. */
static bool unlock_queue(struct rc_endpoint *endpoint, const char *key, const char *client_id)
{
    struct lock *lock = rc_map_find(&endpoint->locks, rc_slice_str(key));
    if (lock == NULL || strcmp(lock->client_id, client_id) != 0)
        return false;
    bool is_wanted = lock->is_wanted;
    drop(endpoint, lock);
    return is_wanted;
}

static void put_queue(struct rc_json *json, json_t *queue)
{
    rc_json_object_begin(json);
    rc_json_put_str(json, "brokerName", text_of(queue, "brokerName"));
    rc_json_put_int(json, "queueId", json_integer_value(json_object_get(queue, "queueId")));
    rc_json_put_str(json, "topic", text_of(queue, "topic"));
    rc_json_object_end(json);
}

void rc_locks_handle_lock(const struct rc_request *request)
{
    struct rc_slice in = request->command->body;
    json_t *root = json_loadb((const char *)in.ptr, in.len, 0, NULL), *queue;
    struct rc_buf body;
    struct rc_json json;
    char key[LOCK_KEY_MAX];
    size_t i;
    rc_buf_init(&body, RC_REMOTING_FRAME_MAX);
    rc_json_init(&json, &body);
    rc_json_object_begin(&json);
    rc_json_key(&json, "lockOKMQSet");
    rc_json_array_begin(&json);
    bool is_ours = rc_tenancy_may_group(request, rc_slice_str(text_of(root, "consumerGroup")));
    json_array_foreach(json_object_get(root, "mqSet"), i, queue)
    {
        if (is_ours && rc_tenancy_may_topic(request, rc_slice_str(text_of(queue, "topic"))) &&
            make_key(request->endpoint, key, text_of(root, "consumerGroup"), queue) &&
            lock_queue(request->endpoint, key, text_of(root, "clientId")))
            put_queue(&json, queue);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    json_decref(root);
    rc_request_reply_body(request, &body);
}

/*
 * When consumers of a group share queues anew, the new owner of one often asks before the old one has let go
 * of it, and would ask again only 20 s later: so it is told to.
 */
void rc_locks_handle_unlock(const struct rc_request *request)
{
    struct rc_slice in = request->command->body;
    json_t *root = json_loadb((const char *)in.ptr, in.len, 0, NULL), *queue;
    const char *group = text_of(root, "consumerGroup");
    bool is_wanted = false, is_ours = rc_tenancy_may_group(request, rc_slice_str(group));
    char key[LOCK_KEY_MAX];
    size_t i;
    json_array_foreach(json_object_get(root, "mqSet"), i, queue)
    {
        if (is_ours && make_key(request->endpoint, key, group, queue))
            is_wanted |= unlock_queue(request->endpoint, key, text_of(root, "clientId"));
    }
    rc_request_reply(request, RC_RES_SUCCESS, NULL);
    if (is_wanted)
        rc_consumer_groups_notify(request->endpoint, rc_slice_str(group));
    json_decref(root);
}
