/* The table of actions: what only lists or gets holds up no change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/actions.h"

static void test_what_lists_or_gets_from_the_registry_is_a_read(void **state)
{
    static const char *const names[] = {"GetCaCertificate",
                                        "GetDeviceCertificate",
                                        "GetDeviceCredential",
                                        "GetRegisterCode",
                                        "ListCaCertificate",
                                        "ListDeviceCertificate",
                                        "ListGroupId",
                                        "ListDeviceCertificateByCaSn",
                                        "ListDeviceCredentialClientId",
                                        "ListInstances",
                                        "ListKeys",
                                        "ListTagResources",
                                        "ListTopic",
                                        "QueryCustomAuthConnectBlack",
                                        "QueryCustomAuthIdentity",
                                        "QueryCustomAuthPermission"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct rc_api_action *action = rc_api_action_find(names[i]);
        assert_non_null(action);
        assert_non_null(action->read);
        assert_null(action->work);
    }
    assert_null(rc_api_action_find("RegisterDeviceCredential")->read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lists_or_gets_from_the_registry_is_a_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
