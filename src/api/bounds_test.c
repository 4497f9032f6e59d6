#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/nonces.h"
#include "api/rate_limit.h"
#include "api/xml_write.h"
#include "base/error.h"

#include <stdio.h>

static void test_a_bucket_gives_its_rate_and_fills_with_time(void **state)
{
    struct rc_rate_limit limit;
    struct rc_slice key = rc_slice_str("k");
    rc_rate_limit_init(&limit);
    for (int i = 0; i < 10; i++)
        assert_true(rc_rate_limit_take(&limit, key, 10, 5000));
    assert_false(rc_rate_limit_take(&limit, key, 10, 5000));
    assert_true(rc_rate_limit_take(&limit, rc_slice_str("other"), 10, 5000));
    assert_false(rc_rate_limit_take(&limit, key, 10, 5099));
    assert_true(rc_rate_limit_take(&limit, key, 10, 5100));
    assert_false(rc_rate_limit_take(&limit, key, 10, 5100));
    int taken = 0;
    while (rc_rate_limit_take(&limit, key, 10, 999999))
        taken++;
    assert_int_equal(taken, 10); /* however long it was left alone */
    rc_rate_limit_free(&limit);
}

static void test_whether_a_bucket_has_any_is_asked_without_taking(void **state)
{
    struct rc_rate_limit limit;
    struct rc_slice key = rc_slice_str("k");
    rc_rate_limit_init(&limit);
    for (int i = 0; i < 30; i++)
        assert_true(rc_rate_limit_has(&limit, key, 10, 5000));
    while (rc_rate_limit_take(&limit, key, 10, 5000))
        ;
    assert_false(rc_rate_limit_has(&limit, key, 10, 5000));
    assert_true(rc_rate_limit_has(&limit, key, 10, 5200));
    rc_rate_limit_free(&limit);
}

static void test_buckets_are_bounded(void **state)
{
    struct rc_rate_limit limit;
    rc_rate_limit_init(&limit);
    for (int i = 0; i < RC_RATE_BUCKETS_MAX + 10; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        rc_rate_limit_take(&limit, rc_slice_str(key), 1, 1);
    }
    assert_int_equal(limit.buckets.count, RC_RATE_BUCKETS_MAX);
    rc_rate_limit_free(&limit);
}

static int use(struct rc_nonces *nonces, const char *key, const char *nonce, uint64_t now_ms,
               uint64_t keep_ms)
{
    struct rc_nonce_use use = {rc_slice_str(key), rc_slice_str(key), rc_slice_str(nonce), keep_ms};
    return rc_nonces_use(nonces, &use, now_ms);
}

static void test_a_nonce_is_good_once_for_each_key_while_it_is_kept(void **state)
{
    struct rc_nonces nonces;
    rc_nonces_init(&nonces);
    assert_int_equal(use(&nonces, "AK", "n", 1000, 500), 0);
    assert_int_equal(use(&nonces, "AK", "n", 1499, 500), RC_ERR_EXISTS);
    assert_int_equal(use(&nonces, "BK", "n", 1499, 500), 0);
    assert_int_equal(use(&nonces, "AK", "n", 1500, 500), 0);
    assert_int_equal(use(&nonces, "AK", "", 1500, 500), RC_ERR_INVALID);
    rc_nonces_free(&nonces);
}

static void test_nonces_that_are_over_leave_whatever_their_order(void **state)
{
    struct rc_nonces nonces;
    char text[16];
    uint64_t hour = 60 * 60 * 1000;
    rc_nonces_init(&nonces);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(use(&nonces, "AK", text, hour, (uint64_t)(i * 7919 % 1800) * 1000 + 1), 0);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof(text), "later %d", i);
        assert_int_equal(use(&nonces, "BK", text, 2 * hour, 1000), 0);
    }
    assert_int_equal(nonces.seen.count, 40);
    assert_int_equal(nonces.holders.count, 1);
    rc_nonces_free(&nonces);
}

static void test_a_full_table_refuses_only_who_filled_it(void **state)
{
    struct rc_nonces nonces;
    char text[16], key[8];
    rc_nonces_init(&nonces);
    nonces.max = 20000;
    nonces.each_max = 5000;
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(use(&nonces, "one", text, 1000, 900000), 0);
    }
    assert_int_equal(use(&nonces, "one", "more", 1000, 900000), RC_ERR_FULL);
    assert_int_equal(use(&nonces, "two", "more", 1000, 900000), 0);
    for (int i = 0; nonces.seen.count < nonces.max; i++) {
        snprintf(key, sizeof(key), "k%d", i % 4);
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(use(&nonces, key, text, 1000, 900000), 0);
    }
    assert_int_equal(use(&nonces, "k0", "more", 1000, 900000), RC_ERR_FULL);
    assert_int_equal(use(&nonces, "two", "yet more", 1000, 900000), 0);
    assert_int_equal(use(&nonces, "one", "more", 1000 + 960000, 900000), 0);
    rc_nonces_free(&nonces);
}

static void test_xml_escapes_and_repeats_list_elements(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    json_t *value = json_pack("{s:s, s:[i,i], s:b, s:{s:n}}", "A", "<&>\"\x01\xef\xbf\xbf\r", "L", 1, 2, "B",
                              1, "O", "N");
    assert_int_equal(rc_xml_write(&out, "R", value), 0);
    rc_buf_put_u8(&out, 0);
    const char *text = (const char *)rc_buf_slice(&out).ptr;
    assert_non_null(strstr(text, "<A>&lt;&amp;&gt;&quot;\xef\xbf\xbd\xef\xbf\xbd&#13;</A>"));
    assert_non_null(strstr(text, "<L><L>1</L><L>2</L></L>"));
    assert_non_null(strstr(text, "<B>true</B>"));
    assert_non_null(strstr(text, "<O><N></N></O>"));
    json_decref(value);
    value = json_array();
    for (int i = 0; i < RC_XML_DEPTH_MAX; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, value);
        value = outer;
    }
    assert_int_equal(rc_xml_write(&out, "R", value), RC_ERR_TOO_LARGE);
    json_decref(value);
    rc_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bucket_gives_its_rate_and_fills_with_time),
        cmocka_unit_test(test_whether_a_bucket_has_any_is_asked_without_taking),
        cmocka_unit_test(test_buckets_are_bounded),
        cmocka_unit_test(test_a_nonce_is_good_once_for_each_key_while_it_is_kept),
        cmocka_unit_test(test_nonces_that_are_over_leave_whatever_their_order),
        cmocka_unit_test(test_a_full_table_refuses_only_who_filled_it),
        cmocka_unit_test(test_xml_escapes_and_repeats_list_elements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
