/* The codec against frames that real clients and brokers have sent, and against nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "rocketmq/remoting.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SECRET "SecretKey123"

/* A frame with a JSON header, as a peer would send it. */
static void put_frame(struct rc_buf *out, const char *header, const char *body)
{
    rc_buf_init(out, RC_REMOTING_FRAME_MAX + 8);
    rc_buf_put_u32(out, (uint32_t)(4 + strlen(header) + strlen(body)));
    rc_buf_put_u32(out, (uint32_t)strlen(header));
    rc_buf_put_str(out, header);
    rc_buf_put_str(out, body);
}

static void decode(struct rc_buf *frame, struct rc_remoting *ret)
{
    assert_int_equal(rc_remoting_decode(rc_buf_slice(frame), ret), rc_buf_len(frame));
}

static void assert_slice(struct rc_slice slice, const char *want)
{
    if (!rc_slice_eq_str(slice, want))
        fail_msg("'%.*s' is not '%s'", RC_SLICE_FMT(slice), want);
}

static void assert_refused(const char *header)
{
    struct rc_buf frame;
    struct rc_remoting command;
    put_frame(&frame, header, "");
    assert_true(rc_remoting_decode(rc_buf_slice(&frame), &command) < 0);
    rc_buf_free(&frame);
}

static void test_a_request_of_ons_client_is_read(void **state)
{
    struct rc_buf frame;
    struct rc_remoting command;
    put_frame(
        &frame,
        "{\"code\":38,\"language\":\"JAVA\",\"version\":300,\"opaque\":16,\"flag\":0,"
        "\"extFields\":{\"consumerGroup\":\"GID_backend\",\"AccessKey\":\"AK\",\"OnsChannel\":\"ALIYUN\"},"
        "\"serializeTypeCurrentRPC\":\"JSON\",\"namespaceId\":\"\"}",
        "");
    decode(&frame, &command);
    assert_int_equal(command.code, 38);
    assert_int_equal(command.version, 300);
    assert_int_equal(command.opaque, 16);
    assert_int_equal(command.flag, 0);
    assert_int_equal(command.serialization, RC_REMOTING_JSON);
    assert_int_equal(command.fields_count, 3);
    assert_slice(rc_remoting_get(&command, "consumerGroup"), "GID_backend");
    assert_null(rc_remoting_get(&command, "topic").ptr);
    assert_int_equal(command.body.len, 0);
    rc_remoting_done(&command);
    rc_buf_free(&frame);
}

static void test_a_response_of_a_real_broker_is_read(void **state)
{
    struct rc_buf frame;
    struct rc_remoting command;
    put_frame(&frame,
              "{\"code\":0,\"extFields\":{\"offset\":\"0\"},\"flag\":1,\"language\":\"JAVA\",\"opaque\":113,"
              "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":409}",
              "");
    decode(&frame, &command);
    assert_int_equal(command.code, RC_RES_SUCCESS);
    assert_int_equal(command.flag, RC_REMOTING_RESPONSE);
    assert_int_equal(command.opaque, 113);
    assert_int_equal(rc_remoting_get_number(&command, "offset", -1), 0);
    rc_remoting_done(&command);
    rc_buf_free(&frame);
}

static void test_numbers_and_booleans_of_the_cpp_client_count_as_text(void **state)
{
    struct rc_buf frame;
    struct rc_remoting command;
    put_frame(&frame,
              "{\"code\":11,\"language\":\"CPP\",\"version\":399,\"opaque\":7,\"flag\":0,\"extFields\":{"
              "\"queueId\":3,\"sysFlag\":2,\"maxMsgNums\":-1,\"subVersion\":1795390737052,\"unitMode\":false,"
              "\"batch\":true,\"topic\":\"T\",\"nothing\":null,\"odd\":1.5,\"more\":{\"a\":[1]}}}",
              "");
    decode(&frame, &command);
    assert_slice(rc_remoting_get(&command, "queueId"), "3");
    assert_slice(rc_remoting_get(&command, "maxMsgNums"), "-1");
    assert_int_equal(rc_remoting_get_number(&command, "subVersion", 0), 1795390737052);
    assert_false(rc_remoting_get_bool(&command, "unitMode"));
    assert_true(rc_remoting_get_bool(&command, "batch"));
    assert_null(rc_remoting_get(&command, "nothing").ptr);
    assert_null(rc_remoting_get(&command, "odd").ptr);
    assert_null(rc_remoting_get(&command, "more").ptr);
    assert_int_equal(command.fields_count, 7);
    rc_remoting_done(&command);
    rc_buf_free(&frame);
}

