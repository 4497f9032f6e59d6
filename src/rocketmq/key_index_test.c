/* The index by key, over a log of small segments. */
#include "store/test_store.h"

#include "rocketmq/key_file.h"
#include "rocketmq/key_index.h"

struct fixture {
    struct test_dir dir;
    struct rc_store *store;
    struct rc_queue *queue;
    struct rc_key_index *index;
};

static void reopen_store(struct fixture *f)
{
    f->store = test_open(&f->dir);
    f->queue = rc_topic_queue(test_topic(f->store, TEST_TOPIC, 4), 1);
}

static void open_index(struct fixture *f)
{
    assert_int_equal(rc_key_index_open(f->store, &f->index), RC_OK);
}

static int set_up(void **state)
{
    struct fixture *f = rc_new(struct fixture);
    test_dir_make(&f->dir);
    reopen_store(f);
    open_index(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    rc_key_index_close(f->index);
    rc_store_close(f->store);
    test_dir_remove(&f->dir);
    free(f);
    return 0;
}

static uint64_t append_to(struct fixture *f, struct rc_queue *queue, const char *keys, const char *unique,
                          const char *body)
{
    struct rc_buf props, record;
    rc_buf_init(&props, 1024);
    rc_buf_init(&record, RC_MESSAGE_MAX);
    if (keys != NULL)
        rc_buf_printf(&props, "KEYS\1%s\2", keys);
    if (unique != NULL)
        rc_buf_printf(&props, "UNIQ_KEY\1%s\2", unique);
    struct rc_message message = {
        .topic = rc_topic_name(rc_queue_topic(queue)),
        .queue_id = rc_queue_id(queue),
        .body = rc_slice_str(body),
        .props = rc_buf_slice(&props),
    };
    assert_int_equal(rc_message_encode(&record, &message), RC_OK);
    struct rc_append append = {.queue = queue, .record = record.data, .len = (uint32_t)rc_buf_len(&record)};
    assert_int_equal(rc_store_append(f->store, &append, 1), RC_OK);
    rc_buf_free(&props);
    rc_buf_free(&record);
    return append.ret_physical_offset;
}

static uint64_t append(struct fixture *f, const char *keys, const char *unique, const char *body)
{
    return append_to(f, f->queue, keys, unique, body);
}

static void advance(struct fixture *f)
{
    while (rc_key_index_advance(f->index, RC_KEY_INDEX_SLICE_BYTES))
        continue;
    assert_int_equal(rc_key_index_upto(f->index), rc_store_max_physical(f->store));
}

struct found {
    uint32_t count, max;
    char bodies[512];
};

static bool on_found(const struct rc_message *message, struct rc_slice record, void *arg)
{
    struct found *found = arg;
    size_t at = strlen(found->bodies);
    snprintf(found->bodies + at, sizeof(found->bodies) - at, "%.*s ", RC_SLICE_FMT(message->body));
    assert_int_equal(rc_load_u32(record.ptr), record.len);
    return ++found->count < found->max;
}

static const char *find_where(struct fixture *f, struct rc_key_query query, uint32_t max)
{
    static struct found found;
    found = (struct found){.max = max};
    rc_key_index_find(f->index, &query, on_found, &found);
    return found.bodies;
}

static const char *find(struct fixture *f, const char *key)
{
    return find_where(
        f, (struct rc_key_query){rc_slice_str(TEST_TOPIC), rc_slice_str(key), false, 0, INT64_MAX, NULL, 0},
        100);
}

static void test_messages_are_found_by_each_of_their_keys_newest_first(void **state)
{
    struct fixture *f = *state;
    append(f, "a b", "U1", "one");
    append(f, "b", "U2", "two");
    append(f, NULL, NULL, "none");
    append(f, "  a  ", "a", "three"); /* the same key twice shows it once */
    advance(f);
    assert_string_equal(find(f, "a"), "three one ");
    assert_string_equal(find(f, "b"), "two one ");
    assert_string_equal(find(f, "U2"), "two ");
    assert_string_equal(find(f, "c"), "");
    assert_string_equal(find(f, ""), "");
}

/* As Java's consumers take it. */
static void test_of_keys_that_come_twice_the_last_count(void **state)
{
    struct fixture *f = *state;
    append(f, "a\2UNIQ_KEY\1U\2KEYS\1b", NULL, "one");
    advance(f);
    assert_string_equal(find(f, "a"), "");
    assert_string_equal(find(f, "b"), "one ");
    assert_string_equal(find(f, "U"), "one ");
}

static void test_a_unique_key_is_not_mistaken_for_a_key(void **state)
{
    struct fixture *f = *state;
    append(f, "X", "Y", "key");
    append(f, "Y", "X", "unique");
    advance(f);
    struct rc_key_query query = {rc_slice_str(TEST_TOPIC), rc_slice_str("X"), true, 0, INT64_MAX, NULL, 0};
    assert_string_equal(find_where(f, query, 10), "unique ");
    query.topic = rc_slice_str("other");
    assert_string_equal(find_where(f, query, 10), "");
}

static void test_a_query_stops_at_its_count_and_keeps_to_its_time(void **state)
{
    struct fixture *f = *state;
    append(f, "k", NULL, "old");
    int64_t old_ms = rc_store_last_store_ms(f->store);
    usleep(5000);
    append(f, "k", NULL, "mid");
    int64_t mid_ms = rc_store_last_store_ms(f->store);
    usleep(5000);
    append(f, "k", NULL, "new");
    advance(f);
    struct rc_key_query query = {rc_slice_str(TEST_TOPIC), rc_slice_str("k"), false, 0, INT64_MAX, NULL, 0};
    assert_string_equal(find_where(f, query, 2), "new mid ");
    query.begin_ms = query.end_ms = mid_ms;
    assert_string_equal(find_where(f, query, 10), "mid ");
    query.begin_ms = 0;
    assert_string_equal(find_where(f, query, 10), "mid old ");
    query.begin_ms = old_ms + 1;
    query.end_ms = INT64_MAX;
    assert_string_equal(find_where(f, query, 10), "new mid ");
    query.end_ms = old_ms - 1;
    query.begin_ms = 0;
    assert_string_equal(find_where(f, query, 10), "");
}

/* Enough to fill several segments of 64 KiB; every hundredth has the key. */
static void fill(struct fixture *f, int from, int to)
{
    for (int i = from; i < to; i++) {
        char keys[32], body[400];
        snprintf(keys, sizeof(keys), i % 100 == 0 ? "k%d hundred" : "k%d", i);
        memset(body, 'x', sizeof(body));
        snprintf(body, sizeof(body), "%d", i);
        body[strlen(body)] = '-';
        body[sizeof(body) - 1] = '\0';
        append(f, keys, NULL, body);
    }
}

static void assert_hundreds(struct fixture *f, int from, int to)
{
    struct rc_key_query query = {
        rc_slice_str(TEST_TOPIC), rc_slice_str("hundred"), false, 0, INT64_MAX, NULL, 0};
    static struct found found;
    found = (struct found){.max = 1000};
    rc_key_index_find(f->index, &query, on_found, &found);
    assert_int_equal(found.count, (to - from + 99) / 100);
    for (int i = from; i < to; i += 37) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(strtol(find(f, key), NULL, 10), i);
        assert_true(strlen(find(f, key)) > 0);
    }
}

