#include "store/test_store.h"

#include "base/clock.h"
#include "base/hex.h"
#include "presence/event.h"
#include "presence/recovery.h"

/* A store, the snapshot beside it, and channels 0..255 whose events are appended by hand. */
struct world {
    struct test_dir dir;
    char snapshot[192];
    struct rc_store *store;
    struct rc_topic *topic;
    struct rc_presence_recovery *recovery;
    int64_t now_ms;
    uint64_t fold_bytes;
};

static void open_world(struct world *world)
{
    world->store = test_open(&world->dir);
    world->topic = test_topic(world->store, TEST_TOPIC, 4);
}

static void make_world(struct world *world)
{
    memset(world, 0, sizeof(*world));
    test_dir_make(&world->dir);
    snprintf(world->snapshot, sizeof(world->snapshot), "%s/channels", world->dir.path);
    world->now_ms = rc_clock_wall_ms() - 1000000;
    open_world(world);
}

static int recover_err(struct world *world, struct rc_error *error)
{
    struct rc_presence_recovery_options options = {
        .store = world->store,
        .path = world->snapshot,
        .node = "node-1",
        .fold_bytes = world->fold_bytes,
        .look_every_ms = 5,
    };
    return rc_presence_recover(&options, &world->recovery, error);
}

static void recover(struct world *world)
{
    struct rc_error error = {.text = ""};
    if (recover_err(world, &error) != RC_OK)
        fail_msg("%s", error.text);
}

static void end_run(struct world *world)
{
    rc_presence_recovery_destroy(world->recovery);
    world->recovery = NULL;
    rc_store_close(world->store);
}

static void remove_world(struct world *world)
{
    end_run(world);
    test_dir_remove(&world->dir);
}

static void append_with(struct world *world, int channel, enum rc_event_type type, uint32_t sequence,
                        const char *more_name)
{
    char client[32];
    struct rc_buf text, props, record;
    snprintf(client, sizeof(client), "GID_test@@@%d", channel);
    struct rc_event event = {
        .type = type,
        .time_ms = ++world->now_ms,
        .channel_id = {(uint8_t)channel},
        .client_id_json = rc_slice_str(client),
        .keys = rc_slice_str(client),
        .client_ip = rc_slice_str("10.1.2.3:4567"),
        .sequence = sequence,
        .instance = rc_slice_str("inst"),
        .node = rc_slice_str("node-1"),
        .protocol = rc_slice_str("mqtt-3.1.1"),
    };
    struct rc_slice body, event_props;
    rc_buf_init(&text, 10000);
    rc_buf_init(&props, 10000);
    rc_buf_init(&record, 30000);
    assert_int_equal(rc_event_put(&text, &event, &body, &event_props), RC_OK);
    rc_buf_put_slice(&props, event_props);
    if (more_name != NULL)
        rc_props_put(&props, more_name, rc_slice_str("x"));
    struct rc_queue *queue = rc_topic_queue(world->topic, (uint32_t)channel % 4);
    struct rc_message message = {
        .queue_id = rc_queue_id(queue),
        .born_ms = event.time_ms,
        .born_host = {.addr = {10, 1, 2, 3}, .port = 4567},
        .topic = rc_topic_name(world->topic),
        .body = body,
        .props = rc_buf_slice(&props),
    };
    assert_int_equal(rc_message_encode(&record, &message), RC_OK);
    struct rc_append append = {.queue = queue, .record = record.data, .len = record.end};
    assert_int_equal(rc_store_append(world->store, &append, 1), RC_OK);
    rc_buf_free(&text);
    rc_buf_free(&props);
    rc_buf_free(&record);
}

static void append(struct world *world, int channel, enum rc_event_type type, uint32_t sequence)
{
    append_with(world, channel, type, sequence, NULL);
}

/* What the log says of all channels; the tcpclean of a crash are looked at closely. */
struct tally {
    int connects[256], tcpcleans[256], crashes;
    int64_t last_ms[256];
};

static bool on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct tally *tally = arg;
    struct rc_event event;
    if (rc_event_parse_body(message->body, &event) != RC_OK)
        return true;
    int channel = event.channel_id[0];
    assert_true(event.time_ms > tally->last_ms[channel]);
    tally->last_ms[channel] = event.time_ms;
    tally->connects[channel] += event.type == RC_EVENT_CONNECT;
    tally->tcpcleans[channel] += event.type == RC_EVENT_TCPCLEAN;
    if (!rc_slice_eq_str(rc_props_get(message->props, RC_PROP_REASON), "server-crash"))
        return true;
    tally->crashes++;
    assert_int_equal(event.type, RC_EVENT_TCPCLEAN);
    assert_true(rc_slice_eq_str(message->topic, TEST_TOPIC));
    assert_int_equal(message->queue_id, channel % 4);
    assert_memory_equal(message->born_host.addr, "\x0a\x01\x02\x03", 4);
    assert_int_equal(message->born_host.port, 4567);
    assert_true(rc_slice_eq_str(event.client_ip, "10.1.2.3:4567"));
    assert_true(rc_slice_eq_str(rc_props_get(message->props, RC_PROP_INSTANCE), "inst"));
    assert_true(rc_slice_eq_str(rc_props_get(message->props, RC_PROP_TAGS), "tcpclean"));
    return true;
}

