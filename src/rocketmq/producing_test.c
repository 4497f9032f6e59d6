/* Producers' messages, retries, dead letters, delays, queries: what goes into the log and is found again. */
#include "rocketmq/batch.h"
#include "rocketmq/endpoint_private.h"
#include "rocketmq/inspect.h"
#include "rocketmq/test_endpoint.h"

#define UNIQUE "7F0000010000559700000000000A0001"

/* The message at an offset of a queue, as a pull gives it; views into client->answer. */
static struct rc_message read_message(struct client *client, const char *topic, const char *queue,
                                      int64_t offset)
{
    struct rc_message message;
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)offset);
    int32_t code =
        pull(client, (struct test_pull){.topic = topic, .queue = queue, .offset = text, .max = "1"});
    if (code != RC_RES_SUCCESS)
        fail_msg("pull of %s at %s: %d", topic ? topic : TEST_TOPIC, text, code);
    assert_true(rc_message_decode(client->answer.body, true, &message) > 0);
    return message;
}

static void assert_prop(const struct rc_message *message, const char *name, const char *want)
{
    struct rc_slice value = rc_props_get(message->props, name);
    if (want == NULL ? value.ptr != NULL : !rc_slice_eq_str(value, want))
        fail_msg("%s is '%.*s', not '%s'", name, RC_SLICE_FMT(value), want ? want : "(none)");
}

static void assert_text(struct rc_slice text, const char *want)
{
    if (!rc_slice_eq_str(text, want))
        fail_msg("'%.*s' is not '%s'", RC_SLICE_FMT(text), want);
}

static void assert_refused(struct client *client, struct test_send what, int32_t code)
{
    struct rc_remoting request = send_request(client, what);
    int32_t answer = client_call(client, &request);
    if (answer != code)
        fail_msg("answered %d, not %d: %.*s", answer, code, RC_SLICE_FMT(client->answer.remark));
}

/* ---- sending ---- */

static void test_a_sent_message_is_stored_with_every_field(void **state)
{
    struct client client;
    client_open(&client, *state);
    struct rc_remoting request = client_request(&client, RC_REQ_SEND);
    add(&request, "producerGroup", "p");
    add(&request, "topic", TEST_TOPIC);
    add(&request, "defaultTopic", "TBW102");
    add(&request, "defaultTopicQueueNums", "4");
    add(&request, "queueId", "2");
    add(&request, "sysFlag", "1");
    add(&request, "bornTimestamp", "1700000000123");
    add(&request, "flag", "5");
    add(&request, "properties", "KEYS\1\2TAGS\1A\2UNIQ_KEY\1" UNIQUE "\2WAIT\1true");
    add(&request, "reconsumeTimes", "3");
    request.body = rc_slice_str("the body");
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    assert_string_equal(client_text(&client, "queueId"), "2");
    assert_string_equal(client_text(&client, "queueOffset"), "0");
    assert_string_equal(client_text(&client, "MSG_REGION"), "DefaultRegion");
    assert_string_equal(client_text(&client, "TRACE_ON"), "false");
    assert_string_equal(client_text(&client, "msgId"), "7F000001000026940000000000000000");
    struct rc_message message = read_message(&client, NULL, "2", 0);
    assert_text(message.topic, TEST_TOPIC);
    assert_text(message.body, "the body");
    assert_int_equal(message.flag, 5);
    assert_int_equal(message.sys_flag, 1);
    assert_int_equal(message.born_ms, 1700000000123);
    assert_int_equal(message.reconsume_times, 3);
    assert_int_equal(message.queue_id, 2);
    assert_memory_equal(message.born_host.addr, "\x7f\0\0\1", 4);
    assert_true(message.born_host.port > 0);
    assert_int_equal(message.store_host.port, 9876);
    assert_text(message.props, "KEYS\1\2TAGS\1A\2UNIQ_KEY\1" UNIQUE "\2WAIT\1true\2");
    client_close(&client);
}

