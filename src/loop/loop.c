/*
 * Design notes
 * - A watch may be removed and freed by the callback of another watch of the same turn: the events not yet
 * handled are searched for it and dropped. The search is over at most RC_LOOP_EVENTS_MAX entries and happens
 * only while events are being handled.
 * - Mail posted by this turn is handled next turn: the mailbox is taken once a turn, so two loops that answer
 * each other cannot starve their sockets. The poll does not sleep while mail is there (the wake is still
 * pending).
 * - The mailbox's eventfd is edge-triggered and never read: each write is an edge of its own, so none is
 * missed and a wake costs one system call less.
 * - A paused watch leaves epoll altogether: otherwise a peer that hung up would be reported for ever.
 */
#include "loop/loop.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "loop/mailbox.h"
#include "loop/timer_wheel.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    RC_LOOP_SLEEP_MAX_MS = 1000,
    RC_LOOP_DRAIN_ROUNDS_MAX = 1000,
    NS_PER_MS = 1000000,
    NS_PER_S = 1000000000
};

struct rc_loop {
    int epoll_fd;
    struct rc_watch mail_watch;
    struct rc_mailbox mailbox;
    struct rc_timer_wheel wheel;
    struct rc_list hooks;
    uint64_t now_ns;
    int64_t wall_ms;     /* 0: not yet asked for in this turn */
    uint64_t wake_by_ns; /* of the next poll; UINT64_MAX: no earlier than a timer */
    bool is_coarse;      /* epoll_pwait2 has failed */
    struct epoll_event events[RC_LOOP_EVENTS_MAX];
    int events_count; /* > 0 while events are being handled */
    int events_at;
    atomic_bool is_stopping;
    pthread_t owner;
    atomic_bool has_owner;
    pthread_t thread;
    bool has_thread;
    char name[16];
};

static _Thread_local struct rc_loop *current_loop;

/* ---- watches ---- */

static int control(struct rc_loop *loop, int op, struct rc_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, op, watch->fd, &event) == -1)
        return rc_err_from_errno(errno);
    watch->events = events;
    return RC_OK;
}

int rc_loop_watch(struct rc_loop *loop, struct rc_watch *watch, int fd, uint32_t events)
{
    watch->fd = fd;
    watch->events = 0;
    return control(loop, EPOLL_CTL_ADD, watch, events);
}

int rc_loop_rewatch(struct rc_loop *loop, struct rc_watch *watch, uint32_t events)
{
    if (watch->events == events)
        return RC_OK;
    if (events == 0) {
        rc_loop_unwatch(loop, watch);
        return RC_OK;
    }
    return control(loop, watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watch, events);
}

void rc_loop_unwatch(struct rc_loop *loop, struct rc_watch *watch)
{
    if (watch->events == 0)
        return;
    control(loop, EPOLL_CTL_DEL, watch, 0);
    rc_loop_forget(loop, watch);
}

