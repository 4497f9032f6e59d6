#include "store/consume_queue.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/log.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void rc_queues_init(struct rc_queues *queues, int dir, int scratch, const struct rc_store_options *options)
{
    *queues = (struct rc_queues){
        .dir = dir,
        .scratch = scratch,
        .read_only = options->read_only,
        .file_entries = options->queue_file_entries,
    };
    rc_list_init(&queues->open_files);
    rc_list_init(&queues->maps);
    pthread_mutex_init(&queues->read_mutex, NULL);
    pthread_mutex_init(&queues->dirty_mutex, NULL);
}

void rc_queues_free(struct rc_queues *queues)
{
    pthread_mutex_destroy(&queues->read_mutex);
    pthread_mutex_destroy(&queues->dirty_mutex);
}

struct rc_queue *rc_queue_create(struct rc_queues *queues, struct rc_topic *topic, uint32_t id)
{
    struct rc_queue *queue = rc_new(struct rc_queue);
    queue->topic = topic;
    queue->all = queues;
    queue->id = id;
    queue->fd = -1;
    rc_list_init(&queue->fd_node);
    rc_list_init(&queue->map_node);
    return queue;
}

static uint64_t file_bytes(const struct rc_queues *queues)
{
    return (uint64_t)queues->file_entries * RC_QUEUE_ENTRY_LEN;
}

static void close_file(struct rc_queue *queue)
{
    if (queue->fd < 0)
        return;
    close(queue->fd);
    queue->fd = -1;
    rc_list_remove(&queue->fd_node);
    queue->all->open_count--;
}

/* With read_mutex held. */
static void unmap_file(struct rc_queue *queue)
{
    if (queue->map == NULL)
        return;
    munmap((void *)queue->map, file_bytes(queue->all));
    queue->map = NULL;
    rc_list_remove(&queue->map_node);
    queue->all->map_count--;
}

void rc_queue_free(struct rc_queue *queue)
{
    close_file(queue);
    pthread_mutex_lock(&queue->all->read_mutex);
    unmap_file(queue);
    pthread_mutex_unlock(&queue->all->read_mutex);
    free(queue->rebuild);
    free(queue);
}

void rc_queue_put_entry(uint8_t *at, const struct rc_queue_entry *entry)
{
    rc_store_u64(at, entry->physical_offset);
    rc_store_u32(at + 8, entry->size);
    rc_store_u64(at + 12, (uint64_t)entry->tags_code);
}

void rc_queue_get_entry(const uint8_t *at, struct rc_queue_entry *ret)
{
    ret->physical_offset = rc_load_u64(at);
    ret->size = rc_load_u32(at + 8);
    ret->tags_code = (int64_t)rc_load_u64(at + 12);
}

/* ---- paths ---- */

void rc_queue_dir_path(const struct rc_queue *queue, char *out)
{
    struct rc_slice name = rc_topic_name(queue->topic);
    snprintf(out, RC_QUEUE_PATH_MAX, "%.*s/%" PRIu32, RC_SLICE_FMT(name), queue->id);
}

static void file_path(const struct rc_queue *queue, uint64_t file, char *out)
{
    rc_queue_dir_path(queue, out);
    size_t len = strlen(out);
    out[len] = '/';
    rc_fs_offset_name(out + len + 1, file * file_bytes(queue->all));
}

/* ---- writing ---- */

static int make_dirs(const struct rc_queue *queue)
{
    char path[RC_QUEUE_PATH_MAX];
    rc_queue_dir_path(queue, path);
    char *slash = strchr(path, '/');
    *slash = '\0';
    if (mkdirat(queue->all->dir, path, 0750) != 0 && errno != EEXIST)
        return rc_fs_write_error();
    *slash = '/';
    if (mkdirat(queue->all->dir, path, 0750) != 0 && errno != EEXIST)
        return rc_fs_write_error();
    return RC_OK;
}

