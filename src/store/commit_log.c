#include "store/commit_log.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

void rc_commit_log_init(struct rc_commit_log *log, int dir, int scratch,
                        const struct rc_store_options *options)
{
    *log = (struct rc_commit_log){
        .dir = dir,
        .scratch = scratch,
        .read_only = options->read_only,
        .segment_bytes = options->segment_bytes,
        .quota_bytes = options->quota_bytes,
        .min_free_bytes = options->min_free_bytes,
        .fd = -1,
    };
    pthread_mutex_init(&log->mutex, NULL);
    pthread_mutex_init(&log->make_mutex, NULL);
}

void rc_commit_log_free(struct rc_commit_log *log)
{
    for (uint32_t i = 0; i < log->count; i++)
        rc_segment_release(log->slots[i].map);
    free(log->slots);
    if (log->fd >= 0)
        close(log->fd);
    pthread_mutex_destroy(&log->mutex);
    pthread_mutex_destroy(&log->make_mutex);
}

static void add_slot(struct rc_commit_log *log, uint64_t base)
{
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 8;
        log->slots = rc_realloc(log->slots, log->cap * sizeof(*log->slots));
    }
    log->slots[log->count++] = (struct rc_log_slot){.base = base};
}

static int check_file(struct rc_commit_log *log, uint64_t base, struct rc_error *error)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    uint64_t size;
    rc_fs_offset_name(name, base);
    int err = rc_fs_size(log->dir, name, &size);
    if (err != RC_OK)
        return rc_error_set(error, err, "commitlog/%s: %s", name, rc_err_text(err));
    if (size != log->segment_bytes)
        return rc_error_set(
            error, RC_ERR_VERSION,
            "commitlog/%s is %" PRIu64 " bytes long, but the segment size is set to %" PRIu64
            ": set the segment size that the directory was made with, or use another directory",
            name, size, log->segment_bytes);
    if (log->count > 0 && log->slots[log->count - 1].base + log->segment_bytes != base)
        return rc_error_set(
            error, RC_ERR_CORRUPT,
            "commitlog/%s does not follow the file before it: a file of the log is missing; put it "
            "back, or move the files before or behind the gap out of the directory",
            name);
    return RC_OK;
}

int rc_commit_log_load(struct rc_commit_log *log, struct rc_error *error)
{
    uint64_t *bases;
    uint32_t count;
    char other[128];
    int err = rc_fs_list_offsets(log->dir, &bases, &count, other, sizeof(other));
    if (err == RC_ERR_INVALID) {
        char quoted[128];
        return rc_error_set(error, err, "commitlog/ holds `%s`, which is no file of the log: move it away",
                            rc_log_quote(quoted, sizeof(quoted), rc_slice_str(other)));
    }
    if (err != RC_OK)
        return rc_error_set(error, err, "cannot list commitlog/: %s", rc_err_text(err));
    for (uint32_t i = 0; i < count && err == RC_OK; i++) {
        err = check_file(log, bases[i], error);
        if (err == RC_OK)
            add_slot(log, bases[i]);
    }
    free(bases);
    return err;
}

uint64_t rc_commit_log_capacity_end(struct rc_commit_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t end = log->count ? log->slots[log->count - 1].base + log->segment_bytes : 0;
    pthread_mutex_unlock(&log->mutex);
    return end;
}

uint64_t rc_commit_log_first_base(struct rc_commit_log *log)
{
    pthread_mutex_lock(&log->mutex);
    uint64_t base = log->count ? log->slots[0].base : 0;
    pthread_mutex_unlock(&log->mutex);
    return base;
}

uint64_t rc_commit_log_base_of(struct rc_commit_log *log, uint64_t physical)
{
    uint64_t first = rc_commit_log_first_base(log);
    return physical - (physical - first) % log->segment_bytes;
}

