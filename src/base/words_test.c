#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/utf8.h"
#include "base/words.h"

enum { LONGEST = 40 };

static bool has(struct rc_slice text, uint8_t byte)
{
    for (size_t at = 0; at < text.len; at += RC_WORD)
        if (rc_word_has(rc_word_at(text, at), byte))
            return true;
    return false;
}

/* In texts of each length, at each place; what stands before and behind the text is not its own. */
static void test_a_byte_is_found_wherever_it_stands_and_nowhere_else(void **state)
{
    static const uint8_t wanted[] = {0, '+', '#', 'a', 0x7f, 0x80, 0xff};
    for (size_t w = 0; w < sizeof(wanted); w++) {
        uint8_t bytes[LONGEST + 2];
        for (size_t len = 1; len <= LONGEST; len++) {
            for (size_t place = 0; place < len; place++) {
                memset(bytes, wanted[w], sizeof(bytes));
                memset(bytes + 1, wanted[w] ^ 0x01, len);
                if (len >= RC_WORD || wanted[w] != 'a') /* which fills short words */
                    assert_false(has(rc_slice(bytes + 1, len), wanted[w]));
                bytes[1 + place] = wanted[w];
                assert_true(has(rc_slice(bytes + 1, len), wanted[w]));
            }
        }
    }
    assert_false(has(rc_slice(NULL, 0), 0));
}

static void test_what_is_not_ascii_is_seen_wherever_it_stands(void **state)
{
    uint8_t bytes[LONGEST];
    for (size_t len = 1; len <= LONGEST; len++) {
        for (size_t place = 0; place < len; place++) {
            memset(bytes, 'x', len);
            assert_true(rc_utf8_is_valid(rc_slice(bytes, len)));
            bytes[place] = 0x80;
            assert_false(rc_utf8_is_valid(rc_slice(bytes, len)));
            if (place + 1 == len)
                continue;
            bytes[place] = 0xc3;
            bytes[place + 1] = 0xa9;
            assert_true(rc_utf8_is_valid(rc_slice(bytes, len)));
            assert_false(rc_utf8_is_valid(rc_slice(bytes, place + 1)));
        }
    }
}

static void test_texts_that_differ_in_their_ends_have_places_of_their_own(void **state)
{
    char text[] = "sensors/0000/temperature";
    uint32_t taken[64] = {0}, most = 0;
    for (int i = 0; i < 1000; i++) {
        text[7] = (char)('a' + i % 26);
        text[21] = (char)('0' + i / 26);
        uint32_t place = rc_word_place(rc_slice_str(text), 64);
        assert_true(place < 64);
        if (++taken[place] > most)
            most = taken[place];
    }
    assert_true(most < 48); /* 16 on each if they were spread evenly */
    rc_word_place(rc_slice(NULL, 0), 64);
}

static void test_the_first_of_a_byte_is_found_and_none_behind_the_text(void **state)
{
    uint8_t bytes[LONGEST + 1];
    for (size_t len = 0; len <= LONGEST; len++) {
        memset(bytes, 'x', len);
        bytes[len] = '/';
        assert_int_equal(rc_word_find(rc_slice(bytes, len), '/'), len);
        for (size_t place = len; place-- > 0;) {
            bytes[place] = '/'; /* and all behind it */
            assert_int_equal(rc_word_find(rc_slice(bytes, len), '/'), place);
        }
    }
    assert_int_equal(rc_word_find(rc_slice(NULL, 0), '/'), 0);
}

static void test_texts_are_equal_when_no_byte_differs(void **state)
{
    uint8_t one[LONGEST + 2], other[LONGEST + 2];
    for (size_t len = 0; len <= LONGEST; len++) {
        memset(one, 'b', sizeof(one));
        memset(other, 'c', sizeof(other)); /* what stands before and behind differs */
        memset(other + 1, 'b', len);
        struct rc_slice a = rc_slice(one + 1, len), b = rc_slice(other + 1, len);
        assert_true(rc_word_eq(a, b));
        assert_false(rc_word_eq(a, rc_slice(one + 1, len + 1)));
        for (size_t place = 0; place < len; place++) {
            other[1 + place] = 'a';
            assert_false(rc_word_eq(a, b));
            other[1 + place] = 'b';
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_byte_is_found_wherever_it_stands_and_nowhere_else),
        cmocka_unit_test(test_the_first_of_a_byte_is_found_and_none_behind_the_text),
        cmocka_unit_test(test_texts_are_equal_when_no_byte_differs),
        cmocka_unit_test(test_what_is_not_ascii_is_seen_wherever_it_stands),
        cmocka_unit_test(test_texts_that_differ_in_their_ends_have_places_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
