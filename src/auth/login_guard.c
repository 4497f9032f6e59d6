#include "auth/login_guard.h"

/* A slot: 24 bits of the minute, 24 of the key's tag, 16 of the count. */
enum { COUNT_BITS = 16, COUNT_MAX = (1 << COUNT_BITS) - 1, WINDOW_MS = 60000 };

static uint64_t minute_of(uint64_t now_ms)
{
    return now_ms / WINDOW_MS & 0xffffff;
}

static uint64_t head_of(uint64_t key, uint64_t now_ms)
{
    uint64_t minute = minute_of(now_ms), tag = key >> 40;
    return (minute << 24 | tag) << COUNT_BITS;
}

static atomic_uint_fast64_t *slot_of(struct rc_login_guard *guard, uint64_t key)
{
    return &guard->slots[key % RC_LOGIN_GUARD_SLOTS];
}

bool rc_login_guard_is_on(const struct rc_login_guard *guard, uint64_t now_ms)
{
    return atomic_load_explicit(&guard->last_minute, memory_order_relaxed) > minute_of(now_ms);
}

bool rc_login_guard_allows(struct rc_login_guard *guard, uint64_t key, uint32_t limit, uint64_t now_ms)
{
    uint64_t slot = atomic_load_explicit(slot_of(guard, key), memory_order_relaxed);
    bool is_ours = (slot & ~(uint64_t)COUNT_MAX) == head_of(key, now_ms);
    return limit == 0 || !is_ours || (slot & COUNT_MAX) < limit;
}

/* It only grows: a thread whose turn began a minute ago does not set it back. */
static void note_minute(struct rc_login_guard *guard, uint64_t minute)
{
    uint_fast64_t last = atomic_load_explicit(&guard->last_minute, memory_order_relaxed);
    while (last < minute &&
           !atomic_compare_exchange_weak_explicit(&guard->last_minute, &last, minute, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void rc_login_guard_failed(struct rc_login_guard *guard, uint64_t key, uint64_t now_ms)
{
    atomic_uint_fast64_t *at = slot_of(guard, key);
    uint64_t head = head_of(key, now_ms);
    uint_fast64_t slot = atomic_load_explicit(at, memory_order_relaxed), next;
    note_minute(guard, minute_of(now_ms) + 1);
    do {
        bool is_ours = (slot & ~(uint64_t)COUNT_MAX) == head;
        next = !is_ours ? head + 1 : (slot & COUNT_MAX) < COUNT_MAX ? slot + 1 : slot;
    } while (
        !atomic_compare_exchange_weak_explicit(at, &slot, next, memory_order_relaxed, memory_order_relaxed));
}
