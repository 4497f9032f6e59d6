/*
 * The topics and consumer groups of a log's directory with their owners, read from its files, so beside a
 * server that has them, too. What the server and RocketMQ keep for themselves, deleted topics, and what is
 * there for the configuration file are left out.
 */
#ifndef RC_ROCKETMQ_NAME_LIST_H
#define RC_ROCKETMQ_NAME_LIST_H

#include "rocketmq/owners.h"

struct rc_listed_name {
    enum rc_owned kind;
    uint32_t queues, perm;             /* of a topic */
    char owner[RC_CATALOG_ID_MAX + 1]; /* an instance; empty: nobody */
    struct rc_slice name;
};

struct rc_name_list {
    uint32_t count;
    struct rc_listed_name *names; /* groups, then topics, each by name */
};

/* An empty list where no server ever was. rc_name_list_free afterwards, whatever was returned. */
int rc_name_list_read(const char *store_dir, struct rc_name_list *ret, struct rc_error *error);
void rc_name_list_free(struct rc_name_list *list);

#endif
