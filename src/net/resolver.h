/*
 * Names to addresses. The system's resolver waits for the network, so it runs on a few threads of its own,
 * shared by the process, that come when there is work and go when there is none.
 */
#ifndef RC_NET_RESOLVER_H
#define RC_NET_RESOLVER_H

#include "loop/loop.h"
#include "net/address.h"

enum {
    RC_RESOLVE_NAME_MAX = 255,
    RC_RESOLVE_THREADS_MAX = 4,
    RC_RESOLVE_WAITING_MAX = 1024, /* questions that no thread has begun with; then RC_ERR_FULL */
    RC_RESOLVE_ANSWERS_MAX = 8,    /* addresses in one answer; the rest is left out */
};

struct rc_resolve; /* one question under way */

/*
 * Asks for the addresses of `name`, each to be given `port`. `on_done` runs on the loop's thread exactly
 * once, unless rc_resolve_cancel comes first: with 1..RC_RESOLVE_ANSWERS_MAX addresses in the system's order
 * of preference, valid during the call; or with count 0 and what went wrong. The question frees itself after
 * that. How long it takes is the system's business: a caller that has a deadline cancels.
 */
int rc_resolve_start(struct rc_loop *loop, const char *name, uint16_t port,
                     void (*on_done)(void *arg, const struct rc_address *addresses, uint32_t count,
                                     const struct rc_error *error),
                     void *arg, struct rc_resolve **ret);
/* The loop's thread; on_done will not run. Needed before the loop is destroyed. */
void rc_resolve_cancel(struct rc_resolve *resolve);

#endif
