#include "store/store_private.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/directory.h"
#include "store/fs.h"
#include "store/lock.h"
#include "store/queue_load.h"
#include "store/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

void rc_store_options_default(struct rc_store_options *options)
{
    *options = (struct rc_store_options){
        .segment_bytes = 1024u * 1024 * 1024,
        .queue_file_entries = 300000,
        .flush = RC_FLUSH_ASYNC,
        .flush_interval_ms = 500,
        .retain_ms = 72u * 3600 * 1000,
        .min_free_bytes = 256u * 1024 * 1024,
    };
}

static int check_options(const struct rc_store_options *options, struct rc_error *error)
{
    if (options->dir == NULL || options->dir[0] == '\0')
        return rc_error_set(error, RC_ERR_INVALID, "no directory is named");
    if (options->segment_bytes < RC_LOG_SEGMENT_MIN || options->segment_bytes > INT32_MAX ||
        options->segment_bytes % 4096 != 0)
        return rc_error_set(
            error, RC_ERR_INVALID,
            "a segment must have 64 KiB to 2 GiB less 4 KiB, a multiple of 4096, not %" PRIu64,
            options->segment_bytes);
    if (options->queue_file_entries == 0 || options->queue_file_entries > INT32_MAX / RC_QUEUE_ENTRY_LEN)
        return rc_error_set(error, RC_ERR_INVALID,
                            "a consume queue file must have 1 to %d entries, not %" PRIu32,
                            INT32_MAX / RC_QUEUE_ENTRY_LEN, options->queue_file_entries);
    return RC_OK;
}

/* ---- opening ---- */

static int open_sub(struct rc_store *store, const char *name, int *ret, struct rc_error *error)
{
    int err = rc_fs_open_dir(store->root, name, !store->options.read_only, ret);
    return err == RC_OK
               ? RC_OK
               : rc_error_set(error, err, "cannot open %s/%s: %s", store->dir, name, rc_err_text(err));
}

static int open_dirs(struct rc_store *store, enum rc_directory_kind *ret_kind, struct rc_error *error)
{
    bool read_only = store->options.read_only;
    int err = rc_directory_open(store->dir, !read_only, &store->root, error);
    if (err == RC_OK)
        err = rc_directory_inspect(store->root, &store->options, ret_kind, error);
    if (err == RC_OK && !read_only)
        err = rc_lock_take(store->root, &store->lock, error);
    if (err == RC_OK && (!read_only || *ret_kind == RC_DIRECTORY_OURS))
        err = open_sub(store, "rollcall", &store->own, error);
    if (err == RC_OK)
        err = open_sub(store, "config", &store->config, error);
    if (err == RC_OK)
        err = open_sub(store, "commitlog", &store->log_dir, error);
    if (err == RC_OK)
        err = open_sub(store, "consumequeue", &store->queue_dir, error);
    return err;
}

static int load_files(struct rc_store *store, struct rc_error *error)
{
    int err = rc_topics_load(&store->topics, error);
    if (err == RC_OK)
        err = rc_groups_load(&store->groups, error);
    if (err == RC_OK)
        err = rc_offsets_load(&store->offsets, error);
    if (err == RC_OK)
        err = rc_commit_log_load(&store->log, error);
    if (err == RC_OK)
        err = rc_queues_load(&store->queues, &store->topics, error);
    return err;
}

/* `abort` stands while a broker runs: who finds it knows that the last one did not stop cleanly. */
static int put_abort(struct rc_store *store, bool *ret_was_clean, struct rc_error *error)
{
    *ret_was_clean = faccessat(store->root, "abort", F_OK, 0) != 0;
    if (store->options.read_only || !*ret_was_clean)
        return RC_OK;
    int fd = openat(store->root, "abort", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0 || fsync(store->root) != 0) {
        int err = rc_fs_write_error();
        if (fd >= 0)
            close(fd);
        return rc_error_set(error, err, "cannot make the file `abort`: %s", rc_err_text(err));
    }
    close(fd);
    return RC_OK;
}

static int save_config(struct rc_store *store, bool is_new)
{
    if (is_new)
        store->topics.is_changed = store->offsets.is_changed = true;
    int err = is_new ? rc_groups_save(&store->groups) : RC_OK;
    if (err == RC_OK)
        err = rc_topics_save(&store->topics);
    return err == RC_OK ? rc_offsets_write(&store->offsets) : err;
}

