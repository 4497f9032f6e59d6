/* What a shard's replica of the retained messages forgets, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/retained.h"

#include <stdio.h>

static void set(struct rc_retained *retained, const char *topic, uint64_t expires_ms, uint64_t stamp)
{
    struct rc_mqtt_publish publish = {.topic = rc_slice_str(topic), .payload = rc_slice_str("x")};
    struct rc_publication *publication = rc_publication_create(NULL, &publish, 0, 0);
    publication->expires_ms = expires_ms;
    publication->stamp = stamp;
    rc_retained_set(retained, rc_slice_str("inst"), publication, 0);
    rc_publication_unref(publication);
}

struct expired {
    char topics[64];
    uint32_t count;
};

static void on_expired(struct rc_slice instance, struct rc_publication *publication, void *arg)
{
    struct expired *expired = arg;
    assert_true(rc_slice_eq_str(instance, "inst"));
    snprintf(expired->topics, sizeof(expired->topics), "%.*s",
             RC_SLICE_FMT(rc_publication_topic(publication)));
    expired->count++;
}

static void what_has_expired_is_forgotten_and_told(void **state)
{
    struct rc_retained retained;
    struct expired expired = {.count = 0};
    rc_retained_init(&retained);
    set(&retained, "a/for-ever", 0, 1);
    set(&retained, "a/later", 200, 2);
    set(&retained, "a/soon", 100, 3);
    set(&retained, "a/renewed", 100, 4);
    set(&retained, "a/renewed", 0, 5);
    rc_retained_sweep(&retained, 99, on_expired, &expired);
    assert_int_equal(expired.count, 0);
    rc_retained_sweep(&retained, 100, on_expired, &expired);
    assert_int_equal(expired.count, 1);
    assert_string_equal(expired.topics, "a/soon");
    assert_int_equal(retained.count, 3);
    rc_retained_sweep(&retained, 300, on_expired, &expired);
    assert_string_equal(expired.topics, "a/later");
    assert_int_equal(retained.count, 2);
    rc_retained_free(&retained);
}

static void a_sweep_looks_at_so_many_and_the_next_at_the_others(void **state)
{
    struct rc_retained retained;
    struct expired expired = {.count = 0};
    rc_retained_init(&retained);
    for (int i = 0; i < RC_RETAINED_SWEEP_MAX + 5; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "a/%d", i);
        set(&retained, topic, i < RC_RETAINED_SWEEP_MAX ? 1000 : 1, 1);
    }
    rc_retained_sweep(&retained, 10, on_expired, &expired);
    assert_int_equal(expired.count, 0);
    rc_retained_sweep(&retained, 10, on_expired, &expired);
    assert_int_equal(expired.count, 5);
    assert_int_equal(retained.count, RC_RETAINED_SWEEP_MAX);
    rc_retained_free(&retained);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_expired_is_forgotten_and_told),
        cmocka_unit_test(a_sweep_looks_at_so_many_and_the_next_at_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
