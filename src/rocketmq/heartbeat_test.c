/* Heartbeats' bodies and tag expressions, as clients send them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/error.h"
#include "rocketmq/batch.h"
#include "rocketmq/heartbeat.h"
#include "rocketmq/tag_filter.h"

#include <stdio.h>
#include <stdlib.h>

static void test_a_heartbeat_of_ons_client_is_read(void **state)
{
    struct rc_heartbeat heartbeat;
    struct rc_heartbeat_consumer consumer;
    struct rc_heartbeat_subscription subscription;
    size_t at = 0, inner = 0;
    const char *body =
        "{\"clientID\":\"10.0.0.1@4711#99\",\"producerDataSet\":[{\"groupName\":\"p\"}],\"consumerDataSet\":["
        "{"
        "\"groupName\":\"g\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
        "\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"subscriptionDataSet\":[{\"classFilterMode\":"
        "false,"
        "\"topic\":\"T\",\"subString\":\"TagA || TagB\",\"tagsSet\":[\"TagA\",\"TagB\"],\"codeSet\":[2598919,"
        "2598920],\"subVersion\":1795390737052,\"expressionType\":\"TAG\"}],\"unitMode\":false}]}";
    assert_int_equal(rc_heartbeat_decode(rc_slice_str(body), &heartbeat), RC_OK);
    assert_true(rc_slice_eq_str(heartbeat.client_id, "10.0.0.1@4711#99"));
    assert_true(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    assert_true(rc_slice_eq_str(consumer.group, "g"));
    assert_false(consumer.is_broadcasting);
    assert_true(rc_heartbeat_next_subscription(&consumer, &inner, &subscription));
    assert_true(rc_slice_eq_str(subscription.topic, "T"));
    assert_true(rc_slice_eq_str(subscription.expression, "TagA || TagB"));
    assert_true(rc_slice_eq_str(subscription.type, "TAG"));
    assert_int_equal(subscription.version, 1795390737052);
    assert_false(rc_heartbeat_next_subscription(&consumer, &inner, &subscription));
    assert_false(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    rc_heartbeat_done(&heartbeat);
}

static void test_enums_may_be_numbers_and_numbers_text(void **state)
{
    struct rc_heartbeat heartbeat;
    struct rc_heartbeat_consumer consumer;
    struct rc_heartbeat_subscription subscription;
    size_t at = 0, inner = 0;
    const char *body = "{\"clientID\":\"c\",\"consumerDataSet\":[{\"groupName\":\"g\",\"consumeType\":1,"
                       "\"messageModel\":0,\"consumeFromWhere\":0,\"subscriptionDataSet\":[{\"topic\":\"T\","
                       "\"subString\":\"*\",\"subVersion\":\"1795390737052\"}]},{\"groupName\":\"h\","
                       "\"messageModel\":1}]}";
    assert_int_equal(rc_heartbeat_decode(rc_slice_str(body), &heartbeat), RC_OK);
    assert_true(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    assert_true(consumer.is_broadcasting);
    assert_true(rc_heartbeat_next_subscription(&consumer, &inner, &subscription));
    assert_int_equal(subscription.version, 1795390737052);
    assert_true(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    assert_false(consumer.is_broadcasting);
    rc_heartbeat_done(&heartbeat);
}

static void test_entries_without_sense_are_passed_over(void **state)
{
    struct rc_heartbeat heartbeat;
    struct rc_heartbeat_consumer consumer;
    struct rc_heartbeat_subscription subscription;
    size_t at = 0, inner = 0;
    const char *body =
        "{\"clientID\":\"c\",\"consumerDataSet\":[null,7,[],{},{\"groupName\":\"\"},"
        "{\"groupName\":5},{\"groupName\":\"g\",\"subscriptionDataSet\":[1,{},{\"topic\":\"\"},"
        "{\"topic\":\"T\"}]},{\"groupName\":\"h\",\"subscriptionDataSet\":{}}]}";
    assert_int_equal(rc_heartbeat_decode(rc_slice_str(body), &heartbeat), RC_OK);
    assert_true(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    assert_true(rc_slice_eq_str(consumer.group, "g"));
    assert_true(rc_heartbeat_next_subscription(&consumer, &inner, &subscription));
    assert_true(rc_slice_eq_str(subscription.topic, "T"));
    assert_int_equal(subscription.expression.len, 0);
    assert_int_equal(subscription.version, 0);
    assert_true(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    inner = 0;
    assert_false(rc_heartbeat_next_subscription(&consumer, &inner, &subscription));
    assert_false(rc_heartbeat_next_consumer(&heartbeat, &at, &consumer));
    rc_heartbeat_done(&heartbeat);
}

static void test_a_heartbeat_needs_a_client(void **state)
{
    static const char *const bodies[] = {"",
                                         "{}",
                                         "[]",
                                         "{\"clientID\":\"\"}",
                                         "{\"clientID\":5}",
                                         "nonsense",
                                         "{\"clientID\":\"a\\u0000b\"}"};
    struct rc_heartbeat heartbeat;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(rc_heartbeat_decode(rc_slice_str(bodies[i]), &heartbeat), RC_ERR_PROTOCOL);
}

/* ---- tags ---- */

