/* Pulling: from the queue's entries to the log's bytes, unchanged. */
#include "rocketmq/pull.h"

#include "base/alloc.h"
#include "rocketmq/endpoint_private.h"

enum {
    SYSFLAG_COMMIT = 1,
    SYSFLAG_SUSPEND = 2,
    SYSFLAG_SUBSCRIPTION = 4,
    SUSPEND_MAX_MS = 60000,
    ENTRIES_AT_ONCE = 64,
    SCAN_MAX = 16 * 1024 /* entries that one look passes over before it lets others run */
};

/* ---- looking ---- */

/* False when the batch is full. */
static bool add_entry(struct rc_endpoint *endpoint, const struct rc_queue_entry *entry,
                      const struct rc_pull *pull, struct rc_pulled *pulled)
{
    if (!rc_tag_filter_takes(&pull->filter, entry->tags_code))
        return true;
    if (pulled->count >= pull->messages_max ||
        (pulled->count > 0 && pulled->bytes + entry->size > RC_ENDPOINT_PULL_BYTES_MAX))
        return false;
    int err = rc_store_view(endpoint->options.store, entry->physical_offset, entry->size,
                            &pulled->views[pulled->count], &pulled->segments[pulled->count]);
    if (err != RC_OK)
        return true; /* retention took it in this moment */
    pulled->bytes += entry->size;
    pulled->count++;
    return true;
}

static int read_entries(struct rc_endpoint *endpoint, const struct rc_pull *pull, struct rc_pulled *pulled)
{
    struct rc_queue_entry entries[ENTRIES_AT_ONCE];
    for (uint32_t scanned = 0; scanned < SCAN_MAX;) {
        int count = rc_queue_read(pull->queue, pulled->next_offset, entries, ENTRIES_AT_ONCE);
        if (count <= 0)
            return count;
        for (int i = 0; i < count; i++, pulled->next_offset++, scanned++)
            if (!add_entry(endpoint, &entries[i], pull, pulled))
                return RC_OK;
    }
    return RC_OK;
}

static void read_messages(struct rc_endpoint *endpoint, const struct rc_pull *pull, struct rc_pulled *pulled)
{
    int err = read_entries(endpoint, pull, pulled);
    if (pulled->count > 0)
        pulled->code = RC_RES_SUCCESS;
    else if (err == RC_OK || err == RC_ERR_RANGE)
        pulled->code = RC_RES_PULL_RETRY_IMMEDIATELY; /* none passed the filter, or retention was faster */
    else
        pulled->code = RC_RES_SYSTEM_ERROR; /* the client tries again, but not at once */
}

/* As a real broker answers: which code for which place. */
void rc_pull_look(struct rc_endpoint *endpoint, const struct rc_pull *pull, struct rc_pulled *ret)
{
    uint64_t min = rc_queue_min(pull->queue), end = rc_queue_end(pull->queue);
    ret->count = 0;
    ret->bytes = 0;
    ret->next_offset = pull->offset;
    ret->code = RC_RES_PULL_OFFSET_MOVED;
    if (end == 0 && pull->offset > 0)
        ret->next_offset = 0;
    else if (pull->offset < min)
        ret->next_offset = min;
    else if (pull->offset > end)
        ret->next_offset = min == 0 ? 0 : end;
    else if (pull->offset == end)
        ret->code = RC_RES_PULL_NOT_FOUND;
    else
        read_messages(endpoint, pull, ret);
}

/* ---- answering ---- */

static void release_segment(void *segment)
{
    rc_segment_release(segment);
}

static const char *remark_of(int32_t code)
{
    switch (code) {
    case RC_RES_SUCCESS:
        return "FOUND";
    case RC_RES_PULL_OFFSET_MOVED:
        return "OFFSET_MOVED";
    case RC_RES_PULL_RETRY_IMMEDIATELY:
        return "NO_MATCHED_MESSAGE";
    case RC_RES_PULL_NOT_FOUND:
        return "NO_NEW_MESSAGE";
    default:
        return "the queue cannot be read";
    }
}

void rc_pull_answer(struct rc_endpoint *endpoint, const struct rc_pull *pull, const struct rc_pulled *pulled)
{
    struct rc_peer *peer = pull->to.peer;
    struct rc_remoting response;
    rc_later_response(&pull->to, &response, pulled->code);
    rc_remoting_add_number(&response, "suggestWhichBrokerId", 0);
    rc_remoting_add_number(&response, "nextBeginOffset", (int64_t)pulled->next_offset);
    rc_remoting_add_number(&response, "minOffset", (int64_t)rc_queue_min(pull->queue));
    rc_remoting_add_number(&response, "maxOffset", (int64_t)rc_queue_end(pull->queue));
    response.remark = rc_slice_str(remark_of(pulled->code));
    bool is_sent = !pull->to.is_oneway && rc_peer_send_head(peer, &response, pulled->bytes);
    for (uint32_t i = 0; i < pulled->count; i++) {
        if (is_sent)
            rc_output_put_ref(&peer->output, pulled->views[i], release_segment, pulled->segments[i]);
        else
            rc_segment_release(pulled->segments[i]);
    }
    RC_COUNTER_ADD(endpoint, messages_out, pulled->count);
    RC_COUNTER_ADD(endpoint, bytes_out, pulled->bytes);
}

void rc_pull_done(struct rc_pull *pull)
{
    rc_later_done(&pull->to);
    rc_tag_filter_free(&pull->filter);
}

