#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/token.h"
#include "base/clock.h"
#include "registry/test_registry.h"
#include "registry/transfer.h"

#include <fcntl.h>
#include <sys/stat.h>

/* ---- names ---- */

static int make_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_create_group(registry, S("file"), S(arg), error);
}

static int drop_group(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_delete_group(registry, S("file"), S(arg), error);
}

static void count_names(const struct rc_registry_name *row, void *arg)
{
    (*(int *)arg)++;
}

static void test_what_was_made_outlives_a_restart_and_what_is_declared_is_the_files(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(perform(rig, make_group, "GID_made"), 0);
    assert_int_equal(perform(rig, make_group, "GID_made"), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, make_group, "GID_file"), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, make_group, "nonsense"), RC_ERR_INVALID);
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_DENIED);
    assert_int_equal(perform(rig, drop_group, "GID_none"), RC_ERR_NOT_FOUND);
    rig_restart(rig);
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_made")));
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_file")));
    int rows = 0;
    uint64_t total;
    struct rc_registry_page page = {.limit = 1};
    assert_int_equal(rc_registry_list_groups(rig->registry, S("file"), &page, count_names, &rows, &total), 1);
    assert_int_equal(total, 2);
    page.after = S("GID_file");
    assert_int_equal(rc_registry_list_groups(rig->registry, S("file"), &page, count_names, &rows, &total), 1);
    page.after = S("GID_made");
    assert_int_equal(rc_registry_list_groups(rig->registry, S("file"), &page, count_names, &rows, &total), 0);
    assert_int_equal(rows, 2);
    assert_int_equal(perform(rig, drop_group, "GID_made"), 0);
    rig_restart(rig);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_made")));
}

static void test_a_reload_leaves_alone_what_was_made_here(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_catalog *empty = rc_catalog_create();
    assert_int_equal(perform(rig, make_group, "GID_made"), 0);
    /* The instance is declared no longer, but a group was made in it. */
    assert_int_equal(rc_registry_declare(rig->registry, empty, NULL, &error), 0);
    assert_non_null(instance_of(rig, "file"));
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_file")));
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_made")));
    assert_null(rc_catalog_key(rc_registry_catalog(rig->registry), S("FAK")));
    /* Without it there is nothing to keep. */
    assert_int_equal(rc_registry_declare(rig->registry, rig->declared, NULL, &error), 0);
    assert_int_equal(perform(rig, drop_group, "GID_made"), 0);
    rc_catalog_unref(empty);
}

static void test_a_reload_that_fails_leaves_the_files_what_it_was(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_catalog *empty = rc_catalog_create();
    rig->prepare_err = RC_ERR_FULL;
    assert_int_equal(rc_registry_declare(rig->registry, empty, NULL, &error), RC_ERR_FULL);
    rig->prepare_err = 0;
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_file")));
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_DENIED);
    rc_catalog_unref(empty);
}

static void test_an_instance_that_nothing_hangs_on_goes_with_its_line(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_catalog *empty = rc_catalog_create();
    assert_int_equal(rc_registry_declare(rig->registry, empty, NULL, &error), 0);
    assert_null(instance_of(rig, "file"));
    assert_int_equal(perform(rig, make_group, "GID_made"), RC_ERR_NOT_FOUND);
    rc_catalog_unref(empty);
}

/* ---- jobs that fail ---- */

static int make_two_and_fail(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    assert_int_equal(rc_registry_create_group(registry, S("file"), S("GID_one"), error), 0);
    assert_non_null(
        rc_instance_group(rc_catalog_instance(rc_registry_catalog(registry), S("file")), S("GID_one")));
    return rc_registry_create_group(registry, S("file"), S("x"), error);
}

static void test_a_job_that_fails_leaves_nothing_behind(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(perform(rig, make_two_and_fail, NULL), RC_ERR_INVALID);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_one")));
    rig_restart(rig);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_one")));
}

static int make_rule(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_rule rule = {
        .id = S("r-1"), .group = S("GID_file"), .topic = S("events"), .queues = 4, .is_enabled = true};
    return rc_registry_create_rule(registry, S("file"), &rule, error);
}

