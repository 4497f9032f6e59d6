/*
 * Design notes
 * - The k-th message is due at start + k/rate whatever the broker does, and its latency counts from there, as
 * in bench_run.c. A batch is due with its first message.
 * - Without a rate each producer has so many requests under way, and the next leaves with an answer.
 * - A message tells which run it is of, so that what a topic held before is not taken for it.
 */
#include "cli/bench_rocketmq.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "cli/bench_tick.h"
#include "client/link.h"
#include "rocketmq/batch.h"
#include "rocketmq/producing.h"
#include "rollcall/consumer.h"
#include "rules/layout.h"

#include <pthread.h>
#include <stdio.h>

enum {
    WATCHDOG_MS = 100,
    CALL_MS = 5000,
    TURN_MAX = 256,            /* requests begun in one turn */
    CONSUMERS_STILL_MS = 1500, /* their shares have been the same for so long: they are settled */
    DEFAULT_QUEUES = 4,        /* of a topic that the first message makes */
};

/* A request under way. */
struct sending {
    struct producer *producer;
    struct sending *next_free;
    uint64_t due_ns;
    uint32_t count;
};

struct producer {
    struct rc_bench_rocketmq *bench;
    struct rc_link *links[RC_FEED_BROKERS_MAX]; /* by the layout's brokers, made when first used */
    struct sending *sendings;                   /* as many as may be under way */
    struct sending *free;                       /* those that are not */
};

struct rc_bench_rocketmq {
    struct rc_loop *loop;
    struct rc_bench_options run;
    struct rc_bench_rocketmq_options options;
    struct rc_bench_result result;
    struct rc_bench_tick tick;
    struct rc_timer watchdog;
    struct rc_link *namesrv;
    struct rc_layout layout;
    struct producer *producers;
    struct rc_consumer *consumers[RC_BENCH_CONSUMERS_MAX];
    uint32_t consumers_count;
    enum rc_bench_phase phase;
    uint64_t phase_ns, progress_ns;
    uint64_t requests, under_way;
    uint32_t next_producer, shares; /* queues that the consumers had at the last look */
    uint64_t run_id;
    uint8_t *payload;
    char error[256];
    bool is_default_route, is_finishing;
    void (*on_done)(void *arg);
    void *arg;

    pthread_mutex_t lock; /* what the consumers' threads write */
    uint64_t received, received_ns;
    struct rc_histogram latency_us;
    char consumer_error[256];
};

static bool consumes(const struct rc_bench_rocketmq *bench)
{
    return bench->run.pattern == RC_BENCH_CONSUME;
}

/* Nobody sends: what the topic has is consumed. */
static bool drains(const struct rc_bench_rocketmq *bench)
{
    return consumes(bench) && bench->run.publishers == 0;
}

static void look(const struct rc_bench_rocketmq *bench, struct rc_sim_usage *usage)
{
    if (bench->run.pid != 0)
        rc_sim_usage_of(bench->run.pid, usage);
}

static void enter(struct rc_bench_rocketmq *bench, enum rc_bench_phase phase)
{
    bench->phase = phase;
    bench->phase_ns = bench->progress_ns = rc_clock_mono_ns();
}

static void done(struct rc_bench_rocketmq *bench)
{
    if (bench->phase == RC_BENCH_DONE)
        return;
    if (bench->phase == RC_BENCH_WORKING) {
        bench->result.work_ns = rc_clock_mono_ns() - bench->phase_ns;
        look(bench, &bench->result.worked);
    }
    look(bench, &bench->result.after);
    enter(bench, RC_BENCH_DONE);
    bench->on_done(bench->arg);
}

/* ---- consuming ---- */

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    struct rc_bench_rocketmq *bench = arg;
    uint64_t stamp[2] = {0}, now = rc_clock_mono_ns();
    if (message->body_len >= sizeof(stamp))
        memcpy(stamp, message->body, sizeof(stamp));
    bool is_ours = stamp[1] == bench->run_id;
    pthread_mutex_lock(&bench->lock);
    if (is_ours && stamp[0] <= now)
        rc_histogram_add(&bench->latency_us, (now - stamp[0]) / 1000);
    if (is_ours || drains(bench)) {
        bench->received++;
        bench->received_ns = now;
    }
    pthread_mutex_unlock(&bench->lock);
    return RC_CONSUME_COMMIT;
}

