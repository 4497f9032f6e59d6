#include "store/directory.h"

#include "base/alloc.h"
#include "base/log.h"
#include "store/consume_queue.h"
#include "store/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_path(const char *path)
{
    char *copy = rc_strdup(path);
    int err = 0;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL && err == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0750) != 0 && errno != EEXIST)
            err = errno;
        *slash = '/';
    }
    if (err == 0 && mkdir(copy, 0750) != 0 && errno != EEXIST)
        err = errno;
    free(copy);
    return rc_err_from_errno(err);
}

int rc_directory_open(const char *path, bool create, int *ret_fd, struct rc_error *error)
{
    int err = create ? make_path(path) : RC_OK;
    if (err == RC_OK)
        err = rc_fs_open_dir(AT_FDCWD, path, false, ret_fd);
    if (err != RC_OK)
        return rc_error_set(error, err, "cannot open the directory %s: %s", path, rc_err_text(err));
    return RC_OK;
}

/* ---- rollcall/version ---- */

int rc_directory_mark(int own, const struct rc_store_options *options)
{
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "rollcall store %d\nsegment_bytes %" PRIu64 "\nqueue_file_entries %" PRIu32 "\n",
                       RC_STORE_FORMAT, options->segment_bytes, options->queue_file_entries);
    return rc_fs_replace_file(own, "version", rc_slice(text, (size_t)len), false);
}

struct version {
    uint32_t format;
    uint64_t segment_bytes;
    uint32_t queue_file_entries;
};

/* Takes "<label> <number>\n" off the front; false when something else is there, or a number over `max`. */
static bool take_number(const char **text, const char *label, uint64_t max, uint64_t *ret)
{
    size_t len = strlen(label);
    char *end;
    if (strncmp(*text, label, len) != 0 || (*text)[len] < '0' || (*text)[len] > '9')
        return false;
    errno = 0;
    *ret = strtoull(*text + len, &end, 10);
    if (errno != 0 || *ret > max || *end != '\n')
        return false;
    *text = end + 1;
    return true;
}

/* RC_ERR_NOT_FOUND, RC_ERR_CORRUPT */
static int read_version(int root, struct version *ret)
{
    struct rc_buf buf;
    uint64_t format, segment, entries;
    rc_buf_init(&buf, 1024);
    int err = rc_fs_read_file(root, "rollcall/version", &buf);
    if (err == RC_OK)
        err = rc_buf_put_u8(&buf, 0);
    const char *text = err == RC_OK ? (const char *)rc_buf_slice(&buf).ptr : "";
    if (err == RC_OK && take_number(&text, "rollcall store ", UINT32_MAX, &format) &&
        take_number(&text, "segment_bytes ", INT64_MAX, &segment) &&
        take_number(&text, "queue_file_entries ", UINT32_MAX, &entries))
        *ret = (struct version){(uint32_t)format, segment, (uint32_t)entries};
    else if (err == RC_OK)
        err = RC_ERR_CORRUPT;
    rc_buf_free(&buf);
    return err == RC_ERR_FULL ? RC_ERR_CORRUPT : err;
}

static int check_version(const struct version *version, const struct rc_store_options *options,
                         struct rc_error *error)
{
    if (version->format != RC_STORE_FORMAT)
        return rc_error_set(error, RC_ERR_VERSION,
                            "the directory has format %" PRIu32
                            " (rollcall/version), this program knows format %d: "
                            "use the version of rollcall that wrote it",
                            version->format, RC_STORE_FORMAT);
    if (version->segment_bytes != options->segment_bytes)
        return rc_error_set(error, RC_ERR_VERSION,
                            "the directory was made with segments of %" PRIu64
                            " bytes (rollcall/version), but %" PRIu64
                            " is configured: configure the former, or use another directory",
                            version->segment_bytes, options->segment_bytes);
    if (version->queue_file_entries != options->queue_file_entries)
        return rc_error_set(error, RC_ERR_VERSION,
                            "the directory was made with %" PRIu32
                            " entries a consume queue file (rollcall/version), but %" PRIu32
                            " is configured: configure the former, or use another directory",
                            version->queue_file_entries, options->queue_file_entries);
    return RC_OK;
}

/* ---- whose it is ---- */

