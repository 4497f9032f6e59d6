#include "http/http_server.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "http/conn.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    RUNS_PER_TURN = 16, /* then other watches of the loop get their turn */
    DISCARD_FACTOR = 4, /* a body that is too large is read and dropped up to this many times the limit */
    GONE_FACTOR = 2, /* connections that had to give up their places are libmicrohttpd's for a moment yet */
};

struct answer_header {
    char *name, *value;
};

/* One request with its answer, from the first header line to the last byte sent. */
struct exchange {
    struct rc_http_request request;
    struct rc_http_server *server;
    struct MHD_Connection *connection;
    struct rc_http_conn *conn;
    struct rc_buf body;
    uint64_t dropped; /* bytes of a body that is too large */
    struct MHD_Response *response;
    unsigned status;
    size_t answer_len;
    uint32_t headers_count;
    struct answer_header headers[RC_HTTP_ANSWER_HEADERS_MAX];
    unsigned refused; /* the status that the server itself answers with */
    bool is_handled, is_suspended;
};

struct rc_http_server {
    struct rc_http_options options;
    struct rc_http_counters counters;
    struct MHD_Daemon *daemon;
    struct rc_watch watch;
    struct rc_timer timer;
    struct rc_places places;
    uint32_t pending;
    bool is_running, is_run_due;   /* within MHD_run; it has to run once more */
    struct rc_http_conn *accepted; /* the connection that is being added */
};

static const struct {
    const char *name;
    enum rc_http_method method;
} methods[] = {{MHD_HTTP_METHOD_GET, RC_HTTP_GET},        {MHD_HTTP_METHOD_HEAD, RC_HTTP_HEAD},
               {MHD_HTTP_METHOD_POST, RC_HTTP_POST},      {MHD_HTTP_METHOD_PUT, RC_HTTP_PUT},
               {MHD_HTTP_METHOD_PATCH, RC_HTTP_PATCH},    {MHD_HTTP_METHOD_DELETE, RC_HTTP_DELETE},
               {MHD_HTTP_METHOD_OPTIONS, RC_HTTP_OPTIONS}};

static struct exchange *exchange_of(const struct rc_http_request *request)
{
    return rc_container_of(request, struct exchange, request);
}

/* ---- running libmicrohttpd on the loop ---- */

static void run_daemon(struct rc_http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    enum MHD_Result has_timeout = MHD_NO;
    server->is_run_due = true;
    if (server->is_running)
        return;
    server->is_running = true;
    for (int i = 0; i < RUNS_PER_TURN && server->is_run_due; i++) {
        server->is_run_due = false;
        MHD_run(server->daemon);
        has_timeout = MHD_get_timeout(server->daemon, &wait_ms);
        server->is_run_due |= has_timeout == MHD_YES && wait_ms == 0;
    }
    server->is_running = false;
    if (server->is_run_due || has_timeout == MHD_YES)
        rc_timer_start(server->options.loop, &server->timer, server->is_run_due ? 0 : wait_ms);
    else
        rc_timer_stop(&server->timer);
}

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    run_daemon(rc_container_of(watch, struct rc_http_server, watch));
}

static void on_timer(struct rc_timer *timer)
{
    run_daemon(rc_container_of(timer, struct rc_http_server, timer));
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *format, va_list args)
{
    char text[256];
    vsnprintf(text, sizeof(text), format, args);
    rc_log_debug("http", "%s", text);
}

/* ---- requests ---- */

static bool find_method(const char *name, enum rc_http_method *ret)
{
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i].name, name) == 0) {
            *ret = methods[i].method;
            return true;
        }
    }
    return false;
}

static struct rc_http_conn *conn_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static struct exchange *exchange_create(struct rc_http_server *server, struct MHD_Connection *connection,
                                        const char *url, const char *method)
{
    struct exchange *exchange = rc_new(struct exchange);
    const union MHD_ConnectionInfo *info;
    exchange->server = server;
    exchange->connection = connection;
    rc_buf_init(&exchange->body, server->options.body_max);
    exchange->request.path = rc_slice_str(url);
    if (!find_method(method, &exchange->request.method))
        exchange->refused = MHD_HTTP_METHOD_NOT_ALLOWED;
    exchange->conn = conn_of(connection);
    exchange->request.is_secure = exchange->conn->is_secure;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info != NULL && info->client_addr != NULL) {
        socklen_t len = info->client_addr->sa_family == AF_INET6  ? sizeof(struct sockaddr_in6)
                        : info->client_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                                  : sizeof(sa_family_t);
        memcpy(&exchange->request.peer.storage, info->client_addr, len);
        exchange->request.peer.len = len;
    }
    return exchange;
}

