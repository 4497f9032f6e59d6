/* For the tests of this room: a store in a directory of its own, and messages to put there. */
#ifndef RC_STORE_TEST_STORE_H
#define RC_STORE_TEST_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/message.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST_TOPIC "GID_test_MQTT"

struct test_dir {
    char path[128];
    struct rc_store_options options;
};

static inline void test_dir_make(struct test_dir *dir)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir->path, sizeof(dir->path), "%s/rc-store-XXXXXX", tmp && strlen(tmp) < 90 ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir->path));
    rc_store_options_default(&dir->options);
    dir->options.dir = dir->path;
    dir->options.segment_bytes = 64 * 1024;
    dir->options.queue_file_entries = 100;
    dir->options.flush_interval_ms = 20;
}

static inline int test_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static inline void test_dir_remove(struct test_dir *dir)
{
    nftw(dir->path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int test_open_err(struct test_dir *dir, struct rc_error *error)
{
    struct rc_store *store;
    error->text[0] = '\0';
    int err = rc_store_open(&dir->options, &store, error);
    if (err == RC_OK)
        rc_store_close(store);
    return err;
}

static inline struct rc_store *test_open(struct test_dir *dir)
{
    struct rc_store *store = NULL;
    struct rc_error error = {.text = ""};
    int err = rc_store_open(&dir->options, &store, &error);
    if (err != RC_OK)
        fail_msg("open: %s: %s", rc_err_text(err), error.text);
    return store;
}

static inline struct rc_topic *test_topic(struct rc_store *store, const char *name, uint32_t queues)
{
    struct rc_topic *topic = NULL;
    struct rc_error error = {.text = ""};
    if (rc_store_create_topic(store, rc_slice_str(name), queues, RC_PERM_READ_WRITE, &topic, &error) != RC_OK)
        fail_msg("create topic: %s", error.text);
    return topic;
}

/* Encodes a message with `body` for the queue. */
static inline void test_encode(struct rc_buf *out, struct rc_queue *queue, struct rc_slice body)
{
    struct rc_message message = {
        .queue_id = rc_queue_id(queue),
        .topic = rc_topic_name(rc_queue_topic(queue)),
        .body = body,
        .born_ms = 1700000000000,
        .born_host = {.addr = {127, 0, 0, 1}, .port = 1},
        .store_host = {.addr = {127, 0, 0, 1}, .port = 9876},
        .props = rc_slice_str("TAGS\1connect\2KEYS\1d1\2"),
    };
    assert_int_equal(rc_message_encode(out, &message), RC_OK);
}

static inline int test_append_err(struct rc_store *store, struct rc_queue *queue, struct rc_slice body,
                                  struct rc_append *ret)
{
    struct rc_buf buf;
    rc_buf_init(&buf, RC_MESSAGE_MAX);
    test_encode(&buf, queue, body);
    *ret = (struct rc_append){
        .queue = queue, .record = buf.data, .len = (uint32_t)rc_buf_len(&buf), .tags_code = 951351530};
    int err = rc_store_append(store, ret, 1);
    rc_buf_free(&buf);
    return err;
}

static inline struct rc_append test_append(struct rc_store *store, struct rc_queue *queue, const char *body)
{
    struct rc_append append;
    assert_int_equal(test_append_err(store, queue, rc_slice_str(body), &append), RC_OK);
    return append;
}

/* Every message of the queue, from its min on, must be "<prefix><queue offset>"; returns how many there are.
 */
static inline uint64_t test_check_queue(struct rc_store *store, struct rc_queue *queue, const char *prefix)
{
    uint64_t offset = rc_queue_min(queue), end = rc_queue_end(queue);
    for (; offset < end; offset++) {
        struct rc_queue_entry entry;
        struct rc_slice record;
        struct rc_segment *segment;
        struct rc_message message;
        char want[64];
        assert_int_equal(rc_queue_read(queue, offset, &entry, 1), 1);
        assert_int_equal(rc_store_view(store, entry.physical_offset, entry.size, &record, &segment), RC_OK);
        assert_int_equal(rc_message_decode(record, true, &message), entry.size);
        assert_int_equal(message.physical_offset, entry.physical_offset);
        assert_int_equal(message.queue_offset, offset);
        assert_int_equal(entry.tags_code, 951351530);
        snprintf(want, sizeof(want), "%s%llu", prefix, (unsigned long long)offset);
        assert_true(message.body.len >= strlen(want) && memcmp(message.body.ptr, want, strlen(want)) == 0);
        rc_segment_release(segment);
    }
    return end - rc_queue_min(queue);
}

static inline bool test_exists(struct test_dir *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    return access(path, F_OK) == 0;
}

static inline int test_open_file(struct test_dir *dir, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    int fd = open(path, O_RDWR | O_CREAT, 0640);
    assert_true(fd >= 0);
    return fd;
}

#endif
