#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/api_sign.h"
#include "base/error.h"

/* The expected signatures were made by the official Python libraries (core SDK 2.16, openapi-util 0.2). */

static const char client_id[] = "GID_a@@@d 1~*+", instance_id[] = "post-cn-\xe8\xae\xbe\xe5\xa4\x87";

static void add(struct rc_params *params, const char *name, const char *value)
{
    assert_int_equal(rc_params_add(params, rc_slice_str(name), rc_slice_str(value)), 0);
}

static void test_an_rpc_signature_is_the_official_one(void **state)
{
    struct rc_params params;
    char signature[RC_API_SIGNATURE_MAX];
    rc_params_init(&params);
    add(&params, "Action", "QuerySessionByClientId");
    add(&params, "Version", "2020-04-20");
    add(&params, "AccessKeyId", "AK");
    add(&params, "Signature", "what was sent");
    add(&params, "Format", "JSON");
    add(&params, "SignatureMethod", "HMAC-SHA1");
    add(&params, "SignatureVersion", "1.0");
    add(&params, "SignatureNonce", "n-1");
    add(&params, "Timestamp", "2026-01-02T03:04:05Z");
    add(&params, "ClientId", client_id);
    add(&params, "InstanceId", instance_id);
    rc_params_sort(&params);
    assert_true(rc_api_sign_rpc("POST", &params, rc_slice_str("SK"), signature));
    assert_string_equal(signature, "eA6jNtj2RR8AdCS3zhHE6AVBphY=");
    rc_params_free(&params);
}

static const char *header(void *arg, const char *name)
{
    static const char *const fields[][2] = {
        {"host", "127.0.0.1:18083"},
        {"x-acs-version", "2020-04-20"},
        {"x-acs-action", "QuerySessionByClientId"},
        {"x-acs-date", "2026-01-02T03:04:05Z"},
        {"x-acs-signature-nonce", "n-2"},
        {"x-acs-content-sha256", "bbdd590287812f00035e308fae46e7bb7f629c0022a579dc10a196bdaecd5785"},
        {"content-type", "application/x-www-form-urlencoded"},
        {"accept", "  application/json "},
        {"user-agent", "x"},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (strcmp(fields[i][0], name) == 0)
            return fields[i][1];
    return NULL;
}

static void test_an_acs3_signature_is_the_official_one(void **state)
{
    static const char authorization[] =
        "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=accept;content-type;host;user-agent;x-acs-action;"
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=27c2cceea140d6fcae25baec611eb0706acd93da9cda8b8c3483e9bc7046df61";
    struct rc_params query;
    struct rc_acs3 acs3;
    char hash[65], signature[RC_API_SIGNATURE_MAX];
    rc_params_init(&query);
    add(&query, "InstanceId", instance_id);
    add(&query, "ClientId", client_id);
    rc_params_sort(&query);
    rc_api_sha256_hex(rc_slice_str("A=1&B=%20"), hash);
    assert_int_equal(rc_acs3_parse(authorization, &acs3), 0);
    assert_true(rc_slice_eq_str(acs3.access_key, "AK"));
    assert_true(rc_acs3_covers_all(&acs3));
    struct rc_acs3_request request = {.method = "POST",
                                      .path = rc_slice_str("/"),
                                      .query = &query,
                                      .header = header,
                                      .content_sha256 = rc_slice_str(hash)};
    assert_true(rc_api_sign_acs3(&request, acs3.signed_headers, rc_slice_str("SK"), signature));
    assert_true(rc_slice_eq_str(acs3.signature, signature));
    assert_true(rc_api_sign_acs3(&request, acs3.signed_headers, rc_slice_str("other"), signature));
    assert_false(rc_slice_eq_str(acs3.signature, signature));
    assert_false(rc_api_sign_acs3(&request, rc_slice_str("host;x-none"), rc_slice_str("SK"), signature));
    rc_params_free(&query);
}

static void test_a_signature_that_leaves_out_what_counts_is_none(void **state)
{
    static const char *const names[] = {"host",       "x-acs-action",          "x-acs-version",
                                        "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"};
    for (size_t left_out = 0; left_out < 6; left_out++) {
        char text[256] = "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=accept";
        struct rc_acs3 acs3;
        for (size_t i = 0; i < 6; i++) {
            strcat(text, i == left_out ? ";x-acs" : ";");
            strcat(text, i == left_out ? "" : names[i]);
        }
        strcat(text, ",Signature=1");
        assert_int_equal(rc_acs3_parse(text, &acs3), 0);
        assert_false(rc_acs3_covers_all(&acs3));
    }
}

static void test_other_authorizations_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "Basic abc",
        "ACS3-HMAC-SHA256",
        "ACS3-HMAC-SHA256 Credential=AK",
        "ACS3-HMAC-SHA256 Credential=AK,SignedHeaders=,Signature=1",
        "ACS3-HMAC-SHA1 Credential=AK,SignedHeaders=a,Signature=1",
    };
    struct rc_acs3 acs3;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(rc_acs3_parse(wrong[i], &acs3), RC_ERR_INVALID);
}

static void test_a_form_is_decoded_and_what_is_broken_refused(void **state)
{
    struct rc_params params;
    rc_params_init(&params);
    assert_int_equal(
        rc_params_add_form(&params, rc_slice_str("a=1&&b=x+y%2f%E8%AE%BE&c&=d&Tag.1.Key=k&Tag.2=v")), 0);
    assert_string_equal(rc_params_get(&params, "a"), "1");
    assert_string_equal(rc_params_get(&params, "b"), "x y/\xe8\xae\xbe");
    assert_string_equal(rc_params_get(&params, "c"), "");
    assert_string_equal(rc_params_get(&params, ""), "d");
    assert_string_equal(rc_params_get_field(&params, "Tag", 1, "Key"), "k");
    assert_string_equal(rc_params_get_nth(&params, "Tag", 2), "v");
    assert_null(rc_params_get(&params, "d"));
    assert_int_equal(rc_params_add_form(&params, rc_slice_str("a=%4")), RC_ERR_INVALID);
    assert_int_equal(rc_params_add_form(&params, rc_slice_str("a=%zz")), RC_ERR_INVALID);
    assert_int_equal(rc_params_add_form(&params, rc_slice_str("a=%00")), RC_ERR_INVALID);
    assert_int_equal(rc_params_add_form(&params, rc_slice_str("a=%ff")), RC_ERR_INVALID);
    rc_params_free(&params);
}

static void test_parameters_are_bounded(void **state)
{
    struct rc_params params;
    rc_params_init(&params);
    for (int i = 0; i < RC_PARAMS_MAX; i++)
        add(&params, "n", "v");
    assert_int_equal(rc_params_add(&params, rc_slice_str("n"), rc_slice_str("v")), RC_ERR_FULL);
    rc_params_free(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_rpc_signature_is_the_official_one),
        cmocka_unit_test(test_an_acs3_signature_is_the_official_one),
        cmocka_unit_test(test_a_signature_that_leaves_out_what_counts_is_none),
        cmocka_unit_test(test_other_authorizations_are_refused),
        cmocka_unit_test(test_a_form_is_decoded_and_what_is_broken_refused),
        cmocka_unit_test(test_parameters_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
