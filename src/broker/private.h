/* What the files of this room share. */
#ifndef RC_BROKER_PRIVATE_H
#define RC_BROKER_PRIVATE_H

#include "auth/mqtt_auth.h"
#include "broker/access.h"
#include "broker/broker.h"
#include "broker/delivery.h"
#include "broker/held.h"
#include "broker/identity.h"
#include "broker/inflow.h"
#include "broker/outflow.h"
#include "broker/persist.h"
#include "broker/roll_private.h"
#include "broker/retained.h"
#include "broker/routing.h"
#include "broker/shared.h"
#include "broker/subscriptions.h"
#include "broker/sys_topics.h"
#include "broker/tokens.h"
#include "broker/topic_alias.h"
#include "broker/trace.h"
#include "mqtt/packet.h"
#include "net/admission.h"
#include "net/output.h"
#include "net/stream.h"
#include "net/transport.h"

enum {
    RC_SCRATCH_BYTES = 64 * 1024,
    RC_READS_PER_WAKE = 4,
    RC_SESSION_KEY_MAX = RC_CATALOG_ID_MAX + 1 + RC_CLIENT_ID_MAX,
};

struct rc_session;
struct rc_login;

/* What is known of a client between its CONNECT and its session. */
struct rc_arrival {
    struct rc_auth_client client; /* of `catalog`, which the login was checked against */
    struct rc_catalog *catalog;
    struct rc_login *login; /* while its password is being verified */
    char client_id[];       /* NUL-terminated, never empty */
};

/* What few connections have: made when it is first needed, so that the others have a pointer less for each.
 */
struct rc_conn_rare {
    struct rc_hold *hold;             /* while a part of the output waits for the session store */
    struct rc_topic_aliases *aliases; /* version 5, once one is used */
    struct rc_client_tokens *tokens;  /* of one that came by token */
    char *certificate;                /* that it has shown, as rc_certificate_check names it */
};

/* A connection: from accept to the end of its channel. `session` is set once the client is known. */
struct rc_conn {
    struct rc_stream stream;
    struct rc_output output;
    struct rc_broker *broker; /* the owner now; changes once, when it moves */
    struct rc_buf
        *partial; /* the start of a packet that has not come whole, or input that may not be read yet */
    struct rc_timer timer; /* for CONNECT, then for keep-alive */
    struct rc_list node;   /* among the shard's connections: those of clients, or those still connecting */
    union {
        struct rc_list dirty; /* output to flush, or to be freed, at the end of the turn */
        struct rc_mail mail;  /* while it moves */
    };
    struct rc_session *session;
    struct rc_arrival *arrival; /* NULL before CONNECT, and once the session is open */
    struct rc_conn_rare *rare;  /* what most connections never have; NULL: nothing of it */
    struct rc_channel channel;
    struct rc_roll_tally *tally;  /* from the opening of its channel on */
    struct rc_identity *identity; /* from the opening of its channel on */
    uint32_t keep_alive_ms;       /* 1.5 times the client's; 0: none */
    uint32_t max_packet_out;      /* bytes that the client takes in one packet; UINT32_MAX: any */
    uint16_t receive_max;         /* QoS 1 and 2 messages that the client takes unacknowledged */
    uint16_t alias_max_out;       /* topic aliases that the client takes; 0: none */
    uint8_t version;              /* RC_MQTT_V*, 0 before CONNECT */
    bool problem_information : 1; /* version 5: reason strings may be sent */
    /* What CONNACK tells because it is not as the client asked. */
    bool is_id_assigned : 1, is_keep_alive_ours : 1, is_expiry_ours : 1;
    bool session_present : 1;
    bool is_in_handshake : 1;
    bool is_on_roll : 1;
    bool is_listed : 1, is_dirty : 1, is_dead : 1, is_connecting : 1;
    bool has_last_word : 1;         /* something was sent that tells why it is closed */
    struct rc_transport *transport; /* of the listener that it came by; NULL: plain TCP without limits */
    union {
        struct rc_opening *opening;   /* while is_in_handshake */
        struct rc_throttle *throttle; /* later; NULL while the client is within its rate */
    };
};

