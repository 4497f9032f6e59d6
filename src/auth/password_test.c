#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/login_guard.h"
#include "auth/password.h"
#include "auth/password_pool.h"
#include "base/error.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

/* Written by `mosquitto_passwd -b` of mosquitto 2.0, for the password "secret". */
#define MOSQUITTO_ENTRY                                                                                      \
    "$7$101$E1ZcU4PHiUchmuJy$"                                                                               \
    "T1J6anTElAwVL6lBE/MwuAeAOC6NxcZs6WoHWSsZmLrtgEE6toYPzrIXmEW+OIu2lwTPj23JVa7mxT7PAR8+3Q=="

static bool is_entry(const char *text)
{
    struct rc_password_entry entry;
    return rc_password_parse(rc_slice_str(text), &entry);
}

static void test_a_password_is_right_for_its_own_entry_alone(void **state)
{
    char one[RC_PASSWORD_ENTRY_MAX], two[RC_PASSWORD_ENTRY_MAX];
    assert_int_equal(rc_password_make(rc_slice_str("secret"), 10, one), RC_OK);
    assert_int_equal(rc_password_make(rc_slice_str("secret"), 10, two), RC_OK);
    assert_string_not_equal(one, two); /* a salt of its own */
    assert_true(is_entry(one));
    assert_true(rc_password_verify(rc_slice_str(one), rc_slice_str("secret")));
    assert_true(rc_password_verify(rc_slice_str(two), rc_slice_str("secret")));
    assert_false(rc_password_verify(rc_slice_str(one), rc_slice_str("secreT")));
    assert_false(rc_password_verify(rc_slice_str(one), rc_slice(NULL, 0)));
    assert_false(rc_password_verify(rc_slice_str("none"), rc_slice_str("secret")));
    assert_int_equal(rc_password_make(rc_slice_str("x"), 0, one), RC_ERR_INVALID);
    assert_int_equal(rc_password_make(rc_slice_str("x"), RC_PASSWORD_ITERATIONS_MAX + 1, one),
                     RC_ERR_INVALID);
}

static void test_entries_of_mosquitto_are_taken(void **state)
{
    assert_true(rc_password_verify(rc_slice_str(MOSQUITTO_ENTRY), rc_slice_str("secret")));
    assert_false(rc_password_verify(rc_slice_str(MOSQUITTO_ENTRY), rc_slice_str("Secret")));
}

