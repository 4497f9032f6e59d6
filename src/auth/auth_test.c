#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "auth/mqtt_auth.h"
#include "auth/sign.h"

static void test_signatures_agree_with_the_products_documents(void **state)
{
    char out[RC_SIGNATURE_LEN + 1];
    struct rc_slice id = rc_slice_str("GID_Test@@@0001");
    rc_sign(rc_slice_str("XXXXX"), &id, 1, out);
    assert_string_equal(out, "vI009IZJZVGRwBwZvnbwjfuXxVM=");
    struct rc_slice parts[2] = {rc_slice_str("GID_Demo@@@"), rc_slice_str("device001")};
    rc_sign(rc_slice_str("secret"), parts, 2, out);
    assert_string_equal(out, "CXEKjKQezyR/dYBimcgxZqxgohA=");
    /* a key longer than a block is hashed first (RFC 2202, test case 6) */
    uint8_t key[80];
    memset(key, 0xaa, sizeof(key));
    struct rc_slice text = rc_slice_str("Test Using Larger Than Block-Size Key - Hash Key First");
    rc_sign(rc_slice(key, sizeof(key)), &text, 1, out);
    assert_string_equal(out, "qkrl4VJy0A6VcFY3zoo7Ve1AIRI=");
}

static enum rc_auth_result login(struct rc_catalog *catalog, const char *id, const char *user,
                                 const char *password)
{
    struct rc_auth_client client = {0};
    struct rc_auth_login l = {.client_id = rc_slice_str(id), .has_user = user, .has_password = password};
    l.user = user ? rc_slice_str(user) : rc_slice(NULL, 0);
    l.password = password ? rc_slice_str(password) : rc_slice(NULL, 0);
    enum rc_auth_result result = rc_auth_mqtt(catalog, &l, &client);
    assert_int_equal(result == RC_AUTH_OK, client.group != NULL);
    return result;
}

static void test_only_the_right_login_is_accepted(void **state)
{
    struct rc_catalog *c = rc_catalog_create();
    struct rc_instance *one, *two;
    struct rc_group *group;
    rc_catalog_add_instance(c, rc_slice_str("one"), &one);
    rc_catalog_add_instance(c, rc_slice_str("two"), &two);
    rc_catalog_add_key(c, one, rc_slice_str("AK"), rc_slice_str("secret"));
    rc_catalog_add_group(one, rc_slice_str("GID_Demo"), &group);
    const char *id = "GID_Demo@@@device001", *right = "CXEKjKQezyR/dYBimcgxZqxgohA=";
    assert_int_equal(login(c, id, "Signature|AK|one", right), RC_AUTH_OK);
    assert_int_equal(login(c, id, "Signature|AK|one", "CXEKjKQezyR/dYBimcgxZqxgohB="), RC_AUTH_BAD_SIGNATURE);
    assert_int_equal(login(c, id, "Signature|AK|one", ""), RC_AUTH_BAD_SIGNATURE);
    assert_int_equal(login(c, id, "Signature|AK|one", NULL), RC_AUTH_BAD_SIGNATURE);
    assert_int_equal(login(c, id, "Signature|AK|two", right), RC_AUTH_UNKNOWN_KEY);
    assert_int_equal(login(c, id, "Signature|AK|three", right), RC_AUTH_UNKNOWN_INSTANCE);
    assert_int_equal(login(c, id, "Signature|AK", right), RC_AUTH_BAD_USER);
    assert_int_equal(login(c, id, "Signature|AK|one|x", right), RC_AUTH_BAD_USER);
    assert_int_equal(login(c, id, "Token|AK|one", right), RC_AUTH_BAD_TOKEN);
    assert_int_equal(login(c, id, "Magic|AK|one", right), RC_AUTH_UNSUPPORTED_MODE);
    assert_int_equal(login(c, id, NULL, right), RC_AUTH_NO_USER);
    assert_int_equal(login(c, "device001", "Signature|AK|one", right), RC_AUTH_BAD_CLIENT_ID);
    assert_int_equal(login(c, "GID_Demo@@@device002", "Signature|AK|one", right), RC_AUTH_BAD_SIGNATURE);
    rc_catalog_unref(c);
}

static void test_standard_logins_find_their_instance_user_and_group(void **state)
{
    struct rc_catalog *c = rc_catalog_create();
    struct rc_instance *home, *other, *cloud;
    rc_catalog_add_instance(c, rc_slice_str("home"), &home);
    rc_catalog_add_instance(c, rc_slice_str("other"), &other);
    rc_catalog_add_instance(c, rc_slice_str("cloud"), &cloud);
    rc_catalog_set_profile(home, RC_PROFILE_STANDARD);
    rc_catalog_set_profile(other, RC_PROFILE_STANDARD);
    rc_catalog_add_group(home, rc_slice_str("GID_home"), &home->group);
    rc_catalog_add_group(other, rc_slice_str("GID_other"), &other->group);
    rc_catalog_add_user(home, rc_slice_str("alice"), rc_slice_str("x"), false);
    rc_catalog_add_key(c, home, rc_slice_str("AK"), rc_slice_str("secret"));
    struct rc_group *group;
    rc_catalog_add_group(home, rc_slice_str("GID_Demo"), &group);
    assert_int_equal(login(c, "x", NULL, NULL), RC_AUTH_NO_USER); /* no default instance */
    assert_int_equal(login(c, "x", "alice", "pw"), RC_AUTH_BAD_USER);
    c->default_instance = home;
    assert_int_equal(login(c, "x", NULL, NULL), RC_AUTH_NO_USER); /* nobody may be anonymous */
    home->takes_anonymous = other->takes_anonymous = true;
    assert_int_equal(login(c, "x", NULL, NULL), RC_AUTH_OK);
    assert_int_equal(login(c, "x", "", "ignored"), RC_AUTH_OK);
    assert_int_equal(login(c, "x", "any|other", "ignored"), RC_AUTH_OK); /* it has no users */
    assert_int_equal(login(c, "x", "any|cloud", "ignored"), RC_AUTH_BAD_USER);
    assert_int_equal(login(c, "x", "any|nowhere", "ignored"), RC_AUTH_BAD_USER);
    assert_int_equal(login(c, "a\tb", NULL, NULL), RC_AUTH_BAD_CLIENT_ID);
    assert_int_equal(login(c, "GID_Demo@@@device001", "Signature|AK|home", "CXEKjKQezyR/dYBimcgxZqxgohA="),
                     RC_AUTH_OK);
    struct rc_auth_client client;
    struct rc_auth_login alice = {
        .client_id = rc_slice_str("x"), .has_user = true, .user = rc_slice_str("alice")};
    assert_int_equal(rc_auth_mqtt(c, &alice, &client), RC_AUTH_NEEDS_PASSWORD);
    assert_true(client.user != NULL && client.instance == home && client.group == home->group);
    alice.user = rc_slice_str("bob"); /* nobody, which must take as long to say */
    assert_int_equal(rc_auth_mqtt(c, &alice, &client), RC_AUTH_NEEDS_PASSWORD);
    assert_null(client.user);
    alice = (struct rc_auth_login){.client_id = rc_slice_str("GID_Demo@@@1")};
    assert_int_equal(rc_auth_mqtt(c, &alice, &client), RC_AUTH_OK);
    assert_ptr_equal(client.group, group); /* its id names it */
    rc_catalog_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures_agree_with_the_products_documents),
        cmocka_unit_test(test_only_the_right_login_is_accepted),
        cmocka_unit_test(test_standard_logins_find_their_instance_user_and_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
