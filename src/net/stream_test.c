#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "net/stream.h"
#include "net/stream_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
    struct rc_stream stream;
    int ready;
    uint32_t seen;
    uint8_t got[256];
    size_t got_len;
    ssize_t result; /* of the last read that gave no bytes */
    bool closes;
};

static void on_ready(struct rc_watch *watch, uint32_t events)
{
    struct side *side = rc_container_of(watch, struct side, stream.watch);
    side->ready++;
    side->seen |= events;
    if (!(events & EPOLLIN))
        return;
    ssize_t len = rc_stream_read(&side->stream, side->got + side->got_len, 1);
    if (len > 0)
        side->got_len += (size_t)len;
    else
        side->result = len;
    if (len <= 0 || side->closes)
        rc_stream_close(&side->stream);
}

static struct rc_loop *loop_create(void)
{
    struct rc_loop *loop;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    return loop;
}

static void on_due(struct rc_timer *timer)
{
    rc_loop_stop(rc_loop_current());
}

static void run_for(struct rc_loop *loop, uint64_t ms)
{
    struct rc_timer timer = {.on_due = on_due};
    rc_timer_start(loop, &timer, ms);
    rc_loop_run(loop);
}

static ssize_t write_text(struct rc_stream *stream, const char *text)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    return rc_stream_writev(stream, &iov, 1);
}

enum kind { MEMORY, SOCKET, KINDS };

static void join(enum kind kind, struct side *one, struct side *other)
{
    int fds[2];
    if (kind == MEMORY) {
        rc_stream_pair(&one->stream, &other->stream, 4096);
    } else {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        rc_stream_open(&one->stream, fds[0]);
        rc_stream_open(&other->stream, fds[1]);
    }
    one->stream.watch.on_ready = other->stream.watch.on_ready = on_ready;
}

/* What holds for every kind of stream. */
static void test_readiness_lasts_until_all_is_read_then_the_end_is_told(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {.result = 99};
        struct rc_loop *loop = loop_create();
        join(kind, &one, &other);
        assert_int_equal(rc_stream_attach(&other.stream, loop, EPOLLIN), 0);
        assert_int_equal(rc_stream_read(&other.stream, other.got, 1), RC_ERR_AGAIN);
        assert_int_equal(write_text(&one.stream, "hello"), 5);
        run_for(loop, 20);
        assert_int_equal(other.got_len, 5);
        assert_memory_equal(other.got, "hello", 5);
        assert_int_equal(other.ready, 5); /* a byte at a time, and no more calls than bytes */
        assert_int_equal(rc_stream_pending(&other.stream), 0);
        assert_int_equal(write_text(&one.stream, "x"), 1);
        assert_int_equal(rc_stream_shutdown(&one.stream), 0);
        run_for(loop, 20);
        assert_int_equal(other.got_len, 6);
        assert_int_equal(other.result, 0);
        assert_false(rc_stream_is_open(&other.stream));
        rc_stream_close(&one.stream);
        rc_stream_close(&one.stream); /* harmless */
        rc_loop_destroy(loop);
    }
}

static void test_after_shutdown_answers_still_come_in(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {0};
        uint8_t byte;
        join(kind, &one, &other);
        assert_int_equal(rc_stream_shutdown(&one.stream), 0);
        assert_true(write_text(&one.stream, "x") < 0);
        assert_int_equal(rc_stream_read(&other.stream, &byte, 1), 0);
        assert_int_equal(write_text(&other.stream, "y"), 1);
        assert_int_equal(rc_stream_read(&one.stream, &byte, 1), 1);
        rc_stream_close(&one.stream);
        rc_stream_close(&other.stream);
    }
}

static void test_writing_ends_when_the_reader_does_not_read_and_room_is_told(void **state)
{
    static uint8_t zeros[1 << 20];
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {0};
        struct rc_loop *loop = loop_create();
        struct iovec iov = {.iov_base = zeros, .iov_len = sizeof(zeros)};
        join(kind, &one, &other);
        ssize_t len = rc_stream_writev(&one.stream, &iov, 1);
        assert_true(len > 0 && len < (ssize_t)sizeof(zeros));
        while ((len = rc_stream_writev(&one.stream, &iov, 1)) > 0)
            continue;
        assert_int_equal(len, RC_ERR_AGAIN);
        assert_int_equal(rc_stream_attach(&one.stream, loop, EPOLLOUT), 0);
        run_for(loop, 20);
        assert_int_equal(one.ready, 0);
        while (rc_stream_read(&other.stream, zeros, sizeof(zeros)) > 0)
            continue;
        run_for(loop, 20);
        assert_true(one.ready > 0);
        assert_int_equal(one.seen, EPOLLOUT);
        rc_stream_close(&one.stream);
        rc_stream_close(&other.stream);
        rc_loop_destroy(loop);
    }
}

