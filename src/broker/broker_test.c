/*
 * Two shards with a real store, clients on loopback sockets that come, go, push each other out and publish at
 * once. What must never be is then looked for in the log. Runs under the thread sanitizer too.
 */
#include "broker/test_server.h"

enum { CLIENTS = 5, WORKERS = 3, ROUNDS = 40 };

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
    test_send(fd, &out);
    rc_buf_free(&entries);
}

static void *work(void *arg)
{
    const struct test_server *server = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    for (int i = 0; i < ROUNDS; i++) {
        char id[40];
        snprintf(id, sizeof(id), "GID_test@@@c%d", rand_r(&seed) % CLIENTS);
        struct test_login login = {.client_id = id};
        int fd = test_dial(server), code = test_log_in(fd, &login);
        if (code > 0)
            abort(); /* it may be pushed out before its CONNACK, but never refused */
        talk(fd);
        if (rand_r(&seed) % 2)
            test_say_goodbye(fd);
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

static void test_channels_stay_in_order_while_clients_push_each_other_out(void **state)
{
    struct test_server server = {.shards = 2};
    pthread_t workers[WORKERS];
    test_server_start(&server);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&workers[i], NULL, work, &server);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    test_server_stop(&server);
    struct history history = {0};
    assert_int_equal(rc_store_scan(server.store, 0, on_record, &history), 0);
    assert_true(history.connects > WORKERS * ROUNDS / 2);
    assert_int_equal(history.connects, history.tcpcleans);
    test_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_stay_in_order_while_clients_push_each_other_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
