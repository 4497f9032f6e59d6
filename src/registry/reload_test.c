/* A reload among what the API made: what shows and hides, and what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/acl.h"
#include "registry/test_registry.h"

enum { MANY = 3000, STEPS_MORE = 300 /* that a reload may take for what the API made */ };

static void reload(struct rig *rig, struct rc_catalog *declared)
{
    struct rc_error error = {0};
    if (rc_registry_declare(rig->registry, declared, NULL, &error) != RC_OK)
        fail_msg("%s", error.text);
}

/* ---- what it costs ---- */

#define NUMBERS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
static const char fill[] = NUMBERS
    " INSERT INTO groups SELECT 'file', 'GID_made' || i, 0, 1, 1 FROM n;" NUMBERS
    " INSERT INTO topics SELECT 'file', 'topic' || i, 0, 1, 1 FROM n;" NUMBERS
    " INSERT INTO blacklist SELECT 'file', 'client' || i, 1, 0 FROM n;" NUMBERS
    " INSERT INTO permissions SELECT 'file', 0, 'user' || i, 'topic', 1, 0, 0 FROM n;" NUMBERS
    " INSERT INTO certificates SELECT 'file', 'ca', 'sn' || i, '', '', '', '', 1, 1, 1, 0 FROM n;" NUMBERS
    " INSERT INTO tags SELECT 'group', 'file/GID_made' || i, 'k', 0, 'v' FROM n;";

/* What SQLite had to do, over all statements. */
static int steps_done(const struct rig *rig)
{
    int steps = 0;
    for (sqlite3_stmt *one = NULL; (one = sqlite3_next_stmt(rig->registry->sql.db, one)) != NULL;)
        steps += sqlite3_stmt_status(one, SQLITE_STMTSTATUS_VM_STEP, 0);
    return steps;
}

/* One of each kind that there may be many of. */
static struct rc_catalog *declare_all_kinds(void)
{
    struct rc_catalog *catalog = rig_declared();
    struct rc_instance *instance = rc_catalog_edit_instance(catalog, S("file"));
    struct rc_custom_permission permission = {S("filed/#"), RC_ACL_READ, false};
    assert_int_equal(rc_catalog_put_credential(instance, S("GID_file@@@one"), S("DC.file"), S("secret")), 0);
    assert_int_equal(rc_catalog_put_identity(instance, S("user"), S(""), S("secret"), false), 0);
    assert_int_equal(rc_catalog_put_permission(instance, false, S("user"), &permission), 0);
    rc_catalog_put_mark(&instance->black, S("bad"), INT64_MAX);
    rc_catalog_put_mark(&instance->devices, S("ca/declared"), INT64_MAX);
    assert_int_equal(rc_catalog_declare_tag(instance, S("GID_file"), S("k"), S("v")), 0);
    return catalog;
}

static int cost_of_reload(struct rig *rig, struct rc_catalog *declared)
{
    int before = steps_done(rig);
    reload(rig, declared);
    return steps_done(rig) - before;
}

static void test_a_reload_costs_what_the_file_declares_and_not_what_there_is(void **state)
{
    struct rig *rig = *state;
    struct rc_catalog *declared = declare_all_kinds();
    reload(rig, declared);
    int few = cost_of_reload(rig, declared);
    assert_int_equal(sqlite3_exec(rig->registry->sql.db, fill, NULL, NULL, NULL), SQLITE_OK);
    rig_restart(rig);
    reload(rig, declared);
    assert_int_equal(instance_of(rig, "file")->groups.count, MANY + 1);
    assert_int_equal(instance_of(rig, "file")->permissions.count, MANY + 1);
    assert_int_equal(instance_of(rig, "file")->devices.count, MANY + 1);
    int many = cost_of_reload(rig, declared);
    if (many > few + STEPS_MORE)
        fail_msg("%d steps of SQLite among %d of each kind, %d among none", many, MANY, few);
    rc_catalog_unref(declared);
}

/* ---- what shows and hides ---- */

static void ignore(const struct rc_registry_credential *row, void *arg)
{
}

static int make_all(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_permission permission = {false, S("user"), S("made/#"), RC_ACL_WRITE, false, false};
    struct rc_registry_identity identity = {
        .username = S("user"), .client_id = S("client"), .is_client = true, .secret = S("of the API")};
    struct rc_registry_rule rule = {.type = RC_RULE_STATUS_NOTICE,
                                    .id = S("made-rule"),
                                    .group = S("GID_made"),
                                    .topic = S("MADE"),
                                    .queues = 1,
                                    .is_enabled = true};
    int err = rc_registry_create_group(registry, S("file"), S("GID_made"), error);
    err = err ? err : rc_registry_create_rule(registry, S("file"), &rule, error);
    err =
        err ? err
            : rc_registry_register_credential(registry, S("file"), S("GID_file@@@one"), ignore, NULL, error);
    err = err ? err : rc_registry_add_identity(registry, S("file"), &identity, error);
    err = err ? err : rc_registry_add_permission(registry, S("file"), &permission, error);
    return err ? err : rc_registry_add_black(registry, S("file"), S("bad"), error);
}

