/* Channels without connections: what presence owes, whatever the log does meanwhile. */
#include "store/test_store.h"

#include "presence/presence.h"
#include "store/store_private.h"

#include <semaphore.h>

enum { CHANNELS = 30000 };

struct world {
    struct test_dir dir;
    struct rc_store *store;
    struct rc_topic *topic;
    struct rc_log_writer *writer;
    struct rc_loop *loop;
    struct rc_log_sender *sender;
    struct rc_presence *presence;
    struct rc_channel *channels;
    char (*names)[24];
    bool (*is_done)(struct world *world);
    struct rc_hook hook;
};

static uint32_t online, gone;

static void on_online(struct rc_channel *channel)
{
    assert_int_equal(channel->state, RC_CHANNEL_ONLINE);
    online++;
}

static void on_gone(struct rc_channel *channel)
{
    assert_int_equal(channel->state, RC_CHANNEL_NONE);
    gone++;
}

static void on_room(void *arg)
{
    rc_presence_on_room(((struct world *)arg)->presence);
}

static void on_turn_end(struct rc_hook *hook)
{
    struct world *world = rc_container_of(hook, struct world, hook);
    if (world->is_done(world))
        rc_loop_stop(world->loop);
}

static void run_until(struct world *world, bool (*is_done)(struct world *world))
{
    world->is_done = is_done;
    if (!is_done(world))
        rc_loop_run(world->loop);
}

static void make_world(struct world *world, uint32_t channels)
{
    struct rc_error error;
    test_dir_make(&world->dir);
    world->dir.options.segment_bytes = 64 << 20;
    world->store = test_open(&world->dir);
    world->topic = test_topic(world->store, TEST_TOPIC, 1);
    assert_int_equal(rc_log_writer_start(world->store, NULL, &world->writer, &error), RC_OK);
    assert_int_equal(rc_loop_create("test", &world->loop), RC_OK);
    world->hook.run = on_turn_end;
    rc_loop_add_hook(world->loop, &world->hook);
    assert_int_equal(rc_log_sender_create(world->writer, world->loop, &world->sender), RC_OK);
    struct rc_presence_options options = {.loop = world->loop,
                                          .sender = world->sender,
                                          .node = "n",
                                          .on_online = on_online,
                                          .on_gone = on_gone};
    world->presence = rc_presence_create(&options);
    rc_log_sender_set_on_room(world->sender, on_room, world);
    world->channels = rc_calloc(channels, sizeof(*world->channels));
    world->names = rc_calloc(channels, sizeof(*world->names));
    for (uint32_t i = 0; i < channels; i++) {
        snprintf(world->names[i], sizeof(world->names[i]), "GID_test@@@%u", i);
        world->channels[i] = (struct rc_channel){
            .protocol = "mqtt-3.1.1", .instance = "inst", .client_id = world->names[i], .port = 7};
    }
    online = gone = 0;
}

static void remove_world(struct world *world)
{
    rc_presence_destroy(world->presence);
    rc_log_sender_destroy(world->sender);
    assert_int_equal(rc_log_writer_stop(world->writer), RC_OK);
    rc_loop_destroy(world->loop);
    rc_store_close(world->store);
    test_dir_remove(&world->dir);
    free(world->channels);
    free(world->names);
}

static bool all_are_online(struct world *world)
{
    return online == rc_presence_channels(world->presence);
}

static bool all_are_gone(struct world *world)
{
    return rc_presence_channels(world->presence) == 0;
}

struct quota_mail {
    struct rc_mail mail;
    struct rc_store *store;
    uint64_t bytes;
    sem_t done;
};

static void on_quota(struct rc_mail *mail, struct rc_loop *loop)
{
    struct quota_mail *letter = rc_container_of(mail, struct quota_mail, mail);
    letter->store->log.quota_bytes = letter->bytes;
    sem_post(&letter->done);
}

