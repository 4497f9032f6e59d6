/* Groups: joining, leaving, who is told; and the locks of orderly consumers. */
#include "rocketmq/test_endpoint.h"

static int32_t ask_members(struct client *client, const char *group)
{
    struct rc_remoting request = client_request(client, RC_REQ_CONSUMER_LIST);
    add(&request, "consumerGroup", group);
    return client_call(client, &request);
}

static int32_t leave(struct client *client, const char *client_id)
{
    struct rc_remoting request = client_request(client, RC_REQ_UNREGISTER);
    add(&request, "clientID", client_id);
    add(&request, "producerGroup", "p");
    add(&request, "consumerGroup", TEST_GROUP);
    return client_call(client, &request);
}

/* Counts what a client is told until nothing has come for a moment. */
static int told(struct client *client)
{
    while (client_wait(client, -1, 100))
        continue;
    int count = client->told_of_changes;
    client->told_of_changes = 0;
    return count;
}

static void test_who_heartbeats_is_a_member_and_the_others_are_told(void **state)
{
    struct client one, two;
    client_open(&one, *state);
    client_open(&two, *state);
    assert_int_equal(ask_members(&one, TEST_GROUP), RC_RES_SYSTEM_ERROR);
    join_group(&one, "one", "*", "1");
    assert_int_equal(told(&one), 1);
    join_group(&two, "two", "*", "1");
    assert_int_equal(told(&one), 1);
    assert_int_equal(told(&two), 1);
    assert_int_equal(ask_members(&one, TEST_GROUP), RC_RES_SUCCESS);
    assert_body(&one, "{\"consumerIdList\":[\"one\",\"two\"]}");
    join_group(&two, "two", "*", "1"); /* nothing new */
    assert_int_equal(told(&one), 0);
    client_close(&one);
    client_close(&two);
}

static void test_the_notice_names_the_group_and_wants_no_answer(void **state)
{
    struct client client;
    client_open(&client, *state);
    struct rc_remoting request = client_request(&client, RC_REQ_HEARTBEAT);
    request.body =
        rc_slice_str("{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"" TEST_GROUP "\"}]}");
    client_send(&client, &request);
    /* after the answer: a client that is told while its heartbeat is under way gives its next one up */
    assert_true(client_receive(&client, TEST_ANSWER_MS));
    assert_int_equal(client.answer.opaque, request.opaque);
    assert_true(client_receive(&client, TEST_ANSWER_MS));
    assert_int_equal(client.answer.code, RC_REQ_CONSUMERS_CHANGED);
    assert_int_equal(client.answer.flag, RC_REMOTING_ONEWAY);
    assert_string_equal(client_text(&client, "consumerGroup"), TEST_GROUP);
    client_close(&client);
}

static void test_leaving_and_closing_end_a_membership(void **state)
{
    struct client one, two, three;
    client_open(&one, *state);
    client_open(&two, *state);
    client_open(&three, *state);
    join_group(&one, "one", "*", "1");
    join_group(&two, "two", "*", "1");
    join_group(&three, "three", "*", "1");
    told(&one);
    assert_int_equal(leave(&two, "two"), RC_RES_SUCCESS);
    assert_int_equal(told(&one), 1);
    assert_int_equal(leave(&two, "one"), RC_RES_SUCCESS); /* not on that connection */
    assert_int_equal(told(&one), 0);
    client_close(&three);
    assert_int_equal(told(&one), 1);
    assert_int_equal(ask_members(&one, TEST_GROUP), RC_RES_SUCCESS);
    assert_body(&one, "{\"consumerIdList\":[\"one\"]}");
    assert_int_equal(leave(&one, "one"), RC_RES_SUCCESS);
    assert_int_equal(ask_members(&one, TEST_GROUP), RC_RES_SYSTEM_ERROR);
    client_close(&one);
    client_close(&two);
}

static void test_a_client_that_comes_again_on_another_connection_is_one_member(void **state)
{
    struct client old, new;
    client_open(&old, *state);
    client_open(&new, *state);
    join_group(&old, "same", "*", "1");
    join_group(&new, "same", "*", "1");
    assert_int_equal(told(&new), 1);
    client_close(&old);
    assert_int_equal(told(&new), 0);
    assert_int_equal(ask_members(&new, TEST_GROUP), RC_RES_SUCCESS);
    assert_body(&new, "{\"consumerIdList\":[\"same\"]}");
    client_close(&new);
}

static void test_several_clients_may_share_a_connection(void **state)
{
    struct client shared, other;
    client_open(&shared, *state);
    client_open(&other, *state);
    join_group(&shared, "a", "*", "1");
    join_group(&shared, "b", "*", "1");
    join_group(&other, "c", "*", "1");
    client_close(&shared);
    WAIT_UNTIL(ask_members(&other, TEST_GROUP) == RC_RES_SUCCESS && body_has(&other, "[\"c\"]"));
    client_close(&other);
}

