/* The table of topics, their queues, and config/topics.json. */
#ifndef RC_STORE_TOPICS_H
#define RC_STORE_TOPICS_H

#include "base/map.h"
#include "store/config_file.h"
#include "store/consume_queue.h"

#include <stdatomic.h>

struct rc_topic {
    uint32_t queue_count;
    atomic_uint perm;
    struct rc_queue **queues;
    json_t *raw; /* as it stood in topics.json, when it held more than we would write; else NULL */
    uint32_t name_len;
    char name[];
};

struct rc_topics {
    int config_dir;
    struct rc_queues *queues;
    pthread_mutex_t mutex;
    struct rc_map map;
    uint64_t version;
    bool is_changed;  /* topics.json is behind the table */
    bool is_deferred; /* it is written later, once for many changes */
};

void rc_topics_init(struct rc_topics *topics, int config_dir, struct rc_queues *queues);
void rc_topics_free(struct rc_topics *topics);
/* Reads topics.json. */
int rc_topics_load(struct rc_topics *topics, struct rc_error *error);
/* Writes topics.json when something changed. */
int rc_topics_save(struct rc_topics *topics);

struct rc_topic *rc_topics_find(struct rc_topics *topics, struct rc_slice name);
/* Finds or makes it, durably. The caller has checked name and counts. RC_ERR_FULL, RC_ERR_NO_SPACE,
 * RC_ERR_IO. */
int rc_topics_create(struct rc_topics *topics, struct rc_slice name, uint32_t queues, uint32_t perm,
                     struct rc_topic **ret);
/* Durably. RC_ERR_NO_SPACE, RC_ERR_IO: nothing has changed. */
int rc_topics_set_perm(struct rc_topics *topics, struct rc_topic *topic, uint32_t perm);
/*
 * While opening (one thread): finds or makes the topic and sees to it that it has queue `id`, not yet saved.
 * RC_ERR_CORRUPT for a name or an id that cannot be, RC_ERR_FULL.
 */
int rc_topics_require(struct rc_topics *topics, struct rc_slice name, uint32_t id, struct rc_queue **ret);

/* Calls `visit` for each queue, with the mutex held. */
void rc_topics_each_queue(struct rc_topics *topics, void (*visit)(struct rc_queue *queue, void *arg),
                          void *arg);

#endif
