#include "broker/roll.h"
#include "base/clock.h"
#include "broker/test_server.h"

enum { ROUNDS = 50, FLEET = 40, PAGE = 7 };

struct asker {
    struct rc_loop *loop;
    sem_t answered;
};

static void on_answer(struct rc_roll_question *question)
{
    sem_post(&((struct asker *)question->owner)->answered);
}

static void asker_start(struct asker *asker)
{
    sem_init(&asker->answered, 0, 0);
    assert_int_equal(rc_loop_create("asker", &asker->loop), 0);
    assert_int_equal(rc_loop_start_thread(asker->loop), 0);
}

static void asker_stop(struct asker *asker)
{
    rc_loop_stop(asker->loop);
    rc_loop_join_thread(asker->loop);
}

/* When no shard can be posting to it any more. */
static void asker_free(struct asker *asker)
{
    rc_loop_destroy(asker->loop);
    sem_destroy(&asker->answered);
}

static void ask(struct asker *asker, struct rc_broker *broker, struct rc_roll_question *question)
{
    question->instance = rc_slice_str("inst");
    question->reply_to = asker->loop;
    question->on_answer = on_answer;
    question->owner = asker;
    rc_roll_ask(broker, question);
    sem_wait(&asker->answered);
}

static struct rc_roll_client look_up(struct asker *asker, struct rc_broker *broker, const char *client_id,
                                     enum rc_roll_kind kind)
{
    struct rc_roll_client client = {.client_id = rc_slice_str(client_id)};
    struct rc_roll_question question = {.kind = kind, .clients = &client, .clients_count = 1};
    ask(asker, broker, &question);
    assert_int_equal(question.count, client.is_online);
    return client;
}

static uint64_t count(struct asker *asker, struct rc_broker *broker, const char *group)
{
    struct rc_roll_question question = {.kind = RC_ROLL_COUNT, .group = rc_slice_str(group)};
    ask(asker, broker, &question);
    return question.count;
}

static void wait_for_log(const struct test_server *server, uint64_t past)
{
    TEST_WAIT(rc_store_max_physical(server->store) > past);
}

/* ---- tests ---- */

static void test_the_roll_says_who_is_online_since_when_and_from_where(void **state)
{
    struct test_server server = {.shards = 1};
    struct asker asker;
    test_server_start(&server);
    asker_start(&asker);
    int64_t before_ms = rc_clock_wall_ms();
    int fd = test_client(&server, "GID_test@@@a");
    struct rc_roll_client client = look_up(&asker, server.brokers[0], "GID_test@@@a", RC_ROLL_LOOK_UP);
    assert_true(client.is_online);
    assert_true(client.since_ms >= before_ms && client.since_ms <= rc_clock_wall_ms());
    assert_true(client.last_active_ms >= before_ms - 10 && client.last_active_ms <= rc_clock_wall_ms());
    assert_string_equal(client.protocol, "mqtt-3.1.1");
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    char text[64];
    getsockname(fd, (struct sockaddr *)&own, &len);
    snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(own.sin_port));
    assert_string_equal(client.client_ip, text);
    assert_false(look_up(&asker, server.brokers[0], "GID_test@@@b", RC_ROLL_LOOK_UP).is_online);
    assert_false(look_up(&asker, server.brokers[0], "", RC_ROLL_LOOK_UP).is_online);
    close(fd);
    asker_stop(&asker);
    test_server_stop(&server);
    asker_free(&asker);
    test_server_remove(&server);
}

/* Who has read the event in the log and asks then is never told the opposite. */
static void test_an_answer_agrees_with_the_log_at_once(void **state)
{
    struct test_server server = {.shards = 1};
    struct test_login login = {.client_id = "GID_test@@@a"};
    struct asker asker;
    test_server_start(&server);
    asker_start(&asker);
    for (int i = 0; i < ROUNDS; i++) {
        struct rc_buf out;
        uint64_t end = rc_store_max_physical(server.store);
        int fd = test_dial(&server);
        rc_buf_init(&out, 4096);
        test_put_connect(&out, &login);
        test_send(fd, &out);
        wait_for_log(&server, end);
        assert_true(look_up(&asker, server.brokers[0], "GID_test@@@a", RC_ROLL_LOOK_UP).is_online);
        end = rc_store_max_physical(server.store);
        close(fd);
        wait_for_log(&server, end);
        assert_false(look_up(&asker, server.brokers[0], "GID_test@@@a", RC_ROLL_LOOK_UP).is_online);
    }
    asker_stop(&asker);
    test_server_stop(&server);
    asker_free(&asker);
    test_server_remove(&server);
}

static void test_pages_and_counts_hold_each_online_client_once(void **state)
{
    struct test_server server = {.shards = 2};
    struct asker asker;
    int fds[FLEET];
    bool seen[FLEET] = {false};
    uint32_t total = 0;
    test_server_start(&server);
    asker_start(&asker);
    for (int i = 0; i < FLEET; i++) {
        char id[32];
        snprintf(id, sizeof(id), "GID_test@@@%d", i);
        fds[i] = test_client(&server, id);
    }
    for (uint32_t shard = 0; shard < server.shards; shard++) {
        struct rc_roll_client clients[PAGE];
        struct rc_roll_question question = {.kind = RC_ROLL_PAGE, .group = rc_slice_str("GID_test")};
        uint32_t in_pages = 0;
        do {
            question.clients = clients;
            question.clients_count = PAGE;
            rc_buf_init(&question.text, RC_ROLL_TEXT_MAX);
            ask(&asker, server.brokers[shard], &question);
            for (uint32_t i = 0; i < question.clients_count; i++) {
                char id[32];
                snprintf(id, sizeof(id), "%.*s", RC_SLICE_FMT(clients[i].client_id));
                long number = strtol(id + strlen("GID_test@@@"), NULL, 10);
                assert_false(seen[number]);
                seen[number] = true;
            }
            in_pages += question.clients_count;
            rc_buf_free(&question.text);
        } while (question.cursor != 0);
        assert_int_equal(count(&asker, server.brokers[shard], "GID_test"), in_pages);
        assert_int_equal(count(&asker, server.brokers[shard], ""), in_pages);
        assert_int_equal(count(&asker, server.brokers[shard], "GID_none"), 0);
        total += in_pages;
    }
    assert_int_equal(total, FLEET);
    for (int i = 0; i < FLEET; i++)
        close(fds[i]);
    TEST_WAIT(count(&asker, server.brokers[0], "") + count(&asker, server.brokers[1], "") == 0);
    asker_stop(&asker);
    test_server_stop(&server);
    asker_free(&asker);
    test_server_remove(&server);
}

static void test_a_client_can_be_closed_and_the_log_says_why(void **state)
{
    struct test_server server = {.shards = 1};
    struct asker asker;
    test_server_start(&server);
    asker_start(&asker);
    int fd = test_client(&server, "GID_test@@@a");
    assert_true(look_up(&asker, server.brokers[0], "GID_test@@@a", RC_ROLL_CLOSE).is_online);
    assert_true(test_wait_closed(fd));
    assert_false(look_up(&asker, server.brokers[0], "GID_test@@@a", RC_ROLL_CLOSE).is_online);
    close(fd);
    asker_stop(&asker);
    test_assert_log(&server, "a connect -\na tcpclean closed-by-operator\n");
    asker_free(&asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_roll_says_who_is_online_since_when_and_from_where),
        cmocka_unit_test(test_an_answer_agrees_with_the_log_at_once),
        cmocka_unit_test(test_pages_and_counts_hold_each_online_client_once),
        cmocka_unit_test(test_a_client_can_be_closed_and_the_log_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
