#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "presence/event_clock.h"

static struct rc_event_clock *clock_from(int64_t floor_ms)
{
    struct rc_event_clock *clock = rc_new(struct rc_event_clock);
    rc_event_clock_init(clock, floor_ms);
    clock->last_mono_ms = 1000;
    return clock;
}

static void test_the_wall_clock_is_followed_while_it_goes_forward(void **state)
{
    struct rc_event_clock *clock = clock_from(0);
    assert_int_equal(rc_event_clock_now(clock, 50000, 1000), 50000);
    assert_int_equal(rc_event_clock_now(clock, 50010, 1010), 50010);
    assert_int_equal(rc_event_clock_now(clock, 90000, 1011), 90000); /* set forward */
    free(clock);
}

static void test_after_a_step_back_time_runs_on_and_the_wall_clock_catches_up(void **state)
{
    struct rc_event_clock *clock = clock_from(0);
    rc_event_clock_now(clock, 50000, 1000);
    assert_int_equal(rc_event_clock_now(clock, 40000, 1000), 50000);
    assert_int_equal(rc_event_clock_now(clock, 40100, 1100), 50100);
    assert_int_equal(rc_event_clock_now(clock, 60000, 1200), 60000);
    free(clock);
}

static void test_the_clock_starts_above_the_logs_greatest_time(void **state)
{
    struct rc_event_clock *clock = clock_from(70000);
    assert_true(rc_event_clock_now(clock, 50000, 1000) > 70000);
    assert_true(rc_event_clock_now(clock, 50000, 1005) > 70004);
    free(clock);
}

static void test_a_monotonic_time_from_before_the_clock_was_made_does_not_let_it_fall(void **state)
{
    struct rc_event_clock *clock = clock_from(70000);
    assert_int_equal(rc_event_clock_now(clock, 50000, 990), 70001);
    assert_int_equal(rc_event_clock_now(clock, 50000, 1005), 70006);
    free(clock);
}

/* The time of a client's event now; its first one comes after it last left. */
static int64_t next_time(struct rc_event_clock *clock, uint16_t client, int64_t last_ms)
{
    int64_t now = rc_event_clock_now(clock, rc_clock_wall_ms(), (int64_t)rc_clock_mono_ms());
    return rc_event_clock_next(now, last_ms != 0 ? last_ms : rc_event_clock_departed(clock, client));
}

static void test_thousands_of_flaps_in_a_millisecond_have_growing_times(void **state)
{
    /* far ahead of the wall clock, so that it stands nearly still */
    struct rc_event_clock *clock = rc_new(struct rc_event_clock);
    rc_event_clock_init(clock, rc_clock_wall_ms());
    uint16_t one = rc_event_clock_slot(rc_slice_str("GID_x@@@one"));
    uint16_t other = rc_event_clock_slot(rc_slice_str("GID_x@@@other"));
    int64_t last_one = 0, last_other = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t connect = next_time(clock, one, 0);
        assert_true(connect > last_one);
        int64_t disconnect = next_time(clock, one, connect);
        assert_true(disconnect > connect);
        last_one = next_time(clock, one, disconnect);
        assert_true(last_one > disconnect);
        rc_event_clock_depart(clock, one, last_one);
        int64_t now = next_time(clock, other, last_other);
        assert_true(now > last_other);
        last_other = now;
    }
    free(clock);
}

static void test_a_departure_never_lowers_what_is_remembered(void **state)
{
    struct rc_event_clock *clock = clock_from(0);
    uint16_t client = rc_event_clock_slot(rc_slice_str("c"));
    int64_t far = rc_clock_wall_ms() + 100000;
    rc_event_clock_depart(clock, client, far);
    rc_event_clock_depart(clock, client, 5);
    assert_int_equal(next_time(clock, client, 0), far + 1);
    free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_wall_clock_is_followed_while_it_goes_forward),
        cmocka_unit_test(test_after_a_step_back_time_runs_on_and_the_wall_clock_catches_up),
        cmocka_unit_test(test_the_clock_starts_above_the_logs_greatest_time),
        cmocka_unit_test(test_a_monotonic_time_from_before_the_clock_was_made_does_not_let_it_fall),
        cmocka_unit_test(test_thousands_of_flaps_in_a_millisecond_have_growing_times),
        cmocka_unit_test(test_a_departure_never_lowers_what_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
