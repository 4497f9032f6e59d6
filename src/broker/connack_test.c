/* What CONNACK says of a connection: of what was asked, of what is given, of why there is none. */
#include "broker/test_server.h"

struct answer {
    struct rc_buf bytes;
    struct rc_mqtt_connack connack;
    int fd;
};

static struct answer log_in(const struct test_server *server, const struct test_login *login)
{
    struct answer answer = {.fd = test_dial(server)};
    struct test_login as_v5 = *login;
    as_v5.version = RC_MQTT_V5;
    rc_buf_init(&answer.bytes, 4096);
    if (!test_log_in_as(answer.fd, &as_v5, &answer.bytes, &answer.connack))
        answer.connack.reason = UINT8_MAX;
    return answer;
}

static void end(struct answer *answer)
{
    close(answer->fd);
    rc_buf_free(&answer->bytes);
}

static void stop(struct test_server *server)
{
    test_server_stop(server);
    test_server_remove(server);
}

#define HAS(answer, id) rc_mqtt_props_has(&(answer).connack.props, id)
#define NUMBER(answer, id) rc_mqtt_props_number(&(answer).connack.props, id, UINT32_MAX)

static void test_connack_tells_what_the_product_does_not_have(void **state)
{
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    struct answer it = log_in(&server, &(struct test_login){.client_id = "GID_test@@@a"});
    assert_int_equal(it.connack.reason, 0);
    assert_false(it.connack.session_present);
    assert_int_equal(NUMBER(it, RC_MQTT_PROP_RETAIN_AVAILABLE), 0);
    assert_int_equal(NUMBER(it, RC_MQTT_PROP_SHARED_AVAILABLE), 0);
    assert_int_equal(NUMBER(it, RC_MQTT_PROP_RECEIVE_MAXIMUM), 1024);
    assert_int_equal(NUMBER(it, RC_MQTT_PROP_TOPIC_ALIAS_MAXIMUM), 32);
    assert_int_equal(NUMBER(it, RC_MQTT_PROP_MAXIMUM_PACKET_SIZE), 128 * 1024);
    assert_false(HAS(it, RC_MQTT_PROP_WILDCARDS_AVAILABLE));
    assert_false(HAS(it, RC_MQTT_PROP_SUBSCRIPTION_IDS_AVAILABLE));
    assert_false(HAS(it, RC_MQTT_PROP_MAXIMUM_QOS));
    assert_false(HAS(it, RC_MQTT_PROP_ASSIGNED_CLIENT_ID));
    assert_false(HAS(it, RC_MQTT_PROP_SERVER_KEEP_ALIVE));
    assert_false(HAS(it, RC_MQTT_PROP_SESSION_EXPIRY));
    end(&it);
    stop(&server);
}

static void test_a_standard_instance_has_all_that_mqtt_has(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    struct answer it = log_in(&server, &(struct test_login){.client_id = "GID_test@@@a"});
    assert_int_equal(it.connack.reason, 0);
    assert_false(HAS(it, RC_MQTT_PROP_RETAIN_AVAILABLE));
    assert_false(HAS(it, RC_MQTT_PROP_SHARED_AVAILABLE));
    assert_false(HAS(it, RC_MQTT_PROP_WILDCARDS_AVAILABLE));
    assert_false(HAS(it, RC_MQTT_PROP_SUBSCRIPTION_IDS_AVAILABLE));
    end(&it);
    stop(&server);
}

