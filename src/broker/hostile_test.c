/*
 * What has brought down or opened up other MQTT servers, class by class: each is tried here, and then another
 * client must still be served. (Leaks are found by the address sanitizer.)
 */
#include "broker/test_server.h"

static struct test_server start(uint32_t shards)
{
    return (struct test_server){.shards = shards, .is_standard = true};
}

static int client(const struct test_server *server, const char *id)
{
    return test_client_v5(server, &(struct test_login){.client_id = id});
}

/* The server still does what it is for; then it ends. */
static void assert_is_well(struct test_server *server)
{
    struct rc_buf out;
    struct rc_mqtt_packet packet;
    int fd = test_client(server, "GID_test@@@well");
    assert_true(fd >= 0);
    rc_buf_init(&out, 256);
    test_put_subscribe(&out, "top/well", 1);
    test_put_publish(&out, "top/well", "hello", 0);
    test_send(fd, &out);
    rc_buf_init(&out, 256);
    do
        assert_true(test_read(fd, &out, &packet));
    while (packet.type != RC_MQTT_PUBLISH);
    assert_true(rc_slice_eq_str(packet.publish.payload, "hello"));
    rc_buf_free(&out);
    close(fd);
    test_server_stop(server);
    test_server_remove(server);
}

static void say(int fd, struct rc_slice bytes)
{
    ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    (void)sent; /* the server may have closed */
}

/* Each ends its connection, with a reason in version 5. */
static void assert_all_are_ended(const struct test_server *server, const struct rc_slice *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = client(server, "GID_test@@@a");
        say(fd, cases[i]);
        if (test_wait_disconnect(fd) < RC_MQTT_UNSPECIFIED_ERROR)
            fail_msg("case %zu was not ended", i);
        close(fd);
    }
}

#define ASSERT_ALL_ARE_ENDED(server, cases)                                                                  \
    assert_all_are_ended(server, cases, sizeof(cases) / sizeof((cases)[0]))

static void test_class_1_lengths_that_lie(void **state)
{
    const struct rc_slice cases[] = {
        TEST_BYTES("\x30\xff\xff\xff\xff\xff"),                  /* a fifth length byte */
        TEST_BYTES("\x30\xff\xff\xff\x7f"),                      /* more than is taken */
        TEST_BYTES("\x30\x05\xff\xfftop"),                       /* a text longer than the packet */
        TEST_BYTES("\x30\x01\x00"),                              /* half a length */
        TEST_BYTES("\x30\x00"),                                  /* nothing at all */
        TEST_BYTES("\x30\x08\x00\x05top/x\xff"),                 /* properties without an end */
        TEST_BYTES("\x30\x0b\x00\x05top/x\xff\xff\xff\x7f"),     /* 256 MiB of properties */
        TEST_BYTES("\x30\x0c\x00\x05top/x\x04\x26\xff\xff\x00"), /* a user property beyond them */
        TEST_BYTES("\x30\x0a\x00\x05top/x\x02\x09\xff"),         /* half a length in them */
        TEST_BYTES(
            "\x82\x10\x00\x01\x06\x0b\xff\xff\xff\xff\x7f\x00\x03top\x00\x00"), /* an id of five bytes */
        TEST_BYTES("\x82\x06\x00\x01\x00\x00\x09t"), /* a filter beyond the packet */
        TEST_BYTES("\x40\x04\x00\x01\x00\xff"),      /* PUBACK's properties likewise */
        TEST_BYTES("\xe0\x02\x00\xff"),              /* DISCONNECT's likewise */
    };
    struct test_server server = start(2);
    test_server_start(&server);
    ASSERT_ALL_ARE_ENDED(&server, cases);
    assert_is_well(&server);
}

enum { CHURN_WORKERS = 3, CHURN_ROUNDS = 25 };

static void *churn(void *arg)
{
    const struct test_server *server = arg;
    struct rc_slice talk = TEST_BYTES("\x82\x0b\x00\x01\x00\x00\x05top/#\x02"
                                      "\x34\x0b\x00\x05top/x\x00\x07\x00h"
                                      "\x62\x02\x00\x07"
                                      "\xa2\x0a\x00\x02\x00\x00\x05top/#"
                                      "\x33\x0b\x00\x05top/x\x00\x08\x00h");
    for (int i = 0; i < CHURN_ROUNDS; i++) {
        struct test_login login = {.client_id = "GID_test@@@same",
                                   .version = RC_MQTT_V5,
                                   .is_persistent = i % 3 > 0,
                                   .props = TEST_BYTES("\x11\0\0\0\x0a"),
                                   .will_topic = "top/x",
                                   .will_payload = TEST_BYTES("w"),
                                   .will_qos = 1};
        struct rc_buf out;
        int fd = test_dial(server);
        rc_buf_init(&out, 4096);
        test_put_connect(&out, &login);
        rc_buf_put_slice(&out, talk);
        test_send(fd, &out);
        test_connack(fd); /* or it was pushed out before */
        close(fd);
    }
    return NULL;
}

