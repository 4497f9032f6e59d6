#include "rocketmq/heartbeat.h"

#include "base/error.h"
#include "store/message.h"

#include <jansson.h>
#include <stdlib.h>

static struct rc_slice text_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_string(value) ? rc_slice(json_string_value(value), json_string_length(value))
                                 : rc_slice(NULL, 0);
}

static int64_t number_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : json_integer_value(value);
}

/* Java's name, or C++'s place in the enum. */
static bool is_broadcasting(json_t *consumer)
{
    json_t *model = json_object_get(consumer, "messageModel");
    return json_is_string(model) ? strcmp(json_string_value(model), "BROADCASTING") == 0
                                 : json_is_integer(model) && json_integer_value(model) == 0;
}

static bool is_name(struct rc_slice name, size_t max)
{
    return name.len > 0 && name.len <= max;
}

int rc_heartbeat_decode(struct rc_slice body, struct rc_heartbeat *ret)
{
    json_t *root = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    struct rc_slice client_id = text_of(root, "clientID");
    if (!is_name(client_id, RC_HEARTBEAT_NAME_MAX)) {
        json_decref(root);
        return RC_ERR_PROTOCOL;
    }
    *ret = (struct rc_heartbeat){client_id, root};
    return RC_OK;
}

void rc_heartbeat_done(struct rc_heartbeat *heartbeat)
{
    json_decref(heartbeat->json);
    heartbeat->json = NULL;
}

bool rc_heartbeat_next_consumer(const struct rc_heartbeat *heartbeat, size_t *at,
                                struct rc_heartbeat_consumer *ret)
{
    json_t *all = json_object_get(heartbeat->json, "consumerDataSet");
    while (*at < json_array_size(all)) {
        json_t *consumer = json_array_get(all, (*at)++);
        struct rc_slice group = text_of(consumer, "groupName");
        if (!is_name(group, RC_HEARTBEAT_NAME_MAX))
            continue;
        *ret = (struct rc_heartbeat_consumer){group, is_broadcasting(consumer), consumer};
        return true;
    }
    return false;
}

bool rc_heartbeat_next_subscription(const struct rc_heartbeat_consumer *consumer, size_t *at,
                                    struct rc_heartbeat_subscription *ret)
{
    json_t *all = json_object_get(consumer->json, "subscriptionDataSet");
    while (*at < json_array_size(all)) {
        json_t *data = json_array_get(all, (*at)++);
        struct rc_slice topic = text_of(data, "topic");
        if (!is_name(topic, RC_MESSAGE_TOPIC_MAX))
            continue;
        *ret = (struct rc_heartbeat_subscription){topic, text_of(data, "subString"),
                                                  text_of(data, "expressionType"),
                                                  number_of(data, "subVersion")};
        return true;
    }
    return false;
}