static void drop_body(struct exchange *exchange)
{
    rc_place_drop_bytes(exchange->conn->place, rc_buf_len(&exchange->body));
    rc_buf_free(&exchange->body);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;
    if (exchange == NULL)
        return;
    drop_body(exchange);
    for (uint32_t i = 0; i < exchange->headers_count; i++) {
        free(exchange->headers[i].name);
        free(exchange->headers[i].value);
    }
    if (exchange->response != NULL)
        MHD_destroy_response(exchange->response);
    rc_place_drop_bytes(exchange->conn->place, exchange->answer_len);
    rc_http_conn_enter(exchange->conn, RC_HTTP_WAITING, 0);
    free(exchange);
    *state = NULL;
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct rc_http_server *server = arg;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = server->accepted;
        server->accepted = NULL;
    } else {
        rc_http_conn_free(*socket_context);
    }
}

/* The line of a request has come. */
static void *on_line(void *arg, const char *line, struct MHD_Connection *connection)
{
    rc_http_conn_enter(conn_of(connection), RC_HTTP_READING, 0);
    return NULL;
}

static enum MHD_Result send_answer(struct exchange *exchange)
{
    if (exchange->status >= 500)
        exchange->server->counters.answers_5xx++;
    else if (exchange->status >= 400)
        exchange->server->counters.answers_4xx++;
    rc_http_conn_enter(exchange->conn, RC_HTTP_ANSWERING, exchange->answer_len);
    return MHD_queue_response(exchange->connection, exchange->status, exchange->response);
}

static void make_response(struct exchange *exchange, unsigned status, const char *content_type,
                          struct rc_slice body)
{
    exchange->response =
        MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY);
    if (exchange->response == NULL) { /* only without memory, which ends the process elsewhere as well */
        rc_log_error("http", "no memory for an answer of %zu bytes", body.len);
        abort();
    }
    exchange->status = status;
    exchange->answer_len = body.len;
    rc_place_add_bytes(exchange->conn->place, body.len);
    if (content_type != NULL)
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    for (uint32_t i = 0; i < exchange->headers_count; i++)
        MHD_add_response_header(exchange->response, exchange->headers[i].name, exchange->headers[i].value);
}

static enum MHD_Result refuse(struct exchange *exchange)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "{\"status\":%u}\n", exchange->refused);
    exchange->is_handled = true;
    make_response(exchange, exchange->refused, "application/json", rc_slice(text, (size_t)len));
    if (exchange->refused == MHD_HTTP_CONTENT_TOO_LARGE ||
        exchange->refused == MHD_HTTP_SERVICE_UNAVAILABLE || exchange->refused == MHD_HTTP_TOO_MANY_REQUESTS)
        exchange->server->counters.refused_bodies++;
    return send_answer(exchange);
}