static void test_a_filter_takes_the_hashes_of_its_tags(void **state)
{
    struct rc_tag_filter filter, copy;
    assert_int_equal(rc_tag_filter_parse(rc_slice_str(" TagA||  TagB\t|| || "), &filter), RC_OK);
    assert_int_equal(filter.count, 2);
    assert_true(rc_tag_filter_takes(&filter, 2598919));
    assert_true(rc_tag_filter_takes(&filter, 2598920));
    assert_false(rc_tag_filter_takes(&filter, 2598921));
    assert_false(rc_tag_filter_takes(&filter, 0)); /* no tag */
    rc_tag_filter_copy(&filter, &copy);
    rc_tag_filter_free(&filter);
    assert_false(rc_tag_filter_takes(&filter, 2598919));
    assert_true(rc_tag_filter_takes(&copy, 2598920));
    rc_tag_filter_free(&copy);
}

static void test_a_star_and_nothing_take_all(void **state)
{
    struct rc_tag_filter filter;
    assert_int_equal(rc_tag_filter_parse(rc_slice_str("*"), &filter), RC_OK);
    assert_true(rc_tag_filter_takes(&filter, 7));
    assert_int_equal(rc_tag_filter_parse(rc_slice(NULL, 0), &filter), RC_OK);
    assert_true(rc_tag_filter_takes(&filter, 0));
    assert_int_equal(rc_tag_filter_parse(rc_slice_str("* || a"), &filter), RC_OK);
    assert_false(rc_tag_filter_takes(&filter, 7));
    rc_tag_filter_free(&filter);
}

static void test_a_filter_of_too_many_tags_is_refused(void **state)
{
    char text[4096] = "t";
    struct rc_tag_filter filter;
    for (int i = 1; i < RC_TAG_FILTER_TAGS_MAX; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "||t%d", i);
    assert_int_equal(rc_tag_filter_parse(rc_slice_str(text), &filter), RC_OK);
    assert_int_equal(filter.count, RC_TAG_FILTER_TAGS_MAX);
    rc_tag_filter_free(&filter);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "||more");
    assert_int_equal(rc_tag_filter_parse(rc_slice_str(text), &filter), RC_ERR_TOO_LARGE);
}

/* ---- batches ---- */

/* Two messages, "one" with the property a=b and "" without any, as the client in Java encodes them. */
static const uint8_t batch[] = {0, 0, 0, 29,  0,   0,   0, 0, 0,   0, 0,   0, 0, 0, 0, 7,  0,
                                0, 0, 3, 'o', 'n', 'e', 0, 4, 'a', 1, 'b', 2, 0, 0, 0, 22, 0,
                                0, 0, 0, 0,   0,   0,   0, 0, 0,   0, 8,   0, 0, 0, 0, 0,  0};

static void test_a_batch_is_taken_apart(void **state)
{
    struct rc_batch_item item;
    size_t at = 0;
    assert_int_equal(rc_batch_next(rc_slice(batch, sizeof(batch)), &at, &item), 1);
    assert_int_equal(item.flag, 7);
    assert_true(rc_slice_eq_str(item.body, "one"));
    assert_true(rc_slice_eq_str(item.properties, "a\1b\2"));
    assert_int_equal(rc_batch_next(rc_slice(batch, sizeof(batch)), &at, &item), 1);
    assert_int_equal(item.flag, 8);
    assert_int_equal(item.body.len, 0);
    assert_int_equal(rc_batch_next(rc_slice(batch, sizeof(batch)), &at, &item), 0);
}

static void test_a_batch_cut_anywhere_is_no_batch(void **state)
{
    for (size_t len = 1; len < sizeof(batch); len++) {
        uint8_t *copy = malloc(len); /* so that the sanitizer sees a byte too many */
        memcpy(copy, batch, len);
        struct rc_batch_item item;
        size_t at = 0;
        int found;
        while ((found = rc_batch_next(rc_slice(copy, len), &at, &item)) == 1)
            continue;
        assert_int_equal(found, len == 29 ? 0 : RC_ERR_PROTOCOL);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_heartbeat_of_ons_client_is_read),
        cmocka_unit_test(test_enums_may_be_numbers_and_numbers_text),
        cmocka_unit_test(test_entries_without_sense_are_passed_over),
        cmocka_unit_test(test_a_heartbeat_needs_a_client),
        cmocka_unit_test(test_a_filter_takes_the_hashes_of_its_tags),
        cmocka_unit_test(test_a_star_and_nothing_take_all),
        cmocka_unit_test(test_a_filter_of_too_many_tags_is_refused),
        cmocka_unit_test(test_a_batch_is_taken_apart),
        cmocka_unit_test(test_a_batch_cut_anywhere_is_no_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
