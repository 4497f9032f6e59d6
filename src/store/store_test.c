#include "store/test_store.h"

#include "base/bytes.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static void test_what_was_appended_is_read_after_a_clean_reopening(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    for (int round = 0; round < 3; round++) {
        struct rc_store *store = test_open(&dir);
        assert_true(test_exists(&dir, "abort"));
        struct rc_topic *topic = test_topic(store, TEST_TOPIC, 2);
        assert_int_equal(rc_topic_queue_count(topic), 2);
        for (int i = 0; i < 500; i++) {
            char body[64];
            struct rc_queue *queue = rc_topic_queue(topic, (uint32_t)i % 2);
            uint64_t offset = rc_queue_end(queue);
            snprintf(body, sizeof(body), "%d-%llu", i % 2, (unsigned long long)offset);
            struct rc_append done = test_append(store, queue, body);
            assert_int_equal(done.ret_queue_offset, offset);
        }
        assert_int_equal(test_check_queue(store, rc_topic_queue(topic, 0), "0-"), 250 * (round + 1));
        assert_int_equal(test_check_queue(store, rc_topic_queue(topic, 1), "1-"), 250 * (round + 1));
        rc_store_close(store);
        assert_false(test_exists(&dir, "abort"));
    }
    test_dir_remove(&dir);
}

static void test_a_batch_goes_over_several_segments_and_no_record_spans_two(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic = test_topic(store, TEST_TOPIC, 4);
    static char body[20000];
    struct rc_buf bufs[10];
    struct rc_append batch[10];
    for (uint32_t i = 0; i < 10; i++) {
        memset(body, 'x', sizeof(body));
        snprintf(body, sizeof(body), "m%u", i / 4);
        rc_buf_init(&bufs[i], sizeof(body) + 1000);
        test_encode(&bufs[i], rc_topic_queue(topic, i % 4), rc_slice(body, sizeof(body)));
        batch[i] = (struct rc_append){.queue = rc_topic_queue(topic, i % 4),
                                      .record = bufs[i].data,
                                      .len = (uint32_t)rc_buf_len(&bufs[i]),
                                      .tags_code = 951351530};
    }
    assert_int_equal(rc_store_append(store, batch, 10), RC_OK);
    for (int i = 0; i < 10; i++) {
        uint64_t first = batch[i].ret_physical_offset, last = first + batch[i].len + 8 - 1;
        assert_int_equal(first / dir.options.segment_bytes, last / dir.options.segment_bytes);
        rc_buf_free(&bufs[i]);
    }
    assert_int_equal(batch[9].ret_physical_offset / dir.options.segment_bytes, 3);
    assert_int_equal(batch[9].ret_queue_offset, 2);
    for (uint32_t i = 0; i < 4; i++)
        test_check_queue(store, rc_topic_queue(topic, i), "m");
    rc_store_close(store);
    store = test_open(&dir);
    topic = rc_store_find_topic(store, rc_slice_str(TEST_TOPIC));
    assert_int_equal(test_check_queue(store, rc_topic_queue(topic, 0), "m"), 3);
    assert_int_equal(test_check_queue(store, rc_topic_queue(topic, 3), "m"), 2);
    rc_store_close(store);
    test_dir_remove(&dir);
}

/* Zeroes are written ahead: never over what was written, never beyond a segment. */
static void test_flush_sync_keeps_every_record_in_segments_of_any_size(void **state)
{
    static const uint64_t sizes[] = {64 * 1024, 1024 * 1024};
    for (size_t i = 0; i < 2; i++) {
        struct test_dir dir;
        static char body[3000];
        test_dir_make(&dir);
        dir.options.flush = RC_FLUSH_SYNC;
        dir.options.segment_bytes = sizes[i];
        uint64_t count = 0;
        for (int round = 0; round < 3; round++) {
            struct rc_store *store = test_open(&dir);
            struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
            for (int n = 0; n < 250; n++, count++) {
                struct rc_append done;
                memset(body, 'x', sizeof(body));
                int len = snprintf(body, sizeof(body), "0-%llu", (unsigned long long)count);
                size_t full = n % 7 == 0 ? sizeof(body) : (size_t)len;
                assert_int_equal(test_append_err(store, queue, rc_slice(body, full), &done), RC_OK);
            }
            assert_int_equal(test_check_queue(store, queue, "0-"), count);
            rc_store_close(store);
        }
        int fd = test_open_file(&dir, "commitlog/00000000000000000000");
        assert_int_equal(lseek(fd, 0, SEEK_END), sizes[i]);
        close(fd);
        test_dir_remove(&dir);
    }
}

