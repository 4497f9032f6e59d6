#include "rocketmq/consumer_groups.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/heartbeat.h"

struct member {
    struct rc_list in_group, in_peer;
    struct rc_consumer_group *group;
    struct rc_peer *peer; /* it outlives its members: closing removes them first */
    uint64_t seen_ms;
    char client_id[];
};

struct rc_consumer_group {
    struct rc_endpoint *endpoint;
    struct rc_list members;
    uint32_t members_count;
    struct rc_map subscriptions; /* struct rc_subscription by topic */
    bool is_broadcasting;
    char name[];
};

static struct rc_slice group_key(const void *item)
{
    return rc_slice_str(((const struct rc_consumer_group *)item)->name);
}

static struct rc_slice subscription_key(const void *item)
{
    return ((const struct rc_subscription *)item)->topic;
}

void rc_consumer_groups_init(struct rc_consumer_groups *groups)
{
    *groups = (struct rc_consumer_groups){.members = 0};
    rc_map_init(&groups->map, group_key);
}

void rc_consumer_groups_free(struct rc_consumer_groups *groups)
{
    rc_map_free(&groups->map);
}

struct rc_consumer_group *rc_consumer_group_find(struct rc_endpoint *endpoint, struct rc_slice name)
{
    return rc_map_find(&endpoint->groups.map, name);
}

const struct rc_subscription *rc_consumer_group_subscription(const struct rc_consumer_group *group,
                                                             struct rc_slice topic)
{
    return rc_map_find(&group->subscriptions, topic);
}

/* ---- leaving ---- */

/* Tells the members that they share the queues with others now. Who broadcasts shares nothing. */
static void notify_change(struct rc_consumer_group *group)
{
    struct rc_remoting command;
    if (group->is_broadcasting)
        return;
    rc_remoting_request(&command, RC_REQ_CONSUMERS_CHANGED, 0);
    command.flag = RC_REMOTING_ONEWAY;
    rc_remoting_add(&command, "consumerGroup", rc_slice_str(group->name));
    rc_list_for_each(node, &group->members)
        rc_peer_send(rc_container_of(node, struct member, in_group)->peer, &command);
}

void rc_consumer_groups_notify(struct rc_endpoint *endpoint, struct rc_slice name)
{
    struct rc_consumer_group *group = rc_consumer_group_find(endpoint, name);
    if (group != NULL)
        notify_change(group);
}

/* {"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:7,...}}: their keys are objects, as Java writes
 * it. */
static void write_offsets(struct rc_buf *out, const struct rc_endpoint *endpoint, struct rc_slice topic,
                          const uint64_t *offsets, uint32_t count)
{
    rc_buf_put_str(out, "{\"offsetTable\":{");
    for (uint32_t i = 0; i < count; i++) {
        struct rc_json key;
        if (i > 0)
            rc_buf_put_u8(out, ',');
        rc_json_init(&key, out);
        rc_json_object_begin(&key);
        rc_json_put_str(&key, "brokerName", endpoint->options.broker_name);
        rc_json_put_int(&key, "queueId", i);
        rc_json_put_string(&key, "topic", topic);
        rc_json_object_end(&key);
        rc_buf_printf(out, ":%llu", (unsigned long long)offsets[i]);
    }
    rc_buf_put_str(out, "}}");
}

void rc_consumer_groups_reset(struct rc_endpoint *endpoint, struct rc_slice name, struct rc_slice topic,
                              const uint64_t *offsets, uint32_t count)
{
    struct rc_consumer_group *group = rc_consumer_group_find(endpoint, name);
    struct rc_remoting command;
    struct rc_buf body;
    if (group == NULL || group->is_broadcasting)
        return;
    rc_buf_init(&body, RC_REMOTING_FRAME_MAX);
    write_offsets(&body, endpoint, topic, offsets, count);
    rc_remoting_request(&command, RC_REQ_RESET_OFFSET, 0);
    command.flag = RC_REMOTING_ONEWAY;
    command.body = rc_buf_slice(&body);
    rc_remoting_add(&command, "topic", topic);
    rc_remoting_add(&command, "group", name);
    rc_remoting_add_number(&command, "timestamp", rc_clock_wall_ms());
    rc_remoting_add_bool(&command, "isForce", true);
    rc_list_for_each(node, &group->members)
        rc_peer_send(rc_container_of(node, struct member, in_group)->peer, &command);
    rc_buf_free(&body);
}

static void free_group(struct rc_consumer_group *group)
{
    struct rc_consumer_groups *groups = &group->endpoint->groups;
    struct rc_subscription *subscription;
    rc_map_remove(&groups->map, group_key(group));
    groups->subscriptions -= group->subscriptions.count;
    for (uint32_t cursor = 0; (subscription = rc_map_next(&group->subscriptions, &cursor)) != NULL;) {
        rc_tag_filter_free(&subscription->filter);
        free(subscription);
    }
    rc_map_free(&group->subscriptions);
    free(group);
}

