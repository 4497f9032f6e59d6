/* The roll's part of a broker. */
#ifndef RC_BROKER_ROLL_PRIVATE_H
#define RC_BROKER_ROLL_PRIVATE_H

#include "base/list.h"
#include "base/map.h"

struct rc_conn;
struct rc_broker;

/* How many clients of one group are online, or of one instance (then the group is empty). */
struct rc_roll_tally {
    struct rc_roll_tally *instance; /* of a group: its instance's; NULL for an instance's own */
    uint64_t online;
    uint32_t refs; /* clients and groups that count here */
    uint16_t key_len;
    char key[]; /* instance NUL group */
};

struct rc_roll {
    struct rc_map tallies;
    struct rc_list waiting; /* questions, the oldest first */
    uint32_t waiting_count;
};

void rc_roll_init(struct rc_roll *roll);
void rc_roll_free(struct rc_roll *roll);
/* The connection's channel is opening: its group is known from here on. */
void rc_roll_enrol(struct rc_conn *conn, struct rc_slice instance, struct rc_slice group);
/* It is gone. Harmless when it never enrolled. */
void rc_roll_strike(struct rc_conn *conn);
/* A client is online / is not any more (harmless when it never was). */
void rc_roll_enter(struct rc_conn *conn);
void rc_roll_leave(struct rc_conn *conn);
/* At the end of a turn: answers what has waited long enough. */
void rc_roll_answer_waiting(struct rc_broker *broker);

#endif
