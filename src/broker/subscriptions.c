/*
 * Design notes
 * - Devices say the same thing to the same topic again and again, so what a walk through the tree has found
 * is remembered by name until the next addition or removal. Walking to one subscriber of a topic of three
 * levels costs 350 instructions, remembering it 70. A name has one place among the memos: another that falls
 * there takes it, so they need no upkeep, and whoever makes names fall on one place gains a walk, as before.
 */
#include "broker/subscriptions.h"

#include "base/alloc.h"
#include "base/apart.h"
#include "base/words.h"
#include "mqtt/topic.h"

enum {
    MEMOS = 128,           /* a power of two */
    MEMO_BYTES = 112,      /* an instance's name and a topic's */
    MEMO_SUBSCRIPTIONS = 4 /* with more of them the walk is not what costs */
};

struct rc_match_memo {
    uint64_t changes; /* for which it holds */
    uint16_t instance_len, name_len;
    uint16_t count;
    char bytes[MEMO_BYTES];
    struct rc_subscription *found[MEMO_SUBSCRIPTIONS];
};

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
    return node;
}

/* Where the child of a wildcard stands; NULL: it is none, and stands in the table, as instances do. */
static struct rc_topic_node **wildcard_place(struct rc_topic_node *node, struct rc_slice level)
{
    if (node->parent == NULL)
        return NULL;
    return rc_slice_eq_str(level, "+") ? &node->plus : rc_slice_eq_str(level, "#") ? &node->rest : NULL;
}

void rc_subscriptions_init(struct rc_subscriptions *tree)
{
    tree->root = make_node(NULL, rc_slice(NULL, 0));
    tree->memos = NULL;
    tree->changes = 1; /* an empty memo is of 0 */
}

void rc_subscriptions_free(struct rc_subscriptions *tree)
{
    rc_map_free(&tree->root->children);
    free(tree->root);
    free(tree->memos);
    tree->root = NULL;
    tree->memos = NULL;
}

static struct rc_topic_node *child_of(struct rc_topic_node *node, struct rc_slice level)
{
    struct rc_topic_node **place = wildcard_place(node, level);
    struct rc_topic_node *child = place != NULL ? *place : rc_map_find(&node->children, level);
    if (child != NULL)
        return child;
    child = make_node(node, level);
    if (place != NULL)
        *place = child;
    else
        rc_map_insert(&node->children, child);
    return child;
}

static bool is_bare(const struct rc_topic_node *node)
{
    return node->subscriptions == NULL && node->children.count == 0 && node->plus == NULL &&
           node->rest == NULL;
}

static void unlink_node(struct rc_topic_node *node)
{
    struct rc_topic_node **place = wildcard_place(node->parent, node_key(node));
    if (place != NULL)
        *place = NULL;
    else
        rc_map_remove(&node->parent->children, node_key(node));
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
    tree->changes++;
}

void rc_subscriptions_remove(struct rc_subscriptions *tree, struct rc_subscription *subscription)
{
    tree->changes++;
    struct rc_topic_node *node = subscription->node;
    *subscription->prev = subscription->next;
    if (subscription->next != NULL)
        subscription->next->prev = subscription->prev;
    while (node->parent != NULL && is_bare(node)) {
        struct rc_topic_node *parent = node->parent;
        unlink_node(node);
        rc_map_free(&node->children);
        free(node);
        node = parent;
    }
}

/* ---- the walk ---- */

struct match {
    struct rc_slice name;
    struct rc_match_memo *memo;
    void (*visit)(struct rc_subscription *subscription, void *arg);
    void *arg;
};

static void visit_all(struct rc_topic_node *node, const struct match *match)
{
    for (struct rc_subscription *one = node->subscriptions; one != NULL; one = one->next) {
        if (match->memo->count < MEMO_SUBSCRIPTIONS)
            match->memo->found[match->memo->count] = one;
        match->memo->count += match->memo->count <= MEMO_SUBSCRIPTIONS;
        match->visit(one, match->arg);
    }
}

/* The depth is bounded by RC_TOPIC_LEVELS_MAX, which both names and filters keep to. */
static void match_level(struct rc_topic_node *node, size_t at, bool is_first, const struct match *match)
{
    struct rc_slice level;
    bool takes_wildcards = !(is_first && match->name.ptr[0] == '$');
    if (takes_wildcards && node->rest != NULL)
        visit_all(node->rest, match); /* takes the parent level too */
    if (!rc_topic_next_level(match->name, &at, &level)) {
        visit_all(node, match);
        return;
    }
    if (takes_wildcards && node->plus != NULL)
        match_level(node->plus, at, false, match);
    struct rc_topic_node *child = rc_map_find(&node->children, level);
    if (child != NULL)
        match_level(child, at, false, match);
}

/* ---- what is remembered ---- */

static struct rc_match_memo *memo_of(struct rc_subscriptions *tree, struct rc_slice name)
{
    if (tree->memos == NULL)
        tree->memos = rc_calloc(MEMOS, sizeof(*tree->memos));
    return &tree->memos[rc_word_place(name, MEMOS)];
}

static bool is_of(const struct rc_match_memo *memo, struct rc_slice instance, struct rc_slice name)
{
    return rc_word_eq(rc_slice(memo->bytes, memo->name_len), name) &&
           rc_word_eq(rc_slice(memo->bytes + memo->name_len, memo->instance_len), instance);
}

static void remember(struct rc_match_memo *memo, uint64_t changes, struct rc_slice instance,
                     struct rc_slice name)
{
    if (memo->count > MEMO_SUBSCRIPTIONS || name.len + instance.len > MEMO_BYTES) {
        memo->changes = 0;
        return;
    }
    memo->changes = changes;
    memo->name_len = (uint16_t)name.len;
    memo->instance_len = (uint16_t)instance.len;
    memcpy(memo->bytes, name.ptr, name.len);
    memcpy(memo->bytes + name.len, instance.ptr, instance.len);
}

static RC_APART void walk(struct rc_subscriptions *tree, struct rc_slice instance, struct match match)
{
    struct rc_topic_node *root = rc_map_find(&tree->root->children, instance);
    match.memo->count = 0;
    if (root != NULL)
        match_level(root, 0, true, &match);
    remember(match.memo, tree->changes, instance, match.name);
}

void rc_subscriptions_match(struct rc_subscriptions *tree, struct rc_slice instance, struct rc_slice name,
                            void (*visit)(struct rc_subscription *subscription, void *arg), void *arg)
{
    struct rc_match_memo *memo = memo_of(tree, name);
    if (memo->changes != tree->changes || !is_of(memo, instance, name)) {
        walk(tree, instance, (struct match){name, memo, visit, arg});
        return;
    }
    for (uint16_t i = 0; i < memo->count; i++)
        visit(memo->found[i], arg);
}
