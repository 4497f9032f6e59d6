/*
 * Pulling: from the queue's entries to the log's bytes, unchanged. A pull at the end of its queue is held
 * until the queue grows or its time is over. A held pull moves past messages that its filter does not take,
 * so it is answered once, not for every message of others.
 */
#include "rocketmq/endpoint_private.h"

#include "base/alloc.h"
#include "base/log.h"

enum {
    SYSFLAG_COMMIT = 1,
    SYSFLAG_SUSPEND = 2,
    SYSFLAG_SUBSCRIPTION = 4,
    SUSPEND_MAX_MS = 60000,
    ENTRIES_AT_ONCE = 64
};
enum { SCAN_MAX = 16 * 1024 }; /* entries that one attempt looks at before it lets others run */

struct pull {
    struct rc_queue *queue;
    uint64_t offset;
    uint32_t messages_max;
    bool takes_all;
    uint32_t codes_count;
    int32_t *codes; /* the filter as it was when the pull came */
    int32_t opaque;
    uint8_t serialization;
};

struct hold {
    struct rc_list queue_node, peer_node;
    struct rc_timer timer;
    struct rc_peer *peer;
    struct rc_endpoint *endpoint;
    struct pull pull;
};

struct rc_hold_queue {
    struct rc_queue *queue;
    struct rc_list holds;
};

static struct rc_slice hold_queue_key(const void *item)
{
    return rc_slice(&((const struct rc_hold_queue *)item)->queue, sizeof(struct rc_queue *));
}

/* ---- reading ---- */

struct found {
    uint32_t count;
    struct rc_slice views[RC_ENDPOINT_PULL_MESSAGES_MAX];
    struct rc_segment *segments[RC_ENDPOINT_PULL_MESSAGES_MAX];
    size_t bytes;
    uint64_t next_offset;
    int32_t code;
};

static bool filter_takes(const struct pull *pull, int64_t tags_code)
{
    if (pull->takes_all)
        return true;
    for (uint32_t i = 0; i < pull->codes_count; i++)
        if (pull->codes[i] == (int32_t)tags_code)
            return true;
    return false;
}

/* False when the batch is full. */
static bool add_entry(struct rc_endpoint *endpoint, const struct rc_queue_entry *entry,
                      const struct pull *pull, struct found *found)
{
    if (!filter_takes(pull, entry->tags_code))
        return true;
    if (found->count >= pull->messages_max ||
        (found->count > 0 && found->bytes + entry->size > RC_ENDPOINT_PULL_BYTES_MAX))
        return false;
    int err = rc_store_view(endpoint->options.store, entry->physical_offset, entry->size,
                            &found->views[found->count], &found->segments[found->count]);
    if (err != RC_OK)
        return true; /* retention took it in this moment */
    found->bytes += entry->size;
    found->count++;
    return true;
}

static void read_entries(struct rc_endpoint *endpoint, const struct pull *pull, struct found *found)
{
    struct rc_queue_entry entries[ENTRIES_AT_ONCE];
    for (uint32_t scanned = 0; scanned < SCAN_MAX;) {
        int count = rc_queue_read(pull->queue, found->next_offset, entries, ENTRIES_AT_ONCE);
        if (count <= 0)
            return;
        for (int i = 0; i < count; i++, found->next_offset++, scanned++)
            if (!add_entry(endpoint, &entries[i], pull, found))
                return;
    }
}

/* As a real broker answers: which code for which place. */
static void look(struct rc_endpoint *endpoint, const struct pull *pull, struct found *found)
{
    uint64_t min = rc_queue_min(pull->queue), end = rc_queue_end(pull->queue);
    found->count = 0;
    found->bytes = 0;
    found->next_offset = pull->offset;
    if (end == 0 && pull->offset > 0) {
        found->code = RC_RES_PULL_OFFSET_MOVED;
        found->next_offset = 0;
    } else if (pull->offset < min) {
        found->code = RC_RES_PULL_OFFSET_MOVED;
        found->next_offset = min;
    } else if (pull->offset > end) {
        found->code = RC_RES_PULL_OFFSET_MOVED;
        found->next_offset = min == 0 ? 0 : end;
    } else if (pull->offset == end) {
        found->code = RC_RES_PULL_NOT_FOUND;
    } else {
        read_entries(endpoint, pull, found);
        found->code = found->count > 0 ? RC_RES_SUCCESS : RC_RES_PULL_RETRY_IMMEDIATELY;
    }
}

/* ---- answering ---- */

static void release_segment(void *segment)
{
    rc_segment_release(segment);
}

