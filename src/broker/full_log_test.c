/*
 * The disk is full: who is online stays online, departures wait, nobody new comes in; then there is room, and
 * the log has every channel's end, in order, and none of those that were refused.
 */
#include "broker/test_server.h"

#include "store/store_private.h"

/* On the log writer's thread, whose field it is. */
struct quota_mail {
    struct rc_mail mail;
    struct rc_store *store;
    uint64_t bytes;
    sem_t done;
};

static void on_quota(struct rc_mail *mail, struct rc_loop *loop)
{
    struct quota_mail *letter = rc_container_of(mail, struct quota_mail, mail);
    letter->store->log.quota_bytes = letter->bytes;
    sem_post(&letter->done);
}

static void set_quota(struct test_server *server, uint64_t bytes)
{
    struct quota_mail letter = {.mail.deliver = on_quota, .store = server->store, .bytes = bytes};
    sem_init(&letter.done, 0, 0);
    rc_loop_post(rc_log_writer_loop(server->writer), &letter.mail);
    sem_wait(&letter.done);
    sem_destroy(&letter.done);
}

static void test_departures_wait_and_new_clients_are_refused_until_there_is_room(void **state)
{
    enum { CLIENTS = 20 };
    struct test_server server = {.shards = 1};
    struct rc_buf want;
    int fds[CLIENTS];
    rc_buf_init(&want, 1 << 16);
    test_server_start(&server);
    for (int i = 0; i < CLIENTS; i++) {
        char id[32];
        snprintf(id, sizeof(id), "GID_test@@@%d", i);
        fds[i] = test_client(&server, id);
        assert_true(fds[i] >= 0);
        rc_buf_printf(&want, "%d connect -\n", i);
    }
    set_quota(&server, 1);
    for (int i = 0; i < CLIENTS / 2; i++) {
        close(fds[i]);
        TEST_WAIT(TEST_COUNTER(&server, connection_lost) == (unsigned)i + 1);
        rc_buf_printf(&want, "%d tcpclean connection-lost\n", i);
    }
    TEST_WAIT(rc_log_writer_is_blocked(server.writer));
    struct test_login login = {.client_id = "GID_test@@@new"};
    for (int i = 0; i < 3; i++) {
        int fd = test_dial(&server);
        assert_int_equal(test_log_in(fd, &login), 3);
        close(fd);
    }
    /* a client that is online is not pushed out by a connection that cannot be told of */
    login.client_id = "GID_test@@@19";
    int fd = test_dial(&server);
    assert_int_equal(test_log_in(fd, &login), 3);
    close(fd);
    assert_int_equal(send(fds[19], "\xc0\0", 2, 0), 2);
    uint8_t answer[2];
    assert_int_equal(recv(fds[19], answer, 2, MSG_WAITALL), 2);
    assert_int_equal(TEST_COUNTER(&server, refused_log), 4);
    set_quota(&server, 0);
    TEST_WAIT(!rc_log_writer_is_blocked(server.writer));
    fd = test_client(&server, "GID_test@@@new");
    assert_true(fd >= 0);
    rc_buf_put_str(&want, "new connect -\n");
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == CLIENTS / 2 + 1);
    rc_buf_put_str(&want, "new tcpclean connection-lost\n");
    for (int i = CLIENTS / 2; i < CLIENTS; i++)
        rc_buf_printf(&want, "%d tcpclean server-shutdown\n", i);
    rc_buf_put_u8(&want, 0);
    test_assert_log(&server, (const char *)want.data);
    rc_buf_free(&want);
    for (int i = CLIENTS / 2; i < CLIENTS; i++)
        close(fds[i]);
}

static void on_min_free(struct rc_mail *mail, struct rc_loop *loop)
{
    struct quota_mail *letter = rc_container_of(mail, struct quota_mail, mail);
    letter->store->options.min_free_bytes = letter->bytes;
    sem_post(&letter->done);
}

static void set_min_free(struct test_server *server, uint64_t bytes)
{
    struct quota_mail letter = {.mail.deliver = on_min_free, .store = server->store, .bytes = bytes};
    sem_init(&letter.done, 0, 0);
    rc_loop_post(rc_log_writer_loop(server->writer), &letter.mail);
    sem_wait(&letter.done);
    sem_destroy(&letter.done);
}

static void test_nobody_new_is_let_in_while_the_disk_is_low(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int stays = test_client(&server, "GID_test@@@stays"), leaves = test_client(&server, "GID_test@@@leaves");
    set_min_free(&server, UINT64_MAX / 2);
    TEST_WAIT(rc_log_writer_is_disk_low(server.writer));
    struct test_login login = {.client_id = "GID_test@@@new"};
    int fd = test_dial(&server);
    assert_int_equal(test_log_in(fd, &login), 3);
    close(fd);
    close(leaves); /* its end is told: the log has room */
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    set_min_free(&server, 0);
    TEST_WAIT(!rc_log_writer_is_disk_low(server.writer));
    fd = test_client(&server, "GID_test@@@new");
    test_assert_log(&server,
                    "stays connect -\nleaves connect -\nleaves tcpclean connection-lost\nnew connect -\n"
                    "stays tcpclean server-shutdown\nnew tcpclean server-shutdown\n");
    close(fd);
    close(stays);
}