/* ---- the request ---- */

/* The filter that the request brings itself. */
static bool take_own_filter(const struct rc_request *request, struct rc_tag_filter *ret)
{
    if (rc_tag_filter_parse(rc_remoting_get(request->command, "subscription"), ret) == RC_OK)
        return true;
    rc_request_reply(request, RC_RES_SUBSCRIPTION_PARSE_FAILED, "the subscription names too many tags");
    return false;
}

/*
 * The filter that the client's heartbeat brought. A pull whose subscription is newer gets messages of every
 * tag until the heartbeat that tells has come: clients compare tags themselves. (Real brokers refuse it with
 * code 25. But clients renew a subscription's version with every change in their share of the queues, then
 * send a heartbeat only if none is under way, and if one is, would wait up to 30 s for their next message.)
 */
static bool take_groups_filter(const struct rc_request *request, struct rc_slice topic,
                               struct rc_tag_filter *ret)
{
    struct rc_slice name = rc_remoting_get(request->command, "consumerGroup");
    struct rc_consumer_group *group = rc_consumer_group_find(request->endpoint, name);
    const struct rc_subscription *subscription = group ? rc_consumer_group_subscription(group, topic) : NULL;
    if (group == NULL) {
        rc_request_reply(request, RC_RES_SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist");
    } else if (subscription == NULL) {
        rc_request_reply(request, RC_RES_SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist");
    } else if (subscription->version < rc_remoting_get_number(request->command, "subVersion", 0)) {
        *ret = (struct rc_tag_filter){.takes_all = true};
        return true;
    } else {
        rc_tag_filter_copy(&subscription->filter, ret);
        return true;
    }
    return false;
}

/* False after the request was answered. */
static bool take_filter(const struct rc_request *request, const struct rc_queue *queue, int64_t sys_flag,
                        struct rc_tag_filter *ret)
{
    struct rc_slice type = rc_remoting_get(request->command, "expressionType");
    if (type.len > 0 && !rc_slice_eq_str(type, "TAG")) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "only tag expressions are supported by this endpoint");
        return false;
    }
    if (sys_flag & SYSFLAG_SUBSCRIPTION)
        return take_own_filter(request, ret);
    return take_groups_filter(request, rc_topic_name(rc_queue_topic(queue)), ret);
}

static void commit_offset(const struct rc_request *request, struct rc_queue *queue)
{
    int64_t offset = rc_remoting_get_number(request->command, "commitOffset", -1);
    struct rc_slice group = rc_remoting_get(request->command, "consumerGroup");
    if (offset >= 0 && group.len > 0)
        rc_offsets_set(request->endpoint->options.store, group, queue, (uint64_t)offset);
}

static uint64_t suspend_ms(const struct rc_request *request, int64_t sys_flag)
{
    int64_t ms = rc_remoting_get_number(request->command, "suspendTimeoutMillis", 0);
    if (!(sys_flag & SYSFLAG_SUSPEND) || ms <= 0)
        return 0;
    return ms < SUSPEND_MAX_MS ? (uint64_t)ms : SUSPEND_MAX_MS;
}

static bool may_hold(const struct rc_request *request)
{
    const struct rc_endpoint *endpoint = request->endpoint;
    uint64_t held = atomic_load_explicit(&endpoint->counters.pulls_held, memory_order_relaxed);
    return held < RC_ENDPOINT_HOLDS_MAX && request->peer->holds_count < RC_ENDPOINT_PEER_HOLDS_MAX;
}

static void carry_out(const struct rc_request *request, struct rc_pull *pull, uint64_t wait_ms)
{
    struct rc_pulled pulled;
    rc_pull_look(request->endpoint, pull, &pulled);
    if (pulled.code != RC_RES_PULL_NOT_FOUND || wait_ms == 0) {
        rc_pull_answer(request->endpoint, pull, &pulled);
    } else if (may_hold(request)) {
        rc_hold_add(request->endpoint, pull, wait_ms);
        return;
    } else { /* answered at once the client would ask again at once; after an error it waits */
        RC_COUNTER(request->endpoint, limits_hit);
        rc_request_reply(request, RC_RES_SYSTEM_BUSY, "too many pulls are waiting");
    }
    rc_pull_done(pull);
}

void rc_pull_handle(const struct rc_request *request)
{
    const struct rc_remoting *command = request->command;
    int64_t sys_flag = rc_remoting_get_number(command, "sysFlag", 0);
    int64_t messages = rc_remoting_get_number(command, "maxMsgNums", RC_ENDPOINT_PULL_MESSAGES_MAX);
    int64_t offset = rc_remoting_get_number(command, "queueOffset", -1);
    struct rc_pull pull = {.offset = offset < 0 ? 0 : (uint64_t)offset,
                           .messages_max = RC_ENDPOINT_PULL_MESSAGES_MAX};
    RC_COUNTER(request->endpoint, pulls);
    pull.queue = rc_request_queue(request);
    if (pull.queue == NULL || !take_filter(request, pull.queue, sys_flag, &pull.filter))
        return;
    if (messages >= 1 && messages < RC_ENDPOINT_PULL_MESSAGES_MAX)
        pull.messages_max = (uint32_t)messages;
    if ((sys_flag & SYSFLAG_COMMIT) && !rc_tenancy_is_reader(request))
        commit_offset(request, pull.queue);
    rc_later_take(&pull.to, request);
    carry_out(request, &pull, suspend_ms(request, sys_flag));
}