/* Made when it is not there yet. */
struct rc_conn_rare *rc_conn_rare(struct rc_conn *conn);
/* The certificate that the client has shown; NULL: none. */
static inline const char *rc_conn_certificate(const struct rc_conn *conn)
{
    return conn->rare != NULL ? conn->rare->certificate : NULL;
}

/* When the last whole packet came, monotonic. The channel keeps it; once the connection is closed, by the
 * wall clock. */
static inline uint64_t rc_conn_active_ms(const struct rc_conn *conn)
{
    return (uint64_t)conn->channel.last_active_ms;
}

struct rc_broker {
    struct rc_broker_options options;
    struct rc_broker_counters counters;
    struct rc_log_sender *sender;
    struct rc_presence *presence;
    struct rc_catalog *catalog;
    uint32_t catalog_generation; /* one more with each catalog */
    struct rc_access_memo access_memos[RC_ACCESS_MEMOS];
    struct rc_map identities; /* struct rc_identity */
    struct rc_map sessions;
    struct rc_subscriptions subscriptions;
    struct rc_admission own_admission; /* where the options name none */
    uint64_t opening_ns;               /* spent on handshakes in this turn */
    struct rc_list connecting;         /* connections without a client, the oldest first */
    uint32_t connecting_count;
    size_t connecting_bytes; /* of first packets that have not come whole */
    struct rc_list conns, dirty, dead;
    struct rc_list leaving; /* closed, their tcpclean not yet in the log */
    struct rc_sys sys;
    struct rc_list review; /* of conns: those to be gone through after a reload */
    struct rc_timer review_timer;
    struct rc_list absent;        /* sessions without a connection, the longest absent first */
    struct rc_list wills;         /* those that are due */
    struct rc_list wills_waiting; /* ... and for which the log has no room, in the order of their coming */
    size_t will_bytes;            /* of all wills */
    struct rc_list lingering;
    uint32_t lingering_count;
    struct rc_roll roll;
    struct rc_hook hook;
    struct rc_timer sweep;
    atomic_uint forwards_in;              /* publishes posted to this broker and not yet delivered */
    struct rc_parcel **parcels;           /* of this turn, by shard; NULL while there were none */
    _Atomic(struct rc_parcel *) returned; /* delivered by others */
    struct rc_publication_pool publications;
    size_t queued_bytes; /* of messages that sessions hold, waiting or under way */
    struct rc_map held;  /* struct rc_held: those that wait, by instance */
    bool was_full;       /* a session could not hold the last message that was routed */
    struct rc_retained retained;
    struct rc_persist persist;
    struct rc_shares shares;
    struct rc_outflow outflow;
    struct rc_tracer tracer;
    struct rc_list inflows; /* messages that wait, in the order of their coming */
    uint64_t publish_stamp;
    uint64_t session_numbers;   /* given so far */
    struct rc_matches *matches; /* scratch of routing */
    uint64_t refused_told_ms;   /* when clients refused for the log were told of; 0: never */
    uint64_t refused_since;
    bool is_stopping;
    void (*on_stopped)(void *arg);
    void *on_stopped_arg;
    uint8_t scratch[RC_SCRATCH_BYTES];
};

/* ---- connection.c ---- */
struct rc_conn *rc_conn_of_channel(struct rc_channel *channel);
/* Ends it without a word (rc_conn_disconnect tells the client why). `client_said_so`: a DISCONNECT came.
 * `reason` is a literal, told in the event. Safe at any time; the memory goes later. */
