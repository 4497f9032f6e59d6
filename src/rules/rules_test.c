#include "store/test_store.h"

#include "base/hash.h"
#include "rules/rules.h"
#include "rules/rules_private.h"
#include "store/fs.h"

#include <sys/resource.h>

#define LOG_TOPIC RC_RULE_TOPIC_PREFIX "one_0123456789abcdef"

struct world {
    struct test_dir dir;
    struct rc_store *store;
    struct rc_rules *rules;
    struct rc_catalog *catalog;
};

/* A cluster that nobody answers for, and a rule that leads to a topic of it by one of the log. */
static struct rc_catalog *make_catalog_to(const char *topic, const char *log_topic, bool is_enabled)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    struct rc_group *group;
    struct rc_target target = {.name = rc_slice_str("apache"), .nameservers = rc_slice_str("127.0.0.1:1")};
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("test"), &instance), RC_OK);
    assert_int_equal(rc_catalog_add_group(instance, rc_slice_str("GID_test"), &group), RC_OK);
    assert_int_equal(rc_catalog_add_target(catalog, &target), RC_OK);
    assert_int_equal(rc_catalog_set_status_rule(instance, group, rc_slice_str("one"), rc_slice_str(log_topic),
                                                1, is_enabled),
                     RC_OK);
    rc_catalog_set_rule_target(group->status_rule, rc_trie_find(&catalog->targets, rc_slice_str("apache")),
                               rc_slice_str(topic), false);
    return catalog;
}

static struct rc_catalog *make_catalog(bool is_enabled)
{
    return make_catalog_to("there", LOG_TOPIC, is_enabled);
}

static void open_rules(struct world *world, bool is_enabled)
{
    struct rc_error error = {.text = ""};
    world->store = test_open(&world->dir);
    world->catalog = make_catalog(is_enabled);
    assert_int_equal(rc_rules_create(world->store, &world->rules, &error), RC_OK);
    if (rc_rules_apply(world->rules, world->catalog, &error) != RC_OK)
        fail_msg("%s", error.text);
}

static void close_rules(struct world *world)
{
    rc_rules_destroy(world->rules);
    rc_store_close(world->store);
    rc_catalog_unref(world->catalog);
}

static int set_up(void **state)
{
    struct world *world = rc_new(struct world);
    test_dir_make(&world->dir);
    open_rules(world, true);
    *state = world;
    return 0;
}

/* What syncs many files is quick where there is no disk. */
static int set_up_in_memory(void **state)
{
    const char *before = getenv("TMPDIR");
    char *kept = before != NULL ? rc_strdup(before) : NULL;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    set_up(state);
    if (kept != NULL)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
    free(kept);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    close_rules(world);
    test_dir_remove(&world->dir);
    free(world);
    return 0;
}

static void append(struct world *world, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        test_append(world->store, rc_topic_queue(test_topic(world->store, LOG_TOPIC, 1), 0), "{}");
}

static void retention_goes_no_further_than_what_was_sent(void **state)
{
    struct world *world = *state;
    append(world, 10);
    uint64_t end = rc_store_max_physical(world->store);
    assert_int_equal(rc_rules_keep_from(world->rules, end), 0);
    world->rules->feeds[0]->cursor = 4;
    uint64_t fourth = end / 10 * 4;
    /* Not by what is known in memory alone: after a crash it would be sent again. */
    assert_int_equal(rc_rules_keep_from(world->rules, end), 0);
    assert_int_equal(rc_feed_save(world->rules->feeds[0]), RC_OK);
    assert_int_equal(rc_rules_keep_from(world->rules, end), fourth);
    world->rules->feeds[0]->cursor = 10;
    assert_int_equal(rc_feed_save(world->rules->feeds[0]), RC_OK);
    assert_int_equal(rc_rules_keep_from(world->rules, end), end);
}