static void test_all_segments_are_searched(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 1000);
    assert_true(rc_store_max_physical(f->store) > 5 * f->dir.options.segment_bytes);
    advance(f);
    assert_hundreds(f, 0, 1000);
    fill(f, 1000, 1100);
    advance(f);
    assert_hundreds(f, 0, 1100);
}

static void test_small_steps_lead_to_the_same(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 700);
    uint64_t before = 0;
    while (rc_key_index_advance(f->index, 1)) {
        assert_true(rc_key_index_upto(f->index) > before);
        before = rc_key_index_upto(f->index);
    }
    assert_hundreds(f, 0, 700);
}

static void test_a_restart_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 500);
    advance(f);
    fill(f, 500, 600); /* not indexed before the stop */
    rc_key_index_close(f->index);
    open_index(f);
    assert_true(rc_key_index_upto(f->index) > 2 * f->dir.options.segment_bytes);
    advance(f);
    assert_hundreds(f, 0, 600);
}

static void test_what_is_missing_or_damaged_is_made_again(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 500);
    advance(f);
    for (int kind = 0; kind < 5; kind++) {
        rc_key_index_close(f->index);
        int fd = test_open_file(&f->dir, "rollcall/index/00000000000000065536");
        switch (kind) {
        case 0: /* nothing in it */
            assert_int_equal(ftruncate(fd, 0), 0);
            break;
        case 1: /* entries are missing */
            assert_int_equal(ftruncate(fd, 100), 0);
            break;
        case 2: /* another file's mark */
            assert_int_equal(pwrite(fd, "x", 1, 0), 1);
            break;
        case 3: /* of a version with another hash */
            assert_int_equal(pwrite(fd, "01", 2, 6), 2);
            break;
        default: /* the check of the last message */
            assert_int_equal(pwrite(fd, "\0\0\0\0", 4, 32), 4);
        }
        close(fd);
        open_index(f);
        assert_int_equal(rc_key_index_upto(f->index), 65536);
        advance(f);
        assert_hundreds(f, 0, 500);
    }
}