static void test_a_catalog_that_cannot_be_prepared_is_not_kept(void **state)
{
    struct rig *rig = *state;
    rig->prepare_err = RC_ERR_NO_SPACE;
    assert_int_equal(perform(rig, make_rule, NULL), RC_ERR_NO_SPACE);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_file"))->status_rule);
    rig->prepare_err = 0;
    assert_int_equal(perform(rig, make_rule, NULL), 0);
    rig_restart(rig);
    assert_non_null(rc_instance_group(instance_of(rig, "file"), S("GID_file"))->status_rule);
    assert_int_equal(perform(rig, make_rule, NULL), RC_ERR_EXISTS);
    assert_int_equal(perform(rig, drop_group, "GID_file"), RC_ERR_DENIED);
}

/* ---- topics of rules ---- */

static int make_rule_to(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_rule rule = {
        .id = S("r-1"), .group = S("GID_file"), .topic = S(arg), .is_enabled = true};
    return rc_registry_create_rule(registry, S("file"), &rule, error);
}

static int change_rule_to(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_rule rule = {.id = S("r-1"), .topic = S(arg), .is_enabled = true};
    return rc_registry_update_rule(registry, S("file"), &rule, error);
}

static int make_other_instance(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct rc_registry_rule rule = {
        .id = S("r-1"), .group = S("GID_other"), .topic = S("others-rule"), .is_enabled = true};
    assert_int_equal(rc_registry_create_instance(registry, S("other"), S(""), NULL, error), 0);
    assert_int_equal(rc_registry_create_group(registry, S("other"), S("GID_other"), error), 0);
    return rc_registry_create_rule(registry, S("other"), &rule, error);
}

static const struct rc_status_rule *rule_of_file(const struct rig *rig)
{
    return rc_instance_group(instance_of(rig, "file"), S("GID_file"))->status_rule;
}