static void test_the_huge_version_of_ons_client_is_taken(void **state)
{
    struct rc_buf frame;
    struct rc_remoting command;
    put_frame(&frame, "{\"code\":105,\"version\":2147483462,\"opaque\":1,\"flag\":0}", "");
    decode(&frame, &command);
    assert_int_equal(command.version, 2147483462);
    assert_int_equal(command.fields_count, 0);
    rc_remoting_done(&command);
    rc_buf_free(&frame);
}

static void test_numbers_that_are_none_leave_the_callers_default(void **state)
{
    struct rc_remoting command;
    rc_remoting_request(&command, 11, 1);
    rc_remoting_add(&command, "empty", rc_slice_str(""));
    rc_remoting_add(&command, "text", rc_slice_str("12x"));
    rc_remoting_add(&command, "long", rc_slice_str("1234567890123456789012345"));
    rc_remoting_add(&command, "true", rc_slice_str("true"));
    rc_remoting_add(&command, "one", rc_slice_str("1"));
    assert_int_equal(rc_remoting_get_number(&command, "empty", -7), -7);
    assert_int_equal(rc_remoting_get_number(&command, "text", -7), -7);
    assert_int_equal(rc_remoting_get_number(&command, "long", -7), -7);
    assert_int_equal(rc_remoting_get_number(&command, "absent", -7), -7);
    assert_int_equal(rc_remoting_get_number(&command, "true", -7), 1);
    assert_true(rc_remoting_get_bool(&command, "true"));
    assert_true(rc_remoting_get_bool(&command, "one"));
    assert_false(rc_remoting_get_bool(&command, "text"));
}

static void fill(struct rc_remoting *command, uint8_t serialization)
{
    rc_remoting_request(command, RC_REQ_SEND_V2, 0x12345678);
    command->serialization = serialization;
    command->flag = RC_REMOTING_ONEWAY;
    command->remark = rc_slice_str("said \"so\"\n");
    command->body = rc_slice("\0body\xff", 6);
    rc_remoting_add(command, "b", rc_slice_str("T"));
    rc_remoting_add(command, "i", rc_slice_str("TAGS\1A\2KEYS\1k\2"));
    rc_remoting_add_number(command, "g", INT64_MIN);
    rc_remoting_add_bool(command, "m", true);
}

static void test_what_was_encoded_decodes_to_the_same_in_both_headers(void **state)
{
    for (uint8_t serialization = RC_REMOTING_JSON; serialization <= RC_REMOTING_BINARY; serialization++) {
        struct rc_buf out;
        struct rc_remoting command, again;
        fill(&command, serialization);
        rc_buf_init(&out, RC_REMOTING_FRAME_MAX);
        rc_buf_put_str(&out, "before"); /* appends: what stood there stays */
        assert_int_equal(rc_remoting_put(&out, &command), RC_OK);
        rc_buf_consume(&out, 6);
        decode(&out, &again);
        assert_int_equal(again.serialization, serialization);
        assert_int_equal(again.code, 310);
        assert_int_equal(again.opaque, 0x12345678);
        assert_int_equal(again.flag, RC_REMOTING_ONEWAY);
        assert_int_equal(again.version, RC_REMOTING_VERSION);
        assert_true(rc_slice_eq(again.remark, command.remark));
        assert_true(rc_slice_eq(again.body, command.body));
        assert_int_equal(again.fields_count, 4);
        assert_slice(rc_remoting_get(&again, "i"), "TAGS\1A\2KEYS\1k\2");
        assert_int_equal(rc_remoting_get_number(&again, "g", 0), INT64_MIN);
        assert_true(rc_remoting_get_bool(&again, "m"));
        rc_remoting_done(&again);
        rc_buf_free(&out);
    }
}

