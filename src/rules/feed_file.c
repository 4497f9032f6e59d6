/* What is kept of a feed: where it leads, how far it got, and which queues its target had. */
#include "base/json_write.h"
#include "base/log.h"
#include "rules/rules_private.h"
#include "store/fs.h"

#include <jansson.h>
#include <stdio.h>

enum { FILE_MAX = 64 * 1024, NAME_MAX_LEN = RC_MESSAGE_TOPIC_MAX + 8 };

static void put_name(const struct rc_feed *feed, char out[NAME_MAX_LEN])
{
    snprintf(out, NAME_MAX_LEN, "rule-%s", feed->topic);
}

int rc_feed_save(struct rc_feed *feed)
{
    char name[NAME_MAX_LEN];
    struct rc_buf text;
    struct rc_json json;
    uint64_t cursor = feed->cursor;
    rc_buf_init(&text, FILE_MAX);
    rc_json_init(&json, &text);
    rc_json_object_begin(&json);
    rc_json_put_str(&json, "topic", feed->topic);
    rc_json_put_str(&json, "rule", feed->rule);
    rc_json_put_str(&json, "instance", feed->instance);
    rc_json_put_str(&json, "target", feed->target);
    rc_json_put_str(&json, "targetTopic", feed->target_topic);
    rc_json_put_int(&json, "begun", (int64_t)feed->begun);
    rc_json_put_int(&json, "cursor", (int64_t)cursor);
    rc_json_put_int(&json, "dropped", (int64_t)feed->dropped_lost);
    rc_json_put_int(&json, "droppedByOperator", (int64_t)feed->dropped_settled);
    rc_json_put_int(&json, "dropTo", (int64_t)feed->drop_to);
    rc_json_put_bool(&json, "failover", feed->fails_over);
    rc_json_key(&json, "brokers");
    rc_json_array_begin(&json);
    for (uint32_t i = 0; i < feed->layout.count; i++) {
        rc_json_object_begin(&json);
        rc_json_put_str(&json, "name", feed->layout.brokers[i].name);
        rc_json_put_int(&json, "queues", feed->layout.brokers[i].queues);
        rc_json_object_end(&json);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    put_name(feed, name);
    int err = json.err;
    if (err == RC_OK)
        err = rc_slot_file_save(rc_store_own_dir(feed->rules->store), name, &feed->file, rc_buf_slice(&text));
    rc_buf_free(&text);
    if (err == RC_OK)
        atomic_store(&feed->saved_cursor, cursor);
    return err;
}

static bool take_text(json_t *root, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (text == NULL || text[0] == '\0' || strlen(text) >= size)
        return false;
    snprintf(out, size, "%s", text);
    return true;
}

static bool take_number(json_t *root, const char *key, uint64_t *ret)
{
    json_t *value = json_object_get(root, key);
    *ret = (uint64_t)json_integer_value(value);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

static bool take_brokers(json_t *list, struct rc_layout *layout)
{
    json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        uint64_t queues;
        struct rc_layout_broker *broker = &layout->brokers[layout->count];
        if (layout->count == RC_FEED_BROKERS_MAX || !take_number(item, "queues", &queues) || queues == 0 ||
            queues > RC_FEED_QUEUES_MAX - layout->queues ||
            !take_text(item, "name", broker->name, sizeof(broker->name)))
            return false;
        broker->queues = (uint32_t)queues;
        layout->queues += broker->queues;
        layout->count++;
    }
    return json_is_array(list);
}

static int parse(struct rc_feed *feed, struct rc_slice text)
{
    json_t *root = json_loadb((const char *)text.ptr, text.len, 0, NULL);
    take_number(root, "begun", &feed->begun); /* an older version's file: 0 */
    bool is_good = take_text(root, "topic", feed->topic, sizeof(feed->topic)) &&
                   take_text(root, "rule", feed->rule, sizeof(feed->rule)) &&
                   take_text(root, "instance", feed->instance, sizeof(feed->instance)) &&
                   take_text(root, "target", feed->target, sizeof(feed->target)) &&
                   take_text(root, "targetTopic", feed->target_topic, sizeof(feed->target_topic)) &&
                   take_number(root, "cursor", &feed->cursor) && feed->cursor >= feed->begun &&
                   take_number(root, "dropped", &feed->dropped_lost) &&
                   (json_object_get(root, "dropTo") == NULL || /* an older version's file */
                    (take_number(root, "droppedByOperator", &feed->dropped_settled) &&
                     take_number(root, "dropTo", &feed->drop_to))) &&
                   take_brokers(json_object_get(root, "brokers"), &feed->layout);
    feed->fails_over = json_is_true(json_object_get(root, "failover")); /* an older version's file: no */
    json_decref(root);
    feed->dropped_by_operator = feed->dropped_settled;
    atomic_store(&feed->saved_cursor, feed->cursor);
    return is_good ? RC_OK : RC_ERR_CORRUPT;
}

/* Of an older version: the text alone. What is saved next makes it one of this. */
static int load_text(struct rc_feed *feed, const char *name, struct rc_buf *text)
{
    int err = rc_fs_read_file(rc_store_own_dir(feed->rules->store), name, text);
    return err == RC_ERR_FULL ? RC_ERR_CORRUPT : err;
}

int rc_feed_load(struct rc_feed *feed, const char *name)
{
    struct rc_buf text;
    rc_buf_init(&text, FILE_MAX);
    int err = rc_slot_file_load(rc_store_own_dir(feed->rules->store), name, &text, &feed->file);
    if (err == RC_ERR_CORRUPT)
        err = load_text(feed, name, &text);
    feed->is_dirty = feed->file.slot_bytes == 0;
    err = err ? err : parse(feed, rc_buf_slice(&text));
    rc_buf_free(&text);
    return err;
}

int rc_feed_remove_file(struct rc_feed *feed)
{
    char name[NAME_MAX_LEN];
    put_name(feed, name);
    return rc_fs_remove_file(rc_store_own_dir(feed->rules->store), name);
}
