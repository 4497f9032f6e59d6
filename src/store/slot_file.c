#include "store/slot_file.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "store/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <libdeflate.h>

enum {
    SLOT_UNIT = 4096, /* of the sizes of slots: no slot shares a disk's sector with the other */
    FILE_MAX = 2 * (2 * (RC_SLOT_CONTENT_MAX + RC_SLOT_HEADER_LEN) + SLOT_UNIT),
    AT_SEQUENCE = 8,
    AT_LENGTH = 16,
    AT_CRC = 20,
};

static const char magic[8] = {'R', 'C', 'S', 'L', 'O', 'T', '1', '\n'};

/* ---- one slot ---- */

static uint32_t checksum(const uint8_t *slot, uint32_t len)
{
    uint32_t crc = libdeflate_crc32(0, slot + AT_SEQUENCE, AT_CRC - AT_SEQUENCE);
    return libdeflate_crc32(crc, slot + RC_SLOT_HEADER_LEN, len);
}

static void fill(uint8_t *slot, uint64_t sequence, struct rc_slice content)
{
    memcpy(slot, magic, sizeof(magic));
    rc_store_u64(slot + AT_SEQUENCE, sequence);
    rc_store_u32(slot + AT_LENGTH, (uint32_t)content.len);
    if (content.len > 0)
        memcpy(slot + RC_SLOT_HEADER_LEN, content.ptr, content.len);
    rc_store_u32(slot + AT_CRC, checksum(slot, (uint32_t)content.len));
}

static bool is_whole(const uint8_t *slot, uint32_t slot_bytes)
{
    if (memcmp(slot, magic, sizeof(magic)) != 0)
        return false;
    uint32_t len = rc_load_u32(slot + AT_LENGTH);
    return len <= slot_bytes - RC_SLOT_HEADER_LEN && checksum(slot, len) == rc_load_u32(slot + AT_CRC);
}

/* ---- the file ---- */

int rc_slot_file_parse(struct rc_slice bytes, struct rc_slice *ret_content, struct rc_slot_file *ret)
{
    struct rc_slot_file file = {(uint32_t)bytes.len / 2, 0};
    bool has_any = false;
    if (bytes.len == 0 || bytes.len > FILE_MAX || bytes.len % (2 * SLOT_UNIT) != 0)
        return RC_ERR_CORRUPT;
    for (uint32_t i = 0; i < 2; i++) {
        const uint8_t *slot = bytes.ptr + (size_t)i * file.slot_bytes;
        if (!is_whole(slot, file.slot_bytes))
            continue;
        uint64_t sequence = rc_load_u64(slot + AT_SEQUENCE);
        if (sequence % 2 != i || (has_any && sequence < file.sequence))
            continue;
        has_any = true;
        file.sequence = sequence;
        *ret_content = rc_slice(slot + RC_SLOT_HEADER_LEN, rc_load_u32(slot + AT_LENGTH));
    }
    if (!has_any)
        return RC_ERR_CORRUPT;
    *ret = file;
    return RC_OK;
}

int rc_slot_file_load(int dir, const char *name, struct rc_buf *out, struct rc_slot_file *ret)
{
    struct rc_buf bytes;
    struct rc_slice content;
    struct rc_slot_file file;
    rc_buf_init(&bytes, FILE_MAX);
    int err = rc_fs_read_file(dir, name, &bytes);
    err = err == RC_ERR_FULL ? RC_ERR_CORRUPT : err;
    err = err ? err : rc_slot_file_parse(rc_buf_slice(&bytes), &content, &file);
    err = err ? err : rc_buf_put(out, content.ptr, content.len);
    rc_buf_free(&bytes);
    if (err == RC_OK)
        *ret = file;
    return err;
}

/* Zeroes too are written, so that both slots have their blocks. */
static int create(int dir, const char *name, struct rc_slot_file *file, struct rc_slice content)
{
    struct rc_slot_file made = {.sequence = 2};
    size_t room = 2 * (content.len + RC_SLOT_HEADER_LEN) + SLOT_UNIT - 1;
    made.slot_bytes = (uint32_t)(room - room % SLOT_UNIT);
    uint8_t *bytes = rc_calloc(2, made.slot_bytes);
    fill(bytes, made.sequence, content);
    int err = rc_fs_replace_file(dir, name, rc_slice(bytes, (size_t)2 * made.slot_bytes), false);
    free(bytes);
    if (err == RC_OK)
        *file = made;
    return err;
}

/* The slot that is not the newest; that one stays what it is until this is on the disk. */
static int write_in_place(int fd, struct rc_slot_file *file, struct rc_slice content)
{
    uint64_t sequence = file->sequence + 1;
    uint8_t *slot = rc_malloc(RC_SLOT_HEADER_LEN + content.len);
    fill(slot, sequence, content);
    int err = rc_fs_write(fd, slot, RC_SLOT_HEADER_LEN + content.len, sequence % 2 * file->slot_bytes);
    free(slot);
    if (err == RC_OK && fdatasync(fd) != 0)
        err = rc_fs_write_error();
    if (err == RC_OK)
        file->sequence = sequence;
    return err;
}

int rc_slot_file_save(int dir, const char *name, struct rc_slot_file *file, struct rc_slice content)
{
    if (content.len > RC_SLOT_CONTENT_MAX)
        return RC_ERR_TOO_LARGE;
    if (RC_SLOT_HEADER_LEN + content.len > file->slot_bytes)
        return create(dir, name, file, content);
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) /* somebody has removed it */
        return create(dir, name, file, content);
    if (fd < 0)
        return rc_fs_write_error();
    int err = write_in_place(fd, file, content);
    close(fd);
    return err;
}
