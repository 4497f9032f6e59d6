/*
 * For the tests of this room: a server with a real store in a directory of its own, clients on loopback
 * sockets, and what the log says afterwards.
 */
#ifndef RC_BROKER_TEST_SERVER_H
#define RC_BROKER_TEST_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/sign.h"
#include "base/alloc.h"
#include "base/error.h"
#include "broker/broker.h"
#include "mqtt/packet.h"
#include "net/listener.h"
#include "net/transport.h"
#include "presence/event.h"
#include "presence/recovery.h"
#include "session_store/session_store.h"

#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TEST_SHARDS_MAX = 2, TEST_PATIENCE_S = 20 };

struct test_server {
    /* set before test_server_start */
    uint32_t shards;
    uint32_t connect_timeout_ms, max_connecting;
    uint64_t quota_bytes;
    size_t max_queued_bytes;
    uint32_t queued_all_max;                         /* the instance's limit */
    uint32_t incoming_max;                           /* the instance's limit */
    uint64_t queued_bytes_max, queued_all_bytes_max; /* the instance's limits */
    uint64_t session_keep_ms;                        /* the instance's limit */
    bool is_standard; /* the instance's profile, which takes anonymous clients; else the product's */
    bool has_outflow; /* what is published below `top` goes to the topic OUT too */
    struct rc_session_store *sessions; /* the test's own; NULL: none */
    struct rc_transport *transport;    /* of the listeners, the test's own; NULL: plain TCP */

    char dir[64];
    char sessions_dir[64]; /* of the session store that test_sessions_open opened */
    char snapshot[96];
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_presence_recovery *recovery;
    struct rc_catalog *catalog;
    struct rc_loop *loops[TEST_SHARDS_MAX];
    struct rc_broker *brokers[TEST_SHARDS_MAX];
    struct rc_listener listeners[TEST_SHARDS_MAX];
    struct rc_address address;
};

/* ---- the server ---- */

static inline void test_server_outflow(struct test_server *server, struct rc_instance *instance)
{
    struct rc_flow_rule flow = {.id = rc_slice_str("out-1"),
                                .mqtt_topic = rc_slice_str("top"),
                                .topic_name = rc_slice_str("OUT"),
                                .queues = 1,
                                .is_enabled = true};
    struct rc_error error;
    assert_int_equal(rc_catalog_add_flow_rule(&instance->outflows, &flow), 0);
    struct rc_flow_rule *added = rc_trie_find(&instance->outflows, rc_slice_str("top"));
    assert_int_equal(rc_store_create_topic(server->store, rc_slice_str("OUT"), 1, RC_PERM_READ_WRITE,
                                           &added->topic, &error),
                     0);
}

