/* Messages between clients: who gets what, in what order, and how often. */
#include "broker/private.h"
#include "broker/test_server.h"

/* "<topic>=<payload> <qos>[d]" of the next PUBLISH, acknowledged; other packets are passed over. */
static const char *next_message(int fd)
{
    static char text[8192];
    struct rc_buf bytes, out;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 1 << 20);
    do {
        if (!test_read(fd, &bytes, &packet))
            fail_msg("the connection ended");
    } while (packet.type != RC_MQTT_PUBLISH);
    const struct rc_mqtt_publish *publish = &packet.publish;
    snprintf(text, sizeof(text), "%.*s=%.*s %u%s", RC_SLICE_FMT(publish->topic),
             RC_SLICE_FMT(publish->payload), publish->qos, publish->dup ? "d" : "");
    if (publish->qos == 1) {
        rc_buf_init(&out, 64);
        rc_mqtt_put_ack(&out, RC_MQTT_V311, RC_MQTT_PUBACK, publish->packet_id, 0, rc_slice(NULL, 0));
        test_send(fd, &out);
    }
    rc_buf_free(&bytes);
    return text;
}

/* The type of the next packet, 0 at the end. */
static uint8_t next_type(int fd)
{
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 1 << 20);
    uint8_t type = test_read(fd, &bytes, &packet) ? packet.type : 0;
    rc_buf_free(&bytes);
    return type;
}

static void subscribe(int fd, const char *filter, uint8_t qos)
{
    struct rc_buf out;
    rc_buf_init(&out, 1 << 17);
    test_put_subscribe(&out, filter, qos);
    test_send(fd, &out);
    assert_int_equal(next_type(fd), RC_MQTT_SUBACK);
}

static void publish(int fd, const char *topic, const char *payload, uint8_t qos)
{
    struct rc_buf out;
    rc_buf_init(&out, 1 << 17);
    test_put_publish(&out, topic, payload, qos);
    test_send(fd, &out);
    if (qos > 0)
        assert_int_equal(next_type(fd), qos == 1 ? RC_MQTT_PUBACK : RC_MQTT_PUBREC);
}

/* Nothing else is on its way: the next packet is the answer to a ping. */
static void assert_quiet(int fd)
{
    assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
    assert_int_equal(next_type(fd), RC_MQTT_PINGRESP);
}

static int client(const struct test_server *server, const char *id, bool is_persistent, bool *ret_present)
{
    struct test_login login = {.client_id = id, .is_persistent = is_persistent};
    struct rc_buf out;
    uint8_t connack[4];
    int fd = test_dial(server);
    rc_buf_init(&out, 4096);
    test_put_connect(&out, &login);
    test_send(fd, &out);
    assert_int_equal(recv(fd, connack, 4, MSG_WAITALL), 4);
    assert_int_equal(connack[3], 0);
    if (ret_present != NULL)
        *ret_present = connack[2] & 1;
    return fd;
}

static void end(struct test_server *server)
{
    test_server_stop(server);
    test_server_remove(server);
}

static void test_messages_reach_subscribers_on_every_shard(void **state)
{
    struct test_server server = {.shards = 2};
    int fds[8];
    test_server_start(&server);
    for (int i = 0; i < 8; i++) {
        char id[32];
        snprintf(id, sizeof(id), "GID_test@@@%d", i);
        fds[i] = client(&server, id, false, NULL);
        subscribe(fds[i], i % 2 ? "top/+/x" : "top/#", 1);
    }
    int other = client(&server, "GID_test@@@other", false, NULL);
    publish(other, "top/a/x", "both", 1);
    for (int i = 0; i < 8; i++)
        assert_string_equal(next_message(fds[i]), "top/a/x=both 1");
    publish(other, "top/a/y", "some", 0);
    for (int i = 0; i < 8; i += 2)
        assert_string_equal(next_message(fds[i]), "top/a/y=some 0");
    close(other);
    for (int i = 1; i < 8; i += 2)
        assert_quiet(fds[i]);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    end(&server);
}