static void test_connack_tells_a_keep_alive_that_is_not_the_clients(void **state)
{
    static const struct {
        bool is_standard, has_none;
        uint16_t asked_s;
        uint32_t told_s; /* UINT32_MAX: the client's own goes */
    } cases[] = {
        {false, false, 60, UINT32_MAX}, {false, false, 480, UINT32_MAX}, {false, false, 481, 480},
        {false, false, 65535, 480},     {false, true, 0, 480},           {true, false, 65535, UINT32_MAX},
        {true, true, 0, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_server server = {.shards = 1, .is_standard = cases[i].is_standard};
        test_server_start(&server);
        struct answer it = log_in(&server, &(struct test_login){.client_id = "GID_test@@@a",
                                                                .keep_alive_s = cases[i].asked_s,
                                                                .has_no_keep_alive = cases[i].has_none});
        assert_int_equal(NUMBER(it, RC_MQTT_PROP_SERVER_KEEP_ALIVE), cases[i].told_s);
        end(&it);
        stop(&server);
    }
}

static void test_connack_tells_a_session_expiry_that_is_not_the_clients(void **state)
{
    static const struct {
        const char *props;
        uint32_t told_s;
    } cases[] = {
        {"\x11\x00\x00\x00\x00", UINT32_MAX}, /* 0 is given as 0 */
        {"\x11\x00\x00\x00\x01", 600},        /* the product has no shorter one */
        {"\x11\x00\x00\x02\x58", UINT32_MAX}, {"\x11\x00\x03\xf4\x80", UINT32_MAX}, /* three days */
        {"\x11\x00\x03\xf4\x81", 259200},                                           /* and no more */
        {"\x11\xff\xff\xff\xff", 259200},                                           /* nor for ever */
    };
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer it = log_in(
            &server, &(struct test_login){.client_id = "GID_test@@@a", .props = rc_slice(cases[i].props, 5)});
        assert_int_equal(it.connack.reason, 0);
        assert_int_equal(NUMBER(it, RC_MQTT_PROP_SESSION_EXPIRY), cases[i].told_s);
        end(&it);
    }
    stop(&server);
}

static void test_a_refusal_of_version_5_has_its_code_and_says_why_where_it_may(void **state)
{
    static const struct {
        bool is_standard;
        struct test_login login;
        int code;
        bool has_reason;
    } cases[] = {
        {false, {.client_id = "GID_test@@@a", .secret = "wrong"}, 0x86, true},
        {false,
         {.client_id = "GID_test@@@a", .secret = "wrong", .props = {(const uint8_t *)"\x17\0", 2}},
         0x86,
         false},
        {false, {.client_id = "GID_test@@@a", .user = "Signature|AK"}, 0x86, true},
        {false, {.client_id = "GID_test@@@a", .user = "Signature|AK|nowhere"}, 0x87, false},
        {false, {.client_id = "GID_nobody@@@a"}, 0x87, false},
        {false, {.client_id = "x"}, 0x85, true},
        {false, {.client_id = ""}, 0x85, true},
        {false, {.client_id = "GID_test@@@a", .props = {(const uint8_t *)"\x15\0\1x", 4}}, 0x8c, true},
        {false, {.client_id = "GID_test@@@a", .will_topic = "top/w", .will_retain = true}, 0x9a, true},
        /* Too small for the reason string: the bare code; too small for that: nothing. */
        {false, {.client_id = "x", .props = {(const uint8_t *)"\x27\0\0\0\x05", 5}}, 0x85, false},
        {false, {.client_id = "x", .props = {(const uint8_t *)"\x27\0\0\0\x04", 5}}, 0xff, false},
    };
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct answer it = log_in(&server, &cases[i].login);
        if (it.connack.reason != cases[i].code)
            fail_msg("case %zu has code 0x%x", i, it.connack.reason);
        if (cases[i].code != 0xff)
            assert_int_equal(HAS(it, RC_MQTT_PROP_REASON_STRING), cases[i].has_reason);
        assert_true(test_wait_closed(it.fd));
        end(&it);
    }
    test_assert_log(&server, "");
}

enum { NO_LOGIN = 0x87, CLOSED = -1 };

/* CONNECT without the fixed header; none of these clients has a login, so one that is well-formed is refused
 * for that. */
struct first_packet {
    struct rc_slice body;
    int code;
};

#define HEAD "\0\4MQTT\5"

/* Sends a CONNECT with that body. */
static int knock(const struct test_server *server, struct rc_slice body)
{
    struct rc_buf out;
    int fd = test_dial(server);
    rc_buf_init(&out, 256);
    rc_buf_put_u8(&out, RC_MQTT_CONNECT << 4);
    rc_buf_put_u8(&out, (uint8_t)body.len);
    rc_buf_put_slice(&out, body);
    test_send(fd, &out);
    return fd;
}

