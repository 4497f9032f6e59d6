#include "broker/retained.h"

#include "base/alloc.h"
#include "mqtt/topic.h"

struct rc_retained_node {
    struct rc_retained_node *parent;
    struct rc_map children; /* by level */
    struct rc_publication *publication;
    struct rc_list listed; /* among the tombstones or those that expire, if it is one of them */
    uint64_t deleted_ms;
    uint32_t level_len;
    char level[];
};

static struct rc_slice node_key(const void *item)
{
    const struct rc_retained_node *node = item;
    return rc_slice(node->level, node->level_len);
}

static struct rc_retained_node *make_node(struct rc_retained_node *parent, struct rc_slice level)
{
    struct rc_retained_node *node = rc_calloc(1, sizeof(*node) + level.len);
    node->parent = parent;
    node->level_len = (uint32_t)level.len;
    if (level.len > 0)
        memcpy(node->level, level.ptr, level.len);
    rc_map_init(&node->children, node_key);
    rc_list_init(&node->listed);
    if (parent != NULL)
        rc_map_insert(&parent->children, node);
    return node;
}

void rc_retained_init(struct rc_retained *retained)
{
    *retained = (struct rc_retained){.root = make_node(NULL, rc_slice(NULL, 0))};
    rc_list_init(&retained->tombstones);
    rc_list_init(&retained->expiring);
}

/* ---- messages of a node ---- */

static bool is_deletion(const struct rc_publication *publication)
{
    return publication->payload_len == 0;
}

static void drop_message(struct rc_retained *retained, struct rc_retained_node *node)
{
    if (node->publication == NULL)
        return;
    if (is_deletion(node->publication)) {
        rc_list_remove(&node->listed);
    } else {
        if (node->publication->expires_ms != 0) {
            rc_list_remove(&node->listed);
            retained->expiring_count--;
        }
        retained->count--;
        retained->bytes -= rc_publication_size(node->publication);
    }
    rc_publication_unref(node->publication);
    node->publication = NULL;
}

static void free_if_bare(struct rc_retained_node *node)
{
    while (node->parent != NULL && node->publication == NULL && node->children.count == 0) {
        struct rc_retained_node *parent = node->parent;
        rc_map_remove(&parent->children, node_key(node));
        rc_map_free(&node->children);
        free(node);
        node = parent;
    }
}

static void free_below(struct rc_retained *retained, struct rc_retained_node *node)
{
    struct rc_retained_node *child;
    for (uint32_t cursor = 0; (child = rc_map_next(&node->children, &cursor)) != NULL;)
        free_below(retained, child);
    drop_message(retained, node);
    rc_map_free(&node->children);
    free(node);
}

void rc_retained_free(struct rc_retained *retained)
{
    free_below(retained, retained->root);
    retained->root = NULL;
}

/* ---- setting ---- */

static struct rc_retained_node *find_node(const struct rc_retained *retained, struct rc_slice instance,
                                          struct rc_slice topic)
{
    struct rc_slice level;
    struct rc_retained_node *node = rc_map_find(&retained->root->children, instance);
    for (size_t at = 0; node != NULL && rc_topic_next_level(topic, &at, &level);)
        node = rc_map_find(&node->children, level);
    return node;
}

static struct rc_retained_node *child_of(struct rc_retained_node *node, struct rc_slice level)
{
    struct rc_retained_node *child = rc_map_find(&node->children, level);
    return child != NULL ? child : make_node(node, level);
}

bool rc_retained_has_room(const struct rc_retained *retained, struct rc_slice instance, struct rc_slice topic)
{
    if (retained->count < RC_RETAINED_MAX && retained->bytes < RC_RETAINED_BYTES_MAX)
        return true;
    const struct rc_retained_node *node = find_node(retained, instance, topic);
    return node != NULL && node->publication != NULL && !is_deletion(node->publication);
}

void rc_retained_set(struct rc_retained *retained, struct rc_slice instance,
                     struct rc_publication *publication, uint64_t now_ms)
{
    struct rc_slice topic = rc_publication_topic(publication), level;
    struct rc_retained_node *node = child_of(retained->root, instance);
    for (size_t at = 0; rc_topic_next_level(topic, &at, &level);)
        node = child_of(node, level);
    if (node->publication != NULL && node->publication->stamp >= publication->stamp)
        return;
    drop_message(retained, node);
    node->publication = rc_publication_ref(publication);
    if (is_deletion(publication)) {
        node->deleted_ms = now_ms;
        rc_list_push_back(&retained->tombstones, &node->listed);
    } else {
        if (publication->expires_ms != 0) {
            rc_list_push_back(&retained->expiring, &node->listed);
            retained->expiring_count++;
        }
        retained->count++;
        retained->bytes += rc_publication_size(publication);
    }
}

/* ---- sweeping ---- */

