#include "base/utf8.h"

#include "base/words.h"

size_t rc_utf8_sequence_len(struct rc_slice text)
{
    const uint8_t *p = text.ptr;
    uint8_t lead = p[0];
    if (lead < 0x80)
        return 1;
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.len < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((lead == 0xe0 && p[1] < 0xa0) || (lead == 0xed && p[1] > 0x9f))
        return 0;
    if ((lead == 0xf0 && p[1] < 0x90) || (lead == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* Where the next word with something else than ASCII begins: nearly all text is that and nothing else. */
static size_t skip_ascii(struct rc_slice text, size_t at)
{
    struct rc_slice rest = rc_slice_from(text, at);
    size_t skipped = 0;
    while (skipped < rest.len && rc_word_is_ascii(rc_word_at(rest, skipped)))
        skipped += RC_WORD;
    return at + (skipped < rest.len ? skipped : rest.len);
}

bool rc_utf8_is_valid(struct rc_slice text)
{
    for (size_t at = skip_ascii(text, 0); at < text.len; at = skip_ascii(text, at)) {
        size_t len = rc_utf8_sequence_len(rc_slice_from(text, at));
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
