#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "catalog/catalog.h"

static void test_what_was_added_is_found_and_nothing_twice(void **state)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    struct rc_group *group;
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("mqtt-1"), &instance), 0);
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("mqtt-1"), &instance), RC_ERR_EXISTS);
    assert_int_equal(rc_catalog_add_key(catalog, instance, rc_slice_str("AK"), rc_slice_str("SK")), 0);
    assert_int_equal(rc_catalog_add_key(catalog, instance, rc_slice_str("a|b"), rc_slice_str("SK")),
                     RC_ERR_INVALID);
    assert_int_equal(rc_catalog_add_group(instance, rc_slice_str("GID_one"), &group), 0);
    assert_int_equal(rc_catalog_add_group(instance, rc_slice_str("GIDone7"), &group), RC_ERR_INVALID);
    assert_int_equal(
        rc_catalog_set_status_rule(instance, group, rc_slice_str("r-1"), rc_slice_str("T"), 8, true), 0);
    assert_int_equal(
        rc_catalog_set_status_rule(instance, group, rc_slice_str("r-2"), rc_slice_str("T"), 8, true),
        RC_ERR_EXISTS);
    assert_ptr_equal(rc_catalog_instance(catalog, rc_slice_str("mqtt-1")), instance);
    assert_ptr_equal(rc_instance_group(instance, rc_slice_str("GID_one")), group);
    assert_non_null(rc_catalog_key(catalog, rc_slice_str("AK")));
    assert_null(rc_catalog_key(catalog, rc_slice_str("SK")));
    rc_catalog_ref(catalog);
    rc_catalog_unref(catalog);
    rc_catalog_unref(catalog);
}

static void test_client_ids_follow_the_products_rules(void **state)
{
    static const char *const bad[] = {"",          "GID_x@@@d",     "GID_abc@@@",    "@@@d",
                                      "GID_abc@d", "GID_abc@@@d/e", "GID_abc@@@d e", "GID_abc@@@d@@@e"};
    struct rc_slice group, device;
    assert_int_equal(rc_catalog_split_client_id(rc_slice_str("GID_abc@@@dev-1_x"), &group, &device), 0);
    assert_true(rc_slice_eq_str(group, "GID_abc"));
    assert_true(rc_slice_eq_str(device, "dev-1_x"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rc_catalog_split_client_id(rc_slice_str(bad[i]), &group, &device), RC_ERR_INVALID);
    char longest[65] = "GID_abc@@@";
    memset(longest + 10, 'd', 54);
    assert_int_equal(rc_catalog_split_client_id(rc_slice(longest, 64), &group, &device), 0);
    assert_int_equal(rc_catalog_split_client_id(rc_slice(longest, 65), &group, &device), RC_ERR_INVALID);
}

/* ---- forks ---- */

static struct rc_catalog *two_instances(void)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *one, *two;
    struct rc_group *group;
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("one"), &one), 0);
    assert_int_equal(rc_catalog_add_instance(catalog, rc_slice_str("two"), &two), 0);
    catalog->default_instance = one;
    rc_catalog_add_key(catalog, one, rc_slice_str("AK1"), rc_slice_str("SK"));
    rc_catalog_add_key(catalog, two, rc_slice_str("AK2"), rc_slice_str("SK"));
    rc_catalog_add_group(one, rc_slice_str("GID_one"), &group);
    rc_catalog_add_group(one, rc_slice_str("GID_two"), &one->group);
    rc_catalog_set_status_rule(one, group, rc_slice_str("r-1"), rc_slice_str("T"), 8, true);
    return catalog;
}

static void test_a_fork_changes_alone_and_shares_the_rest(void **state)
{
    struct rc_catalog *old = two_instances(), *new = rc_catalog_fork(old);
    const struct rc_instance *before = rc_catalog_instance(old, rc_slice_str("one"));
    struct rc_instance *after = rc_catalog_edit_instance(new, rc_slice_str("one"));
    struct rc_group *added;
    assert_ptr_not_equal(before, after);
    assert_ptr_equal(new->default_instance, after);
    assert_ptr_equal(old->default_instance, before);
    assert_int_equal(rc_catalog_add_group(after, rc_slice_str("GID_three"), &added), 0);
    assert_null(rc_instance_group(before, rc_slice_str("GID_three")));
    assert_ptr_equal(rc_instance_group(after, rc_slice_str("GID_three")), added);
    assert_ptr_equal(rc_instance_group(after, rc_slice_str("GID_one")),
                     rc_instance_group(before, rc_slice_str("GID_one")));
    assert_ptr_equal(rc_catalog_instance(new, rc_slice_str("two")),
                     rc_catalog_instance(old, rc_slice_str("two")));
    rc_catalog_unref(old);
    assert_ptr_equal(rc_catalog_edit_instance(new, rc_slice_str("one")), after);
    assert_non_null(rc_instance_group(after, rc_slice_str("GID_one")));
    rc_catalog_unref(new);
}

