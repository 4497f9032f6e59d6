/* Rules of all types that are made here: what they may be, what stays, what older databases and files have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/test_registry.h"
#include "registry/transfer.h"

static int create(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_rule(registry, S("file"), arg, error);
}

static int update(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_update_rule(registry, S("file"), arg, error);
}

struct name {
    enum rc_rule_type type;
    const char *id;
};

static int drop(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    const struct name *name = arg;
    return rc_registry_delete_rule(registry, S("file"), name->type, S(name->id), error);
}

static int make_topic(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_topic(registry, S("file"), S(arg), error);
}

static int drop_topic(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_delete_topic(registry, S("file"), S(arg), error);
}

static struct rc_registry_rule outflow(const char *id, const char *mqtt_topic, const char *topic)
{
    return (struct rc_registry_rule){.type = RC_RULE_OUTFLOW,
                                     .id = S(id),
                                     .description = S("what goes out"),
                                     .mqtt_topic = S(mqtt_topic),
                                     .topic = S(topic),
                                     .queues = 2,
                                     .is_enabled = true};
}

static struct rc_registry_rule inflow(const char *id, const char *mqtt_topic, const char *topic)
{
    struct rc_registry_rule rule = outflow(id, mqtt_topic, topic);
    rule.type = RC_RULE_INFLOW;
    rule.is_from_first = true;
    return rule;
}

static void test_rules_of_all_types_outlive_a_restart(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_rule out = outflow("out-1", "filed", "OUT"), in = inflow("in-1", "filed", "IN");
    struct name wrong = {RC_RULE_INFLOW, "out-1"}, right = {RC_RULE_OUTFLOW, "out-1"};
    assert_int_equal(perform(rig, create, &out), 0);
    assert_int_equal(perform(rig, create, &in), 0);
    rig_restart(rig);
    const struct rc_flow_rule *flow = rc_instance_flow(&instance_of(rig, "file")->outflows, S("out-1"));
    assert_true(flow != NULL && flow->is_enabled && flow->queues == 2 && flow->target == NULL);
    assert_true(rc_slice_eq_str(flow->topic_name, "OUT") &&
                rc_slice_eq_str(flow->description, "what goes out"));
    flow = rc_instance_flow(&instance_of(rig, "file")->inflows, S("in-1"));
    assert_true(flow != NULL && flow->is_from_first && rc_slice_eq_str(flow->mqtt_topic, "filed"));
    assert_true(rc_slice_eq_str(flow->group, "GID_rollcall_file_in-1"));
    out.is_enabled = false;
    assert_int_equal(perform(rig, update, &out), 0);
    assert_false(rc_instance_flow(&instance_of(rig, "file")->outflows, S("out-1"))->is_enabled);
    assert_int_equal(perform(rig, drop, &wrong), RC_ERR_NOT_FOUND);
    assert_int_equal(perform(rig, drop, &right), 0);
    assert_int_equal(perform(rig, drop, &right), RC_ERR_NOT_FOUND);
    rig_restart(rig);
    assert_int_equal(instance_of(rig, "file")->outflows.count, 0);
    assert_int_equal(instance_of(rig, "file")->inflows.count, 1);
}

static void test_an_id_is_one_rules_whatever_its_type(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_rule out = outflow("r-1", "filed", "OUT"), in = inflow("r-1", "filed", "IN");
    struct rc_registry_rule status = {
        .id = S("r-1"), .group = S("GID_file"), .topic = S("T"), .queues = 1, .is_enabled = true};
    assert_int_equal(perform(rig, create, &out), 0);
    assert_int_equal(perform(rig, create, &in), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, create, &status), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, update, &in), RC_ERR_NOT_FOUND);
    in.id = S("r-2");
    assert_int_equal(perform(rig, create, &in), 0);
    in.id = S("r-3"); /* the MQTT topic has one */
    assert_int_equal(perform(rig, create, &in), RC_ERR_EXISTS);
}

static void test_what_the_file_declares_is_not_changed_here(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_catalog *declared = rig_declared();
    struct rc_flow_rule flow = {
        .id = S("out-1"), .mqtt_topic = S("filed"), .topic_name = S("OUT"), .queues = 1, .is_enabled = true};
    assert_int_equal(
        rc_catalog_add_flow_rule(&rc_catalog_edit_instance(declared, S("file"))->outflows, &flow), 0);
    assert_int_equal(rc_registry_declare(rig->registry, declared, NULL, &error), 0);
    struct rc_registry_rule out = outflow("out-1", "filed", "OTHER");
    struct name name = {RC_RULE_OUTFLOW, "out-1"};
    assert_int_equal(perform(rig, create, &out), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, update, &out), RC_ERR_DENIED);
    assert_int_equal(perform(rig, drop, &name), RC_ERR_DENIED);
    rc_catalog_unref(declared);
}

