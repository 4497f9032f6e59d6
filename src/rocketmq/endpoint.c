#include "rocketmq/endpoint.h"

#include "base/alloc.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/worker.h"

#include <unistd.h>

void rc_endpoint_options_default(struct rc_endpoint_options *options)
{
    *options = (struct rc_endpoint_options){
        .broker_name = "rollcall",
        .acl = true,
        .default_queues = 8,
        .max_creations = RC_ENDPOINT_CREATIONS_MAX,
        .times = {.idle = 120000, .stranger = 60000, .lock = 60000, .sweep = 10000},
    };
}

/* ---- the end of a turn, and housekeeping ---- */

static void on_turn_end(struct rc_hook *hook)
{
    rc_peer_flush_all(rc_container_of(hook, struct rc_endpoint, hook));
}

static void on_sweep(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, sweep);
    rc_consumer_groups_sweep(endpoint);
    rc_locks_sweep(endpoint);
    rc_list_for_each_safe(node, &endpoint->peers)
        rc_peer_check_idle(rc_container_of(node, struct rc_peer, node));
    rc_timer_start(endpoint->loop, timer, endpoint->options.times.sweep);
}

static void on_grown(struct rc_queue *queue, void *arg)
{
    struct rc_endpoint *endpoint = arg;
    if (!rc_delay_on_grown(endpoint, queue))
        rc_hold_on_grown(endpoint, queue);
}

/* ---- start ---- */

static void stop_listening(struct rc_endpoint *endpoint)
{
    for (uint32_t i = 0; i < endpoint->listeners_count; i++)
        rc_listener_stop(&endpoint->listeners[i]);
    endpoint->listeners_count = 0;
}

void rc_endpoint_free(struct rc_endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    rc_log_reader_destroy(endpoint->reader);
    rc_log_sender_destroy(endpoint->sender);
    rc_loop_remove_hook(&endpoint->hook);
    rc_loop_destroy(endpoint->loop); /* answers of the worker that are still on their way end here */
    rc_producing_free(endpoint);
    rc_send_back_free(endpoint);
    rc_resend_free(endpoint);
    rc_consumer_groups_free(&endpoint->groups);
    rc_hold_free(endpoint);
    rc_locks_free(endpoint);
    rc_delay_free(endpoint);
    rc_catalog_unref(endpoint->catalog);
    free(endpoint);
}

static struct rc_endpoint *make_endpoint(const struct rc_endpoint_options *options)
{
    struct rc_endpoint *endpoint = rc_new(struct rc_endpoint);
    endpoint->options = *options;
    endpoint->catalog = rc_catalog_ref(options->catalog);
    rc_list_init(&endpoint->peers);
    rc_list_init(&endpoint->dirty);
    rc_list_init(&endpoint->sends);
    rc_list_init(&endpoint->waiting_sends);
    rc_list_init(&endpoint->send_backs);
    rc_list_init(&endpoint->resends);
    rc_consumer_groups_init(&endpoint->groups);
    rc_hold_init(endpoint);
    rc_locks_init(endpoint);
    return endpoint;
}

static int open_log(struct rc_endpoint *endpoint, struct rc_error *error)
{
    struct rc_log_writer *writer = endpoint->options.writer;
    int err = rc_log_sender_create(writer, endpoint->loop, &endpoint->sender);
    if (err == RC_OK)
        err = rc_log_reader_create(writer, endpoint->loop, on_grown, endpoint, &endpoint->reader);
    if (err != RC_OK)
        return rc_error_set(error, err, "the RocketMQ endpoint cannot use the log: %s", rc_err_text(err));
    rc_log_sender_set_on_room(endpoint->sender, rc_producing_on_room, endpoint);
    return rc_delay_start(endpoint, error);
}

static int start_loop(struct rc_endpoint *endpoint, struct rc_error *error)
{
    int err = rc_loop_create("rc-rocketmq", &endpoint->loop);
    if (err != RC_OK)
        return rc_error_set(error, err, "no event loop for the RocketMQ endpoint: %s", rc_err_text(err));
    endpoint->hook.run = on_turn_end;
    rc_loop_add_hook(endpoint->loop, &endpoint->hook);
    endpoint->sweep.on_due = on_sweep;
    rc_timer_start(endpoint->loop, &endpoint->sweep, endpoint->options.times.sweep);
    return open_log(endpoint, error);
}

