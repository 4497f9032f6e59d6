/* Trying a rule's target: what is wrong with it, in words. Blocks, with a loop of its own: for commands. */
#ifndef RC_RULES_TARGET_CHECK_H
#define RC_RULES_TARGET_CHECK_H

#include "base/error.h"
#include "catalog/catalog.h"

struct rc_target_found {
    uint32_t brokers, queues;
};

/*
 * Asks the name servers for the topic, and each of its brokers for a queue's end, with the target's keys. 0,
 * or `error` tells the first thing in the way: "no route", "no topic", "no broker" or "no permission", and
 * why. Nothing is sent to the topic, so a key that may only read it is not found out.
 */
int rc_target_check(const struct rc_target *target, struct rc_slice topic, struct rc_target_found *ret,
                    struct rc_error *error);

#endif
