/*
 * Channels and their events, for one shard. A channel is one TCP connection that was accepted as a client; it
 * is embedded in its owner. Every event becomes a record in the log, in the order of the calls:
 *
 *     rc_presence_connect        stages `connect`; `on_online` when it is in the log
 *     rc_presence_close          stages `disconnect` (if the client said so) and `tcpclean`; `on_gone` when
 * those are in the log: only then may the owner free the channel
 *
 * When the log takes no more, a new connect is refused and departures wait in their channels, in order,
 * bounded by the number of channels.
 */
#ifndef RC_PRESENCE_PRESENCE_H
#define RC_PRESENCE_PRESENCE_H

#include "base/list.h"
#include "presence/event.h"
#include "presence/event_clock.h"
#include "store/log_writer.h"

struct rc_presence;

enum rc_channel_state {
    RC_CHANNEL_NONE,    /* never opened, or gone */
    RC_CHANNEL_OPENING, /* connect is staged */
    RC_CHANNEL_ONLINE,  /* connect is in the log */
    RC_CHANNEL_LEAVING, /* closed; its tcpclean waits, or is staged */
};

struct rc_channel {
    struct rc_presence *presence; /* from rc_presence_connect on */
    struct rc_queue *queue;       /* of its connect, for life */
    struct rc_list node;          /* among those that wait for room in the log */
    uint8_t id[RC_CHANNEL_ID_LEN];
    int64_t connect_ms, last_ms;
    int64_t last_active_ms; /* kept by the owner; 0 unknown */
    const char *reason;     /* of leaving; a literal */
    const char *protocol;   /* a literal */
    const char *instance;   /* NUL-terminated, the owner's */
    const char *client_id;  /* NUL-terminated, the owner's (client ids hold no NUL) */
    uint8_t addr[16];       /* where the client is; see is_v6 */
    uint16_t port;
    uint16_t clock_slot; /* of the client: rc_event_clock_slot */
    uint8_t state;       /* enum rc_channel_state */
    uint8_t sequence;    /* of the last event */
    bool is_v6 : 1;
    bool is_local : 1;        /* a unix socket: no address */
    bool is_plain : 1;        /* its client id: rc_event_is_plain */
    bool owes_disconnect : 1; /* still to be staged */
};

struct rc_presence_options {
    struct rc_loop *loop;         /* the shard's */
    struct rc_log_sender *sender; /* on that loop; events of others may go through it too */
    const char *node;
    struct rc_host store_host;
    int64_t floor_ms; /* the greatest time in the log */
    void (*on_online)(struct rc_channel *channel);
    void (*on_gone)(struct rc_channel *channel);
    /* The serial number of the client's certificate; NULL: it has none. May be NULL: none has. */
    const char *(*certificate_sn)(const struct rc_channel *channel);
};

struct rc_presence *rc_presence_create(const struct rc_presence_options *options);
void rc_presence_destroy(struct rc_presence *presence); /* no channel may be left */

/*
 * Opens the channel: the caller has filled protocol, instance, client_id, addr, port, is_v6, is_local. 0; or
 * RC_ERR_FULL when the log takes no more (no event, the channel stays RC_CHANNEL_NONE); RC_ERR_CLOSED
 * likewise when nobody reads the topic any more: the rule of it is gone since the client was let in.
 */
int rc_presence_connect(struct rc_presence *presence, struct rc_channel *channel, struct rc_topic *topic);

/* Closes it; never fails. `reason` is a literal. A channel that was never opened, or is closed already, is
 * left alone. */
void rc_presence_close(struct rc_presence *presence, struct rc_channel *channel, bool client_said_so,
                       const char *reason);

/*
 * Tells the `connect` of an online channel once more, as it was, with the property rcReplay: for consumers
 * that missed it. 0; RC_ERR_FULL when the log takes no more now; RC_ERR_INVALID when it is not online.
 */
int rc_presence_announce(struct rc_presence *presence, const struct rc_channel *channel);

/* The log has room again: stages what waits. (The sender's on_room.) */
void rc_presence_on_room(struct rc_presence *presence);

/* Channels that are not gone yet. */
uint32_t rc_presence_channels(const struct rc_presence *presence);
/* Of those, the ones whose departure waits for room in the log. */
uint32_t rc_presence_waiting(const struct rc_presence *presence);

/* "ip:port" of a channel; `out` takes RC_CLIENT_IP_MAX. */
enum { RC_CLIENT_IP_MAX = 64 };
struct rc_slice rc_channel_client_ip(const struct rc_channel *channel, char out[RC_CLIENT_IP_MAX]);

#endif
