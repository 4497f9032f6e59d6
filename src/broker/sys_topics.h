/*
 * $SYS: what the server tells of itself as MQTT topics, in the two families that users know, and who comes
 * and goes. Each shard tells its own subscribers, from counters that all may read. Numbers go out every
 * `sys_interval_ms` and to each new subscription at once, as if they were retained; they cost nothing while
 * nobody is subscribed. On the broker's loop.
 *
 *   $SYS/broker/...                    as mosquitto has it
 *   $SYS/brokers, $SYS/brokers/<node>/...  as EMQX has it; metrics/rollcall/<name> are the broker's counters
 *   $SYS/brokers/<node>/clients/<id>/connected, .../disconnected   JSON, to the client's own instance
 */
#ifndef RC_BROKER_SYS_TOPICS_H
#define RC_BROKER_SYS_TOPICS_H

#include "base/list.h"
#include "base/slice.h"
#include "loop/loop.h"

struct rc_broker;
struct rc_conn;
struct rc_subscription;

enum {
    RC_SYS_LOADS = 9,            /* rates that are averaged */
    RC_SYS_WINDOWS = 3,          /* over 1, 5 and 15 minutes */
    RC_SYS_NOTICES_MAX = 100000, /* comings and goings of one turn; more are not told */
};

struct rc_sys {
    struct rc_timer timer;
    uint64_t started_ms, loaded_ms;
    uint64_t totals[RC_SYS_LOADS]; /* when the rates were last taken */
    double loads[RC_SYS_LOADS][RC_SYS_WINDOWS];
    uint64_t clients_max;
    struct rc_list notices; /* comings and goings, to be published when the turn ends */
    uint32_t notices_count;
};

void rc_sys_init(struct rc_broker *broker);
void rc_sys_free(struct rc_broker *broker);

/* Whether a filter is about $SYS: those subscriptions are counted. */
bool rc_sys_is_about(struct rc_slice filter);
/* Sends the present numbers to a new subscription that takes any. */
void rc_sys_catch_up(struct rc_broker *broker, const struct rc_subscription *subscription);

/* A client is online / is no longer (`reason` is a literal). Published by rc_sys_publish_notices. */
void rc_sys_connected(struct rc_conn *conn);
void rc_sys_disconnected(struct rc_conn *conn, const char *reason);
/* At the end of a turn: false when there were none. */
bool rc_sys_publish_notices(struct rc_broker *broker);

#endif
