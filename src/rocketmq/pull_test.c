/* Pulling and offsets: which code for which place, filters, long polls. */
#include "rocketmq/test_endpoint.h"

static int32_t offset_request(struct client *client, int32_t code, const char *name, const char *value)
{
    struct rc_remoting request = client_request(client, code);
    add(&request, "consumerGroup", TEST_GROUP);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "queueId", "0");
    if (name != NULL)
        add(&request, name, value);
    return client_call(client, &request);
}

static int64_t offset_answer(struct client *client, int32_t code, const char *name, const char *value)
{
    assert_int_equal(offset_request(client, code, name, value), RC_RES_SUCCESS);
    return client_number(client, code == RC_REQ_EARLIEST_STORE_TIME ? "timestamp" : "offset");
}

static void put(struct client *client, const char *tag, const char *body)
{
    char props[100];
    snprintf(props, sizeof(props), "TAGS\1%s\2", tag);
    put_message(client, (struct test_send){.props = props, .body = body});
}

/* Fills segments of 64 KiB until the queue's first messages are gone. */
static void make_retention_move(struct rig *rig, struct client *client)
{
    static char body[2000];
    memset(body, 'x', sizeof(body) - 1);
    for (int i = 0; i < 150; i++)
        put_message(client, (struct test_send){.body = body});
    rc_store_retain(rig->store, UINT64_MAX);
    assert_true(rc_queue_min(rc_topic_queue(rig->topic, 0)) > 0);
}

static int set_up_with_retention(void **state)
{
    struct rig *rig = rig_make();
    rig->dir.options.retain_bytes = 2 * rig->dir.options.segment_bytes;
    rig_start(rig);
    *state = rig;
    return 0;
}

/* ---- codes ---- */

static void test_messages_are_pulled_as_they_are_stored(void **state)
{
    struct client client;
    client_open(&client, *state);
    put(&client, "A", "one");
    put(&client, "B", "two");
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "one two ");
    assert_string_equal(client_text(&client, "nextBeginOffset"), "2");
    assert_string_equal(client_text(&client, "minOffset"), "0");
    assert_string_equal(client_text(&client, "maxOffset"), "2");
    assert_string_equal(client_text(&client, "suggestWhichBrokerId"), "0");
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0", .max = "1"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "one ");
    assert_string_equal(client_text(&client, "nextBeginOffset"), "1");
    assert_int_equal(pull(&client, (struct test_pull){.offset = "2"}), RC_RES_PULL_NOT_FOUND);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "2");
    client_close(&client);
}

static void test_the_codes_are_those_of_a_real_broker(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0"}), RC_RES_PULL_NOT_FOUND);
    assert_int_equal(pull(&client, (struct test_pull){.offset = "5"}), RC_RES_PULL_OFFSET_MOVED);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "0");
    put(&client, "A", "one");
    assert_int_equal(pull(&client, (struct test_pull){.offset = "5"}), RC_RES_PULL_OFFSET_MOVED);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "0");
    make_retention_move(rig, &client);
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0"}), RC_RES_PULL_OFFSET_MOVED);
    assert_string_equal(client_text(&client, "nextBeginOffset"), client_text(&client, "minOffset"));
    assert_true(client_number(&client, "minOffset") > 0);
    assert_int_equal(pull(&client, (struct test_pull){.offset = "1000"}), RC_RES_PULL_OFFSET_MOVED);
    assert_string_equal(client_text(&client, "nextBeginOffset"), client_text(&client, "maxOffset"));
    assert_int_equal(pull(&client, (struct test_pull){.topic = "nowhere"}), RC_RES_TOPIC_NOT_EXIST);
    assert_int_equal(pull(&client, (struct test_pull){.queue = "4"}), RC_RES_SYSTEM_ERROR);
    assert_int_equal(pull(&client, (struct test_pull){.queue = "-1"}), RC_RES_SYSTEM_ERROR);
    client_close(&client);
}

