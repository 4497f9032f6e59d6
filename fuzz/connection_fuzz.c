/*
 * Whole connections: up to three clients of one broker come, each with any version of MQTT, send packets good
 * and bad in any order, read or do not, and go. Then every channel must have its tcpclean in the log, events
 * in order, and nothing may be left behind. The input is a script; each step is one byte of what to do and
 * bytes of how. RC_FUZZ_OVER names the header with what stands in front of MQTT: one target a transport.
 */
#include "auth/sign.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "broker/private.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 3, CLIENTS = 2, STEPS_MAX = 64, BYTES_MAX = 1 << 16 };

static struct {
    char dir[64];
    struct rc_store *store;
    struct rc_log_writer *writer;
    struct rc_loop *loop;
    struct rc_broker *broker, *brokers[1];
    struct rc_hook hook;
    struct rc_mail again;
    struct rc_transport *transport; /* NULL: plain TCP */
    struct rc_admission admission;
    bool is_posted;
    int turns_left;
    int peers[PEERS];
    uint8_t versions[PEERS];
    int peer;      /* whose packet is being put together */
    uint64_t seen; /* the log up to here was checked */
    int64_t last_ms[CLIENTS];
} world;

static struct rc_slice input;

static uint8_t next_byte(void)
{
    if (input.len == 0)
        return 0;
    uint8_t byte = *input.ptr;
    input = rc_slice_from(input, 1);
    return byte;
}

static struct rc_slice next_bytes(size_t len)
{
    len = len < input.len ? len : input.len;
    struct rc_slice bytes = rc_slice(input.ptr, len);
    input = rc_slice_from(input, len);
    return bytes;
}

static void check(bool is_right, const char *what)
{
    if (is_right)
        return;
    fprintf(stderr, "must never be: %s\n", what);
    abort();
}

/* ---- the peers ---- */

static void turn(int turns)
{
    world.turns_left = turns;
    if (!world.is_posted) {
        world.is_posted = true;
        rc_loop_post(world.loop, &world.again);
    }
    rc_loop_run(world.loop);
}

static void put_raw(int i, struct rc_slice bytes)
{
    if (world.peers[i] == -1 || bytes.len == 0)
        return;
    ssize_t sent = send(world.peers[i], bytes.ptr, bytes.len, MSG_NOSIGNAL);
    (void)sent; /* full, or closed by the server */
}

/* What the server has sent, at most `size` bytes; 0: nothing, or the end. */
static size_t take_raw(int i, uint8_t *bytes, size_t size)
{
    ssize_t len = world.peers[i] == -1 ? 0 : recv(world.peers[i], bytes, size, 0);
    return len > 0 ? (size_t)len : 0;
}

#include RC_FUZZ_OVER

static void hang_up(int i)
{
    over_end(i);
    if (world.peers[i] != -1)
        close(world.peers[i]);
    world.peers[i] = -1;
}

static void dial(int i)
{
    int fds[2];
    struct rc_address peer;
    hang_up(i);
    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0, "no socket");
    check(rc_address_parse("203.0.113.9:1000", &peer, NULL) == RC_OK, "no address");
    world.peers[i] = fds[0];
    rc_broker_accept_on(world.broker, fds[1], &peer, world.transport);
    over_begin(i);
}

/* ---- the server ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    return remove(path);
}

static void clean_up(void)
{
    nftw(world.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct rc_catalog *make_catalog(void)
{
    struct rc_catalog *catalog = rc_catalog_create();
    struct rc_instance *instance;
    struct rc_group *group;
    struct rc_error error;
    rc_catalog_add_instance(catalog, rc_slice_str("inst"), &instance);
    rc_catalog_set_profile(instance, RC_PROFILE_STANDARD); /* it has all that MQTT has */
    instance->limits.queued_max = 20;
    instance->limits.inflight_max = 4;
    instance->limits.receive_max = instance->limits.incoming_max = 4;
    rc_catalog_add_key(catalog, instance, rc_slice_str("AK"), rc_slice_str("SK"));
    rc_catalog_add_group(instance, rc_slice_str("GID_test"), &group);
    rc_catalog_add_parent_topic(instance, rc_slice_str("top"));
    rc_store_create_topic(world.store, rc_slice_str("EVENTS"), 1, RC_PERM_READ_WRITE,
                          &catalog->presence_topic, &error);
    return catalog;
}

static void deliver_again(struct rc_mail *mail, struct rc_loop *loop)
{
    world.is_posted = false;
}