/* From here on no file can be opened, and so none of the first 100 entries of the rule's queue be read. */
static void make_log_unreadable(struct world *world, struct rlimit *ret_before)
{
    append(world, 110);
    assert_true(rc_queue_store_ms(world->rules->feeds[0]->queue, 105) > 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
}

/* A log that cannot be asked is not one in which nothing waits. */
static void retention_deletes_nothing_while_the_log_cannot_be_read(void **state)
{
    struct world *world = *state;
    struct rlimit limit;
    make_log_unreadable(world, &limit);
    uint64_t end = rc_store_max_physical(world->store);
    uint64_t keep = rc_rules_keep_from(world->rules, end);
    uint64_t held = rc_feed_held_bytes(world->rules->feeds[0]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(keep, 0);
    assert_int_equal(held, end);
    assert_int_equal(rc_feed_held_bytes(world->rules->feeds[0]), end);
}

static void retention_goes_no_further_than_what_an_inflow_rule_has_taken(void **state)
{
    struct world *world = *state;
    struct rc_queue *queue = rc_topic_queue(test_topic(world->store, "GID_in", 1), 0);
    struct rc_queue *retries =
        rc_topic_queue(test_topic(world->store, "%RETRY%GID_rollcall_test_flow", 1), 0);
    struct rc_slice group = rc_slice_str("GID_rollcall_test_flow");
    struct rc_error error;
    struct rc_flow_rule rule = {.id = rc_slice_str("flow"),
                                .mqtt_topic = rc_slice_str("sensors"),
                                .topic_name = rc_slice_str("GID_in"),
                                .group = group,
                                .is_enabled = true};
    uint64_t places[10], retried = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 7)
            retried = test_append(world->store, retries, "{}").ret_physical_offset;
        places[i] = test_append(world->store, queue, "{}").ret_physical_offset;
    }
    uint64_t end = rc_store_max_physical(world->store);
    assert_int_equal(rc_rules_keep_from(world->rules, end), end);
    struct rc_catalog *catalog = make_catalog(true);
    struct rc_instance *instance = rc_trie_find(&catalog->instances, rc_slice_str("test"));
    assert_int_equal(rc_catalog_add_flow_rule(&instance->inflows, &rule), RC_OK);
    assert_int_equal(rc_rules_apply(world->rules, catalog, &error), RC_OK);
    assert_int_equal(rc_rules_keep_from(world->rules, end), places[0]);
    rc_offsets_set(world->store, group, queue, 4);
    assert_int_equal(rc_rules_keep_from(world->rules, end), places[4]);
    rc_offsets_set(world->store, group, queue, 10);
    assert_int_equal(rc_rules_keep_from(world->rules, end), retried);
    rc_offsets_set(world->store, group, retries, 1);
    assert_int_equal(rc_rules_keep_from(world->rules, end), end);
    rc_offsets_set(world->store, group, queue, 4);
    assert_int_equal(rc_rules_apply(world->rules, world->catalog, &error), RC_OK); /* without the rule */
    assert_int_equal(rc_rules_keep_from(world->rules, end), end);
    rc_catalog_unref(catalog);
}

static void a_cursor_behind_the_end_of_the_log_is_brought_back_for_good(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    append(world, 10);
    feed->cursor = 20; /* sent, and the log's end went with the power */
    feed->drop_to = 18;
    feed->dropped_settled = 12;
    assert_int_equal(rc_feed_save(feed), RC_OK);
    close_rules(world);
    open_rules(world, true);
    assert_int_equal(world->rules->feeds[0]->cursor, 10);
    append(world, 20); /* the cluster stays away meanwhile */
    close_rules(world);
    open_rules(world, true);
    feed = world->rules->feeds[0];
    assert_int_equal(feed->cursor, 10);
    assert_int_equal(feed->drop_to, 10);
    assert_int_equal(feed->dropped_by_operator, 10);
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.delivered, 0);
    assert_int_equal(feed->stats.waiting, 20);
}

