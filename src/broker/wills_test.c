/* Wills: when they are sent, when they are not, and what they say. */
#include "broker/test_server.h"

static int watcher(const struct test_server *server)
{
    struct rc_buf out;
    struct rc_mqtt_packet packet;
    int fd = test_client(server, "GID_test@@@watcher");
    rc_buf_init(&out, 256);
    test_put_subscribe(&out, "top/#", 1);
    test_send(fd, &out);
    rc_buf_init(&out, 256);
    assert_true(test_read(fd, &out, &packet));
    rc_buf_free(&out);
    return fd;
}

/* "<topic>=<payload> <qos>" of the next message. */
static const char *next_message(int fd)
{
    static char text[256];
    struct rc_buf bytes, out;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 1 << 17);
    do {
        if (!test_read(fd, &bytes, &packet))
            fail_msg("the connection ended");
    } while (packet.type != RC_MQTT_PUBLISH);
    const struct rc_mqtt_publish *publish = &packet.publish;
    snprintf(text, sizeof(text), "%.*s=%.*s %u", RC_SLICE_FMT(publish->topic), RC_SLICE_FMT(publish->payload),
             publish->qos);
    if (publish->qos == 1) {
        rc_buf_init(&out, 64);
        rc_mqtt_put_ack(&out, RC_MQTT_V311, RC_MQTT_PUBACK, publish->packet_id, 0, rc_slice(NULL, 0));
        test_send(fd, &out);
    }
    rc_buf_free(&bytes);
    return text;
}

/* Nothing was sent to the watcher up to here (on one shard). */
static void assert_no_will(int fd)
{
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 4096);
    assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
    assert_true(test_read(fd, &bytes, &packet));
    assert_int_equal(packet.type, RC_MQTT_PINGRESP);
    rc_buf_free(&bytes);
}

static int log_in(const struct test_server *server, const struct test_login *login)
{
    struct rc_mqtt_connack connack;
    struct rc_buf bytes;
    int fd = test_dial(server);
    rc_buf_init(&bytes, 4096);
    assert_true(test_log_in_as(fd, login, &bytes, &connack));
    assert_int_equal(connack.reason, 0);
    rc_buf_free(&bytes);
    return fd;
}

static void stop(struct test_server *server)
{
    test_server_stop(server);
    test_server_remove(server);
}

/* A login with a will: "top/will=gone", QoS 1. */
static struct test_login with_will(uint8_t version)
{
    return (struct test_login){.client_id = "GID_test@@@a",
                               .version = version,
                               .will_topic = "top/will",
                               .will_payload = TEST_BYTES("gone"),
                               .will_qos = 1};
}

static void test_a_will_is_sent_unless_the_client_said_goodbye(void **state)
{
    const struct {
        uint8_t version;
        struct rc_slice last; /* what the client says; nothing: it is cut off */
        bool is_sent;
    } cases[] = {
        {RC_MQTT_V31, TEST_BYTES("\xe0\0"), false},     {RC_MQTT_V31, TEST_BYTES(""), true},
        {RC_MQTT_V311, TEST_BYTES("\xe0\0"), false},    {RC_MQTT_V311, TEST_BYTES(""), true},
        {RC_MQTT_V311, TEST_BYTES("\xd0\0"), true},     {RC_MQTT_V311, TEST_BYTES("\xe0\1\0"), true},
        {RC_MQTT_V5, TEST_BYTES("\xe0\0"), false},      {RC_MQTT_V5, TEST_BYTES("\xe0\1\0"), false},
        {RC_MQTT_V5, TEST_BYTES("\xe0\2\0\0"), false},  {RC_MQTT_V5, TEST_BYTES(""), true},
        {RC_MQTT_V5, TEST_BYTES("\xe0\1\x04"), true},   {RC_MQTT_V5, TEST_BYTES("\xe0\1\x80"), true},
        {RC_MQTT_V5, TEST_BYTES("\xe0\2\x98\0"), true}, {RC_MQTT_V5, TEST_BYTES("\xe0\1\x8e"), true},
        {RC_MQTT_V5, TEST_BYTES("\xd0\0"), true},
    };
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_login login = with_will(cases[i].version);
        int fd = log_in(&server, &login);
        assert_no_will(other);
        send(fd, cases[i].last.ptr, cases[i].last.len, 0);
        shutdown(fd, SHUT_WR);
        assert_true(test_wait_closed(fd));
        if (cases[i].is_sent)
            assert_string_equal(next_message(other), "top/will=gone 1");
        assert_no_will(other);
        close(fd);
    }
    close(other);
    stop(&server);
}

