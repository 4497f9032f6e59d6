/*
 * Consumer groups: who is in them, on which connection, and what they subscribe to. Known from heartbeats,
 * forgotten when the connection ends or nothing has come for two minutes.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/json_write.h"
#include "rocketmq/endpoint_private.h"

#include <jansson.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 255 };

struct member {
    struct rc_list node;
    struct rc_peer *peer;
    uint64_t seen_ms;
    char client_id[];
};

struct subscription {
    struct rc_tag_filter filter;
    char topic[]; /* what filter.topic views */
};

struct rc_consumer_group {
    struct rc_list members;
    uint32_t members_count;
    struct rc_map subscriptions; /* struct subscription by topic */
    bool is_broadcasting;
    char name[];
};

static struct rc_slice group_key(const void *item)
{
    return rc_slice_str(((const struct rc_consumer_group *)item)->name);
}

static struct rc_slice subscription_key(const void *item)
{
    return ((const struct subscription *)item)->filter.topic;
}

struct rc_consumer_group *rc_group_find(struct rc_endpoint *endpoint, struct rc_slice name)
{
    return rc_map_find(&endpoint->groups, name);
}

const struct rc_tag_filter *rc_group_filter(const struct rc_consumer_group *group, struct rc_slice topic)
{
    const struct subscription *subscription = rc_map_find(&group->subscriptions, topic);
    return subscription ? &subscription->filter : NULL;
}

/* ---- topics of groups ---- */

static struct rc_topic *group_topic(struct rc_endpoint *endpoint, const char *prefix, struct rc_slice group)
{
    char name[RC_MESSAGE_TOPIC_MAX + 1];
    struct rc_topic *topic;
    struct rc_error error;
    int len = snprintf(name, sizeof(name), "%s%.*s", prefix, RC_SLICE_FMT(group));
    if (group.len == 0 || len >= (int)sizeof(name))
        return NULL;
    if (rc_store_create_topic(endpoint->options.store, rc_slice(name, (size_t)len), 1, RC_PERM_READ_WRITE,
                              &topic, &error) == RC_OK)
        return topic;
    rc_log_error("rocketmq", "a topic for retries cannot be made: %s", error.text);
    return NULL;
}

struct rc_topic *rc_group_retry_topic(struct rc_endpoint *endpoint, struct rc_slice group)
{
    return group_topic(endpoint, "%RETRY%", group);
}

struct rc_topic *rc_group_dead_letter_topic(struct rc_endpoint *endpoint, struct rc_slice group)
{
    return group_topic(endpoint, "%DLQ%", group);
}

/* ---- membership ---- */

static void notify_change(struct rc_endpoint *endpoint, struct rc_consumer_group *group)
{
    struct rc_remoting command;
    rc_remoting_request(&command, RC_REQ_CONSUMERS_CHANGED, 0);
    command.flag = RC_REMOTING_ONEWAY;
    rc_remoting_add(&command, "consumerGroup", rc_slice_str(group->name));
    if (group->is_broadcasting)
        return;
    rc_list_for_each(node, &group->members)
        rc_peer_send(rc_container_of(node, struct member, node)->peer, &command);
}

static void drop_subscriptions(struct rc_consumer_group *group)
{
    uint32_t cursor = 0;
    void *item;
    while ((item = rc_map_next(&group->subscriptions, &cursor)) != NULL)
        free(item);
    rc_map_free(&group->subscriptions);
}

static void free_group(struct rc_endpoint *endpoint, struct rc_consumer_group *group)
{
    rc_map_remove(&endpoint->groups, group_key(group));
    drop_subscriptions(group);
    free(group);
}

static void drop_member(struct rc_consumer_group *group, struct member *member)
{
    rc_list_remove(&member->node);
    group->members_count--;
    member->peer->memberships--;
    rc_peer_unref(member->peer);
    free(member);
}

static struct member *find_member(struct rc_consumer_group *group, struct rc_slice client_id)
{
    rc_list_for_each(node, &group->members)
    {
        struct member *member = rc_container_of(node, struct member, node);
        if (rc_slice_eq_str(client_id, member->client_id))
            return member;
    }
    return NULL;
}

/* True when the client is new in the group, or came on another connection. */
static bool join(struct rc_endpoint *endpoint, struct rc_consumer_group *group, struct rc_peer *peer,
                 struct rc_slice client_id)
{
    struct member *member = find_member(group, client_id);
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    if (member != NULL && member->peer == peer) {
        member->seen_ms = now;
        return false;
    }
    if (member != NULL)
        drop_member(group, member);
    if (group->members_count >= RC_ENDPOINT_MEMBERS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        rc_log_error("rocketmq", "a consumer was not admitted: its group has %d members",
                     RC_ENDPOINT_MEMBERS_MAX);
        return false;
    }
    member = rc_calloc(1, sizeof(*member) + client_id.len + 1);
    memcpy(member->client_id, client_id.ptr, client_id.len);
    member->peer = peer;
    member->seen_ms = now;
    rc_peer_ref(peer);
    peer->memberships++;
    rc_list_push_back(&group->members, &member->node);
    group->members_count++;
    return true;
}