void rc_conn_close(struct rc_conn *conn, bool client_said_so, const char *reason);
/* Sends what waits, as far as it goes: 0 or as rc_output_flush. */
int rc_conn_flush(struct rc_conn *conn);
/* Output was added: flush it at the end of the turn. */
void rc_conn_touch(struct rc_conn *conn);
/* Takes over a connection on its new owner's loop, or goes on where it was accepted. */
void rc_conn_arrive(struct rc_broker *broker, struct rc_conn *conn);
/* CONNECT was accepted: it waits for the log. The caller has made the channel. */
void rc_conn_opening(struct rc_conn *conn);
/* The client is online: CONNACK goes out, what its session has for it, and reading begins. */
void rc_conn_online(struct rc_conn *conn);
/* It leaves this shard: nothing here knows of it any more. */
void rc_conn_unlist(struct rc_conn *conn);
void rc_conn_free(struct rc_conn *conn);
/* Puts it among the connections of `list`, on its owner's thread. */
void rc_conn_list(struct rc_broker *broker, struct rc_conn *conn, struct rc_list *list);
/* Reads what is there; the connection may be gone or elsewhere afterwards. */
void rc_conn_read(struct rc_conn *conn);
/* Reads into the broker's scratch, which the next read of any connection writes over: as rc_stream_read. */
ssize_t rc_conn_fill_scratch(struct rc_conn *conn);
/* Of its watch, once MQTT has begun. */
void rc_conn_on_ready(struct rc_watch *watch, uint32_t events);
/* Handles what was read: whole packets at once, the rest is kept. */
void rc_conn_consume(struct rc_conn *conn, struct rc_slice in);

/* ---- accept.c ---- */
/* It ends: others may come in its place. */
void rc_conn_leave(struct rc_conn *conn);
/* `len` bytes came from the client: true when nothing is read now, because that was faster than it may. */
bool rc_conn_throttle(struct rc_conn *conn, size_t len);
/* For that reason nothing is read now; of one whose MQTT has begun. */
bool rc_conn_is_throttled(const struct rc_conn *conn);

/* ---- connect.c ---- */
/* The first packet(s) of a connection that is not a client yet: bytes used, 0 needs more, < 0 it was closed,
 * or moved away, or waits for the log (then `in` from the CONNECT on has been kept where needed). */
int64_t rc_connect_handle(struct rc_conn *conn, struct rc_slice in);
/* The login was checked: opens session and channel here. `in` starts with the CONNECT. */
void rc_connect_open(struct rc_conn *conn, struct rc_slice in);

/* ---- login.c ---- */
/*
 * Checks a login as rc_auth_mqtt does. RC_AUTH_NEEDS_PASSWORD: it is being verified; `in`, which starts with
 * the CONNECT, was kept, and will be handled again when the answer is there.
 */
enum rc_auth_result rc_login_check(struct rc_conn *conn, const struct rc_auth_login *login,
                                   struct rc_slice in, struct rc_auth_client *ret_client);
/* The connection goes: nobody waits for that answer any more. */
void rc_login_abandon(struct rc_conn *conn);

/* ---- review.c ---- */
/* RC_MQTT_SUCCESS, or why this client may not be here by the broker's catalog. */
uint8_t rc_review_verdict(const struct rc_conn *conn);
/* Takes from the client's session what it may not read (any more): false when there was any. */
bool rc_review_subscriptions(struct rc_conn *conn);
/* Its client is back: the same, and what came meanwhile for what it may not read. */
void rc_review_return(struct rc_conn *conn);
void rc_review_init(struct rc_broker *broker);
/* The catalog has changed: closes who lost his right by it, in this turn and the next ones. */
void rc_review_start(struct rc_broker *broker, const struct rc_catalog_change *change);
/* All connections stand in `conns` again. */
void rc_review_stop(struct rc_broker *broker);

/* The client is known, or is not to be: forgets its arrival. Harmless without one. */
void rc_arrival_end(struct rc_conn *conn);

/* ---- connack.c ---- */
/* The session is open: false, and nothing was sent, when the client takes no packet of that size. */
bool rc_connack_accept(struct rc_conn *conn);
/*
 * Answers a CONNECT that is not accepted, and closes. `reason` is version 5's code; older versions are told
 * the nearest of theirs. `text` (NULL: none) goes to version 5 as the reason string; `why` is a literal, told
 * in the event where the channel is open.
 */
