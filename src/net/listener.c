#include "net/listener.h"

#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
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

/* Binds without SO_REUSEPORT: the kernel refuses when anybody else has the address, in whatever mode. */
static int probe(struct rc_address *address, int *ret_fd)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return errno;
    if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) == -1 || bind(fd, &address->any, address->len) == -1) {
        int err = errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static int open_one(const struct rc_address *address, int *ret_fd)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return errno;
    bool is_ip = rc_address_is_ip(address);
    /* TCP_NODELAY is inherited by what is accepted: one system call less for each connection. */
    if ((is_ip && (set_on(fd, SOL_SOCKET, SO_REUSEADDR) == -1 || set_on(fd, SOL_SOCKET, SO_REUSEPORT) == -1 ||
                   set_on(fd, IPPROTO_TCP, TCP_NODELAY) == -1)) ||
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
    int probe_fd, err = probe(address, &probe_fd);
    if (err != 0)
        return failed(address, err, error);
    if (rc_address_port(address) == 0)
        rc_address_of_socket(probe_fd, address);
    close(probe_fd);
    for (uint32_t i = 0; i < count; i++) {
        err = open_one(address, &ret_fds[i]);
        if (err != 0) {
            close_all(ret_fds, i);
            return failed(address, err, error);
        }
    }
    return RC_OK;
}

/* A socket file that nobody listens on any more is left over from a crash and may be replaced. */
static bool is_stale_socket(const struct rc_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_stale = fd != -1 && connect(fd, &address->any, address->len) == -1 && errno == ECONNREFUSED;
    if (fd != -1)
        close(fd);
    return is_stale;
}

static int open_unix(struct rc_address *address, int *ret_fds, uint32_t count, struct rc_error *error)
{
    if (is_stale_socket(address))
        unlink(address->local.sun_path);
    int err = open_one(address, &ret_fds[0]);
    if (err != 0)
        return failed(address, err, error);
    for (uint32_t i = 1; i < count; i++) {
        ret_fds[i] = dup(ret_fds[0]);
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

static void on_pause_over(struct rc_timer *timer)
{
    struct rc_listener *listener = rc_container_of(timer, struct rc_listener, pause);
    rc_loop_watch(listener->loop, &listener->watch, listener->watch.fd, EPOLLIN);
}

/* Level-triggered readiness would spin while there is no descriptor to accept with. */
static void pause_accepting(struct rc_listener *listener)
{
    listener->out_of_files++;
    rc_log_error("net",
                 "out of file descriptors: new connections wait; raise the limit (ulimit -n, LimitNOFILE=)");
    rc_loop_unwatch(listener->loop, &listener->watch);
    rc_timer_start(listener->loop, &listener->pause, RC_LISTEN_PAUSE_MS);
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct rc_listener *listener = rc_container_of(watch, struct rc_listener, watch);
    for (int i = 0; i < RC_LISTEN_ACCEPTS_PER_TURN && watch->events != 0; i++) {
        struct rc_address peer = {.len = sizeof(peer.storage)};
        int fd = accept4(watch->fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->accepted++;
            listener->on_accept(listener, fd, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return; /* EAGAIN, or a fault of that one connection */
        }
    }
}

int rc_listener_start(struct rc_listener *listener, struct rc_loop *loop, int fd)
{
    listener->loop = loop;
    listener->watch.on_ready = on_ready;
    listener->pause.on_due = on_pause_over;
    return rc_loop_watch(loop, &listener->watch, fd, EPOLLIN);
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