static void test_a_silent_member_is_dropped(void **state)
{
    struct rig *rig = rig_make();
    struct client one, two;
    rig->options.times =
        (struct rc_endpoint_times){.idle = 500, .stranger = 60000, .lock = 60000, .sweep = 20};
    rig_start(rig);
    client_open(&one, rig);
    client_open(&two, rig);
    join_group(&one, "one", "*", "1");
    join_group(&two, "two", "*", "1");
    for (int i = 0; i < 20; i++) { /* both talk, but only one heartbeats */
        join_group(&one, "one", "*", "1");
        assert_int_equal(ask_members(&two, TEST_GROUP), RC_RES_SUCCESS);
        test_sleep_ms(50);
    }
    assert_body(&two, "{\"consumerIdList\":[\"one\"]}");
    client_close(&one);
    client_close(&two);
    rig_free(rig);
}

static void test_who_broadcasts_is_not_told(void **state)
{
    struct client one, two;
    const char *body = "{\"clientID\":\"one\",\"consumerDataSet\":[{\"groupName\":\"" TEST_GROUP
                       "\",\"messageModel\":\"BROADCASTING\",\"subscriptionDataSet\":[]}]}";
    client_open(&one, *state);
    client_open(&two, *state);
    assert_int_equal(heartbeat(&one, body), RC_RES_SUCCESS);
    assert_int_equal(heartbeat(&two, "{\"clientID\":\"two\",\"consumerDataSet\":[{\"groupName\":\"" TEST_GROUP
                                     "\",\"messageModel\":0,\"subscriptionDataSet\":[]}]}"),
                     RC_RES_SUCCESS);
    assert_int_equal(told(&one), 0);
    client_close(&one);
    client_close(&two);
}

static void test_a_heartbeat_makes_the_groups_retry_topic(void **state)
{
    struct client client;
    client_open(&client, *state);
    struct rc_remoting request = client_request(&client, RC_REQ_ROUTE);
    add(&request, "topic", "%RETRY%" TEST_GROUP);
    assert_int_equal(client_call(&client, &request), RC_RES_TOPIC_NOT_EXIST);
    join_group(&client, "c", "*", "1");
    request = client_request(&client, RC_REQ_ROUTE);
    add(&request, "topic", "%RETRY%" TEST_GROUP);
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    assert_true(body_has(&client, "\"readQueueNums\":1,"));
    client_close(&client);
}

static void test_heartbeats_without_sense_are_answered_and_forgotten(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    assert_int_equal(heartbeat(&client, ""), RC_RES_SYSTEM_ERROR);
    assert_int_equal(
        heartbeat(&client, "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"bad name\"}]}"),
        RC_RES_SUCCESS);
    assert_int_equal(heartbeat(&client, "{\"clientID\":\"c\"}"), RC_RES_SUCCESS);
    assert_null(rc_store_find_topic(rig->store, rc_slice_str("%RETRY%bad name")));
    client_close(&client);
}

static void test_topics_that_clients_make_are_limited_a_minute(void **state)
{
    enum { LIMIT = 10 };
    struct rig *rig = rig_make();
    struct client client;
    rig->options.max_creations = LIMIT;
    rig_start(rig);
    client_open(&client, rig);
    /* twice as many, since a minute may end in between */
    for (int i = 0; i < 2 * LIMIT + 2; i++) {
        char body[200];
        snprintf(body, sizeof(body), "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g%d\"}]}", i);
        struct rc_remoting request = client_request(&client, RC_REQ_HEARTBEAT);
        request.body = rc_slice_str(body);
        client_send(&client, &request);
        assert_true(client_wait(&client, request.opaque, 30000));
        assert_true(i >= LIMIT || RIG_COUNTER(rig, limits_hit) == 0);
    }
    assert_true(RIG_COUNTER(rig, limits_hit) > 0);
    client_close(&client);
    rig_free(rig);
}

/* ---- locks ---- */

static int32_t lock(struct client *client, int32_t code, const char *client_id, const char *queues)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"clientId\":\"%s\",\"consumerGroup\":\"" TEST_GROUP "\",\"mqSet\":[%s]}",
             client_id, queues);
    struct rc_remoting request = client_request(client, code);
    request.body = rc_slice_str(body);
    return client_call(client, &request);
}

#define QUEUE(id) "{\"brokerName\":\"rollcall\",\"queueId\":" id ",\"topic\":\"" TEST_TOPIC "\"}"

