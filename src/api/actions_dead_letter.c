/* What a consumer group could not process: listed, and sent again. */
#include "api/actions.h"
#include "base/alloc.h"
#include "base/log.h"
#include "base/utf8.h"
#include "rocketmq/inspect.h"
#include "rocketmq/lookup.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE_MAX = 100,
    BODY_SHOWN_MAX = 16 * 1024, /* of each; more of it is left out */
    NAMED_MAX = 100,            /* letters that a call may name */
    ALL_MAX = 1000,             /* letters of a call that means all: the rest by NextToken */
    NAME_SIZE = 256,
    TOKEN_SIZE = 32,
};

/* The group's topic; *ret NULL: it has no dead letters yet. */
static int find_topic(struct rc_store_work *work, char name[NAME_SIZE], struct rc_topic **ret)
{
    int err = rc_store_check_group(work);
    if (err != RC_OK)
        return err;
    snprintf(name, NAME_SIZE, "%%DLQ%%%s", rc_params_get(&work->call->params, "ConsumerGroup"));
    *ret = rc_store_find_topic(work->store, rc_slice_str(name));
    return RC_OK;
}

/* A place in the topic: <queue>:<offset>. */
static int read_token(struct rc_store_work *work, uint32_t *ret_queue, uint64_t *ret_offset)
{
    const char *text = rc_params_get(&work->call->params, "NextToken");
    char *middle, *end = NULL;
    if (text == NULL || text[0] == '\0')
        return RC_OK;
    unsigned long queue = strtoul(text, &middle, 10);
    unsigned long long offset = *middle == ':' ? strtoull(middle + 1, &end, 10) : 0;
    if (end == NULL || end == middle + 1 || *end != '\0' || queue >= RC_STORE_QUEUES_PER_TOPIC_MAX)
        return rc_error_set(&work->error, RC_ERR_INVALID, "NextToken is not one that was given.");
    *ret_queue = (uint32_t)queue;
    *ret_offset = offset;
    return RC_OK;
}

static void tell_token(struct rc_store_work *work, uint32_t queue, uint64_t offset)
{
    char token[TOKEN_SIZE];
    snprintf(token, sizeof(token), "%u:%llu", queue, (unsigned long long)offset);
    json_object_set_new(work->call->answer, "NextToken", json_string(token));
}

/* ---- ListDeadLetters ---- */

/* Text as it is, other bytes as Base64; at most BODY_SHOWN_MAX of it. */
static void put_body(json_t *item, const struct rc_message *message)
{
    bool is_compressed = (message->sys_flag & RC_SYSFLAG_COMPRESSED) != 0;
    size_t len = message->body.len < BODY_SHOWN_MAX ? message->body.len : BODY_SHOWN_MAX;
    struct rc_slice shown = rc_slice(message->body.ptr, len);
    json_object_set_new(item, "BodySize", json_integer((json_int_t)message->body.len));
    json_object_set_new(item, "BodyCut", json_boolean(len < message->body.len));
    json_object_set_new(item, "BodyCompressed", json_boolean(is_compressed));
    if (!is_compressed && len == message->body.len && rc_utf8_is_valid(shown) &&
        memchr(shown.ptr, 0, len) == NULL) {
        json_object_set_new(item, "Body", rc_api_text(shown));
        return;
    }
    char *text = rc_malloc(4 * ((len + 2) / 3) + 1);
    int written = EVP_EncodeBlock((uint8_t *)text, shown.ptr, (int)len);
    json_object_set_new(item, "BodyBase64", json_stringn(text, (size_t)written));
    free(text);
}

static json_t *describe(const struct rc_message *message)
{
    static const struct {
        const char *field, *property;
    } fields[] = {{"Keys", RC_PROP_KEYS},
                  {"Tags", RC_PROP_TAGS},
                  {"Topic", RC_PROP_RETRY_TOPIC},
                  {"UniqKey", RC_PROP_UNIQ_KEY},
                  {"OriginMsgId", RC_PROP_ORIGIN_MESSAGE_ID}};
    char id[RC_MESSAGE_ID_V6_LEN + 1];
    json_t *item = json_object();
    size_t len = rc_message_id_format(id, &message->store_host, message->physical_offset);
    json_object_set_new(item, "MsgId", json_stringn(id, len));
    json_object_set_new(item, "StoreTime", json_integer(message->store_ms));
    json_object_set_new(item, "ReconsumeTimes", json_integer(message->reconsume_times));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        json_object_set_new(item, fields[i].field,
                            rc_api_text(rc_props_get(message->props, fields[i].property)));
    put_body(item, message);
    return item;
}

