#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/catalog.h"
#include "control/control.h"
#include "store/store.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char messages[64 * 1024];

static struct rc_catalog *build(const char *yaml)
{
    struct rc_config_errors errors;
    rc_config_errors_init(&errors);
    struct rc_config *config = rc_config_parse("f.yaml", rc_slice_str(yaml), &errors);
    struct rc_catalog *catalog = config != NULL ? rc_control_build_catalog(config, &errors) : NULL;
    snprintf(messages, sizeof(messages), "%.*s", RC_SLICE_FMT(rc_buf_slice(&errors.text)));
    /* The catalog must not lean on the configuration's memory. */
    rc_config_free(config);
    rc_config_errors_free(&errors);
    return catalog;
}

#define TWO_INSTANCES                                                                                        \
    "instances:\n"                                                                                           \
    "  - id: one\n"                                                                                          \
    "    keys: [{access_key: a1, secret_key: s1}, {access_key: a2, secret_key: s2}]\n"                       \
    "    groups: [GID_one, GID_two]\n"                                                                       \
    "    topics: [news]\n"                                                                                   \
    "    rules:\n"                                                                                           \
    "      - {id: rule-1, group: GID_one, topic: GID_one_MQTT, queues: 4}\n"                                 \
    "      - {id: rule-2, group: GID_two, topic: other, enabled: false}\n"                                   \
    "  - id: two\n"                                                                                          \
    "    groups: [GID_one]\n"

static void test_the_catalog_has_what_the_file_says(void **state)
{
    struct rc_catalog *catalog = build(TWO_INSTANCES);
    assert_non_null(catalog);
    const struct rc_instance *one = rc_catalog_instance(catalog, rc_slice_str("one"));
    const struct rc_instance *two = rc_catalog_instance(catalog, rc_slice_str("two"));
    assert_non_null(one);
    assert_non_null(two);
    const struct rc_key_pair *key = rc_catalog_instance_key(catalog, one, rc_slice_str("a2"));
    assert_non_null(key);
    assert_true(rc_slice_eq_str(key->secret_key, "s2"));
    assert_null(rc_catalog_instance_key(catalog, two, rc_slice_str("a2")));
    const struct rc_group *group = rc_instance_group(one, rc_slice_str("GID_one"));
    assert_non_null(group);
    assert_non_null(group->status_rule);
    assert_true(rc_slice_eq_str(group->status_rule->topic_name, "GID_one_MQTT"));
    assert_int_equal(group->status_rule->queues, 4);
    assert_null(rc_instance_group(two, rc_slice_str("GID_one"))->status_rule);
    rc_catalog_unref(catalog);
}

static void assert_refused(const char *yaml, const char *expected)
{
    assert_null(build(yaml));
    if (strstr(messages, expected) == NULL)
        fail_msg("expected '%s' in:\n%s", expected, messages);
}

static void test_what_is_there_twice_is_refused_with_its_place(void **state)
{
    assert_refused("instances: [{id: x}, {id: x}]",
                   "f.yaml:1:27: instances[1]: the instance 'x' was given before");
    assert_refused("instances: [{id: x, keys: [{access_key: a, secret_key: s}]},\n"
                   "            {id: y, keys: [{access_key: a, secret_key: t}]}]",
                   "f.yaml:2:41: instances[1].keys[0]: the access key 'a' was given before");
    assert_refused("instances: [{id: x, groups: [GID_aaa, GID_aaa]}]",
                   "instances[0].groups[1]: the group 'GID_aaa'");
    assert_refused("instances: [{id: x, topics: [abc, abc]}]", "instances[0].topics[1]: the topic 'abc'");
    assert_refused(
        "instances: [{id: x, groups: [GID_aaa, GID_bbb], rules: [{id: r-1, group: GID_aaa, topic: t},\n"
        " {id: r-1, group: GID_bbb, topic: t}]}]",
        "f.yaml:2:7: instances[0].rules[1]: the rule 'r-1' was given before");
    assert_refused("instances: [{id: x, groups: [GID_aaa], rules: [{id: r-1, group: GID_aaa, topic: t},\n"
                   " {id: r-2, group: GID_aaa, topic: t}]}]",
                   "f.yaml:2:19: instances[0].rules[1]: the group has a status-notice rule already");
}

static void test_a_rule_for_a_group_that_is_not_there_is_refused(void **state)
{
    assert_refused("instances: [{id: x, groups: [GID_quick], rules: [{id: r-1, group: GID_quik, topic: t}]}]",
                   "instances[0].rules[0]: the group 'GID_quik' was given, one of the instance's groups was "
                   "expected, perhaps 'GID_quick'");
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *walk)
{
    return remove(path);
}