static void the_cursor_and_the_queues_are_there_after_a_restart_also_of_a_disabled_rule(void **state)
{
    struct world *world = *state;
    append(world, 10);
    struct rc_feed *feed = world->rules->feeds[0];
    feed->cursor = 7;
    feed->dropped_lost = 2;
    feed->dropped_settled = 3;
    feed->fails_over = true;
    rc_layout_take_route(
        &feed->layout,
        rc_slice_str("{\"brokerDatas\":[{\"brokerAddrs\":{0:\"127.0.0.1:1\"},\"brokerName\":\"a\"}],"
                     "\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,\"writeQueueNums\":5}]}"),
        false);
    assert_int_equal(feed->layout.queues, 5);
    assert_int_equal(rc_feed_save(feed), RC_OK);
    close_rules(world);
    open_rules(world, false);
    assert_int_equal(world->rules->feeds_count, 1);
    feed = world->rules->feeds[0];
    assert_string_equal(feed->target_topic, "there");
    assert_int_equal(feed->cursor, 7);
    assert_int_equal(feed->dropped_lost, 2);
    assert_int_equal(feed->dropped_by_operator, 3);
    assert_int_equal(feed->layout.queues, 5);
    assert_string_equal(feed->layout.brokers[0].name, "a");
    assert_true(feed->fails_over); /* as its rule last said */
}

/* The feed learns of one broker with one queue, and sends what it may. */
static void pump_to_one_queue(struct world *world, struct rc_feed *feed)
{
    while (rc_loop_drain(world->rules->loop))
        ;
    rc_layout_take_route(
        &feed->layout,
        rc_slice_str("{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127.0.0.1:1\"},\"brokerName\":\"a\"}],"
                     "\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,\"writeQueueNums\":1}]}"),
        false);
    feed->has_route = true;
    rc_feed_pump(feed);
}

static void what_an_operator_drops_is_what_waits_and_what_comes_back(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    append(world, 10);
    pump_to_one_queue(world, feed);
    assert_int_equal(feed->read_to, 10);
    assert_int_equal(feed->queues[0].in_flight, 10);
    feed->queues[0].in_flight = 4; /* as if the batch had been smaller */
    assert_int_equal(rc_feed_drop(feed, 8), 4);
    assert_int_equal(rc_feed_drop(feed, 8), 0);
    assert_int_equal(feed->cursor, 0);
    assert_int_equal(feed->dropped_settled, 0); /* a crash now would send 0-3 again and drop 4-7 again */
    assert_int_equal(feed->drop_to, 8);
    feed->queues[0].in_flight = 0; /* the broker refused it */
    rc_feed_drop_returned(&feed->queues[0]);
    assert_int_equal(feed->cursor, 8);
    assert_int_equal(feed->queues[0].head, 8);
    assert_int_equal(feed->dropped_by_operator, 8);
    assert_int_equal(feed->dropped_settled, 8);
    append(world, 10);
    assert_int_equal(rc_feed_drop(feed, 20), 12); /* also what was not read yet */
    assert_int_equal(feed->cursor, 20);
    rc_feed_pump(feed);
    assert_int_equal(feed->queues[0].head, RC_FEED_NONE);
    assert_int_equal(feed->dropped_settled, 20);
}

static void a_batch_may_be_larger_again_when_many_were_stored(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    pump_to_one_queue(world, feed);
    struct rc_feed_queue *queue = &feed->queues[0];
    queue->batch_max = 3;
    for (int i = 1; i < RC_FEED_GROW_AFTER; i++)
        rc_feed_grow(queue);
    assert_int_equal(queue->batch_max, 3);
    rc_feed_grow(queue);
    assert_int_equal(queue->batch_max, 6);
    for (int i = 0; i < 10 * RC_FEED_GROW_AFTER; i++)
        rc_feed_grow(queue);
    assert_int_equal(queue->batch_max, RC_FEED_BATCH_MESSAGES);
}

