#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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

struct slow_letter {
    struct rc_mail mail;
    atomic_int *delivered;
};

static void deliver_slowly(struct rc_mail *mail, struct rc_loop *loop)
{
    usleep(1000);
    atomic_fetch_add(rc_container_of(mail, struct slow_letter, mail)->delivered, 1);
}

static void test_a_sync_returns_when_earlier_mail_was_delivered(void **state)
{
    enum { COUNT = 20 };
    struct rc_loop *loop;
    struct slow_letter letters[COUNT];
    atomic_int delivered = 0;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    assert_int_equal(rc_loop_start_thread(loop), 0);
    for (int i = 0; i < COUNT; i++) {
        letters[i] = (struct slow_letter){.mail.deliver = deliver_slowly, .delivered = &delivered};
        rc_loop_post(loop, &letters[i].mail);
    }
    rc_loop_sync(loop);
    assert_int_equal(atomic_load(&delivered), COUNT);
    rc_loop_stop(loop);
    rc_loop_join_thread(loop);
    rc_loop_destroy(loop);
}

/* ---- watches ---- */

struct end {
    struct rc_watch watch;
    struct rc_loop *loop;
    int fds[2];
    int ready;
    uint32_t seen;
};

static void on_end_ready(struct rc_watch *watch, uint32_t events)
{
    struct end *end = rc_container_of(watch, struct end, watch);
    end->ready++;
    end->seen |= events;
}

static struct end *end_create(struct rc_loop *loop, void (*on_ready)(struct rc_watch *, uint32_t))
{
    struct end *end = rc_new(struct end);
    end->loop = loop;
    end->watch.on_ready = on_ready;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end->fds), 0);
    assert_int_equal(rc_loop_watch(loop, &end->watch, end->fds[0], EPOLLIN), 0);
    return end;
}

static void end_free(struct end *end)
{
    rc_loop_unwatch(end->loop, &end->watch);
    close(end->fds[0]);
    close(end->fds[1]);
    free(end);
}

static void test_a_paused_watch_is_silent_even_when_the_peer_hangs_up(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    struct end *end = end_create(loop, on_end_ready);
    assert_int_equal(rc_loop_rewatch(loop, &end->watch, 0), 0);
    assert_int_equal(write(end->fds[1], "x", 1), 1);
    shutdown(end->fds[1], SHUT_RDWR);
    run_for(loop, 20);
    assert_int_equal(end->ready, 0);
    assert_int_equal(rc_loop_rewatch(loop, &end->watch, EPOLLIN), 0);
    run_for(loop, 20);
    assert_true(end->ready > 0);
    assert_true(end->seen & EPOLLIN);
    end_free(end);
    rc_loop_destroy(loop);
}

static struct end *ends[8];
static int frees;

/* Whoever comes first frees all the others, as a takeover may: the sanitizer sees any later touch. */
static void on_ready_free_the_others(struct rc_watch *watch, uint32_t events)
{
    struct end *end = rc_container_of(watch, struct end, watch);
    struct rc_loop *loop = end->loop;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        if (i % 2 == 0) {
            end_free(ends[i]);
        } else {
            rc_loop_forget(loop, &ends[i]->watch);
            end_free(ends[i]);
        }
    frees++;
    rc_loop_stop(loop);
}

static void test_watches_may_be_freed_while_their_events_wait(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        ends[i] = end_create(loop, on_ready_free_the_others);
        assert_int_equal(write(ends[i]->fds[1], "x", 1), 1);
    }
    rc_loop_run(loop);
    assert_int_equal(frees, 1);
    rc_loop_destroy(loop);
}

/* ---- hooks ---- */

struct noted_hook {
    struct rc_hook hook;
    struct rc_loop *loop;
    struct noted_hook *removes, *adds;
    char name;
};

static char hook_order[64];

