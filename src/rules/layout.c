/*
 * Which queues a topic has, over all brokers, sorted by broker: all that decide where a client's events go.
 * A name server forgets a broker that has died or is being restarted. Its queues must not be shared out to
 * others meanwhile: a client's later events would overtake the earlier ones that wait for it.
 */
#include "client/topic_route.h"
#include "rules/rules_private.h"

#include <stdio.h>
#include <stdlib.h>

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct rc_layout_broker *)a)->name, ((const struct rc_layout_broker *)b)->name);
}

static struct rc_layout_broker *find(struct rc_layout *layout, const char *name)
{
    for (uint32_t i = 0; i < layout->count; i++)
        if (strcmp(layout->brokers[i].name, name) == 0)
            return &layout->brokers[i];
    return NULL;
}

/* A broker's address: its master's, without which it takes nothing. */
static const char *master_of(json_t *root, const char *name)
{
    json_t *broker;
    size_t i;
    json_array_foreach(json_object_get(root, "brokerDatas"), i, broker)
    {
        if (strcmp(text_of(broker, "brokerName"), name) == 0)
            return text_of(json_object_get(broker, "brokerAddrs"), "0");
    }
    return "";
}

static void take_broker(struct rc_layout *layout, json_t *root, json_t *data, enum rc_topic_perm perm)
{
    const char *name = text_of(data, "brokerName"), *address = master_of(root, name);
    json_int_t queues =
        json_integer_value(json_object_get(data, perm == RC_PERM_WRITE ? "writeQueueNums" : "readQueueNums"));
    bool is_open = json_integer_value(json_object_get(data, "perm")) & perm;
    struct rc_layout_broker *broker = find(layout, name);
    if (!is_open || queues <= 0 || queues > RC_FEED_QUEUES_MAX || name[0] == '\0' ||
        strlen(name) >= sizeof(broker->name) || strlen(address) >= sizeof(broker->address) ||
        (address[0] == '\0' && broker == NULL))
        return;
    if (broker == NULL) {
        if (layout->count == RC_FEED_BROKERS_MAX)
            return;
        broker = &layout->brokers[layout->count++];
        *broker = (struct rc_layout_broker){.is_there = false};
        snprintf(broker->name, sizeof(broker->name), "%s", name);
    }
    broker->queues = (uint32_t)queues;
    broker->is_there = address[0] != '\0';
    snprintf(broker->address, sizeof(broker->address), "%s", address);
}

static bool has_same_queues(const struct rc_layout *a, const struct rc_layout *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->brokers[i].name, b->brokers[i].name) != 0 ||
            a->brokers[i].queues != b->brokers[i].queues)
            return false;
    return true;
}

static bool take_route(struct rc_layout *layout, struct rc_slice body, bool fails_over,
                       enum rc_topic_perm perm)
{
    struct rc_layout before = *layout;
    json_t *root = rc_topic_route_json(body), *data;
    size_t i;
    if (root == NULL)
        return false;
    if (fails_over)
        layout->count = 0;
    for (uint32_t at = 0; at < layout->count; at++)
        layout->brokers[at].is_there = false;
    json_array_foreach(json_object_get(root, "queueDatas"), i, data) take_broker(layout, root, data, perm);
    json_decref(root);
    qsort(layout->brokers, layout->count, sizeof(layout->brokers[0]), compare);
    layout->queues = 0;
    for (uint32_t at = 0; at < layout->count; at++) {
        if (layout->queues + layout->brokers[at].queues > RC_FEED_QUEUES_MAX) {
            layout->count = at;
            break;
        }
        layout->queues += layout->brokers[at].queues;
    }
    return !has_same_queues(&before, layout);
}

bool rc_layout_take_route(struct rc_layout *layout, struct rc_slice body, bool fails_over)
{
    return take_route(layout, body, fails_over, RC_PERM_WRITE);
}

void rc_layout_take_readable(struct rc_layout *layout, struct rc_slice body)
{
    take_route(layout, body, true, RC_PERM_READ);
}

const struct rc_layout_broker *rc_layout_find(const struct rc_layout *layout, uint32_t queue,
                                              uint32_t *ret_queue_id)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        if (queue < layout->brokers[i].queues) {
            *ret_queue_id = queue;
            return &layout->brokers[i];
        }
        queue -= layout->brokers[i].queues;
    }
    return NULL;
}

const struct rc_layout_broker *rc_layout_named(const struct rc_layout *layout, const char *name)
{
    for (uint32_t i = 0; i < layout->count; i++)
        if (strcmp(layout->brokers[i].name, name) == 0)
            return &layout->brokers[i];
    return NULL;
}
