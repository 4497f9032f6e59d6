#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/acl.h"
#include "mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

static bool fits(const char *pattern, const char *text)
{
    return rc_acl_pattern_fits(rc_slice_str(pattern), rc_slice_str(text));
}

static void test_patterns_take_any_run_and_any_byte(void **state)
{
    assert_true(fits("*", ""));
    assert_true(fits("sensor-*", "sensor-"));
    assert_true(fits("sensor-*", "sensor-1"));
    assert_false(fits("sensor-*", "sensor"));
    assert_true(fits("*-1", "sensor-1-1"));
    assert_true(fits("a*b*c", "a-b-b-c"));
    assert_false(fits("a*b*c", "a-c-b"));
    assert_true(fits("?", "x"));
    assert_false(fits("?", ""));
    assert_false(fits("", "x"));
    assert_true(fits("", ""));
    assert_true(fits("**", "xyz"));
    assert_false(fits("Sensor", "sensor"));
}

/* One rule on one topic, for the client c1 and the user u1. */
static bool rule_fits(bool denies, const char *rule_topic, const char *asked)
{
    struct rc_slice topics[1] = {rc_slice_str(rule_topic)};
    struct rc_acl_rule rules[2] = {
        {.actions = RC_ACL_READ, .denies = denies, .topics = topics, .topics_count = 1},
    };
    struct rc_slice all[3] = {rc_slice_str("#"), rc_slice_str("$SYS/#"), rc_slice_str("$x/#")};
    rules[1] = (struct rc_acl_rule){.actions = RC_ACL_READ, .topics = all, .topics_count = 3};
    struct rc_instance instance = {.rules = rules, .rules_count = denies ? 2 : 1};
    struct rc_acl_who who = {.user = rc_slice_str("u1"), .client_id = rc_slice_str("c1")};
    bool is_allowed = rc_acl_allows(&instance, &who, RC_ACL_READ, rc_slice_str(asked));
    return denies ? !is_allowed : is_allowed;
}

struct row {
    const char *rule, *asked;
    bool covers, meets;
};

static const struct row rows[] = {
    {"a/b", "a/b", true, true},
    {"a/b", "a/c", false, false},
    {"a/b", "a", false, false},
    {"a", "a/b", false, false},
    {"a/#", "a", true, true},
    {"a/#", "a/b/c", true, true},
    {"a/#", "a/#", true, true},
    {"a/#", "#", false, true},
    {"a/b", "a/#", false, true},
    {"a/b/c", "a/#", false, true},
    {"a", "a/#", false, true},
    {"a/+", "a/b", true, true},
    {"a/+", "a/+", true, true},
    {"a/+", "a/#", false, true},
    {"a/+", "a", false, false},
    {"a/+", "a/b/c", false, false},
    {"a/b", "a/+", false, true},
    {"+/b", "a/+", false, true},
    {"+/b", "a/c", false, false},
    {"#", "+", true, true},
    {"+", "#", false, true},
    {"#", "$SYS/x", false, false},
    {"+/x", "$SYS/x", false, false},
    {"$SYS/#", "#", false, false},
    {"$SYS/#", "+/x", false, false},
    {"$SYS/#", "$SYS/x", true, true},
    {"$SYS/x", "$SYS/#", false, true},
    {"d/%c/x", "d/c1/x", true, true},
    {"d/%c/x", "d/c2/x", false, false},
    {"d/%u", "d/u1", true, true},
    {"d/pre-%c-%u", "d/pre-c1-u1", true, true},
    {"d/%c", "d/+", false, true},
    {"d/100%%", "d/100%", true, true},
    {"d/100%%", "d/100%%", false, false},
    {"/a", "/a", true, true},
    {"/a", "a", false, false},
    {"a//b", "a/+/b", false, true},
};

static void test_a_rule_that_allows_covers_and_one_that_denies_meets(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s %s\n", rows[i].rule, rows[i].asked);
        assert_int_equal(rule_fits(false, rows[i].rule, rows[i].asked), rows[i].covers);
        assert_int_equal(rule_fits(true, rows[i].rule, rows[i].asked), rows[i].meets);
    }
}

static enum rc_acl_answer ask(bool denies_first, const char *asked)
{
    struct rc_slice secret[1] = {rc_slice_str("secret/#")}, all[1] = {rc_slice_str("#")};
    struct rc_acl_rule deny = {.actions = RC_ACL_READ, .denies = true, .topics = secret, .topics_count = 1};
    struct rc_acl_rule allow = {.actions = RC_ACL_READ, .topics = all, .topics_count = 1};
    struct rc_acl_rule rules[2] = {denies_first ? deny : allow, denies_first ? allow : deny};
    struct rc_instance instance = {.rules = rules, .rules_count = 2};
    struct rc_acl_who who = {.client_id = rc_slice_str("c1")};
    return rc_acl_ask(&instance, &who, RC_ACL_READ, rc_slice_str(asked));
}

static void test_a_filter_of_which_a_part_is_denied_is_allowed_partly(void **state)
{
    assert_int_equal(ask(true, "secret/x"), RC_ACL_DENIED);
    assert_int_equal(ask(true, "secret/#"), RC_ACL_DENIED);
    assert_int_equal(ask(true, "secret"), RC_ACL_DENIED);
    assert_int_equal(ask(true, "#"), RC_ACL_ALLOWED_PARTLY);
    assert_int_equal(ask(true, "+/x"), RC_ACL_ALLOWED_PARTLY);
    assert_int_equal(ask(true, "news/#"), RC_ACL_ALLOWED);
    assert_int_equal(ask(false, "#"), RC_ACL_ALLOWED); /* the first that fits decides */
    assert_int_equal(ask(false, "secret/x"), RC_ACL_ALLOWED);
}

