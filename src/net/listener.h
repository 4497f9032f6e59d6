/*
 * Listening sockets. An address is opened once for all loops (rc_listen_open), which yields one socket a loop
 * with SO_REUSEPORT, so the kernel spreads new connections; each socket is then put on its loop
 * (rc_listener_start). A second process on the same address is refused, although SO_REUSEPORT alone would let
 * it in silently.
 */
#ifndef RC_NET_LISTENER_H
#define RC_NET_LISTENER_H

#include "loop/loop.h"
#include "net/address.h"

enum {
    RC_LISTEN_BACKLOG = 4096,
    RC_LISTEN_ACCEPTS_PER_TURN = 64,
    RC_LISTEN_PAUSE_MS = 100, /* how long accepting rests when the process is out of file descriptors */
    RC_LISTEN_SILENCE_S = 1,  /* rc_listen_for_data */
};

/*
 * Opens `count` > 0 listening sockets on one address; with port 0 all share the port that the kernel chose,
 * and *address is updated to it. [::] takes IPv4 as well. A unix socket yields one fd duplicated `count`
 * times; its file stays behind when it is closed, and is replaced at the next start if nobody listens there.
 * On failure nothing stays open: RC_ERR_BUSY when somebody listens there already.
 */
int rc_listen_open(struct rc_address *address, int *ret_fds, uint32_t count, struct rc_error *error);

/*
 * For protocols in which the peer speaks first: its connection is told when its first bytes are there to be
 * read, and one that stays silent about RC_LISTEN_SILENCE_S later. So most are read with the accept, before
 * they have to be waited for. Without effect on unix sockets.
 */
void rc_listen_for_data(const int *fds, uint32_t count);

struct rc_listener {
    struct rc_watch watch;
    struct rc_timer pause;
    struct rc_loop *loop;
    /* The callback owns fd (non-blocking, close-on-exec, TCP_NODELAY). */
    void (*on_accept)(struct rc_listener *listener, int fd, const struct rc_address *peer);
    /* NULL, or how many nanoseconds to let new connections wait; 0: the next one is let in. */
    uint64_t (*wait_ns)(struct rc_listener *listener);
    void *owner;
    uint64_t accepted;
    uint64_t out_of_files; /* times that accepting was paused */
};

/*
 * On the loop's thread, or before it runs; on_accept is set. 0 and fd is taken, or a negative rc_err. At a
 * limit on connections on_accept closes fd, so that the peer learns of it at once.
 */
int rc_listener_start(struct rc_listener *listener, struct rc_loop *loop, int fd);
/* Closes the socket. On the loop's thread, or after its run; also within on_accept. Harmless when stopped. */
void rc_listener_stop(struct rc_listener *listener);

#endif