/* What is answered when `len` bytes more cannot be held; 0: they can. */
static unsigned no_room_status(const struct exchange *exchange, size_t len)
{
    int err = rc_place_has_room(exchange->conn->place, len);
    if (err == RC_OK)
        return 0;
    return err == RC_ERR_TOO_LARGE ? MHD_HTTP_TOO_MANY_REQUESTS : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* Keeps a part of the body, or drops it when it will be refused anyway. */
static enum MHD_Result take_body(struct exchange *exchange, const char *data, size_t len)
{
    if (exchange->refused == 0) {
        exchange->refused = no_room_status(exchange, len);
        if (exchange->refused == 0 && rc_buf_put(&exchange->body, data, len) != RC_OK)
            exchange->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        if (exchange->refused == 0)
            rc_place_add_bytes(exchange->conn->place, len);
        else
            drop_body(exchange);
    }
    if (exchange->refused != 0)
        exchange->dropped += len;
    return exchange->dropped > (uint64_t)DISCARD_FACTOR * exchange->server->options.body_max ? MHD_NO
                                                                                             : MHD_YES;
}

/* A body that says itself that it is too large is not read at all. */
static bool is_announced_too_large(struct exchange *exchange)
{
    const char *length =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL && strtoull(length, NULL, 10) > exchange->server->options.body_max;
}

static enum MHD_Result count_field(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    return ++*(uint32_t *)arg > RC_HTTP_FIELDS_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result hand_over(struct exchange *exchange)
{
    struct rc_http_server *server = exchange->server;
    uint32_t fields = 0;
    MHD_get_connection_values(exchange->connection, MHD_GET_ARGUMENT_KIND, count_field, &fields);
    if (fields > RC_HTTP_FIELDS_MAX)
        exchange->refused = MHD_HTTP_BAD_REQUEST;
    if (exchange->refused == 0) /* while it leaves its answers unread, nothing is done for an address */
        exchange->refused = no_room_status(exchange, 0);
    if (exchange->refused != 0)
        return refuse(exchange);
    rc_http_conn_enter(exchange->conn, RC_HTTP_HANDLED, 0);
    exchange->request.body = rc_buf_slice(&exchange->body);
    exchange->is_handled = true;
    server->counters.requests++;
    server->pending++;
    server->options.handler(&exchange->request, server->options.owner);
    if (exchange->response != NULL)
        return send_answer(exchange);
    exchange->is_suspended = true;
    MHD_suspend_connection(exchange->connection);
    return MHD_YES;
}

/* libmicrohttpd calls this for the head, for each part of the body, at the end, and after a resume. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data, size_t *len,
                                  void **state)
{
    struct exchange *exchange = *state;
    if (exchange == NULL) {
        exchange = *state = exchange_create(arg, connection, url, method);
        if (!is_announced_too_large(exchange))
            return MHD_YES;
        exchange->refused = MHD_HTTP_CONTENT_TOO_LARGE;
        return refuse(exchange);
    }
    if (*len > 0) {
        size_t taken = *len;
        *len = 0;
        return take_body(exchange, data, taken);
    }
    if (!exchange->is_handled)
        return hand_over(exchange);
    return exchange->response != NULL ? send_answer(exchange) : MHD_NO;
}

/* ---- what a handler asks ---- */

const char *rc_http_header(const struct rc_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_HEADER_KIND, name);
}

const char *rc_http_query(const struct rc_http_request *request, const char *name)
{
    return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct visitor {
    void (*visit)(const char *name, const char *value, void *arg);
    void *arg;
};

static enum MHD_Result visit_one(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct visitor *visitor = arg;
    visitor->visit(name, value != NULL ? value : "", visitor->arg);
    return MHD_YES;
}

void rc_http_each_query(const struct rc_http_request *request,
                        void (*visit)(const char *name, const char *value, void *arg), void *arg)
{
    struct visitor visitor = {visit, arg};
    MHD_get_connection_values(exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND, visit_one, &visitor);
}

void rc_http_each_header(const struct rc_http_request *request,
                         void (*visit)(const char *name, const char *value, void *arg), void *arg)
{
    struct visitor visitor = {visit, arg};
    MHD_get_connection_values(exchange_of(request)->connection, MHD_HEADER_KIND, visit_one, &visitor);
}

/* ---- the answer ---- */

void rc_http_answer_header(struct rc_http_request *request, const char *name, const char *value)
{
    struct exchange *exchange = exchange_of(request);
    if (exchange->headers_count == RC_HTTP_ANSWER_HEADERS_MAX)
        return;
    exchange->headers[exchange->headers_count++] = (struct answer_header){rc_strdup(name), rc_strdup(value)};
}

void rc_http_answer(struct rc_http_request *request, unsigned status, const char *content_type,
                    struct rc_slice body)
{
    struct exchange *exchange = exchange_of(request);
    struct rc_http_server *server = exchange->server;
    make_response(exchange, status, content_type, body);
    drop_body(exchange);
    server->pending--;
    if (exchange->is_suspended) {
        exchange->is_suspended = false;
        MHD_resume_connection(exchange->connection);
        run_daemon(server); /* nothing else tells it: its pipe for this is not in its epoll set */
    }
}

/* ---- life ---- */

/* As far as its socket takes it: it may not have asked anything yet. */
static int refuse_connection(int fd)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 30\r\n"
        "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n{\"status\":503}\n";
    send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
    return RC_ERR_FULL;
}

int rc_http_server_accept(struct rc_http_server *server, int fd, const struct rc_address *peer,
                          struct rc_place *secure)
{
    int kept = RC_HTTP_SEND_BUFFER;
    struct rc_place *place = secure != NULL ? rc_place_ref(secure) : rc_place_take(&server->places, peer);
    if (place == NULL)
        return refuse_connection(fd);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kept, sizeof(kept));
    server->accepted =
        rc_http_conn_create(server->options.loop, &server->options, &server->counters, place, fd);
    server->accepted->is_secure = secure != NULL;
    enum MHD_Result added = MHD_add_connection(server->daemon, fd, &peer->any, peer->len);
    if (added != MHD_YES) { /* it has closed fd */
        if (server->accepted != NULL)
            rc_http_conn_free(server->accepted);
        server->accepted = NULL;
        server->places.refused++;
        return RC_ERR_FULL;
    }
    run_daemon(server);
    return RC_OK;
}