static void test_a_batch_is_bounded_but_one_message_always_comes(void **state)
{
    struct client client;
    static char body[60 * 1024];
    client_open(&client, *state);
    memset(body, 'x', sizeof(body) - 1);
    for (int i = 0; i < 6; i++)
        put_message(&client, (struct test_send){.body = body});
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0"}), RC_RES_SUCCESS);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "4"); /* within 256 KiB */
    assert_true(client.answer.body.len <= RC_ENDPOINT_PULL_BYTES_MAX);
    for (int i = 0; i < 40; i++)
        put_message(&client, (struct test_send){.queue = "1", .body = "small"});
    assert_int_equal(pull(&client, (struct test_pull){.queue = "1", .max = "100"}), RC_RES_SUCCESS);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "32");
    client_close(&client);
}

static void test_a_message_above_the_bound_is_pulled_alone(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->dir.options.segment_bytes = 8 * 1024 * 1024;
    rig_start(rig);
    client_open(&client, rig);
    char *body = rc_calloc(1, RC_MESSAGE_BODY_MAX + 1);
    memset(body, 'x', RC_MESSAGE_BODY_MAX);
    put_message(&client, (struct test_send){.body = body});
    put_message(&client, (struct test_send){.body = "next"});
    assert_int_equal(pull(&client, (struct test_pull){.offset = "0"}), RC_RES_SUCCESS);
    assert_true(client.answer.body.len > RC_MESSAGE_BODY_MAX);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "1");
    free(body);
    client_close(&client);
    rig_free(rig);
}

/* ---- filters ---- */

static void test_the_heartbeats_subscription_filters(void **state)
{
    struct client client;
    client_open(&client, *state);
    put(&client, "A", "one");
    put(&client, "B", "two");
    put(&client, "C", "three");
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "0"}), RC_RES_SUBSCRIPTION_NOT_EXIST);
    join_group(&client, "c", "A || C", "7");
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "0", .sub_version = "7"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "one three ");
    assert_string_equal(client_text(&client, "nextBeginOffset"), "3");
    /* newer than what the heartbeat said: the client compares the tags itself until the next one */
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "0", .sub_version = "8"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "one two three ");
    join_group(&client, "c", "B", "8");
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "0", .sub_version = "8"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "two ");
    join_group(&client, "c", "A", "3"); /* older */
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "0", .sub_version = "3"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "two ");
    assert_int_equal(pull(&client, (struct test_pull){.topic = "%RETRY%" TEST_GROUP, .sys_flag = "0"}),
                     RC_RES_SUBSCRIPTION_NOT_EXIST);
    client_close(&client);
}

static void test_a_request_may_bring_its_own_subscription(void **state)
{
    struct client client;
    client_open(&client, *state);
    put(&client, "A", "one");
    put(&client, "B", "two");
    assert_int_equal(pull(&client, (struct test_pull){.subscription = "B"}), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "two ");
    assert_int_equal(pull(&client, (struct test_pull){.subscription = "D"}), RC_RES_PULL_RETRY_IMMEDIATELY);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "2");
    client_close(&client);
}

static void test_expressions_other_than_tags_are_refused(void **state)
{
    struct client client;
    client_open(&client, *state);
    struct rc_remoting request = client_request(&client, RC_REQ_PULL);
    add(&request, "consumerGroup", TEST_GROUP);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "queueId", "0");
    add(&request, "sysFlag", "4");
    add(&request, "subscription", "a > 5");
    add(&request, "expressionType", "SQL92");
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    request = client_request(&client, RC_REQ_CHECK_CLIENT_CONFIG);
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    client_close(&client);
}

/* ---- long polls ---- */

static struct rc_remoting hold(struct client *client, struct rig *rig, struct test_pull what)
{
    uint64_t before = RIG_COUNTER(rig, pulls_held);
    struct rc_remoting request = pull_request(client, what);
    client_send(client, &request);
    WAIT_UNTIL(RIG_COUNTER(rig, pulls_held) == before + 1);
    return request;
}

static void test_a_pull_at_the_end_waits_for_the_next_message(void **state)
{
    struct rig *rig = *state;
    struct client consumer, producer;
    client_open(&consumer, rig);
    client_open(&producer, rig);
    struct rc_remoting request = hold(&consumer, rig, (struct test_pull){.sys_flag = "6"});
    assert_false(client_wait(&consumer, request.opaque, 50));
    put(&producer, "A", "one");
    assert_true(client_wait(&consumer, request.opaque, TEST_ANSWER_MS));
    assert_int_equal(consumer.answer.code, RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&consumer), "one ");
    assert_int_equal(RIG_COUNTER(rig, pulls_held), 0);
    client_close(&consumer);
    client_close(&producer);
}

