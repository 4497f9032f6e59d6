/*
 * Fixed work for counting instructions: counts <workload> <repetitions>. callgrind counts what runs inside of
 * rc_counted, so neither the preparation nor the machine's load is in the figure. tests/counts/check.py runs
 * it.
 */
#include "base/alloc.h"
#include "broker/subscriptions.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"
#include "presence/event.h"
#include "rocketmq/key_index.h"
#include "rocketmq/remoting.h"
#include "store/store.h"

#include <stdio.h>
#include <sys/random.h>

enum { PACKET_MAX = 65536, BATCH = 32, SUBSCRIPTIONS = 1000, RECORD_MAX = 4096 };

#define NO_PROPS rc_slice(NULL, 0)

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "counts: %s failed\n", what);
    exit(1);
}

/* In place of libc's: tables' hashes have the same seed in each run, so items stand in the same slots. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}

/* ---- codecs ---- */

static struct rc_buf input;

static void prepare_connect(void)
{
    struct rc_mqtt_connect connect = {
        .version = RC_MQTT_V311,
        .is_clean = true,
        .keep_alive_s = 60,
        .client_id = rc_slice_str("GID_counts@@@device-000001"),
        .has_user = true,
        .user = rc_slice_str("Signature|CountsAccessKey|rc-counts"),
        .has_password = true,
        .password = rc_slice_str("ZGVmZ2hpamtsbW5vcHFyc3R1dnc="),
    };
    rc_buf_init(&input, PACKET_MAX);
    must(rc_mqtt_put_connect(&input, &connect, NO_PROPS, NO_PROPS) == RC_OK, "CONNECT");
}

static void prepare_publish(void)
{
    static uint8_t payload[64];
    struct rc_mqtt_publish publish = {.qos = 1,
                                      .packet_id = 7,
                                      .topic = rc_slice_str("sensors/hall/7/temperature"),
                                      .payload = rc_slice(payload, sizeof(payload))};
    struct rc_buf props;
    rc_buf_init(&props, 1024);
    rc_mqtt_props_put_string(&props, RC_MQTT_PROP_CONTENT_TYPE, rc_slice_str("application/json"));
    rc_mqtt_props_put_user(&props, rc_slice_str("unit"), rc_slice_str("degree"));
    rc_buf_init(&input, PACKET_MAX);
    must(rc_mqtt_put_publish(&input, RC_MQTT_V5, &publish, rc_buf_slice(&props)) == RC_OK, "PUBLISH");
    rc_buf_free(&props);
}

static void decode(uint8_t version, uint32_t repetitions)
{
    struct rc_mqtt_packet packet;
    for (uint32_t i = 0; i < repetitions; i++)
        must(rc_mqtt_decode(rc_buf_slice(&input), version, PACKET_MAX, &packet) > 0, "decoding");
}

static void run_mqtt_connect(uint32_t repetitions)
{
    decode(RC_MQTT_V311, repetitions);
}

static void run_mqtt_publish(uint32_t repetitions)
{
    struct rc_mqtt_packet packet;
    struct rc_buf out;
    rc_buf_init(&out, PACKET_MAX);
    for (uint32_t i = 0; i < repetitions; i++) {
        must(rc_mqtt_decode(rc_buf_slice(&input), RC_MQTT_V5, PACKET_MAX, &packet) > 0, "decoding");
        must(rc_mqtt_put_publish(&out, RC_MQTT_V311, &packet.publish, NO_PROPS) == RC_OK, "encoding");
        rc_buf_consume(&out, rc_buf_len(&out));
    }
    rc_buf_free(&out);
}

