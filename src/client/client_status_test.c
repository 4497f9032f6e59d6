#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/client_status_demo.h"
#include "rollcall/client_status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    struct rc_client_status *store;
    uint64_t now_ms;
    int changes;
    bool last_online;
    char last_client[64];
};

static uint64_t fake_now(void *arg)
{
    return ((struct fixture *)arg)->now_ms;
}

static void note_change(const struct rc_client_view *client, void *arg)
{
    struct fixture *f = arg;
    f->changes++;
    f->last_online = client->online;
    snprintf(f->last_client, sizeof(f->last_client), "%s", client->client_id);
}

static void set_up(struct fixture *f, struct rc_client_status_options options)
{
    *f = (struct fixture){.now_ms = 1000};
    options.now_ms = fake_now;
    options.on_change = note_change;
    options.arg = f;
    f->store = rc_client_status_create(&options);
}

static void tear_down(struct fixture *f)
{
    rc_client_status_destroy(f->store);
}

static struct rc_client_event event_of(const char *client, const char *channel, char type, int64_t time_ms)
{
    enum rc_client_event_type code = RC_CLIENT_EVENT_CONNECT;
    if (type == 'd')
        code = RC_CLIENT_EVENT_DISCONNECT;
    else if (type == 't')
        code = RC_CLIENT_EVENT_TCPCLEAN;
    return (struct rc_client_event){code, client, channel, "192.0.2.7:4711", time_ms};
}

static enum rc_client_status_result add(struct fixture *f, const char *client, const char *channel, char type,
                                        int64_t time_ms)
{
    struct rc_client_event event = event_of(client, channel, type, time_ms);
    return rc_client_status_add(f->store, &event);
}

static struct rc_client_status_counts counts_of(const struct fixture *f)
{
    struct rc_client_status_counts counts;
    rc_client_status_count(f->store, &counts);
    return counts;
}

#define WITH_DEFAULTS ((struct rc_client_status_options){0})