void rc_connack_refuse(struct rc_conn *conn, uint8_t reason, const char *text, const char *why);

/* ---- disconnect.c ---- */
/*
 * The server ends it: tells a client of version 5 why (older ones are told nothing) and closes. `reason_code`
 * is one that a server may send in DISCONNECT; `reason` is a literal, told in the event. Safe at any time; a
 * client that has no CONNACK yet gets one with the reason, or nothing where that cannot say it.
 */
void rc_conn_disconnect(struct rc_conn *conn, uint8_t reason_code, const char *reason);
/* DISCONNECT came: the connection is closed. */
void rc_disconnect_handle(struct rc_conn *conn, const struct rc_mqtt_reasoned *packet);

/* ---- linger.c ---- */
/* Closes a stream so that what was written last arrives; takes it, as rc_stream_close does. */
void rc_linger_close(struct rc_broker *broker, struct rc_stream *stream);
/* Ends all that still linger. */
void rc_lingering_free(struct rc_broker *broker);

/* ---- packets.c ---- */
/* A packet of a client, which may be changed: false when the connection was closed. */
bool rc_packet_handle(struct rc_conn *conn, struct rc_mqtt_packet *packet);
/* PUBACK, PUBREC, PUBREL or PUBCOMP; `reason` is for version 5. */
void rc_conn_put_ack(struct rc_conn *conn, uint8_t type, uint16_t packet_id, uint8_t reason);
/* A line in the log about a client. */
void rc_packet_log(struct rc_conn *conn, const char *what, struct rc_slice topic);
/* Close the connection of a client that does what it may not; false, for the caller to return. */
bool rc_packet_not_authorized(struct rc_conn *conn, const char *what, struct rc_slice topic);
bool rc_packet_protocol_error(struct rc_conn *conn, uint8_t reason_code, const char *what);

/* ---- subscribe.c ---- */
/* False when the connection was closed. */
bool rc_subscribe_handle(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet);
bool rc_unsubscribe_handle(struct rc_conn *conn, const struct rc_mqtt_subscribe *packet);
/* False when there was no such subscription. */
bool rc_session_unsubscribe(struct rc_broker *broker, struct rc_session *session, struct rc_slice filter);
/* NULL when there is none. */
struct rc_subscription *rc_session_subscription(struct rc_session *session, struct rc_slice filter);
/*
 * The properties of an acknowledgement, which is `packet_len` bytes long (or a little less) without: the
 * reason string where the reason is a failure, the client wants to be told and takes so much; else nothing.
 */
void rc_conn_put_reason(const struct rc_conn *conn, uint8_t reason, size_t packet_len, struct rc_buf *out);
void rc_conn_put_suback(struct rc_conn *conn, uint16_t packet_id, struct rc_slice codes);
void rc_session_restore_subscription(struct rc_broker *broker, struct rc_session *session, uint32_t number,
                                     const struct rc_subscription_record *record);
void rc_session_drop_subscriptions(struct rc_broker *broker, struct rc_session *session);

/* ---- session.c ---- */
/* What a session without a will that ends with its connection never has. */
struct rc_session_rare {
    struct rc_absence *absence;    /* NULL while the client is there */
    struct rc_will *will;          /* NULL: none */
    uint64_t store_id;             /* in the session store; 0: it is not kept there */
    uint32_t subscription_numbers; /* given in the session store */
};

struct rc_session {
    struct rc_conn *conn;                  /* NULL while the client is absent */
    struct rc_delivery *delivery;          /* what is on its way; NULL while there is nothing */
    struct rc_subscription *subscriptions; /* linked by the session */
    struct rc_session_rare *rare;          /* NULL: nothing of it */
    uint64_t number;                       /* no other session of this run has it, on any shard; not 0 */
    uint64_t stamp;                        /* of the last publication that matched it */
    uint32_t match_at;                     /* where, among that one's matches */
    uint32_t refs;                         /* the table, the connection, wills that are due */
    uint32_t owner;                        /* whose it is (struct rc_identity); 0: not known */
    uint32_t expiry_s; /* how long it outlives its connection; 0: not at all; UINT32_MAX: for ever */
    uint16_t subscription_count, shared_count;
    bool is_listed; /* it is in the table: it has not ended */
    uint16_t instance_len;
    uint16_t key_len;
    char key[]; /* instance NUL client id NUL */
};

