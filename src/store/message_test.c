#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/message.h"

#include <stdio.h>

static struct rc_message sample_message(void)
{
    return (struct rc_message){
        .queue_id = 3,
        .flag = 7,
        .queue_offset = 11,
        .physical_offset = 0x123456789a,
        .born_ms = 1700000000123,
        .born_host = {.addr = {10, 0, 0, 1}, .port = 1234},
        .store_ms = 1700000000456,
        .store_host = {.addr = {127, 0, 0, 1}, .port = 9876},
        .reconsume_times = 2,
        .prepared_offset = 5,
        .body = rc_slice_str("{\"a\":1}"),
        .topic = rc_slice_str("GID_x_MQTT"),
        .props = rc_slice_str("TAGS\1connect\2KEYS\1d1\2"),
    };
}

static void test_a_message_comes_back_as_it_was_encoded(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    struct rc_message in = sample_message(), got;
    for (int v6 = 0; v6 < 4; v6++) {
        in.born_host.is_v6 = v6 & 1;
        in.store_host.is_v6 = (v6 & 2) != 0;
        rc_buf_consume(&out, rc_buf_len(&out));
        assert_int_equal(rc_message_encode(&out, &in), RC_OK);
        struct rc_slice record = rc_buf_slice(&out);
        assert_int_equal(rc_message_decode(record, true, &got), record.len);
        assert_int_equal(got.sys_flag,
                         (v6 & 1 ? RC_SYSFLAG_BORN_HOST_V6 : 0) | (v6 & 2 ? RC_SYSFLAG_STORE_HOST_V6 : 0));
        assert_true(got.queue_id == 3 && got.flag == 7 && got.queue_offset == 11);
        assert_true(got.physical_offset == 0x123456789a && got.born_ms == 1700000000123);
        assert_true(got.store_ms == 1700000000456 && got.reconsume_times == 2 && got.prepared_offset == 5);
        assert_int_equal(got.born_host.port, 1234);
        assert_memory_equal(got.store_host.addr, in.store_host.addr, 16);
        assert_true(rc_slice_eq(got.body, in.body) && rc_slice_eq(got.topic, in.topic));
        assert_true(rc_slice_eq(got.props, in.props));
        const uint8_t *store_ms = record.ptr + rc_message_store_ms_at(in.born_host.is_v6);
        assert_true(rc_load_u64(store_ms) == 1700000000456u);
        assert_int_equal(rc_load_u64(record.ptr + RC_MESSAGE_AT_QUEUE_OFFSET), 11);
    }
    rc_buf_free(&out);
}

static void test_parts_over_their_limits_are_refused(void **state)
{
    static uint8_t big[RC_MESSAGE_BODY_MAX + 1];
    memset(big, 'a', sizeof(big));
    struct rc_buf out;
    rc_buf_init(&out, RC_MESSAGE_MAX);
    struct rc_message m = sample_message();
    m.body = rc_slice(big, RC_MESSAGE_BODY_MAX + 1);
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_TOO_LARGE);
    m.body = rc_slice(big, RC_MESSAGE_BODY_MAX);
    assert_int_equal(rc_message_encode(&out, &m), RC_OK);
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_FULL);
    m = sample_message();
    m.topic = rc_slice(big, RC_MESSAGE_TOPIC_MAX + 1);
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_TOO_LARGE);
    m = sample_message();
    m.topic.len = 0;
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_INVALID);
    m = sample_message();
    m.props = rc_slice("a\1b\2c", 5);
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_INVALID);
    m.props = rc_slice("a\1b\0\2", 5);
    assert_int_equal(rc_message_encode(&out, &m), RC_ERR_INVALID);
    rc_buf_free(&out);
}

static void test_every_cut_record_asks_for_more_and_every_torn_one_is_refused(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    struct rc_message m = sample_message(), got;
    assert_int_equal(rc_message_encode(&out, &m), RC_OK);
    size_t len = rc_buf_len(&out);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = rc_malloc(cut + 1); /* its own block, so that reading past the cut is caught */
        memcpy(exact, rc_buf_slice(&out).ptr, cut);
        assert_int_equal(rc_message_decode(rc_slice(exact, cut), true, &got), 0);
        free(exact);
    }
    uint8_t torn[4096];
    memcpy(torn, rc_buf_slice(&out).ptr, len);
    for (size_t from = len - 1; from > 4; from--) {
        torn[from] = 0;
        assert_int_equal(rc_message_decode(rc_slice(torn, len), true, &got), RC_ERR_CORRUPT);
    }
    rc_buf_free(&out);
}

