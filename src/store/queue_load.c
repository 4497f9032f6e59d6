#include "store/queue_load.h"

#include "base/log.h"
#include "store/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static int check_size(int dir, uint64_t offset, uint64_t size, const char *path, struct rc_error *error)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    uint64_t found;
    rc_fs_offset_name(name, offset);
    int err = rc_fs_size(dir, name, &found);
    if (err != RC_OK)
        return rc_error_set(error, err, "consumequeue/%s/%s: %s", path, name, rc_err_text(err));
    if (found != size || offset % size != 0)
        return rc_error_set(
            error, RC_ERR_VERSION,
            "consumequeue/%s/%s is %" PRIu64 " bytes long, but consume queue files are set to %" PRIu64
            " (entries x 20): set the size that the directory was made with, or use another directory",
            path, name, found, size);
    return RC_OK;
}

static int load_files(struct rc_queue *queue, int dir, const char *path, struct rc_error *error)
{
    uint64_t size = (uint64_t)queue->all->file_entries * RC_QUEUE_ENTRY_LEN;
    uint64_t *offsets;
    uint32_t count;
    char other[128];
    int err = rc_fs_list_offsets(dir, &offsets, &count, other, sizeof(other));
    if (err != RC_OK)
        return rc_error_set(error, err, "consumequeue/%s cannot be read, or holds files that are not its own",
                            path);
    for (uint32_t i = 0; i < count && err == RC_OK; i++) {
        err = check_size(dir, offsets[i], size, path, error);
        if (err == RC_OK && i > 0 && offsets[i] != offsets[i - 1] + size)
            err = rc_error_set(
                error, RC_ERR_CORRUPT,
                "consumequeue/%s lacks a file: put it back, or delete the directory consumequeue/ so "
                "that it is built again from the log",
                path);
    }
    if (err == RC_OK && count > 0) {
        queue->first_file = offsets[0] / size;
        queue->file_end = queue->first_file + count;
    }
    free(offsets);
    return err;
}

/* "0".."1023", nothing before it. */
static bool parse_id(const char *text, uint32_t *ret)
{
    uint32_t v = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 4 || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        v = v * 10 + (uint32_t)(text[i] - '0');
    }
    *ret = v;
    return v < RC_STORE_QUEUES_PER_TOPIC_MAX;
}

static DIR *open_stream(int at, const char *name)
{
    int fd;
    if (rc_fs_open_dir(at, name, false, &fd) != RC_OK)
        return NULL;
    DIR *stream = fdopendir(fd);
    if (stream == NULL)
        close(fd);
    return stream;
}

static int load_queue(struct rc_topics *topics, int topic_dir, const char *topic, const char *id_text,
                      struct rc_error *error)
{
    char path[RC_QUEUE_PATH_MAX];
    uint32_t id;
    if (!parse_id(id_text, &id)) {
        rc_log_warn("store", "consumequeue/%s holds a name that is no queue's; it is passed over", topic);
        return RC_OK;
    }
    struct rc_queue *queue;
    int err = rc_topics_require(topics, rc_slice_str(topic), id, &queue);
    if (err != RC_OK)
        return rc_error_set(error, err, "consumequeue/%s: %s", topic, rc_err_text(err));
    int dir;
    err = rc_fs_open_dir(topic_dir, id_text, false, &dir);
    if (err != RC_OK)
        return rc_error_set(error, err, "consumequeue/%s/%s cannot be opened: %s", topic, id_text,
                            rc_err_text(err));
    rc_queue_dir_path(queue, path);
    err = load_files(queue, dir, path, error);
    close(dir);
    return err;
}

static int load_topic(struct rc_topics *topics, int dir, const char *topic, struct rc_error *error)
{
    DIR *stream = open_stream(dir, topic);
    if (stream == NULL)
        return rc_error_set(error, RC_ERR_IO, "consumequeue/%s cannot be opened as a directory", topic);
    int err = RC_OK;
    for (struct dirent *entry; err == RC_OK && (entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] != '.')
            err = load_queue(topics, dirfd(stream), topic, entry->d_name, error);
    closedir(stream);
    return err;
}

int rc_queues_load(struct rc_queues *queues, struct rc_topics *topics, struct rc_error *error)
{
    DIR *stream = open_stream(queues->dir, ".");
    if (stream == NULL)
        return rc_error_set(error, RC_ERR_IO, "consumequeue/ cannot be read");
    int err = RC_OK;
    for (struct dirent *entry; err == RC_OK && (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (rc_config_name_is_valid(rc_slice_str(entry->d_name), RC_MESSAGE_TOPIC_MAX))
            err = load_topic(topics, dirfd(stream), entry->d_name, error);
        else
            rc_log_warn("store", "consumequeue/ holds a name that is no topic's; it is passed over");
    }
    closedir(stream);
    return err;
}