static void test_a_binary_header_has_the_documented_layout(void **state)
{
    static const uint8_t want[] = {0, 0,  0,   37,         /* 4 + header + body */
                                   1, 0,  0,   31,         /* binary, header length */
                                   0, 14, 1,   0x01, 0x99, /* code, language, version 409 */
                                   0, 0,  0,   9,          /* opaque */
                                   0, 0,  0,   0,          /* flag */
                                   0, 0,  0,   0,          /* no remark */
                                   0, 0,  0,   10,         /* fields */
                                   0, 1,  'q', 0,    0,    0, 3, '1', '2', '3', 'o', 'k'};
    struct rc_buf out;
    struct rc_remoting command;
    rc_remoting_request(&command, RC_REQ_QUERY_OFFSET, 9);
    command.serialization = RC_REMOTING_BINARY;
    rc_remoting_add(&command, "q", rc_slice_str("123"));
    command.body = rc_slice_str("ok");
    rc_buf_init(&out, 1024);
    assert_int_equal(rc_remoting_put(&out, &command), RC_OK);
    assert_int_equal(rc_buf_len(&out), sizeof(want));
    assert_memory_equal(rc_buf_slice(&out).ptr, want, sizeof(want));
    rc_buf_free(&out);
}

static void test_a_field_that_comes_twice_in_a_binary_header_counts_once(void **state)
{
    struct rc_buf out;
    struct rc_remoting command, again;
    char once[32], twice[32];
    rc_remoting_request(&command, RC_REQ_SEND_V2, 1);
    command.serialization = RC_REMOTING_BINARY;
    rc_remoting_add(&command, "a", rc_slice_str("group"));
    rc_remoting_add(&command, "b", rc_slice_str("topic"));
    rc_remoting_sign(&command, rc_slice_str(SECRET), false, NULL, once);
    rc_remoting_add(&command, "a", rc_slice_str("group"));
    rc_remoting_add(&command, "b", rc_slice_str("topic"));
    rc_buf_init(&out, 1024);
    assert_int_equal(rc_remoting_put(&out, &command), RC_OK);
    decode(&out, &again);
    assert_int_equal(again.fields_count, 2);
    rc_remoting_sign(&again, rc_slice_str(SECRET), false, NULL, twice);
    assert_string_equal(once, twice);
    rc_remoting_done(&again);
    rc_buf_free(&out);
}

static void test_a_response_is_a_frame_that_every_client_reads(void **state)
{
    struct rc_buf out;
    struct rc_remoting request, response;
    rc_remoting_request(&request, RC_REQ_QUERY_OFFSET, 113);
    rc_remoting_response(&response, &request, RC_RES_SUCCESS);
    rc_remoting_add_number(&response, "offset", 0);
    rc_buf_init(&out, 4096);
    assert_int_equal(rc_remoting_put(&out, &response), RC_OK);
    /* compact, values of fields as text, flag 1, a version that fits 16 bits */
    assert_slice(
        rc_slice_from(rc_buf_slice(&out), 8),
        "{\"code\":0,\"extFields\":{\"offset\":\"0\"},\"flag\":1,\"language\":\"CPP\",\"opaque\":113,"
        "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":409}");
    assert_true(RC_REMOTING_VERSION <= INT16_MAX);
    rc_buf_free(&out);
}

static void test_a_response_has_the_header_of_its_request(void **state)
{
    struct rc_remoting request, response;
    rc_remoting_request(&request, RC_REQ_PULL, 5);
    request.serialization = RC_REMOTING_BINARY;
    rc_remoting_response(&response, &request, RC_RES_PULL_NOT_FOUND);
    assert_int_equal(response.serialization, RC_REMOTING_BINARY);
    assert_int_equal(response.opaque, 5);
    assert_int_equal(response.flag, RC_REMOTING_RESPONSE);
}

static void test_a_frame_that_is_not_whole_waits(void **state)
{
    struct rc_buf out;
    struct rc_remoting command;
    fill(&command, RC_REMOTING_JSON);
    rc_buf_init(&out, 4096);
    assert_int_equal(rc_remoting_put(&out, &command), RC_OK);
    struct rc_slice whole = rc_buf_slice(&out);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(rc_remoting_decode(rc_slice(whole.ptr, len), &command), 0);
    rc_buf_free(&out);
}