/* Unmaps the segment that has not been read for longest, if nobody holds it. */
static void evict_one(struct rc_commit_log *log)
{
    struct rc_log_slot *victim = NULL;
    for (uint32_t i = 0; i < log->count; i++) {
        struct rc_log_slot *slot = &log->slots[i];
        if (slot->map != NULL && (victim == NULL || slot->map->last_use < victim->map->last_use))
            victim = slot;
    }
    if (victim == NULL)
        return;
    rc_segment_release(victim->map);
    victim->map = NULL;
    log->mapped--;
}

static int map_slot(struct rc_commit_log *log, struct rc_log_slot *slot)
{
    if (slot->map != NULL)
        return RC_OK;
    if (log->mapped >= RC_LOG_MAPPED_MAX)
        evict_one(log);
    int err = rc_segment_map(log->dir, slot->base, log->segment_bytes, &slot->map);
    if (err == RC_OK)
        log->mapped++;
    return err;
}

int rc_commit_log_map(struct rc_commit_log *log, uint64_t physical, struct rc_segment **ret)
{
    int err = RC_ERR_RANGE;
    pthread_mutex_lock(&log->mutex);
    if (log->count > 0 && physical >= log->slots[0].base) {
        uint64_t i = (physical - log->slots[0].base) / log->segment_bytes;
        if (i < log->count) {
            err = map_slot(log, &log->slots[i]);
            if (err == RC_OK) {
                log->slots[i].map->last_use = ++log->uses;
                rc_segment_retain(log->slots[i].map);
                *ret = log->slots[i].map;
            }
        }
    }
    pthread_mutex_unlock(&log->mutex);
    return err;
}

static bool leaves_enough(struct rc_commit_log *log)
{
    uint64_t bytes = rc_fs_free_bytes(log->dir);
    return log->min_free_bytes == 0 || atomic_load(&log->is_lifted) ||
           (bytes >= log->segment_bytes && bytes - log->segment_bytes >= log->min_free_bytes);
}

int rc_commit_log_make(struct rc_commit_log *log, uint64_t at)
{
    int err = RC_OK;
    pthread_mutex_lock(&log->make_mutex);
    uint64_t base = rc_commit_log_capacity_end(log);
    if (at >= base && base > 0 && !leaves_enough(log)) {
        err = RC_ERR_NO_SPACE;
    } else if (at >= base) {
        char name[RC_FS_OFFSET_NAME_LEN + 1];
        rc_fs_offset_name(name, base);
        err = rc_fs_create_sized(log->scratch, log->dir, name, log->segment_bytes, true, NULL);
        if (err == RC_OK && fsync(log->dir) != 0)
            err = rc_fs_write_error();
        if (err == RC_OK) {
            pthread_mutex_lock(&log->mutex);
            add_slot(log, base);
            pthread_mutex_unlock(&log->mutex);
        }
    }
    pthread_mutex_unlock(&log->make_mutex);
    return err;
}

/* Takes a slot out of the table and its file off the disk; readers keep their mappings. */
static int remove_slot(struct rc_commit_log *log, uint32_t i)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, log->slots[i].base);
    if (unlinkat(log->dir, name, 0) != 0 && errno != ENOENT)
        return rc_fs_write_error();
    if (log->slots[i].map != NULL)
        log->mapped--;
    rc_segment_release(log->slots[i].map);
    memmove(&log->slots[i], &log->slots[i + 1], (log->count - i - 1) * sizeof(*log->slots));
    log->count--;
    return RC_OK;
}

void rc_commit_log_drop_before(struct rc_commit_log *log, uint64_t upto)
{
    pthread_mutex_lock(&log->mutex);
    while (log->count > 1 && log->slots[0].base + log->segment_bytes <= upto) {
        /* out of reach first, gone afterwards */
        atomic_store_explicit(&log->min, log->slots[0].base + log->segment_bytes, memory_order_release);
        int err = remove_slot(log, 0);
        if (err != RC_OK) {
            rc_log_error("store", "cannot delete the log's oldest segment: %s", rc_err_text(err));
            break;
        }
    }
    pthread_mutex_unlock(&log->mutex);
}