/* Turns go on until nothing is under way to the log, and for as many as were asked. */
static void on_turn_end(struct rc_hook *hook)
{
    if (--world.turns_left <= 0 && rc_log_sender_under_way(world.broker->sender) == 0) {
        rc_loop_stop(world.loop);
    } else if (!world.is_posted) {
        world.is_posted = true;
        rc_loop_post(world.loop, &world.again);
    }
}

static void start(void)
{
    struct rc_store_options store;
    struct rc_broker_options options;
    struct rc_error error;
    rc_log_set_level(-1);
    snprintf(world.dir, sizeof(world.dir), "/tmp/rc-fuzz-XXXXXX");
    check(mkdtemp(world.dir) != NULL, "no directory");
    atexit(clean_up);
    rc_store_options_default(&store);
    store.dir = world.dir;
    store.segment_bytes = 4 << 20;
    store.retain_bytes = 16 << 20;
    check(rc_store_open(&store, &world.store, &error) == RC_OK, "no store");
    check(rc_log_writer_start(world.store, NULL, &world.writer, &error) == RC_OK, "no log writer");
    check(rc_loop_create("fuzz", &world.loop) == RC_OK, "no loop");
    rc_broker_options_default(&options);
    options.loop = world.loop;
    options.writer = world.writer;
    options.brokers = world.brokers;
    options.catalog = make_catalog();
    options.max_packet_size = 8192;
    check(rc_broker_create(&options, &world.broker) == RC_OK, "no broker");
    world.brokers[0] = world.broker;
    world.transport = over_make();
    if (world.transport != NULL)
        world.transport->admission = &world.admission;
    world.hook.run = on_turn_end;
    world.again.deliver = deliver_again;
    rc_loop_add_hook(world.loop, &world.hook);
    for (int i = 0; i < PEERS; i++)
        world.peers[i] = -1;
}

/* ---- packets ---- */

static const char *const topics[] = {"top",
                                     "top/x",
                                     "top/#",
                                     "top/+",
                                     "top/x/y",
                                     "other",
                                     "+/#",
                                     "top//",
                                     "$SYS",
                                     "#",
                                     "",
                                     "top/+/#",
                                     "/top",
                                     "top/x/+",
                                     "top/will",
                                     "$share/g/top/#",
                                     "$share/h/top/x",
                                     "$share//x"};

static struct rc_slice some_topic(void)
{
    return rc_slice_str(topics[next_byte() % (sizeof(topics) / sizeof(topics[0]))]);
}

#define BYTES(text) rc_slice(text, sizeof(text) - 1)

/* Properties as they stand on the wire, those of other packets too. */
static struct rc_slice some_property(void)
{
    const struct rc_slice all[] = {
        BYTES("\x11\0\0\0\0"),
        BYTES("\x11\0\0\0\1"),
        BYTES("\x11\0\0\0\x64"),
        BYTES("\x11\xff\xff\xff\xff"),
        BYTES("\x21\0\1"),
        BYTES("\x21\0\2"),
        BYTES("\x22\0\2"),
        BYTES("\x27\0\0\0\x14"),
        BYTES("\x27\0\0\0\x64"),
        BYTES("\x17\0"),
        BYTES("\x19\1"),
        BYTES("\x15\0\1m"),
        BYTES("\x26\0\1k\0\1v"),
        BYTES("\x26\0\0\0\0"),
        BYTES("\x18\0\0\0\0"),
        BYTES("\x18\0\0\0\1"),
        BYTES("\1\1"),
        BYTES("\1\0"),
        BYTES("\2\0\0\0\0"),
        BYTES("\2\0\0\0\1"),
        BYTES("\2\xff\xff\xff\xff"),
        BYTES("\3\0\2ct"),
        BYTES("\x08\0\5top/r"),
        BYTES("\x09\0\2\0\xff"),
        BYTES("\x0b\1"),
        BYTES("\x0b\xff\xff\xff\x7f"),
        BYTES("\x23\0\1"),
        BYTES("\x23\0\2"),
        BYTES("\x23\0\x21"),
        BYTES("\x1f\0\3why"),
    };
    return all[next_byte() % (sizeof(all) / sizeof(all[0]))];
}

/* None, or up to seven. */
static struct rc_slice put_props(struct rc_buf *props)
{
    rc_buf_init(props, 4096);
    uint8_t how = next_byte();
    for (int i = 0; how >= 0x80 && i < how % 8; i++)
        rc_buf_put_slice(props, some_property());
    return rc_buf_slice(props);
}

static uint8_t version(void)
{
    return world.versions[world.peer];
}

