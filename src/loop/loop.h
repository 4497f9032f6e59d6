/*
 * One event loop per thread: epoll, a timer wheel and a mailbox. Everything here is for the loop's own
 * thread, except rc_loop_post and rc_loop_stop.
 *
 * One turn: poll; the ready watches; the mail that had arrived (one batch); the timers that are due; then the
 * end-of-turn hooks, in the order they were added (that is where what a turn collected is sent on: staged log
 * records, output buffers). Work per turn is bounded by RC_LOOP_EVENTS_MAX and RC_LOOP_TIMERS_MAX.
 */
#ifndef RC_LOOP_LOOP_H
#define RC_LOOP_LOOP_H

#include "base/list.h"

#include <stdatomic.h>
#include <stdint.h>

enum { RC_LOOP_EVENTS_MAX = 256, RC_LOOP_TIMERS_MAX = 4096 };

struct rc_loop;

/* ---- file descriptors: embedded in their owner, level-triggered ---- */
struct rc_watch {
    /* `events` as in epoll_wait. The owner may remove and free any watch but those of other owners that were
     * ready in the same turn: the loop drops stale events of removed watches by itself. */
    void (*on_ready)(struct rc_watch *watch, uint32_t events);
    int fd;
    uint32_t events; /* what is waited for now; 0 while not added or paused */
};

/* Returns 0 or a negative rc_err. `events` is EPOLLIN and/or EPOLLOUT, not 0. */
int rc_loop_watch(struct rc_loop *loop, struct rc_watch *watch, int fd, uint32_t events);
/*
 * Changes what is waited for, from the next callback on. 0 pauses: nothing is told, not even that the peer
 * has gone, until events are asked for again. On failure nothing has changed.
 */
int rc_loop_rewatch(struct rc_loop *loop, struct rc_watch *watch, uint32_t events);
/* Call before close(fd). Harmless when not added or paused. */
void rc_loop_unwatch(struct rc_loop *loop, struct rc_watch *watch);
/*
 * The same without a system call, for a descriptor that has no duplicate and is closed next: closing takes it
 * out of the kernel's set.
 */
void rc_loop_forget(struct rc_loop *loop, struct rc_watch *watch);

/* ---- timers: embedded in their owner, granularity RC_TIMER_TICK_MS ---- */
enum { RC_TIMER_TICK_MS = 4 };
#define RC_TIMER_DELAY_MAX_MS ((uint64_t)UINT32_MAX * RC_TIMER_TICK_MS) /* 198 days */

struct rc_timer {
    struct rc_list node;
    uint64_t due_tick;
    void (*on_due)(struct rc_timer *timer);
};

/*
 * (Re)starts; fires once, not before `delay_ms` have passed since this turn's rc_loop_now_ms. Delays beyond
 * RC_TIMER_DELAY_MAX_MS count as that. Stop it before its owner is freed or moves to another loop.
 */
void rc_timer_start(struct rc_loop *loop, struct rc_timer *timer, uint64_t delay_ms);
void rc_timer_stop(struct rc_timer *timer);
static inline bool rc_timer_is_running(const struct rc_timer *timer)
{
    return rc_list_is_linked(&timer->node);
}

/* ---- mail: embedded in the message that it carries ---- */
struct rc_mail {
    struct rc_mail *next;
    /* Runs on the receiving loop's thread; owns the message from then on. */
    void (*deliver)(struct rc_mail *mail, struct rc_loop *loop);
};

/*
 * Any thread. Mail from one sender arrives in the order sent. The receiver is woken only when its mailbox was
 * empty. Never fails: a sender bounds what it has under way (each kind of mail states its limit). No call may
 * still be in progress when the receiver is destroyed.
 */
void rc_loop_post(struct rc_loop *to, struct rc_mail *mail);

/*
 * Waits until the loop has delivered what this thread posted to it before. Blocks: for threads that run no
 * loop, while the other runs.
 */
void rc_loop_sync(struct rc_loop *loop);

/* ---- end-of-turn hooks: each may add and remove any hook, itself too ---- */
struct rc_hook {
    struct rc_list node;
    void (*run)(struct rc_hook *hook);
};

void rc_loop_add_hook(struct rc_loop *loop, struct rc_hook *hook);
void rc_loop_remove_hook(struct rc_hook *hook);

/*
 * For a hook that leaves something for later: the next poll ends then (monotonic), if nothing ends it before.
 * False when the loop is about to stop: no turn may follow, so nothing may be left.
 */
bool rc_loop_wake_by(struct rc_loop *loop, uint64_t mono_ns);

/* ---- life ---- */
/* `name` (a literal, at most 15 characters) names the thread that runs it. */
int rc_loop_create(const char *name, struct rc_loop **ret);
/*
 * After the run has ended; mail not yet delivered is delivered first, on the caller's thread. Loops that
 * write to each other: drain all of them until none had any, then destroy. NULL is harmless.
 */
void rc_loop_destroy(struct rc_loop *loop);
/* Delivers one batch of mail on the caller's thread, outside of a run: true when there was any. */
bool rc_loop_drain(struct rc_loop *loop);
/* Runs turns until rc_loop_stop. */
void rc_loop_run(struct rc_loop *loop);
/* Any thread: the run ends after the current turn, or when it begins. */
void rc_loop_stop(struct rc_loop *loop);
/*
 * Starts a thread that runs the loop (0 or a negative rc_err; signals stay with the caller's thread) / waits
 * for it to end after rc_loop_stop; harmless when none was started.
 */
int rc_loop_start_thread(struct rc_loop *loop);
void rc_loop_join_thread(struct rc_loop *loop);

/* The loop that runs on this thread, NULL outside of any. */
struct rc_loop *rc_loop_current(void);
/* The monotonic clock, read once a turn (outside of a run: now). */
uint64_t rc_loop_now_ms(const struct rc_loop *loop);
uint64_t rc_loop_now_ns(const struct rc_loop *loop);
/* The wall clock at the same moment. */
int64_t rc_loop_wall_ms(struct rc_loop *loop);
/* Aborts when called from another thread than the loop's (a cheap check, always on). */
void rc_loop_assert_owner(const struct rc_loop *loop);

#endif