static void test_a_message_without_a_unique_key_gets_one(void **state)
{
    struct client client;
    client_open(&client, *state);
    put_message(&client, (struct test_send){.props = "TAGS\1A\2"});
    struct rc_message message = read_message(&client, NULL, "0", 0);
    struct rc_slice key = rc_props_get(message.props, RC_PROP_UNIQ_KEY);
    assert_int_equal(key.len, 32);
    /* bytes 10 to 13: milliseconds since the month's start, not older than this test */
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    char hex[9] = "";
    memcpy(hex, key.ptr + 20, 8);
    long ms = strtol(hex, NULL, 16);
    long seconds = (tm.tm_mday - 1) * 86400L + tm.tm_hour * 3600L + tm.tm_min * 60L + tm.tm_sec;
    assert_true(labs(ms / 1000 - seconds) < 5 + 3600 /* a change of the clock within the month */);
    assert_prop(&message, "TAGS", "A");
    client_close(&client);
}

static void test_a_send_without_a_queue_goes_round(void **state)
{
    struct client client;
    bool seen[4] = {false};
    client_open(&client, *state);
    for (int i = 0; i < 4; i++) {
        put_message(&client, (struct test_send){.queue = "-1"});
        seen[client_number(&client, "queueId")] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    client_close(&client);
}

static void test_sends_that_cannot_be_are_refused_with_the_right_code(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    assert_refused(&client, (struct test_send){.queue = "4"}, RC_RES_SYSTEM_ERROR);
    assert_refused(&client, (struct test_send){.topic = "nowhere"}, RC_RES_TOPIC_NOT_EXIST);
    assert_refused(&client, (struct test_send){.topic = ""}, RC_RES_TOPIC_NOT_EXIST);
    assert_refused(&client, (struct test_send){.topic = "SCHEDULE_TOPIC_XXXX"}, RC_RES_MESSAGE_ILLEGAL);
    assert_refused(&client, (struct test_send){.props = "rcNode\1x\2"}, RC_RES_MESSAGE_ILLEGAL);
    assert_refused(&client, (struct test_send){.props = "no separators"}, RC_RES_MESSAGE_ILLEGAL);
    static char props[40000] = "KEYS\1";
    memset(props + 5, 'k', sizeof(props) - 7);
    props[sizeof(props) - 2] = 2;
    assert_refused(&client, (struct test_send){.props = props}, RC_RES_MESSAGE_ILLEGAL);
    struct rc_remoting request = send_request(&client, (struct test_send){.body = "prepared"});
    request.fields[5].value = rc_slice_str("4"); /* sysFlag: a transaction's first half */
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL);
    assert_int_equal(rc_store_max_physical(rig->store), 0);
    client_close(&client);
}

static void test_a_topic_is_made_by_sending_only_when_that_is_allowed(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.auto_create_topics = true;
    rig_start(rig);
    client_open(&client, rig);
    put_message(&client, (struct test_send){.topic = "new-topic"});
    assert_int_equal(rc_topic_queue_count(rc_store_find_topic(rig->store, rc_slice_str("new-topic"))), 4);
    assert_refused(&client, (struct test_send){.topic = "not a name"}, RC_RES_MESSAGE_ILLEGAL);
    struct rc_remoting request = send_request(&client, (struct test_send){.topic = "other"});
    request.fields[2].value = rc_slice_str("not the template");
    assert_int_equal(client_call(&client, &request), RC_RES_TOPIC_NOT_EXIST);
    client_close(&client);
    rig_free(rig);
}

static void test_a_one_way_send_is_stored_and_not_answered(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    struct rc_remoting request = send_request(&client, (struct test_send){.body = "one way"});
    request.flag = RC_REMOTING_ONEWAY;
    client_send(&client, &request);
    WAIT_UNTIL(RIG_COUNTER(rig, messages_in) == 1);
    assert_false(client_receive(&client, 50));
    assert_text(read_message(&client, NULL, "0", 0).body, "one way");
    client_close(&client);
}

