#include "store/test_store.h"

#include "base/clock.h"
#include "base/semaphore.h"
#include "store/log_writer.h"

#include <stdatomic.h>

/* A thread with a loop that stages records until it has as many as it shall. */
struct client {
    struct rc_loop *loop;
    struct rc_log_sender *sender;
    struct rc_log_writer *writer;
    struct rc_queue *queue;
    struct rc_mail start;
    struct rc_hook hook;
    uint32_t id, goal, staged, written, per_turn;
    uint64_t last_offset;
    uint32_t full_seen, room_seen;
    size_t body_len;
    sem_t done;
};

static void stage_some(struct client *client);

static void on_written(void *owner, const struct rc_append *append)
{
    struct client *client = owner;
    assert_true(client->written == 0 || append->ret_queue_offset > client->last_offset);
    client->last_offset = append->ret_queue_offset;
    client->written++;
    struct rc_log_progress progress;
    rc_log_sender_progress(client->sender, &progress);
    assert_int_equal(progress.reported, client->written);
    assert_int_equal(progress.staged, client->staged);
    assert_true(progress.position <= append->ret_physical_offset);
    if (client->written == client->goal)
        sem_post(&client->done);
    else if (client->staged < client->goal && client->written == client->staged)
        stage_some(client);
}

static void on_room(void *arg)
{
    struct client *client = arg;
    client->room_seen++;
    stage_some(client);
}

static void stage_some(struct client *client)
{
    static char filler[300000];
    char body[64];
    for (uint32_t i = 0; i < client->per_turn && client->staged < client->goal; i++) {
        struct rc_buf text;
        rc_buf_init(&text, sizeof(filler) + 64);
        snprintf(body, sizeof(body), "c%u-%u ", client->id, client->staged);
        rc_buf_put_str(&text, body);
        if (client->body_len > 0)
            rc_buf_put(&text, filler, client->body_len);
        struct rc_message message = {
            .body = rc_buf_slice(&text),
            .born_host = {.addr = {127, 0, 0, 1}, .port = 1},
            .store_host = {.addr = {127, 0, 0, 1}, .port = 2},
            .props = rc_slice_str("TAGS\1connect\2"),
        };
        int err = rc_log_stage(client->sender, client->queue, &message, 0, on_written, client);
        rc_buf_free(&text);
        if (err == RC_ERR_FULL) {
            client->full_seen++;
            return;
        }
        assert_int_equal(err, RC_OK);
        client->staged++;
    }
}

static void start_client(struct rc_mail *mail, struct rc_loop *loop)
{
    stage_some(rc_container_of(mail, struct client, start));
}

static void make_client(struct client *client, struct rc_log_writer *writer, struct rc_queue *queue,
                        uint32_t goal, uint32_t per_turn)
{
    static uint32_t ids;
    *client =
        (struct client){.writer = writer, .queue = queue, .goal = goal, .per_turn = per_turn, .id = ids++};
    sem_init(&client->done, 0, 0);
    client->start.deliver = start_client;
    assert_int_equal(rc_loop_create("client", &client->loop), RC_OK);
    assert_int_equal(rc_log_sender_create(writer, client->loop, &client->sender), RC_OK);
    rc_log_sender_set_on_room(client->sender, on_room, client);
}

static void run_client(struct client *client)
{
    assert_int_equal(rc_loop_start_thread(client->loop), RC_OK);
    rc_loop_post(client->loop, &client->start);
}

static bool wait_for(sem_t *sem, int seconds)
{
    return rc_semaphore_wait(sem, (uint32_t)seconds * 1000);
}

static void stop_client(struct client *client)
{
    rc_loop_stop(client->loop);
    rc_loop_join_thread(client->loop);
}

/* After the writer: it may still be posting to the loop. */
static void free_client(struct client *client)
{
    rc_log_sender_destroy(client->sender);
    rc_loop_destroy(client->loop);
    sem_destroy(&client->done);
}

/* A reader that follows queues to their ends. */
struct follower {
    struct rc_loop *loop;
    struct rc_log_reader *reader;
    uint64_t seen[4];
    atomic_uint_fast64_t total;
    uint64_t wakes;
};

static void on_grown(struct rc_queue *queue, void *arg)
{
    struct follower *follower = arg;
    uint64_t end = rc_queue_end(queue);
    uint64_t *seen = &follower->seen[rc_queue_id(queue)];
    atomic_fetch_add(&follower->total, end - *seen);
    *seen = end;
    follower->wakes++;
}