static void forget_tombstones(struct rc_retained *retained, uint64_t now_ms)
{
    while (!rc_list_is_empty(&retained->tombstones)) {
        struct rc_retained_node *node =
            rc_container_of(retained->tombstones.next, struct rc_retained_node, listed);
        if (now_ms - node->deleted_ms < RC_RETAINED_TOMBSTONE_MS)
            return;
        drop_message(retained, node);
        free_if_bare(node);
    }
}

/* Of which instance it is: the level below the root. */
static struct rc_slice instance_of(const struct rc_retained_node *node)
{
    while (node->parent->parent != NULL)
        node = node->parent;
    return node_key(node);
}

void rc_retained_sweep(struct rc_retained *retained, uint64_t now_ms,
                       void (*on_expired)(struct rc_slice instance, struct rc_publication *publication,
                                          void *arg),
                       void *arg)
{
    uint32_t left =
        retained->expiring_count < RC_RETAINED_SWEEP_MAX ? retained->expiring_count : RC_RETAINED_SWEEP_MAX;
    forget_tombstones(retained, now_ms);
    for (; left > 0; left--) {
        struct rc_retained_node *node =
            rc_container_of(retained->expiring.next, struct rc_retained_node, listed);
        if (!rc_publication_is_expired(node->publication, now_ms)) {
            rc_list_remove(&node->listed);
            rc_list_push_back(&retained->expiring, &node->listed);
            continue;
        }
        on_expired(instance_of(node), node->publication, arg);
        drop_message(retained, node);
        free_if_bare(node);
    }
}

/* ---- matching ---- */

struct match {
    struct rc_slice filter;
    uint64_t now_ms;
    void (*visit)(struct rc_publication *publication, void *arg);
    void *arg;
};

static void visit_node(const struct rc_retained_node *node, const struct match *match)
{
    struct rc_publication *publication = node->publication;
    if (publication != NULL && !is_deletion(publication) &&
        !rc_publication_is_expired(publication, match->now_ms))
        match->visit(publication, match->arg);
}

/* Wildcards at the first level do not take names that begin with `$`. */
static bool is_hidden(const struct rc_retained_node *node, bool is_first)
{
    return is_first && node->level_len > 0 && node->level[0] == '$';
}

static void visit_below(const struct rc_retained_node *node, bool is_first, const struct match *match)
{
    const struct rc_retained_node *child;
    if (!is_first)
        visit_node(node, match);
    for (uint32_t cursor = 0; (child = rc_map_next(&node->children, &cursor)) != NULL;)
        if (!is_hidden(child, is_first))
            visit_below(child, false, match);
}

/* The depth is bounded by RC_TOPIC_LEVELS_MAX. */
static void match_level(const struct rc_retained_node *node, size_t at, bool is_first,
                        const struct match *match)
{
    const struct rc_retained_node *child;
    struct rc_slice level;
    if (!rc_topic_next_level(match->filter, &at, &level)) {
        visit_node(node, match);
    } else if (rc_slice_eq_str(level, "#")) {
        visit_below(node, is_first, match);
    } else if (rc_slice_eq_str(level, "+")) {
        for (uint32_t cursor = 0; (child = rc_map_next(&node->children, &cursor)) != NULL;)
            if (!is_hidden(child, is_first))
                match_level(child, at, false, match);
    } else if ((child = rc_map_find(&node->children, level)) != NULL) {
        match_level(child, at, false, match);
    }
}

void rc_retained_match(struct rc_retained *retained, struct rc_slice instance, struct rc_slice filter,
                       uint64_t now_ms, void (*visit)(struct rc_publication *publication, void *arg),
                       void *arg)
{
    const struct match match = {.filter = filter, .now_ms = now_ms, .visit = visit, .arg = arg};
    const struct rc_retained_node *root = rc_map_find(&retained->root->children, instance);
    if (root != NULL)
        match_level(root, 0, true, &match);
}

/* ---- all of them ---- */

struct each {
    struct rc_slice instance;
    void (*visit)(struct rc_slice instance, struct rc_publication *publication, void *arg);
    void *arg;
};

static void each_below(const struct rc_retained_node *node, const struct each *each)
{
    const struct rc_retained_node *child;
    if (node->publication != NULL && !is_deletion(node->publication))
        each->visit(each->instance, node->publication, each->arg);
    for (uint32_t cursor = 0; (child = rc_map_next(&node->children, &cursor)) != NULL;)
        each_below(child, each);
}

void rc_retained_each(struct rc_retained *retained,
                      void (*visit)(struct rc_slice instance, struct rc_publication *publication, void *arg),
                      void *arg)
{
    const struct rc_retained_node *instance;
    for (uint32_t cursor = 0; (instance = rc_map_next(&retained->root->children, &cursor)) != NULL;) {
        struct each each = {.instance = node_key(instance), .visit = visit, .arg = arg};
        each_below(instance, &each);
    }
}
