/*
 * For tests: a name server and broker on a thread of its own, that says what the test told it to and
 * remembers what it was asked. Its fields are set before stub_start, or with the lock held. Pulls at the end
 * are held for ever.
 */
#ifndef RC_CLIENT_STUB_BROKER_TEST_H
#define RC_CLIENT_STUB_BROKER_TEST_H

#include "base/error.h"
#include "rocketmq/remoting.h"
#include "store/message.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STUB_QUEUES = 8, STUB_CONNS = 16, STUB_LOG = 4096, STUB_MEMBERS = 4 };

struct stub_request {
    int32_t code;
    int64_t queue, offset, timestamp, delay_level;
    bool is_retry;
};

struct stub_conn {
    int fd; /* 0: free */
    struct rc_buf in;
};

struct stub {
    pthread_mutex_t lock;
    pthread_t thread;
    int listen_fd;
    struct stub_conn conns[STUB_CONNS];
    uint16_t port;
    bool is_stopping;

    uint32_t queues;
    struct rc_buf messages[STUB_QUEUES]; /* of the topic; offsets from 0 */
    uint64_t counts[STUB_QUEUES], stored;
    int64_t committed[STUB_QUEUES];    /* -1: none */
    const char *members[STUB_MEMBERS]; /* besides the one that asks */
    const char *refusal;               /* of heartbeats and member lists */
    bool is_silent;                    /* answers nothing but routes */
    bool old_route;                    /* {0:"..."} */
    int pulls_to_cut;                  /* that many pulls end the connection instead */
    int send_backs_to_refuse;
    uint64_t min; /* messages before it were deleted */
    char client_id[128];

    struct stub_request log[STUB_LOG];
    uint32_t log_count;
};

/* ---- what is stored ---- */

static inline void stub_init(struct stub *stub, uint32_t queues)
{
    memset(stub, 0, sizeof(*stub));
    pthread_mutex_init(&stub->lock, NULL);
    stub->queues = queues;
    for (uint32_t i = 0; i < STUB_QUEUES; i++) {
        stub->committed[i] = -1;
        rc_buf_init(&stub->messages[i], 1 << 20);
    }
}

/* Stores a message; `flags` as in sysFlag; `damage` spoils its body. The n-th of all is at 1000 x (n + 1). */
static inline void stub_put(struct stub *stub, uint32_t queue, const char *tags, const void *body, size_t len,
                            uint32_t flags, bool damage)
{
    struct rc_buf props;
    rc_buf_init(&props, 1024);
    if (tags[0] != '\0')
        rc_props_put(&props, RC_PROP_TAGS, rc_slice_str(tags));
    struct rc_message message = {
        .queue_id = queue,
        .queue_offset = stub->counts[queue]++,
        .physical_offset = 1000 * ++stub->stored,
        .sys_flag = flags,
        .body = rc_slice(body, len),
        .topic = rc_slice_str("T"),
        .props = rc_buf_slice(&props),
    };
    struct rc_buf *to = &stub->messages[queue];
    uint32_t begin = to->end;
    rc_message_encode(to, &message);
    if (damage)
        *(uint8_t *)memmem(to->data + begin, to->end - begin, body, len) ^= 1;
    rc_buf_free(&props);
}

/* ---- what was asked ---- */

static inline void stub_note(struct stub *stub, const struct rc_remoting *request)
{
    struct stub_request *to = &stub->log[stub->log_count % STUB_LOG];
    const char *offset_name = "offset";
    if (request->code == RC_REQ_PULL)
        offset_name = "queueOffset";
    else if (request->code == RC_REQ_UPDATE_OFFSET)
        offset_name = "commitOffset";
    *to = (struct stub_request){
        .code = request->code,
        .queue = rc_remoting_get_number(request, "queueId", -1),
        .offset = rc_remoting_get_number(request, offset_name, -1),
        .timestamp = rc_remoting_get_number(request, "timestamp", -1),
        .delay_level = rc_remoting_get_number(request, "delayLevel", 0),
        .is_retry = rc_slice_starts_with(rc_remoting_get(request, "topic"), rc_slice_str("%RETRY%")),
    };
    stub->log_count++;
}

/* How many requests of that code have come for the topic (queue -1: of any queue); the last into `ret`. */
static inline uint32_t stub_count(struct stub *stub, int32_t code, int64_t queue, struct stub_request *ret)
{
    uint32_t count = 0;
    pthread_mutex_lock(&stub->lock);
    for (uint32_t i = 0; i < stub->log_count && i < STUB_LOG; i++) {
        const struct stub_request *it = &stub->log[i];
        if (it->code != code || it->is_retry || (queue >= 0 && it->queue != queue))
            continue;
        count++;
        if (ret != NULL)
            *ret = *it;
    }
    pthread_mutex_unlock(&stub->lock);
    return count;
}