static void test_overlapping_subscriptions_bring_one_copy_at_the_highest_quality(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a", false, NULL),
        other = client(&server, "GID_test@@@b", false, NULL);
    subscribe(fd, "top/#", 0);
    subscribe(fd, "top/+", 1);
    subscribe(fd, "top", 1);
    subscribe(fd, "top/x", 0);
    publish(other, "top/x", "1", 1);
    assert_string_equal(next_message(fd), "top/x=1 1");
    assert_quiet(fd);
    publish(other, "top", "2", 1); /* `top/#` takes its parent too */
    assert_string_equal(next_message(fd), "top=2 1");
    assert_quiet(fd);
    close(fd);
    close(other);
    end(&server);
}

static void test_what_was_unsubscribed_comes_no_more(void **state)
{
    struct test_server server = {.shards = 1};
    struct rc_buf out;
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a", false, NULL);
    subscribe(fd, "top/x", 1);
    rc_buf_init(&out, 64);
    rc_mqtt_put_unsubscribe(&out, RC_MQTT_V311, 2, rc_slice("\0\5top/x\0\5top/y", 14), rc_slice(NULL, 0));
    test_send(fd, &out);
    assert_int_equal(next_type(fd), RC_MQTT_UNSUBACK);
    publish(fd, "top/x", "1", 1);
    assert_quiet(fd);
    close(fd);
    end(&server);
}

static void test_a_persistent_session_keeps_what_came_meanwhile_and_sends_unacknowledged_again(void **state)
{
    struct test_server server = {.shards = 2};
    bool present;
    test_server_start(&server);
    int other = client(&server, "GID_test@@@b", false, NULL);
    int fd = client(&server, "GID_test@@@a", true, &present);
    assert_false(present);
    subscribe(fd, "top/#", 1);
    publish(other, "top/x", "unacked", 1);
    assert_int_equal(next_type(fd), RC_MQTT_PUBLISH);
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) +
                  atomic_load(&rc_broker_counters(server.brokers[1])->connection_lost) ==
              1);
    publish(other, "top/x", "away 1", 1);
    publish(other, "top/x", "lost at QoS 0", 0);
    publish(other, "top/x", "away 2", 1);
    assert_quiet(other);
    fd = client(&server, "GID_test@@@a", true, &present);
    assert_true(present);
    assert_string_equal(next_message(fd), "top/x=unacked 1d");
    assert_string_equal(next_message(fd), "top/x=away 1 1");
    assert_string_equal(next_message(fd), "top/x=away 2 1");
    assert_quiet(fd);
    close(fd);
    fd = client(&server, "GID_test@@@a", false, &present); /* a clean one ends it */
    assert_false(present);
    publish(other, "top/x", "nobody", 1);
    assert_quiet(fd);
    close(fd);
    close(other);
    end(&server);
}

/* Everything in one write: nothing comes twice, and nothing is marked as sent before. */
static void test_packets_sent_ahead_of_connack_take_effect_once(void **state)
{
    struct test_server server = {.shards = 1};
    struct test_login login = {.client_id = "GID_test@@@a", .is_persistent = true};
    struct rc_buf out;
    test_server_start(&server);
    int fd = test_dial(&server);
    rc_buf_init(&out, 4096);
    test_put_connect(&out, &login);
    test_put_subscribe(&out, "top/#", 1);
    test_put_publish(&out, "top/x", "once", 1);
    test_send(fd, &out);
    assert_int_equal(test_connack(fd), 0);
    assert_string_equal(next_message(fd), "top/x=once 1");
    assert_int_equal(next_type(fd), RC_MQTT_PUBACK);
    assert_quiet(fd);
    close(fd);
    end(&server);
}

static void test_a_message_at_quality_2_is_routed_once_however_often_it_is_sent(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a", false, NULL),
        other = client(&server, "GID_test@@@b", false, NULL);
    subscribe(fd, "top/#", 1);
    for (int i = 0; i < 3; i++)
        publish(other, "top/x", "once", 2);
    assert_int_equal(send(other, "\x62\2\0\7", 4, 0), 4); /* PUBREL */
    assert_int_equal(next_type(other), RC_MQTT_PUBCOMP);
    assert_string_equal(next_message(fd), "top/x=once 1");
    assert_quiet(fd);
    publish(other, "top/x", "again", 2); /* the id is free again */
    assert_string_equal(next_message(fd), "top/x=again 1");
    close(fd);
    close(other);
    end(&server);
}

