#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/timer_wheel.h"

#include <stdlib.h>

enum { MODEL_TIMERS = 20000 };

static uint64_t pick_delay(unsigned *seed)
{
    uint64_t bits = (uint64_t)rand_r(seed) % 26;
    return 1 + ((uint64_t)rand_r(seed) & ((1u << bits) - 1));
}

static void test_every_timer_is_due_at_its_tick_and_once(void **state)
{
    static struct rc_timer timers[MODEL_TIMERS];
    static int fired[MODEL_TIMERS];
    struct rc_timer_wheel wheel;
    unsigned seed = 7;
    uint64_t tick = 0xfffffe00u; /* near the carry out of the top level */
    rc_timer_wheel_init(&wheel, tick);
    for (int i = 0; i < MODEL_TIMERS; i++) {
        timers[i].due_tick = tick + pick_delay(&seed);
        rc_timer_wheel_add(&wheel, &timers[i]);
    }
    int count = 0;
    while (count < MODEL_TIMERS) {
        uint64_t wait = rc_timer_wheel_wait(&wheel, 100000);
        tick += wait ? wait : 1;
        rc_timer_wheel_advance(&wheel, tick);
        struct rc_list *node;
        while ((node = rc_list_pop_front(&wheel.due)) != NULL) {
            struct rc_timer *timer = rc_container_of(node, struct rc_timer, node);
            assert_int_equal(timer->due_tick, tick);
            assert_int_equal(fired[timer - timers]++, 0);
            count++;
        }
    }
}

static void test_a_stopped_timer_never_fires(void **state)
{
    struct rc_timer_wheel wheel;
    struct rc_timer timer = {.due_tick = 300};
    rc_timer_wheel_init(&wheel, 0);
    rc_timer_wheel_add(&wheel, &timer);
    rc_timer_stop(&timer);
    rc_timer_wheel_advance(&wheel, 1000);
    assert_true(rc_list_is_empty(&wheel.due));
    assert_false(rc_timer_is_running(&timer));
}

/* ---- against a model: an array that is searched in full ---- */

enum { CHURN_TIMERS = 300, CHURN_STEPS = 20000 };

struct churn {
    struct rc_timer_wheel wheel;
    struct rc_timer timers[CHURN_TIMERS];
    uint64_t due[CHURN_TIMERS]; /* 0: not running */
    uint64_t tick;
};

static void churn_advance(struct churn *churn, uint64_t by)
{
    churn->tick += by;
    rc_timer_wheel_advance(&churn->wheel, churn->tick);
    uint64_t last = 0;
    struct rc_list *node;
    while ((node = rc_list_pop_front(&churn->wheel.due)) != NULL) {
        struct rc_timer *timer = rc_container_of(node, struct rc_timer, node);
        uint64_t *due = &churn->due[timer - churn->timers];
        assert_int_equal(*due, timer->due_tick);
        assert_true(*due <= churn->tick && *due >= last);
        last = *due;
        *due = 0;
    }
    for (int i = 0; i < CHURN_TIMERS; i++)
        assert_true(churn->due[i] == 0 || churn->due[i] > churn->tick);
}

static void test_starting_stopping_and_time_in_any_order_agree_with_a_model(void **state)
{
    struct churn *churn = rc_new(struct churn);
    unsigned seed = 42;
    churn->tick = 0x1ffff00;
    rc_timer_wheel_init(&churn->wheel, churn->tick);
    for (int step = 0; step < CHURN_STEPS; step++) {
        int i = rand_r(&seed) % CHURN_TIMERS;
        switch (rand_r(&seed) % 4) {
        case 0:
            rc_timer_stop(&churn->timers[i]);
            churn->due[i] = 0;
            break;
        case 1:
            churn_advance(churn, pick_delay(&seed) % 3000);
            break;
        default:
            rc_timer_stop(&churn->timers[i]);
            churn->due[i] = churn->timers[i].due_tick = churn->tick + pick_delay(&seed);
            rc_timer_wheel_add(&churn->wheel, &churn->timers[i]);
        }
    }
    free(churn);
}

static void test_the_wait_never_sleeps_past_a_timer(void **state)
{
    struct churn *churn = rc_new(struct churn);
    unsigned seed = 3;
    rc_timer_wheel_init(&churn->wheel, churn->tick);
    for (int step = 0; step < 2000; step++) {
        struct rc_timer *timer = &churn->timers[0];
        timer->due_tick = churn->tick + 1 + (uint64_t)rand_r(&seed) % 2000;
        rc_timer_wheel_add(&churn->wheel, timer);
        while (rc_timer_is_running(timer) && rc_list_is_empty(&churn->wheel.due)) {
            uint64_t wait = rc_timer_wheel_wait(&churn->wheel, 250);
            assert_in_range(wait, 1, 250);
            churn->tick += wait;
            assert_true(churn->tick <= timer->due_tick);
            rc_timer_wheel_advance(&churn->wheel, churn->tick);
        }
        assert_int_equal(churn->tick, timer->due_tick);
        rc_timer_stop(timer);
    }
    free(churn);
}

static void test_a_million_timers_cost_no_more_each_than_a_few(void **state)
{
    enum { MILLION = 1000000, KEEP_ALIVE_TICKS = 90 * 250 };
    struct rc_timer *timers = rc_calloc(MILLION, sizeof(*timers));
    struct rc_timer_wheel wheel;
    unsigned seed = 11;
    rc_timer_wheel_init(&wheel, 0);
    uint64_t started = rc_clock_mono_ms();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < MILLION; i++) {
            rc_timer_stop(&timers[i]);
            timers[i].due_tick = 1 + (uint64_t)rand_r(&seed) % KEEP_ALIVE_TICKS;
            rc_timer_wheel_add(&wheel, &timers[i]);
        }
    rc_timer_wheel_advance(&wheel, KEEP_ALIVE_TICKS);
    int fired = 0;
    while (rc_list_pop_front(&wheel.due) != NULL)
        fired++;
    assert_int_equal(fired, MILLION);
    /* 4 million operations; anything that searches would take hours. */
    assert_in_range(rc_clock_mono_ms() - started, 0, 20000);
    free(timers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_timer_is_due_at_its_tick_and_once),
        cmocka_unit_test(test_a_stopped_timer_never_fires),
        cmocka_unit_test(test_starting_stopping_and_time_in_any_order_agree_with_a_model),
        cmocka_unit_test(test_the_wait_never_sleeps_past_a_timer),
        cmocka_unit_test(test_a_million_timers_cost_no_more_each_than_a_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