/* From below `end` down; where the next page begins, or the queue's first offset. */
static uint64_t list_queue(struct rc_store *store, struct rc_queue *queue, uint64_t end, size_t most,
                           json_t *list)
{
    uint64_t min = rc_queue_min(queue), at = end < rc_queue_end(queue) ? end : rc_queue_end(queue);
    for (; at > min && json_array_size(list) < most; at--) {
        struct rc_queue_entry entry;
        struct rc_segment *segment;
        struct rc_message message;
        struct rc_slice record;
        if (rc_queue_read(queue, at - 1, &entry, 1) != 1 ||
            rc_store_view(store, entry.physical_offset, entry.size, &record, &segment) != RC_OK)
            continue;
        if (rc_message_decode(record, false, &message) > 0)
            json_array_append_new(list, describe(&message));
        rc_segment_release(segment);
    }
    return at;
}

static int read_most(struct rc_store_work *work, size_t *ret)
{
    const char *text = rc_params_get(&work->call->params, "MaxResults");
    char *end = NULL;
    long most = text != NULL && text[0] != '\0' ? strtol(text, &end, 10) : PAGE_MAX;
    if ((end != NULL && *end != '\0') || most < 1 || most > PAGE_MAX)
        return rc_error_set(&work->error, RC_ERR_INVALID, "MaxResults is 1 to %d.", PAGE_MAX);
    *ret = (size_t)most;
    return RC_OK;
}

/* The newest first. */
int rc_store_list_dead_letters(struct rc_store_work *work)
{
    char name[NAME_SIZE];
    struct rc_topic *topic = NULL;
    json_t *list = json_array();
    uint64_t total = 0, end = UINT64_MAX;
    uint32_t from = 0;
    size_t most = 0;
    json_object_set_new(work->call->answer, "DeadLetters", list);
    int err = find_topic(work, name, &topic);
    err = err ? err : read_most(work, &most);
    err = err ? err : read_token(work, &from, &end);
    if (err != RC_OK)
        return err;
    uint32_t queues = topic != NULL ? rc_topic_queue_count(topic) : 0;
    bool is_told = false;
    for (uint32_t i = 0; i < queues; i++) {
        struct rc_queue *queue = rc_topic_queue(topic, i);
        total += rc_queue_end(queue) - rc_queue_min(queue);
        if (i < from || is_told)
            continue;
        uint64_t at = list_queue(work->store, queue, i == from ? end : UINT64_MAX, most, list);
        is_told = json_array_size(list) == most && (at > rc_queue_min(queue) || i + 1 < queues);
        if (is_told)
            tell_token(work, i, at);
    }
    json_object_set_new(work->call->answer, "Topic", json_string(name));
    json_object_set_new(work->call->answer, "Total", json_integer((json_int_t)total));
    return RC_OK;
}

/* ---- ResendDeadLetters: the letters are found where files may be waited for, then the endpoint sends ----
 */

struct resend {
    struct rc_resend order;
    uint32_t count;
    uint64_t places[ALL_MAX];
};

/* One that was named must be of this group. */
static int add_named(struct rc_store_work *work, const char *topic, struct rc_slice id, struct resend *resend)
{
    char text[80];
    struct rc_host host;
    uint64_t physical;
    struct rc_message message;
    struct rc_slice record;
    struct rc_segment *segment;
    if (resend->count == NAMED_MAX)
        return rc_error_set(&work->error, RC_ERR_INVALID, "A call names at most %d letters.", NAMED_MAX);
    rc_log_quote(text, sizeof(text), id);
    if (rc_message_id_parse(id, &host, &physical) != RC_OK)
        return rc_error_set(&work->error, RC_ERR_INVALID, "%s is no MsgId.", text);
    bool is_there = rc_lookup(work->store, physical, &message, &record, &segment) == RC_OK;
    bool is_letter = is_there && rc_slice_eq_str(message.topic, topic);
    if (is_there)
        rc_segment_release(segment);
    if (!is_letter)
        return rc_error_set(&work->error, RC_ERR_NOT_FOUND, "The group has no dead letter %s.", text);
    resend->places[resend->count++] = physical;
    return RC_OK;
}