static inline void test_server_catalog(struct test_server *server)
{
    struct rc_instance *instance;
    struct rc_group *group;
    struct rc_error error;
    server->catalog = rc_catalog_create();
    rc_catalog_add_instance(server->catalog, rc_slice_str("inst"), &instance);
    if (server->is_standard)
        rc_catalog_set_profile(instance, RC_PROFILE_STANDARD);
    rc_catalog_add_key(server->catalog, instance, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_group(instance, rc_slice_str("GID_test"), &group);
    if (server->session_keep_ms > 0)
        instance->limits.session_keep_ms = server->session_keep_ms;
    if (server->incoming_max > 0)
        instance->limits.incoming_max = server->incoming_max;
    if (server->queued_bytes_max > 0)
        instance->limits.queued_bytes_max = server->queued_bytes_max;
    if (server->queued_all_bytes_max > 0)
        instance->limits.queued_all_bytes_max = server->queued_all_bytes_max;
    if (server->queued_all_max > 0)
        instance->limits.queued_all_max = server->queued_all_max;
    if (server->is_standard) {
        server->catalog->default_instance = instance;
        instance->takes_anonymous = true;
        instance->group = group;
    }
    rc_catalog_add_parent_topic(instance, rc_slice_str("top"));
    if (server->has_outflow)
        test_server_outflow(server, instance);
    assert_int_equal(rc_store_create_topic(server->store, rc_slice_str("EVENTS"), 4, RC_PERM_READ_WRITE,
                                           &server->catalog->presence_topic, &error),
                     0);
}

static inline void test_server_log(struct test_server *server)
{
    struct rc_store_options options;
    struct rc_error error = {.text = ""};
    rc_store_options_default(&options);
    options.dir = server->dir;
    options.segment_bytes = 16 << 20;
    options.queue_file_entries = 300;
    options.quota_bytes = server->quota_bytes;
    assert_int_equal(rc_store_open(&options, &server->store, &error), 0);
    snprintf(server->snapshot, sizeof(server->snapshot), "%s/rollcall/channels", server->dir);
    struct rc_presence_recovery_options recovery = {
        .store = server->store, .path = server->snapshot, .node = "n"};
    assert_int_equal(rc_presence_recover(&recovery, &server->recovery, &error), 0);
    struct rc_log_retention retention = {rc_presence_recovery_keep_from, server->recovery};
    assert_int_equal(rc_log_writer_start(server->store, &retention, &server->writer, &error), 0);
}

static inline void test_on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    const struct test_server *server = listener->owner;
    rc_broker_accept_on(server->brokers[listener - server->listeners], fd, peer, server->transport);
}

static inline void test_server_shard(struct test_server *server, uint32_t i, int fd)
{
    struct rc_broker_options options;
    assert_int_equal(rc_loop_create("shard", &server->loops[i]), 0);
    rc_broker_options_default(&options);
    options.loop = server->loops[i];
    options.writer = server->writer;
    options.shard = i;
    options.shards = server->shards;
    options.brokers = server->brokers;
    options.catalog = server->catalog;
    options.max_connections = 1000;
    options.sessions = server->sessions;
    options.floor_ms = rc_presence_recovery_greatest_ms(server->recovery);
    if (server->connect_timeout_ms > 0)
        options.connect_timeout_ms = server->connect_timeout_ms;
    if (server->max_connecting > 0)
        options.max_connecting = server->max_connecting;
    if (server->max_queued_bytes > 0)
        options.max_queued_bytes = server->max_queued_bytes;
    assert_int_equal(rc_broker_create(&options, &server->brokers[i]), 0);
    server->listeners[i].on_accept = test_on_accept;
    server->listeners[i].owner = server;
    assert_int_equal(rc_listener_start(&server->listeners[i], server->loops[i], fd), 0);
}

/* Before the server: sessions are kept, in a directory of their own, and with `sessions_dir` set in that one.
 */
static inline void test_sessions_open(struct test_server *server)
{
    struct rc_session_store_options options;
    struct rc_error error;
    if (server->sessions_dir[0] == '\0') {
        snprintf(server->sessions_dir, sizeof(server->sessions_dir), "/tmp/rc-broker-test-XXXXXX");
        assert_non_null(mkdtemp(server->sessions_dir));
    }
    rc_session_store_options_default(&options);
    options.dir = server->sessions_dir;
    assert_int_equal(rc_session_store_open(&options, &server->sessions, &error), 0);
}

static inline void test_sessions_restore(struct test_server *server)
{
    struct rc_error error;
    if (server->sessions == NULL)
        return;
    assert_int_equal(rc_broker_restore(server->brokers, server->shards, server->sessions, &error), 0);
    assert_int_equal(rc_session_store_start(server->sessions, &error), 0);
}