/* ---- answers ---- */

static inline void stub_answer_route(struct stub *stub, bool is_retry, struct rc_buf *body)
{
    rc_buf_printf(
        body,
        "{\"brokerDatas\":[{\"brokerAddrs\":{%s:\"127.0.0.1:%u\"},\"brokerName\":\"b\",\"cluster\":\"c\"}],"
        "\"queueDatas\":[{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":%u,\"writeQueueNums\":%u}]}",
        stub->old_route ? "0" : "\"0\"", stub->port, is_retry ? 0 : stub->queues, stub->queues);
}

static inline void stub_answer_members(struct stub *stub, struct rc_buf *body)
{
    rc_buf_printf(body, "{\"consumerIdList\":[");
    for (int i = 0; i < STUB_MEMBERS && stub->members[i] != NULL; i++)
        rc_buf_printf(body, "\"%s\",", stub->members[i]);
    rc_buf_printf(body, "\"%s\"]}", stub->client_id);
}

static inline void stub_answer_pull(struct stub *stub, const struct rc_remoting *request,
                                    struct rc_remoting *response)
{
    uint64_t queue = (uint64_t)rc_remoting_get_number(request, "queueId", 0) % STUB_QUEUES;
    uint64_t offset = (uint64_t)rc_remoting_get_number(request, "queueOffset", 0);
    struct rc_slice all = rc_buf_slice(&stub->messages[queue]);
    struct rc_message message;
    if (offset < stub->min) {
        response->code = RC_RES_PULL_OFFSET_MOVED;
        rc_remoting_add_number(response, "nextBeginOffset", (int64_t)stub->min);
        return;
    }
    for (uint64_t i = 0; i < offset && all.len > 0; i++)
        all = rc_slice_from(all, (size_t)rc_message_decode(all, false, &message));
    response->code = all.len > 0 ? RC_RES_SUCCESS : RC_RES_PULL_NOT_FOUND;
    response->body = all;
    rc_remoting_add_number(response, "nextBeginOffset", (int64_t)stub->counts[queue]);
}

static inline void stub_learn_client_id(struct stub *stub, struct rc_slice body)
{
    static const char key[] = "\"clientID\":\"";
    const char *found = memmem(body.ptr, body.len, key, sizeof(key) - 1);
    if (found != NULL)
        snprintf(stub->client_id, sizeof(stub->client_id), "%.*s",
                 (int)strcspn(found + sizeof(key) - 1, "\""), found + sizeof(key) - 1);
}

/* What is asked of an offset: where the group is, or an edge of the queue. */
static inline void stub_answer_offset(struct stub *stub, const struct rc_remoting *request,
                                      struct rc_remoting *response)
{
    uint64_t queue = (uint64_t)rc_remoting_get_number(request, "queueId", 0) % STUB_QUEUES;
    int64_t offset = 0;
    if (request->code == RC_REQ_QUERY_OFFSET)
        offset = stub->committed[queue];
    else if (request->code == RC_REQ_MAX_OFFSET)
        offset = (int64_t)stub->counts[queue];
    response->code = offset < 0 ? RC_RES_QUERY_NOT_FOUND : RC_RES_SUCCESS;
    rc_remoting_add_number(response, "offset", offset);
}

static inline void stub_refuse(const struct stub *stub, struct rc_remoting *response)
{
    response->code = RC_RES_SYSTEM_ERROR;
    response->remark = rc_slice_str(stub->refusal ? stub->refusal : "not today");
}

static inline void stub_fill(struct stub *stub, const struct rc_remoting *request,
                             struct rc_remoting *response, struct rc_buf *body)
{
    switch (request->code) {
    case RC_REQ_ROUTE:
        stub_answer_route(
            stub, rc_slice_starts_with(rc_remoting_get(request, "topic"), rc_slice_str("%RETRY%")), body);
        response->body = rc_buf_slice(body);
        break;
    case RC_REQ_HEARTBEAT:
        stub_learn_client_id(stub, request->body);
        if (stub->refusal != NULL)
            stub_refuse(stub, response);
        break;
    case RC_REQ_CONSUMER_LIST:
        stub_answer_members(stub, body);
        response->body = rc_buf_slice(body);
        if (stub->refusal != NULL)
            stub_refuse(stub, response);
        break;
    case RC_REQ_PULL:
        stub_answer_pull(stub, request, response);
        break;
    case RC_REQ_SEND_BACK:
        if (stub->send_backs_to_refuse > 0 && stub->send_backs_to_refuse--)
            stub_refuse(stub, response);
        break;
    case RC_REQ_UNREGISTER:
        break;
    default:
        stub_answer_offset(stub, request, response);
    }
}

