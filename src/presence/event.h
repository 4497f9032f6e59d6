/*
 * A presence event as a message: the documented body, and what only Rollcall knows as user properties. No
 * I/O.
 */
#ifndef RC_PRESENCE_EVENT_H
#define RC_PRESENCE_EVENT_H

#include "base/buf.h"

enum { RC_CHANNEL_ID_LEN = 16, RC_CHANNEL_HEX_LEN = 32, RC_UNIQ_KEY_LEN = 32 };

#define RC_EVENT_TYPE_MAP(X)                                                                                 \
    X(RC_EVENT_CONNECT, "connect")                                                                           \
    X(RC_EVENT_DISCONNECT, "disconnect")                                                                     \
    X(RC_EVENT_TCPCLEAN, "tcpclean")

enum rc_event_type {
#define X(name, text) name,
    RC_EVENT_TYPE_MAP(X)
#undef X
};

const char *rc_event_type_text(enum rc_event_type type);
/* RC_ERR_INVALID for any other text. */
int rc_event_type_parse(struct rc_slice text, enum rc_event_type *ret);

#define RC_PROP_NODE "rcNode" /* marks a presence record: nobody else may send a message with it */
#define RC_PROP_INSTANCE "rcInstance"
#define RC_PROP_REASON "rcReason"
#define RC_PROP_SEQUENCE "rcSequence"
#define RC_PROP_DURATION "rcDurationMs"
#define RC_PROP_LAST_ACTIVE "rcLastActiveMs"
#define RC_PROP_PROTOCOL "rcProtocol"
#define RC_PROP_REPLAY                                                                                       \
    "rcReplay" /* "1": an event that was told before, told again (rc_presence_announce)                      \
                */

/*
 * Its texts should hold no control characters: nothing here looks for them. Presence's own cannot. Recovery's
 * come from the log, so it leaves the look to rc_message_encode (props_are_sound stays false).
 */
struct rc_event {
    enum rc_event_type type;
    int64_t time_ms;
    uint8_t channel_id[RC_CHANNEL_ID_LEN];
    struct rc_slice client_id_json; /* escaped as it stands between the quotes */
    struct rc_slice keys;           /* client id, percent-encoded where it must be */
    struct rc_slice client_ip;      /* ip:port */
    struct rc_slice certificate_sn; /* of clients with a certificate; empty: none */
    uint32_t sequence;              /* 1.. within the channel */
    struct rc_slice instance;
    struct rc_slice node;
    struct rc_slice reason;   /* empty: none */
    struct rc_slice protocol; /* empty: unknown */
    int64_t connect_ms;       /* time of the channel's connect, 0 when unknown */
    int64_t last_active_ms;   /* 0 when unknown */
    bool is_replay;           /* rcReplay */
};

/* Nearly all client ids are such: nothing in them has to be escaped, in JSON or in KEYS. */
bool rc_event_is_plain(struct rc_slice client_id);
/* What every event of a client has in common, prepared once: both append to their buffer. */
int rc_event_put_client_id_json(struct rc_buf *out, struct rc_slice client_id);
int rc_event_put_keys(struct rc_buf *out, struct rc_slice client_id);

/* What body and properties may need above the event's texts. */
enum { RC_EVENT_MORE = 384 };

/*
 * Appends body and properties, and tells where they are for as long as `out` is left alone. 0; or RC_ERR_FULL
 * when there is no room for the event's texts and RC_EVENT_MORE.
 */
int rc_event_put(struct rc_buf *out, const struct rc_event *event, struct rc_slice *ret_body,
                 struct rc_slice *ret_props);

/*
 * Milliseconds since the local month of `ms` began: bytes 10 to 13 of a UNIQ_KEY, from which RocketMQ's
 * clients take the days that they look a key up in.
 */
uint32_t rc_event_month_ms(int64_t ms);
/* RC_UNIQ_KEY_LEN upper-case hex digits, no NUL. */
void rc_event_uniq_key(const struct rc_event *event, char *out);

/* Takes a body apart again; strict: exactly what rc_event_put writes. 0 or RC_ERR_CORRUPT. */
int rc_event_parse_body(struct rc_slice body, struct rc_event *ret);

#endif
