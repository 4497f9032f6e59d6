#include "rocketmq/tenancy.h"

#include "rocketmq/endpoint_private.h"

#include <stdio.h>

#define NOT_YOURS "org.apache.rocketmq.acl.common.AclException: "

static bool has_prefix(struct rc_slice name, const char *prefix)
{
    return rc_slice_starts_with(name, rc_slice_str(prefix)) && name.len > strlen(prefix);
}

static const char *const group_prefixes[] = {RC_RETRY_PREFIX, RC_DEAD_LETTER_PREFIX};
enum { GROUP_PREFIXES = sizeof(group_prefixes) / sizeof(group_prefixes[0]) };

/* A group's retries or dead letters. */
static bool is_of_group(struct rc_slice topic, struct rc_slice *ret_group)
{
    for (size_t i = 0; i < GROUP_PREFIXES; i++)
        if (has_prefix(topic, group_prefixes[i])) {
            *ret_group = rc_slice_from(topic, strlen(group_prefixes[i]));
            return true;
        }
    return false;
}

/* Events of several instances, and what the server keeps for itself. */
static bool is_systems(struct rc_slice topic)
{
    return has_prefix(topic, RC_RULE_TOPIC_PREFIX) || rc_slice_eq_str(topic, RC_DELAY_TOPIC) ||
           rc_slice_eq_str(topic, RC_AUTO_CREATE_TOPIC) || rc_slice_eq_str(topic, RC_TRACE_TOPIC) ||
           rc_slice_eq_str(topic, RC_PRESENCE_TOPIC);
}

/* ---- what stands in the log ---- */

static bool has_messages(struct rc_store *store, struct rc_slice name)
{
    struct rc_topic *topic = rc_store_find_topic(store, name);
    for (uint32_t i = 0; topic != NULL && i < rc_topic_queue_count(topic); i++)
        if (rc_queue_end(rc_topic_queue(topic, i)) > rc_queue_min(rc_topic_queue(topic, i)))
            return true;
    return false;
}

static bool group_has_messages(struct rc_store *store, struct rc_slice group)
{
    char name[RC_MESSAGE_TOPIC_MAX + 1];
    for (size_t i = 0; i < GROUP_PREFIXES; i++) {
        int len = snprintf(name, sizeof(name), "%s%.*s", group_prefixes[i], RC_SLICE_FMT(group));
        if (len > 0 && (size_t)len < sizeof(name) && has_messages(store, rc_slice(name, (size_t)len)))
            return true;
    }
    return false;
}

/* Its instance is no more, and neither is what it left: retention has passed it. */
static bool is_left_empty(const struct rc_tenancy *tenancy, enum rc_owned kind, struct rc_slice name,
                          const char *owner)
{
    return rc_catalog_instance(tenancy->catalog, rc_slice_str(owner)) == NULL &&
           !(kind == RC_OWNED_TOPIC ? has_messages(tenancy->store, name)
                                    : group_has_messages(tenancy->store, name));
}

/* ---- what is an instance's ---- */

/* It still claims what it uses, for the day when there is another. */
static bool is_alone(const struct rc_tenancy *tenancy)
{
    return tenancy->catalog->instances.count == 1;
}

static bool leads_to(const struct rc_tenancy *tenancy, struct rc_slice topic)
{
    const struct rc_instance *instance = rc_catalog_instance(tenancy->catalog, tenancy->instance);
    return instance != NULL && rc_instance_leads_to(instance, topic);
}

/* Of nobody's, or of a former owner's, what the instance may have. */
static bool is_for(const struct rc_tenancy *tenancy, enum rc_owned kind, struct rc_slice name,
                   const char *owner)
{
    if (owner != NULL)
        return is_alone(tenancy) || is_left_empty(tenancy, kind, name, owner);
    return kind != RC_OWNED_TOPIC || leads_to(tenancy, name) ||
           !rc_catalog_leads_elsewhere(tenancy->catalog, tenancy->instance, name);
}

static bool owns(const struct rc_tenancy *tenancy, enum rc_owned kind, struct rc_slice name)
{
    char owner[RC_CATALOG_ID_MAX + 1];
    bool is_known = rc_owners_find(tenancy->owners, kind, name, owner);
    if (is_known && rc_slice_eq_str(tenancy->instance, owner))
        return true;
    if (!is_for(tenancy, kind, name, is_known ? owner : NULL))
        return false;
    if (tenancy->claims)
        return rc_owners_claim(tenancy->owners, kind, name, tenancy->instance, is_known ? owner : NULL) ==
               RC_OK;
    return kind == RC_OWNED_TOPIC && leads_to(tenancy, name);
}

bool rc_tenancy_has_group(const struct rc_tenancy *tenancy, struct rc_slice group)
{
    return owns(tenancy, RC_OWNED_GROUP, group) || is_alone(tenancy);
}

bool rc_tenancy_has_topic(const struct rc_tenancy *tenancy, struct rc_slice topic)
{
    struct rc_slice group;
    if (is_of_group(topic, &group))
        return rc_tenancy_has_group(tenancy, group);
    if (is_systems(topic))
        return is_alone(tenancy);
    return owns(tenancy, RC_OWNED_TOPIC, topic) || is_alone(tenancy);
}

