/* What the library's own users may ask of a consumer beyond its public header. */
#ifndef RC_CLIENT_CONSUMER_STATE_H
#define RC_CLIENT_CONSUMER_STATE_H

#include "rollcall/consumer.h"

struct rc_tls;

struct rc_consumer_state {
    uint64_t behind;  /* messages of the topic that are not dealt with yet, as far as brokers have told */
    uint64_t retries; /* requests that failed and were, or will be, made again */
    bool is_failing;  /* something that is needed failed when it was tried last */
};
/* Any thread. */
void rc_consumer_state(const struct rc_consumer *consumer, struct rc_consumer_state *ret);

/*
 * rc_consumer_start over TLS: `tls` (a reference is taken; NULL: none) to name servers and brokers alike,
 * whose certificates are for `tls_name` (copied), or for the host asked when it is NULL.
 */
int rc_consumer_start_tls(const struct rc_consumer_options *options, struct rc_tls *tls, const char *tls_name,
                          struct rc_consumer **ret, char *error, size_t error_size);

#endif
