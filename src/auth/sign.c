#include "auth/sign.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

/*
 * HMAC by hand over OpenSSL's SHA-1: OpenSSL 3's HMAC API fetches and allocates for every signature
 * (about 1.5 us and ten allocations), and each CONNECT and each RocketMQ request needs one. The construction
 * is RFC 2104's five lines.
 */
enum { BLOCK = 64, DIGEST = SHA_DIGEST_LENGTH };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/*
 * A key's half of the work, kept for the key that this thread used last: clients of one instance sign with
 * one. It is as secret as the key, and stays until the thread signs with another.
 */
struct keyed {
    uint8_t key[BLOCK];
    bool is_set;
    SHA_CTX inner, outer;
};

static _Thread_local struct keyed last_keyed;

static void begin(SHA_CTX *ctx, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t block[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    SHA1_Init(ctx);
    SHA1_Update(ctx, block, BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
}

static const struct keyed *keyed_by(struct rc_slice secret)
{
    struct keyed *keyed = &last_keyed;
    uint8_t key[BLOCK] = {0};
    if (secret.len > BLOCK)
        SHA1(secret.ptr, secret.len, key);
    else if (secret.len > 0)
        memcpy(key, secret.ptr, secret.len);
    if (!keyed->is_set || CRYPTO_memcmp(keyed->key, key, BLOCK) != 0) {
        memcpy(keyed->key, key, BLOCK);
        begin(&keyed->inner, key, 0x36);
        begin(&keyed->outer, key, 0x5c);
        keyed->is_set = true;
    }
    OPENSSL_cleanse(key, sizeof(key));
    return keyed;
}

void rc_sign(struct rc_slice secret, const struct rc_slice *data, size_t parts,
             char ret[RC_SIGNATURE_LEN + 1])
{
    const struct keyed *keyed = keyed_by(secret);
    uint8_t digest[DIGEST];
    SHA_CTX ctx = keyed->inner;
    for (size_t i = 0; i < parts; i++)
        if (data[i].len > 0)
            SHA1_Update(&ctx, data[i].ptr, data[i].len);
    SHA1_Final(digest, &ctx);
    ctx = keyed->outer;
    SHA1_Update(&ctx, digest, DIGEST);
    SHA1_Final(digest, &ctx);
    EVP_EncodeBlock((uint8_t *)ret, digest, DIGEST);
    OPENSSL_cleanse(&ctx, sizeof(ctx));
}

#pragma GCC diagnostic pop

bool rc_secret_equal(struct rc_slice a, struct rc_slice b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}
