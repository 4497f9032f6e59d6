/*
 * Design notes
 * - The file has a line for each change, "t <name> <instance>" or "g ...", "-" for nobody; what stands last
 *   counts. It is written whole when it is opened, and appended to after that.
 */
#include "rocketmq/owners.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/map.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "owners"
enum { LINE_MAX_LEN = 2 + RC_OWNERS_NAME_MAX + 1 + RC_CATALOG_ID_MAX + 1 };

struct owned {
    uint32_t key_len;
    char instance[RC_CATALOG_ID_MAX + 1];
    char key[]; /* kind, then the name */
};

/* How many an instance has; stays when there are none. */
struct share {
    char instance[RC_CATALOG_ID_MAX + 1];
    uint32_t count;
};

struct rc_owners {
    pthread_mutex_t mutex;
    struct rc_map map;
    struct rc_map shares;
    int fd; /* appended to */
};

static struct rc_slice key_of(const void *item)
{
    const struct owned *owned = item;
    return rc_slice(owned->key, owned->key_len);
}

static struct rc_slice share_key(const void *item)
{
    return rc_slice_str(((const struct share *)item)->instance);
}

static struct share *share_of(struct rc_owners *owners, struct rc_slice instance)
{
    struct share *share = rc_map_find(&owners->shares, instance);
    if (share == NULL) {
        share = rc_new(struct share);
        memcpy(share->instance, instance.ptr, instance.len);
        rc_map_insert(&owners->shares, share);
    }
    return share;
}

static struct rc_slice make_key(char out[RC_OWNERS_NAME_MAX + 1], enum rc_owned kind, struct rc_slice name)
{
    size_t len = name.len <= RC_OWNERS_NAME_MAX ? name.len : RC_OWNERS_NAME_MAX;
    out[0] = (char)kind;
    memcpy(out + 1, name.ptr, len);
    return rc_slice(out, len + 1);
}

/* Printable ASCII without blanks: it stands in a line of words. */
static bool is_name(struct rc_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7f)
            return false;
    return name.len > 0 && name.len <= RC_OWNERS_NAME_MAX;
}

static void put(struct rc_owners *owners, struct rc_slice key, struct rc_slice instance)
{
    struct owned *owned = rc_map_find(&owners->map, key);
    if (owned == NULL) {
        owned = rc_calloc(1, sizeof(*owned) + key.len);
        owned->key_len = (uint32_t)key.len;
        memcpy(owned->key, key.ptr, key.len);
        rc_map_insert(&owners->map, owned);
    } else {
        share_of(owners, rc_slice_str(owned->instance))->count--;
    }
    share_of(owners, instance)->count++;
    memcpy(owned->instance, instance.ptr, instance.len);
    owned->instance[instance.len] = '\0';
}

/* False when it was nobody's. */
static bool take_out(struct rc_owners *owners, struct rc_slice key)
{
    struct owned *owned = rc_map_remove(&owners->map, key);
    if (owned == NULL)
        return false;
    share_of(owners, rc_slice_str(owned->instance))->count--;
    free(owned);
    return true;
}

/* ---- the file ---- */

static bool next_word(struct rc_slice *line, struct rc_slice *ret)
{
    const uint8_t *end = memchr(line->ptr, ' ', line->len);
    size_t len = end != NULL ? (size_t)(end - line->ptr) : line->len;
    *ret = rc_slice(line->ptr, len);
    *line = rc_slice_from(*line, end != NULL ? len + 1 : len);
    return len > 0;
}

static bool take_line(struct rc_owners *owners, struct rc_slice line)
{
    char key[RC_OWNERS_NAME_MAX + 1];
    struct rc_slice kind, name, instance;
    if (!next_word(&line, &kind) || !next_word(&line, &name) || !next_word(&line, &instance) ||
        kind.len != 1 || (kind.ptr[0] != RC_OWNED_TOPIC && kind.ptr[0] != RC_OWNED_GROUP) || !is_name(name))
        return false;
    struct rc_slice whole = make_key(key, (enum rc_owned)kind.ptr[0], name);
    if (rc_slice_eq_str(instance, "-"))
        take_out(owners, whole);
    else if (rc_catalog_is_instance_id(instance) && owners->map.count < RC_OWNERS_MAX)
        put(owners, whole, instance);
    else
        return false;
    return true;
}

