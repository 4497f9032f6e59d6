/* What goes on beside changes: reads, and the keeping of the write-ahead log. How long changes took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/semaphore.h"
#include "registry/test_registry.h"

#include <semaphore.h>
#include <sys/stat.h>

enum { PATIENCE_MS = 10000 };

struct reading {
    struct rc_registry_job job;
    sem_t has_begun, may_end, is_done;
    int groups;
    bool is_in_catalog;
};

static void count_names(const struct rc_registry_name *row, void *arg)
{
    (*(int *)arg)++;
}

static int list_groups(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct reading *reading = rc_container_of(job, struct reading, job);
    struct rc_registry_page page = {.limit = RC_REGISTRY_PAGE_MAX};
    const struct rc_instance *instance = rc_catalog_instance(rc_registry_catalog(registry), S("file"));
    sem_post(&reading->has_begun);
    rc_semaphore_wait(&reading->may_end, PATIENCE_MS);
    reading->is_in_catalog = rc_instance_group(instance, S("GID_last")) != NULL;
    return rc_registry_list_groups(registry, S("file"), &page, count_names, &reading->groups, NULL);
}

static int change_something(struct rc_registry *registry, struct rc_registry_job *job)
{
    return rc_registry_create_group(registry, S("file"), S("GID_by_a_read"), &job->error);
}

static void on_done(struct rc_registry_job *job)
{
    sem_post(&rc_container_of(job, struct reading, job)->is_done);
}

static void begin(struct rig *rig, struct reading *reading,
                  int (*run)(struct rc_registry *registry, struct rc_registry_job *job))
{
    *reading = (struct reading){.job = {.run = run, .on_done = on_done}};
    sem_init(&reading->has_begun, 0, 0);
    sem_init(&reading->may_end, 0, 0);
    sem_init(&reading->is_done, 0, 0);
    assert_int_equal(rc_registry_post_read(rig->registry, &reading->job), 0);
}

static int end(struct reading *reading)
{
    sem_post(&reading->may_end);
    assert_true(rc_semaphore_wait(&reading->is_done, PATIENCE_MS));
    return reading->job.err;
}

static int make_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_group(registry, S("file"), S(arg), error);
}

static int call(struct rig *rig, const char *group)
{
    struct doing doing = {.job.run = run_body, .body = make_group, .arg = group};
    return rc_registry_call(rig->registry, &doing.job);
}

static void start(struct rig *rig)
{
    struct rc_error error = {0};
    assert_int_equal(rc_registry_start(rig->registry, &error), 0);
}

static void test_a_read_that_takes_long_holds_no_change_up(void **state)
{
    struct rig *rig = *state;
    struct reading reading;
    char name[32];
    start(rig);
    begin(rig, &reading, list_groups);
    assert_true(rc_semaphore_wait(&reading.has_begun, PATIENCE_MS));
    for (int i = 0; i < 100; i++) { /* more than it could be told of one by one */
        snprintf(name, sizeof(name), "GID_%04d", i);
        assert_int_equal(call(rig, name), 0);
    }
    struct rc_registry_stats stats;
    rc_registry_stats(rig->registry, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.waiting_reads, 1);
    assert_int_equal(end(&reading), 101);
}

static void test_a_read_sees_what_was_answered_before(void **state)
{
    struct rig *rig = *state;
    struct reading before, after;
    start(rig);
    begin(rig, &before, list_groups); /* the view of the next changes comes while this one is under way */
    assert_true(rc_semaphore_wait(&before.has_begun, PATIENCE_MS));
    assert_int_equal(call(rig, "GID_first"), 0);
    assert_int_equal(call(rig, "GID_last"), 0);
    begin(rig, &after, list_groups);
    end(&before);
    assert_false(before.is_in_catalog);
    assert_int_equal(end(&after), 3);
    assert_int_equal(after.groups, 3);
    assert_true(after.is_in_catalog);
}

static void test_a_read_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct reading reading;
    start(rig);
    begin(rig, &reading, change_something);
    assert_int_equal(end(&reading), RC_ERR_DENIED);
    begin(rig, &reading, list_groups);
    assert_int_equal(end(&reading), 1);
}

static void test_reads_are_answered_at_the_stop_too(void **state)
{
    struct rig *rig = *state;
    struct reading reading;
    begin(rig, &reading, list_groups); /* before the start it waits */
    sem_post(&reading.may_end);
    start(rig);
    rc_registry_stop(rig->registry);
    assert_int_equal(end(&reading), 1);
    begin(rig, &reading, list_groups);
    rc_registry_close(rig->registry);
    rig->registry = NULL;
    assert_int_equal(end(&reading), RC_ERR_CLOSED);
}

