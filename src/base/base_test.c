#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/json_write.h"
#include "base/map.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

static void test_buf_never_passes_its_limit(void **state)
{
    struct rc_buf buf;
    rc_buf_init(&buf, 1000);
    for (int i = 0; i < 250; i++)
        assert_int_equal(rc_buf_put_u32(&buf, (uint32_t)i), RC_OK);
    assert_int_equal(rc_buf_put_u8(&buf, 1), RC_ERR_FULL);
    rc_buf_consume(&buf, 4);
    assert_int_equal(rc_buf_put_u32(&buf, 7), RC_OK);
    assert_int_equal(rc_load_u32(rc_buf_slice(&buf).ptr), 1);
    assert_int_equal(rc_buf_len(&buf), 1000);
    rc_buf_free(&buf);
}

static void test_java_hash_agrees_with_java(void **state)
{
    assert_int_equal(rc_hash_java(rc_slice_str("TagA")), 2598919);
    assert_int_equal(rc_hash_java(rc_slice_str("")), 0);
    assert_int_equal(rc_hash_java(rc_slice_str("connect")), 951351530);
    /* "设备" and a character outside the BMP, values from a JVM */
    assert_int_equal(rc_hash_java(rc_slice_str("\xe8\xae\xbe\xe5\xa4\x87")), 0x8bbe * 31 + 0x5907);
    assert_int_equal(rc_hash_java(rc_slice_str("\xf0\x9f\x98\x80")), 0xd83d * 31 + 0xde00);
}

/* What files hold: never another value for the same text, wherever it is read. */
static void test_the_hash_for_files_stays_what_it_is(void **state)
{
    const struct {
        const char *text;
        uint64_t hash;
    } kept[] = {
        {"", 0xc8d48dc7a741a7b8u},
        {"k", 0xb55fde5980d8f03cu},
        {"keys", 0x359580b91ec157fbu},
        {"sensors#", 0xc0f62a5d552cc448u},
        {"GID_sample@@@dev2", 0x4b07fa56dcb7aba1u},
        {"92467520804BFF5D5A7E907D92714208", 0x2a6b023d206a1b58u},
    };
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        assert_int_equal(rc_hash_kept(0, rc_slice_str(kept[i].text)), kept[i].hash);
    assert_int_equal(rc_hash_kept(rc_hash_kept(0, rc_slice_str("sensors")), rc_slice_str("k1")),
                     0x83616bedb5bd962cu);
}

/* Each byte counts, and each length: also of texts that a word does not hold, or of one byte again and again.
 */
static void test_the_hash_for_files_tells_texts_apart(void **state)
{
    enum { LONGEST = 40 };
    uint32_t seen[LONGEST * 8 + LONGEST + 1], count = 0;
    uint8_t text[LONGEST];
    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len <= LONGEST; len++)
        seen[count++] = (uint32_t)rc_hash_kept(7, rc_slice(text, len));
    for (size_t bit = 0; bit < LONGEST * 8; bit++) {
        text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        seen[count++] = (uint32_t)rc_hash_kept(7, rc_slice(text, sizeof(text)));
        text[bit / 8] = 'x';
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
}

/* As Java defines it, of text whose characters are its bytes. */
static int32_t java_hash_of_ascii(struct rc_slice text)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < text.len; i++)
        hash = 31 * hash + text.ptr[i];
    return (int32_t)hash;
}

static void test_java_hash_of_any_length_is_javas(void **state)
{
    char text[67];
    uint32_t draw = 7;
    for (size_t len = 0; len < sizeof(text); len++)
        for (int round = 0; round < 50; round++) {
            for (size_t i = 0; i < len; i++)
                text[i] = (char)((draw = draw * 1664525u + 1013904223u) >> 25);
            assert_int_equal(rc_hash_java(rc_slice(text, len)), java_hash_of_ascii(rc_slice(text, len)));
        }
    /* behind a whole word, and across its end */
    int32_t first = java_hash_of_ascii(rc_slice_str("GID_test"));
    assert_int_equal(rc_hash_java(rc_slice_str("GID_test\xe8\xae\xbe")),
                     (int32_t)(31u * (uint32_t)first + 0x8bbe));
    first = java_hash_of_ascii(rc_slice_str("GID_tes"));
    assert_int_equal(rc_hash_java(rc_slice_str("GID_tes\xe8\xae\xbe")),
                     (int32_t)(31u * (uint32_t)first + 0x8bbe));
}

