/* For the tests of this room: an endpoint with a store of its own, and a client that waits for answers. */
#ifndef RC_ROCKETMQ_TEST_ENDPOINT_H
#define RC_ROCKETMQ_TEST_ENDPOINT_H

#include "store/test_store.h"

#include "base/log.h"
#include "net/listener.h"
#include "rocketmq/endpoint.h"
#include "rocketmq/owners.h"
#include "rocketmq/remoting.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define TEST_GROUP "GID_backend"
#define TEST_KEY "AccessKey1"
#define TEST_SECRET "SecretKey123"

struct rig {
    struct test_dir dir;
    struct rc_store *store;
    struct rc_topic *topic; /* TEST_TOPIC, 4 queues */
    struct rc_log_writer *writer;
    struct rc_endpoint_options options;
    struct rc_endpoint *endpoint;
    struct rc_catalog *catalog;
    uint16_t port;
};

static inline struct rc_catalog *rig_catalog(const char *access_key)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("one"), &instance), RC_OK);
    assert_int_equal(
        rc_catalog_add_key(catalog, instance, rc_slice_str(access_key), rc_slice_str(TEST_SECRET)), RC_OK);
    return catalog;
}

static inline void rig_start(struct rig *rig)
{
    struct rc_error error = {.text = ""};
    struct rc_address address;
    int fd;
    rig->store = test_open(&rig->dir);
    rig->topic = test_topic(rig->store, TEST_TOPIC, 4);
    assert_int_equal(rc_log_writer_start(rig->store, NULL, &rig->writer, &error), RC_OK);
    assert_int_equal(rc_address_parse("127.0.0.1:0", &address, &error), RC_OK);
    assert_int_equal(rc_listen_open(&address, &fd, 1, &error), RC_OK);
    rig->port = rc_address_port(&address);
    rig->options.store = rig->store;
    rig->options.writer = rig->writer;
    rig->options.catalog = rig->catalog;
    assert_int_equal(rc_owners_open(rc_store_own_dir(rig->store), &rig->options.owners, &error), RC_OK);
    if (rc_endpoint_start(&rig->options, &fd, 1, &rig->endpoint, &error) != RC_OK)
        fail_msg("%s", error.text);
}

static inline void rig_stop(struct rig *rig)
{
    rc_endpoint_stop(rig->endpoint);
    rc_log_writer_stop(rig->writer);
    rc_endpoint_free(rig->endpoint);
    rc_owners_close(rig->options.owners);
    rc_store_close(rig->store);
}

static inline void rig_restart(struct rig *rig)
{
    rig_stop(rig);
    rig_start(rig);
}

/* Made, not started: tests may change options first. */
static inline struct rig *rig_make(void)
{
    struct rig *rig = rc_new(struct rig);
    rc_log_set_level(RC_LOG_ERROR);
    test_dir_make(&rig->dir);
    rc_endpoint_options_default(&rig->options);
    rig->options.acl = false;
    rig->options.store_host = (struct rc_host){.addr = {127, 0, 0, 1}, .port = 9876};
    rig->catalog = rig_catalog(TEST_KEY);
    return rig;
}

static inline void rig_free(struct rig *rig)
{
    rig_stop(rig);
    rc_catalog_unref(rig->catalog);
    test_dir_remove(&rig->dir);
    free(rig);
}

static inline int rig_set_up(void **state)
{
    struct rig *rig = rig_make();
    rig_start(rig);
    *state = rig;
    return 0;
}