static void test_a_groups_rule_comes_and_goes_in_the_fork_alone(void **state)
{
    struct rc_catalog *old = two_instances(), *new = rc_catalog_fork(old);
    struct rc_instance *after = rc_catalog_edit_instance(new, rc_slice_str("one"));
    assert_int_equal(rc_catalog_remove_group(after, rc_slice_str("GID_one")), RC_ERR_BUSY);
    assert_int_equal(rc_catalog_remove_group(after, rc_slice_str("GID_two")), RC_ERR_BUSY);
    assert_int_equal(rc_catalog_remove_group(after, rc_slice_str("GID_three")), RC_ERR_NOT_FOUND);
    assert_true(rc_catalog_remove_status_rule(after, rc_slice_str("r-1")));
    assert_false(rc_catalog_remove_status_rule(after, rc_slice_str("r-1")));
    assert_null(rc_instance_group(after, rc_slice_str("GID_one"))->status_rule);
    assert_int_equal(rc_catalog_remove_group(after, rc_slice_str("GID_one")), 0);
    const struct rc_instance *before = rc_catalog_instance(old, rc_slice_str("one"));
    assert_non_null(rc_instance_group(before, rc_slice_str("GID_one"))->status_rule);
    struct rc_group *two = rc_catalog_edit_group(after, rc_slice_str("GID_two"));
    assert_ptr_equal(after->group, two);
    assert_ptr_not_equal(before->group, two);
    rc_catalog_unref(new);
    rc_catalog_unref(old);
}

static void test_an_instance_goes_with_its_keys(void **state)
{
    struct rc_catalog *old = two_instances(), *new = rc_catalog_fork(old);
    assert_int_equal(rc_catalog_add_role_key(new, rc_slice_str(""), rc_slice_str("ROOT"), rc_slice_str("SK"),
                                             RC_KEY_ADMIN),
                     0);
    const struct rc_instance *two = rc_catalog_instance(new, rc_slice_str("two"));
    assert_non_null(rc_catalog_instance_key(new, two, rc_slice_str("ROOT")));
    assert_non_null(rc_catalog_instance_key(new, two, rc_slice_str("AK2")));
    assert_null(rc_catalog_instance_key(new, two, rc_slice_str("AK1")));
    assert_true(rc_catalog_remove_instance(new, rc_slice_str("one")));
    assert_false(rc_catalog_remove_instance(new, rc_slice_str("one")));
    assert_null(rc_catalog_key(new, rc_slice_str("AK1")));
    assert_null(new->default_instance);
    assert_non_null(rc_catalog_key(old, rc_slice_str("AK1")));
    rc_catalog_unref(old);
    rc_catalog_unref(new);
}

static void test_identities_of_a_name_and_a_client_go_before_those_of_the_name(void **state)
{
    struct rc_catalog *catalog = two_instances();
    struct rc_instance *one = rc_catalog_edit_instance(catalog, rc_slice_str("one"));
    struct rc_slice user = rc_slice_str("bob"), client = rc_slice_str("GID_one@@@1"), none = {NULL, 0};
    assert_null(rc_instance_identity(one, user, client));
    assert_int_equal(rc_catalog_put_identity(one, user, none, rc_slice_str("s1"), false), 0);
    assert_int_equal(rc_catalog_put_identity(one, user, client, rc_slice_str("s2"), true), 0);
    assert_int_equal(rc_catalog_put_identity(one, rc_slice_str("a|b"), none, rc_slice_str("s"), true),
                     RC_ERR_INVALID);
    assert_true(rc_slice_eq_str(rc_instance_identity(one, user, client)->secret, "s2"));
    assert_true(rc_slice_eq_str(rc_instance_identity(one, user, rc_slice_str("x"))->secret, "s1"));
    assert_true(rc_catalog_remove_identity(one, user, client));
    assert_true(rc_slice_eq_str(rc_instance_identity(one, user, client)->secret, "s1"));
    rc_catalog_unref(catalog);
}

static void test_permissions_are_one_for_each_topic(void **state)
{
    struct rc_catalog *catalog = two_instances();
    struct rc_instance *one = rc_catalog_edit_instance(catalog, rc_slice_str("one"));
    struct rc_slice bob = rc_slice_str("bob");
    struct rc_custom_permission a = {rc_slice_str("a/#"), RC_ACL_READ, false},
                                b = {rc_slice_str("b"), RC_ACL_WRITE, false};
    assert_int_equal(rc_catalog_put_permission(one, false, bob, &a), 0);
    assert_int_equal(rc_catalog_put_permission(one, false, bob, &b), 0);
    a.denies = true;
    assert_int_equal(rc_catalog_put_permission(one, false, bob, &a), 0);
    assert_null(rc_instance_permissions(one, true, bob));
    assert_int_equal(rc_instance_permissions(one, false, bob)->count, 2);
    assert_true(rc_instance_permissions(one, false, bob)->list[1].denies);
    assert_true(rc_catalog_remove_permission(one, false, bob, a.topic));
    assert_false(rc_catalog_remove_permission(one, false, bob, a.topic));
    assert_true(rc_catalog_remove_permission(one, false, bob, b.topic));
    assert_null(rc_instance_permissions(one, false, bob));
    rc_catalog_unref(catalog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_and_nothing_twice),
        cmocka_unit_test(test_client_ids_follow_the_products_rules),
        cmocka_unit_test(test_a_fork_changes_alone_and_shares_the_rest),
        cmocka_unit_test(test_a_groups_rule_comes_and_goes_in_the_fork_alone),
        cmocka_unit_test(test_an_instance_goes_with_its_keys),
        cmocka_unit_test(test_identities_of_a_name_and_a_client_go_before_those_of_the_name),
        cmocka_unit_test(test_permissions_are_one_for_each_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
