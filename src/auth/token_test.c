#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/acl.h"
#include "auth/mqtt_auth.h"
#include "auth/sign.h"
#include "auth/token.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

#define S(text) rc_slice_str(text)
#define NOW 1700000000000ll
#define HOUR 3600000ll
#define ID "GID_Demo@@@device001"

struct world {
    struct rc_catalog *catalog;
    struct rc_instance *one, *two;
    struct rc_buf text;
    struct rc_token token;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct rc_group *group;
    world->catalog = rc_catalog_create();
    rc_catalog_add_instance(world->catalog, S("one"), &world->one);
    rc_catalog_add_instance(world->catalog, S("two"), &world->two);
    rc_catalog_add_key(world->catalog, world->one, S("AK"), S("secret"));
    rc_catalog_add_key(world->catalog, world->one, S("AK2"), S("secret"));
    rc_catalog_add_group(world->one, S("GID_Demo"), &group);
    rc_catalog_add_group(world->two, S("GID_Demo"), &group);
    memset(world->one->token_key, 1, sizeof(world->one->token_key));
    memset(world->two->token_key, 2, sizeof(world->two->token_key));
    world->one->has_token_key = world->two->has_token_key = true;
    world->catalog->default_instance = world->one;
    rc_buf_init(&world->text, 4 * RC_TOKEN_TEXT_MAX);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    rc_catalog_unref(world->catalog);
    rc_buf_free(&world->text);
    free(world);
    return 0;
}

/* A fresh token; good until the next one. */
static struct rc_slice make(struct world *world, const char *key, uint8_t actions, const char *topics,
                            int64_t life)
{
    rc_buf_consume(&world->text, rc_buf_len(&world->text));
    assert_int_equal(rc_token_make(world->one, S(key), actions, S(topics), NOW + life, NOW, &world->text), 0);
    return rc_buf_slice(&world->text);
}

static enum rc_token_state check(struct world *world, struct rc_slice text, int64_t now)
{
    return rc_token_check(world->catalog, world->one, text, now, &world->token);
}

static void test_a_token_tells_what_it_was_made_with(void **state)
{
    struct world *world = *state;
    struct rc_slice text = make(world, "AK", RC_ACL_READ, "b/+,a/#,c", HOUR);
    assert_int_equal(check(world, text, NOW), RC_TOKEN_VALID);
    assert_int_equal(world->token.head.actions, RC_ACL_READ);
    assert_int_equal(world->token.head.expire_ms, NOW + HOUR);
    assert_true(rc_slice_eq_str(world->token.head.access_key, "AK"));
    assert_int_equal(world->token.resources_count, 3);
    assert_true(rc_slice_eq_str(world->token.resources[0], "a/#"));
    assert_true(rc_slice_eq_str(world->token.resources[1], "b/+"));
    for (size_t i = 0; i < text.len; i++) /* it may stand in a query and in a password */
        assert_true(text.ptr[i] != '|' && text.ptr[i] != '+' && text.ptr[i] != '/' && text.ptr[i] != '=');
}

static void test_any_changed_letter_is_noticed(void **state)
{
    struct world *world = *state;
    struct rc_slice text = make(world, "AK", RC_ACL_READ, "a", HOUR);
    char *copy = calloc(1, text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        memcpy(copy, text.ptr, text.len);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(check(world, S(copy), NOW), RC_TOKEN_VALID);
    }
    memcpy(copy, text.ptr, text.len);
    for (size_t len = 0; len < text.len; len++)
        assert_int_not_equal(check(world, rc_slice(copy, len), NOW), RC_TOKEN_VALID);
    assert_int_equal(check(world, S("A"), NOW), RC_TOKEN_FORGED);
    assert_int_equal(check(world, S("no token"), NOW), RC_TOKEN_FORGED);
    free(copy);
}

