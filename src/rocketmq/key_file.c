#include "rocketmq/key_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header: mark, base, upto, last, check, count. */
enum { AT_BASE = 8, AT_UPTO = 16, AT_LAST = 24, AT_CHECK = 32, AT_COUNT = 36, HEADER = 40 };
enum { CHUNK_ENTRIES = 8192 };
static const char mark[AT_BASE] = {'R', 'C', 'K', 'E', 'Y', 'S', '0', '2'};

static int write_header(const struct rc_key_file *file)
{
    uint8_t header[HEADER];
    memcpy(header, mark, sizeof(mark));
    rc_store_u64(header + AT_BASE, file->base);
    rc_store_u64(header + AT_UPTO, file->upto);
    rc_store_u64(header + AT_LAST, file->last);
    rc_store_u32(header + AT_CHECK, file->check);
    rc_store_u32(header + AT_COUNT, file->count);
    return rc_fs_write(file->fd, header, HEADER, 0);
}

static uint64_t place_of(uint32_t entry)
{
    return HEADER + (uint64_t)entry * RC_KEY_ENTRY_LEN;
}

static int read_header(struct rc_key_file *file, uint64_t base)
{
    uint8_t header[HEADER];
    struct stat st;
    int err = rc_fs_read(file->fd, header, HEADER, 0);
    if (err != RC_OK)
        return err;
    file->base = rc_load_u64(header + AT_BASE);
    file->upto = rc_load_u64(header + AT_UPTO);
    file->last = rc_load_u64(header + AT_LAST);
    file->check = rc_load_u32(header + AT_CHECK);
    file->count = rc_load_u32(header + AT_COUNT);
    if (fstat(file->fd, &st) != 0)
        return RC_ERR_IO;
    bool is_right = memcmp(header, mark, sizeof(mark)) == 0 && file->base == base && file->upto >= base &&
                    file->last >= base && file->last <= file->upto &&
                    (uint64_t)st.st_size >= place_of(file->count);
    return is_right ? RC_OK : RC_ERR_CORRUPT;
}

int rc_key_file_open(int dir, uint64_t base, struct rc_key_file *ret)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, base);
    struct rc_key_file file = {.fd = openat(dir, name, O_RDWR | O_CLOEXEC)};
    if (file.fd < 0)
        return rc_err_from_errno(errno);
    int err = read_header(&file, base);
    if (err != RC_OK) {
        close(file.fd);
        return err;
    }
    *ret = file;
    return RC_OK;
}

int rc_key_file_create(int dir, uint64_t base, struct rc_key_file *ret)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, base);
    struct rc_key_file file = {.base = base, .upto = base, .last = base};
    file.fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file.fd < 0)
        return rc_fs_write_error();
    int err = write_header(&file);
    if (err != RC_OK) {
        close(file.fd);
        return err;
    }
    *ret = file;
    return RC_OK;
}

int rc_key_file_append(struct rc_key_file *file, const uint8_t *entries, uint32_t count, uint64_t upto,
                       uint64_t last, uint32_t check)
{
    struct rc_key_file next = *file;
    int err = count > 0
                  ? rc_fs_write(file->fd, entries, (size_t)count * RC_KEY_ENTRY_LEN, place_of(file->count))
                  : RC_OK;
    next.count += count;
    next.upto = upto;
    next.last = last;
    next.check = check;
    err = err ? err : write_header(&next);
    if (err == RC_OK)
        *file = next;
    return err;
}

int rc_key_file_read(const struct rc_key_file *file, uint32_t first, uint32_t count, uint8_t *to)
{
    return rc_fs_read(file->fd, to, (size_t)count * RC_KEY_ENTRY_LEN, place_of(first));
}

bool rc_key_file_is_sound(const struct rc_key_file *file)
{
    uint8_t *chunk = rc_malloc(CHUNK_ENTRIES * RC_KEY_ENTRY_LEN);
    uint64_t before = 0, room = file->upto - file->base;
    bool is_sound = true;
    for (uint32_t at = 0; at < file->count && is_sound;) {
        uint32_t count = file->count - at < CHUNK_ENTRIES ? file->count - at : CHUNK_ENTRIES;
        is_sound = rc_key_file_read(file, at, count, chunk) == RC_OK;
        for (uint32_t i = 0; i < count && is_sound; i++) {
            uint64_t place = rc_load_u32(chunk + (size_t)i * RC_KEY_ENTRY_LEN + 4);
            is_sound = place >= before && place < room;
            before = place;
        }
        at += count;
    }
    free(chunk);
    return is_sound;
}

int rc_key_file_sync(const struct rc_key_file *file)
{
    return fdatasync(file->fd) == 0 ? RC_OK : RC_ERR_IO;
}

void rc_key_file_close(struct rc_key_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

void rc_key_file_delete(int dir, uint64_t base)
{
    char name[RC_FS_OFFSET_NAME_LEN + 1];
    rc_fs_offset_name(name, base);
    unlinkat(dir, name, 0);
}