/* All files of it: they hold other hashes, so nothing of them would be found. */
static void test_an_index_of_the_version_before_is_made_anew(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 500);
    advance(f);
    rc_key_index_close(f->index);
    for (uint64_t base = 0; base < rc_store_max_physical(f->store); base += f->dir.options.segment_bytes) {
        char name[64];
        snprintf(name, sizeof(name), "rollcall/index/%020llu", (unsigned long long)base);
        int fd = test_open_file(&f->dir, name);
        assert_int_equal(pwrite(fd, "RCKEYS01", 8, 0), 8);
        for (off_t at = 40; at < lseek(fd, 0, SEEK_END); at += RC_KEY_ENTRY_LEN)
            assert_int_equal(pwrite(fd, "\1\2\3\4", 4, at), 4);
        close(fd);
    }
    open_index(f);
    assert_int_equal(rc_key_index_upto(f->index), 0);
    assert_string_equal(find(f, "k7"), "");
    assert_false(test_exists(&f->dir, "rollcall/index/00000000000000065536"));
    advance(f);
    assert_hundreds(f, 0, 500);
}

static void test_an_entry_that_lost_its_order_makes_the_unfinished_file_anew(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 20);
    advance(f);
    rc_key_index_close(f->index);
    int fd = test_open_file(&f->dir, "rollcall/index/00000000000000000000");
    assert_int_equal(pwrite(fd, "\0\0\0\0\0\0\0\0", 8, 40 + 8 * 10), 8);
    close(fd);
    open_index(f);
    assert_int_equal(rc_key_index_upto(f->index), 0);
    advance(f);
    assert_hundreds(f, 0, 20);
}

static void test_a_log_that_lost_its_end_and_went_on_differently_is_read_again(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 20);
    advance(f);
    rc_key_index_close(f->index);
    /* another log in the same place: as many messages, other keys */
    char saved[64] = "/tmp/rc-index-XXXXXX", command_from[256], command_to[256];
    assert_non_null(mkdtemp(saved));
    snprintf(command_from, sizeof(command_from), "%s/rollcall/index/00000000000000000000", f->dir.path);
    snprintf(command_to, sizeof(command_to), "%s/index", saved);
    assert_int_equal(rename(command_from, command_to), 0);
    rc_store_close(f->store);
    test_dir_remove(&f->dir);
    test_dir_make(&f->dir);
    reopen_store(f);
    fill(f, 100, 125);
    open_index(f);
    rc_key_index_close(f->index);
    snprintf(command_from, sizeof(command_from), "%s/rollcall/index/00000000000000000000", f->dir.path);
    assert_int_equal(rename(command_to, command_from), 0);
    rmdir(saved);
    open_index(f);
    assert_int_equal(rc_key_index_upto(f->index), 0);
    advance(f);
    assert_hundreds(f, 100, 125);
    assert_string_equal(find(f, "k5"), "");
}

static void test_files_go_with_their_segments(void **state)
{
    struct fixture *f = *state;
    fill(f, 0, 500);
    advance(f);
    assert_true(test_exists(&f->dir, "rollcall/index/00000000000000000000"));
    rc_key_index_close(f->index);
    rc_store_close(f->store);
    f->dir.options.retain_bytes = 2 * f->dir.options.segment_bytes;
    reopen_store(f);
    open_index(f);
    rc_store_retain(f->store, UINT64_MAX);
    assert_true(rc_store_min_physical(f->store) > 0);
    advance(f);
    assert_false(test_exists(&f->dir, "rollcall/index/00000000000000000000"));
    assert_string_equal(find(f, "k0"), "");
    assert_int_equal(strtol(find(f, "k499"), NULL, 10), 499);
}