static void put_connect(struct rc_buf *out)
{
    static const uint8_t versions[] = {RC_MQTT_V311, RC_MQTT_V5, RC_MQTT_V5, RC_MQTT_V31};
    char id[16], password[RC_SIGNATURE_LEN + 1];
    uint8_t how = next_byte(), more = next_byte();
    struct rc_buf props, will_props;
    world.versions[world.peer] = versions[more % 4];
    snprintf(id, sizeof(id), "GID_test@@@%d", how % CLIENTS);
    struct rc_slice client_id = rc_slice_str(id);
    rc_sign(rc_slice_str(how & 0x80 ? "wrong" : "SK"), &client_id, 1, password);
    struct rc_mqtt_connect connect = {
        .version = version(),
        .is_clean = (how & 0x20) == 0,
        .has_will = (how & 0x10) != 0,
        .will_qos = how & 0x10 ? (more >> 2) % 3 : 0,
        .will_retain = (how & 0x10) != 0 && (more & 0x40) != 0,
        .will_topic = rc_slice_str("top/will"),
        .will_payload = rc_slice_str("gone"),
        .keep_alive_s = how & 8 ? 0 : 60,
        .client_id = client_id,
        .has_user = true,
        .has_password = true,
        .user = rc_slice_str("Signature|AK|inst"),
        .password = rc_slice_str(password),
    };
    struct rc_slice of_connect = put_props(&props), of_will = put_props(&will_props);
    rc_mqtt_put_connect(out, &connect, of_connect, of_will);
    rc_buf_free(&props);
    rc_buf_free(&will_props);
}

static void put_publish(struct rc_buf *out)
{
    uint8_t how = next_byte();
    struct rc_buf props;
    struct rc_mqtt_publish publish = {
        .dup = (how & 4) != 0,
        .retain = (how & 8) != 0,
        .qos = how % 3,
        .packet_id = how % 3 ? 1 + (how >> 6) : 0,
        .topic = some_topic(),
        .payload = next_bytes(how & 0x20 ? 3000 : 8),
    };
    rc_mqtt_put_publish(out, version(), &publish, put_props(&props));
    rc_buf_free(&props);
}

static void put_subscribe(struct rc_buf *out)
{
    struct rc_buf entries, props;
    uint8_t how = next_byte();
    rc_buf_init(&entries, BYTES_MAX);
    for (int i = 0; i <= how % 3; i++) {
        uint8_t options = (how >> 2) % 3;
        if (version() == RC_MQTT_V5)
            options |= next_byte() & 0x2c;
        rc_mqtt_put_subscription(&entries, some_topic(), options);
    }
    rc_mqtt_put_subscribe(out, version(), 1 + how, rc_buf_slice(&entries), put_props(&props));
    rc_buf_free(&props);
    rc_buf_free(&entries);
}

static void put_unsubscribe(struct rc_buf *out)
{
    struct rc_buf entries, props;
    rc_buf_init(&entries, BYTES_MAX);
    rc_mqtt_put_text(&entries, some_topic());
    rc_mqtt_put_unsubscribe(out, version(), 9, rc_buf_slice(&entries), put_props(&props));
    rc_buf_free(&props);
    rc_buf_free(&entries);
}

static void put_ack(struct rc_buf *out)
{
    static const uint8_t types[] = {RC_MQTT_PUBACK, RC_MQTT_PUBREC, RC_MQTT_PUBREL, RC_MQTT_PUBCOMP};
    uint8_t how = next_byte(), reason = version() == RC_MQTT_V5 && how >= 0xc0 ? next_byte() : 0;
    struct rc_buf props;
    rc_mqtt_put_ack(out, version(), types[how % 4], (how >> 2) % 16, reason, put_props(&props));
    rc_buf_free(&props);
}

/* Puts one packet; some are damaged, cut or sent in two pieces with a turn between. */
static void send_packet(int i, void (*make)(struct rc_buf *out))
{
    struct rc_buf out;
    rc_buf_init(&out, BYTES_MAX);
    world.peer = i;
    make(&out);
    uint8_t how = next_byte();
    if (how < 16 && out.end > 0)
        out.data[next_byte() % out.end] ^= (uint8_t)(1 + next_byte());
    size_t cut = how >= 16 && how < 48 && out.end > 0 ? next_byte() % out.end : out.end;
    over_put(i, rc_slice(out.data, cut));
    if (cut < out.end && how < 32) {
        turn(1);
        over_put(i, rc_slice(out.data + cut, out.end - cut));
    }
    rc_buf_free(&out);
}

