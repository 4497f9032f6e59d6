/*
 * Secrets at rest: AES-256-GCM under one key. What is sealed is bound to where it stands (`context`), so that
 * rows cannot be exchanged. Any one thread.
 */
#ifndef RC_REGISTRY_SECRET_BOX_H
#define RC_REGISTRY_SECRET_BOX_H

#include "base/error.h"
#include "base/slice.h"

enum {
    RC_SECRET_KEY_LEN = 32,
    RC_SECRET_OVERHEAD = 1 + 12 + 16, /* version, nonce, tag */
    RC_SECRET_TEXT_MAX = 1024,
};

struct rc_secret_box;

/*
 * The key: `text` (64 hexadecimal digits) when it is not NULL, else that of `file`, which is made (mode 0600)
 * when it is not there and `may_make` says so. RC_ERR_NOT_FOUND, RC_ERR_INVALID, RC_ERR_DENIED (others may
 * read the file) and errors of the disk, with a sentence that tells what to do.
 */
int rc_secret_box_create(const char *text, const char *file, bool may_make, struct rc_secret_box **ret,
                         struct rc_error *error);
void rc_secret_box_free(struct rc_secret_box *box); /* NULL is fine */

/* Writes secret.len + RC_SECRET_OVERHEAD bytes. */
int rc_secret_seal(struct rc_secret_box *box, struct rc_slice context, struct rc_slice secret, uint8_t *ret);
/* Writes sealed.len - RC_SECRET_OVERHEAD bytes; RC_ERR_CORRUPT when it was not sealed so. */
int rc_secret_open(struct rc_secret_box *box, struct rc_slice context, struct rc_slice sealed, uint8_t *ret);

#endif