/* Made when it is not there yet. */
struct rc_session_rare *rc_session_rare(struct rc_session *session);

static inline struct rc_will *rc_session_will(const struct rc_session *session)
{
    return session->rare != NULL ? session->rare->will : NULL;
}

static inline uint64_t rc_session_store_id(const struct rc_session *session)
{
    return session->rare != NULL ? session->rare->store_id : 0;
}
/* NULL when there is none. */
struct rc_session *rc_session_find(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_slice client_id);
const char *rc_session_client_id(const struct rc_session *session);
struct rc_slice rc_session_instance(const struct rc_session *session);
/*
 * The client's session: an existing one with its connection taken over, or a new one; with one reference for
 * the caller, who sets its expiry and its will when the client is let in, and calls rc_session_leave when it
 * is not. With `is_clean` the old one ends, and its will is sent.
 */
struct rc_session *rc_session_open(struct rc_broker *broker, struct rc_slice instance,
                                   struct rc_slice client_id, bool is_clean, bool *ret_present);
/*
 * Its connection has ended. The session ends with it, or later (expiry_s); its will is due then or after its
 * own delay, whichever comes first.
 */
void rc_session_leave(struct rc_broker *broker, struct rc_session *session);
void rc_session_unref(struct rc_session *session);
/* How long a session is kept (seconds) for a client of version 5 that asks for so much. */
uint32_t rc_session_expiry(const struct rc_limits *limits, uint32_t asked_s);
/* When its client left, by the wall clock; 0 while it is there. */
int64_t rc_session_left_ms(const struct rc_session *session);
/* At the start: a session as the store has it, without an end yet / all that it has is there. */
struct rc_session *rc_session_restore(struct rc_broker *broker, struct rc_slice instance,
                                      struct rc_slice client_id);
void rc_session_restored(struct rc_broker *broker, struct rc_session *session, int64_t left_ms);
/* Frees those of absent clients without a word: the broker ends. */
void rc_sessions_free_absent(struct rc_broker *broker);

/* ---- wills.c ---- */
struct rc_will {
    struct rc_list node;        /* among the broker's, when it is due */
    struct rc_session *session; /* when it is due: whose it was, with a reference */
    struct rc_broker *broker;
    uint32_t delay_s;
    uint32_t props_len;
    uint16_t topic_len, payload_len;
    uint8_t qos;
    bool retain;
    uint8_t bytes[]; /* topic, payload, properties as in a PUBLISH */
};
/* The will of the session's new connection (NULL: none) in the place of the old one, which is not sent. */
void rc_will_set(struct rc_broker *broker, struct rc_session *session, const struct rc_mqtt_connect *connect);
/* Whether the shard holds one more will such as this. */
bool rc_will_has_room(const struct rc_broker *broker, const struct rc_mqtt_connect *connect);
/* The will as the store has it. */
void rc_will_restore(struct rc_broker *broker, struct rc_session *session, uint32_t delay_s,
                     const struct rc_message_record *message);
void rc_will_drop(struct rc_session *session);
/* Whether the connection's client may (still) publish its will; true without one. */
bool rc_will_is_allowed(struct rc_conn *conn);
/* It is due: published when the turn ends. Harmless without a will. */
void rc_will_send(struct rc_broker *broker, struct rc_session *session);
/* At the end of a turn: publishes those that are due; false when there were none. */
bool rc_wills_publish(struct rc_broker *broker);
/* Those that waited for the log are due again, when it takes something. */
void rc_wills_retry(struct rc_broker *broker);
void rc_wills_free(struct rc_broker *broker);

#endif
