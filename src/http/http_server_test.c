#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "http/http_server.h"

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024, BODY_MAX = 4096, WAIT_MS = 10000 };

struct rig {
    struct rc_loop *loop;
    struct rc_http_server *server;
    struct rc_http_request *held; /* by /later */
    struct rc_timer timer;
    sem_t done;
};

/* ---- the handler: echoes what came ---- */

static void put_query(const char *name, const char *value, void *arg)
{
    rc_buf_printf(arg, "%s=%s;", name, value);
}

static void on_later(struct rc_timer *timer)
{
    struct rig *rig = rc_container_of(timer, struct rig, timer);
    rc_http_answer(rig->held, 200, "text/plain", rc_slice_str("later"));
    rig->held = NULL;
}

static void handle(struct rc_http_request *request, void *owner)
{
    struct rig *rig = owner;
    struct rc_buf out;
    const char *header = rc_http_header(request, "x-test");
    if (rc_slice_eq_str(request->path, "/later")) {
        rig->held = request;
        rc_timer_start(rig->loop, &rig->timer, 20);
        return;
    }
    rc_buf_init(&out, 64 * 1024);
    rc_buf_printf(&out, "%d %.*s %s ", (int)request->method, RC_SLICE_FMT(request->path),
                  header != NULL ? header : "-");
    rc_http_each_query(request, put_query, &out);
    rc_buf_printf(&out, " %zu%s", request->body.len, request->is_secure ? " secure" : "");
    rc_http_answer_header(request, "X-Answer", "yes");
    rc_http_answer(request, rc_slice_eq_str(request->path, "/missing") ? 404 : 200, "text/plain",
                   rc_buf_slice(&out));
    rc_buf_free(&out);
}

/* ---- the rig ---- */

struct call {
    struct rc_mail mail;
    struct rig *rig;
    int fd;
    bool is_secure;
};

static void on_accept(struct rc_mail *mail, struct rc_loop *loop)
{
    struct call *call = rc_container_of(mail, struct call, mail);
    struct rc_address peer = {.len = sizeof(sa_family_t)};
    peer.any.sa_family = AF_UNIX;
    rc_http_server_accept(call->rig->server, call->fd, &peer, call->is_secure);
    free(call);
}

static int dial(struct rig *rig, bool is_secure)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    struct call *call = rc_new(struct call);
    *call = (struct call){.mail.deliver = on_accept, .rig = rig, .fd = pair[0], .is_secure = is_secure};
    rc_loop_post(rig->loop, &call->mail);
    return pair[1];
}

static void set_up(struct rig *rig, uint32_t connections_max)
{
    struct rc_error error;
    *rig = (struct rig){.timer.on_due = on_later};
    assert_int_equal(rc_loop_create("http-test", &rig->loop), 0);
    struct rc_http_options options = {.loop = rig->loop,
                                      .handler = handle,
                                      .owner = rig,
                                      .connections_max = connections_max,
                                      .body_max = BODY_MAX};
    assert_int_equal(rc_http_server_create(&options, &rig->server, &error), 0);
    assert_int_equal(rc_loop_start_thread(rig->loop), 0);
}

static void tear_down(struct rig *rig)
{
    rc_loop_stop(rig->loop);
    rc_loop_join_thread(rig->loop);
    assert_int_equal(rc_http_server_pending(rig->server), 0);
    rc_http_server_destroy(rig->server);
    rc_loop_destroy(rig->loop);
}

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* Reads until `end` has come or the peer has closed; NUL-terminated. */
static char *hear(int fd, const char *end)
{
    static char text[ANSWER_MAX];
    size_t len = 0;
    text[0] = '\0';
    while (len < sizeof(text) - 1 && (end == NULL || strstr(text, end) == NULL)) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, WAIT_MS) != 1)
            fail_msg("no answer, so far: %s", text);
        ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        text[len] = '\0';
    }
    return text;
}

static char *ask(struct rig *rig, const char *text)
{
    int fd = dial(rig, false);
    say(fd, text);
    char *answer = hear(fd, NULL);
    close(fd);
    return answer;
}

/* Asks with what the buffer holds, and empties it. */
static char *ask_buf(struct rig *rig, struct rc_buf *text)
{
    assert_int_equal(rc_buf_put_u8(text, 0), 0);
    char *answer = ask(rig, (const char *)rc_buf_slice(text).ptr);
    rc_buf_consume(text, rc_buf_len(text));
    return answer;
}

#define assert_begins(text, with) assert_memory_equal(text, with, strlen(with))

/* ---- tests ---- */