static void read_log(struct world *world, struct tally *ret)
{
    memset(ret, 0, sizeof(*ret));
    assert_int_equal(rc_store_scan(world->store, 0, on_record, ret), RC_OK);
}

static void test_channels_that_a_crash_left_open_get_their_tcpclean_and_only_they(void **state)
{
    struct world world;
    struct tally tally;
    make_world(&world);
    recover(&world);
    for (int i = 0; i < 10; i++)
        append(&world, i, RC_EVENT_CONNECT, 1);
    append(&world, 3, RC_EVENT_DISCONNECT, 2);
    append(&world, 3, RC_EVENT_TCPCLEAN, 3);
    append(&world, 4, RC_EVENT_TCPCLEAN, 2);
    append(&world, 5, RC_EVENT_DISCONNECT, 2); /* said goodbye, and then the server died */
    end_run(&world);
    open_world(&world);
    recover(&world);
    assert_int_equal(rc_presence_recovery_count(world.recovery), 8);
    read_log(&world, &tally);
    assert_int_equal(tally.crashes, 8);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tally.connects[i], 1);
        assert_int_equal(tally.tcpcleans[i], 1);
        assert_true(tally.last_ms[i] <= rc_presence_recovery_greatest_ms(world.recovery));
    }
    end_run(&world);
    open_world(&world);
    recover(&world); /* nothing is told twice */
    assert_int_equal(rc_presence_recovery_count(world.recovery), 0);
    remove_world(&world);
}

static void test_a_log_at_its_quota_takes_what_a_crash_left_to_be_told(void **state)
{
    struct world world;
    struct tally tally;
    make_world(&world);
    recover(&world);
    for (int i = 0; i < 200; i++)
        append(&world, i, RC_EVENT_CONNECT, 1);
    world.dir.options.quota_bytes = rc_store_max_physical(world.store);
    end_run(&world);
    open_world(&world);
    recover(&world);
    read_log(&world, &tally);
    assert_int_equal(tally.crashes, 200);
    struct rc_append append;
    assert_int_equal(
        test_append_err(world.store, rc_topic_queue(world.topic, 0), rc_slice_str("new work"), &append),
        RC_ERR_NO_SPACE);
    remove_world(&world);
}

static void test_the_same_without_a_snapshot(void **state)
{
    struct world world;
    struct tally tally;
    make_world(&world);
    append(&world, 1, RC_EVENT_CONNECT, 1);
    append(&world, 2, RC_EVENT_CONNECT, 1);
    append(&world, 1, RC_EVENT_TCPCLEAN, 2);
    recover(&world);
    read_log(&world, &tally);
    assert_int_equal(tally.crashes, 1);
    assert_int_equal(tally.tcpcleans[2], 1);
    remove_world(&world);
}

static void test_retries_and_delayed_copies_of_events_open_no_channel(void **state)
{
    struct world world;
    make_world(&world);
    append_with(&world, 1, RC_EVENT_CONNECT, 1, RC_PROP_RETRY_TOPIC);
    append_with(&world, 2, RC_EVENT_CONNECT, 1, RC_PROP_REAL_TOPIC);
    test_append(world.store, rc_topic_queue(world.topic, 0), "{\"clientId\":\"not an event\"}");
    recover(&world);
    assert_int_equal(rc_presence_recovery_count(world.recovery), 0);
    remove_world(&world);
}

static void fill(struct world *world, uint32_t bytes)
{
    static char text[1001];
    memset(text, 'x', 1000);
    for (uint32_t done = 0; done < bytes; done += 1000)
        test_append(world->store, rc_topic_queue(world->topic, 0), text);
}

static uint64_t fold(struct world *world, uint64_t target)
{
    uint64_t covered = 0;
    for (int i = 0; i < 2000 && covered < target; i++) {
        covered = rc_presence_recovery_keep_from(world->recovery, target);
        usleep(1000);
    }
    return covered;
}

static void test_the_connect_of_an_open_channel_may_go_once_a_snapshot_has_it(void **state)
{
    struct world world;
    struct tally tally;
    make_world(&world);
    world.dir.options.retain_bytes = 100000;
    rc_store_close(world.store);
    open_world(&world);
    recover(&world);
    append(&world, 7, RC_EVENT_CONNECT, 1);
    append(&world, 8, RC_EVENT_CONNECT, 1);
    fill(&world, 400000);
    append(&world, 8, RC_EVENT_TCPCLEAN, 2); /* after the snapshot's place */
    uint64_t target = rc_store_retain_target(world.store);
    assert_true(target > 200000);
    /* the first answer starts the snapshot and lets nothing go */
    assert_true(rc_presence_recovery_keep_from(world.recovery, target) < target);
    assert_int_equal(fold(&world, target), target);
    rc_store_retain(world.store, target);
    assert_int_equal(rc_store_min_physical(world.store), target);
    end_run(&world);
    open_world(&world);
    recover(&world);
    read_log(&world, &tally);
    assert_int_equal(tally.connects[7], 0); /* gone with its segment */
    assert_int_equal(tally.tcpcleans[7], 1);
    assert_int_equal(tally.tcpcleans[8], 1);
    assert_int_equal(tally.crashes, 1);
    remove_world(&world);
}