static void test_a_pull_waits_no_longer_than_it_says(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    int64_t begin = test_now_ms();
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "6", .suspend_ms = "200"}),
                     RC_RES_PULL_NOT_FOUND);
    assert_true(test_now_ms() - begin >= 200);
    assert_string_equal(client_text(&client, "nextBeginOffset"), "0");
    assert_int_equal(RIG_COUNTER(rig, pulls_held), 0);
    client_close(&client);
}

static void test_a_waiting_pull_is_not_woken_by_what_it_does_not_take(void **state)
{
    struct rig *rig = *state;
    struct client consumer, producer;
    client_open(&consumer, rig);
    client_open(&producer, rig);
    struct rc_remoting request =
        hold(&consumer, rig, (struct test_pull){.sys_flag = "6", .subscription = "B"});
    put(&producer, "A", "one");
    put(&producer, "C", "two");
    assert_false(client_wait(&consumer, request.opaque, 50));
    put(&producer, "B", "three");
    assert_true(client_wait(&consumer, request.opaque, TEST_ANSWER_MS));
    assert_string_equal(client_bodies(&consumer), "three ");
    assert_string_equal(client_text(&consumer, "nextBeginOffset"), "3");
    /* and at the end of its time it says how far it has come */
    request =
        hold(&consumer, rig,
             (struct test_pull){.offset = "3", .sys_flag = "6", .subscription = "B", .suspend_ms = "300"});
    put(&producer, "A", "four");
    assert_true(client_wait(&consumer, request.opaque, TEST_ANSWER_MS));
    assert_int_equal(consumer.answer.code, RC_RES_PULL_NOT_FOUND);
    assert_string_equal(client_text(&consumer, "nextBeginOffset"), "4");
    client_close(&consumer);
    client_close(&producer);
}

static void test_many_pulls_may_wait_on_one_queue(void **state)
{
    struct rig *rig = *state;
    struct client consumers[10], producer;
    struct rc_remoting requests[10];
    client_open(&producer, rig);
    for (int i = 0; i < 10; i++) {
        client_open(&consumers[i], rig);
        requests[i] =
            hold(&consumers[i], rig, (struct test_pull){.sys_flag = "6", .subscription = i % 2 ? "A" : "B"});
    }
    put(&producer, "A", "a");
    for (int i = 1; i < 10; i += 2)
        assert_true(client_wait(&consumers[i], requests[i].opaque, TEST_ANSWER_MS));
    assert_int_equal(RIG_COUNTER(rig, pulls_held), 5);
    client_close(&consumers[0]);
    WAIT_UNTIL(RIG_COUNTER(rig, pulls_held) == 4);
    put(&producer, "B", "b");
    for (int i = 2; i < 10; i += 2) {
        assert_true(client_wait(&consumers[i], requests[i].opaque, TEST_ANSWER_MS));
        assert_string_equal(client_bodies(&consumers[i]), "b ");
    }
    for (int i = 1; i < 10; i++)
        client_close(&consumers[i]);
    client_close(&producer);
}

static void test_one_client_cannot_hold_all_pulls(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    for (int i = 0; i < RC_ENDPOINT_PEER_HOLDS_MAX; i++) {
        struct rc_remoting request =
            pull_request(&client, (struct test_pull){.sys_flag = "6", .suspend_ms = "60000"});
        client_send(&client, &request);
    }
    assert_int_equal(pull(&client, (struct test_pull){.sys_flag = "6"}), RC_RES_SYSTEM_BUSY);
    assert_int_equal(RIG_COUNTER(rig, pulls_held), RC_ENDPOINT_PEER_HOLDS_MAX);
    client_close(&client);
    WAIT_UNTIL(RIG_COUNTER(rig, pulls_held) == 0);
}

/* ---- offsets ---- */

static void test_a_group_without_an_offset_starts_at_the_beginning_of_a_new_queue(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 0);
    put(&client, "A", "one");
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 0);
    assert_int_equal(offset_request(&client, RC_REQ_QUERY_OFFSET, "setZeroIfNotFound", "false"),
                     RC_RES_QUERY_NOT_FOUND);
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, "setZeroIfNotFound", "true"), 0);
    make_retention_move(rig, &client);
    assert_int_equal(offset_request(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), RC_RES_QUERY_NOT_FOUND);
    client_close(&client);
}