static void test_flipped_bits_in_lengths_magic_and_body_are_seen(void **state)
{
    struct rc_buf out;
    rc_buf_init(&out, 4096);
    struct rc_message m = sample_message(), got;
    assert_int_equal(rc_message_encode(&out, &m), RC_OK);
    struct rc_slice record = rc_buf_slice(&out);
    uint8_t *bytes = (uint8_t *)record.ptr;
    for (size_t at = 0; at < 12; at++) {
        bytes[at] ^= 0x10;
        assert_true(rc_message_decode(record, true, &got) != (int64_t)record.len);
        bytes[at] ^= 0x10;
    }
    uint8_t *body = bytes + rc_message_store_ms_at(false) + 8 + 8 + 4 + 8 + 4;
    body[3] ^= 1;
    assert_int_equal(rc_message_decode(record, true, &got), RC_ERR_CORRUPT);
    assert_int_equal(rc_message_decode(record, false, &got), record.len);
    rc_buf_free(&out);
}

static void test_apaches_own_records_decode_and_encode_to_the_same_bytes(void **state)
{
    static uint8_t log[4096];
    FILE *file = fopen(RC_TEST_DATA "/store-4.9.8/commitlog-first-4096-bytes", "rb");
    assert_non_null(file);
    assert_int_equal(fread(log, 1, sizeof(log), file), sizeof(log));
    fclose(file);
    struct rc_buf out;
    rc_buf_init(&out, sizeof(log));
    struct rc_slice rest = rc_slice(log, sizeof(log));
    struct rc_message m;
    int count = 0;
    while (rc_load_u32(rest.ptr) != 0) {
        int64_t size = rc_message_decode(rest, true, &m);
        assert_true(size > 0);
        assert_int_equal(m.physical_offset, rest.ptr - log);
        assert_int_equal(rc_message_encode(&out, &m), RC_OK);
        rest = rc_slice_from(rest, (size_t)size);
        count++;
    }
    assert_int_equal(count, 10);
    assert_int_equal(rc_buf_len(&out), 3443);
    assert_memory_equal(rc_buf_slice(&out).ptr, log, 3443);
    assert_true(rc_slice_eq_str(rc_props_get(m.props, RC_PROP_KEYS), "GID_sample@@@dev2"));
    rc_buf_free(&out);
}

static void test_properties_are_found_and_left_out(void **state)
{
    struct rc_slice props = rc_slice_str("KEYS\1\2TAGS\1TagA\2x\1y\2x\1z");
    assert_non_null(rc_props_get(props, RC_PROP_KEYS).ptr);
    assert_int_equal(rc_props_get(props, RC_PROP_KEYS).len, 0);
    assert_null(rc_props_get(props, "TAG").ptr);
    assert_true(rc_slice_eq_str(rc_props_get(props, "x"), "z"));
    assert_int_equal(rc_props_tags_code(props), 2598919);
    assert_int_equal(rc_props_tags_code(rc_slice_str("")), 0);

    struct rc_buf out;
    rc_buf_init(&out, 100);
    assert_int_equal(rc_props_copy_without(&out, props, "TAGS"), RC_OK);
    assert_true(rc_slice_eq_str(rc_buf_slice(&out), "KEYS\1\2x\1y\2x\1z\2"));
    assert_int_equal(rc_props_put(&out, "DELAY", rc_slice_str("3")), RC_OK);
    assert_true(rc_slice_eq_str(rc_props_get(rc_buf_slice(&out), "DELAY"), "3"));
    assert_int_equal(rc_props_put(&out, "a", rc_slice_str("b\2c")), RC_ERR_INVALID);
    assert_int_equal(rc_props_put(&out, "a\1", rc_slice_str("b")), RC_ERR_INVALID);
    rc_buf_free(&out);
}

/* As the walk from pair to pair sees it, at all lengths and with the bytes that matter. */
static void test_properties_are_whole_when_a_walk_reaches_their_end(void **state)
{
    static const uint8_t bytes[] = {0, 1, 2, 3, 'a', 0x7f, 0x80, 0xff};
    uint32_t draw = 1, whole = 0;
    for (int round = 0; round < 200000; round++) {
        uint8_t text[40];
        size_t len = (size_t)round % (sizeof(text) + 1), at = 0;
        for (size_t i = 0; i < len; i++) {
            draw = draw * 1664525u + 1013904223u;
            /* mostly pairs: otherwise hardly any long text would be whole */
            text[i] = draw >> 29 == 0 ? bytes[draw >> 26 & 7] : (const uint8_t[]){'a', 1, 3, 2}[i % 4];
        }
        struct rc_slice props = rc_slice(text, len), name, value;
        while (rc_props_next(props, &at, &name, &value))
            continue;
        bool is_whole = at == len && (len == 0 || memchr(text, 0, len) == NULL);
        assert_int_equal(rc_props_are_whole(props), is_whole);
        whole += is_whole;
    }
    assert_in_range(whole, 10000, 190000);
}

