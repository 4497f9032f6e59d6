#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slice.h"
#include "rocketmq/owners.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir_path[64];
static int dir;

static int set_up(void **state)
{
    snprintf(dir_path, sizeof(dir_path), "/tmp/rc-owners-XXXXXX");
    assert_non_null(mkdtemp(dir_path));
    dir = open(dir_path, O_RDONLY | O_DIRECTORY);
    assert_true(dir != -1);
    return 0;
}

static int tear_down(void **state)
{
    unlinkat(dir, "owners", 0);
    close(dir);
    return rmdir(dir_path);
}

static struct rc_owners *open_owners(void)
{
    struct rc_owners *owners = NULL;
    struct rc_error error = {.text = ""};
    assert_int_equal(rc_owners_open(dir, &owners, &error), RC_OK);
    return owners;
}

static const char *owner_of(struct rc_owners *owners, enum rc_owned kind, const char *name)
{
    static char instance[RC_CATALOG_ID_MAX + 1];
    return rc_owners_find(owners, kind, rc_slice_str(name), instance) ? instance : "nobody";
}

static void claim(struct rc_owners *owners, enum rc_owned kind, const char *name, const char *instance,
                  int want)
{
    assert_int_equal(rc_owners_claim(owners, kind, rc_slice_str(name), rc_slice_str(instance), NULL), want);
}

static void count(struct rc_slice name, void *arg)
{
    ++*(int *)arg;
}

static void test_what_was_claimed_is_known_after_a_restart(void **state)
{
    struct rc_owners *owners = open_owners();
    int many = 0;
    claim(owners, RC_OWNED_TOPIC, "T", "one", RC_OK);
    claim(owners, RC_OWNED_GROUP, "T", "two", RC_OK); /* topics and groups are apart */
    claim(owners, RC_OWNED_TOPIC, "U", "one", RC_OK);
    claim(owners, RC_OWNED_TOPIC, "U", "two", RC_ERR_DENIED);
    assert_int_equal(rc_owners_claim(owners, RC_OWNED_TOPIC, rc_slice_str("U"), rc_slice_str("two"), "three"),
                     RC_ERR_DENIED);
    assert_int_equal(rc_owners_claim(owners, RC_OWNED_TOPIC, rc_slice_str("U"), rc_slice_str("two"), "one"),
                     RC_OK); /* its owner was deleted */
    claim(owners, RC_OWNED_TOPIC, "V", "one", RC_OK);
    rc_owners_drop(owners, RC_OWNED_TOPIC, rc_slice_str("V"));
    for (int restarts = 0; restarts < 3; restarts++) {
        assert_string_equal(owner_of(owners, RC_OWNED_TOPIC, "T"), "one");
        assert_string_equal(owner_of(owners, RC_OWNED_GROUP, "T"), "two");
        assert_string_equal(owner_of(owners, RC_OWNED_TOPIC, "U"), "two");
        assert_string_equal(owner_of(owners, RC_OWNED_TOPIC, "V"), "nobody");
        rc_owners_close(owners);
        owners = open_owners();
    }
    rc_owners_each(owners, RC_OWNED_TOPIC, rc_slice_str("one"), count, &many);
    assert_int_equal(many, 1);
    rc_owners_close(owners);
}

static void test_names_that_would_break_the_file_are_refused(void **state)
{
    static const char *const names[] = {"", "a b", "a\nt T two", "\x7f", "\xc3\xa4"};
    struct rc_owners *owners = open_owners();
    char longest[RC_OWNERS_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        claim(owners, RC_OWNED_TOPIC, names[i], "one", RC_ERR_INVALID);
    claim(owners, RC_OWNED_TOPIC, "T", "an instance", RC_ERR_INVALID);
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    claim(owners, RC_OWNED_TOPIC, longest, "one", RC_ERR_INVALID);
    longest[sizeof(longest) - 2] = '\0';
    claim(owners, RC_OWNED_TOPIC, longest, "one", RC_OK);
    rc_owners_close(owners);
}

static void test_a_damaged_file_costs_the_damaged_lines_alone(void **state)
{
    static const char text[] = "t T one\nnonsense\nx T two\nt  one\nt T\ng G one\nt U o%e\n\ng H two";
    int fd = openat(dir, "owners", O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    close(fd);
    struct rc_owners *owners = open_owners();
    assert_string_equal(owner_of(owners, RC_OWNED_TOPIC, "T"), "one");
    assert_string_equal(owner_of(owners, RC_OWNED_GROUP, "G"), "one");
    assert_string_equal(owner_of(owners, RC_OWNED_GROUP, "H"), "nobody"); /* the last line was cut */
    assert_string_equal(owner_of(owners, RC_OWNED_TOPIC, "U"), "nobody");
    rc_owners_close(owners);
}

static void test_one_instance_takes_no_more_than_its_share(void **state)
{
    struct rc_owners *owners = open_owners();
    char name[16];
    for (int i = 0; i < RC_OWNERS_EACH_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        claim(owners, i % 2 ? RC_OWNED_TOPIC : RC_OWNED_GROUP, name, "one", RC_OK);
    }
    for (int restarts = 0; restarts < 2; restarts++) {
        claim(owners, RC_OWNED_TOPIC, "more", "one", RC_ERR_FULL);
        claim(owners, RC_OWNED_TOPIC, "n1", "one", RC_OK); /* it has that */
        rc_owners_close(owners);
        owners = open_owners();
    }
    claim(owners, RC_OWNED_TOPIC, "more", "two", RC_OK);
    rc_owners_drop(owners, RC_OWNED_GROUP, rc_slice_str("n0"));
    claim(owners, RC_OWNED_TOPIC, "again", "one", RC_OK);
    rc_owners_close(owners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_claimed_is_known_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_that_would_break_the_file_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_instance_takes_no_more_than_its_share, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_costs_the_damaged_lines_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
