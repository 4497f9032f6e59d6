/*
 * Which topics and consumer groups a key pair may use. A topic is the instance's that has claimed it: by a
 * rule that leads there, else by using it first, with a key that may write; a consumer group, and with it its
 * retries and dead letters, likewise. An instance that is no more keeps its names until retention has passed
 * what it left in the log. With one instance alone everything is its own. An administrator's key passes. The
 * endpoint's thread, but for what says otherwise.
 */
#ifndef RC_ROCKETMQ_TENANCY_H
#define RC_ROCKETMQ_TENANCY_H

#include "catalog/catalog.h"
#include "rocketmq/owners.h"
#include "rocketmq/remoting.h"
#include "store/store.h"

struct rc_request;

/* NULL when the key may do what the request asks, as far as its fields tell; else why not, as an answer's
 * remark. The request's key NULL: requests are not signed here, everything may be used. */
const char *rc_tenancy_refusal(const struct rc_request *request);
/* Whether the key may only read: it commits and makes nothing. */
bool rc_tenancy_is_reader(const struct rc_request *request);
bool rc_tenancy_may_topic(const struct rc_request *request, struct rc_slice topic);
bool rc_tenancy_may_group(const struct rc_request *request, struct rc_slice group);

/*
 * Any thread: the same for an instance, by a catalog of the caller's. Claims what is nobody's when `claims`.
 */
struct rc_tenancy {
    struct rc_owners *owners;
    const struct rc_catalog *catalog;
    struct rc_store *store;
    struct rc_slice instance;
    bool claims;
};
bool rc_tenancy_has_topic(const struct rc_tenancy *tenancy, struct rc_slice topic);
bool rc_tenancy_has_group(const struct rc_tenancy *tenancy, struct rc_slice group);
/* For a rule of the instance, whatever other rules lead there. As rc_owners_claim; with RC_ERR_DENIED
 * *ret_owner is whose it is. */
int rc_tenancy_claim_topic(const struct rc_tenancy *tenancy, struct rc_slice topic,
                           char ret_owner[RC_CATALOG_ID_MAX + 1]);

#endif
