/*
 * Fills a store with channels that are open, as a server leaves it that was killed: open_channels <store's
 * directory> <channels>. Topic and node are those of tests/e2e/harness/rollcall.py.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "presence/event.h"
#include "store/store.h"

#include <stdio.h>
#include <unistd.h>

enum { QUEUES = 4, BATCH = 1024, BATCH_BYTES = 1 << 20, TEXT_MAX = 4096 };

static struct batch {
    struct rc_append records[BATCH];
    uint32_t at[BATCH];
    uint32_t count;
    struct rc_buf bytes;
} batch;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "open_channels: %s\n", what);
    exit(1);
}

static void put_connect(struct rc_topic *topic, uint32_t number, int64_t now_ms)
{
    char client_id[64];
    struct rc_buf text;
    snprintf(client_id, sizeof(client_id), "GID_test@@@open-%u", number);
    struct rc_slice id = rc_slice_str(client_id);
    struct rc_event event = {
        .type = RC_EVENT_CONNECT,
        .time_ms = now_ms,
        .client_id_json = id,
        .keys = rc_slice_str(client_id),
        .client_ip = rc_slice_str("127.0.0.1:40000"),
        .sequence = 1,
        .instance = rc_slice_str("rc-test"),
        .node = rc_slice_str("rollcall-1"),
        .protocol = rc_slice_str("mqtt-3.1.1"),
    };
    memcpy(event.channel_id, &number, sizeof(number));
    struct rc_queue *queue = rc_topic_queue(topic, rc_hash_java_queue(id, QUEUES));
    struct rc_message message = {
        .queue_id = rc_queue_id(queue),
        .born_ms = now_ms,
        .born_host = {.addr = {127, 0, 0, 1}, .port = 40000},
        .topic = rc_topic_name(topic),
    };
    rc_buf_init(&text, TEXT_MAX);
    must(rc_event_put(&text, &event, &message.body, &message.props) == RC_OK, "no event");
    uint32_t at = (uint32_t)rc_buf_len(&batch.bytes);
    must(rc_message_encode(&batch.bytes, &message) == RC_OK, "no record");
    batch.at[batch.count] = at;
    batch.records[batch.count++] = (struct rc_append){.queue = queue,
                                                      .len = (uint32_t)rc_buf_len(&batch.bytes) - at,
                                                      .tags_code = rc_props_tags_code(message.props)};
    rc_buf_free(&text);
}

static void append(struct rc_store *store)
{
    for (uint32_t i = 0; i < batch.count; i++)
        batch.records[i].record = batch.bytes.data + batch.at[i];
    must(rc_store_append(store, batch.records, batch.count) == RC_OK, "the store takes no more");
    rc_buf_consume(&batch.bytes, rc_buf_len(&batch.bytes));
    batch.count = 0;
}

int main(int argc, char **argv)
{
    struct rc_store_options options;
    struct rc_store *store;
    struct rc_topic *topic;
    struct rc_error error = {.text = ""};
    must(argc == 3, "usage: open_channels <directory> <channels>");
    rc_store_options_default(&options);
    options.dir = argv[1];
    must(rc_store_open(&options, &store, &error) == RC_OK, error.text);
    must(rc_store_create_topic(store, rc_slice_str("GID_test_MQTT"), QUEUES, RC_PERM_READ_WRITE, &topic,
                               &error) == RC_OK,
         error.text);
    rc_buf_init(&batch.bytes, 2 * BATCH_BYTES);
    uint32_t channels = (uint32_t)strtoul(argv[2], NULL, 10);
    for (uint32_t number = 0; number < channels; number++) {
        put_connect(topic, number, rc_clock_wall_ms());
        if (batch.count == BATCH || rc_buf_len(&batch.bytes) > BATCH_BYTES)
            append(store);
    }
    append(store);
    rc_store_flush(store); /* as the server's own flusher has long done */
    _exit(0);              /* not closed: the directory says that its server died */
}
