#include "presence/recovery.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "presence/event_clock.h"
#include "presence/open_channels.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

struct rc_presence_recovery {
    struct rc_presence_recovery_options options;
    char *path;
    int64_t greatest_ms;
    uint32_t count;
    _Atomic uint64_t covered; /* the durable snapshot's place */

    /* the thread that makes snapshots while the server runs */
    pthread_t thread;
    bool has_thread;
    atomic_bool is_stopping;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint64_t wanted; /* under mutex: retention would like to get here */
};

/* ---- reading ---- */

struct reading {
    struct rc_open_channels *open;
    uint64_t target;
    const atomic_bool *is_stopping;
};

static bool on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct reading *reading = arg;
    if (message->physical_offset >= reading->target ||
        atomic_load_explicit(reading->is_stopping, memory_order_relaxed))
        return false;
    rc_open_channels_apply(reading->open, message, size);
    return true;
}

/* Brings the table from its place up to `target`. */
static int read_log(const struct rc_presence_recovery *recovery, struct rc_open_channels *open,
                    uint64_t target)
{
    struct rc_store *store = recovery->options.store;
    struct reading reading = {open, target, &recovery->is_stopping};
    uint64_t first = rc_store_min_physical(store);
    bool has_lost_tail = open->place > rc_store_max_physical(store);
    if (open->place < first && open->place > 0)
        rc_log_error("presence",
                     "the log begins after the snapshot of open channels: some tcpclean may be missing");
    if (has_lost_tail)
        rc_log_error("presence", "the log ends before the snapshot of open channels (power loss, or an older "
                                 "copy of the log?): read again from its start");
    if (open->place < first || has_lost_tail)
        open->place = 0; /* the first that is kept */
    int64_t snapshot_ms = open->greatest_ms;
    open->greatest_ms = 0;
    int err = rc_store_scan(store, open->place, on_record, &reading);
    /* What the snapshot has of a part of the log that is no more: nobody was told, so nobody is told now. */
    if (err == RC_OK && has_lost_tail)
        rc_open_channels_forget_after(open, open->greatest_ms);
    if (open->greatest_ms < snapshot_ms)
        open->greatest_ms = snapshot_ms;
    return err;
}

static int load(struct rc_presence_recovery *recovery, struct rc_open_channels *open, struct rc_error *error)
{
    rc_open_channels_init(open);
    int err = rc_open_channels_load(open, recovery->path, error);
    return err == RC_ERR_NOT_FOUND ? RC_OK : err;
}

/* ---- telling of what was left open ---- */

struct batch {
    struct rc_buf bytes;
    struct rc_append records[RC_RECOVERY_BATCH_RECORDS];
    uint32_t at[RC_RECOVERY_BATCH_RECORDS];
    uint32_t count;
};

static int append_batch(struct rc_store *store, struct batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        batch->records[i].record = batch->bytes.data + batch->at[i];
    int err = batch->count > 0 ? rc_store_append(store, batch->records, batch->count) : RC_OK;
    rc_buf_consume(&batch->bytes, rc_buf_len(&batch->bytes));
    batch->count = 0;
    return err;
}

static struct rc_queue *queue_of(struct rc_store *store, const struct rc_open_channel *channel,
                                 struct rc_error *error)
{
    struct rc_topic *topic;
    if (rc_store_create_topic(store, channel->topic, channel->queue_id + 1, RC_PERM_READ_WRITE, &topic,
                              error) != RC_OK)
        return NULL;
    return rc_topic_queue(topic, channel->queue_id < rc_topic_queue_count(topic) ? channel->queue_id : 0);
}