static void on_hook(struct rc_hook *hook)
{
    struct noted_hook *noted = rc_container_of(hook, struct noted_hook, hook);
    size_t len = strlen(hook_order);
    if (len + 1 < sizeof(hook_order))
        hook_order[len] = noted->name;
    if (noted->removes != NULL)
        rc_loop_remove_hook(&noted->removes->hook);
    if (noted->adds != NULL)
        rc_loop_add_hook(noted->loop, &noted->adds->hook);
    noted->removes = noted->adds = NULL;
}

static void test_hooks_run_in_order_and_may_remove_and_add_each_other(void **state)
{
    struct rc_loop *loop;
    struct noted_hook hooks[5];
    assert_int_equal(rc_loop_create("test", &loop), 0);
    for (int i = 0; i < 5; i++) {
        hooks[i] = (struct noted_hook){.hook.run = on_hook, .loop = loop, .name = (char)('a' + i)};
        if (i < 4)
            rc_loop_add_hook(loop, &hooks[i].hook);
    }
    hooks[0].removes = &hooks[1]; /* the next one */
    hooks[2].removes = &hooks[2]; /* itself */
    hooks[3].adds = &hooks[4];
    rc_loop_stop(loop);
    rc_loop_run(loop); /* only the last hooks of a run that was stopped before it began */
    assert_string_equal(hook_order, "acde");
    rc_loop_stop(loop);
    rc_loop_run(loop);
    assert_string_equal(hook_order, "acdeade");
    rc_loop_destroy(loop);
}

static void on_nothing(struct rc_mail *mail, struct rc_loop *loop)
{
}

struct waking_hook {
    struct rc_hook hook;
    struct rc_loop *loop;
    int rounds;
    uint64_t until_ns, shortest_ns;
    bool was_refused;
};

static void wake_or_stop(struct rc_hook *hook)
{
    struct waking_hook *waking = rc_container_of(hook, struct waking_hook, hook);
    uint64_t now = rc_loop_now_ns(waking->loop);
    if (waking->rounds < 0) { /* the last hooks of the run */
        waking->was_refused = !rc_loop_wake_by(waking->loop, now + 1);
        return;
    }
    if (waking->until_ns != 0 && now >= waking->until_ns) {
        if (now - waking->until_ns < waking->shortest_ns)
            waking->shortest_ns = now - waking->until_ns;
        waking->until_ns = 0;
        if (--waking->rounds < 0) {
            rc_loop_stop(waking->loop);
            return;
        }
    }
    if (waking->until_ns == 0)
        waking->until_ns = now + 300 * 1000;
    assert_true(rc_loop_wake_by(waking->loop, now + 5000000000u));
    assert_true(rc_loop_wake_by(waking->loop, waking->until_ns)); /* the earlier one counts */
    assert_true(rc_loop_wake_by(waking->loop, now + 6000000000u));
}

static void test_a_hook_may_ask_for_a_wake_that_is_finer_than_timers(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    struct waking_hook waking = {
        .hook.run = wake_or_stop, .loop = loop, .rounds = 50, .shortest_ns = UINT64_MAX};
    rc_loop_add_hook(loop, &waking.hook);
    struct rc_mail first = {.deliver = on_nothing};
    rc_loop_post(loop, &first); /* the first turn does not sleep */
    rc_loop_run(loop);
    assert_true(waking.shortest_ns < 700 * 1000); /* a poll of whole milliseconds ends 700 us late at best */
    assert_true(waking.was_refused);
    rc_loop_destroy(loop);
}

/* The wall clock of the turn belongs to its start, however late it is asked for. */
static void ask_late(struct rc_hook *hook)
{
    struct waking_hook *waking = rc_container_of(hook, struct waking_hook, hook);
    int64_t start_ms =
        rc_clock_wall_ms() - (int64_t)rc_clock_mono_ms() + (int64_t)rc_loop_now_ms(waking->loop);
    if (waking->rounds++ > 0)
        return;
    usleep(300 * 1000);
    int64_t wall_ms = rc_loop_wall_ms(waking->loop);
    assert_in_range(wall_ms - start_ms + 100, 0, 200);
    usleep(20 * 1000);
    assert_int_equal(rc_loop_wall_ms(waking->loop), wall_ms);
    rc_loop_stop(waking->loop);
}