static void test_a_rule_takes_no_topic_that_is_the_servers_or_anothers(void **state)
{
    static const char *const wrong[] = {
        "SCHEDULE_TOPIC_XXXX", "TBW102",   "%RETRY%GID_file",    "%DLQ%GID_file",
        "ROLLCALL_PRESENCE",   "RC_RULE_", "RMQ_SYS_TRACE_TOPIC"};
    static const char *const others[] = {"others-rule", "others"};
    struct rig *rig = *state;
    rig->others_topic = "others";
    assert_int_equal(perform(rig, make_other_instance, NULL), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(perform(rig, make_rule_to, wrong[i]), RC_ERR_INVALID);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(perform(rig, make_rule_to, others[i]), RC_ERR_DENIED);
    assert_int_equal(perform(rig, make_rule_to, "own"), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(perform(rig, change_rule_to, wrong[i]), RC_ERR_INVALID);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(perform(rig, change_rule_to, others[i]), RC_ERR_DENIED);
    assert_true(rc_slice_eq_str(rule_of_file(rig)->topic_name, "own"));
    assert_int_equal(perform(rig, change_rule_to, "own"), 0);
    rig->others_topic = "own"; /* a database of before: what is another's is not led to */
    rig_restart(rig);
    assert_null(rule_of_file(rig));
}

/* ---- tags ---- */

enum { STEPS_MAX = 200 };

static const char tag_many[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                               " INSERT INTO tags SELECT 'group', 'file/GID_' || i, 'k', 0, 'v' FROM n";

static void count_tags(const struct rc_registry_tag *row, void *arg)
{
    ++*(int *)arg;
}

/* What SQLite had to do, over all statements. */
static int steps_done(const struct rig *rig)
{
    int steps = 0;
    for (sqlite3_stmt *one = NULL; (one = sqlite3_next_stmt(rig->registry->sql.db, one)) != NULL;)
        steps += sqlite3_stmt_status(one, SQLITE_STMTSTATUS_VM_STEP, 0);
    return steps;
}

static void test_the_tags_of_one_resource_are_found_without_reading_all(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_tag like = {.type = S("group"), .id = S("file/GID_250"), .key = S(""), .value = S("")};
    struct rc_registry_page page = {.limit = 10};
    uint64_t total = 0;
    int rows = 0;
    assert_int_equal(sqlite3_exec(rig->registry->sql.db, tag_many, NULL, NULL, NULL), SQLITE_OK);
    int before = steps_done(rig);
    assert_int_equal(rc_registry_list_tags(rig->registry, &like, &page, count_tags, &rows, &total), 1);
    assert_int_equal(rows, 1);
    assert_int_equal(total, 1);
    assert_true(steps_done(rig) - before < STEPS_MAX);
}

/* ---- credentials ---- */

struct kept {
    char access_key[80], secret[80];
};

static void keep_credential(const struct rc_registry_credential *row, void *arg)
{
    struct kept *kept = arg;
    snprintf(kept->access_key, sizeof(kept->access_key), "%.*s", RC_SLICE_FMT(row->access_key));
    snprintf(kept->secret, sizeof(kept->secret), "%.*s", RC_SLICE_FMT(row->secret));
}

#define CLIENT "GID_file@@@dev1"

static int register_client(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_register_credential(registry, S("file"), S(CLIENT), keep_credential,
                                           (void *)(uintptr_t)arg, error);
}

static int register_stranger(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_register_credential(registry, S("file"), S(arg), keep_credential,
                                           &(struct kept){{0}, {0}}, error);
}

static int refresh_client(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_refresh_credential(registry, S("file"), S(CLIENT), keep_credential,
                                          (void *)(uintptr_t)arg, error);
}

static int get_client(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_get_credential(registry, S("file"), S(CLIENT), keep_credential, (void *)(uintptr_t)arg,
                                      error);
}

static int unregister_client(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_unregister_credential(registry, S("file"), S(CLIENT), error);
}

static void test_device_credentials_are_kept_refreshed_and_dropped(void **state)
{
    struct rig *rig = *state;
    struct kept first = {0}, second = {0}, third = {0}, read = {0};
    assert_int_equal(perform(rig, refresh_client, &first), RC_ERR_NOT_FOUND);
    assert_int_equal(perform(rig, register_client, &first), 0);
    assert_int_equal(perform(rig, register_client, &second), 0);
    assert_string_not_equal(first.access_key, second.access_key);
    assert_int_equal(perform(rig, refresh_client, &third), 0);
    assert_string_equal(second.access_key, third.access_key);
    assert_string_not_equal(second.secret, third.secret);
    rig_restart(rig);
    const struct rc_credential *one = rc_instance_credential(instance_of(rig, "file"), S(CLIENT));
    assert_non_null(one);
    assert_true(rc_slice_eq_str(one->secret, third.secret));
    assert_int_equal(perform(rig, get_client, &read), 0);
    assert_string_equal(read.secret, third.secret);
    assert_int_equal(perform(rig, unregister_client, NULL), 0);
    assert_int_equal(perform(rig, unregister_client, NULL), RC_ERR_NOT_FOUND);
    assert_int_equal(perform(rig, get_client, &read), RC_ERR_NOT_FOUND);
    assert_int_equal(perform(rig, register_stranger, "GID_none@@@x"), RC_ERR_NOT_FOUND);
    assert_int_equal(perform(rig, register_stranger, "no client id"), RC_ERR_INVALID);
}

static int register_in_made(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    struct kept kept = {0};
    return rc_registry_register_credential(registry, S("file"), S("GID_made@@@1"), keep_credential, &kept,
                                           error);
}

static void test_a_group_goes_with_its_credentials_and_with_no_others(void **state)
{
    struct rig *rig = *state;
    struct kept kept = {0};
    assert_int_equal(perform(rig, make_group, "GID_made"), 0);
    assert_int_equal(perform(rig, make_group, "GID_made2"), 0);
    assert_int_equal(perform(rig, register_in_made, NULL), 0);
    assert_int_equal(perform(rig, register_client, &kept), 0);
    assert_int_equal(perform(rig, register_stranger, "GID_made2@@@1"), 0);
    assert_int_equal(perform(rig, drop_group, "GID_made"), 0);
    for (int round = 0; round < 2; round++, rig_restart(rig)) {
        assert_null(rc_instance_credential(instance_of(rig, "file"), S("GID_made@@@1")));
        assert_non_null(rc_instance_credential(instance_of(rig, "file"), S("GID_made2@@@1")));
        assert_non_null(rc_instance_credential(instance_of(rig, "file"), S(CLIENT)));
    }
}

/* ---- tokens ---- */

static int revoke_one(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_revoke_token(registry, S("file"), S(arg), error);
}

static void test_a_token_counts_until_it_is_revoked_also_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct rc_buf text;
    struct rc_token *token = calloc(1, sizeof(*token));
    int64_t now = (int64_t)rc_clock_wall_ms();
    rc_buf_init(&text, 2 * RC_TOKEN_TEXT_MAX);
    assert_int_equal(rc_token_make(instance_of(rig, "file"), S("FAK"), RC_ACL_READ, S("filed/#"),
                                   now + 3600000, now, &text),
                     0);
    rc_buf_put_u8(&text, 0);
    char *string = (char *)text.data + text.start;
    rig_restart(rig);
    assert_int_equal(
        rc_token_check(rc_registry_catalog(rig->registry), instance_of(rig, "file"), S(string), now, token),
        RC_TOKEN_VALID);
    assert_int_equal(perform(rig, revoke_one, "forged"), RC_ERR_INVALID);
    assert_int_equal(perform(rig, revoke_one, string), 0);
    assert_int_equal(perform(rig, revoke_one, string), 0);
    for (int round = 0; round < 2; round++, rig_restart(rig))
        assert_int_equal(rc_token_check(rc_registry_catalog(rig->registry), instance_of(rig, "file"),
                                        S(string), now, token),
                         RC_TOKEN_REVOKED);
    rc_buf_free(&text);
    free(token);
}

/* ---- the rest of what is kept ---- */

static int make_everything(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    char id[RC_CATALOG_ID_MAX + 1], key[RC_CATALOG_ID_MAX + 1], secret[RC_CATALOG_SECRET_MAX + 1];
    struct rc_registry_identity bob = {.username = S("bob"), .secret = S("s1")};
    struct rc_registry_identity at_one = {.is_client = true,
                                          .username = S("bob"),
                                          .client_id = S("GID_a1b@@@1"),
                                          .secret = S("s2"),
                                          .is_signed = true};
    struct rc_registry_permission allow = {.identity = S("bob"), .topic = S("t/#"), .actions = RC_ACL_READ};
    struct rc_registry_tag tag = {.type = S("instance"), .id = S("mine"), .key = S("k"), .value = S("v")};
    assert_int_equal(rc_registry_create_instance(registry, S("mine"), S("Name"), id, error), 0);
    assert_string_equal(id, "mine");
    assert_int_equal(rc_registry_create_topic(registry, S("mine"), S("top"), error), 0);
    assert_int_equal(
        rc_registry_create_key(registry, S("mine"), RC_KEY_READ_ONLY, S("AK1"), S("SK1"), key, secret, error),
        0);
    assert_int_equal(rc_registry_create_key(registry, S(""), RC_KEY_ADMIN, S(""), S(""), key, secret, error),
                     0);
    assert_int_equal(rc_registry_add_identity(registry, S("mine"), &bob, error), 0);
    assert_int_equal(rc_registry_add_identity(registry, S("mine"), &at_one, error), 0);
    assert_int_equal(rc_registry_add_identity(registry, S("mine"), &bob, error), RC_ERR_EXISTS);
    assert_int_equal(rc_registry_add_permission(registry, S("mine"), &allow, error), 0);
    assert_int_equal(rc_registry_add_black(registry, S("mine"), S("GID_bad@@@1"), error), 0);
    assert_int_equal(rc_registry_tag(registry, &tag, error), 0);
    tag.id = S("none");
    assert_int_equal(rc_registry_tag(registry, &tag, error), RC_ERR_NOT_FOUND);
    return 0;
}

static int drop_mine(struct rc_registry *registry, struct rc_error *error, const void *arg)
{
    return rc_registry_delete_instance(registry, S("mine"), arg != NULL, error);
}

static void test_all_kinds_outlive_a_restart_and_go_with_their_instance(void **state)
{
    struct rig *rig = *state;
    struct rc_registry_page page = {.limit = 10};
    struct rc_registry_tag any = {0};
    assert_int_equal(perform(rig, make_everything, NULL), 0);
    rig_restart(rig);
    const struct rc_catalog *catalog = rc_registry_catalog(rig->registry);
    const struct rc_instance *mine = instance_of(rig, "mine");
    assert_non_null(mine);
    assert_true(rc_instance_has_topic(mine, S("top")));
    assert_int_equal(rc_catalog_key(catalog, S("AK1"))->role, RC_KEY_READ_ONLY);
    assert_true(rc_slice_eq_str(rc_catalog_key(catalog, S("AK1"))->secret_key, "SK1"));
    assert_int_equal(catalog->key_pairs.count, 3);
    assert_true(rc_slice_eq_str(rc_instance_identity(mine, S("bob"), S("x"))->secret, "s1"));
    assert_true(rc_slice_eq_str(rc_instance_identity(mine, S("bob"), S("GID_a1b@@@1"))->secret, "s2"));
    assert_int_equal(rc_instance_permissions(mine, false, S("bob"))->count, 1);
    assert_non_null(rc_instance_mark(&mine->black, S("GID_bad@@@1")));
    int tags = 0;
    assert_int_equal(rc_registry_list_tags(rig->registry, &any, &page, count_tags, &tags, NULL), 1);
    assert_int_equal(perform(rig, drop_mine, NULL), RC_ERR_BUSY);
    assert_int_equal(perform(rig, drop_mine, rig), 0);
    assert_null(instance_of(rig, "mine"));
    rig_restart(rig);
    assert_null(instance_of(rig, "mine"));
    assert_int_equal(rc_registry_list_tags(rig->registry, &any, &page, count_tags, &tags, NULL), 0);
    assert_int_equal(rc_registry_catalog(rig->registry)->key_pairs.count,
                     2); /* the file's, the administrator's */
}

/* ---- as a file ---- */

static void test_an_export_makes_the_same_registry_elsewhere_under_another_key(void **state)
{
    struct rig *rig = *state, *other;
    struct kept kept = {0};
    struct rc_error error = {0};
    void *other_state;
    assert_int_equal(perform(rig, make_everything, NULL), 0);
    assert_int_equal(perform(rig, register_client, &kept), 0);
    FILE *file = tmpfile();
    int64_t rows = rc_registry_export(rig->registry, NULL, file, &error);
    assert_true(rows > 8);
    rig_set_up(&other_state);
    other = other_state;
    rewind(file);
    assert_int_equal(rc_registry_import(other->registry, NULL, NULL, file, &error), rows);
    rig_restart(other);
    const struct rc_credential *one = rc_instance_credential(instance_of(other, "file"), S(CLIENT));
    assert_true(one != NULL && rc_slice_eq_str(one->secret, kept.secret));
    assert_true(rc_slice_eq_str(
        rc_instance_identity(instance_of(other, "mine"), S("bob"), S("GID_a1b@@@1"))->secret, "s2"));
    assert_memory_equal(instance_of(other, "file")->token_key, instance_of(rig, "file")->token_key,
                        RC_CATALOG_TOKEN_KEY_LEN);
    assert_true(
        rc_slice_eq_str(rc_catalog_key(rc_registry_catalog(other->registry), S("AK1"))->secret_key, "SK1"));
    fclose(file);
    rig_tear_down(&other_state);
}

static void refuse_import(struct rig *rig, const char *text)
{
    struct rc_error error = {0};
    FILE *file = tmpfile();
    fputs(text, file);
    rewind(file);
    assert_true(rc_registry_import(rig->registry, NULL, NULL, file, &error) < 0);
    assert_true(error.text[0] != '\0');
    fclose(file);
}

static void test_an_import_is_all_or_nothing(void **state)
{
#define HEAD "{\"kind\":\"rollcall-registry\",\"version\":1}\n"
#define GROUP                                                                                                \
    "{\"kind\":\"groups\",\"instance\":\"file\",\"id\":\"GID_new\",\"origin\":0,\"created\":1,\"updated\":"  \
    "1}\n"
    struct rig *rig = *state;
    refuse_import(rig, "");
    refuse_import(rig, GROUP);
    refuse_import(rig, HEAD GROUP "{");
    refuse_import(rig, HEAD GROUP "{\"kind\":\"unknown\"}\n");
    refuse_import(rig, HEAD GROUP "{\"kind\":\"groups\",\"instance\":1}\n");
    refuse_import(
        rig, HEAD GROUP
        "{\"kind\":\"credentials\",\"instance\":\"file\",\"client_id\":\"x\",\"access_key\":\"a|b\","
        "\"secret\":\"s\",\"created\":1,\"updated\":1}\n");
    rig_restart(rig);
    assert_null(rc_instance_group(instance_of(rig, "file"), S("GID_new")));
}

static void test_one_process_at_a_time_changes_it_and_others_may_read(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_registry *second;
    struct rc_registry_options options = rig->options;
    assert_int_equal(rc_registry_open(&options, &second, &error), RC_ERR_BUSY);
    assert_non_null(strstr(error.text, "is in use: stop the server"));
    options.is_reader = true;
    assert_int_equal(rc_registry_open(&options, &second, &error), 0);
    rc_registry_close(second);
}

/* ---- opening ---- */

static void test_secrets_do_not_stand_in_the_file_and_the_key_is_its_owners(void **state)
{
    struct rig *rig = *state;
    struct kept kept = {0};
    struct stat info;
    assert_int_equal(perform(rig, register_client, &kept), 0);
    rc_registry_close(rig->registry);
    rig->registry = NULL;
    assert_int_equal(stat(rig->key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(stat(rig->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    FILE *file = fopen(rig->path, "rb");
    char *bytes = calloc(1, (size_t)info.st_size);
    assert_int_equal(fread(bytes, 1, (size_t)info.st_size, file), info.st_size);
    fclose(file);
    assert_non_null(memmem(bytes, (size_t)info.st_size, CLIENT, strlen(CLIENT)));
    assert_null(memmem(bytes, (size_t)info.st_size, kept.secret, strlen(kept.secret)));
    free(bytes);
}

static void test_a_wrong_or_missing_key_is_told(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    rc_registry_close(rig->registry);
    rig->registry = NULL;
    assert_int_equal(chmod(rig->key, 0644), 0);
    assert_int_equal(rig_open(rig, &error), RC_ERR_DENIED);
    assert_non_null(strstr(error.text, "chmod 600"));
    assert_int_equal(chmod(rig->key, 0600), 0);
    rig->options.key_text = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    assert_int_equal(rig_open(rig, &error), RC_ERR_DENIED);
    assert_non_null(strstr(error.text, "another key than that of the environment"));
    rig->options.key_text = "short";
    assert_int_equal(rig_open(rig, &error), RC_ERR_INVALID);
    rig->options.key_text = NULL;
    char aside[160];
    snprintf(aside, sizeof(aside), "%s.aside", rig->key);
    assert_int_equal(rename(rig->key, aside), 0);
    assert_int_equal(rig_open(rig, &error), RC_ERR_NOT_FOUND);
    assert_non_null(strstr(error.text, "is missing: put it back"));
    assert_int_equal(rename(aside, rig->key), 0);
    assert_int_equal(rig_open(rig, &error), 0);
}

static void test_a_damaged_or_later_database_is_refused(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    assert_int_equal(sqlite3_exec(rig->registry->sql.db, "PRAGMA user_version = 99", NULL, NULL, NULL),
                     SQLITE_OK);
    rc_registry_close(rig->registry);
    rig->registry = NULL;
    assert_int_equal(rig_open(rig, &error), RC_ERR_VERSION);
    assert_non_null(strstr(error.text, "of a later Rollcall"));
    int fd = open(rig->path, O_WRONLY);
    assert_int_equal(pwrite(fd, "this is no database at all, is it?", 34, 0), 34);
    close(fd);
    assert_int_equal(rig_open(rig, &error), RC_ERR_CORRUPT);
    assert_non_null(strstr(error.text, "is damaged: move it away"));
}

/* ---- the thread ---- */

enum { CALLS = 300 };

struct posted {
    struct rc_registry_job job;
    int number;
    atomic_int *done;
};

static int run_posted(struct rc_registry *registry, struct rc_registry_job *job)
{
    char id[32];
    struct posted *posted = rc_container_of(job, struct posted, job);
    snprintf(id, sizeof(id), "GID_nr%d", posted->number);
    return rc_registry_create_group(registry, S("file"), S(posted->number % 10 == 9 ? "bad" : id),
                                    &job->error);
}

static void on_posted(struct rc_registry_job *job)
{
    struct posted *posted = rc_container_of(job, struct posted, job);
    assert_int_equal(job->err, posted->number % 10 == 9 ? RC_ERR_INVALID : 0);
    atomic_fetch_add(posted->done, 1);
}

static void test_jobs_that_wait_together_share_a_commit(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct posted *all = calloc(CALLS, sizeof(*all));
    atomic_int done = 0;
    assert_int_equal(rc_registry_start(rig->registry, &error), 0);
    for (int i = 0; i < CALLS; i++) {
        all[i] =
            (struct posted){.job = {.run = run_posted, .on_done = on_posted}, .number = i, .done = &done};
        assert_int_equal(rc_registry_post(rig->registry, &all[i].job), 0);
    }
    struct posted last = {.job = {.run = run_posted}, .number = CALLS, .done = &done};
    assert_int_equal(rc_registry_call(rig->registry, &last.job), 0);
    assert_int_equal(atomic_load(&done), CALLS);
    rc_registry_stop(rig->registry);
    assert_true(rig->registry->commits < CALLS);
    assert_int_equal(instance_of(rig, "file")->groups.count, 1 + CALLS * 9 / 10 + 1);
    free(all);
    rig_restart(rig);
    assert_int_equal(instance_of(rig, "file")->groups.count, 1 + CALLS * 9 / 10 + 1);
}

static int touch(struct rc_registry *registry, struct rc_registry_job *job)
{
    struct kept kept = {0};
    return register_client(registry, &job->error, &kept);
}

static void test_a_publication_tells_whose_rights_have_to_be_looked_at(void **state)
{
    struct rig *rig = *state;
    struct rc_error error = {0};
    struct rc_registry_job job = {.run = touch};
    assert_int_equal(rc_registry_start(rig->registry, &error), 0);
    assert_int_equal(rc_registry_call(rig->registry, &job), 0);
    assert_int_equal(atomic_load(&rig->published), 1);
    assert_false(rig->change.all);
    assert_int_equal(rig->change.clients_count, 1);
    assert_int_equal(rc_registry_declare(rig->registry, rig->declared, NULL, &error), 0);
    assert_true(rig->change.all);
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(test_what_was_made_outlives_a_restart_and_what_is_declared_is_the_files),
        IN_RIG(test_a_reload_leaves_alone_what_was_made_here),
        IN_RIG(test_a_reload_that_fails_leaves_the_files_what_it_was),
        IN_RIG(test_an_instance_that_nothing_hangs_on_goes_with_its_line),
        IN_RIG(test_a_job_that_fails_leaves_nothing_behind),
        IN_RIG(test_a_catalog_that_cannot_be_prepared_is_not_kept),
        IN_RIG(test_a_rule_takes_no_topic_that_is_the_servers_or_anothers),
        IN_RIG(test_the_tags_of_one_resource_are_found_without_reading_all),
        IN_RIG(test_device_credentials_are_kept_refreshed_and_dropped),
        IN_RIG(test_a_group_goes_with_its_credentials_and_with_no_others),
        IN_RIG(test_a_token_counts_until_it_is_revoked_also_after_a_restart),
        IN_RIG(test_all_kinds_outlive_a_restart_and_go_with_their_instance),
        IN_RIG(test_an_export_makes_the_same_registry_elsewhere_under_another_key),
        IN_RIG(test_an_import_is_all_or_nothing),
        IN_RIG(test_one_process_at_a_time_changes_it_and_others_may_read),
        IN_RIG(test_secrets_do_not_stand_in_the_file_and_the_key_is_its_owners),
        IN_RIG(test_a_wrong_or_missing_key_is_told),
        IN_RIG(test_a_damaged_or_later_database_is_refused),
        IN_RIG(test_jobs_that_wait_together_share_a_commit),
        IN_RIG(test_a_publication_tells_whose_rights_have_to_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