static bool allows_client(const char *client, const char *rule_topic, const char *asked)
{
    struct rc_slice topics[1] = {rc_slice_str(rule_topic)};
    struct rc_acl_rule rule = {.actions = RC_ACL_READ, .topics = topics, .topics_count = 1};
    struct rc_instance instance = {.rules = &rule, .rules_count = 1};
    struct rc_acl_who who = {.client_id = rc_slice_str(client)};
    return rc_acl_allows(&instance, &who, RC_ACL_READ, rc_slice_str(asked));
}

static void test_no_client_names_itself_into_more(void **state)
{
    assert_true(allows_client("c1", "d/%c/#", "d/c1/x"));
    assert_false(allows_client("+", "d/%c/#", "d/+/x"));
    assert_false(allows_client("+", "d/%c/#", "d/c1/x"));
    assert_false(allows_client("#", "d/%c", "d/#"));
    assert_false(allows_client("a/b", "d/%c", "d/a/b"));
    assert_false(allows_client("$SYS", "%c/#", "$SYS/broker/version"));
    assert_false(allows_client("", "d/%c/#", "d//x"));
    assert_false(allows_client("c1", "d/%u/#", "d//x")); /* anonymous */
}

static void test_the_first_rule_that_fits_decides(void **state)
{
    struct rc_slice secret[1] = {rc_slice_str("secret/#")}, all[1] = {rc_slice_str("#")};
    struct rc_acl_rule rules[] = {
        {.user = rc_slice_str("boss"), .actions = RC_ACL_READ, .topics = secret, .topics_count = 1},
        {.actions = RC_ACL_READ | RC_ACL_WRITE, .denies = true, .topics = secret, .topics_count = 1},
        {.user = rc_slice_str("*"), .actions = RC_ACL_WRITE, .topics = all, .topics_count = 1},
        {.client = rc_slice_str("dash*"), .actions = RC_ACL_READ, .topics = all, .topics_count = 1},
    };
    struct rc_instance instance = {.rules = rules, .rules_count = 4};
    struct rc_acl_who boss = {rc_slice_str("boss"), rc_slice_str("dash1")};
    struct rc_acl_who anonymous = {rc_slice(NULL, 0), rc_slice_str("dash2")};
    struct rc_slice doc = rc_slice_str("secret/doc"), news = rc_slice_str("news");
    assert_true(rc_acl_allows(&instance, &boss, RC_ACL_READ, doc));
    assert_false(rc_acl_allows(&instance, &boss, RC_ACL_WRITE, doc));
    assert_true(rc_acl_allows(&instance, &boss, RC_ACL_WRITE, news));
    assert_false(rc_acl_allows(&instance, &boss, RC_ACL_READ, rc_slice_str("#"))); /* meets secret/# */
    assert_false(rc_acl_allows(&instance, &anonymous, RC_ACL_READ, doc));
    assert_false(rc_acl_allows(&instance, &anonymous, RC_ACL_WRITE, news)); /* `*` is somebody with a name */
    assert_true(rc_acl_allows(&instance, &anonymous, RC_ACL_READ, news));
    struct rc_instance open = {0};
    assert_true(rc_acl_allows(&open, &anonymous, RC_ACL_WRITE, doc));
}

static void test_topics_of_rules_are_filters_with_known_placeholders(void **state)
{
    static const char *const good[] = {"a", "#", "a/+/%c", "%u/%%/x", "$SYS/#"};
    static const char *const bad[] = {"", "a/#/b", "a%", "%d", "a+", "$share/g/a", "%"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(rc_acl_topic_is_valid(rc_slice_str(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(rc_acl_topic_is_valid(rc_slice_str(bad[i])));
}

/* What covering and meeting promise, tried out on all names of a small alphabet. */
static void make_topic(char out[64], uint32_t seed, bool is_name)
{
    static const char *const levels[] = {"a", "b", "$x", "+", "#"};
    size_t at = 0;
    uint32_t count = 1 + seed % 3;
    seed /= 3;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t pick = seed % (is_name ? 3 : 5);
        seed /= 5;
        at += (size_t)snprintf(out + at, 64 - at, "%s%s", i ? "/" : "", levels[pick]);
        if (pick == 4)
            break;
    }
}

static void test_what_is_covered_brings_nothing_else_and_what_is_not_met_brings_nothing(void **state)
{
    enum { FILTERS = 3 * 125, NAMES = 3 * 125 };
    char rule[64], asked[64], name[64];
    for (uint32_t r = 0; r < FILTERS; r += 4) {
        make_topic(rule, r, false);
        for (uint32_t f = 0; f < FILTERS; f += 2) {
            make_topic(asked, f, false);
            bool covers = rule_fits(false, rule, asked), meets = rule_fits(true, rule, asked);
            for (uint32_t n = 0; n < NAMES; n += 3) {
                make_topic(name, n, true);
                bool in_rule = rc_topic_matches(rc_slice_str(rule), rc_slice_str(name));
                bool in_asked = rc_topic_matches(rc_slice_str(asked), rc_slice_str(name));
                if ((covers && in_asked && !in_rule) || (!meets && in_asked && in_rule))
                    fail_msg("rule %s filter %s name %s", rule, asked, name);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patterns_take_any_run_and_any_byte),
        cmocka_unit_test(test_a_rule_that_allows_covers_and_one_that_denies_meets),
        cmocka_unit_test(test_a_filter_of_which_a_part_is_denied_is_allowed_partly),
        cmocka_unit_test(test_no_client_names_itself_into_more),
        cmocka_unit_test(test_the_first_rule_that_fits_decides),
        cmocka_unit_test(test_topics_of_rules_are_filters_with_known_placeholders),
        cmocka_unit_test(test_what_is_covered_brings_nothing_else_and_what_is_not_met_brings_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
