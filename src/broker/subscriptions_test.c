#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "broker/subscriptions.h"
#include "mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLACES = 60, STEPS = 20000 };

static const char *const instances[] = {"one", "other"};
static const char *const levels[] = {"a", "b", "", "$SYS", "longer-than-a-word"};

struct placed {
    struct rc_subscription *subscription; /* NULL: none */
    const char *instance;
};

static struct placed places[PLACES];
static unsigned seen[PLACES], visits;

/* A name, or with `wildcards` a filter. */
static void make_text(char *out, size_t cap, bool wildcards)
{
    size_t len = 0;
    int count = 1 + rand() % 3;
    for (int i = 0; i < count; i++) {
        int kind = wildcards ? rand() % 7 : rand() % 5;
        const char *level = kind < 5 ? levels[kind] : kind == 5 || i + 1 < count ? "+" : "#";
        len += (size_t)snprintf(out + len, cap - len, "%s%s", i > 0 ? "/" : "", level);
    }
    if (len == 0)
        snprintf(out, cap, "a");
}

static void add(struct rc_subscriptions *tree, uint32_t place)
{
    char filter[128];
    make_text(filter, sizeof(filter), true);
    size_t len = strlen(filter);
    struct rc_subscription *subscription = rc_calloc(1, sizeof(*subscription) + len);
    memcpy(subscription->filter, filter, len);
    subscription->filter_len = (uint16_t)len;
    subscription->number = place;
    places[place] = (struct placed){subscription, instances[rand() % 2]};
    rc_subscriptions_add(tree, rc_slice_str(places[place].instance), subscription);
}

static void remove_one(struct rc_subscriptions *tree, uint32_t place)
{
    rc_subscriptions_remove(tree, places[place].subscription);
    free(places[place].subscription);
    places[place].subscription = NULL;
}

static void on_match(struct rc_subscription *subscription, void *arg)
{
    seen[subscription->number]++;
    visits++;
}

/* Twice: the second answer may be a remembered one. */
static void check(struct rc_subscriptions *tree, const char *name)
{
    for (int i = 0; i < 4; i++) {
        struct rc_slice instance = rc_slice_str(instances[i % 2]);
        unsigned wanted = 0;
        memset(seen, 0, sizeof(seen));
        visits = 0;
        rc_subscriptions_match(tree, instance, rc_slice_str(name), on_match, NULL);
        for (uint32_t p = 0; p < PLACES; p++) {
            struct rc_subscription *one = places[p].subscription;
            bool is_wanted = one != NULL && rc_slice_eq_str(instance, places[p].instance) &&
                             rc_topic_matches(rc_slice(one->filter, one->filter_len), rc_slice_str(name));
            assert_int_equal(seen[p], is_wanted);
            wanted += is_wanted;
        }
        assert_int_equal(visits, wanted);
    }
}

static void test_matches_are_those_of_the_moment_whatever_was_remembered(void **state)
{
    struct rc_subscriptions tree;
    char name[128];
    srand(1);
    rc_subscriptions_init(&tree);
    for (int i = 0; i < STEPS; i++) {
        uint32_t place = (uint32_t)rand() % PLACES;
        if (rand() % 3 == 0 && places[place].subscription == NULL)
            add(&tree, place);
        else if (rand() % 3 == 0 && places[place].subscription != NULL)
            remove_one(&tree, place);
        make_text(name, sizeof(name), false);
        check(&tree, name);
    }
    for (uint32_t place = 0; place < PLACES; place++)
        if (places[place].subscription != NULL)
            remove_one(&tree, place);
    rc_subscriptions_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches_are_those_of_the_moment_whatever_was_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
