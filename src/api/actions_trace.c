/*
 * Traces. A device's is in the log: its events, found through the index by key. MQTT messages do not pass
 * through the log, so their traces are not served.
 */
#include "api/actions.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/hex.h"
#include "presence/event.h"
#include "rocketmq/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROWS_MAX = 10000,    /* of one client's events in the time asked for; older ones are not counted */
    SEARCHES_MAX = 64,   /* at once */
    PAGE_SIZE_MAX = 100, /* as the product documents it */
    TOPICS_MAX = 2,      /* where a client's events may be */
};

struct row {
    int64_t time_ms;
    uint64_t position;
    json_t *item;
};

/* One question for a client's events. */
struct trace {
    struct rc_key_search search;
    struct rc_api_call *call;
    struct rc_buf key;
    struct rc_topic *topics[TOPICS_MAX];
    uint32_t topics_count, searched;
    struct row *rows;
    uint32_t count;
    int64_t page, page_size;
    bool is_reversed;
};

/* ---- what is told of an event ---- */

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

static void format_time(int64_t ms, char out[32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    size_t len = strftime(out, 32, "%Y-%m-%d %H:%M:%S", &local);
    snprintf(out + len, 32 - len, ".%03d", (int)(ms % 1000));
}

static json_t *describe(const struct rc_event *event, const struct rc_message *message)
{
    static const char *const actions[] = {"connect", "disconnect", "close"};
    char time[32], channel[RC_CHANNEL_HEX_LEN], code[64], reason[64];
    json_t *item = json_object();
    const char *action = actions[event->type];
    rc_hex_lower(channel, event->channel_id, RC_CHANNEL_ID_LEN);
    format_time(event->time_ms, time);
    snprintf(code, sizeof(code), "mqtt.trace.action.%s", action);
    struct rc_slice why = rc_props_get(message->props, RC_PROP_REASON);
    json_object_set_new(item, "Action", json_string(action));
    json_object_set_new(item, "ActionCode", json_string(code));
    json_object_set_new(item, "ActionInfo", json_string(info_of(event->type, why, reason, sizeof(reason))));
    json_object_set_new(item, "ChannelId", json_stringn(channel, sizeof(channel)));
    json_object_set_new(item, "Time", json_string(time));
    json_object_set_new(item, "ClientIp", rc_api_text(event->client_ip)); /* Rollcall's own */
    return item;
}

/* The worker's thread. The system topic holds events of all instances: only those of the call's are shown. */
static bool on_found(const struct rc_message *message, struct rc_slice record, void *owner)
{
    struct trace *trace = owner;
    struct rc_event event;
    struct rc_slice instance = rc_props_get(message->props, RC_PROP_INSTANCE);
    bool is_ours = rc_props_get(message->props, RC_PROP_NODE).ptr != NULL &&
                   rc_props_get(message->props, RC_PROP_RETRY_TOPIC).ptr == NULL &&
                   rc_props_get(message->props, RC_PROP_REPLAY).ptr == NULL &&
                   rc_slice_eq(instance, trace->call->instance->id);
    if (!is_ours || rc_event_parse_body(message->body, &event) != RC_OK)
        return true;
    trace->rows[trace->count++] =
        (struct row){event.time_ms, message->physical_offset, describe(&event, message)};
    return trace->count < ROWS_MAX;
}

/* ---- the answer ---- */

static int by_time(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

static void finish(struct trace *trace)
{
    struct rc_api_call *call = trace->call;
    json_t *list = json_array();
    int64_t first = (trace->page - 1) * trace->page_size;
    if (trace->count > 1)
        qsort(trace->rows, trace->count, sizeof(*trace->rows), by_time);
    for (int64_t i = first; i < first + trace->page_size && i < trace->count; i++) {
        const struct row *row = &trace->rows[trace->is_reversed ? trace->count - 1 - i : i];
        json_array_append(list, row->item);
    }
    json_object_set_new(call->answer, "DeviceInfoList", list);
    json_object_set_new(call->answer, "CurrentPage", json_integer(trace->page));
    json_object_set_new(call->answer, "PageSize", json_integer(trace->page_size));
    json_object_set_new(call->answer, "Total", json_integer(trace->count));
    rc_api_call_finish(call);
    for (uint32_t i = 0; i < trace->count; i++)
        json_decref(trace->rows[i].item);
    free(trace->rows);
    rc_buf_free(&trace->key);
    free(trace);
}

static void search_next(struct trace *trace)
{
    trace->search.what.topic = rc_topic_name(trace->topics[trace->searched++]);
    rc_endpoint_search(trace->call->api->options.endpoint, &trace->search);
}

static void on_done(struct rc_key_search *search)
{
    struct trace *trace = search->owner;
    if (trace->searched < trace->topics_count && trace->count < ROWS_MAX) {
        search_next(trace);
        return;
    }
    trace->call->api->questions--;
    trace->call->api->searches--;
    finish(trace);
}

/* ---- the question ---- */

/* Where the events of the client's group go, and where they went before it had a rule. */
static void choose_topics(struct trace *trace, struct rc_slice client_id)
{
    const struct rc_api_call *call = trace->call;
    struct rc_slice group_id, device;
    const struct rc_group *group = NULL;
    if (rc_catalog_split_client_id(client_id, &group_id, &device) == RC_OK)
        group = rc_instance_group(call->instance, group_id);
    if (group == NULL)
        group = call->instance->group;
    struct rc_topic *topic = group != NULL ? rc_group_event_topic(call->catalog, group) : NULL;
    if (topic != NULL)
        trace->topics[trace->topics_count++] = topic;
    if (call->catalog->presence_topic != NULL && call->catalog->presence_topic != topic)
        trace->topics[trace->topics_count++] = call->catalog->presence_topic;
}

static bool read_window(struct rc_api_call *call, struct trace *trace)
{
    struct rc_key_query *what = &trace->search.what;
    trace->page_size = PAGE_SIZE_MAX;
    if (!rc_api_call_need_int(call, "BeginTime", 0, INT64_MAX, &what->begin_ms) ||
        !rc_api_call_need_int(call, "EndTime", 0, INT64_MAX, &what->end_ms) ||
        !rc_api_call_need_int(call, "CurrentPage", 1, INT32_MAX, &trace->page) ||
        !rc_api_call_need_int(call, "PageSize", 1, PAGE_SIZE_MAX, &trace->page_size))
        return false;
    if (what->begin_ms <= what->end_ms)
        return true;
    rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s", "BeginTime is not after EndTime.");
    return false;
}

void rc_action_trace_device(struct rc_api_call *call)
{
    struct trace asked = {.call = call, .is_reversed = rc_api_call_flag(call, "Reverse")};
    const char *client_id = rc_api_call_need(call, "ClientId");
    if (client_id == NULL || !read_window(call, &asked))
        return;
    if (call->api->searches >= SEARCHES_MAX) {
        rc_api_call_fail(call, RC_API_THROTTLED, "%s", "Too many searches are under way.");
        return;
    }
    struct trace *trace = rc_new(struct trace);
    *trace = asked;
    rc_buf_init(&trace->key, 4 * RC_CLIENT_ID_MAX);
    choose_topics(trace, rc_slice_str(client_id));
    trace->rows = rc_calloc(ROWS_MAX, sizeof(*trace->rows));
    if (trace->topics_count == 0 || rc_event_put_keys(&trace->key, rc_slice_str(client_id)) != RC_OK) {
        finish(trace);
        return;
    }
    trace->search.what.key = rc_buf_slice(&trace->key);
    trace->search.visit = on_found;
    trace->search.on_done = on_done;
    trace->search.owner = trace;
    trace->search.reply_to = call->api->loop;
    call->api->questions++;
    call->api->searches++;
    search_next(trace);
}

void rc_action_trace_message(struct rc_api_call *call)
{
    rc_api_call_fail(call, RC_API_NOT_SUPPORTED, "%s",
                     "MQTT messages do not pass through the log, so there is no trace of them.");
}
