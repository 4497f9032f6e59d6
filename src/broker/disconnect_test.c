/* The last word of version 5: every reason for which the server ends a connection, and what a client may say.
 */
#include "broker/test_server.h"

#include <poll.h>

static int client(const struct test_server *server, struct rc_slice props)
{
    return test_client_v5(server, &(struct test_login){.client_id = "GID_test@@@a", .props = props});
}

/* The DISCONNECT's properties, into `bytes`. */
static bool read_disconnect(int fd, struct rc_buf *bytes, struct rc_mqtt_reasoned *ret)
{
    struct rc_mqtt_packet packet;
    if (!test_read_as(fd, RC_MQTT_V5, bytes, &packet) || packet.type != RC_MQTT_DISCONNECT)
        return false;
    *ret = packet.reasoned;
    return true;
}

struct broken_rule {
    struct rc_slice bytes;
    int code;
};

static void assert_codes(const struct broken_rule *cases, size_t count)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    struct rc_buf want;
    rc_buf_init(&want, 1 << 16);
    test_server_start(&server);
    for (size_t i = 0; i < count; i++) {
        int fd = client(&server, rc_slice(NULL, 0));
        assert_int_equal(send(fd, cases[i].bytes.ptr, cases[i].bytes.len, 0), cases[i].bytes.len);
        int code = test_wait_disconnect(fd);
        if (code != cases[i].code)
            fail_msg("case %zu: 0x%x, not 0x%x", i, (unsigned)code, (unsigned)cases[i].code);
        assert_true(test_wait_closed(fd));
        close(fd);
        rc_buf_put_str(&want, "a connect -\na tcpclean protocol-error\n");
    }
    rc_buf_put_u8(&want, 0);
    test_assert_log(&server, (const char *)want.data);
    rc_buf_free(&want);
}

#define ASSERT_CODES(cases) assert_codes(cases, sizeof(cases) / sizeof((cases)[0]))