static void on_consumer_error(const char *text, void *arg)
{
    struct rc_bench_rocketmq *bench = arg;
    pthread_mutex_lock(&bench->lock);
    snprintf(bench->consumer_error, sizeof(bench->consumer_error), "%s", text);
    pthread_mutex_unlock(&bench->lock);
}

static void start_consumers(struct rc_bench_rocketmq *bench)
{
    const struct rc_consumer_options options = {
        .namesrv = bench->options.namesrv,
        .group = bench->options.group,
        .topic = bench->run.topic,
        .access_key = bench->options.access_key,
        .secret_key = bench->options.secret_key,
        .from_first = drains(bench),
        .on_message = on_message,
        .on_error = on_consumer_error,
        .arg = bench,
    };
    for (uint32_t i = 0; i < bench->run.subscribers; i++) {
        if (rc_consumer_start(&options, &bench->consumers[i], bench->error, sizeof(bench->error)) != 0) {
            bench->result.failed++;
            return;
        }
        bench->consumers_count++;
        bench->result.up++;
    }
}

/* They read all queues between them, and have done so for a while. */
static bool are_consumers_settled(struct rc_bench_rocketmq *bench)
{
    uint64_t now = rc_clock_mono_ns();
    uint32_t shares = 0;
    for (uint32_t i = 0; i < bench->consumers_count; i++)
        shares += rc_consumer_queues(bench->consumers[i]);
    if (shares != bench->shares)
        bench->phase_ns = bench->progress_ns = now;
    bench->shares = shares;
    return shares >= bench->layout.queues && now - bench->phase_ns >= CONSUMERS_STILL_MS * 1000000ull;
}

/* ---- sending ---- */

static void fail(struct rc_bench_rocketmq *bench, const struct rc_remoting *answer, const char *error)
{
    struct rc_slice remark = answer != NULL ? answer->remark : rc_slice_str(error);
    snprintf(bench->error, sizeof(bench->error), "%.*s", RC_SLICE_FMT(remark));
}

static void on_sent(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct sending *sending = arg;
    struct rc_bench_rocketmq *bench = sending->producer->bench;
    uint64_t now = rc_clock_mono_ns();
    bench->under_way--;
    bench->progress_ns = now;
    if (answer != NULL && answer->code == RC_RES_SUCCESS) {
        bench->result.acked += sending->count;
        if (!consumes(bench))
            rc_histogram_add(&bench->result.latency_us, (now - sending->due_ns) / 1000);
    } else {
        bench->result.failed += sending->count;
        bench->result.expected -= consumes(bench) ? sending->count : 0;
        fail(bench, answer, error);
    }
    sending->next_free = sending->producer->free;
    sending->producer->free = sending;
}

static int put_body(struct rc_bench_rocketmq *bench, uint32_t count, struct rc_buf *body,
                    struct rc_buf *props)
{
    const struct rc_slice payload = rc_slice(bench->payload, bench->run.size);
    int err = RC_OK;
    if (bench->run.batch == 1) {
        err = rc_producing_put_unique_key(props);
        return err ? err : rc_buf_put_slice(body, payload);
    }
    for (uint32_t i = 0; i < count && err == RC_OK; i++) {
        rc_buf_consume(props, rc_buf_len(props));
        err = rc_producing_put_unique_key(props);
        const struct rc_batch_item item = {.body = payload, .properties = rc_buf_slice(props)};
        err = err ? err : rc_batch_put(body, &item);
    }
    return err;
}