static void test_a_queue_is_locked_by_one_client_at_a_time(void **state)
{
    struct client client;
    client_open(&client, *state);
    assert_int_equal(lock(&client, RC_REQ_LOCK_BATCH, "one", QUEUE("0") "," QUEUE("1")), RC_RES_SUCCESS);
    assert_body(&client, "{\"lockOKMQSet\":[" QUEUE("0") "," QUEUE("1") "]}");
    lock(&client, RC_REQ_LOCK_BATCH, "two", QUEUE("1") "," QUEUE("2"));
    assert_body(&client, "{\"lockOKMQSet\":[" QUEUE("2") "]}");
    lock(&client, RC_REQ_LOCK_BATCH, "one", QUEUE("1")); /* again */
    assert_body(&client, "{\"lockOKMQSet\":[" QUEUE("1") "]}");
    lock(&client, RC_REQ_UNLOCK_BATCH, "two", QUEUE("1")); /* not his */
    lock(&client, RC_REQ_LOCK_BATCH, "two", QUEUE("1"));
    assert_body(&client, "{\"lockOKMQSet\":[]}");
    assert_int_equal(lock(&client, RC_REQ_UNLOCK_BATCH, "one", QUEUE("1")), RC_RES_SUCCESS);
    lock(&client, RC_REQ_LOCK_BATCH, "two", QUEUE("1"));
    assert_body(&client, "{\"lockOKMQSet\":[" QUEUE("1") "]}");
    client_close(&client);
}

static void test_who_was_refused_a_lock_hears_of_its_end(void **state)
{
    struct client one, two;
    client_open(&one, *state);
    client_open(&two, *state);
    join_group(&one, "one", "*", "1");
    join_group(&two, "two", "*", "1");
    told(&one);
    told(&two);
    lock(&one, RC_REQ_LOCK_BATCH, "one", QUEUE("0") "," QUEUE("1"));
    lock(&two, RC_REQ_LOCK_BATCH, "two", QUEUE("1"));
    lock(&one, RC_REQ_UNLOCK_BATCH, "one", QUEUE("0")); /* nobody wants that one */
    assert_int_equal(told(&two), 0);
    lock(&one, RC_REQ_UNLOCK_BATCH, "one", QUEUE("1"));
    assert_int_equal(told(&two), 1);
    lock(&two, RC_REQ_LOCK_BATCH, "two", QUEUE("1"));
    assert_body(&two, "{\"lockOKMQSet\":[" QUEUE("1") "]}");
    lock(&two, RC_REQ_UNLOCK_BATCH, "two", QUEUE("1"));
    told(&one);
    assert_int_equal(told(&two), 0);
    client_close(&one);
    client_close(&two);
}

static void test_a_lock_runs_out(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.times.lock = 300;
    rig->options.times.sweep = 20;
    rig_start(rig);
    client_open(&client, rig);
    lock(&client, RC_REQ_LOCK_BATCH, "one", QUEUE("0") "," QUEUE("1"));
    test_sleep_ms(200);
    lock(&client, RC_REQ_LOCK_BATCH, "one", QUEUE("0")); /* one of them again */
    test_sleep_ms(200);
    lock(&client, RC_REQ_LOCK_BATCH, "two", QUEUE("0") "," QUEUE("1"));
    assert_body(&client, "{\"lockOKMQSet\":[" QUEUE("1") "]}");
    client_close(&client);
    rig_free(rig);
}

static void test_only_queues_that_are_here_can_be_locked(void **state)
{
    struct client client;
    client_open(&client, *state);
    lock(&client, RC_REQ_LOCK_BATCH, "one",
         QUEUE("4") "," QUEUE("-1") ",7,{\"queueId\":0,\"topic\":\"nowhere\"}");
    assert_body(&client, "{\"lockOKMQSet\":[]}");
    struct rc_remoting request = client_request(&client, RC_REQ_LOCK_BATCH);
    request.body = rc_slice_str("nonsense");
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    assert_body(&client, "{\"lockOKMQSet\":[]}");
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_who_heartbeats_is_a_member_and_the_others_are_told),
        RIG_TEST(test_the_notice_names_the_group_and_wants_no_answer),
        RIG_TEST(test_leaving_and_closing_end_a_membership),
        RIG_TEST(test_a_client_that_comes_again_on_another_connection_is_one_member),
        RIG_TEST(test_several_clients_may_share_a_connection),
        cmocka_unit_test(test_a_silent_member_is_dropped),
        RIG_TEST(test_who_broadcasts_is_not_told),
        RIG_TEST(test_a_heartbeat_makes_the_groups_retry_topic),
        RIG_TEST(test_heartbeats_without_sense_are_answered_and_forgotten),
        RIG_TEST(test_topics_that_clients_make_are_limited_a_minute),
        RIG_TEST(test_a_queue_is_locked_by_one_client_at_a_time),
        RIG_TEST(test_who_was_refused_a_lock_hears_of_its_end),
        cmocka_unit_test(test_a_lock_runs_out),
        RIG_TEST(test_only_queues_that_are_here_can_be_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