static void sweep_members(struct rc_endpoint *endpoint, struct rc_consumer_group *group, struct rc_peer *gone,
                          uint64_t oldest_ms)
{
    bool changed = false;
    rc_list_for_each_safe(node, &group->members)
    {
        struct member *member = rc_container_of(node, struct member, node);
        if (member->peer != gone && member->seen_ms >= oldest_ms)
            continue;
        drop_member(group, member);
        changed = true;
    }
    if (changed)
        notify_change(endpoint, group);
}

/* Removes members and then empty groups; two passes, since a table must not change while it is walked. */
static void sweep_groups(struct rc_endpoint *endpoint, struct rc_peer *gone, uint64_t oldest_ms)
{
    struct rc_consumer_group *group;
    for (uint32_t cursor = 0; (group = rc_map_next(&endpoint->groups, &cursor)) != NULL;)
        sweep_members(endpoint, group, gone, oldest_ms);
    for (;;) {
        uint32_t cursor = 0;
        while ((group = rc_map_next(&endpoint->groups, &cursor)) != NULL && group->members_count > 0)
            continue;
        if (group == NULL)
            return;
        free_group(endpoint, group);
    }
}

void rc_consumer_groups_forget_peer(struct rc_endpoint *endpoint, struct rc_peer *peer)
{
    sweep_groups(endpoint, peer, 0);
}

void rc_consumer_groups_sweep(struct rc_endpoint *endpoint)
{
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    sweep_groups(endpoint, NULL, now > RC_ENDPOINT_IDLE_MS ? now - RC_ENDPOINT_IDLE_MS : 0);
}

void rc_consumer_groups_init(struct rc_endpoint *endpoint)
{
    rc_map_init(&endpoint->groups, group_key);
}

void rc_consumer_groups_free(struct rc_endpoint *endpoint)
{
    sweep_groups(endpoint, NULL, UINT64_MAX);
    rc_map_free(&endpoint->groups);
}

/* ---- heartbeat ---- */

static struct rc_slice json_slice(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_string(value) ? rc_slice(json_string_value(value), json_string_length(value))
                                 : rc_slice(NULL, 0);
}

/* Numbers come as numbers or, from some clients, as text. */
static int64_t json_number(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : json_integer_value(value);
}

static bool is_broadcasting(json_t *consumer)
{
    json_t *model = json_object_get(consumer, "messageModel");
    return json_is_string(model) ? strcmp(json_string_value(model), "BROADCASTING") == 0
                                 : json_is_integer(model) && json_integer_value(model) == 0;
}

bool rc_tag_filter_parse(struct rc_slice text, struct rc_tag_filter *filter)
{
    filter->takes_all = text.len == 0 || rc_slice_eq_str(text, "*");
    filter->codes_count = 0;
    while (!filter->takes_all && text.len > 0) {
        const uint8_t *bars = memmem(text.ptr, text.len, "||", 2);
        struct rc_slice tag = rc_slice(text.ptr, bars ? (size_t)(bars - text.ptr) : text.len);
        text = rc_slice_from(text, tag.len + (bars ? 2 : 0));
        while (tag.len > 0 && tag.ptr[0] <= ' ')
            tag = rc_slice_from(tag, 1);
        while (tag.len > 0 && tag.ptr[tag.len - 1] <= ' ')
            tag.len--;
        if (tag.len == 0)
            continue;
        if (filter->codes_count == RC_ENDPOINT_TAGS_MAX)
            return false;
        filter->codes[filter->codes_count++] = rc_hash_java(tag);
    }
    return true;
}

/* True when the subscription is new or newer. */
static bool subscribe(struct rc_endpoint *endpoint, struct rc_consumer_group *group, json_t *data)
{
    struct rc_slice topic = json_slice(data, "topic"), expression = json_slice(data, "subString");
    int64_t version = json_number(data, "subVersion");
    if (topic.len == 0 || topic.len > RC_MESSAGE_TOPIC_MAX)
        return false;
    struct subscription *subscription = rc_map_find(&group->subscriptions, topic);
    if (subscription != NULL && subscription->filter.version >= version)
        return false;
    bool is_new = subscription == NULL;
    if (is_new && group->subscriptions.count >= RC_ENDPOINT_SUBSCRIPTIONS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        return false;
    }
    if (is_new) {
        subscription = rc_calloc(1, sizeof(*subscription) + topic.len);
        memcpy(subscription->topic, topic.ptr, topic.len);
        subscription->filter.topic = rc_slice(subscription->topic, topic.len);
        rc_map_insert(&group->subscriptions, subscription);
    }
    subscription->filter.version = version;
    if (!rc_tag_filter_parse(expression, &subscription->filter)) {
        RC_COUNTER(endpoint, limits_hit);
        subscription->filter.takes_all =
            true; /* the client filters too: too much is right, too little is not */
    }
    return is_new;
}