static void test_the_wall_clock_of_a_turn_is_that_of_its_start(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    struct waking_hook asking = {.hook.run = ask_late, .loop = loop};
    rc_loop_add_hook(loop, &asking.hook);
    struct rc_mail first = {.deliver = on_nothing};
    rc_loop_post(loop, &first);
    rc_loop_run(loop);
    assert_in_range(rc_loop_wall_ms(loop) - rc_clock_wall_ms() + 1000, 0, 1100); /* outside of a run: now */
    rc_loop_destroy(loop);
}

/* ---- mail ---- */

struct chain {
    struct rc_mail mail;
    int left;
};

static void on_chain(struct rc_mail *mail, struct rc_loop *loop)
{
    struct chain *chain = rc_container_of(mail, struct chain, mail);
    assert_ptr_equal(rc_loop_current(), loop);
    if (--chain->left > 0)
        rc_loop_post(loop, mail);
}

static void test_destroy_delivers_mail_and_the_mail_that_it_causes(void **state)
{
    struct rc_loop *loop;
    struct chain chain = {.mail.deliver = on_chain, .left = 5};
    assert_int_equal(rc_loop_create("test", &loop), 0);
    rc_loop_post(loop, &chain.mail);
    rc_loop_destroy(loop);
    assert_int_equal(chain.left, 0);
    assert_null(rc_loop_current());
}

/* Two threads that answer each other: every answer needs its own wake, so a lost one stops the game. */
enum { VOLLEYS = 20000 };

struct ball {
    struct rc_mail mail;
    struct rc_loop *sides[2];
    int hits;
    atomic_bool is_over;
};

static void on_ball(struct rc_mail *mail, struct rc_loop *loop)
{
    struct ball *ball = rc_container_of(mail, struct ball, mail);
    if (++ball->hits >= VOLLEYS) {
        atomic_store(&ball->is_over, true);
        return;
    }
    rc_loop_post(ball->sides[loop == ball->sides[0]], mail);
}

static void test_two_loops_that_answer_each_other_never_miss_a_wake(void **state)
{
    enum { BALLS = 3 };
    struct rc_loop *sides[2];
    static struct ball balls[BALLS];
    char name[2][16] = {"left", "right"};
    for (int i = 0; i < 2; i++)
        assert_int_equal(rc_loop_create(name[i], &sides[i]), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rc_loop_start_thread(sides[i]), 0);
    for (int i = 0; i < BALLS; i++) {
        balls[i] = (struct ball){.mail.deliver = on_ball, .sides = {sides[0], sides[1]}};
        rc_loop_post(sides[i % 2], &balls[i].mail);
    }
    /* A missed wake would be made good by the loop's longest sleep: 60000 volleys leave no time for that. */
    uint64_t deadline = rc_clock_mono_ms() + 60000;
    int over = 0;
    while (over < BALLS && rc_clock_mono_ms() < deadline) {
        usleep(1000);
        over = 0;
        for (int i = 0; i < BALLS; i++)
            over += atomic_load(&balls[i].is_over);
    }
    assert_int_equal(over, BALLS);
    for (int i = 0; i < 2; i++) {
        rc_loop_stop(sides[i]);
        rc_loop_join_thread(sides[i]);
        rc_loop_join_thread(sides[i]); /* harmless */
    }
    while (rc_loop_drain(sides[0]) || rc_loop_drain(sides[1]))
        continue;
    rc_loop_destroy(sides[0]);
    rc_loop_destroy(sides[1]);
}

struct asked {
    struct rc_mail mail;
    char name[16];
    bool blocks_sigterm, blocks_sigsegv;
};

static void on_asked(struct rc_mail *mail, struct rc_loop *loop)
{
    struct asked *asked = rc_container_of(mail, struct asked, mail);
    sigset_t mask;
    pthread_getname_np(pthread_self(), asked->name, sizeof(asked->name));
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    asked->blocks_sigterm = sigismember(&mask, SIGTERM);
    asked->blocks_sigsegv = sigismember(&mask, SIGSEGV);
    rc_loop_stop(loop);
}

