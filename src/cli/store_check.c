/*
 * Offline verification of a log directory, in two passes that meet: every message of the commit log must be
 * where its consume queue says, and every entry of every queue must lead to the message that it describes.
 */
#include "cli/store_check.h"

#include "cli/commands.h"
#include "cli/store_open.h"

#include <stdio.h>

enum { PROBLEMS_SHOWN = 20, ENTRIES_AT_ONCE = 256 };

struct check_options {
    const char *dir;
    bool json;
};

struct check {
    struct rc_store *store;
    const struct check_options *options;
    uint64_t messages, bytes, topics, queues, entries, problems;
};

static const struct rc_cli_option rows[] = {
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct check_options, json),
     .help = "the result as one JSON object"},
};

const struct rc_cli_usage rc_store_check_usage = {
    .command = "store check",
    .synopsis = "DIR [options]",
    .about =
        "Reads every message and every queue entry of a log directory and compares them. Changes nothing.\n"
        "A server may be running on it. Exit code 1 when something is damaged.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall store check data/quickstart\n"
                "  rollcall store check data/quickstart --json\n",
    .operand = "DIR",
    .operand_offset = offsetof(struct check_options, dir),
};

static void problem(struct check *check, const char *what, int topic_len, const char *topic, uint32_t queue,
                    uint64_t offset)
{
    if (check->problems++ < PROBLEMS_SHOWN)
        fprintf(stderr, "damaged: %s: %.*s queue %u offset %llu\n", what, topic_len, topic, queue,
                (unsigned long long)offset);
}

/* ---- from messages to queues ---- */

static bool visit_message(const struct rc_message *message, uint32_t size, void *arg)
{
    struct check *check = arg;
    struct rc_topic *topic = rc_store_find_topic(check->store, message->topic);
    struct rc_queue_entry entry;
    check->messages++;
    check->bytes += size;
    if (topic == NULL || message->queue_id >= rc_topic_queue_count(topic)) {
        problem(check, "a message of a topic or queue that topics.json does not have",
                RC_SLICE_FMT(message->topic), message->queue_id, message->queue_offset);
        return true;
    }
    struct rc_queue *queue = rc_topic_queue(topic, message->queue_id);
    if (message->queue_offset < rc_queue_min(queue))
        return true;
    if (rc_queue_read(queue, message->queue_offset, &entry, 1) != 1 ||
        entry.physical_offset != message->physical_offset || entry.size != size)
        problem(check, "a message that its queue does not lead to", RC_SLICE_FMT(message->topic),
                message->queue_id, message->queue_offset);
    return true;
}

/* ---- from queues to messages ---- */

static bool entry_is_right(struct check *check, struct rc_topic *topic, uint32_t queue, uint64_t offset,
                           const struct rc_queue_entry *entry)
{
    struct rc_segment *segment;
    struct rc_slice view;
    struct rc_message message;
    if (rc_store_view(check->store, entry->physical_offset, entry->size, &view, &segment) != RC_OK)
        return false;
    bool is_delayed = rc_slice_eq_str(rc_topic_name(topic), RC_DELAY_TOPIC); /* its tag field is a time */
    bool is_right = rc_message_decode(view, true, &message) == (int64_t)entry->size &&
                    message.queue_id == queue && message.queue_offset == offset &&
                    message.physical_offset == entry->physical_offset &&
                    rc_slice_eq(message.topic, rc_topic_name(topic)) &&
                    (is_delayed || rc_props_tags_code(message.props) == entry->tags_code);
    rc_segment_release(segment);
    return is_right;
}

static void check_queue(struct check *check, struct rc_topic *topic, uint32_t id)
{
    struct rc_queue *queue = rc_topic_queue(topic, id);
    struct rc_queue_entry entries[ENTRIES_AT_ONCE];
    struct rc_slice name = rc_topic_name(topic);
    uint64_t offset = rc_queue_min(queue), end = rc_queue_end(queue);
    check->queues++;
    while (offset < end) {
        int count = rc_queue_read(queue, offset, entries, ENTRIES_AT_ONCE);
        if (count <= 0) {
            problem(check, "a queue that cannot be read to its end", RC_SLICE_FMT(name), id, offset);
            return;
        }
        for (int i = 0; i < count; i++, offset++) {
            check->entries++;
            if (!entry_is_right(check, topic, id, offset, &entries[i]))
                problem(check, "a queue entry that leads to no such message", RC_SLICE_FMT(name), id, offset);
        }
    }
}

static void visit_topic(struct rc_topic *topic, void *arg)
{
    struct check *check = arg;
    check->topics++;
    for (uint32_t i = 0; i < rc_topic_queue_count(topic); i++)
        check_queue(check, topic, i);
}

/* ---- the result ---- */

static int report(const struct check *check)
{
    const char *format =
        check->options->json
            ? "{\"sound\":%s,\"messages\":%llu,\"bytes\":%llu,\"topics\":%llu,\"queues\":%llu,"
              "\"entries\":%llu,\"problems\":%llu}\n"
            : "%s: %llu messages, %llu bytes, %llu topics, %llu queues, %llu entries, %llu problems\n";
    const char *verdict =
        check->options->json ? (check->problems ? "false" : "true") : (check->problems ? "DAMAGED" : "sound");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    printf(format, verdict, (unsigned long long)check->messages, (unsigned long long)check->bytes,
           (unsigned long long)check->topics, (unsigned long long)check->queues,
           (unsigned long long)check->entries, (unsigned long long)check->problems);
#pragma GCC diagnostic pop
    return check->problems ? RC_EXIT_FAILURE : RC_EXIT_OK;
}

int rc_store_check_run(int argc, char **argv)
{
    struct check_options options = {0};
    struct check check = {.options = &options};
    int code = rc_cli_parse(&rc_store_check_usage, argc, argv, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    code = rc_store_open_to_read(&rc_store_check_usage, options.dir, &check.store);
    if (code != RC_CLI_GO_ON)
        return code;
    const struct rc_error *damage = rc_store_damage(check.store);
    if (damage != NULL) {
        check.problems++;
        fprintf(stderr, "damaged: %s\n", damage->text);
    }
    int err = rc_store_scan(check.store, 0, visit_message, &check);
    if (err != RC_OK) {
        check.problems++;
        fprintf(stderr, "damaged: the commit log, after %llu messages: %s\n",
                (unsigned long long)check.messages, rc_err_text(err));
    }
    rc_store_each_topic(check.store, visit_topic, &check);
    rc_store_close(check.store);
    return report(&check);
}
