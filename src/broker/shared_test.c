/* What came through shared subscriptions is somewhere on the disk, whatever ends at whatever moment. */
#include "broker/test_server.h"

#include "session_store/private.h"

enum { WINDOW = 32, SENT = WINDOW + 3, CALLS = 16 }; /* so many are under way to a client; the rest waits */

#define SHARE "$share/g/top/s"

/* A client id that the shard owns. */
static const char *id_on(uint32_t shard, char *out, size_t size)
{
    for (int i = 0;; i++) {
        snprintf(out, size, "GID_test@@@%d", i);
        if (rc_broker_shard_of(rc_slice_str("inst"), rc_slice_str(out), 2) == shard)
            return out;
    }
}

static int come(const struct test_server *server, const char *id)
{
    struct test_login login = {.client_id = id, .is_persistent = true};
    int fd = test_dial(server);
    assert_int_equal(test_log_in(fd, &login), 0);
    return fd;
}

static int member(const struct test_server *server, const char *id)
{
    struct rc_buf out;
    uint8_t suback[5];
    int fd = come(server, id);
    rc_buf_init(&out, 256);
    test_put_subscribe(&out, SHARE, 1);
    test_send(fd, &out);
    assert_int_equal(recv(fd, suback, 5, MSG_WAITALL), 5);
    assert_int_equal(suback[4], 1);
    return fd;
}

/* So many messages, which are acknowledged, so they are promised. */
static void publish(const struct test_server *server, int count)
{
    int fd = test_client(server, "GID_test@@@publisher");
    uint8_t puback[4];
    for (int i = 0; i < count; i++) {
        struct rc_buf out;
        rc_buf_init(&out, 256);
        test_put_publish(&out, "top/s", "h", 1);
        test_send(fd, &out);
        assert_int_equal(recv(fd, puback, 4, MSG_WAITALL), 4);
    }
    close(fd);
}

static void await_messages(int fd, int count)
{
    struct rc_buf bytes;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 4096);
    while (count > 0) {
        assert_true(test_read(fd, &bytes, &packet));
        count -= packet.type == RC_MQTT_PUBLISH;
    }
    rc_buf_free(&bytes);
}

/* The client gets so many, and acknowledges them, and no more; those of its window with DUP. */
static void assert_gets(int fd, int count)
{
    struct rc_buf bytes, out;
    struct rc_mqtt_packet packet;
    rc_buf_init(&bytes, 4096);
    for (int i = 0; i < count; i++) {
        assert_true(test_read(fd, &bytes, &packet));
        assert_int_equal(packet.type, RC_MQTT_PUBLISH);
        assert_int_equal(packet.publish.dup, i < WINDOW);
        rc_buf_init(&out, 64);
        rc_mqtt_put_ack(&out, RC_MQTT_V311, RC_MQTT_PUBACK, packet.publish.packet_id, 0, rc_slice(NULL, 0));
        test_send(fd, &out);
    }
    assert_int_equal(send(fd, "\xc0\0", 2, MSG_NOSIGNAL), 2);
    assert_true(test_read(fd, &bytes, &packet));
    assert_int_equal(packet.type, RC_MQTT_PINGRESP);
    rc_buf_free(&bytes);
    close(fd);
}

/* ---- what stands in a session store ---- */

struct found {
    int sessions, messages;
};

static int on_session(void *arg, uint64_t session, const struct rc_session_record *record)
{
    ((struct found *)arg)->sessions++;
    return RC_OK;
}

static int on_subscription(void *arg, uint64_t session, uint32_t number,
                           const struct rc_subscription_record *record)
{
    return RC_OK;
}

static int on_outgoing(void *arg, uint64_t session, uint64_t seq, const struct rc_outgoing_record *record)
{
    ((struct found *)arg)->messages++;
    return RC_OK;
}

static int on_none(void *arg, uint64_t session, uint64_t seq)
{
    return RC_ERR_CORRUPT;
}

static int on_no_id(void *arg, uint64_t session, uint16_t packet_id)
{
    return RC_ERR_CORRUPT;
}

static int on_no_retained(void *arg, const struct rc_retained_record *record)
{
    return RC_ERR_CORRUPT;
}

static struct found found_in(const char *dir)
{
    static const struct rc_session_visitor visitor = {on_session, on_subscription, on_outgoing,
                                                      on_none,    on_no_id,        on_no_retained};
    struct rc_session_store_options options;
    struct rc_session_store *store;
    struct rc_error error;
    struct found found = {0, 0};
    rc_session_store_options_default(&options);
    options.dir = dir;
    assert_int_equal(rc_session_store_open(&options, &store, &error), 0);
    assert_int_equal(rc_session_store_load(store, &visitor, &found, &error), 0);
    rc_session_store_close(store);
    return found;
}

enum { DIR_MAX = sizeof("/tmp/rc-broker-test-XXXXXX") };

/* The disk as the end of the process would leave it now, in a new directory. */
static void copy_sessions(const struct test_server *server, char dir[DIR_MAX])
{
    memcpy(dir, "/tmp/rc-broker-test-XXXXXX", DIR_MAX);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(mdb_env_copy(server->sessions->env, dir), 0);
}

