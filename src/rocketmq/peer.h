/* A connection of a RocketMQ client: bytes in, commands out to the dispatcher, answers back. */
#ifndef RC_ROCKETMQ_PEER_H
#define RC_ROCKETMQ_PEER_H

#include "base/list.h"
#include "net/listener.h"
#include "net/output.h"
#include "rocketmq/remoting.h"

struct rc_endpoint;

/* Kept while requests of it are under way, although it may be closed. */
struct rc_peer {
    struct rc_stream stream;
    struct rc_output output;
    struct rc_buf in; /* of frames that are not whole, or wait until answers have left */
    struct rc_endpoint *endpoint;
    struct rc_list node, dirty;
    struct rc_list holds;   /* its pulls that wait */
    struct rc_list members; /* what it is in consumer groups */
    uint32_t holds_count;
    struct rc_address address, local;
    uint64_t accepted_ms, active_ms;
    uint32_t refs;
    bool is_known;     /* a request of it had a right signature, or none is needed */
    bool is_paused;    /* not read from: too many answers wait for it */
    bool is_held_back; /* whole frames may be in `in`: they wait for the same */
    bool is_closed;
};

void rc_peer_accept(struct rc_listener *listener, int fd, const struct rc_address *address);
void rc_peer_close(struct rc_peer *peer);
/* Closes it when it has been silent, or unknown, for too long. */
void rc_peer_check_idle(struct rc_peer *peer);
void rc_peer_ref(struct rc_peer *peer);
void rc_peer_unref(struct rc_peer *peer);
/* What came before counts as a stranger's no more. */
void rc_peer_set_known(struct rc_peer *peer);

/* Puts a whole command into the output; nothing happens when the peer is closed. */
void rc_peer_send(struct rc_peer *peer, const struct rc_remoting *command);
/* The same without the body, `body_len` bytes of which the caller then puts into peer->output. False when the
 * peer is closed: nothing may be put. */
bool rc_peer_send_head(struct rc_peer *peer, const struct rc_remoting *command, size_t body_len);
/* At the end of a turn: writes what the peers were sent. */
void rc_peer_flush_all(struct rc_endpoint *endpoint);

#endif