static void an_operator_drops_one_message_alone(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    append(world, 10);
    pump_to_one_queue(world, feed);
    feed->queues[0].in_flight = 1;
    assert_int_equal(rc_feed_drop_one(feed, 5), 1); /* it waits */
    assert_int_equal(rc_feed_drop_one(feed, 5), 0);
    assert_int_equal(rc_feed_drop_one(feed, 9), 1); /* the last */
    assert_int_equal(feed->queues[0].tail, 8);
    assert_int_equal(rc_feed_drop_one(feed, 10), 0); /* there is none */
    assert_int_equal(rc_feed_drop_one(feed, 0), 0);  /* it is under way */
    assert_int_equal(feed->cursor, 0);
    feed->queues[0].in_flight = 0; /* and was refused */
    rc_feed_drop_returned(&feed->queues[0]);
    assert_int_equal(feed->cursor, 1);
    assert_int_equal(feed->queues[0].head, 1);
    assert_int_equal(feed->dropped_by_operator, 3);
    assert_int_equal(feed->dropped_settled, 1);
    rc_feed_set_cluster(feed, NULL);
    assert_int_equal(rc_feed_drop_one(feed, 1), 1);
    assert_int_equal(feed->cursor, 2);
    append(world, 1);
    assert_int_equal(rc_feed_drop_one(feed, 10), 1); /* not read yet */
    assert_int_equal(feed->dropped_by_operator, 5);
}

static void a_crash_amid_an_operators_drop_counts_nothing_twice(void **state)
{
    struct world *world = *state;
    append(world, 10);
    world->rules->feeds[0]->cursor = 2; /* under way, when the rest was dropped */
    world->rules->feeds[0]->drop_to = 7;
    assert_int_equal(rc_feed_save(world->rules->feeds[0]), RC_OK);
    close_rules(world);
    open_rules(world, true);
    struct rc_feed *feed = world->rules->feeds[0];
    assert_int_equal(feed->drop_to, 7);
    pump_to_one_queue(world, feed);
    assert_int_equal(feed->cursor, 7);
    assert_int_equal(feed->dropped_by_operator, 5);
    assert_int_equal(feed->queues[0].head, 7);
}

/* Two messages of two queues; the second was delivered. */
static struct rc_feed *deliver_ahead(struct world *world)
{
    struct rc_feed *feed = world->rules->feeds[0];
    append(world, 2);
    pump_to_one_queue(world, feed);
    feed->window[1].is_done = true;
    feed->window[0].next = RC_FEED_NONE;
    feed->queues[0].tail = 0;
    feed->queues[0].in_flight = 1;
    feed->done_ahead = 1;
    return feed;
}

static void another_connection_takes_nothing_back_that_was_delivered(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = deliver_ahead(world);
    struct rc_cluster *cluster = feed->cluster;
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.delivered, 1);
    rc_feed_set_cluster(feed, NULL);
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.delivered, 1);
    assert_int_equal(feed->stats.waiting, 1);
    assert_non_null(strstr(feed->stats.error, "no RocketMQ instance of this name"));
    rc_feed_set_cluster(feed, cluster);
    rc_feed_tick(feed);
    assert_string_equal(feed->stats.error, "");
    pump_to_one_queue(world, feed);
    assert_int_equal(feed->queues[0].head, 0);
    assert_int_equal(feed->queues[0].tail, 0);
}

static void an_operator_drops_also_while_there_is_no_cluster(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = deliver_ahead(world);
    rc_feed_set_cluster(feed, NULL);
    append(world, 3);
    assert_int_equal(rc_feed_drop(feed, 4), 3); /* 0, 2 and 3: 1 was delivered */
    assert_int_equal(feed->cursor, 4);
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.delivered, 1);
    assert_int_equal(feed->stats.dropped_by_operator, 3);
    assert_int_equal(feed->stats.waiting, 1);
}

/* ---- former targets ---- */

static void drain(struct world *world)
{
    while (rc_loop_drain(world->rules->loop))
        ;
}

static void apply(struct world *world, struct rc_catalog *catalog)
{
    struct rc_error error = {.text = ""};
    if (rc_rules_apply(world->rules, catalog, &error) != RC_OK)
        fail_msg("%s", error.text);
    if (!world->rules->is_running)
        drain(world);
}

/* All go by a catalog whose rule leads elsewhere, or by one without rules. */
static void retarget(struct world *world, const char *log_topic)
{
    struct rc_catalog *catalog =
        log_topic != NULL ? make_catalog_to(log_topic, log_topic, true) : rc_catalog_create();
    apply(world, catalog);
    rc_rules_published(world->rules, catalog);
    rc_catalog_unref(catalog);
}

