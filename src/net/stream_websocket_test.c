/* The far end speaks raw bytes; the near end is the layer, over memory with as little room as a test wants.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/error.h"
#include "net/output.h"
#include "net/stream_memory.h"
#include "net/stream_websocket.h"

#include <string.h>

enum {
    ROOM = 1 << 20,
    FIN = 0x80,
    CONT = 0,
    TEXT = 1,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    MASK = 0x80
};

struct link {
    struct rc_stream near, far;
};

static void open_link(struct link *link, uint32_t room)
{
    rc_stream_pair(&link->near, &link->far, room);
    rc_stream_push_websocket(&link->near);
}

static void close_link(struct link *link)
{
    rc_stream_close(&link->near);
    rc_stream_close(&link->far);
}

static void put(struct link *link, const void *bytes, size_t len)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    assert_int_equal(rc_stream_writev(&link->far, &iov, 1), len);
}

/* A frame as a client sends it. */
static size_t make_frame(uint8_t *out, uint8_t first, const void *payload, size_t len)
{
    static const uint8_t key[4] = {0x11, 0x82, 0x53, 0xf4};
    size_t at = 2;
    out[0] = first;
    if (len < 126) {
        out[1] = (uint8_t)(MASK | len);
    } else if (len < 65536) {
        out[1] = MASK | 126;
        rc_store_u16(out + 2, (uint16_t)len);
        at = 4;
    } else {
        out[1] = MASK | 127;
        rc_store_u64(out + 2, len);
        at = 10;
    }
    memcpy(out + at, key, 4);
    at += 4;
    for (size_t i = 0; i < len; i++)
        out[at + i] = ((const uint8_t *)payload)[i] ^ key[i % 4];
    return at + len;
}

static void put_frame(struct link *link, uint8_t first, const char *payload)
{
    uint8_t frame[1024];
    put(link, frame, make_frame(frame, first, payload, strlen(payload)));
}

static void expect_read(struct link *link, const char *expected)
{
    char bytes[1024];
    size_t len = 0;
    ssize_t got;
    while ((got = rc_stream_read(&link->near, bytes + len, sizeof(bytes) - len)) > 0)
        len += (size_t)got;
    assert_int_equal(got, RC_ERR_AGAIN);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(bytes, expected, len);
}

static void expect_sent(struct link *link, const char *expected, size_t len)
{
    char bytes[1024];
    assert_int_equal(rc_stream_read(&link->far, bytes, sizeof(bytes)), len);
    assert_memory_equal(bytes, expected, len);
}

static void test_payloads_are_read_whatever_their_frames(void **state)
{
    struct link link;
    open_link(&link, ROOM);
    put_frame(&link, FIN | BINARY, "one");
    put_frame(&link, BINARY, "tw");
    put_frame(&link, CONT, "");
    put_frame(&link, FIN | PING, "p");
    put_frame(&link, FIN | CONT, "o");
    put_frame(&link, FIN | BINARY, "");
    put_frame(&link, FIN | PONG, "nobody asked");
    put_frame(&link, FIN | BINARY, "three");
    expect_read(&link, "onetwothree");
    expect_sent(&link, "\x8a\1p", 3);
    close_link(&link);
}

/* Messages of all lengths about the forms of the header, cut in two at each place. */
static void test_messages_come_out_as_they_went_in_wherever_they_are_cut(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 3, 7, 8, 9, 64, 125, 126, 127, 200};
    enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
    uint8_t frames[2048], payload[1024], got[1024];
    size_t size = 0, total = 0;
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < lengths[i]; k++)
            payload[total + k] = (uint8_t)(31 * (total + k) + i);
        size += make_frame(frames + size, FIN | BINARY, payload + total, lengths[i]);
        total += lengths[i];
    }
    for (size_t cut = 1; cut < size; cut++) {
        struct link link;
        size_t len = 0;
        ssize_t part;
        open_link(&link, ROOM);
        put(&link, frames, cut);
        while ((part = rc_stream_read(&link.near, got + len, sizeof(got) - len)) > 0)
            len += (size_t)part;
        put(&link, frames + cut, size - cut);
        while ((part = rc_stream_read(&link.near, got + len, sizeof(got) - len)) > 0)
            len += (size_t)part;
        assert_int_equal(len, total);
        assert_memory_equal(got, payload, total);
        close_link(&link);
    }
}

