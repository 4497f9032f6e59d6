#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "net/dialer.h"
#include "net/listener.h"
#include "net/output.h"
#include "net/resolver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- a dialer, a listener and two outputs that carry a megabyte ---- */

enum { MEGABYTE = 1 << 20 };

struct exchange {
    struct rc_loop *loop;
    struct rc_listener listener;
    struct rc_stream server, client;
    struct rc_output output;
    uint8_t *payload;
    size_t received, released;
    bool failed;
};

static void on_client_ready(struct rc_watch *watch, uint32_t events)
{
    static uint8_t scratch[65536];
    struct exchange *x = rc_container_of(watch, struct exchange, client.watch);
    ssize_t len = rc_stream_read(&x->client, scratch, 4096);
    for (ssize_t i = 0; i < len; i++)
        if (scratch[i] != (uint8_t)((x->received + (size_t)i) % 251))
            x->failed = true;
    x->received += len > 0 ? (size_t)len : 0;
    if (x->received == MEGABYTE + 300)
        rc_loop_stop(x->loop);
}

static void on_server_ready(struct rc_watch *watch, uint32_t events)
{
    struct exchange *x = rc_container_of(watch, struct exchange, server.watch);
    if (events & EPOLLOUT)
        rc_output_flush(&x->output, &x->server);
}

static void on_released(void *arg)
{
    ((struct exchange *)arg)->released++;
}

static void on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    struct exchange *x = listener->owner;
    rc_stream_open(&x->server, fd);
    x->server.watch.on_ready = on_server_ready;
    assert_int_equal(rc_stream_attach(&x->server, x->loop, EPOLLIN), 0);
    for (size_t i = 0; i < 300; i++) {
        uint8_t byte = (uint8_t)(i % 251);
        rc_output_put(&x->output, &byte, 1);
    }
    rc_output_put_ref(&x->output, rc_slice(x->payload + 300, MEGABYTE), on_released, x);
    rc_output_flush(&x->output, &x->server);
}

static void on_dialed(void *arg, int fd, const struct rc_error *error)
{
    struct exchange *x = arg;
    assert_true(fd >= 0);
    rc_stream_open(&x->client, fd);
    x->client.watch.on_ready = on_client_ready;
    assert_int_equal(rc_stream_attach(&x->client, x->loop, EPOLLIN), 0);
}

static void exchange_over(const char *target_host)
{
    struct exchange x = {.payload = rc_malloc(MEGABYTE + 300)};
    struct rc_address address;
    struct rc_error error;
    struct rc_dial *dial;
    char target[64];
    int fd;
    for (size_t i = 0; i < MEGABYTE + 300; i++)
        x.payload[i] = (uint8_t)(i % 251);
    assert_int_equal(rc_loop_create("test", &x.loop), 0);
    rc_address_parse("127.0.0.1:0", &address, &error);
    assert_int_equal(rc_listen_open(&address, &fd, 1, &error), 0);
    x.listener.on_accept = on_accept;
    x.listener.owner = &x;
    assert_int_equal(rc_listener_start(&x.listener, x.loop, fd), 0);
    snprintf(target, sizeof(target), "%s:%u", target_host, rc_address_port(&address));
    assert_int_equal(rc_dial_start(x.loop, target, NULL, 5000, on_dialed, &x, &dial, &error), 0);
    rc_loop_run(x.loop);
    assert_false(x.failed);
    assert_int_equal(x.released, 1);
    assert_int_equal(rc_output_pending(&x.output), 0);
    rc_stream_close(&x.server);
    rc_stream_close(&x.client);
    rc_listener_stop(&x.listener);
    rc_output_free(&x.output);
    rc_loop_destroy(x.loop);
    free(x.payload);
}

static void test_a_megabyte_arrives_whole_through_a_slow_reader(void **state)
{
    exchange_over("127.0.0.1");
}

static void test_a_name_is_resolved_off_the_loop(void **state)
{
    exchange_over("localhost");
}

static struct rc_error dial_error;

static void on_refused(void *arg, int fd, const struct rc_error *error)
{
    assert_int_equal(fd, -1);
    dial_error = *error;
    rc_loop_stop(arg);
}

static void test_a_refused_connection_is_told_in_words(void **state)
{
    struct rc_loop *loop;
    struct rc_dial *dial;
    struct rc_error error;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    assert_int_equal(rc_dial_start(loop, "127.0.0.1:1", NULL, 5000, on_refused, loop, &dial, &error), 0);
    rc_loop_run(loop);
    assert_int_equal(dial_error.code, RC_ERR_CLOSED);
    assert_non_null(strstr(dial_error.text, "127.0.0.1:1"));
    rc_loop_destroy(loop);
}

static void on_never(void *arg, int fd, const struct rc_error *error)
{
    fail();
}

static int dial(struct rc_loop *loop, const char *target, uint64_t timeout_ms,
                void (*on_done)(void *, int, const struct rc_error *), struct rc_dial **ret)
{
    struct rc_error error = {0};
    int err = rc_dial_start(loop, target, NULL, timeout_ms, on_done, loop, ret, &error);
    assert_int_equal(err != RC_OK, error.text[0] != '\0');
    return err;
}

