/* What version 5 alone has: the words of acknowledgements, the client's own limits, what expires. */
#include "broker/test_server.h"

static const struct rc_slice nothing = {NULL, 0};

static int client(const struct test_server *server, const char *id, bool is_persistent, struct rc_slice props)
{
    struct test_login login = {
        .client_id = id, .is_anonymous = true, .is_persistent = is_persistent, .props = props};
    return test_client_v5(server, &login);
}

static uint8_t read_packet(int fd, struct rc_buf *bytes, struct rc_mqtt_packet *packet)
{
    return test_read_as(fd, RC_MQTT_V5, bytes, packet) ? packet->type : 0;
}

/* The first code of SUBACK, and whether a reason string stood beside it. */
static uint8_t subscribe(int fd, const char *filter, uint8_t options, struct rc_slice props,
                         bool *ret_has_text)
{
    struct rc_buf out, entries, bytes;
    struct rc_mqtt_packet packet;
    rc_buf_init(&out, 512);
    rc_buf_init(&entries, 256);
    rc_buf_init(&bytes, 512);
    rc_mqtt_put_subscription(&entries, rc_slice_str(filter), options);
    rc_mqtt_put_subscribe(&out, RC_MQTT_V5, 1, rc_buf_slice(&entries), props);
    test_send(fd, &out);
    assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_SUBACK);
    uint8_t code = packet.suback.codes.ptr[0];
    *ret_has_text = rc_mqtt_props_has(&packet.suback.props, RC_MQTT_PROP_REASON_STRING);
    rc_buf_free(&entries);
    rc_buf_free(&bytes);
    return code;
}

static void publish(int fd, const char *topic, const char *payload, uint8_t qos, struct rc_slice props)
{
    struct rc_mqtt_publish publish = {
        .qos = qos, .packet_id = 7, .topic = rc_slice_str(topic), .payload = rc_slice_str(payload)};
    struct rc_buf out;
    rc_buf_init(&out, 512);
    assert_int_equal(rc_mqtt_put_publish(&out, RC_MQTT_V5, &publish, props), 0);
    test_send(fd, &out);
}

static void test_a_malformed_share_is_refused_by_suback(void **state)
{
    static const char *const filters[] = {"$share/g", "$share//a", "$share/g+/a", "$share/g/", "$share/g/a#"};
    const struct {
        struct rc_slice props;
        bool has_text;
    } wishes[] = {{nothing, true}, {TEST_BYTES("\x17\0"), false}, {TEST_BYTES("\x27\0\0\0\x20"), false}};
    struct test_server server = {.shards = 1, .is_standard = true};
    bool has_text;
    test_server_start(&server);
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        int fd = client(&server, "a", false, wishes[i].props);
        for (size_t f = 0; f < sizeof(filters) / sizeof(filters[0]); f++) {
            assert_int_equal(subscribe(fd, filters[f], 1, nothing, &has_text), RC_MQTT_TOPIC_FILTER_INVALID);
            assert_int_equal(has_text, wishes[i].has_text);
        }
        assert_int_equal(subscribe(fd, "a", 1, nothing, &has_text), 1);
        assert_false(has_text);
        close(fd);
    }
    test_server_stop(&server);
    test_server_remove(&server);
}

static void test_an_acknowledgement_that_refuses_says_why(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    test_server_start(&server);
    rc_buf_init(&bytes, 512);
    int fd = client(&server, "a", false, nothing);
    for (uint8_t qos = 1; qos <= 2; qos++) {
        publish(fd, "$SYS/x", "x", qos, nothing);
        assert_int_equal(read_packet(fd, &bytes, &packet), qos == 1 ? RC_MQTT_PUBACK : RC_MQTT_PUBREC);
        assert_int_equal(packet.ack.reason, RC_MQTT_NOT_AUTHORIZED);
        assert_true(rc_slice_eq_str(packet.ack.props.strings[RC_MQTT_PROP_REASON_STRING], "not authorized"));
    }
    rc_buf_free(&bytes);
    close(fd);
    test_server_stop(&server);
    test_server_remove(&server);
}

/* 20 bytes without an alias: 2 + 2 + 3 for the topic + 1 and an identifier of 2 + 10. */
static void test_a_message_of_just_the_clients_maximum_is_sent(void **state)
{
    static const struct {
        const char *limits;
        uint8_t len;
        bool is_sent, has_alias;
    } cases[] = {
        {"\x27\0\0\0\x14", 5, true, false},
        {"\x27\0\0\0\x13", 5, false, false},
        {"\x27\0\0\0\x14\x22\0\1", 8, true, false}, /* it takes aliases, but there is no room for one */
        {"\x27\0\0\0\x17\x22\0\1", 8, true, true},
    };
    struct test_server server = {.shards = 1, .is_standard = true};
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    bool has_text;
    test_server_start(&server);
    rc_buf_init(&bytes, 512);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = client(&server, "a", false, rc_slice(cases[i].limits, cases[i].len));
        assert_int_equal(subscribe(fd, "a/b", 0, TEST_BYTES("\x0b\1"), &has_text), 0);
        publish(fd, "a/b", "0123456789", 0, nothing);
        assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
        uint8_t type = read_packet(fd, &bytes, &packet);
        assert_int_equal(type, cases[i].is_sent ? RC_MQTT_PUBLISH : RC_MQTT_PINGRESP);
        if (cases[i].is_sent)
            assert_int_equal(rc_mqtt_props_has(&packet.publish.props, RC_MQTT_PROP_TOPIC_ALIAS),
                             cases[i].has_alias);
        close(fd);
    }
    rc_buf_free(&bytes);
    test_server_stop(&server);
    test_server_remove(&server);
}

