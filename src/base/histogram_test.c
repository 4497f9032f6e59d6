#include "base/histogram.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static void an_empty_one_has_no_percentiles(void **state)
{
    struct rc_histogram *histogram = rc_new(struct rc_histogram);
    assert_int_equal(rc_histogram_at(histogram, 99000), 0);
    free(histogram);
}

static void small_values_are_exact(void **state)
{
    struct rc_histogram *histogram = rc_new(struct rc_histogram);
    for (uint64_t i = 1; i <= 100; i++)
        rc_histogram_add(histogram, i);
    assert_int_equal(rc_histogram_at(histogram, 50000), 50);
    assert_int_equal(rc_histogram_at(histogram, 99000), 99);
    assert_int_equal(rc_histogram_at(histogram, 100000), 100);
    assert_int_equal(rc_histogram_at(histogram, 0), 1);
    assert_int_equal(histogram->max, 100);
    free(histogram);
}

static void large_values_are_off_by_less_than_one_percent(void **state)
{
    for (uint64_t value = 200; value < RC_HISTOGRAM_VALUE_MAX / 3; value = value * 3 + 1) {
        struct rc_histogram *histogram = rc_new(struct rc_histogram);
        rc_histogram_add(histogram, value);
        rc_histogram_add(histogram, value * 2);
        uint64_t middle = rc_histogram_at(histogram, 50000);
        assert_true(middle >= value && middle <= value + value / 100);
        assert_int_equal(rc_histogram_at(histogram, 100000), value * 2);
        free(histogram);
    }
}

static void what_is_too_large_counts_as_the_largest(void **state)
{
    struct rc_histogram *histogram = rc_new(struct rc_histogram);
    rc_histogram_add(histogram, UINT64_MAX);
    assert_true(rc_histogram_at(histogram, 50000) == RC_HISTOGRAM_VALUE_MAX);
    assert_int_equal(histogram->count, 1);
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_has_no_percentiles),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(large_values_are_off_by_less_than_one_percent),
        cmocka_unit_test(what_is_too_large_counts_as_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