static void test_a_client_has_its_30_subscriptions_and_no_more(void **state)
{
    struct test_server server = {.shards = 1};
    struct rc_buf bytes, out;
    struct rc_mqtt_packet packet;
    test_server_start(&server);
    int fd = client(&server, "GID_test@@@a", false, NULL);
    rc_buf_init(&bytes, 1 << 16);
    for (int i = 0; i < 32; i++) {
        char filter[16];
        snprintf(filter, sizeof(filter), "top/%d", i < 31 ? i : 0); /* the last renews the first */
        rc_buf_init(&out, 256);
        test_put_subscribe(&out, filter, 1);
        test_send(fd, &out);
        assert_true(test_read(fd, &bytes, &packet));
        assert_int_equal(packet.suback.codes.ptr[0], i == 30 ? 0x80 : 1);
    }
    rc_buf_free(&bytes);
    assert_int_equal(TEST_COUNTER(&server, subscriptions), 30);
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, subscriptions) == 0);
    end(&server);
}

static void test_the_oldest_message_goes_when_an_absent_clients_queue_is_full(void **state)
{
    struct test_server server = {.shards = 1};
    test_server_start(&server);
    int other = client(&server, "GID_test@@@b", false, NULL);
    int fd = client(&server, "GID_test@@@a", true, NULL);
    subscribe(fd, "top/#", 1);
    close(fd);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    for (int i = 0; i < RC_BROKER_QUEUED_MAX + 5; i++) {
        char payload[16];
        snprintf(payload, sizeof(payload), "%d", i);
        publish(other, "top/x", payload, 1);
    }
    assert_int_equal(TEST_COUNTER(&server, dropped_queue), 5);
    fd = client(&server, "GID_test@@@a", true, NULL);
    for (int i = 5; i < RC_BROKER_QUEUED_MAX + 5; i++) {
        char want[32];
        snprintf(want, sizeof(want), "top/x=%d 1", i);
        assert_string_equal(next_message(fd), want);
    }
    assert_quiet(fd);
    close(fd);
    close(other);
    end(&server);
}

static void test_all_sessions_together_hold_so_much_and_no_more(void **state)
{
    struct test_server server = {.shards = 1, .max_queued_bytes = 20000};
    static char payload[4001];
    memset(payload, 'x', 4000);
    test_server_start(&server);
    int other = client(&server, "GID_test@@@b", false, NULL);
    int first = client(&server, "GID_test@@@1", true, NULL),
        second = client(&server, "GID_test@@@2", true, NULL);
    subscribe(first, "top/1", 1);
    subscribe(second, "top/2", 1);
    close(first);
    close(second);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 2);
    for (int i = 0; i < 10; i++) { /* four fit; then the oldest go */
        payload[0] = (char)('0' + i);
        publish(other, "top/1", payload, 1);
    }
    assert_int_equal(TEST_COUNTER(&server, dropped_queue), 6);
    int here = client(&server, "GID_test@@@3", false, NULL);
    subscribe(here, "top/3", 1);
    publish(other, "top/3", "online", 1); /* the absent do not starve who is there */
    assert_string_equal(next_message(here), "top/3=online 1");
    close(here);
    publish(other, "top/2", payload, 1); /* another session's oldest goes for it */
    assert_int_equal(TEST_COUNTER(&server, dropped_queue), 7);
    second = client(&server, "GID_test@@@2", true, NULL);
    assert_int_equal(next_message(second)[6], '9');
    assert_quiet(second);
    first = client(&server, "GID_test@@@1", true, NULL);
    for (int i = 7; i < 10; i++)
        assert_int_equal(next_message(first)[6], '0' + i);
    assert_quiet(first); /* all are acknowledged: there is room again */
    publish(other, "top/2", "fits", 1);
    assert_string_equal(next_message(second), "top/2=fits 1");
    close(first);
    close(second);
    close(other);
    end(&server);
}

