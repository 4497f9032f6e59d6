#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/output.h"
#include "net/stream_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

struct fixture {
    struct rc_loop *loop;
    struct rc_stream near, far;
    struct rc_output output;
};

static void on_nothing(struct rc_watch *watch, uint32_t events)
{
}

static struct fixture *setup(uint32_t capacity)
{
    struct fixture *f = rc_new(struct fixture);
    assert_int_equal(rc_loop_create("test", &f->loop), 0);
    rc_stream_pair(&f->near, &f->far, capacity);
    f->near.watch.on_ready = f->far.watch.on_ready = on_nothing;
    assert_int_equal(rc_stream_attach(&f->near, f->loop, EPOLLIN), 0);
    return f;
}

static void teardown(struct fixture *f)
{
    rc_stream_close(&f->near);
    rc_stream_close(&f->far);
    rc_output_free(&f->output);
    rc_loop_destroy(f->loop);
    free(f);
}

/* ---- any mix of puts, references and slow reads, against the plain sequence of bytes ---- */

enum { SEQUENCE = 400000 };

static uint8_t byte_at(size_t at)
{
    return (uint8_t)(at * 131 + (at >> 9));
}

static size_t released;

static void on_release(void *arg)
{
    released++;
    free(arg);
}

static void put_next(struct fixture *f, size_t *at, unsigned *seed, size_t *refs)
{
    size_t len = (size_t)rand_r(seed) % 10 == 0 ? (size_t)rand_r(seed) % 9000 : (size_t)rand_r(seed) % 40;
    if (len > SEQUENCE - *at)
        len = SEQUENCE - *at;
    uint8_t *bytes = rc_malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = byte_at(*at + i);
    *at += len;
    if (rand_r(seed) % 2) {
        rc_output_put_ref(&f->output, rc_slice(bytes, len), on_release, bytes);
        (*refs)++;
    } else {
        rc_output_put(&f->output, bytes, len);
        free(bytes);
    }
}

static void read_some(struct fixture *f, size_t *at, unsigned *seed)
{
    uint8_t got[512];
    ssize_t len = rc_stream_read(&f->far, got, 1 + (size_t)rand_r(seed) % sizeof(got));
    if (len == RC_ERR_AGAIN)
        return;
    assert_true(len > 0);
    for (ssize_t i = 0; i < len; i++)
        assert_int_equal(got[i], byte_at(*at + (size_t)i));
    *at += (size_t)len;
}

static void test_every_byte_arrives_once_and_in_order_however_slow_the_reader(void **state)
{
    static const uint32_t capacities[] = {1, 7, 333, 100000};
    for (size_t c = 0; c < sizeof(capacities) / sizeof(capacities[0]); c++) {
        struct fixture *f = setup(capacities[c]);
        size_t put = 0, got = 0, refs = 0;
        /* less of it where a byte at a time goes through */
        size_t total = capacities[c] < 100 ? SEQUENCE / 20 : SEQUENCE;
        unsigned seed = 5;
        released = 0;
        while (got < total) {
            if (put < total && rc_output_has_room(&f->output, 9000, 20000))
                put_next(f, &put, &seed, &refs);
            if (rand_r(&seed) % 3 == 0)
                read_some(f, &got, &seed);
            int err = rc_output_flush(&f->output, &f->near);
            assert_true(err == RC_OK || err == RC_ERR_AGAIN);
            assert_int_equal(err == RC_ERR_AGAIN, rc_output_pending(&f->output) > 0);
            assert_int_equal(err == RC_ERR_AGAIN, (f->near.watch.events & EPOLLOUT) != 0);
            assert_true(f->near.watch.events & EPOLLIN);
        }
        rc_output_free(&f->output);
        assert_int_equal(released, refs);
        teardown(f);
    }
}

static void test_an_empty_output_holds_no_memory(void **state)
{
    struct fixture *f = setup(1000);
    assert_int_equal(sizeof(struct rc_output), sizeof(void *));
    rc_output_put(&f->output, "abc", 3);
    assert_int_equal(rc_output_pending(&f->output), 3);
    assert_int_equal(rc_output_flush(&f->output, &f->near), 0);
    assert_null(f->output.queue);
    rc_output_put(&f->output, "", 0);
    assert_null(f->output.queue);
    teardown(f);
}

