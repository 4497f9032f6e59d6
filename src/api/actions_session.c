/*
 * Who is online: questions to the shards that own the clients. A call with clients of several shards asks
 * each for its own, and is answered when the last has answered.
 */
#include "api/actions.h"
#include "base/alloc.h"
#include "base/hex.h"
#include "broker/roll.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH_MAX = 10,        /* as the product documents it */
    QUESTIONS_MAX = 10000, /* under way, of all calls */
    PAGE_MAX = RC_ROLL_CLIENTS_MAX,
    PAGE_DEFAULT = 100,
};

/* A call that waits for shards. */
struct inquiry {
    struct rc_api_call *call;
    struct rc_roll_question questions[RC_BROKER_SHARDS_MAX];
    struct rc_roll_client *clients; /* by shard, each shard's together */
    uint32_t clients_count, waiting, page_size, shard;
    uint64_t count, position;
    void (*finish)(struct inquiry *inquiry);
};

static json_t *text(struct rc_slice slice)
{
    return json_stringn((const char *)slice.ptr, slice.len);
}

static struct inquiry *inquiry_create(struct rc_api_call *call, uint32_t clients,
                                      void (*finish)(struct inquiry *inquiry))
{
    struct inquiry *inquiry = rc_new(struct inquiry);
    inquiry->call = call;
    inquiry->clients = rc_calloc(clients > 0 ? clients : 1, sizeof(*inquiry->clients));
    inquiry->position = UINT64_MAX;
    inquiry->finish = finish;
    return inquiry;
}

static void inquiry_free(struct inquiry *inquiry)
{
    for (uint32_t i = 0; i < RC_BROKER_SHARDS_MAX; i++)
        rc_buf_free(&inquiry->questions[i].text);
    free(inquiry->clients);
    free(inquiry);
}

static void on_answer(struct rc_roll_question *question)
{
    struct inquiry *inquiry = question->owner;
    inquiry->call->api->questions--;
    inquiry->count += question->count;
    if (question->position < inquiry->position)
        inquiry->position = question->position;
    if (--inquiry->waiting > 0)
        return;
    inquiry->finish(inquiry);
    inquiry_free(inquiry);
}

static void ask(struct inquiry *inquiry, uint32_t shard, enum rc_roll_kind kind)
{
    struct rc_roll_question *question = &inquiry->questions[shard];
    struct rc_api *api = inquiry->call->api;
    question->kind = kind;
    question->instance = inquiry->call->instance->id;
    question->reply_to = api->loop;
    question->on_answer = on_answer;
    question->owner = inquiry;
    inquiry->waiting++;
    api->questions++;
    rc_roll_ask(api->options.brokers[shard], question);
}

/* False when the call was answered: too many wait already. */
static bool may_ask(struct rc_api_call *call)
{
    if (call->api->questions < QUESTIONS_MAX)
        return true;
    rc_api_call_fail(call, RC_API_OVERLOADED, "%s", "Too many questions are under way.");
    return false;
}

static uint32_t shard_of(const struct rc_api_call *call, const char *client_id)
{
    return rc_broker_shard_of(call->instance->id, rc_slice_str(client_id), call->api->options.shards);
}

/* Asks each shard for those of the clients that are its own. `ids` live with the call. */
static void ask_for(struct inquiry *inquiry, const char *const *ids, uint32_t count, enum rc_roll_kind kind)
{
    uint32_t filled = 0, shards = inquiry->call->api->options.shards;
    inquiry->clients_count = count;
    for (uint32_t shard = 0; shard < shards; shard++) {
        struct rc_roll_question *question = &inquiry->questions[shard];
        question->clients = &inquiry->clients[filled];
        for (uint32_t i = 0; i < count; i++)
            if (shard_of(inquiry->call, ids[i]) == shard)
                question->clients[question->clients_count++].client_id = rc_slice_str(ids[i]);
        filled += question->clients_count;
    }
    inquiry->waiting = 1; /* an answer cannot come before this turn ends, but the count must not touch 0 */
    for (uint32_t shard = 0; shard < shards; shard++)
        if (inquiry->questions[shard].clients_count > 0)
            ask(inquiry, shard, kind);
    inquiry->waiting--;
}

/* ---- the product's actions ---- */

static void finish_query(struct inquiry *inquiry)
{
    struct rc_api_call *call = inquiry->call;
    json_object_set_new(call->answer, "OnlineStatus", json_boolean(inquiry->clients[0].is_online));
    rc_api_call_finish(call);
}

void rc_action_query_session(struct rc_api_call *call)
{
    const char *client_id = rc_api_call_need(call, "ClientId");
    if (client_id != NULL && may_ask(call))
        ask_for(inquiry_create(call, 1, finish_query), &client_id, 1, RC_ROLL_LOOK_UP);
}