static void drop_member(struct member *member)
{
    rc_list_remove(&member->in_group);
    rc_list_remove(&member->in_peer);
    member->group->members_count--;
    member->group->endpoint->groups.members--;
    free(member);
}

/* After members were dropped: a group without any is forgotten. */
static void settle(struct rc_consumer_group *group)
{
    if (group->members_count == 0)
        free_group(group);
    else
        notify_change(group);
}

void rc_consumer_groups_forget_peer(struct rc_peer *peer)
{
    while (!rc_list_is_empty(&peer->members)) {
        struct member *member = rc_container_of(peer->members.next, struct member, in_peer);
        struct rc_consumer_group *group = member->group;
        drop_member(member);
        settle(group);
    }
}

static void sweep_group(struct rc_consumer_group *group, uint64_t oldest_ms)
{
    uint32_t before = group->members_count;
    rc_list_for_each_safe(node, &group->members)
    {
        struct member *member = rc_container_of(node, struct member, in_group);
        if (member->seen_ms < oldest_ms)
            drop_member(member);
    }
    if (group->members_count < before)
        settle(group);
}

void rc_consumer_groups_sweep(struct rc_endpoint *endpoint)
{
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    uint64_t idle = endpoint->options.times.idle, oldest = now > idle ? now - idle : 0;
    struct rc_consumer_group *group;
    /* a group that goes may hide another from this walk: the next one finds it */
    for (uint32_t cursor = 0; (group = rc_map_next(&endpoint->groups.map, &cursor)) != NULL;)
        sweep_group(group, oldest);
}

/* ---- joining ---- */

static struct member *find_member(struct rc_consumer_group *group, struct rc_slice client_id)
{
    rc_list_for_each(node, &group->members)
    {
        struct member *member = rc_container_of(node, struct member, in_group);
        if (rc_slice_eq_str(client_id, member->client_id))
            return member;
    }
    return NULL;
}

static void add_member(struct rc_consumer_group *group, struct rc_peer *peer, struct rc_slice client_id)
{
    struct member *member = rc_calloc(1, sizeof(*member) + client_id.len + 1);
    memcpy(member->client_id, client_id.ptr, client_id.len);
    member->group = group;
    member->peer = peer;
    member->seen_ms = rc_loop_now_ms(group->endpoint->loop);
    rc_list_push_back(&group->members, &member->in_group);
    rc_list_push_back(&peer->members, &member->in_peer);
    group->members_count++;
    group->endpoint->groups.members++;
}

/* True when the client is new in the group, or came on another connection. */
static bool join(struct rc_consumer_group *group, struct rc_peer *peer, struct rc_slice client_id)
{
    struct rc_endpoint *endpoint = group->endpoint;
    struct member *member = find_member(group, client_id);
    if (member != NULL && member->peer == peer) {
        member->seen_ms = rc_loop_now_ms(endpoint->loop);
        return false;
    }
    if (member != NULL)
        drop_member(member);
    if (group->members_count >= RC_ENDPOINT_MEMBERS_MAX ||
        endpoint->groups.members >= RC_ENDPOINT_ALL_MEMBERS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        rc_log_error("rocketmq", "a consumer was not admitted: there are too many (members=%u all=%u)",
                     group->members_count, endpoint->groups.members);
        return false;
    }
    add_member(group, peer, client_id);
    return true;
}

static struct rc_subscription *add_subscription(struct rc_consumer_group *group, struct rc_slice topic)
{
    struct rc_endpoint *endpoint = group->endpoint;
    if (group->subscriptions.count >= RC_ENDPOINT_SUBSCRIPTIONS_MAX ||
        endpoint->groups.subscriptions >= RC_ENDPOINT_ALL_SUBSCRIPTIONS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        return NULL;
    }
    struct rc_subscription *subscription = rc_calloc(1, sizeof(*subscription) + topic.len);
    memcpy(subscription + 1, topic.ptr, topic.len);
    subscription->topic = rc_slice(subscription + 1, topic.len);
    rc_map_insert(&group->subscriptions, subscription);
    endpoint->groups.subscriptions++;
    return subscription;
}

/*
 * True when the topic is new to the group. A subscription stays while the group has members: members that
 * subscribe to different things, which RocketMQ does not allow but users do, then still get their own.
 */
static bool subscribe(struct rc_consumer_group *group, const struct rc_heartbeat_subscription *data)
{
    struct rc_subscription *subscription = rc_map_find(&group->subscriptions, data->topic);
    struct rc_tag_filter filter;
    bool is_new = subscription == NULL;
    if (!is_new && subscription->version >= data->version)
        return false;
    if (is_new)
        subscription = add_subscription(group, data->topic);
    if (subscription == NULL)
        return false;
    if (rc_tag_filter_parse(data->expression, &filter) != RC_OK) {
        RC_COUNTER(group->endpoint, limits_hit);
        filter = (struct rc_tag_filter){.takes_all = true}; /* clients filter too: too much is right */
    }
    rc_tag_filter_free(&subscription->filter);
    subscription->filter = filter;
    subscription->version = data->version;
    return is_new;
}

