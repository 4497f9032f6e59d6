#include "rocketmq/endpoint.h"

#include "base/alloc.h"
#include "base/log.h"
#include "rocketmq/endpoint_private.h"

#include <unistd.h>

enum { SWEEP_MS = 10000 };

void rc_endpoint_options_default(struct rc_endpoint_options *options)
{
    *options = (struct rc_endpoint_options){.broker_name = "rollcall", .acl = true, .default_queues = 8};
}

/* ---- the end of a turn, and housekeeping ---- */

static void on_turn_end(struct rc_hook *hook)
{
    struct rc_endpoint *endpoint = rc_container_of(hook, struct rc_endpoint, hook);
    while (!rc_list_is_empty(&endpoint->dirty))
        rc_peer_flush(rc_container_of(endpoint->dirty.next, struct rc_peer, dirty));
}

static void on_sweep(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, sweep);
    uint64_t now = rc_loop_now_ms(endpoint->loop);
    rc_consumer_groups_sweep(endpoint);
    rc_list_for_each_safe(node, &endpoint->peers)
    {
        struct rc_peer *peer = rc_container_of(node, struct rc_peer, node);
        if (now - peer->active_ms < RC_ENDPOINT_IDLE_MS)
            continue;
        RC_COUNTER(endpoint, idle_peers);
        rc_peer_close(peer);
    }
    rc_timer_start(endpoint->loop, timer, SWEEP_MS);
}

static void save(struct rc_endpoint *endpoint)
{
    int err = rc_offsets_save(endpoint->options.store);
    if (err != RC_OK)
        rc_log_error("rocketmq", "consumer offsets could not be saved: %s", rc_err_text(err));
}

static void on_save(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, save);
    save(endpoint);
    rc_timer_start(endpoint->loop, timer, RC_ENDPOINT_SAVE_MS);
}

/* ---- start and stop ---- */

static void free_endpoint(struct rc_endpoint *endpoint)
{
    rc_consumer_groups_free(endpoint);
    rc_pull_free(endpoint);
    rc_locks_free(endpoint);
    rc_delay_free(endpoint);
    rc_log_reader_destroy(endpoint->reader);
    rc_log_sender_destroy(endpoint->sender);
    rc_loop_remove_hook(&endpoint->hook);
    rc_loop_destroy(endpoint->loop);
    rc_catalog_unref(endpoint->catalog);
    free(endpoint);
}

static int open_log(struct rc_endpoint *endpoint, struct rc_error *error)
{
    struct rc_log_writer *writer = endpoint->options.writer;
    int err = rc_log_sender_create(writer, endpoint->loop, &endpoint->sender);
    if (err == RC_OK)
        err = rc_log_reader_create(writer, endpoint->loop, rc_pull_on_grown, endpoint, &endpoint->reader);
    if (err != RC_OK)
        return rc_error_set(error, err, "the RocketMQ endpoint cannot use the log: %s", rc_err_text(err));
    return rc_delay_start(endpoint, error);
}

static void start_timers(struct rc_endpoint *endpoint)
{
    endpoint->hook.run = on_turn_end;
    rc_loop_add_hook(endpoint->loop, &endpoint->hook);
    endpoint->sweep.on_due = on_sweep;
    rc_timer_start(endpoint->loop, &endpoint->sweep, SWEEP_MS);
    endpoint->save.on_due = on_save;
    rc_timer_start(endpoint->loop, &endpoint->save, RC_ENDPOINT_SAVE_MS);
}

static int listen_all(struct rc_endpoint *endpoint, const int *fds, uint32_t count, struct rc_error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        struct rc_listener *listener = &endpoint->listeners[i];
        listener->on_accept = rc_peer_accept;
        listener->owner = endpoint;
        int err = rc_listener_start(listener, endpoint->loop, fds[i]);
        if (err != RC_OK)
            return rc_error_set(error, err, "the RocketMQ endpoint cannot listen: %s", rc_err_text(err));
        endpoint->listeners_count++;
    }
    return RC_OK;
}

int rc_endpoint_start(const struct rc_endpoint_options *options, const int *fds, uint32_t count,
                      struct rc_endpoint **ret, struct rc_error *error)
{
    struct rc_endpoint *endpoint = rc_new(struct rc_endpoint);
    endpoint->options = *options;
    endpoint->catalog = rc_catalog_ref(options->catalog);
    rc_list_init(&endpoint->peers);
    rc_list_init(&endpoint->dirty);
    rc_consumer_groups_init(endpoint);
    rc_pull_init(endpoint);
    rc_locks_init(endpoint);
    int err = rc_loop_create("rc-rocketmq", &endpoint->loop);
    if (err != RC_OK) {
        rc_catalog_unref(endpoint->catalog);
        free(endpoint);
        return rc_error_set(error, err, "no event loop for the RocketMQ endpoint: %s", rc_err_text(err));
    }
    start_timers(endpoint);
    err = open_log(endpoint, error);
    err = err ? err : listen_all(endpoint, fds, count, error);
    if (err == RC_OK) {
        err = rc_loop_start_thread(endpoint->loop);
        rc_error_set(error, err, "no thread for the RocketMQ endpoint: %s", rc_err_text(err));
    }
    if (err != RC_OK) {
        free_endpoint(endpoint);
        return err;
    }
    *ret = endpoint;
    return RC_OK;
}

/* The loop goes on until nothing of this endpoint is on its way into the log. */
static void on_stop_tick(struct rc_timer *timer)
{
    struct rc_endpoint *endpoint = rc_container_of(timer, struct rc_endpoint, delay_tick);
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
    for (uint32_t i = 0; i < endpoint->listeners_count; i++)
        rc_listener_stop(&endpoint->listeners[i]);
    while (!rc_list_is_empty(&endpoint->peers))
        rc_peer_close(rc_container_of(endpoint->peers.next, struct rc_peer, node));
    rc_timer_stop(&endpoint->sweep);
    rc_timer_stop(&endpoint->save);
    rc_timer_stop(&endpoint->delay_tick);
    endpoint->delay_tick.on_due = on_stop_tick;
    rc_timer_start(endpoint->loop, &endpoint->delay_tick, RC_TIMER_TICK_MS);
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
    save(endpoint);
    free_endpoint(endpoint);
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

const struct rc_endpoint_counters *rc_endpoint_counters(const struct rc_endpoint *endpoint)
{
    return &endpoint->counters;
}
