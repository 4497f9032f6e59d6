/*
 * A fleet of simulated devices on one loop: comes up and goes down at a stated rate that does not wait for
 * the server (open loop), and records what it did. All on the loop's thread.
 */
#ifndef RC_CLI_SIM_FLEET_H
#define RC_CLI_SIM_FLEET_H

#include "cli/sim_record.h"
#include "loop/loop.h"
#include "net/address.h"

enum rc_sim_pattern {
    RC_SIM_HOLD,     /* all come, stay, and go in the end */
    RC_SIM_CHURN,    /* one after the other comes, stays a while and leaves, over and over */
    RC_SIM_FLAP,     /* likewise, but each loses its connection and is back at once, several times */
    RC_SIM_TAKEOVER, /* likewise, but each comes again while its last connection is still there */
    RC_SIM_CUT,      /* like churn, but they vanish: reset, without DISCONNECT */
};

struct rc_sim_fleet_options {
    struct rc_address server;
    const char *instance, *access_key, *secret_key;
    uint32_t clients;
    enum rc_sim_pattern pattern;
    double rate;          /* arrivals a second */
    double end_rate;      /* departures a second once the duration is over */
    uint64_t duration_ms; /* of arriving and staying; 0 = until rc_sim_fleet_finish */
    uint64_t stay_ms;     /* how long a client stays, where the pattern lets it go */
    uint64_t timeout_ms;  /* for CONNACK */
    uint32_t flaps;       /* RC_SIM_FLAP: connections an arrival */
    uint16_t keep_alive_s;
    uint32_t sources; /* loopback addresses to come from: 127.1.0.1 and up; 0 = the system's choice */
};

struct rc_sim_tally {
    uint64_t started, accepted, refused, not_reached, unanswered;
    uint64_t ends[RC_SIM_END_TIMEOUT + 1];
    uint64_t missed; /* arrivals that found their client still there: the rate was not kept */
    uint32_t up, up_max;
    uint32_t connections; /* under way or up */
    uint8_t last_refusal; /* code of the last CONNACK that was not 0 */
};

struct rc_sim_fleet;

/* `record` is written to until the fleet is destroyed. `on_done` runs when the last connection has ended. */
struct rc_sim_fleet *rc_sim_fleet_create(struct rc_loop *loop, const struct rc_sim_fleet_options *options,
                                         struct rc_sim_record *record, void (*on_done)(void *arg), void *arg);
void rc_sim_fleet_start(struct rc_sim_fleet *fleet);
/* No more arrivals: the departure begins. Again: all that is left goes at once. */
void rc_sim_fleet_finish(struct rc_sim_fleet *fleet);
const struct rc_sim_tally *rc_sim_fleet_tally(const struct rc_sim_fleet *fleet);
bool rc_sim_fleet_is_leaving(const struct rc_sim_fleet *fleet);
void rc_sim_fleet_destroy(struct rc_sim_fleet *fleet);

#endif
