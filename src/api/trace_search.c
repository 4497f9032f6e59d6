#include "api/trace_search.h"

#include "api/actions.h"
#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SEARCHES_MAX = 64,   /* at once */
    PAGE_SIZE_MAX = 100, /* as the product documents it */
};

struct rc_trace_row {
    int64_t time_ms;
    uint64_t position;
    json_t *item;
};

/* ---- parts of rows ---- */

json_t *rc_trace_time(int64_t ms)
{
    char text[32];
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    localtime_r(&seconds, &local);
    size_t len = strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
    snprintf(text + len, sizeof(text) - len, ".%03d", (int)(ms % 1000));
    return json_string(text);
}

void rc_trace_put_action(json_t *row, const char *action, const char *code, const char *info)
{
    char text[64];
    snprintf(text, sizeof(text), "mqtt.trace.action.%s", code);
    json_object_set_new(row, "Action", json_string(action));
    json_object_set_new(row, "ActionCode", json_string(text));
    json_object_set_new(row, "ActionInfo", json_string(info));
}

/* ---- the answer ---- */

static int by_time(const void *a, const void *b)
{
    const struct rc_trace_row *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    return left->position < right->position ? -1 : left->position > right->position;
}

static void put_page(struct rc_trace_search *search, json_t *list)
{
    int64_t first = search->is_paged ? (search->page - 1) * search->page_size : 0;
    int64_t size = search->is_paged ? search->page_size : search->count;
    for (int64_t i = first; i < first + size && i < search->count; i++) {
        const struct rc_trace_row *row = &search->rows[search->is_reversed ? search->count - 1 - i : i];
        json_array_append(list, row->item);
    }
}

static void finish(struct rc_trace_search *search)
{
    struct rc_api_call *call = search->call;
    json_t *list = json_array();
    if (search->count > 1)
        qsort(search->rows, search->count, sizeof(*search->rows), by_time);
    put_page(search, list);
    json_object_set_new(call->answer, search->list, list);
    if (search->is_paged) {
        json_object_set_new(call->answer, "CurrentPage", json_integer(search->page));
        json_object_set_new(call->answer, "PageSize", json_integer(search->page_size));
        json_object_set_new(call->answer, "Total", json_integer(search->count));
    }
    rc_api_call_finish(call);
    for (uint32_t i = 0; i < search->count; i++)
        json_decref(search->rows[i].item);
    free(search->rows);
    rc_buf_free(&search->key);
    free(search);
}

/* ---- the search ---- */

/* The worker's thread. */
static bool on_found(const struct rc_message *message, struct rc_slice record, void *owner)
{
    struct rc_trace_search *search = owner;
    int64_t time_ms;
    json_t *item = search->read(search, message, &time_ms);
    if (item == NULL)
        return true;
    search->rows[search->count++] = (struct rc_trace_row){time_ms, message->physical_offset, item};
    return search->count < RC_TRACE_ROWS_MAX;
}

static void on_done(struct rc_key_search *key_search)
{
    struct rc_trace_search *search = key_search->owner;
    search->call->api->questions--;
    search->call->api->searches--;
    finish(search);
}

void rc_trace_search_add_topic(struct rc_trace_search *search, struct rc_slice topic)
{
    for (uint32_t i = 0; i < search->topics_count; i++)
        if (rc_slice_eq(search->topics[i], topic))
            return;
    if (search->topics_count < RC_TRACE_TOPICS_MAX)
        search->topics[search->topics_count++] = topic;
}

void rc_trace_search_run(struct rc_trace_search *search)
{
    struct rc_api *api = search->call->api;
    if (search->topics_count == 0 || rc_buf_len(&search->key) == 0) {
        finish(search);
        return;
    }
    search->rows = rc_calloc(RC_TRACE_ROWS_MAX, sizeof(*search->rows));
    search->search.what.key = rc_buf_slice(&search->key);
    search->search.what.topic = search->topics[0];
    search->search.what.others = search->topics + 1;
    search->search.what.others_count = search->topics_count - 1;
    search->search.visit = on_found;
    search->search.on_done = on_done;
    search->search.owner = search;
    search->search.reply_to = api->loop;
    api->questions++;
    api->searches++;
    rc_endpoint_search(api->options.endpoint, &search->search);
}

/* ---- the question ---- */

static bool read_window(struct rc_api_call *call, struct rc_trace_search *asked)
{
    struct rc_key_query *what = &asked->search.what;
    if (!rc_api_call_need_int(call, "BeginTime", 0, INT64_MAX, &what->begin_ms) ||
        !rc_api_call_need_int(call, "EndTime", 0, INT64_MAX, &what->end_ms))
        return false;
    if (what->begin_ms <= what->end_ms)
        return true;
    rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s", "BeginTime is not after EndTime.");
    return false;
}

struct rc_trace_search *rc_trace_search_create(struct rc_api_call *call, bool is_paged)
{
    struct rc_trace_search *search = rc_new(struct rc_trace_search);
    search->call = call;
    search->is_paged = is_paged;
    search->is_reversed = rc_api_call_flag(call, "Reverse");
    rc_buf_init(&search->key, 4 * RC_CLIENT_ID_MAX);
    bool is_sound = read_window(call, search);
    if (is_sound && is_paged)
        is_sound = rc_api_call_need_int(call, "CurrentPage", 1, INT32_MAX, &search->page) &&
                   rc_api_call_need_int(call, "PageSize", 1, PAGE_SIZE_MAX, &search->page_size);
    if (is_sound && call->api->searches >= SEARCHES_MAX) {
        rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many searches are under way.");
        is_sound = false;
    }
    if (is_sound)
        return search;
    rc_buf_free(&search->key);
    free(search);
    return NULL;
}