int rc_commit_log_drop_from(struct rc_commit_log *log, uint64_t from)
{
    int err = RC_OK;
    pthread_mutex_lock(&log->mutex);
    while (err == RC_OK && log->count > 0 && log->slots[log->count - 1].base >= from)
        err = remove_slot(log, log->count - 1);
    pthread_mutex_unlock(&log->mutex);
    return err;
}

/* The writer keeps the file of its place open. */
static int open_for_writing(struct rc_commit_log *log, uint64_t base)
{
    if (log->fd >= 0 && log->fd_base == base)
        return RC_OK;
    int err = rc_commit_log_make(log, base);
    if (err != RC_OK)
        return err;
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, base);
    int fd = openat(log->dir, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return RC_ERR_IO;
    if (log->fd >= 0)
        close(log->fd);
    log->fd = fd;
    log->fd_base = base;
    return RC_OK;
}

int rc_commit_log_write(struct rc_commit_log *log, struct iovec *iov, int count, uint64_t at, uint64_t len)
{
    int err = open_for_writing(log, rc_commit_log_base_of(log, at));
    if (err != RC_OK)
        return err;
    if (log->dirty_to < at + len)
        log->dirty_to = at + len;
    return rc_fs_writev(log->fd, iov, count, at - log->fd_base);
}

/*
 * Whole records that were written but not published would be read as published after a crash, or by another
 * broker. So they are wiped at once; where that fails too, the next append tries again before it writes.
 */
void rc_commit_log_undo(struct rc_commit_log *log)
{
    uint64_t at = atomic_load_explicit(&log->end, memory_order_relaxed);
    while (at < log->dirty_to) {
        uint64_t base = rc_commit_log_base_of(log, at);
        uint64_t to = base + log->segment_bytes < log->dirty_to ? base + log->segment_bytes : log->dirty_to;
        bool changed;
        if (open_for_writing(log, base) != RC_OK ||
            rc_fs_zero(log->fd, at - base, to - base, &changed) != RC_OK)
            return;
        at = to;
    }
    log->dirty_to = 0;
}

int rc_commit_log_sync(struct rc_commit_log *log, uint64_t from, uint64_t to)
{
    int err = RC_OK;
    for (uint64_t base = rc_commit_log_base_of(log, from); base < to && err == RC_OK;
         base += log->segment_bytes) {
        char name[RC_FS_OFFSET_NAME_LEN + 1];
        rc_fs_offset_name(name, base);
        int fd = openat(log->dir, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return errno == ENOENT ? RC_OK : RC_ERR_IO; /* retention was faster */
        if (fdatasync(fd) != 0)
            err = rc_fs_write_error();
        close(fd);
    }
    return err;
}

/* What cannot be written is left as it is: it only costs time. */
static void zero_ahead(struct rc_commit_log *log, uint64_t from)
{
    static uint8_t zeroes[RC_LOG_ZERO_AHEAD]; /* not const: so it takes no room in the program's file */
    uint64_t segment_end = log->fd_base + log->segment_bytes;
    uint64_t to = from + sizeof(zeroes) < segment_end ? from + sizeof(zeroes) : segment_end;
    rc_fs_write(log->fd, zeroes, to - from, from - log->fd_base);
    log->zeroed_to = to;
}

int rc_commit_log_sync_written(struct rc_commit_log *log, uint64_t from, uint64_t to)
{
    if (from < log->fd_base || to > log->fd_base + log->segment_bytes)
        return rc_commit_log_sync(log, from, to); /* it stands in two segments */
    if (to >= log->zeroed_to)
        zero_ahead(log, to);
    return fdatasync(log->fd) == 0 ? RC_OK : rc_fs_write_error();
}