static bool has_file(struct world *world, const char *topic)
{
    char name[256];
    struct stat found;
    snprintf(name, sizeof(name), "rule-%s", topic);
    return fstatat(rc_store_own_dir(world->store), name, &found, 0) == 0;
}

static uint32_t count_files(struct world *world, const char *prefix)
{
    char path[256];
    uint32_t count = 0;
    snprintf(path, sizeof(path), "%s/rollcall", world->dir.path);
    DIR *dir = opendir(path);
    for (struct dirent *one; (one = readdir(dir)) != NULL;)
        count += strncmp(one->d_name, prefix, strlen(prefix)) == 0;
    closedir(dir);
    return count;
}

/* Sent, as far as the feed knows: nothing is asked of the name server any more either. */
static void pretend_sent(struct rc_feed *feed, uint64_t cursor)
{
    feed->cursor = feed->read_to = cursor;
    feed->is_asking = false;
}

static void a_former_target_is_forgotten_when_nothing_is_owed_to_it(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    struct rc_queue *queue = feed->queue;
    append(world, 3);
    pretend_sent(feed, 2);
    assert_true(rc_queue_hold(queue)); /* a channel that is open */
    retarget(world, RC_RULE_TOPIC_PREFIX "one_2");
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 2); /* one message is owed, and a tcpclean */
    pretend_sent(feed, 3);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 2); /* the tcpclean */
    append(world, 1);
    rc_queue_release(queue);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 2); /* which has to be sent */
    assert_true(rc_queue_hold(queue));              /* nothing is closed to whoever is early */
    rc_queue_release(queue);
    pretend_sent(feed, 4);
    assert_true(has_file(world, LOG_TOPIC));
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 1);
    assert_int_equal(world->rules->known, 1);
    assert_string_equal(world->rules->feeds[0]->topic, RC_RULE_TOPIC_PREFIX "one_2");
    assert_false(has_file(world, LOG_TOPIC));
    assert_false(rc_queue_hold(queue));
    uint64_t end = rc_store_max_physical(world->store);
    assert_int_equal(rc_rules_keep_from(world->rules, end), end);
}

static void what_still_asks_or_is_under_way_is_not_forgotten(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    retarget(world, NULL);
    feed->is_asking = true; /* its name server where the topic is */
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 1);
    feed->is_asking = false;
    feed->under_way = 1;
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 1);
    feed->under_way = 0;
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 0);
}

static void a_target_is_kept_until_all_go_by_the_catalog_without_it(void **state)
{
    struct world *world = *state;
    struct rc_catalog *without = rc_catalog_create(), *disabled = make_catalog(false);
    rc_rules_published(world->rules, world->catalog);
    apply(world, without); /* and then it could not be committed */
    pretend_sent(world->rules->feeds[0], 0);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 1);
    apply(world, disabled);
    rc_rules_published(world->rules, disabled);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 1); /* its rule may be enabled again */
    apply(world, without);
    rc_rules_published(world->rules, without);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 0);
    rc_catalog_unref(without);
    rc_catalog_unref(disabled);
}

static void a_target_that_is_made_again_begins_at_the_end_of_its_topic(void **state)
{
    struct world *world = *state;
    append(world, 5);
    pretend_sent(world->rules->feeds[0], 5);
    retarget(world, NULL);
    rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 0);
    retarget(world, LOG_TOPIC);
    append(world, 2);
    struct rc_feed *feed = world->rules->feeds[0];
    rc_feed_tick(feed);
    assert_int_equal(feed->cursor, 5);
    assert_int_equal(feed->stats.matched, 2);
    assert_int_equal(feed->stats.delivered, 0);
    assert_int_equal(feed->stats.waiting, 2);
    pretend_sent(feed, 6);
    assert_int_equal(rc_feed_save(feed), RC_OK);
    close_rules(world); /* as after kill -9: nothing more is saved */
    open_rules(world, true);
    feed = world->rules->feeds[0];
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.matched, 2);
    assert_int_equal(feed->stats.delivered, 1);
}