static int start(struct rc_store *store, enum rc_directory_kind kind, bool was_clean, struct rc_error *error)
{
    if (store->options.read_only)
        return RC_OK;
    int err = save_config(store, kind == RC_DIRECTORY_NEW);
    if (err == RC_OK && kind != RC_DIRECTORY_OURS)
        err = rc_directory_mark(store->own, &store->options);
    if (err == RC_OK) {
        store->flusher.flushed_to = was_clean ? rc_store_max_physical(store) : rc_store_min_physical(store);
        store->flusher.flushed_ms = store->flusher.queues_ms = was_clean ? rc_store_last_store_ms(store) : 0;
        err = rc_flusher_flush(&store->flusher, true);
    }
    if (err == RC_OK)
        err = rc_flusher_start(&store->flusher);
    if (err != RC_OK)
        return rc_error_set(error, err, "cannot write to %s: %s", store->dir, rc_err_text(err));
    if (kind == RC_DIRECTORY_OTHER)
        rc_log_info("store", "took over a directory that another RocketMQ broker wrote");
    return RC_OK;
}

static struct rc_store *new_store(const struct rc_store_options *options)
{
    struct rc_store *store = rc_new(struct rc_store);
    store->options = *options;
    store->dir = rc_strdup(options->dir);
    store->options.dir = store->dir;
    store->root = store->own = store->config = store->log_dir = store->queue_dir = store->lock = -1;
    return store;
}

static void init_parts(struct rc_store *store)
{
    rc_commit_log_init(&store->log, store->log_dir, store->own, &store->options);
    rc_queues_init(&store->queues, store->queue_dir, store->own, &store->options);
    store->queues.store = store;
    rc_topics_init(&store->topics, store->config, &store->queues);
    rc_offsets_init(&store->offsets, store->config);
    rc_groups_init(&store->groups, store->config);
    rc_flusher_init(&store->flusher, store);
}