static struct found found_if_it_died(const struct test_server *server)
{
    char dir[DIR_MAX];
    copy_sessions(server, dir);
    struct found found = found_in(dir);
    nftw(dir, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return found;
}

/* ---- a shard that stands still ---- */

struct standstill {
    struct rc_mail mail;
    sem_t begun, over;
};

static void stand_still(struct rc_mail *mail, struct rc_loop *loop)
{
    struct standstill *standstill = rc_container_of(mail, struct standstill, mail);
    sem_post(&standstill->begun);
    sem_wait(&standstill->over);
}

static void hold(const struct test_server *server, uint32_t shard, struct standstill *standstill)
{
    standstill->mail.deliver = stand_still;
    sem_init(&standstill->begun, 0, 0);
    sem_init(&standstill->over, 0, 0);
    rc_loop_post(server->loops[shard], &standstill->mail);
    sem_wait(&standstill->begun);
}

#define TRANSACTIONS(server) atomic_load(&rc_session_store_counters((server)->sessions)->transactions)

static void test_what_a_leaving_member_hands_over_is_with_him_until_another_has_it(void **state)
{
    for (uint32_t shard = 0; shard < 2; shard++) { /* of the member that leaves; the group is on either */
        struct test_server server = {.shards = 2, .is_standard = true};
        struct standstill standstill;
        char one[32], other[32];
        test_sessions_open(&server);
        test_server_start(&server);
        int leaving = member(&server, id_on(shard, one, sizeof(one)));
        publish(&server, SENT);
        await_messages(leaving, WINDOW);
        int staying = member(&server, id_on(1 - shard, other, sizeof(other)));
        TEST_WAIT(found_if_it_died(&server).messages == SENT);
        hold(&server, 1 - shard, &standstill);
        uint64_t before = TRANSACTIONS(&server);
        close(leaving);
        TEST_WAIT(TRANSACTIONS(&server) > before); /* it is known on the disk that he left */
        assert_int_equal(found_if_it_died(&server).messages, SENT);
        sem_post(&standstill.over);
        await_messages(staying, SENT - WINDOW);
        TEST_WAIT(found_if_it_died(&server).messages == SENT); /* and each stands there once */
        close(staying);
        test_server_stop(&server);
        test_server_remove(&server);
    }
}

/* His session ends with his return as somebody new, so all that he had goes to the others. */
static void test_what_an_ended_session_leaves_is_on_the_disk_until_others_have_it(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true}, next = server;
    struct standstill standstill;
    char one[32], other[32];
    test_sessions_open(&server);
    test_server_start(&server);
    int leaving = member(&server, id_on(0, one, sizeof(one)));
    publish(&server, SENT);
    await_messages(leaving, WINDOW);
    int staying = member(&server, id_on(1, other, sizeof(other)));
    struct test_login login = {.client_id = one, .is_persistent = true};
    close(leaving);
    await_messages(staying, SENT - WINDOW); /* what had not been sent to him; the rest is his */
    close(staying);
    TEST_WAIT(found_if_it_died(&server).messages == SENT);
    int fds[CALLS];
    for (int i = 0; i < CALLS; i++) /* some of which the shard accepts that does not stand still */
        fds[i] = test_dial(&server);
    usleep(200 * 1000);
    hold(&server, 1, &standstill);
    uint64_t before = TRANSACTIONS(&server);
    login.is_persistent = false;
    for (int i = 0; i < CALLS; i++) {
        struct rc_buf out;
        rc_buf_init(&out, 4096);
        test_put_connect(&out, &login);
        test_send(fds[i], &out);
    }
    TEST_WAIT(TRANSACTIONS(&server) > before);
    usleep(200 * 1000);
    copy_sessions(&server, next.sessions_dir);
    assert_in_range(found_if_it_died(&server).messages, SENT, 2 * SENT);
    sem_post(&standstill.over);
    TEST_WAIT(found_if_it_died(&server).sessions == 1);
    assert_int_equal(found_if_it_died(&server).messages, SENT);
    for (int i = 0; i < CALLS; i++)
        close(fds[i]);
    test_server_stop(&server);
    test_server_remove(&server);
    test_sessions_open(&next);
    test_server_start(&next); /* after a death in that moment */
    staying = come(&next, other);
    await_messages(staying, WINDOW);
    TEST_WAIT(found_if_it_died(&next).sessions == 1);
    assert_int_equal(found_if_it_died(&next).messages, SENT);
    close(staying);
    test_server_stop(&next);
    test_server_remove(&next);
}

static void test_a_stop_loses_nothing_that_waits_for_a_member(void **state)
{
    struct test_server server = {.shards = 2, .is_standard = true};
    char one[32], other[32];
    test_sessions_open(&server);
    test_server_start(&server);
    int first = member(&server, id_on(0, one, sizeof(one)));
    publish(&server, SENT);
    await_messages(first, WINDOW);
    int second = member(&server, id_on(1, other, sizeof(other)));
    test_server_stop(&server);
    close(first);
    close(second);
    rc_session_store_close(server.sessions);
    assert_int_equal(found_in(server.sessions_dir).messages, SENT);
    rc_store_close(server.store);
    test_sessions_open(&server);
    test_server_start(&server);
    assert_gets(come(&server, other), 0); /* who comes first does not get what is another's */
    assert_gets(come(&server, one), SENT);
    test_server_stop(&server);
    test_server_remove(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_leaving_member_hands_over_is_with_him_until_another_has_it),
        cmocka_unit_test(test_what_an_ended_session_leaves_is_on_the_disk_until_others_have_it),
        cmocka_unit_test(test_a_stop_loses_nothing_that_waits_for_a_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
