/* One consumer group: who is in it, how far it has read, where it goes on. */
#include "api/actions.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "rocketmq/inspect.h"

#include <stdlib.h>

static struct rc_slice group_of(const struct rc_store_work *work)
{
    return rc_slice_str(rc_params_get(&work->call->params, "ConsumerGroup"));
}

int rc_store_check_group(struct rc_store_work *work)
{
    if (rc_tenancy_has_group(&work->tenancy, group_of(work)))
        return RC_OK;
    return rc_error_set(&work->error, RC_ERR_NOT_FOUND, "The instance has no consumer group of that name.");
}

/* ---- lag ---- */

struct lag {
    json_t *list; /* {Topic, QueueId, ConsumerOffset}, while the offsets' mutex is held */
};

static void collect(struct rc_slice topic, uint32_t queue, uint64_t offset, void *arg)
{
    json_t *item = json_object();
    json_object_set_new(item, "Topic", rc_api_text(topic));
    json_object_set_new(item, "QueueId", json_integer(queue));
    json_object_set_new(item, "ConsumerOffset", json_integer((json_int_t)offset));
    json_array_append_new(((struct lag *)arg)->list, item);
}

/* Adds the queue's end and what lies between; false when there is no such queue any more. */
static bool complete(struct rc_store *store, json_t *item, uint64_t *total)
{
    struct rc_topic *topic =
        rc_store_find_topic(store, rc_slice_str(json_string_value(json_object_get(item, "Topic"))));
    uint64_t id = (uint64_t)json_integer_value(json_object_get(item, "QueueId"));
    uint64_t offset = (uint64_t)json_integer_value(json_object_get(item, "ConsumerOffset"));
    if (topic == NULL || id >= rc_topic_queue_count(topic))
        return false;
    struct rc_queue *queue = rc_topic_queue(topic, (uint32_t)id);
    uint64_t end = rc_queue_end(queue), lag = end > offset ? end - offset : 0;
    int64_t ms = lag > 0 ? rc_queue_store_ms(queue, offset) : -1;
    json_object_set_new(item, "EndOffset", json_integer((json_int_t)end));
    json_object_set_new(item, "Lag", json_integer((json_int_t)lag));
    json_object_set_new(item, "LagMs", json_integer(ms >= 0 ? rc_clock_wall_ms() - ms : 0));
    *total += lag;
    return true;
}

static int add_lag(struct rc_store_work *work)
{
    struct lag lag = {json_array()};
    json_t *item, *list = json_array();
    uint64_t total = 0;
    size_t i;
    int err = rc_store_check_group(work);
    if (err == RC_OK)
        rc_offsets_each(work->store, group_of(work), collect, &lag);
    json_array_foreach(lag.list, i, item)
    {
        if (complete(work->store, item, &total))
            json_array_append(list, item);
    }
    json_decref(lag.list);
    json_object_set_new(work->call->answer, "Queues", list);
    json_object_set_new(work->call->answer, "Lag", json_integer((json_int_t)total));
    return err;
}

/* ---- DescribeConsumerGroup: members from the endpoint, then the lag ---- */

static void on_members(struct rc_group_look *look)
{
    struct rc_api_call *call = look->owner;
    struct rc_slice text = rc_buf_slice(&look->json);
    json_t *members = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    json_object_update(call->answer, members);
    json_decref(members);
    rc_buf_free(&look->json);
    free(look);
    call->api->questions--;
    json_object_set_new(call->answer, "ConsumerGroup",
                        json_string(rc_params_get(&call->params, "ConsumerGroup")));
    rc_api_call_store(call, add_lag); /* which also knows whether it is this instance's */
}

void rc_action_describe_group(struct rc_api_call *call)
{
    struct rc_group_look *look = rc_new(struct rc_group_look);
    look->group = rc_slice_str(rc_params_get(&call->params, "ConsumerGroup"));
    look->reply_to = call->api->loop;
    look->on_done = on_members;
    look->owner = call;
    call->api->questions++;
    rc_endpoint_look(call->api->options.endpoint, look);
}

/* ---- ResetConsumerOffset ---- */

/* Position: first, last, a time in ms since the epoch. False when it is none of them. */
static bool find_offset(struct rc_queue *queue, const char *position, uint64_t *ret)
{
    char *end;
    if (strcmp(position, "first") == 0) {
        *ret = rc_queue_min(queue);
        return true;
    }
    if (strcmp(position, "last") == 0) {
        *ret = rc_queue_end(queue);
        return true;
    }
    long long ms = strtoll(position, &end, 10);
    *ret = rc_queue_search(queue, ms);
    return end != position && *end == '\0' && ms >= 0;
}

/* Where each queue's reading goes on, kept; then those who run are told. */
static int set_offsets(struct rc_store_work *work, struct rc_topic *topic, const uint64_t *offsets)
{
    uint32_t count = rc_topic_queue_count(topic);
    json_t *list = json_object_get(work->call->answer, "Queues");
    int err = RC_OK;
    for (uint32_t i = 0; err == RC_OK && i < count; i++) {
        err = rc_offsets_set(work->store, group_of(work), rc_topic_queue(topic, i), offsets[i]);
        json_array_append_new(
            list, json_pack("{s:I,s:I}", "QueueId", (json_int_t)i, "ConsumerOffset", (json_int_t)offsets[i]));
    }
    err = err ? err : rc_offsets_save(work->store);
    if (err == RC_OK)
        rc_endpoint_reset(work->call->api->options.endpoint, group_of(work),
                          rc_slice_str(rc_params_get(&work->call->params, "Topic")), offsets, count);
    return err;
}

int rc_store_reset_offset(struct rc_store_work *work)
{
    const struct rc_params *params = &work->call->params;
    struct rc_slice name = rc_slice_str(rc_params_get(params, "Topic"));
    const char *position = rc_params_get(params, "Position");
    struct rc_topic *topic = rc_store_find_topic(work->store, name);
    json_object_set_new(work->call->answer, "Queues", json_array());
    int err = rc_store_check_group(work);
    if (err == RC_OK &&
        (topic == NULL || rc_topic_perm(topic) == 0 || !rc_tenancy_has_topic(&work->tenancy, name)))
        err = rc_error_set(&work->error, RC_ERR_NOT_FOUND, "The instance has no topic of that name.");
    if (err != RC_OK)
        return err;
    uint64_t *offsets = rc_calloc(rc_topic_queue_count(topic), sizeof(*offsets));
    for (uint32_t i = 0; err == RC_OK && i < rc_topic_queue_count(topic); i++)
        if (!find_offset(rc_topic_queue(topic, i), position != NULL ? position : "last", &offsets[i]))
            err = rc_error_set(&work->error, RC_ERR_INVALID,
                               "Position is first, last, or a time in milliseconds since 1970.");
    err = err ? err : set_offsets(work, topic, offsets);
    free(offsets);
    return err;
}
