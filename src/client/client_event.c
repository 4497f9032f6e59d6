#include "client/client_event.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
    [RC_CLIENT_EVENT_CONNECT] = "connect",
    [RC_CLIENT_EVENT_DISCONNECT] = "disconnect",
    [RC_CLIENT_EVENT_TCPCLEAN] = "tcpclean",
};
enum { TYPES = sizeof(type_names) / sizeof(type_names[0]) };

const char *rc_client_event_type_name(enum rc_client_event_type type)
{
    return type_names[type];
}

bool rc_client_event_type_of(const char *name, enum rc_client_event_type *ret)
{
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *ret = (enum rc_client_event_type)i;
            return true;
        }
    }
    return false;
}

bool rc_client_event_is_id(const char *text)
{
    return text != NULL && text[0] != '\0' &&
           strnlen(text, RC_CLIENT_STATUS_ID_MAX + 1) <= RC_CLIENT_STATUS_ID_MAX;
}

/* A number; readers in other languages also take its digits in a string, so this one does too. */
static bool read_time(const json_t *value, int64_t *ret)
{
    if (json_is_integer(value)) {
        *ret = json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret = number;
    return true;
}

static bool read_event(const json_t *json, struct rc_client_event *ret)
{
    const char *type = json_string_value(json_object_get(json, "eventType"));
    struct rc_client_event event = {
        .client_id = json_string_value(json_object_get(json, "clientId")),
        .channel_id = json_string_value(json_object_get(json, "channelId")),
        .client_ip = json_string_value(json_object_get(json, "clientIp")),
    };
    if (type == NULL || !rc_client_event_type_of(type, &event.type))
        return false;
    if (!rc_client_event_is_id(event.client_id) || !rc_client_event_is_id(event.channel_id))
        return false;
    if (!read_time(json_object_get(json, "time"), &event.time_ms))
        return false;
    *ret = event;
    return true;
}

int rc_client_event_parse(const void *body, size_t len, struct rc_client_event *ret, json_t **ret_json)
{
    if (len == 0 || len > RC_CLIENT_STATUS_BODY_MAX)
        return RC_ERR_INVALID;
    json_t *json = json_loadb(body, len, 0, NULL);
    if (json == NULL || !read_event(json, ret)) {
        json_decref(json);
        return RC_ERR_INVALID;
    }
    *ret_json = json;
    return RC_OK;
}
