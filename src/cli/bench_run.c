/*
 * Design notes
 * - With a rate the k-th thing is due at start + k/rate whatever the server does, and its latency counts from
 * there: what a slow server delays is measured, not left out.
 * - Without a rate there is a window: work is offered as fast as the server takes it, and none is lost
 * because a queue of the server overflows. That is for its CPU time, not for latencies.
 * - The server's CPU time is read between the phases, so that connecting does not count as publishing.
 */
#include "cli/bench_run.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench_tick.h"

#include <stdio.h>

enum {
    TURN_MAX = 2000, /* things started in one turn */
    WATCHDOG_MS = 100,
    STAMP_BYTES = 8,
};

struct rc_bench_run {
    struct rc_loop *loop;
    struct rc_bench_options options;
    struct rc_bench_net *net;
    struct rc_bench_result result;
    struct rc_bench_tick tick;
    struct rc_timer watchdog;
    enum rc_bench_phase phase;
    uint64_t phase_ns, progress_ns;
    uint64_t to_start, begun; /* connections that this phase makes, that it has begun */
    uint64_t in_making, ready;
    struct rc_bench_client **clients; /* by number; subscribers first, then publishers */
    uint32_t next_publisher;
    uint8_t *payload;
    bool is_finishing;
    void (*on_done)(void *arg);
    void *arg;
};

static uint32_t client_total(const struct rc_bench_run *run)
{
    const struct rc_bench_options *options = &run->options;
    return options->pattern == RC_BENCH_PUBLISH ? options->publishers + options->subscribers
                                                : options->clients;
}

static bool is_subscriber(const struct rc_bench_run *run, uint32_t number)
{
    return run->options.pattern == RC_BENCH_PUBLISH && number < run->options.subscribers;
}

static void topic_of(const struct rc_bench_run *run, uint32_t number, char out[RC_BENCH_TOPIC_MAX])
{
    snprintf(out, RC_BENCH_TOPIC_MAX, "%s/%u", run->options.topic, number);
}

/* How many subscribers a message on that topic reaches. */
static uint32_t fan_of(const struct rc_bench_run *run, uint32_t topic)
{
    uint32_t subscribers = run->options.subscribers, topics = run->options.topics;
    return subscribers / topics + (topic < subscribers % topics);
}

static void look(const struct rc_bench_run *run, struct rc_sim_usage *usage)
{
    if (run->options.pid != 0)
        rc_sim_usage_of(run->options.pid, usage);
}

static void enter(struct rc_bench_run *run, enum rc_bench_phase phase)
{
    run->phase = phase;
    run->phase_ns = run->progress_ns = rc_clock_mono_ns();
    run->begun = 0;
}

static void done(struct rc_bench_run *run)
{
    if (run->phase == RC_BENCH_DONE)
        return;
    enter(run, RC_BENCH_DONE);
    look(run, &run->result.after);
    run->on_done(run->arg);
}

/* ---- what clients say ---- */

static void client_ready(struct rc_bench_run *run)
{
    run->in_making--;
    run->ready++;
    run->progress_ns = rc_clock_mono_ns();
}

static void subscribe(struct rc_bench_run *run, struct rc_bench_client *client)
{
    char topic[RC_BENCH_TOPIC_MAX];
    if (is_subscriber(run, client->number)) {
        topic_of(run, client->number % run->options.topics, topic);
        rc_bench_client_subscribe(client, topic, run->options.qos);
        return;
    }
    for (uint32_t i = 0; i < run->options.subscriptions; i++) {
        topic_of(run, client->number * run->options.subscriptions + i, topic);
        rc_bench_client_subscribe(client, topic, run->options.qos);
    }
}