static void thousands_of_targets_leave_no_file_and_no_refusal(void **state)
{
    enum { CHANGES = RC_RULES_MAX + 150 };
    struct world *world = *state;
    struct rc_error error;
    struct rc_log_writer *writer;
    char topic[64];
    assert_int_equal(rc_log_writer_start(world->store, NULL, &writer, &error), RC_OK);
    assert_int_equal(rc_rules_start(world->rules, writer, &error), RC_OK);
    for (int i = 0; i < CHANGES; i++) {
        snprintf(topic, sizeof(topic), RC_RULE_TOPIC_PREFIX "one_%d", i);
        retarget(world, i % 20 == 19 ? NULL : topic);
    }
    rc_rules_stop(world->rules);
    assert_int_equal(rc_log_writer_stop(writer), RC_OK);
    assert_in_range(world->rules->feeds_count, 1, RC_RULES_MAX);
    close_rules(world); /* with some that were not looked at any more */
    world->store = test_open(&world->dir);
    world->catalog = rc_catalog_create();
    assert_int_equal(rc_rules_create(world->store, &world->rules, &error), RC_OK);
    apply(world, world->catalog);
    rc_rules_published(world->rules, world->catalog);
    for (uint32_t i = 0; i < world->rules->feeds_count; i++)
        world->rules->feeds[i]->is_asking = false;
    for (int i = 0; i <= RC_RULES_MAX / RC_RULES_SWEPT_AT_ONCE; i++)
        rc_former_sweep(world->rules);
    assert_int_equal(world->rules->feeds_count, 0);
    assert_int_equal(count_files(world, "rule-"), 0);
}

/* ---- one broker of several ---- */

static void a_rule_says_which_broker_it_waits_for_and_that_its_window_is_full(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    append(world, 10);
    pump_to_one_queue(world, feed);
    rc_feed_tick(feed);
    assert_string_equal(feed->stats.waits_for, ""); /* it was sent, and nothing is known against it */
    feed->queues[0].attempts = 1;
    rc_feed_tick(feed);
    assert_string_equal(feed->stats.waits_for, "a");
    assert_false(feed->stats.is_window_full);
    feed->read_to = feed->cursor + RC_FEED_WINDOW;
    rc_feed_tick(feed);
    assert_true(feed->stats.is_window_full);
    assert_true(feed->window_alarm.is_on);
    feed->queues[0].attempts = 0; /* it takes them: then a full window is haste, and no alarm */
    rc_feed_tick(feed);
    assert_false(feed->stats.is_window_full);
    assert_false(feed->window_alarm.is_on);
    feed->read_to = 10;
}

static void a_refusal_is_told_in_its_own_words(void **state)
{
    struct world *world = *state;
    struct rc_remoting answer = {.code = 1,
                                 .remark = rc_slice_str("disk is\tfull, \xc3\xa4\n\tat java.lang")};
    rc_feed_tell_refusal(world->rules->feeds[0], "broker a", &answer);
    assert_string_equal(world->rules->feeds[0]->error, "broker a: code 1, disk is?full, ??");
    answer.remark = rc_slice("", 0);
    rc_feed_tell_refusal(world->rules->feeds[0], "broker a", &answer);
    assert_string_equal(world->rules->feeds[0]->error, "broker a: code 1, without a reason");
}

/* ---- files ---- */

/* The form that versions before this one gave it. */
static void an_older_versions_file_is_read_and_becomes_one_of_this(void **state)
{
    struct world *world = *state;
    int dir = rc_store_own_dir(world->store);
    append(world, 9);
    assert_int_equal(rc_fs_replace_file(dir, "rule-" LOG_TOPIC,
                                        rc_slice_str("{\"topic\":\"" LOG_TOPIC "\",\"rule\":\"one\","
                                                     "\"instance\":\"test\",\"target\":\"apache\","
                                                     "\"targetTopic\":\"there\",\"cursor\":7,\"dropped\":2,"
                                                     "\"droppedByOperator\":1,\"dropTo\":3,\"failover\":true,"
                                                     "\"brokers\":[{\"name\":\"a\",\"queues\":5}]}"),
                                        false),
                     RC_OK);
    close_rules(world);
    open_rules(world, true);
    for (int i = 0; i < 2; i++) {
        struct rc_feed *feed = world->rules->feeds[0];
        rc_feed_tick(feed); /* what is new of it is the form of its file */
        assert_int_equal(feed->cursor, 7);
        assert_int_equal(feed->begun, 0);
        assert_int_equal(feed->dropped_lost, 2);
        assert_int_equal(feed->layout.queues, 5);
        assert_true(feed->file.slot_bytes > 0);
        close_rules(world);
        open_rules(world, true);
    }
}