static void finish_batch(struct inquiry *inquiry)
{
    struct rc_api_call *call = inquiry->call;
    json_t *list = json_array();
    for (uint32_t i = 0; i < inquiry->clients_count; i++) {
        json_t *item = json_object();
        json_object_set_new(item, "ClientId", text(inquiry->clients[i].client_id));
        json_object_set_new(item, "OnlineStatus", json_boolean(inquiry->clients[i].is_online));
        json_array_append_new(list, item);
    }
    json_object_set_new(call->answer, "OnlineStatusList", list);
    rc_api_call_finish(call);
}

/* ClientIdList.1, .2, ...: how many; 0 when the call was answered, there were none or more than `max`. */
static uint32_t read_clients(struct rc_api_call *call, const char **ids, uint32_t max)
{
    uint32_t count = 0;
    const char *id;
    while ((id = rc_params_get_nth(&call->params, "ClientIdList", count + 1)) != NULL) {
        if (count == max) {
            rc_api_call_fail(call, RC_API_CHECK_FAILED, "ClientIdList takes at most %u.", max);
            return 0;
        }
        ids[count++] = id;
    }
    if (count == 0)
        rc_api_call_fail(call, RC_API_MISSING_PARAMETER, "It is %s.", "ClientIdList");
    return count;
}

void rc_action_batch_query_session(struct rc_api_call *call)
{
    const char *ids[BATCH_MAX];
    uint32_t count = read_clients(call, ids, BATCH_MAX);
    if (count > 0 && may_ask(call))
        ask_for(inquiry_create(call, count, finish_batch), ids, count, RC_ROLL_LOOK_UP);
}

static void finish_close(struct inquiry *inquiry)
{
    json_t *answer = inquiry->call->answer;
    json_object_set_new(answer, "Code", json_integer(200));
    json_object_set_new(answer, "Success", json_true());
    json_object_set_new(answer, "Message", json_string("operation success."));
    rc_api_call_finish(inquiry->call);
}

void rc_action_close_connection(struct rc_api_call *call)
{
    const char *client_id = rc_api_call_need(call, "ClientId");
    if (client_id != NULL && may_ask(call))
        ask_for(inquiry_create(call, 1, finish_close), &client_id, 1, RC_ROLL_CLOSE);
}

/* ---- Rollcall's own: the roll ---- */

/* GroupId, "" when it is not given. False when the call was answered: there is no such group. */
static bool read_group(struct rc_api_call *call, struct rc_slice *ret)
{
    const char *group = rc_params_get(&call->params, "GroupId");
    *ret = rc_slice_str(group != NULL ? group : "");
    if (ret->len == 0 || rc_instance_group(call->instance, *ret) != NULL)
        return true;
    rc_api_call_fail(call, RC_API_CHECK_FAILED, "There is no group %.64s.", group);
    return false;
}

static void finish_count(struct inquiry *inquiry)
{
    json_object_set_new(inquiry->call->answer, "OnlineCount", json_integer((json_int_t)inquiry->count));
    json_object_set_new(inquiry->call->answer, "LogPosition", json_integer((json_int_t)inquiry->position));
    rc_api_call_finish(inquiry->call);
}

void rc_action_count_online_clients(struct rc_api_call *call)
{
    struct rc_slice group;
    if (!read_group(call, &group) || !may_ask(call))
        return;
    struct inquiry *inquiry = inquiry_create(call, 0, finish_count);
    inquiry->waiting = 1;
    for (uint32_t shard = 0; shard < call->api->options.shards; shard++) {
        inquiry->questions[shard].group = group;
        ask(inquiry, shard, RC_ROLL_COUNT);
    }
    inquiry->waiting--;
}

static json_t *describe(const struct rc_roll_client *client)
{
    char channel[2 * RC_CHANNEL_ID_LEN];
    json_t *item = json_object();
    rc_hex_lower(channel, client->channel_id, RC_CHANNEL_ID_LEN);
    json_object_set_new(item, "ClientId", text(client->client_id));
    json_object_set_new(item, "ChannelId", json_stringn(channel, sizeof(channel)));
    json_object_set_new(item, "Since", json_integer(client->since_ms));
    json_object_set_new(item, "LastActive", json_integer(client->last_active_ms));
    json_object_set_new(item, "ClientIp", json_string(client->client_ip));
    json_object_set_new(item, "Protocol", json_string(client->protocol));
    return item;
}

static void finish_describe(struct inquiry *inquiry)
{
    struct rc_api_call *call = inquiry->call;
    json_t *list = json_array();
    for (uint32_t i = 0; i < inquiry->clients_count; i++) {
        const struct rc_roll_client *client = &inquiry->clients[i];
        json_t *item = client->is_online ? describe(client) : json_object();
        json_object_set_new(item, "ClientId", text(client->client_id));
        json_object_set_new(item, "OnlineStatus", json_boolean(client->is_online));
        json_array_append_new(list, item);
    }
    json_object_set_new(call->answer, "Clients", list);
    json_object_set_new(call->answer, "LogPosition", json_integer((json_int_t)inquiry->position));
    rc_api_call_finish(call);
}

