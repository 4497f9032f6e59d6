#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/sim_collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct rc_sim_record record;
    struct rc_sim_collector *collector;
    uint64_t offset;
    int64_t time_ms;
};

static void set_up(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_int_equal(rc_sim_record_init(&f->record, "GID_g", "sim", 10), RC_OK);
    f->time_ms = f->record.wall_start_ms;
    f->collector = rc_sim_collector_create(&f->record);
}

static struct rc_sim_verdict verdict_of(struct fixture *f)
{
    struct rc_sim_verdict verdict;
    rc_sim_verify(&f->record, f->collector, true, &verdict);
    rc_sim_collector_destroy(f->collector);
    rc_sim_record_free(&f->record);
    return verdict;
}

/* A connection of `client` from port `port` that was accepted at 10 x port us. */
static struct rc_sim_entry *connection(struct fixture *f, uint32_t client, uint16_t port, enum rc_sim_end end)
{
    uint32_t index = rc_sim_record_add(&f->record);
    struct rc_sim_entry *entry = &f->record.entries[index];
    entry->client = client;
    entry->outcome = RC_SIM_ACCEPTED;
    entry->end = (uint8_t)end;
    entry->local_addr[0] = 127;
    entry->local_addr[3] = 1;
    entry->local_port = port;
    entry->dial_us = entry->connect_us = entry->answer_us = 10u * port;
    entry->end_us = entry->dial_us + 5;
    return entry;
}

/* The event of that connection's channel, a millisecond after the last one, in queue 0. */
static void event(struct fixture *f, uint32_t client, uint16_t port, const char *type)
{
    char body[256];
    int len = snprintf(body, sizeof(body),
                       "{\"clientId\":\"GID_g@@@sim-%u\",\"time\":%lld,\"eventType\":\"%s\","
                       "\"channelId\":\"c%u\",\"clientIp\":\"127.0.0.1:%u\"}",
                       client, (long long)++f->time_ms, type, port, port);
    rc_sim_collector_add(f->collector, body, (size_t)len, false, 0, f->offset++, 1000000);
}

static void test_what_is_right_is_found_right_whatever_the_order_of_arrival(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_LEAVE);
    connection(&f, 2, 101, RC_SIM_END_CUT);
    connection(&f, 2, 102, RC_SIM_END_CLOSE);
    connection(&f, 3, 103, RC_SIM_END_NONE);
    f.offset = 5;
    event(&f, 3, 103, "connect"); /* arrives first, stands in the log later */
    f.offset = 0;
    event(&f, 1, 100, "connect");
    event(&f, 2, 101, "connect");
    event(&f, 1, 100, "disconnect");
    event(&f, 1, 100, "tcpclean");
    f.offset = 6;
    event(&f, 2, 101, "tcpclean");
    event(&f, 2, 102, "connect");
    event(&f, 2, 102, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_true(rc_sim_verdict_is_good(&v));
    assert_int_equal(v.complete, 4);
    assert_int_equal(v.expected, 4);
    assert_int_equal(v.close_to_event.count, 3);
    assert_int_equal(v.connect_to_event.max_us, 1000000 - 1000);
}

static void test_a_missing_event_is_found(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CUT);
    connection(&f, 2, 101, RC_SIM_END_CUT);
    connection(&f, 3, 102, RC_SIM_END_CUT);
    event(&f, 1, 100, "connect");
    event(&f, 2, 101, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_false(rc_sim_verdict_is_good(&v));
    assert_int_equal(v.missing_end, 2);
    assert_int_equal(v.missing_connect, 2);
    assert_int_equal(v.wrong_status, 1);
    assert_int_equal(v.complete, 0);
}

static void test_what_is_delivered_again_is_no_fault_but_twice_in_the_log_is(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CUT);
    event(&f, 1, 100, "connect");
    f.offset--;
    f.time_ms--;
    event(&f, 1, 100, "connect");
    event(&f, 1, 100, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_true(rc_sim_verdict_is_good(&v));
    assert_int_equal(v.redelivered, 1);

    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CUT);
    event(&f, 1, 100, "connect");
    event(&f, 1, 100, "tcpclean");
    event(&f, 1, 100, "tcpclean");
    v = verdict_of(&f);
    assert_false(rc_sim_verdict_is_good(&v));
    assert_int_equal(v.repeated, 1);
}

static void test_wrong_order_times_and_goodbyes_are_found(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CUT);
    connection(&f, 2, 101, RC_SIM_END_LEAVE);
    connection(&f, 3, 102, RC_SIM_END_CUT);
    connection(&f, 4, 103, RC_SIM_END_CUT);
    event(&f, 1, 100, "tcpclean");
    event(&f, 1, 100, "connect");
    event(&f, 2, 101, "connect");
    event(&f, 2, 101, "tcpclean");
    event(&f, 3, 102, "connect");
    event(&f, 3, 102, "disconnect");
    event(&f, 3, 102, "tcpclean");
    event(&f, 4, 103, "connect");
    f.time_ms--;
    event(&f, 4, 103, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_int_equal(v.disordered, 2);
    assert_int_equal(v.wrong_goodbyes, 2);
    assert_int_equal(v.complete, 0);
}

static void test_overlapping_connections_of_a_client_are_found(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_TAKEOVER);
    connection(&f, 1, 101, RC_SIM_END_CUT);
    event(&f, 1, 100, "connect");
    event(&f, 1, 101, "connect");
    event(&f, 1, 100, "tcpclean");
    event(&f, 1, 101, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_int_equal(v.overlapping, 1);
    assert_int_equal(v.complete, 2);
    assert_false(rc_sim_verdict_is_good(&v));
}