static void test_topics_are_found_or_created_in_the_store(void **state)
{
    char dir[] = "/tmp/rc-control-test-XXXXXX";
    struct rc_store_options options;
    struct rc_store *store;
    struct rc_error error = {0};
    assert_non_null(mkdtemp(dir));
    rc_store_options_default(&options);
    options.dir = dir;
    options.segment_bytes = 16 * 1024 * 1024;
    assert_int_equal(rc_store_open(&options, &store, &error), RC_OK);
    struct rc_catalog *catalog = build(TWO_INSTANCES);
    assert_int_equal(rc_control_resolve_topics(catalog, store, &error), RC_OK);
    const struct rc_instance *one = rc_catalog_instance(catalog, rc_slice_str("one"));
    const struct rc_status_rule *rule = rc_instance_group(one, rc_slice_str("GID_one"))->status_rule;
    assert_ptr_equal(rule->topic, rc_store_find_topic(store, rc_slice_str("GID_one_MQTT")));
    assert_int_equal(rc_topic_queue_count(rule->topic), 4);
    assert_null(rc_instance_group(one, rc_slice_str("GID_two"))->status_rule->topic);
    assert_null(rc_store_find_topic(store, rc_slice_str("other")));
    assert_ptr_equal(catalog->presence_topic, rc_store_find_topic(store, rc_slice_str(RC_PRESENCE_TOPIC)));
    assert_non_null(catalog->presence_topic);
    rc_catalog_unref(catalog);
    rc_store_close(store);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define ENTRY                                                                                                \
    "'$7$101$E1ZcU4PHiUchmuJy$T1J6anTElAwVL6lBE/MwuAeAOC6NxcZs6WoHWSsZmLrtgEE6toYPzrIXmEW+"                  \
    "OIu2lwTPj23JVa7mxT7PAR8+3Q=='"

static void test_an_instance_of_profile_standard_has_users_rules_and_limits(void **state)
{
    struct rc_catalog *catalog =
        build("instances:\n"
              "  - id: home\n"
              "    profile: standard\n"
              "    group: GID_home\n"
              "    anonymous: true\n"
              "    keys: [{access_key: a, secret_key: s, admin: true}]\n"
              "    users: [{name: bob, password: " ENTRY ", admin: true}]\n"
              "    acl:\n"
              "      - {user: bob, access: deny-write, topics: ['a/%u', b]}\n"
              "      - {client: 'x*', access: read, topics: ['#']}\n"
              "    limits: {subscriptions: 7, receive_maximum: 9, keep_alive: 1500ms, retained: false, "
              "qos: 1, session_keep: 1h}\n"
              "    rules: [{id: r-1, group: GID_home, topic: t}]\n"
              "  - id: cloud\n");
    assert_non_null(catalog);
    const struct rc_instance *home = rc_catalog_instance(catalog, rc_slice_str("home"));
    const struct rc_instance *cloud = rc_catalog_instance(catalog, rc_slice_str("cloud"));
    assert_int_equal(home->profile, RC_PROFILE_STANDARD);
    assert_int_equal(cloud->profile, RC_PROFILE_PRODUCT);
    assert_ptr_equal(catalog->default_instance, home);
    assert_true(home->takes_anonymous && !cloud->takes_anonymous);
    assert_true(rc_slice_eq_str(home->group->id, "GID_home"));
    assert_non_null(home->group->status_rule);
    assert_null(cloud->group);
    assert_true(rc_catalog_instance_key(catalog, home, rc_slice_str("a"))->is_admin);
    const struct rc_user *bob = rc_instance_user(home, rc_slice_str("bob"));
    assert_true(bob != NULL && bob->is_admin && bob->password.len == 112);
    assert_int_equal(home->rules_count, 2);
    assert_true(home->rules[0].denies && !home->rules[1].denies);
    assert_int_equal(home->rules[0].actions, RC_ACL_WRITE);
    assert_int_equal(home->rules[1].actions, RC_ACL_READ);
    assert_int_equal(home->rules[0].topics_count, 2);
    assert_true(rc_slice_eq_str(home->rules[0].topics[1], "b"));
    assert_true(rc_slice_eq_str(home->rules[1].client, "x*"));
    assert_int_equal(home->limits.subscriptions_max, 7);
    assert_int_equal(home->limits.keep_alive_max_s, 2);
    assert_int_equal(home->limits.qos_max, 1);
    assert_int_equal(home->limits.session_keep_ms, 3600000);
    assert_false(home->limits.has_retained);
    assert_true(home->limits.has_wills);
    assert_int_equal(home->limits.receive_max, 9);
    assert_int_equal(home->limits.incoming_max, 9);
    assert_int_equal(cloud->limits.receive_max, 1024);
    assert_int_equal(cloud->limits.incoming_max, 65535);
    assert_int_equal(cloud->limits.subscriptions_max, 30);
    assert_int_equal(cloud->limits.payload_max, 65536);
    assert_int_equal(cloud->limits.keep_alive_max_s, 480);
    rc_catalog_unref(catalog);
}

static void test_the_default_instance_is_the_named_one_or_the_only_one_that_there_can_be(void **state)
{
    struct rc_catalog *catalog =
        build("instances: [{id: a, profile: standard}, {id: b, profile: standard}]\n");
    assert_non_null(catalog);
    assert_null(catalog->default_instance);
    assert_true(rc_slice_eq_str(rc_catalog_instance(catalog, rc_slice_str("a"))->group->id, "GID_standard"));
    rc_catalog_unref(catalog);
    catalog = build("mqtt: {default_instance: b}\n"
                    "instances: [{id: a, profile: standard}, {id: b, profile: standard}]\n");
    assert_non_null(catalog);
    assert_true(rc_slice_eq_str(catalog->default_instance->id, "b"));
    rc_catalog_unref(catalog);
    catalog = build("instances: [{id: a}]\n");
    assert_ptr_equal(catalog->default_instance, rc_catalog_instance(catalog, rc_slice_str("a")));
    rc_catalog_unref(catalog);
    assert_null(build("mqtt: {default_instance: c}\ninstances: [{id: a}]\n"));
    assert_non_null(strstr(messages, "mqtt.default_instance: 'c' was given, the ID of one of the instances"));
}

static void test_what_goes_with_profile_standard_alone_is_refused_elsewhere(void **state)
{
    static const char *const texts[] = {"anonymous: true", "group: GID_home", "acl: [{topics: [a]}]",
                                        "users: [{name: bob, password: " ENTRY "}]"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char yaml[512];
        snprintf(yaml, sizeof(yaml), "instances:\n  - id: one\n    %s\n", texts[i]);
        assert_null(build(yaml));
        assert_non_null(strstr(messages, "which goes with `profile: standard` alone"));
    }
}

static void test_users_and_rules_that_cannot_work_are_refused(void **state)
{
    assert_null(build("instances:\n"
                      "  - id: home\n"
                      "    profile: standard\n"
                      "    users:\n"
                      "      - {name: bob, password: plain}\n"
                      "      - {name: 'a|b', password: " ENTRY "}\n"
                      "    acl:\n"
                      "      - {topics: ['a/%x']}\n"
                      "      - {topics: ['a/#/b'], access: all}\n"));
    assert_non_null(strstr(messages, ":5:31: instances[0].users[0].password: the secret has another form, "
                                     "a hashed password as `rollcall passwd`"));
    assert_null(strstr(messages, "plain"));
    assert_non_null(strstr(messages, "users[1].name: 'a|b' was given"));
    assert_non_null(
        strstr(messages, "acl[0].topics[0]: 'a/%x' was given, an MQTT topic filter, in which a % is"));
    assert_non_null(strstr(messages, "acl[1].topics[0]: 'a/#/b' was given"));
    assert_non_null(strstr(messages,
                           "acl[1].access: 'all' was given, read, write, readwrite, deny, deny-read or "
                           "deny-write was expected"));
    assert_null(build("instances:\n"
                      "  - id: home\n"
                      "    profile: standard\n"
                      "    users: [{name: bob, password: " ENTRY "}, {name: bob, password: " ENTRY "}]\n"));
    assert_non_null(strstr(messages, "the user 'bob' was given before, once was expected"));
}

/* The API's text and the file's keys are the same limits. */
static void test_limits_of_the_api_are_the_files(void **state)
{
    static const char *const values[] = {
        "payload=4KiB",
        "subscriptions=7",
        "keep_alive=1500ms",
        "inflight=5",
        "receive_maximum=9",
        "queued=11",
        "queued_bytes=12KiB",
        "queued_all=13",
        "queued_all_bytes=1MiB",
        "session_keep=2h",
        "client_id=21",
        "topic_length=99",
        "topic_levels=3",
        "topic_aliases=4",
        "qos=1",
        "retained=true",
        "wills=true",
        "shared_subscriptions=true",
        "wildcards=false",
        "refusal_reasons=false",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char yaml[256];
        struct rc_error error;
        struct rc_limits limits = *rc_limits_of(RC_PROFILE_PRODUCT);
        size_t len = strcspn(values[i], "=");
        snprintf(yaml, sizeof(yaml), "instances:\n  - {id: a, limits: {%.*s: %s}}\n", (int)len, values[i],
                 values[i] + len + 1);
        struct rc_catalog *catalog = build(yaml);
        assert_int_equal(rc_limits_apply(&limits, rc_slice_str(values[i]), &error), RC_OK);
        assert_memory_equal(&limits, &rc_catalog_instance(catalog, rc_slice_str("a"))->limits,
                            sizeof(limits));
        rc_catalog_unref(catalog);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_catalog_has_what_the_file_says),
        cmocka_unit_test(test_what_is_there_twice_is_refused_with_its_place),
        cmocka_unit_test(test_a_rule_for_a_group_that_is_not_there_is_refused),
        cmocka_unit_test(test_topics_are_found_or_created_in_the_store),
        cmocka_unit_test(test_an_instance_of_profile_standard_has_users_rules_and_limits),
        cmocka_unit_test(test_the_default_instance_is_the_named_one_or_the_only_one_that_there_can_be),
        cmocka_unit_test(test_limits_of_the_api_are_the_files),
        cmocka_unit_test(test_what_goes_with_profile_standard_alone_is_refused_elsewhere),
        cmocka_unit_test(test_users_and_rules_that_cannot_work_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
