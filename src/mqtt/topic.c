#include "mqtt/topic.h"

#include "base/words.h"

bool rc_topic_next_level(struct rc_slice topic, size_t *at, struct rc_slice *ret)
{
    if (*at > topic.len)
        return false;
    struct rc_slice rest = rc_slice_from(topic, *at);
    const uint8_t *slash = rest.len ? memchr(rest.ptr, '/', rest.len) : NULL;
    size_t len = slash ? (size_t)(slash - rest.ptr) : rest.len;
    *ret = rc_slice(rest.ptr, len);
    *at += len + 1;
    return true;
}

static bool is_not_too_deep(struct rc_slice topic)
{
    size_t levels = 1;
    if (topic.len < RC_TOPIC_LEVELS_MAX) /* a level takes a byte */
        return true;
    for (size_t i = 0; i < topic.len; i++)
        levels += topic.ptr[i] == '/';
    return levels <= RC_TOPIC_LEVELS_MAX;
}

/* Where a wildcard stands, as rc_word_below has it. '+' is '#' with one bit more: both are found at once. */
static uint64_t word_wildcards(uint64_t word)
{
    enum { BIT = '+' ^ '#' };
    return rc_word_below((word | RC_WORD_ONES * BIT) ^ RC_WORD_ONES * '+', 1);
}

static bool has_wildcard(struct rc_slice text)
{
    for (size_t at = 0; at < text.len; at += RC_WORD)
        if (word_wildcards(rc_word_at(text, at)) != 0)
            return true;
    return false;
}

bool rc_topic_name_is_valid(struct rc_slice name)
{
    return name.len > 0 && !has_wildcard(name) && is_not_too_deep(name);
}

bool rc_topic_name_is_plain(struct rc_slice name)
{
    uint64_t found = 0;
    if (name.len == 0 || name.len >= RC_TOPIC_LEVELS_MAX)
        return false;
    for (size_t at = 0; at < name.len; at += RC_WORD) {
        uint64_t word = rc_word_at(name, at);
        found |= word_wildcards(word) | rc_word_below(word, 1) | (word & RC_WORD_HIGHS);
    }
    return found == 0;
}

static const char share_prefix[] = "$share/";
enum { SHARE_PREFIX_LEN = sizeof(share_prefix) - 1 };

static bool is_shared(struct rc_slice filter)
{
    return rc_slice_starts_with(filter, rc_slice(share_prefix, SHARE_PREFIX_LEN));
}

static bool levels_are_valid(struct rc_slice filter)
{
    struct rc_slice level;
    bool is_over = false;
    for (size_t at = 0; rc_topic_next_level(filter, &at, &level);) {
        if (is_over || (level.len > 1 && has_wildcard(level)))
            return false;
        is_over = rc_slice_eq_str(level, "#");
    }
    return true;
}

bool rc_topic_filter_is_valid(struct rc_slice filter)
{
    if (is_shared(filter)) {
        struct rc_slice rest = rc_slice_from(filter, SHARE_PREFIX_LEN), group;
        size_t at = 0;
        rc_topic_next_level(rest, &at, &group);
        if (group.len == 0 || has_wildcard(group) || at > rest.len)
            return false;
        filter = rc_slice_from(rest, at);
    }
    return filter.len > 0 && is_not_too_deep(filter) && levels_are_valid(filter);
}

bool rc_topic_filter_has_wildcard(struct rc_slice filter)
{
    return has_wildcard(filter);
}

bool rc_topic_filter_split_shared(struct rc_slice filter, struct rc_slice *ret_group,
                                  struct rc_slice *ret_filter)
{
    if (!is_shared(filter))
        return false;
    struct rc_slice rest = rc_slice_from(filter, SHARE_PREFIX_LEN);
    size_t at = 0;
    rc_topic_next_level(rest, &at, ret_group);
    *ret_filter = rc_slice_from(rest, at);
    return true;
}

bool rc_topic_matches(struct rc_slice filter, struct rc_slice name)
{
    if (name.len > 0 && name.ptr[0] == '$' && filter.len > 0 &&
        (filter.ptr[0] == '+' || filter.ptr[0] == '#'))
        return false;
    struct rc_slice want, have;
    size_t want_at = 0, have_at = 0;
    while (rc_topic_next_level(filter, &want_at, &want)) {
        if (rc_slice_eq_str(want, "#"))
            return true;
        if (!rc_topic_next_level(name, &have_at, &have))
            return false;
        if (!rc_slice_eq_str(want, "+") && !rc_slice_eq(want, have))
            return false;
    }
    return !rc_topic_next_level(name, &have_at, &have);
}
