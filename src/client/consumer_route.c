/* What the consumer reads of routes and member lists, and which queues are its own. */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/json_write.h"
#include "client/consumer_private.h"
#include "client/topic_route.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int compare_places(const void *a, const void *b)
{
    const struct rc_consumer_place *x = a, *y = b;
    int order = strcmp(x->broker, y->broker);
    return order ? order : (x->queue_id > y->queue_id) - (x->queue_id < y->queue_id);
}

static void take_brokers(struct rc_consumer *consumer, json_t *root)
{
    json_t *broker;
    size_t i;
    json_array_foreach(json_object_get(root, "brokerDatas"), i, broker)
    {
        const char *name = text_of(broker, "brokerName");
        const char *address = text_of(json_object_get(broker, "brokerAddrs"), "0");
        if (name[0] != '\0' && address[0] != '\0' &&
            strlen(name) < sizeof(((struct rc_consumer_place *)0)->broker))
            rc_consumer_put_broker(consumer, name, address);
    }
}

void rc_consumer_take_route(struct rc_consumer *consumer, int topic, struct rc_slice body)
{
    json_t *root = rc_topic_route_json(body), *data;
    size_t i;
    struct rc_consumer_place *places = rc_calloc(RC_CONSUMER_QUEUES_MAX, sizeof(*places));
    uint32_t count = 0;
    take_brokers(consumer, root);
    json_array_foreach(json_object_get(root, "queueDatas"), i, data)
    {
        const char *name = text_of(data, "brokerName");
        json_int_t queues = json_integer_value(json_object_get(data, "readQueueNums"));
        bool is_readable = json_integer_value(json_object_get(data, "perm")) & 4;
        for (json_int_t id = 0; is_readable && id < queues && count < RC_CONSUMER_QUEUES_MAX; id++) {
            snprintf(places[count].broker, sizeof(places[count].broker), "%s", name);
            places[count++].queue_id = (uint32_t)id;
        }
    }
    json_decref(root);
    qsort(places, count, sizeof(*places), compare_places);
    free(consumer->routes[topic]);
    consumer->routes[topic] = places;
    consumer->routes_count[topic] = count;
}

/* ---- my share: RocketMQ's "average" strategy, which all members must agree on ---- */

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* My place among the members, by name; -1 when I am not among them. */
static int find_myself(const struct rc_consumer *consumer, json_t *ids, uint32_t *ret_count)
{
    size_t count = json_array_size(ids);
    const char **names = rc_calloc(count + 1, sizeof(*names));
    int at = -1;
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(ids, i));
        names[i] = name ? name : "";
    }
    qsort(names, count, sizeof(*names), compare_texts);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], consumer->client_id) == 0)
            at = (int)i;
    free(names);
    *ret_count = (uint32_t)count;
    return at;
}

static void assign_topic(struct rc_consumer *consumer, int topic, uint32_t index, uint32_t members)
{
    uint32_t queues = consumer->routes_count[topic], rest = queues % members;
    uint32_t share = queues / members + (index < rest ? 1 : 0);
    uint32_t first = queues <= members ? index : index * (queues / members) + (index < rest ? index : rest);
    for (uint32_t i = 0; i < share && first + i < queues; i++)
        rc_consumer_want_queue(consumer, topic, &consumer->routes[topic][first + i]);
}

void rc_consumer_assign(struct rc_consumer *consumer, struct rc_slice members)
{
    uint32_t count = 1;
    int index = 0;
    if (members.len > 0) {
        json_t *root = json_loadb((const char *)members.ptr, members.len, 0, NULL);
        index = find_myself(consumer, json_object_get(root, "consumerIdList"), &count);
        json_decref(root);
    }
    rc_consumer_begin_assignment(consumer);
    for (int topic = 0; index >= 0 && topic < RC_CONSUMER_TOPICS; topic++)
        assign_topic(consumer, topic, (uint32_t)index, count);
    rc_consumer_end_assignment(consumer);
}

/* ---- heartbeat ---- */

static void put_tags(struct rc_json *json, const char *tags)
{
    struct rc_buf codes;
    struct rc_json numbers;
    rc_buf_init(&codes, 16 * 1024);
    rc_json_init(&numbers, &codes);
    rc_json_array_begin(&numbers);
    rc_json_key(json, "tagsSet");
    rc_json_array_begin(json);
    char *copy = rc_strdup(tags), *rest = copy, *one;
    while (strcmp(tags, "*") != 0 && (one = strsep(&rest, "|")) != NULL) {
        while (isspace((unsigned char)*one))
            one++;
        size_t len = strlen(one);
        while (len > 0 && isspace((unsigned char)one[len - 1]))
            len--;
        if (len == 0)
            continue;
        rc_json_string(json, rc_slice(one, len));
        rc_json_int(&numbers, rc_hash_java(rc_slice(one, len)));
    }
    free(copy);
    rc_json_array_end(json);
    rc_json_array_end(&numbers);
    rc_json_key(json, "codeSet");
    /* already JSON */
    rc_buf_put_slice(json->out, rc_buf_slice(&codes));
    json->has_item |= 1u << (json->depth % RC_JSON_DEPTH_MAX);
    rc_buf_free(&codes);
}

static void put_subscription(struct rc_json *json, const struct rc_consumer *consumer, const char *topic,
                             const char *tags)
{
    rc_json_object_begin(json);
    rc_json_put_bool(json, "classFilterMode", false);
    rc_json_put_str(json, "topic", topic);
    rc_json_put_str(json, "subString", tags);
    rc_json_put_int(json, "subVersion", consumer->sub_version);
    rc_json_put_str(json, "expressionType", "TAG");
    put_tags(json, tags);
    rc_json_object_end(json);
}

static const char *from_where(const struct rc_consumer_options *options)
{
    if (options->from_first)
        return "CONSUME_FROM_FIRST_OFFSET";
    return options->from_ms > 0 ? "CONSUME_FROM_TIMESTAMP" : "CONSUME_FROM_LAST_OFFSET";
}

void rc_consumer_put_heartbeat(const struct rc_consumer *consumer, struct rc_buf *body)
{
    struct rc_json json;
    rc_json_init(&json, body);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "clientID", consumer->client_id);
    rc_json_key(&json, "producerDataSet");
    rc_json_array_begin(&json);
    rc_json_array_end(&json);
    rc_json_key(&json, "consumerDataSet");
    rc_json_array_begin(&json);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "groupName", consumer->options.group);
    rc_json_put_str(&json, "consumeType", "CONSUME_PASSIVELY");
    rc_json_put_str(&json, "messageModel", consumer->options.broadcasting ? "BROADCASTING" : "CLUSTERING");
    rc_json_put_str(&json, "consumeFromWhere", from_where(&consumer->options));
    rc_json_put_bool(&json, "unitMode", false);
    rc_json_key(&json, "subscriptionDataSet");
    rc_json_array_begin(&json);
    put_subscription(&json, consumer, consumer->topics[0], consumer->options.tags);
    if (!consumer->options.broadcasting)
        put_subscription(&json, consumer, consumer->topics[1], "*");
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_json_array_end(&json);
    rc_json_object_end(&json);
}
