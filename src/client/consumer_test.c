#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "client/stub_broker_test.h"
#include "rollcall/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* What the callbacks of one consumer have seen; its lock is the stub's. */
struct seen {
    struct stub *stub;
    uint32_t count;
    char bodies[64][64];
    char error[256];
    int later;        /* that many messages are asked for again */
    bool is_stopping; /* messages are not taken any more */
    uint64_t lost;
};

static enum rc_consume_result on_message(const struct rc_consumer_message *message, void *arg)
{
    struct seen *seen = arg;
    enum rc_consume_result result = RC_CONSUME_COMMIT;
    pthread_mutex_lock(&seen->stub->lock);
    if (seen->count < 64)
        snprintf(seen->bodies[seen->count++], 64, "%.*s", (int)message->body_len,
                 (const char *)message->body);
    if (seen->later > 0 && seen->later--)
        result = RC_CONSUME_LATER;
    if (seen->is_stopping)
        result = RC_CONSUME_STOP;
    pthread_mutex_unlock(&seen->stub->lock);
    return result;
}

static void on_error(const char *text, void *arg)
{
    struct seen *seen = arg;
    pthread_mutex_lock(&seen->stub->lock);
    snprintf(seen->error, sizeof(seen->error), "%s", text);
    pthread_mutex_unlock(&seen->stub->lock);
}

static void on_lost(uint64_t messages, const char *text, void *arg)
{
    struct seen *seen = arg;
    pthread_mutex_lock(&seen->stub->lock);
    seen->lost += messages;
    pthread_mutex_unlock(&seen->stub->lock);
}

static struct rc_consumer *start(struct stub *stub, struct seen *seen, struct rc_consumer_options options)
{
    char namesrv[32], error[128];
    struct rc_consumer *consumer = NULL;
    snprintf(namesrv, sizeof(namesrv), "127.0.0.1:%u", stub->port);
    *seen = (struct seen){.stub = stub, .later = seen->later, .is_stopping = seen->is_stopping};
    options.namesrv = namesrv;
    options.group = "GID_test";
    options.topic = "T";
    options.access_key = "AK";
    options.secret_key = "SK";
    options.on_message = on_message;
    options.on_error = on_error;
    options.on_lost = on_lost;
    options.arg = seen;
    assert_int_equal(rc_consumer_start(&options, &consumer, error, sizeof(error)), 0);
    return consumer;
}

static uint32_t count_seen(struct seen *seen)
{
    pthread_mutex_lock(&seen->stub->lock);
    uint32_t count = seen->count;
    pthread_mutex_unlock(&seen->stub->lock);
    return count;
}

static bool has_error(struct seen *seen, const char *words)
{
    pthread_mutex_lock(&seen->stub->lock);
    bool has = strstr(seen->error, words) != NULL;
    pthread_mutex_unlock(&seen->stub->lock);
    return has;
}

#define WAIT_FOR(most_ms, condition)                                                                         \
    do {                                                                                                     \
        uint64_t give_up = rc_clock_mono_ms() + (most_ms);                                                   \
        while (!(condition)) {                                                                               \
            assert_true(rc_clock_mono_ms() < give_up);                                                       \
            usleep(5000);                                                                                    \
        }                                                                                                    \
    } while (0)
#define WAIT(condition) WAIT_FOR(10000, condition)

#define FROM_FIRST ((struct rc_consumer_options){.from_first = true})

static void test_messages_come_in_order_and_are_committed_at_the_stop(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    struct stub_request request;
    stub_init(&stub, 1);
    for (int i = 0; i < 40; i++) {
        char body[8];
        stub_put(&stub, 0, "connect", body, (size_t)snprintf(body, sizeof(body), "m%d", i), 0, false);
    }
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 40);
    assert_string_equal(seen.bodies[0], "m0");
    assert_string_equal(seen.bodies[39], "m39");
    assert_int_equal(rc_consumer_queues(consumer), 1);
    rc_consumer_stop(consumer);
    assert_true(stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request) > 0);
    assert_int_equal(request.offset, 40);
    assert_int_equal(stub_count(&stub, RC_REQ_UNREGISTER, -1, NULL), 1);
    stub_stop(&stub);
}

static void test_a_group_goes_on_from_its_committed_offset(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 1);
    for (int i = 0; i < 5; i++)
        stub_put(&stub, 0, "connect", i < 3 ? "old" : "new", 3, 0, false);
    stub.committed[0] = 3;
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 2);
    assert_string_equal(seen.bodies[0], "new");
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