static void test_a_token_ends_is_revoked_and_goes_with_its_key(void **state)
{
    struct world *world = *state;
    struct rc_slice text = make(world, "AK", RC_ACL_READ, "a", HOUR);
    assert_int_equal(check(world, text, NOW + HOUR - 1), RC_TOKEN_VALID);
    assert_int_equal(check(world, text, NOW + HOUR), RC_TOKEN_EXPIRED);
    assert_int_equal(rc_token_check(world->catalog, world->two, text, NOW, &world->token),
                     RC_TOKEN_BAD_SIGNATURE);
    assert_int_equal(check(world, text, NOW), RC_TOKEN_VALID);
    rc_catalog_put_mark(&world->one->revoked, rc_slice(world->token.head.id, RC_CATALOG_TOKEN_ID_LEN), 0);
    assert_int_equal(check(world, text, NOW), RC_TOKEN_REVOKED);
    rc_catalog_remove_key(world->catalog, S("AK"));
    assert_int_equal(check(world, text, NOW), RC_TOKEN_BAD_ACCOUNT);
}

static void test_the_products_limits_hold(void **state)
{
    struct world *world = *state;
    struct rc_buf out;
    char topics[RC_TOKEN_RESOURCES_MAX * 8 + 16] = "";
    rc_buf_init(&out, RC_TOKEN_TEXT_MAX);
    assert_int_equal(rc_token_make(world->one, S("AK"), RC_ACL_READ, S("a"), NOW + 59999, NOW, &out),
                     RC_ERR_RANGE);
    assert_int_equal(rc_token_make(world->one, S("AK"), RC_ACL_READ, S("a,,b"), NOW + HOUR, NOW, &out),
                     RC_ERR_INVALID);
    assert_int_equal(rc_token_make(world->one, S("AK"), RC_ACL_READ, S(""), NOW + HOUR, NOW, &out),
                     RC_ERR_INVALID);
    assert_int_equal(rc_token_make(world->one, S("AK"), RC_ACL_READ, S("a/#/b"), NOW + HOUR, NOW, &out),
                     RC_ERR_INVALID);
    for (int i = 0; i < RC_TOKEN_RESOURCES_MAX; i++)
        snprintf(topics + strlen(topics), 9, "%st%03d", i ? "," : "", i);
    make(world, "AK", RC_ACL_WRITE, topics, HOUR);
    snprintf(topics + strlen(topics), 9, ",more");
    assert_int_equal(rc_token_make(world->one, S("AK"), RC_ACL_READ, S(topics), NOW + HOUR, NOW, &out),
                     RC_ERR_FULL);
    assert_int_equal(check(world, make(world, "AK", RC_ACL_READ, "a", 1000 * HOUR), NOW), RC_TOKEN_VALID);
    assert_int_equal(world->token.head.expire_ms, NOW + RC_TOKEN_LIFE_MAX_MS);
    rc_buf_free(&out);
}

static void test_passwords_are_pairs_of_type_and_token(void **state)
{
    static const char *const bad[] = {"",      "R", "R|", "|x", "X|a", "R|a|W", "R|a|R|b", "R|a|W|b|RW|c|R|d",
                                      "R||W|b"};
    struct rc_token_pair pairs[RC_TOKEN_PAIRS_MAX];
    assert_int_equal(rc_token_split(S("R|123|W|abcd"), pairs), 2);
    assert_int_equal(pairs[0].actions, RC_ACL_READ);
    assert_true(rc_slice_eq_str(pairs[0].text, "123"));
    assert_int_equal(pairs[1].actions, RC_ACL_WRITE);
    assert_true(rc_slice_eq_str(pairs[1].text, "abcd"));
    assert_int_equal(rc_token_split(S("RW|x"), pairs), 1);
    assert_int_equal(rc_token_split(S("W|a|RW|b|R|c"), pairs), 3);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(rc_token_split(S(bad[i]), pairs), 0);
}