static void set_quota(struct world *world, uint64_t bytes)
{
    struct quota_mail letter = {.mail.deliver = on_quota, .store = world->store, .bytes = bytes};
    sem_init(&letter.done, 0, 0);
    rc_loop_post(rc_log_writer_loop(world->writer), &letter.mail);
    sem_wait(&letter.done);
    sem_destroy(&letter.done);
}

static struct rc_channel *channel_at(struct world *world, uint32_t i)
{
    return &world->channels[i];
}

static void connect_all(struct world *world)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        int err = rc_presence_connect(world->presence, channel_at(world, i), world->topic);
        if (err == RC_ERR_FULL) {
            run_until(world, all_are_online);
            err = rc_presence_connect(world->presence, channel_at(world, i), world->topic);
        }
        assert_int_equal(err, RC_OK);
    }
    run_until(world, all_are_online);
    assert_int_equal(online, CHANNELS);
}

/* In the log's order: all connects, then the departures in the order they were made. */
struct reading {
    uint32_t connects, tcpcleans;
    bool has_disconnect;
};

static bool on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct reading *reading = arg;
    struct rc_event event;
    char want[24];
    assert_int_equal(rc_event_parse_body(message->body, &event), RC_OK);
    uint32_t i = event.type == RC_EVENT_CONNECT ? reading->connects : reading->tcpcleans;
    snprintf(want, sizeof(want), "GID_test@@@%u", i);
    assert_true(rc_slice_eq_str(event.client_id_json, want));
    if (event.type == RC_EVENT_CONNECT)
        reading->connects++;
    else if (event.type == RC_EVENT_DISCONNECT)
        reading->has_disconnect = true;
    else {
        assert_int_equal(reading->has_disconnect, i % 3 == 0);
        reading->has_disconnect = false;
        reading->tcpcleans++;
    }
    return true;
}

static void test_departures_wait_in_order_for_as_long_as_the_log_takes_nothing(void **state)
{
    struct world world;
    struct rc_channel late = {.protocol = "p", .instance = "inst", .client_id = "GID_test@@@late"};
    make_world(&world, CHANNELS);
    connect_all(&world);
    set_quota(&world, 1);
    for (uint32_t i = 0; i < CHANNELS; i++)
        rc_presence_close(world.presence, channel_at(&world, i), i % 3 == 0, "connection-lost");
    assert_true(rc_presence_waiting(world.presence) > 0);
    assert_int_equal(rc_presence_connect(world.presence, &late, world.topic), RC_ERR_FULL);
    assert_int_equal(late.state, RC_CHANNEL_NONE);
    assert_int_equal(gone, 0);
    assert_int_equal(rc_presence_channels(world.presence), CHANNELS);
    set_quota(&world, 0);
    run_until(&world, all_are_gone);
    assert_int_equal(gone, CHANNELS);
    assert_int_equal(rc_presence_waiting(world.presence), 0);
    struct reading reading = {0};
    assert_int_equal(rc_store_scan(world.store, 0, on_record, &reading), RC_OK);
    assert_int_equal(reading.connects, CHANNELS);
    assert_int_equal(reading.tcpcleans, CHANNELS);
    remove_world(&world);
}

/* ---- one client again and again ---- */

struct flaps {
    int64_t last_ms;
    uint32_t events;
};

static bool on_flap(const struct rc_message *message, uint32_t size, void *arg)
{
    static const enum rc_event_type types[] = {RC_EVENT_CONNECT, RC_EVENT_DISCONNECT, RC_EVENT_TCPCLEAN};
    struct flaps *flaps = arg;
    struct rc_event event;
    assert_int_equal(rc_event_parse_body(message->body, &event), RC_OK);
    assert_int_equal(event.type, types[flaps->events++ % 3]);
    assert_true(event.time_ms > flaps->last_ms);
    assert_int_equal(message->born_ms, event.time_ms);
    flaps->last_ms = event.time_ms;
    return true;
}