static void test_class_2_one_client_id_from_everywhere_at_once(void **state)
{
    struct test_server server = start(2);
    pthread_t workers[CHURN_WORKERS];
    test_server_start(&server);
    for (int i = 0; i < CHURN_WORKERS; i++)
        pthread_create(&workers[i], NULL, churn, &server);
    for (int i = 0; i < CHURN_WORKERS; i++)
        pthread_join(workers[i], NULL);
    assert_is_well(&server);
}

static void test_class_3_packets_that_lack_what_is_looked_at(void **state)
{
    const struct rc_slice cases[] = {
        TEST_BYTES("\x20\x03\x00\x00\x00"),             /* CONNACK from a client */
        TEST_BYTES("\x30\x03\x00\x00\x00"),             /* PUBLISH without a topic */
        TEST_BYTES("\x30\x06\x00\x00\x03\x23\x00\x01"), /* ... and an alias that was never set */
        TEST_BYTES("\x82\x06\x00\x01\x00\x00\x00\x00"), /* a filter of length 0 */
        TEST_BYTES("\xa2\x05\x00\x01\x00\x00\x00"),     /* likewise */
        TEST_BYTES("\x82\x02\x00\x01"),                 /* no filter, no properties */
        TEST_BYTES("\xf0\x02\x18\x00"),                 /* AUTH of nobody */
    };
    const struct rc_slice firsts[] = {
        TEST_BYTES("\x10\x0d\0\4MQTT\5\xc2\0\x3c\0\0\0"),     /* user and password flags, neither there */
        TEST_BYTES("\x10\x0f\0\4MQTT\5\xc2\0\x3c\0\0\0\0\0"), /* no password */
        TEST_BYTES("\x10\x0d\0\4MQTT\5\6\0\x3c\0\0\0"),       /* a will that is not there */
        TEST_BYTES("\x10\x00"),
    };
    struct test_server server = start(2);
    test_server_start(&server);
    ASSERT_ALL_ARE_ENDED(&server, cases);
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        int fd = test_dial(&server);
        say(fd, firsts[i]);
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    assert_is_well(&server);
}

