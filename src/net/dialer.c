#include "net/dialer.h"

#include "base/alloc.h"
#include "base/log.h"
#include "net/resolver.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct rc_dial {
    struct rc_loop *loop;
    struct rc_watch watch;
    struct rc_timer timer;
    struct rc_resolve *resolve; /* NULL but while the name is being asked for */
    struct rc_address *addresses;
    uint32_t count, next; /* next: the address to try after the current one */
    uint64_t deadline_ms;
    struct rc_address source;
    bool has_source;
    int fd;
    void (*on_done)(void *arg, int fd, const struct rc_error *error);
    void *arg;
    char target[RC_DIAL_TARGET_MAX + 1];
};

static void drop_socket(struct rc_dial *dial)
{
    if (dial->fd == -1)
        return;
    rc_loop_unwatch(dial->loop, &dial->watch);
    close(dial->fd);
    dial->fd = -1;
}

static void destroy(struct rc_dial *dial)
{
    rc_timer_stop(&dial->timer);
    rc_resolve_cancel(dial->resolve);
    drop_socket(dial);
    free(dial->addresses);
    free(dial);
}

static int failure_of(const struct rc_dial *dial, int code, const char *what, struct rc_error *error)
{
    char quoted[RC_DIAL_TARGET_MAX + 1]; /* a target may come from a name server, so from the network */
    return rc_error_set(error, code, "cannot connect to %s: %s",
                        rc_log_quote(quoted, sizeof(quoted), rc_slice_str(dial->target)), what);
}

/* The attempt is over, one way or the other; fd is the callee's. */
static void finish(struct rc_dial *dial, int fd, const struct rc_error *error)
{
    void (*on_done)(void *, int, const struct rc_error *) = dial->on_done;
    void *arg = dial->arg;
    destroy(dial);
    on_done(arg, fd, error);
}

static void finish_failed(struct rc_dial *dial, int code, const char *what)
{
    struct rc_error error;
    failure_of(dial, code, what, &error);
    finish(dial, -1, &error);
}

/* Starts to connect: 0 or an errno, and then nothing is left open. */
static int begin(struct rc_dial *dial, const struct rc_address *address)
{
    int one = 1, err = 0;
    dial->fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd == -1)
        return errno;
    if (rc_address_is_ip(address))
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (dial->has_source && bind(dial->fd, &dial->source.any, dial->source.len) == -1)
        err = errno;
    else if (connect(dial->fd, &address->any, address->len) == -1 && errno != EINPROGRESS)
        err = errno;
    else if (rc_loop_watch(dial->loop, &dial->watch, dial->fd, EPOLLOUT) != RC_OK)
        err = ENOMEM;
    if (err != 0)
        drop_socket(dial);
    return err;
}

/* Goes on to the next address that can be begun with: 0, or the errno of the last one that could not. */
static int try_next(struct rc_dial *dial, int failure)
{
    while (dial->next < dial->count) {
        failure = begin(dial, &dial->addresses[dial->next++]);
        if (failure == 0) {
            uint64_t now = rc_loop_now_ms(dial->loop);
            uint64_t left = dial->deadline_ms > now ? dial->deadline_ms - now : 0;
            rc_timer_start(dial->loop, &dial->timer, left / (dial->count - dial->next + 1));
            return 0;
        }
    }
    return failure;
}

static void try_next_or_finish(struct rc_dial *dial, int failure)
{
    drop_socket(dial);
    failure = try_next(dial, failure);
    if (failure != 0)
        finish_failed(dial, rc_err_from_errno(failure), strerror(failure));
}

static void on_writable(struct rc_watch *watch, uint32_t events)
{
    struct rc_dial *dial = rc_container_of(watch, struct rc_dial, watch);
    int failure = 0;
    socklen_t len = sizeof(failure);
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    if (failure != 0) {
        try_next_or_finish(dial, failure);
        return;
    }
    int fd = dial->fd;
    rc_loop_unwatch(dial->loop, &dial->watch);
    dial->fd = -1;
    finish(dial, fd, NULL);
}

static void on_timeout(struct rc_timer *timer)
{
    struct rc_dial *dial = rc_container_of(timer, struct rc_dial, timer);
    if (dial->resolve != NULL)
        finish_failed(dial, RC_ERR_TIMEOUT, "the name was not resolved in time");
    else
        try_next_or_finish(dial, ETIMEDOUT);
}

static void on_resolved(void *arg, const struct rc_address *addresses, uint32_t count,
                        const struct rc_error *error)
{
    struct rc_dial *dial = arg;
    dial->resolve = NULL; /* it frees itself */
    if (count == 0) {
        finish_failed(dial, error->code, error->text);
        return;
    }
    dial->addresses = rc_calloc(count, sizeof(*addresses));
    memcpy(dial->addresses, addresses, count * sizeof(*addresses));
    dial->count = count;
    try_next_or_finish(dial, 0);
}

/* Splits "host:port"; false when it is no such thing. */
static bool split(const char *target, char host[RC_RESOLVE_NAME_MAX + 1], uint16_t *ret_port)
{
    const char *colon = strrchr(target, ':');
    if (colon == NULL || colon == target || colon - target > RC_RESOLVE_NAME_MAX)
        return false;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port == 0 || port > 65535)
        return false;
    memcpy(host, target, (size_t)(colon - target));
    host[colon - target] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

static int start(struct rc_dial *dial, uint64_t timeout_ms, struct rc_error *error)
{
    char host[RC_RESOLVE_NAME_MAX + 1];
    uint16_t port;
    struct rc_address address;
    if (rc_address_parse(dial->target, &address, NULL) == RC_OK) {
        dial->addresses = rc_malloc(sizeof(address));
        dial->addresses[0] = address;
        dial->count = 1;
        int failure = try_next(dial, 0);
        return failure == 0 ? RC_OK : failure_of(dial, rc_err_from_errno(failure), strerror(failure), error);
    }
    if (!split(dial->target, host, &port))
        return failure_of(dial, RC_ERR_INVALID, "no address; expected host:port", error);
    int err = rc_resolve_start(dial->loop, host, port, on_resolved, dial, &dial->resolve);
    if (err != RC_OK)
        return failure_of(dial, err, rc_err_text(err), error);
    rc_timer_start(dial->loop, &dial->timer, timeout_ms);
    return RC_OK;
}

int rc_dial_start(struct rc_loop *loop, const char *target, const struct rc_address *source,
                  uint64_t timeout_ms, void (*on_done)(void *arg, int fd, const struct rc_error *error),
                  void *arg, struct rc_dial **ret, struct rc_error *error)
{
    if (strlen(target) > RC_DIAL_TARGET_MAX)
        return rc_error_set(error, RC_ERR_INVALID, "an address has at most %d characters",
                            RC_DIAL_TARGET_MAX);
    struct rc_dial *dial = rc_new(struct rc_dial);
    dial->loop = loop;
    dial->fd = -1;
    dial->on_done = on_done;
    dial->arg = arg;
    dial->watch.on_ready = on_writable;
    dial->timer.on_due = on_timeout;
    dial->deadline_ms = rc_loop_now_ms(loop) + timeout_ms;
    if (source != NULL) {
        dial->source = *source;
        dial->has_source = true;
    }
    memcpy(dial->target, target, strlen(target) + 1);
    int err = start(dial, timeout_ms, error);
    if (err != RC_OK) {
        destroy(dial);
        return err;
    }
    *ret = dial;
    return RC_OK;
}

void rc_dial_cancel(struct rc_dial *dial)
{
    if (dial != NULL)
        destroy(dial);
}
