/*
 * One file of the key index: what keys the messages of one segment of the log have. A header, then entries of
 * 8 bytes in the log's order: hash of topic and key, place of the message in its segment. Big-endian. Entries
 * only ever point at where to look: whoever finds one reads the message itself.
 */
#ifndef RC_ROCKETMQ_KEY_FILE_H
#define RC_ROCKETMQ_KEY_FILE_H

#include "base/slice.h"

enum { RC_KEY_ENTRY_LEN = 8 };

struct rc_key_file {
    int fd;        /* -1 while closed */
    uint64_t base; /* the segment's first physical offset */
    uint64_t upto; /* all messages before this physical offset are in the file */
    uint64_t last; /* the last of them; its check tells whether the log still is the one that was read */
    uint32_t check;
    uint32_t count; /* entries */
};

/* Opens it: RC_ERR_NOT_FOUND, RC_ERR_CORRUPT when it cannot be what was written, RC_ERR_IO. */
int rc_key_file_open(int dir, uint64_t base, struct rc_key_file *ret);
/* Makes it anew, empty: upto = last = base. */
int rc_key_file_create(int dir, uint64_t base, struct rc_key_file *ret);
/* Appends entries, then moves upto, last and check. On failure it stays as it was. */
int rc_key_file_append(struct rc_key_file *file, const uint8_t *entries, uint32_t count, uint64_t upto,
                       uint64_t last, uint32_t check);
/* Entries [first, first + count), which must be there. */
int rc_key_file_read(const struct rc_key_file *file, uint32_t first, uint32_t count, uint8_t *to);
/* Whether the places of all entries ascend and lie before `upto`: false after a power cut that lost some. */
bool rc_key_file_is_sound(const struct rc_key_file *file);
int rc_key_file_sync(const struct rc_key_file *file);
/* Harmless when closed. */
void rc_key_file_close(struct rc_key_file *file);
void rc_key_file_delete(int dir, uint64_t base);

#endif
