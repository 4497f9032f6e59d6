/* The store on a disk of its own: what was reported is there after any end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "session_store/private.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 12, MESSAGE_BYTES = 300 };

/* What a load found. */
struct found {
    uint32_t withdrawn, sessions, subscriptions, outgoing, incoming, retained;
    uint64_t last_seq;
    bool has_gap;
    char payload[64];
    struct rc_session_record session;
    struct rc_outgoing_record out;
};

static int on_session(void *arg, uint64_t session, const struct rc_session_record *record)
{
    struct found *found = arg;
    found->sessions++;
    found->session = *record;
    return RC_OK;
}

static int on_subscription(void *arg, uint64_t session, uint32_t number,
                           const struct rc_subscription_record *record)
{
    ((struct found *)arg)->subscriptions++;
    return RC_OK;
}

static int on_outgoing(void *arg, uint64_t session, uint64_t seq, const struct rc_outgoing_record *record)
{
    struct found *found = arg;
    found->has_gap |= found->outgoing > 0 && seq != found->last_seq + 1;
    found->outgoing++;
    found->last_seq = seq;
    found->out = *record;
    return RC_OK;
}

static int on_incoming(void *arg, uint64_t session, uint16_t packet_id)
{
    ((struct found *)arg)->incoming++;
    return RC_OK;
}

static int on_retained(void *arg, const struct rc_retained_record *record)
{
    struct found *found = arg;
    found->retained++;
    snprintf(found->payload, sizeof(found->payload), "%.*s", RC_SLICE_FMT(record->message.payload));
    return RC_OK;
}

static int on_withdrawn(void *arg, uint64_t session, uint64_t seq)
{
    ((struct found *)arg)->withdrawn++;
    return RC_OK;
}

static const struct rc_session_visitor visitor = {on_session,   on_subscription, on_outgoing,
                                                  on_withdrawn, on_incoming,     on_retained};

struct fixture {
    char dir[64];
    struct rc_session_store *store;
    struct rc_loop *loop;
    uint32_t reported;
};

