#include "store/checkpoint.h"

#include "base/bytes.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int rc_checkpoint_read(int root, struct rc_checkpoint *ret)
{
    *ret = (struct rc_checkpoint){0, 0};
    int fd = openat(root, "checkpoint", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RC_OK : RC_ERR_IO;
    uint8_t times[16];
    int err = rc_fs_read(fd, times, sizeof(times), 0);
    close(fd);
    if (err == RC_ERR_CORRUPT)
        return RC_OK; /* too short to say anything: recovery then starts at the front */
    if (err == RC_OK) {
        ret->log_ms = (int64_t)rc_load_u64(times);
        ret->queues_ms = (int64_t)rc_load_u64(times + 8);
    }
    return err;
}

int rc_checkpoint_write(int root, const struct rc_checkpoint *checkpoint)
{
    int fd = openat(root, "checkpoint", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return rc_fs_write_error();
    uint8_t times[16];
    struct stat st;
    int err = RC_OK;
    rc_store_u64(times, (uint64_t)checkpoint->log_ms);
    rc_store_u64(times + 8, (uint64_t)checkpoint->queues_ms);
    if (fstat(fd, &st) != 0 || (st.st_size < RC_CHECKPOINT_LEN && ftruncate(fd, RC_CHECKPOINT_LEN) != 0))
        err = rc_fs_write_error();
    if (err == RC_OK)
        err = rc_fs_write(fd, times, sizeof(times), 0);
    if (err == RC_OK && fdatasync(fd) != 0)
        err = rc_fs_write_error();
    close(fd);
    return err;
}
