#include "rules/inflow_map.h"

#include "mqtt/props.h"
#include "store/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NOW_MS = 1000000 };

struct rig {
    struct rc_inflow_map map;
    struct rc_buf props;
};

static int set_up(void **state)
{
    static struct rig rig;
    rc_inflow_map_init(&rig.map);
    rc_buf_init(&rig.props, RC_MESSAGE_PROPS_MAX);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    rc_inflow_map_free(&rig->map);
    rc_buf_free(&rig->props);
    return 0;
}

static void put(struct rig *rig, const char *name, const char *value)
{
    assert_int_equal(rc_props_put(&rig->props, name, rc_slice_str(value)), 0);
}

static enum rc_inflow_verdict take(struct rig *rig, int64_t born_ms)
{
    return rc_inflow_map_take(&rig->map, rc_slice_str("inst"), rc_slice_str("parent"),
                              rc_buf_slice(&rig->props), born_ms, NOW_MS);
}

static bool is(const struct rc_buf *buf, const char *text)
{
    return rc_slice_eq_str(rc_buf_slice(buf), text);
}

static void test_a_message_without_properties_goes_to_the_parent_at_qos_1(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_GOOD);
    assert_true(is(&rig->map.topic, "parent") && is(&rig->map.shown_topic, "") && is(&rig->map.props, ""));
    assert_int_equal(rig->map.qos, 1);
    assert_false(rig->map.is_for_present);
}

static void test_the_second_topic_has_one_slash_in_front(void **state)
{
    struct rig *rig = *state;
    put(rig, "mqttSecondTopic", "a/b");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_GOOD);
    assert_true(is(&rig->map.topic, "parent/a/b"));
    put(rig, "mqttSecondTopic", "/c");
    put(rig, "qoslevel", "2");
    put(rig, "cleansessionflag", "true");
    put(rig, "mqttRealTopic", "bad/#");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_GOOD);
    assert_true(is(&rig->map.topic, "parent/c") && is(&rig->map.shown_topic, ""));
    assert_true(rig->map.qos == 2 && rig->map.is_for_present);
}

static void test_what_is_no_topic_name_is_bad(void **state)
{
    struct rig *rig = *state;
    put(rig, "mqttSecondTopic", "/a/+");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_BAD);
    put(rig, "mqttSecondTopic", "/\xff");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_BAD);
}

static void test_the_expiry_counts_from_when_it_was_sent(void **state)
{
    struct rig *rig = *state;
    struct rc_mqtt_props props;
    uint8_t reason;
    put(rig, "mqtt5MsgExpireInterval", "10");
    put(rig, "mqtt5UserProperty", "[{\"key\":\"k\",\"value\":\"v\"},{\"key\":1},3]");
    assert_int_equal(take(rig, NOW_MS - 4000), RC_INFLOW_GOOD);
    assert_int_equal(rc_mqtt_props_decode(rc_buf_slice(&rig->map.props), RC_MQTT_PUBLISH, &props, &reason),
                     0);
    assert_int_equal(props.numbers[RC_MQTT_PROP_MESSAGE_EXPIRY], 6);
    assert_true(rc_mqtt_props_has(&props, RC_MQTT_PROP_USER));
    assert_int_equal(take(rig, NOW_MS - 10000), RC_INFLOW_EXPIRED);
}

static void test_what_an_outflow_rule_of_this_topic_sent_does_not_come_back(void **state)
{
    struct rig *rig = *state;
    put(rig, "topic", "parent/a");
    put(rig, "rcInstance", "inst");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_ECHO);
    put(rig, "topic", "other/a");
    assert_int_equal(take(rig, NOW_MS), RC_INFLOW_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_without_properties_goes_to_the_parent_at_qos_1, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_the_second_topic_has_one_slash_in_front, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_topic_name_is_bad, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_expiry_counts_from_when_it_was_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_an_outflow_rule_of_this_topic_sent_does_not_come_back,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