static void test_what_is_no_entry_is_refused(void **state)
{
    char good[RC_PASSWORD_ENTRY_MAX], bad[RC_PASSWORD_ENTRY_MAX + 8];
    rc_password_make(rc_slice_str("x"), 7, good);
    static const char *const texts[] = {
        "", "$7$", "$7$$$", "$6$10$AAAA$BBBB", "plain", "$7$x$AAAAAAAAAAA=$AAAA", "$7$10$AAAAAAAAAAA=$"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(is_entry(texts[i]));
    for (size_t i = 0; i < strlen(good); i++) { /* cut anywhere */
        memcpy(bad, good, i);
        bad[i] = '\0';
        assert_false(is_entry(bad));
    }
    snprintf(bad, sizeof(bad), "%s=", good);
    assert_false(is_entry(bad));
    snprintf(bad, sizeof(bad), "%s", good);
    bad[3] = '0'; /* $7$0$: no iterations */
    assert_false(is_entry(bad));
}

struct ask {
    struct rc_password_job job;
    sem_t *answered;
};

static void on_answer(struct rc_password_job *job)
{
    sem_post(rc_container_of(job, struct ask, job)->answered);
}

static bool ask(struct rc_password_pool *pool, struct rc_loop *loop, const char *entry, const char *password)
{
    char copy[64];
    sem_t answered;
    sem_init(&answered, 0, 0);
    snprintf(copy, sizeof(copy), "%s", password);
    struct ask one = {.answered = &answered};
    one.job.entry = rc_slice_str(entry);
    one.job.password = rc_slice_str(copy);
    one.job.reply_to = loop;
    one.job.on_answer = on_answer;
    assert_int_equal(rc_password_pool_post(pool, &one.job), RC_OK);
    sem_wait(&answered);
    sem_destroy(&answered);
    assert_string_equal(copy, ""); /* wiped */
    return one.job.is_right;
}

static void test_the_pool_verifies_and_remembers_only_what_is_right(void **state)
{
    char entry[RC_PASSWORD_ENTRY_MAX], other[RC_PASSWORD_ENTRY_MAX];
    struct rc_password_pool *pool;
    struct rc_loop *loop;
    rc_password_make(rc_slice_str("secret"), 1000, entry);
    rc_password_make(rc_slice_str("other"), 1000, other);
    assert_int_equal(rc_loop_create("test", &loop), RC_OK);
    assert_int_equal(rc_loop_start_thread(loop), RC_OK);
    assert_int_equal(rc_password_pool_create(2, &pool), RC_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(ask(pool, loop, entry, "secret"));
        assert_false(ask(pool, loop, entry, "other"));
        assert_false(ask(pool, loop, other, "secret"));
        assert_false(ask(pool, loop, "none", "secret"));
    }
    rc_password_pool_destroy(pool);
    rc_loop_stop(loop);
    rc_loop_join_thread(loop);
    rc_loop_destroy(loop);
}

static void test_the_pool_takes_so_many_and_no_more_and_ends_without_working_them_off(void **state)
{
    char entry[RC_PASSWORD_ENTRY_MAX];
    struct rc_password_pool *pool;
    struct rc_loop *loop;
    sem_t answered;
    struct ask *asks = calloc(RC_PASSWORD_POOL_WAITING_MAX + 1, sizeof(*asks)), *last;
    sem_init(&answered, 0, 0);
    rc_password_make(rc_slice_str("secret"), RC_PASSWORD_ITERATIONS_MAX / 4, entry); /* busy for a while */
    assert_int_equal(rc_loop_create("test", &loop), RC_OK);
    assert_int_equal(rc_loop_start_thread(loop), RC_OK);
    assert_int_equal(rc_password_pool_create(1, &pool), RC_OK);
    for (uint32_t i = 0; i <= RC_PASSWORD_POOL_WAITING_MAX; i++) {
        asks[i].answered = &answered;
        asks[i].job.entry = rc_slice_str(entry);
        asks[i].job.reply_to = loop;
        asks[i].job.on_answer = on_answer;
        if (i < RC_PASSWORD_POOL_WAITING_MAX)
            assert_int_equal(rc_password_pool_post(pool, &asks[i].job), RC_OK);
    }
    last = &asks[RC_PASSWORD_POOL_WAITING_MAX];
    assert_int_equal(rc_password_pool_post(pool, &last->job), RC_ERR_FULL);
    rc_password_pool_destroy(pool); /* all of them would take many minutes */
    for (uint32_t i = 0; i < RC_PASSWORD_POOL_WAITING_MAX; i++)
        sem_wait(&answered);
    for (uint32_t i = 0; i < RC_PASSWORD_POOL_WAITING_MAX; i++)
        assert_false(asks[i].job.is_right);
    rc_loop_stop(loop);
    rc_loop_join_thread(loop);
    rc_loop_destroy(loop);
    sem_destroy(&answered);
    free(asks);
}

static void test_the_guard_is_on_in_a_minute_in_which_somebody_failed(void **state)
{
    struct rc_login_guard *guard = calloc(1, sizeof(*guard));
    uint64_t now = 600000;
    assert_false(rc_login_guard_is_on(guard, 0));
    assert_false(rc_login_guard_is_on(guard, now));
    rc_login_guard_failed(guard, 1, now);
    assert_true(rc_login_guard_is_on(guard, now));
    assert_true(rc_login_guard_is_on(guard, now + 59999));
    assert_false(rc_login_guard_is_on(guard, now + 60000));
    rc_login_guard_failed(guard, 1, now + 60000);
    rc_login_guard_failed(guard, 1, now + 59999); /* a thread whose turn began before */
    assert_true(rc_login_guard_is_on(guard, now + 60000));
    free(guard);
}

static void test_the_guard_counts_within_a_minute_and_per_key(void **state)
{
    struct rc_login_guard *guard = calloc(1, sizeof(*guard));
    uint64_t one = 0x123456789abcdef0, two = 0x223456789abcdef1, now = 600000;
    for (int i = 0; i < 3; i++) {
        assert_true(rc_login_guard_allows(guard, one, 3, now));
        rc_login_guard_failed(guard, one, now);
    }
    assert_false(rc_login_guard_allows(guard, one, 3, now));
    assert_true(rc_login_guard_allows(guard, one, 4, now));
    assert_true(rc_login_guard_allows(guard, one, 0, now));
    assert_true(rc_login_guard_allows(guard, two, 3, now));
    assert_false(rc_login_guard_allows(guard, one, 3, now + 59999));
    assert_true(rc_login_guard_allows(guard, one, 3, now + 60000));
    for (int i = 0; i < 70000; i++) /* the count stops at its end */
        rc_login_guard_failed(guard, one, now);
    assert_false(rc_login_guard_allows(guard, one, 65535, now));
    free(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_password_is_right_for_its_own_entry_alone),
        cmocka_unit_test(test_entries_of_mosquitto_are_taken),
        cmocka_unit_test(test_what_is_no_entry_is_refused),
        cmocka_unit_test(test_the_pool_verifies_and_remembers_only_what_is_right),
        cmocka_unit_test(test_the_pool_takes_so_many_and_no_more_and_ends_without_working_them_off),
        cmocka_unit_test(test_the_guard_is_on_in_a_minute_in_which_somebody_failed),
        cmocka_unit_test(test_the_guard_counts_within_a_minute_and_per_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