int rc_tenancy_claim_topic(const struct rc_tenancy *tenancy, struct rc_slice topic,
                           char ret_owner[RC_CATALOG_ID_MAX + 1])
{
    bool is_known = rc_owners_find(tenancy->owners, RC_OWNED_TOPIC, topic, ret_owner);
    if (is_known && rc_slice_eq_str(tenancy->instance, ret_owner))
        return RC_OK;
    if (is_known && !is_for(tenancy, RC_OWNED_TOPIC, topic, ret_owner))
        return RC_ERR_DENIED;
    return rc_owners_claim(tenancy->owners, RC_OWNED_TOPIC, topic, tenancy->instance,
                           is_known ? ret_owner : NULL);
}

/* ---- requests ---- */

static bool is_free(const struct rc_key_pair *key)
{
    return key == NULL || key->role == RC_KEY_ADMIN;
}

bool rc_tenancy_is_reader(const struct rc_request *request)
{
    return request->key != NULL && request->key->role == RC_KEY_READ_ONLY;
}

static bool is_send(int32_t code)
{
    return code == RC_REQ_SEND || code == RC_REQ_SEND_V2 || code == RC_REQ_SEND_BATCH;
}

/* To look at a name is no claim to it. */
static bool is_claim(int32_t code)
{
    return is_send(code) || code == RC_REQ_HEARTBEAT || code == RC_REQ_SEND_BACK ||
           code == RC_REQ_UPDATE_OFFSET || code == RC_REQ_LOCK_BATCH;
}

/* What is nobody's may be asked for as long as nothing is there; what `is_there` is the first writer's. */
static bool may(const struct rc_request *request, enum rc_owned kind, struct rc_slice name, bool is_there)
{
    char owner[RC_CATALOG_ID_MAX + 1];
    struct rc_endpoint *endpoint = request->endpoint;
    const struct rc_key_pair *key = request->key;
    struct rc_tenancy tenancy = {
        .owners = endpoint->options.owners,
        .catalog = endpoint->catalog,
        .store = endpoint->options.store,
        .instance = key->instance_id,
        .claims = key->role == RC_KEY_USER && (is_claim(request->command->code) || is_there),
    };
    if (owns(&tenancy, kind, name) || is_alone(&tenancy))
        return true;
    return !tenancy.claims && !is_there && !rc_owners_find(tenancy.owners, kind, name, owner) &&
           is_for(&tenancy, kind, name, NULL);
}

bool rc_tenancy_may_group(const struct rc_request *request, struct rc_slice group)
{
    if (is_free(request->key))
        return true;
    /* A key that may only read consumes in a group that nobody claims. */
    bool is_there =
        !rc_tenancy_is_reader(request) && rc_consumer_group_find(request->endpoint, group) != NULL;
    return may(request, RC_OWNED_GROUP, group, is_there);
}

bool rc_tenancy_may_topic(const struct rc_request *request, struct rc_slice topic)
{
    const struct rc_endpoint *endpoint = request->endpoint;
    bool is_there = rc_store_find_topic(endpoint->options.store, topic) != NULL;
    struct rc_slice group;
    if (is_free(request->key) ||
        (rc_slice_eq_str(topic, RC_AUTO_CREATE_TOPIC) && request->command->code == RC_REQ_ROUTE))
        return true;
    if (is_of_group(topic, &group))
        return may(request, RC_OWNED_GROUP, group, is_there);
    if (is_systems(topic))
        return endpoint->catalog->instances.count == 1;
    return may(request, RC_OWNED_TOPIC, topic, is_there);
}

static bool is_write(int32_t code)
{
    return is_send(code) || code == RC_REQ_SEND_BACK || code == RC_REQ_UPDATE_OFFSET ||
           code == RC_REQ_LOCK_BATCH || code == RC_REQ_UNLOCK_BATCH;
}

const char *rc_tenancy_refusal(const struct rc_request *request)
{
    static const char *const topics[] = {"topic", "b"}, *const groups[] = {"consumerGroup", "group"};
    const struct rc_remoting *command = request->command;
    bool is_short = command->code == RC_REQ_SEND_V2 || command->code == RC_REQ_SEND_BATCH;
    if (is_free(request->key))
        return NULL;
    if (rc_tenancy_is_reader(request) && is_write(command->code))
        return NOT_YOURS "the accessKey may only read";
    for (size_t i = 0; i < 2; i++) {
        struct rc_slice topic = rc_remoting_get(command, topics[i]);
        struct rc_slice group = rc_remoting_get(command, groups[i]);
        if (topic.len > 0 && (i == 0 || is_short) && !rc_tenancy_may_topic(request, topic))
            return NOT_YOURS "the topic belongs to another instance";
        if (group.len > 0 && !rc_tenancy_may_group(request, group))
            return NOT_YOURS "the consumer group belongs to another instance, choose another name";
    }
    return NULL;
}