static int put_tcpclean(struct rc_presence_recovery *recovery, const struct rc_open_channel *channel,
                        struct rc_event_clock *clock, struct batch *batch, struct rc_error *error)
{
    struct rc_queue *queue = queue_of(recovery->options.store, channel, error);
    struct rc_buf text;
    if (queue == NULL)
        return RC_ERR_INVALID;
    int64_t now = rc_event_clock_now(clock, rc_clock_wall_ms(), (int64_t)rc_clock_mono_ms());
    struct rc_event event = {
        .type = RC_EVENT_TCPCLEAN,
        .time_ms = rc_event_clock_next(now, channel->last_ms),
        .client_id_json = channel->client_id_json,
        .keys = channel->keys,
        .client_ip = channel->client_ip,
        .sequence = channel->sequence + 1,
        .instance = channel->instance,
        .node = rc_slice_str(recovery->options.node),
        .reason = rc_slice_str("server-crash"),
        .protocol = channel->protocol,
        .connect_ms = channel->connect_ms,
    };
    memcpy(event.channel_id, channel->id, RC_CHANNEL_ID_LEN);
    struct rc_message message = {
        .queue_id = rc_queue_id(queue),
        .born_ms = event.time_ms,
        .store_host = recovery->options.store_host,
        .topic = rc_topic_name(rc_queue_topic(queue)),
    };
    rc_buf_init(&text, RC_MESSAGE_MAX);
    int err = rc_event_put(&text, &event, &message.body, &message.props);
    memcpy(message.born_host.addr, channel->born_addr, 4);
    message.born_host.port = channel->born_port;
    uint32_t at = (uint32_t)rc_buf_len(&batch->bytes);
    err = err ? err : rc_message_encode(&batch->bytes, &message);
    batch->at[batch->count] = at;
    batch->records[batch->count++] = (struct rc_append){
        .queue = queue,
        .len = (uint32_t)rc_buf_len(&batch->bytes) - at,
        .tags_code = rc_props_tags_code(message.props),
    };
    if (recovery->greatest_ms < event.time_ms)
        recovery->greatest_ms = event.time_ms;
    rc_buf_free(&text);
    return err;
}

static int close_all(struct rc_presence_recovery *recovery, struct rc_open_channels *open,
                     struct rc_error *error)
{
    struct rc_event_clock *clock = rc_new(struct rc_event_clock);
    struct batch *batch = rc_new(struct batch);
    const struct rc_open_channel *channel;
    int err = RC_OK;
    rc_buf_init(&batch->bytes, 2 * RC_RECOVERY_BATCH_BYTES);
    rc_event_clock_init(clock, open->greatest_ms);
    /*
     * One record for each channel whose connect found room, and nobody new is let in above the quota: so it
     * is bounded, and without it a log that waits for its rules could never be opened again.
     */
    rc_store_lift_quota(recovery->options.store, true);
    for (uint32_t cursor = 0; err == RC_OK && (channel = rc_map_next(&open->channels, &cursor)) != NULL;) {
        err = put_tcpclean(recovery, channel, clock, batch, error);
        if (err == RC_OK && (batch->count == RC_RECOVERY_BATCH_RECORDS ||
                             rc_buf_len(&batch->bytes) > RC_RECOVERY_BATCH_BYTES))
            err = append_batch(recovery->options.store, batch);
    }
    if (err == RC_OK)
        err = append_batch(recovery->options.store, batch);
    rc_store_lift_quota(recovery->options.store, false);
    if (err != RC_OK)
        rc_error_set(error, err,
                     "the end of %u channels that the last run left open cannot be written: %s. Make room on "
                     "the disk and start again",
                     open->channels.count, rc_err_text(err));
    rc_buf_free(&batch->bytes);
    free(batch);
    free(clock);
    return err;
}

/* A snapshot never stands for records that a power loss can still take away. */
static int save(struct rc_presence_recovery *recovery, const struct rc_open_channels *open,
                struct rc_error *error)
{
    int err = rc_store_flush(recovery->options.store);
    if (err != RC_OK)
        return rc_error_set(error, err, "the log cannot be flushed: %s", rc_err_text(err));
    err = rc_open_channels_save(open, recovery->path, error);
    if (err == RC_OK)
        atomic_store(&recovery->covered, open->place);
    return err;
}

/* Nothing is open now: the next start, and retention, begin here. */
static void begin_here(struct rc_presence_recovery *recovery)
{
    struct rc_open_channels none;
    struct rc_error error;
    rc_open_channels_init(&none);
    none.place = rc_store_max_physical(recovery->options.store);
    none.greatest_ms = recovery->greatest_ms;
    if (save(recovery, &none, &error) != RC_OK)
        rc_log_warn("presence", "%s", error.text);
}

int64_t rc_presence_recovery_greatest_ms(const struct rc_presence_recovery *recovery)
{
    return recovery->greatest_ms;
}

uint32_t rc_presence_recovery_count(const struct rc_presence_recovery *recovery)
{
    return recovery->count;
}

/* ---- snapshots while running ---- */

/* The old snapshot, and the log from there up to `target`: that is the new one. */
static void fold(struct rc_presence_recovery *recovery, uint64_t target)
{
    struct rc_open_channels open;
    struct rc_error error;
    int err = load(recovery, &open, &error);
    if (err == RC_OK) {
        err = read_log(recovery, &open, target);
        rc_error_set(&error, err, "%s", rc_err_text(err));
    }
    /* Between the last record and a segment's end there may be filler. */
    if (open.place < target)
        open.place = target;
    if (err == RC_OK && !atomic_load(&recovery->is_stopping))
        err = save(recovery, &open, &error);
    if (err != RC_OK)
        rc_log_error("presence", "no snapshot of open channels, so the log is not shortened: %s", error.text);
    rc_open_channels_free(&open);
}