static void assert_answers(const struct first_packet *cases, size_t count)
{
    struct test_server server = {.shards = 2};
    test_server_start(&server);
    for (size_t i = 0; i < count; i++) {
        int fd = knock(&server, cases[i].body);
        int code = test_connack(fd);
        if (code != cases[i].code)
            fail_msg("case %zu: 0x%x, not 0x%x", i, (unsigned)code, (unsigned)cases[i].code);
        if (!test_wait_closed(fd))
            fail_msg("case %zu was not closed", i);
        close(fd);
    }
    test_assert_log(&server, "");
}

static void test_a_malformed_connect_of_version_5_is_answered_with_its_reason(void **state)
{
    const struct first_packet cases[] = {
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\1a"), NO_LOGIN},
        {TEST_BYTES(HEAD "\2\0\0\0\0\1a"), NO_LOGIN},               /* no keep-alive */
        {TEST_BYTES(HEAD "\x42\0\x3c\0\0\1a\0\1p"), NO_LOGIN},      /* a password alone is allowed */
        {TEST_BYTES(HEAD "\x82\0\x3c\0\0\1a\0\1u"), 0x86},          /* an unknown user */
        {TEST_BYTES(HEAD "\3\0\x3c\0\0\1a"), 0x81},                 /* the reserved flag */
        {TEST_BYTES(HEAD "\x22\0\x3c\0\0\1a"), 0x81},               /* will retain without a will */
        {TEST_BYTES(HEAD "\x0a\0\x3c\0\0\1a"), 0x81},               /* will QoS without a will */
        {TEST_BYTES(HEAD "\x1e\0\x3c\0\0\1a\0\0\1t\0\1p"), 0x81},   /* will QoS 3 */
        {TEST_BYTES(HEAD "\2\0\x3c"), 0x81},                        /* the end is missing */
        {TEST_BYTES(HEAD "\2\0\x3c\0"), 0x81},                      /* ... the client id */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\2a"), 0x81},                 /* ... a part of it */
        {TEST_BYTES(HEAD "\2\0\x3c\5\0\1a"), 0x81},                 /* ... properties */
        {TEST_BYTES(HEAD "\2\0\x3c\x80\x80\x80\x80\1\0\1a"), 0x81}, /* a length of five bytes */
        {TEST_BYTES(HEAD "\2\0\x3c\x80\0\0\1a"), 0x81},             /* a length longer than needed */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\1a\0"), 0x81},               /* too many bytes */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\1\xff"), 0x81},              /* a client id that is no text */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\1\0"), 0x81},                /* U+0000 in it */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\3\xed\xa0\x80"), 0x81},      /* a surrogate in it */
        {TEST_BYTES(HEAD "\2\0\x3c\0\0\2\xc0\x80"), 0x81},          /* an overlong form in it */
        {TEST_BYTES(HEAD "\x82\0\x3c\0\0\1a\0\1\xff"), 0x81},       /* a user that is no text */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\0\0\1\xff\0\0"), 0x81},   /* a will topic that is no text */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\0\0\0\0\0"), 0x90},       /* an empty will topic */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\0\0\1#\0\0"), 0x90},      /* a wildcard in it */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\0\0\1t\0\2x"), 0x81},     /* the payload ends outside */
        {TEST_BYTES(HEAD "\2\0\x3c\5\x11\0\0\0\1\0\1a"), NO_LOGIN}, /* session expiry */
        {TEST_BYTES(HEAD "\2\0\x3c\x0a\x11\0\0\0\1\x11\0\0\0\1\0\1a"), 0x82}, /* ... twice */
        {TEST_BYTES(HEAD "\2\0\x3c\4\x11\0\0\0\0\1a"), 0x81},                 /* ... cut off */
        {TEST_BYTES(HEAD "\2\0\x3c\3\x21\0\0\0\1a"), 0x82},                   /* receive maximum 0 */
        {TEST_BYTES(HEAD "\2\0\x3c\6\x21\0\1\x21\0\1\0\1a"), 0x82},           /* receive maximum twice */
        {TEST_BYTES(HEAD "\2\0\x3c\5\x27\0\0\0\0\0\1a"), 0x82},               /* maximum packet size 0 */
        {TEST_BYTES(HEAD "\2\0\x3c\x0a\x27\0\0\1\0\x27\0\0\1\0\0\1a"), 0x82},
        {TEST_BYTES(HEAD "\2\0\x3c\3\x22\0\0\0\1a"), NO_LOGIN}, /* topic alias maximum 0 */
        {TEST_BYTES(HEAD "\2\0\x3c\6\x22\0\1\x22\0\1\0\1a"), 0x82},
        {TEST_BYTES(HEAD "\2\0\x3c\2\x17\2\0\1a"), 0x82}, /* problem information 2 */
        {TEST_BYTES(HEAD "\2\0\x3c\4\x17\1\x17\1\0\1a"), 0x82},
        {TEST_BYTES(HEAD "\2\0\x3c\2\x19\2\0\1a"), 0x82}, /* response information 2 */
        {TEST_BYTES(HEAD "\2\0\x3c\4\x19\1\x19\1\0\1a"), 0x82},
        {TEST_BYTES(HEAD "\2\0\x3c\4\x16\0\1d\0\1a"), 0x82},            /* data without a method */
        {TEST_BYTES(HEAD "\2\0\x3c\4\x15\0\1m\0\1a"), 0x8c},            /* a method */
        {TEST_BYTES(HEAD "\2\0\x3c\x08\x15\0\1m\x15\0\1m\0\1a"), 0x82}, /* two of them */
        {TEST_BYTES(HEAD "\2\0\x3c\7\x26\0\1k\0\1v\0\1a"), NO_LOGIN},   /* a user property */
        {TEST_BYTES(HEAD "\2\0\x3c\x0e\x26\0\1k\0\1v\x26\0\1k\0\1v\0\1a"), NO_LOGIN}, /* twice */
        {TEST_BYTES(HEAD "\2\0\x3c\7\x26\0\1\xff\0\1v\0\1a"), 0x81}, /* its name is no text */
        {TEST_BYTES(HEAD "\2\0\x3c\7\x26\0\1k\0\1\xff\0\1a"), 0x81}, /* its value is no text */
        {TEST_BYTES(HEAD "\2\0\x3c\3\x23\0\1\0\1a"), 0x81},          /* a PUBLISH's property */
        {TEST_BYTES(HEAD "\2\0\x3c\5\x18\0\0\0\1\0\1a"), 0x81},      /* a will's property */
        {TEST_BYTES(HEAD "\2\0\x3c\2\x7f\0\0\1a"), 0x81},            /* nobody's property */
        {TEST_BYTES(HEAD "\2\0\x3c\5\x91\0\0\0\1\0\1a"), 0x81},      /* an identifier of two bytes */
    };
    assert_answers(cases, sizeof(cases) / sizeof(cases[0]));
}

