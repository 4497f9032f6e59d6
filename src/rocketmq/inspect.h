/*
 * Looking into the endpoint from other threads: messages by key, and who consumes in a group. Each question
 * is owned by its asker, who may not touch it until it is answered; it is answered always, on reply_to's
 * thread. Only between rc_endpoint_start and rc_endpoint_stop. The asker bounds how many are under way.
 */
#ifndef RC_ROCKETMQ_INSPECT_H
#define RC_ROCKETMQ_INSPECT_H

#include "loop/loop.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/key_index.h"
#include "rocketmq/tenancy.h"

/* Messages by key, the newest first. */
struct rc_key_search {
    struct rc_mail mail;
    struct rc_key_query what; /* its slices live until the answer */
    /* On the worker's thread; false ends the search. Views are good for the call alone. */
    bool (*visit)(const struct rc_message *message, struct rc_slice record, void *owner);
    struct rc_loop *reply_to;
    void (*on_done)(struct rc_key_search *search);
    void *owner;
    struct rc_endpoint *endpoint; /* the endpoint's own */
};
void rc_endpoint_search(struct rc_endpoint *endpoint, struct rc_key_search *search);

/* Work on the store and its files, for the worker's thread. */
struct rc_endpoint_job {
    struct rc_mail mail;
    void (*run)(struct rc_endpoint_job *job, struct rc_store *store, struct rc_owners *owners);
    struct rc_loop *reply_to;
    void (*on_done)(struct rc_endpoint_job *job);
    void *owner;
    struct rc_endpoint *endpoint;
};
void rc_endpoint_do(struct rc_endpoint *endpoint, struct rc_endpoint_job *job);

enum { RC_GROUP_LOOK_BYTES_MAX = 1 << 20 }; /* of an answer; what is beyond is left out */

/* One consumer group as it is now. */
struct rc_group_look {
    struct rc_mail mail;
    struct rc_slice group; /* lives until the answer */
    struct rc_loop *reply_to;
    void (*on_done)(struct rc_group_look *look);
    void *owner;
    /* The answer, a JSON object: {"Broadcasting":bool,"Members":[{"ClientId","Address","LastHeardMs"}],
     * "Topics":[...]}; made with rc_buf_init by the endpoint, freed by the asker. */
    struct rc_buf json;
    struct rc_endpoint *endpoint;
};
void rc_endpoint_look(struct rc_endpoint *endpoint, struct rc_group_look *look);

/* The running members of a group go on from other offsets. Copies what it is given; is not answered. */
void rc_endpoint_reset(struct rc_endpoint *endpoint, struct rc_slice group, struct rc_slice topic,
                       const uint64_t *offsets, uint32_t count);

/*
 * Dead letters go into their group's retry topic once more, as if for the first time. They stay dead letters,
 * too: nothing is taken out of a log.
 */
struct rc_resend {
    struct rc_mail mail;
    struct rc_slice group;    /* lives until the answer, like the places: */
    const uint64_t *physical; /* where the letters stand in the log, in the order in which they are sent */
    uint32_t count;
    struct rc_loop *reply_to;
    void (*on_done)(struct rc_resend *resend);
    void *owner;
    /* The answer: how many stand in the retry topic. Those that retention has passed are left out. */
    uint32_t sent;
    int err; /* RC_ERR_FULL: the log takes nothing; RC_ERR_TIMEOUT: it took no more, some may still come */
    struct rc_endpoint *endpoint;
};
void rc_endpoint_resend(struct rc_endpoint *endpoint, struct rc_resend *resend);

#endif
