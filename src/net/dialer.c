/*
 * Design notes
 * - A numeric address connects at once. A name goes to a detached thread that calls getaddrinfo and posts the
 * result to the loop; only the first address is tried (the caller retries, and resolvers rotate).
 * - A cancelled attempt whose resolver is still out is freed when that mail arrives.
 */
#include "net/dialer.h"

#include "base/alloc.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

struct rc_dial {
    struct rc_loop *loop;
    struct rc_watch watch;
    struct rc_timer timer;
    struct rc_mail resolved;
    struct rc_address address, source;
    bool has_source, is_resolving, is_cancelled;
    char host[RC_DIAL_HOST_MAX + 1];
    uint16_t port;
    int fd;
    struct rc_error error;
    void (*on_done)(void *arg, int fd, const struct rc_error *error);
    void *arg;
};

static void release(struct rc_dial *dial)
{
    rc_timer_stop(&dial->timer);
    if (dial->fd >= 0) {
        rc_loop_unwatch(dial->loop, &dial->watch);
        close(dial->fd);
        dial->fd = -1;
    }
    if (dial->is_resolving)
        dial->is_cancelled = true;
    else
        free(dial);
}

static void finish_failed(struct rc_dial *dial, int code, const char *what)
{
    struct rc_error error;
    rc_error_set(&error, code, "cannot connect to %s:%u: %s", dial->host, dial->port, what);
    void (*on_done)(void *, int, const struct rc_error *) = dial->on_done;
    void *arg = dial->arg;
    release(dial);
    on_done(arg, -1, &error);
}

static void on_writable(struct rc_watch *watch, uint32_t events)
{
    struct rc_dial *dial = rc_container_of(watch, struct rc_dial, watch);
    int failure = 0;
    socklen_t len = sizeof(failure);
    getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &failure, &len);
    if (failure != 0) {
        finish_failed(dial, rc_err_from_errno(failure), strerror(failure));
        return;
    }
    int fd = dial->fd;
    rc_loop_unwatch(dial->loop, &dial->watch);
    dial->fd = -1;
    void (*on_done)(void *, int, const struct rc_error *) = dial->on_done;
    void *arg = dial->arg;
    release(dial);
    on_done(arg, fd, NULL);
}

static void on_timeout(struct rc_timer *timer)
{
    struct rc_dial *dial = rc_container_of(timer, struct rc_dial, timer);
    finish_failed(dial, RC_ERR_TIMEOUT,
                  dial->is_resolving ? "the name was not resolved in time" : "timed out");
}

/* Starts to connect to dial->address: 0 or an errno. */
static int begin(struct rc_dial *dial)
{
    int one = 1;
    dial->fd = socket(dial->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd == -1)
        return errno;
    if (rc_address_is_ip(&dial->address))
        setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (dial->has_source && bind(dial->fd, &dial->source.any, dial->source.len) == -1)
        return errno;
    if (connect(dial->fd, &dial->address.any, dial->address.len) == -1 && errno != EINPROGRESS)
        return errno;
    return rc_loop_watch(dial->loop, &dial->watch, dial->fd, EPOLLOUT) == RC_OK ? 0 : ENOMEM;
}

static void on_resolved(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_dial *dial = rc_container_of(mail, struct rc_dial, resolved);
    dial->is_resolving = false;
    if (dial->is_cancelled) {
        free(dial);
    } else if (dial->error.code != RC_OK) {
        finish_failed(dial, dial->error.code, dial->error.text);
    } else {
        int failure = begin(dial);
        if (failure != 0)
            finish_failed(dial, rc_err_from_errno(failure), strerror(failure));
    }
}

static void *resolve(void *arg)
{
    struct rc_dial *dial = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *found = NULL;
    int failure = getaddrinfo(dial->host, NULL, &hints, &found);
    if (failure != 0) {
        rc_error_set(&dial->error, RC_ERR_NOT_FOUND, "%s", gai_strerror(failure));
    } else {
        memcpy(&dial->address.storage, found->ai_addr, found->ai_addrlen);
        dial->address.len = found->ai_addrlen;
        rc_address_set_port(&dial->address, dial->port);
        freeaddrinfo(found);
    }
    rc_loop_post(dial->loop, &dial->resolved);
    return NULL;
}

static int start_resolver(struct rc_dial *dial)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    dial->resolved.deliver = on_resolved;
    dial->is_resolving = true;
    int failure = pthread_create(&thread, &attr, resolve, dial);
    pthread_attr_destroy(&attr);
    if (failure != 0)
        dial->is_resolving = false;
    return failure;
}

/* Splits "host:port"; false when it is no such thing. */
static bool split(const char *target, char *host, uint16_t *ret_port)
{
    const char *colon = strrchr(target, ':');
    if (colon == NULL || colon == target || colon - target > RC_DIAL_HOST_MAX)
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

int rc_dial_start(struct rc_loop *loop, const char *target, const struct rc_address *source,
                  uint64_t timeout_ms, void (*on_done)(void *arg, int fd, const struct rc_error *error),
                  void *arg, struct rc_dial **ret, struct rc_error *error)
{
    struct rc_dial *dial = rc_new(struct rc_dial);
    *dial = (struct rc_dial){.loop = loop, .fd = -1, .on_done = on_done, .arg = arg};
    dial->watch.on_ready = on_writable;
    dial->timer.on_due = on_timeout;
    if (source != NULL) {
        dial->source = *source;
        dial->has_source = true;
    }
    bool is_number = rc_address_parse(target, &dial->address, NULL) == RC_OK;
    if (!split(target, dial->host, &dial->port) && !is_number) {
        free(dial);
        return rc_error_set(error, RC_ERR_INVALID, "'%.100s' is no address to connect to: expected host:port",
                            target);
    }
    int failure = is_number ? begin(dial) : start_resolver(dial);
    if (failure != 0) {
        rc_error_set(error, rc_err_from_errno(failure), "cannot connect to %.200s: %s", target,
                     strerror(failure));
        release(dial);
        return rc_err_from_errno(failure);
    }
    rc_timer_start(loop, &dial->timer, timeout_ms);
    *ret = dial;
    return RC_OK;
}

void rc_dial_cancel(struct rc_dial *dial)
{
    if (dial != NULL)
        release(dial);
}