static void test_a_log_that_is_full_is_told_and_recovers_nothing_is_lost(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->dir.options.quota_bytes = 2 * rig->dir.options.segment_bytes;
    rig_start(rig);
    client_open(&client, rig);
    static char body[4000];
    memset(body, 'x', sizeof(body) - 1);
    int32_t code = RC_RES_SUCCESS;
    uint32_t stored = 0;
    for (; stored < 200 && code == RC_RES_SUCCESS; stored += code == RC_RES_SUCCESS) {
        struct rc_remoting request = send_request(&client, (struct test_send){.body = body});
        client_send(&client, &request);
        if (!client_wait(&client, request.opaque, 500))
            break; /* it waits with the log writer */
        code = client.answer.code;
    }
    assert_true(stored > 10 && stored < 200);
    WAIT_UNTIL(rc_log_writer_is_blocked(rig->writer));
    assert_refused(&client, (struct test_send){.body = body}, RC_RES_SERVICE_NOT_AVAILABLE);
    client_close(&client);
    rig_free(rig); /* and what waits is freed */
}

/* ---- batches ---- */

static void put_item(struct rc_buf *out, const char *props, const char *body)
{
    const struct rc_batch_item item = {9, rc_slice_str(body), rc_slice_str(props)};
    assert_int_equal(rc_batch_put(out, &item), 0);
}

static struct rc_remoting batch_request(struct client *client, const struct rc_buf *batch)
{
    struct rc_remoting request = send_request(client, (struct test_send){.props = "WAIT\1true\2"});
    request.code = RC_REQ_SEND_BATCH;
    request.body = rc_buf_slice(batch);
    return request;
}

static void test_a_batch_becomes_messages_in_a_row(void **state)
{
    struct client client;
    struct rc_buf batch;
    client_open(&client, *state);
    put_message(&client, (struct test_send){.body = "before"});
    rc_buf_init(&batch, 1024 * 1024);
    put_item(&batch, "TAGS\1A", "one");
    put_item(&batch, "TAGS\1B\2", "two");
    put_item(&batch, "", "three");
    struct rc_remoting request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    assert_string_equal(client_text(&client, "queueOffset"), "1");
    assert_int_equal(rc_remoting_get(&client.answer, "msgId").len, 3 * 32 + 2);
    struct rc_message message = read_message(&client, NULL, "0", 2);
    assert_text(message.body, "two");
    assert_int_equal(message.flag, 9);
    assert_prop(&message, "TAGS", "B");
    assert_prop(&message, "WAIT", "true");
    message = read_message(&client, NULL, "0", 1);
    assert_prop(&message, "TAGS", "A");
    assert_prop(&message, "WAIT", "true");
    assert_text(read_message(&client, NULL, "0", 3).body, "three");
    rc_buf_free(&batch);
    client_close(&client);
}

static void test_batches_that_cannot_be_are_refused_as_a_whole(void **state)
{
    struct rig *rig = *state;
    struct client client;
    struct rc_buf batch;
    client_open(&client, rig);
    rc_buf_init(&batch, 1024 * 1024);
    struct rc_remoting request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL); /* nothing in it */
    put_item(&batch, "", "one");
    put_item(&batch, "DELAY\0013\2", "later");
    request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL);
    rc_buf_free(&batch);
    put_item(&batch, "", "one");
    put_item(&batch, "rcNode\1x\2", "forged");
    request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL);
    rc_buf_free(&batch);
    put_item(&batch, "", "one");
    rc_buf_put_str(&batch, "torn");
    request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL);
    rc_buf_free(&batch);
    for (int i = 0; i <= RC_ENDPOINT_BATCH_MESSAGES_MAX; i++)
        put_item(&batch, "", "x");
    request = batch_request(&client, &batch);
    assert_int_equal(client_call(&client, &request), RC_RES_MESSAGE_ILLEGAL);
    rc_buf_free(&batch);
    assert_int_equal(rc_store_max_physical(rig->store), 0);
    client_close(&client);
}