/* With `dir` set, over the store that is there. */
static inline void test_server_start(struct test_server *server)
{
    int fds[TEST_SHARDS_MAX];
    struct rc_error error;
    if (server->dir[0] == '\0') {
        snprintf(server->dir, sizeof(server->dir), "/tmp/rc-broker-test-XXXXXX");
        assert_non_null(mkdtemp(server->dir));
    }
    test_server_log(server);
    test_server_catalog(server);
    rc_address_parse("127.0.0.1:0", &server->address, &error);
    assert_int_equal(rc_listen_open(&server->address, fds, server->shards, &error), 0);
    for (uint32_t i = 0; i < server->shards; i++)
        test_server_shard(server, i, fds[i]);
    test_sessions_restore(server);
    for (uint32_t i = 0; i < server->shards; i++)
        assert_int_equal(rc_loop_start_thread(server->loops[i]), 0);
}

static inline void test_on_stopped(void *arg)
{
    sem_post(arg);
}

/* What they had posted to each other. */
static inline void test_server_drain(struct test_server *server)
{
    for (bool had_any = true; had_any;) {
        had_any = false;
        for (uint32_t i = 0; i < server->shards; i++)
            had_any |= rc_loop_drain(server->loops[i]);
    }
}

static inline void test_server_write_sessions(struct test_server *server)
{
    test_server_drain(server);
    if (server->sessions == NULL)
        return;
    rc_session_store_stop(server->sessions);
    do {
        test_server_drain(server);
        for (uint32_t i = 0; i < server->shards; i++)
            rc_broker_write_sessions(server->brokers[i]);
    } while (rc_session_store_write_rest(server->sessions));
}

/* All but the store, which can then be read. */
static inline void test_server_stop(struct test_server *server)
{
    sem_t stopped;
    sem_init(&stopped, 0, 0);
    for (uint32_t i = 0; i < server->shards; i++)
        rc_broker_post_stop(server->brokers[i], test_on_stopped, &stopped);
    for (uint32_t i = 0; i < server->shards; i++)
        sem_wait(&stopped);
    for (uint32_t i = 0; i < server->shards; i++) {
        rc_loop_stop(server->loops[i]);
        rc_loop_join_thread(server->loops[i]);
        rc_listener_stop(&server->listeners[i]);
    }
    assert_int_equal(rc_log_writer_stop(server->writer), 0);
    test_server_write_sessions(server);
    for (uint32_t i = 0; i < server->shards; i++) {
        rc_broker_destroy(server->brokers[i]);
        rc_loop_destroy(server->loops[i]);
    }
    rc_presence_recovery_destroy(server->recovery);
    rc_catalog_unref(server->catalog);
}

static inline int test_remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    return remove(path);
}

