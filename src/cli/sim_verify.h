/*
 * Compares what a fleet did with the events that came of it. Collecting runs on the consumer's thread; the
 * rest on the caller's, once that has been stopped.
 */
#ifndef RC_CLI_SIM_VERIFY_H
#define RC_CLI_SIM_VERIFY_H

#include "cli/sim_record.h"
#include "cli/sim_stats.h"

enum { RC_SIM_EVENTS_MAX = 4 * RC_SIM_CONNECTIONS_MAX };

struct rc_sim_event {
    uint32_t client;
    uint8_t type; /* enum rc_client_event_type */
    bool is_v6;
    bool is_recovered; /* a tcpclean that the server wrote at the start after a crash */
    uint16_t port;
    uint8_t addr[16];
    uint32_t queue;
    uint64_t channel; /* hash of the channelId */
    uint64_t offset;
    int64_t time_ms;
    uint64_t arrived_us; /* since the record's start */
};

struct rc_sim_collector;

struct rc_sim_collector_options {
    const char *endpoint, *topic, *access_key, *secret_key;
};

/* Starts consuming, from where the record starts. The record's head is read until the stop. */
int rc_sim_collector_start(const struct rc_sim_collector_options *options, const struct rc_sim_record *record,
                           struct rc_sim_collector **ret, struct rc_error *error);
/* Waits until queues are being read; false when that took longer. */
bool rc_sim_collector_wait_ready(const struct rc_sim_collector *collector, uint64_t timeout_ms);
/* Waits until `ends` channels have ended, or nothing has come for `idle_ms`. */
void rc_sim_collector_wait_ends(const struct rc_sim_collector *collector, uint64_t ends, uint64_t idle_ms);
/* Ends consuming; what was collected stays. */
void rc_sim_collector_stop(struct rc_sim_collector *collector);
void rc_sim_collector_destroy(struct rc_sim_collector *collector);

struct rc_sim_verdict {
    uint64_t events, redelivered, others; /* others: not of this fleet, or not of this run */
    uint64_t expected, complete; /* accepted connections / those with exactly their events, in order */
    uint64_t missing_connect, missing_end;
    uint64_t repeated;       /* one channel's event stands in the log twice */
    uint64_t disordered;     /* connect, disconnect, tcpclean not in this order, or times do not grow */
    uint64_t wrong_goodbyes; /* a disconnect without a goodbye, or the other way round */
    uint64_t overlapping;    /* a connect while an earlier connection of the client had not ended */
    uint64_t split;          /* clients whose events stand in several queues */
    uint64_t unexplained;    /* channels that belong to no connection that could have been accepted */
    uint64_t wrong_status;   /* clients whose status in the end is not what the fleet knows */
    struct rc_sim_percentiles connect_to_event, close_to_event; /* of a live run */
};

/* Reorders what was collected. */
void rc_sim_verify(const struct rc_sim_record *record, struct rc_sim_collector *collector, bool is_live,
                   struct rc_sim_verdict *ret);
bool rc_sim_verdict_is_good(const struct rc_sim_verdict *verdict);
void rc_sim_verdict_print(const struct rc_sim_verdict *verdict, bool is_live);
void rc_sim_verdict_json(struct rc_json *json, const struct rc_sim_verdict *verdict, bool is_live);

/* ---- for tests: a collector without a consumer ---- */
struct rc_sim_collector *rc_sim_collector_create(const struct rc_sim_record *record);
/* Takes in the body of one message. */
void rc_sim_collector_add(struct rc_sim_collector *collector, const void *body, size_t len, bool is_recovered,
                          uint32_t queue, uint64_t offset, uint64_t arrived_us);

#endif