/* Takes all sockets, also when it fails. */
static int listen_all(struct rc_endpoint *endpoint, const int *fds, uint32_t count, struct rc_error *error)
{
    int err = count <= RC_ENDPOINT_LISTENERS_MAX ? RC_OK : RC_ERR_FULL;
    for (uint32_t i = 0; i < count; i++) {
        struct rc_listener *listener = &endpoint->listeners[endpoint->listeners_count];
        if (err == RC_OK) {
            listener->on_accept = rc_peer_accept;
            listener->owner = endpoint;
            err = rc_listener_start(listener, endpoint->loop, fds[i]);
        }
        if (err == RC_OK)
            endpoint->listeners_count++;
        else
            close(fds[i]);
    }
    if (err != RC_OK)
        return rc_error_set(error, err, "the RocketMQ endpoint cannot listen: %s", rc_err_text(err));
    return RC_OK;
}

static int start_threads(struct rc_endpoint *endpoint, struct rc_error *error)
{
    int err = rc_worker_start(endpoint->options.store, &endpoint->worker, error);
    if (err != RC_OK)
        return err;
    err = rc_loop_start_thread(endpoint->loop);
    if (err == RC_OK)
        return RC_OK;
    rc_worker_stop(endpoint->worker);
    return rc_error_set(error, err, "no thread for the RocketMQ endpoint: %s", rc_err_text(err));
}

static void close_all(const int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
}

int rc_endpoint_start(const struct rc_endpoint_options *options, const int *fds, uint32_t count,
                      struct rc_endpoint **ret, struct rc_error *error)
{
    struct rc_endpoint *endpoint = make_endpoint(options);
    int err = start_loop(endpoint, error);
    if (err == RC_OK)
        err = listen_all(endpoint, fds, count, error);
    else
        close_all(fds, count);
    err = err ? err : start_threads(endpoint, error);
    if (err != RC_OK) {
        stop_listening(endpoint);
        rc_endpoint_free(endpoint);
        return err;
    }
    *ret = endpoint;
    return RC_OK;
}

/* ---- stop ---- */

/* The loop goes on until nothing of this endpoint is on its way into the log. */
static void on_stop_tick(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, sweep);
    if (!rc_log_writer_is_blocked(endpoint->options.writer) && rc_log_sender_under_way(endpoint->sender) > 0)
        rc_timer_start(endpoint->loop, timer, RC_TIMER_TICK_MS);
    else
        rc_loop_stop(endpoint->loop);
}

struct stop_mail {
    struct rc_mail mail;
    struct rc_endpoint *endpoint;
};

static void on_stop(struct rc_mail *mail, struct rc_loop *loop)
{
    struct stop_mail *letter = rc_container_of(mail, struct stop_mail, mail);
    struct rc_endpoint *endpoint = letter->endpoint;
    free(letter);
    stop_listening(endpoint);
    while (!rc_list_is_empty(&endpoint->peers))
        rc_peer_close(rc_container_of(endpoint->peers.next, struct rc_peer, node));
    rc_delay_stop(endpoint);
    endpoint->sweep.on_due = on_stop_tick;
    rc_timer_start(endpoint->loop, &endpoint->sweep, 0);
}

void rc_endpoint_stop(struct rc_endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    struct stop_mail *letter = rc_new(struct stop_mail);
    letter->mail.deliver = on_stop;
    letter->endpoint = endpoint;
    rc_loop_post(endpoint->loop, &letter->mail);
    rc_loop_join_thread(endpoint->loop);
    rc_worker_stop(endpoint->worker);
    endpoint->worker = NULL;
}

/* ---- catalog ---- */

struct catalog_mail {
    struct rc_mail mail;
    struct rc_endpoint *endpoint;
    struct rc_catalog *catalog;
};

static void on_catalog(struct rc_mail *mail, struct rc_loop *loop)
{
    struct catalog_mail *letter = rc_container_of(mail, struct catalog_mail, mail);
    rc_catalog_unref(letter->endpoint->catalog);
    letter->endpoint->catalog = letter->catalog;
    free(letter);
}

void rc_endpoint_post_catalog(struct rc_endpoint *endpoint, struct rc_catalog *catalog)
{
    struct catalog_mail *letter = rc_new(struct catalog_mail);
    letter->mail.deliver = on_catalog;
    letter->endpoint = endpoint;
    letter->catalog = rc_catalog_ref(catalog);
    rc_loop_post(endpoint->loop, &letter->mail);
}

void rc_endpoint_sync(struct rc_endpoint *endpoint)
{
    rc_loop_sync(endpoint->loop);
}

const struct rc_endpoint_counters *rc_endpoint_counters(const struct rc_endpoint *endpoint)
{
    return &endpoint->counters;
}
