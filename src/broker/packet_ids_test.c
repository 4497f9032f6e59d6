#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/packet_ids.h"

enum { ALL = 65535, STEP = 7919 /* prime to ALL: the ids come in no order */ };

static uint16_t nth(uint32_t i)
{
    return (uint16_t)((uint64_t)i * STEP % ALL + 1);
}

static void test_each_number_of_ids_is_kept_and_given_back(void **state)
{
    static const uint32_t counts[] = {1, 4, 5, RC_PACKET_IDS_FEW, RC_PACKET_IDS_FEW + 1, 1000, ALL};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct rc_packet_ids ids = {.count = 0};
        for (uint32_t i = 0; i < counts[c]; i++) {
            assert_false(rc_packet_ids_have(&ids, nth(i)));
            rc_packet_ids_add(&ids, nth(i));
            assert_true(rc_packet_ids_have(&ids, nth(i)));
        }
        assert_int_equal(ids.count, counts[c]);
        assert_int_equal(ids.bits != NULL, counts[c] > RC_PACKET_IDS_FEW);
        for (uint32_t i = 0; i < ALL; i++)
            assert_int_equal(rc_packet_ids_have(&ids, nth(i)), i < counts[c]);
        for (uint32_t i = 0; i < counts[c]; i++) {
            assert_true(rc_packet_ids_remove(&ids, nth(i)));
            assert_false(rc_packet_ids_remove(&ids, nth(i)));
        }
        assert_int_equal(ids.count, 0);
        assert_null(ids.bits); /* and the address sanitizer finds the rest */
        assert_null(ids.list);
    }
}

static void test_an_id_goes_and_comes_while_others_stay(void **state)
{
    struct rc_packet_ids ids = {.count = 0};
    for (uint16_t id = 1; id <= RC_PACKET_IDS_FEW + 1; id++)
        rc_packet_ids_add(&ids, id);
    for (uint16_t id = 2; id <= RC_PACKET_IDS_FEW + 1; id++)
        assert_true(rc_packet_ids_remove(&ids, id));
    assert_true(rc_packet_ids_have(&ids, 1));
    rc_packet_ids_add(&ids, 2);
    assert_true(rc_packet_ids_have(&ids, 2));
    assert_int_equal(ids.count, 2);
    rc_packet_ids_free(&ids);
    assert_false(rc_packet_ids_have(&ids, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_number_of_ids_is_kept_and_given_back),
        cmocka_unit_test(test_an_id_goes_and_comes_while_others_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