static void put_disconnect(struct rc_buf *out)
{
    static const uint8_t reasons[] = {0, 4, 0x80, 0x8e};
    struct rc_buf props;
    rc_mqtt_put_disconnect(out, version(), reasons[next_byte() % 4], put_props(&props));
    rc_buf_free(&props);
}

static void drain(int i)
{
    uint8_t bytes[4096];
    while (over_take(i, bytes, sizeof(bytes)) > 0)
        continue;
}

static void step(uint8_t what)
{
    int i = what / 16 % PEERS;
    switch (what % 16) {
    case 0:
    case 1:
        dial(i);
        send_packet(i, put_connect);
        break;
    case 2:
        dial(i);
        break;
    case 3:
        send_packet(i, put_connect);
        break;
    case 4:
    case 5:
        send_packet(i, put_publish);
        break;
    case 6:
    case 7:
        send_packet(i, put_subscribe);
        break;
    case 8:
        send_packet(i, put_unsubscribe);
        break;
    case 9:
        send_packet(i, put_ack);
        break;
    case 10:
        send_packet(i, put_disconnect);
        break;
    case 11:
        hang_up(i);
        break;
    case 12:
        over_put(i, next_bytes(next_byte()));
        break;
    case 13:
        drain(i);
        break;
    default:
        turn(1 + what / 64);
        break;
    }
}

/* ---- what must hold ---- */

struct channels {
    uint8_t open[CLIENTS][RC_CHANNEL_ID_LEN];
    bool is_open[CLIENTS];
};

static bool on_record(const struct rc_message *message, uint32_t size, void *arg)
{
    struct channels *channels = arg;
    struct rc_event event;
    check(rc_event_parse_body(message->body, &event) == RC_OK, "a record that is no event");
    int client = event.client_id_json.ptr[event.client_id_json.len - 1] - '0';
    check(client >= 0 && client < CLIENTS, "an event of a client that cannot log in");
    check(event.time_ms > world.last_ms[client], "times of a client that do not grow");
    world.last_ms[client] = event.time_ms;
    check(channels->is_open[client] == (event.type != RC_EVENT_CONNECT), "events out of order");
    if (event.type == RC_EVENT_CONNECT)
        memcpy(channels->open[client], event.channel_id, RC_CHANNEL_ID_LEN);
    check(memcmp(channels->open[client], event.channel_id, RC_CHANNEL_ID_LEN) == 0,
          "an event of a channel that is not the client's");
    channels->is_open[client] = event.type != RC_EVENT_TCPCLEAN;
    return true;
}

static void check_end(void)
{
    struct channels channels = {0};
    const struct rc_broker_counters *counters = rc_broker_counters(world.broker);
    check(rc_presence_channels(world.broker->presence) == 0, "a channel without a connection");
    check(rc_store_scan(world.store, world.seen, on_record, &channels) == RC_OK, "a log that cannot be read");
    world.seen = rc_store_max_physical(world.store);
    for (int i = 0; i < CLIENTS; i++)
        check(!channels.is_open[i], "a connect without tcpclean");
    rc_sessions_free_absent(world.broker);
    rc_retained_free(&world.broker->retained); /* each input begins without any */
    rc_retained_init(&world.broker->retained);
    check(atomic_load(&counters->connections) == 0, "a connection is left");
    check(atomic_load(&counters->clients) == 0, "a client is left");
    check(atomic_load(&counters->sessions) == 0, "a session is left");
    check(atomic_load(&counters->subscriptions) == 0, "a subscription is left");
    check(world.broker->queued_bytes == 0, "a message is left");
    check(world.broker->lingering_count == 0, "a last word is left");
    check(world.broker->will_bytes == 0, "a will is left");
    check(world.broker->connecting_count == 0, "a stranger is left");
    check(world.broker->connecting_bytes == 0, "a stranger's bytes are left");
    check(world.broker->sessions.count == 0, "a session is in the table");
    check(world.broker->subscriptions.root->children.count == 0, "a topic is in the tree");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (world.broker == NULL)
        start();
    input = rc_slice(data, size);
    for (int steps = 0; steps < STEPS_MAX && input.len > 0; steps++)
        step(next_byte());
    for (int i = 0; i < PEERS; i++)
        hang_up(i);
    turn(3);
    for (int more = 0; more < 100 && atomic_load(&world.broker->counters.connections) > 0; more++)
        turn(1); /* what was read in pieces */
    turn(1);
    check_end();
    return 0;
}