static void test_uploads_are_json_with_a_token_and_a_type(void **state)
{
    uint8_t actions;
    char *text = rc_token_parse_upload(S("{\"token\":\"abc\",\"type\":\"RW\"}"), &actions);
    assert_string_equal(text, "abc");
    assert_int_equal(actions, RC_ACL_READ | RC_ACL_WRITE);
    free(text);
    assert_null(rc_token_parse_upload(S("{\"token\":\"abc\"}"), &actions));
    assert_null(rc_token_parse_upload(S("{\"token\":1,\"type\":\"R\"}"), &actions));
    assert_null(rc_token_parse_upload(S("[]"), &actions));
    assert_null(rc_token_parse_upload(S(""), &actions));
    assert_null(rc_token_parse_upload(S("{\"token\":\"abc\",\"type\":\"X\"}"), &actions));
}

/* ---- logging in ---- */

static enum rc_auth_result log_in(struct world *world, const char *id, const char *user,
                                  struct rc_slice password)
{
    struct rc_auth_client client = {0};
    struct rc_auth_login login = {.client_id = S(id),
                                  .has_user = true,
                                  .has_password = true,
                                  .user = S(user),
                                  .password = password,
                                  .now_ms = NOW};
    return rc_auth_mqtt(world->catalog, &login, &client);
}

static void test_every_token_of_a_login_must_be_right(void **state)
{
    struct world *world = *state;
    char password[4096];
    struct rc_slice text = make(world, "AK", RC_ACL_READ, "a", HOUR);
    int len = snprintf(password, sizeof(password), "R|%.*s", RC_SLICE_FMT(text));
    assert_int_equal(log_in(world, ID, "Token|AK|one", S(password)), RC_AUTH_OK);
    assert_int_equal(log_in(world, ID, "Token|AK2|one", S(password)), RC_AUTH_BAD_TOKEN);
    assert_int_equal(log_in(world, ID, "Token|AK3|one", S(password)), RC_AUTH_UNKNOWN_KEY);
    assert_int_equal(log_in(world, ID, "Token|AK|two", S(password)), RC_AUTH_UNKNOWN_KEY);
    assert_int_equal(log_in(world, "GID_none@@@1", "Token|AK|one", S(password)), RC_AUTH_UNKNOWN_GROUP);
    snprintf(password + len, sizeof(password) - (size_t)len, "|W|%.*s", RC_SLICE_FMT(text));
    assert_int_equal(log_in(world, ID, "Token|AK|one", S(password)), RC_AUTH_BAD_TOKEN); /* not for writing */
    assert_int_equal(log_in(world, ID, "Token|AK|one", S("R|forged")), RC_AUTH_BAD_TOKEN);
    assert_int_equal(log_in(world, ID, "Token|AK|one", S("")), RC_AUTH_BAD_TOKEN);
}

static void test_a_device_credential_is_for_one_client(void **state)
{
    struct world *world = *state;
    char right[RC_SIGNATURE_LEN + 1], other[RC_SIGNATURE_LEN + 1];
    struct rc_slice id = S(ID), other_id = S("GID_Demo@@@device002");
    assert_int_equal(rc_catalog_put_credential(world->one, id, S("DC.1"), S("its secret")), 0);
    rc_sign(S("its secret"), &id, 1, right);
    rc_sign(S("its secret"), &other_id, 1, other);
    assert_int_equal(log_in(world, ID, "DeviceCredential|DC.1|one", S(right)), RC_AUTH_OK);
    assert_int_equal(log_in(world, ID, "DeviceCredential|DC.1|one", S(other)), RC_AUTH_BAD_SIGNATURE);
    assert_int_equal(log_in(world, ID, "DeviceCredential|DC.2|one", S(right)), RC_AUTH_UNKNOWN_CREDENTIAL);
    assert_int_equal(log_in(world, ID, "DeviceCredential|DC.1|two", S(right)), RC_AUTH_UNKNOWN_CREDENTIAL);
    assert_int_equal(log_in(world, "GID_Demo@@@device002", "DeviceCredential|DC.1|one", S(other)),
                     RC_AUTH_UNKNOWN_CREDENTIAL);
    rc_catalog_put_mark(&world->one->black, id, 0);
    assert_int_equal(log_in(world, ID, "DeviceCredential|DC.1|one", S(right)), RC_AUTH_BLACKLISTED);
}