/* So that a start never reads more than so much of the log. */
static void test_a_snapshot_follows_the_log_while_the_server_runs(void **state)
{
    struct world world;
    struct stat before, after;
    make_world(&world);
    world.fold_bytes = 50000;
    recover(&world);
    append(&world, 1, RC_EVENT_CONNECT, 1);
    fill(&world, 40000);
    usleep(50000);
    assert_int_equal(stat(world.snapshot, &before), 0);
    fill(&world, 20000);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(stat(world.snapshot, &after), 0);
        if (after.st_size > before.st_size) /* it has the channel */
            break;
        usleep(1000);
    }
    assert_true(after.st_size > before.st_size);
    append(&world, 1, RC_EVENT_TCPCLEAN, 2);
    end_run(&world);
    open_world(&world);
    recover(&world);
    assert_int_equal(rc_presence_recovery_count(world.recovery), 0);
    remove_world(&world);
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t len = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(in);
    fclose(out);
}

static void test_a_damaged_snapshot_is_refused_and_named(void **state)
{
    struct world world;
    struct rc_error error;
    char good[200];
    make_world(&world);
    recover(&world);
    rc_presence_recovery_destroy(world.recovery);
    world.recovery = NULL;
    snprintf(good, sizeof(good), "%s.good", world.snapshot);
    copy_file(world.snapshot, good);
    struct stat info;
    assert_int_equal(stat(good, &info), 0);
    for (off_t at = 0; at < info.st_size; at++) {
        uint8_t byte;
        copy_file(good, world.snapshot);
        int fd = open(world.snapshot, O_RDWR);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        assert_int_equal(recover_err(&world, &error), RC_ERR_CORRUPT);
        assert_non_null(strstr(error.text, world.snapshot));
        copy_file(good, world.snapshot);
        assert_int_equal(truncate(world.snapshot, at), 0);
        assert_int_equal(recover_err(&world, &error), RC_ERR_CORRUPT);
    }
    remove_world(&world);
}

/* As after a power loss, or with an older copy of the log beside a newer snapshot. */
static void test_a_log_that_ends_before_its_snapshot_is_read_from_its_start(void **state)
{
    struct world world;
    struct tally tally;
    char kept[200];
    make_world(&world);
    recover(&world);
    append(&world, 1, RC_EVENT_CONNECT, 1);
    append(&world, 2, RC_EVENT_CONNECT, 1);
    fill(&world, 100000);
    append(&world, 3, RC_EVENT_CONNECT, 1);
    uint64_t end = rc_store_max_physical(world.store);
    assert_true(fold(&world, end) >= end);
    int64_t told_ms = world.now_ms;
    snprintf(kept, sizeof(kept), "%s.kept", world.snapshot);
    copy_file(world.snapshot, kept);
    end_run(&world);
    /* the same directory with a shorter log: only the first connect is in it */
    struct world other;
    make_world(&other);
    other.now_ms = world.now_ms - 3;
    append(&other, 1, RC_EVENT_CONNECT, 1);
    copy_file(kept, other.snapshot);
    recover(&other);
    read_log(&other, &tally);
    assert_int_equal(tally.tcpcleans[1], 1);
    assert_int_equal(tally.crashes, 1); /* nobody was told of channels 2 and 3 */
    assert_true(rc_presence_recovery_greatest_ms(other.recovery) >= told_ms);
    end_run(&other);
    open_world(&other);
    recover(&other);
    assert_int_equal(rc_presence_recovery_count(other.recovery), 0);
    remove_world(&other);
    test_dir_remove(&world.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_channels_that_a_crash_left_open_get_their_tcpclean_and_only_they),
        cmocka_unit_test(test_a_log_at_its_quota_takes_what_a_crash_left_to_be_told),
        cmocka_unit_test(test_the_same_without_a_snapshot),
        cmocka_unit_test(test_retries_and_delayed_copies_of_events_open_no_channel),
        cmocka_unit_test(test_the_connect_of_an_open_channel_may_go_once_a_snapshot_has_it),
        cmocka_unit_test(test_a_snapshot_follows_the_log_while_the_server_runs),
        cmocka_unit_test(test_a_damaged_snapshot_is_refused_and_named),
        cmocka_unit_test(test_a_log_that_ends_before_its_snapshot_is_read_from_its_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