static void call(struct rc_bench_rocketmq *bench, struct rc_link *link, const struct rc_layout_broker *broker,
                 uint32_t queue_id, struct sending *sending)
{
    struct rc_remoting request;
    struct rc_buf body, props;
    rc_buf_init(&body, RC_REMOTING_FRAME_MAX);
    rc_buf_init(&props, 1024);
    put_body(bench, sending->count, &body, &props);
    rc_remoting_request(&request, bench->run.batch == 1 ? RC_REQ_SEND_V2 : RC_REQ_SEND_BATCH, 0);
    request.serialization = RC_REMOTING_BINARY;
    rc_remoting_add(&request, "a", rc_slice_str("ROLLCALL_BENCH"));
    rc_remoting_add(&request, "b", rc_slice_str(bench->run.topic));
    rc_remoting_add(&request, "c", rc_slice_str("TBW102"));
    rc_remoting_add_number(&request, "d", DEFAULT_QUEUES);
    rc_remoting_add_number(&request, "e", queue_id);
    rc_remoting_add_number(&request, "f", 0);
    rc_remoting_add_number(&request, "g", rc_clock_wall_ms());
    rc_remoting_add_number(&request, "h", 0);
    if (bench->run.batch == 1)
        rc_remoting_add(&request, "i", rc_buf_slice(&props));
    rc_remoting_add_number(&request, "j", 0);
    rc_remoting_add_bool(&request, "k", false);
    rc_remoting_add_bool(&request, "m", bench->run.batch > 1);
    rc_remoting_add(&request, "n", rc_slice_str(broker->name));
    request.body = rc_buf_slice(&body);
    rc_link_call(link, &request, CALL_MS, on_sent, sending);
    rc_buf_free(&body);
    rc_buf_free(&props);
}

static struct rc_link *link_of(struct producer *producer, const struct rc_layout_broker *broker)
{
    struct rc_bench_rocketmq *bench = producer->bench;
    size_t at = (size_t)(broker - bench->layout.brokers);
    if (producer->links[at] == NULL) {
        const struct rc_link_options options = {.loop = bench->loop,
                                                .access_key = bench->options.access_key,
                                                .secret_key = bench->options.secret_key};
        producer->links[at] = rc_link_create(&options, broker->address);
        bench->result.up++;
    }
    return producer->links[at];
}

static void send_one(struct rc_bench_rocketmq *bench, struct producer *producer, uint64_t due_ns)
{
    const struct rc_bench_options *run = &bench->run;
    uint64_t now = rc_clock_mono_ns(), left = run->count - bench->result.sent;
    uint32_t queue_id = 0, queue = (uint32_t)(bench->requests++ % bench->layout.queues);
    const struct rc_layout_broker *broker = rc_layout_find(&bench->layout, queue, &queue_id);
    struct sending *sending = producer->free;
    producer->free = sending->next_free;
    sending->due_ns = due_ns;
    sending->count = run->count > 0 && left < run->batch ? (uint32_t)left : run->batch;
    const uint64_t stamp[2] = {due_ns, bench->run_id};
    memcpy(bench->payload, stamp, sizeof(stamp));
    bench->under_way++;
    bench->result.sent += sending->count;
    bench->result.started++;
    bench->result.expected += consumes(bench) ? sending->count : 0;
    rc_histogram_add(&bench->result.late_us, (now - due_ns) / 1000);
    call(bench, link_of(producer, broker), broker, queue_id, sending);
}

static struct producer *next_producer(struct rc_bench_rocketmq *bench)
{
    uint32_t count = bench->run.publishers;
    for (uint32_t i = 0; i < count; i++) {
        struct producer *producer = &bench->producers[bench->next_producer];
        bench->next_producer = (bench->next_producer + 1) % count;
        if (producer->free != NULL)
            return producer;
    }
    return NULL;
}

static bool has_all_sent(const struct rc_bench_rocketmq *bench)
{
    if (bench->is_finishing || drains(bench))
        return true;
    if (bench->run.count > 0)
        return bench->result.sent >= bench->run.count;
    return rc_clock_mono_ns() - bench->phase_ns >= bench->run.duration_ms * 1000000;
}

