/*
 * Design notes
 * - SO_REUSEPORT lets any process of the same user join an address, silently. So the first socket of an
 * address is bound and put into the listening state without it: the kernel refuses when anybody, in whatever
 * mode, is there already, and nobody can come in between. Only then it gets the option, and the other loops'
 * sockets may join it. Two processes that start at the same moment can both be refused, but never both be let
 * in.
 */
#include "net/listener.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_all(int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
}

static int set_on(int fd, int level, int option)
{
    int one = 1;
    return setsockopt(fd, level, option, &one, sizeof(one));
}

static int failed(const struct rc_address *address, int errno_value, struct rc_error *error)
{
    char text[RC_ADDRESS_TEXT_MAX];
    const char *hint = errno_value == EADDRINUSE ? ": another program (or another rollcall) listens there"
                       : errno_value == EACCES   ? ": ports below 1024 need privileges"
                       : errno_value == EADDRNOTAVAIL ? ": this machine has no such address"
                                                      : "";
    return rc_error_set(error, rc_err_from_errno(errno_value), "cannot listen on %s: %s%s",
                        rc_address_format(address, text), strerror(errno_value), hint);
}

static bool set_ip_options(int fd, const struct rc_address *address)
{
    int zero = 0;
    if (address->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) == -1)
        return false;
    /* TCP_NODELAY is inherited by what is accepted: one system call less for each connection. */
    return set_on(fd, SOL_SOCKET, SO_REUSEADDR) == 0 && set_on(fd, IPPROTO_TCP, TCP_NODELAY) == 0;
}

/* Opens one listening socket: 0 or an errno. `joins`: others of this process have the address already. */
static int open_one(const struct rc_address *address, bool joins, int *ret_fd)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return errno;
    if ((rc_address_is_ip(address) && !set_ip_options(fd, address)) ||
        (joins && set_on(fd, SOL_SOCKET, SO_REUSEPORT) == -1) ||
        bind(fd, &address->any, address->len) == -1 || listen(fd, RC_LISTEN_BACKLOG) == -1) {
        int err = errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static int open_ip(struct rc_address *address, int *ret_fds, uint32_t count, struct rc_error *error)
{
    struct rc_address actual = *address;
    int err = open_one(address, false, &ret_fds[0]);
    if (err != 0)
        return failed(address, err, error);
    if ((count > 1 && set_on(ret_fds[0], SOL_SOCKET, SO_REUSEPORT) == -1) ||
        rc_address_of_socket(ret_fds[0], &actual) != RC_OK)
        err = errno;
    uint32_t opened = 1;
    while (err == 0 && opened < count) {
        err = open_one(&actual, true, &ret_fds[opened]);
        opened += err == 0;
    }
    if (err != 0) {
        close_all(ret_fds, opened);
        return failed(address, err, error);
    }
    *address = actual;
    return RC_OK;
}

/*
 * A socket file that nobody listens on any more is left over and may be replaced. Any other file may not, and
 * connecting to one fails in the same way, so look what it is first.
 */
static bool is_stale_socket(const struct rc_address *address)
{
    struct stat what;
    if (lstat(address->local.sun_path, &what) == -1 || !S_ISSOCK(what.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool is_stale = fd != -1 && connect(fd, &address->any, address->len) == -1 && errno == ECONNREFUSED;
    if (fd != -1)
        close(fd);
    return is_stale;
}

static int open_unix(struct rc_address *address, int *ret_fds, uint32_t count, struct rc_error *error)
{
    if (is_stale_socket(address))
        unlink(address->local.sun_path);
    int err = open_one(address, false, &ret_fds[0]);
    if (err != 0)
        return failed(address, err, error);
    for (uint32_t i = 1; i < count; i++) {
        ret_fds[i] = fcntl(ret_fds[0], F_DUPFD_CLOEXEC, 0);
        if (ret_fds[i] == -1) {
            err = errno;
            close_all(ret_fds, i);
            return failed(address, err, error);
        }
    }
    return RC_OK;
}

int rc_listen_open(struct rc_address *address, int *ret_fds, uint32_t count, struct rc_error *error)
{
    return rc_address_is_ip(address) ? open_ip(address, ret_fds, count, error)
                                     : open_unix(address, ret_fds, count, error);
}

/* It saves time alone, so a kernel without it is no fault. */
void rc_listen_for_data(const int *fds, uint32_t count)
{
    int seconds = RC_LISTEN_SILENCE_S;
    for (uint32_t i = 0; i < count; i++)
        (void)setsockopt(fds[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

static void on_pause_over(struct rc_timer *timer)
{
    struct rc_listener *listener = rc_container_of(timer, struct rc_listener, pause);
    if (rc_loop_rewatch(listener->loop, &listener->watch, EPOLLIN) != RC_OK)
        rc_timer_start(listener->loop, timer, RC_LISTEN_PAUSE_MS);
}

/* Level-triggered readiness would spin meanwhile. */
static void pause_accepting(struct rc_listener *listener, uint64_t delay_ms)
{
    rc_loop_rewatch(listener->loop, &listener->watch, 0);
    rc_timer_start(listener->loop, &listener->pause, delay_ms);
}

static void out_of_files(struct rc_listener *listener, int errno_value)
{
    listener->out_of_files++;
    rc_log_error("net", "cannot accept connections: %s; they wait (raise ulimit -n or LimitNOFILE=)",
                 strerror(errno_value));
    pause_accepting(listener, RC_LISTEN_PAUSE_MS);
}

/* The next one has to wait, and those behind it. */
static bool is_too_early(struct rc_listener *listener)
{
    uint64_t wait_ns = listener->wait_ns != NULL ? listener->wait_ns(listener) : 0;
    if (wait_ns > 0)
        pause_accepting(listener, wait_ns / 1000000u + 1);
    return wait_ns > 0;
}

static bool is_out_of_resources(int errno_value)
{
    return errno_value == EMFILE || errno_value == ENFILE || errno_value == ENOBUFS || errno_value == ENOMEM;
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_listener *listener = rc_container_of(watch, struct rc_listener, watch);
    /* The callback may stop the listener, which ends the loop through watch->events. */
    for (int i = 0; i < RC_LISTEN_ACCEPTS_PER_TURN && watch->events != 0; i++) {
        struct rc_address peer;
        if (is_too_early(listener))
            return;
        memset(&peer, 0, sizeof(peer));
        peer.len = sizeof(peer.storage);
        int fd = accept4(watch->fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted++;
            listener->on_accept(listener, fd, &peer);
        } else if (is_out_of_resources(errno)) {
            out_of_files(listener, errno);
        } else if (errno == EAGAIN) {
            return;
        } /* else a fault of that one connection, which is gone; the next may be well */
    }
}

int rc_listener_start(struct rc_listener *listener, struct rc_loop *loop, int fd)
{
    listener->watch.on_ready = on_ready;
    listener->pause.on_due = on_pause_over;
    int err = rc_loop_watch(loop, &listener->watch, fd, EPOLLIN);
    if (err == RC_OK)
        listener->loop = loop;
    return err;
}

void rc_listener_stop(struct rc_listener *listener)
{
    if (listener->loop == NULL)
        return;
    rc_timer_stop(&listener->pause);
    rc_loop_unwatch(listener->loop, &listener->watch);
    close(listener->watch.fd);
    listener->loop = NULL;
}