static void test_a_length_that_is_longer_than_needed_breaks_the_protocol(void **state)
{
    static const uint8_t frame[] = {FIN | BINARY, MASK | 126, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct link link;
    uint8_t got[64];
    open_link(&link, ROOM);
    put(&link, frame, sizeof(frame));
    assert_int_equal(rc_stream_read(&link.near, got, sizeof(got)), RC_ERR_PROTOCOL);
    close_link(&link);
}

static void test_frames_may_come_byte_by_byte(void **state)
{
    struct link link;
    uint8_t frame[400];
    char payload[301], got[301];
    size_t len = 0;
    memset(payload, 'x', 300);
    payload[300] = '\0';
    open_link(&link, ROOM);
    size_t size = make_frame(frame, BINARY, payload, 100);
    size += make_frame(frame + size, FIN | PING, "ping", 4);
    size += make_frame(frame + size, FIN | CONT, payload, 200);
    for (size_t i = 0; i < size; i++) {
        put(&link, frame + i, 1);
        ssize_t part = rc_stream_read(&link.near, got + len, sizeof(got) - len);
        assert_true(part > 0 || part == RC_ERR_AGAIN);
        len += part > 0 ? (size_t)part : 0;
    }
    assert_int_equal(len, 300);
    assert_memory_equal(got, payload, 300);
    expect_sent(&link, "\x8a\4ping", 6);
    close_link(&link);
}

static void test_a_reader_with_little_room_gets_all(void **state)
{
    struct link link;
    char got[64];
    size_t len = 0;
    open_link(&link, ROOM);
    put_frame(&link, FIN | BINARY, "some bytes");
    put_frame(&link, FIN | BINARY, "and more");
    for (ssize_t part; (part = rc_stream_read(&link.near, got + len, 3)) != RC_ERR_AGAIN;) {
        assert_true(part > 0 && part <= 3);
        len += (size_t)part;
    }
    assert_int_equal(len, 18);
    assert_memory_equal(got, "some bytesand more", 18);
    close_link(&link);
}

static void test_a_large_frame_is_read_in_parts(void **state)
{
    enum { SIZE = 200000 };
    struct link link;
    uint8_t *payload = rc_malloc(SIZE), *frame = rc_malloc(SIZE + 14), *got = rc_malloc(SIZE + 1);
    size_t len = 0;
    for (size_t i = 0; i < SIZE; i++)
        payload[i] = (uint8_t)(i * 7);
    open_link(&link, ROOM);
    put(&link, frame, make_frame(frame, FIN | BINARY, payload, SIZE));
    for (ssize_t part; (part = rc_stream_read(&link.near, got + len, SIZE + 1 - len)) > 0;)
        len += (size_t)part;
    assert_int_equal(len, SIZE);
    assert_memory_equal(got, payload, SIZE);
    close_link(&link);
    free(payload);
    free(frame);
    free(got);
}

/* ---- what breaks the protocol ---- */

#define BYTES(text) text, sizeof(text) - 1
#define KEY "\0\0\0\0"

static const struct {
    const char *what, *bytes;
    size_t len;
    uint16_t code;
} broken[] = {
    {"not masked", BYTES("\x82\1x"), 1002},
    {"not masked and empty", BYTES("\x82\0"), 1002},
    {"text", BYTES("\x81\x81" KEY "x"), 1003},
    {"text, first fragment", BYTES("\1\x81" KEY "x"), 1003},
    {"reserved opcode 3", BYTES("\x83\x81" KEY "x"), 1002},
    {"reserved opcode 15", BYTES("\x8f\x80" KEY), 1002},
    {"reserved bit", BYTES("\xc2\x81" KEY "x"), 1002},
    {"a fragment of nothing", BYTES("\x80\x81" KEY "x"), 1002},
    {"a message within a message", BYTES("\2\x81" KEY "x\x82\x81" KEY "x"), 1002},
    {"a ping in fragments", BYTES("\x09\x80" KEY), 1002},
    {"a long ping", BYTES("\x89\xfe\0\x7e" KEY), 1002},
    {"a length that is written too long", BYTES("\x82\xfe\0\5" KEY "hello"), 1002},
    {"a length of 8 bytes that fits 2", BYTES("\x82\xff\0\0\0\0\0\0\xff\xff" KEY), 1002},
    {"a length above 2^63", BYTES("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff" KEY), 1002},
    {"a close frame with half a code", BYTES("\x88\x81" KEY "\3"), 1002},
    {"a close frame with a code that may not be sent", BYTES("\x88\x82" KEY "\3\xed"), 1002},
    {"a close frame with a code of nobody", BYTES("\x88\x82" KEY "\0\1"), 1002},
};

/* Each read by itself: a message that is whole is none of those that may come between two fragments. */
static void test_a_whole_message_between_two_fragments_breaks_the_protocol(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } first = {BYTES("\2\x81" KEY "x")}, second = {BYTES("\x82\x81" KEY "x")};
    struct link link;
    uint8_t got[8];
    open_link(&link, ROOM);
    put(&link, first.bytes, first.len);
    assert_int_equal(rc_stream_read(&link.near, got, sizeof(got)), 1);
    put(&link, second.bytes, second.len);
    assert_int_equal(rc_stream_read(&link.near, got, sizeof(got)), RC_ERR_PROTOCOL);
    close_link(&link);
}