static void test_a_will_is_sent_when_the_server_ends_the_connection(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    struct test_login login = with_will(RC_MQTT_V311);
    login.keep_alive_s = 1;
    int silent = log_in(&server, &login);
    assert_string_equal(next_message(other), "top/will=gone 1");
    int old = log_in(&server, &login), new = log_in(&server, &login);
    assert_string_equal(next_message(other), "top/will=gone 1"); /* taken over */
    test_say_goodbye(new);
    assert_true(test_wait_closed(new));
    assert_no_will(other);
    close(silent);
    close(old);
    close(new);
    close(other);
    stop(&server);
}

static void test_wills_reach_other_shards(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    for (int i = 0; i < 6; i++) {
        char id[32], want[64];
        snprintf(id, sizeof(id), "GID_test@@@%d", i);
        struct test_login login = with_will(RC_MQTT_V5);
        login.client_id = id;
        login.will_payload = rc_slice_str(id);
        close(log_in(&server, &login));
        snprintf(want, sizeof(want), "top/will=%s 1", id);
        assert_string_equal(next_message(other), want);
    }
    close(other);
    stop(&server);
}

#define EXPIRY(s) "\x11\0\0\0" s
#define DELAY(s) TEST_BYTES("\x18\0\0\0" s)

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_a_delayed_will_waits_for_its_delay_or_the_sessions_end(void **state)
{
    const struct {
        struct rc_slice expiry, delay;
        int64_t least_ms;
    } cases[] = {
        {TEST_BYTES(EXPIRY("\x64")), DELAY("\1"), 990},         /* the delay comes first */
        {TEST_BYTES(EXPIRY("\1")), DELAY("\x64"), 990},         /* the session's end comes first */
        {TEST_BYTES(EXPIRY("\0")), DELAY("\x64"), 0},           /* it ends at once */
        {TEST_BYTES(""), DELAY("\x64"), 0},                     /* likewise */
        {TEST_BYTES("\x11\xff\xff\xff\xff"), DELAY("\1"), 990}, /* a session without an end */
    };
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_login login = with_will(RC_MQTT_V5);
        login.props = cases[i].expiry;
        login.will_props = cases[i].delay;
        int fd = log_in(&server, &login);
        int64_t begun = now_ms();
        close(fd);
        assert_string_equal(next_message(other), "top/will=gone 1");
        assert_in_range(now_ms() - begun, cases[i].least_ms, 15000);
    }
    assert_int_equal(TEST_COUNTER(&server, wills_sent), 5);
    assert_int_equal(TEST_COUNTER(&server, sessions_expired), 1);
    close(other);
    stop(&server);
}

static void test_who_comes_back_in_time_leaves_no_will(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    struct test_login login = with_will(RC_MQTT_V5);
    login.is_persistent = true;
    login.props = TEST_BYTES(EXPIRY("\x64"));
    login.will_props = DELAY("\1");
    close(log_in(&server, &login));
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    login.will_topic = NULL; /* and has none now */
    int fd = log_in(&server, &login);
    usleep(1300000); /* longer than the delay */
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 2);
    assert_no_will(other);
    assert_int_equal(TEST_COUNTER(&server, wills_sent), 0);
    close(other);
    stop(&server);
}

static void test_a_takeover_sends_a_will_that_does_not_wait_or_whose_session_ends(void **state)
{
    const struct {
        struct rc_slice delay;
        bool is_clean, is_sent;
    } cases[] = {
        {TEST_BYTES(""), false, true},
        {DELAY("\x64"), false, false},
        {DELAY("\x64"), true, true},
        {TEST_BYTES(""), true, true},
    };
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_login login = with_will(RC_MQTT_V5);
        login.is_persistent = true;
        login.props = TEST_BYTES(EXPIRY("\x64"));
        login.will_props = cases[i].delay;
        int old = log_in(&server, &login);
        login.is_persistent = !cases[i].is_clean;
        login.will_topic = NULL;
        int new = log_in(&server, &login);
        if (cases[i].is_sent)
            assert_string_equal(next_message(other), "top/will=gone 1");
        assert_no_will(other);
        close(old);
        close(new);
    }
    close(other);
    stop(&server);
}

static void test_an_absent_clients_clean_start_sends_its_delayed_will(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    struct test_login login = with_will(RC_MQTT_V5);
    login.props = TEST_BYTES(EXPIRY("\x64"));
    login.will_props = DELAY("\x64");
    close(log_in(&server, &login));
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    assert_no_will(other);
    login.will_topic = NULL;
    int fd = log_in(&server, &login);
    assert_string_equal(next_message(other), "top/will=gone 1");
    close(fd);
    close(other);
    stop(&server);
}