static void test_a_thread_bears_its_loops_name_and_leaves_signals_to_others(void **state)
{
    struct rc_loop *loop;
    struct asked asked = {.mail.deliver = on_asked};
    sigset_t mask;
    assert_int_equal(rc_loop_create("shard-7", &loop), 0);
    rc_loop_post(loop, &asked.mail);
    assert_int_equal(rc_loop_start_thread(loop), 0);
    rc_loop_join_thread(loop);
    assert_string_equal(asked.name, "shard-7");
    assert_true(asked.blocks_sigterm);
    assert_false(asked.blocks_sigsegv);
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
    rc_loop_destroy(loop);
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

/* More timers than one turn may fire, all due again at once, must leave each turn its look at the sockets. */
enum { GREEDY_MANY = 3 * RC_LOOP_TIMERS_MAX };

static void on_end_stop(struct rc_watch *watch, uint32_t events)
{
    on_end_ready(watch, events);
    rc_loop_stop(rc_container_of(watch, struct end, watch)->loop);
}

static void test_a_flood_of_timers_cannot_starve_the_sockets(void **state)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    struct greedy *many = rc_calloc(GREEDY_MANY, sizeof(*many));
    for (int i = 0; i < GREEDY_MANY; i++) {
        many[i].timer.on_due = on_greedy_due;
        many[i].loop = loop;
        rc_timer_start(loop, &many[i].timer, 0);
    }
    usleep(2 * RC_TIMER_TICK_MS * 1000); /* now all are due */
    struct end *end = end_create(loop, on_end_stop);
    assert_int_equal(write(end->fds[1], "x", 1), 1);
    rc_loop_run(loop);
    int fired = 0;
    for (int i = 0; i < GREEDY_MANY; i++)
        fired += many[i].fired;
    assert_int_equal(end->ready, 1);
    assert_in_range(fired, 0, RC_LOOP_TIMERS_MAX);
    for (int i = 0; i < GREEDY_MANY; i++)
        rc_timer_stop(&many[i].timer);
    free(many);
    end_free(end);
    rc_loop_destroy(loop);
}

static void test_the_longest_delay_does_not_wrap_round_to_now(void **state)
{
    struct rc_loop *loop;
    struct greedy late = {.timer.on_due = on_greedy_due};
    assert_int_equal(rc_loop_create("test", &loop), 0);
    late.loop = loop;
    rc_timer_start(loop, &late.timer, UINT64_MAX);
    run_for(loop, 20);
    assert_int_equal(late.fired, 0);
    assert_true(rc_timer_is_running(&late.timer));
    rc_timer_stop(&late.timer);
    rc_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_is_never_early_and_hardly_late),
        cmocka_unit_test(test_a_watch_removed_by_another_in_the_same_turn_stays_silent),
        cmocka_unit_test(test_mail_of_each_sender_arrives_whole_and_in_order),
        cmocka_unit_test(test_a_sync_returns_when_earlier_mail_was_delivered),
        cmocka_unit_test(test_a_paused_watch_is_silent_even_when_the_peer_hangs_up),
        cmocka_unit_test(test_watches_may_be_freed_while_their_events_wait),
        cmocka_unit_test(test_hooks_run_in_order_and_may_remove_and_add_each_other),
        cmocka_unit_test(test_a_hook_may_ask_for_a_wake_that_is_finer_than_timers),
        cmocka_unit_test(test_the_wall_clock_of_a_turn_is_that_of_its_start),
        cmocka_unit_test(test_destroy_delivers_mail_and_the_mail_that_it_causes),
        cmocka_unit_test(test_two_loops_that_answer_each_other_never_miss_a_wake),
        cmocka_unit_test(test_a_thread_bears_its_loops_name_and_leaves_signals_to_others),
        cmocka_unit_test(test_a_timer_that_rearms_itself_cannot_starve_the_rest),
        cmocka_unit_test(test_a_flood_of_timers_cannot_starve_the_sockets),
        cmocka_unit_test(test_the_longest_delay_does_not_wrap_round_to_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