/* False when the connection shall end. */
static inline bool stub_answer(struct stub *stub, int fd, const struct rc_remoting *request)
{
    struct rc_remoting response;
    struct rc_buf body, frame;
    stub_note(stub, request);
    if (request->code == RC_REQ_PULL && stub->pulls_to_cut > 0) {
        stub->pulls_to_cut--;
        return false;
    }
    if ((request->flag & RC_REMOTING_ONEWAY) || (stub->is_silent && request->code != RC_REQ_ROUTE))
        return true;
    rc_buf_init(&body, 4096);
    rc_buf_init(&frame, 1 << 21);
    rc_remoting_response(&response, request, RC_RES_SUCCESS);
    stub_fill(stub, request, &response, &body);
    bool is_held = request->code == RC_REQ_PULL && response.code == RC_RES_PULL_NOT_FOUND;
    if (!is_held && rc_remoting_put(&frame, &response) == RC_OK)
        send(fd, rc_buf_slice(&frame).ptr, rc_buf_len(&frame), MSG_NOSIGNAL);
    rc_buf_free(&frame);
    rc_buf_free(&body);
    return true;
}

/* ---- the thread ---- */

static inline bool stub_serve(struct stub *stub, struct stub_conn *conn)
{
    uint8_t *room = rc_buf_reserve(&conn->in, 65536);
    ssize_t len = recv(conn->fd, room, 65536, 0);
    if (len <= 0)
        return false;
    rc_buf_commit(&conn->in, (size_t)len);
    for (;;) {
        struct rc_remoting request;
        int64_t size = rc_remoting_decode(rc_buf_slice(&conn->in), &request);
        if (size <= 0)
            return size == 0;
        bool goes_on = stub_answer(stub, conn->fd, &request);
        rc_remoting_done(&request);
        rc_buf_consume(&conn->in, (size_t)size);
        if (!goes_on)
            return false;
    }
}

static inline void stub_end(struct stub_conn *conn)
{
    close(conn->fd);
    rc_buf_free(&conn->in);
    conn->fd = 0;
}

static inline void *stub_main(void *arg)
{
    struct stub *stub = arg;
    struct pollfd polls[STUB_CONNS + 1];
    pthread_mutex_lock(&stub->lock);
    while (!stub->is_stopping) {
        for (int i = 0; i < STUB_CONNS; i++)
            polls[i] = (struct pollfd){.fd = stub->conns[i].fd ? stub->conns[i].fd : -1, .events = POLLIN};
        polls[STUB_CONNS] = (struct pollfd){.fd = stub->listen_fd, .events = POLLIN};
        pthread_mutex_unlock(&stub->lock);
        poll(polls, STUB_CONNS + 1, 20);
        pthread_mutex_lock(&stub->lock);
        for (int i = 0; i < STUB_CONNS; i++)
            if (polls[i].revents != 0 && !stub_serve(stub, &stub->conns[i]))
                stub_end(&stub->conns[i]);
        for (int i = 0; i < STUB_CONNS && polls[STUB_CONNS].revents != 0; i++) {
            if (stub->conns[i].fd != 0)
                continue;
            stub->conns[i].fd = accept(stub->listen_fd, NULL, NULL);
            rc_buf_init(&stub->conns[i].in, 1 << 20);
            break;
        }
    }
    for (int i = 0; i < STUB_CONNS; i++)
        if (stub->conns[i].fd != 0)
            stub_end(&stub->conns[i]);
    pthread_mutex_unlock(&stub->lock);
    return NULL;
}

static inline void stub_start(struct stub *stub)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    stub->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(stub->listen_fd, (struct sockaddr *)&address, len);
    listen(stub->listen_fd, 64);
    getsockname(stub->listen_fd, (struct sockaddr *)&address, &len);
    stub->port = ntohs(address.sin_port);
    pthread_create(&stub->thread, NULL, stub_main, stub);
}

/* Sends every connection a request of the broker's. */
static inline void stub_request_all(struct stub *stub, struct rc_remoting *request)
{
    struct rc_buf frame;
    rc_buf_init(&frame, 1 << 16);
    request->flag = RC_REMOTING_ONEWAY;
    rc_remoting_put(&frame, request);
    pthread_mutex_lock(&stub->lock);
    for (int i = 0; i < STUB_CONNS; i++)
        if (stub->conns[i].fd != 0)
            send(stub->conns[i].fd, rc_buf_slice(&frame).ptr, rc_buf_len(&frame), MSG_NOSIGNAL);
    pthread_mutex_unlock(&stub->lock);
    rc_buf_free(&frame);
}

/* What was asked stays to be counted. */
static inline void stub_stop(struct stub *stub)
{
    pthread_mutex_lock(&stub->lock);
    stub->is_stopping = true;
    pthread_mutex_unlock(&stub->lock);
    pthread_join(stub->thread, NULL);
    close(stub->listen_fd);
    for (int i = 0; i < STUB_QUEUES; i++)
        rc_buf_free(&stub->messages[i]);
}

#endif
