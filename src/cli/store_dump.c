#include "cli/store_dump.h"

#include "base/hex.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/store_open.h"

#include <stdio.h>
#include <time.h>

enum {
    BODY_SHOWN = 400, /* bytes of a body in a line for people */
    LINE_MAX_BYTES = 4 * RC_MESSAGE_MAX,
};

struct dump_options {
    const char *dir, *topic, *key;
    uint64_t limit, from;
    bool json;
};

struct dump {
    const struct dump_options *options;
    uint64_t shown, left_out;
    struct rc_buf line;
    bool is_cut; /* standard output is closed or full */
};

static const struct rc_cli_option rows[] = {
    {.name = "topic",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct dump_options, topic),
     .value = "TOPIC",
     .help = "only the messages of this topic"},
    {.name = "key",
     .kind = RC_CLI_TEXT,
     .offset = offsetof(struct dump_options, key),
     .value = "KEY",
     .help = "only messages whose KEYS are this: an event's key\nis its client ID"},
    {.name = "from",
     .kind = RC_CLI_COUNT,
     .offset = offsetof(struct dump_options, from),
     .value = "OFFSET",
     .help = "begin at this physical offset, where a record starts"},
    {.name = "limit",
     .kind = RC_CLI_COUNT,
     .offset = offsetof(struct dump_options, limit),
     .value = "N",
     .help = "stop after N messages"},
    {.name = "json",
     .kind = RC_CLI_FLAG,
     .offset = offsetof(struct dump_options, json),
     .help = "one JSON object a line"},
};

const struct rc_cli_usage rc_store_dump_usage = {
    .command = "store dump",
    .synopsis = "DIR [options]",
    .about =
        "Prints the messages in a log directory, in the order in which they were written. Changes nothing.\n",
    .options = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .examples = "  rollcall store dump data/quickstart\n"
                "  rollcall store dump data/quickstart --key GID_quick@@@device001 --json\n",
    .operand = "DIR",
    .operand_offset = offsetof(struct dump_options, dir),
};

static void put_time(struct rc_buf *out, int64_t ms)
{
    char text[40] = "";
    time_t second = (time_t)(ms / 1000);
    struct tm tm;
    if (gmtime_r(&second, &tm) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    rc_buf_printf(out, "%s.%03dZ", text, (int)(ms % 1000));
}

/* Text for a terminal: control characters could do things there. */
static void put_shown(struct rc_buf *out, struct rc_slice text, size_t max)
{
    bool is_utf8 = rc_utf8_is_valid(text);
    size_t len = text.len < max ? text.len : max;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = text.ptr[i];
        bool is_shown = byte >= ' ' && byte != 0x7f && (byte < 0x7f || is_utf8);
        rc_buf_put_u8(out, is_shown ? byte : '?');
    }
    if (len < text.len)
        rc_buf_printf(out, "... (%zu bytes)", text.len);
}

static void put_line(struct rc_buf *out, const struct rc_message *message)
{
    rc_buf_printf(out, "%llu ", (unsigned long long)message->physical_offset);
    put_time(out, message->store_ms);
    rc_buf_put_u8(out, ' ');
    put_shown(out, message->topic, RC_MESSAGE_TOPIC_MAX);
    rc_buf_printf(out, "/%u@%llu", message->queue_id, (unsigned long long)message->queue_offset);
    struct rc_slice tags = rc_props_get(message->props, RC_PROP_TAGS);
    struct rc_slice keys = rc_props_get(message->props, RC_PROP_KEYS);
    rc_buf_put_str(out, " tags=");
    put_shown(out, tags, 128);
    rc_buf_put_str(out, " keys=");
    put_shown(out, keys, 256);
    rc_buf_put_u8(out, ' ');
    put_shown(out, message->body, BODY_SHOWN);
    rc_buf_put_u8(out, '\n');
}

static void put_body(struct rc_json *json, struct rc_slice body)
{
    if (rc_utf8_is_valid(body)) {
        rc_json_put_string(json, "body", body);
        return;
    }
    struct rc_buf hex;
    rc_buf_init(&hex, 2 * RC_MESSAGE_BODY_MAX);
    uint8_t *room = rc_buf_reserve(&hex, 2 * body.len);
    if (room != NULL) {
        rc_hex_lower((char *)room, body.ptr, body.len);
        rc_buf_commit(&hex, 2 * body.len);
    }
    rc_json_put_string(json, "bodyHex", rc_buf_slice(&hex));
    rc_buf_free(&hex);
}

