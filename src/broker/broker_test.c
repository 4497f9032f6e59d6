/*
 * Two shards with a real store, clients on loopback sockets that come, go, push each other out and publish at
 * once. What must never be is then looked for in the log. Runs under the thread sanitizer too.
 */
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
#include "presence/event.h"
#include "presence/recovery.h"

#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHARDS = 2, CLIENTS = 5, WORKERS = 3, ROUNDS = 40 };

struct server {
    char dir[64];
    char snapshot[96];
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_presence_recovery *recovery;
    struct rc_catalog *catalog;
    struct rc_loop *loops[SHARDS];
    struct rc_broker *brokers[SHARDS];
    struct rc_listener listeners[SHARDS];
    struct rc_address address;
};

static void on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    rc_broker_accept(listener->owner, fd, peer);
}

static void make_catalog(struct server *server)
{
    struct rc_instance *instance;
    struct rc_group *group;
    struct rc_error error;
    server->catalog = rc_catalog_create();
    rc_catalog_add_instance(server->catalog, rc_slice_str("inst"), &instance);
    rc_catalog_add_key(server->catalog, instance, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_group(server->catalog, instance, rc_slice_str("GID_test"), &group);
    rc_catalog_add_parent_topic(server->catalog, instance, rc_slice_str("top"));
    assert_int_equal(rc_store_create_topic(server->store, rc_slice_str("EVENTS"), 4, RC_PERM_READ_WRITE,
                                           &server->catalog->presence_topic, &error),
                     0);
}

static void open_log(struct server *server)
{
    struct rc_store_options options;
    struct rc_error error = {0};
    rc_store_options_default(&options);
    options.dir = server->dir;
    options.segment_bytes = 16 << 20;
    options.queue_file_entries = 300;
    assert_int_equal(rc_store_open(&options, &server->store, &error), 0);
    snprintf(server->snapshot, sizeof(server->snapshot), "%s/rollcall/channels", server->dir);
    struct rc_presence_recovery_options recovery = {
        .store = server->store, .path = server->snapshot, .node = "n"};
    assert_int_equal(rc_presence_recover(&recovery, &server->recovery, &error), 0);
    struct rc_log_retention retention = {rc_presence_recovery_keep_from, server->recovery};
    assert_int_equal(rc_log_writer_start(server->store, &retention, &server->writer, &error), 0);
}

static void start(struct server *server)
{
    int fds[SHARDS];
    struct rc_error error;
    open_log(server);
    make_catalog(server);
    rc_address_parse("127.0.0.1:0", &server->address, &error);
    assert_int_equal(rc_listen_open(&server->address, fds, SHARDS, &error), 0);
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct rc_broker_options options;
        assert_int_equal(rc_loop_create("shard", &server->loops[i]), 0);
        rc_broker_options_default(&options);
        options.loop = server->loops[i];
        options.writer = server->writer;
        options.shard = i;
        options.shards = SHARDS;
        options.brokers = server->brokers;
        options.catalog = server->catalog;
        options.max_connections = 1000;
        assert_int_equal(rc_broker_create(&options, &server->brokers[i]), 0);
        server->listeners[i].on_accept = on_accept;
        server->listeners[i].owner = server->brokers[i];
        assert_int_equal(rc_listener_start(&server->listeners[i], server->loops[i], fds[i]), 0);
    }
    for (uint32_t i = 0; i < SHARDS; i++)
        assert_int_equal(rc_loop_start_thread(server->loops[i]), 0);
}

static void on_stopped(void *arg)
{
    sem_post(arg);
}

static void stop(struct server *server)
{
    sem_t stopped;
    sem_init(&stopped, 0, 0);
    for (int i = 0; i < SHARDS; i++)
        rc_broker_post_stop(server->brokers[i], on_stopped, &stopped);
    for (int i = 0; i < SHARDS; i++)
        sem_wait(&stopped);
    for (int i = 0; i < SHARDS; i++) {
        rc_loop_stop(server->loops[i]);
        rc_loop_join_thread(server->loops[i]);
        rc_listener_stop(&server->listeners[i]);
    }
    assert_int_equal(rc_log_writer_stop(server->writer), 0);
    for (int i = 0; i < SHARDS; i++) {
        rc_broker_destroy(server->brokers[i]);
        rc_loop_destroy(server->loops[i]);
    }
    rc_presence_recovery_destroy(server->recovery);
    rc_catalog_unref(server->catalog);
}

/* ---- clients ---- */