static void test_an_index_that_retention_overtook_goes_on_behind_it(void **state)
{
    struct fixture *f = *state;
    rc_key_index_close(f->index);
    rc_store_close(f->store);
    f->dir.options.retain_bytes = 2 * f->dir.options.segment_bytes;
    reopen_store(f);
    open_index(f);
    fill(f, 0, 10);
    advance(f);
    fill(f, 10, 500);
    rc_store_retain(f->store, UINT64_MAX);
    assert_true(rc_store_min_physical(f->store) > 65536);
    advance(f);
    assert_string_equal(find(f, "k3"), "");
    assert_int_equal(strtol(find(f, "k450"), NULL, 10), 450);
    assert_int_equal(strtol(find(f, "k499"), NULL, 10), 499);
}

static void test_delayed_messages_are_found_only_under_their_own_topic(void **state)
{
    struct fixture *f = *state;
    struct rc_queue *delay = rc_topic_queue(test_topic(f->store, RC_DELAY_TOPIC, RC_DELAY_LEVELS), 2);
    append_to(f, delay, "k", "U", "waits");
    append(f, "k", "U", "came");
    advance(f);
    struct rc_key_query query = {
        rc_slice_str(RC_DELAY_TOPIC), rc_slice_str("k"), false, 0, INT64_MAX, NULL, 0};
    assert_string_equal(find_where(f, query, 10), "");
    assert_string_equal(find(f, "k"), "came ");
}

static void test_one_pass_finds_a_key_in_several_topics(void **state)
{
    struct fixture *f = *state;
    struct rc_queue *second = rc_topic_queue(test_topic(f->store, "second", 1), 0);
    struct rc_queue *third = rc_topic_queue(test_topic(f->store, "third", 1), 0);
    append(f, "k", NULL, "one");
    append_to(f, second, "k", NULL, "two");
    append_to(f, third, "k", NULL, "three");
    append_to(f, second, "x", NULL, "other");
    advance(f);
    struct rc_slice others[] = {rc_slice_str("absent"), rc_slice_str("second")};
    struct rc_key_query query = {rc_slice_str(TEST_TOPIC), rc_slice_str("k"), false, 0, INT64_MAX, others, 2};
    assert_string_equal(find_where(f, query, 10), "two one ");
    query.others_count = 1;
    assert_string_equal(find_where(f, query, 10), "one ");
}

static void test_more_keys_than_the_limit_are_left_out(void **state)
{
    struct fixture *f = *state;
    char keys[800] = "";
    for (int i = 0; i < 100; i++)
        snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "m%d ", i);
    append(f, keys, "U", "many");
    append(f, "after", NULL, "after");
    advance(f);
    assert_string_equal(find(f, "m0"), "many ");
    assert_string_equal(find(f, "m62"), "many ");
    assert_string_equal(find(f, "m63"), "");
    assert_string_equal(find(f, "after"), "after ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(test_messages_are_found_by_each_of_their_keys_newest_first),
        TEST(test_of_keys_that_come_twice_the_last_count),
        TEST(test_a_unique_key_is_not_mistaken_for_a_key),
        TEST(test_a_query_stops_at_its_count_and_keeps_to_its_time),
        TEST(test_all_segments_are_searched),
        TEST(test_small_steps_lead_to_the_same),
        TEST(test_a_restart_goes_on_where_it_was),
        TEST(test_what_is_missing_or_damaged_is_made_again),
        TEST(test_an_index_of_the_version_before_is_made_anew),
        TEST(test_an_entry_that_lost_its_order_makes_the_unfinished_file_anew),
        TEST(test_a_log_that_lost_its_end_and_went_on_differently_is_read_again),
        TEST(test_files_go_with_their_segments),
        TEST(test_an_index_that_retention_overtook_goes_on_behind_it),
        TEST(test_delayed_messages_are_found_only_under_their_own_topic),
        TEST(test_one_pass_finds_a_key_in_several_topics),
        TEST(test_more_keys_than_the_limit_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