static void test_what_is_no_target_is_refused_at_once(void **state)
{
    static const char *const bad[] = {"",           "x",       ":5",      "host:", "host:0",
                                      "host:65536", "host:5x", "host:-1", "unix:"};
    struct rc_loop *loop;
    struct rc_dial *attempt;
    char longest[400];
    assert_int_equal(rc_loop_create("test", &loop), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (strcmp(bad[i], ":5") != 0) /* all of IPv4: the kernel takes it for this machine */
            assert_int_equal(dial(loop, bad[i], 100, on_never, &attempt), RC_ERR_INVALID);
    memset(longest, 'h', sizeof(longest));
    memcpy(longest + 390, ":80", 4);
    assert_int_equal(dial(loop, longest, 100, on_never, &attempt), RC_ERR_INVALID);
    assert_int_equal(dial(loop, "unix:/nonexistent/socket", 100, on_never, &attempt), RC_ERR_NOT_FOUND);
    rc_loop_destroy(loop);
}

static void test_a_name_that_does_not_exist_is_told_in_words(void **state)
{
    struct rc_loop *loop;
    struct rc_dial *attempt;
    dial_error.code = 0;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    assert_int_equal(dial(loop, "name.invalid:80", 5000, on_refused, &attempt), 0);
    rc_loop_run(loop);
    assert_true(dial_error.code == RC_ERR_NOT_FOUND || dial_error.code == RC_ERR_TIMEOUT);
    assert_non_null(strstr(dial_error.text, "name.invalid:80"));
    rc_loop_destroy(loop);
}

static void test_a_host_that_does_not_answer_is_given_up_in_time(void **state)
{
    struct rc_loop *loop;
    struct rc_dial *attempt;
    struct rc_address address;
    char text[RC_ADDRESS_TEXT_MAX];
    int fillers[4], fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(rc_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(bind(fd, &address.any, address.len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(rc_address_of_socket(fd, &address), 0);
    for (int i = 0; i < 4; i++) { /* fill its queue: the kernel then drops what comes */
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], &address.any, address.len);
    }
    dial_error.code = 0;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    uint64_t started = rc_clock_mono_ms();
    assert_int_equal(dial(loop, rc_address_format(&address, text), 100, on_refused, &attempt), 0);
    rc_loop_run(loop);
    assert_int_equal(dial_error.code, RC_ERR_TIMEOUT);
    assert_in_range(rc_clock_mono_ms() - started, 100, 900);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(fd);
    rc_loop_destroy(loop);
}

static void test_a_cancelled_attempt_never_comes_back_even_when_its_loop_is_gone(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct rc_loop *loop;
        struct rc_dial *attempts[3];
        assert_int_equal(rc_loop_create("test", &loop), 0);
        assert_int_equal(dial(loop, "localhost:1", 5000, on_never, &attempts[0]), 0);
        assert_int_equal(dial(loop, "localhost:1", 5000, on_never, &attempts[1]), 0);
        assert_int_equal(dial(loop, "127.0.0.1:1", 5000, on_never, &attempts[2]), 0);
        if (i % 2)
            usleep(300); /* some are answered by now */
        for (int k = 0; k < 3; k++)
            rc_dial_cancel(attempts[k]);
        rc_dial_cancel(NULL);
        rc_loop_destroy(loop);
    }
}

/* ---- the resolver by itself ---- */

static uint32_t resolved, not_resolved;

static void on_resolved(void *arg, const struct rc_address *addresses, uint32_t count,
                        const struct rc_error *error)
{
    struct rc_loop *loop = arg;
    assert_ptr_equal(rc_loop_current(), loop);
    assert_in_range(count, 1, RC_RESOLVE_ANSWERS_MAX);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(rc_address_port(&addresses[i]), 1883);
    if (--not_resolved == 0)
        rc_loop_stop(loop);
    resolved++;
}

static void test_questions_are_bounded_and_each_is_answered_once(void **state)
{
    enum { QUESTIONS = 3 * RC_RESOLVE_WAITING_MAX };
    struct rc_loop *loop;
    struct rc_resolve *resolve;
    uint32_t accepted = 0;
    assert_int_equal(rc_loop_create("test", &loop), 0);
    resolved = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        int err = rc_resolve_start(loop, "localhost", 1883, on_resolved, loop, &resolve);
        assert_true(err == RC_OK || err == RC_ERR_FULL);
        accepted += err == RC_OK;
    }
    assert_true(accepted >= RC_RESOLVE_WAITING_MAX);
    not_resolved = accepted;
    rc_loop_run(loop);
    assert_int_equal(resolved, accepted);
    rc_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_megabyte_arrives_whole_through_a_slow_reader),
        cmocka_unit_test(test_a_name_is_resolved_off_the_loop),
        cmocka_unit_test(test_a_refused_connection_is_told_in_words),
        cmocka_unit_test(test_what_is_no_target_is_refused_at_once),
        cmocka_unit_test(test_a_name_that_does_not_exist_is_told_in_words),
        cmocka_unit_test(test_a_host_that_does_not_answer_is_given_up_in_time),
        cmocka_unit_test(test_a_cancelled_attempt_never_comes_back_even_when_its_loop_is_gone),
        cmocka_unit_test(test_questions_are_bounded_and_each_is_answered_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