static void test_a_malformed_packet_ends_with_its_reason(void **state)
{
    const struct broken_rule cases[] = {
        {TEST_BYTES("\x00\x00"), 0x81},                              /* type 0 */
        {TEST_BYTES("\xc1\x00"), 0x81},                              /* PINGREQ with flags */
        {TEST_BYTES("\xc0\x01\x00"), 0x81},                          /* PINGREQ with a body */
        {TEST_BYTES("\xff\xff\xff\xff\xff"), 0x81},                  /* flags and a length of five bytes */
        {TEST_BYTES("\x30\xff\xff\xff\xff\x01"), 0x81},              /* a length of five bytes */
        {TEST_BYTES("\x30\x80\x00"), 0x81},                          /* a length longer than needed */
        {TEST_BYTES("\x30\xff\xff\xff\x7f"), 0x95},                  /* 256 MiB are announced */
        {TEST_BYTES("\x30\x81\x80\x08"), 0x95},                      /* one byte more than is taken */
        {TEST_BYTES("\x36\x0a\x00\x05top/x\x00\x01\x00"), 0x81},     /* QoS 3 */
        {TEST_BYTES("\x38\x08\x00\x05top/x\x00"), 0x81},             /* DUP at QoS 0 */
        {TEST_BYTES("\x30\x03\x00\x00\x00"), 0x82},                  /* no topic and no alias */
        {TEST_BYTES("\x30\x08\x00\x05top/+\x00"), 0x90},             /* a wildcard in a name */
        {TEST_BYTES("\x32\x0a\x00\x05top/x\x00\x00\x00"), 0x82},     /* packet id 0 */
        {TEST_BYTES("\x30\x08\x00\x05top/\xff\x00"), 0x81},          /* not UTF-8 */
        {TEST_BYTES("\x30\x08\x00\x05top/\x00\x00"), 0x81},          /* U+0000 */
        {TEST_BYTES("\x30\x05\x00\x05top"), 0x81},                   /* the topic ends outside */
        {TEST_BYTES("\x30\x07\x00\x05top/x"), 0x81},                 /* no properties */
        {TEST_BYTES("\x30\x08\x00\x05top/x\x05"), 0x81},             /* they end outside */
        {TEST_BYTES("\x30\x0a\x00\x05top/x\x02\x01\x02"), 0x82},     /* payload format 2 */
        {TEST_BYTES("\x30\x0b\x00\x05top/x\x03\x23\x00\x00"), 0x94}, /* topic alias 0 */
        {TEST_BYTES("\x30\x0d\x00\x05top/x\x05\x11\x00\x00\x00\x01"), 0x81}, /* a CONNECT's property */
        {TEST_BYTES("\x30\x0c\x00\x05top/x\x04\x01\x01\x01\x01"), 0x82},     /* one twice */
        {TEST_BYTES("\x30\x0c\x00\x05top/x\x04\x08\x00\x01#"), 0x82},        /* a wildcard to answer to */
        {TEST_BYTES("\x40\x02\x00\x00"), 0x82},                              /* PUBACK of id 0 */
        {TEST_BYTES("\x41\x02\x00\x01"), 0x81},                              /* PUBACK with flags */
        {TEST_BYTES("\x40\x01\x00"), 0x81},                                  /* PUBACK without its id */
        {TEST_BYTES("\x60\x02\x00\x01"), 0x81},                              /* PUBREL without its flag */
        {TEST_BYTES("\x82\x03\x00\x01\x00"), 0x82},                          /* no filter */
        {TEST_BYTES("\x80\x0b\x00\x01\x00\x00\x05top/#\x00"), 0x81},         /* SUBSCRIBE without its flag */
        {TEST_BYTES("\x82\x0b\x00\x01\x00\x00\x05top/#\x03"), 0x82},         /* QoS 3 asked for */
        {TEST_BYTES("\x82\x0b\x00\x01\x00\x00\x05top/#\x30"), 0x82},         /* retain handling 3 */
        {TEST_BYTES("\x82\x0b\x00\x01\x00\x00\x05top/#\x40"), 0x81},         /* a reserved option */
        {TEST_BYTES("\x82\x0b\x00\x00\x00\x00\x05top/#\x00"), 0x82},         /* packet id 0 */
        {TEST_BYTES("\x82\x0d\x00\x01\x02\x0b\x00\x00\x05top/#\x00"), 0x82}, /* subscription id 0 */
        {TEST_BYTES("\xa2\x03\x00\x01\x00"), 0x82},                          /* UNSUBSCRIBE from nothing */
        {TEST_BYTES("\xa0\x0a\x00\x01\x00\x00\x05top/#"), 0x81}, /* UNSUBSCRIBE without its flag */
    };
    ASSERT_CODES(cases);
}

static void test_a_packet_that_a_client_may_not_send_now_is_a_protocol_error(void **state)
{
    const struct broken_rule cases[] = {
        {TEST_BYTES("\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"), 0x82}, /* a second CONNECT */
        {TEST_BYTES("\x20\x03\x00\x00\x00"), 0x82},                             /* CONNACK */
        {TEST_BYTES("\x90\x04\x00\x01\x00\x00"), 0x82},                         /* SUBACK */
        {TEST_BYTES("\xb0\x04\x00\x01\x00\x00"), 0x82},                         /* UNSUBACK */
        {TEST_BYTES("\xd0\x00"), 0x82},                                         /* PINGRESP */
        {TEST_BYTES("\xf0\x00"), 0x82},                      /* AUTH: there was no method in CONNECT */
        {TEST_BYTES("\xf0\x06\x19\x04\x15\x00\x01m"), 0x82}, /* re-authenticate */
        {TEST_BYTES("\xf0\x06\x18\x04\x16\x00\x01"
                    "d"),
         0x82},                         /* data without a method */
        {TEST_BYTES("\xf1\x00"), 0x81}, /* AUTH with flags */
    };
    ASSERT_CODES(cases);
}