/* One that is lost on its way is told again, though nothing has come since. */
static void test_an_idle_queue_is_committed_again_and_again(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    struct stub_request request;
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", "one", 3, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT_FOR(60000, stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request) >= 2);
    assert_int_equal(request.offset, 1);
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_a_new_group_starts_where_it_was_told_to(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    struct stub_request request;
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", "old", 3, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, (struct rc_consumer_options){0});
    WAIT(stub_count(&stub, RC_REQ_PULL, 0, &request) > 0);
    assert_int_equal(request.offset, 1);
    assert_int_equal(stub_count(&stub, RC_REQ_MAX_OFFSET, 0, NULL), 1);
    rc_consumer_stop(consumer);
    consumer =
        start(&stub, &seen, (struct rc_consumer_options){.from_ms = 1700000000123, .broadcasting = true});
    WAIT(stub_count(&stub, RC_REQ_SEARCH_OFFSET, 0, &request) > 0);
    assert_int_equal(request.timestamp, 1700000000123);
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_a_broadcasting_consumer_goes_on_where_its_file_says(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    char dir[] = "/tmp/rc-offsets-XXXXXX", path[64], error[256];
    struct rc_consumer *refused;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/offsets", dir);
    struct rc_consumer_options options = {.from_first = true, .broadcasting = true, .offset_file = path};
    stub_init(&stub, 2);
    for (uint32_t i = 0; i < 4; i++)
        stub_put(&stub, i % 2, "connect", "old", 3, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, options);
    WAIT(count_seen(&seen) == 4);
    rc_consumer_stop(consumer);
    pthread_mutex_lock(&stub.lock);
    stub_put(&stub, 0, "connect", "new", 3, 0, false);
    stub_put(&stub, 1, "connect", "new", 3, 0, false);
    pthread_mutex_unlock(&stub.lock);
    consumer = start(&stub, &seen, options);
    WAIT(count_seen(&seen) == 2);
    assert_string_equal(seen.bodies[0], "new");
    assert_string_equal(seen.bodies[1], "new");
    rc_consumer_stop(consumer);
    assert_int_equal(stub_count(&stub, RC_REQ_UPDATE_OFFSET, -1, NULL), 0);
    stub_stop(&stub);
    options.namesrv = "127.0.0.1:1";
    options.group = "GID_x";
    options.topic = "another";
    options.on_message = on_message;
    assert_int_equal(rc_consumer_start(&options, &refused, error, sizeof(error)), RC_ERR_CORRUPT);
    assert_non_null(strstr(error, path));
    unlink(path);
    rmdir(dir);
}

static void test_tags_that_were_not_asked_for_are_dropped_here(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 1);
    stub_put(&stub, 0, "disconnect", "no", 2, 0, false);
    stub_put(&stub, 0, "connect", "yes", 3, 0, false);
    stub_put(&stub, 0, "connectx", "no", 2, 0, false);
    stub_put(&stub, 0, "", "no", 2, 0, false);
    stub_put(&stub, 0, "tcpclean", "yes", 3, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer =
        start(&stub, &seen, (struct rc_consumer_options){.from_first = true, .tags = " connect || tcpclean"});
    WAIT(count_seen(&seen) == 2);
    assert_string_equal(seen.bodies[0], "yes");
    assert_string_equal(seen.bodies[1], "yes");
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_a_message_asked_for_again_is_sent_back_and_the_next_goes_on(void **state)
{
    struct stub stub;
    struct seen seen = {.later = 1};
    struct stub_request request;
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", "a", 1, 0, false);
    stub_put(&stub, 0, "connect", "b", 1, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 2);
    assert_int_equal(stub_count(&stub, RC_REQ_SEND_BACK, -1, &request), 1);
    assert_int_equal(request.offset, 1000); /* the physical one of "a" */
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_a_message_that_cannot_be_sent_back_is_tried_here_and_holds_the_offset(void **state)
{
    struct stub stub;
    struct seen seen = {.later = 1};
    struct stub_request request;
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", "a", 1, 0, false);
    stub_put(&stub, 0, "connect", "b", 1, 0, false);
    stub.send_backs_to_refuse = 1;
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(stub_count(&stub, RC_REQ_SEND_BACK, -1, NULL) == 1);
    assert_int_equal(count_seen(&seen), 1); /* "b" waits for "a" */
    WAIT(count_seen(&seen) == 3);
    assert_string_equal(seen.bodies[1], "a");
    assert_string_equal(seen.bodies[2], "b");
    rc_consumer_stop(consumer);
    assert_true(stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request) > 0);
    assert_int_equal(request.offset, 2);
    stub_stop(&stub);
}

static void test_compressed_bodies_are_inflated_and_damaged_ones_left_out(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    uint8_t packed[64];
    uLongf len = sizeof(packed);
    assert_int_equal(compress(packed, &len, (const uint8_t *)"inflated", 8), Z_OK);
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", packed, len, 1, false);
    stub_put(&stub, 0, "connect", "damaged", 7, 0, true);
    stub_put(&stub, 0, "connect", "after", 5, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 2);
    assert_string_equal(seen.bodies[0], "inflated");
    assert_string_equal(seen.bodies[1], "after");
    assert_true(has_error(&seen, "damaged"));
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_messages_that_never_come_are_counted(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    struct stub_request request;
    stub_init(&stub, 1);
    for (int i = 0; i < 4; i++)
        stub_put(&stub, 0, "connect", "gone", 4, 0, false);
    stub_put(&stub, 0, "connect", "no zlib", 7, RC_SYSFLAG_COMPRESSED, false);
    stub_put(&stub, 0, "connect", "after", 5, 0, false);
    stub.committed[0] = 1;
    stub.min = 4; /* retention was faster */
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 1);
    assert_string_equal(seen.bodies[0], "after");
    assert_int_equal(stub_count(&stub, RC_REQ_SEND_BACK, -1, &request), 1);
    assert_int_equal(request.delay_level, -1); /* a dead letter at once */
    rc_consumer_stop(consumer);
    assert_int_equal(seen.lost, 3 + 1);
    stub_stop(&stub);
}

static void test_a_message_that_comes_amid_the_stop_stays_where_it_is(void **state)
{
    struct stub stub;
    struct seen seen = {.is_stopping = true};
    struct stub_request request = {.offset = 0};
    stub_init(&stub, 1);
    stub_put(&stub, 0, "connect", "x", 1, 0, false);
    stub_put(&stub, 0, "connect", "y", 1, 0, false);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 1);
    rc_consumer_stop(consumer);
    assert_int_equal(seen.count, 1);
    assert_int_equal(stub_count(&stub, RC_REQ_SEND_BACK, -1, NULL), 0);
    stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request);
    assert_int_equal(request.offset, 0);
    stub_stop(&stub);
}

static void test_the_stop_waits_for_no_broker_without_a_connection(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 1);
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(stub_count(&stub, RC_REQ_PULL, 0, NULL) > 0);
    stub_stop(&stub); /* its machine is gone */
    WAIT(has_error(&seen, "connection"));
    uint64_t begin = rc_clock_mono_ms();
    rc_consumer_begin_stop(consumer);
    rc_consumer_stop(consumer);
    assert_in_range(rc_clock_mono_ms() - begin, 0, 1000);
}

