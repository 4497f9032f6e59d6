/*
 * A device's trace: its events, which are in the log, found through the index by key; and the logins that
 * were refused, of an instance that keeps traces.
 */
#include "api/actions.h"
#include "api/trace_search.h"
#include "base/hex.h"
#include "broker/trace.h"
#include "presence/event.h"

#include <stdio.h>

/* The product's words for why; where it has none, Rollcall's own reason. */
static const char *info_of(enum rc_event_type type, struct rc_slice reason, char *out, size_t size)
{
    static const struct {
        const char *reason, *info;
    } infos[] = {
        {"takeover", "clientId conflict"},          {"keepalive-timeout", "no heart"},
        {"connection-lost", "closed by client"},    {"client-disconnect", "disconnected by client"},
        {"not-authorized", "resource auth failed"}, {"revoked", "not authorized"},
        {"protocol-error", "invalid param"},        {"payload-too-large", "invalid param"},
    };
    if (type == RC_EVENT_CONNECT)
        return "accepted";
    if (type == RC_EVENT_DISCONNECT)
        return "disconnected by client";
    for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
        if (rc_slice_eq_str(reason, infos[i].reason))
            return infos[i].info;
    snprintf(out, size, "%.*s", RC_SLICE_FMT(reason));
    return out;
}

static json_t *describe(const struct rc_event *event, const struct rc_message *message)
{
    static const char *const actions[] = {"connect", "disconnect", "close"};
    char channel[RC_CHANNEL_HEX_LEN], reason[64];
    json_t *item = json_object();
    const char *action = actions[event->type];
    rc_hex_lower(channel, event->channel_id, RC_CHANNEL_ID_LEN);
    struct rc_slice why = rc_props_get(message->props, RC_PROP_REASON);
    rc_trace_put_action(item, action, action, info_of(event->type, why, reason, sizeof(reason)));
    json_object_set_new(item, "ChannelId", json_stringn(channel, sizeof(channel)));
    json_object_set_new(item, "Time", rc_trace_time(event->time_ms));
    json_object_set_new(item, "ClientIp", rc_api_text(event->client_ip)); /* Rollcall's own */
    return item;
}

static json_t *describe_refusal(int64_t time_ms)
{
    json_t *item = json_object();
    rc_trace_put_action(item, "connect", "connect", "not authorized");
    json_object_set_new(item, "ChannelId", json_string("")); /* it never was one */
    json_object_set_new(item, "Time", rc_trace_time(time_ms));
    json_object_set_new(item, "ClientIp", json_string(""));
    return item;
}

/* Topics hold events of several instances: only those of the call's are shown. */
static json_t *read_event(const struct rc_trace_search *search, const struct rc_message *message,
                          int64_t *ret_time_ms)
{
    struct rc_event event;
    if (!rc_slice_eq(rc_props_get(message->props, RC_PROP_INSTANCE), search->call->instance->id))
        return NULL;
    if (rc_slice_eq_str(message->topic, RC_TRACE_TOPIC)) {
        *ret_time_ms = message->born_ms;
        bool is_refusal = rc_slice_eq_str(rc_props_get(message->props, RC_PROP_TRACE), "refused");
        return is_refusal ? describe_refusal(message->born_ms) : NULL;
    }
    bool is_event = rc_props_get(message->props, RC_PROP_NODE).ptr != NULL &&
                    rc_props_get(message->props, RC_PROP_RETRY_TOPIC).ptr == NULL &&
                    rc_props_get(message->props, RC_PROP_REPLAY).ptr == NULL;
    if (!is_event || rc_event_parse_body(message->body, &event) != RC_OK)
        return NULL;
    *ret_time_ms = event.time_ms;
    return describe(&event, message);
}

static void add_topic(struct rc_topic *topic, void *arg)
{
    rc_trace_search_add_topic(arg, rc_topic_name(topic));
}

/*
 * Where the events of the client's group go, where they go without a rule, and the other topics of the log as
 * far as the search has room: a rule that was changed or deleted led to one of those.
 */
static void choose_topics(struct rc_trace_search *search, struct rc_slice client_id)
{
    const struct rc_api_call *call = search->call;
    struct rc_slice group_id, device;
    const struct rc_group *group = NULL;
    if (rc_catalog_split_client_id(client_id, &group_id, &device) == RC_OK)
        group = rc_instance_group(call->instance, group_id);
    if (group == NULL)
        group = call->instance->group;
    struct rc_topic *topic = group != NULL ? rc_group_event_topic(call->catalog, group) : NULL;
    if (topic != NULL)
        add_topic(topic, search);
    if (call->catalog->presence_topic != NULL)
        add_topic(call->catalog->presence_topic, search);
    if (call->catalog->trace_topic != NULL)
        add_topic(call->catalog->trace_topic, search);
    rc_store_each_topic(call->api->options.store, add_topic, search);
}

void rc_action_trace_device(struct rc_api_call *call)
{
    const char *client_id = rc_api_call_need(call, "ClientId");
    struct rc_trace_search *search = client_id != NULL ? rc_trace_search_create(call, true) : NULL;
    if (search == NULL)
        return;
    search->read = read_event;
    search->list = "DeviceInfoList";
    choose_topics(search, rc_slice_str(client_id));
    if (rc_event_put_keys(&search->key, rc_slice_str(client_id)) != RC_OK)
        search->topics_count = 0;
    rc_trace_search_run(search);
}