static int dial(const struct server *server)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 10};
    assert_int_equal(connect(fd, &server->address.any, server->address.len), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static void send_all(int fd, struct rc_buf *bytes)
{
    ssize_t sent = send(fd, bytes->data, bytes->end, MSG_NOSIGNAL); /* it may have been pushed out by now */
    (void)sent;
    rc_buf_free(bytes);
}

/* The CONNACK's code, -1 when the connection ended before. */
static int log_in(int fd, const char *client_id)
{
    char password[RC_SIGNATURE_LEN + 1];
    uint8_t connack[4];
    struct rc_slice id = rc_slice_str(client_id);
    rc_sign(rc_slice_str("SK"), &id, 1, password);
    struct rc_mqtt_connect connect = {.version = RC_MQTT_V311,
                                      .is_clean = true,
                                      .keep_alive_s = 60,
                                      .client_id = id,
                                      .has_user = true,
                                      .has_password = true,
                                      .user = rc_slice_str("Signature|AK|inst"),
                                      .password = rc_slice_str(password)};
    struct rc_buf out;
    rc_buf_init(&out, 1024);
    rc_mqtt_put_connect(&out, &connect, rc_slice(NULL, 0), rc_slice(NULL, 0));
    send_all(fd, &out);
    return recv(fd, connack, sizeof(connack), MSG_WAITALL) == 4 ? connack[3] : -1;
}

static void talk(int fd)
{
    struct rc_buf out, entries;
    struct rc_mqtt_publish publish = {
        .qos = 1, .packet_id = 7, .topic = rc_slice_str("top/x"), .payload = rc_slice_str("hello")};
    rc_buf_init(&out, 1024);
    rc_buf_init(&entries, 128);
    rc_mqtt_put_subscription(&entries, rc_slice_str("top/#"), 1);
    rc_mqtt_put_subscribe(&out, RC_MQTT_V311, 1, rc_buf_slice(&entries), rc_slice(NULL, 0));
    rc_mqtt_put_publish(&out, RC_MQTT_V311, &publish, rc_slice(NULL, 0));
    rc_mqtt_put_unsubscribe(&out, RC_MQTT_V311, 2, rc_slice("\0\5top/#", 7), rc_slice(NULL, 0));
    send_all(fd, &out);
    rc_buf_free(&entries);
}

static void *work(void *arg)
{
    const struct server *server = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    for (int i = 0; i < ROUNDS; i++) {
        char id[40];
        struct rc_buf bye;
        snprintf(id, sizeof(id), "GID_test@@@c%d", rand_r(&seed) % CLIENTS);
        int fd = dial(server), code = log_in(fd, id);
        if (code > 0)
            abort(); /* it may be pushed out before its CONNACK, but never refused */
        talk(fd);
        if (rand_r(&seed) % 2) {
            rc_buf_init(&bye, 16);
            rc_mqtt_put_disconnect(&bye, RC_MQTT_V311, 0, rc_slice(NULL, 0));
            send_all(fd, &bye);
        }
        close(fd);
    }
    return NULL;
}

/* ---- what the log says ---- */

struct history {
    uint8_t open[CLIENTS][RC_CHANNEL_ID_LEN];
    bool is_open[CLIENTS];
    int64_t last_ms[CLIENTS];
    uint32_t sequence[CLIENTS];
    uint32_t connects, tcpcleans;
};

static bool on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct history *history = arg;
    struct rc_event event;
    assert_int_equal(rc_event_parse_body(message->body, &event), 0);
    int client = event.client_id_json.ptr[event.client_id_json.len - 1] - '0';
    assert_true(event.time_ms > history->last_ms[client]);
    history->last_ms[client] = event.time_ms;
    char sequence[8] = "";
    struct rc_slice value = rc_props_get(message->props, RC_PROP_SEQUENCE);
    memcpy(sequence, value.ptr, value.len);
    if (event.type == RC_EVENT_CONNECT) {
        assert_false(history->is_open[client]); /* the old channel's tcpclean comes first */
        memcpy(history->open[client], event.channel_id, RC_CHANNEL_ID_LEN);
        history->is_open[client] = true;
        history->sequence[client] = 0;
        history->connects++;
    }
    assert_true(history->is_open[client]); /* nothing of a channel that is not open */
    assert_memory_equal(history->open[client], event.channel_id, RC_CHANNEL_ID_LEN);
    assert_int_equal(strtol(sequence, NULL, 10), ++history->sequence[client]);
    if (event.type == RC_EVENT_TCPCLEAN) {
        history->is_open[client] = false;
        history->tcpcleans++;
    }
    return true;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    return remove(path);
}

static void test_channels_stay_in_order_while_clients_push_each_other_out(void **state)
{
    struct server server = {.dir = "/tmp/rc-broker-test-XXXXXX"};
    pthread_t workers[WORKERS];
    assert_non_null(mkdtemp(server.dir));
    start(&server);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&workers[i], NULL, work, &server);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    stop(&server);
    struct history history = {0};
    assert_int_equal(rc_store_scan(server.store, 0, on_record, &history), 0);
    assert_true(history.connects > WORKERS * ROUNDS / 2);
    assert_int_equal(history.connects, history.tcpcleans);
    rc_store_close(server.store);
    nftw(server.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_stay_in_order_while_clients_push_each_other_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