static void pump(struct rc_bench_rocketmq *bench)
{
    uint64_t now = rc_clock_mono_ns();
    for (int i = 0; i < TURN_MAX && !has_all_sent(bench); i++) {
        uint64_t due = now;
        if (bench->run.rate > 0)
            due = bench->phase_ns + (uint64_t)((double)bench->result.sent * 1e9 / bench->run.rate);
        struct producer *producer = due <= now ? next_producer(bench) : NULL;
        if (producer == NULL)
            return;
        send_one(bench, producer, due);
    }
}

/* ---- the route ---- */

static void ask_route(struct rc_bench_rocketmq *bench, const char *topic);

static void on_route(void *arg, const struct rc_remoting *answer, const char *error)
{
    struct rc_bench_rocketmq *bench = arg;
    bool is_missing = answer != NULL && answer->code == RC_RES_TOPIC_NOT_EXIST;
    if (is_missing && !bench->is_default_route && !consumes(bench)) {
        bench->is_default_route = true; /* the first message makes the topic, where that is allowed */
        ask_route(bench, "TBW102");
        return;
    }
    if (answer == NULL || answer->code != RC_RES_SUCCESS) {
        fail(bench, answer, error);
        bench->result.failed++;
        done(bench);
        return;
    }
    rc_layout_take_route(&bench->layout, answer->body, true);
    if (bench->is_default_route && bench->layout.count > 0) {
        bench->layout.brokers[0].queues = DEFAULT_QUEUES;
        bench->layout.count = 1;
        bench->layout.queues = DEFAULT_QUEUES;
    }
    if (bench->layout.queues == 0) {
        fail(bench, NULL, "the topic has no queue that can be written");
        bench->result.failed++;
        done(bench);
        return;
    }
    look(bench, &bench->result.before);
    if (drains(bench))
        look(bench, &bench->result.connected);
    enter(bench, drains(bench) ? RC_BENCH_WORKING : RC_BENCH_SETTLING);
    if (consumes(bench))
        start_consumers(bench);
}

static void ask_route(struct rc_bench_rocketmq *bench, const char *topic)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_ROUTE, 0);
    rc_remoting_add(&request, "topic", rc_slice_str(topic));
    rc_link_call(bench->namesrv, &request, CALL_MS, on_route, bench);
}

/* ---- the phases ---- */

static void check_settling(struct rc_bench_rocketmq *bench)
{
    if (bench->result.failed == 0 && consumes(bench) && !are_consumers_settled(bench))
        return;
    look(bench, &bench->result.connected);
    enter(bench, RC_BENCH_WORKING);
}

static void check_working(struct rc_bench_rocketmq *bench)
{
    struct rc_bench_result *result = &bench->result;
    pthread_mutex_lock(&bench->lock);
    result->received = bench->received;
    if (bench->received_ns > bench->progress_ns)
        bench->progress_ns = bench->received_ns;
    pthread_mutex_unlock(&bench->lock);
    if (drains(bench))
        result->expected = bench->run.count;
    if (bench->is_finishing ||
        (has_all_sent(bench) && bench->under_way == 0 && result->received >= result->expected))
        done(bench);
}

static void on_turn(struct rc_hook *hook)
{
    struct rc_bench_rocketmq *bench = rc_container_of(hook, struct rc_bench_rocketmq, tick.hook);
    if (bench->phase == RC_BENCH_SETTLING)
        check_settling(bench);
    if (bench->phase == RC_BENCH_WORKING) {
        pump(bench);
        check_working(bench);
    }
}

/* What was lost never comes: without progress it ends and tells what is missing. */
static void on_watchdog(struct rc_timer *timer)
{
    struct rc_bench_rocketmq *bench = rc_container_of(timer, struct rc_bench_rocketmq, watchdog);
    if (bench->phase == RC_BENCH_DONE)
        return;
    rc_timer_start(bench->loop, &bench->watchdog, WATCHDOG_MS);
    if (rc_clock_mono_ns() - bench->progress_ns <= bench->run.wait_ms * 1000000)
        return;
    if (bench->phase != RC_BENCH_WORKING) {
        bench->result.failed++;
        fail(bench, NULL, "the consumers were not given all queues of the topic");
    }
    done(bench);
}

