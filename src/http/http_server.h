/*
 * An HTTP/1.1 server on one loop: libmicrohttpd reads and writes, this hands whole requests to one handler
 * and takes answers, at once or later. Everything is for the loop's thread. Whoever owns the listening
 * sockets (the API with its TLS) gives accepted ones to rc_http_server_accept.
 */
#ifndef RC_HTTP_HTTP_SERVER_H
#define RC_HTTP_HTTP_SERVER_H

#include "base/error.h"
#include "base/slice.h"
#include "http/places.h"
#include "loop/loop.h"
#include "net/address.h"

struct rc_http_server;

enum {
    RC_HTTP_CONNECTIONS_MAX = 1024, /* for more, others have to go (http/places.h); else 503 */
    RC_HTTP_CONNECTIONS_PER_ADDRESS = 256,
    RC_HTTP_HEAD_MAX = 256 * 1024, /* request line and header fields, else 413 or 431; SDKs put a message in
                                      the query; memory is taken as it is filled */
    RC_HTTP_BODY_MAX = 1 << 20,    /* of one request, else 413: nobody has said yet who he is */
    RC_HTTP_FIELDS_MAX = 256,      /* query parameters of one request, else 400 */
    RC_HTTP_ANSWER_HEADERS_MAX = 8,
    RC_HTTP_SEND_BUFFER = 128 * 1024, /* what the kernel keeps of answers that are not read */
    /* How long a client may take for... */
    RC_HTTP_IDLE_MS = 30000,               /* the line of its next request; then it is closed */
    RC_HTTP_REQUEST_MS = 30000,            /* the rest of the request; then 408 */
    RC_HTTP_ANSWER_MS = 30000,             /* an answer, and more for a long one: */
    RC_HTTP_ANSWER_BYTES_PER_S = 16 << 10, /* then it is closed */
};

enum rc_http_method {
    RC_HTTP_GET,
    RC_HTTP_HEAD,
    RC_HTTP_POST,
    RC_HTTP_PUT,
    RC_HTTP_PATCH,
    RC_HTTP_DELETE,
    RC_HTTP_OPTIONS
};

/* A request that has come whole. The slices live until it is answered. */
struct rc_http_request {
    enum rc_http_method method;
    struct rc_slice path; /* before the '?', percent-encoding resolved; starts with '/' */
    struct rc_slice body;
    struct rc_address peer;
    bool is_secure; /* it came over TLS */
};

struct rc_http_counters {
    uint64_t requests, refused_bodies, late_requests, unread_answers, answers_4xx, answers_5xx;
};

/*
 * Answers with rc_http_answer, now or in a later turn. Every request must be answered, also one whose client
 * has gone.
 */
typedef void rc_http_handler(struct rc_http_request *request, void *owner);

struct rc_http_options {
    struct rc_loop *loop;
    rc_http_handler *handler;
    void *owner;
    uint32_t connections_max;                /* 0: RC_HTTP_CONNECTIONS_MAX */
    uint32_t connections_per_address_max;    /* 0: RC_HTTP_CONNECTIONS_PER_ADDRESS */
    uint32_t body_max;                       /* 0: RC_HTTP_BODY_MAX */
    uint32_t idle_ms, request_ms, answer_ms; /* 0: RC_HTTP_IDLE_MS and so on */
};

int rc_http_server_create(const struct rc_http_options *options, struct rc_http_server **ret,
                          struct rc_error *error);
/* Every request has been answered; open connections are closed. NULL is harmless. */
void rc_http_server_destroy(struct rc_http_server *server);
/*
 * Takes a connected, non-blocking socket, also when it fails (then it is closed). `secure`: the place of the
 * TLS connection that the socket stands for, of which it takes a reference of its own; NULL: a connection
 * without TLS, which has to find a place.
 */
int rc_http_server_accept(struct rc_http_server *server, int fd, const struct rc_address *peer,
                          struct rc_place *secure);
/* For who takes places before it has a request. */
struct rc_places *rc_http_server_places(struct rc_http_server *server);
const struct rc_http_counters *rc_http_server_counters(const struct rc_http_server *server);
/* Requests that were handed to the handler and are not answered yet. */
uint32_t rc_http_server_pending(const struct rc_http_server *server);

/* NULL when there is none (header names in any case). Both live until the request is answered. */
const char *rc_http_header(const struct rc_http_request *request, const char *name);
const char *rc_http_query(const struct rc_http_request *request, const char *name);
/* Each query parameter, value "" where there is none; decoded. */
void rc_http_each_query(const struct rc_http_request *request,
                        void (*visit)(const char *name, const char *value, void *arg), void *arg);
/* Each header field. */
void rc_http_each_header(const struct rc_http_request *request,
                         void (*visit)(const char *name, const char *value, void *arg), void *arg);

/* Adds a header field to the answer that follows; at most RC_HTTP_ANSWER_HEADERS_MAX, more are left out. */
void rc_http_answer_header(struct rc_http_request *request, const char *name, const char *value);
/* Copies the body. The request is gone afterwards. */
void rc_http_answer(struct rc_http_request *request, unsigned status, const char *content_type,
                    struct rc_slice body);

#endif
