#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/nearest.h"

static const char *const names[] = {"listeners", "max_connections", "retain_time", "retain_size", "dir"};

static const char *name_at(const void *all, size_t index)
{
    return ((const char *const *)all)[index];
}

static const char *nearest(const char *given)
{
    return rc_nearest(rc_slice_str(given), name_at, names, sizeof(names) / sizeof(names[0]));
}

static void test_a_slip_of_the_finger_finds_its_name(void **state)
{
    assert_string_equal(nearest("listener"), "listeners");
    assert_string_equal(nearest("retian_size"), "retain_size");
    assert_string_equal(nearest("MAX_CONECTIONS"), "max_connections");
    assert_string_equal(nearest("dri"), "dir");
}

static void test_a_strange_name_finds_nothing(void **state)
{
    assert_null(nearest("password"));
    assert_null(nearest(""));
    assert_null(nearest("a_name_that_is_much_longer_than_any_key_is_ever_going_to_be"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_slip_of_the_finger_finds_its_name),
        cmocka_unit_test(test_a_strange_name_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