static inline int rig_tear_down(void **state)
{
    rig_free(*state);
    return 0;
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
#define RIG_COUNTER(rig, name) atomic_load(&rc_endpoint_counters((rig)->endpoint)->name)

static inline void test_sleep_ms(int ms)
{
    poll(NULL, 0, ms);
}

static inline int64_t test_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until the condition holds, 5 s at most. */
#define WAIT_UNTIL(condition)                                                                                \
    do {                                                                                                     \
        int64_t until_ = test_now_ms() + 5000;                                                               \
        while (!(condition) && test_now_ms() < until_)                                                       \
            test_sleep_ms(2);                                                                                \
        assert_true(condition);                                                                              \
    } while (0)

/* ---- a client ---- */

enum { TEST_ANSWER_MS = 5000 };

struct client {
    int fd;
    int32_t opaque;
    uint8_t serialization;
    bool is_signing;
    struct rc_buf in, frame; /* frame: the one that was decoded last */
    struct rc_remoting answer;
    int told_of_changes; /* commands 40 that came in between */
};

static inline void client_open(struct client *client, struct rig *rig)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(rig->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *client = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    rc_buf_init(&client->in, 64 * 1024 * 1024);
    rc_buf_init(&client->frame, RC_REMOTING_FRAME_MAX + 8);
    assert_int_equal(connect(client->fd, (struct sockaddr *)&to, sizeof(to)), 0);
}

static inline void client_close(struct client *client)
{
    rc_remoting_done(&client->answer);
    rc_buf_free(&client->in);
    rc_buf_free(&client->frame);
    close(client->fd);
}

static inline void client_write(struct client *client, const void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t sent = send(client->fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
        if (sent < 0)
            fail_msg("send: %s", strerror(errno));
        at += (size_t)sent;
    }
}

/* A request to be filled; client_send sends it. */
static inline struct rc_remoting client_request(struct client *client, int32_t code)
{
    struct rc_remoting request;
    rc_remoting_request(&request, code, ++client->opaque);
    request.serialization = client->serialization;
    return request;
}

static inline void add(struct rc_remoting *request, const char *name, const char *value)
{
    rc_remoting_add(request, name, rc_slice_str(value));
}

static inline void client_send(struct client *client, struct rc_remoting *request)
{
    struct rc_buf out;
    char signature[32];
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX + 8);
    if (client->is_signing) {
        add(request, "AccessKey", TEST_KEY);
        rc_remoting_sign(request, rc_slice_str(TEST_SECRET), false, NULL, signature);
        add(request, "Signature", signature);
    }
    assert_int_equal(rc_remoting_put(&out, request), RC_OK);
    client_write(client, out.data, out.end);
    rc_buf_free(&out);
}

/* Reads more: false when the server closed, or nothing came in time. */
static inline bool client_read(struct client *client, int64_t until_ms)
{
    struct pollfd wait = {.fd = client->fd, .events = POLLIN};
    int64_t left = until_ms - test_now_ms();
    if (left < 0 || poll(&wait, 1, (int)left) != 1)
        return false;
    uint8_t *room = rc_buf_reserve(&client->in, 256 * 1024);
    assert_non_null(room);
    ssize_t len = recv(client->fd, room, 256 * 1024, 0);
    if (len <= 0)
        return false;
    rc_buf_commit(&client->in, (size_t)len);
    return true;
}

/* The next command into client->answer; false when none came within `ms`. */
static inline bool client_receive(struct client *client, int ms)
{
    int64_t until = test_now_ms() + ms;
    for (;;) {
        int64_t size = rc_remoting_frame_size(rc_buf_slice(&client->in));
        assert_true(size >= 0);
        if (size > 0 && (size_t)size <= rc_buf_len(&client->in)) {
            rc_remoting_done(&client->answer);
            rc_buf_consume(&client->frame, rc_buf_len(&client->frame));
            assert_int_equal(rc_buf_put(&client->frame, rc_buf_slice(&client->in).ptr, (size_t)size), RC_OK);
            rc_buf_consume(&client->in, (size_t)size);
            assert_int_equal(rc_remoting_decode(rc_buf_slice(&client->frame), &client->answer), size);
            return true;
        }
        if (!client_read(client, until))
            return false;
    }
}

/* The answer to the request that was sent last; what else comes before it is counted or dropped. */
static inline bool client_wait(struct client *client, int32_t opaque, int ms)
{
    int64_t until = test_now_ms() + ms;
    while (client_receive(client, (int)(until - test_now_ms()))) {
        if (!(client->answer.flag & RC_REMOTING_RESPONSE))
            client->told_of_changes += client->answer.code == RC_REQ_CONSUMERS_CHANGED;
        else if (client->answer.opaque == opaque)
            return true;
    }
    return false;
}

/* Sends and waits; the answer's code. */
static inline int32_t client_call(struct client *client, struct rc_remoting *request)
{
    client_send(client, request);
    if (!client_wait(client, request->opaque, TEST_ANSWER_MS))
        fail_msg("no answer to request %d", request->code);
    return client->answer.code;
}

/* Whether the server has closed the connection, which it has TEST_ANSWER_MS for. */
static inline bool client_is_closed(struct client *client)
{
    int64_t until = test_now_ms() + TEST_ANSWER_MS;
    while (client_read(client, until))
        continue;
    return test_now_ms() < until;
}

static inline const char *client_text(struct client *client, const char *field)
{
    static char text[4][1024];
    static int next;
    char *out = text[next++ % 4];
    struct rc_slice value = rc_remoting_get(&client->answer, field);
    snprintf(out, sizeof(text[0]), "%.*s", RC_SLICE_FMT(value));
    return value.ptr ? out : "(none)";
}

static inline int64_t client_number(struct client *client, const char *field)
{
    int64_t number = rc_remoting_get_number(&client->answer, field, INT64_MIN);
    if (number == INT64_MIN)
        fail_msg("the answer to request has no number %s", field);
    return number;
}

