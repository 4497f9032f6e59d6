#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/trie.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

struct thing {
    struct rc_trie_item item;
    char key[16];
    int value;
};

static atomic_int alive;

static struct rc_slice thing_key(const void *item)
{
    return rc_slice_str(((const struct thing *)item)->key);
}

static void thing_free(void *item)
{
    atomic_fetch_sub(&alive, 1);
    free(item);
}

static struct thing *thing(int number, int value)
{
    struct thing *one = rc_new(struct thing);
    rc_trie_item_init(one);
    snprintf(one->key, sizeof(one->key), "k%d", number);
    one->value = value;
    atomic_fetch_add(&alive, 1);
    return one;
}

static void *thing_copy(const void *item)
{
    const struct thing *from = item;
    struct thing *one = thing(0, from->value);
    memcpy(one->key, from->key, sizeof(one->key));
    return one;
}

/* 16 hashes for all keys: what is rare otherwise happens all the time. */
static uint64_t bad_hash(struct rc_slice key)
{
    return rc_hash(key) & 0xf;
}

static const struct rc_trie_type good = {thing_key, thing_free, thing_copy, NULL};
static const struct rc_trie_type bad = {thing_key, thing_free, thing_copy, bad_hash};

static int value_of(const struct rc_trie *trie, int number)
{
    char key[16];
    snprintf(key, sizeof(key), "k%d", number);
    const struct thing *one = rc_trie_find(trie, rc_slice_str(key));
    return one != NULL ? one->value : -1;
}

static bool drop(struct rc_trie *trie, int number)
{
    char key[16];
    snprintf(key, sizeof(key), "k%d", number);
    return rc_trie_remove(trie, rc_slice_str(key));
}

static uint32_t walked(const struct rc_trie *trie)
{
    struct rc_trie_walk walk;
    uint32_t count = 0;
    rc_trie_walk_start(&walk, trie);
    while (rc_trie_walk_next(&walk) != NULL)
        count++;
    return count;
}

/* ---- tests: run with a good hash and with a bad one ---- */

static void test_finds_what_was_put_and_nothing_that_was_removed(void **state)
{
    enum { COUNT = 3000 };
    struct rc_trie trie;
    rc_trie_init(&trie, *state);
    assert_int_equal(value_of(&trie, 1), -1);
    for (int i = 0; i < COUNT; i++)
        rc_trie_put(&trie, thing(i, i));
    assert_int_equal(trie.count, COUNT);
    assert_int_equal(walked(&trie), COUNT);
    for (int i = 0; i < COUNT; i += 2)
        assert_true(drop(&trie, i));
    assert_false(drop(&trie, 0));
    assert_int_equal(trie.count, COUNT / 2);
    assert_int_equal(walked(&trie), COUNT / 2);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(value_of(&trie, i), i % 2 ? i : -1);
    for (int i = 1; i < COUNT; i += 2)
        assert_true(drop(&trie, i));
    assert_int_equal(trie.count, 0);
    assert_null(trie.root);
    assert_int_equal(atomic_load(&alive), 0);
}

static void test_an_item_of_the_same_key_is_replaced(void **state)
{
    struct rc_trie trie;
    rc_trie_init(&trie, *state);
    for (int i = 0; i < 100; i++)
        rc_trie_put(&trie, thing(i, i));
    for (int i = 0; i < 100; i++)
        rc_trie_put(&trie, thing(i, -i - 2));
    assert_int_equal(trie.count, 100);
    assert_int_equal(atomic_load(&alive), 100);
    assert_int_equal(value_of(&trie, 7), -9);
    rc_trie_free(&trie);
    assert_int_equal(atomic_load(&alive), 0);
}

