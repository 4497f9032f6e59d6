/*
 * A connection to a name server or broker: requests out, each answered once (by its answer, by a time-out or
 * by the connection's end), requests of the other side in. Connects when first used, and again after it
 * broke. One loop.
 */
#ifndef RC_CLIENT_LINK_H
#define RC_CLIENT_LINK_H

#include "base/list.h"
#include "net/dialer.h"
#include "net/output.h"
#include "net/tls_context.h"
#include "rocketmq/remoting.h"

/* What a call is told whose answer did not come. */
#define RC_LINK_NO_ANSWER "no answer in time"

enum { RC_LINK_CALLS_MAX = 4096, RC_LINK_CONNECT_MS = 3000, RC_LINK_OUTPUT_MAX = 16 * 1024 * 1024 };

/* `answer` NULL: none came, `error` says why. The views live until the callback returns. */
typedef void (*rc_link_reply_fn)(void *arg, const struct rc_remoting *answer, const char *error);

struct rc_link;

struct rc_link_options {
    struct rc_loop *loop;
    const char *access_key, *secret_key; /* NULL: not signed */
    struct rc_tls *tls;                  /* of rc_tls_create_client, outlives the link; NULL: plain TCP */
    const char *tls_name;                /* whom certificates must be for; NULL: the host of the address */
    /* A request of the other side (one-way); may be NULL. */
    void (*on_request)(void *arg, const struct rc_remoting *request);
    void *arg;
};

struct rc_link *rc_link_create(const struct rc_link_options *options, const char *address);
/* Calls under way get no answer any more, and no callback. */
void rc_link_destroy(struct rc_link *link);
const char *rc_link_address(const struct rc_link *link);
/* Whether there is a connection now. */
bool rc_link_is_ready(const struct rc_link *link);

/*
 * Sends a request; sets its opaque and signs it. `on_reply` NULL: one-way. The callback never runs before
 * this returns. The time for the answer begins when the other side has got the request (its kernel has; a
 * proxy may come between): a large one on a slow link is none that nobody answers. A side that takes nothing
 * of it for as long is given up too.
 */
void rc_link_call(struct rc_link *link, struct rc_remoting *request, uint64_t timeout_ms,
                  rc_link_reply_fn on_reply, void *arg);

#endif