/* ---- life ---- */

static void make_producer(struct rc_bench_rocketmq *bench, struct producer *producer)
{
    producer->bench = bench;
    producer->sendings = rc_calloc(bench->run.inflight, sizeof(*producer->sendings));
    for (uint32_t i = 0; i < bench->run.inflight; i++) {
        producer->sendings[i].producer = producer;
        producer->sendings[i].next_free = producer->free;
        producer->free = &producer->sendings[i];
    }
}

struct rc_bench_rocketmq *rc_bench_rocketmq_create(struct rc_loop *loop, const struct rc_bench_options *run,
                                                   const struct rc_bench_rocketmq_options *options,
                                                   void (*on_done)(void *arg), void *arg)
{
    struct rc_bench_rocketmq *bench = rc_new(struct rc_bench_rocketmq);
    const struct rc_link_options link = {
        .loop = loop, .access_key = options->access_key, .secret_key = options->secret_key};
    bench->loop = loop;
    bench->run = *run;
    bench->options = *options;
    bench->on_done = on_done;
    bench->arg = arg;
    bench->run_id = rc_clock_mono_ns();
    bench->payload = rc_calloc(1, run->size);
    bench->producers = rc_calloc(run->publishers + 1, sizeof(*bench->producers));
    for (uint32_t i = 0; i < run->publishers; i++)
        make_producer(bench, &bench->producers[i]);
    bench->namesrv = rc_link_create(&link, options->namesrv);
    pthread_mutex_init(&bench->lock, NULL);
    return bench;
}

int rc_bench_rocketmq_start(struct rc_bench_rocketmq *bench)
{
    int err = rc_bench_tick_start(&bench->tick, bench->loop, bench->run.rate > 0, on_turn);
    if (err != RC_OK)
        return err;
    bench->watchdog.on_due = on_watchdog;
    rc_timer_start(bench->loop, &bench->watchdog, WATCHDOG_MS);
    enter(bench, RC_BENCH_CONNECTING);
    ask_route(bench, bench->run.topic);
    return RC_OK;
}

void rc_bench_rocketmq_finish(struct rc_bench_rocketmq *bench)
{
    if (bench->is_finishing || bench->phase != RC_BENCH_WORKING)
        done(bench);
    bench->is_finishing = true;
}

const struct rc_bench_result *rc_bench_rocketmq_result(struct rc_bench_rocketmq *bench)
{
    pthread_mutex_lock(&bench->lock);
    bench->result.received = bench->received;
    if (consumes(bench))
        bench->result.latency_us = bench->latency_us;
    pthread_mutex_unlock(&bench->lock);
    return &bench->result;
}

const char *rc_bench_rocketmq_error(struct rc_bench_rocketmq *bench)
{
    pthread_mutex_lock(&bench->lock);
    if (bench->error[0] == '\0')
        snprintf(bench->error, sizeof(bench->error), "%s", bench->consumer_error);
    pthread_mutex_unlock(&bench->lock);
    return bench->error;
}

void rc_bench_rocketmq_free(struct rc_bench_rocketmq *bench)
{
    if (bench == NULL)
        return;
    for (uint32_t i = 0; i < bench->consumers_count; i++)
        rc_consumer_stop(bench->consumers[i]);
    rc_timer_stop(&bench->watchdog);
    rc_bench_tick_stop(&bench->tick);
    rc_link_destroy(bench->namesrv);
    for (uint32_t i = 0; i < bench->run.publishers; i++) {
        for (uint32_t at = 0; at < RC_FEED_BROKERS_MAX; at++)
            rc_link_destroy(bench->producers[i].links[at]);
        free(bench->producers[i].sendings);
    }
    pthread_mutex_destroy(&bench->lock);
    free(bench->producers);
    free(bench->payload);
    free(bench);
}