static void test_what_breaks_the_protocol_ends_with_a_close_frame(void **state)
{
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct link link;
        char bytes[64];
        uint8_t answer[64];
        ssize_t got;
        open_link(&link, ROOM);
        put(&link, broken[i].bytes, broken[i].len);
        while ((got = rc_stream_read(&link.near, bytes, sizeof(bytes))) > 0)
            continue;
        if (got != RC_ERR_PROTOCOL)
            fail_msg("%s: %zd", broken[i].what, got);
        assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), RC_ERR_PROTOCOL);
        assert_true(rc_stream_pending(&link.near) > 0);
        assert_int_equal(rc_stream_read(&link.far, answer, sizeof(answer)), 4);
        assert_int_equal(answer[0], FIN | CLOSE);
        if (rc_load_u16(answer + 2) != broken[i].code)
            fail_msg("%s: closed with %u", broken[i].what, rc_load_u16(answer + 2));
        close_link(&link);
    }
}

static void test_each_of_them_is_found_byte_by_byte_too(void **state)
{
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct link link;
        char bytes[64];
        ssize_t got = RC_ERR_AGAIN;
        open_link(&link, ROOM);
        for (size_t at = 0; at < broken[i].len && got != RC_ERR_PROTOCOL; at++) {
            put(&link, broken[i].bytes + at, 1);
            got = rc_stream_read(&link.near, bytes, sizeof(bytes));
        }
        if (got != RC_ERR_PROTOCOL)
            fail_msg("%s: %zd", broken[i].what, got);
        close_link(&link);
    }
}

/* ---- closing ---- */

static void test_a_close_frame_is_answered_and_is_the_end(void **state)
{
    struct link link;
    char bytes[16];
    open_link(&link, ROOM);
    put_frame(&link, FIN | BINARY, "last");
    put_frame(&link, FIN | CLOSE,
              "\3\xe8"
              "bye");
    put_frame(&link, FIN | BINARY, "too late");
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 4);
    /* No event tells of the end that came with it. */
    while (rc_stream_read(&link.near, bytes, sizeof(bytes)) > 0)
        continue;
    assert_true(rc_stream_pending(&link.near) > 0);
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 0);
    const struct iovec iov = {.iov_base = (void *)"\xd0\0", .iov_len = 2};
    assert_int_equal(rc_stream_writev(&link.near, &iov, 1), 2); /* an answer to what came before */
    rc_stream_close(&link.near);
    expect_sent(&link,
                "\x82\2\xd0\0"
                "\x88\2\3\xe8",
                8);
    rc_stream_close(&link.far);
}

static void test_nothing_follows_a_close_frame(void **state)
{
    struct link link;
    const struct iovec iov = {.iov_base = (void *)"no", .iov_len = 2};
    open_link(&link, ROOM);
    rc_stream_shutdown(&link.near);
    assert_int_equal(rc_stream_writev(&link.near, &iov, 1), RC_ERR_CLOSED);
    rc_stream_close(&link.near);
    expect_sent(&link, "\x88\2\3\xe8", 4); /* and no second one */
    rc_stream_close(&link.far);
}