static void sleep_until_woken(struct rc_presence_recovery *recovery)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + recovery->options.look_every_ms * 1000000ull;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    pthread_cond_timedwait(&recovery->wake, &recovery->mutex, &until);
}

/*
 * Sleeps until there is something to do: where to fold to, 0 when it is time to end. A fold that failed is
 * not tried again before the next look, or before retention asks again.
 */
static uint64_t next_target(struct rc_presence_recovery *recovery)
{
    uint64_t target = 0;
    pthread_mutex_lock(&recovery->mutex);
    while (target == 0 && !atomic_load(&recovery->is_stopping)) {
        if (recovery->wanted == 0)
            sleep_until_woken(recovery);
        uint64_t covered = atomic_load(&recovery->covered);
        uint64_t end = rc_store_max_physical(recovery->options.store);
        if (recovery->wanted > covered)
            target = recovery->wanted;
        else if (end - covered >= recovery->options.fold_bytes)
            target = end;
        recovery->wanted = 0;
    }
    pthread_mutex_unlock(&recovery->mutex);
    return atomic_load(&recovery->is_stopping) ? 0 : target;
}

static void *thread_main(void *arg)
{
    struct rc_presence_recovery *recovery = arg;
    pthread_setname_np(pthread_self(), "rc-snapshot");
    for (uint64_t target; (target = next_target(recovery)) != 0;)
        fold(recovery, target);
    return NULL;
}

static int start_thread(struct rc_presence_recovery *recovery)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&recovery->thread, NULL, thread_main, recovery);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    recovery->has_thread = failure == 0;
    return rc_err_from_errno(failure);
}

uint64_t rc_presence_recovery_keep_from(void *arg, uint64_t target)
{
    struct rc_presence_recovery *recovery = arg;
    uint64_t covered = atomic_load(&recovery->covered);
    if (covered >= target)
        return target;
    pthread_mutex_lock(&recovery->mutex);
    recovery->wanted = target;
    pthread_cond_signal(&recovery->wake);
    pthread_mutex_unlock(&recovery->mutex);
    return covered;
}

/* ---- life ---- */

int rc_presence_recover(const struct rc_presence_recovery_options *options, struct rc_presence_recovery **ret,
                        struct rc_error *error)
{
    struct rc_presence_recovery *recovery = rc_new(struct rc_presence_recovery);
    struct rc_open_channels open;
    recovery->options = *options;
    recovery->path = rc_strdup(options->path);
    if (recovery->options.fold_bytes == 0)
        recovery->options.fold_bytes = RC_RECOVERY_FOLD_BYTES;
    if (recovery->options.look_every_ms == 0)
        recovery->options.look_every_ms = RC_RECOVERY_LOOK_EVERY_MS;
    pthread_mutex_init(&recovery->mutex, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&recovery->wake, &steady);
    pthread_condattr_destroy(&steady);
    int err = load(recovery, &open, error);
    if (open.place <= rc_store_max_physical(options->store))
        atomic_store(&recovery->covered, open.place);
    if (err == RC_OK) {
        err = read_log(recovery, &open, UINT64_MAX);
        if (err != RC_OK)
            rc_error_set(error, err, "the log cannot be read: %s", rc_err_text(err));
    }
    recovery->greatest_ms = open.greatest_ms;
    recovery->count = open.channels.count;
    if (err == RC_OK && open.channels.count > 0)
        err = close_all(recovery, &open, error);
    if (err == RC_OK)
        begin_here(recovery);
    rc_open_channels_free(&open);
    if (err == RC_OK && (err = start_thread(recovery)) != RC_OK)
        rc_error_set(error, err, "no thread for snapshots of open channels: %s", rc_err_text(err));
    if (err != RC_OK) {
        rc_presence_recovery_destroy(recovery);
        return err;
    }
    *ret = recovery;
    return RC_OK;
}

void rc_presence_recovery_destroy(struct rc_presence_recovery *recovery)
{
    if (recovery == NULL)
        return;
    if (recovery->has_thread) {
        pthread_mutex_lock(&recovery->mutex);
        atomic_store(&recovery->is_stopping, true);
        pthread_cond_signal(&recovery->wake);
        pthread_mutex_unlock(&recovery->mutex);
        pthread_join(recovery->thread, NULL);
    }
    pthread_mutex_destroy(&recovery->mutex);
    pthread_cond_destroy(&recovery->wake);
    free(recovery->path);
    free(recovery);
}