static void test_a_copy_does_not_change_when_the_other_does(void **state)
{
    enum { COUNT = 500 };
    struct rc_trie old, new;
    rc_trie_init(&old, *state);
    for (int i = 0; i < COUNT; i++)
        rc_trie_put(&old, thing(i, i));
    rc_trie_share(&new, &old);
    for (int i = 0; i < COUNT; i += 3)
        assert_true(drop(&new, i));
    for (int i = 1; i < COUNT; i += 3)
        rc_trie_put(&new, thing(i, 1000000));
    for (int i = COUNT; i < 2 * COUNT; i++)
        rc_trie_put(&new, thing(i, i));
    for (int i = 0; i < 2 * COUNT; i++) {
        assert_int_equal(value_of(&old, i), i < COUNT ? i : -1);
        assert_int_equal(value_of(&new, i), i >= COUNT ? i : i % 3 == 0 ? -1 : i % 3 == 1 ? 1000000 : i);
    }
    rc_trie_free(&old);
    assert_int_equal(value_of(&new, 2), 2);
    rc_trie_free(&new);
    assert_int_equal(atomic_load(&alive), 0);
}

static void test_editing_copies_what_is_shared_and_nothing_else(void **state)
{
    struct rc_trie old, new;
    rc_trie_init(&old, *state);
    for (int i = 0; i < 100; i++)
        rc_trie_put(&old, thing(i, i));
    struct thing *mine = rc_trie_edit(&old, rc_slice_str("k5"));
    assert_ptr_equal(mine, rc_trie_find(&old, rc_slice_str("k5")));
    assert_int_equal(atomic_load(&alive), 100);
    rc_trie_share(&new, &old);
    struct thing *other = rc_trie_edit(&new, rc_slice_str("k5"));
    assert_ptr_not_equal(mine, other);
    other->value = 55;
    assert_int_equal(atomic_load(&alive), 101);
    assert_ptr_equal(rc_trie_edit(&new, rc_slice_str("k5")), other);
    assert_int_equal(value_of(&old, 5), 5);
    assert_int_equal(value_of(&new, 5), 55);
    assert_null(rc_trie_edit(&new, rc_slice_str("nobody")));
    rc_trie_free(&old);
    rc_trie_free(&new);
    assert_int_equal(atomic_load(&alive), 0);
}

/* ---- readers that drop their copies on other threads ---- */

enum { READERS = 2, ROUNDS = 300, ITEMS = 200 };

struct slot {
    struct rc_trie trie;
    atomic_bool is_full;
};

static void *read_and_drop(void *arg)
{
    struct slot *slot = arg;
    for (int round = 0; round < ROUNDS; round++) {
        while (!atomic_load_explicit(&slot->is_full, memory_order_acquire))
            sched_yield();
        int first = value_of(&slot->trie, 0);
        for (int i = 0; i < ITEMS; i += 37)
            assert_int_equal(value_of(&slot->trie, i), first);
        rc_trie_free(&slot->trie);
        atomic_store_explicit(&slot->is_full, false, memory_order_release);
    }
    return NULL;
}

static void test_readers_on_other_threads_see_whole_copies(void **state)
{
    struct slot slots[READERS];
    pthread_t threads[READERS];
    struct rc_trie trie;
    rc_trie_init(&trie, *state);
    for (int i = 0; i < READERS; i++) {
        rc_trie_init(&slots[i].trie, *state);
        atomic_init(&slots[i].is_full, false);
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_drop, &slots[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < ITEMS; i++)
            if (i % 37 == 0)
                rc_trie_put(&trie, thing(i, round));
        for (int i = 0; i < READERS; i++) {
            while (atomic_load_explicit(&slots[i].is_full, memory_order_acquire))
                sched_yield();
            rc_trie_share(&slots[i].trie, &trie);
            atomic_store_explicit(&slots[i].is_full, true, memory_order_release);
        }
    }
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    rc_trie_free(&trie);
    assert_int_equal(atomic_load(&alive), 0);
}

#define BOTH(test)                                                                                           \
    cmocka_unit_test_prestate(test, (void *)(uintptr_t)&good),                                               \
        cmocka_unit_test_prestate(test, (void *)(uintptr_t)&bad)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_finds_what_was_put_and_nothing_that_was_removed),
        BOTH(test_an_item_of_the_same_key_is_replaced),
        BOTH(test_a_copy_does_not_change_when_the_other_does),
        BOTH(test_editing_copies_what_is_shared_and_nothing_else),
        cmocka_unit_test_prestate(test_readers_on_other_threads_see_whole_copies, (void *)(uintptr_t)&good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
