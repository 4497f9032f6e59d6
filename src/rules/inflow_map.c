#include "rules/inflow_map.h"

#include "base/error.h"
#include "mqtt/props.h"
#include "mqtt/topic.h"
#include "presence/event.h"
#include "store/message.h"

#include <jansson.h>

enum { TOPIC_MAX = 65535, PROPS_MAX = 65535, EXPIRY_MAX_S = 65535 };

void rc_inflow_map_init(struct rc_inflow_map *map)
{
    rc_buf_init(&map->topic, TOPIC_MAX);
    rc_buf_init(&map->shown_topic, TOPIC_MAX);
    rc_buf_init(&map->props, PROPS_MAX);
}

void rc_inflow_map_free(struct rc_inflow_map *map)
{
    rc_buf_free(&map->topic);
    rc_buf_free(&map->shown_topic);
    rc_buf_free(&map->props);
}

static void empty(struct rc_buf *buf)
{
    rc_buf_consume(buf, rc_buf_len(buf));
}

static bool is_topic(struct rc_slice name)
{
    return rc_mqtt_is_text(name) && rc_topic_name_is_valid(name);
}

/* <parent><second>, with one slash between them however the sender wrote it. */
static bool take_topic(struct rc_inflow_map *map, struct rc_slice mqtt_topic, struct rc_slice props)
{
    struct rc_slice second = rc_props_get(props, "mqttSecondTopic");
    struct rc_slice shown = rc_props_get(props, "mqttRealTopic");
    int err = rc_buf_put_slice(&map->topic, mqtt_topic);
    if (second.len > 0 && second.ptr[0] != '/')
        err = err ? err : rc_buf_put_u8(&map->topic, '/');
    err = err ? err : rc_buf_put_slice(&map->topic, second);
    if (shown.len > 0 && is_topic(shown))
        err = err ? err : rc_buf_put_slice(&map->shown_topic, shown);
    return err == RC_OK && is_topic(rc_buf_slice(&map->topic));
}

static bool parse_seconds(struct rc_slice text, int64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 9)
            return false;
        *ret = *ret * 10 + (text.ptr[i] - '0');
    }
    if (*ret > EXPIRY_MAX_S)
        *ret = EXPIRY_MAX_S;
    return text.len > 0;
}

static void put_user_properties(struct rc_buf *out, struct rc_slice text)
{
    json_t *list = text.len > 0 ? json_loadb((const char *)text.ptr, text.len, 0, NULL) : NULL, *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        json_t *key = json_object_get(item, "key"), *value = json_object_get(item, "value");
        if (!json_is_string(key) || !json_is_string(value))
            continue;
        struct rc_slice name = rc_slice(json_string_value(key), json_string_length(key));
        struct rc_slice content = rc_slice(json_string_value(value), json_string_length(value));
        if (rc_mqtt_is_text(name) && rc_mqtt_is_text(content))
            rc_mqtt_props_put_user(out, name, content); /* one that does not fit is left out */
    }
    json_decref(list);
}

/* False when the message has expired. What it lived already is taken off. */
static bool take_version_5(struct rc_inflow_map *map, struct rc_slice props, int64_t age_ms)
{
    struct rc_slice type = rc_props_get(props, "mqtt5ContentType");
    int64_t seconds;
    if (parse_seconds(rc_props_get(props, "mqtt5MsgExpireInterval"), &seconds)) {
        int64_t left_ms = seconds * 1000 - (age_ms > 0 ? age_ms : 0);
        if (left_ms <= 0)
            return false;
        rc_mqtt_props_put_number(&map->props, RC_MQTT_PROP_MESSAGE_EXPIRY,
                                 (uint32_t)((left_ms + 999) / 1000));
    }
    if (type.len > 0 && rc_mqtt_is_text(type))
        rc_mqtt_props_put_string(&map->props, RC_MQTT_PROP_CONTENT_TYPE, type);
    put_user_properties(&map->props, rc_props_get(props, "mqtt5UserProperty"));
    return true;
}

static bool is_echo(struct rc_slice instance, struct rc_slice mqtt_topic, struct rc_slice props)
{
    struct rc_slice topic = rc_props_get(props, "topic"), parent;
    size_t at = 0;
    return topic.len > 0 && rc_topic_next_level(topic, &at, &parent) && rc_slice_eq(parent, mqtt_topic) &&
           rc_slice_eq(rc_props_get(props, RC_PROP_INSTANCE), instance);
}

enum rc_inflow_verdict rc_inflow_map_take(struct rc_inflow_map *map, struct rc_slice instance,
                                          struct rc_slice mqtt_topic, struct rc_slice props, int64_t born_ms,
                                          int64_t now_ms)
{
    struct rc_slice level = rc_props_get(props, "qoslevel");
    empty(&map->topic);
    empty(&map->shown_topic);
    empty(&map->props);
    map->qos =
        level.len == 1 && level.ptr[0] >= '0' && level.ptr[0] <= '2' ? (uint8_t)(level.ptr[0] - '0') : 1;
    map->is_for_present = rc_slice_eq_str(rc_props_get(props, "cleansessionflag"), "true");
    if (is_echo(instance, mqtt_topic, props))
        return RC_INFLOW_ECHO;
    if (!take_topic(map, mqtt_topic, props))
        return RC_INFLOW_BAD;
    return take_version_5(map, props, now_ms - born_ms) ? RC_INFLOW_GOOD : RC_INFLOW_EXPIRED;
}