static void test_dropping_what_waits_releases_what_was_lent(void **state)
{
    struct fixture *f = setup(1);
    released = 0;
    for (int i = 0; i < 3; i++) {
        uint8_t *bytes = rc_calloc(1, 5000);
        rc_output_put_ref(&f->output, rc_slice(bytes, 5000), on_release, bytes);
    }
    assert_int_equal(rc_output_flush(&f->output, &f->near), RC_ERR_AGAIN);
    assert_int_equal(released, 0);
    rc_output_free(&f->output);
    assert_int_equal(released, 3);
    assert_int_equal(rc_output_pending(&f->output), 0);
    teardown(f);
}

static void test_a_limit_is_exact(void **state)
{
    struct fixture *f = setup(1);
    assert_true(rc_output_has_room(&f->output, 10, 10));
    assert_false(rc_output_has_room(&f->output, 11, 10));
    rc_output_put(&f->output, "123456", 6);
    assert_true(rc_output_has_room(&f->output, 4, 10));
    assert_false(rc_output_has_room(&f->output, 5, 10));
    assert_false(rc_output_has_room(&f->output, SIZE_MAX, 10));
    assert_false(rc_output_has_room(&f->output, 0, 5));
    teardown(f);
}

static void test_one_flush_is_bounded_although_the_reader_takes_all(void **state)
{
    struct fixture *f = setup(16 << 20);
    for (int i = 0; i < 4 * RC_OUTPUT_IOV_MAX; i++) {
        uint8_t *bytes = rc_calloc(1, 16384);
        rc_output_put_ref(&f->output, rc_slice(bytes, 16384), on_release, bytes);
    }
    int flushes = 1;
    while (rc_output_flush(&f->output, &f->near) == RC_ERR_AGAIN) {
        assert_true(f->near.watch.events & EPOLLOUT);
        flushes++;
    }
    assert_int_equal(flushes, 4);
    assert_false(f->near.watch.events & EPOLLOUT);
    teardown(f);
}

/* The last bytes stay, or are taken back and put again: what arrives is the same sequence. */
static void test_what_is_kept_back_goes_later_or_never(void **state)
{
    struct fixture *f = setup(333);
    size_t put = 0, got = 0, refs = 0, total = SEQUENCE / 4;
    unsigned seed = 11;
    released = 0;
    while (got < total) {
        if (put < total && rc_output_has_room(&f->output, 9000, 20000))
            put_next(f, &put, &seed, &refs);
        if (rand_r(&seed) % 3 == 0)
            read_some(f, &got, &seed);
        size_t before = rc_output_pending(&f->output);
        size_t keep = put < total && before > 0 ? (size_t)rand_r(&seed) % (before + 1) : 0;
        int err = rc_output_flush_part(&f->output, &f->near, keep);
        assert_true(err == RC_OK || err == RC_ERR_AGAIN);
        assert_true(rc_output_pending(&f->output) >= keep);
        assert_int_equal(err == RC_ERR_AGAIN, rc_output_pending(&f->output) > keep);
        if (keep > 0 && rand_r(&seed) % 4 == 0) {
            rc_output_drop_last(&f->output, keep);
            put -= keep;
        }
    }
    assert_true(got <= put);
    rc_output_free(&f->output);
    assert_int_equal(released, refs);
    teardown(f);
}

static void test_a_peer_that_is_gone_is_an_error(void **state)
{
    struct fixture *f = setup(100);
    rc_stream_close(&f->far);
    rc_output_put(&f->output, "abc", 3);
    assert_int_equal(rc_output_flush(&f->output, &f->near), RC_ERR_CLOSED);
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_arrives_once_and_in_order_however_slow_the_reader),
        cmocka_unit_test(test_an_empty_output_holds_no_memory),
        cmocka_unit_test(test_dropping_what_waits_releases_what_was_lent),
        cmocka_unit_test(test_a_limit_is_exact),
        cmocka_unit_test(test_one_flush_is_bounded_although_the_reader_takes_all),
        cmocka_unit_test(test_what_is_kept_back_goes_later_or_never),
        cmocka_unit_test(test_a_peer_that_is_gone_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