static void answer(struct rc_endpoint *endpoint, struct rc_peer *peer, const struct pull *pull,
                   struct found *found)
{
    struct rc_remoting response, request = {.opaque = pull->opaque, .serialization = pull->serialization};
    struct rc_buf head;
    rc_remoting_response(&response, &request, found->code);
    rc_remoting_add_number(&response, "suggestWhichBrokerId", 0);
    rc_remoting_add_number(&response, "nextBeginOffset", (int64_t)found->next_offset);
    rc_remoting_add_number(&response, "minOffset", (int64_t)rc_queue_min(pull->queue));
    rc_remoting_add_number(&response, "maxOffset", (int64_t)rc_queue_end(pull->queue));
    if (found->code == RC_RES_SUCCESS)
        response.remark = rc_slice_str("FOUND");
    rc_buf_init(&head, RC_REMOTING_HEADER_MAX);
    rc_remoting_put_head(&head, &response, found->bytes);
    if (!peer->is_closed)
        rc_output_put(&peer->output, head.data, head.end);
    rc_buf_free(&head);
    for (uint32_t i = 0; i < found->count; i++) {
        if (peer->is_closed)
            rc_segment_release(found->segments[i]);
        else
            rc_output_put_ref(&peer->output, found->views[i], release_segment, found->segments[i]);
    }
    RC_COUNTER_ADD(endpoint, messages_out, found->count);
    RC_COUNTER_ADD(endpoint, bytes_out, found->bytes);
    rc_peer_touch(peer);
}

/* ---- holding ---- */

static void drop_hold(struct hold *hold)
{
    struct rc_endpoint *endpoint = hold->endpoint;
    struct rc_hold_queue *at =
        rc_map_find(&endpoint->holds, rc_slice(&hold->pull.queue, sizeof(struct rc_queue *)));
    rc_list_remove(&hold->queue_node);
    rc_list_remove(&hold->peer_node);
    rc_timer_stop(&hold->timer);
    if (at != NULL && rc_list_is_empty(&at->holds)) {
        rc_map_remove(&endpoint->holds, hold_queue_key(at));
        free(at);
    }
    RC_COUNTER_DOWN(endpoint, pulls_held);
    rc_peer_unref(hold->peer);
    free(hold->pull.codes);
    free(hold);
}

static void on_hold_over(struct rc_timer *timer)
{
    struct hold *hold = rc_container_of(timer, struct hold, timer);
    struct found found;
    look(hold->endpoint, &hold->pull, &found);
    answer(hold->endpoint, hold->peer, &hold->pull, &found);
    drop_hold(hold);
}

static void hold_pull(struct rc_endpoint *endpoint, struct rc_peer *peer, const struct pull *pull,
                      int64_t suspend_ms)
{
    struct rc_slice key = rc_slice(&pull->queue, sizeof(struct rc_queue *));
    struct rc_hold_queue *at = rc_map_find(&endpoint->holds, key);
    if (at == NULL) {
        at = rc_new(struct rc_hold_queue);
        at->queue = pull->queue;
        rc_list_init(&at->holds);
        rc_map_insert(&endpoint->holds, at);
    }
    struct hold *hold = rc_new(struct hold);
    hold->endpoint = endpoint;
    hold->peer = peer;
    hold->pull = *pull;
    hold->pull.codes = rc_malloc(pull->codes_count * sizeof(*pull->codes));
    memcpy(hold->pull.codes, pull->codes, pull->codes_count * sizeof(*pull->codes));
    rc_peer_ref(peer);
    rc_list_push_back(&at->holds, &hold->queue_node);
    rc_list_push_back(&peer->holds, &hold->peer_node);
    hold->timer.on_due = on_hold_over;
    rc_timer_start(endpoint->loop, &hold->timer, (uint64_t)suspend_ms);
    RC_COUNTER(endpoint, pulls_held);
}

void rc_pull_on_grown(struct rc_queue *queue, void *arg)
{
    struct rc_endpoint *endpoint = arg;
    struct rc_hold_queue *at = rc_map_find(&endpoint->holds, rc_slice(&queue, sizeof(queue)));
    if (at == NULL)
        return;
    rc_list_for_each_safe(node, &at->holds)
    {
        struct hold *hold = rc_container_of(node, struct hold, queue_node);
        bool is_last = node_next == &at->holds; /* dropping the last one may free `at` */
        struct found found;
        look(endpoint, &hold->pull, &found);
        if (found.code == RC_RES_PULL_NOT_FOUND || found.code == RC_RES_PULL_RETRY_IMMEDIATELY) {
            hold->pull.offset = found.next_offset;
        } else {
            answer(endpoint, hold->peer, &hold->pull, &found);
            drop_hold(hold);
        }
        if (is_last)
            return;
    }
}