static void test_events_of_a_refused_connection_are_found_but_not_of_an_unanswered_one(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CLOSE)->outcome = RC_SIM_REFUSED;
    connection(&f, 2, 101, RC_SIM_END_TIMEOUT)->outcome = RC_SIM_UNANSWERED;
    connection(&f, 3, 102, RC_SIM_END_TIMEOUT)->outcome = RC_SIM_UNANSWERED;
    event(&f, 2, 101, "connect");
    event(&f, 2, 101, "tcpclean");
    event(&f, 1, 100, "connect");
    event(&f, 1, 100, "tcpclean");
    event(&f, 9, 999, "tcpclean"); /* of before this run */
    struct rc_sim_verdict v = verdict_of(&f);
    assert_int_equal(v.unexplained, 1);
    assert_int_equal(v.missing_connect + v.missing_end, 0);
}

static void test_a_port_that_a_client_used_again_is_matched_in_order(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_CUT);
    connection(&f, 1, 100, RC_SIM_END_LEAVE)->dial_us += 50;
    for (int i = 0; i < 2; i++) {
        char body[256];
        const char *const types[] = {"connect", "disconnect", "tcpclean"};
        for (int t = 0; t < 3; t++) {
            if (i == 0 && t == 1)
                continue;
            int len = snprintf(body, sizeof(body),
                               "{\"clientId\":\"GID_g@@@sim-1\",\"time\":%lld,\"eventType\":\"%s\","
                               "\"channelId\":\"x%d\",\"clientIp\":\"127.0.0.1:100\"}",
                               (long long)++f.time_ms, types[t], i);
            rc_sim_collector_add(f.collector, body, (size_t)len, false, 0, f.offset++, 2000);
        }
    }
    struct rc_sim_verdict v = verdict_of(&f);
    assert_true(rc_sim_verdict_is_good(&v));
    assert_int_equal(v.complete, 2);
}

static void test_others_and_nonsense_are_left_out(void **state)
{
    static const char *const bodies[] = {
        "{",
        "{\"clientId\":\"GID_g@@@sim-11\",\"time\":99999999999999,\"eventType\":\"connect\",\"channelId\":"
        "\"a\"}",
        "{\"clientId\":\"GID_g@@@sim-1x\",\"time\":99999999999999,\"eventType\":\"connect\",\"channelId\":"
        "\"a\"}",
        "{\"clientId\":\"GID_g@@@sim-\",\"time\":99999999999999,\"eventType\":\"connect\",\"channelId\":"
        "\"a\"}",
        "{\"clientId\":\"GID_g@@@sim-1\",\"time\":1,\"eventType\":\"connect\",\"channelId\":\"a\"}"};
    struct fixture f;
    set_up(&f);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        rc_sim_collector_add(f.collector, bodies[i], strlen(bodies[i]), false, 0, i, 1);
    struct rc_sim_verdict v = verdict_of(&f);
    assert_int_equal(v.events, 0);
    assert_int_equal(v.others, 5);
}

static void test_a_record_survives_its_file(void **state)
{
    char path[] = "/tmp/rollcall-sim-record-XXXXXX";
    struct fixture f;
    struct rc_sim_record back;
    struct rc_error error;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    set_up(&f);
    connection(&f, 3, 65535, RC_SIM_END_CUT)->code = 0;
    connection(&f, 4, 7, RC_SIM_END_CLOSE)->outcome = RC_SIM_REFUSED;
    struct rc_sim_entry *v6 = connection(&f, 5, 8, RC_SIM_END_NONE);
    v6->is_v6 = true;
    memset(v6->local_addr, 0, 16);
    v6->local_addr[15] = 1;
    assert_int_equal(rc_sim_record_write(&f.record, path, &error), RC_OK);
    assert_int_equal(rc_sim_record_read(&back, path, &error), RC_OK);
    assert_int_equal(back.count, 3);
    assert_int_equal(back.wall_start_ms, f.record.wall_start_ms);
    assert_memory_equal(back.entries, f.record.entries, 3 * sizeof(struct rc_sim_entry));
    rc_sim_record_free(&back);
    truncate(path, 150);
    assert_int_equal(rc_sim_record_read(&back, path, &error), RC_ERR_INVALID);
    assert_non_null(strstr(error.text, ":2:"));
    unlink(path);
    verdict_of(&f);
}

static void test_a_goodbye_that_a_killed_server_did_not_hear_is_not_missing(void **state)
{
    struct fixture f;
    set_up(&f);
    connection(&f, 1, 100, RC_SIM_END_LEAVE);
    connection(&f, 2, 101, RC_SIM_END_LEAVE);
    event(&f, 1, 100, "connect");
    event(&f, 2, 101, "connect");
    event(&f, 1, 100, "tcpclean");
    f.collector->events[f.collector->count - 1].is_recovered = true;
    event(&f, 2, 101, "tcpclean");
    struct rc_sim_verdict v = verdict_of(&f);
    assert_int_equal(v.wrong_goodbyes, 1);
    assert_int_equal(v.complete, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_right_is_found_right_whatever_the_order_of_arrival),
        cmocka_unit_test(test_a_missing_event_is_found),
        cmocka_unit_test(test_what_is_delivered_again_is_no_fault_but_twice_in_the_log_is),
        cmocka_unit_test(test_wrong_order_times_and_goodbyes_are_found),
        cmocka_unit_test(test_a_goodbye_that_a_killed_server_did_not_hear_is_not_missing),
        cmocka_unit_test(test_overlapping_connections_of_a_client_are_found),
        cmocka_unit_test(test_events_of_a_refused_connection_are_found_but_not_of_an_unanswered_one),
        cmocka_unit_test(test_a_port_that_a_client_used_again_is_matched_in_order),
        cmocka_unit_test(test_others_and_nonsense_are_left_out),
        cmocka_unit_test(test_a_record_survives_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
