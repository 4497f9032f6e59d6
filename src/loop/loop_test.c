#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "loop/timer_wheel.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the wheel, against a model ---- */

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

/* ---- the loop ---- */

struct stopper {
    struct rc_timer timer;
    struct rc_loop *loop;
    uint64_t started_ms, fired_ms;
};

static void on_stop_due(struct rc_timer *timer)
{
    struct stopper *stopper = rc_container_of(timer, struct stopper, timer);
    stopper->fired_ms = rc_clock_mono_ms();
    rc_loop_stop(stopper->loop);
}

static struct stopper run_for(struct rc_loop *loop, uint64_t delay_ms)
{
    struct stopper stopper = {.timer.on_due = on_stop_due, .loop = loop, .started_ms = rc_clock_mono_ms()};
    rc_timer_start(loop, &stopper.timer, delay_ms);
    rc_loop_run(loop);
    return stopper;
}

static void test_a_timer_is_never_early_and_hardly_late(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    struct stopper stopper = run_for(loop, 50);
    assert_in_range(stopper.fired_ms - stopper.started_ms, 50, 150);
    rc_loop_destroy(loop);
}

struct pair {
    struct rc_watch watch[2];
    int fds[2][2];
    int ready;
    struct rc_loop *loop;
};

static struct pair *the_pair;

static void on_first_ready(struct rc_watch *watch, uint32_t events)
{
    the_pair->ready++;
    rc_loop_unwatch(the_pair->loop, &the_pair->watch[0]);
    rc_loop_unwatch(the_pair->loop, &the_pair->watch[1]);
    rc_loop_stop(the_pair->loop);
}

static void test_a_watch_removed_by_another_in_the_same_turn_stays_silent(void **state)
{
    struct pair pair = {.ready = 0};
    the_pair = &pair;
    assert_int_equal(rc_loop_create("test", &pair.loop), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.fds[i]), 0);
        assert_int_equal(write(pair.fds[i][1], "x", 1), 1);
        pair.watch[i].on_ready = on_first_ready;
        assert_int_equal(rc_loop_watch(pair.loop, &pair.watch[i], pair.fds[i][0], EPOLLIN), 0);
    }
    rc_loop_run(pair.loop);
    assert_int_equal(pair.ready, 1);
    for (int i = 0; i < 4; i++)
        close(pair.fds[i / 2][i % 2]);
    rc_loop_destroy(pair.loop);
}

/* ---- mail across threads ---- */

enum { SENDERS = 4, LETTERS = 20000 };

struct letter {
    struct rc_mail mail;
    int sender, number;
};

static int letter_next[SENDERS], letters_in;
static struct rc_loop *letter_loop;

static void on_letter(struct rc_mail *mail, struct rc_loop *loop)
{
    struct letter *letter = rc_container_of(mail, struct letter, mail);
    assert_ptr_equal(loop, letter_loop);
    assert_ptr_equal(rc_loop_current(), letter_loop);
    assert_int_equal(letter_next[letter->sender]++, letter->number);
    free(letter);
    if (++letters_in == SENDERS * LETTERS)
        rc_loop_stop(loop);
}

static void *send_letters(void *arg)
{
    int sender = (int)(intptr_t)arg;
    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = rc_new(struct letter);
        letter->mail.deliver = on_letter;
        letter->sender = sender;
        letter->number = i;
        rc_loop_post(letter_loop, &letter->mail);
    }
    return NULL;
}

static void test_mail_of_each_sender_arrives_whole_and_in_order(void **state)
{
    pthread_t threads[SENDERS];
    assert_int_equal(rc_loop_create("test", &letter_loop), 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_letters, (void *)(intptr_t)i);
    rc_loop_run(letter_loop);
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(letter_next[i], LETTERS);
    }
    rc_loop_destroy(letter_loop);
}

/* ---- fairness ---- */

struct greedy {
    struct rc_timer timer;
    struct rc_loop *loop;
    int fired;
};

static void on_greedy_due(struct rc_timer *timer)
{
    struct greedy *greedy = rc_container_of(timer, struct greedy, timer);
    greedy->fired++;
    rc_timer_start(greedy->loop, timer, 0);
}

static void test_a_timer_that_rearms_itself_cannot_starve_the_rest(void **state)
{
    struct greedy greedy = {.timer.on_due = on_greedy_due};
    assert_int_equal(rc_loop_create("test", &greedy.loop), 0);
    rc_timer_start(greedy.loop, &greedy.timer, 0);
    run_for(greedy.loop, 60);
    assert_in_range(greedy.fired, 2, 30);
    rc_timer_stop(&greedy.timer);
    rc_loop_destroy(greedy.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_timer_is_due_at_its_tick_and_once),
        cmocka_unit_test(test_a_stopped_timer_never_fires),
        cmocka_unit_test(test_a_timer_is_never_early_and_hardly_late),
        cmocka_unit_test(test_a_watch_removed_by_another_in_the_same_turn_stays_silent),
        cmocka_unit_test(test_mail_of_each_sender_arrives_whole_and_in_order),
        cmocka_unit_test(test_a_timer_that_rearms_itself_cannot_starve_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
