/* What the store asks of the file system. Functions return 0 or a negative rc_err; errno is that of the
 * cause. */
#ifndef RC_STORE_FS_H
#define RC_STORE_FS_H

#include "base/buf.h"

#include <sys/uio.h>

enum {
    RC_FS_OFFSET_NAME_LEN = 20, /* commit log and consume queue files: decimal, zero-padded */
    RC_FS_FILES_MAX = 1 << 20,  /* files of one commit log or one queue */
    RC_FS_CONFIG_MAX = 512 * 1024 * 1024,
};

/* "00000000000000001024"; `out` takes 21 bytes. */
void rc_fs_offset_name(char *out, uint64_t offset);

/* Opens (and with `create` makes) a directory; the file descriptor in *ret. */
int rc_fs_open_dir(int at, const char *name, bool create, int *ret);

/* All of it or an error; a short write is an error (the disk is full). `iov` is used up. */
int rc_fs_writev(int fd, struct iovec *iov, int count, uint64_t at);
int rc_fs_write(int fd, const void *ptr, size_t len, uint64_t at);
/* Exactly `len` bytes, RC_ERR_CORRUPT when the file ends before. */
int rc_fs_read(int fd, void *ptr, size_t len, uint64_t at);

/* A whole file of at most `out->max` bytes. RC_ERR_NOT_FOUND, RC_ERR_FULL. */
int rc_fs_read_file(int dir, const char *name, struct rc_buf *out);
/*
 * Puts a file in place so that after a crash either the old or the new one is there, whole: write beside,
 * fdatasync, rename, fsync of the directory. With `keep_old` the previous one stays as <name>.bak.
 */
int rc_fs_replace_file(int dir, const char *name, struct rc_slice content, bool keep_old);

/* Removes a file durably; harmless when there is none. */
int rc_fs_remove_file(int dir, const char *name);

/*
 * Makes dir/name as a file of `size` zero bytes. It gets its size under a name of its own in `scratch` (same
 * file system) and is then renamed, so that nobody ever sees it with another size. `allocate` reserves the
 * blocks where the file system can. With ret_fd NULL it is closed again. One thread at a time for each
 * `allocate`.
 */
int rc_fs_create_sized(int scratch, int dir, const char *name, uint64_t size, bool allocate, int *ret_fd);

/*
 * The files of a directory whose names are offsets, ascending, in *ret (free it). RC_ERR_INVALID when
 * something else lies there, its name in `other` (of `other_size`); names with a leading dot do not count.
 */
int rc_fs_list_offsets(int dir, uint64_t **ret, uint32_t *ret_count, char *other, size_t other_size);
/* Bytes that are free on the file system of a directory; UINT64_MAX when it does not tell. */
uint64_t rc_fs_free_bytes(int dir);
/* Size of dir/name. */
int rc_fs_size(int dir, const char *name, uint64_t *ret);

/* The first place in [from, to) that may hold anything but zero, `to` when there is none. */
uint64_t rc_fs_next_data(int fd, uint64_t from, uint64_t to);
/* Makes [from, to) read as zeroes, writing only where something is. *ret_changed tells whether it had to. */
int rc_fs_zero(int fd, uint64_t from, uint64_t to, bool *ret_changed);

/* RC_ERR_NO_SPACE or RC_ERR_IO for what a failed write left in errno. */
int rc_fs_write_error(void);

#endif