static void test_the_oldest_of_the_instance_goes_when_it_has_too_many(void **state)
{
    struct test_server server = {.shards = 1, .queued_all_max = 3};
    test_server_start(&server);
    int other = client(&server, "GID_test@@@b", false, NULL);
    for (int i = 0; i < 2; i++) {
        int fd = client(&server, i == 0 ? "GID_test@@@0" : "GID_test@@@1", true, NULL);
        subscribe(fd, i == 0 ? "top/0" : "top/1", 1);
        close(fd);
    }
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 2);
    for (int i = 0; i < 5; i++) {
        char payload[2] = {(char)('0' + i)};
        publish(other, i % 2 == 0 ? "top/0" : "top/1", payload, 1);
    }
    assert_int_equal(TEST_COUNTER(&server, dropped_queue), 2);
    int first = client(&server, "GID_test@@@0", true, NULL);
    assert_string_equal(next_message(first), "top/0=2 1");
    assert_string_equal(next_message(first), "top/0=4 1");
    assert_quiet(first);
    int second = client(&server, "GID_test@@@1", true, NULL);
    assert_string_equal(next_message(second), "top/1=3 1");
    assert_quiet(second);
    close(first);
    close(second);
    close(other);
    end(&server);
}

static void assert_answer(int fd, struct rc_slice packet, struct rc_slice answer)
{
    uint8_t got[32] = {0};
    assert_int_equal(send(fd, packet.ptr, packet.len, MSG_NOSIGNAL), (ssize_t)packet.len);
    assert_int_equal(recv(fd, got, answer.len, MSG_WAITALL), (ssize_t)answer.len);
    assert_memory_equal(got, answer.ptr, answer.len);
}

/* Who wants none of his own messages (No Local) has subscribed all the same. That nobody has is for PUBACK to
 * say: at QoS 2 the flow goes on, and PUBREC is the plain one. */
static void test_only_puback_says_that_nobody_has_subscribed(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    test_server_start(&server);
    int fd = test_client_v5(&server, &(struct test_login){.client_id = "GID_test@@@a"});
    assert_true(fd >= 0);
    assert_answer(fd, TEST_BYTES("\x82\x09\0\1\0\0\3n/x\5"), TEST_BYTES("\x90\4\0\1\0\1"));
    assert_answer(fd, TEST_BYTES("\x32\x09\0\3n/x\0\2\0!"), TEST_BYTES("\x40\2\0\2"));
    assert_answer(fd, TEST_BYTES("\x32\x09\0\3n/y\0\3\0!"), TEST_BYTES("\x40\3\0\3\x10"));
    assert_answer(fd, TEST_BYTES("\x34\x09\0\3n/y\0\4\0!"), TEST_BYTES("\x50\2\0\4"));
    assert_answer(fd, TEST_BYTES("\x62\2\0\4"), TEST_BYTES("\x70\2\0\4"));
    assert_answer(fd, TEST_BYTES("\xc0\0"), TEST_BYTES("\xd0\0")); /* nothing has come to itself */
    close(fd);
    end(&server);
}

/* The properties of an acknowledgement that says so: their length, and the reason as text. */
#define QUOTA_TEXT "\x11\x1f\0\x0equota exceeded"

/* One that is larger than all room that there is. */
static void test_a_publisher_hears_that_nothing_can_be_held(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true, .max_queued_bytes = 100};
    test_server_start(&server);
    int absent = client(&server, "GID_test@@@a", true, NULL);
    subscribe(absent, "n/x", 1);
    close(absent);
    TEST_WAIT(TEST_COUNTER(&server, connection_lost) == 1);
    int new = test_client_v5(&server, &(struct test_login){.client_id = "GID_test@@@new"});
    int old = client(&server, "GID_test@@@old", false, NULL);
    assert_answer(new, TEST_BYTES("\x32\x09\0\3n/x\0\2\0!"), TEST_BYTES("\x40\x15\0\2\x97" QUOTA_TEXT));
    assert_answer(new, TEST_BYTES("\x34\x09\0\3n/x\0\3\0!"), TEST_BYTES("\x50\x15\0\3\x97" QUOTA_TEXT));
    assert_int_equal(send(old, "\x32\x08\0\3n/x\0\2!", 10, MSG_NOSIGNAL), 10);
    assert_true(test_wait_closed(old));
    assert_int_equal(TEST_COUNTER(&server, dropped_queue), 3);
    close(old);
    close(new);
    end(&server);
}

