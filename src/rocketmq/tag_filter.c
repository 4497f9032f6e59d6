#include "rocketmq/tag_filter.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/hash.h"

/* As Java's String.trim: everything up to the space. */
static struct rc_slice trim(struct rc_slice text)
{
    while (text.len > 0 && text.ptr[0] <= ' ')
        text = rc_slice_from(text, 1);
    while (text.len > 0 && text.ptr[text.len - 1] <= ' ')
        text.len--;
    return text;
}

int rc_tag_filter_parse(struct rc_slice text, struct rc_tag_filter *ret)
{
    int32_t codes[RC_TAG_FILTER_TAGS_MAX];
    struct rc_tag_filter filter = {.takes_all = text.len == 0 || rc_slice_eq_str(text, "*")};
    while (!filter.takes_all && text.len > 0) {
        const uint8_t *bars = memmem(text.ptr, text.len, "||", 2);
        struct rc_slice part = rc_slice(text.ptr, bars ? (size_t)(bars - text.ptr) : text.len);
        struct rc_slice tag = trim(part);
        text = rc_slice_from(text, part.len + (bars ? 2 : 0));
        if (tag.len == 0)
            continue;
        if (filter.count == RC_TAG_FILTER_TAGS_MAX)
            return RC_ERR_TOO_LARGE;
        codes[filter.count++] = rc_hash_java(tag);
    }
    if (filter.count > 0) {
        filter.codes = rc_malloc(filter.count * sizeof(codes[0]));
        memcpy(filter.codes, codes, filter.count * sizeof(codes[0]));
    }
    *ret = filter;
    return RC_OK;
}

void rc_tag_filter_copy(const struct rc_tag_filter *filter, struct rc_tag_filter *ret)
{
    *ret = *filter;
    if (filter->count == 0)
        return;
    ret->codes = rc_malloc(filter->count * sizeof(filter->codes[0]));
    memcpy(ret->codes, filter->codes, filter->count * sizeof(filter->codes[0]));
}

void rc_tag_filter_free(struct rc_tag_filter *filter)
{
    free(filter->codes);
    *filter = (struct rc_tag_filter){.codes = NULL};
}

bool rc_tag_filter_takes(const struct rc_tag_filter *filter, int64_t tags_code)
{
    if (filter->takes_all)
        return true;
    for (uint32_t i = 0; i < filter->count; i++)
        if (filter->codes[i] == (int32_t)tags_code)
            return true;
    return false;
}