static void prepare_pull(void)
{
    struct rc_remoting pull;
    rc_remoting_request(&pull, RC_REQ_PULL, 1);
    rc_remoting_add(&pull, "consumerGroup", rc_slice_str("GID_counts"));
    rc_remoting_add(&pull, "topic", rc_slice_str("GID_counts_MQTT"));
    rc_remoting_add(&pull, "subscription", rc_slice_str("*"));
    rc_remoting_add(&pull, "expressionType", rc_slice_str("TAG"));
    rc_remoting_add_number(&pull, "queueId", 3);
    rc_remoting_add_number(&pull, "queueOffset", 123456);
    rc_remoting_add_number(&pull, "maxMsgNums", 32);
    rc_remoting_add_number(&pull, "sysFlag", 3);
    rc_remoting_add_number(&pull, "commitOffset", 123400);
    rc_remoting_add_number(&pull, "suspendTimeoutMillis", 15000);
    rc_remoting_add_number(&pull, "subVersion", 1700000000000);
    rc_buf_init(&input, PACKET_MAX);
    must(rc_remoting_put(&input, &pull) == RC_OK, "PULL");
}

static void run_pull(uint32_t repetitions)
{
    for (uint32_t i = 0; i < repetitions; i++) {
        struct rc_remoting command;
        must(rc_remoting_decode(rc_buf_slice(&input), &command) > 0, "decoding");
        must(rc_remoting_get_number(&command, "queueOffset", 0) == 123456, "reading a field");
        rc_remoting_done(&command);
    }
}

/* ---- routing ---- */

static struct rc_subscriptions tree;
static uint64_t matches;
enum { HALLS = SUBSCRIPTIONS / 4 };
static char halls[HALLS][32];

static void prepare_routing(void)
{
    static const char *const forms[] = {"hall/%u/temperature", "hall/+/temperature/%u", "hall/%u/#",
                                        "yard/%u/+/rain"};
    rc_subscriptions_init(&tree);
    for (uint32_t i = 0; i < SUBSCRIPTIONS; i++) {
        char filter[128];
        const char *form = forms[i % 4];
        const char *number = strchr(form, '%');
        int len = snprintf(filter, sizeof(filter), "%.*s%u%s", (int)(number - form), form, i / 4, number + 2);
        struct rc_subscription *subscription = rc_calloc(1, sizeof(*subscription) + (size_t)len + 1);
        memcpy(subscription->filter, filter, (size_t)len);
        subscription->filter_len = (uint16_t)len;
        rc_subscriptions_add(&tree, rc_slice_str("rc-counts"), subscription);
    }
    for (uint32_t i = 0; i < HALLS; i++)
        snprintf(halls[i], sizeof(halls[i]), "hall/%u/temperature", i);
}

static void on_match(struct rc_subscription *subscription, void *arg)
{
    matches++;
}

static void match_hall(uint32_t hall)
{
    rc_subscriptions_match(&tree, rc_slice_str("rc-counts"), rc_slice_str(halls[hall]), on_match, NULL);
}

/* So many topics that none is remembered until it comes again. */
static void run_routing(uint32_t repetitions)
{
    matches = 0;
    for (uint32_t i = 0; i < repetitions; i++)
        match_hall(i % HALLS);
    must(matches == 2 * (uint64_t)repetitions, "matching");
}

static void run_routing_again(uint32_t repetitions)
{
    matches = 0;
    for (uint32_t i = 0; i < repetitions; i++)
        match_hall(17);
    must(matches == 2 * (uint64_t)repetitions, "matching");
}

/* ---- the log ---- */

static struct rc_store *store;
static struct rc_queue *queue;
static char store_dir[] = "/tmp/rollcall-counts-XXXXXX";

static void prepare_append(void)
{
    struct rc_store_options options;
    struct rc_topic *topic;
    struct rc_error error;
    rc_store_options_default(&options);
    must(mkdtemp(store_dir) != NULL, "a directory");
    options.dir = store_dir;
    options.segment_bytes = 16 * 1024 * 1024;
    options.queue_file_entries = 30000;
    must(rc_store_open(&options, &store, &error) == RC_OK, "opening a store");
    must(rc_store_create_topic(store, rc_slice_str("GID_counts_MQTT"), 4, RC_PERM_READ_WRITE, &topic,
                               &error) == RC_OK,
         "a topic");
    queue = rc_topic_queue(topic, 0);
}