static void test_a_malformed_will_of_version_5_is_answered_with_its_reason(void **state)
{
    const struct first_packet cases[] = {
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\5\x18\0\0\0\1\0\1t\0\0"), NO_LOGIN}, /* will delay */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\x0a\x18\0\0\0\1\x18\0\0\0\1\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\2\1\2\0\1t\0\0"), 0x82}, /* payload format 2 */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\4\1\1\1\1\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\x0a\2\0\0\0\1\2\0\0\0\1\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\x08\3\0\1x\3\0\1x\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\4\3\0\1\xff\0\1t\0\0"), 0x81}, /* content type is no text */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\x08\x08\0\1x\x08\0\1x\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\4\x08\0\1#\0\1t\0\0"), 0x82}, /* a wildcard to answer to */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\x08\x09\0\1x\x09\0\1x\0\1t\0\0"), 0x82},
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\5\x11\0\0\0\1\0\1t\0\0"), 0x81}, /* a CONNECT's property */
        {TEST_BYTES(HEAD "\6\0\x3c\0\0\1a\3\x23\0\1\0\1t\0\0"), 0x81},     /* an alias */
        {TEST_BYTES("\0\4mqtt\5\2\0\x3c\0\0\1a"), CLOSED},
        {TEST_BYTES("\0\4MQTT"), CLOSED},
        {TEST_BYTES("\0\5MQTT"), CLOSED},
    };
    assert_answers(cases, sizeof(cases) / sizeof(cases[0]));
}

