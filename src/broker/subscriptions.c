#include "broker/subscriptions.h"

#include "base/alloc.h"
#include "mqtt/topic.h"

static struct rc_slice node_key(const void *item)
{
    const struct rc_topic_node *node = item;
    return rc_slice(node->level, node->level_len);
}

static struct rc_topic_node *make_node(struct rc_topic_node *parent, struct rc_slice level)
{
    struct rc_topic_node *node = rc_calloc(1, sizeof(*node) + level.len);
    node->parent = parent;
    node->level_len = (uint32_t)level.len;
    if (level.len > 0)
        memcpy(node->level, level.ptr, level.len);
    rc_map_init(&node->children, node_key);
    if (parent != NULL)
        rc_map_insert(&parent->children, node);
    return node;
}

void rc_subscriptions_init(struct rc_subscriptions *tree)
{
    tree->root = make_node(NULL, rc_slice(NULL, 0));
}

void rc_subscriptions_free(struct rc_subscriptions *tree)
{
    rc_map_free(&tree->root->children);
    free(tree->root);
    tree->root = NULL;
}

static struct rc_topic_node *child_of(struct rc_topic_node *node, struct rc_slice level)
{
    struct rc_topic_node *child = rc_map_find(&node->children, level);
    return child ? child : make_node(node, level);
}

void rc_subscriptions_add(struct rc_subscriptions *tree, struct rc_slice instance,
                          struct rc_subscription *subscription)
{
    struct rc_topic_node *node = child_of(tree->root, instance);
    struct rc_slice filter = rc_slice(subscription->filter, subscription->filter_len), level;
    for (size_t at = 0; rc_topic_next_level(filter, &at, &level);)
        node = child_of(node, level);
    subscription->node = node;
    subscription->next = node->subscriptions;
    subscription->prev = &node->subscriptions;
    if (subscription->next != NULL)
        subscription->next->prev = &subscription->next;
    node->subscriptions = subscription;
}

void rc_subscriptions_remove(struct rc_subscription *subscription)
{
    struct rc_topic_node *node = subscription->node;
    *subscription->prev = subscription->next;
    if (subscription->next != NULL)
        subscription->next->prev = subscription->prev;
    while (node->parent != NULL && node->subscriptions == NULL && node->children.count == 0) {
        struct rc_topic_node *parent = node->parent;
        rc_map_remove(&parent->children, node_key(node));
        rc_map_free(&node->children);
        free(node);
        node = parent;
    }
}

struct match {
    struct rc_slice name;
    void (*visit)(struct rc_subscription *subscription, void *arg);
    void *arg;
};

static void visit_all(struct rc_topic_node *node, struct match *match)
{
    if (node == NULL)
        return;
    for (struct rc_subscription *one = node->subscriptions; one != NULL; one = one->next)
        match->visit(one, match->arg);
}

static struct rc_topic_node *wildcard_of(struct rc_topic_node *node, const char *wildcard)
{
    return node->children.count ? rc_map_find(&node->children, rc_slice_str(wildcard)) : NULL;
}

/* The depth is bounded by RC_TOPIC_LEVELS_MAX, which both names and filters keep to. */
static void match_level(struct rc_topic_node *node, size_t at, bool is_first, struct match *match)
{
    struct rc_slice level;
    bool takes_wildcards = !(is_first && match->name.ptr[0] == '$');
    if (takes_wildcards)
        visit_all(wildcard_of(node, "#"), match); /* takes the parent level too */
    if (!rc_topic_next_level(match->name, &at, &level)) {
        visit_all(node, match);
        return;
    }
    struct rc_topic_node *plus = takes_wildcards ? wildcard_of(node, "+") : NULL;
    if (plus != NULL)
        match_level(plus, at, false, match);
    struct rc_topic_node *child = node->children.count ? rc_map_find(&node->children, level) : NULL;
    if (child != NULL)
        match_level(child, at, false, match);
}

void rc_subscriptions_match(struct rc_subscriptions *tree, struct rc_slice instance, struct rc_slice name,
                            void (*visit)(struct rc_subscription *subscription, void *arg), void *arg)
{
    struct match match = {.name = name, .visit = visit, .arg = arg};
    struct rc_topic_node *root = rc_map_find(&tree->root->children, instance);
    if (root != NULL)
        match_level(root, 0, true, &match);
}