static void test_a_paused_stream_is_silent_and_loses_nothing(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {0};
        struct rc_loop *loop = loop_create();
        join(kind, &one, &other);
        assert_int_equal(rc_stream_want(&other.stream, EPOLLIN), RC_ERR_INVALID); /* not attached */
        assert_int_equal(rc_stream_attach(&other.stream, loop, EPOLLIN), 0);
        assert_int_equal(rc_stream_want(&other.stream, 0), 0);
        assert_int_equal(write_text(&one.stream, "ab"), 2);
        rc_stream_close(&one.stream);
        run_for(loop, 20);
        assert_int_equal(other.ready, 0);
        assert_int_equal(rc_stream_want(&other.stream, EPOLLIN), 0);
        run_for(loop, 20);
        assert_int_equal(other.got_len, 2);
        assert_int_equal(other.result, 0);
        rc_loop_destroy(loop);
    }
}

static void test_a_stream_may_be_closed_in_its_own_callback(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {.closes = true};
        struct rc_loop *loop = loop_create();
        join(kind, &one, &other);
        assert_int_equal(rc_stream_attach(&other.stream, loop, EPOLLIN), 0);
        assert_int_equal(write_text(&one.stream, "abc"), 3);
        run_for(loop, 20);
        assert_int_equal(other.ready, 1);
        assert_int_equal(write_text(&one.stream, "d"), RC_ERR_CLOSED);
        rc_stream_close(&one.stream);
        rc_loop_destroy(loop);
    }
}

/* ---- a layer on top: it swaps cases, and reads ahead as TLS does ---- */

struct swap {
    struct rc_stream_layer below;
    uint8_t ahead[16];
    size_t len;
};

static ssize_t swap_read(struct rc_stream *stream, void *state, void *to, size_t len)
{
    struct swap *swap = state;
    if (swap->len == 0) {
        ssize_t got = swap->below.ops->read(stream, swap->below.state, swap->ahead, sizeof(swap->ahead));
        if (got <= 0)
            return got;
        swap->len = (size_t)got;
    }
    len = len < swap->len ? len : swap->len;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = swap->ahead[i] ^ 0x20;
    memmove(swap->ahead, swap->ahead + len, swap->len -= len);
    return (ssize_t)len;
}

static ssize_t swap_writev(struct rc_stream *stream, void *state, const struct iovec *iov, int count)
{
    struct swap *swap = state;
    uint8_t bytes[64];
    size_t len = iov->iov_len < sizeof(bytes) ? iov->iov_len : sizeof(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = ((const uint8_t *)iov->iov_base)[i] ^ 0x20;
    struct iovec swapped = {.iov_base = bytes, .iov_len = len};
    return swap->below.ops->writev(stream, swap->below.state, &swapped, 1);
}

static size_t swap_pending(const struct rc_stream *stream, void *state)
{
    return ((struct swap *)state)->len;
}

static int swap_shutdown(struct rc_stream *stream, void *state)
{
    struct swap *swap = state;
    return swap->below.ops->shutdown(stream, swap->below.state);
}

static int swap_want(struct rc_stream *stream, void *state, uint32_t events)
{
    struct swap *swap = state;
    return swap->below.ops->want(stream, swap->below.state, events);
}

static void swap_close(struct rc_stream *stream, void *state)
{
    struct swap *swap = state;
    swap->below.ops->close(stream, swap->below.state);
    free(swap);
}

static const struct rc_stream_ops swap_ops = {.name = "swap",
                                              .read = swap_read,
                                              .writev = swap_writev,
                                              .pending = swap_pending,
                                              .shutdown = swap_shutdown,
                                              .want = swap_want,
                                              .close = swap_close};

static void put_swap(struct rc_stream *stream)
{
    struct swap *swap = rc_new(struct swap);
    rc_stream_push(stream, &swap_ops, swap, &swap->below);
}

static void test_layers_stack_and_say_what_they_hold_back(void **state)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct side one = {0}, other = {0};
        struct rc_loop *loop = loop_create();
        uint8_t byte;
        join(kind, &one, &other);
        put_swap(&one.stream);
        put_swap(&one.stream);
        put_swap(&one.stream); /* three times is once */
        put_swap(&other.stream);
        assert_int_equal(rc_stream_attach(&other.stream, loop, EPOLLIN), 0);
        assert_int_equal(write_text(&one.stream, "Hello"), 5);
        run_for(loop, 20);
        assert_int_equal(other.ready, 1); /* the layer has taken all, no event tells of the rest */
        assert_int_equal(other.got[0], 'H');
        assert_int_equal(rc_stream_pending(&other.stream), 4);
        rc_stream_close(&one.stream);
        while (rc_stream_pending(&other.stream) > 0)
            assert_int_equal(rc_stream_read(&other.stream, &byte, 1), 1);
        assert_int_equal(byte, 'o');
        assert_int_equal(rc_stream_read(&other.stream, &byte, 1), 0);
        rc_stream_close(&other.stream);
        rc_loop_destroy(loop);
    }
}