/* 4 MiB in all, more than the log's sender takes at once: it waits in line and comes in order. */
static void test_the_largest_batches_are_stored_whole_and_in_order(void **state)
{
    enum { BATCHES = 4, MESSAGES = 1000 };
    struct rig *rig = rig_make();
    struct client client;
    struct rc_buf batch;
    rig->dir.options.segment_bytes = 8 * 1024 * 1024;
    rig_start(rig);
    client_open(&client, rig);
    rc_buf_init(&batch, 8 * 1024 * 1024);
    static char body[4100];
    for (int b = 0; b < BATCHES; b++) {
        for (int i = 0; i < MESSAGES; i++) {
            memset(body, 'x', sizeof(body) - 1);
            body[snprintf(body, sizeof(body), "%d", b * MESSAGES + i)] = ' ';
            put_item(&batch, "", body);
        }
        struct rc_remoting request = batch_request(&client, &batch);
        client_send(&client, &request);
        rc_buf_free(&batch);
    }
    for (int b = 0; b < BATCHES; b++) {
        assert_true(client_receive(&client, 20000));
        assert_int_equal(client.answer.code, RC_RES_SUCCESS);
        assert_int_equal(client.answer.opaque, b + 1);
        assert_int_equal(client_number(&client, "queueOffset"), b * MESSAGES);
    }
    assert_int_equal(RIG_COUNTER(rig, messages_in), BATCHES * MESSAGES);
    for (int64_t i = 0; i < BATCHES * MESSAGES; i += 331)
        assert_int_equal(strtol((const char *)read_message(&client, NULL, "0", i).body.ptr, NULL, 10), i);
    client_close(&client);
    rig_free(rig);
}

static void test_sends_in_a_storm_are_all_answered(void **state)
{
    enum { SENDS = 20000 };
    struct rig *rig = rig_make();
    struct client client;
    rig->dir.options.segment_bytes = 16 * 1024 * 1024;
    rig_start(rig);
    client_open(&client, rig);
    int stored = 0, answered = 0;
    for (int i = 0; i < SENDS; i++) {
        struct rc_remoting request = send_request(&client, (struct test_send){.body = "storm"});
        client_send(&client, &request);
        while (answered < i - 2000 && client_receive(&client, TEST_ANSWER_MS)) {
            answered++;
            stored += client.answer.code == RC_RES_SUCCESS;
        }
    }
    while (answered < SENDS && client_receive(&client, TEST_ANSWER_MS)) {
        answered++;
        stored += client.answer.code == RC_RES_SUCCESS;
    }
    assert_int_equal(stored, SENDS);
    assert_int_equal(rc_queue_end(rc_topic_queue(rig->topic, 0)), SENDS);
    client_close(&client);
    rig_free(rig);
}

/* ---- sending back ---- */

static struct rc_remoting send_back_request(struct client *client, int64_t offset, const char *level,
                                            const char *max)
{
    static char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)offset);
    struct rc_remoting request = client_request(client, RC_REQ_SEND_BACK);
    add(&request, "offset", text);
    add(&request, "group", TEST_GROUP);
    add(&request, "delayLevel", level);
    add(&request, "originTopic", TEST_TOPIC);
    if (max != NULL)
        add(&request, "maxReconsumeTimes", max);
    return request;
}

static void send_back(struct client *client, int64_t offset, const char *level, const char *max)
{
    struct rc_remoting request = send_back_request(client, offset, level, max);
    if (client_call(client, &request) != RC_RES_SUCCESS)
        fail_msg("send back: %.*s", RC_SLICE_FMT(client->answer.remark));
}

static int64_t end_of(struct rig *rig, const char *topic)
{
    struct rc_topic *found = rc_store_find_topic(rig->store, rc_slice_str(topic));
    return found ? (int64_t)rc_queue_end(rc_topic_queue(found, 0)) : -1;
}