void rc_pull_forget_peer(struct rc_peer *peer)
{
    while (!rc_list_is_empty(&peer->holds))
        drop_hold(rc_container_of(peer->holds.next, struct hold, peer_node));
}

void rc_pull_init(struct rc_endpoint *endpoint)
{
    rc_map_init(&endpoint->holds, hold_queue_key);
}

void rc_pull_free(struct rc_endpoint *endpoint)
{
    rc_map_free(&endpoint->holds); /* the holds went with their peers */
}

/* ---- the request ---- */

/* The filter that applies; NULL after the request was answered. `own` takes one that the request brings
 * itself. */
static const struct rc_tag_filter *choose_filter(const struct rc_request *request, struct rc_slice topic,
                                                 int64_t sys_flag, struct rc_tag_filter *own)
{
    const struct rc_remoting *command = request->command;
    struct rc_slice type = rc_remoting_get(command, "expressionType");
    if (type.len > 0 && !rc_slice_eq_str(type, "TAG")) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "only tag expressions are supported by this endpoint");
        return NULL;
    }
    if (sys_flag & SYSFLAG_SUBSCRIPTION) {
        if (rc_tag_filter_parse(rc_remoting_get(command, "subscription"), own))
            return own;
        rc_request_reply(request, RC_RES_SUBSCRIPTION_PARSE_FAILED, "the subscription names too many tags");
        return NULL;
    }
    struct rc_consumer_group *group =
        rc_group_find(request->endpoint, rc_remoting_get(command, "consumerGroup"));
    const struct rc_tag_filter *filter = group ? rc_group_filter(group, topic) : NULL;
    if (filter == NULL)
        rc_request_reply(request, RC_RES_SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist");
    else if (filter->version < rc_remoting_get_number(command, "subVersion", 0)) {
        rc_request_reply(request, RC_RES_SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
        return NULL;
    }
    return filter;
}

static void commit_offset(const struct rc_request *request, struct rc_queue *queue)
{
    int64_t offset = rc_remoting_get_number(request->command, "commitOffset", -1);
    struct rc_slice group = rc_remoting_get(request->command, "consumerGroup");
    if (offset >= 0 && group.len > 0)
        rc_offsets_set(request->endpoint->options.store, group, queue, (uint64_t)offset);
}

static int64_t suspend_ms(const struct rc_request *request, int64_t sys_flag)
{
    int64_t ms = rc_remoting_get_number(request->command, "suspendTimeoutMillis", 0);
    if (!(sys_flag & SYSFLAG_SUSPEND) || ms <= 0)
        return 0;
    if (atomic_load_explicit(&request->endpoint->counters.pulls_held, memory_order_relaxed) >=
        RC_ENDPOINT_HOLDS_MAX) {
        RC_COUNTER(request->endpoint, limits_hit);
        return 0;
    }
    return ms < SUSPEND_MAX_MS ? ms : SUSPEND_MAX_MS;
}

void rc_pull_handle(const struct rc_request *request)
{
    struct rc_endpoint *endpoint = request->endpoint;
    const struct rc_remoting *command = request->command;
    int64_t sys_flag = rc_remoting_get_number(command, "sysFlag", 0);
    int64_t messages = rc_remoting_get_number(command, "maxMsgNums", RC_ENDPOINT_PULL_MESSAGES_MAX);
    int64_t offset = rc_remoting_get_number(command, "queueOffset", -1);
    struct rc_tag_filter own;
    struct found found;
    RC_COUNTER(endpoint, pulls);
    struct rc_queue *queue = rc_request_queue(request);
    if (queue == NULL)
        return;
    const struct rc_tag_filter *filter =
        choose_filter(request, rc_topic_name(rc_queue_topic(queue)), sys_flag, &own);
    if (filter == NULL)
        return;
    if (sys_flag & SYSFLAG_COMMIT)
        commit_offset(request, queue);
    struct pull pull = {
        .queue = queue,
        .offset = offset < 0 ? 0 : (uint64_t)offset,
        .messages_max = messages < 1 || messages > RC_ENDPOINT_PULL_MESSAGES_MAX
                            ? RC_ENDPOINT_PULL_MESSAGES_MAX
                            : (uint32_t)messages,
        .takes_all = filter->takes_all,
        .codes_count = filter->codes_count,
        .codes = (int32_t *)(uintptr_t)filter->codes,
        .opaque = command->opaque,
        .serialization = command->serialization,
    };
    look(endpoint, &pull, &found);
    int64_t wait_ms = found.code == RC_RES_PULL_NOT_FOUND ? suspend_ms(request, sys_flag) : 0;
    if (wait_ms > 0)
        hold_pull(endpoint, request->peer, &pull, wait_ms);
    else
        answer(endpoint, request->peer, &pull, &found);
}
