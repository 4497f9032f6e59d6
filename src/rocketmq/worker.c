#include "rocketmq/worker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/key_index.h"

struct rc_worker {
    struct rc_loop *loop;
    struct rc_store *store;
    struct rc_key_index *index;
    struct rc_timer read_on, save;
};

static void save_offsets(struct rc_worker *worker)
{
    int err = rc_offsets_save(worker->store);
    if (err != RC_OK)
        rc_log_error("rocketmq", "consumer offsets could not be saved: %s", rc_err_text(err));
}

static void on_save(struct rc_timer *timer)
{
    struct rc_worker *worker = rc_container_of(timer, struct rc_worker, save);
    save_offsets(worker);
    rc_timer_start(worker->loop, timer, RC_ENDPOINT_SAVE_MS);
}

/* In slices, so that queries come in between while a long log is read. */
static void on_read_on(struct rc_timer *timer)
{
    struct rc_worker *worker = rc_container_of(timer, struct rc_worker, read_on);
    bool has_more = rc_key_index_advance(worker->index, RC_KEY_INDEX_SLICE_BYTES);
    rc_timer_start(worker->loop, timer, has_more ? 0 : RC_WORKER_INDEX_EVERY_MS);
}

struct rc_key_index *rc_worker_index(struct rc_worker *worker)
{
    uint64_t until = rc_clock_mono_ms() + RC_WORKER_CATCH_UP_MS;
    if (worker->index == NULL)
        return NULL;
    while (rc_key_index_advance(worker->index, RC_KEY_INDEX_SLICE_BYTES) && rc_clock_mono_ms() < until)
        continue;
    return worker->index;
}

struct rc_loop *rc_worker_loop(struct rc_worker *worker)
{
    return worker->loop;
}

static void free_worker(struct rc_worker *worker)
{
    rc_loop_destroy(worker->loop); /* delivers the mail that is left */
    rc_key_index_close(worker->index);
    free(worker);
}

int rc_worker_start(struct rc_store *store, struct rc_worker **ret, struct rc_error *error)
{
    struct rc_worker *worker = rc_new(struct rc_worker);
    worker->store = store;
    int err = rc_loop_create("rc-rmq-worker", &worker->loop);
    if (err != RC_OK) {
        free(worker);
        return rc_error_set(error, err, "no event loop for the RocketMQ endpoint: %s", rc_err_text(err));
    }
    int index_err = rc_key_index_open(store, &worker->index);
    if (index_err != RC_OK)
        rc_log_error("rocketmq", "messages cannot be queried by key, there is no index: %s",
                     rc_err_text(index_err));
    worker->read_on.on_due = on_read_on;
    if (worker->index != NULL)
        rc_timer_start(worker->loop, &worker->read_on, 0);
    worker->save.on_due = on_save;
    rc_timer_start(worker->loop, &worker->save, RC_ENDPOINT_SAVE_MS);
    err = rc_loop_start_thread(worker->loop);
    if (err != RC_OK) {
        free_worker(worker);
        return rc_error_set(error, err, "no thread for the RocketMQ endpoint: %s", rc_err_text(err));
    }
    *ret = worker;
    return RC_OK;
}

void rc_worker_stop(struct rc_worker *worker)
{
    if (worker == NULL)
        return;
    rc_loop_stop(worker->loop);
    rc_loop_join_thread(worker->loop);
    save_offsets(worker);
    free_worker(worker);
}