void rc_loop_forget(struct rc_loop *loop, struct rc_watch *watch)
{
    watch->events = 0;
    for (int i = loop->events_at; i < loop->events_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

static void handle_events(struct rc_loop *loop, int count)
{
    loop->events_count = count;
    for (loop->events_at = 0; loop->events_at < count;) {
        struct epoll_event *event = &loop->events[loop->events_at++];
        struct rc_watch *watch = event->data.ptr;
        if (watch == NULL)
            continue;
        /* Another callback of this turn may have changed what this one waits for. */
        uint32_t events = event->events & (watch->events | EPOLLERR | EPOLLHUP);
        if (events != 0)
            watch->on_ready(watch, events);
    }
    loop->events_count = 0;
    loop->events_at = 0;
}

/* ---- mail ---- */

static bool deliver_mail(struct rc_loop *loop)
{
    struct rc_mail *mail = rc_mailbox_take(&loop->mailbox);
    bool had_mail = mail != NULL;
    while (mail != NULL) {
        struct rc_mail *next = mail->next;
        mail->deliver(mail, loop);
        mail = next;
    }
    return had_mail;
}

static void on_wake(struct rc_watch *watch, uint32_t events)
{
    /* The turn takes the mail by itself; the event has only ended the poll. */
}

void rc_loop_post(struct rc_loop *to, struct rc_mail *mail)
{
    rc_mailbox_post(&to->mailbox, mail);
}

struct sync_mail {
    struct rc_mail mail;
    sem_t delivered;
};

static void on_sync(struct rc_mail *mail, struct rc_loop *loop)
{
    sem_post(&rc_container_of(mail, struct sync_mail, mail)->delivered);
}

void rc_loop_sync(struct rc_loop *loop)
{
    struct sync_mail letter = {.mail.deliver = on_sync};
    sem_init(&letter.delivered, 0, 0);
    rc_loop_post(loop, &letter.mail);
    while (sem_wait(&letter.delivered) != 0 && errno == EINTR)
        ;
    sem_destroy(&letter.delivered);
}

/* ---- timers ---- */

static uint64_t tick_of(uint64_t ms)
{
    return ms / RC_TIMER_TICK_MS;
}

void rc_timer_start(struct rc_loop *loop, struct rc_timer *timer, uint64_t delay_ms)
{
    rc_list_remove(&timer->node);
    if (delay_ms > RC_TIMER_DELAY_MAX_MS)
        delay_ms = RC_TIMER_DELAY_MAX_MS;
    /* one tick more: the current one is already partly over, and a timer is never early */
    timer->due_tick = tick_of(rc_loop_now_ms(loop) + delay_ms) + 1;
    rc_timer_wheel_add(&loop->wheel, timer);
}

void rc_timer_stop(struct rc_timer *timer)
{
    rc_list_remove(&timer->node);
}

static void fire_timers(struct rc_loop *loop)
{
    rc_timer_wheel_advance(&loop->wheel, tick_of(rc_loop_now_ms(loop)));
    for (int fired = 0; fired < RC_LOOP_TIMERS_MAX; fired++) {
        struct rc_list *node = rc_list_pop_front(&loop->wheel.due);
        if (node == NULL)
            return;
        struct rc_timer *timer = rc_container_of(node, struct rc_timer, node);
        timer->on_due(timer);
    }
}

/* ---- hooks ---- */

void rc_loop_add_hook(struct rc_loop *loop, struct rc_hook *hook)
{
    rc_list_push_back(&loop->hooks, &hook->node);
}

void rc_loop_remove_hook(struct rc_hook *hook)
{
    rc_list_remove(&hook->node);
}

static void insert_after(struct rc_list *before, struct rc_list *node)
{
    rc_list_push_back(before->next, node);
}

static void run_hooks(struct rc_loop *loop)
{
    /* A bookmark walks along in the list itself, so hooks may come and go meanwhile. */
    struct rc_list bookmark = {NULL, NULL}, *node;
    for (insert_after(&loop->hooks, &bookmark); (node = bookmark.next) != &loop->hooks;) {
        rc_list_remove(&bookmark);
        insert_after(node, &bookmark);
        struct rc_hook *hook = rc_container_of(node, struct rc_hook, node);
        hook->run(hook);
    }
    rc_list_remove(&bookmark);
}

/* ---- turns ---- */

/* When the next timer may be due; never further off than RC_LOOP_SLEEP_MAX_MS. */
static uint64_t timers_due_ns(struct rc_loop *loop)
{
    uint64_t ticks = rc_timer_wheel_wait(&loop->wheel, RC_LOOP_SLEEP_MAX_MS / RC_TIMER_TICK_MS);
    return (loop->wheel.tick + ticks) * RC_TIMER_TICK_MS * NS_PER_MS;
}

bool rc_loop_wake_by(struct rc_loop *loop, uint64_t mono_ns)
{
    if (atomic_load_explicit(&loop->is_stopping, memory_order_acquire))
        return false;
    if (mono_ns < loop->wake_by_ns)
        loop->wake_by_ns = mono_ns;
    return true;
}

static int poll_coarsely(struct rc_loop *loop, uint64_t wait_ns)
{
    int wait_ms = (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS);
    return epoll_wait(loop->epoll_fd, loop->events, RC_LOOP_EVENTS_MAX, wait_ms);
}

/* Where it may not be had (kernels before 5.11, some containers), to the millisecond. */
static int poll_finely(struct rc_loop *loop, uint64_t wait_ns)
{
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S), .tv_nsec = (long)(wait_ns % NS_PER_S)};
    if (!loop->is_coarse) {
        int count = epoll_pwait2(loop->epoll_fd, loop->events, RC_LOOP_EVENTS_MAX, &wait, NULL);
        if (count != -1 || errno == EINTR)
            return count;
        loop->is_coarse = true;
    }
    return poll_coarsely(loop, wait_ns);
}

static int poll_events(struct rc_loop *loop)
{
    uint64_t due_ns = timers_due_ns(loop), wake_by_ns = loop->wake_by_ns, now = rc_clock_mono_ns();
    uint64_t until_ns = wake_by_ns < due_ns ? wake_by_ns : due_ns;
    uint64_t wait_ns = until_ns > now ? until_ns - now : 0;
    loop->wake_by_ns = UINT64_MAX;
    return wake_by_ns < due_ns ? poll_finely(loop, wait_ns) : poll_coarsely(loop, wait_ns);
}

