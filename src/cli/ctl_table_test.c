#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

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
        cmocka_unit_test(test_all_that_rest_has_can_be_done_from_the_shell),
        cmocka_unit_test(test_a_verb_of_a_resource_is_there_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