static void on_up(struct rc_bench_client *client)
{
    struct rc_bench_run *run = client->net->owner;
    uint64_t now = rc_clock_mono_ns();
    run->result.up++;
    rc_histogram_add(&run->result.connect_us, (now - client->begun_ns) / 1000);
    run->progress_ns = now;
    if (run->options.pattern == RC_BENCH_CHURN) {
        rc_bench_client_leave(client);
        return;
    }
    if (run->phase == RC_BENCH_CONNECTING)
        subscribe(run, client);
    if (client->subscriptions == 0)
        client_ready(run);
}

static void on_subscribed(struct rc_bench_client *client)
{
    struct rc_bench_run *run = client->net->owner;
    if (!run->options.is_absent || !is_subscriber(run, client->number)) {
        client_ready(run);
        return;
    }
    rc_bench_client_leave(client);
}

static void on_message(struct rc_bench_client *client, const struct rc_mqtt_publish *publish)
{
    struct rc_bench_run *run = client->net->owner;
    uint64_t now = rc_clock_mono_ns(), due = 0;
    if (publish->payload.len < STAMP_BYTES || run->phase < RC_BENCH_WORKING)
        return;
    memcpy(&due, publish->payload.ptr, sizeof(due));
    run->result.received++;
    run->progress_ns = now;
    if (due < now)
        rc_histogram_add(&run->result.latency_us, (now - due) / 1000);
}

static void on_acked(struct rc_bench_client *client)
{
    struct rc_bench_run *run = client->net->owner;
    run->result.acked++;
    run->progress_ns = rc_clock_mono_ns();
}

static void on_end(struct rc_bench_client *client)
{
    struct rc_bench_run *run = client->net->owner;
    bool was_wanted = client->state == RC_BENCH_LEAVING;
    if (run->clients != NULL && run->clients[client->number] == client)
        run->clients[client->number] = NULL;
    run->progress_ns = rc_clock_mono_ns();
    if (was_wanted)
        run->result.ended++;
    else
        run->result.failed++;
    if (run->options.pattern == RC_BENCH_CHURN)
        run->in_making--;
    else if (was_wanted && run->phase == RC_BENCH_CONNECTING)
        client_ready(run); /* it has left its session behind */
    else if (!was_wanted && client->state != RC_BENCH_UP)
        client_ready(run); /* counted as failed; nobody waits for it */
}

static const struct rc_bench_events events = {
    .on_up = on_up,
    .on_subscribed = on_subscribed,
    .on_message = on_message,
    .on_acked = on_acked,
    .on_end = on_end,
};

/* ---- beginning what is due ---- */

static uint64_t due_ns(const struct rc_bench_run *run, uint64_t number)
{
    return run->phase_ns + (uint64_t)((double)number * 1e9 / run->options.rate);
}

static bool is_paced(const struct rc_bench_run *run)
{
    return run->options.rate > 0 &&
           (run->phase == RC_BENCH_WORKING || run->options.pattern != RC_BENCH_PUBLISH);
}

static void start_client(struct rc_bench_run *run, uint64_t due)
{
    uint32_t total = client_total(run), number = (uint32_t)(run->begun++ % total);
    run->result.started++;
    struct rc_bench_client *client = rc_bench_client_start(run->net, number, due);
    if (client == NULL) {
        run->result.failed++;
        run->ready++;
        return;
    }
    run->in_making++;
    if (run->clients != NULL)
        run->clients[number] = client;
}

static void pump_connects(struct rc_bench_run *run)
{
    uint64_t now = rc_clock_mono_ns();
    for (int i = 0; i < TURN_MAX && run->begun < run->to_start; i++) {
        uint64_t due = is_paced(run) ? due_ns(run, run->begun) : now;
        if (is_paced(run) ? due > now : run->in_making >= run->options.at_once)
            return;
        start_client(run, due);
    }
}