static void test_a_member_takes_its_share_of_the_queues(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 8);
    stub.members[0] = "000-before-me";
    stub.members[1] = "zzz-after-me";
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    /* 8 queues, 3 members: 3, 3, 2. The second has 3, 4, 5. */
    WAIT(rc_consumer_queues(consumer) == 3);
    for (int queue = 3; queue <= 5; queue++)
        WAIT(stub_count(&stub, RC_REQ_PULL, queue, NULL) > 0);
    assert_int_equal(stub_count(&stub, RC_REQ_PULL, 2, NULL), 0);
    assert_int_equal(stub_count(&stub, RC_REQ_PULL, 6, NULL), 0);
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_a_broken_connection_is_made_again(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 2);
    stub_put(&stub, 1, "connect", "x", 1, 0, false);
    stub.pulls_to_cut = 2;
    stub.old_route = true;
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(count_seen(&seen) == 1);
    assert_true(has_error(&seen, "connection"));
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void reset(struct stub *stub, const char *group, const char *body)
{
    struct rc_remoting request;
    rc_remoting_request(&request, RC_REQ_RESET_OFFSET, 0);
    rc_remoting_add(&request, "topic", rc_slice_str("T"));
    rc_remoting_add(&request, "group", rc_slice_str(group));
    request.body = rc_slice_str(body);
    stub_request_all(stub, &request);
}