/* Its connect is staged when the disk turns out to be full: it is not left hanging. */
static void test_a_client_that_the_log_does_not_take_is_let_go_in_time(void **state)
{
    struct test_server server = {.shards = 1, .connect_timeout_ms = 300};
    test_server_start(&server);
    set_quota(&server, 1);
    struct test_login logins[] = {
        {.client_id = "GID_test@@@a"},
        {.client_id = "GID_test@@@a", .version = RC_MQTT_V5},
    };
    static const int codes[] = {3, RC_MQTT_SERVER_UNAVAILABLE};
    for (int i = 0; i < 2; i++) {
        int fd = test_dial(&server);
        assert_int_equal(test_log_in(fd, &logins[i]), codes[i]);
        close(fd);
    }
    set_quota(&server, 0);
    TEST_WAIT(!rc_log_writer_is_blocked(server.writer));
    test_assert_log(&server, "a connect -\na tcpclean log-blocked\n");
}

static bool read_publish(int fd, struct rc_buf *bytes, struct rc_mqtt_packet *packet)
{
    while (test_read(fd, bytes, packet))
        if (packet->type == RC_MQTT_PUBLISH)
            return true;
    return false;
}

/* Nobody would send a will again: it waits, and then it is in the log and with its subscribers. At QoS 0 it
 * goes to subscribers at once. */
static void test_a_will_that_goes_out_waits_for_room(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true, .has_outflow = true};
    struct rc_mqtt_packet packet;
    struct rc_buf bytes;
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a",
                               .will_topic = "top/a",
                               .will_payload = rc_slice_str("gone"),
                               .will_qos = 1};
    int watcher = test_client(&server, "GID_test@@@watcher"), leaver = test_dial(&server);
    assert_int_equal(test_log_in(leaver, &login), 0);
    login.client_id = "GID_test@@@b";
    login.will_topic = "top/b";
    login.will_qos = 0;
    int other = test_dial(&server);
    assert_int_equal(test_log_in(other, &login), 0);
    rc_buf_init(&bytes, 256);
    test_put_subscribe(&bytes, "top/#", 0);
    test_send(watcher, &bytes);
    rc_buf_init(&bytes, 4096);
    assert_true(test_read(watcher, &bytes, &packet));
    set_quota(&server, 1);
    close(test_client(&server, "GID_test@@@filler"));
    TEST_WAIT(rc_log_writer_is_blocked(server.writer));
    close(leaver);
    TEST_WAIT(TEST_COUNTER(&server, outflow_refused) > 0);
    close(other);
    assert_true(read_publish(watcher, &bytes, &packet));
    assert_true(rc_slice_eq_str(packet.publish.topic, "top/b"));
    assert_int_equal(TEST_COUNTER(&server, wills_sent), 1);
    set_quota(&server, 0);
    assert_true(read_publish(watcher, &bytes, &packet));
    assert_true(rc_slice_eq_str(packet.publish.topic, "top/a"));
    assert_int_equal(TEST_COUNTER(&server, wills_sent), 2);
    rc_buf_free(&bytes);
    close(watcher);
    test_server_stop(&server);
    struct rc_topic *topic = rc_store_find_topic(server.store, rc_slice_str("OUT"));
    assert_int_equal(rc_queue_end(rc_topic_queue(topic, 0)), 1);
    test_server_remove(&server);
}

/* There is room again just when the server is stopped: what waited for it goes into the log all the same. */
static void test_a_server_that_stops_still_writes_what_waited_for_room(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true, .has_outflow = true};
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a",
                               .will_topic = "top/a",
                               .will_payload = rc_slice_str("gone"),
                               .will_qos = 1};
    int leaver = test_dial(&server);
    assert_int_equal(test_log_in(leaver, &login), 0);
    set_quota(&server, 1);
    close(test_client(&server, "GID_test@@@filler"));
    TEST_WAIT(rc_log_writer_is_blocked(server.writer));
    close(leaver);
    TEST_WAIT(TEST_COUNTER(&server, outflow_refused) > 0);
    set_quota(&server, 0);
    test_server_stop(&server);
    struct rc_topic *topic = rc_store_find_topic(server.store, rc_slice_str("OUT"));
    assert_int_equal(rc_queue_end(rc_topic_queue(topic, 0)), 1);
    test_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_new_is_let_in_while_the_disk_is_low),
        cmocka_unit_test(test_departures_wait_and_new_clients_are_refused_until_there_is_room),
        cmocka_unit_test(test_a_client_that_the_log_does_not_take_is_let_go_in_time),
        cmocka_unit_test(test_a_will_that_goes_out_waits_for_room),
        cmocka_unit_test(test_a_server_that_stops_still_writes_what_waited_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
