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

static void keyed_init(SHA_CTX *ctx, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t block[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    SHA1_Init(ctx);
    SHA1_Update(ctx, block, BLOCK);
    OPENSSL_cleanse(block, sizeof(block));
}

void rc_sign(struct rc_slice secret, const struct rc_slice *data, size_t parts,
             char ret[RC_SIGNATURE_LEN + 1])
{
    uint8_t key[BLOCK] = {0}, digest[DIGEST];
    SHA_CTX ctx;
    if (secret.len > BLOCK)
        SHA1(secret.ptr, secret.len, key);
    else if (secret.len > 0)
        memcpy(key, secret.ptr, secret.len);
    keyed_init(&ctx, key, 0x36);
    for (size_t i = 0; i < parts; i++)
        if (data[i].len > 0)
            SHA1_Update(&ctx, data[i].ptr, data[i].len);
    SHA1_Final(digest, &ctx);
    keyed_init(&ctx, key, 0x5c);
    SHA1_Update(&ctx, digest, DIGEST);
    SHA1_Final(digest, &ctx);
    EVP_EncodeBlock((uint8_t *)ret, digest, DIGEST);
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(&ctx, sizeof(ctx));
}

#pragma GCC diagnostic pop

bool rc_secret_equal(struct rc_slice a, struct rc_slice b)
{
    return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}
