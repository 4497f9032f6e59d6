/*
 * Where a broadcasting consumer is, in a file of its own: JSON, {"topic":"...","offsets":{"broker/0":12}}. It
 * is replaced as a whole, so that a crash leaves the old one or the new one.
 */
#include "base/alloc.h"
#include "client/consumer_private.h"
#include "store/fs.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_MAX = 160, FILE_MAX = 16 * 1024 * 1024 };

static void make_key(const struct rc_consumer_place *place, char key[KEY_MAX])
{
    snprintf(key, KEY_MAX, "%s/%u", place->broker, place->queue_id);
}

/* The directory of the file, open; *ret_name its name there. */
static int open_directory(const char *path, const char **ret_name, int *ret)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash == path ? rc_strdup("/")
                : slash       ? rc_strndup(path, (size_t)(slash - path))
                              : rc_strdup(".");
    *ret_name = slash ? slash + 1 : path;
    int err = rc_fs_open_dir(AT_FDCWD, dir, false, ret);
    free(dir);
    return err;
}

static bool is_sound(const struct rc_consumer *consumer, json_t *root)
{
    const char *topic = json_string_value(json_object_get(root, "topic"));
    return topic != NULL && strcmp(topic, consumer->options.topic) == 0 &&
           json_is_object(json_object_get(root, "offsets"));
}

int rc_consumer_load_offsets(struct rc_consumer *consumer)
{
    const char *name;
    int dir;
    struct rc_buf text;
    if (consumer->options.offset_file == NULL)
        return RC_OK;
    int err = open_directory(consumer->options.offset_file, &name, &dir);
    if (err != RC_OK)
        return err;
    rc_buf_init(&text, FILE_MAX);
    err = rc_fs_read_file(dir, name, &text);
    close(dir);
    if (err == RC_OK) {
        json_t *root = json_loadb((const char *)text.data, rc_buf_len(&text), 0, NULL);
        err = is_sound(consumer, root) ? RC_OK : RC_ERR_CORRUPT;
        consumer->offsets = err == RC_OK ? json_incref(json_object_get(root, "offsets")) : NULL;
        json_decref(root);
    } else if (err == RC_ERR_NOT_FOUND) {
        err = RC_OK;
    }
    rc_buf_free(&text);
    if (err == RC_OK && consumer->offsets == NULL)
        consumer->offsets = json_object();
    return err;
}

int64_t rc_consumer_kept_offset(const struct rc_consumer *consumer, const struct rc_consumer_place *place)
{
    char key[KEY_MAX];
    make_key(place, key);
    json_t *offset = consumer->offsets ? json_object_get(consumer->offsets, key) : NULL;
    return json_is_integer(offset) && json_integer_value(offset) >= 0 ? json_integer_value(offset) : -1;
}

void rc_consumer_keep_offset(struct rc_consumer *consumer, const struct rc_consumer_place *place,
                             uint64_t offset)
{
    char key[KEY_MAX];
    if (consumer->offsets == NULL || rc_consumer_kept_offset(consumer, place) == (int64_t)offset)
        return;
    make_key(place, key);
    json_object_set_new(consumer->offsets, key, json_integer((json_int_t)offset));
    consumer->is_offset_new = true;
}

void rc_consumer_save_offsets(struct rc_consumer *consumer)
{
    const char *name;
    int dir;
    if (!consumer->is_offset_new)
        return;
    json_t *root = json_pack("{s:s, s:O}", "topic", consumer->options.topic, "offsets", consumer->offsets);
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    int err = text ? open_directory(consumer->options.offset_file, &name, &dir) : RC_ERR_INVALID;
    if (err == RC_OK) {
        err = rc_fs_replace_file(dir, name, rc_slice_str(text), false);
        close(dir);
    }
    free(text);
    json_decref(root);
    if (err == RC_OK)
        consumer->is_offset_new = false;
    else
        rc_consumer_tell(consumer, "the offset file cannot be written", rc_err_text(err));
}

void rc_consumer_free_offsets(struct rc_consumer *consumer)
{
    json_decref(consumer->offsets);
    consumer->offsets = NULL;
}
