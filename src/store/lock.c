#include "store/lock.h"

#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct flock first_byte(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
}

static int refuse(int fd, struct rc_error *error)
{
    struct flock holder = first_byte();
    if (fcntl(fd, F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK && holder.l_pid > 0)
        return rc_error_set(
            error, RC_ERR_BUSY,
            "the directory is in use by process %ld: stop that one first, or use another directory",
            (long)holder.l_pid);
    return rc_error_set(error, RC_ERR_BUSY, "the directory is in use by another process");
}

int rc_lock_take(int root, int *ret_fd, struct rc_error *error)
{
    int fd = openat(root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return rc_error_set(error, rc_err_from_errno(errno), "cannot open the file `lock`: %s",
                            rc_err_text(rc_err_from_errno(errno)));
    struct flock lock = first_byte();
    int err = RC_OK;
    if (fcntl(fd, F_SETLK, &lock) != 0)
        err = errno == EAGAIN || errno == EACCES
                  ? refuse(fd, error)
                  : rc_error_set(error, RC_ERR_IO, "cannot lock the file `lock`");
    else if (rc_fs_write(fd, "lock", 4, 0) != RC_OK)
        err = rc_error_set(error, rc_fs_write_error(), "cannot write the file `lock`");
    if (err != RC_OK) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return RC_OK;
}