static int make_file(struct rc_queue *queue, uint64_t file, int *ret_fd)
{
    char path[RC_QUEUE_PATH_MAX];
    int err = make_dirs(queue);
    if (err != RC_OK)
        return err;
    file_path(queue, file, path);
    err =
        rc_fs_create_sized(queue->all->scratch, queue->all->dir, path, file_bytes(queue->all), false, ret_fd);
    if (err != RC_OK)
        return err;
    if (queue->file_end == queue->first_file) /* its first one */
        queue->first_file = file;
    queue->file_end = file + 1;
    return RC_OK;
}

static int open_file(struct rc_queue *queue, uint64_t file)
{
    struct rc_queues *all = queue->all;
    if (queue->fd >= 0 && queue->fd_file == file) {
        rc_list_remove(&queue->fd_node);
        rc_list_push_back(&all->open_files, &queue->fd_node);
        return RC_OK;
    }
    close_file(queue);
    if (all->open_count >= RC_QUEUE_WRITERS_MAX)
        close_file(rc_container_of(all->open_files.next, struct rc_queue, fd_node));
    int fd;
    if (file >= queue->file_end || file < queue->first_file) {
        int err = make_file(queue, file, &fd);
        if (err != RC_OK)
            return err;
    } else {
        char path[RC_QUEUE_PATH_MAX];
        file_path(queue, file, path);
        fd = openat(all->dir, path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return RC_ERR_IO;
    }
    queue->fd = fd;
    queue->fd_file = file;
    rc_list_push_back(&all->open_files, &queue->fd_node);
    all->open_count++;
    return RC_OK;
}

int rc_queue_write(struct rc_queue *queue, uint64_t first, const uint8_t *entries, uint32_t count)
{
    uint32_t per_file = queue->all->file_entries;
    while (count > 0) {
        uint64_t file = first / per_file;
        uint32_t room = per_file - (uint32_t)(first % per_file);
        uint32_t n = count < room ? count : room;
        int err = open_file(queue, file);
        if (err == RC_OK)
            err = rc_fs_write(queue->fd, entries, (size_t)n * RC_QUEUE_ENTRY_LEN,
                              (first % per_file) * RC_QUEUE_ENTRY_LEN);
        if (err != RC_OK)
            return err;
        first += n;
        count -= n;
        entries += (size_t)n * RC_QUEUE_ENTRY_LEN;
    }
    return RC_OK;
}

int rc_queue_fill(struct rc_queue *queue, uint64_t from, uint64_t to)
{
    enum { AT_ONCE = 128 };
    uint8_t entries[AT_ONCE * RC_QUEUE_ENTRY_LEN];
    for (int i = 0; i < AT_ONCE; i++)
        rc_queue_put_entry(entries + i * RC_QUEUE_ENTRY_LEN,
                           &(struct rc_queue_entry){.size = RC_QUEUE_FILLER_SIZE});
    /* what lies in files that do not exist needs no filler: the queue then starts in the file of `to` */
    uint64_t file_start = to / queue->all->file_entries * queue->all->file_entries;
    if (from < file_start && queue->file_end == queue->first_file)
        from = file_start;
    while (from < to) {
        uint32_t n = to - from < AT_ONCE ? (uint32_t)(to - from) : AT_ONCE;
        int err = rc_queue_write(queue, from, entries, n);
        if (err != RC_OK)
            return err;
        from += n;
    }
    return RC_OK;
}

void rc_queue_wipe(struct rc_queue *queue, uint64_t from, uint64_t to)
{
    static const uint8_t zeroes[64 * RC_QUEUE_ENTRY_LEN];
    uint64_t file_end = queue->file_end * queue->all->file_entries;
    if (to > file_end)
        to = file_end;
    while (from < to) {
        uint32_t n = to - from < 64 ? (uint32_t)(to - from) : 64;
        if (rc_queue_write(queue, from, zeroes, n) != RC_OK)
            return;
        from += n;
    }
}

/* ---- making durable ---- */

void rc_queue_mark_dirty(struct rc_queue *queue)
{
    if (atomic_exchange_explicit(&queue->is_dirty, true, memory_order_acq_rel))
        return;
    pthread_mutex_lock(&queue->all->dirty_mutex);
    queue->dirty_next = queue->all->dirty;
    queue->all->dirty = queue;
    pthread_mutex_unlock(&queue->all->dirty_mutex);
}

static int sync_path(int at, const char *path)
{
    int fd = openat(at, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RC_OK : RC_ERR_IO; /* retention was faster */
    int err = fsync(fd) == 0 ? RC_OK : rc_fs_write_error();
    close(fd);
    return err;
}

static int sync_dirs(struct rc_queue *queue)
{
    char path[RC_QUEUE_PATH_MAX];
    rc_queue_dir_path(queue, path);
    int err = sync_path(queue->all->dir, path);
    if (err != RC_OK)
        return err;
    *strchr(path, '/') = '\0';
    err = sync_path(queue->all->dir, path);
    return err != RC_OK ? err : sync_path(queue->all->dir, ".");
}

static int sync_queue(struct rc_queue *queue)
{
    char path[RC_QUEUE_PATH_MAX];
    uint64_t end = atomic_load_explicit(&queue->end, memory_order_acquire);
    uint64_t last = end == 0 ? 0 : (end - 1) / queue->all->file_entries;
    uint64_t from = queue->synced_file > 0 ? queue->synced_file - 1 : 0;
    uint64_t min_file = atomic_load_explicit(&queue->min, memory_order_acquire) / queue->all->file_entries;
    if (from < min_file)
        from = min_file;
    for (uint64_t file = from; file <= last; file++) {
        file_path(queue, file, path);
        int err = sync_path(queue->all->dir, path);
        if (err != RC_OK)
            return err;
    }
    if (last + 1 != queue->synced_file) { /* files were made since */
        int err = sync_dirs(queue);
        if (err != RC_OK)
            return err;
        queue->synced_file = last + 1;
    }
    return RC_OK;
}

int rc_queues_sync(struct rc_queues *queues)
{
    pthread_mutex_lock(&queues->dirty_mutex);
    struct rc_queue *queue = queues->dirty;
    queues->dirty = NULL;
    pthread_mutex_unlock(&queues->dirty_mutex);
    int result = RC_OK;
    while (queue != NULL) {
        struct rc_queue *next = queue->dirty_next;
        /* unmarked first: what is written from here on marks it again */
        atomic_exchange_explicit(&queue->is_dirty, false, memory_order_acq_rel);
        int err = sync_queue(queue);
        if (err != RC_OK) {
            rc_queue_mark_dirty(queue);
            result = err;
        }
        queue = next;
    }
    return result;
}

/* ---- reading ---- */

/* With read_mutex held: the mapping of that file. */
static int map_file(struct rc_queue *queue, uint64_t file)
{
    struct rc_queues *all = queue->all;
    if (queue->map != NULL && queue->map_file == file)
        return RC_OK;
    unmap_file(queue);
    if (all->map_count >= RC_QUEUE_MAPS_MAX)
        unmap_file(rc_container_of(all->maps.next, struct rc_queue, map_node));
    char path[RC_QUEUE_PATH_MAX];
    file_path(queue, file, path);
    int fd = openat(all->dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RC_ERR_RANGE : RC_ERR_IO;
    struct stat st;
    void *map = MAP_FAILED;
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size >= file_bytes(all)) /* a shorter one would be a SIGBUS */
        map = mmap(NULL, file_bytes(all), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return RC_ERR_IO;
    queue->map = map;
    queue->map_file = file;
    rc_list_push_back(&all->maps, &queue->map_node);
    all->map_count++;
    return RC_OK;
}

/* With read_mutex held: copies entries of one file; how many, or an error. */
static int read_from_file(struct rc_queue *queue, uint64_t index, struct rc_queue_entry *ret, uint32_t max)
{
    uint32_t per_file = queue->all->file_entries;
    int err = map_file(queue, index / per_file);
    if (err != RC_OK)
        return err;
    uint32_t at = (uint32_t)(index % per_file);
    uint32_t n = per_file - at < max ? per_file - at : max;
    for (uint32_t i = 0; i < n; i++)
        rc_queue_get_entry(queue->map + (size_t)(at + i) * RC_QUEUE_ENTRY_LEN, &ret[i]);
    return (int)n;
}

int rc_queue_read(struct rc_queue *queue, uint64_t offset, struct rc_queue_entry *ret, uint32_t max)
{
    uint64_t end = rc_queue_end(queue);
    if (offset < rc_queue_min(queue) || offset > end)
        return RC_ERR_RANGE;
    if (max > end - offset)
        max = (uint32_t)(end - offset);
    if (max > INT32_MAX)
        max = INT32_MAX;
    uint32_t got = 0;
    int n = 0;
    pthread_mutex_lock(&queue->all->read_mutex);
    while (got < max) {
        n = read_from_file(queue, offset + got, ret + got, max - got);
        if (n < 0)
            break;
        got += (uint32_t)n;
    }
    pthread_mutex_unlock(&queue->all->read_mutex);
    return got > 0 ? (int)got : n;
}

int rc_queue_peek(struct rc_queue *queue, uint64_t index, struct rc_queue_entry *ret)
{
    pthread_mutex_lock(&queue->all->read_mutex);
    int n = read_from_file(queue, index, ret, 1);
    pthread_mutex_unlock(&queue->all->read_mutex);
    return n < 0 ? n : RC_OK;
}

static bool is_filler(const struct rc_queue_entry *entry)
{
    return entry->physical_offset == 0 && entry->size == RC_QUEUE_FILLER_SIZE;
}

uint64_t rc_queue_find(struct rc_queue *queue, uint64_t lo, uint64_t hi, uint64_t physical)
{
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        struct rc_queue_entry entry;
        bool is_before = rc_queue_peek(queue, mid, &entry) == RC_OK && entry.size > 0 &&
                         entry.size <= INT32_MAX && (entry.physical_offset < physical || is_filler(&entry));
        if (is_before)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* ---- cutting ---- */

static void delete_file(struct rc_queue *queue, uint64_t file)
{
    char path[RC_QUEUE_PATH_MAX];
    if (queue->fd >= 0 && queue->fd_file == file)
        close_file(queue);
    pthread_mutex_lock(&queue->all->read_mutex);
    if (queue->map != NULL && queue->map_file == file)
        unmap_file(queue);
    file_path(queue, file, path);
    if (unlinkat(queue->all->dir, path, 0) != 0 && errno != ENOENT)
        rc_log_error("store", "cannot delete consumequeue/%s", path);
    pthread_mutex_unlock(&queue->all->read_mutex);
}

int rc_queue_cut(struct rc_queue *queue, uint64_t end)
{
    uint32_t per_file = queue->all->file_entries;
    uint64_t file = end / per_file;
    while (queue->file_end > queue->first_file && queue->file_end - 1 > file)
        delete_file(queue, --queue->file_end);
    if (file < queue->first_file || file >= queue->file_end)
        return RC_OK;
    int err = open_file(queue, file);
    bool changed;
    if (err == RC_OK)
        err = rc_fs_zero(queue->fd, (end % per_file) * RC_QUEUE_ENTRY_LEN, file_bytes(queue->all), &changed);
    return err;
}

void rc_queue_drop_before(struct rc_queue *queue, uint64_t physical)
{
    uint64_t end = rc_queue_end(queue);
    uint64_t min = rc_queue_find(queue, rc_queue_min(queue), end, physical);
    atomic_store_explicit(&queue->min, min, memory_order_release);
    uint64_t last = end == 0 ? 0 : (end - 1) / queue->all->file_entries;
    uint64_t keep = min / queue->all->file_entries;
    if (keep > last)
        keep = last; /* the last file tells where the queue's end is */
    while (queue->first_file < keep && queue->first_file < queue->file_end)
        delete_file(queue, queue->first_file++);
}

uint64_t rc_queue_min(const struct rc_queue *queue)
{
    return atomic_load_explicit(&queue->min, memory_order_acquire);
}

uint64_t rc_queue_end(const struct rc_queue *queue)
{
    return atomic_load_explicit(&queue->end, memory_order_acquire);
}

struct rc_topic *rc_queue_topic(const struct rc_queue *queue)
{
    return queue->topic;
}

uint32_t rc_queue_id(const struct rc_queue *queue)
{
    return queue->id;
}
