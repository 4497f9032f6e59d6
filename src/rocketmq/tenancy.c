#include "rocketmq/tenancy.h"

#include "rocketmq/endpoint_private.h"

#define NOT_YOURS "org.apache.rocketmq.acl.common.AclException: "

static bool has_prefix(struct rc_slice name, const char *prefix)
{
    return rc_slice_starts_with(name, rc_slice_str(prefix)) && name.len > strlen(prefix);
}

/* ---- the catalog's part ---- */

static bool anybody_leads_to(const struct rc_catalog *catalog, struct rc_slice topic)
{
    const struct rc_instance *instance;
    struct rc_trie_walk walk;
    rc_trie_walk_start(&walk, &catalog->instances);
    while ((instance = rc_trie_walk_next(&walk)) != NULL)
        if (rc_instance_leads_to(instance, topic))
            return true;
    return false;
}

/* Events of several instances, and what the server keeps for itself. */
static bool is_systems(const struct rc_catalog *catalog, struct rc_slice topic)
{
    return has_prefix(topic, RC_RULE_TOPIC_PREFIX) || rc_slice_eq_str(topic, RC_DELAY_TOPIC) ||
           (catalog->presence_topic != NULL && rc_slice_eq(rc_topic_name(catalog->presence_topic), topic));
}

/* ---- what is an instance's ---- */

static bool owns(const struct rc_tenancy *tenancy, enum rc_owned kind, struct rc_slice name)
{
    char owner[RC_CATALOG_ID_MAX + 1];
    bool is_known = rc_owners_find(tenancy->owners, kind, name, owner);
    if (is_known && rc_slice_eq_str(tenancy->instance, owner))
        return true;
    /* What was an instance's that is no more is free. */
    if (is_known && rc_catalog_instance(tenancy->catalog, rc_slice_str(owner)) != NULL)
        return false;
    if (!is_known && kind == RC_OWNED_TOPIC && anybody_leads_to(tenancy->catalog, name))
        return false; /* a rule's, but none of this instance's */
    return tenancy->claims && rc_owners_claim(tenancy->owners, kind, name, tenancy->instance) == RC_OK;
}

/* It still claims what it uses, for the day when there is another. */
static bool is_alone(const struct rc_tenancy *tenancy)
{
    return tenancy->catalog->instances.count == 1;
}

bool rc_tenancy_has_group(const struct rc_tenancy *tenancy, struct rc_slice group)
{
    return owns(tenancy, RC_OWNED_GROUP, group) || is_alone(tenancy);
}

bool rc_tenancy_has_topic(const struct rc_tenancy *tenancy, struct rc_slice topic)
{
    const char *prefixes[] = {RC_RETRY_PREFIX, RC_DEAD_LETTER_PREFIX};
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (has_prefix(topic, prefixes[i]))
            return rc_tenancy_has_group(tenancy, rc_slice_from(topic, strlen(prefixes[i])));
    const struct rc_instance *instance = rc_catalog_instance(tenancy->catalog, tenancy->instance);
    if (is_systems(tenancy->catalog, topic))
        return is_alone(tenancy);
    return (instance != NULL && rc_instance_leads_to(instance, topic)) ||
           owns(tenancy, RC_OWNED_TOPIC, topic) || is_alone(tenancy);
}

/* ---- requests ---- */

static bool is_free(const struct rc_key_pair *key)
{
    return key == NULL || key->role == RC_KEY_ADMIN;
}

static struct rc_tenancy tenancy_of(struct rc_endpoint *endpoint, const struct rc_key_pair *key)
{
    return (struct rc_tenancy){endpoint->owners, endpoint->catalog, key->instance_id, true};
}

bool rc_tenancy_may_topic(struct rc_endpoint *endpoint, const struct rc_key_pair *key, struct rc_slice topic)
{
    if (is_free(key) || rc_slice_eq_str(topic, RC_AUTO_CREATE_TOPIC))
        return true;
    struct rc_tenancy tenancy = tenancy_of(endpoint, key);
    return rc_tenancy_has_topic(&tenancy, topic);
}

bool rc_tenancy_may_group(struct rc_endpoint *endpoint, const struct rc_key_pair *key, struct rc_slice group)
{
    if (is_free(key))
        return true;
    struct rc_tenancy tenancy = tenancy_of(endpoint, key);
    return rc_tenancy_has_group(&tenancy, group);
}

const char *rc_tenancy_refusal(struct rc_endpoint *endpoint, const struct rc_key_pair *key,
                               const struct rc_remoting *command)
{
    static const char *const topics[] = {"topic", "b"}, *const groups[] = {"consumerGroup", "group"};
    bool is_short = command->code == RC_REQ_SEND_V2 || command->code == RC_REQ_SEND_BATCH;
    if (is_free(key))
        return NULL;
    if (key->role == RC_KEY_READ_ONLY && (is_short || command->code == RC_REQ_SEND))
        return NOT_YOURS "the accessKey may only read";
    for (size_t i = 0; i < 2; i++) {
        struct rc_slice topic = rc_remoting_get(command, topics[i]);
        struct rc_slice group = rc_remoting_get(command, groups[i]);
        if (topic.len > 0 && (i == 0 || is_short) && !rc_tenancy_may_topic(endpoint, key, topic))
            return NOT_YOURS "the topic belongs to another instance";
        if (group.len > 0 && !rc_tenancy_may_group(endpoint, key, group))
            return NOT_YOURS "the consumer group belongs to another instance, choose another name";
    }
    return NULL;
}
