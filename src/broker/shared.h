/*
 * Shared subscriptions: of all members of $share/<name>/<filter> in an instance, one gets each message.
 * Members are sessions on any shard; the group itself stands on one (rc_broker_shard_of of instance and whole
 * filter), which every message reaches, and which picks the member: those who are there in turn, absent ones
 * only when nobody is. A member that cannot take a message after all gives it back. On the broker's loop;
 * shards talk by mail.
 */
#ifndef RC_BROKER_SHARED_H
#define RC_BROKER_SHARED_H

#include "broker/publication.h"
#include "broker/subscriptions.h"

struct rc_broker;

enum {
    RC_SHARE_MEMBERS_MAX = 10000, /* of one group; more are answered 0x97 (quota) */
    RC_SHARE_TRIES_MAX = 16,      /* members that are asked whether they are there; then one has to hold it */
};

/* The whole filter of a shared subscription, held by it and by messages that came through it. One thread. */
struct rc_share_name {
    uint32_t refs;
    uint16_t len;
    char text[];
};
struct rc_share_name *rc_share_name_create(struct rc_slice filter);
struct rc_share_name *rc_share_name_ref(struct rc_share_name *name); /* NULL is fine */
void rc_share_name_unref(struct rc_share_name *name);                /* NULL is fine */

/* The groups of one shard. */
struct rc_shares {
    struct rc_map groups;
    struct rc_subscriptions tree; /* of the groups' inner filters */
};
void rc_shares_init(struct rc_shares *shares);
void rc_shares_free(struct rc_shares *shares);

/* ---- the member's side ---- */

/* A SUBACK that waits until the groups on other shards know their new member. */
struct rc_suback_wait;
struct rc_suback_wait *rc_suback_wait_create(const struct rc_session *session, uint16_t packet_id,
                                             struct rc_slice codes);
/* All joins were asked for: SUBACK goes out now, or with the last answer. */
void rc_suback_wait_seal(struct rc_broker *broker, struct rc_suback_wait *wait);

/* `at` is the filter's place among the codes; wait NULL: nobody waits. The subscription bears its options and
 * id. */
void rc_share_join(struct rc_broker *broker, const struct rc_subscription *subscription,
                   struct rc_suback_wait *wait, uint32_t at);
void rc_share_leave(struct rc_broker *broker, const struct rc_subscription *subscription);
/* The session's client is there, or away, from now on. */
void rc_share_presence(struct rc_broker *broker, const struct rc_session *session, bool is_online);
/* A message that came through `name` will not reach this session: somebody else shall have it. */
void rc_share_return(struct rc_broker *broker, const struct rc_session *session,
                     const struct rc_share_name *name, struct rc_publication *publication);

/* ---- the group's side ---- */
/* Hands a message to one member of each of this shard's groups that take it: true when there was any. */
bool rc_share_route(struct rc_broker *broker, struct rc_slice instance, struct rc_publication *publication);

#endif
