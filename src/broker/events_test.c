/* Every way to come and go, and the exact events that the log has of it. */
#include "broker/test_server.h"

static void test_a_graceful_close_is_connect_disconnect_tcpclean(void **state)
{
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    int fd = test_client(&server, "GID_test@@@a");
    test_say_goodbye(fd);
    assert_true(test_wait_closed(fd));
    close(fd);
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

static void test_a_cut_connection_is_connect_tcpclean(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    struct linger cut = {.l_onoff = 1};
    int fd = test_client(&server, "GID_test@@@a");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    close(test_client(&server, "GID_test@@@b"));
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 2);
    test_assert_log(&server, "a connect -\na tcpclean connection-lost\n"
                             "b connect -\nb tcpclean connection-lost\n");
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Its keep-alive is one. */
static int client_of_a_second(const struct test_server *server)
{
    struct test_login login = {.client_id = "GID_test@@@a", .keep_alive_s = 1};
    int fd = test_dial(server);
    assert_int_equal(test_log_in(fd, &login), 0);
    return fd;
}

static void test_a_silent_client_is_closed_after_one_and_a_half_keep_alives(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int fd = client_of_a_second(&server);
    int64_t begun_ms = now_ms();
    assert_true(test_wait_closed(fd));
    assert_in_range(now_ms() - begun_ms, 1450, 4000);
    close(fd);
    test_assert_log(&server, "a connect -\na tcpclean keepalive-timeout\n");
}

/* MQTT-3.1.2-22 counts packets: bytes of one that never becomes whole are no sign of life. */
static void test_a_packet_in_crumbs_keeps_nobody_alive(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int fd = client_of_a_second(&server);
    int64_t begun_ms = now_ms();
    send(fd, "\x30\x7f\0\5top/x", 9, MSG_NOSIGNAL);
    for (int i = 0; i < 50 && send(fd, "h", 1, MSG_NOSIGNAL) == 1; i++) /* 50 of the 120 bytes, in 5 s */
        usleep(100000);
    assert_in_range(now_ms() - begun_ms, 1450, 4000);
    close(fd);
    test_assert_log(&server, "a connect -\na tcpclean keepalive-timeout\n");
}

/* What the server does not read yet, because it came too fast, is not held against the client. */
static void test_who_is_made_to_wait_is_not_silent(void **state)
{
    struct rc_admission admission = {.connections = 0};
    struct test_server server = {.shards = 1, .transport = rc_transport_create(RC_TRANSPORT_TCP, "slow")};
    static char payload[4001];
    struct rc_buf out;
    uint8_t answer[2];
    server.transport->admission = &admission;
    server.transport->limits.bytes_per_second = 1000;
    test_server_start(&server);
    int fd = client_of_a_second(&server);
    memset(payload, 'h', sizeof(payload) - 1);
    rc_buf_init(&out, 8192);
    test_put_publish(&out, "top/x", payload, 0);
    int64_t begun_ms = now_ms();
    test_send(fd, &out);
    usleep(500000);
    assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(recv(fd, answer, 2, MSG_WAITALL), 2);
    assert_in_range(now_ms() - begun_ms, 2500, 20000); /* far beyond 1.5 s: nothing was read meanwhile */
    test_say_goodbye(fd);
    assert_true(test_wait_closed(fd));
    close(fd);
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
    rc_transport_unref(server.transport);
}

static void test_pings_keep_a_client_alive(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a", .keep_alive_s = 1};
    int fd = test_dial(&server);
    uint8_t answer[2];
    assert_int_equal(test_log_in(fd, &login), 0);
    for (int i = 0; i < 4; i++) {
        usleep(700000);
        assert_int_equal(send(fd, "\xc0\0", 2, 0), 2);
        assert_int_equal(recv(fd, answer, 2, MSG_WAITALL), 2);
    }
    test_say_goodbye(fd);
    assert_true(test_wait_closed(fd));
    close(fd);
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

static void test_the_newest_connection_of_a_client_wins(void **state)
{
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    int old = test_client(&server, "GID_test@@@a");
    int new = test_client(&server, "GID_test@@@a");
    assert_true(old >= 0 && new >= 0);
    assert_true(test_wait_closed(old));
    test_say_goodbye(new);
    assert_true(test_wait_closed(new));
    close(old);
    close(new);
    test_assert_log(&server, "a connect -\na tcpclean takeover\n"
                             "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

static void test_a_refused_login_is_no_event_and_has_the_right_code(void **state)
{
    static const struct {
        struct test_login login;
        int code;
    } cases[] = {
        {{.client_id = "GID_test@@@a", .secret = "wrong"}, 4},
        {{.client_id = "GID_test@@@a", .user = "Signature|AK"}, 4},
        {{.client_id = "GID_test@@@a", .user = "Token|AK|inst"}, 4},
        {{.client_id = "GID_test@@@a", .user = "Signature|AK|nowhere"}, 5},
        {{.client_id = "GID_test@@@a", .user = "Signature|KA|inst"}, 5},
        {{.client_id = "GID_nobody@@@a"}, 5},
        {{.client_id = "GID_test@@@"}, 2},
        {{.client_id = "GID_test@@@a b"}, 2},
        {{.client_id = "x"}, 2},
    };
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = test_dial(&server);
        assert_int_equal(test_log_in(fd, &cases[i].login), cases[i].code);
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    test_assert_log(&server, "");
}

static void test_version_3_1_is_spoken_and_an_unknown_one_is_answered(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    struct test_login login = {.client_id = "GID_test@@@a", .version = RC_MQTT_V31};
    struct rc_buf out;
    int fd = test_dial(&server);
    assert_int_equal(test_log_in(fd, &login), 0);
    test_say_goodbye(fd);
    assert_true(test_wait_closed(fd));
    close(fd);
    /* in the shape of 3.1.1 (MQTT-3.1.2-2), but for 5, which is known */
    static const int codes[][2] = {{1, 1}, {2, 1}, {5, 0x87}, {9, 1}, {255, 1}};
    login.version = RC_MQTT_V311;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        fd = test_dial(&server);
        rc_buf_init(&out, 4096);
        test_put_connect(&out, &login);
        uint8_t *name = memmem(out.data, out.end, "MQTT\4", 5);
        name[4] = (uint8_t)codes[i][0];
        if (codes[i][0] == 5) { /* it has properties; nobody logs in without a user */
            rc_buf_free(&out);
            rc_buf_init(&out, 64);
            rc_buf_put(&out, "\x10\x0e\0\4MQTT\5\2\0\x3c\0\0\1a", 16);
        }
        test_send(fd, &out);
        assert_int_equal(test_connack(fd), codes[i][1]);
        close(fd);
    }
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

static void test_a_stop_ends_every_channel(void **state)
{
    struct test_server server = {.shards = 1};
    int fds[3];
    test_server_start(&server);
    for (int i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof(id), "GID_test@@@%d", i);
        fds[i] = test_client(&server, id);
        assert_true(fds[i] >= 0);
    }
    int stranger = test_dial(&server);
    test_assert_log(&server, "0 connect -\n1 connect -\n2 connect -\n0 tcpclean server-shutdown\n"
                             "1 tcpclean server-shutdown\n2 tcpclean server-shutdown\n");
    for (int i = 0; i < 3; i++) {
        assert_true(test_wait_closed(fds[i]));
        close(fds[i]);
    }
    assert_true(test_wait_closed(stranger));
    close(stranger);
}

/* What a client may not send once it is online: each ends its channel, with its reason. */
static void test_a_client_that_breaks_the_rules_is_closed_with_its_reason(void **state)
{
#define BYTES(text) rc_slice(text, sizeof(text) - 1)
    const struct {
        struct rc_slice bytes;
        const char *reason;
    } cases[] = {
        {BYTES("\x00\x00"), "protocol-error"},                            /* type 0 */
        {BYTES("\xf0\x00"), "protocol-error"},                            /* type 15, in 3.1.1 */
        {BYTES("\x20\x02\x00\x00"), "protocol-error"},                    /* CONNACK from a client */
        {BYTES("\x90\x03\x00\x01\x00"), "protocol-error"},                /* SUBACK from a client */
        {BYTES("\xd0\x00"), "protocol-error"},                            /* PINGRESP from a client */
        {BYTES("\xc1\x00"), "protocol-error"},                            /* PINGREQ with flags */
        {BYTES("\xc0\x01\x00"), "protocol-error"},                        /* PINGREQ with a body */
        {BYTES("\xff\xff\xff\xff\xff"), "protocol-error"},                /* a length of five bytes */
        {BYTES("\x30\xff\xff\xff\x7f"), "protocol-error"},                /* 256 MiB are announced */
        {BYTES("\x36\x08\x00\x05top/x\x00"), "protocol-error"},           /* QoS 3 */
        {BYTES("\x30\x02\x00\x00"), "protocol-error"},                    /* an empty topic */
        {BYTES("\x30\x07\x00\x05top/+"), "protocol-error"},               /* a wildcard in a name */
        {BYTES("\x32\x09\x00\x05top/x\x00\x00"), "protocol-error"},       /* packet id 0 */
        {BYTES("\x30\x07\x00\x05top/\xff"), "protocol-error"},            /* not UTF-8 */
        {BYTES("\x30\x05\x00\x05top"), "protocol-error"},                 /* the topic ends outside */
        {BYTES("\x82\x02\x00\x01"), "protocol-error"},                    /* no filter */
        {BYTES("\x80\x0a\x00\x01\x00\x05top/#\x00"), "protocol-error"},   /* SUBSCRIBE without its flag */
        {BYTES("\x82\x0a\x00\x01\x00\x05top/#\x03"), "protocol-error"},   /* QoS 3 asked for */
        {BYTES("\x82\x0b\x00\x01\x00\x06top/#x\x00"), "protocol-error"},  /* `#` not alone */
        {BYTES("\x82\x0c\x00\x01\x00\x07top/#/x\x00"), "protocol-error"}, /* `#` not last */
        {BYTES("\x82\x06\x00\x01\x00\x01#\x00"), "not-authorized"},       /* every topic */
        {BYTES("\x82\x0c\x00\x01\x00\x07other/#\x00"), "not-authorized"}, /* no such parent topic */
        {BYTES("\x30\x09\x00\x07other/x"), "not-authorized"},             /* likewise */
        {BYTES("\x30\x0b\x00\x09$SYS/evil"), "not-authorized"},
        {BYTES("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"), "protocol-error"}, /* a second CONNECT */
    };
    struct test_server server = {.shards = 2};
    struct rc_buf want;
    rc_buf_init(&want, 1 << 16);
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = test_client(&server, "GID_test@@@a");
        assert_int_equal(send(fd, cases[i].bytes.ptr, cases[i].bytes.len, 0), cases[i].bytes.len);
        if (!test_wait_closed(fd))
            fail_msg("case %zu was not closed", i);
        close(fd);
        rc_buf_printf(&want, "a connect -\na tcpclean %s\n", cases[i].reason);
    }
    rc_buf_put_u8(&want, 0);
    test_assert_log(&server, (const char *)want.data);
    rc_buf_free(&want);
}

/* Before CONNECT nobody is anybody: whatever comes, there is no event, and the connection ends. */
static void test_a_stranger_is_closed_without_an_event(void **state)
{
    const struct rc_slice cases[] = {
        BYTES("\x00"),
        BYTES("GET / HTTP/1.1\r\n\r\n"),
        BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* a TLS hello */
        BYTES("\x30\x07\x00\x05top/x"),                        /* PUBLISH before CONNECT */
        BYTES("\xc0\x00"),
        BYTES("\xe0\x00"),
        BYTES("\x10\x00"),
        BYTES("\x10\xff\xff\xff\x7f\x00\x04MQTT\x04"), /* 256 MiB of CONNECT */
        BYTES("\x10\x0c\x00\x04MQTX\x04\x02\x00\x3c\x00\x00"),
        BYTES("\x10\x0c\x00\x04MQTT\x04\x03\x00\x3c\x00\x00"), /* the reserved flag */
        BYTES("\x10\x0c\x00\x04MQTT\x04\x42\x00\x3c\x00\x00"), /* a password without a user */
    };
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = test_dial(&server);
        assert_int_equal(send(fd, cases[i].ptr, cases[i].len, 0), cases[i].len);
        if (!test_wait_closed(fd))
            fail_msg("case %zu was not closed", i);
        close(fd);
    }
    test_assert_log(&server, "");
}

static void test_who_does_not_say_who_he_is_is_closed_in_time(void **state)
{
    struct test_server server = {.shards = 1, .connect_timeout_ms = 200};
    test_server_start(&server);
    int silent = test_dial(&server), slow = test_dial(&server);
    assert_int_equal(send(slow, "\x10\x20\x00\x04MQ", 6, 0), 6);
    assert_true(test_wait_closed(silent));
    assert_true(test_wait_closed(slow));
    assert_int_equal(TEST_COUNTER(&server, connect_timeouts), 2);
    close(silent);
    close(slow);
    test_assert_log(&server, "");
}

static void test_the_longest_silent_stranger_makes_room_for_the_newest(void **state)
{
    struct test_server server = {.shards = 1, .max_connecting = 4};
    test_server_start(&server);
    int fds[6];
    for (int i = 0; i < 6; i++) {
        fds[i] = test_dial(&server);
        TEST_WAIT(TEST_COUNTER(&server, accepted) == (unsigned)i + 1);
    }
    assert_true(test_wait_closed(fds[0]));
    assert_true(test_wait_closed(fds[1]));
    assert_int_equal(TEST_COUNTER(&server, dropped_connecting), 2);
    struct test_login login = {.client_id = "GID_test@@@a"};
    assert_int_equal(test_log_in(fds[2], &login), 0); /* the others are still there */
    int fd = test_client(&server, "GID_test@@@b");
    assert_true(fd >= 0);
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    for (int i = 0; i < 6; i++)
        close(fds[i]);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 2);
    test_assert_log(&server,
                    "a connect -\nb connect -\nb tcpclean connection-lost\na tcpclean connection-lost\n");
}

