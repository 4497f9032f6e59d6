/*
 * What the simulator did: one entry a connection. In memory while it runs; as JSON lines in a file, so that
 * the events can be compared later or by another program. One thread.
 */
#ifndef RC_CLI_SIM_RECORD_H
#define RC_CLI_SIM_RECORD_H

#include "base/error.h"
#include "base/slice.h"

enum {
    RC_SIM_CLIENT_ID_MAX = 128,
    RC_SIM_CONNECTIONS_MAX = 20 * 1000 * 1000, /* entries of one run */
};

enum rc_sim_outcome {
    RC_SIM_UNANSWERED, /* no CONNACK: the server may or may not have taken it in */
    RC_SIM_ACCEPTED,
    RC_SIM_REFUSED,     /* CONNACK with a code */
    RC_SIM_NOT_REACHED, /* the TCP connection was refused or could not be made */
};

/* Who ended the connection, and how. */
enum rc_sim_end {
    RC_SIM_END_NONE,     /* it is still there */
    RC_SIM_END_LEAVE,    /* DISCONNECT, then FIN */
    RC_SIM_END_CLOSE,    /* FIN without a word */
    RC_SIM_END_CUT,      /* RST */
    RC_SIM_END_TAKEOVER, /* the server, after a newer connection of the same client */
    RC_SIM_END_SERVER,   /* the server, for a reason of its own */
    RC_SIM_END_TIMEOUT,  /* given up: no CONNACK in time */
};

struct rc_sim_entry {
    uint32_t client; /* number in the fleet */
    uint8_t outcome; /* enum rc_sim_outcome */
    uint8_t code;    /* of CONNACK */
    uint8_t end;     /* enum rc_sim_end */
    bool is_v6;
    uint16_t local_port;
    uint8_t local_addr[16];
    uint64_t dial_us;    /* since the record's start, monotonic */
    uint64_t connect_us; /* CONNECT was sent; 0 = never */
    uint64_t answer_us;  /* CONNACK came; 0 = never */
    uint64_t end_us;     /* closed by us, or its end was seen; 0 = never */
};

struct rc_sim_record {
    char group[RC_SIM_CLIENT_ID_MAX], prefix[RC_SIM_CLIENT_ID_MAX];
    uint32_t clients;
    int64_t wall_start_ms;
    uint64_t mono_start_us;
    struct rc_sim_entry *entries;
    uint32_t count, cap;
};

/* Starts the clocks. The texts are checked to fit: RC_ERR_TOO_LARGE. */
int rc_sim_record_init(struct rc_sim_record *record, const char *group, const char *prefix, uint32_t clients);
void rc_sim_record_free(struct rc_sim_record *record);

uint64_t rc_sim_record_now_us(const struct rc_sim_record *record);
/* The index of a new, zeroed entry; RC_SIM_CONNECTIONS_MAX when there is no room. Moves the entries. */
uint32_t rc_sim_record_add(struct rc_sim_record *record);

/* "<group>@@@<prefix>-<number>" */
void rc_sim_client_id(const struct rc_sim_record *record, uint32_t client,
                      char out[RC_SIM_CLIENT_ID_MAX * 2 + 16]);
/* The number of a clientId of this fleet; false for others. */
bool rc_sim_client_number(const struct rc_sim_record *record, struct rc_slice client_id, uint32_t *ret);

/* "ip:port" as events have it. */
const char *rc_sim_entry_address(const struct rc_sim_entry *entry, char out[64]);

/* The other way; the rest of `ret_addr` stays as it is. */
bool rc_sim_address_parse(const char *text, bool *ret_is_v6, uint8_t ret_addr[16], uint16_t *ret_port);

const char *rc_sim_end_name(enum rc_sim_end end);

int rc_sim_record_write(const struct rc_sim_record *record, const char *path, struct rc_error *error);
int rc_sim_record_read(struct rc_sim_record *record, const char *path, struct rc_error *error);

#endif