static void test_a_disconnect_that_breaks_the_rules_is_answered(void **state)
{
    const struct broken_rule cases[] = {
        {TEST_BYTES("\xe1\x00"), 0x81},                             /* flags */
        {TEST_BYTES("\xe0\x01\x8b"), 0x82},                         /* a server's code */
        {TEST_BYTES("\xe0\x01\x8e"), 0x82},                         /* likewise */
        {TEST_BYTES("\xe0\x01\x01"), 0x82},                         /* nobody's code */
        {TEST_BYTES("\xe0\x01\xff"), 0x82},                         /* likewise */
        {TEST_BYTES("\xe0\x07\x00\x05\x11\x00\x00\x00\x01"), 0x82}, /* an expiry raised from 0 */
        {TEST_BYTES("\xe0\x0c\x00\x0a\x11\x00\x00\x00\x00\x11\x00\x00\x00\x00"), 0x82}, /* it twice */
        {TEST_BYTES("\xe0\x06\x00\x04\x1c\x00\x01x"), 0x82},    /* a server's property */
        {TEST_BYTES("\xe0\x04\x00\x02\x17\x01"), 0x81},         /* a CONNECT's property */
        {TEST_BYTES("\xe0\x02\x00\x01"), 0x81},                 /* properties end outside */
        {TEST_BYTES("\xe0\x03\x00\x00\x00"), 0x81},             /* too long */
        {TEST_BYTES("\xe0\x06\x00\x04\x1f\x00\x01\xff"), 0x81}, /* a reason that is no text */
    };
    ASSERT_CODES(cases);
}

static void test_a_clients_disconnect_is_a_goodbye_with_any_of_its_codes(void **state)
{
    const struct rc_slice cases[] = {
        TEST_BYTES("\xe0\x00"),
        TEST_BYTES("\xe0\x01\x00"),
        TEST_BYTES("\xe0\x01\x04"),
        TEST_BYTES("\xe0\x02\x80\x00"),
        TEST_BYTES("\xe0\x01\x99"),
        TEST_BYTES("\xe0\x0b\x00\x09\x1f\x00\x06"
                   "reason"),
        TEST_BYTES("\xe0\x09\x00\x07\x26\x00\x01k\x00\x01v"),
        TEST_BYTES("\xe0\x07\x00\x05\x11\x00\x00\x00\x00"), /* an expiry of 0, as it was */
    };
    struct test_server server = {.shards = 2, .is_standard = true};
    struct rc_buf want;
    rc_buf_init(&want, 1 << 16);
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = client(&server, rc_slice(NULL, 0));
        assert_int_equal(send(fd, cases[i].ptr, cases[i].len, 0), cases[i].len);
        assert_int_equal(test_wait_disconnect(fd), -1);
        close(fd);
        rc_buf_put_str(&want, "a connect -\na disconnect client-disconnect\na tcpclean client-disconnect\n");
    }
    rc_buf_put_u8(&want, 0);
    test_assert_log(&server, (const char *)want.data);
    rc_buf_free(&want);
}

static void test_the_server_says_why_it_ends_a_connection(void **state)
{
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    int taken = client(&server, rc_slice(NULL, 0)), newest = client(&server, rc_slice(NULL, 0));
    assert_int_equal(test_wait_disconnect(taken), RC_MQTT_SESSION_TAKEN_OVER);
    int silent =
        test_client_v5(&server, &(struct test_login){.client_id = "GID_test@@@b", .keep_alive_s = 1});
    assert_int_equal(test_wait_disconnect(silent), RC_MQTT_KEEP_ALIVE_TIMEOUT);
    int stranger = test_client_v5(&server, &(struct test_login){.client_id = "GID_test@@@c"});
    assert_int_equal(send(stranger, "\x30\x0a\0\7other/x\0", 12, 0), 12);
    assert_int_equal(test_wait_disconnect(stranger), RC_MQTT_NOT_AUTHORIZED);
    test_server_stop(&server);
    assert_int_equal(test_wait_disconnect(newest), RC_MQTT_SERVER_SHUTTING_DOWN);
    test_server_remove(&server);
    close(taken);
    close(newest);
    close(silent);
    close(stranger);
}

static void test_an_older_client_is_told_nothing(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int old = test_client(&server, "GID_test@@@a"), new = test_client(&server, "GID_test@@@a");
    uint8_t byte;
    assert_int_equal(recv(old, &byte, 1, 0), 0);
    close(old);
    close(new);
    test_server_stop(&server);
    test_server_remove(&server);
}