static void test_a_committed_offset_is_kept_over_a_restart(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put(&client, "A", "one");
    assert_int_equal(offset_request(&client, RC_REQ_UPDATE_OFFSET, "commitOffset", "1"), RC_RES_SUCCESS);
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 1);
    /* with a pull, when it says so */
    pull(&client, (struct test_pull){.sys_flag = "4", .commit = "7"});
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 1);
    pull(&client, (struct test_pull){.sys_flag = "5", .commit = "0"});
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 0);
    assert_int_equal(offset_request(&client, RC_REQ_UPDATE_OFFSET, "commitOffset", "1"), RC_RES_SUCCESS);
    assert_int_equal(offset_request(&client, RC_REQ_UPDATE_OFFSET, "commitOffset", "-1"),
                     RC_RES_SYSTEM_ERROR);
    client_close(&client);
    rig_restart(rig);
    client_open(&client, rig);
    assert_int_equal(offset_answer(&client, RC_REQ_QUERY_OFFSET, NULL, NULL), 1);
    client_close(&client);
}

static void test_a_queue_tells_its_ends_and_times(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    assert_int_equal(offset_answer(&client, RC_REQ_MAX_OFFSET, NULL, NULL), 0);
    assert_int_equal(offset_answer(&client, RC_REQ_EARLIEST_STORE_TIME, NULL, NULL), -1);
    put(&client, "A", "one");
    int64_t first_ms = rc_store_last_store_ms(rig->store);
    test_sleep_ms(5);
    put(&client, "A", "two");
    int64_t second_ms = rc_store_last_store_ms(rig->store);
    char text[32];
    assert_int_equal(offset_answer(&client, RC_REQ_MAX_OFFSET, NULL, NULL), 2);
    assert_int_equal(offset_answer(&client, RC_REQ_MIN_OFFSET, NULL, NULL), 0);
    assert_int_equal(offset_answer(&client, RC_REQ_EARLIEST_STORE_TIME, NULL, NULL), first_ms);
    snprintf(text, sizeof(text), "%lld", (long long)second_ms);
    assert_int_equal(offset_answer(&client, RC_REQ_SEARCH_OFFSET, "timestamp", text), 1);
    assert_int_equal(offset_answer(&client, RC_REQ_SEARCH_OFFSET, "timestamp", "0"), 0);
    snprintf(text, sizeof(text), "%lld", (long long)second_ms + 1);
    assert_int_equal(offset_answer(&client, RC_REQ_SEARCH_OFFSET, "timestamp", text), 2);
    make_retention_move(rig, &client);
    assert_int_equal(offset_answer(&client, RC_REQ_MIN_OFFSET, NULL, NULL),
                     rc_queue_min(rc_topic_queue(rig->topic, 0)));
    client_close(&client);
}

int main(void)
{
#define RETENTION_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_with_retention, rig_tear_down)
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_messages_are_pulled_as_they_are_stored),
        RETENTION_TEST(test_the_codes_are_those_of_a_real_broker),
        RIG_TEST(test_a_batch_is_bounded_but_one_message_always_comes),
        cmocka_unit_test(test_a_message_above_the_bound_is_pulled_alone),
        RIG_TEST(test_the_heartbeats_subscription_filters),
        RIG_TEST(test_a_request_may_bring_its_own_subscription),
        RIG_TEST(test_expressions_other_than_tags_are_refused),
        RIG_TEST(test_a_pull_at_the_end_waits_for_the_next_message),
        RIG_TEST(test_a_pull_waits_no_longer_than_it_says),
        RIG_TEST(test_a_waiting_pull_is_not_woken_by_what_it_does_not_take),
        RIG_TEST(test_many_pulls_may_wait_on_one_queue),
        RIG_TEST(test_one_client_cannot_hold_all_pulls),
        RETENTION_TEST(test_a_group_without_an_offset_starts_at_the_beginning_of_a_new_queue),
        RIG_TEST(test_a_committed_offset_is_kept_over_a_restart),
        RETENTION_TEST(test_a_queue_tells_its_ends_and_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