/* ---- moving to another thread's loop, with bytes read and bytes still in the socket ---- */

enum { MOVERS = 200, HOPS = 6 };

struct mover {
    struct rc_mail mail;
    struct rc_stream stream;
    struct rc_loop **loops;
    int hops;
    uint8_t got[HOPS];
    atomic_int *finished;
};

static void on_mover_ready(struct rc_watch *watch, uint32_t events)
{
    struct mover *mover = rc_container_of(watch, struct mover, stream.watch);
    rc_loop_assert_owner(mover->loops[mover->hops % 2]);
    ssize_t len = rc_stream_read(&mover->stream, &mover->got[mover->hops], 1);
    if (len != 1)
        return;
    rc_stream_detach(&mover->stream);
    if (++mover->hops < HOPS)
        rc_loop_post(mover->loops[mover->hops % 2], &mover->mail);
    else
        atomic_fetch_add(mover->finished, 1);
}

static void on_mover_arrived(struct rc_mail *mail, struct rc_loop *loop)
{
    struct mover *mover = rc_container_of(mail, struct mover, mail);
    mover->stream.watch.on_ready = on_mover_ready;
    assert_int_equal(rc_stream_attach(&mover->stream, loop, EPOLLIN), 0);
}

static void test_streams_move_between_threads_and_lose_nothing(void **state)
{
    struct rc_loop *loops[2];
    struct mover *movers = rc_calloc(MOVERS, sizeof(*movers));
    int peers[MOVERS];
    atomic_int finished = 0;
    for (int i = 0; i < 2; i++) {
        loops[i] = loop_create();
        assert_int_equal(rc_loop_start_thread(loops[i]), 0);
    }
    for (int i = 0; i < MOVERS; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        peers[i] = fds[1];
        movers[i] = (struct mover){.mail.deliver = on_mover_arrived, .loops = loops, .finished = &finished};
        rc_stream_open(&movers[i].stream, fds[0]);
        assert_int_equal(write(peers[i], "abc", 3), 3);
        rc_loop_post(loops[0], &movers[i].mail);
        assert_int_equal(write(peers[i], "def", 3), 3);
    }
    for (int waited = 0; atomic_load(&finished) < MOVERS && waited < 20000; waited++)
        usleep(1000);
    for (int i = 0; i < 2; i++) {
        rc_loop_stop(loops[i]);
        rc_loop_join_thread(loops[i]);
        rc_loop_destroy(loops[i]);
    }
    assert_int_equal(atomic_load(&finished), MOVERS);
    for (int i = 0; i < MOVERS; i++) {
        assert_memory_equal(movers[i].got, "abcdef", HOPS);
        rc_stream_close(&movers[i].stream);
        close(peers[i]);
    }
    free(movers);
}

static void test_an_idle_stream_is_small(void **state)
{
    assert_true(sizeof(struct rc_stream) <= 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readiness_lasts_until_all_is_read_then_the_end_is_told),
        cmocka_unit_test(test_after_shutdown_answers_still_come_in),
        cmocka_unit_test(test_writing_ends_when_the_reader_does_not_read_and_room_is_told),
        cmocka_unit_test(test_a_paused_stream_is_silent_and_loses_nothing),
        cmocka_unit_test(test_a_stream_may_be_closed_in_its_own_callback),
        cmocka_unit_test(test_layers_stack_and_say_what_they_hold_back),
        cmocka_unit_test(test_streams_move_between_threads_and_lose_nothing),
        cmocka_unit_test(test_an_idle_stream_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
