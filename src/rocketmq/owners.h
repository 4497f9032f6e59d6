/*
 * Whose a topic or a consumer group of the endpoint is: the instance whose rule or key pair used it first.
 * Kept in rollcall/owners beside the log, so that it stays so. Any thread; a mutex inside.
 */
#ifndef RC_ROCKETMQ_OWNERS_H
#define RC_ROCKETMQ_OWNERS_H

#include "base/error.h"
#include "catalog/catalog.h"

enum {
    RC_OWNERS_MAX = 300000,
    RC_OWNERS_EACH_MAX = 20000, /* topics and groups of one instance */
    RC_OWNERS_NAME_MAX = 255,
};

enum rc_owned { RC_OWNED_TOPIC = 't', RC_OWNED_GROUP = 'g' };

struct rc_owners;

/* `own_dir` is rc_store_own_dir's. Lines that make no sense are left out, with a warning. */
int rc_owners_open(int own_dir, struct rc_owners **ret, struct rc_error *error);
/* As they are now, beside a server that has them; they cannot be changed, and the file is not. */
int rc_owners_open_to_read(int own_dir, struct rc_owners **ret, struct rc_error *error);
void rc_owners_close(struct rc_owners *owners); /* NULL is harmless */

/* False when it is nobody's. */
bool rc_owners_find(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name,
                    char ret_instance[RC_CATALOG_ID_MAX + 1]);
/*
 * It is that instance's from now on, if it is nobody's or that of `from` (NULL: nobody's alone).
 * RC_ERR_DENIED: it is another's; RC_ERR_INVALID for a name that cannot be; RC_ERR_FULL: the instance has
 * RC_OWNERS_EACH_MAX names, or all have RC_OWNERS_MAX; RC_ERR_IO.
 */
int rc_owners_claim(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name,
                    struct rc_slice instance, const char *from);
/* It is nobody's. */
void rc_owners_drop(struct rc_owners *owners, enum rc_owned kind, struct rc_slice name);
/* Those of one instance, in no order, with the mutex held. */
void rc_owners_each(struct rc_owners *owners, enum rc_owned kind, struct rc_slice instance,
                    void (*visit)(struct rc_slice name, void *arg), void *arg);

#endif
