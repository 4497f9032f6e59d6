#include "cli/interrupt.h"

#include "base/error.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_interrupt *interrupt = rc_container_of(watch, struct rc_interrupt, watch);
    struct signalfd_siginfo info;
    while (read(watch->fd, &info, sizeof(info)) == sizeof(info))
        interrupt->on_interrupt(interrupt);
}

int rc_interrupt_start(struct rc_interrupt *interrupt, struct rc_loop *loop)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return rc_err_from_errno(errno);
    interrupt->loop = loop;
    interrupt->watch.on_ready = on_ready;
    int result = rc_loop_watch(loop, &interrupt->watch, fd, EPOLLIN);
    if (result != RC_OK) {
        close(fd);
        interrupt->loop = NULL;
    }
    return result;
}

void rc_interrupt_stop(struct rc_interrupt *interrupt)
{
    if (interrupt->loop == NULL)
        return;
    rc_loop_unwatch(interrupt->loop, &interrupt->watch);
    close(interrupt->watch.fd);
    interrupt->loop = NULL;
}