/* ---- jobs of one turn ---- */

static void test_a_rule_that_cannot_be_prepared_fails_alone(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_rule good = outflow("good", "filed", "OUT"), bad = inflow("bad", "filed", "IN");
    struct doing doings[] = {
        {.body = create, .arg = &good}, {.body = create, .arg = &bad}, {.body = make_topic, .arg = "beside"}};
    rig->unprepared = "bad";
    perform_together(rig, doings, 3);
    assert_int_equal(doings[0].job.err, 0);
    assert_int_equal(doings[1].job.err, RC_ERR_FULL);
    assert_string_equal(doings[1].job.error.text, "more rules than the limit");
    assert_int_equal(doings[2].job.err, 0);
    rig->unprepared = NULL;
    rig_restart(rig);
    const struct rc_instance *instance = instance_of(rig, "file");
    assert_true(rc_instance_has_rule(instance, S("good")) && !rc_instance_has_rule(instance, S("bad")));
    assert_true(rc_instance_has_topic(instance, S("beside")));
}

static int touch_and_fail(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    int err = rc_registry_create_group(registry, S("file"), S("GID_gone"), error);
    rc_registry_touch_client(registry, S("file"), S(arg));
    return err ? err : RC_ERR_BUSY;
}

static int count_touched(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    assert_int_equal(registry->change.clients_count, 0);
    assert_int_equal(registry->touched_used, 0);
    return RC_OK;
}

static void test_who_was_named_by_a_job_that_fails_takes_no_room(void **state)
{
    struct doing doings[] = {{.body = touch_and_fail, .arg = "GID_file@@@one"},
                             {.body = touch_and_fail, .arg = "GID_file@@@two"},
                             {.body = count_touched}};
    perform_together(*state, doings, 3);
    assert_int_equal(doings[0].job.err, RC_ERR_BUSY);
}

static void test_an_instance_has_a_limit_of_rules(void **state)
{
    struct rig *rig = *state;
    char id[16];
    for (int i = 0; i <= RC_CATALOG_RULES_MAX; i++) {
        snprintf(id, sizeof(id), "topic-%d", i);
        assert_int_equal(perform(rig, make_topic, id), 0);
        struct rc_registry_rule out = outflow(id, id, "OUT");
        assert_int_equal(perform(rig, create, &out), i < RC_CATALOG_RULES_MAX ? 0 : RC_ERR_FULL);
    }
    assert_int_equal(perform(rig, drop_topic, "topic-0"), RC_ERR_BUSY);
    assert_int_equal(perform(rig, drop_topic, "topic-100"), 0);
}

static void test_what_a_rule_may_not_name(void **state)
{
    static const char *const topics[] = {
        "", "RC_RULE_x", "%RETRY%GID", "%DLQ%GID", "SCHEDULE_TOPIC_XXXX", "TBW102", "a/b", "a b"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        struct rc_registry_rule out = outflow("out-1", "filed", topics[i]),
                                in = inflow("in-1", "filed", topics[i]);
        assert_int_equal(perform(rig, create, &out), RC_ERR_INVALID);
        assert_int_equal(perform(rig, create, &in), RC_ERR_INVALID);
    }
    struct rc_registry_rule out = outflow("out-1", "nowhere", "OUT");
    assert_int_equal(perform(rig, create, &out), RC_ERR_NOT_FOUND);
    out = outflow("out-1", "filed", "");
    out.target_instance = S("no");
    out.target_topic = S("T");
    assert_int_equal(perform(rig, create, &out), RC_ERR_NOT_FOUND);
    struct rc_registry_rule in = inflow("in-1", "filed", "IN");
    in.consumer_group = S("GID_mine"); /* goes with another cluster */
    assert_int_equal(perform(rig, create, &in), RC_ERR_INVALID);
    assert_int_equal(rc_instance_rules_count(instance_of(rig, "file")), 0);
}

static void test_a_consumer_group_is_one_inflow_rules(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_target target = {.name = S("far"), .nameservers = S("h:1")},
                     same = {.name = S("alias"), .nameservers = S("h:1")};
    assert_int_equal(rc_catalog_add_target(rig->declared, &target), 0);
    assert_int_equal(rc_catalog_add_target(rig->declared, &same), 0);
    assert_int_equal(rc_registry_declare(rig->registry, rig->declared, NULL, &error), 0);
    struct rc_registry_rule one = inflow("in-1", "filed", ""), two = inflow("in-2", "other", "");
    assert_int_equal(perform(rig, make_topic, "other"), 0);
    one.target_instance = S("far");
    two.target_instance = S("alias");
    one.target_topic = two.target_topic = S("T");
    one.consumer_group = two.consumer_group = S("GID_shared");
    assert_int_equal(perform(rig, create, &one), 0);
    assert_int_equal(perform(rig, update, &one), 0);
    assert_int_equal(perform(rig, create, &two), RC_ERR_BUSY);
    two.consumer_group = S("");
    assert_int_equal(perform(rig, create, &two), 0);
}

