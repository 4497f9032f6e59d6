/* Trying where a rule leads, or comes from: what is wrong with it, in words. Blocks, with a loop of its own.
 */
#ifndef RC_RULES_TARGET_CHECK_H
#define RC_RULES_TARGET_CHECK_H

#include "base/error.h"
#include "catalog/catalog.h"

#include <stdatomic.h>

struct rc_target_question {
    const struct rc_target *target;
    struct rc_slice topic;
    struct rc_slice
        group;         /* inflow: who is to read there, without its namespace; empty: it is to be sent to */
    uint32_t limit_ms; /* RC_ERR_TIMEOUT after that; 0: none, each request has its own */
    const atomic_bool *is_cancelled; /* RC_ERR_CLOSED when it becomes true; may be NULL */
};

struct rc_target_found {
    uint32_t brokers, queues;
};

/*
 * Asks the name servers for the topic and each of its brokers, with the target's keys, whether these may send
 * there, by a message for a queue that there is not, which brokers refuse after they have looked at the keys;
 * or, with `group`, whether that consumer group may read there, by a pull that commits nothing. Nothing else
 * is asked: 5.x has rights of their own for each question. 0, or `error` tells the first thing in the way:
 * "no route", "no topic", "no broker", "no group" or "no permission", and why. Any thread.
 */
int rc_target_check(const struct rc_target_question *question, struct rc_target_found *ret,
                    struct rc_error *error);

#endif
