/* Which messages a subscription takes, by the hash of their tag. */
#ifndef RC_ROCKETMQ_TAG_FILTER_H
#define RC_ROCKETMQ_TAG_FILTER_H

#include "base/slice.h"

enum { RC_TAG_FILTER_TAGS_MAX = 256 };

/* Owns its codes. All zero: takes nothing. */
struct rc_tag_filter {
    bool takes_all;
    uint32_t count;
    int32_t *codes;
};

/*
 * `a || b`; * or nothing takes all. RC_ERR_TOO_LARGE above RC_TAG_FILTER_TAGS_MAX tags. Release with
 * rc_tag_filter_free.
 */
int rc_tag_filter_parse(struct rc_slice text, struct rc_tag_filter *ret);
void rc_tag_filter_copy(const struct rc_tag_filter *filter, struct rc_tag_filter *ret);
void rc_tag_filter_free(struct rc_tag_filter *filter);
/* `tags_code` as a queue's entry has it. Two tags may share a hash: consumers compare the tags themselves. */
bool rc_tag_filter_takes(const struct rc_tag_filter *filter, int64_t tags_code);

#endif