static bool may_publish(const struct rc_bench_run *run, const struct rc_bench_client *client)
{
    const struct rc_bench_options *options = &run->options;
    if (options->qos > 0 && client->unacked >= options->inflight)
        return false;
    if (is_paced(run))
        return true;
    uint64_t window = (uint64_t)options->window * options->publishers;
    uint64_t fan = options->subscribers / options->topics;
    if (!options->is_absent && options->subscribers > 0 &&
        run->result.expected - run->result.received >= window * (fan > 0 ? fan : 1))
        return false;
    return rc_output_pending(&client->output) < (size_t)options->window * (options->size + 64);
}

/* The next publisher that may; NULL: none may. */
static struct rc_bench_client *next_publisher(struct rc_bench_run *run)
{
    uint32_t count = run->options.publishers;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = run->options.subscribers + run->next_publisher;
        struct rc_bench_client *client = run->clients[number];
        run->next_publisher = (run->next_publisher + 1) % count;
        if (client != NULL && client->state == RC_BENCH_UP && may_publish(run, client))
            return client;
    }
    return NULL;
}

static bool has_all_sent(const struct rc_bench_run *run)
{
    const struct rc_bench_options *options = &run->options;
    if (run->is_finishing)
        return true;
    if (options->count > 0)
        return run->result.sent >= options->count;
    return rc_clock_mono_ns() - run->phase_ns >= options->duration_ms * 1000000;
}

static void pump_messages(struct rc_bench_run *run)
{
    char topic[RC_BENCH_TOPIC_MAX];
    uint64_t now = rc_clock_mono_ns();
    for (int i = 0; i < TURN_MAX && !has_all_sent(run); i++) {
        uint64_t due = is_paced(run) ? due_ns(run, run->result.sent) : now;
        struct rc_bench_client *client = due <= now ? next_publisher(run) : NULL;
        if (client == NULL)
            return;
        uint32_t number = (client->number - run->options.subscribers) % run->options.topics;
        topic_of(run, number, topic);
        memcpy(run->payload, &due, sizeof(due));
        rc_bench_client_publish(client, topic, run->options.qos, rc_slice(run->payload, run->options.size));
        run->result.sent++;
        run->progress_ns = run->options.rate > 0 ? now : run->progress_ns;
        run->result.expected += fan_of(run, number);
        rc_histogram_add(&run->result.late_us, (now - due) / 1000);
    }
}

/* ---- the phases ---- */

static void begin_work(struct rc_bench_run *run)
{
    look(run, &run->result.connected);
    enter(run, RC_BENCH_WORKING);
}

static void begin_return(struct rc_bench_run *run)
{
    enter(run, RC_BENCH_RETURNING);
    run->to_start = run->options.subscribers;
    run->ready = 0;
}

static void check_connecting(struct rc_bench_run *run)
{
    if (run->options.pattern == RC_BENCH_CHURN) {
        if (run->begun >= run->to_start && run->in_making == 0) {
            run->result.connect_ns = rc_clock_mono_ns() - run->phase_ns;
            enter(run, RC_BENCH_SETTLING);
        }
    } else if (run->ready >= run->to_start) {
        run->result.connect_ns = rc_clock_mono_ns() - run->phase_ns;
        enter(run, RC_BENCH_SETTLING);
    }
}

static void check_working(struct rc_bench_run *run)
{
    const struct rc_bench_options *options = &run->options;
    struct rc_bench_result *result = &run->result;
    uint64_t now = rc_clock_mono_ns();
    if (options->pattern != RC_BENCH_PUBLISH) {
        if (run->is_finishing || now - run->phase_ns >= options->duration_ms * 1000000)
            done(run);
        return;
    }
    if (!has_all_sent(run) || (options->qos > 0 && result->acked < result->sent))
        return;
    if (options->is_absent || result->received >= result->expected) {
        result->work_ns = now - run->phase_ns;
        look(run, &result->worked);
        if (options->is_absent)
            begin_return(run);
        else
            done(run);
    }
}

static void check_settling(struct rc_bench_run *run)
{
    if (rc_clock_mono_ns() - run->phase_ns < run->options.settle_ms * 1000000)
        return;
    if (run->options.pattern == RC_BENCH_CHURN)
        done(run);
    else
        begin_work(run);
}

