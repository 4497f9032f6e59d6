/*
 * One connection of the HTTP server: its place, and how long what it does may take. libmicrohttpd's own clock
 * starts anew with every byte; these do not. For http_server.c alone.
 */
#ifndef RC_HTTP_CONN_H
#define RC_HTTP_CONN_H

#include "http/http_server.h"

enum rc_http_phase {
    RC_HTTP_WAITING,   /* for a request line */
    RC_HTTP_READING,   /* the rest of a request */
    RC_HTTP_HANDLED,   /* the handler will answer, whenever that is */
    RC_HTTP_ANSWERING, /* the client takes the answer */
};

struct rc_http_conn {
    struct rc_loop *loop;
    const struct rc_http_options *options;
    struct rc_http_counters *counters;
    struct rc_place *place; /* a reference */
    struct rc_timer timer;
    int fd; /* libmicrohttpd's */
    enum rc_http_phase phase;
    bool is_secure;
};

/* It waits at first. `place`: a reference that is taken over; its owner is the connection unless it has one.
 */
struct rc_http_conn *rc_http_conn_create(struct rc_loop *loop, const struct rc_http_options *options,
                                         struct rc_http_counters *counters, struct rc_place *place, int fd);
void rc_http_conn_free(struct rc_http_conn *conn);
/* Each phase has its time, which begins anew. `answer_len`: of RC_HTTP_ANSWERING, in bytes. */
void rc_http_conn_enter(struct rc_http_conn *conn, enum rc_http_phase phase, size_t answer_len);

#endif
