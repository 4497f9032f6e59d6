#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/actions.h"
#include "api/rest.h"
#include "cli/ctl_table.h"

#include <string.h>

static bool has_row(const char *action)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].action, action) == 0)
            return true;
    return false;
}

/* Those that have no row, and why. */
static const char *const without_row[] = {
    "DescribeClientEvents",        /* another name of QueryMqttTraceDevice: client trace */
    "ListClientStatusNotifyRules", /* rule list has them, and those of all other types */
    "DisasterDowngrade",           "DisasterRecovery", "SetSniConfig", /* not served: ApiNotSupport */
};

static bool is_without_row(const char *action)
{
    for (size_t i = 0; i < sizeof(without_row) / sizeof(without_row[0]); i++)
        if (strcmp(without_row[i], action) == 0)
            return true;
    return false;
}

static void test_each_action_can_be_called_from_the_shell(void **state)
{
    const struct rc_api_action *action;
    size_t count;
    for (count = 0; (action = rc_api_action_at(count)) != NULL; count++)
        if (has_row(action->name) == is_without_row(action->name))
            fail_msg("%s: %s", action->name,
                     has_row(action->name) ? "it has a row of rollcall ctl by now" : "rollcall ctl lacks it");
    assert_true(count > 80);
}

static void test_each_row_calls_an_action_that_there_is(void **state)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const struct rc_api_action *action = rc_api_action_find(rows[i].action);
        assert_non_null(action);
        const char *instance = rows[i].instance != NULL ? rows[i].instance : "InstanceId";
        assert_true(action->instance == NULL || strcmp(action->instance, instance) == 0);
        size_t columns = rows[i].list != NULL;
        for (const char *at = rows[i].columns; at != NULL && (at = strchr(at, ' ')) != NULL; at++)
            columns++;
        assert_true(columns <= RC_CTL_COLUMNS_MAX);
    }
}

static void test_all_that_rest_has_can_be_done_from_the_shell(void **state)
{
    size_t count;
    const struct rc_rest_route *routes = rc_rest_routes(&count);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++)
        if (routes[i].action != NULL && !has_row(routes[i].action))
            fail_msg("%s is served by REST, but not by rollcall ctl", routes[i].action);
}

static void test_a_verb_of_a_resource_is_there_once(void **state)
{
    size_t count;
    const struct rc_ctl_row *rows = rc_ctl_rows(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            assert_false(strcmp(rows[i].resource, rows[j].resource) == 0 &&
                         strcmp(rows[i].verb, rows[j].verb) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_action_can_be_called_from_the_shell),
        cmocka_unit_test(test_each_row_calls_an_action_that_there_is),
        cmocka_unit_test(test_all_that_rest_has_can_be_done_from_the_shell),
        cmocka_unit_test(test_a_verb_of_a_resource_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