#define V3_BAD_VERSION TEST_BYTES("\x20\2\0\1")
#define V5_BAD_VERSION TEST_BYTES("\x20\3\0\x84\0")

/* In the form that the client understands, by the shape of the rest of its packet. */
static void test_a_version_that_nobody_knows_is_answered_in_its_own_form(void **state)
{
    const struct {
        struct rc_slice body, answer;
    } cases[] = {
        {TEST_BYTES("\0\4MQTT\6\2\0\x3c\0\1a"), V3_BAD_VERSION},
        {TEST_BYTES("\0\4MQTT\x84\2\0\x3c\0\1a"), V3_BAD_VERSION}, /* a bridge of mosquitto's */
        {TEST_BYTES("\0\4MQTT\xff\xce\0\x3c\0\1a\0\1t\0\1p\0\1u\0\1p"), V3_BAD_VERSION},
        {TEST_BYTES("\0\4MQTT\6\2\0\x3c\0\0\1a"), V5_BAD_VERSION},
        {TEST_BYTES("\0\4MQTT\6\2\0\x3c\5\x11\0\0\0\1\0\1a"), V5_BAD_VERSION},
        {TEST_BYTES("\0\4MQTT\3\2\0\x3c\0\1a"), V3_BAD_VERSION}, /* 3.1 has another name */
        {TEST_BYTES("\0\4MQTT\0\2\0\x3c\0\1a"), V3_BAD_VERSION},
        {TEST_BYTES("\0\6MQIsdp\4\2\0\x3c\0\1a"), V3_BAD_VERSION},
        {TEST_BYTES("\0\6MQIsdp\5\2\0\x3c\0\1a"), V3_BAD_VERSION},
        {TEST_BYTES("\0\6MQIsdp\5\2\0\x3c\0\0\1a"), V3_BAD_VERSION}, /* of 3.1's name, so in 3.1's form */
        {TEST_BYTES("\0\6MQIsdp\x83\2\0\x3c\0\1a"), V3_BAD_VERSION},
        {TEST_BYTES("\0\4MQTT\6"), rc_slice(NULL, 0)}, /* no shape: no answer */
        {TEST_BYTES("\0\4MQTT\6\2\0\x3c\0\2a"), rc_slice(NULL, 0)},
        {TEST_BYTES("\0\4MQTT\6\3\0\x3c\0\1a"), rc_slice(NULL, 0)},
        {TEST_BYTES("\0\4MQTT\6\2\0\x3c\0\1ab"), rc_slice(NULL, 0)},
        {TEST_BYTES("\0\4MQTT\3\2\0\x3c\0\1\xff"), rc_slice(NULL, 0)},
    };
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t answer[16];
        size_t len = 0;
        int fd = knock(&server, cases[i].body);
        for (ssize_t got;
             len < sizeof(answer) && (got = recv(fd, answer + len, sizeof(answer) - len, 0)) > 0;)
            len += (size_t)got;
        if (!rc_slice_eq(rc_slice(answer, len), cases[i].answer))
            fail_msg("case %zu: an answer of %zu bytes, code 0x%x", i, len, len > 3 ? answer[3] : 0);
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    test_assert_log(&server, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connack_tells_what_the_product_does_not_have),
        cmocka_unit_test(test_a_standard_instance_has_all_that_mqtt_has),
        cmocka_unit_test(test_connack_tells_a_keep_alive_that_is_not_the_clients),
        cmocka_unit_test(test_connack_tells_a_session_expiry_that_is_not_the_clients),
        cmocka_unit_test(test_a_refusal_of_version_5_has_its_code_and_says_why_where_it_may),
        cmocka_unit_test(test_a_malformed_connect_of_version_5_is_answered_with_its_reason),
        cmocka_unit_test(test_a_malformed_will_of_version_5_is_answered_with_its_reason),
        cmocka_unit_test(test_a_version_that_nobody_knows_is_answered_in_its_own_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