static struct rc_log_writer *start_writer(struct rc_store *store, const struct rc_log_retention *retention)
{
    struct rc_log_writer *writer;
    struct rc_error error;
    assert_int_equal(rc_log_writer_start(store, retention, &writer, &error), RC_OK);
    return writer;
}

static void test_records_of_several_threads_are_written_in_order_and_readers_hear_of_all(void **state)
{
    enum { CLIENTS = 3, GOAL = 5000 };
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.segment_bytes = 256 * 1024;
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic = test_topic(store, TEST_TOPIC, 4);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct follower followers[2] = {{.loop = NULL}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rc_loop_create("follower", &followers[i].loop), RC_OK);
        assert_int_equal(
            rc_log_reader_create(writer, followers[i].loop, on_grown, &followers[i], &followers[i].reader),
            RC_OK);
        assert_int_equal(rc_loop_start_thread(followers[i].loop), RC_OK);
    }
    struct client clients[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++)
        make_client(&clients[i], writer, rc_topic_queue(topic, i % 2), GOAL, 1 + 40 * i);
    for (int i = 0; i < CLIENTS; i++)
        run_client(&clients[i]);
    for (int i = 0; i < CLIENTS; i++)
        assert_true(wait_for(&clients[i].done, 60));
    for (int i = 0; i < 1000 && (atomic_load(&followers[0].total) < CLIENTS * GOAL ||
                                 atomic_load(&followers[1].total) < CLIENTS * GOAL);
         i++)
        usleep(5000);
    struct rc_log_stats stats;
    rc_log_writer_stats(writer, &stats);
    assert_int_equal(stats.records, CLIENTS * GOAL);
    assert_int_equal(stats.write_errors, 0);
    for (int i = 0; i < CLIENTS; i++)
        stop_client(&clients[i]);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    for (int i = 0; i < CLIENTS; i++)
        free_client(&clients[i]);
    for (int i = 0; i < 2; i++) {
        rc_loop_stop(followers[i].loop);
        rc_loop_join_thread(followers[i].loop);
        assert_int_equal(atomic_load(&followers[i].total), CLIENTS * GOAL);
        assert_true(followers[i].wakes <= CLIENTS * GOAL);
        rc_log_reader_destroy(followers[i].reader);
        rc_loop_destroy(followers[i].loop);
    }
    assert_int_equal(rc_queue_end(rc_topic_queue(topic, 0)), 2 * GOAL);
    assert_int_equal(rc_queue_end(rc_topic_queue(topic, 1)), GOAL);
    rc_store_close(store);
    test_dir_remove(&dir);
}

/* Stages `count` records at once and waits until they are reported: how long that took. */
static uint64_t stage_and_wait(struct client *client, uint32_t count)
{
    client->goal += count;
    client->per_turn = count;
    uint64_t begun_ns = rc_clock_mono_ns();
    rc_loop_post(client->loop, &client->start);
    assert_true(wait_for(&client->done, 60));
    return rc_clock_mono_ns() - begun_ns;
}

static int by_size(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

enum { KINDS = 3, ROUNDS = 101 };

static const struct kind {
    bool gathers;
    useconds_t pause_us; /* behind the many */
} gathering_kinds[KINDS] = {{true, 1000}, {false, 1000}, {true, 11 * 1000}};

/* Of each kind a round in turn, so that what else the machine does meets all: 64 records, and then one. */
static void time_rounds(struct client clients[KINDS], uint64_t took_ns[KINDS][ROUNDS])
{
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < KINDS; i++) {
            stage_and_wait(&clients[i], 64);
            usleep(gathering_kinds[i].pause_us);
            took_ns[i][round] = stage_and_wait(&clients[i], 1);
        }
    for (int i = 0; i < KINDS; i++)
        qsort(took_ns[i], ROUNDS, sizeof(took_ns[i][0]), by_size);
}