struct rc_places *rc_http_server_places(struct rc_http_server *server)
{
    return &server->places;
}

static void fill_defaults(struct rc_http_options *options)
{
    if (options->connections_max == 0)
        options->connections_max = RC_HTTP_CONNECTIONS_MAX;
    if (options->connections_per_address_max == 0)
        options->connections_per_address_max = RC_HTTP_CONNECTIONS_PER_ADDRESS;
    if (options->body_max == 0)
        options->body_max = RC_HTTP_BODY_MAX;
    if (options->idle_ms == 0)
        options->idle_ms = RC_HTTP_IDLE_MS;
    if (options->request_ms == 0)
        options->request_ms = RC_HTTP_REQUEST_MS;
    if (options->answer_ms == 0)
        options->answer_ms = RC_HTTP_ANSWER_MS;
}

int rc_http_server_create(const struct rc_http_options *options, struct rc_http_server **ret,
                          struct rc_error *error)
{
    struct rc_http_server *server = rc_new(struct rc_http_server);
    const union MHD_DaemonInfo *info;
    int err;
    server->options = *options;
    fill_defaults(&server->options);
    rc_places_init(&server->places, server->options.connections_max,
                   server->options.connections_per_address_max);
    server->timer.on_due = on_timer;
    server->watch.on_ready = on_ready;
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, server, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
        MHD_OPTION_URI_LOG_CALLBACK, on_line, server, MHD_OPTION_CONNECTION_LIMIT,
        server->options.connections_max * GONE_FACTOR, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)RC_HTTP_HEAD_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (server->daemon == NULL) {
        rc_places_free(&server->places);
        free(server);
        return rc_error_set(error, RC_ERR_IO,
                            "the HTTP server could not be set up (out of file descriptors?)");
    }
    info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    err = rc_loop_watch(options->loop, &server->watch, info->epoll_fd, EPOLLIN);
    if (err != RC_OK) {
        MHD_stop_daemon(server->daemon);
        rc_places_free(&server->places);
        free(server);
        return rc_error_set(error, err, "the HTTP server's sockets cannot be watched: %s", rc_err_text(err));
    }
    *ret = server;
    return RC_OK;
}

void rc_http_server_destroy(struct rc_http_server *server)
{
    if (server == NULL)
        return;
    MHD_run(server->daemon); /* takes resumed connections up again, which must not be suspended at the end */
    rc_loop_unwatch(server->options.loop, &server->watch);
    rc_timer_stop(&server->timer);
    MHD_stop_daemon(server->daemon);
    rc_places_free(&server->places);
    free(server);
}

const struct rc_http_counters *rc_http_server_counters(const struct rc_http_server *server)
{
    return &server->counters;
}

uint32_t rc_http_server_pending(const struct rc_http_server *server)
{
    return server->pending;
}