/* How many lines make no sense. */
static uint32_t take_text(struct rc_owners *owners, struct rc_slice text)
{
    uint32_t wrong = 0;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.ptr, '\n', text.len);
        if (end == NULL)
            return wrong + 1; /* a line that was cut may name another than it did */
        size_t len = (size_t)(end - text.ptr);
        wrong += !take_line(owners, rc_slice(text.ptr, len));
        text = rc_slice_from(text, len + 1);
    }
    return wrong;
}

static int read_file(struct rc_owners *owners, int dir)
{
    enum { MOST = 2 * RC_OWNERS_MAX * 128 };
    int fd = openat(dir, FILE_NAME, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd == -1)
        return errno == ENOENT ? RC_OK : rc_err_from_errno(errno);
    int err = fstat(fd, &stat) == 0 ? RC_OK : rc_err_from_errno(errno);
    if (err == RC_OK && stat.st_size > MOST)
        err = RC_ERR_TOO_LARGE;
    if (err == RC_OK && stat.st_size > 0) {
        uint8_t *text = rc_malloc((size_t)stat.st_size);
        ssize_t got = pread(fd, text, (size_t)stat.st_size, 0);
        uint32_t wrong = got >= 0 ? take_text(owners, rc_slice(text, (size_t)got)) : 0;
        if (got < 0)
            err = rc_err_from_errno(errno);
        if (wrong > 0)
            rc_log_warn("rocketmq", "rollcall/" FILE_NAME ": %u lines make no sense and are left out", wrong);
        free(text);
    }
    close(fd);
    return err;
}

static int rewrite_file(struct rc_owners *owners, int dir)
{
    struct rc_buf text;
    const struct owned *owned;
    rc_buf_init(&text, (uint32_t)(owners->map.count + 1) * LINE_MAX_LEN);
    for (uint32_t cursor = 0; (owned = rc_map_next(&owners->map, &cursor)) != NULL;)
        rc_buf_printf(&text, "%c %.*s %s\n", owned->key[0], (int)owned->key_len - 1, owned->key + 1,
                      owned->instance);
    int err = rc_fs_replace_file(dir, FILE_NAME, rc_buf_slice(&text), false);
    rc_buf_free(&text);
    return err;
}

static int open_owners(int own_dir, bool to_read, struct rc_owners **ret, struct rc_error *error)
{
    struct rc_owners *owners = rc_new(struct rc_owners);
    pthread_mutex_init(&owners->mutex, NULL);
    rc_map_init(&owners->map, key_of);
    rc_map_init(&owners->shares, share_key);
    owners->fd = -1;
    int err = read_file(owners, own_dir);
    if (!to_read)
        err = err ? err : rewrite_file(owners, own_dir);
    if (err == RC_OK && !to_read) {
        owners->fd = openat(own_dir, FILE_NAME, O_WRONLY | O_APPEND | O_CLOEXEC);
        err = owners->fd != -1 ? RC_OK : rc_err_from_errno(errno);
    }
    if (err != RC_OK) {
        rc_owners_close(owners);
        return rc_error_set(error, err, "rollcall/" FILE_NAME " in the store's directory: %s",
                            rc_err_text(err));
    }
    *ret = owners;
    return RC_OK;
}

int rc_owners_open(int own_dir, struct rc_owners **ret, struct rc_error *error)
{
    return open_owners(own_dir, false, ret, error);
}

int rc_owners_open_to_read(int own_dir, struct rc_owners **ret, struct rc_error *error)
{
    return open_owners(own_dir, true, ret, error);
}