static void put_event(struct rc_buf *out, struct rc_buf *text, uint32_t number)
{
    struct rc_event event = {
        .type = RC_EVENT_CONNECT,
        .time_ms = 1700000000000 + number,
        .client_id_json = rc_slice_str("GID_counts@@@device-000001"),
        .keys = rc_slice_str("GID_counts@@@device-000001"),
        .client_ip = rc_slice_str("127.0.0.1:54321"),
        .sequence = 1,
        .instance = rc_slice_str("rc-counts"),
        .node = rc_slice_str("rollcall-1"),
        .protocol = rc_slice_str("mqtt-3.1.1"),
    };
    struct rc_message message = {
        .born_ms = event.time_ms,
        .store_ms = event.time_ms,
        .topic = rc_slice_str("GID_counts_MQTT"),
        .props_are_sound = true,
    };
    must(rc_event_put(text, &event, &message.body, &message.props) == RC_OK, "an event");
    must(rc_message_encode(out, &message) == RC_OK, "a message");
    rc_buf_consume(text, rc_buf_len(text));
}

static void run_append(uint32_t repetitions)
{
    struct rc_buf text, records[BATCH];
    rc_buf_init(&text, RECORD_MAX);
    for (uint32_t i = 0; i < BATCH; i++)
        rc_buf_init(&records[i], RECORD_MAX);
    for (uint32_t i = 0; i < repetitions; i += BATCH) {
        struct rc_append appends[BATCH];
        for (uint32_t k = 0; k < BATCH; k++) {
            rc_buf_consume(&records[k], rc_buf_len(&records[k]));
            put_event(&records[k], &text, i + k);
            appends[k] = (struct rc_append){.queue = queue,
                                            .record = records[k].data + records[k].start,
                                            .len = (uint32_t)rc_buf_len(&records[k]),
                                            .tags_code = 951351530};
        }
        must(rc_store_append(store, appends, BATCH) == RC_OK, "appending");
    }
    for (uint32_t i = 0; i < BATCH; i++)
        rc_buf_free(&records[i]);
    rc_buf_free(&text);
}

/* ---- the index by key ---- */

enum { INDEXED = 2048 };

static struct rc_key_index *key_index;

static void prepare_key_index(void)
{
    prepare_append();
    run_append(INDEXED);
    must(rc_key_index_open(store, &key_index) == RC_OK, "opening the index");
}

static void run_key_index(uint32_t repetitions)
{
    must(repetitions == INDEXED && !rc_key_index_advance(key_index, RC_KEY_INDEX_SLICE_BYTES) &&
             rc_key_index_upto(key_index) == rc_store_max_physical(store),
         "indexing all records, one a repetition,");
}

/* ---- which ---- */

static const struct workload {
    const char *name;
    void (*prepare)(void);
    void (*run)(uint32_t repetitions);
} workloads[] = {
    {"mqtt-connect", prepare_connect, run_mqtt_connect},
    {"mqtt-publish", prepare_publish, run_mqtt_publish},
    {"rocketmq-pull", prepare_pull, run_pull},
    {"routing", prepare_routing, run_routing},
    {"routing-again", prepare_routing, run_routing_again},
    {"append", prepare_append, run_append},
    {"key-index", prepare_key_index, run_key_index},
};

/* callgrind collects in here alone, so it must be a function of its own. */
void rc_counted(const struct workload *workload, uint32_t repetitions);
__attribute__((noipa)) void rc_counted(const struct workload *workload, uint32_t repetitions)
{
    workload->run(repetitions);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (strcmp(argv[1], workloads[i].name) != 0)
            continue;
        workloads[i].prepare();
        rc_counted(&workloads[i], (uint32_t)strtoul(argv[2], NULL, 10));
        if (store != NULL) {
            rc_key_index_close(key_index);
            rc_store_close(store);
            puts(store_dir); /* for the caller to remove */
        }
        return 0;
    }
    fputs("usage: counts WORKLOAD REPETITIONS; workloads:", stderr);
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
        fprintf(stderr, " %s", workloads[i].name);
    fputs("\n", stderr);
    return 2;
}