static void put_properties(struct rc_json *json, struct rc_slice props)
{
    size_t at = 0;
    struct rc_slice name, value;
    char key[256];
    rc_json_key(json, "properties");
    rc_json_object_begin(json);
    while (rc_props_next(props, &at, &name, &value)) {
        /* Names are written by whoever sent the message: make them harmless to whoever reads this. */
        rc_json_put_string(json, rc_log_quote(key, sizeof(key), name), value);
    }
    rc_json_object_end(json);
}

static int put_json(struct rc_buf *out, const struct rc_message *message, uint32_t size)
{
    struct rc_json json;
    rc_json_init(&json, out);
    rc_json_object_begin(&json);
    rc_json_put_int(&json, "physicalOffset", (int64_t)message->physical_offset);
    rc_json_put_int(&json, "size", size);
    rc_json_put_string(&json, "topic", message->topic);
    rc_json_put_int(&json, "queueId", message->queue_id);
    rc_json_put_int(&json, "queueOffset", (int64_t)message->queue_offset);
    rc_json_put_int(&json, "bornTimestamp", message->born_ms);
    rc_json_put_int(&json, "storeTimestamp", message->store_ms);
    rc_json_put_int(&json, "sysFlag", message->sys_flag);
    rc_json_put_int(&json, "flag", message->flag);
    rc_json_put_int(&json, "reconsumeTimes", message->reconsume_times);
    put_properties(&json, message->props);
    put_body(&json, message->body);
    rc_json_object_end(&json);
    return json.err != RC_OK ? json.err : rc_buf_put_u8(out, '\n');
}

static bool is_wanted(const struct dump_options *options, const struct rc_message *message)
{
    if (options->topic != NULL && !rc_slice_eq_str(message->topic, options->topic))
        return false;
    return options->key == NULL || rc_slice_eq_str(rc_props_get(message->props, RC_PROP_KEYS), options->key);
}

static bool visit(const struct rc_message *message, uint32_t size, void *arg)
{
    struct dump *dump = arg;
    if (!is_wanted(dump->options, message)) {
        dump->left_out++;
        return true;
    }
    if (dump->options->limit > 0 && dump->shown == dump->options->limit)
        return false;
    dump->shown++;
    if (dump->options->json)
        put_json(&dump->line, message, size);
    else
        put_line(&dump->line, message);
    struct rc_slice line = rc_buf_slice(&dump->line);
    dump->is_cut = fwrite(line.ptr, 1, line.len, stdout) != line.len;
    rc_buf_consume(&dump->line, line.len);
    return !dump->is_cut;
}

static int dump_all(struct rc_store *store, const struct dump_options *options)
{
    struct dump dump = {.options = options};
    rc_buf_init(&dump.line, LINE_MAX_BYTES);
    int err = rc_store_scan(store, options->from, visit, &dump);
    rc_buf_free(&dump.line);
    if (fflush(stdout) != 0 || dump.is_cut)
        return RC_EXIT_FAILURE;
    if (err != RC_OK)
        return rc_cli_fail(rc_store_dump_usage.command, "stopped after %llu messages: %s",
                           (unsigned long long)(dump.shown + dump.left_out), rc_err_text(err));
    return RC_EXIT_OK;
}

int rc_store_dump_run(int argc, char **argv)
{
    struct dump_options options = {0};
    struct rc_store *store;
    int code = rc_cli_parse(&rc_store_dump_usage, argc, argv, &options);
    if (code != RC_CLI_GO_ON)
        return code;
    code = rc_store_open_to_read(&rc_store_dump_usage, options.dir, &store);
    if (code != RC_CLI_GO_ON)
        return code;
    code = dump_all(store, &options);
    const struct rc_error *damage = rc_store_damage(store);
    if (damage != NULL)
        code = rc_cli_fail(rc_store_dump_usage.command, "%s", damage->text);
    rc_store_close(store);
    return code;
}