static void test_a_close_frame_without_a_code_is_answered_alike(void **state)
{
    struct link link;
    char bytes[16];
    open_link(&link, ROOM);
    put_frame(&link, FIN | CLOSE, "");
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 0);
    rc_stream_close(&link.near);
    expect_sent(&link, "\x88\0", 2);
    rc_stream_close(&link.far);
}

static void test_closing_says_so(void **state)
{
    struct link link;
    open_link(&link, ROOM);
    rc_stream_close(&link.near);
    expect_sent(&link, "\x88\2\3\xe8", 4);
    rc_stream_close(&link.far);
}

static void test_a_peer_that_goes_without_a_word_is_gone(void **state)
{
    struct link link;
    char bytes[16];
    open_link(&link, ROOM);
    rc_stream_close(&link.far);
    assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), 0);
    rc_stream_close(&link.near);
}

/* ---- writing ---- */

/* Takes the frames apart that the server sent. */
static size_t unframe(struct rc_buf *in, uint8_t *out, size_t *pongs)
{
    size_t done = 0;
    while (rc_buf_len(in) >= 2) {
        const uint8_t *p = rc_buf_slice(in).ptr;
        size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
        if (rc_buf_len(in) < head)
            break;
        size_t len = p[1] < 126 ? p[1] : p[1] == 126 ? rc_load_u16(p + 2) : (size_t)rc_load_u64(p + 2);
        if (rc_buf_len(in) < head + len)
            break;
        assert_true(p[0] == (FIN | BINARY) || p[0] == (FIN | PONG));
        if (p[0] == (FIN | BINARY)) {
            memcpy(out + done, p + head, len);
            done += len;
        } else {
            ++*pongs;
        }
        rc_buf_consume(in, head + len);
    }
    return done;
}

/* Packets of all sizes, `total` bytes in all. */
static void make_packets(uint8_t *out, size_t total)
{
    size_t at = 0, size = 2;
    while (at < total) {
        size_t left = total - at, len = left < size + 5 ? left : size;
        size_t body = len - (len < 130 ? 2 : len < 16387 ? 3 : 4), more = body;
        out[at++] = 0x30;
        do {
            out[at++] = (uint8_t)(more % 128 | (more >= 128 ? 0x80 : 0));
            more /= 128;
        } while (more > 0);
        for (size_t i = 0; i < body; i++, at++)
            out[at] = (uint8_t)(at * 13 + at / 251);
        size = size * 3 / 2 + 1;
        if (size > 60000 || (size > 127 && size < 135) || (size > 16380 && size < 16400))
            size = 7;
    }
}

static void check_output_through(uint32_t room, size_t total, bool with_pings)
{
    struct link link;
    struct rc_loop *loop;
    struct rc_output output = {0};
    struct rc_buf raw;
    uint8_t *sent = rc_malloc(total), *got = rc_malloc(total + 1), piece[4096], skip[16];
    size_t len = 0, pongs = 0, pings = 0;
    make_packets(sent, total);
    assert_int_equal(rc_loop_create("test", &loop), 0);
    open_link(&link, room);
    rc_buf_init(&raw, 4 * ROOM);
    assert_int_equal(rc_stream_attach(&link.near, loop, 1), 0);
    rc_output_put(&output, sent, total);
    while (len < total || (with_pings && pongs == 0)) {
        if (with_pings && pings < 100) {
            put_frame(&link, FIN | PING, "ping");
            pings++;
        }
        assert_int_equal(rc_stream_read(&link.near, skip, sizeof(skip)), RC_ERR_AGAIN);
        int err = rc_output_flush(&output, &link.near);
        assert_true(err == RC_OK || err == RC_ERR_AGAIN);
        ssize_t part = rc_stream_read(&link.far, piece, sizeof(piece));
        if (part > 0)
            rc_buf_put(&raw, piece, (size_t)part);
        len += unframe(&raw, got + len, &pongs);
    }
    assert_int_equal(len, total);
    assert_memory_equal(got, sent, total);
    rc_output_free(&output);
    rc_buf_free(&raw);
    close_link(&link);
    while (rc_loop_drain(loop))
        continue;
    rc_loop_destroy(loop);
    free(sent);
    free(got);
}