static void test_lengths_that_make_no_sense_are_refused_at_once(void **state)
{
    static const uint8_t too_large[8] = {1, 0, 0, 1}, tiny[8] = {0, 0, 0, 3}, tls[8] = {0x16, 3, 1, 2},
                         header_over_frame[8] = {0, 0, 0, 8, 0, 0, 0, 5},
                         other_serialization[8] = {0, 0, 0, 8, 2, 0, 0, 2},
                         header_too_long[8] = {0, 0x80, 0, 0, 0, 0x10, 0, 0}, largest[8] = {1, 0, 0, 0};
    assert_int_equal(rc_remoting_frame_size(rc_slice(too_large, 8)), RC_ERR_TOO_LARGE);
    assert_int_equal(rc_remoting_frame_size(rc_slice(tls, 8)), RC_ERR_TOO_LARGE);
    assert_int_equal(rc_remoting_frame_size(rc_slice("GET / HTTP/1.1", 14)), RC_ERR_TOO_LARGE);
    assert_int_equal(rc_remoting_frame_size(rc_slice(tiny, 8)), RC_ERR_PROTOCOL);
    assert_int_equal(rc_remoting_frame_size(rc_slice(header_over_frame, 8)), RC_ERR_PROTOCOL);
    assert_int_equal(rc_remoting_frame_size(rc_slice(other_serialization, 8)), RC_ERR_PROTOCOL);
    assert_int_equal(rc_remoting_frame_size(rc_slice(header_too_long, 8)), RC_ERR_TOO_LARGE);
    assert_int_equal(rc_remoting_frame_size(rc_slice(largest, 8)), RC_REMOTING_FRAME_MAX + 4);
    assert_int_equal(rc_remoting_frame_size(rc_slice(largest, 7)), 0);
}

static void test_headers_that_are_no_json_object_are_refused(void **state)
{
    assert_refused("");
    assert_refused("[]");
    assert_refused("{\"code\":");
    assert_refused("nonsense");
    assert_refused("{\"code\":105}x");
    assert_refused("{\"code\":99999999999999999999999}");
}

static void test_more_fields_than_the_table_holds_are_refused(void **state)
{
    char header[4096];
    int len = snprintf(header, sizeof(header), "{\"code\":1,\"extFields\":{");
    for (int i = 0; i <= RC_REMOTING_FIELDS_MAX; i++)
        len += snprintf(header + len, sizeof(header) - (size_t)len, "%s\"k%d\":\"v\"", i ? "," : "", i);
    snprintf(header + len, sizeof(header) - (size_t)len, "}}");
    assert_refused(header);
    /* and more numbers than their text has room for */
    len = snprintf(header, sizeof(header), "{\"code\":1,\"extFields\":{");
    for (int i = 0; i < 60; i++)
        len += snprintf(header + len, sizeof(header) - (size_t)len, "%s\"k%d\":1234567890123456789",
                        i ? "," : "", i);
    snprintf(header + len, sizeof(header) - (size_t)len, "}}");
    assert_refused(header);
}

/* The frame ends where the readable page ends: reading a byte too many is a fault. */
static void test_no_byte_behind_a_binary_frame_is_read_wherever_it_is_cut(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + page, page, PROT_NONE), 0);
    struct rc_buf out;
    struct rc_remoting command;
    fill(&command, RC_REMOTING_BINARY);
    command.body.len = 0;
    rc_buf_init(&out, 4096);
    assert_int_equal(rc_remoting_put(&out, &command), RC_OK);
    uint32_t header = rc_load_u32(rc_buf_slice(&out).ptr + 4) & 0xffffff;
    /* lie about the header's length: what it holds then reaches beyond it */
    for (uint32_t len = 0; len < header; len++) {
        uint8_t *at = pages + page - 8 - len;
        memcpy(at, rc_buf_slice(&out).ptr, 8 + len);
        rc_store_u32(at, 4 + len);
        rc_store_u32(at + 4, (uint32_t)RC_REMOTING_BINARY << 24 | len);
        assert_int_equal(rc_remoting_decode(rc_slice(at, 8 + len), &command), RC_ERR_PROTOCOL);
    }
    rc_buf_free(&out);
    munmap(pages, 2 * page);
}

static void test_what_does_not_fit_a_frame_is_not_encoded(void **state)
{
    struct rc_buf out;
    struct rc_remoting command;
    char *text = rc_calloc(1, RC_REMOTING_HEADER_MAX + 1);
    memset(text, 'x', RC_REMOTING_HEADER_MAX);
    rc_remoting_request(&command, 1, 1);
    rc_remoting_add(&command, "long", rc_slice_str(text));
    rc_buf_init(&out, RC_REMOTING_FRAME_MAX);
    rc_buf_put_str(&out, "kept");
    assert_int_equal(rc_remoting_put(&out, &command), RC_ERR_TOO_LARGE);
    command.fields_count = 0;
    assert_int_equal(rc_remoting_put_head(&out, &command, RC_REMOTING_FRAME_MAX), RC_ERR_TOO_LARGE);
    assert_slice(rc_buf_slice(&out), "kept");
    out.max = 20;
    assert_int_equal(rc_remoting_put(&out, &command), RC_ERR_FULL);
    assert_slice(rc_buf_slice(&out), "kept");
    rc_buf_free(&out);
    free(text);
}