static void test_a_connect_that_comes_byte_by_byte_is_accepted(void **state)
{
    struct test_server server = {.shards = 2};
    struct test_login login = {.client_id = "GID_test@@@a"};
    struct rc_buf out;
    test_server_start(&server);
    int fd = test_dial(&server);
    rc_buf_init(&out, 4096);
    test_put_connect(&out, &login);
    for (uint32_t i = 0; i < out.end; i++) {
        assert_int_equal(send(fd, out.data + i, 1, 0), 1);
        usleep(500);
    }
    rc_buf_free(&out);
    assert_int_equal(test_connack(fd), 0);
    test_say_goodbye(fd);
    assert_true(test_wait_closed(fd));
    close(fd);
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

/* All in one write: login, and goodbye behind it, before CONNACK was there. */
static void test_a_client_that_leaves_before_its_connack_has_all_its_events(void **state)
{
    struct test_server server = {.shards = 2};
    struct test_login login = {.client_id = "GID_test@@@a"};
    struct rc_buf out;
    test_server_start(&server);
    int fd = test_dial(&server);
    rc_buf_init(&out, 4096);
    test_put_connect(&out, &login);
    rc_mqtt_put_disconnect(&out, RC_MQTT_V311, 0, rc_slice(NULL, 0));
    test_send(fd, &out);
    assert_int_equal(test_connack(fd), 0);
    assert_true(test_wait_closed(fd));
    close(fd);
    test_assert_log(&server, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
}

static void test_who_sends_and_never_reads_is_closed(void **state)
{
    struct test_server server = {.shards = 1};
    static uint8_t pings[1 << 16];
    int small = 4096;
    for (size_t i = 0; i < sizeof(pings); i += 2)
        pings[i] = 0xc0;
    test_server_start(&server);
    int fd = test_client(&server, "GID_test@@@a");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    for (int i = 0; i < 2000; i++) /* 128 MB, if the server took it all */
        if (send(fd, pings, sizeof(pings), MSG_NOSIGNAL) <= 0)
            break;
    TEST_WAIT(TEST_COUNTER(&server, slow_consumers) == 1);
    close(fd);
    test_assert_log(&server, "a connect -\na tcpclean slow-consumer\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_graceful_close_is_connect_disconnect_tcpclean),
        cmocka_unit_test(test_a_cut_connection_is_connect_tcpclean),
        cmocka_unit_test(test_a_silent_client_is_closed_after_one_and_a_half_keep_alives),
        cmocka_unit_test(test_a_packet_in_crumbs_keeps_nobody_alive),
        cmocka_unit_test(test_who_is_made_to_wait_is_not_silent),
        cmocka_unit_test(test_pings_keep_a_client_alive),
        cmocka_unit_test(test_the_newest_connection_of_a_client_wins),
        cmocka_unit_test(test_a_refused_login_is_no_event_and_has_the_right_code),
        cmocka_unit_test(test_version_3_1_is_spoken_and_an_unknown_one_is_answered),
        cmocka_unit_test(test_a_stop_ends_every_channel),
        cmocka_unit_test(test_a_client_that_breaks_the_rules_is_closed_with_its_reason),
        cmocka_unit_test(test_a_stranger_is_closed_without_an_event),
        cmocka_unit_test(test_who_does_not_say_who_he_is_is_closed_in_time),
        cmocka_unit_test(test_the_longest_silent_stranger_makes_room_for_the_newest),
        cmocka_unit_test(test_a_connect_that_comes_byte_by_byte_is_accepted),
        cmocka_unit_test(test_a_client_that_leaves_before_its_connack_has_all_its_events),
        cmocka_unit_test(test_who_sends_and_never_reads_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
