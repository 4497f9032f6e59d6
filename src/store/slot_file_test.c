/* What is saved in place must be there after every kind of end, or what was saved before it. */
#include "store/test_store.h"

#include "store/slot_file.h"

#include "base/buf.h"
#include "store/fs.h"

#include <signal.h>
#include <sys/wait.h>

#define NAME "how-far"

struct world {
    struct test_dir dir;
    int fd;
    struct rc_slot_file file;
};

static int set_up(void **state)
{
    struct world *world = rc_new(struct world);
    test_dir_make(&world->dir);
    assert_int_equal(rc_fs_open_dir(AT_FDCWD, world->dir.path, false, &world->fd), RC_OK);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    close(world->fd);
    test_dir_remove(&world->dir);
    free(world);
    return 0;
}

static void save(struct world *world, const char *text)
{
    assert_int_equal(rc_slot_file_save(world->fd, NAME, &world->file, rc_slice_str(text)), RC_OK);
}

static void assert_holds(struct world *world, const char *text)
{
    struct rc_buf out;
    rc_buf_init(&out, RC_SLOT_CONTENT_MAX);
    assert_int_equal(rc_slot_file_load(world->fd, NAME, &out, &world->file), RC_OK);
    assert_true(rc_slice_eq_str(rc_buf_slice(&out), text));
    rc_buf_free(&out);
}

static void what_was_saved_last_is_there(void **state)
{
    struct world *world = *state;
    struct rc_buf out;
    rc_buf_init(&out, 64);
    assert_int_equal(rc_slot_file_load(world->fd, NAME, &out, &world->file), RC_ERR_NOT_FOUND);
    save(world, "one");
    assert_holds(world, "one");
    save(world, "two");
    assert_holds(world, "two");
    save(world, "three");
    save(world, "");
    assert_holds(world, "");
    unlinkat(world->fd, NAME, 0);
    save(world, "four");
    assert_holds(world, "four");
    rc_buf_free(&out);
}

static void saving_makes_no_file_and_takes_no_block(void **state)
{
    struct world *world = *state;
    struct stat before, after;
    save(world, "one");
    assert_int_equal(fstatat(world->fd, NAME, &before, 0), 0);
    assert_int_equal(mkdirat(world->fd, NAME ".tmp", 0700), 0); /* nothing can be put beside it */
    for (int i = 0; i < 5; i++)
        save(world, i % 2 == 0 ? "a longer text than the first one" : "two");
    assert_int_equal(fstatat(world->fd, NAME, &after, 0), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_blocks, before.st_blocks);
    assert_true((uint64_t)before.st_blocks * 512 >= (uint64_t)before.st_size);
    assert_holds(world, "a longer text than the first one");
}

static void what_outgrows_its_slot_gets_a_larger_file(void **state)
{
    struct world *world = *state;
    static char text[100000];
    memset(text, 'x', sizeof(text) - 1);
    save(world, "one");
    uint32_t small = world->file.slot_bytes;
    save(world, text);
    assert_true(world->file.slot_bytes > small);
    assert_holds(world, text);
    save(world, "two");
    assert_holds(world, "two");
    struct rc_slice too_much = {rc_calloc(1, RC_SLOT_CONTENT_MAX + 1), RC_SLOT_CONTENT_MAX + 1};
    assert_int_equal(rc_slot_file_save(world->fd, NAME, &world->file, too_much), RC_ERR_TOO_LARGE);
    assert_holds(world, "two");
    free((void *)(uintptr_t)too_much.ptr);
}

/* Whatever part of a write had reached the disk when the power went. */
static void a_torn_write_leaves_what_was_saved_before(void **state)
{
    struct world *world = *state;
    struct rc_buf old, new;
    rc_buf_init(&old, 1 << 20);
    rc_buf_init(&new, 1 << 20);
    save(world, "first");
    save(world, "what was saved before");
    assert_int_equal(rc_fs_read_file(world->fd, NAME, &old), RC_OK);
    save(world, "and what came after it");
    assert_int_equal(rc_fs_read_file(world->fd, NAME, &new), RC_OK);
    size_t len = rc_buf_len(&old), kept = 0;
    uint8_t *torn = rc_malloc(len);
    for (size_t cut = 0; cut <= 200; cut++)
        for (int is_tail = 0; is_tail < 2; is_tail++) {
            struct rc_slice content, whole = rc_buf_slice(&new), before = rc_buf_slice(&old);
            struct rc_slot_file file;
            memcpy(torn, is_tail ? whole.ptr : before.ptr, len);
            memcpy(torn, is_tail ? before.ptr : whole.ptr, cut);
            assert_int_equal(rc_slot_file_parse(rc_slice(torn, len), &content, &file), RC_OK);
            bool is_new = rc_slice_eq_str(content, "and what came after it");
            assert_true(is_new || rc_slice_eq_str(content, "what was saved before"));
            assert_int_equal(file.sequence, is_new ? 4 : 3);
            kept += !is_new;
        }
    assert_true(kept > 50);
    free(torn);
    rc_buf_free(&old);
    rc_buf_free(&new);
}

static void what_is_no_such_file_or_damaged_is_said_to_be(void **state)
{
    struct world *world = *state;
    struct rc_buf out;
    struct rc_slot_file file;
    uint8_t zero = 0;
    rc_buf_init(&out, 1024);
    assert_int_equal(rc_fs_replace_file(world->fd, NAME, rc_slice_str("{\"cursor\":1}"), false), RC_OK);
    assert_int_equal(rc_slot_file_load(world->fd, NAME, &out, &file), RC_ERR_CORRUPT);
    unlinkat(world->fd, NAME, 0);
    save(world, "one");
    int fd = openat(world->fd, NAME, O_WRONLY);
    assert_int_equal(rc_fs_write(fd, &zero, 1, RC_SLOT_HEADER_LEN + 1), RC_OK); /* "o", a zero, "e" */
    close(fd);
    assert_int_equal(rc_slot_file_load(world->fd, NAME, &out, &file), RC_ERR_CORRUPT);
    assert_int_equal(rc_buf_len(&out), 0);
    rc_buf_free(&out);
}

static void save_for_ever(struct world *world, int told)
{
    char text[64];
    for (uint64_t i = 0;; i++) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)i);
        if (rc_slot_file_save(world->fd, NAME, &world->file, rc_slice_str(text)) != RC_OK ||
            write(told, &i, sizeof(i)) != sizeof(i))
            _exit(1);
    }
}

static void a_process_that_is_killed_has_saved_what_it_said(void **state)
{
    struct world *world = *state;
    for (int round = 0; round < 20; round++) {
        int told[2];
        uint64_t last = 0, one;
        struct rc_buf out;
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        if (child == 0)
            save_for_ever(world, told[1]);
        close(told[1]);
        for (int i = 0; i < 10 + round * 7; i++)
            assert_int_equal(read(told[0], &last, sizeof(last)), sizeof(last));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(told[0], &one, sizeof(one)) == sizeof(one))
            last = one;
        close(told[0]);
        rc_buf_init(&out, 64);
        assert_int_equal(rc_slot_file_load(world->fd, NAME, &out, &world->file), RC_OK);
        assert_int_equal(rc_buf_put(&out, "", 1), RC_OK);
        uint64_t saved = strtoull((const char *)rc_buf_slice(&out).ptr, NULL, 10);
        assert_in_range(saved, last, last + 1);
        rc_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_last_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(saving_makes_no_file_and_takes_no_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_outgrows_its_slot_gets_a_larger_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_write_leaves_what_was_saved_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_such_file_or_damaged_is_said_to_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_that_is_killed_has_saved_what_it_said, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