static void check_returning(struct rc_bench_run *run)
{
    if (run->result.received < run->result.expected)
        return;
    run->result.return_ns = rc_clock_mono_ns() - run->phase_ns;
    done(run);
}

static void advance(struct rc_bench_run *run)
{
    switch (run->phase) {
    case RC_BENCH_CONNECTING:
        if (run->is_finishing)
            run->to_start = run->begun;
        pump_connects(run);
        check_connecting(run);
        break;
    case RC_BENCH_SETTLING:
        check_settling(run);
        break;
    case RC_BENCH_WORKING:
        if (run->options.pattern == RC_BENCH_PUBLISH)
            pump_messages(run);
        check_working(run);
        break;
    case RC_BENCH_RETURNING:
        pump_connects(run);
        check_returning(run);
        break;
    case RC_BENCH_DONE:
        break;
    }
}

static void on_turn(struct rc_hook *hook)
{
    struct rc_bench_run *run = rc_container_of(hook, struct rc_bench_run, tick.hook);
    advance(run);
    rc_bench_net_flush(run->net);
}

/* Whoever waits for messages that were lost waits for ever: without progress it ends and tells what is
 * missing. */
static void on_watchdog(struct rc_timer *timer)
{
    struct rc_bench_run *run = rc_container_of(timer, struct rc_bench_run, watchdog);
    bool is_resting = run->phase == RC_BENCH_SETTLING ||
                      (run->phase == RC_BENCH_WORKING && run->options.pattern == RC_BENCH_HOLD);
    if (run->phase == RC_BENCH_DONE)
        return;
    if (is_resting || rc_clock_mono_ns() - run->progress_ns <= run->options.wait_ms * 1000000) {
        rc_timer_start(run->loop, &run->watchdog, WATCHDOG_MS);
        return;
    }
    if (run->phase == RC_BENCH_WORKING)
        look(run, &run->result.worked);
    done(run);
}

/* ---- life ---- */

struct rc_bench_run *rc_bench_run_create(struct rc_loop *loop, const struct rc_bench_options *options,
                                         struct rc_bench_net *net, void (*on_done)(void *arg), void *arg)
{
    struct rc_bench_run *run = rc_new(struct rc_bench_run);
    run->loop = net->loop = loop;
    run->options = *options;
    run->net = net;
    net->owner = run;
    net->events = &events;
    run->on_done = on_done;
    run->arg = arg;
    run->payload = rc_calloc(1, options->size);
    if (options->pattern == RC_BENCH_CHURN) {
        run->to_start = options->count;
    } else {
        run->to_start = client_total(run);
        run->clients = rc_calloc(client_total(run), sizeof(*run->clients));
    }
    return run;
}

int rc_bench_run_start(struct rc_bench_run *run)
{
    int err = rc_bench_tick_start(&run->tick, run->loop, run->options.rate > 0, on_turn);
    if (err != RC_OK)
        return err;
    run->watchdog.on_due = on_watchdog;
    rc_timer_start(run->loop, &run->watchdog, WATCHDOG_MS);
    look(run, &run->result.before);
    enter(run, RC_BENCH_CONNECTING);
    return RC_OK;
}

void rc_bench_run_finish(struct rc_bench_run *run)
{
    if (run->is_finishing)
        done(run);
    run->is_finishing = true;
}

enum rc_bench_phase rc_bench_run_phase(const struct rc_bench_run *run)
{
    return run->phase;
}

const struct rc_bench_result *rc_bench_run_result(const struct rc_bench_run *run)
{
    return &run->result;
}

void rc_bench_run_free(struct rc_bench_run *run)
{
    if (run == NULL)
        return;
    rc_timer_stop(&run->watchdog);
    rc_bench_tick_stop(&run->tick);
    free(run->clients);
    free(run->payload);
    free(run);
}