static void test_only_a_sender_that_gathers_waits_behind_many_records_of_a_moment_ago(void **state)
{
    static uint64_t took_ns[KINDS][ROUNDS];
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic = test_topic(store, TEST_TOPIC, 4);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct client clients[KINDS];
    for (int i = 0; i < KINDS; i++) {
        make_client(&clients[i], writer, rc_topic_queue(topic, 0), 0, 0);
        if (gathering_kinds[i].gathers)
            rc_log_sender_gather(clients[i].sender);
        assert_int_equal(rc_loop_start_thread(clients[i].loop), RC_OK);
    }
    time_rounds(clients, took_ns);
    uint64_t gathering_ns = took_ns[0][ROUNDS / 2];
    assert_true(gathering_ns > 400 * 1000);
    assert_true(took_ns[1][ROUNDS / 2] < gathering_ns);
    assert_true(took_ns[2][ROUNDS / 2] < gathering_ns);
    for (int i = 0; i < KINDS; i++)
        stop_client(&clients[i]);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    for (int i = 0; i < KINDS; i++)
        free_client(&clients[i]);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_a_sender_is_told_when_its_batches_are_all_under_way_and_when_there_is_room(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.segment_bytes = 1024 * 1024;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct client client;
    make_client(&client, writer, queue, 200, 200);
    client.body_len = 290000; /* more than a batch each */
    run_client(&client);
    assert_true(wait_for(&client.done, 60));
    stop_client(&client);
    assert_true(client.full_seen > 0);
    assert_int_equal(client.full_seen, client.room_seen);
    assert_int_equal(rc_log_sender_under_way(client.sender), 0);
    assert_int_equal(rc_queue_end(queue), 200);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    free_client(&client);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static atomic_uint_fast64_t kept;

static uint64_t keep_from(void *arg, uint64_t target)
{
    atomic_store(&kept, target);
    return atomic_load((atomic_uint_fast64_t *)arg);
}

static void test_a_full_log_waits_in_order_and_goes_on_when_retention_has_made_room(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.quota_bytes = 300000;
    dir.options.retain_bytes = 100000;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    atomic_uint_fast64_t allowed = 0;
    struct rc_log_retention retention = {.keep_from = keep_from, .arg = &allowed};
    struct rc_log_writer *writer = start_writer(store, &retention);
    struct client client;
    make_client(&client, writer, queue, 200, 10);
    client.body_len = 3000;
    run_client(&client);
    for (int i = 0; i < 1000 && !rc_log_writer_is_blocked(writer); i++)
        usleep(5000);
    assert_true(rc_log_writer_is_blocked(writer));
    assert_false(wait_for(&client.done, 1));
    assert_true(atomic_load(&kept) > 0);
    atomic_store(&allowed, UINT64_MAX);
    assert_true(wait_for(&client.done, 60));
    assert_false(rc_log_writer_is_blocked(writer));
    struct rc_log_stats stats;
    rc_log_writer_stats(writer, &stats);
    assert_true(stats.write_errors > 0);
    stop_client(&client);
    assert_int_equal(rc_queue_end(queue), 200);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    free_client(&client);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_stopping_with_a_full_log_gives_the_records_back(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.quota_bytes = 10000;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct client client;
    make_client(&client, writer, queue, 50, 50); /* one batch */
    client.body_len = 300;
    run_client(&client);
    for (int i = 0; i < 1000 && !rc_log_writer_is_blocked(writer); i++)
        usleep(5000);
    assert_int_equal(rc_log_writer_stop(writer), RC_ERR_NO_SPACE);
    stop_client(&client);
    assert_int_equal(rc_log_sender_under_way(client.sender), 0);
    assert_int_equal(client.written, 0);
    free_client(&client);
    assert_int_equal(rc_queue_end(queue), 0);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_a_sender_may_go_before_its_records_are_reported(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct client client;
    make_client(&client, writer, queue, 10, 10);
    stage_some(&client); /* its loop does not run */
    rc_log_sender_destroy(client.sender);
    client.sender = NULL;
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    assert_int_equal(rc_queue_end(queue), 10);
    free_client(&client);
    assert_int_equal(client.written, 0);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_what_cannot_be_staged_is_refused_at_once(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct rc_loop *loop;
    struct rc_log_sender *sender;
    static char body[70000];
    assert_int_equal(rc_loop_create("x", &loop), RC_OK);
    assert_int_equal(rc_log_sender_create(writer, loop, &sender), RC_OK);
    struct rc_message message = {.body = rc_slice(body, sizeof(body))};
    assert_int_equal(rc_log_stage(sender, queue, &message, 0, NULL, NULL), RC_ERR_TOO_LARGE);
    message.body.len = 10;
    message.props = rc_slice_str("no mark");
    assert_int_equal(rc_log_stage(sender, queue, &message, 0, NULL, NULL), RC_ERR_INVALID);
    message.props.len = 0;
    assert_int_equal(rc_log_stage(sender, queue, &message, 19, NULL, NULL), RC_ERR_INVALID);
    assert_int_equal(rc_log_sender_under_way(sender), 0);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    assert_int_equal(rc_log_stage(sender, queue, &message, 0, NULL, NULL), RC_ERR_CLOSED);
    rc_log_sender_destroy(sender);
    rc_loop_destroy(loop);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void ignore(struct rc_queue *queue, void *arg)
{
}

struct listener {
    uint32_t told;
};

static void on_told(struct rc_queue *queue, void *arg)
{
    ((struct listener *)arg)->told++;
}

/* How often the reader was told of one more record; its loop runs on this thread. */
static uint32_t told_of_one_more(struct rc_log_writer *writer, struct rc_log_sender *sender,
                                 struct rc_loop *loop, struct rc_queue *queue, struct listener *listener)
{
    struct rc_message message = {.body = rc_slice_str("x")};
    uint32_t before = listener->told;
    assert_int_equal(rc_log_stage(sender, queue, &message, 0, NULL, NULL), RC_OK);
    rc_loop_stop(loop); /* one turn, whose end sends the batch */
    rc_loop_run(loop);
    while (rc_log_sender_under_way(sender) > 0)
        rc_loop_drain(loop);
    for (int turn = 0; turn < 2; turn++) /* readers are told at the end of the writer's turn */
        rc_loop_sync(rc_log_writer_loop(writer));
    rc_loop_drain(loop);
    return listener->told - before;
}

static void test_a_resting_reader_is_not_told_until_it_awaits(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct rc_loop *loop;
    struct rc_log_sender *sender;
    struct rc_log_reader *reader;
    struct listener listener = {0};
    assert_int_equal(rc_loop_create("x", &loop), RC_OK);
    assert_int_equal(rc_log_sender_create(writer, loop, &sender), RC_OK);
    assert_int_equal(rc_log_reader_create(writer, loop, on_told, &listener, &reader), RC_OK);
    assert_int_equal(told_of_one_more(writer, sender, loop, queue, &listener), 1);
    rc_log_reader_rest(reader, queue);
    assert_int_equal(told_of_one_more(writer, sender, loop, queue, &listener), 0);
    assert_int_equal(rc_queue_end(queue), 2);
    rc_log_reader_await(reader, queue);
    assert_int_equal(told_of_one_more(writer, sender, loop, queue, &listener), 1);
    rc_log_reader_rest(reader, queue);
    rc_log_reader_destroy(reader);
    assert_int_equal(rc_log_reader_create(writer, loop, on_told, &listener, &reader), RC_OK);
    assert_int_equal(told_of_one_more(writer, sender, loop, queue, &listener),
                     1); /* a new one rests nowhere */
    rc_log_reader_destroy(reader);
    rc_log_sender_destroy(sender);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    rc_loop_destroy(loop);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_readers_are_bounded_and_their_places_are_used_again(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_log_writer *writer = start_writer(store, NULL);
    struct rc_loop *loop;
    struct rc_log_reader *readers[RC_LOG_READERS_MAX], *one_more;
    assert_int_equal(rc_loop_create("x", &loop), RC_OK);
    for (int i = 0; i < RC_LOG_READERS_MAX; i++)
        assert_int_equal(rc_log_reader_create(writer, loop, ignore, NULL, &readers[i]), RC_OK);
    assert_int_equal(rc_log_reader_create(writer, loop, ignore, NULL, &one_more), RC_ERR_FULL);
    rc_log_reader_destroy(readers[3]);
    assert_int_equal(rc_log_reader_create(writer, loop, ignore, NULL, &readers[3]), RC_OK);
    for (int i = 0; i < RC_LOG_READERS_MAX; i++)
        rc_log_reader_destroy(readers[i]);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    rc_loop_destroy(loop);
    rc_store_close(store);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_of_several_threads_are_written_in_order_and_readers_hear_of_all),
        cmocka_unit_test(test_only_a_sender_that_gathers_waits_behind_many_records_of_a_moment_ago),
        cmocka_unit_test(test_a_sender_is_told_when_its_batches_are_all_under_way_and_when_there_is_room),
        cmocka_unit_test(test_a_full_log_waits_in_order_and_goes_on_when_retention_has_made_room),
        cmocka_unit_test(test_stopping_with_a_full_log_gives_the_records_back),
        cmocka_unit_test(test_a_sender_may_go_before_its_records_are_reported),
        cmocka_unit_test(test_what_cannot_be_staged_is_refused_at_once),
        cmocka_unit_test(test_a_resting_reader_is_not_told_until_it_awaits),
        cmocka_unit_test(test_readers_are_bounded_and_their_places_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