/* Values computed with another HMAC. */
static void test_signatures_cover_the_fields_in_order_and_the_body(void **state)
{
    char out[32];
    struct rc_remoting command;
    rc_remoting_request(&command, RC_REQ_QUERY_OFFSET, 1);
    rc_remoting_add(&command, "topic", rc_slice_str("T1"));
    rc_remoting_add(&command, "Signature", rc_slice_str("is not signed"));
    rc_remoting_add(&command, "Zeta", rc_slice_str("z")); /* capitals come first */
    rc_remoting_add(&command, "OnsChannel", rc_slice_str("ALIYUN"));
    rc_remoting_add(&command, "AccessKey", rc_slice_str("AccessKey1"));
    command.body = rc_slice_str("body");
    rc_remoting_sign(&command, rc_slice_str(SECRET), false, NULL, out);
    assert_string_equal(out, "7Ir0OxLFQGqYHauLEW3hPORBPac=");
}

static void test_the_route_request_of_ons_signs_a_byte_more(void **state)
{
    char out[32];
    struct rc_remoting command;
    rc_remoting_request(&command, RC_REQ_ROUTE, 1);
    rc_remoting_add(&command, "topic", rc_slice_str("T1"));
    rc_remoting_add(&command, "OnsChannel", rc_slice_str("ALIYUN"));
    rc_remoting_add(&command, "AccessKey", rc_slice_str("AccessKey1"));
    rc_remoting_sign(&command, rc_slice_str(SECRET), true, NULL, out);
    assert_string_equal(out, "OjEfRtI0A//BTn89+hTCjd6PcqI=");
}

static void test_a_field_added_after_signing_is_left_out(void **state)
{
    char out[32];
    struct rc_remoting command;
    rc_remoting_request(&command, RC_REQ_QUERY_MESSAGE, 1);
    rc_remoting_add(&command, "_UNIQUE_KEY_QUERY", rc_slice_str("true"));
    rc_remoting_add(&command, "topic", rc_slice_str("T1"));
    rc_remoting_add(&command, "key", rc_slice_str("key"));
    rc_remoting_add(&command, "AccessKey", rc_slice_str("AccessKey1"));
    rc_remoting_sign(&command, rc_slice_str(SECRET), false, "_UNIQUE_KEY_QUERY", out);
    assert_string_equal(out, "2GRtOQBiy3ayiy0wqZ9qReAuwok=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_of_ons_client_is_read),
        cmocka_unit_test(test_a_response_of_a_real_broker_is_read),
        cmocka_unit_test(test_numbers_and_booleans_of_the_cpp_client_count_as_text),
        cmocka_unit_test(test_the_huge_version_of_ons_client_is_taken),
        cmocka_unit_test(test_numbers_that_are_none_leave_the_callers_default),
        cmocka_unit_test(test_what_was_encoded_decodes_to_the_same_in_both_headers),
        cmocka_unit_test(test_a_binary_header_has_the_documented_layout),
        cmocka_unit_test(test_a_field_that_comes_twice_in_a_binary_header_counts_once),
        cmocka_unit_test(test_a_response_is_a_frame_that_every_client_reads),
        cmocka_unit_test(test_a_response_has_the_header_of_its_request),
        cmocka_unit_test(test_a_frame_that_is_not_whole_waits),
        cmocka_unit_test(test_lengths_that_make_no_sense_are_refused_at_once),
        cmocka_unit_test(test_headers_that_are_no_json_object_are_refused),
        cmocka_unit_test(test_more_fields_than_the_table_holds_are_refused),
        cmocka_unit_test(test_no_byte_behind_a_binary_frame_is_read_wherever_it_is_cut),
        cmocka_unit_test(test_what_does_not_fit_a_frame_is_not_encoded),
        cmocka_unit_test(test_signatures_cover_the_fields_in_order_and_the_body),
        cmocka_unit_test(test_the_route_request_of_ons_signs_a_byte_more),
        cmocka_unit_test(test_a_field_added_after_signing_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