/* A database as the first version made it. */
static void test_rules_of_an_older_database_are_status_rules(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_rule status = {
        .id = S("r-1"), .group = S("GID_file"), .topic = S("T"), .queues = 1, .is_enabled = true};
    sqlite3 *db;
    assert_int_equal(perform(rig, create, &status), 0);
    rc_registry_stop(rig->registry);
    rc_registry_close(rig->registry);
    assert_int_equal(sqlite3_open(rig->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "DROP INDEX groups_declared; DROP INDEX topics_declared; DROP INDEX keys_declared;"
                     "DROP INDEX credentials_declared; DROP INDEX identities_declared;"
                     "DROP INDEX permissions_declared; DROP INDEX blacklist_declared;"
                     "DROP INDEX certificates_declared;"
                     "ALTER TABLE rules DROP COLUMN type; ALTER TABLE rules DROP COLUMN description;"
                     "ALTER TABLE rules DROP COLUMN mqtt_topic;"
                     "ALTER TABLE rules DROP COLUMN consumer_group;"
                     "ALTER TABLE rules DROP COLUMN is_from_first;"
                     "ALTER TABLE credentials DROP COLUMN origin; ALTER TABLE identities DROP COLUMN origin;"
                     "ALTER TABLE permissions DROP COLUMN origin; ALTER TABLE blacklist DROP COLUMN origin;"
                     "ALTER TABLE certificates DROP COLUMN origin; ALTER TABLE instances DROP COLUMN profile;"
                     "ALTER TABLE instances DROP COLUMN limits; ALTER TABLE instances DROP COLUMN is_traced;"
                     "DROP TABLE tags;"
                     "CREATE TABLE tags (type TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL,"
                     " value TEXT NOT NULL, PRIMARY KEY (type, id, key)) STRICT, WITHOUT ROWID;"
                     "PRAGMA user_version = 1",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct rc_error error = {0};
    assert_int_equal(rig_open(rig, &error), 0);
    const struct rc_status_rule *rule = rc_trie_find(&instance_of(rig, "file")->status_rules, S("r-1"));
    assert_true(rule != NULL && rule->description.len == 0);
    struct rc_registry_rule out = outflow("out-1", "filed", "OUT");
    assert_int_equal(perform(rig, create, &out), 0);
}

static void import(struct rig *rig, FILE *file, int64_t rows)
{
    struct rc_error error = {0};
    rewind(file);
    assert_int_equal(rc_registry_import(rig->registry, NULL, NULL, file, &error), rows);
    fclose(file);
    rig_restart(rig);
}

static void test_an_export_has_rules_of_all_types(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_registry_rule in = inflow("in-1", "filed", "IN");
    struct name name = {RC_RULE_INFLOW, "in-1"};
    assert_int_equal(perform(rig, create, &in), 0);
    FILE *file = tmpfile();
    int64_t rows = rc_registry_export(rig->registry, NULL, file, &error);
    assert_int_equal(perform(rig, drop, &name), 0);
    import(rig, file, rows);
    const struct rc_flow_rule *flow = rc_instance_flow(&instance_of(rig, "file")->inflows, S("in-1"));
    assert_true(flow != NULL && flow->is_from_first && rc_slice_eq_str(flow->description, "what goes out"));
}

static void test_an_older_export_has_status_rules(void **state)
{
    struct rig *rig = *state;
    FILE *file = tmpfile();
    fputs(
        "{\"kind\":\"rollcall-registry\",\"version\":1}\n"
        "{\"kind\":\"rules\",\"instance\":\"file\",\"id\":\"r-1\",\"group_id\":\"GID_file\",\"topic\":\"T\","
        "\"target_instance\":\"\",\"target_topic\":\"\",\"queues\":1,\"is_enabled\":1,\"fails_over\":0}\n",
        file);
    import(rig, file, 1);
    assert_non_null(rc_trie_find(&instance_of(rig, "file")->status_rules, S("r-1")));
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(test_rules_of_all_types_outlive_a_restart),
        IN_RIG(test_an_id_is_one_rules_whatever_its_type),
        IN_RIG(test_what_the_file_declares_is_not_changed_here),
        IN_RIG(test_a_rule_that_cannot_be_prepared_fails_alone),
        IN_RIG(test_who_was_named_by_a_job_that_fails_takes_no_room),
        IN_RIG(test_an_instance_has_a_limit_of_rules),
        IN_RIG(test_what_a_rule_may_not_name),
        IN_RIG(test_a_consumer_group_is_one_inflow_rules),
        IN_RIG(test_rules_of_an_older_database_are_status_rules),
        IN_RIG(test_an_export_has_rules_of_all_types),
        IN_RIG(test_an_older_export_has_status_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