static void test_custom_identities_come_by_their_secret_or_a_signature(void **state)
{
    struct world *world = *state;
    char right[RC_SIGNATURE_LEN + 1];
    struct rc_slice id = S(ID), none = {NULL, 0};
    assert_int_equal(log_in(world, ID, "bob", S("open")), RC_AUTH_BAD_USER);
    rc_catalog_put_identity(world->one, S("bob"), none, S("open"), false);
    assert_int_equal(log_in(world, ID, "bob", S("open")), RC_AUTH_OK);
    assert_int_equal(log_in(world, ID, "bob|one", S("open")), RC_AUTH_OK);
    assert_int_equal(log_in(world, ID, "bob|two", S("open")), RC_AUTH_BAD_USER);
    assert_int_equal(log_in(world, ID, "bob", S("oped")), RC_AUTH_BAD_PASSWORD);
    assert_int_equal(log_in(world, ID, "alice", S("open")), RC_AUTH_BAD_PASSWORD);
    assert_int_equal(log_in(world, "no group", "bob", S("open")), RC_AUTH_BAD_CLIENT_ID);
    /* The client's own one goes before that of the name. */
    rc_catalog_put_identity(world->one, S("bob"), id, S("own"), true);
    rc_sign(S("own"), &id, 1, right);
    assert_int_equal(log_in(world, ID, "bob", S("open")), RC_AUTH_BAD_PASSWORD);
    assert_int_equal(log_in(world, ID, "bob", S(right)), RC_AUTH_OK);
    assert_int_equal(log_in(world, "GID_Demo@@@2", "bob", S("open")), RC_AUTH_OK);
}

static void test_a_permission_that_denies_wins(void **state)
{
    struct world *world = *state;
    struct rc_acl_who bob = {S("bob"), S(ID)};
    struct rc_custom_permission all = {S("t/#"), RC_ACL_READ | RC_ACL_WRITE, false},
                                no = {S("t/secret"), RC_ACL_READ, true};
    assert_false(rc_acl_custom_allows(world->one, &bob, RC_ACL_READ, S("t/a")));
    rc_catalog_put_permission(world->one, false, S("bob"), &all);
    rc_catalog_put_permission(world->one, true, S(ID), &no);
    assert_true(rc_acl_custom_allows(world->one, &bob, RC_ACL_READ, S("t/a")));
    assert_false(rc_acl_custom_allows(world->one, &bob, RC_ACL_READ, S("t/secret")));
    assert_false(
        rc_acl_custom_allows(world->one, &bob, RC_ACL_READ, S("t/#"))); /* it would bring the secret */
    assert_true(rc_acl_custom_allows(world->one, &bob, RC_ACL_WRITE, S("t/secret")));
    assert_false(rc_acl_custom_allows(world->one, &bob, RC_ACL_WRITE, S("u")));
    bob.client_id = S("GID_Demo@@@2");
    assert_true(rc_acl_custom_allows(world->one, &bob, RC_ACL_READ, S("t/secret")));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_a_token_tells_what_it_was_made_with),
        IN_WORLD(test_any_changed_letter_is_noticed),
        IN_WORLD(test_a_token_ends_is_revoked_and_goes_with_its_key),
        IN_WORLD(test_the_products_limits_hold),
        cmocka_unit_test(test_passwords_are_pairs_of_type_and_token),
        cmocka_unit_test(test_uploads_are_json_with_a_token_and_a_type),
        IN_WORLD(test_every_token_of_a_login_must_be_right),
        IN_WORLD(test_a_device_credential_is_for_one_client),
        IN_WORLD(test_custom_identities_come_by_their_secret_or_a_signature),
        IN_WORLD(test_a_permission_that_denies_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