/* A goodbye that makes the session end at once makes its will, if it asks for one, due at once. */
static void test_a_goodbye_may_end_the_session_and_send_the_will(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    struct test_login login = with_will(RC_MQTT_V5);
    login.props = TEST_BYTES(EXPIRY("\x64"));
    login.will_props = DELAY("\x64");
    int fd = log_in(&server, &login);
    struct rc_slice last = TEST_BYTES("\xe0\7\4\5\x11\0\0\0\0");
    assert_int_equal(send(fd, last.ptr, last.len, 0), last.len);
    assert_string_equal(next_message(other), "top/will=gone 1");
    close(fd);
    close(other);
    stop(&server);
}

static void test_the_product_ignores_wills_and_counts_them(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int other = watcher(&server);
    for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++) {
        struct test_login login = with_will(version);
        close(log_in(&server, &login));
        TEST_WAIT(TEST_COUNTER(&server, connection_lost) == version - RC_MQTT_V31 + 1u);
    }
    assert_no_will(other);
    assert_int_equal(TEST_COUNTER(&server, wills_ignored), 3);
    assert_int_equal(TEST_COUNTER(&server, wills_sent), 0);
    close(other);
    stop(&server);
}

static void test_a_will_for_a_topic_that_its_client_may_not_use_is_refused(void **state)
{
    static const uint8_t codes[] = {[RC_MQTT_V31] = 5, [RC_MQTT_V311] = 5, [RC_MQTT_V5] = 0x87};
    struct test_server server = {.shards = 2, .is_standard = true};
    test_server_start(&server);
    for (uint8_t version = RC_MQTT_V31; version <= RC_MQTT_V5; version++) {
        struct test_login login = with_will(version);
        login.will_topic = "$SYS/x";
        int fd = test_dial(&server);
        assert_int_equal(test_log_in(fd, &login), codes[version]);
        assert_true(test_wait_closed(fd));
        close(fd);
    }
    test_assert_log(&server, "");
}

/* A client of version 5 that is subscribed to everything below `top`. */
static int watcher_v5(const struct test_server *server, const char *id)
{
    struct rc_buf out, entries;
    struct rc_mqtt_packet packet;
    int fd = test_client_v5(server, &(struct test_login){.client_id = id});
    rc_buf_init(&out, 256);
    rc_buf_init(&entries, 64);
    rc_mqtt_put_subscription(&entries, rc_slice_str("top/#"), 2);
    rc_mqtt_put_subscribe(&out, RC_MQTT_V5, 1, rc_buf_slice(&entries), rc_slice(NULL, 0));
    test_send(fd, &out);
    rc_buf_init(&out, 256);
    assert_true(test_read_as(fd, RC_MQTT_V5, &out, &packet));
    assert_int_equal(packet.type, RC_MQTT_SUBACK);
    rc_buf_free(&out);
    rc_buf_free(&entries);
    return fd;
}

/* Every property but the delay, and the user properties in their order. */
static void assert_has_all_properties(const struct rc_mqtt_props *props)
{
    struct rc_slice name, value;
    size_t at = 0;
    assert_int_equal(rc_mqtt_props_number(props, RC_MQTT_PROP_PAYLOAD_FORMAT, 9), 1);
    assert_in_range(rc_mqtt_props_number(props, RC_MQTT_PROP_MESSAGE_EXPIRY, 0), 60, 100);
    assert_true(rc_mqtt_props_has(props, RC_MQTT_PROP_CONTENT_TYPE));
    assert_true(rc_slice_eq_str(props->strings[RC_MQTT_PROP_CONTENT_TYPE], "ct"));
    assert_true(rc_slice_eq_str(props->strings[RC_MQTT_PROP_RESPONSE_TOPIC], "rt"));
    assert_true(rc_slice_eq(props->strings[RC_MQTT_PROP_CORRELATION_DATA], TEST_BYTES("\0\xff")));
    assert_true(rc_mqtt_props_next_user(props->raw, &at, &name, &value));
    assert_true(rc_slice_eq_str(value, "1"));
    assert_true(rc_mqtt_props_next_user(props->raw, &at, &name, &value));
    assert_true(rc_slice_eq_str(value, "2"));
    assert_false(rc_mqtt_props_next_user(props->raw, &at, &name, &value));
}

