#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "net/listener.h"
#include "net/stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_listeners(const char *text, struct rc_address *address, int *fds, uint32_t count)
{
    struct rc_error error = {0};
    assert_int_equal(rc_address_parse(text, address, &error), 0);
    if (rc_listen_open(address, fds, count, &error) != 0)
        fail_msg("%s", error.text);
    if (rc_address_is_ip(address))
        assert_int_not_equal(rc_address_port(address), 0);
}

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

static int connect_to(const struct rc_address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &address->any, address->len), 0);
    return fd;
}

/* ---- who may have an address ---- */

static void assert_refused(struct rc_address address)
{
    struct rc_error error = {0};
    int fds[3];
    assert_int_equal(rc_listen_open(&address, fds, 3, &error), RC_ERR_BUSY);
    assert_non_null(strstr(error.text, "another program"));
}

static void test_a_second_opening_is_refused_with_a_hint(void **state)
{
    static const char *const hosts[] = {"127.0.0.1:0", "[::1]:0"};
    for (int i = 0; i < 2; i++) {
        struct rc_address address;
        int fds[3];
        open_listeners(hosts[i], &address, fds, 3);
        assert_refused(address);
        close_all(fds + 1, 2); /* also while only the first is left */
        assert_refused(address);
        close(fds[0]);
    }
}

static void test_one_of_all_addresses_counts_as_taken(void **state)
{
    struct rc_address address, all;
    int fds[2];
    open_listeners("127.0.0.1:0", &address, fds, 2);
    assert_int_equal(rc_address_parse("*:1", &all, NULL), 0);
    rc_address_set_port(&all, rc_address_port(&address));
    assert_refused(all);
    close_all(fds, 2);
}

static void test_a_stranger_that_shares_its_port_is_not_joined(void **state)
{
    struct rc_address address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(rc_address_parse("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(fd, &address.any, address.len), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(rc_address_of_socket(fd, &address), 0);
    assert_refused(address);
    close(fd);
}

/* Ends of two pipes: the rivals hold [0] of both and wait for their ends, the parent closes [1]. */
struct gates {
    int start[2], over[2], tried[2];
};

static void wait_for_gate(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 0)
        _exit(2);
}

/* A process that waits for the start, tries, and says in its exit code whether it was let in. */
static pid_t start_rival(struct rc_address address, const struct gates *gates)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int fds[2];
    close(gates->start[1]); /* so that the parent's close is the last one, and ends all reads at once */
    close(gates->over[1]);
    wait_for_gate(gates->start[0]);
    int err = rc_listen_open(&address, fds, 2, NULL);
    if (write(gates->tried[1], "x", 1) != 1)
        _exit(2);
    wait_for_gate(gates->over[0]); /* keeps it until all have tried */
    _exit(err == 0 ? 1 : err == RC_ERR_BUSY ? 0 : 3);
}

static void test_of_many_processes_that_start_at_once_at_most_one_gets_the_port(void **state)
{
    enum { ROUNDS = 10, RIVALS = 8 };
    int won = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct rc_address address;
        struct gates gates;
        char byte;
        int fd, winners = 0;
        pid_t rivals[RIVALS];
        open_listeners("127.0.0.1:0", &address, &fd, 1);
        close(fd);
        assert_true(pipe(gates.start) == 0 && pipe(gates.over) == 0 && pipe(gates.tried) == 0);
        fflush(NULL);
        for (int i = 0; i < RIVALS; i++) {
            rivals[i] = start_rival(address, &gates);
            assert_true(rivals[i] > 0);
        }
        close(gates.tried[1]); /* so that a rival that dies is the end of it */
        usleep(5000);
        close(gates.start[1]);
        for (int i = 0; i < RIVALS; i++)
            assert_int_equal(read(gates.tried[0], &byte, 1), 1);
        close(gates.over[1]);
        for (int i = 0; i < RIVALS; i++) {
            int status;
            assert_int_equal(waitpid(rivals[i], &status, 0), rivals[i]);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
            winners += WEXITSTATUS(status);
        }
        assert_in_range(winners, 0, 1);
        won += winners;
        int left[] = {gates.start[0], gates.over[0], gates.tried[0]};
        close_all(left, 3);
    }
    assert_true(won > 0);
}