static struct rc_consumer_group *find_or_make(struct rc_endpoint *endpoint, struct rc_slice name)
{
    struct rc_consumer_group *group = rc_group_find(endpoint, name);
    if (group != NULL)
        return group;
    if (endpoint->groups.count >= RC_ENDPOINT_GROUPS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        rc_log_error("rocketmq", "a consumer group was not admitted: there are %d", RC_ENDPOINT_GROUPS_MAX);
        return NULL;
    }
    group = rc_calloc(1, sizeof(*group) + name.len + 1);
    memcpy(group->name, name.ptr, name.len);
    rc_list_init(&group->members);
    rc_map_init(&group->subscriptions, subscription_key);
    rc_map_insert(&endpoint->groups, group);
    return group;
}

static void consumer_beats(const struct rc_request *request, json_t *consumer, struct rc_slice client_id)
{
    struct rc_endpoint *endpoint = request->endpoint;
    struct rc_slice name = json_slice(consumer, "groupName");
    json_t *subscription;
    size_t i;
    if (name.len == 0 || name.len > NAME_MAX_BYTES || memchr(name.ptr, 0, name.len) != NULL)
        return;
    struct rc_consumer_group *group = find_or_make(endpoint, name);
    if (group == NULL)
        return;
    group->is_broadcasting = is_broadcasting(consumer);
    bool changed = join(endpoint, group, request->peer, client_id);
    json_array_foreach(json_object_get(consumer, "subscriptionDataSet"), i, subscription) changed |=
        subscribe(endpoint, group, subscription);
    if (group->members_count == 0) {
        free_group(endpoint, group);
        return;
    }
    if (changed) {
        rc_groups_ensure(endpoint->options.store, name);
        rc_group_retry_topic(endpoint, name);
        notify_change(endpoint, group);
    }
}

void rc_consumer_groups_handle_heartbeat(const struct rc_request *request)
{
    struct rc_slice body = request->command->body;
    json_t *root = json_loadb((const char *)body.ptr, body.len, 0, NULL), *consumer;
    struct rc_slice client_id = json_slice(root, "clientID");
    size_t i;
    if (client_id.len == 0 || client_id.len > NAME_MAX_BYTES) {
        json_decref(root);
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "the heartbeat has no clientID");
        return;
    }
    /*
     * The answer goes first. A client holds a lock while its heartbeat is under way; told of a change
     * meanwhile, it rebalances, wants to send another heartbeat with its new subscription versions, finds the
     * lock taken and gives up: until the next one, up to 30 s later, its pulls would be refused as not the
     * latest.
     */
    rc_request_reply(request, RC_RES_SUCCESS, NULL);
    json_array_foreach(json_object_get(root, "consumerDataSet"), i, consumer)
        consumer_beats(request, consumer, client_id);
    json_decref(root);
}

void rc_consumer_groups_handle_unregister(const struct rc_request *request)
{
    struct rc_slice client_id = rc_remoting_get(request->command, "clientID");
    struct rc_consumer_group *group =
        rc_group_find(request->endpoint, rc_remoting_get(request->command, "consumerGroup"));
    struct member *member = group ? find_member(group, client_id) : NULL;
    if (member != NULL && member->peer == request->peer) {
        drop_member(group, member);
        notify_change(request->endpoint, group);
        if (group->members_count == 0)
            free_group(request->endpoint, group);
    }
    rc_request_reply(request, RC_RES_SUCCESS, NULL);
}

void rc_consumer_groups_handle_consumer_list(const struct rc_request *request)
{
    struct rc_slice name = rc_remoting_get(request->command, "consumerGroup");
    struct rc_consumer_group *group = rc_group_find(request->endpoint, name);
    struct rc_remoting response;
    struct rc_buf body;
    struct rc_json json;
    if (group == NULL) {
        rc_request_reply(request, RC_RES_SYSTEM_ERROR, "no consumer for this group");
        return;
    }
    rc_buf_init(&body, RC_REMOTING_FRAME_MAX);
    rc_json_init(&json, &body);
    rc_json_object_begin(&json);
    rc_json_key(&json, "consumerIdList");
    rc_json_array_begin(&json);
    rc_list_for_each(node, &group->members)
        rc_json_string(&json, rc_slice_str(rc_container_of(node, struct member, node)->client_id));
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_remoting_response(&response, request->command, RC_RES_SUCCESS);
    response.body = rc_buf_slice(&body);
    rc_request_reply_with(request, &response);
    rc_buf_free(&body);
}
