/* Finding the consume queues that a directory holds. */
#ifndef RC_STORE_QUEUE_LOAD_H
#define RC_STORE_QUEUE_LOAD_H

#include "store/topics.h"

/*
 * Reads the names under consumequeue/ and makes the queues (and topics) that they stand for, with the files
 * they have; min and end are not yet known. Files must have the configured size and follow each other.
 */
int rc_queues_load(struct rc_queues *queues, struct rc_topics *topics, struct rc_error *error);

#endif