static void test_a_will_has_its_properties_its_quality_and_is_retained(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    struct rc_mqtt_packet packet;
    struct rc_buf bytes;
    test_server_start(&server);
    int early = watcher_v5(&server, "GID_test@@@early");
    struct test_login login = with_will(RC_MQTT_V5);
    login.will_qos = 2;
    login.will_retain = true;
    login.will_props = TEST_BYTES("\x26\0\1k\0\1"
                                  "1\x18\0\0\0\0\1\1\2\0\0\0\x64\3\0\2ct\x08\0\2rt\x09\0\2\0\xff"
                                  "\x26\0\1k\0\1"
                                  "2");
    close(log_in(&server, &login));
    rc_buf_init(&bytes, 4096);
    for (int i = 0; i < 2; i++) {
        int fd = i == 0 ? early : watcher_v5(&server, "GID_test@@@late");
        assert_true(test_read_as(fd, RC_MQTT_V5, &bytes, &packet));
        assert_int_equal(packet.type, RC_MQTT_PUBLISH);
        assert_int_equal(packet.publish.qos, 2);
        assert_int_equal(packet.publish.retain, i); /* it was retained before the second one subscribed */
        assert_true(rc_slice_eq_str(packet.publish.topic, "top/will"));
        assert_true(rc_slice_eq_str(packet.publish.payload, "gone"));
        assert_has_all_properties(&packet.publish.props);
        close(fd);
    }
    rc_buf_free(&bytes);
    stop(&server);
}

/* The same instance, whose clients may write only top/other. */
static struct rc_catalog *stricter(const struct test_server *server)
{
    struct rc_slice all = rc_slice_str("top/#"), one = rc_slice_str("top/other");
    const struct rc_acl_rule rules[] = {
        {.actions = RC_ACL_READ, .topics = &all, .topics_count = 1},
        {.actions = RC_ACL_WRITE, .topics = &one, .topics_count = 1},
        {.actions = RC_ACL_WRITE, .topics = &all, .topics_count = 1, .denies = true},
    };
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    rc_catalog_add_instance(catalog, rc_slice_str("inst"), &instance);
    rc_catalog_set_profile(instance, RC_PROFILE_STANDARD);
    rc_catalog_add_key(catalog, instance, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_group(instance, rc_slice_str("GID_test"), &instance->group);
    rc_catalog_set_acl(instance, rules, 3);
    catalog->presence_topic = server->catalog->presence_topic;
    return catalog;
}

static void test_a_will_that_its_client_may_not_say_any_more_is_not_sent(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int other = watcher(&server);
    struct test_login login = with_will(RC_MQTT_V311);
    int fd = log_in(&server, &login);
    struct rc_catalog *catalog = stricter(&server);
    rc_broker_post_catalog(server.brokers[0], catalog);
    rc_catalog_unref(catalog);
    assert_no_will(other); /* the catalog is there now */
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    login.will_topic = "top/other";
    close(log_in(&server, &login));
    assert_string_equal(next_message(other), "top/other=gone 1");
    close(other);
    stop(&server);
}

static void test_a_will_of_text_must_be_text(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    struct test_login login = with_will(RC_MQTT_V5);
    struct rc_mqtt_connack connack;
    struct rc_buf bytes;
    login.will_props = TEST_BYTES("\1\1");
    close(log_in(&server, &login));
    login.will_payload = TEST_BYTES("\xff");
    int fd = test_dial(&server);
    rc_buf_init(&bytes, 4096);
    assert_true(test_log_in_as(fd, &login, &bytes, &connack));
    assert_int_equal(connack.reason, RC_MQTT_PAYLOAD_FORMAT_INVALID);
    rc_buf_free(&bytes);
    close(fd);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_will_is_sent_unless_the_client_said_goodbye),
        cmocka_unit_test(test_a_will_is_sent_when_the_server_ends_the_connection),
        cmocka_unit_test(test_wills_reach_other_shards),
        cmocka_unit_test(test_a_delayed_will_waits_for_its_delay_or_the_sessions_end),
        cmocka_unit_test(test_who_comes_back_in_time_leaves_no_will),
        cmocka_unit_test(test_a_takeover_sends_a_will_that_does_not_wait_or_whose_session_ends),
        cmocka_unit_test(test_an_absent_clients_clean_start_sends_its_delayed_will),
        cmocka_unit_test(test_a_goodbye_may_end_the_session_and_send_the_will),
        cmocka_unit_test(test_the_product_ignores_wills_and_counts_them),
        cmocka_unit_test(test_a_will_has_its_properties_its_quality_and_is_retained),
        cmocka_unit_test(test_a_will_for_a_topic_that_its_client_may_not_use_is_refused),
        cmocka_unit_test(test_a_will_that_its_client_may_not_say_any_more_is_not_sent),
        cmocka_unit_test(test_a_will_of_text_must_be_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