/* What an absent client's room is too small for must not stop its publisher, wherever that one is. */
static void test_an_empty_line_takes_one_message_however_small_its_room_is(void **state)
{
    for (int which = 0; which < 2; which++) { /* the session's room, the instance's */
        struct test_server server = {.shards = 2,
                                     .is_standard = true,
                                     .queued_bytes_max = which == 0 ? 100 : 0,
                                     .queued_all_bytes_max = which == 1 ? 100 : 0};
        test_server_start(&server);
        int absent = client(&server, "GID_test@@@a", true, NULL);
        subscribe(absent, "n/x", 1);
        close(absent);
        TEST_WAIT(rc_broker_counters(server.brokers[0])->connection_lost +
                      rc_broker_counters(server.brokers[1])->connection_lost ==
                  1);
        for (int i = 0; i < 8; i++) { /* on both shards */
            char id[32];
            snprintf(id, sizeof(id), "GID_test@@@p%d", i);
            int fd = client(&server, id, false, NULL);
            publish(fd, "n/x", i < 7 ? "too large for a room of 100 bytes" : "the last", 1);
            close(fd);
        }
        TEST_WAIT(rc_broker_counters(server.brokers[0])->dropped_queue +
                      rc_broker_counters(server.brokers[1])->dropped_queue ==
                  7);
        absent = client(&server, "GID_test@@@a", true, NULL);
        assert_string_equal(next_message(absent), "n/x=the last 1");
        assert_quiet(absent);
        close(absent);
        end(&server);
    }
}

static void set_behind(struct test_server *server, uint32_t by)
{
    for (uint32_t i = 0; i < server->shards; i++)
        atomic_store(&server->brokers[i]->forwards_in, by);
}

/* An acknowledgement is a promise, so what another shard cannot take now gets none. */
static void test_a_publisher_hears_that_another_shard_is_behind(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    int subscribers[8];
    test_server_start(&server);
    for (int i = 0; i < 8; i++) { /* on both shards */
        char id[32];
        snprintf(id, sizeof(id), "GID_test@@@s%d", i);
        subscribers[i] = client(&server, id, false, NULL);
        subscribe(subscribers[i], "n/x", 1);
    }
    int new = test_client_v5(&server, &(struct test_login){.client_id = "GID_test@@@new"});
    int old = client(&server, "GID_test@@@old", false, NULL);
    set_behind(&server, RC_BROKER_FORWARDS_MAX);
    assert_answer(new, TEST_BYTES("\x32\x09\0\3n/x\0\2\0!"), TEST_BYTES("\x40\x15\0\2\x97" QUOTA_TEXT));
    assert_answer(new, TEST_BYTES("\x34\x09\0\3n/x\0\3\0!"), TEST_BYTES("\x50\x15\0\3\x97" QUOTA_TEXT));
    assert_int_equal(send(old, "\x32\x08\0\3n/x\0\2!", 10, MSG_NOSIGNAL), 10);
    assert_true(test_wait_closed(old)); /* version 3.1.1 has no way to say it */
    set_behind(&server, 0);
    assert_answer(new, TEST_BYTES("\x32\x09\0\3n/x\0\2\0!"), TEST_BYTES("\x40\2\0\2"));
    for (int i = 0; i < 8; i++) {
        assert_string_equal(next_message(subscribers[i]), "n/x=! 1"); /* the one that was acknowledged */
        assert_quiet(subscribers[i]);
        close(subscribers[i]);
    }
    close(old);
    close(new);
    end(&server);
}

enum { ALL_IDS = 65535 };

static void put_qos2(struct rc_buf *out, uint16_t id)
{
    struct rc_mqtt_publish publish = {
        .qos = 2, .packet_id = id, .topic = rc_slice_str("top/x"), .payload = rc_slice_str("h")};
    rc_mqtt_put_publish(out, RC_MQTT_V311, &publish, rc_slice(NULL, 0));
}

