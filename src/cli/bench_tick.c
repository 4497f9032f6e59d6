#include "cli/bench_tick.h"

#include "base/error.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PACED_NS = 250000, IDLE_NS = 2000000 };

static void on_tick(struct rc_watch *watch, uint32_t ready)
{
    uint64_t count;
    ssize_t len = read(watch->fd, &count, sizeof(count)); /* the hook does the work */
    (void)len;
}

int rc_bench_tick_start(struct rc_bench_tick *tick, struct rc_loop *loop, bool is_paced,
                        void (*on_turn)(struct rc_hook *hook))
{
    struct timespec every = {.tv_nsec = is_paced ? PACED_NS : IDLE_NS};
    const struct itimerspec timer = {.it_interval = every, .it_value = every};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0)
        return rc_err_from_errno(errno);
    timerfd_settime(fd, 0, &timer, NULL);
    tick->loop = loop;
    tick->watch.on_ready = on_tick;
    rc_loop_watch(loop, &tick->watch, fd, EPOLLIN);
    tick->hook.run = on_turn;
    rc_loop_add_hook(loop, &tick->hook);
    return RC_OK;
}

void rc_bench_tick_stop(struct rc_bench_tick *tick)
{
    if (tick->loop == NULL)
        return;
    rc_loop_remove_hook(&tick->hook);
    rc_loop_unwatch(tick->loop, &tick->watch);
    close(tick->watch.fd);
    tick->loop = NULL;
}
