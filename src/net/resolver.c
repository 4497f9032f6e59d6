/*
 * Design notes
 * - One lock for the process guards the line of questions and what has become of each. It is never held while
 * the system's resolver works, so a loop that takes it does not wait for a name.
 * - The answer is posted under the lock, and cancelling takes the lock: after rc_resolve_cancel no thread
 * touches the loop any more, so the loop may be destroyed while the resolver is still busy.
 */
#include "net/resolver.h"

#include "base/alloc.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

enum state { WAITING, ASKING, ANSWERED };

struct rc_resolve {
    struct rc_list node; /* in `waiting` */
    struct rc_mail mail;
    enum state state;
    bool is_cancelled;
    struct rc_loop *loop;
    void (*on_done)(void *arg, const struct rc_address *addresses, uint32_t count,
                    const struct rc_error *error);
    void *arg;
    uint16_t port;
    uint32_t count;
    struct rc_address addresses[RC_RESOLVE_ANSWERS_MAX];
    struct rc_error error;
    char name[RC_RESOLVE_NAME_MAX + 1];
};

static struct {
    pthread_mutex_t lock;
    struct rc_list waiting;
    uint32_t waiting_count;
    uint32_t threads;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .waiting = {&pool.waiting, &pool.waiting}};

static void on_answer(struct rc_mail *mail, struct rc_loop *loop)
{
    struct rc_resolve *resolve = rc_container_of(mail, struct rc_resolve, mail);
    /* The answer can be here before its sender is out of rc_loop_post. The callee may destroy the loop soon,
     * so see the sender out first. */
    pthread_mutex_lock(&pool.lock);
    pthread_mutex_unlock(&pool.lock);
    if (!resolve->is_cancelled)
        resolve->on_done(resolve->arg, resolve->addresses, resolve->count, &resolve->error);
    free(resolve);
}

static void ask(struct rc_resolve *resolve)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *found = NULL;
    int failure = getaddrinfo(resolve->name, NULL, &hints, &found);
    if (failure != 0) {
        rc_error_set(&resolve->error, RC_ERR_NOT_FOUND, "%s", gai_strerror(failure));
        return;
    }
    for (struct addrinfo *one = found; one != NULL && resolve->count < RC_RESOLVE_ANSWERS_MAX;
         one = one->ai_next) {
        if (one->ai_family != AF_INET && one->ai_family != AF_INET6)
            continue;
        struct rc_address *address = &resolve->addresses[resolve->count++];
        memcpy(&address->storage, one->ai_addr, one->ai_addrlen);
        address->len = one->ai_addrlen;
        rc_address_set_port(address, resolve->port);
    }
    freeaddrinfo(found);
    if (resolve->count == 0)
        rc_error_set(&resolve->error, RC_ERR_NOT_FOUND, "the name has no IP address");
}

static void *thread_main(void *arg)
{
    struct rc_list *node;
    pthread_setname_np(pthread_self(), "resolver");
    pthread_mutex_lock(&pool.lock);
    while ((node = rc_list_pop_front(&pool.waiting)) != NULL) {
        struct rc_resolve *resolve = rc_container_of(node, struct rc_resolve, node);
        pool.waiting_count--;
        resolve->state = ASKING;
        pthread_mutex_unlock(&pool.lock);
        ask(resolve);
        pthread_mutex_lock(&pool.lock);
        resolve->state = ANSWERED;
        if (resolve->is_cancelled)
            free(resolve);
        else
            rc_loop_post(resolve->loop, &resolve->mail);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* Under the lock: 0, or an errno when there is no thread that would ever come to the line. */
static int add_thread(void)
{
    if (pool.threads == RC_RESOLVE_THREADS_MAX)
        return 0;
    pthread_t thread;
    pthread_attr_t attr;
    sigset_t all;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setsigmask_np(&attr, &all);
    int failure = pthread_create(&thread, &attr, thread_main, NULL);
    pthread_attr_destroy(&attr);
    if (failure == 0)
        pool.threads++;
    return pool.threads > 0 ? 0 : failure;
}

static int enqueue(struct rc_resolve *resolve)
{
    if (pool.waiting_count == RC_RESOLVE_WAITING_MAX)
        return RC_ERR_FULL;
    int failure = add_thread();
    if (failure != 0)
        return rc_err_from_errno(failure);
    rc_list_push_back(&pool.waiting, &resolve->node);
    pool.waiting_count++;
    return RC_OK;
}

int rc_resolve_start(struct rc_loop *loop, const char *name, uint16_t port,
                     void (*on_done)(void *arg, const struct rc_address *addresses, uint32_t count,
                                     const struct rc_error *error),
                     void *arg, struct rc_resolve **ret)
{
    if (strlen(name) > RC_RESOLVE_NAME_MAX)
        return RC_ERR_TOO_LARGE;
    struct rc_resolve *resolve = rc_new(struct rc_resolve);
    resolve->mail.deliver = on_answer;
    resolve->loop = loop;
    resolve->on_done = on_done;
    resolve->arg = arg;
    resolve->port = port;
    memcpy(resolve->name, name, strlen(name) + 1);
    pthread_mutex_lock(&pool.lock);
    int err = enqueue(resolve);
    pthread_mutex_unlock(&pool.lock);
    if (err != RC_OK) {
        free(resolve);
        return err;
    }
    *ret = resolve;
    return RC_OK;
}

void rc_resolve_cancel(struct rc_resolve *resolve)
{
    if (resolve == NULL)
        return;
    pthread_mutex_lock(&pool.lock);
    resolve->is_cancelled = true; /* whoever holds it now frees it */
    bool is_ours = resolve->state == WAITING;
    if (is_ours) {
        rc_list_remove(&resolve->node);
        pool.waiting_count--;
    }
    pthread_mutex_unlock(&pool.lock);
    if (is_ours)
        free(resolve);
}
