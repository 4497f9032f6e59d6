/*
 * The index by key: which messages have which KEYS and UNIQ_KEY. One file a segment of the log, under
 * rollcall/index/, written behind the log by whoever owns the index, never in the way of an append. What is
 * missing or damaged is made again from the log; files go with their segments. One thread.
 */
#ifndef RC_ROCKETMQ_KEY_INDEX_H
#define RC_ROCKETMQ_KEY_INDEX_H

#include "store/store.h"

enum {
    RC_KEY_INDEX_KEYS_MAX = 64, /* keys of one message; further ones are not found */
    RC_KEY_INDEX_OTHERS_MAX = 63,
    RC_KEY_INDEX_SLICE_BYTES = 16 * 1024 * 1024, /* of the log, a good measure for one call */
};

struct rc_key_index;

/* RC_ERR_IO, RC_ERR_NO_SPACE: there is no index then. The store must outlive it. */
int rc_key_index_open(struct rc_store *store, struct rc_key_index **ret);
/* NULL is harmless. */
void rc_key_index_close(struct rc_key_index *index);

/*
 * Reads on in the log, about `bytes` of it, and drops the files of segments that are gone. True when there is
 * more to read.
 */
bool rc_key_index_advance(struct rc_key_index *index, uint64_t bytes);
/* All before this physical offset can be found. */
uint64_t rc_key_index_upto(const struct rc_key_index *index);

struct rc_key_query {
    struct rc_slice topic, key;
    bool only_unique;              /* the key is a UNIQ_KEY; otherwise it may be that or one of KEYS */
    int64_t begin_ms, end_ms;      /* store time, both included */
    const struct rc_slice *others; /* further topics in which it is looked for, in the same pass */
    uint32_t others_count;         /* up to RC_KEY_INDEX_OTHERS_MAX */
};
/* Shows the messages that match, the newest first, until `visit` returns false. */
void rc_key_index_find(struct rc_key_index *index, const struct rc_key_query *query,
                       bool (*visit)(const struct rc_message *message, struct rc_slice record, void *arg),
                       void *arg);

#endif
