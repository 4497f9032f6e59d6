#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/signature.h"

static void test_signatures_agree_with_the_documented_ones(void **state)
{
    char out[RC_SIGNATURE_LEN + 1];
    rc_client_sign(out, "XXXXX", rc_slice_str("GID_Test@@@0001"));
    assert_string_equal(out, "vI009IZJZVGRwBwZvnbwjfuXxVM=");
    rc_client_sign(out, "secret", rc_slice_str("GID_Demo@@@device001"));
    assert_string_equal(out, "CXEKjKQezyR/dYBimcgxZqxgohA=");
}

static void test_nothing_can_be_signed(void **state)
{
    char out[RC_SIGNATURE_LEN + 1];
    rc_client_sign(out, "", rc_slice(NULL, 0));
    assert_string_equal(out, "+9sdGxiqbAgyS31ktx+3Y3BpDh0=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_agree_with_the_documented_ones),
        cmocka_unit_test(test_nothing_can_be_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
