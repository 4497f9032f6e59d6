/*
 * Who is online, worked out from presence events (connect, disconnect, tcpclean) that may arrive twice, late
 * or in any order. A client is online while one of its channels (TCP connections) has been connected and has
 * not been cleaned. Channels that have ended are remembered for a while, bounded by time and by number, so
 * that an event delivered again cannot bring an old connection back to life.
 *
 * One thread at a time: the store has no lock. The callbacks run inside of the call that caused them and must
 * not change the store. Text is UTF-8 and NUL-terminated; the store copies what it keeps. Views handed out
 * live until the next call that changes the store.
 */
#ifndef ROLLCALL_CLIENT_STATUS_H
#define ROLLCALL_CLIENT_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum {
    RC_CLIENT_STATUS_ID_MAX = 256,     /* bytes in a clientId or channelId */
    RC_CLIENT_STATUS_BODY_MAX = 65536, /* bytes in an event's JSON */
};

enum rc_client_event_type {
    RC_CLIENT_EVENT_CONNECT,
    RC_CLIENT_EVENT_DISCONNECT, /* the client said goodbye; its connection is still there */
    RC_CLIENT_EVENT_TCPCLEAN,   /* the connection is gone */
};

struct rc_client_event {
    enum rc_client_event_type type;
    const char *client_id;
    const char *channel_id;
    const char *client_ip; /* "ip:port"; may be NULL */
    int64_t time_ms;       /* the server's, since the epoch */
};

enum rc_client_status_result {
    RC_CLIENT_STATUS_CHANGED = 2,   /* and the client's status is another one now */
    RC_CLIENT_STATUS_APPLIED = 1,   /* something new was learnt */
    RC_CLIENT_STATUS_DUPLICATE = 0, /* nothing new: known, or about a connection that had ended */
    RC_CLIENT_STATUS_INVALID = -1,  /* not a presence event; will not become one by delivering it again */
    RC_CLIENT_STATUS_FULL = -2,     /* max_open was reached and the connect was not taken in */
};

/* What is known of one client. */
struct rc_client_view {
    const char *client_id;
    bool online;
    uint32_t open_channels;
    const char *channel_id; /* the newest open channel, or the last one that ended */
    const char *client_ip;  /* of that channel; "" when no event told it */
    int64_t since_ms;       /* event time: of that channel's connect, or of its end when offline */
};

struct rc_channel_view {
    const char *channel_id;
    const char *client_ip;
    int64_t connect_ms;
    bool disconnect_seen;
};

struct rc_client_status_options {
    uint64_t tombstone_ms;        /* how long an ended channel is remembered; default 6 h (a message that
                                     RocketMQ retries 16 times comes back within 5 h) */
    uint32_t max_tombstones;      /* the oldest go first; default 1,000,000 */
    uint32_t max_open;            /* open channels of all clients; default 4,000,000 */
    uint32_t max_open_per_client; /* a further connect ends the one with the smallest time; default 16. With 1
                                     a client's newest connection stands for it, so that a lost tcpclean
                                     heals at the next connect. */
    /* Milliseconds of a clock that never falls; NULL = CLOCK_MONOTONIC. */
    uint64_t (*now_ms)(void *arg);
    /* Called when a client has come online or gone offline; may be NULL. */
    void (*on_change)(const struct rc_client_view *client, void *arg);
    void *arg; /* for both */
};

/* Fills in the defaults. */
void rc_client_status_options_default(struct rc_client_status_options *options);

struct rc_client_status;

/* `options` NULL = defaults; a zero in a limit counts as its default too. Never NULL. */
struct rc_client_status *rc_client_status_create(const struct rc_client_status_options *options);
void rc_client_status_destroy(struct rc_client_status *store); /* NULL is fine */

/* Takes in one event. */
enum rc_client_status_result rc_client_status_add(struct rc_client_status *store,
                                                  const struct rc_client_event *event);

/*
 * Takes in the body of a message as the server writes it (a JSON object). `ret` may be NULL; else it is
 * filled for every result but INVALID, and its text lives until the next call of this function on this store.
 */
enum rc_client_status_result rc_client_status_add_json(struct rc_client_status *store, const void *body,
                                                       size_t len, struct rc_client_event *ret);

/* When something else (a query of the server) knows that the client is offline: ends its open channels. */
void rc_client_status_set_offline(struct rc_client_status *store, const char *client_id);

/* Forgets what is older than tombstone_ms. Adding does it too; call it now and then when no events come. */
void rc_client_status_expire(struct rc_client_status *store);

bool rc_client_status_is_online(const struct rc_client_status *store, const char *client_id);
/* False when nothing is known of the client (which is then offline as far as anybody knows). */
bool rc_client_status_get(const struct rc_client_status *store, const char *client_id,
                          struct rc_client_view *ret);
/* Every client that is online or remembered, in no order; `visit` returns false to stop. */
void rc_client_status_each(const struct rc_client_status *store,
                           bool (*visit)(const struct rc_client_view *client, void *arg), void *arg);
/* The client's open channels, oldest first. */
void rc_client_status_each_channel(const struct rc_client_status *store, const char *client_id,
                                   bool (*visit)(const struct rc_channel_view *channel, void *arg),
                                   void *arg);

struct rc_client_status_counts {
    uint64_t clients;    /* online or remembered */
    uint64_t online;     /* clients with an open channel */
    uint64_t open;       /* open channels */
    uint64_t tombstones; /* ended channels still remembered */

    uint64_t events; /* all that were added, whatever came of it */
    uint64_t applied;
    uint64_t duplicates;
    uint64_t invalid;
    uint64_t full;
    uint64_t late_connects; /* a connect that came after its own tcpclean: no ghost */
    uint64_t superseded;    /* channels ended by max_open_per_client */
    uint64_t expired;       /* tombstones forgotten by age */
    uint64_t evicted;       /* tombstones forgotten early, by max_tombstones */
};

void rc_client_status_count(const struct rc_client_status *store, struct rc_client_status_counts *ret);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