static int setup(void **state)
{
    struct fixture *fixture = rc_new(struct fixture);
    snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/rc-sessions-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    assert_int_equal(rc_loop_create("test", &fixture->loop), 0);
    *state = fixture;
    return 0;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    rc_session_store_stop(fixture->store);
    rc_loop_drain(fixture->loop);
    rc_session_store_close(fixture->store);
    rc_loop_destroy(fixture->loop);
    nftw(fixture->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return 0;
}

static int open_store(struct fixture *fixture, uint64_t max_bytes, struct rc_error *error)
{
    struct rc_session_store_options options;
    rc_session_store_options_default(&options);
    options.dir = fixture->dir;
    if (max_bytes > 0)
        options.max_bytes = max_bytes;
    return rc_session_store_open(&options, &fixture->store, error);
}

static void begin(struct fixture *fixture)
{
    struct rc_error error = {.text = ""};
    assert_int_equal(open_store(fixture, 0, &error), 0);
    assert_int_equal(rc_session_store_start(fixture->store, &error), 0);
}

static void end(struct fixture *fixture)
{
    rc_session_store_stop(fixture->store);
    rc_loop_drain(fixture->loop);
    rc_session_store_close(fixture->store);
    fixture->store = NULL;
}

static void on_durable(struct rc_session_batch *batch)
{
    ((struct fixture *)batch->owner)->reported++;
    rc_session_batch_free(batch);
}

static struct rc_session_batch *batch_of(struct fixture *fixture)
{
    return rc_session_batch_create(fixture->loop, on_durable, fixture);
}

static void write_and_wait(struct fixture *fixture, struct rc_session_batch *batch)
{
    uint32_t before = fixture->reported;
    rc_session_store_post(fixture->store, batch);
    while (fixture->reported == before)
        if (!rc_loop_drain(fixture->loop))
            usleep(100);
}

static struct found load(struct fixture *fixture)
{
    struct found found = {0};
    struct rc_error error = {.text = ""};
    if (fixture->store == NULL)
        assert_int_equal(open_store(fixture, 0, &error), 0);
    assert_int_equal(rc_session_store_load(fixture->store, &visitor, &found, &error), 0);
    return found;
}

static void put_session(struct rc_session_batch *batch, uint64_t session)
{
    struct rc_session_record record = {.instance = rc_slice_str("inst"),
                                       .client_id = rc_slice_str("GID_a@@@1"),
                                       .expiry_s = 100,
                                       .left_ms = 12345};
    assert_int_equal(rc_session_batch_put_session(batch, session, &record), 0);
}

static void put_outgoing(struct rc_session_batch *batch, uint64_t session, uint64_t seq)
{
    char payload[MESSAGE_BYTES];
    memset(payload, 'x', sizeof(payload));
    struct rc_outgoing_record record = {.qos = 1};
    record.message.topic = rc_slice_str("top/a");
    record.message.payload = rc_slice(payload, sizeof(payload));
    assert_int_equal(rc_session_batch_put_outgoing(batch, session, seq, &record), 0);
}

/* As version 1 of the store wrote it: it knew no shared names. */
static const uint8_t old_outgoing[] = {0, 1, 0, 0, 0, 0,   1, 0, 0, 0, 0,   0, 0, 0, 0,
                                       0, 0, 0, 0, 1, 't', 0, 0, 0, 1, 'p', 0, 0, 0, 0};

static void a_messages_shared_subscription_is_kept_and_may_be_missing(void **state)
{
    static struct rc_outgoing_record record, got;
    struct rc_buf out;
    assert_int_equal(rc_outgoing_record_get(rc_slice(old_outgoing, sizeof(old_outgoing)), &got), 0);
    assert_int_equal(got.share.len, 0);
    assert_true(rc_slice_eq_str(got.message.payload, "p"));
    rc_buf_init(&out, 1000);
    record = got;
    record.share = rc_slice_str("$share/g/t");
    assert_int_equal(rc_outgoing_record_put(&out, &record), 0);
    assert_int_equal(rc_outgoing_record_get(rc_buf_slice(&out), &got), 0);
    assert_true(rc_slice_eq_str(got.share, "$share/g/t"));
    assert_true(rc_slice_eq_str(got.message.topic, "t"));
    rc_buf_free(&out);
}

static void put_retained(struct rc_session_batch *batch, uint64_t epoch, uint64_t stamp, const char *payload)
{
    struct rc_retained_record record = {.epoch = epoch, .stamp = stamp, .instance = rc_slice_str("inst")};
    record.message.topic = rc_slice_str("top/r");
    record.message.payload = rc_slice_str(payload);
    assert_int_equal(rc_session_batch_put_retained(batch, &record), 0);
}

static void what_was_reported_is_there_after_reopening(void **state)
{
    struct fixture *fixture = *state;
    struct rc_subscription_record subscription = {.filter = rc_slice_str("top/#"), .options = 1};
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_session(batch, 7);
    rc_session_batch_put_subscription(batch, 7, 1, &subscription);
    put_outgoing(batch, 7, 1);
    put_outgoing(batch, 7, 2);
    rc_session_batch_put_published(batch, 7, 9, 1);
    put_retained(batch, 1, 1, "kept");
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = load(fixture);
    assert_int_equal(found.sessions, 1);
    assert_int_equal(found.session.expiry_s, 100);
    assert_int_equal(found.session.left_ms, 12345);
    assert_int_equal(found.subscriptions, 1);
    assert_int_equal(found.outgoing, 2);
    assert_int_equal(found.incoming, 1);
    assert_string_equal(found.payload, "kept");
    assert_int_equal(rc_session_store_epoch(fixture->store), 2);
    assert_true(rc_session_store_last_alive_ms(fixture->store) > 0);
}

static void a_session_ends_with_all_that_it_has_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    for (uint64_t session = 1; session <= 3; session++) {
        put_session(batch, session);
        for (uint64_t seq = 0; seq < 200; seq++)
            put_outgoing(batch, session, seq);
    }
    rc_session_batch_end_session(batch, 2);
    rc_session_batch_end_outgoing(batch, 3, 0);
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = load(fixture);
    assert_int_equal(found.sessions, 2);
    assert_int_equal(found.outgoing, 200 + 199);
}

/* A copy for session 8 of what session 7 published at QoS 2. */
static void put_copy(struct rc_session_batch *batch, uint64_t seq, uint64_t number)
{
    struct rc_outgoing_record record = {.qos = 2, .origin = 7, .origin_number = number};
    record.message.topic = rc_slice_str("top/a");
    assert_int_equal(rc_session_batch_put_outgoing(batch, 8, seq, &record), 0);
}

static void a_message_counts_when_its_publishers_packet_id_is_there(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_session(batch, 7);
    put_session(batch, 8);
    for (uint64_t number = 1; number <= 5; number++)
        put_copy(batch, number, number);
    write_and_wait(fixture, batch);
    end(fixture);
    assert_int_equal(load(fixture).withdrawn, 5);
    end(fixture);
    begin(fixture);
    batch = batch_of(fixture);
    rc_session_batch_put_published(batch, 7, 20, 3);
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = load(fixture);
    assert_int_equal(found.withdrawn, 2);
    assert_int_equal(found.outgoing, 3);
    assert_int_equal(found.incoming, 1);
}

static void what_a_publisher_left_behind_stays_when_its_session_ends(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_session(batch, 7);
    put_session(batch, 8);
    put_copy(batch, 1, 1);
    rc_session_batch_end_session(batch, 7);
    rc_session_batch_put_published(batch, 7, 20, 1); /* too late: it brings nothing back */
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = load(fixture);
    assert_int_equal(found.sessions, 1);
    assert_int_equal(found.outgoing, 1);
    assert_int_equal(found.withdrawn + found.incoming, 0);
}