static void test_a_record_leaves_exactly_the_room_of_a_blank(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    static char body[65536];
    struct rc_append first = test_append(store, queue, "");
    uint32_t overhead = first.len;
    uint32_t left = 65536 - overhead;
    /* leaves 8 bytes: still fits */
    struct rc_append fits;
    assert_int_equal(test_append_err(store, queue, rc_slice(body, left - 8 - overhead), &fits), RC_OK);
    assert_int_equal(fits.ret_physical_offset, overhead);
    assert_int_equal(rc_store_max_physical(store), 65536 - 8);
    assert_int_equal(test_append(store, queue, "").ret_physical_offset, 65536);
    /* would leave 7: goes to the next segment, where it fits */
    assert_int_equal(test_append_err(store, queue, rc_slice(body, left - 7 - overhead), &fits), RC_OK);
    assert_int_equal(fits.ret_physical_offset, 2 * 65536);
    /* larger than a segment */
    assert_int_equal(test_append_err(store, queue, rc_slice(body, 65536 - 7 - overhead), &fits),
                     RC_ERR_INVALID);
    rc_store_close(store);
    store = test_open(&dir);
    queue = rc_topic_queue(rc_store_find_topic(store, rc_slice_str(TEST_TOPIC)), 0);
    assert_int_equal(rc_queue_end(queue), 4);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_a_full_quota_publishes_nothing_until_there_is_room(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.quota_bytes = 100000;
    dir.options.retain_bytes = 1;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    static char body[10000];
    struct rc_append append;
    int err;
    do {
        memset(body, 'x', sizeof(body));
        snprintf(body, sizeof(body), "q%llu", (unsigned long long)rc_queue_end(queue));
        err = test_append_err(store, queue, rc_slice(body, sizeof(body)), &append);
    } while (err == RC_OK);
    assert_int_equal(err, RC_ERR_NO_SPACE);
    uint64_t end = rc_queue_end(queue);
    assert_int_equal(end, 9);
    rc_store_retain(store, UINT64_MAX);
    assert_int_equal(rc_store_min_physical(store), 65536);
    assert_int_equal(rc_queue_min(queue), 6);
    assert_int_equal(test_append_err(store, queue, rc_slice(body, sizeof(body)), &append), RC_OK);
    assert_int_equal(append.ret_queue_offset, end);
    test_check_queue(store, queue, "q");
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_the_log_leaves_what_is_to_stay_free_of_the_disk(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.min_free_bytes = UINT64_MAX / 2; /* more than there is */
    struct rc_store *store = test_open(&dir);    /* the first segment is made */
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    static char body[10000];
    struct rc_append append;
    int err;
    memset(body, 'x', sizeof(body));
    while ((err = test_append_err(store, queue, rc_slice(body, sizeof(body)), &append)) == RC_OK)
        ;
    assert_int_equal(err, RC_ERR_NO_SPACE);
    assert_int_equal(rc_queue_end(queue), 6);
    assert_false(test_exists(&dir, "commitlog/00000000000000065536"));
    rc_store_lift_quota(store, true); /* recovery */
    assert_int_equal(test_append_err(store, queue, rc_slice(body, sizeof(body)), &append), RC_OK);
    assert_int_equal(append.ret_queue_offset, 6);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_retention_by_size_keeps_what_it_must_and_survives_reopening(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.retain_bytes = 200000;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    struct rc_queue *quiet = rc_topic_queue(test_topic(store, "quiet", 1), 0);
    test_append(store, quiet, "z0");
    for (int i = 0; i < 3000; i++) {
        char body[32];
        snprintf(body, sizeof(body), "r%d", i);
        test_append(store, queue, body);
    }
    struct rc_slice held;
    struct rc_segment *segment;
    assert_int_equal(rc_store_view(store, 0, 100, &held, &segment), RC_OK);
    uint64_t target = rc_store_retain_target(store);
    assert_true(target > 65536 && target % 65536 == 0);
    rc_store_retain(store, 65536 + 1);
    assert_int_equal(rc_store_min_physical(store), 65536);
    assert_false(test_exists(&dir, "commitlog/00000000000000000000"));
    rc_store_retain(store, UINT64_MAX);
    assert_int_equal(rc_store_min_physical(store), target);
    assert_true(rc_store_max_physical(store) - target <= 200000);
    /* what is held can still be read, what is gone cannot be asked for */
    assert_int_equal(rc_load_u32(held.ptr + 4), RC_MESSAGE_MAGIC);
    rc_segment_release(segment);
    assert_int_equal(rc_store_view(store, 0, 100, &held, &segment), RC_ERR_RANGE);
    uint64_t min = rc_queue_min(queue);
    struct rc_queue_entry entry;
    assert_int_equal(rc_queue_read(queue, min - 1, &entry, 1), RC_ERR_RANGE);
    assert_int_equal(rc_queue_read(queue, min, &entry, 1), 1);
    assert_true(entry.physical_offset >= target && min > 100);
    assert_false(test_exists(&dir, "consumequeue/" TEST_TOPIC "/0/00000000000000000000"));
    assert_int_equal(rc_queue_min(quiet), 1);
    assert_int_equal(rc_queue_end(quiet), 1);
    rc_store_close(store);

    store = test_open(&dir);
    queue = rc_topic_queue(rc_store_find_topic(store, rc_slice_str(TEST_TOPIC)), 0);
    assert_int_equal(rc_queue_min(queue), min);
    assert_int_equal(test_check_queue(store, queue, "r"), 3000 - min);
    quiet = rc_topic_queue(rc_store_find_topic(store, rc_slice_str("quiet")), 0);
    assert_int_equal(rc_queue_min(quiet), 1);
    assert_int_equal(test_append(store, quiet, "z1").ret_queue_offset, 1);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_retention_by_age_deletes_only_what_is_old(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.retain_ms = 3600 * 1000;
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    for (int i = 0; i < 2000; i++)
        test_append(store, queue, "a");
    assert_int_equal(rc_store_retain_target(store), 0);
    rc_store_close(store);
    dir.options.retain_ms = 1;
    store = test_open(&dir);
    usleep(5000);
    uint64_t newest = rc_store_max_physical(store) / 65536 * 65536;
    assert_int_equal(rc_store_retain_target(store), newest);
    rc_store_retain(store, UINT64_MAX);
    assert_int_equal(rc_store_min_physical(store), newest);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_store_time_never_falls_and_searches_find_it(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0);
    int64_t before = rc_clock_wall_ms();
    int64_t times[50], last = 0;
    for (int i = 0; i < 50; i++) {
        test_append(store, queue, "t");
        times[i] = rc_queue_store_ms(queue, (uint64_t)i);
        assert_true(times[i] >= last && times[i] >= before);
        last = times[i];
        usleep(1000);
    }
    assert_int_equal(rc_store_last_store_ms(store), last);
    assert_int_equal(rc_queue_search(queue, before - 1), 0);
    assert_int_equal(rc_queue_search(queue, last + 1), 50);
    for (int i = 0; i < 50; i++) {
        uint64_t found = rc_queue_search(queue, times[i]);
        assert_true(times[found] == times[i] && (found == 0 || times[found - 1] < times[i]));
    }
    assert_int_equal(rc_queue_store_ms(queue, 50), -1);
    for (uint64_t i = 0; i < 50; i++) {
        struct rc_queue_entry entry;
        assert_int_equal(rc_queue_read(queue, i, &entry, 1), 1);
        assert_int_equal(rc_queue_seek(queue, entry.physical_offset), i);
        assert_int_equal(rc_queue_seek(queue, entry.physical_offset + 1), i + 1);
    }
    assert_int_equal(rc_queue_seek(queue, 0), 0);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_a_delayed_message_carries_its_delivery_time(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_queue *queue = rc_topic_queue(test_topic(store, RC_DELAY_TOPIC, RC_DELAY_LEVELS), 2);
    struct rc_buf buf;
    rc_buf_init(&buf, 1000);
    test_encode(&buf, queue, rc_slice_str("later"));
    struct rc_append append = {
        .queue = queue, .record = buf.data, .len = (uint32_t)rc_buf_len(&buf), .delay_level = 3};
    assert_int_equal(rc_store_append(store, &append, 1), RC_OK);
    struct rc_queue_entry entry;
    assert_int_equal(rc_queue_read(queue, 0, &entry, 1), 1);
    assert_int_equal(entry.tags_code, rc_queue_store_ms(queue, 0) + 10000);
    rc_buf_free(&buf);
    assert_int_equal(rc_delay_level_ms(18), 7200000);
    rc_delay_offset_set(store, 3, 1);
    rc_store_close(store);
    store = test_open(&dir);
    assert_int_equal(rc_delay_offset_get(store, 3), 1);
    assert_int_equal(rc_delay_offset_get(store, 4), 0);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_offsets_and_groups_are_kept(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic = test_topic(store, "%RETRY%GID_x", 3);
    struct rc_slice group = rc_slice_str("MQ_INST_1%GID_x");
    uint64_t offset;
    assert_int_equal(rc_offsets_get(store, group, rc_topic_queue(topic, 1), &offset), RC_ERR_NOT_FOUND);
    assert_int_equal(rc_offsets_set(store, group, rc_topic_queue(topic, 1), 42), RC_OK);
    assert_int_equal(rc_offsets_set(store, rc_slice_str("bad name"), rc_topic_queue(topic, 1), 1),
                     RC_ERR_INVALID);
    assert_int_equal(rc_offsets_get(store, group, rc_topic_queue(topic, 0), &offset), RC_ERR_NOT_FOUND);
    assert_int_equal(rc_groups_ensure(store, group), RC_OK);
    assert_int_equal(rc_groups_ensure(store, group), RC_OK);
    assert_int_equal(rc_groups_ensure(store, rc_slice_str("")), RC_ERR_INVALID);
    assert_int_equal(rc_offsets_save(store), RC_OK);
    rc_store_close(store);
    store = test_open(&dir);
    topic = rc_store_find_topic(store, rc_slice_str("%RETRY%GID_x"));
    assert_non_null(topic);
    assert_int_equal(rc_offsets_get(store, group, rc_topic_queue(topic, 1), &offset), RC_OK);
    assert_int_equal(offset, 42);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_topic_names_and_counts_are_checked(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic;
    static const char *const bad[] = {"", "a/b", "..", "a b", "a\n", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rc_store_create_topic(store, rc_slice_str(bad[i]), 1, 6, &topic, NULL),
                         RC_ERR_INVALID);
    assert_int_equal(rc_store_create_topic(store, rc_slice_str("t"), 0, 6, &topic, NULL), RC_ERR_INVALID);
    assert_int_equal(rc_store_create_topic(store, rc_slice_str("t"), 1025, 6, &topic, NULL), RC_ERR_INVALID);
    topic = test_topic(store, "t", 4);
    assert_int_equal(rc_topic_queue_count(test_topic(store, "t", 8)), 4);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_many_queues_share_a_bounded_number_of_open_files(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    struct rc_topic *topic = test_topic(store, TEST_TOPIC, 700);
    for (int round = 0; round < 3; round++)
        for (uint32_t i = 0; i < 700; i++) {
            char body[16];
            snprintf(body, sizeof(body), "x%d", round);
            test_append(store, rc_topic_queue(topic, i), body);
        }
    for (uint32_t i = 0; i < 700; i++)
        assert_int_equal(test_check_queue(store, rc_topic_queue(topic, i), "x"), 3);
    int fds = 0;
    DIR *stream = opendir("/proc/self/fd");
    while (readdir(stream) != NULL)
        fds++;
    closedir(stream);
    assert_true(fds < RC_STORE_OPEN_FILES_MAX / 2 + 40);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_a_second_process_is_told_who_has_the_directory(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    char me[32];
    snprintf(me, sizeof(me), "by process %d", (int)getpid());
    pid_t child = fork();
    if (child == 0) {
        struct rc_error error;
        int err = test_open_err(&dir, &error);
        _exit(err == RC_ERR_BUSY && strstr(error.text, me) != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    rc_store_close(store);
    test_dir_remove(&dir);
}

static void test_directories_that_cannot_be_trusted_are_refused(void **state)
{
    struct test_dir dir;
    struct rc_error error;
    test_dir_make(&dir);
    close(test_open_file(&dir, "holiday.jpg"));
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_INVALID);
    assert_non_null(strstr(error.text, "holiday.jpg"));
    test_dir_remove(&dir);

    test_dir_make(&dir);
    struct rc_store *store = test_open(&dir);
    test_append(store, rc_topic_queue(test_topic(store, TEST_TOPIC, 1), 0), "v0");
    rc_store_close(store);
    dir.options.segment_bytes = 128 * 1024;
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_VERSION);
    assert_non_null(strstr(error.text, "65536"));
    dir.options.segment_bytes = 64 * 1024;
    dir.options.queue_file_entries = 200;
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_VERSION);
    /* without our version file the files themselves tell */
    char path[256];
    snprintf(path, sizeof(path), "%s/rollcall/version", dir.path);
    unlink(path);
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_VERSION);
    dir.options.queue_file_entries = 100;
    dir.options.segment_bytes = 128 * 1024;
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_VERSION);
    dir.options.segment_bytes = 64 * 1024;
    store = test_open(&dir);
    assert_int_equal(rc_queue_end(rc_topic_queue(rc_store_find_topic(store, rc_slice_str(TEST_TOPIC)), 0)),
                     1);
    rc_store_close(store);
    int fd = test_open_file(&dir, "rollcall/version");
    assert_int_equal(pwrite(fd, "rollcall store 2", 16, 0), 16);
    close(fd);
    assert_int_equal(test_open_err(&dir, &error), RC_ERR_VERSION);
    test_dir_remove(&dir);
}

/* ---- threads ---- */

struct readers {
    struct rc_store *store;
    struct rc_queue *queues[4];
    atomic_bool stop;
    atomic_uint_fast64_t read;
};

static void *read_all_the_time(void *arg)
{
    struct readers *readers = arg;
    uint64_t at[4] = {0};
    bool is_last = false;
    while (!is_last) {
        is_last = atomic_load(&readers->stop);
        for (int i = 0; i < 4; i++) {
            struct rc_queue_entry entries[32];
            uint64_t min = rc_queue_min(readers->queues[i]);
            if (at[i] < min)
                at[i] = min;
            int n = rc_queue_read(readers->queues[i], at[i], entries, 32);
            if (n == RC_ERR_RANGE)
                continue; /* retention went by */
            assert_true(n >= 0);
            for (int k = 0; k < n; k++) {
                struct rc_slice record;
                struct rc_segment *segment;
                struct rc_message message;
                int err = rc_store_view(readers->store, entries[k].physical_offset, entries[k].size, &record,
                                        &segment);
                if (err == RC_ERR_RANGE)
                    continue;
                assert_int_equal(err, RC_OK);
                assert_int_equal(rc_message_decode(record, true, &message), entries[k].size);
                assert_int_equal(message.queue_offset, at[i] + (uint64_t)k);
                rc_segment_release(segment);
                atomic_fetch_add(&readers->read, 1);
            }
            at[i] += (uint64_t)n;
            if (rc_queue_end(readers->queues[i]) > at[i])
                is_last = false;
        }
    }
    return NULL;
}

static void test_readers_see_whole_messages_while_the_writer_goes_on(void **state)
{
    struct test_dir dir;
    test_dir_make(&dir);
    dir.options.retain_bytes = 300000;
    struct readers readers = {.store = test_open(&dir)};
    struct rc_topic *topic = test_topic(readers.store, TEST_TOPIC, 4);
    for (uint32_t i = 0; i < 4; i++)
        readers.queues[i] = rc_topic_queue(topic, i);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, read_all_the_time, &readers);
    char body[300];
    memset(body, 'b', sizeof(body));
    for (uint32_t i = 0; i < 8000; i++) {
        struct rc_append append;
        assert_int_equal(
            test_append_err(readers.store, readers.queues[i % 4], rc_slice(body, sizeof(body)), &append),
            RC_OK);
        if (i % 1000 == 999)
            rc_store_retain(readers.store, UINT64_MAX);
    }
    atomic_store(&readers.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&readers.read) > 1000);
    rc_store_close(readers.store);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_appended_is_read_after_a_clean_reopening),
        cmocka_unit_test(test_a_batch_goes_over_several_segments_and_no_record_spans_two),
        cmocka_unit_test(test_flush_sync_keeps_every_record_in_segments_of_any_size),
        cmocka_unit_test(test_a_record_leaves_exactly_the_room_of_a_blank),
        cmocka_unit_test(test_a_full_quota_publishes_nothing_until_there_is_room),
        cmocka_unit_test(test_the_log_leaves_what_is_to_stay_free_of_the_disk),
        cmocka_unit_test(test_retention_by_size_keeps_what_it_must_and_survives_reopening),
        cmocka_unit_test(test_retention_by_age_deletes_only_what_is_old),
        cmocka_unit_test(test_store_time_never_falls_and_searches_find_it),
        cmocka_unit_test(test_a_delayed_message_carries_its_delivery_time),
        cmocka_unit_test(test_offsets_and_groups_are_kept),
        cmocka_unit_test(test_topic_names_and_counts_are_checked),
        cmocka_unit_test(test_many_queues_share_a_bounded_number_of_open_files),
        cmocka_unit_test(test_a_second_process_is_told_who_has_the_directory),
        cmocka_unit_test(test_directories_that_cannot_be_trusted_are_refused),
        cmocka_unit_test(test_readers_see_whole_messages_while_the_writer_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