static bool is_listed(const char *name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* What a RocketMQ broker puts there, 5.x included. */
static const char *const broker_names[] = {
    "abort",        "checkpoint",       "commitlog",  "compaction",  "config",
    "consumequeue", "consumequeue_ext", "index",      "lock",        "multi_dispatch",
    "rollcall",     "timerlog",         "timerwheel", "tieredstore", NULL};
static const char *const ignored_names[] = {"lost+found", ".", "..", NULL};

static int list_top(int root, enum rc_directory_kind *ret, struct rc_error *error)
{
    int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        if (fd >= 0)
            close(fd);
        return rc_error_set(error, RC_ERR_IO, "the directory cannot be listed");
    }
    bool is_empty = true, has_log = false;
    int err = RC_OK;
    for (struct dirent *entry; err == RC_OK && (entry = readdir(stream)) != NULL;) {
        char quoted[80];
        if (is_listed(entry->d_name, ignored_names))
            continue;
        if (strcmp(entry->d_name, "commitlog") == 0)
            has_log = true;
        if (strcmp(entry->d_name, "lock") != 0 && strcmp(entry->d_name, "rollcall") != 0)
            is_empty = false; /* an opening that was cut short leaves these two */
        if (!is_listed(entry->d_name, broker_names))
            err = rc_error_set(
                error, RC_ERR_INVALID,
                "the directory is not empty and is no store (it holds `%s`): name an empty or a new one",
                rc_log_quote(quoted, sizeof(quoted), rc_slice_str(entry->d_name)));
    }
    closedir(stream);
    if (err == RC_OK && !is_empty && !has_log)
        err = rc_error_set(
            error, RC_ERR_INVALID,
            "the directory is not empty but has no commitlog/: name an empty or a new one, or put the "
            "log back");
    if (err == RC_OK)
        *ret = is_empty ? RC_DIRECTORY_NEW : RC_DIRECTORY_OTHER;
    return err;
}

int rc_directory_inspect(int root, const struct rc_store_options *options, enum rc_directory_kind *ret,
                         struct rc_error *error)
{
    struct version version;
    int err = read_version(root, &version);
    if (err == RC_ERR_NOT_FOUND)
        return list_top(root, ret, error);
    if (err != RC_OK)
        return rc_error_set(error, err, "rollcall/version cannot be read: put back a copy of that file");
    *ret = RC_DIRECTORY_OURS;
    return check_version(&version, options, error);
}

/* ---- sizes, for who has no configuration ---- */

static int first_size(int root, const char *name, uint64_t *ret)
{
    int dir;
    uint64_t *offsets = NULL;
    uint32_t count = 0;
    char other[64], file[RC_FS_OFFSET_NAME_LEN + 1];
    int err = rc_fs_open_dir(root, name, false, &dir);
    if (err != RC_OK)
        return err;
    err = rc_fs_list_offsets(dir, &offsets, &count, other, sizeof(other));
    if (err == RC_OK && count == 0)
        err = RC_ERR_NOT_FOUND;
    if (err == RC_OK) {
        rc_fs_offset_name(file, offsets[0]);
        err = rc_fs_size(dir, file, ret);
    }
    free(offsets);
    close(dir);
    return err;
}

/* The size of any consume queue file there is. */
static int any_queue_size(int root, uint64_t *ret)
{
    int dir, topic;
    int err = rc_fs_open_dir(root, "consumequeue", false, &dir);
    if (err != RC_OK)
        return err;
    DIR *stream = fdopendir(dir);
    err = RC_ERR_NOT_FOUND;
    for (struct dirent *entry; stream != NULL && err != RC_OK && (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] == '.' || rc_fs_open_dir(dir, entry->d_name, false, &topic) != RC_OK)
            continue;
        DIR *ids = fdopendir(topic);
        for (struct dirent *id; ids != NULL && err != RC_OK && (id = readdir(ids)) != NULL;)
            if (id->d_name[0] != '.')
                err = first_size(topic, id->d_name, ret);
        if (ids != NULL)
            closedir(ids);
    }
    if (stream != NULL)
        closedir(stream);
    return err;
}

int rc_store_options_detect(struct rc_store_options *options, struct rc_error *error)
{
    int root;
    struct version version;
    int err = rc_directory_open(options->dir, false, &root, error);
    if (err != RC_OK)
        return err;
    uint64_t size;
    if (read_version(root, &version) == RC_OK) {
        options->segment_bytes = version.segment_bytes;
        options->queue_file_entries = version.queue_file_entries;
    } else {
        if (first_size(root, "commitlog", &size) == RC_OK)
            options->segment_bytes = size;
        else
            err = rc_error_set(error, RC_ERR_NOT_FOUND, "%s holds no log", options->dir);
        if (any_queue_size(root, &size) == RC_OK && size >= RC_QUEUE_ENTRY_LEN)
            options->queue_file_entries = (uint32_t)(size / RC_QUEUE_ENTRY_LEN);
    }
    close(root);
    return err;
}
