/*
 * Text eight bytes at a time: to ask something of each of its bytes,
 *
 *     for (size_t at = 0; at < text.len; at += RC_WORD)
 *         if (rc_word_has(rc_word_at(text, at), '+'))
 *
 * The last word of a text overlaps the one before, and one of less than eight bytes is filled with bytes of
 * its own and 'a': so no answer depends on what stands behind the text. A text's first byte is a word's
 * lowest on every machine.
 */
#ifndef RC_BASE_WORDS_H
#define RC_BASE_WORDS_H

#include "base/slice.h"

#include <endian.h>

enum { RC_WORD = sizeof(uint64_t) };

#define RC_WORD_ONES 0x0101010101010101u
#define RC_WORD_HIGHS 0x8080808080808080u

static inline uint64_t rc_word_of_short(struct rc_slice text)
{
    uint32_t first, last;
    if (text.len >= sizeof(first)) {
        memcpy(&first, text.ptr, sizeof(first));
        memcpy(&last, text.ptr + text.len - sizeof(last), sizeof(last));
        return le32toh(first) | (uint64_t)le32toh(last) << 32;
    }
    uint64_t word = RC_WORD_ONES * 'a' << 24;
    if (text.len == 0)
        return word | word >> 24;
    return word | (uint64_t)text.ptr[0] << 16 | (uint64_t)text.ptr[text.len / 2] << 8 |
           text.ptr[text.len - 1];
}

/* The eight bytes from `from` on, for who knows that they are there. */
static inline uint64_t rc_word_from(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return le64toh(word);
}

/* Where fewer than eight bytes are left at `at`: the last eight. */
static inline uint64_t rc_word_at(struct rc_slice text, size_t at)
{
    if (text.len < RC_WORD)
        return rc_word_of_short(text);
    size_t last = text.len - RC_WORD;
    return rc_word_from(text.ptr + (at < last ? at : last));
}

/*
 * The high bits of the bytes below `limit` (1 to 128), 0 where there are none. The lowest is right; one above
 * it may stand for a byte that is `limit` itself: who needs each of them looks again.
 */
static inline uint64_t rc_word_below(uint64_t word, uint8_t limit)
{
    return (word - RC_WORD_ONES * limit) & ~word & RC_WORD_HIGHS;
}

static inline bool rc_word_has(uint64_t word, uint8_t byte)
{
    return rc_word_below(word ^ RC_WORD_ONES * byte, 1) != 0; /* 0 where that byte stands */
}

/* As rc_slice_eq, without a call: for short texts that are mostly equal. */
static inline bool rc_word_eq(struct rc_slice a, struct rc_slice b)
{
    if (a.len != b.len)
        return false;
    if (a.len < RC_WORD)
        return rc_word_of_short(a) == rc_word_of_short(b);
    size_t last = a.len - RC_WORD;
    uint64_t differs = rc_word_from(a.ptr + last) ^ rc_word_from(b.ptr + last);
    for (size_t at = 0; at < last; at += RC_WORD)
        differs |= rc_word_from(a.ptr + at) ^ rc_word_from(b.ptr + at);
    return differs == 0;
}

/* Where the first such byte stands; text.len: nowhere. Without a call: for what stands near the front. */
static inline size_t rc_word_find(struct rc_slice text, uint8_t byte)
{
    size_t at = 0;
    for (; at + RC_WORD <= text.len; at += RC_WORD) {
        uint64_t found = rc_word_below(rc_word_from(text.ptr + at) ^ RC_WORD_ONES * byte, 1);
        if (found != 0)
            return at + (size_t)__builtin_ctzll(found) / 8;
    }
    while (at < text.len && text.ptr[at] != byte)
        at++;
    return at;
}

static inline bool rc_word_is_ascii(uint64_t word)
{
    return (word & RC_WORD_HIGHS) == 0;
}

/*
 * Where a text stands in a table of `places`, a power of two, in which each place is taken over by the next
 * text that falls on it. Quick and not seeded: never for a table that grows with what strangers send. Texts
 * that differ in length or in their first or last eight bytes are told apart.
 */
static inline uint32_t rc_word_place(struct rc_slice text, uint32_t places)
{
    uint64_t mixed = (rc_word_at(text, 0) ^ text.len) * 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ mixed >> 32 ^ rc_word_at(text, text.len)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> 40) & (places - 1);
}

#endif
