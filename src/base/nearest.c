#include "base/nearest.h"

enum { NEAREST_LEN_MAX = 40 }; /* longer names are no slip of a finger; it also bounds the work */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

/* Edit distance with transpositions of neighbours, by rows: only the last two are needed. */
static unsigned distance(struct rc_slice a, struct rc_slice b)
{
    unsigned rows[3][NEAREST_LEN_MAX + 1];
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            uint8_t x = lower(a.ptr[i - 1]), y = lower(b.ptr[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == y &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}

const char *rc_nearest(struct rc_slice given, const char *(*name_at)(const void *names, size_t index),
                       const void *names, size_t count)
{
    const char *best = NULL;
    /* A third of the letters may be wrong; more and the guess would rather confuse. */
    unsigned limit = (unsigned)given.len / 3 + 1;
    if (given.len == 0 || given.len > NEAREST_LEN_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct rc_slice name = rc_slice_str(name_at(names, i));
        unsigned edits = name.len > NEAREST_LEN_MAX ? limit + 1 : distance(given, name);
        if (edits <= limit) {
            best = (const char *)name.ptr;
            if (edits == 0)
                break;
            limit = edits - 1;
        }
    }
    return best;
}
