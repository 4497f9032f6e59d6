/*
 * What the session store's values mean: one struct a kind of record, with its encoder and decoder. A decoder
 * takes any bytes: RC_OK, or RC_ERR_CORRUPT with the outputs untouched. Slices point into what was decoded.
 *
 * Numbers are big-endian; a string is its length in four bytes and its bytes. Times are of the wall clock, in
 * milliseconds, for no other clock means anything to the next run.
 */
#ifndef RC_SESSION_STORE_SESSION_RECORD_H
#define RC_SESSION_STORE_SESSION_RECORD_H

#include "base/buf.h"

enum {
    RC_RECORD_STRING_MAX = 256 << 20, /* the largest packet of MQTT */
    RC_RECORD_IDS_MAX = 1024,         /* subscription identifiers of one message */
};

/* A message: what goes to the receivers, and until when. */
struct rc_message_record {
    struct rc_slice topic, payload, props; /* props: encoded as in PUBLISH, without those of one connection */
    int64_t expires_ms;                    /* 0: never */
    uint8_t qos;
    bool retain;
};

struct rc_session_record {
    struct rc_slice instance, client_id;
    uint32_t expiry_s;
    uint32_t owner;    /* whose it is; of no meaning here */
    uint32_t window;   /* how many messages its client may have unacknowledged */
    uint64_t next_seq; /* the first message that was not yet sent when the client left */
    bool is_connected;
    int64_t left_ms; /* when the client left; of no meaning while it is connected */
    bool has_will;
    uint32_t will_delay_s;
    struct rc_message_record will;
};

struct rc_subscription_record {
    struct rc_slice filter;
    uint32_t id;
    uint8_t options;
};

/* To one session. A released one (QoS 2, PUBREC has come) has no message any more. */
struct rc_outgoing_record {
    uint64_t origin;        /* the session that published it at QoS 2; 0: none that is kept */
    uint64_t origin_number; /* which of that one's messages it is; they only grow */
    bool is_released;
    uint8_t qos;
    bool retain;
    struct rc_slice share; /* the whole filter of the shared subscription that it came through; empty: none */
    uint32_t ids_count;
    uint32_t ids[RC_RECORD_IDS_MAX];
    struct rc_message_record message;
};

/* `epoch` and `stamp` say which of two is the newer one: of runs, then within a run. No payload: a deletion.
 */
struct rc_retained_record {
    uint64_t epoch, stamp;
    struct rc_slice instance;
    struct rc_message_record message;
};

/* RC_OK or RC_ERR_FULL. */
int rc_session_record_put(struct rc_buf *out, const struct rc_session_record *record);
int rc_subscription_record_put(struct rc_buf *out, const struct rc_subscription_record *record);
int rc_outgoing_record_put(struct rc_buf *out, const struct rc_outgoing_record *record);
int rc_retained_record_put(struct rc_buf *out, const struct rc_retained_record *record);

int rc_session_record_get(struct rc_slice in, struct rc_session_record *ret);
int rc_subscription_record_get(struct rc_slice in, struct rc_subscription_record *ret);
int rc_outgoing_record_get(struct rc_slice in, struct rc_outgoing_record *ret);
int rc_retained_record_get(struct rc_slice in, struct rc_retained_record *ret);

/* Whether the first of two encoded retained records is older than the second. */
bool rc_retained_record_is_older(struct rc_slice a, struct rc_slice b);

#endif