static void test_what_was_sent_and_expired_is_sent_again_for_a_second(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    struct rc_slice lasting = TEST_BYTES("\x11\0\0\0\x3c");
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    bool has_text;
    test_server_start(&server);
    rc_buf_init(&bytes, 512);
    int fd = client(&server, "a", true, lasting), other = client(&server, "b", false, nothing);
    subscribe(fd, "a/b", 1, nothing, &has_text);
    publish(other, "a/b", "x", 1, TEST_BYTES("\2\0\0\0\1"));
    assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBLISH);
    close(fd);
    usleep(1200 * 1000);
    fd = client(&server, "a", true, lasting);
    assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBLISH);
    assert_true(packet.publish.dup);
    assert_int_equal(packet.publish.props.numbers[RC_MQTT_PROP_MESSAGE_EXPIRY], 1);
    rc_buf_free(&bytes);
    close(fd);
    close(other);
    test_server_stop(&server);
    test_server_remove(&server);
}

/*
 * No Local is about what is forwarded while the subscription is there (MQTT-3.8.3-3). What was retained
 * before is the topic's, and the standard wants it sent to whoever subscribes (MQTT-3.3.1-9).
 */
static void test_no_local_keeps_away_what_is_published_and_not_what_was_retained(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    bool has_text;
    test_server_start(&server);
    rc_buf_init(&bytes, 512);
    int fd = client(&server, "a", false, nothing);
    struct rc_mqtt_publish kept = {
        .qos = 1, .retain = true, .packet_id = 7, .topic = rc_slice_str("a/b"), .payload = rc_slice_str("1")};
    for (int i = 0; i < 2; i++) { /* before the subscription, and after it */
        struct rc_buf out;
        rc_buf_init(&out, 64);
        rc_mqtt_put_publish(&out, RC_MQTT_V5, &kept, nothing);
        test_send(fd, &out);
        assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBACK);
        if (i > 0)
            break;
        assert_int_equal(subscribe(fd, "a/#", 1 | RC_MQTT_SUB_NO_LOCAL, nothing, &has_text), 1);
        assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBLISH);
        assert_true(packet.publish.retain);
    }
    assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PINGRESP);
    rc_buf_free(&bytes);
    close(fd);
    test_server_stop(&server);
    test_server_remove(&server);
}

/* A server that would have to ask other shards says success of every message that it took. */
static void test_that_nobody_has_subscribed_is_told_where_one_shard_knows_all(void **state)
{
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    bool has_text;
    rc_buf_init(&bytes, 512);
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct test_server server = {.shards = shards, .is_standard = true};
        test_server_start(&server);
        for (char id[2] = "a"; id[0] < 'i'; id[0]++) { /* on both shards */
            int fd = client(&server, id, false, nothing);
            publish(fd, "a/b", "x", 1, nothing);
            assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBACK);
            assert_int_equal(packet.ack.reason, shards == 1 ? RC_MQTT_NO_MATCHING_SUBSCRIBERS : 0);
            assert_int_equal(subscribe(fd, "a/b", 1 | RC_MQTT_SUB_NO_LOCAL, nothing, &has_text), 1);
            publish(fd, "a/b", "x", 1, nothing);
            assert_int_equal(read_packet(fd, &bytes, &packet), RC_MQTT_PUBACK);
            assert_int_equal(packet.ack.reason, RC_MQTT_SUCCESS);
            close(fd);
            TEST_WAIT(TEST_COUNTER(&server, subscriptions) == 0); /* of the first shard */
        }
        test_server_stop(&server);
        test_server_remove(&server);
    }
    rc_buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_malformed_share_is_refused_by_suback),
        cmocka_unit_test(test_an_acknowledgement_that_refuses_says_why),
        cmocka_unit_test(test_a_message_of_just_the_clients_maximum_is_sent),
        cmocka_unit_test(test_what_was_sent_and_expired_is_sent_again_for_a_second),
        cmocka_unit_test(test_no_local_keeps_away_what_is_published_and_not_what_was_retained),
        cmocka_unit_test(test_that_nobody_has_subscribed_is_told_where_one_shard_knows_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
