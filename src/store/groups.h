/* Consumer groups that were seen: config/subscriptionGroup.json. */
#ifndef RC_STORE_GROUPS_H
#define RC_STORE_GROUPS_H

#include "base/map.h"
#include "store/config_file.h"

#include <pthread.h>

enum { RC_GROUPS_MAX = 100000, RC_GROUP_NAME_MAX = 255 };

struct rc_groups {
    int config_dir;
    pthread_mutex_t mutex;
    struct rc_map map;
    uint64_t version;
    bool is_changed;  /* the file is behind the table */
    bool is_deferred; /* it is written later, once for many changes */
};

void rc_groups_init(struct rc_groups *groups, int config_dir);
void rc_groups_free(struct rc_groups *groups);
int rc_groups_load(struct rc_groups *groups, struct rc_error *error);
/* Finds or makes it, durably. RC_ERR_INVALID, RC_ERR_FULL, RC_ERR_NO_SPACE, RC_ERR_IO. */
int rc_groups_add(struct rc_groups *groups, struct rc_slice name);
bool rc_groups_know(struct rc_groups *groups, struct rc_slice name);
void rc_groups_visit(struct rc_groups *groups, void (*visit)(struct rc_slice name, void *arg), void *arg);
/* Durably. RC_ERR_NOT_FOUND, RC_ERR_NO_SPACE, RC_ERR_IO. */
int rc_groups_drop(struct rc_groups *groups, struct rc_slice name);
/* So that the file is there from the start. */
int rc_groups_save(struct rc_groups *groups);

#endif