static void test_what_is_written_arrives_through_any_bottleneck(void **state)
{
    check_output_through(ROOM, 100, false);
    check_output_through(ROOM, 70000, false);
    check_output_through(1, 700, false);
    check_output_through(3, 70000, false);
    check_output_through(7, 300, false);
    check_output_through(ROOM, 3 * ROOM / 2, false);
}

static void test_each_packet_is_a_frame(void **state)
{
    struct link link;
    const struct iovec iov[] = {{.iov_base = (void *)"\xd0", .iov_len = 1},
                                {.iov_base = (void *)"\0\x40\2", .iov_len = 3},
                                {.iov_base = NULL, .iov_len = 0},
                                {.iov_base = (void *)"\0\7\x30\5\0\1", .iov_len = 6},
                                {.iov_base = (void *)"t", .iov_len = 1}};
    open_link(&link, ROOM);
    assert_int_equal(rc_stream_writev(&link.near, iov, 5), 11);
    /* Of the last one some is missing, and comes later. */
    expect_sent(&link, "\x82\2\xd0\0\x82\4\x40\2\0\7\x82\7\x30\5\0\1t", 17);
    const struct iovec rest = {.iov_base = (void *)"xy\xd0\0", .iov_len = 4};
    assert_int_equal(rc_stream_writev(&link.near, &rest, 1), 4);
    expect_sent(&link, "xy\x82\2\xd0\0", 6);
    close_link(&link);
}

static void test_pongs_stand_between_frames(void **state)
{
    check_output_through(16, 3000, true);
    check_output_through(100, 70000, true);
}

static void test_a_flood_of_pings_keeps_one_pong(void **state)
{
    struct link link;
    struct rc_loop *loop;
    char bytes[64];
    assert_int_equal(rc_loop_create("test", &loop), 0);
    open_link(&link, 20);
    assert_int_equal(rc_stream_attach(&link.near, loop, 1), 0);
    for (int i = 0; i < 1000; i++) {
        put_frame(&link, FIN | PING, "0123");
        assert_int_equal(rc_stream_read(&link.near, bytes, sizeof(bytes)), RC_ERR_AGAIN);
    }
    /* Three fit into the pipe; one waits, and goes when the owner asks for what it waits for. */
    assert_int_equal(rc_stream_read(&link.far, bytes, sizeof(bytes)), 20);
    assert_int_equal(rc_stream_want(&link.near, 1), 0);
    assert_int_equal(rc_stream_read(&link.far, bytes, sizeof(bytes)), 4);
    assert_int_equal(rc_stream_read(&link.far, bytes, sizeof(bytes)), RC_ERR_AGAIN);
    close_link(&link);
    while (rc_loop_drain(loop))
        continue;
    rc_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payloads_are_read_whatever_their_frames),
        cmocka_unit_test(test_messages_come_out_as_they_went_in_wherever_they_are_cut),
        cmocka_unit_test(test_a_length_that_is_longer_than_needed_breaks_the_protocol),
        cmocka_unit_test(test_frames_may_come_byte_by_byte),
        cmocka_unit_test(test_a_reader_with_little_room_gets_all),
        cmocka_unit_test(test_a_large_frame_is_read_in_parts),
        cmocka_unit_test(test_a_whole_message_between_two_fragments_breaks_the_protocol),
        cmocka_unit_test(test_what_breaks_the_protocol_ends_with_a_close_frame),
        cmocka_unit_test(test_each_of_them_is_found_byte_by_byte_too),
        cmocka_unit_test(test_a_close_frame_is_answered_and_is_the_end),
        cmocka_unit_test(test_nothing_follows_a_close_frame),
        cmocka_unit_test(test_a_close_frame_without_a_code_is_answered_alike),
        cmocka_unit_test(test_closing_says_so),
        cmocka_unit_test(test_a_peer_that_goes_without_a_word_is_gone),
        cmocka_unit_test(test_what_is_written_arrives_through_any_bottleneck),
        cmocka_unit_test(test_each_packet_is_a_frame),
        cmocka_unit_test(test_pongs_stand_between_frames),
        cmocka_unit_test(test_a_flood_of_pings_keeps_one_pong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
