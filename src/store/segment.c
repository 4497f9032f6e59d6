#include "store/segment.h"

#include "base/alloc.h"
#include "store/fs.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <errno.h>

int rc_segment_map(int dir, uint64_t base, uint64_t size, struct rc_segment **ret)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, base);
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rc_err_from_errno(errno);
    struct stat st;
    /* a shorter file would answer reads beyond its end with SIGBUS */
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size < size) {
        close(fd);
        return RC_ERR_CORRUPT;
    }
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED)
        return rc_err_from_errno(errno);
    struct rc_segment *segment = rc_new(struct rc_segment);
    segment->bytes = bytes;
    segment->base = base;
    segment->size = size;
    atomic_init(&segment->refs, 1);
    *ret = segment;
    return RC_OK;
}

void rc_segment_retain(struct rc_segment *segment)
{
    atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
}

void rc_segment_release(struct rc_segment *segment)
{
    if (segment == NULL || atomic_fetch_sub_explicit(&segment->refs, 1, memory_order_acq_rel) != 1)
        return;
    munmap((void *)segment->bytes, segment->size);
    free(segment);
}