/* So many acknowledgements of the type came, for the ids from 1 on, and nothing else. */
static void assert_acks(int fd, uint8_t type, uint32_t count)
{
    struct rc_buf bytes;
    rc_buf_init(&bytes, 4 * ALL_IDS);
    uint8_t *at = rc_buf_reserve(&bytes, 4 * (size_t)count);
    assert_int_equal(recv(fd, at, 4 * (size_t)count, MSG_WAITALL), 4 * (ssize_t)count);
    for (uint32_t i = 0; i < count; i++)
        if (at[4 * i] >> 4 != type || rc_load_u16(at + 4 * i + 2) != i + 1)
            fail_msg("packet %u is of type %u, for id %u", i, at[4 * i] >> 4, rc_load_u16(at + 4 * i + 2));
    rc_buf_free(&bytes);
}

/* 3.1.1 knows no receive maximum: a client may use all ids that there are before it releases one. */
static void test_an_old_client_may_have_all_packet_ids_under_way(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true};
    struct rc_buf out;
    test_server_start(&server);
    int fd = test_client(&server, "GID_test@@@a");
    rc_buf_init(&out, 1 << 20);
    for (uint32_t id = 1; id <= ALL_IDS; id++)
        put_qos2(&out, (uint16_t)id);
    test_send(fd, &out);
    assert_acks(fd, RC_MQTT_PUBREC, ALL_IDS);
    uint64_t once = TEST_COUNTER(&server, publishes_received);
    rc_buf_init(&out, 64);
    put_qos2(&out, 1); /* known, though all are taken */
    test_send(fd, &out);
    assert_acks(fd, RC_MQTT_PUBREC, 1);
    assert_int_equal(TEST_COUNTER(&server, publishes_received), once + 1);
    rc_buf_init(&out, 1 << 20);
    for (uint32_t id = 1; id <= ALL_IDS; id++)
        rc_mqtt_put_ack(&out, RC_MQTT_V311, RC_MQTT_PUBREL, (uint16_t)id, 0, rc_slice(NULL, 0));
    test_send(fd, &out);
    assert_acks(fd, RC_MQTT_PUBCOMP, ALL_IDS);
    assert_quiet(fd);
    close(fd);
    test_server_stop(&server);
    test_server_remove(&server);
}

static void test_an_old_client_is_closed_beyond_what_its_instance_allows(void **state)
{
    struct test_server server = {.shards = 1, .is_standard = true, .incoming_max = 3};
    struct rc_buf out;
    test_server_start(&server);
    int fd = test_client(&server, "GID_test@@@a");
    rc_buf_init(&out, 256);
    for (uint16_t id = 1; id <= 4; id++)
        put_qos2(&out, id);
    test_send(fd, &out);
    assert_acks(fd, RC_MQTT_PUBREC, 3);
    assert_true(test_wait_closed(fd));
    assert_int_equal(TEST_COUNTER(&server, protocol_errors), 1);
    close(fd);
    test_server_stop(&server);
    test_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_reach_subscribers_on_every_shard),
        cmocka_unit_test(test_overlapping_subscriptions_bring_one_copy_at_the_highest_quality),
        cmocka_unit_test(test_what_was_unsubscribed_comes_no_more),
        cmocka_unit_test(test_a_persistent_session_keeps_what_came_meanwhile_and_sends_unacknowledged_again),
        cmocka_unit_test(test_packets_sent_ahead_of_connack_take_effect_once),
        cmocka_unit_test(test_a_message_at_quality_2_is_routed_once_however_often_it_is_sent),
        cmocka_unit_test(test_only_puback_says_that_nobody_has_subscribed),
        cmocka_unit_test(test_the_oldest_of_the_instance_goes_when_it_has_too_many),
        cmocka_unit_test(test_a_publisher_hears_that_nothing_can_be_held),
        cmocka_unit_test(test_an_empty_line_takes_one_message_however_small_its_room_is),
        cmocka_unit_test(test_a_publisher_hears_that_another_shard_is_behind),
        cmocka_unit_test(test_a_client_has_its_30_subscriptions_and_no_more),
        cmocka_unit_test(test_the_oldest_message_goes_when_an_absent_clients_queue_is_full),
        cmocka_unit_test(test_all_sessions_together_hold_so_much_and_no_more),
        cmocka_unit_test(test_an_old_client_may_have_all_packet_ids_under_way),
        cmocka_unit_test(test_an_old_client_is_closed_beyond_what_its_instance_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