static void test_a_request_is_handed_over_with_path_query_and_headers(void **state)
{
    struct rig rig;
    set_up(&rig, 0);
    char *answer =
        ask(&rig, "GET /a%20b?x=1&y=%2f HTTP/1.1\r\nHost: h\r\nX-Test: t\r\nConnection: close\r\n\r\n");
    assert_begins(answer, "HTTP/1.1 200 OK\r\n");
    assert_non_null(strstr(answer, "X-Answer: yes\r\n"));
    assert_non_null(strstr(answer, "\r\n\r\n0 /a b t x=1;y=/; 0"));
    tear_down(&rig);
}

static void test_a_body_comes_whole_however_it_is_cut(void **state)
{
    static const char text[] =
        "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nConnection: close\r\n\r\n0123456789";
    struct rig rig;
    set_up(&rig, 0);
    int fd = dial(&rig, true);
    for (const char *at = text; *at != '\0'; at++)
        assert_int_equal(send(fd, at, 1, MSG_NOSIGNAL), 1);
    assert_non_null(strstr(hear(fd, NULL), "\r\n\r\n2 /p -  10 secure"));
    close(fd);
    tear_down(&rig);
}

static void test_an_answer_may_come_in_a_later_turn_and_the_connection_goes_on(void **state)
{
    struct rig rig;
    set_up(&rig, 0);
    int fd = dial(&rig, false);
    say(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_non_null(hear(fd, "later"));
    say(fd, "GET /missing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_begins(hear(fd, NULL), "HTTP/1.1 404 ");
    close(fd);
    tear_down(&rig);
}

static void test_a_client_that_leaves_before_its_answer_does_no_harm(void **state)
{
    struct rig rig;
    set_up(&rig, 0);
    int fd = dial(&rig, false);
    say(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    close(fd);
    usleep(60000);
    assert_begins(ask(&rig, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "HTTP/1.1 200 ");
    tear_down(&rig);
}

static void test_what_is_too_large_or_malformed_is_refused(void **state)
{
    static const char huge[] =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\nConnection: close\r\n\r\n";
    static const char chunks[] =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    struct rig rig;
    struct rc_buf text;
    set_up(&rig, 0);
    rc_buf_init(&text, RC_HTTP_HEAD_MAX * 4);
    assert_begins(ask(&rig, huge), "HTTP/1.1 413 ");
    assert_begins(ask(&rig, "GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 "); /* no Host */
    assert_begins(ask(&rig, "BREW / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), "HTTP/1.1 405 ");

    rc_buf_printf(&text, "%s1388\r\n%05000d\r\n0\r\n\r\n", chunks, 0); /* 5,000 bytes in one chunk */
    assert_begins(ask_buf(&rig, &text), "HTTP/1.1 413 ");

    rc_buf_put_str(&text, "GET /?");
    for (int i = 0; i <= RC_HTTP_FIELDS_MAX; i++)
        rc_buf_printf(&text, "a%d&", i);
    rc_buf_put_str(&text, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_begins(ask_buf(&rig, &text), "HTTP/1.1 400 ");

    rc_buf_printf(&text, "GET / HTTP/1.1\r\nHost: h\r\nX-Long: %0*d\r\n\r\n", RC_HTTP_HEAD_MAX, 0);
    assert_begins(ask_buf(&rig, &text), "HTTP/1.1 431 ");
    rc_buf_free(&text);
    tear_down(&rig);
}

static void test_connections_beyond_the_limit_are_closed_and_counted(void **state)
{
    struct rig rig;
    int fds[3];
    set_up(&rig, 2);
    for (int i = 0; i < 3; i++)
        fds[i] = dial(&rig, false);
    assert_string_equal(hear(fds[2], NULL), "");
    say(fds[0], "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_begins(hear(fds[0], NULL), "HTTP/1.1 200 ");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rc_loop_stop(rig.loop);
    rc_loop_join_thread(rig.loop);
    assert_int_equal(rc_http_server_counters(rig.server)->refused_connections, 1);
    assert_int_equal(rc_http_server_counters(rig.server)->requests, 1);
    rc_http_server_destroy(rig.server);
    rc_loop_destroy(rig.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_handed_over_with_path_query_and_headers),
        cmocka_unit_test(test_a_body_comes_whole_however_it_is_cut),
        cmocka_unit_test(test_an_answer_may_come_in_a_later_turn_and_the_connection_goes_on),
        cmocka_unit_test(test_a_client_that_leaves_before_its_answer_does_no_harm),
        cmocka_unit_test(test_what_is_too_large_or_malformed_is_refused),
        cmocka_unit_test(test_connections_beyond_the_limit_are_closed_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
