#include "store/fs.h"

#include "base/alloc.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

void rc_fs_offset_name(char *out, uint64_t offset)
{
    for (int i = RC_FS_OFFSET_NAME_LEN - 1; i >= 0; i--, offset /= 10)
        out[i] = (char)('0' + offset % 10);
    out[RC_FS_OFFSET_NAME_LEN] = '\0';
}

int rc_fs_write_error(void)
{
    return rc_err_from_errno(errno) == RC_ERR_NO_SPACE ? RC_ERR_NO_SPACE : RC_ERR_IO;
}

int rc_fs_open_dir(int at, const char *name, bool create, int *ret)
{
    if (create && mkdirat(at, name, 0750) != 0 && errno != EEXIST)
        return rc_err_from_errno(errno);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return rc_err_from_errno(errno);
    *ret = fd;
    return RC_OK;
}

int rc_fs_writev(int fd, struct iovec *iov, int count, uint64_t at)
{
    while (count > 0) {
        ssize_t n = pwritev(fd, iov, count, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                errno = ENOSPC;
            return rc_fs_write_error();
        }
        at += (uint64_t)n;
        while (count > 0 && (size_t)n >= iov->iov_len) {
            n -= (ssize_t)iov->iov_len;
            iov++;
            count--;
        }
        if (n > 0) {
            iov->iov_base = (uint8_t *)iov->iov_base + n;
            iov->iov_len -= (size_t)n;
        }
    }
    return RC_OK;
}

int rc_fs_write(int fd, const void *ptr, size_t len, uint64_t at)
{
    struct iovec iov = {.iov_base = (void *)ptr, .iov_len = len};
    return rc_fs_writev(fd, &iov, 1, at);
}

int rc_fs_read(int fd, void *ptr, size_t len, uint64_t at)
{
    uint8_t *p = ptr;
    while (len > 0) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return RC_ERR_IO;
        if (n == 0)
            return RC_ERR_CORRUPT;
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return RC_OK;
}

int rc_fs_read_file(int dir, const char *name, struct rc_buf *out)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rc_err_from_errno(errno);
    int err = RC_OK;
    for (;;) {
        size_t room = out->max - rc_buf_len(out);
        uint8_t *p = room == 0 ? NULL : rc_buf_reserve(out, room < CHUNK ? room : CHUNK);
        uint8_t probe;
        ssize_t n = p == NULL ? read(fd, &probe, 1) : read(fd, p, room < CHUNK ? room : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = RC_ERR_IO;
        else if (n > 0 && p == NULL)
            err = RC_ERR_FULL;
        if (n <= 0 || err != RC_OK)
            break;
        rc_buf_commit(out, (size_t)n);
    }
    close(fd);
    return err;
}

static int write_beside(int dir, const char *name, struct rc_slice content)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return rc_fs_write_error();
    int err = content.len > 0 ? rc_fs_write(fd, content.ptr, content.len, 0) : RC_OK;
    if (err == RC_OK && fdatasync(fd) != 0)
        err = rc_fs_write_error();
    close(fd);
    if (err != RC_OK)
        unlinkat(dir, name, 0);
    return err;
}

/* The old file as a second link, so that the name itself never goes missing. */
static void keep_as_bak(int dir, const char *name)
{
    char bak[256];
    snprintf(bak, sizeof(bak), "%s.bak", name);
    unlinkat(dir, bak, 0);
    if (linkat(dir, name, dir, bak, 0) != 0) {
        /* no links here, or no old file: the .bak is a help, not a need */
    }
}

int rc_fs_replace_file(int dir, const char *name, struct rc_slice content, bool keep_old)
{
    char beside[256];
    snprintf(beside, sizeof(beside), "%s.tmp", name);
    int err = write_beside(dir, beside, content);
    if (err != RC_OK)
        return err;
    if (keep_old)
        keep_as_bak(dir, name);
    if (renameat(dir, beside, dir, name) != 0 || fsync(dir) != 0)
        return rc_fs_write_error();
    return RC_OK;
}

int rc_fs_remove_file(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
        return rc_fs_write_error();
    return fsync(dir) == 0 ? RC_OK : rc_fs_write_error();
}

uint64_t rc_fs_free_bytes(int dir)
{
    struct statvfs vfs;
    return fstatvfs(dir, &vfs) == 0 ? (uint64_t)vfs.f_bavail * vfs.f_frsize : UINT64_MAX;
}

