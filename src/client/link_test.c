#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "client/link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 1024 * 1024, TIMEOUT_MS = 600 };

/* A peer that reads `piece` bytes every `pause_ms`, and answers the request when it has the whole of it. */
struct peer {
    size_t piece;
    unsigned pause_ms;
    bool is_silent;

    int listen_fd;
    char address[32];
    pthread_t thread;
    atomic_bool is_stopping;
};

static void answer(int fd, struct rc_slice in)
{
    struct rc_remoting request, response;
    struct rc_buf frame;
    rc_buf_init(&frame, 4096);
    assert_true(rc_remoting_decode(in, &request) > 0);
    rc_remoting_response(&response, &request, RC_RES_SUCCESS);
    assert_int_equal(rc_remoting_put(&frame, &response), RC_OK);
    assert_int_equal(send(fd, rc_buf_slice(&frame).ptr, rc_buf_len(&frame), MSG_NOSIGNAL),
                     rc_buf_len(&frame));
    rc_remoting_done(&request);
    rc_buf_free(&frame);
}

static void *peer_main(void *arg)
{
    struct peer *peer = arg;
    struct rc_buf in;
    rc_buf_init(&in, 2 * BODY);
    int fd = accept(peer->listen_fd, NULL, NULL);
    while (!atomic_load(&peer->is_stopping)) {
        struct rc_remoting request;
        usleep(peer->pause_ms * 1000);
        ssize_t len =
            peer->piece == 0 ? -1 : recv(fd, rc_buf_reserve(&in, peer->piece), peer->piece, MSG_DONTWAIT);
        if (len == 0)
            break;
        if (len < 0)
            continue;
        rc_buf_commit(&in, (size_t)len);
        if (rc_remoting_decode(rc_buf_slice(&in), &request) <= 0)
            continue;
        rc_remoting_done(&request);
        if (!peer->is_silent)
            answer(fd, rc_buf_slice(&in));
        rc_buf_consume(&in, rc_buf_len(&in));
    }
    close(fd);
    rc_buf_free(&in);
    return NULL;
}

static void peer_start(struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int small = 4096;
    peer->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(peer->listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(bind(peer->listen_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(peer->listen_fd, 4), 0);
    getsockname(peer->listen_fd, (struct sockaddr *)&address, &len);
    snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%u", ntohs(address.sin_port));
    pthread_create(&peer->thread, NULL, peer_main, peer);
}

static void peer_stop(struct peer *peer)
{
    atomic_store(&peer->is_stopping, true);
    pthread_join(peer->thread, NULL);
    close(peer->listen_fd);
}

struct fate {
    struct rc_loop *loop;
    bool is_answered;
    char error[64];
    uint64_t took_ms;
};

static void on_reply(void *arg, const struct rc_remoting *reply, const char *error)
{
    struct fate *fate = arg;
    fate->is_answered = reply != NULL;
    snprintf(fate->error, sizeof(fate->error), "%s", error ? error : "");
    rc_loop_stop(fate->loop);
}

/* One request of 1 MiB. */
static struct fate ask(struct peer *peer)
{
    struct fate fate = {.is_answered = false};
    struct rc_remoting request;
    static uint8_t body[BODY];
    uint64_t began = rc_clock_mono_ms();
    peer_start(peer);
    assert_int_equal(rc_loop_create("link", &fate.loop), RC_OK);
    struct rc_link *link = rc_link_create(&(struct rc_link_options){.loop = fate.loop}, peer->address);
    rc_remoting_request(&request, RC_REQ_SEND_BATCH, 0);
    request.body = rc_slice(body, sizeof(body));
    rc_link_call(link, &request, TIMEOUT_MS, on_reply, &fate);
    rc_loop_run(fate.loop);
    fate.took_ms = rc_clock_mono_ms() - began;
    rc_link_destroy(link);
    peer_stop(peer);
    rc_loop_destroy(fate.loop);
    return fate;
}

static void the_time_for_an_answer_begins_when_the_peer_has_the_request(void **state)
{
    struct peer slow = {.piece = 16 * 1024, .pause_ms = 20};
    struct fate fate = ask(&slow);
    assert_string_equal(fate.error, "");
    assert_true(fate.is_answered);
    assert_true(fate.took_ms > TIMEOUT_MS); /* else it was not slow */
}

static void a_peer_that_takes_nothing_is_given_up(void **state)
{
    struct peer stuck = {.piece = 0, .pause_ms = 20};
    struct fate fate = ask(&stuck);
    assert_string_equal(fate.error, "no answer in time");
    assert_true(fate.took_ms >= TIMEOUT_MS && fate.took_ms < 10 * TIMEOUT_MS);
}

static void a_peer_that_does_not_answer_is_given_up_when_its_time_is_over(void **state)
{
    struct peer silent = {.piece = 64 * 1024, .is_silent = true};
    struct fate fate = ask(&silent);
    assert_string_equal(fate.error, "no answer in time");
    assert_true(fate.took_ms >= TIMEOUT_MS && fate.took_ms < 10 * TIMEOUT_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_for_an_answer_begins_when_the_peer_has_the_request),
        cmocka_unit_test(a_peer_that_takes_nothing_is_given_up),
        cmocka_unit_test(a_peer_that_does_not_answer_is_given_up_when_its_time_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