static void close_dirs(struct rc_store *store)
{
    int fds[] = {store->own, store->config, store->log_dir, store->queue_dir, store->lock, store->root};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void free_store(struct rc_store *store)
{
    rc_flusher_free(&store->flusher);
    rc_groups_free(&store->groups);
    rc_offsets_free(&store->offsets);
    rc_topics_free(&store->topics);
    rc_queues_free(&store->queues);
    rc_commit_log_free(&store->log);
    close_dirs(store);
    free(store->next_in_queue);
    free(store->dir);
    free(store);
}

int rc_store_open(const struct rc_store_options *options, struct rc_store **ret, struct rc_error *error)
{
    enum rc_directory_kind kind;
    bool was_clean;
    int err = check_options(options, error);
    if (err != RC_OK)
        return err;
    struct rc_store *store = new_store(options);
    err = open_dirs(store, &kind, error);
    init_parts(store);
    if (err == RC_OK)
        err = load_files(store, error);
    if (err == RC_OK)
        err = put_abort(store, &was_clean, error);
    if (err == RC_OK)
        err = rc_recover(store, was_clean, error);
    if (err == RC_OK)
        err = start(store, kind, was_clean, error);
    if (err != RC_OK) {
        free_store(store);
        return err;
    }
    *ret = store;
    return RC_OK;
}

/* ---- closing ---- */

const struct rc_error *rc_store_damage(const struct rc_store *store)
{
    return store->damage.code == RC_OK ? NULL : &store->damage;
}

int rc_store_flush(struct rc_store *store)
{
    return rc_flusher_flush(&store->flusher, true);
}

static void leave_clean(struct rc_store *store)
{
    if (store->log.dirty_to > 0)
        rc_commit_log_undo(&store->log);
    int err = store->log.dirty_to > 0 ? RC_ERR_IO : rc_flusher_flush(&store->flusher, true);
    if (err == RC_OK)
        err = save_config(store, false);
    /* what could not be written is left to recovery: `abort` stays */
    if (err == RC_OK && (unlinkat(store->root, "abort", 0) != 0 || fsync(store->root) != 0))
        err = RC_ERR_IO;
    if (err != RC_OK)
        rc_log_error("store", "closing: %s; the next start will recover", rc_err_text(err));
}

uint64_t rc_store_free_bytes(const struct rc_store *store)
{
    return rc_fs_free_bytes(store->log_dir);
}

const struct rc_store_options *rc_store_settings(const struct rc_store *store)
{
    return &store->options;
}

void rc_store_close(struct rc_store *store)
{
    if (store == NULL)
        return;
    rc_flusher_stop(&store->flusher);
    if (!store->options.read_only)
        leave_clean(store);
    free_store(store);
}

/* ---- topics, groups, offsets ---- */

struct rc_topic *rc_store_find_topic(struct rc_store *store, struct rc_slice name)
{
    return rc_topics_find(&store->topics, name);
}

int rc_store_create_topic(struct rc_store *store, struct rc_slice name, uint32_t queues, uint32_t perm,
                          struct rc_topic **ret, struct rc_error *error)
{
    if (!rc_config_name_is_valid(name, RC_MESSAGE_TOPIC_MAX))
        return rc_error_set(error, RC_ERR_INVALID,
                            "a topic's name has 1 to %d letters, digits, or of the characters %% | - _",
                            RC_MESSAGE_TOPIC_MAX);
    if (queues == 0 || queues > RC_STORE_QUEUES_PER_TOPIC_MAX || (perm & ~7u) != 0)
        return rc_error_set(error, RC_ERR_INVALID, "a topic has 1 to %d queues, not %" PRIu32,
                            RC_STORE_QUEUES_PER_TOPIC_MAX, queues);
    int err = rc_topics_create(&store->topics, name, queues, perm, ret);
    return err == RC_OK
               ? RC_OK
               : rc_error_set(error, err, "cannot make topic %.*s: %s", RC_SLICE_FMT(name), rc_err_text(err));
}

void rc_store_defer_names(struct rc_store *store)
{
    store->topics.is_deferred = store->groups.is_deferred = true;
}

int rc_store_keep_names(struct rc_store *store)
{
    store->topics.is_deferred = store->groups.is_deferred = false;
    int err = rc_topics_save(&store->topics);
    return err == RC_OK && store->groups.is_changed ? rc_groups_save(&store->groups) : err;
}

static void visit_topics(struct rc_topics *topics, void (*visit)(struct rc_topic *topic, void *arg),
                         void *arg)
{
    uint32_t cursor = 0;
    for (struct rc_topic *topic; (topic = rc_map_next(&topics->map, &cursor)) != NULL;)
        visit(topic, arg);
}

void rc_store_each_topic(struct rc_store *store, void (*visit)(struct rc_topic *topic, void *arg), void *arg)
{
    pthread_mutex_lock(&store->topics.mutex);
    visit_topics(&store->topics, visit, arg);
    pthread_mutex_unlock(&store->topics.mutex);
}

int rc_offsets_get(struct rc_store *store, struct rc_slice group, const struct rc_queue *queue, uint64_t *ret)
{
    return rc_offsets_find(&store->offsets, rc_topic_name(queue->topic), group, queue->id, ret);
}

int rc_offsets_set(struct rc_store *store, struct rc_slice group, const struct rc_queue *queue,
                   uint64_t offset)
{
    return rc_offsets_put(&store->offsets, rc_topic_name(queue->topic), group, queue->id, offset);
}

int rc_offsets_save(struct rc_store *store)
{
    return rc_offsets_write(&store->offsets);
}

int rc_groups_ensure(struct rc_store *store, struct rc_slice group)
{
    return rc_groups_add(&store->groups, group);
}

bool rc_groups_has(struct rc_store *store, struct rc_slice group)
{
    return rc_groups_know(&store->groups, group);
}

void rc_groups_each(struct rc_store *store, void (*visit)(struct rc_slice name, void *arg), void *arg)
{
    rc_groups_visit(&store->groups, visit, arg);
}

int rc_groups_remove(struct rc_store *store, struct rc_slice group)
{
    return rc_groups_drop(&store->groups, group);
}

void rc_offsets_each(struct rc_store *store, struct rc_slice group,
                     void (*visit)(struct rc_slice topic, uint32_t queue, uint64_t offset, void *arg),
                     void *arg)
{
    rc_offsets_visit(&store->offsets, group, visit, arg);
}

void rc_offsets_forget(struct rc_store *store, struct rc_slice group)
{
    rc_offsets_drop(&store->offsets, group);
}

int rc_store_set_topic_perm(struct rc_store *store, struct rc_topic *topic, uint32_t perm)
{
    return rc_topics_set_perm(&store->topics, topic, perm);
}

uint64_t rc_delay_offset_get(struct rc_store *store, uint32_t level)
{
    if (level == 0 || level > RC_DELAY_LEVELS)
        return 0;
    return atomic_load_explicit(&store->offsets.delay[level - 1], memory_order_relaxed);
}

void rc_delay_offset_set(struct rc_store *store, uint32_t level, uint64_t offset)
{
    if (level == 0 || level > RC_DELAY_LEVELS)
        return;
    atomic_store_explicit(&store->offsets.delay[level - 1], offset, memory_order_relaxed);
    atomic_store(&store->offsets.delay_changed, true);
}

uint64_t rc_delay_level_ms(uint32_t level)
{
    enum { S = 1000, M = 60 * S, H = 60 * M };
    static const uint32_t delays[RC_DELAY_LEVELS] = {1 * S, 5 * S,  10 * S, 30 * S, 1 * M, 2 * M,
                                                     3 * M, 4 * M,  5 * M,  6 * M,  7 * M, 8 * M,
                                                     9 * M, 10 * M, 20 * M, 30 * M, 1 * H, 2 * H};
    return level == 0 || level > RC_DELAY_LEVELS ? 0 : delays[level - 1];
}