static void test_a_message_that_failed_comes_back_after_its_delay(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.props = "TAGS\1A\2UNIQ_KEY\1" UNIQUE "\2rcOther\1kept\2",
                                            .body = "again"});
    int64_t begin = test_now_ms();
    send_back(&client, 0, "1", NULL);
    assert_int_equal(end_of(rig, "%RETRY%" TEST_GROUP), 0);
    /* in the delay topic meanwhile, as an Apache broker keeps it */
    struct rc_message message = read_message(&client, "SCHEDULE_TOPIC_XXXX", "0", 0);
    assert_prop(&message, "REAL_TOPIC", "%RETRY%" TEST_GROUP);
    assert_prop(&message, "REAL_QID", "0");
    assert_prop(&message, "DELAY", "1");
    WAIT_UNTIL(end_of(rig, "%RETRY%" TEST_GROUP) == 1);
    int64_t took = test_now_ms() - begin;
    assert_in_range(took, 990, 1400);
    message = read_message(&client, "%RETRY%" TEST_GROUP, "0", 0);
    assert_text(message.body, "again");
    assert_int_equal(message.reconsume_times, 1);
    assert_prop(&message, "RETRY_TOPIC", TEST_TOPIC);
    assert_prop(&message, "ORIGIN_MESSAGE_ID", "7F000001000026940000000000000000");
    assert_prop(&message, "UNIQ_KEY", UNIQUE);
    assert_prop(&message, "rcOther", "kept");
    assert_prop(&message, "TAGS", "A");
    assert_prop(&message, "DELAY", NULL);
    assert_prop(&message, "REAL_TOPIC", NULL);
    assert_prop(&message, "REAL_QID", NULL);
    /* a second try keeps where it came from */
    send_back(&client, (int64_t)message.physical_offset, "1", NULL);
    WAIT_UNTIL(end_of(rig, "%RETRY%" TEST_GROUP) == 2);
    message = read_message(&client, "%RETRY%" TEST_GROUP, "0", 1);
    assert_int_equal(message.reconsume_times, 2);
    assert_prop(&message, "RETRY_TOPIC", TEST_TOPIC);
    assert_prop(&message, "ORIGIN_MESSAGE_ID", "7F000001000026940000000000000000");
    assert_int_equal(RIG_COUNTER(rig, sent_back), 2);
    client_close(&client);
}

static void test_a_delay_of_zero_follows_the_number_of_tries(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.body = "x"});
    send_back(&client, 0, "0", NULL);
    struct rc_message message = read_message(&client, "SCHEDULE_TOPIC_XXXX", "2", 0);
    assert_prop(&message, "DELAY", "3");
    struct rc_remoting request = send_request(&client, (struct test_send){.queue = "1"});
    request.fields[9].value = rc_slice_str("5"); /* reconsumeTimes */
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    message = read_message(&client, NULL, "1", 0);
    send_back(&client, (int64_t)message.physical_offset, "0", NULL);
    message = read_message(&client, "SCHEDULE_TOPIC_XXXX", "7", 0);
    assert_prop(&message, "DELAY", "8");
    assert_int_equal(message.reconsume_times, 6);
    send_back(&client, 0, "99", NULL);
    message = read_message(&client, "SCHEDULE_TOPIC_XXXX", "17", 0);
    assert_prop(&message, "DELAY", "18");
    client_close(&client);
}

static void test_a_message_that_failed_too_often_becomes_a_dead_letter(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.body = "dead"});
    send_back(&client, 0, "-1", NULL); /* at once when the consumer says so */
    assert_int_equal(end_of(rig, "%DLQ%" TEST_GROUP), 1);
    struct rc_remoting request = send_request(&client, (struct test_send){.queue = "1", .body = "tried"});
    request.fields[9].value = rc_slice_str("15");
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    struct rc_message message = read_message(&client, NULL, "1", 0);
    int64_t offset = (int64_t)message.physical_offset;
    send_back(&client, offset, "0", "16");
    assert_int_equal(end_of(rig, "%DLQ%" TEST_GROUP), 1);
    send_back(&client, offset, "0", "15");
    assert_int_equal(end_of(rig, "%DLQ%" TEST_GROUP), 2);
    message = read_message(&client, "%DLQ%" TEST_GROUP, "0", 1);
    assert_text(message.body, "tried");
    assert_int_equal(message.reconsume_times, 16);
    assert_prop(&message, "RETRY_TOPIC", TEST_TOPIC);
    assert_int_equal(RIG_COUNTER(rig, dead_letters), 2);
    client_close(&client);
}

/* ---- dead letters sent again ---- */

struct asked {
    struct rc_resend order;
    atomic_bool is_answered;
};

