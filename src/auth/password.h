/*
 * Hashed passwords, as one line of text: $7$<iterations>$<salt>$<hash>, salt and hash in Base64. The hash is
 * PBKDF2-HMAC-SHA512 of 64 bytes; mosquitto_passwd writes the same, so its entries can be taken over. Any
 * thread; verifying is slow on purpose and not for a shard.
 */
#ifndef RC_AUTH_PASSWORD_H
#define RC_AUTH_PASSWORD_H

#include "base/slice.h"

enum {
    RC_PASSWORD_HASH_LEN = 64,
    RC_PASSWORD_SALT_MIN = 8,
    RC_PASSWORD_SALT_LEN = 16, /* of those that we make */
    RC_PASSWORD_SALT_MAX = 64,
    RC_PASSWORD_ITERATIONS = 20000, /* some 20 ms of one core */
    RC_PASSWORD_ITERATIONS_MAX = 1000000,
    RC_PASSWORD_ENTRY_MAX = 256, /* with the NUL */
};

struct rc_password_entry {
    uint32_t iterations, salt_len;
    uint8_t salt[RC_PASSWORD_SALT_MAX + 2], hash[RC_PASSWORD_HASH_LEN + 2];
};

/* False when the text is no such entry; strict: one entry has one text. */
bool rc_password_parse(struct rc_slice text, struct rc_password_entry *ret);

/* Writes an entry with a fresh salt: 0, RC_ERR_INVALID (iterations out of bounds, or no
 * randomness). */
int rc_password_make(struct rc_slice password, uint32_t iterations, char ret[RC_PASSWORD_ENTRY_MAX]);

/*
 * Whether the password is the entry's. A text that is no entry takes as long as one that is, and is never
 * right: for names that nobody has.
 */
bool rc_password_verify(struct rc_slice entry, struct rc_slice password);

#endif
