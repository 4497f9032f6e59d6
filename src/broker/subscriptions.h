/*
 * Who wants which topics: a tree by topic level, for one shard. A root level is the instance, so tenants
 * never meet.
 */
#ifndef RC_BROKER_SUBSCRIPTIONS_H
#define RC_BROKER_SUBSCRIPTIONS_H

#include "base/map.h"

struct rc_session;
struct rc_share_name;

struct rc_subscription {
    struct rc_subscription *session_next; /* the session's others */
    struct rc_subscription *next, **prev; /* in the tree's node */
    struct rc_topic_node *node;
    struct rc_session *session;
    uint32_t number;             /* in the session store; 0: none */
    struct rc_share_name *share; /* a shared one: it stands in no tree here; NULL: plain */
    uint32_t id;                 /* subscription identifier, 0: none */
    uint8_t options;             /* as on the wire, with the QoS that was granted */
    bool is_partial;             /* some of what it takes its client may not read */
    uint16_t filter_len;
    char filter[];
};

struct rc_topic_node {
    struct rc_topic_node *parent;
    struct rc_map children;            /* by level, but for wildcards */
    struct rc_topic_node *plus, *rest; /* the children `+` and `#`: looked for with each message */
    struct rc_subscription *subscriptions;
    uint32_t level_len;
    char level[];
};

struct rc_subscriptions {
    struct rc_topic_node *root;
    struct rc_match_memo *memos; /* NULL until something was matched */
    uint64_t changes;            /* additions and removals so far */
};

void rc_subscriptions_init(struct rc_subscriptions *tree);
void rc_subscriptions_free(struct rc_subscriptions *tree); /* no subscription may be left */

/* Links a subscription made by rc_subscription_create; the filter is valid. */
void rc_subscriptions_add(struct rc_subscriptions *tree, struct rc_slice instance,
                          struct rc_subscription *subscription);
/* Unlinks and frees nodes that nobody needs any more. */
void rc_subscriptions_remove(struct rc_subscriptions *tree, struct rc_subscription *subscription);

/* Calls `visit` for each subscription whose filter takes the name. `visit` neither adds nor removes
 * one, nor matches another name. */
void rc_subscriptions_match(struct rc_subscriptions *tree, struct rc_slice instance, struct rc_slice name,
                            void (*visit)(struct rc_subscription *subscription, void *arg), void *arg);

#endif
