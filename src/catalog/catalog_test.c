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
    assert_int_equal(rc_catalog_add_group(catalog, instance, rc_slice_str("GID_one"), &group), 0);
    assert_int_equal(rc_catalog_add_group(catalog, instance, rc_slice_str("GIDone7"), &group),
                     RC_ERR_INVALID);
    assert_int_equal(
        rc_catalog_set_status_rule(catalog, group, rc_slice_str("r-1"), rc_slice_str("T"), 8, true), 0);
    assert_int_equal(
        rc_catalog_set_status_rule(catalog, group, rc_slice_str("r-2"), rc_slice_str("T"), 8, true),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_and_nothing_twice),
        cmocka_unit_test(test_client_ids_follow_the_products_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
