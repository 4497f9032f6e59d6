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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024, BODY_MAX = 4096, WAIT_MS = 10000, LARGE = 8192 };

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
    if (rc_slice_eq_str(request->path, "/large")) {
        static const char large[LARGE];
        rc_http_answer(request, 200, "text/plain", rc_slice(large, sizeof(large)));
        return;
    }
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
    const char *address; /* NULL: a local socket */
};

static void on_accept(struct rc_mail *mail, struct rc_loop *loop)
{
    struct call *call = rc_container_of(mail, struct call, mail);
    struct rc_address peer = {.len = sizeof(sa_family_t)};
    struct rc_place *place = NULL;
    peer.any.sa_family = AF_UNIX;
    if (call->address != NULL)
        assert_int_equal(rc_address_parse(call->address, &peer, NULL), 0);
    if (call->is_secure)
        place = rc_place_take(rc_http_server_places(call->rig->server), &peer);
    rc_http_server_accept(call->rig->server, call->fd, &peer, place);
    rc_place_unref(place);
    free(call);
}

static int dial_from(struct rig *rig, bool is_secure, const char *address)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    struct call *call = rc_new(struct call);
    *call = (struct call){
        .mail.deliver = on_accept, .rig = rig, .fd = pair[0], .is_secure = is_secure, .address = address};
    rc_loop_post(rig->loop, &call->mail);
    return pair[1];
}

static int dial(struct rig *rig, bool is_secure)
{
    return dial_from(rig, is_secure, NULL);
}

static void set_up_with(struct rig *rig, struct rc_http_options options)
{
    struct rc_error error;
    *rig = (struct rig){.timer.on_due = on_later};
    assert_int_equal(rc_loop_create("http-test", &rig->loop), 0);
    options.loop = rig->loop;
    options.handler = handle;
    options.owner = rig;
    if (options.body_max == 0)
        options.body_max = BODY_MAX;
    assert_int_equal(rc_http_server_create(&options, &rig->server, &error), 0);
    assert_int_equal(rc_loop_start_thread(rig->loop), 0);
}

static void set_up(struct rig *rig, uint32_t connections_max)
{
    set_up_with(rig, (struct rc_http_options){.connections_max = connections_max});
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
    assert_begins(hear(fds[2], NULL), "HTTP/1.1 503 ");
    say(fds[0], "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_begins(hear(fds[0], NULL), "HTTP/1.1 200 ");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    rc_loop_stop(rig.loop);
    rc_loop_join_thread(rig.loop);
    assert_int_equal(rc_http_server_places(rig.server)->refused, 1);
    assert_int_equal(rc_http_server_counters(rig.server)->requests, 1);
    rc_http_server_destroy(rig.server);
    rc_loop_destroy(rig.loop);
}

/* ---- clients that take their time ---- */

enum { SOON_MS = 100, DRIP_MS = 20 };

static const struct rc_http_options hasty = {
    .idle_ms = SOON_MS, .request_ms = SOON_MS, .answer_ms = SOON_MS, .connections_max = 4};

/* Sends a byte now and then until the peer has closed; returns what it said. */
static char *drip(int fd, const char *begin)
{
    static char text[ANSWER_MAX];
    say(fd, begin);
    for (int i = 0; i < WAIT_MS / DRIP_MS; i++) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, DRIP_MS) == 1) {
            ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
            text[n > 0 ? n : 0] = '\0';
            return text;
        }
        send(fd, "x", 1, MSG_NOSIGNAL);
    }
    fail_msg("after %d ms the connection is still open", WAIT_MS);
    return text;
}