static void on_resent(struct rc_resend *order)
{
    atomic_store(&rc_container_of(order, struct asked, order)->is_answered, true);
}

static struct asked resend(struct rig *rig, const uint64_t *places, uint32_t count)
{
    struct asked asked = {.order = {.group = rc_slice_str(TEST_GROUP),
                                    .physical = places,
                                    .count = count,
                                    .reply_to = rig->endpoint->loop,
                                    .on_done = on_resent}};
    rc_endpoint_resend(rig->endpoint, &asked.order);
    WAIT_UNTIL(atomic_load(&asked.is_answered));
    return asked;
}

static void test_dead_letters_go_into_the_retry_topic_as_if_for_the_first_time(void **state)
{
    enum { MANY = 1000 };
    struct rig *rig = *state;
    struct client client;
    uint64_t places[MANY];
    client_open(&client, rig);
    put_message(&client, (struct test_send){.body = "dead"});
    send_back(&client, 0, "-1", NULL);
    struct rc_message message = read_message(&client, "%DLQ%" TEST_GROUP, "0", 0);
    uint64_t letter = message.physical_offset;
    for (uint32_t i = 0; i < MANY; i++) /* more than a batch holds */
        places[i] = letter;
    places[1] = letter + 1; /* no message, as one that retention has passed */
    struct asked asked = resend(rig, places, 3);
    assert_true(asked.order.err == 0 && asked.order.sent == 2);
    assert_int_equal(end_of(rig, "%RETRY%" TEST_GROUP), 2);
    message = read_message(&client, "%RETRY%" TEST_GROUP, "0", 0);
    assert_text(message.body, "dead");
    assert_int_equal(message.reconsume_times, 0);
    assert_prop(&message, "RETRY_TOPIC", TEST_TOPIC);
    assert_prop(&message, "ORIGIN_MESSAGE_ID", "7F000001000026940000000000000000");
    places[1] = letter;
    asked = resend(rig, places, MANY);
    assert_true(asked.order.err == 0 && asked.order.sent == MANY);
    asked = resend(rig, places, 0);
    assert_true(asked.order.err == 0 && asked.order.sent == 0);
    assert_int_equal(RIG_COUNTER(rig, dead_letters_resent), 2 + MANY);
    assert_int_equal(end_of(rig, "%DLQ%" TEST_GROUP), 1);
    client_close(&client);
}

static void test_sending_to_the_retry_topic_is_the_same(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    struct rc_remoting request = send_request(&client, (struct test_send){.topic = "%RETRY%" TEST_GROUP,
                                                                          .props = "DELAY\0011\2rcNode\1n\2",
                                                                          .body = "again"});
    request.fields[9].value = rc_slice_str("16");
    add(&request, "l", "16");
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    struct rc_message message = read_message(&client, "%DLQ%" TEST_GROUP, "0", 0);
    assert_text(message.body, "again");
    assert_prop(&message, "DELAY", NULL);
    request = send_request(
        &client, (struct test_send){.topic = "%RETRY%" TEST_GROUP, .props = "DELAY\0011\2", .body = "again"});
    request.fields[9].value = rc_slice_str("15");
    add(&request, "l", "16");
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    WAIT_UNTIL(end_of(rig, "%RETRY%" TEST_GROUP) == 1);
    message = read_message(&client, "%RETRY%" TEST_GROUP, "0", 0);
    assert_int_equal(message.reconsume_times, 15);
    client_close(&client);
}

static void test_only_messages_that_are_there_can_be_sent_back(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.body = "x"});
    static const int64_t offsets[] = {-1, 1, 4, 1000000, INT64_MAX};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct rc_remoting request = send_back_request(&client, offsets[i], "0", NULL);
        assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    }
    struct rc_remoting request = send_back_request(&client, 0, "0", NULL);
    request.fields[1].value = rc_slice_str("");
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    request = send_back_request(&client, 0, "0", NULL);
    request.fields[1].value = rc_slice_str("no name");
    assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    client_close(&client);
}

/* ---- delays ---- */

