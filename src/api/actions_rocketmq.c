/* Topics and consumer groups of the embedded RocketMQ endpoint, as far as they are the instance's. */
#include "api/actions.h"
#include "base/alloc.h"

enum { LIST_MAX = 100000 };

static struct rc_slice param(const struct rc_store_work *work, const char *name)
{
    return rc_params_text(&work->call->params, name);
}

/* ---- topics ---- */

/* Groups have topics of their own, and so has the server. */
static bool is_plain_topic(struct rc_slice name)
{
    return !rc_slice_starts_with(name, rc_slice_str("%RETRY%")) &&
           !rc_slice_starts_with(name, rc_slice_str("%DLQ%")) &&
           !rc_slice_starts_with(name, rc_slice_str(RC_RULE_TOPIC_PREFIX)) &&
           !rc_slice_eq_str(name, RC_DELAY_TOPIC) && !rc_slice_eq_str(name, RC_TRACE_TOPIC);
}

/* The topics' mutex is held while they are visited: their names first, the questions about them later. */
struct topics {
    struct rc_topic **list;
    uint32_t count, cap;
};

static void collect_topic(struct rc_topic *topic, void *arg)
{
    struct topics *topics = arg;
    if (!is_plain_topic(rc_topic_name(topic)) || rc_topic_perm(topic) == 0 || topics->count >= LIST_MAX)
        return;
    if (topics->count == topics->cap) {
        topics->cap = topics->cap > 0 ? 2 * topics->cap : 64;
        topics->list = rc_realloc(topics->list, topics->cap * sizeof(struct rc_topic *));
    }
    topics->list[topics->count++] = topic;
}

static json_t *describe_topic(const struct rc_instance *instance, struct rc_topic *topic)
{
    uint64_t messages = 0;
    json_t *item = json_object();
    for (uint32_t i = 0; i < rc_topic_queue_count(topic); i++) {
        const struct rc_queue *queue = rc_topic_queue(topic, i);
        messages += rc_queue_end(queue) - rc_queue_min(queue);
    }
    json_object_set_new(item, "Topic", rc_api_text(rc_topic_name(topic)));
    json_object_set_new(item, "Queues", json_integer(rc_topic_queue_count(topic)));
    json_object_set_new(item, "Messages", json_integer((json_int_t)messages));
    json_object_set_new(item, "Declared",
                        json_boolean(rc_trie_find(&instance->endpoint_topics, rc_topic_name(topic)) != NULL));
    return item;
}

int rc_store_list_rmq_topics(struct rc_store_work *work)
{
    struct topics topics = {.list = NULL};
    json_t *list = json_array();
    rc_store_each_topic(work->store, collect_topic, &topics);
    for (uint32_t i = 0; i < topics.count; i++)
        if (rc_tenancy_has_topic(&work->tenancy, rc_topic_name(topics.list[i])))
            json_array_append_new(list, describe_topic(work->call->instance, topics.list[i]));
    free(topics.list);
    json_object_set_new(work->call->answer, "Topics", list);
    return RC_OK;
}

static int is_files(struct rc_store_work *work)
{
    return rc_error_set(&work->error, RC_ERR_DENIED, "It is declared in the configuration file.");
}

static int not_yours(struct rc_store_work *work, const char *what)
{
    return rc_error_set(&work->error, RC_ERR_NOT_FOUND, "The instance has no %s of that name.", what);
}