/* No file can be made beside it, as on a disk that others have filled. */
static void a_cursor_is_saved_without_room_on_the_disk(void **state)
{
    struct world *world = *state;
    int dir = rc_store_own_dir(world->store);
    append(world, 5);
    assert_int_equal(mkdirat(dir, "rule-" LOG_TOPIC ".tmp", 0700), 0);
    for (uint64_t cursor = 1; cursor <= 5; cursor++) {
        pretend_sent(world->rules->feeds[0], cursor);
        assert_int_equal(rc_feed_save(world->rules->feeds[0]), RC_OK);
        close_rules(world);
        open_rules(world, true);
        assert_int_equal(world->rules->feeds[0]->cursor, cursor);
    }
    assert_int_equal(unlinkat(rc_store_own_dir(world->store), "rule-" LOG_TOPIC ".tmp", AT_REMOVEDIR), 0);
}

static void an_inflow_rules_beginning_is_kept_for_as_long_as_the_rule(void **state)
{
    struct world *world = *state;
    struct rc_flow_rule rule = {.id = rc_slice_str("in-1"),
                                .mqtt_topic = rc_slice_str("sensors"),
                                .topic_name = rc_slice_str("GID_in"),
                                .group = rc_slice_str("GID_in")};
    struct rc_catalog *catalog = make_catalog(true);
    struct rc_instance *instance = rc_trie_find(&catalog->instances, rc_slice_str("test"));
    assert_int_equal(rc_catalog_add_flow_rule(&instance->inflows, &rule), RC_OK);
    int64_t since = rc_inflow_since(world->rules, rc_slice_str("test"), &rule);
    assert_true(since > 0);
    rc_rules_published(world->rules, catalog); /* it is disabled */
    assert_int_equal(count_files(world, "inflow-"), 1);
    assert_int_equal(rc_inflow_since(world->rules, rc_slice_str("test"), &rule), since);
    rc_rules_published(world->rules, world->catalog);
    assert_int_equal(count_files(world, "inflow-"), 0);
    rc_catalog_unref(catalog);
}