static void test_a_client_that_flaps_thousands_of_times_has_growing_times(void **state)
{
    enum { FLAPS = 2000 };
    struct world world;
    make_world(&world, FLAPS);
    for (uint32_t i = 0; i < FLAPS; i++) {
        struct rc_channel *channel = channel_at(&world, i);
        channel->client_id = "GID_test@@@flapping";
        assert_int_equal(rc_presence_connect(world.presence, channel, world.topic), RC_OK);
        rc_presence_close(world.presence, channel, true, "client-disconnect");
        rc_presence_close(world.presence, channel, true, "client-disconnect"); /* told once */
    }
    run_until(&world, all_are_gone);
    assert_int_equal(online, 0); /* each had left before its connect was written */
    assert_int_equal(gone, FLAPS);
    struct flaps flaps = {0};
    assert_int_equal(rc_store_scan(world.store, 0, on_flap, &flaps), RC_OK);
    assert_int_equal(flaps.events, 3 * FLAPS);
    remove_world(&world);
}

static void test_closing_what_was_never_open_is_no_event(void **state)
{
    struct world world;
    make_world(&world, 1);
    rc_presence_close(world.presence, channel_at(&world, 0), true, "client-disconnect");
    assert_int_equal(rc_presence_channels(world.presence), 0);
    assert_int_equal(rc_log_sender_under_way(world.sender), 0);
    remove_world(&world);
}

/* Between the two nobody may say that all of it was read. */
static void test_a_queue_is_held_from_a_channels_connect_to_its_tcpclean(void **state)
{
    struct world world;
    make_world(&world, 2);
    struct rc_queue *queue = rc_topic_queue(world.topic, 0);
    rc_queue_watch(queue);
    assert_int_equal(rc_presence_connect(world.presence, channel_at(&world, 0), world.topic), RC_OK);
    assert_false(rc_queue_close(queue));
    run_until(&world, all_are_online);
    assert_false(rc_queue_close(queue));
    rc_presence_close(world.presence, channel_at(&world, 0), true, "client-disconnect");
    assert_false(rc_queue_close(queue));
    run_until(&world, all_are_gone);
    assert_true(rc_queue_close(queue));
    assert_int_equal(rc_queue_end(queue), 3);
    assert_int_equal(rc_presence_connect(world.presence, channel_at(&world, 1), world.topic), RC_ERR_CLOSED);
    assert_int_equal(rc_presence_channels(world.presence), 0);
    rc_queue_reopen(queue);
    assert_int_equal(rc_presence_connect(world.presence, channel_at(&world, 1), world.topic), RC_OK);
    rc_presence_close(world.presence, channel_at(&world, 1), false, "client-close");
    run_until(&world, all_are_gone);
    assert_true(rc_queue_close(queue));
    remove_world(&world);
}

static void test_an_address_is_told_as_ip_and_port(void **state)
{
    char out[RC_CLIENT_IP_MAX];
    struct rc_channel v4 = {.addr = {203, 0, 113, 9}, .port = 13301};
    struct rc_channel v6 = {.addr = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 1, .is_v6 = true};
    struct rc_channel local = {.is_local = true};
    assert_true(rc_slice_eq_str(rc_channel_client_ip(&v4, out), "203.0.113.9:13301"));
    assert_true(rc_slice_eq_str(rc_channel_client_ip(&v6, out), "[2001:db8::1]:1"));
    assert_true(rc_slice_eq_str(rc_channel_client_ip(&local, out), "127.0.0.1:0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_departures_wait_in_order_for_as_long_as_the_log_takes_nothing),
        cmocka_unit_test(test_a_client_that_flaps_thousands_of_times_has_growing_times),
        cmocka_unit_test(test_closing_what_was_never_open_is_no_event),
        cmocka_unit_test(test_a_queue_is_held_from_a_channels_connect_to_its_tcpclean),
        cmocka_unit_test(test_an_address_is_told_as_ip_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
