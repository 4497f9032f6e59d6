/*
 * Which topics and consumer groups a key pair may use. A topic is its instance's when a rule of the instance
 * leads there, else when the instance used it first; a consumer group, and with it its retries and dead
 * letters, likewise. With one instance alone everything is its own. An administrator's key passes. The
 * endpoint's thread, but for what says otherwise.
 */
#ifndef RC_ROCKETMQ_TENANCY_H
#define RC_ROCKETMQ_TENANCY_H

#include "catalog/catalog.h"
#include "rocketmq/owners.h"
#include "rocketmq/remoting.h"

struct rc_endpoint;

/* NULL when the key may do what the request asks, as far as its fields tell; else why not, as an answer's
 * remark. `key` NULL: requests are not signed here, everything may be used. */
const char *rc_tenancy_refusal(struct rc_endpoint *endpoint, const struct rc_key_pair *key,
                               const struct rc_remoting *command);
bool rc_tenancy_may_topic(struct rc_endpoint *endpoint, const struct rc_key_pair *key, struct rc_slice topic);
bool rc_tenancy_may_group(struct rc_endpoint *endpoint, const struct rc_key_pair *key, struct rc_slice group);

/*
 * Any thread: the same for an instance, by a catalog of the caller's. Claims what is nobody's when `claims`.
 */
struct rc_tenancy {
    struct rc_owners *owners;
    const struct rc_catalog *catalog;
    struct rc_slice instance;
    bool claims;
};
bool rc_tenancy_has_topic(const struct rc_tenancy *tenancy, struct rc_slice topic);
bool rc_tenancy_has_group(const struct rc_tenancy *tenancy, struct rc_slice group);

#endif