static uint64_t counted(const struct rc_registry_stats *stats)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= RC_REGISTRY_REACH_BOUNDS; i++)
        count += stats->reach[i];
    return count;
}

static void test_changes_are_counted_by_how_long_they_took(void **state)
{
    struct rig *rig = *state;
    struct reading reading;
    struct rc_registry_stats stats;
    start(rig);
    assert_int_equal(call(rig, "GID_one"), 0);
    assert_int_equal(call(rig, "GID_one"), RC_ERR_EXISTS);
    begin(rig, &reading, list_groups);
    end(&reading);
    rc_registry_stats(rig->registry, &stats);
    assert_int_equal(counted(&stats), 1); /* what changed nothing has reached nobody */
    assert_true(stats.reach_max_us > 0 && stats.reach_sum_us == stats.reach_max_us);
}

/* ---- the write-ahead log ---- */

enum { ROUNDS = 30, PAGE = 4096 + 24, LOG_MAX = 2 * 8192 * PAGE };

/* Some 700 pages, behind those of the round before. */
static int put_many(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    char text[256];
    snprintf(
        text, sizeof(text),
        "INSERT INTO tags SELECT 'group', 'r%04d', printf('%%06d', i), 0, printf('%%9000d', i) FROM"
        " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 350) SELECT i FROM n)",
        *(const int *)arg);
    int err = rc_registry_begin(registry, error);
    return err                                                                   ? err
           : sqlite3_exec(registry->sql.db, text, NULL, NULL, NULL) == SQLITE_OK ? RC_OK
                                                                                 : RC_ERR_IO;
}

/* Not at the start, which has to be quick, but soon; a change that comes at once waits for nothing but that.
 */
static void test_the_log_has_its_size_soon_after_the_start(void **state)
{
    struct rig *rig = *state;
    struct stat info;
    char log[sizeof(rig->path) + 8];
    snprintf(log, sizeof(log), "%s-wal", rig->path);
    assert_int_equal(stat(log, &info), 0);
    assert_true(info.st_size < 1000 * PAGE);
    start(rig);
    assert_int_equal(call(rig, "GID_one"), 0);
    for (int i = 0; i < 1000 && info.st_size <= 1000 * PAGE; i++) {
        usleep(10 * 1000);
        assert_int_equal(stat(log, &info), 0);
    }
    assert_true(info.st_size > 1000 * PAGE);
    assert_int_equal(call(rig, "GID_two"), 0); /* waits for what is still being written */
    assert_int_equal(stat(log, &info), 0);
    off_t before = info.st_size;
    assert_int_equal(call(rig, "GID_three"), 0);
    assert_int_equal(stat(log, &info), 0);
    assert_int_equal(info.st_size, before);
}

static void test_the_logs_keeping_is_no_changes_business_and_bounds_it(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_stats stats;
    struct stat info;
    char log[sizeof(rig->path) + 8];
    snprintf(log, sizeof(log), "%s-wal", rig->path);
    /* It is not the disk that is tried here. */
    assert_int_equal(sqlite3_exec(rig->registry->sql.db, "PRAGMA synchronous = OFF", NULL, NULL, NULL),
                     SQLITE_OK);
    start(rig);
    for (int i = 0; i < ROUNDS; i++) {
        struct doing doing = {.job.run = run_body, .body = put_many, .arg = &i};
        assert_int_equal(rc_registry_call(rig->registry, &doing.job), 0);
        assert_int_equal(stat(log, &info), 0);
        assert_in_range(info.st_size, 1, LOG_MAX);
    }
    rc_registry_stop(rig->registry);
    rc_registry_stats(rig->registry, &stats);
    assert_true(stats.checkpoints > 0);
    /* SQLite's own would be made by the commit that finds the log too long. */
    assert_int_equal(rc_sql_number(&rig->registry->sql,
                                   rc_sql_bind(&rig->registry->sql, "PRAGMA wal_autocheckpoint", ""), -1),
                     0);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(test_a_read_that_takes_long_holds_no_change_up),
        IN_RIG(test_a_read_sees_what_was_answered_before),
        IN_RIG(test_a_read_changes_nothing),
        IN_RIG(test_reads_are_answered_at_the_stop_too),
        IN_RIG(test_changes_are_counted_by_how_long_they_took),
        IN_RIG(test_the_log_has_its_size_soon_after_the_start),
        IN_RIG(test_the_logs_keeping_is_no_changes_business_and_bounds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