/* One walk finds what two others do, in texts of few and of many words; a copy of a name further on counts.
 */
static void test_the_walk_that_decodes_finds_keys_as_rc_props_get_does(void **state)
{
    static const char *const pairs[] = {"KEYS\1",
                                        "UNIQ_KEY\1",
                                        "KEYS\1k",
                                        "KEYS\1a\1longer key",
                                        "UNIQ_KEY\1"
                                        "0123456789ABCDEF",
                                        "UNIQ_KEY\1u",
                                        "TAGS\1KEYS",
                                        "xKEYS\1no",
                                        "UNIQ_KEYS\1no",
                                        "\1",
                                        "rcReason\1x"};
    uint32_t draw = 1;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        for (int i = round % 8; i >= 0; i--) {
            draw = draw * 1664525u + 1013904223u;
            strcat(text, pairs[(draw >> 16) % (sizeof(pairs) / sizeof(pairs[0]))]);
            if (i > 0 || draw >> 31 != 0) /* the last pair need not have it */
                strcat(text, "\2");
        }
        char *exact = rc_malloc(strlen(text)); /* its own block, so that reading on is caught */
        memcpy(exact, text, strlen(text));
        struct rc_slice props = rc_slice(exact, strlen(text)), keys, unique_key;
        struct rc_slice right_keys = rc_props_get(props, RC_PROP_KEYS);
        struct rc_slice right_unique = rc_props_get(props, RC_PROP_UNIQ_KEY);
        assert_true(rc_props_read(props, &keys, &unique_key));
        assert_ptr_equal(keys.ptr, right_keys.ptr);
        assert_int_equal(keys.len, right_keys.len);
        assert_ptr_equal(unique_key.ptr, right_unique.ptr);
        assert_int_equal(unique_key.len, right_unique.len);
        free(exact);
    }
}

static void test_tags_code_of_a_negative_hash_is_sign_extended(void **state)
{
    assert_true(rc_props_tags_code(rc_slice_str("TAGS\1offline\2")) == -1548612125);
}

static void test_message_ids_come_back(void **state)
{
    char text[RC_MESSAGE_ID_V6_LEN + 1];
    struct rc_host host = {.addr = {127, 0, 0, 1}, .port = 0x5597}, got;
    uint64_t offset;
    assert_int_equal(rc_message_id_format(text, &host, 0x95), RC_MESSAGE_ID_LEN);
    assert_string_equal(text, "7F000001000055970000000000000095");
    assert_int_equal(rc_message_id_parse(rc_slice_str(text), &got, &offset), RC_OK);
    assert_int_equal(offset, 0x95);
    assert_int_equal(got.port, 0x5597);
    host.is_v6 = true;
    assert_int_equal(rc_message_id_format(text, &host, 1), RC_MESSAGE_ID_V6_LEN);
    assert_int_equal(rc_message_id_parse(rc_slice_str(text), &got, &offset), RC_OK);
    assert_true(got.is_v6);
    text[5] = 'g';
    assert_int_equal(rc_message_id_parse(rc_slice_str(text), &got, &offset), RC_ERR_INVALID);
    assert_int_equal(rc_message_id_parse(rc_slice_str("7F"), &got, &offset), RC_ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_message_comes_back_as_it_was_encoded),
        cmocka_unit_test(test_parts_over_their_limits_are_refused),
        cmocka_unit_test(test_every_cut_record_asks_for_more_and_every_torn_one_is_refused),
        cmocka_unit_test(test_flipped_bits_in_lengths_magic_and_body_are_seen),
        cmocka_unit_test(test_apaches_own_records_decode_and_encode_to_the_same_bytes),
        cmocka_unit_test(test_properties_are_found_and_left_out),
        cmocka_unit_test(test_properties_are_whole_when_a_walk_reaches_their_end),
        cmocka_unit_test(test_the_walk_that_decodes_finds_keys_as_rc_props_get_does),
        cmocka_unit_test(test_tags_code_of_a_negative_hash_is_sign_extended),
        cmocka_unit_test(test_message_ids_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