static int add_all_named(struct rc_store_work *work, const char *topic, const char *ids,
                         struct resend *resend)
{
    int err = RC_OK;
    for (const char *at = ids; err == RC_OK && at != NULL;) {
        size_t len = strcspn(at, ",");
        err = add_named(work, topic, rc_slice(at, len), resend);
        at = at[len] == ',' ? at + len + 1 : NULL;
    }
    return err;
}

/* The oldest first, from `offset` on; where the next call goes on. */
static uint64_t add_queue(struct rc_queue *queue, uint64_t offset, struct resend *resend)
{
    uint64_t min = rc_queue_min(queue), end = rc_queue_end(queue);
    uint64_t at = offset > min ? offset : min;
    for (; at < end && resend->count < ALL_MAX; at++) {
        struct rc_queue_entry entry;
        if (rc_queue_read(queue, at, &entry, 1) == 1)
            resend->places[resend->count++] = entry.physical_offset;
    }
    return at;
}

/* All that were given up since then. */
static int read_since(struct rc_store_work *work, int64_t *ret)
{
    const char *text = rc_params_get(&work->call->params, "Since");
    char *end = NULL;
    long long ms = text != NULL && text[0] != '\0' ? strtoll(text, &end, 10) : 0;
    if ((end != NULL && *end != '\0') || ms < 0)
        return rc_error_set(&work->error, RC_ERR_INVALID, "Since is in milliseconds since 1970.");
    *ret = ms;
    return RC_OK;
}

static int add_all(struct rc_store_work *work, struct rc_topic *topic, struct resend *resend)
{
    int64_t since = 0;
    uint32_t from = 0, queues = topic != NULL ? rc_topic_queue_count(topic) : 0;
    uint64_t offset = 0;
    int err = read_since(work, &since);
    err = err ? err : read_token(work, &from, &offset);
    for (uint32_t i = from; err == RC_OK && i < queues; i++) {
        struct rc_queue *queue = rc_topic_queue(topic, i);
        uint64_t first = since > 0 ? rc_queue_search(queue, since) : 0;
        uint64_t at = add_queue(queue, i == from && offset > first ? offset : first, resend);
        if (at < rc_queue_end(queue) || (resend->count == ALL_MAX && i + 1 < queues)) {
            tell_token(work, i, at);
            break;
        }
    }
    return err;
}

static void on_sent(struct rc_resend *order)
{
    struct resend *resend = rc_container_of(order, struct resend, order);
    struct rc_api_call *call = order->owner;
    call->api->questions--;
    rc_log_info("rocketmq", "%u of %u dead letters of %.*s were sent again", order->sent, order->count,
                RC_SLICE_FMT(order->group));
    json_object_set_new(call->answer, "Sent", json_integer(order->sent));
    if (order->err == RC_OK) {
        rc_api_call_finish(call);
    } else {
        char text[160];
        snprintf(text, sizeof(text), "%u of %u were sent again: %s.", order->sent, order->count,
                 order->err == RC_ERR_TOO_LARGE ? "the next one is too large for the log"
                                                : "the log takes no more now");
        rc_api_call_fail_err(call, order->err, text);
    }
    free(resend);
}

static void send_found(struct rc_api_call *call, void *arg)
{
    struct resend *resend = arg;
    resend->order = (struct rc_resend){
        .group = rc_slice_str(rc_params_get(&call->params, "ConsumerGroup")),
        .physical = resend->places,
        .count = resend->count,
        .reply_to = call->api->loop,
        .on_done = on_sent,
        .owner = call,
    };
    call->api->questions++;
    rc_endpoint_resend(call->api->options.endpoint, &resend->order);
}

int rc_store_resend_dead_letters(struct rc_store_work *work)
{
    char name[NAME_SIZE];
    struct rc_topic *topic = NULL;
    const struct rc_params *params = &work->call->params;
    struct rc_slice ids = rc_params_text(params, "MsgIds");
    int err = find_topic(work, name, &topic);
    if (err == RC_OK && (ids.len > 0) == rc_api_call_flag(work->call, "All"))
        err = rc_error_set(&work->error, RC_ERR_INVALID, "MsgIds is needed, or All=true, not both.");
    if (err != RC_OK)
        return err;
    struct resend *resend = rc_new(struct resend);
    err =
        ids.len > 0 ? add_all_named(work, name, (const char *)ids.ptr, resend) : add_all(work, topic, resend);
    if (err != RC_OK) {
        free(resend);
        return err;
    }
    work->then = send_found;
    work->then_arg = resend;
    return RC_OK;
}