static void test_a_request_has_its_time_however_it_drips(void **state)
{
    static const char post[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\n\r\n";
    static const char *const late[] = {"GET / HTTP/1.1\r\nHost: ", post};
    struct rig rig;
    set_up_with(&rig, hasty);
    for (int i = 0; i < 2; i++) {
        int fd = dial(&rig, false);
        assert_begins(drip(fd, late[i]), "HTTP/1.1 408 ");
        close(fd);
    }
    int fd = dial(&rig, false);
    assert_string_equal(drip(fd, "GET /"), ""); /* no request yet: nothing to be answered */
    close(fd);
    fd = dial(&rig, false);
    assert_string_equal(hear(fd, NULL), "");
    close(fd);
    fd = dial(&rig, false);
    for (int i = 0; i < 4; i++) { /* the time begins anew with each request */
        say(fd, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_non_null(hear(fd, "later"));
        usleep(SOON_MS * 1000 / 2);
    }
    close(fd);
    assert_int_equal(rc_http_server_counters(rig.server)->late_requests, 2);
    tear_down(&rig);
}

/* Of more answers than the buffers of the socket pair hold. */
static void test_who_does_not_read_his_answers_is_closed(void **state)
{
    char text[256];
    struct rig rig;
    set_up_with(&rig, hasty);
    int fd = dial(&rig, false), len = snprintf(text, sizeof(text), "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 64; i++)
        if (send(fd, text, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
    struct pollfd poll_fd = {.fd = fd, .events = 0};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1); /* hung up */
    close(fd);
    rc_loop_sync(rig.loop);
    assert_int_equal(rc_http_server_counters(rig.server)->unread_answers, 1);
    assert_int_equal(rc_http_server_places(rig.server)->bytes, 0);
    tear_down(&rig);
}

/* ---- shares ---- */

static void test_an_address_has_its_share_and_gives_of_it_to_others(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    struct rig rig;
    int fds[4], mapped;
    set_up_with(&rig, (struct rc_http_options){.connections_max = 4, .connections_per_address_max = 3});
    for (int i = 0; i < 3; i++)
        fds[i] = dial_from(&rig, i == 1, i == 0 ? "[2001:db8:1:2::1]:1" : "[2001:db8:1:2:ffff::9]:1");
    mapped = dial_from(&rig, false, "[2001:db8:1:2::7]:1"); /* the same /64 */
    assert_begins(hear(mapped, NULL), "HTTP/1.1 503 ");
    close(mapped);
    fds[3] = dial_from(&rig, false, "192.0.2.1:1");
    rc_loop_sync(rig.loop);
    assert_int_equal(rc_http_server_places(rig.server)->count, 4);
    int other = dial_from(&rig, false, "192.0.2.2:1"); /* all are taken: the first one goes */
    assert_string_equal(hear(fds[0], NULL), "");
    say(other, get);
    assert_begins(hear(other, NULL), "HTTP/1.1 200 ");
    say(fds[3], get);
    assert_begins(hear(fds[3], NULL), "HTTP/1.1 200 ");
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(other);
    rc_loop_stop(rig.loop);
    rc_loop_join_thread(rig.loop);
    const struct rc_places *places = rc_http_server_places(rig.server);
    assert_int_equal(places->refused_of_address, 1);
    assert_int_equal(places->given_up, 1);
    assert_int_equal(places->refused, 0);
    rc_http_server_destroy(rig.server);
    rc_loop_destroy(rig.loop);
}

static void test_an_address_holds_no_more_bytes_than_its_share(void **state)
{
    enum { EACH = 1 << 20, MORE = 2 };
    static char part[EACH];
    struct rig rig;
    int fds[RC_HTTP_BYTES_PER_ADDRESS / EACH + MORE];
    int count = (int)(sizeof(fds) / sizeof(fds[0]));
    char head[128];
    set_up_with(&rig, (struct rc_http_options){.body_max = EACH});
    snprintf(head, sizeof(head),
             "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n", EACH);
    for (int i = 0; i < count; i++) {
        fds[i] = dial_from(&rig, false, "192.0.2.1:1");
        say(fds[i], head);
        for (size_t at = 0; at < EACH - 1;) {
            ssize_t n = send(fds[i], part, EACH - 1 - at, MSG_NOSIGNAL);
            assert_true(n > 0);
            at += (size_t)n;
        }
    }
    int other = dial_from(&rig, false, "192.0.2.2:1");
    say(other, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab");
    assert_begins(hear(other, NULL), "HTTP/1.1 200 ");
    close(other);
    assert_true(rc_http_server_places(rig.server)->bytes <= RC_HTTP_BYTES_PER_ADDRESS);
    say(fds[count - 1], "x");
    assert_begins(hear(fds[count - 1], NULL), "HTTP/1.1 429 ");
    for (int i = 0; i < count; i++)
        close(fds[i]);
    tear_down(&rig);
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
        cmocka_unit_test(test_a_request_has_its_time_however_it_drips),
        cmocka_unit_test(test_who_does_not_read_his_answers_is_closed),
        cmocka_unit_test(test_an_address_has_its_share_and_gives_of_it_to_others),
        cmocka_unit_test(test_an_address_holds_no_more_bytes_than_its_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