static void turn(struct rc_loop *loop)
{
    int count = poll_events(loop);
    loop->now_ns = rc_clock_mono_ns();
    loop->wall_ms = 0;
    if (count > 0)
        handle_events(loop, count);
    deliver_mail(loop);
    fire_timers(loop);
    run_hooks(loop);
}

void rc_loop_run(struct rc_loop *loop)
{
    loop->owner = pthread_self();
    loop->now_ns = rc_clock_mono_ns(); /* no turn has read it yet */
    loop->wall_ms = 0;
    atomic_store(&loop->has_owner, true);
    current_loop = loop;
    while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire))
        turn(loop);
    deliver_mail(loop);
    run_hooks(loop);
    current_loop = NULL;
    atomic_store(&loop->has_owner, false);
    atomic_store(&loop->is_stopping, false);
}

void rc_loop_stop(struct rc_loop *loop)
{
    atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
    rc_mailbox_wake(&loop->mailbox);
}

/* ---- life ---- */

int rc_loop_create(const char *name, struct rc_loop **ret)
{
    struct rc_loop *loop = rc_new(struct rc_loop);
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    rc_list_init(&loop->hooks);
    loop->now_ns = rc_clock_mono_ns();
    loop->wake_by_ns = UINT64_MAX;
    rc_timer_wheel_init(&loop->wheel, tick_of(loop->now_ns / NS_PER_MS));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd == -1) {
        int err = rc_err_from_errno(errno);
        free(loop);
        return err;
    }
    int err = rc_mailbox_init(&loop->mailbox);
    if (err != RC_OK) {
        close(loop->epoll_fd);
        free(loop);
        return err;
    }
    loop->mail_watch.on_ready = on_wake;
    err = rc_loop_watch(loop, &loop->mail_watch, loop->mailbox.wake_fd, EPOLLIN | EPOLLET);
    if (err != RC_OK) {
        rc_loop_destroy(loop);
        return err;
    }
    *ret = loop;
    return RC_OK;
}

bool rc_loop_drain(struct rc_loop *loop)
{
    struct rc_loop *outer = current_loop;
    current_loop = loop;
    bool had_mail = deliver_mail(loop);
    current_loop = outer;
    return had_mail;
}

void rc_loop_destroy(struct rc_loop *loop)
{
    if (loop == NULL)
        return;
    /* Mail that writes to its own loop for ever would be a fault; it ends here rather than never. */
    for (int round = 0; round < RC_LOOP_DRAIN_ROUNDS_MAX && rc_loop_drain(loop); round++)
        continue;
    rc_mailbox_close(&loop->mailbox);
    close(loop->epoll_fd);
    free(loop);
}

static void *thread_main(void *arg)
{
    struct rc_loop *loop = arg;
    pthread_setname_np(pthread_self(), loop->name);
    rc_loop_run(loop);
    return NULL;
}

int rc_loop_start_thread(struct rc_loop *loop)
{
    /* Signals are for the thread that started this one. What the hardware raises must not be blocked. */
    sigset_t all, before;
    sigfillset(&all);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&loop->thread, NULL, thread_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    loop->has_thread = failure == 0;
    return rc_err_from_errno(failure);
}

void rc_loop_join_thread(struct rc_loop *loop)
{
    if (!loop->has_thread)
        return;
    pthread_join(loop->thread, NULL);
    loop->has_thread = false;
}

struct rc_loop *rc_loop_current(void)
{
    return current_loop;
}

uint64_t rc_loop_now_ns(const struct rc_loop *loop)
{
    return atomic_load_explicit(&loop->has_owner, memory_order_relaxed) ? loop->now_ns : rc_clock_mono_ns();
}

uint64_t rc_loop_now_ms(const struct rc_loop *loop)
{
    return rc_loop_now_ns(loop) / NS_PER_MS;
}

int64_t rc_loop_wall_ms(struct rc_loop *loop)
{
    if (!atomic_load_explicit(&loop->has_owner, memory_order_relaxed))
        return rc_clock_wall_ms();
    /* Of the same moment as now_ns: who compares the two must see no step between them. */
    if (loop->wall_ms == 0)
        loop->wall_ms = rc_clock_wall_ms() - (int64_t)((rc_clock_mono_ns() - loop->now_ns) / NS_PER_MS);
    return loop->wall_ms;
}

void rc_loop_assert_owner(const struct rc_loop *loop)
{
    if (atomic_load_explicit(&loop->has_owner, memory_order_relaxed) &&
        !pthread_equal(loop->owner, pthread_self())) {
        fprintf(stderr, "rollcall: loop %s used from another thread\n", loop->name);
        abort();
    }
}
