/* The traces of messages, of instances that keep them (broker/trace.h). */
#include "api/actions.h"
#include "api/trace_search.h"
#include "broker/trace.h"
#include "presence/event.h"

/* The product's words; it has none for an acknowledgement. */
static const struct step {
    const char *action, *code, *info;
    bool is_publishing;
} steps[] = {
    {"pub_mqtt", "msg.pub.mqtt", "Pub From Mqtt Client", true},
    {"pub_mq", "msg.pub.mq", "Pub From MQ", true},
    {"sub", "msg.sub", "Push To Mqtt Client", false},
    {"push_offline", "msg.push.offline", "Push Offline Msg To Mqtt Client", false},
    {"ack", "msg.ack", "Acknowledged By Mqtt Client", false},
};

/* NULL for a record that tells of no message of the call's instance. */
static const struct step *step_of(const struct rc_trace_search *search, const struct rc_message *message)
{
    struct rc_slice name = rc_props_get(message->props, RC_PROP_TRACE);
    if (!rc_slice_eq(rc_props_get(message->props, RC_PROP_INSTANCE), search->call->instance->id))
        return NULL;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        if (rc_slice_eq_str(name, steps[i].action))
            return &steps[i];
    return NULL;
}

static json_t *describe(const struct step *step, const struct rc_message *message, int64_t *ret_time_ms)
{
    json_t *item = json_object();
    rc_trace_put_action(item, step->action, step->code, step->info);
    json_object_set_new(item, "ClientId", rc_api_text(message->body));
    json_object_set_new(item, "MsgId", rc_api_text(rc_props_get(message->props, RC_PROP_TRACE_MESSAGE)));
    json_object_set_new(item, "Time", rc_trace_time(message->born_ms));
    *ret_time_ms = message->born_ms;
    return item;
}

static bool is_clients(const struct rc_trace_search *search, const struct rc_message *message)
{
    const char *client_id = rc_params_get(&search->call->params, "ClientId");
    return client_id == NULL || client_id[0] == '\0' || rc_slice_eq_str(message->body, client_id);
}

static json_t *read_of_client(const struct rc_trace_search *search, const struct rc_message *message,
                              int64_t *ret_time_ms)
{
    const struct step *step = step_of(search, message);
    return step != NULL && is_clients(search, message) ? describe(step, message, ret_time_ms) : NULL;
}

static bool is_messages(const struct rc_trace_search *search, const struct rc_message *message)
{
    return rc_slice_eq_str(rc_props_get(message->props, RC_PROP_TRACE_MESSAGE),
                           rc_params_get(&search->call->params, "MsgId"));
}

static json_t *read_publish(const struct rc_trace_search *search, const struct rc_message *message,
                            int64_t *ret_time_ms)
{
    const struct step *step = step_of(search, message);
    bool is_wanted = step != NULL && step->is_publishing && is_messages(search, message);
    return is_wanted ? describe(step, message, ret_time_ms) : NULL;
}

static json_t *read_subscribe(const struct rc_trace_search *search, const struct rc_message *message,
                              int64_t *ret_time_ms)
{
    const struct step *step = step_of(search, message);
    bool is_wanted =
        step != NULL && !step->is_publishing && is_messages(search, message) && is_clients(search, message);
    return is_wanted ? describe(step, message, ret_time_ms) : NULL;
}

/* NULL when the call was answered. An empty answer would look as if nothing had been sent. */
static struct rc_trace_search *begin(struct rc_api_call *call, bool is_paged)
{
    if (call->instance->is_traced) {
        struct rc_trace_search *search = rc_trace_search_create(call, is_paged);
        if (search != NULL && call->catalog->trace_topic != NULL)
            rc_trace_search_add_topic(search, rc_topic_name(call->catalog->trace_topic));
        return search;
    }
    rc_api_call_fail(
        call, RC_API_NOT_SUPPORTED, "%s",
        "No traces of messages are kept for this instance: the configuration's `trace: true`, or "
        "UpdateInstance with Trace=true, switches them on.");
    return NULL;
}

void rc_action_trace_client(struct rc_api_call *call)
{
    struct rc_trace_search *search = begin(call, true);
    if (search == NULL)
        return;
    search->read = read_of_client;
    search->list = "MessageOfClientList";
    if (rc_event_put_keys(&search->key, rc_slice_str(rc_params_get(&call->params, "ClientId"))) != RC_OK)
        search->topics_count = 0;
    rc_trace_search_run(search);
}

static void search_message(struct rc_trace_search *search)
{
    struct rc_slice id = rc_slice_str(rc_params_get(&search->call->params, "MsgId"));
    search->list = "MessageTraceLists";
    if (id.len == RC_TRACE_HEX_LEN)
        rc_buf_put_slice(&search->key, id);
    rc_trace_search_run(search);
}

void rc_action_trace_publish(struct rc_api_call *call)
{
    struct rc_trace_search *search = begin(call, false);
    if (search == NULL)
        return;
    search->read = read_publish;
    search_message(search);
}

void rc_action_trace_subscribe(struct rc_api_call *call)
{
    struct rc_trace_search *search = begin(call, true);
    if (search == NULL)
        return;
    search->read = read_subscribe;
    search_message(search);
}