int rc_store_create_rmq_topic(struct rc_store_work *work)
{
    struct rc_slice name = param(work, "Topic");
    const char *text = rc_params_get(&work->call->params, "Queues");
    char *end = NULL;
    unsigned long queues = text != NULL && text[0] != '\0' ? strtoul(text, &end, 10) : RC_RULE_QUEUES_DEFAULT;
    struct rc_topic *topic = rc_store_find_topic(work->store, name);
    if (!is_plain_topic(name))
        return rc_error_set(&work->error, RC_ERR_INVALID, "Such names are the server's.");
    if (end != NULL && *end != '\0')
        return rc_error_set(&work->error, RC_ERR_INVALID, "Queues is a number above 0.");
    if (topic != NULL && rc_topic_perm(topic) != 0)
        return RC_ERR_EXISTS;
    work->tenancy.claims = true;
    if (!rc_tenancy_has_topic(&work->tenancy, name))
        return rc_error_set(&work->error, RC_ERR_DENIED, "The name is another instance's, or no name.");
    if (topic != NULL)
        return rc_store_set_topic_perm(work->store, topic, RC_PERM_READ_WRITE);
    return rc_store_create_topic(work->store, name, queues > UINT32_MAX ? 0 : (uint32_t)queues,
                                 RC_PERM_READ_WRITE, &topic, &work->error);
}

int rc_store_delete_rmq_topic(struct rc_store_work *work)
{
    struct rc_slice name = param(work, "Topic");
    struct rc_topic *topic = rc_store_find_topic(work->store, name);
    if (topic == NULL || rc_topic_perm(topic) == 0 || !is_plain_topic(name) ||
        !rc_tenancy_has_topic(&work->tenancy, name))
        return not_yours(work, "topic");
    if (rc_trie_find(&work->call->instance->endpoint_topics, name) != NULL)
        return is_files(work);
    if (topic == work->call->catalog->presence_topic || rc_instance_leads_to(work->call->instance, name))
        return rc_error_set(&work->error, RC_ERR_BUSY, "Events of clients go there.");
    return rc_store_set_topic_perm(work->store, topic, 0);
}

/* ---- groups ---- */

struct names {
    json_t *list;
};

static void collect_name(struct rc_slice name, void *arg)
{
    json_array_append_new(((struct names *)arg)->list, rc_api_text(name));
}

int rc_store_list_groups(struct rc_store_work *work)
{
    struct names names = {json_array()};
    json_t *list = json_array(), *rows = json_array(), *name;
    const struct rc_trie *declared = &work->call->instance->endpoint_groups;
    size_t i;
    rc_groups_each(work->store, collect_name, &names);
    json_array_foreach(names.list, i, name)
    {
        struct rc_slice text = rc_slice(json_string_value(name), json_string_length(name));
        if (!rc_tenancy_has_group(&work->tenancy, text))
            continue;
        json_array_append(list, name);
        json_array_append_new(rows, json_pack("{s:O,s:b}", "ConsumerGroup", name, "Declared",
                                              rc_trie_find(declared, text) != NULL));
    }
    json_decref(names.list);
    json_object_set_new(work->call->answer, "ConsumerGroups", list);
    json_object_set_new(work->call->answer, "Groups", rows);
    return RC_OK;
}

int rc_store_create_group(struct rc_store_work *work)
{
    struct rc_slice name = param(work, "ConsumerGroup");
    if (rc_groups_has(work->store, name))
        return RC_ERR_EXISTS;
    work->tenancy.claims = true;
    if (!rc_tenancy_has_group(&work->tenancy, name))
        return rc_error_set(&work->error, RC_ERR_DENIED, "The name is another instance's, or no name.");
    return rc_groups_ensure(work->store, name);
}

/* Members that are still there make it again with their next heartbeat. */
int rc_store_delete_group(struct rc_store_work *work)
{
    struct rc_slice name = param(work, "ConsumerGroup");
    if (!rc_groups_has(work->store, name) || !rc_tenancy_has_group(&work->tenancy, name))
        return not_yours(work, "consumer group");
    if (rc_trie_find(&work->call->instance->endpoint_groups, name) != NULL)
        return is_files(work);
    int err = rc_groups_remove(work->store, name);
    if (err == RC_OK) {
        rc_offsets_forget(work->store, name);
        rc_owners_drop(work->tenancy.owners, RC_OWNED_GROUP, name);
    }
    return err;
}
