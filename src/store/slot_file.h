/*
 * A small file that is kept up to date in place, so that saving it needs no room: a disk that others have
 * filled stops nobody from saying how far he got. Two slots are written in turn, each with a checksum: what a
 * crash tears is the newer one, and the other one is then what was saved before. On file systems that write
 * nothing in place (btrfs, zfs) a save needs room there all the same.
 *
 * The file: two slots of the same size, each: 8 bytes "RCSLOT1\n", uint64 sequence (the greater is newer),
 * uint32 length, uint32 CRC-32 of sequence, length and content, the content; big-endian.
 */
#ifndef RC_STORE_SLOT_FILE_H
#define RC_STORE_SLOT_FILE_H

#include "base/buf.h"

enum {
    RC_SLOT_HEADER_LEN = 24,
    RC_SLOT_CONTENT_MAX = 256 * 1024,
};

/* What its owner remembers of it; all zero: there is none yet. One thread at a time. */
struct rc_slot_file {
    uint32_t slot_bytes;
    uint64_t sequence; /* of the newest slot, which is slot `sequence % 2` */
};

/*
 * Saves: in place, or where there is no file yet, or the content has outgrown its slot, as a new file with
 * room for twice as much, which is put in place of the old one durably. RC_ERR_TOO_LARGE above
 * RC_SLOT_CONTENT_MAX, RC_ERR_NO_SPACE, RC_ERR_IO.
 */
int rc_slot_file_save(int dir, const char *name, struct rc_slot_file *file, struct rc_slice content);
/* Appends what was saved last to `out`. RC_ERR_NOT_FOUND; RC_ERR_CORRUPT: it is no such file, or damaged. */
int rc_slot_file_load(int dir, const char *name, struct rc_buf *out, struct rc_slot_file *ret);
/* The same of a file's bytes: its newest content. */
int rc_slot_file_parse(struct rc_slice bytes, struct rc_slice *ret_content, struct rc_slot_file *ret);

#endif