/* Size first without blocks; then, where asked and possible, the blocks. */
static int give_size(int fd, uint64_t size, bool allocate)
{
    if (ftruncate(fd, (off_t)size) != 0)
        return rc_fs_write_error();
    while (allocate && fallocate(fd, 0, 0, (off_t)size) != 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            break; /* writes can then fail for want of space; they are checked anyway */
        return rc_fs_write_error();
    }
    return RC_OK;
}

int rc_fs_create_sized(int scratch, int dir, const char *name, uint64_t size, bool allocate, int *ret_fd)
{
    const char *beside = allocate ? "new-segment" : "new-queue-file";
    int fd = openat(scratch, beside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return rc_fs_write_error();
    int err = give_size(fd, size, allocate);
    if (err == RC_OK && renameat(scratch, beside, dir, name) != 0)
        err = rc_fs_write_error();
    if (err != RC_OK) {
        unlinkat(scratch, beside, 0);
        close(fd);
        return err;
    }
    if (ret_fd != NULL)
        *ret_fd = fd;
    else
        close(fd);
    return RC_OK;
}

static bool parse_offset_name(const char *name, uint64_t *ret)
{
    uint64_t v = 0;
    size_t len = strlen(name);
    if (len != RC_FS_OFFSET_NAME_LEN)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9' || v > (uint64_t)INT64_MAX / 10)
            return false;
        v = v * 10 + (uint64_t)(name[i] - '0');
    }
    *ret = v;
    return v <= (uint64_t)INT64_MAX;
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int rc_fs_list_offsets(int dir, uint64_t **ret, uint32_t *ret_count, char *other, size_t other_size)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        if (fd >= 0)
            close(fd);
        return RC_ERR_IO;
    }
    uint64_t *offsets = NULL;
    uint32_t count = 0, cap = 0;
    int err = RC_OK;
    for (struct dirent *entry; err == RC_OK && (entry = readdir(stream)) != NULL;) {
        uint64_t offset;
        if (entry->d_name[0] == '.')
            continue;
        if (!parse_offset_name(entry->d_name, &offset)) {
            snprintf(other, other_size, "%s", entry->d_name);
            err = RC_ERR_INVALID;
        } else if (count == RC_FS_FILES_MAX) {
            err = RC_ERR_FULL;
        } else {
            if (count == cap) {
                cap = cap ? cap * 2 : 8;
                offsets = rc_realloc(offsets, cap * sizeof(*offsets));
            }
            offsets[count++] = offset;
        }
    }
    closedir(stream);
    if (err != RC_OK) {
        free(offsets);
        return err;
    }
    if (count > 1)
        qsort(offsets, count, sizeof(*offsets), compare_offsets);
    *ret = offsets;
    *ret_count = count;
    return RC_OK;
}

int rc_fs_size(int dir, const char *name, uint64_t *ret)
{
    struct stat st;
    if (fstatat(dir, name, &st, 0) != 0)
        return rc_err_from_errno(errno);
    if (!S_ISREG(st.st_mode))
        return RC_ERR_INVALID;
    *ret = (uint64_t)st.st_size;
    return RC_OK;
}

static bool is_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Where the file system knows holes they are skipped: an allocated but unwritten gigabyte is not read. */
static uint64_t skip_hole(int fd, uint64_t from, uint64_t to)
{
    off_t at = lseek(fd, (off_t)from, SEEK_DATA);
    if (at < 0)
        return errno == ENXIO ? to : from;
    return (uint64_t)at < to ? (uint64_t)at : to;
}

uint64_t rc_fs_next_data(int fd, uint64_t from, uint64_t to)
{
    uint8_t *chunk = rc_malloc(CHUNK);
    uint64_t at = from;
    while ((at = skip_hole(fd, at, to)) < to) {
        size_t len = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        if (rc_fs_read(fd, chunk, len, at) != RC_OK || !is_zero(chunk, len)) {
            for (size_t i = 0; i < len && chunk[i] == 0; i++)
                at++;
            break;
        }
        at += len;
    }
    free(chunk);
    return at < to ? at : to;
}

int rc_fs_zero(int fd, uint64_t from, uint64_t to, bool *ret_changed)
{
    uint8_t *zeroes = rc_calloc(1, CHUNK);
    int err = RC_OK;
    *ret_changed = false;
    while (err == RC_OK && (from = rc_fs_next_data(fd, from, to)) < to) {
        size_t len = to - from < CHUNK ? (size_t)(to - from) : CHUNK;
        err = rc_fs_write(fd, zeroes, len, from);
        from += len;
        *ret_changed = true;
    }
    free(zeroes);
    return err;
}