static struct rc_consumer_group *find_or_make(struct rc_endpoint *endpoint, struct rc_slice name)
{
    struct rc_consumer_group *group = rc_consumer_group_find(endpoint, name);
    if (group != NULL)
        return group;
    if (endpoint->groups.map.count >= RC_ENDPOINT_GROUPS_MAX) {
        RC_COUNTER(endpoint, limits_hit);
        rc_log_error("rocketmq", "a consumer group was not admitted: there are %d", RC_ENDPOINT_GROUPS_MAX);
        return NULL;
    }
    group = rc_calloc(1, sizeof(*group) + name.len + 1);
    memcpy(group->name, name.ptr, name.len);
    group->endpoint = endpoint;
    rc_list_init(&group->members);
    rc_map_init(&group->subscriptions, subscription_key);
    rc_map_insert(&endpoint->groups.map, group);
    return group;
}

static void consumer_beats(const struct rc_request *request, const struct rc_heartbeat_consumer *consumer,
                           struct rc_slice client_id)
{
    if (!rc_tenancy_may_group(request, consumer->group)) {
        RC_COUNTER(request->endpoint, denied);
        return;
    }
    struct rc_consumer_group *group = find_or_make(request->endpoint, consumer->group);
    struct rc_heartbeat_subscription data;
    if (group == NULL)
        return;
    group->is_broadcasting = consumer->is_broadcasting;
    bool has_changed = join(group, request->peer, client_id);
    if (group->members_count == 0) {
        free_group(group);
        return;
    }
    for (size_t at = 0; rc_heartbeat_next_subscription(consumer, &at, &data);)
        has_changed |= subscribe(group, &data);
    if (!has_changed)
        return;
    if (!rc_tenancy_is_reader(request)) /* who leaves nothing behind */
        rc_endpoint_make_retry_topic(request->endpoint, consumer->group);
    notify_change(group);
}

/* ---- requests ---- */

void rc_consumer_groups_handle_heartbeat(const struct rc_request *request)
{
    struct rc_heartbeat heartbeat;
    struct rc_heartbeat_consumer consumer;
    if (rc_heartbeat_decode(request->command->body, &heartbeat) != RC_OK) {
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
    for (size_t at = 0; rc_heartbeat_next_consumer(&heartbeat, &at, &consumer);)
        consumer_beats(request, &consumer, heartbeat.client_id);
    rc_heartbeat_done(&heartbeat);
}

void rc_consumer_groups_handle_unregister(const struct rc_request *request)
{
    struct rc_slice client_id = rc_remoting_get(request->command, "clientID");
    struct rc_slice name = rc_remoting_get(request->command, "consumerGroup");
    struct rc_consumer_group *group = rc_consumer_group_find(request->endpoint, name);
    struct member *member = group ? find_member(group, client_id) : NULL;
    if (member != NULL && member->peer == request->peer) {
        drop_member(member);
        settle(group);
    }
    rc_request_reply(request, RC_RES_SUCCESS, NULL);
}

void rc_consumer_groups_handle_consumer_list(const struct rc_request *request)
{
    struct rc_slice name = rc_remoting_get(request->command, "consumerGroup");
    struct rc_consumer_group *group = rc_consumer_group_find(request->endpoint, name);
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
        rc_json_string(&json, rc_slice_str(rc_container_of(node, struct member, in_group)->client_id));
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_request_reply_body(request, &body);
}

/* ---- described ---- */

static void describe_member(struct rc_endpoint *endpoint, const struct member *member, struct rc_json *json)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_json_object_begin(json);
    rc_json_put_str(json, "ClientId", member->client_id);
    rc_json_put_str(json, "Address", rc_address_format(&member->peer->address, address));
    rc_json_put_int(json, "LastHeardMs", (int64_t)(rc_loop_now_ms(endpoint->loop) - member->seen_ms));
    rc_json_object_end(json);
}

void rc_consumer_groups_describe(struct rc_endpoint *endpoint, struct rc_slice name, struct rc_json *json,
                                 size_t most)
{
    const struct rc_consumer_group *group = rc_consumer_group_find(endpoint, name);
    rc_json_object_begin(json);
    rc_json_put_bool(json, "Broadcasting", group != NULL && group->is_broadcasting);
    rc_json_key(json, "Members");
    rc_json_array_begin(json);
    if (group != NULL) {
        rc_list_for_each(node, &group->members) if (rc_buf_len(json->out) < most)
            describe_member(endpoint, rc_container_of(node, struct member, in_group), json);
    }
    rc_json_array_end(json);
    rc_json_key(json, "Topics");
    rc_json_array_begin(json);
    const struct rc_subscription *subscription;
    for (uint32_t cursor = 0;
         group != NULL && (subscription = rc_map_next(&group->subscriptions, &cursor)) != NULL;)
        if (rc_buf_len(json->out) < most)
            rc_json_string(json, subscription->topic);
    rc_json_array_end(json);
    rc_json_object_end(json);
}