/* The last word has a reason string where the client wants one and takes so much. */
static void test_a_reason_string_is_told_where_it_may_be(void **state)
{
    static const struct {
        const char *props;
        uint8_t len;
        bool is_told, has_text;
    } cases[] = {
        {"", 0, true, true},
        {"\x17\0", 2, true, false},         /* no problem information */
        {"\x27\0\0\0\x40", 5, true, true},  /* 64 bytes */
        {"\x27\0\0\0\x13", 5, true, false}, /* 19 bytes: the CONNACK fits, the string does not */
    };
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rc_buf bytes;
        struct rc_mqtt_reasoned last = {0};
        int fd = client(&server, rc_slice(cases[i].props, cases[i].len));
        rc_buf_init(&bytes, 256);
        assert_int_equal(send(fd, "\xd0\0", 2, 0), 2);
        assert_int_equal(read_disconnect(fd, &bytes, &last), cases[i].is_told);
        assert_int_equal(rc_mqtt_props_has(&last.props, RC_MQTT_PROP_REASON_STRING), cases[i].has_text);
        rc_buf_free(&bytes);
        close(fd);
    }
    test_server_stop(&server);
    test_server_remove(&server);
}

static void test_a_client_that_takes_not_even_connack_is_closed(void **state)
{
    struct test_server server = {.shards = 1};
    struct test_login login = {
        .client_id = "GID_test@@@a", .version = RC_MQTT_V5, .props = TEST_BYTES("\x27\0\0\0\x08")};
    test_server_start(&server);
    int fd = test_dial(&server);
    assert_int_equal(test_log_in(fd, &login), -1);
    close(fd);
    test_assert_log(&server, "a connect -\na tcpclean protocol-error\n");
}

/* It is told although it goes on sending, and its connection is not reset. */
static void test_a_client_that_sends_too_much_is_told_so(void **state)
{
    static uint8_t zeros[1 << 16];
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    for (int i = 0; i < 3; i++) {
        int fd = client(&server, rc_slice(NULL, 0));
        assert_int_equal(send(fd, "\x30\xff\xff\x7f", 4, MSG_NOSIGNAL), 4); /* 2 MiB */
        for (int k = 0; k < 32; k++)
            assert_int_equal(send(fd, zeros, sizeof(zeros), MSG_NOSIGNAL), sizeof(zeros));
        assert_int_equal(test_wait_disconnect(fd), RC_MQTT_PACKET_TOO_LARGE);
        uint8_t byte;
        assert_int_equal(recv(fd, &byte, 1, 0), 0);
        close(fd);
    }
    test_server_stop(&server);
    test_server_remove(&server);
}

/* The server does not wait for ever for a client that does not close. */
static void test_who_does_not_hear_the_last_word_is_cut_off(void **state)
{
    struct test_server server = {.shards = 1};
    struct pollfd hung_up = {.events = POLLHUP};
    test_server_start(&server);
    int fd = client(&server, rc_slice(NULL, 0));
    assert_int_equal(send(fd, "\xd0\0", 2, 0), 2);
    assert_int_equal(test_wait_disconnect(fd), RC_MQTT_PROTOCOL_ERROR);
    for (int left = 400; left > 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; left--)
        usleep(50000); /* taken and thrown away, until it is refused */
    hung_up.fd = fd;
    assert_int_equal(poll(&hung_up, 1, 0), 1);
    close(fd);
    test_server_stop(&server);
    test_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_malformed_packet_ends_with_its_reason),
        cmocka_unit_test(test_a_packet_that_a_client_may_not_send_now_is_a_protocol_error),
        cmocka_unit_test(test_a_disconnect_that_breaks_the_rules_is_answered),
        cmocka_unit_test(test_a_clients_disconnect_is_a_goodbye_with_any_of_its_codes),
        cmocka_unit_test(test_the_server_says_why_it_ends_a_connection),
        cmocka_unit_test(test_an_older_client_is_told_nothing),
        cmocka_unit_test(test_a_reason_string_is_told_where_it_may_be),
        cmocka_unit_test(test_a_client_that_takes_not_even_connack_is_closed),
        cmocka_unit_test(test_a_client_that_sends_too_much_is_told_so),
        cmocka_unit_test(test_who_does_not_hear_the_last_word_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
