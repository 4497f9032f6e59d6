/* What sim_collect.c and sim_verify.c share. */
#ifndef RC_CLI_SIM_COLLECT_H
#define RC_CLI_SIM_COLLECT_H

#include "cli/sim_verify.h"
#include "rollcall/client_status.h"

#include <stdatomic.h>

struct rc_consumer;

struct rc_sim_collector {
    const struct rc_sim_record *record;
    struct rc_consumer *consumer;
    struct rc_client_status *status;
    struct rc_sim_event *events; /* as they arrived */
    uint32_t count, cap;
    uint64_t others;
    atomic_uint_fast64_t ends;    /* channels of the fleet that have ended */
    atomic_uint_fast64_t last_ms; /* when the last message came */
};

#endif