struct item {
    char key[16];
};

static struct rc_slice item_key(const void *item)
{
    return rc_slice_str(((const struct item *)item)->key);
}

static void test_map_holds_what_was_put_in_and_not_removed(void **state)
{
    enum { COUNT = 5000 };
    static struct item items[COUNT];
    struct rc_map map;
    rc_map_init(&map, item_key);
    for (int i = 0; i < COUNT; i++) {
        snprintf(items[i].key, sizeof(items[i].key), "key-%d", i);
        rc_map_insert(&map, &items[i]);
    }
    for (int i = 0; i < COUNT; i += 3)
        assert_ptr_equal(rc_map_remove(&map, item_key(&items[i])), &items[i]);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(rc_map_find(&map, item_key(&items[i])), i % 3 ? &items[i] : NULL);
    uint32_t cursor = 0, seen = 0;
    while (rc_map_next(&map, &cursor) != NULL)
        seen++;
    assert_int_equal(seen, map.count);
    for (int i = 0; i < COUNT; i++)
        rc_map_remove(&map, item_key(&items[i]));
    assert_int_equal(map.count, 0);
    assert_true(map.mask < 64);
    rc_map_free(&map);
}

/* From a list of few to a table and back, at each size: found, walked, paged and taken out. */
static void test_map_of_each_small_size(void **state)
{
    enum { MOST = 20 };
    struct item items[MOST];
    void *page[MOST];
    for (int size = 0; size <= MOST; size++) {
        struct rc_map map;
        rc_map_init(&map, item_key);
        for (int i = 0; i < size; i++) {
            snprintf(items[i].key, sizeof(items[i].key), "key-%d", i);
            rc_map_insert(&map, &items[i]);
        }
        int seen = 0;
        for (uint32_t cursor = 0; rc_map_next(&map, &cursor) != NULL;)
            seen++;
        assert_int_equal(seen, size);
        uint64_t cursor = 0;
        int paged = 0;
        do
            paged += (int)rc_map_page(&map, &cursor, page, 3);
        while (cursor != 0);
        assert_int_equal(paged, size);
        assert_null(rc_map_find(&map, rc_slice_str("no-such-key")));
        assert_null(rc_map_remove(&map, rc_slice_str("no-such-key")));
        for (int i = 0; i < size; i++) {
            assert_ptr_equal(rc_map_find(&map, item_key(&items[i])), &items[i]);
            assert_ptr_equal(rc_map_remove(&map, item_key(&items[i])), &items[i]);
            assert_null(rc_map_find(&map, item_key(&items[i])));
            assert_int_equal(map.count, size - i - 1);
        }
        rc_map_free(&map);
    }
}

/* While pages are read the table grows and shrinks by other items: those that stay come exactly once. */
static void test_pages_of_a_map_that_changes_hold_each_lasting_item_once(void **state)
{
    enum { LASTING = 1000, PASSING = 20000, PAGE = 7 };
    static struct item items[LASTING + PASSING];
    static uint8_t seen[LASTING];
    struct rc_map map;
    void *page[PAGE];
    uint64_t cursor = 0;
    uint32_t present = LASTING, pages = 0;
    rc_map_init(&map, item_key);
    memset(seen, 0, sizeof(seen));
    for (int i = 0; i < LASTING + PASSING; i++)
        snprintf(items[i].key, sizeof(items[i].key), "item-%d", i);
    for (int i = 0; i < LASTING; i++)
        rc_map_insert(&map, &items[i]);
    do {
        uint32_t count = rc_map_page(&map, &cursor, page, PAGE);
        assert_true(count <= PAGE && (count == PAGE || cursor == 0));
        for (uint32_t i = 0; i < count; i++) {
            struct item *item = page[i];
            if (item < &items[LASTING])
                seen[item - items]++;
        }
        for (int i = 0; i < 300 && pages % 100 < 50 && present < LASTING + PASSING; i++)
            rc_map_insert(&map, &items[present++]);
        for (int i = 0; i < 300 && pages % 100 >= 50 && present > LASTING; i++)
            rc_map_remove(&map, item_key(&items[--present]));
        assert_true(++pages < 100000);
    } while (cursor != 0);
    for (int i = 0; i < LASTING; i++)
        assert_int_equal(seen[i], 1);
    rc_map_free(&map);
}