/* Its pull is held at the queue's end, and must not be waited for. */
static void test_a_broker_moves_its_members(void **state)
{
    static const struct {
        const char *before, *after;
    } bodies[] = {
        {"{\"offsetTable\":{{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\"}:",
         ",{\"brokerName\":\"b\",\"queueId\":7,\"topic\":\"T\"}:1}}"},
        {"{\"offsetTable\":{\"{\\\"brokerName\\\":\\\"b\\\",\\\"queueId\\\":0,\\\"topic\\\":\\\"T\\\"}\":",
         "}}"},
        {"{\"offsetTable\":[{\"brokerName\":\"b\",\"queueId\":0,\"topic\":\"T\",\"offset\":", "}]}"}};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct stub stub;
        struct seen seen = {0};
        struct stub_request request;
        char body[256];
        stub_init(&stub, 1);
        for (int m = 0; m < 3; m++)
            stub_put(&stub, 0, "connect", m == 2 ? "last" : "more", 4, 0, false);
        stub_start(&stub);
        struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
        WAIT(count_seen(&seen) == 3 && stub_count(&stub, RC_REQ_PULL, 0, NULL) == 2);
        snprintf(body, sizeof(body), "%s2%s", bodies[i].before, bodies[i].after);
        reset(&stub, "GID_another", body);
        usleep(50000);
        assert_int_equal(count_seen(&seen), 3);
        uint64_t begin = rc_clock_mono_ms();
        reset(&stub, "GID_test", body);
        WAIT(count_seen(&seen) == 4);
        assert_in_range(rc_clock_mono_ms() - begin, 0, 3000);
        assert_string_equal(seen.bodies[3], "last");
        assert_true(stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request) > 0);
        assert_int_equal(request.offset, 2); /* at once: the old one's is not believed any more */
        assert_int_equal(rc_consumer_queues(consumer), 1);
        snprintf(body, sizeof(body), "%s3%s", bodies[i].before, bodies[i].after);
        reset(&stub, "GID_test", body);
        WAIT(stub_count(&stub, RC_REQ_PULL, 0, &request) > 4 && request.offset == 3);
        rc_consumer_stop(consumer);
        stub_count(&stub, RC_REQ_UPDATE_OFFSET, 0, &request);
        assert_int_equal(request.offset, 3);
        stub_stop(&stub);
    }
}

static void test_a_refusal_is_told_in_the_brokers_words(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 1);
    stub.refusal = "AclException: Check signature failed";
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(has_error(&seen, "Check signature failed"));
    assert_int_equal(rc_consumer_queues(consumer), 0);
    rc_consumer_stop(consumer);
    stub_stop(&stub);
}

static void test_the_stop_does_not_wait_for_the_dead(void **state)
{
    struct stub stub;
    struct seen seen = {0};
    stub_init(&stub, 1);
    stub.is_silent = true;
    stub_start(&stub);
    struct rc_consumer *consumer = start(&stub, &seen, FROM_FIRST);
    WAIT(stub_count(&stub, RC_REQ_HEARTBEAT, -1, NULL) > 0);
    uint64_t begin = rc_clock_mono_ms();
    rc_consumer_stop(consumer);
    assert_in_range(rc_clock_mono_ms() - begin, 0, 5000);
    stub_stop(&stub);
    /* and nobody there at all */
    consumer = start(&stub, &seen, FROM_FIRST);
    usleep(100000);
    rc_consumer_stop(consumer);
}

static void test_options_that_cannot_work_are_refused(void **state)
{
    struct rc_consumer *consumer;
    struct rc_consumer_options options = {.group = "g", .topic = "t", .on_message = on_message};
    char error[128];
    assert_true(rc_consumer_start(&options, &consumer, error, sizeof(error)) < 0);
    assert_non_null(strstr(error, "name server"));
    options.namesrv = "127.0.0.1:1";
    options.access_key = "half";
    assert_true(rc_consumer_start(&options, &consumer, error, sizeof(error)) < 0);
    assert_non_null(strstr(error, "key pair"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_come_in_order_and_are_committed_at_the_stop),
        cmocka_unit_test(test_a_group_goes_on_from_its_committed_offset),
        cmocka_unit_test(test_an_idle_queue_is_committed_again_and_again),
        cmocka_unit_test(test_a_new_group_starts_where_it_was_told_to),
        cmocka_unit_test(test_a_broadcasting_consumer_goes_on_where_its_file_says),
        cmocka_unit_test(test_tags_that_were_not_asked_for_are_dropped_here),
        cmocka_unit_test(test_a_message_asked_for_again_is_sent_back_and_the_next_goes_on),
        cmocka_unit_test(test_a_message_that_cannot_be_sent_back_is_tried_here_and_holds_the_offset),
        cmocka_unit_test(test_compressed_bodies_are_inflated_and_damaged_ones_left_out),
        cmocka_unit_test(test_messages_that_never_come_are_counted),
        cmocka_unit_test(test_a_message_that_comes_amid_the_stop_stays_where_it_is),
        cmocka_unit_test(test_the_stop_waits_for_no_broker_without_a_connection),
        cmocka_unit_test(test_a_member_takes_its_share_of_the_queues),
        cmocka_unit_test(test_a_broken_connection_is_made_again),
        cmocka_unit_test(test_a_broker_moves_its_members),
        cmocka_unit_test(test_a_refusal_is_told_in_the_brokers_words),
        cmocka_unit_test(test_the_stop_does_not_wait_for_the_dead),
        cmocka_unit_test(test_options_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