static void test_class_4_strangers_get_no_memory(void **state)
{
    struct test_server server = start(1);
    static uint8_t zeros[100 * 1024];
    int fds[8];
    test_server_start(&server);
    for (int i = 0; i < 8; i++) { /* decided by the first byte, however much is said to come */
        int fd = test_dial(&server);
        say(fd, TEST_BYTES("\x30\xff\xff\xff\x7f"));
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    int fd = test_dial(&server);
    say(fd, TEST_BYTES("\x10\xff\xff\x7f\x00\x04MQTT\x05")); /* 2 MiB of CONNECT */
    assert_true(test_wait_closed(fd));
    close(fd);
    for (int i = 0; i < 8; i++) { /* as much as may come, and never the end of it */
        fds[i] = test_dial(&server);
        say(fds[i], TEST_BYTES("\x10\xf0\xff\x07\x00\x04MQTT\x05"));
        say(fds[i], rc_slice(zeros, sizeof(zeros)));
    }
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    assert_is_well(&server);
}

static void test_class_5_what_is_never_finished_is_held_once(void **state)
{
    struct test_server server = start(1);
    struct rc_buf out;
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a");
    rc_buf_init(&out, 1 << 20);
    for (int i = 0; i < 5000; i++) /* one id again and again, and never PUBREL */
        rc_buf_put_slice(&out, TEST_BYTES("\x34\x0b\x00\x05top/x\x00\x07\x00h"));
    rc_buf_put_slice(&out, TEST_BYTES("\xd0\x00"));
    test_send(fd, &out);
    assert_int_equal(test_wait_disconnect(fd), RC_MQTT_PROTOCOL_ERROR); /* for the last packet alone */
    close(fd);
    for (int i = 0; i < 200; i++) { /* a will whose properties are wrong, behind a good part of it */
        fd = test_dial(&server);
        say(fd, TEST_BYTES("\x10\x1d\0\4MQTT\5\6\0\x3c\0\0\1a\x0a\x03\0\2ct\x18\0\0\0\0\x01\2\0\1t\0\1p"));
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    assert_is_well(&server);
}

static void test_class_6_work_per_packet_is_bounded(void **state)
{
    struct test_server server = start(1);
    struct rc_buf out, props;
    struct rc_slice levels[2];
    static char deep[60001];
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a");
    rc_buf_init(&props, 128 * 1024);
    rc_buf_init(&out, 128 * 1024);
    while (props.end < 120000) /* 24000 user properties */
        rc_buf_put_slice(&props, TEST_BYTES("\x26\0\0\0\0"));
    struct rc_mqtt_publish publish = {.topic = rc_slice_str("top/x"), .payload = rc_slice_str("h")};
    assert_int_equal(rc_mqtt_put_publish(&out, RC_MQTT_V5, &publish, rc_buf_slice(&props)), 0);
    test_send(fd, &out);
    rc_buf_free(&props);
    memset(deep, '/', sizeof(deep) - 1);
    levels[0] = rc_slice(deep, sizeof(deep) - 1);
    levels[1] = rc_slice(deep, 200); /* 201 levels */
    for (int i = 0; i < 2; i++) {
        rc_buf_init(&out, 128 * 1024);
        publish.topic = levels[i];
        assert_int_equal(rc_mqtt_put_publish(&out, RC_MQTT_V5, &publish, rc_slice(NULL, 0)), 0);
        test_send(fd, &out);
        assert_int_equal(test_wait_disconnect(fd), RC_MQTT_TOPIC_NAME_INVALID);
        close(fd);
        fd = client(&server, "GID_test@@@a");
    }
    close(fd);
    assert_is_well(&server);
}

static void test_class_7_a_client_cannot_take_all_there_is(void **state)
{
    struct test_server server = start(1);
    struct rc_buf out;
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a");
    rc_buf_init(&out, 1 << 20);
    for (uint16_t id = 1; id <= 1025; id++) { /* the receive maximum is 1024 */
        rc_buf_put_slice(&out, TEST_BYTES("\x34\x0b\x00\x05top/x"));
        rc_buf_put_u16(&out, id);
        rc_buf_put_slice(&out, TEST_BYTES("\x00h"));
    }
    test_send(fd, &out);
    assert_int_equal(test_wait_disconnect(fd), RC_MQTT_RECEIVE_MAXIMUM_EXCEEDED);
    close(fd);
    assert_is_well(&server);
}

static void test_class_9_topics_that_begin_with_a_dollar(void **state)
{
    static const char *const names[] = {
        "$",         "$/",         "$SYS",       "$SYS/",           "$SYS/#",
        "$SYS/+/x",  "$share",     "$share/",    "$share/g",        "$share/g/",
        "$share//x", "$share/g/#", "$share/+/x", "$share/g/$SYS/#", "$share/g/$share/g/x",
        "$queue/x",  "$P2P/x",     "$CONTROL/x"};
    struct test_server server = start(2);
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct rc_buf out, entries;
        struct rc_mqtt_publish publish = {
            .retain = true, .topic = rc_slice_str(names[i]), .payload = rc_slice_str("h")};
        int fd = client(&server, "GID_test@@@a"), other = client(&server, "GID_test@@@b");
        rc_buf_init(&entries, 64);
        rc_buf_init(&out, 256);
        rc_mqtt_put_subscription(&entries, rc_slice_str(names[i]), 1);
        rc_mqtt_put_subscribe(&out, RC_MQTT_V5, 1, rc_buf_slice(&entries), rc_slice(NULL, 0));
        test_send(fd, &out);
        rc_buf_init(&out, 256);
        rc_mqtt_put_publish(&out, RC_MQTT_V5, &publish, rc_slice(NULL, 0));
        test_send(other, &out);
        rc_buf_free(&entries);
        close(fd);
        close(other);
    }
    assert_is_well(&server);
}

static void test_class_10_who_is_taken_over_hears_nothing_more(void **state)
{
    struct test_server server = start(2);
    struct rc_buf out;
    test_server_start(&server);
    int old = test_client(&server, "GID_test@@@a");
    rc_buf_init(&out, 256);
    test_put_subscribe(&out, "top/secret", 0);
    test_send(old, &out);
    uint8_t suback[5];
    assert_int_equal(recv(old, suback, 5, MSG_WAITALL), 5);
    int new = test_client(&server, "GID_test@@@a"), other = test_client(&server, "GID_test@@@b");
    rc_buf_init(&out, 256);
    test_put_publish(&out, "top/secret", "secret", 1);
    test_send(other, &out);
    uint8_t puback[4];
    assert_int_equal(recv(other, puback, 4, MSG_WAITALL), 4);
    uint8_t byte;
    assert_int_equal(recv(old, &byte, 1, 0), 0); /* the end, and nothing before it */
    close(old);
    close(new);
    close(other);
    assert_is_well(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_1_lengths_that_lie),
        cmocka_unit_test(test_class_2_one_client_id_from_everywhere_at_once),
        cmocka_unit_test(test_class_3_packets_that_lack_what_is_looked_at),
        cmocka_unit_test(test_class_4_strangers_get_no_memory),
        cmocka_unit_test(test_class_5_what_is_never_finished_is_held_once),
        cmocka_unit_test(test_class_6_work_per_packet_is_bounded),
        cmocka_unit_test(test_class_7_a_client_cannot_take_all_there_is),
        cmocka_unit_test(test_class_9_topics_that_begin_with_a_dollar),
        cmocka_unit_test(test_class_10_who_is_taken_over_hears_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