static void test_json_writes_commas_and_escapes(void **state)
{
    struct rc_buf buf;
    struct rc_json json;
    rc_buf_init(&buf, 4096);
    rc_json_init(&json, &buf);
    rc_json_object_begin(&json);
    rc_json_put_int(&json, "n", -5);
    rc_json_key(&json, "list");
    rc_json_array_begin(&json);
    rc_json_string(&json, rc_slice("a\"\\\n\x01\xff", 6));
    rc_json_bool(&json, true);
    rc_json_object_begin(&json);
    rc_json_object_end(&json);
    rc_json_array_end(&json);
    rc_json_put_str(&json, "s", "\xe4\xbd\xa0");
    rc_json_object_end(&json);
    assert_int_equal(json.err, RC_OK);
    const char *expected =
        "{\"n\":-5,\"list\":[\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\",true,{}],\"s\":\"\xe4\xbd\xa0\"}";
    assert_true(rc_slice_eq_str(rc_buf_slice(&buf), expected));
    rc_buf_free(&buf);
}

static void test_utf8_refuses_what_rfc3629_forbids(void **state)
{
    static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82",
                                      "\x80",     "\xff",         "\xe0\x80\x80",     "\xf0\x80\x80\x80"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(rc_utf8_is_valid(rc_slice_str(bad[i])));
    assert_true(rc_utf8_is_valid(rc_slice_str("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")));
}

static void test_hex_round_trip(void **state)
{
    uint8_t bytes[4] = {0, 0xab, 0x10, 0xff}, back[4];
    char text[8];
    rc_hex_lower(text, bytes, 4);
    assert_memory_equal(text, "00ab10ff", 8);
    assert_true(rc_hex_decode(back, 4, rc_slice(text, 8)));
    assert_memory_equal(bytes, back, 4);
    assert_false(rc_hex_decode(back, 4, rc_slice("00ab10fg", 8)));
}

static void assert_decimal(uint64_t value)
{
    char want[RC_DECIMAL_MAX + 1], got[RC_DECIMAL_MAX + 2];
    memset(got, '#', sizeof(got));
    size_t len = (size_t)snprintf(want, sizeof(want), "%" PRIu64, value);
    assert_int_equal(rc_decimal(got, value), len);
    assert_memory_equal(got, want, len);
    assert_int_equal(got[len], '#'); /* nothing behind its digits */
}

static void test_decimal_digits_of_every_length(void **state)
{
    for (uint64_t value = 0; value <= 12345; value++)
        assert_decimal(value);
    for (uint64_t power = 10; power <= UINT64_MAX / 10; power *= 10) {
        assert_decimal(power * 10 - 1);
        assert_decimal(power * 10);
        assert_decimal(power * 10 + 1);
    }
    for (int bit = 0; bit < 64; bit++)
        assert_decimal((uint64_t)1 << bit);
    assert_decimal(UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_never_passes_its_limit),
        cmocka_unit_test(test_java_hash_agrees_with_java),
        cmocka_unit_test(test_the_hash_for_files_stays_what_it_is),
        cmocka_unit_test(test_the_hash_for_files_tells_texts_apart),
        cmocka_unit_test(test_java_hash_of_any_length_is_javas),
        cmocka_unit_test(test_map_holds_what_was_put_in_and_not_removed),
        cmocka_unit_test(test_map_of_each_small_size),
        cmocka_unit_test(test_pages_of_a_map_that_changes_hold_each_lasting_item_once),
        cmocka_unit_test(test_json_writes_commas_and_escapes),
        cmocka_unit_test(test_utf8_refuses_what_rfc3629_forbids),
        cmocka_unit_test(test_hex_round_trip),
        cmocka_unit_test(test_decimal_digits_of_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
