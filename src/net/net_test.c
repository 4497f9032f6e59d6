#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "net/dialer.h"
#include "net/listener.h"
#include "net/output.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static void test_addresses_read_back_as_written(void **state)
{
    static const char *const good[] = {"127.0.0.1:1883", "[::1]:8883", "unix:/tmp/x", "0.0.0.0:0"};
    static const char *const bad[] = {"",         "1883",  "localhost:1883", "1.2.3.4:", "1.2.3.4:65536",
                                      "::1:1883", "[::1]", "unix:",          "1.2.3:99", "1.2.3.4:12x"};
    struct rc_address address;
    struct rc_error error;
    char text[RC_ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(rc_address_parse(good[i], &address, &error), 0);
        assert_string_equal(rc_address_format(&address, text), good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rc_address_parse(bad[i], &address, &error), RC_ERR_INVALID);
    assert_int_equal(rc_address_parse("[::ffff:10.1.2.3]:5", &address, &error), 0);
    assert_string_equal(rc_address_format(&address, text), "10.1.2.3:5");
}

static void test_a_second_listener_on_a_port_is_refused_with_a_hint(void **state)
{
    struct rc_address address, again;
    struct rc_error error;
    int fds[3], more[1];
    assert_int_equal(rc_address_parse("127.0.0.1:0", &address, &error), 0);
    assert_int_equal(rc_listen_open(&address, fds, 3, &error), 0);
    assert_int_not_equal(rc_address_port(&address), 0);
    again = address;
    assert_int_equal(rc_listen_open(&again, more, 1, &error), RC_ERR_BUSY);
    assert_non_null(strstr(error.text, "another program"));
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_read_back_as_written),
        cmocka_unit_test(test_a_second_listener_on_a_port_is_refused_with_a_hint),
        cmocka_unit_test(test_a_megabyte_arrives_whole_through_a_slow_reader),
        cmocka_unit_test(test_a_name_is_resolved_off_the_loop),
        cmocka_unit_test(test_a_refused_connection_is_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
