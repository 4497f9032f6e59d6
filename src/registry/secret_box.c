#include "registry/secret_box.h"

#include "base/alloc.h"
#include "base/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, NONCE_LEN = 12, TAG_LEN = 16, HEX_LEN = 2 * RC_SECRET_KEY_LEN };

struct rc_secret_box {
    EVP_CIPHER_CTX *ctx;
    EVP_CIPHER *cipher;
    uint8_t key[RC_SECRET_KEY_LEN];
};

/* ---- the key ---- */

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool parse_key(struct rc_slice text, uint8_t key[RC_SECRET_KEY_LEN])
{
    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    if (text.len != HEX_LEN)
        return false;
    for (size_t i = 0; i < RC_SECRET_KEY_LEN; i++) {
        int high = digit((char)text.ptr[2 * i]), low = digit((char)text.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Written whole under another name first: there is never half a key. */
static int make_key(const char *file, uint8_t key[RC_SECRET_KEY_LEN], struct rc_error *error)
{
    char text[HEX_LEN + 2], path[4096];
    if (getrandom(key, RC_SECRET_KEY_LEN, 0) != RC_SECRET_KEY_LEN)
        return rc_error_set(error, RC_ERR_IO, "no random numbers for the registry's key");
    rc_hex_lower(text, key, RC_SECRET_KEY_LEN);
    text[HEX_LEN] = '\n';
    snprintf(path, sizeof(path), "%s.new", file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_written =
        fd != -1 && fchmod(fd, 0600) == 0 && write(fd, text, HEX_LEN + 1) == HEX_LEN + 1 && fsync(fd) == 0;
    int why = errno;
    if (fd != -1)
        close(fd);
    explicit_bzero(text, sizeof(text));
    if (is_written && link(path, file) == 0) {
        unlink(path);
        return RC_OK;
    }
    why = is_written ? errno : why;
    unlink(path);
    return rc_error_set(error, rc_err_from_errno(why), "the registry's key file %s cannot be made: %s", file,
                        strerror(why));
}

static int read_key(const char *file, uint8_t key[RC_SECRET_KEY_LEN], struct rc_error *error)
{
    char text[HEX_LEN + 4];
    struct stat info;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd == -1)
        return rc_error_set(error, rc_err_from_errno(errno), "the registry's key file %s cannot be read: %s",
                            file, strerror(errno));
    ssize_t len = fstat(fd, &info) == 0 ? read(fd, text, sizeof(text)) : -1;
    close(fd);
    if (len >= 0 && (info.st_mode & 077) != 0)
        return rc_error_set(error, RC_ERR_DENIED,
                            "the registry's key file %s may be read by others (mode %03o): chmod 600 %s",
                            file, info.st_mode & 0777u, file);
    bool is_key = len > 0 && parse_key(rc_slice(text, (size_t)len), key);
    explicit_bzero(text, sizeof(text));
    return is_key ? RC_OK
                  : rc_error_set(error, RC_ERR_INVALID,
                                 "the registry's key file %s does not hold 64 hexadecimal digits", file);
}

static int find_key(const char *text, const char *file, bool may_make, uint8_t key[RC_SECRET_KEY_LEN],
                    struct rc_error *error)
{
    if (text != NULL)
        return parse_key(rc_slice_str(text), key)
                   ? RC_OK
                   : rc_error_set(error, RC_ERR_INVALID,
                                  "the registry's key in the environment is not 64 hexadecimal digits");
    if (access(file, F_OK) == 0)
        return read_key(file, key, error);
    if (may_make)
        return make_key(file, key, error);
    return rc_error_set(error, RC_ERR_NOT_FOUND,
                        "the registry's key file %s is missing: put it back, its secrets cannot be read "
                        "without it",
                        file);
}

int rc_secret_box_create(const char *text, const char *file, bool may_make, struct rc_secret_box **ret,
                         struct rc_error *error)
{
    struct rc_secret_box *box = rc_new(struct rc_secret_box);
    int err = find_key(text, file, may_make, box->key, error);
    if (err == RC_OK) {
        box->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
        box->ctx = EVP_CIPHER_CTX_new();
        if (box->cipher == NULL || box->ctx == NULL)
            err = rc_error_set(error, RC_ERR_UNSUPPORTED, "OpenSSL has no AES-256-GCM");
    }
    if (err != RC_OK) {
        rc_secret_box_free(box);
        return err;
    }
    *ret = box;
    return RC_OK;
}

void rc_secret_box_free(struct rc_secret_box *box)
{
    if (box == NULL)
        return;
    EVP_CIPHER_CTX_free(box->ctx);
    EVP_CIPHER_free(box->cipher);
    explicit_bzero(box->key, sizeof(box->key));
    free(box);
}

/* ---- sealing ---- */

int rc_secret_seal(struct rc_secret_box *box, struct rc_slice context, struct rc_slice secret, uint8_t *ret)
{
    uint8_t *nonce = ret + 1, *text = nonce + NONCE_LEN, *tag = text + secret.len, rest[TAG_LEN];
    int len;
    ret[0] = VERSION;
    bool is_sealed = getrandom(nonce, NONCE_LEN, 0) == NONCE_LEN &&
                     EVP_EncryptInit_ex2(box->ctx, box->cipher, box->key, nonce, NULL) == 1 &&
                     EVP_EncryptUpdate(box->ctx, NULL, &len, context.ptr, (int)context.len) == 1 &&
                     EVP_EncryptUpdate(box->ctx, text, &len, secret.ptr, (int)secret.len) == 1 &&
                     EVP_EncryptFinal_ex(box->ctx, rest, &len) == 1 &&
                     EVP_CIPHER_CTX_ctrl(box->ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, tag) == 1;
    return is_sealed ? RC_OK : RC_ERR_IO;
}

int rc_secret_open(struct rc_secret_box *box, struct rc_slice context, struct rc_slice sealed, uint8_t *ret)
{
    if (sealed.len < RC_SECRET_OVERHEAD || sealed.ptr[0] != VERSION)
        return RC_ERR_CORRUPT;
    size_t secret_len = sealed.len - RC_SECRET_OVERHEAD;
    const uint8_t *nonce = sealed.ptr + 1, *text = nonce + NONCE_LEN;
    uint8_t tag[TAG_LEN], rest[TAG_LEN];
    int len;
    memcpy(tag, text + secret_len, TAG_LEN);
    bool is_opened = EVP_DecryptInit_ex2(box->ctx, box->cipher, box->key, nonce, NULL) == 1 &&
                     EVP_DecryptUpdate(box->ctx, NULL, &len, context.ptr, (int)context.len) == 1 &&
                     EVP_DecryptUpdate(box->ctx, ret, &len, text, (int)secret_len) == 1 &&
                     EVP_CIPHER_CTX_ctrl(box->ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) == 1 &&
                     EVP_DecryptFinal_ex(box->ctx, rest, &len) == 1;
    return is_opened ? RC_OK : RC_ERR_CORRUPT;
}