static void a_log_that_cannot_be_read_is_told_of(void **state)
{
    struct world *world = *state;
    struct rc_feed *feed = world->rules->feeds[0];
    struct rlimit limit;
    while (rc_loop_drain(world->rules->loop))
        ;
    make_log_unreadable(world, &limit);
    pump_to_one_queue(world, feed);
    rc_feed_tick(feed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(feed->stats.state, RC_RULE_RETRYING);
    assert_non_null(strstr(feed->stats.error, "the log: "));
    rc_feed_pump(feed);
    rc_feed_tick(feed);
    assert_int_equal(feed->stats.state, RC_RULE_RUNNING);
}

static void a_damaged_file_is_refused_by_name(void **state)
{
    struct world *world = *state;
    struct rc_error error = {.text = ""};
    struct rc_rules *rules = NULL;
    int dir = rc_store_own_dir(world->store);
    assert_int_equal(rc_fs_replace_file(dir, "rule-" LOG_TOPIC, rc_slice_str("{\"topic\":"), false), RC_OK);
    assert_int_not_equal(rc_rules_create(world->store, &rules, &error), RC_OK);
    assert_non_null(strstr(error.text, "rule-" LOG_TOPIC));
}

#define BROKER(name, address) "{\"brokerAddrs\":{\"0\":\"" address "\"},\"brokerName\":\"" name "\"}"
#define QUEUES(name, perm, count)                                                                            \
    "{\"brokerName\":\"" name "\",\"perm\":" perm ",\"writeQueueNums\":" count ",\"readQueueNums\":9}"
#define ROUTE(brokers, queues) rc_slice_str("{\"brokerDatas\":[" brokers "],\"queueDatas\":[" queues "]}")

static void a_broker_that_the_name_server_forgets_keeps_its_queues(void **state)
{
    struct rc_layout layout = {.count = 0};
    uint32_t id;
    assert_true(rc_layout_take_route(
        &layout,
        ROUTE(BROKER("b", "h:2") "," BROKER("a", "h:1"), QUEUES("b", "6", "4") "," QUEUES("a", "6", "2")),
        false));
    assert_int_equal(layout.queues, 6);
    assert_string_equal(rc_layout_find(&layout, 1, &id)->name, "a");
    assert_string_equal(rc_layout_find(&layout, 3, &id)->name, "b");
    assert_int_equal(id, 1);
    assert_false(rc_layout_take_route(&layout, ROUTE(BROKER("b", "h:3"), QUEUES("b", "6", "4")), false));
    assert_int_equal(layout.queues, 6);
    assert_false(rc_layout_named(&layout, "a")->is_there);
    assert_string_equal(rc_layout_named(&layout, "b")->address, "h:3");
    assert_true(rc_layout_take_route(&layout, ROUTE(BROKER("b", "h:3"), QUEUES("b", "6", "4")), true));
    assert_int_equal(layout.queues, 4);
}

static void only_writable_queues_of_sane_brokers_count(void **state)
{
    struct rc_layout layout = {.count = 0};
    rc_layout_take_route(&layout,
                         ROUTE(BROKER("a", "h:1") "," BROKER("b", "h:2"),
                               QUEUES("a", "4", "4") "," QUEUES("b", "6", "-1") "," QUEUES("c", "6", "4")),
                         false);
    assert_int_equal(layout.queues, 0);
    assert_false(rc_layout_take_route(&layout, rc_slice_str("no JSON"), false));
}

static void a_client_has_the_queue_that_its_id_gives_not_its_escaped_key(void **state)
{
    struct rc_message message = {.props = rc_slice_str("KEYS\1GID_a@@@b%20%E4%B8%AD%\2")};
    assert_int_equal(rc_feed_client_hash(&message), rc_hash_java(rc_slice_str("GID_a@@@b \xe4\xb8\xad%")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(retention_goes_no_further_than_what_was_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_cursor_and_the_queues_are_there_after_a_restart_also_of_a_disabled_rule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_operator_drops_is_what_waits_and_what_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_batch_may_be_larger_again_when_many_were_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_operator_drops_one_message_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crash_amid_an_operators_drop_counts_nothing_twice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(retention_deletes_nothing_while_the_log_cannot_be_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(retention_goes_no_further_than_what_an_inflow_rule_has_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_behind_the_end_of_the_log_is_brought_back_for_good, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_connection_takes_nothing_back_that_was_delivered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_operator_drops_also_while_there_is_no_cluster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_cannot_be_read_is_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_former_target_is_forgotten_when_nothing_is_owed_to_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_still_asks_or_is_under_way_is_not_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_target_is_kept_until_all_go_by_the_catalog_without_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_target_that_is_made_again_begins_at_the_end_of_its_topic, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(thousands_of_targets_leave_no_file_and_no_refusal, set_up_in_memory,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_rule_says_which_broker_it_waits_for_and_that_its_window_is_full,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_is_told_in_its_own_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_versions_file_is_read_and_becomes_one_of_this, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cursor_is_saved_without_room_on_the_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_inflow_rules_beginning_is_kept_for_as_long_as_the_rule, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_refused_by_name, set_up, tear_down),
        cmocka_unit_test(a_broker_that_the_name_server_forgets_keeps_its_queues),
        cmocka_unit_test(only_writable_queues_of_sane_brokers_count),
        cmocka_unit_test(a_client_has_the_queue_that_its_id_gives_not_its_escaped_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
