/*
 * Counts wrong passwords, so that they cannot be guessed at speed: by where they come from, and by the client
 * that they are for. A small table of counters of the current minute; any thread, no lock. What collides in
 * it is forgotten early: it slows guessers down, it is no ledger.
 */
#ifndef RC_AUTH_LOGIN_GUARD_H
#define RC_AUTH_LOGIN_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { RC_LOGIN_GUARD_SLOTS = 65536 };

struct rc_login_guard {
    atomic_uint_fast64_t slots[RC_LOGIN_GUARD_SLOTS]; /* minute, tag, count */
    atomic_uint_fast64_t last_minute;                 /* of the last failure, and one; 0: none yet */
};

/* Whether anybody failed in this minute; if not, everybody is allowed. */
bool rc_login_guard_is_on(const struct rc_login_guard *guard, uint64_t now_ms);

/* `key`: a seeded hash of what is counted. `limit` in a minute, 0: none. `now_ms` is monotonic. */
bool rc_login_guard_allows(struct rc_login_guard *guard, uint64_t key, uint32_t limit, uint64_t now_ms);
void rc_login_guard_failed(struct rc_login_guard *guard, uint64_t key, uint64_t now_ms);

#endif
