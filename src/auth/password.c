#include "auth/password.h"

#include "base/error.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>

static const char prefix[] = "$7$";

/* Base64 with its padding, strictly: what is decoded must give the same text again. -1 when it is not. */
static int decode(struct rc_slice text, uint8_t *out, size_t max)
{
    char again[128];
    uint8_t bytes[96];
    if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > sizeof(bytes))
        return -1;
    int len = EVP_DecodeBlock(bytes, text.ptr, (int)text.len);
    for (size_t i = text.len; len > 0 && i > 0 && i > text.len - 2 && text.ptr[i - 1] == '='; i--)
        len--;
    if (len <= 0 || (size_t)len > max)
        return -1;
    EVP_EncodeBlock((uint8_t *)again, bytes, len);
    if (!rc_slice_eq_str(text, again))
        return -1;
    memcpy(out, bytes, (size_t)len);
    return len;
}

/* Takes what stands before the next `$`; false when there is none. */
static bool take_field(struct rc_slice *text, struct rc_slice *ret)
{
    const uint8_t *end = text->len > 0 ? memchr(text->ptr, '$', text->len) : NULL;
    if (end == NULL)
        return false;
    *ret = rc_slice(text->ptr, (size_t)(end - text->ptr));
    *text = rc_slice_from(*text, ret->len + 1);
    return true;
}

static bool parse_iterations(struct rc_slice text, uint32_t *ret)
{
    uint32_t value = 0;
    if (text.len == 0 || text.len > 7 || text.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *ret = value;
    return value <= RC_PASSWORD_ITERATIONS_MAX;
}

bool rc_password_parse(struct rc_slice text, struct rc_password_entry *ret)
{
    struct rc_slice iterations, salt;
    if (text.len >= RC_PASSWORD_ENTRY_MAX || !rc_slice_starts_with(text, rc_slice_str(prefix)))
        return false;
    text = rc_slice_from(text, strlen(prefix));
    if (!take_field(&text, &iterations) || !parse_iterations(iterations, &ret->iterations) ||
        !take_field(&text, &salt))
        return false;
    int salt_len = decode(salt, ret->salt, RC_PASSWORD_SALT_MAX);
    ret->salt_len = (uint32_t)salt_len;
    return salt_len >= RC_PASSWORD_SALT_MIN &&
           decode(text, ret->hash, RC_PASSWORD_HASH_LEN) == RC_PASSWORD_HASH_LEN;
}

static bool derive(struct rc_slice password, const struct rc_password_entry *entry,
                   uint8_t out[RC_PASSWORD_HASH_LEN])
{
    const char *text = password.len > 0 ? (const char *)password.ptr : "";
    return PKCS5_PBKDF2_HMAC(text, (int)password.len, entry->salt, (int)entry->salt_len,
                             (int)entry->iterations, EVP_sha512(), RC_PASSWORD_HASH_LEN, out) == 1;
}

int rc_password_make(struct rc_slice password, uint32_t iterations, char ret[RC_PASSWORD_ENTRY_MAX])
{
    struct rc_password_entry entry = {.iterations = iterations, .salt_len = RC_PASSWORD_SALT_LEN};
    char salt[RC_PASSWORD_SALT_LEN * 2], hash[RC_PASSWORD_HASH_LEN * 2];
    if (iterations == 0 || iterations > RC_PASSWORD_ITERATIONS_MAX)
        return RC_ERR_INVALID;
    if (RAND_bytes(entry.salt, RC_PASSWORD_SALT_LEN) != 1 || !derive(password, &entry, entry.hash))
        return RC_ERR_INVALID;
    EVP_EncodeBlock((uint8_t *)salt, entry.salt, RC_PASSWORD_SALT_LEN);
    EVP_EncodeBlock((uint8_t *)hash, entry.hash, RC_PASSWORD_HASH_LEN);
    snprintf(ret, RC_PASSWORD_ENTRY_MAX, "%s%u$%s$%s", prefix, iterations, salt, hash);
    OPENSSL_cleanse(&entry, sizeof(entry));
    return RC_OK;
}

bool rc_password_verify(struct rc_slice text, struct rc_slice password)
{
    struct rc_password_entry entry;
    uint8_t hash[RC_PASSWORD_HASH_LEN];
    bool is_entry = rc_password_parse(text, &entry);
    if (!is_entry)
        entry = (struct rc_password_entry){.iterations = RC_PASSWORD_ITERATIONS,
                                           .salt_len = RC_PASSWORD_SALT_LEN};
    bool is_right = derive(password, &entry, hash) &&
                    CRYPTO_memcmp(hash, entry.hash, RC_PASSWORD_HASH_LEN) == 0 && is_entry;
    OPENSSL_cleanse(hash, sizeof(hash));
    OPENSSL_cleanse(&entry, sizeof(entry));
    return is_right;
}