void rc_owners_close(struct rc_owners *owners)
{
    if (owners == NULL)
        return;
    void *item;
    for (uint32_t cursor = 0; (item = rc_map_next(&owners->map, &cursor)) != NULL;)
        free(item);
    for (uint32_t cursor = 0; (item = rc_map_next(&owners->shares, &cursor)) != NULL;)
        free(item);
    rc_map_free(&owners->map);
    rc_map_free(&owners->shares);
    if (owners->fd != -1)
        close(owners->fd);
    pthread_mutex_destroy(&owners->mutex);
    free(owners);
}

/* ---- asking and changing ---- */

bool rc_owners_find(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name,
                    char ret_instance[RC_CATALOG_ID_MAX + 1])
{
    char key[RC_OWNERS_NAME_MAX + 1];
    if (!is_name(name))
        return false;
    pthread_mutex_lock(&owners->mutex);
    const struct owned *owned = rc_map_find(&owners->map, make_key(key, kind, name));
    if (owned != NULL)
        memcpy(ret_instance, owned->instance, sizeof(owned->instance));
    pthread_mutex_unlock(&owners->mutex);
    return owned != NULL;
}

static int append(struct rc_owners *owners, struct rc_slice key, struct rc_slice instance)
{
    char line[LINE_MAX_LEN + 1];
    int len = snprintf(line, sizeof(line), "%c %.*s %.*s\n", key.ptr[0], (int)key.len - 1,
                       (const char *)key.ptr + 1, RC_SLICE_FMT(instance));
    return write(owners->fd, line, (size_t)len) == len ? RC_OK : RC_ERR_IO;
}

/* With the mutex held. */
static int claim(struct rc_owners *owners, struct rc_slice key, struct rc_slice instance, const char *from)
{
    const struct owned *known = rc_map_find(&owners->map, key);
    if (known != NULL && rc_slice_eq_str(instance, known->instance))
        return RC_OK;
    if (known != NULL && (from == NULL || strcmp(known->instance, from) != 0))
        return RC_ERR_DENIED;
    if ((known == NULL && owners->map.count >= RC_OWNERS_MAX) ||
        share_of(owners, instance)->count >= RC_OWNERS_EACH_MAX)
        return RC_ERR_FULL;
    int err = append(owners, key, instance);
    if (err == RC_OK)
        put(owners, key, instance);
    return err;
}

int rc_owners_claim(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name,
                    struct rc_slice instance, const char *from)
{
    char bytes[RC_OWNERS_NAME_MAX + 1];
    if (!is_name(name) || !rc_catalog_is_instance_id(instance))
        return RC_ERR_INVALID;
    struct rc_slice key = make_key(bytes, kind, name);
    pthread_mutex_lock(&owners->mutex);
    int err = claim(owners, key, instance, from);
    pthread_mutex_unlock(&owners->mutex);
    return err;
}

void rc_owners_drop(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name)
{
    char bytes[RC_OWNERS_NAME_MAX + 1];
    struct rc_slice key = make_key(bytes, kind, name);
    pthread_mutex_lock(&owners->mutex);
    if (take_out(owners, key) && append(owners, key, rc_slice_str("-")) != RC_OK)
        rc_log_error("rocketmq", "rollcall/" FILE_NAME " cannot be written");
    pthread_mutex_unlock(&owners->mutex);
}

void rc_owners_each(struct rc_owners *owners, enum rc_owned kind, struct rc_slice instance,
                    void (*visit)(struct rc_slice name, void *arg), void *arg)
{
    const struct owned *owned;
    pthread_mutex_lock(&owners->mutex);
    for (uint32_t cursor = 0; (owned = rc_map_next(&owners->map, &cursor)) != NULL;)
        if (owned->key[0] == (char)kind && rc_slice_eq_str(instance, owned->instance))
            visit(rc_slice(owned->key + 1, owned->key_len - 1), arg);
    pthread_mutex_unlock(&owners->mutex);
}
