/*
 * Three forms of one table: {"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:7,...}}, which is no
 * JSON, for its keys are objects; the same with each key in quotes; and a list of objects with an "offset",
 * which brokers write where an administrator's tool in C++ asked for it.
 */
#include "client/reset_body.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static void tell(const json_t *queue, const json_t *offset, rc_reset_item_fn visit, void *arg)
{
    const json_t *id = json_object_get(queue, "queueId");
    struct rc_reset_item item = {.topic = json_string_value(json_object_get(queue, "topic")),
                                 .broker = json_string_value(json_object_get(queue, "brokerName"))};
    json_int_t number = json_integer_value(id), to = json_integer_value(offset);
    if (item.topic == NULL || item.broker == NULL || !json_is_integer(id) || number < 0 ||
        number > UINT16_MAX || !json_is_integer(offset) || to < 0)
        return;
    item.queue_id = (uint32_t)number;
    item.offset = (uint64_t)to;
    visit(&item, arg);
}

/* ---- what is JSON ---- */

static void read_json(json_t *table, rc_reset_item_fn visit, void *arg)
{
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(table, i, value) tell(value, json_object_get(value, "offset"), visit, arg);
    json_object_foreach(table, key, value)
    {
        json_t *queue = json_loads(key, 0, NULL);
        tell(queue, value, visit, arg);
        json_decref(queue);
    }
}

/* ---- what is not ---- */

static struct rc_slice skip_blanks(struct rc_slice text)
{
    while (text.len > 0 && isspace(text.ptr[0]))
        text = rc_slice_from(text, 1);
    return text;
}

/* Takes that character; false when another one is there. */
static bool take(struct rc_slice *text, char wanted)
{
    *text = skip_blanks(*text);
    if (text->len == 0 || text->ptr[0] != (uint8_t)wanted)
        return false;
    *text = rc_slice_from(*text, 1);
    return true;
}

/* One value in JSON; NULL when there is none. */
static json_t *take_value(struct rc_slice *text)
{
    json_error_t end;
    json_t *value =
        json_loadb((const char *)text->ptr, text->len, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &end);
    if (value != NULL)
        *text = rc_slice_from(*text, (size_t)end.position);
    return value;
}

/* Behind the brace that opens the table. */
static void read_java(struct rc_slice text, rc_reset_item_fn visit, void *arg)
{
    bool has_more = true;
    while (has_more) {
        json_t *queue = take_value(&text), *offset = NULL;
        if (queue != NULL && take(&text, ':'))
            offset = take_value(&text);
        tell(queue, offset, visit, arg);
        has_more = offset != NULL && take(&text, ',');
        json_decref(queue);
        json_decref(offset);
    }
}

void rc_reset_body_read(struct rc_slice body, rc_reset_item_fn visit, void *arg)
{
    static const char name[] = "\"offsetTable\"";
    json_t *root = json_loadb((const char *)body.ptr, body.len, 0, NULL);
    const uint8_t *found =
        root == NULL && body.len > 0 ? memmem(body.ptr, body.len, name, sizeof(name) - 1) : NULL;
    read_json(json_object_get(root, "offsetTable"), visit, arg);
    json_decref(root);
    if (found == NULL)
        return;
    struct rc_slice rest = rc_slice_from(body, (size_t)(found - body.ptr) + sizeof(name) - 1);
    if (take(&rest, ':') && take(&rest, '{'))
        read_java(rest, visit, arg);
}
