/* Trying a cluster that says nothing: it has to end all the same, with words. What clusters say is tried end
 * to end, with real ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "rules/target_trial.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct world {
    int silent; /* takes connections, and that is all */
    char nameserver[32];
    struct rc_target target;
    struct rc_target_question question;
};

static void set_up(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    world->silent = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(world->silent, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(world->silent, 8), 0);
    assert_int_equal(getsockname(world->silent, (struct sockaddr *)&address, &len), 0);
    snprintf(world->nameserver, sizeof(world->nameserver), "127.0.0.1:%u", ntohs(address.sin_port));
    world->target =
        (struct rc_target){.name = rc_slice_str("silent"), .nameservers = rc_slice_str(world->nameserver)};
    world->question =
        (struct rc_target_question){.target = &world->target, .topic = rc_slice_str("T"), .limit_ms = 1000};
}

static void it_ends_when_its_time_is_over(void **state)
{
    struct world world;
    struct rc_error error = {.text = ""};
    struct rc_target_found found;
    char want[128];
    set_up(&world);
    assert_int_equal(rc_target_check(&world.question, &found, &error), RC_ERR_TIMEOUT);
    snprintf(want, sizeof(want), "no route: name server %s: not answered within 1 s", world.nameserver);
    assert_string_equal(error.text, want);
    close(world.silent);
}

static void on_done(struct rc_target_trial *trial)
{
    rc_loop_stop(trial->reply_to);
}

struct canceller {
    struct rc_timer timer;
    atomic_bool is_cancelled;
};

static void on_soon(struct rc_timer *timer)
{
    atomic_store(&rc_container_of(timer, struct canceller, timer)->is_cancelled, true);
}

static void a_trial_that_nobody_waits_for_ends_at_once(void **state)
{
    struct world world;
    struct rc_loop *loop;
    struct canceller canceller = {.timer.on_due = on_soon};
    set_up(&world);
    assert_int_equal(rc_loop_create("test", &loop), RC_OK);
    world.question.limit_ms = 0; /* RC_TARGET_TRIAL_MS */
    world.question.is_cancelled = &canceller.is_cancelled;
    struct rc_target_trial trial = {.question = world.question, .reply_to = loop, .on_done = on_done};
    rc_timer_start(loop, &canceller.timer, 100);
    assert_int_equal(rc_target_trial_start(&trial), RC_OK);
    rc_loop_run(loop);
    assert_int_equal(trial.err, RC_ERR_CLOSED);
    assert_string_equal(trial.error.text, "the server is being stopped");
    rc_loop_destroy(loop);
    close(world.silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_when_its_time_is_over),
        cmocka_unit_test(a_trial_that_nobody_waits_for_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
