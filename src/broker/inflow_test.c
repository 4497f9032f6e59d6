/* Messages from RocketMQ while the session store takes nothing, and for instances that are not there. */
#include "broker/test_server.h"

#include "broker/inflow.h"
#include "session_store/private.h"

/* What a rule would post, and what it was told. */
struct errand {
    struct rc_inflow inflow;
    atomic_int result; /* -1: nothing yet */
};

static void on_done(struct rc_inflow *inflow, enum rc_inflow_result result)
{
    atomic_store(&rc_container_of(inflow, struct errand, inflow)->result, (int)result);
}

static void post(struct test_server *server, struct errand *errand, const char *instance, const char *topic,
                 uint8_t qos)
{
    *errand = (struct errand){.inflow = {.instance = rc_slice_str(instance),
                                         .topic = rc_slice_str(topic),
                                         .payload = rc_slice_str("x"),
                                         .qos = qos,
                                         .on_done = on_done},
                              .result = -1};
    rc_inflow_post(server->brokers, server->shards, &errand->inflow);
}

#define RESULT(errand) atomic_load(&(errand)->result)

static void start(struct test_server *server)
{
    *server = (struct test_server){.shards = 1};
    test_sessions_open(server);
    test_server_start(server);
}

static void stop(struct test_server *server)
{
    test_server_stop(server);
    test_server_remove(server);
}

static void test_a_message_without_its_instance_holds_up_nobody(void **state)
{
    struct test_server server;
    struct errand lost, other;
    start(&server);
    post(&server, &lost, "deleted", "top/a", 1);
    post(&server, &other, "inst", "top/b", 1);
    TEST_WAIT(RESULT(&other) == RC_INFLOW_TAKEN);
    assert_int_equal(RESULT(&lost), -1);
    atomic_store(&lost.inflow.is_given_up, true);
    TEST_WAIT(RESULT(&lost) == RC_INFLOW_GIVEN_UP);
    stop(&server);
}

static void test_only_what_has_to_be_kept_waits_for_the_session_store(void **state)
{
    struct test_server server;
    struct errand kept, passing, later;
    start(&server);
    atomic_store(&server.sessions->is_blocked, true);
    post(&server, &kept, "inst", "top/a", 1);
    post(&server, &passing, "inst", "top/b", 0);
    TEST_WAIT(RESULT(&passing) == RC_INFLOW_TAKEN);
    post(&server, &later, "inst", "top/c", 2);
    usleep(1200 * 1000); /* a retry passes */
    assert_int_equal(RESULT(&kept), -1);
    assert_int_equal(RESULT(&later), -1);
    atomic_store(&server.sessions->is_blocked, false);
    TEST_WAIT(RESULT(&kept) == RC_INFLOW_TAKEN && RESULT(&later) == RC_INFLOW_TAKEN);
    stop(&server);
}

static void test_a_message_for_one_client_that_nobody_gets_is_told_of(void **state)
{
    struct test_server server;
    struct errand errand;
    start(&server);
    post(&server, &errand, "inst", "top/p2p/GID_test@@@nobody", 1);
    TEST_WAIT(RESULT(&errand) == RC_INFLOW_NO_CLIENT);
    int fd = test_client(&server, "GID_test@@@here");
    post(&server, &errand, "inst", "top/p2p/GID_test@@@here", 1);
    TEST_WAIT(RESULT(&errand) == RC_INFLOW_TAKEN);
    post(&server, &errand, "inst", "top/#", 1);
    TEST_WAIT(RESULT(&errand) == RC_INFLOW_REFUSED);
    close(fd);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_without_its_instance_holds_up_nobody),
        cmocka_unit_test(test_only_what_has_to_be_kept_waits_for_the_session_store),
        cmocka_unit_test(test_a_message_for_one_client_that_nobody_gets_is_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