static void test_a_port_can_be_opened_again_while_old_connections_linger(void **state)
{
    struct rc_address address;
    int fds[2], client;
    open_listeners("127.0.0.1:0", &address, fds, 2);
    client = connect_to(&address);
    int accepted = -1;
    for (int tries = 0; accepted == -1 && tries < 1000; tries++) {
        accepted = accept(fds[tries % 2], NULL, NULL);
        usleep(100);
    }
    assert_true(accepted >= 0);
    close(accepted); /* this side closes first: it is the one that lingers */
    close(client);
    close_all(fds, 2);
    struct rc_error error;
    assert_int_equal(rc_listen_open(&address, fds, 2, &error), 0);
    close_all(fds, 2);
}

/* ---- unix sockets ---- */

static void test_a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not(void **state)
{
    char dir[] = "/tmp/rc-listener-XXXXXX", text[64];
    struct rc_address address;
    int fds[2];
    assert_non_null(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    open_listeners(text, &address, fds, 2);
    int client = connect_to(&address);
    assert_refused(address);
    close(client);
    close_all(fds, 2);
    open_listeners(text, &address, fds, 2); /* the file is still there */
    close_all(fds, 2);
    unlink(text + 5);
    close(open(text + 5, O_CREAT | O_WRONLY, 0600));
    assert_refused(address);
    assert_int_equal(access(text + 5, F_OK), 0);
    unlink(text + 5);
    rmdir(dir);
}

/* ---- accepting ---- */

struct counter {
    struct rc_loop *loop;
    struct rc_listener listener;
    int count, stop_after;
    bool closes; /* what it accepts, at once */
    int fds[512];
    char peer[RC_ADDRESS_TEXT_MAX];
};

static void on_accept(struct rc_listener *listener, int fd, const struct rc_address *peer)
{
    struct counter *counter = listener->owner;
    rc_address_format(peer, counter->peer);
    counter->fds[counter->count++] = fd;
    if (counter->closes)
        close(fd);
    if (counter->count == counter->stop_after)
        rc_listener_stop(listener);
}

static struct counter *counter_create(int fd)
{
    struct counter *counter = rc_new(struct counter);
    assert_int_equal(rc_loop_create("test", &counter->loop), 0);
    counter->listener.on_accept = on_accept;
    counter->listener.owner = counter;
    assert_int_equal(rc_listener_start(&counter->listener, counter->loop, fd), 0);
    return counter;
}

static void counter_free(struct counter *counter)
{
    rc_listener_stop(&counter->listener);
    rc_listener_stop(&counter->listener); /* harmless */
    if (!counter->closes)
        close_all(counter->fds, counter->count);
    rc_loop_destroy(counter->loop);
    free(counter);
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

static void test_what_is_accepted_is_ready_for_use(void **state)
{
    struct rc_address address, local;
    char expected[RC_ADDRESS_TEXT_MAX];
    int fd, value = 0;
    socklen_t len = sizeof(value);
    open_listeners("127.0.0.1:0", &address, &fd, 1);
    struct counter *counter = counter_create(fd);
    int client = connect_to(&address);
    run_for(counter->loop, 20);
    assert_int_equal(counter->count, 1);
    fd = counter->fds[0];
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value != 0, 1);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(rc_address_of_socket(client, &local), 0);
    assert_string_equal(counter->peer, rc_address_format(&local, expected));
    close(client);
    counter_free(counter);
}

static void test_who_speaks_is_told_at_once_and_who_is_silent_a_little_later(void **state)
{
    struct rc_address address;
    int fd;
    char byte;
    open_listeners("127.0.0.1:0", &address, &fd, 1);
    rc_listen_for_data(&fd, 1);
    struct counter *counter = counter_create(fd);
    int silent = connect_to(&address);
    run_for(counter->loop, 100);
    assert_int_equal(counter->count, 0);
    int speaker = connect_to(&address);
    assert_int_equal(send(speaker, "x", 1, 0), 1);
    run_for(counter->loop, 100);
    assert_int_equal(counter->count, 1);
    assert_int_equal(recv(counter->fds[0], &byte, 1, 0), 1);
    for (int i = 0; i < 100 && counter->count < 2; i++)
        run_for(counter->loop, 100 * RC_LISTEN_SILENCE_S);
    assert_int_equal(counter->count, 2);
    assert_int_equal(recv(counter->fds[1], &byte, 1, 0), -1);
    close(silent);
    close(speaker);
    counter_free(counter);
}

static void test_stopping_while_accepting_leaves_the_rest_alone(void **state)
{
    struct rc_address address;
    int fd, clients[10];
    open_listeners("127.0.0.1:0", &address, &fd, 1);
    struct counter *counter = counter_create(fd);
    counter->stop_after = 3;
    for (int i = 0; i < 10; i++)
        clients[i] = connect_to(&address);
    run_for(counter->loop, 20);
    assert_int_equal(counter->count, 3);
    close_all(clients, 10);
    counter_free(counter);
}

static void test_without_free_descriptors_connections_wait_and_the_loop_does_not_spin(void **state)
{
    struct rc_address address;
    struct rlimit before, low;
    int fd, clients[2];
    open_listeners("127.0.0.1:0", &address, &fd, 1);
    struct counter *counter = counter_create(fd);
    for (int i = 0; i < 2; i++)
        clients[i] = connect_to(&address);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)clients[1] + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    run_for(counter->loop, 3 * RC_LISTEN_PAUSE_MS + RC_LISTEN_PAUSE_MS / 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(counter->count, 0);
    assert_in_range(counter->listener.out_of_files, 1, 4);
    run_for(counter->loop, 2 * RC_LISTEN_PAUSE_MS);
    assert_int_equal(counter->count, 2);
    close_all(clients, 2);
    counter_free(counter);
}

static void test_all_loops_get_their_part_of_the_connections(void **state)
{
    enum { LOOPS = 4, CLIENTS = 400 };
    struct rc_address address;
    struct counter *counters[LOOPS];
    int fds[LOOPS], clients[CLIENTS], total = 0;
    open_listeners("127.0.0.1:0", &address, fds, LOOPS);
    for (int i = 0; i < LOOPS; i++) {
        counters[i] = counter_create(fds[i]);
        assert_int_equal(rc_loop_start_thread(counters[i]->loop), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(&address);
    usleep(50 * 1000);
    for (int i = 0; i < LOOPS; i++) {
        rc_loop_stop(counters[i]->loop);
        rc_loop_join_thread(counters[i]->loop);
        assert_in_range(counters[i]->count, CLIENTS / LOOPS / 4, CLIENTS);
        total += counters[i]->count;
    }
    assert_int_equal(total, CLIENTS);
    close_all(clients, CLIENTS);
    for (int i = 0; i < LOOPS; i++)
        counter_free(counters[i]);
}

struct turns {
    struct rc_hook hook;
    struct counter *counter;
    int count_before, most, turns;
};

static void on_turn_end(struct rc_hook *hook)
{
    struct turns *turns = rc_container_of(hook, struct turns, hook);
    int accepted = turns->counter->count - turns->count_before;
    turns->count_before = turns->counter->count;
    turns->turns += accepted > 0;
    if (accepted > turns->most)
        turns->most = accepted;
}

static void test_a_storm_of_connections_leaves_the_rest_its_turn(void **state)
{
    enum { CLIENTS = 3 * RC_LISTEN_ACCEPTS_PER_TURN };
    struct rc_address address;
    int fd, clients[CLIENTS];
    open_listeners("127.0.0.1:0", &address, &fd, 1);
    struct counter *counter = counter_create(fd);
    struct turns turns = {.hook.run = on_turn_end, .counter = counter};
    rc_loop_add_hook(counter->loop, &turns.hook);
    counter->closes = true;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(&address);
    run_for(counter->loop, 20);
    assert_int_equal(counter->count, CLIENTS);
    assert_int_equal(turns.most, RC_LISTEN_ACCEPTS_PER_TURN);
    assert_int_equal(turns.turns, 3);
    close_all(clients, CLIENTS);
    counter_free(counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_second_opening_is_refused_with_a_hint),
        cmocka_unit_test(test_one_of_all_addresses_counts_as_taken),
        cmocka_unit_test(test_a_stranger_that_shares_its_port_is_not_joined),
        cmocka_unit_test(test_of_many_processes_that_start_at_once_at_most_one_gets_the_port),
        cmocka_unit_test(test_a_port_can_be_opened_again_while_old_connections_linger),
        cmocka_unit_test(test_a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not),
        cmocka_unit_test(test_what_is_accepted_is_ready_for_use),
        cmocka_unit_test(test_who_speaks_is_told_at_once_and_who_is_silent_a_little_later),
        cmocka_unit_test(test_stopping_while_accepting_leaves_the_rest_alone),
        cmocka_unit_test(test_without_free_descriptors_connections_wait_and_the_loop_does_not_spin),
        cmocka_unit_test(test_all_loops_get_their_part_of_the_connections),
        cmocka_unit_test(test_a_storm_of_connections_leaves_the_rest_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
