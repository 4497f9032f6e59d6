#include "base/hash.h"

#include "base/words.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t seed_k0, seed_k1;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_init(void)
{
    uint64_t seed[2];
    if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        fputs("rollcall: no random numbers from the kernel\n", stderr);
        abort();
    }
    seed_k0 = seed[0];
    seed_k1 = seed[1];
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[0] = ROTL(v[0], 32);
    v[2] += v[3];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

/* The last `len` bytes, fewer than eight, the first in the lowest. */
static inline uint64_t rest_of(struct rc_slice data, size_t len)
{
    uint64_t word = 0;
    if (len > 0 && data.len >= RC_WORD)
        return rc_word_from(data.ptr + data.len - RC_WORD) >> (64 - 8 * len);
    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)data.ptr[i] << (8 * i);
    return word;
}

uint64_t rc_hash(struct rc_slice data)
{
    pthread_once(&seed_once, seed_init);
    uint64_t v[4] = {seed_k0 ^ 0x736f6d6570736575ULL, seed_k1 ^ 0x646f72616e646f6dULL,
                     seed_k0 ^ 0x6c7967656e657261ULL, seed_k1 ^ 0x7465646279746573ULL};
    size_t whole = data.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t m = rc_word_from(data.ptr + i);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t last = (uint64_t)data.len << 56 | rest_of(data, data.len - whole);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Each step can be undone, so none loses anything; what a product lifts to its upper half comes down again.
 */
static inline uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* A change of it makes all files that hold such hashes wrong: their version must be raised with it. */
uint64_t rc_hash_kept(uint64_t hash, struct rc_slice data)
{
    const uint8_t *at = data.ptr;
    for (size_t left = data.len; left > RC_WORD; left -= RC_WORD, at += RC_WORD)
        hash = mix(hash, rc_word_from(at));
    hash = mix(hash, rc_word_at(data, data.len));
    return mix(hash, data.len);
}

/* Decodes one code point; a malformed byte yields U+FFFD and advances by one. */
static uint32_t next_code_point(struct rc_slice s, size_t *at)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = s.ptr[(*at)++];
    if (lead < 0x80)
        return lead;
    size_t len = lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    if (len == 0 || lead >= 0xf8 || *at + len - 1 > s.len)
        return 0xfffd;
    uint32_t cp = lead & (0x7fu >> len);
    for (size_t i = 0; i < len - 1; i++) {
        uint8_t next = s.ptr[*at + i];
        if ((next & 0xc0) != 0x80)
            return 0xfffd;
        cp = cp << 6 | (next & 0x3f);
    }
    if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0xfffd;
    *at += len - 1;
    return cp;
}

/* The hash of eight ASCII characters, the first in the lowest byte: neighbours are put together, as pairs,
 * then as fours, in lanes of the word that are wide enough for them. */
static uint32_t java_of_word(uint64_t word)
{
    uint64_t pairs = 31 * (word & 0x00ff00ff00ff00ffu) + (word >> 8 & 0x00ff00ff00ff00ffu);
    uint64_t fours = 31 * 31 * (pairs & 0x0000ffff0000ffffu) + (pairs >> 16 & 0x0000ffff0000ffffu);
    return 31u * 31 * 31 * 31 * (uint32_t)fours + (uint32_t)(fours >> 32);
}

/* Goes on with a text that is ASCII in its whole words from `at` on; leaves `at` where that ends. */
static uint32_t java_of_ascii(uint32_t hash, struct rc_slice text, size_t *at)
{
    const uint32_t four = 31u * 31 * 31 * 31;
    for (; text.len - *at >= RC_WORD; *at += RC_WORD) {
        uint64_t word = rc_word_from(text.ptr + *at);
        if (!rc_word_is_ascii(word))
            break;
        hash = four * four * hash + java_of_word(word);
    }
    return hash;
}

int32_t rc_hash_java(struct rc_slice utf8)
{
    size_t at = 0;
    uint32_t hash = java_of_ascii(0, utf8, &at);
    while (at < utf8.len) {
        uint32_t cp = next_code_point(utf8, &at);
        if (cp >= 0x10000) {
            hash = 31 * hash + (0xd800 + ((cp - 0x10000) >> 10));
            hash = 31 * hash + (0xdc00 + ((cp - 0x10000) & 0x3ff));
        } else {
            hash = 31 * hash + cp;
        }
    }
    return (int32_t)hash;
}

uint32_t rc_hash_java_queue(struct rc_slice key, uint32_t count)
{
    return ((uint32_t)rc_hash_java(key) & 0x7fffffffu) % count;
}