void rc_action_describe_clients(struct rc_api_call *call)
{
    const char *ids[RC_ROLL_CLIENTS_MAX];
    uint32_t count = 1;
    ids[0] = rc_params_get(&call->params, "ClientId"); /* one alone, or a list */
    if (ids[0] == NULL || ids[0][0] == '\0')
        count = read_clients(call, ids, RC_ROLL_CLIENTS_MAX);
    if (count > 0 && may_ask(call))
        ask_for(inquiry_create(call, count, finish_describe), ids, count, RC_ROLL_LOOK_UP);
}

/* Where a consumer of the group's events goes on from what the answer says: an offset for each queue. */
static void put_queues(struct inquiry *inquiry)
{
    struct rc_api_call *call = inquiry->call;
    struct rc_slice group_id = inquiry->questions[inquiry->shard].group;
    const struct rc_group *group = rc_instance_group(call->instance, group_id);
    if (group == NULL)
        return; /* several groups may have several topics: LogPosition is for all of them */
    struct rc_topic *topic = rc_group_event_topic(call->catalog, group);
    json_t *queues = json_array();
    for (uint32_t i = 0; i < rc_topic_queue_count(topic); i++) {
        json_t *item = json_object();
        uint64_t offset = rc_queue_seek(rc_topic_queue(topic, i), inquiry->position);
        json_object_set_new(item, "QueueId", json_integer(i));
        json_object_set_new(item, "Offset", json_integer((json_int_t)offset));
        json_array_append_new(queues, item);
    }
    json_object_set_new(call->answer, "Topic", text(rc_topic_name(topic)));
    json_object_set_new(call->answer, "Queues", queues);
}

/* The token says where to go on: shard and cursor; and the position of the first page, which is the one of
 * all. */
static void finish_page(struct inquiry *inquiry)
{
    struct rc_api_call *call = inquiry->call;
    const struct rc_roll_question *question = &inquiry->questions[inquiry->shard];
    json_t *list = json_array();
    char token[64] = "";
    for (uint32_t i = 0; i < question->clients_count; i++)
        json_array_append_new(list, describe(&question->clients[i]));
    uint32_t shard = question->cursor != 0 ? inquiry->shard : inquiry->shard + 1;
    if (shard < call->api->options.shards)
        snprintf(token, sizeof(token), "%x-%llx-%llx", shard, (unsigned long long)question->cursor,
                 (unsigned long long)inquiry->position);
    put_queues(inquiry);
    json_object_set_new(call->answer, "Clients", list);
    json_object_set_new(call->answer, "NextToken", json_string(token));
    json_object_set_new(call->answer, "LogPosition", json_integer((json_int_t)inquiry->position));
    rc_api_call_finish(call);
}

/* Reads up to 16 hex digits and the character behind them. */
static bool take_hex(const char **at, char end, uint64_t *ret)
{
    size_t len = strspn(*at, "0123456789abcdef");
    if (len == 0 || len > 16 || (*at)[len] != end)
        return false;
    *ret = strtoull(*at, NULL, 16);
    *at += len + (end != '\0' ? 1 : 0);
    return true;
}

/* False when it is not one that was given out. */
static bool read_token(struct inquiry *inquiry, const char *token, uint64_t *ret_cursor)
{
    uint64_t shard, cursor, position;
    if (token == NULL || token[0] == '\0')
        return true;
    if (!take_hex(&token, '-', &shard) || !take_hex(&token, '-', &cursor) ||
        !take_hex(&token, '\0', &position) || shard >= inquiry->call->api->options.shards)
        return false;
    inquiry->shard = (uint32_t)shard;
    inquiry->position = position;
    *ret_cursor = cursor;
    return true;
}

static uint32_t read_page_size(const struct rc_api_call *call)
{
    const char *size = rc_params_get(&call->params, "MaxResults");
    char *end = NULL;
    long wanted = size != NULL ? strtol(size, &end, 10) : PAGE_DEFAULT;
    if (end != NULL && *end != '\0')
        return 0;
    return wanted >= 1 && wanted <= PAGE_MAX ? (uint32_t)wanted : 0;
}

void rc_action_list_online_clients(struct rc_api_call *call)
{
    struct rc_slice group;
    uint64_t cursor = 0;
    uint32_t page_size = read_page_size(call);
    if (page_size == 0) {
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "MaxResults is 1 to %d.", PAGE_MAX);
        return;
    }
    if (!read_group(call, &group) || !may_ask(call))
        return;
    struct inquiry *inquiry = inquiry_create(call, page_size, finish_page);
    if (!read_token(inquiry, rc_params_get(&call->params, "NextToken"), &cursor)) {
        inquiry_free(inquiry);
        rc_api_call_fail(call, RC_API_CHECK_FAILED, "%s", "NextToken is not one that was given.");
        return;
    }
    struct rc_roll_question *question = &inquiry->questions[inquiry->shard];
    question->group = group;
    question->cursor = cursor;
    question->clients = inquiry->clients;
    question->clients_count = page_size;
    rc_buf_init(&question->text, RC_ROLL_TEXT_MAX);
    ask(inquiry, inquiry->shard, RC_ROLL_PAGE);
}
