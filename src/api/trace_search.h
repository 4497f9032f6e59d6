/*
 * A question for a trace: records of the log that bear a key, in the order of their time, a page of them. On
 * the API's thread, but for `read`.
 */
#ifndef RC_API_TRACE_SEARCH_H
#define RC_API_TRACE_SEARCH_H

#include "api/openapi_call.h"
#include "rocketmq/inspect.h"

enum {
    RC_TRACE_ROWS_MAX = 10000,                         /* of one question; older ones are not counted */
    RC_TRACE_TOPICS_MAX = 1 + RC_KEY_INDEX_OTHERS_MAX, /* that are looked through for one */
};

struct rc_trace_row;

struct rc_trace_search {
    struct rc_key_search search;
    struct rc_api_call *call;
    struct rc_buf key;
    struct rc_slice topics[RC_TRACE_TOPICS_MAX]; /* live as long as the store, or as the call's catalog */
    uint32_t topics_count;
    /* What is told of a record, and when it was; NULL: it is not what was asked for. On the worker's thread.
     */
    json_t *(*read)(const struct rc_trace_search *search, const struct rc_message *message,
                    int64_t *ret_time_ms);
    const char *list; /* the answer's name for the rows */
    bool is_paged;
    struct rc_trace_row *rows;
    uint32_t count;
    int64_t page, page_size;
    bool is_reversed;
};

/*
 * Reads the time asked for and the page from the call's parameters. NULL when the call was answered with an
 * error, and is gone. The caller sets key and topics, then runs it.
 */
struct rc_trace_search *rc_trace_search_create(struct rc_api_call *call, bool is_paged);
void rc_trace_search_add_topic(struct rc_trace_search *search, struct rc_slice topic); /* once; full: not */
/* Answers the call. Without topics there is nothing to find. */
void rc_trace_search_run(struct rc_trace_search *search);

/* ---- parts of rows ---- */
json_t *rc_trace_time(int64_t ms);
/* Action, ActionCode and ActionInfo. */
void rc_trace_put_action(json_t *row, const char *action, const char *code, const char *info);

#endif