static void test_a_client_is_online_from_connect_to_tcpclean(void **state)
{
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    assert_false(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(add(&f, "A", "c1", 'c', 10), RC_CLIENT_STATUS_CHANGED);
    assert_true(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(add(&f, "A", "c1", 'd', 11), RC_CLIENT_STATUS_APPLIED);
    assert_true(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(add(&f, "A", "c1", 't', 12), RC_CLIENT_STATUS_CHANGED);
    assert_false(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(f.changes, 2);
    assert_false(f.last_online);
    assert_string_equal(f.last_client, "A");
    tear_down(&f);
}

static void test_the_view_tells_newest_channel_address_and_since(void **state)
{
    struct fixture f;
    struct rc_client_view view;
    set_up(&f, WITH_DEFAULTS);
    assert_false(rc_client_status_get(f.store, "A", &view));
    add(&f, "A", "c2", 'c', 20);
    add(&f, "A", "c1", 'c', 10); /* arrives late: it is the older one all the same */
    assert_true(rc_client_status_get(f.store, "A", &view));
    assert_string_equal(view.channel_id, "c2");
    assert_int_equal(view.since_ms, 20);
    assert_int_equal(view.open_channels, 2);
    assert_string_equal(view.client_ip, "192.0.2.7:4711");
    add(&f, "A", "c2", 't', 30);
    assert_true(rc_client_status_get(f.store, "A", &view));
    assert_string_equal(view.channel_id, "c1");
    add(&f, "A", "c1", 't', 25);
    assert_true(rc_client_status_get(f.store, "A", &view));
    assert_false(view.online);
    assert_string_equal(view.channel_id, "c2");
    assert_int_equal(view.since_ms, 30);
    tear_down(&f);
}

static void test_an_end_of_another_channel_does_not_take_a_client_offline(void **state)
{
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    add(&f, "A", "old", 'c', 10);
    add(&f, "A", "new", 'c', 20);
    add(&f, "A", "old", 't', 30); /* newer time, other channel */
    assert_true(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(f.changes, 1);
    tear_down(&f);
}

static void test_equal_channel_ids_of_two_clients_are_two_channels(void **state)
{
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    add(&f, "A", "c", 'c', 10);
    add(&f, "B", "c", 'c', 10);
    add(&f, "A", "c", 't', 11);
    assert_false(rc_client_status_is_online(f.store, "A"));
    assert_true(rc_client_status_is_online(f.store, "B"));
    tear_down(&f);
}

static void test_tcpclean_before_its_connect_makes_no_ghost(void **state)
{
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    assert_int_equal(add(&f, "A", "c1", 't', 12), RC_CLIENT_STATUS_APPLIED);
    assert_int_equal(add(&f, "A", "c1", 'c', 10), RC_CLIENT_STATUS_APPLIED);
    assert_false(rc_client_status_is_online(f.store, "A"));
    assert_int_equal(f.changes, 0);
    assert_int_equal(counts_of(&f).late_connects, 1);
    tear_down(&f);
}

static void test_tombstones_are_forgotten_by_age_and_their_client_with_them(void **state)
{
    struct fixture f;
    set_up(&f, (struct rc_client_status_options){.tombstone_ms = 100});
    add(&f, "A", "c1", 'c', 10);
    add(&f, "A", "c1", 't', 11);
    f.now_ms += 99;
    rc_client_status_expire(f.store);
    assert_int_equal(counts_of(&f).clients, 1);
    add(&f, "A", "c1", 'c', 10); /* coming back does not make it younger */
    f.now_ms += 1;
    rc_client_status_expire(f.store);
    assert_int_equal(counts_of(&f).clients, 0);
    assert_int_equal(counts_of(&f).tombstones, 0);
    assert_int_equal(counts_of(&f).expired, 1);
    tear_down(&f);
}

static void test_tombstones_are_bounded_by_number_and_oldest_go_first(void **state)
{
    struct fixture f;
    char channel[16];
    set_up(&f, (struct rc_client_status_options){.max_tombstones = 3});
    for (int i = 0; i < 10; i++) {
        snprintf(channel, sizeof(channel), "c%d", i);
        add(&f, "A", channel, 'c', i);
        add(&f, "A", channel, 't', i);
    }
    assert_int_equal(counts_of(&f).tombstones, 3);
    assert_int_equal(counts_of(&f).evicted, 7);
    assert_int_equal(add(&f, "A", "c7", 'c', 7), RC_CLIENT_STATUS_DUPLICATE);
    assert_int_equal(counts_of(&f).clients, 1);
    tear_down(&f);
}

static void test_open_channels_are_bounded(void **state)
{
    struct fixture f;
    set_up(&f, (struct rc_client_status_options){.max_open = 2});
    add(&f, "A", "c1", 'c', 1);
    add(&f, "B", "c2", 'c', 1);
    assert_int_equal(add(&f, "C", "c3", 'c', 1), RC_CLIENT_STATUS_FULL);
    assert_int_equal(counts_of(&f).clients, 2);
    add(&f, "A", "c1", 't', 2);
    assert_int_equal(add(&f, "C", "c3", 'c', 1), RC_CLIENT_STATUS_CHANGED);
    tear_down(&f);
}

static void test_with_one_channel_a_client_the_newest_wins_in_any_order(void **state)
{
    struct fixture f;
    struct rc_client_view view;
    set_up(&f, (struct rc_client_status_options){.max_open_per_client = 1});
    add(&f, "A", "c1", 'c', 10);
    add(&f, "A", "c3", 'c', 30); /* c1's tcpclean was lost */
    add(&f, "A", "c2", 'c', 20); /* late */
    assert_true(rc_client_status_get(f.store, "A", &view));
    assert_string_equal(view.channel_id, "c3");
    assert_int_equal(view.open_channels, 1);
    assert_int_equal(counts_of(&f).superseded, 2);
    assert_int_equal(add(&f, "A", "c3", 't', 40), RC_CLIENT_STATUS_CHANGED);
    assert_int_equal(f.changes, 2);
    tear_down(&f);
}

static void test_set_offline_ends_what_was_open_for_good(void **state)
{
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    add(&f, "A", "c1", 'c', 10);
    add(&f, "A", "c2", 'c', 20);
    rc_client_status_set_offline(f.store, "A");
    assert_int_equal(f.changes, 2);
    assert_int_equal(add(&f, "A", "c2", 'c', 20), RC_CLIENT_STATUS_DUPLICATE);
    assert_int_equal(add(&f, "A", "c2", 't', 21), RC_CLIENT_STATUS_APPLIED);
    assert_false(rc_client_status_is_online(f.store, "A"));
    rc_client_status_set_offline(f.store, "nobody");
    tear_down(&f);
}

static bool count_visit(const struct rc_client_view *client, void *arg)
{
    *(int *)arg += client->online ? 1 : 100;
    return true;
}

static bool join_channels(const struct rc_channel_view *channel, void *arg)
{
    strcat(arg, channel->channel_id);
    strcat(arg, channel->disconnect_seen ? "! " : " ");
    return true;
}

static void test_iteration_visits_clients_and_their_open_channels_in_order(void **state)
{
    struct fixture f;
    int sum = 0;
    char text[64] = "";
    set_up(&f, WITH_DEFAULTS);
    add(&f, "A", "c2", 'c', 20);
    add(&f, "A", "c1", 'c', 10);
    add(&f, "A", "c3", 'c', 30);
    add(&f, "A", "c1", 'd', 35);
    add(&f, "B", "d1", 't', 20);
    rc_client_status_each(f.store, count_visit, &sum);
    assert_int_equal(sum, 101);
    rc_client_status_each_channel(f.store, "A", join_channels, text);
    assert_string_equal(text, "c1! c2 c3 ");
    tear_down(&f);
}

static enum rc_client_status_result add_json(struct fixture *f, const char *text)
{
    return rc_client_status_add_json(f->store, text, strlen(text), NULL);
}

static void test_json_of_the_server_is_understood(void **state)
{
    struct fixture f;
    struct rc_client_event event;
    const char *body =
        "{\"clientId\":\"GID_a@@@\xe8\xae\xbe\",\"time\":1700000000123,\"eventType\":\"connect\","
        "\"channelId\":\"2b9b1281046046faafe5e0b458e40001\",\"clientIp\":\"203.0.113.9:13301\","
        "\"someday\":{\"more\":[1]}}";
    set_up(&f, WITH_DEFAULTS);
    assert_int_equal(rc_client_status_add_json(f.store, body, strlen(body), &event),
                     RC_CLIENT_STATUS_CHANGED);
    assert_string_equal(event.client_id, "GID_a@@@\xe8\xae\xbe");
    assert_int_equal(event.time_ms, 1700000000123);
    assert_string_equal(event.client_ip, "203.0.113.9:13301");
    assert_int_equal(rc_client_status_add_json(f.store, body, strlen(body), &event),
                     RC_CLIENT_STATUS_DUPLICATE);
    assert_int_equal(add_json(&f, "{\"clientId\":\"X\",\"time\":\"17\",\"eventType\":\"tcpclean\","
                                  "\"channelId\":\"y\"}"),
                     RC_CLIENT_STATUS_APPLIED);
    tear_down(&f);
}

static void test_what_is_no_event_is_invalid_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"clientId\":\"A\",\"time\":1,\"eventType\":\"CONNECT\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\",\"time\":1,\"eventType\":\"connect\"}",
        "{\"clientId\":\"\",\"time\":1,\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":7,\"time\":1,\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\",\"time\":1.5,\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\",\"time\":\"9999999999999999999\",\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\",\"time\":\"\",\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\xff\",\"time\":1,\"eventType\":\"connect\",\"channelId\":\"c\"}",
        "{\"clientId\":\"A\\u0000\",\"time\":1,\"eventType\":\"connect\",\"channelId\":\"c\"}",
    };
    struct fixture f;
    set_up(&f, WITH_DEFAULTS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(add_json(&f, bad[i]), RC_CLIENT_STATUS_INVALID);
    char long_id[RC_CLIENT_STATUS_ID_MAX + 2];
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = '\0';
    assert_int_equal(add(&f, long_id, "c", 'c', 1), RC_CLIENT_STATUS_INVALID);
    assert_int_equal(add(&f, long_id + 1, long_id + 1, 'c', 1), RC_CLIENT_STATUS_CHANGED);
    assert_int_equal(counts_of(&f).invalid, sizeof(bad) / sizeof(bad[0]) + 1);
    tear_down(&f);
}

/* ---- against a model that remembers everything ---- */

enum { CLIENTS = 4, CHANNELS = 6, DELIVERIES = 160, ROUNDS = 400 };

struct delivery {
    int client, channel;
    char type;
};

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Every channel's connect, tcpclean and sometimes disconnect, at least once, some again, in any order. */
static int make_deliveries(struct delivery *out, uint32_t *seed)
{
    int n = 0;
    for (int client = 0; client < CLIENTS; client++) {
        for (int channel = 0; channel < CHANNELS; channel++) {
            for (int copies = 1 + (int)(random_next(seed) % 2); copies > 0; copies--) {
                out[n++] = (struct delivery){client, channel, 'c'};
                if (random_next(seed) % 5 != 0)
                    out[n++] = (struct delivery){client, channel, 't'};
                if (random_next(seed) % 3 == 0)
                    out[n++] = (struct delivery){client, channel, 'd'};
            }
        }
    }
    for (int i = n - 1; i > 0; i--) {
        int j = (int)(random_next(seed) % (uint32_t)(i + 1));
        struct delivery swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
    return n;
}

static bool model_is_online(bool seen[CHANNELS][2])
{
    for (int channel = 0; channel < CHANNELS; channel++) {
        if (seen[channel][0] && !seen[channel][1])
            return true;
    }
    return false;
}

static void run_round(uint32_t *seed)
{
    struct fixture f;
    struct delivery deliveries[3 * DELIVERIES];
    bool seen[CLIENTS][CHANNELS][2] = {0};
    bool was_online[CLIENTS] = {0};
    int changes = 0;
    set_up(&f, WITH_DEFAULTS);
    int count = make_deliveries(deliveries, seed);
    for (int i = 0; i < count; i++) {
        struct delivery d = deliveries[i];
        char client[8], channel[8];
        snprintf(client, sizeof(client), "A%d", d.client);
        snprintf(channel, sizeof(channel), "c%d", d.channel);
        add(&f, client, channel, d.type, d.channel);
        if (d.type != 'd')
            seen[d.client][d.channel][d.type == 't'] = true;
        bool online = model_is_online(seen[d.client]);
        changes += online != was_online[d.client];
        was_online[d.client] = online;
        assert_int_equal(rc_client_status_is_online(f.store, client), online);
        assert_int_equal(f.changes, changes);
    }
    tear_down(&f);
}

static void test_any_order_with_duplicates_agrees_with_the_model(void **state)
{
    uint32_t seed = 20261123;
    for (int round = 0; round < ROUNDS; round++)
        run_round(&seed);
}

/* ---- where the guide's program errs ---- */

struct pair {
    struct fixture ours;
    struct demo demo;
};

static void both(struct pair *p, const char *client, const char *channel, char type, int64_t time_ms)
{
    add(&p->ours, client, channel, type, time_ms);
    demo_consume(&p->demo, client, channel,
                 type == 'c'   ? "connect"
                 : type == 't' ? "tcpclean"
                               : "disconnect");
}

static void test_a_connect_delivered_again_makes_a_ghost_only_in_the_demo(void **state)
{
    struct pair p = {0};
    set_up(&p.ours, WITH_DEFAULTS);
    both(&p, "A", "c1", 'c', 10);
    both(&p, "A", "c1", 't', 11);
    both(&p, "A", "c1", 'c', 10);
    assert_true(demo_is_online(&p.demo, "A"));
    assert_false(rc_client_status_is_online(p.ours.store, "A"));
    tear_down(&p.ours);
}

static void test_a_tcpclean_delivered_again_leaks_only_in_the_demo(void **state)
{
    struct pair p = {0};
    set_up(&p.ours, (struct rc_client_status_options){.tombstone_ms = 100});
    both(&p, "A", "c1", 'c', 10);
    both(&p, "A", "c1", 't', 11);
    both(&p, "A", "c1", 't', 11);
    assert_int_equal(demo_entries(&p.demo), 1); /* and there it stays */
    p.ours.now_ms += 100;
    rc_client_status_expire(p.ours.store);
    assert_int_equal(counts_of(&p.ours).clients, 0);
    tear_down(&p.ours);
}

static void test_disconnect_takes_a_client_offline_too_early_only_in_the_demo(void **state)
{
    struct pair p = {0};
    set_up(&p.ours, WITH_DEFAULTS);
    both(&p, "A", "c1", 'c', 10);
    both(&p, "A", "c1", 'd', 11);
    assert_false(demo_is_online(&p.demo, "A"));
    assert_true(rc_client_status_is_online(p.ours.store, "A"));
    both(&p, "A", "c1", 't', 12);
    assert_false(rc_client_status_is_online(p.ours.store, "A"));
    assert_int_equal(demo_entries(&p.demo), 1);
    tear_down(&p.ours);
}

static void test_a_lost_tcpclean_heals_at_the_next_connect_only_in_ours(void **state)
{
    struct pair p = {0};
    set_up(&p.ours, (struct rc_client_status_options){.max_open_per_client = 1});
    both(&p, "A", "c1", 'c', 10); /* its tcpclean never comes */
    both(&p, "A", "c2", 'c', 20);
    both(&p, "A", "c2", 't', 21);
    assert_true(demo_is_online(&p.demo, "A"));
    assert_false(rc_client_status_is_online(p.ours.store, "A"));
    tear_down(&p.ours);
}

static void test_demo_and_ours_agree_when_each_event_comes_once(void **state)
{
    struct pair p = {0};
    set_up(&p.ours, WITH_DEFAULTS);
    static const char *const orders[] = {"cC", "cCt", "ctCT", "cCtT", "tcC", "TtcC"};
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        char client[8];
        snprintf(client, sizeof(client), "A%zu", i);
        for (const char *it = orders[i]; *it != '\0'; it++) {
            bool second = *it == 'C' || *it == 'T';
            both(&p, client, second ? "c2" : "c1", (char)(*it | 0x20), second ? 20 : 10);
            assert_int_equal(demo_is_online(&p.demo, client),
                             rc_client_status_is_online(p.ours.store, client));
        }
    }
    tear_down(&p.ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_client_is_online_from_connect_to_tcpclean),
        cmocka_unit_test(test_the_view_tells_newest_channel_address_and_since),
        cmocka_unit_test(test_an_end_of_another_channel_does_not_take_a_client_offline),
        cmocka_unit_test(test_equal_channel_ids_of_two_clients_are_two_channels),
        cmocka_unit_test(test_tcpclean_before_its_connect_makes_no_ghost),
        cmocka_unit_test(test_tombstones_are_forgotten_by_age_and_their_client_with_them),
        cmocka_unit_test(test_tombstones_are_bounded_by_number_and_oldest_go_first),
        cmocka_unit_test(test_open_channels_are_bounded),
        cmocka_unit_test(test_with_one_channel_a_client_the_newest_wins_in_any_order),
        cmocka_unit_test(test_set_offline_ends_what_was_open_for_good),
        cmocka_unit_test(test_iteration_visits_clients_and_their_open_channels_in_order),
        cmocka_unit_test(test_json_of_the_server_is_understood),
        cmocka_unit_test(test_what_is_no_event_is_invalid_and_changes_nothing),
        cmocka_unit_test(test_any_order_with_duplicates_agrees_with_the_model),
        cmocka_unit_test(test_a_connect_delivered_again_makes_a_ghost_only_in_the_demo),
        cmocka_unit_test(test_a_tcpclean_delivered_again_leaks_only_in_the_demo),
        cmocka_unit_test(test_disconnect_takes_a_client_offline_too_early_only_in_the_demo),
        cmocka_unit_test(test_a_lost_tcpclean_heals_at_the_next_connect_only_in_ours),
        cmocka_unit_test(test_demo_and_ours_agree_when_each_event_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