static inline void test_server_remove(struct test_server *server)
{
    rc_store_close(server->store);
    nftw(server->dir, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    rc_session_store_close(server->sessions);
    if (server->sessions_dir[0] != '\0')
        nftw(server->sessions_dir, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- clients ---- */

static inline int test_dial(const struct test_server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = TEST_PATIENCE_S};
    assert_int_equal(connect(fd, &server->address.any, server->address.len), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

/* Sends and frees; the server may have closed by now. */
static inline void test_send(int fd, struct rc_buf *bytes)
{
    ssize_t sent = send(fd, bytes->data, bytes->end, MSG_NOSIGNAL);
    (void)sent;
    rc_buf_free(bytes);
}

struct test_login {
    const char *client_id, *secret, *user;
    uint8_t version;    /* 0: 3.1.1 */
    bool is_persistent; /* in version 5: no clean start */
    bool is_anonymous;
    uint16_t keep_alive_s;
    bool has_no_keep_alive;
    struct rc_slice props; /* of version 5, encoded */
    const char *will_topic;
    struct rc_slice will_payload, will_props;
    uint8_t will_qos;
    bool will_retain;
};

/* The bytes of a literal, NULs included. */
#define TEST_BYTES(text) rc_slice(text, sizeof(text) - 1)

static inline void test_put_connect(struct rc_buf *out, const struct test_login *login)
{
    char password[RC_SIGNATURE_LEN + 1];
    struct rc_slice id = rc_slice_str(login->client_id);
    rc_sign(rc_slice_str(login->secret ? login->secret : "SK"), &id, 1, password);
    struct rc_mqtt_connect connect = {
        .version = login->version ? login->version : RC_MQTT_V311,
        .is_clean = !login->is_persistent,
        .keep_alive_s = login->keep_alive_s ? login->keep_alive_s : 60,
        .client_id = id,
        .has_user = !login->is_anonymous,
        .has_password = !login->is_anonymous,
        .user = rc_slice_str(login->user ? login->user : "Signature|AK|inst"),
        .password = rc_slice_str(password),
        .has_will = login->will_topic != NULL,
        .will_qos = login->will_topic ? login->will_qos : 0,
        .will_retain = login->will_topic && login->will_retain,
        .will_topic = rc_slice_str(login->will_topic ? login->will_topic : ""),
        .will_payload = login->will_payload,
    };
    if (login->has_no_keep_alive)
        connect.keep_alive_s = 0;
    assert_int_equal(rc_mqtt_put_connect(out, &connect, login->props, login->will_props), 0);
}

/* The CONNACK's code, -1 when the connection ended before. */
static inline int test_connack(int fd)
{
    uint8_t connack[4];
    return recv(fd, connack, sizeof(connack), MSG_WAITALL) == 4 ? connack[3] : -1;
}

static inline int test_log_in(int fd, const struct test_login *login)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    test_put_connect(&out, login);
    test_send(fd, &out);
    return test_connack(fd);
}

/* A client that is online; -1 when it was refused. */
static inline int test_client(const struct test_server *server, const char *client_id)
{
    struct test_login login = {.client_id = client_id};
    int fd = test_dial(server);
    if (test_log_in(fd, &login) == 0)
        return fd;
    close(fd);
    return -1;
}

static inline void test_put_subscribe(struct rc_buf *out, const char *filter, uint8_t qos)
{
    struct rc_buf entries;
    rc_buf_init(&entries, RC_MQTT_STRING_MAX + 8);
    rc_mqtt_put_subscription(&entries, rc_slice_str(filter), qos);
    rc_mqtt_put_subscribe(out, RC_MQTT_V311, 1, rc_buf_slice(&entries), rc_slice(NULL, 0));
    rc_buf_free(&entries);
}

static inline void test_put_publish(struct rc_buf *out, const char *topic, const char *payload, uint8_t qos)
{
    struct rc_mqtt_publish publish = {
        .qos = qos, .packet_id = 7, .topic = rc_slice_str(topic), .payload = rc_slice_str(payload)};
    rc_mqtt_put_publish(out, RC_MQTT_V311, &publish, rc_slice(NULL, 0));
}

static inline void test_say_goodbye(int fd)
{
    struct rc_buf out;
    rc_buf_init(&out, 16);
    rc_mqtt_put_disconnect(&out, RC_MQTT_V311, 0, rc_slice(NULL, 0));
    test_send(fd, &out);
}

/* Reads one packet into `packet`, whose views live in `bytes`; false when the connection ended. */
static inline bool test_read_as(int fd, uint8_t version, struct rc_buf *bytes, struct rc_mqtt_packet *packet)
{
    rc_buf_consume(bytes, rc_buf_len(bytes));
    for (;;) {
        int64_t size = rc_mqtt_decode(rc_buf_slice(bytes), version, 1 << 20, packet);
        assert_true(size >= 0);
        if (size > 0)
            return true;
        uint8_t *at = rc_buf_reserve(bytes, 1);
        assert_non_null(at);
        if (recv(fd, at, 1, 0) != 1)
            return false;
        rc_buf_commit(bytes, 1);
    }
}

static inline bool test_read(int fd, struct rc_buf *bytes, struct rc_mqtt_packet *packet)
{
    return test_read_as(fd, RC_MQTT_V311, bytes, packet);
}

/* The CONNACK of a login, whose views live in `bytes`; false when there was none. */
static inline bool test_log_in_as(int fd, const struct test_login *login, struct rc_buf *bytes,
                                  struct rc_mqtt_connack *ret)
{
    struct rc_buf out;
    struct rc_mqtt_packet packet;
    rc_buf_init(&out, 1 << 17);
    test_put_connect(&out, login);
    test_send(fd, &out);
    uint8_t version = login->version ? login->version : RC_MQTT_V311;
    if (!test_read_as(fd, version, bytes, &packet))
        return false;
    assert_int_equal(packet.type, RC_MQTT_CONNACK);
    *ret = packet.connack;
    return true;
}

/* A client of version 5 that is online. */
static inline int test_client_v5(const struct test_server *server, const struct test_login *login)
{
    struct test_login as_v5 = *login;
    struct rc_mqtt_connack connack;
    struct rc_buf bytes;
    int fd = test_dial(server);
    as_v5.version = RC_MQTT_V5;
    rc_buf_init(&bytes, 4096);
    assert_true(test_log_in_as(fd, &as_v5, &bytes, &connack));
    assert_int_equal(connack.reason, RC_MQTT_SUCCESS);
    rc_buf_free(&bytes);
    return fd;
}

/* Reads on to the DISCONNECT of version 5: its reason code, -1 when the connection ended without one. */
static inline int test_wait_disconnect(int fd)
{
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    int code = -1;
    rc_buf_init(&bytes, 1 << 20);
    while (code < 0 && test_read_as(fd, RC_MQTT_V5, &bytes, &packet))
        if (packet.type == RC_MQTT_DISCONNECT)
            code = packet.reasoned.reason;
    rc_buf_free(&bytes);
    return code;
}

/* Reads to the end that the server makes; false when it makes none. */
static inline bool test_wait_closed(int fd)
{
    uint8_t bytes[4096];
    ssize_t len;
    while ((len = recv(fd, bytes, sizeof(bytes), 0)) > 0)
        continue;
    return len == 0 || errno == ECONNRESET;
}

/* ---- what the log says ---- */

struct test_log {
    struct rc_buf text; /* "<device> <event> <reason>\n" an event, reason `-` when there is none */
    int64_t last_ms;
    uint32_t events;
};

static inline bool test_on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct test_log *log = arg;
    struct rc_event event;
    assert_int_equal(rc_event_parse_body(message->body, &event), 0);
    struct rc_slice reason = rc_props_get(message->props, RC_PROP_REASON);
    if (reason.ptr == NULL)
        reason = rc_slice_str("-");
    struct rc_slice device = rc_slice_from(event.client_id_json, strlen("GID_test@@@"));
    assert_int_equal(rc_buf_printf(&log->text, "%.*s %s %.*s\n", RC_SLICE_FMT(device),
                                   rc_event_type_text(event.type), RC_SLICE_FMT(reason)),
                     0);
    log->events++;
    return true;
}

/* All events in the log's order, as text. */
static inline void test_read_log(const struct test_server *server, struct test_log *log)
{
    *log = (struct test_log){.events = 0};
    rc_buf_init(&log->text, 1 << 20);
    assert_int_equal(rc_store_scan(server->store, 0, test_on_record, log), 0);
    rc_buf_put_u8(&log->text, 0);
}

/* Stops the server: the log must hold exactly this. */
static inline void test_assert_log(struct test_server *server, const char *want)
{
    struct test_log log;
    test_server_stop(server);
    test_read_log(server, &log);
    assert_string_equal((const char *)log.text.data, want);
    rc_buf_free(&log.text);
    test_server_remove(server);
}

#define TEST_COUNTER(server, name)                                                                           \
    atomic_load_explicit(&rc_broker_counters((server)->brokers[0])->name, memory_order_relaxed)

/* Waits until a condition of another thread's making holds. */
#define TEST_WAIT(condition)                                                                                 \
    do {                                                                                                     \
        for (int left_ = TEST_PATIENCE_S * 1000; left_ > 0 && !(condition); left_--)                         \
            usleep(1000);                                                                                    \
        assert_true(condition);                                                                              \
    } while (0)

#endif