static void expect(const struct rig *rig, bool is_declared)
{
    const struct rc_instance *file = instance_of(rig, "file");
    const struct rc_credential *credential = rc_instance_credential(file, S("GID_file@@@one"));
    const struct rc_custom_permissions *permissions = rc_instance_permissions(file, false, S("user"));
    assert_non_null(credential);
    assert_int_equal(rc_slice_eq_str(credential->access_key, "DC.file"), is_declared);
    assert_non_null(permissions);
    assert_int_equal(permissions->count, is_declared ? 2 : 1); /* of both together */
    assert_int_equal(rc_instance_exact_identity(file, S("user"), S("")) != NULL, is_declared);
    assert_non_null(rc_instance_exact_identity(file, S("user"), S("client")));
    assert_non_null(rc_instance_mark(&file->black, S("bad")));
    assert_int_equal(rc_instance_mark(&file->devices, S("ca/declared")) != NULL, is_declared);
    const struct rc_group *group = rc_instance_group(file, S("GID_made"));
    assert_non_null(group);
    assert_non_null(group->status_rule);
    assert_ptr_equal(group->status_rule, rc_trie_find(&file->status_rules, S("made-rule")));
}

static void test_what_the_api_made_shows_again_when_the_files_line_goes(void **state)
{
    struct rig *rig = *state;
    struct rc_catalog *declared = declare_all_kinds();
    assert_int_equal(perform(rig, make_all, NULL), 0);
    expect(rig, false);
    for (int i = 0; i < 2; i++) {
        reload(rig, declared);
        expect(rig, true);
        reload(rig, declared);
        expect(rig, true);
        reload(rig, rig->declared);
        expect(rig, false);
    }
    rig_restart(rig);
    expect(rig, false);
    rc_catalog_unref(declared);
}

/* A rule of the file for a group that the API made. */
static struct rc_catalog *declare_rule(const char *group_id)
{
    struct rc_catalog *catalog = rig_declared();
    struct rc_instance *instance = rc_catalog_edit_instance(catalog, S("file"));
    struct rc_group *group;
    assert_int_equal(rc_catalog_add_group(instance, S(group_id), &group), 0);
    assert_int_equal(rc_catalog_set_status_rule(instance, group, S("file-rule"), S("FILED"), 1, true), 0);
    return catalog;
}

static int make_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_group(registry, S("file"), S(arg), error);
}

static void test_a_group_that_the_file_declares_no_more_has_its_rule_no_more(void **state)
{
    struct rig *rig = *state;
    struct rc_catalog *declared = declare_rule("GID_made");
    assert_int_equal(perform(rig, make_group, "GID_made"), 0);
    reload(rig, declared);
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_made"))->status_rule);
    reload(rig, rig->declared);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_made"))->status_rule);
    assert_int_equal(instance_of(rig, "file")->status_rules.count, 0);
    rc_catalog_unref(declared);
}

static int make_standard(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    enum rc_profile profile = RC_PROFILE_STANDARD;
    struct rc_registry_settings settings = {.profile = &profile};
    int err = rc_registry_create_instance(registry, S("made"), S("made"), NULL, error);
    return err ? err : rc_registry_update_instance(registry, S("made"), &settings, error);
}

static void test_what_the_file_says_of_an_instance_counts_though_the_api_made_it_first(void **state)
{
    struct rig *rig = *state;
    struct rc_catalog *declared = rig_declared();
    struct rc_instance *instance;
    assert_int_equal(perform(rig, make_standard, NULL), 0);
    assert_int_equal(rc_catalog_add_instance(declared, S("made"), &instance), 0);
    reload(rig, declared);
    assert_int_equal(instance_of(rig, "made")->profile, RC_PROFILE_PRODUCT);
    rc_catalog_unref(rig->declared);
    rig->declared = declared;
    rig_restart(rig);
    assert_int_equal(instance_of(rig, "made")->profile, RC_PROFILE_PRODUCT);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(test_a_reload_costs_what_the_file_declares_and_not_what_there_is),
        IN_RIG(test_what_the_api_made_shows_again_when_the_files_line_goes),
        IN_RIG(test_a_group_that_the_file_declares_no_more_has_its_rule_no_more),
        IN_RIG(test_what_the_file_says_of_an_instance_counts_though_the_api_made_it_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