static void test_a_delayed_message_is_delivered_to_its_queue_in_time(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    for (int i = 0; i < 3; i++) {
        char body[8];
        snprintf(body, sizeof(body), "%d", i);
        put_message(&client, (struct test_send){
                                 .queue = "3", .props = "TAGS\1A\2DELAY\0011\2KEYS\1k\2", .body = body});
    }
    int64_t begin = test_now_ms();
    struct rc_remoting request =
        pull_request(&client, (struct test_pull){.queue = "3", .sys_flag = "6", .subscription = "A"});
    client_send(&client, &request);
    assert_true(client_wait(&client, request.opaque, TEST_ANSWER_MS)); /* wakes the pull */
    int64_t took = test_now_ms() - begin;
    assert_in_range(took, 900, 1300);
    WAIT_UNTIL(rc_queue_end(rc_topic_queue(rig->topic, 3)) == 3);
    for (int i = 0; i < 3; i++) {
        struct rc_message message = read_message(&client, NULL, "3", i);
        assert_int_equal(message.body.ptr[0], '0' + i);
        assert_prop(&message, "DELAY", NULL);
        assert_prop(&message, "KEYS", "k");
    }
    client_close(&client);
}

static void test_a_delay_goes_on_over_a_restart_and_nothing_comes_twice(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.props = "DELAY\0011\2", .body = "first"});
    WAIT_UNTIL(rc_queue_end(rc_topic_queue(rig->topic, 0)) == 1);
    put_message(&client, (struct test_send){.props = "DELAY\0011\2", .body = "second"});
    client_close(&client);
    rig_restart(rig);
    assert_int_equal(rc_queue_end(rc_topic_queue(rig->topic, 0)), 1);
    WAIT_UNTIL(rc_queue_end(rc_topic_queue(rig->topic, 0)) == 2);
    rig_restart(rig);
    client_open(&client, rig);
    test_sleep_ms(300);
    assert_int_equal(rc_queue_end(rc_topic_queue(rig->topic, 0)), 2);
    assert_text(read_message(&client, NULL, "0", 1).body, "second");
    client_close(&client);
}

/* ---- looking up ---- */

static struct rc_remoting query_request(struct client *client, const char *key, const char *only_unique)
{
    struct rc_remoting request = client_request(client, RC_REQ_QUERY_MESSAGE);
    add(&request, "topic", TEST_TOPIC);
    add(&request, "key", key);
    add(&request, "maxNum", "32");
    add(&request, "beginTimestamp", "0");
    add(&request, "endTimestamp", "9223372036854775807");
    if (only_unique != NULL)
        add(&request, "_UNIQUE_KEY_QUERY", only_unique);
    return request;
}

static const char *query(struct client *client, const char *key, const char *only_unique)
{
    struct rc_remoting request = query_request(client, key, only_unique);
    if (client_call(client, &request) == RC_RES_QUERY_NOT_FOUND)
        return "not found";
    assert_int_equal(client->answer.code, RC_RES_SUCCESS);
    assert_true(client_number(client, "indexLastUpdateTimestamp") > 0);
    assert_true(client_number(client, "indexLastUpdatePhyoffset") >= 0);
    return client_bodies(client);
}

static void test_messages_are_found_by_key_as_soon_as_they_are_sent(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.props = "KEYS\1k1 k2\2UNIQ_KEY\1U1\2", .body = "one"});
    assert_string_equal(query(&client, "k1", NULL), "one ");
    put_message(&client,
                (struct test_send){.queue = "1", .props = "KEYS\1k2\2UNIQ_KEY\1U2\2", .body = "two"});
    assert_string_equal(query(&client, "k2", NULL), "two one ");
    assert_string_equal(query(&client, "U1", "true"), "one ");
    assert_string_equal(query(&client, "k1", "true"), "not found");
    assert_string_equal(query(&client, "k1", "false"), "one ");
    assert_string_equal(query(&client, "nobody", NULL), "not found");
    assert_string_equal(query(&client, "", NULL), "not found");
    client_close(&client);
    rig_restart(rig);
    client_open(&client, rig);
    assert_string_equal(query(&client, "k2", NULL), "two one ");
    client_close(&client);
}

