/* Queues locked by orderly consumers: one client of a group at a time, for a minute unless it locks again. */
#include "base/alloc.h"
#include "base/json_write.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <jansson.h>
#include <stdio.h>

struct rc_queue_lock {
    uint64_t until_ms;
    char *client_id;
    char key[]; /* group NUL topic NUL queue */
};

enum { LOCK_KEY_MAX = 768 };

static struct rc_slice lock_key(const void *item)
{
    const struct rc_queue_lock *lock = item;
    return rc_slice_str(lock->key);
}

void rc_locks_init(struct rc_endpoint *endpoint)
{
    rc_map_init(&endpoint->locks, lock_key);
}

static void free_lock(struct rc_queue_lock *lock)
{
    free(lock->client_id);
    free(lock);
}

void rc_locks_free(struct rc_endpoint *endpoint)
{
    struct rc_queue_lock *lock;
    for (uint32_t cursor = 0; (lock = rc_map_next(&endpoint->locks, &cursor)) != NULL;)
        free_lock(lock);
    rc_map_free(&endpoint->locks);
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The tab cannot stand in a topic, so keys of different queues never meet. */
static bool make_key(char *out, const char *group, json_t *queue)
{
    int len = snprintf(out, LOCK_KEY_MAX, "%s\t%s\t%d", group, text_of(queue, "topic"),
                       (int)json_integer_value(json_object_get(queue, "queueId")));
    return len > 0 && len < LOCK_KEY_MAX;
}

/* Frees what has run out, when the table is full. */
static void make_room(struct rc_endpoint *endpoint, uint64_t now)
{
    for (;;) {
        struct rc_queue_lock *lock;
        uint32_t cursor = 0;
        while ((lock = rc_map_next(&endpoint->locks, &cursor)) != NULL && lock->until_ms > now)
            continue;
        if (lock == NULL)
            return;
        rc_map_remove(&endpoint->locks, lock_key(lock));
        free_lock(lock);
    }
}

static bool lock_queue(struct rc_endpoint *endpoint, const char *key, const char *client_id)
{
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    struct rc_queue_lock *lock = rc_map_find(&endpoint->locks, rc_slice_str(key));
    if (lock != NULL && lock->until_ms > now && strcmp(lock->client_id, client_id) != 0)
        return false;
    if (lock == NULL) {
        if (endpoint->locks.count >= RC_ENDPOINT_LOCKS_MAX)
            make_room(endpoint, now);
        if (endpoint->locks.count >= RC_ENDPOINT_LOCKS_MAX) {
            RC_COUNTER(endpoint, limits_hit);
            return false;
        }
        lock = rc_calloc(1, sizeof(*lock) + strlen(key) + 1);
        memcpy(lock->key, key, strlen(key));
        rc_map_insert(&endpoint->locks, lock);
    }
    if (lock->client_id == NULL || strcmp(lock->client_id, client_id) != 0) {
        free(lock->client_id);
        lock->client_id = rc_strdup(client_id);
    }
    lock->until_ms = now + RC_ENDPOINT_LOCK_MS;
    return true;
}

static void unlock_queue(struct rc_endpoint *endpoint, const char *key, const char *client_id)
{
    struct rc_queue_lock *lock = rc_map_find(&endpoint->locks, rc_slice_str(key));
    if (lock == NULL || strcmp(lock->client_id, client_id) != 0)
        return;
    rc_map_remove(&endpoint->locks, lock_key(lock));
    free_lock(lock);
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
    struct rc_remoting response;
    struct rc_buf body;
    struct rc_json json;
    char key[LOCK_KEY_MAX];
    size_t i;
    rc_buf_init(&body, RC_REMOTING_FRAME_MAX);
    rc_json_init(&json, &body);
    rc_json_object_begin(&json);
    rc_json_key(&json, "lockOKMQSet");
    rc_json_array_begin(&json);
    json_array_foreach(json_object_get(root, "mqSet"), i, queue)
    {
        if (make_key(key, text_of(root, "consumerGroup"), queue) &&
            lock_queue(request->endpoint, key, text_of(root, "clientId")))
            put_queue(&json, queue);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    json_decref(root);
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    response.body = rc_buf_slice(&body);
    rc_request_reply_with(request, &response);
    rc_buf_free(&body);
}

void rc_locks_handle_unlock(const struct rc_request *request)
{
    struct rc_slice in = request->command->body;
    json_t *root = json_loadb((const char *)in.ptr, in.len, 0, NULL), *queue;
    char key[LOCK_KEY_MAX];
    size_t i;
    json_array_foreach(json_object_get(root, "mqSet"), i, queue)
    {
        if (make_key(key, text_of(root, "consumerGroup"), queue))
            unlock_queue(request->endpoint, key, text_of(root, "clientId"));
    }
    json_decref(root);
    rc_request_reply(request, RC_RES_SUCCESS, NULL);
}