static void of_two_retained_messages_the_newer_stays_however_they_come(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_retained(batch, 2, 5, "newer");
    put_retained(batch, 2, 4, "older");
    put_retained(batch, 1, 900, "of an older run");
    write_and_wait(fixture, batch);
    end(fixture);
    assert_string_equal(load(fixture).payload, "newer");
}

static void a_deleted_retained_message_is_not_brought_back_by_an_older_one(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_retained(batch, 1, 5, "it");
    put_retained(batch, 1, 7, "");
    put_retained(batch, 1, 6, "late");
    write_and_wait(fixture, batch);
    end(fixture);
    assert_int_equal(load(fixture).retained, 0);
}

static void a_damaged_value_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_session(batch, 7);
    batch->ops.data[batch->ops.end - 1] ^= 1;
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = {0};
    struct rc_error error = {.text = ""};
    assert_int_equal(open_store(fixture, 0, &error), 0);
    assert_int_equal(rc_session_store_load(fixture->store, &visitor, &found, &error), RC_ERR_CORRUPT);
    assert_non_null(strstr(error.text, "move the directory away"));
}

static void a_record_without_its_session_is_refused(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    struct rc_session_batch *batch = batch_of(fixture);
    put_outgoing(batch, 7, 1);
    write_and_wait(fixture, batch);
    end(fixture);
    struct found found = {0};
    struct rc_error error;
    assert_int_equal(open_store(fixture, 0, &error), 0);
    assert_int_equal(rc_session_store_load(fixture->store, &visitor, &found, &error), RC_ERR_CORRUPT);
}

/* The map is full: nothing is reported, and what was reported before is still there. */
static void a_full_map_blocks_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rc_error error;
    assert_int_equal(open_store(fixture, 1 << 20, &error), 0);
    assert_int_equal(rc_session_store_start(fixture->store, &error), 0);
    struct rc_session_batch *batch = batch_of(fixture);
    put_session(batch, 7);
    put_outgoing(batch, 7, 0);
    write_and_wait(fixture, batch);
    batch = batch_of(fixture);
    for (uint64_t seq = 1; seq < 10000; seq++)
        put_outgoing(batch, 7, seq);
    rc_session_store_post(fixture->store, batch);
    while (!rc_session_store_is_blocked(fixture->store))
        usleep(1000);
    rc_session_store_stop(fixture->store);
    rc_loop_drain(fixture->loop);
    assert_int_equal(fixture->reported, 1);
    rc_session_store_close(fixture->store);
    fixture->store = NULL;
    struct found found = load(fixture);
    assert_int_equal(found.sessions, 1);
    assert_int_equal(found.outgoing, 1);
}

/* ---- kill -9 ---- */

/* Writes one message a batch for ever, and tells through the pipe which are durable. */
static void child(struct fixture *fixture, int fd, uint64_t seq)
{
    begin(fixture);
    for (;; seq++) {
        struct rc_session_batch *batch = batch_of(fixture);
        put_session(batch, 1);
        put_outgoing(batch, 1, seq);
        write_and_wait(fixture, batch);
        if (write(fd, &seq, sizeof(seq)) != sizeof(seq))
            _exit(1);
    }
}

static void what_was_reported_survives_kill_at_any_moment(void **state)
{
    struct fixture *fixture = *state;
    uint64_t next = 0, reported = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_int_not_equal(pid, -1);
        if (pid == 0)
            child(fixture, fds[1], next);
        close(fds[1]);
        assert_int_equal(read(fds[0], &reported, sizeof(reported)), sizeof(reported));
        usleep((useconds_t)(random() % 20000));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        for (uint64_t seq; read(fds[0], &seq, sizeof(seq)) == sizeof(seq);)
            reported = seq;
        close(fds[0]);
        struct found found = load(fixture);
        assert_true(found.last_seq == reported || found.last_seq == reported + 1);
        assert_int_equal(found.outgoing, found.last_seq + 1);
        assert_false(found.has_gap);
        next = found.last_seq + 1;
        rc_session_store_close(fixture->store);
        fixture->store = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_reported_is_there_after_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_ends_with_all_that_it_has_and_no_other, setup, teardown),
        cmocka_unit_test(a_messages_shared_subscription_is_kept_and_may_be_missing),
        cmocka_unit_test_setup_teardown(a_message_counts_when_its_publishers_packet_id_is_there, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_a_publisher_left_behind_stays_when_its_session_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(of_two_retained_messages_the_newer_stays_however_they_come, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deleted_retained_message_is_not_brought_back_by_an_older_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_value_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_without_its_session_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_map_blocks_and_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_reported_survives_kill_at_any_moment, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
