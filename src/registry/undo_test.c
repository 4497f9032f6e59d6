/* What was prepared and cannot be kept is taken back: of a job alone, of a whole turn, of a declaration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/test_registry.h"

static int make_inflow(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_rule rule = {.type = RC_RULE_INFLOW,
                                    .id = S(arg),
                                    .mqtt_topic = S("filed"),
                                    .topic = S("IN"),
                                    .queues = 1,
                                    .is_enabled = true};
    return rc_registry_create_rule(registry, S("file"), &rule, error);
}

static int drop_inflow(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_delete_rule(registry, S("file"), RC_RULE_INFLOW, S(arg), error);
}

static int make_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_group(registry, S("file"), S(arg), error);
}

static int drop_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_delete_group(registry, S("file"), S(arg), error);
}

/* As a full disk: what was written so far stands, and the last step does not. */
static int refuse_commit(void *arg)
{
    return *(bool *)arg;
}

static bool is_there(const struct rig *rig)
{
    const struct rc_instance *instance = instance_of(rig, "file");
    return instance != NULL && rc_instance_has_rule(instance, S("in-1"));
}

static void test_a_commit_that_fails_takes_back_what_was_prepared(void **state)
{
    struct rig *rig = *state;
    bool is_refused = true;
    struct doing doings[] = {{.body = drop_inflow, .arg = "in-1"}, {.body = make_group, .arg = "GID_new"}};
    assert_int_equal(perform(rig, make_inflow, "in-1"), 0);
    sqlite3_commit_hook(rig->registry->sql.db, refuse_commit, &is_refused);
    perform_together(rig, doings, 2);
    assert_true(doings[0].job.err < 0 && doings[1].job.err < 0);
    assert_int_equal(rig->unprepared_times, 1);
    assert_ptr_equal(rig->stays, rig->registry->catalog);
    assert_true(is_there(rig));
    perform_together(rig, doings + 1, 1); /* nothing was prepared for it */
    assert_int_equal(rig->unprepared_times, 1);
    is_refused = false;
    perform_together(rig, doings, 2);
    assert_true(doings[0].job.err == 0 && doings[1].job.err == 0);
    assert_int_equal(rig->unprepared_times, 1);
    assert_false(is_there(rig));
}

static void test_a_job_that_was_prepared_in_part_is_taken_back_alone(void **state)
{
    struct rig *rig = *state;
    struct doing doings[] = {{.body = drop_inflow, .arg = "in-1"}, {.body = make_inflow, .arg = "in-2"}};
    assert_int_equal(perform(rig, make_inflow, "in-1"), 0);
    rig->unprepared = "in-2";
    perform_together(rig, doings, 2);
    assert_int_equal(doings[0].job.err, 0);
    assert_int_equal(doings[1].job.err, RC_ERR_FULL);
    assert_int_equal(rig->unprepared_times, 1); /* to what the first job had made */
    assert_ptr_not_equal(rig->stays, NULL);
    assert_false(is_there(rig));
}

static void declare_nothing(struct rig *rig, int expected)
{
    struct rc_error error = {0};
    struct rc_catalog *empty = rc_catalog_create();
    int err = rc_registry_declare(rig->registry, empty, NULL, &error);
    assert_true(expected != 0 ? err < 0 : err == 0);
    rc_catalog_unref(empty);
}

static void test_a_declaration_counts_with_its_commit(void **state)
{
    struct rig *rig = *state;
    bool is_refused = true;
    rig->prepare_err = RC_ERR_IO;
    declare_nothing(rig, RC_ERR_IO);
    rig->prepare_err = 0;
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_DENIED); /* it is the file's still */
    sqlite3_commit_hook(rig->registry->sql.db, refuse_commit, &is_refused);
    declare_nothing(rig, RC_ERR_IO);
    is_refused = false;
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_DENIED);
    assert_int_equal(perform(rig, make_group, "GID_mine"), 0); /* so that the instance stays */
    declare_nothing(rig, RC_OK);
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_NOT_FOUND);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(test_a_commit_that_fails_takes_back_what_was_prepared),
        IN_RIG(test_a_job_that_was_prepared_in_part_is_taken_back_alone),
        IN_RIG(test_a_declaration_counts_with_its_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
