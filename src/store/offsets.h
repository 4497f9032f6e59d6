/* Consumer offsets (config/consumerOffset.json) and delay levels' offsets (config/delayOffset.json). */
#ifndef RC_STORE_OFFSETS_H
#define RC_STORE_OFFSETS_H

#include "base/map.h"
#include "store/config_file.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RC_OFFSETS_MAX = 200000 }; /* pairs of topic and group */

struct rc_offsets {
    int config_dir;
    pthread_mutex_t mutex;
    struct rc_map map;
    bool is_changed;
    atomic_uint_fast64_t delay[RC_DELAY_LEVELS];
    atomic_bool delay_changed;
    pthread_mutex_t save_mutex; /* one writer of the files at a time */
};

void rc_offsets_init(struct rc_offsets *offsets, int config_dir);
void rc_offsets_free(struct rc_offsets *offsets);
int rc_offsets_load(struct rc_offsets *offsets, struct rc_error *error);
int rc_offsets_write(struct rc_offsets *offsets);

int rc_offsets_find(struct rc_offsets *offsets, struct rc_slice topic, struct rc_slice group, uint32_t queue,
                    uint64_t *ret);
void rc_offsets_visit(struct rc_offsets *offsets, struct rc_slice group,
                      void (*visit)(struct rc_slice topic, uint32_t queue, uint64_t offset, void *arg),
                      void *arg);
void rc_offsets_drop(struct rc_offsets *offsets, struct rc_slice group);
int rc_offsets_put(struct rc_offsets *offsets, struct rc_slice topic, struct rc_slice group, uint32_t queue,
                   uint64_t offset);

#endif
