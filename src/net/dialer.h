/*
 * Outgoing connections, without waiting: names are resolved elsewhere (net/resolver.h), connecting is watched
 * by the loop. A name that has several addresses is tried at one after the other, each with its share of the
 * time that is left.
 */
#ifndef RC_NET_DIALER_H
#define RC_NET_DIALER_H

#include "loop/loop.h"
#include "net/address.h"

enum { RC_DIAL_TARGET_MAX = 300 };

struct rc_dial; /* one attempt under way */

/*
 * Tries "host:port" ("[v6]:port", a name or a number) or "unix:/path". `on_done` runs on the loop's thread
 * exactly once unless rc_dial_cancel comes first: with a connected, non-blocking socket (TCP_NODELAY) that
 * the callee owns, or with fd -1 and what went wrong. The attempt frees itself after that. `source` (may be
 * NULL) is bound to first. On failure of this call itself on_done does not run.
 */
int rc_dial_start(struct rc_loop *loop, const char *target, const struct rc_address *source,
                  uint64_t timeout_ms, void (*on_done)(void *arg, int fd, const struct rc_error *error),
                  void *arg, struct rc_dial **ret, struct rc_error *error);
/* The loop's thread; on_done will not run. Needed before the loop is destroyed. NULL is harmless. */
void rc_dial_cancel(struct rc_dial *dial);

#endif