static inline void assert_body(struct client *client, const char *want)
{
    if (!rc_slice_eq_str(client->answer.body, want))
        fail_msg("body '%.*s', not '%s'", RC_SLICE_FMT(client->answer.body), want);
}

static inline bool body_has(struct client *client, const char *part)
{
    return memmem(client->answer.body.ptr, client->answer.body.len, part, strlen(part)) != NULL;
}

/* The messages in the answer's body, as "<body> <body> ". */
static inline const char *client_bodies(struct client *client)
{
    static char text[8192];
    struct rc_slice rest = client->answer.body;
    size_t len = 0;
    text[0] = '\0';
    while (rest.len > 0) {
        struct rc_message message;
        int64_t size = rc_message_decode(rest, true, &message);
        assert_true(size > 0);
        struct rc_slice body = message.body;
        body.len = body.len < 100 ? body.len : 100;
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s ", RC_SLICE_FMT(body));
        rest = rc_slice_from(rest, (size_t)size);
    }
    return text;
}

/* ---- requests that most tests need ---- */

struct test_send {
    const char *topic, *queue, *props, *body;
};

static inline struct rc_remoting send_request(struct client *client, struct test_send what)
{
    struct rc_remoting request = client_request(client, RC_REQ_SEND_V2);
    add(&request, "a", "producer");
    add(&request, "b", what.topic ? what.topic : TEST_TOPIC);
    add(&request, "c", "TBW102");
    add(&request, "d", "4");
    add(&request, "e", what.queue ? what.queue : "0");
    add(&request, "f", "0");
    add(&request, "g", "1700000000123");
    add(&request, "h", "0");
    add(&request, "i", what.props ? what.props : "");
    add(&request, "j", "0");
    request.body = rc_slice_str(what.body ? what.body : "body");
    return request;
}

/* Sends a message, which must succeed; its queue offset. */
static inline int64_t put_message(struct client *client, struct test_send what)
{
    struct rc_remoting request = send_request(client, what);
    if (client_call(client, &request) != RC_RES_SUCCESS)
        fail_msg("send: %d %.*s", client->answer.code, RC_SLICE_FMT(client->answer.remark));
    return client_number(client, "queueOffset");
}

struct test_pull {
    const char *topic, *queue, *offset, *sys_flag, *suspend_ms, *subscription, *sub_version, *commit, *max;
};

static inline struct rc_remoting pull_request(struct client *client, struct test_pull what)
{
    struct rc_remoting request = client_request(client, RC_REQ_PULL);
    add(&request, "consumerGroup", TEST_GROUP);
    add(&request, "topic", what.topic ? what.topic : TEST_TOPIC);
    add(&request, "queueId", what.queue ? what.queue : "0");
    add(&request, "queueOffset", what.offset ? what.offset : "0");
    add(&request, "maxMsgNums", what.max ? what.max : "32");
    add(&request, "sysFlag", what.sys_flag ? what.sys_flag : "4");
    add(&request, "commitOffset", what.commit ? what.commit : "0");
    add(&request, "suspendTimeoutMillis", what.suspend_ms ? what.suspend_ms : "15000");
    add(&request, "subscription", what.subscription ? what.subscription : "*");
    add(&request, "subVersion", what.sub_version ? what.sub_version : "0");
    add(&request, "expressionType", "TAG");
    return request;
}

static inline int32_t pull(struct client *client, struct test_pull what)
{
    struct rc_remoting request = pull_request(client, what);
    return client_call(client, &request);
}

static inline int32_t heartbeat(struct client *client, const char *body)
{
    struct rc_remoting request = client_request(client, RC_REQ_HEARTBEAT);
    request.body = rc_slice_str(body);
    return client_call(client, &request);
}

/* A heartbeat of `client_id` in TEST_GROUP, with one subscription. */
static inline void join_group(struct client *client, const char *client_id, const char *expression,
                              const char *version)
{
    char body[1024];
    snprintf(body, sizeof(body),
             "{\"clientID\":\"%s\",\"producerDataSet\":[],\"consumerDataSet\":[{\"groupName\":\"" TEST_GROUP
             "\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
             "\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"subscriptionDataSet\":[{"
             "\"classFilterMode\":false,\"topic\":\"" TEST_TOPIC "\",\"subString\":\"%s\",\"tagsSet\":[],"
             "\"codeSet\":[],\"subVersion\":%s,\"expressionType\":\"TAG\"}],\"unitMode\":false}]}",
             client_id, expression, version);
    assert_int_equal(heartbeat(client, body), RC_RES_SUCCESS);
}

#endif