static void test_a_key_query_signed_before_its_flag_is_accepted(void **state)
{
    struct rig *rig = rig_make();
    struct client client;
    rig->options.acl = true;
    rig_start(rig);
    client_open(&client, rig);
    char signature[32];
    struct rc_remoting request = query_request(&client, "k", NULL);
    add(&request, "AccessKey", TEST_KEY);
    rc_remoting_sign(&request, rc_slice_str(TEST_SECRET), false, NULL, signature);
    add(&request, "Signature", signature);
    add(&request, "_UNIQUE_KEY_QUERY", "true");
    assert_int_equal(client_call(&client, &request), RC_RES_QUERY_NOT_FOUND);
    client_close(&client);
    rig_free(rig);
}

static void test_a_stop_waits_for_queries(void **state)
{
    struct rig *rig = *state;
    struct client client;
    client_open(&client, rig);
    put_message(&client, (struct test_send){.props = "KEYS\1k\2", .body = "one"});
    for (int i = 0; i < 50; i++) {
        struct rc_remoting request = query_request(&client, "k", NULL);
        client_send(&client, &request);
    }
    rig_restart(rig); /* the sanitizers look on */
    client_close(&client);
}

static void test_a_message_is_viewed_by_its_physical_offset(void **state)
{
    struct client client;
    client_open(&client, *state);
    put_message(&client, (struct test_send){.body = "one"});
    put_message(&client, (struct test_send){.body = "two"});
    uint64_t second = read_message(&client, NULL, "0", 1).physical_offset;
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)second);
    struct rc_remoting request = client_request(&client, RC_REQ_VIEW_MESSAGE);
    add(&request, "offset", text);
    assert_int_equal(client_call(&client, &request), RC_RES_SUCCESS);
    assert_string_equal(client_bodies(&client), "two ");
    static const char *const wrong[] = {"1", "-1", "999999", "", "9223372036854775807"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        request = client_request(&client, RC_REQ_VIEW_MESSAGE);
        add(&request, "offset", wrong[i]);
        assert_int_equal(client_call(&client, &request), RC_RES_SYSTEM_ERROR);
    }
    client_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_a_sent_message_is_stored_with_every_field),
        RIG_TEST(test_a_message_without_a_unique_key_gets_one),
        RIG_TEST(test_a_send_without_a_queue_goes_round),
        RIG_TEST(test_sends_that_cannot_be_are_refused_with_the_right_code),
        cmocka_unit_test(test_a_topic_is_made_by_sending_only_when_that_is_allowed),
        RIG_TEST(test_a_one_way_send_is_stored_and_not_answered),
        cmocka_unit_test(test_a_log_that_is_full_is_told_and_recovers_nothing_is_lost),
        RIG_TEST(test_a_batch_becomes_messages_in_a_row),
        RIG_TEST(test_batches_that_cannot_be_are_refused_as_a_whole),
        cmocka_unit_test(test_the_largest_batches_are_stored_whole_and_in_order),
        cmocka_unit_test(test_sends_in_a_storm_are_all_answered),
        RIG_TEST(test_a_message_that_failed_comes_back_after_its_delay),
        RIG_TEST(test_a_delay_of_zero_follows_the_number_of_tries),
        RIG_TEST(test_a_message_that_failed_too_often_becomes_a_dead_letter),
        RIG_TEST(test_dead_letters_go_into_the_retry_topic_as_if_for_the_first_time),
        RIG_TEST(test_sending_to_the_retry_topic_is_the_same),
        RIG_TEST(test_only_messages_that_are_there_can_be_sent_back),
        RIG_TEST(test_a_delayed_message_is_delivered_to_its_queue_in_time),
        RIG_TEST(test_a_delay_goes_on_over_a_restart_and_nothing_comes_twice),
        RIG_TEST(test_messages_are_found_by_key_as_soon_as_they_are_sent),
        cmocka_unit_test(test_a_key_query_signed_before_its_flag_is_accepted),
        RIG_TEST(test_a_stop_waits_for_queries),
        RIG_TEST(test_a_message_is_viewed_by_its_physical_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
