#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/address.h"

#include <stdlib.h>
#include <string.h>

static void test_addresses_read_back_as_written(void **state)
{
    static const char *const good[] = {"127.0.0.1:1883",        "[::1]:8883",   "unix:/tmp/x", "0.0.0.0:0",
                                       "255.255.255.255:65535", "[fe80::1:2]:1"};
    struct rc_address address;
    struct rc_error error;
    char text[RC_ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(rc_address_parse(good[i], &address, &error), 0);
        assert_string_equal(rc_address_format(&address, text), good[i]);
    }
}

static void test_what_is_no_address_is_refused_in_words(void **state)
{
    static const char *const bad[] = {"",
                                      "1883",
                                      ":",
                                      "localhost:1883",
                                      "1.2.3.4:",
                                      "1.2.3.4:65536",
                                      "::1:1883",
                                      "[::1]",
                                      "unix:",
                                      "1.2.3:99",
                                      "1.2.3.4:12x",
                                      "1.2.3.4:+5",
                                      "1.2.3.4:-1",
                                      "[]:5",
                                      "[::1:5",
                                      "::1]:5",
                                      "1.2.3.4: 5",
                                      "1.2.3.4:99999999999999999999",
                                      "[1.2.3.4]:5",
                                      "[::g]:5"};
    struct rc_address address;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rc_error error = {0};
        assert_int_equal(rc_address_parse(bad[i], &address, &error), RC_ERR_INVALID);
        assert_true(strlen(error.text) > 20);
    }
    char path[256] = "unix:";
    memset(path + 5, 'p', 200);
    assert_int_equal(rc_address_parse(path, &address, NULL), RC_ERR_INVALID);
    path[5 + 107] = '\0';
    assert_int_equal(rc_address_parse(path, &address, NULL), 0);
    char text[RC_ADDRESS_TEXT_MAX];
    assert_string_equal(rc_address_format(&address, text), path);
}

static void test_an_ipv4_client_of_an_ipv6_socket_is_written_as_ipv4(void **state)
{
    struct rc_address address;
    char text[RC_ADDRESS_TEXT_MAX];
    uint8_t ip[16];
    assert_int_equal(rc_address_parse("[::ffff:10.1.2.3]:5", &address, NULL), 0);
    assert_string_equal(rc_address_format(&address, text), "10.1.2.3:5");
    assert_int_equal(rc_address_ip(&address, ip), 4);
    assert_int_equal(rc_address_holder(&address, ip), 4);
    assert_memory_equal(ip, "\x0a\x01\x02\x03", 4);
}

static void test_the_bytes_of_an_ip_are_given_in_network_order(void **state)
{
    struct rc_address address;
    uint8_t ip[16];
    assert_int_equal(rc_address_parse("1.2.3.4:5", &address, NULL), 0);
    assert_int_equal(rc_address_ip(&address, ip), 4);
    assert_memory_equal(ip, "\1\2\3\4", 4);
    assert_int_equal(rc_address_parse("[2001:db8::5]:5", &address, NULL), 0);
    assert_int_equal(rc_address_ip(&address, ip), 16);
    assert_int_equal(rc_address_holder(&address, ip), 8);
    assert_memory_equal(ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\5", 16);
    assert_int_equal(rc_address_parse("unix:/x", &address, NULL), 0);
    assert_int_equal(rc_address_ip(&address, ip), 0);
}

static void test_all_addresses_of_the_machine_are_told_from_one(void **state)
{
    static const char *const all[] = {":1883", "*:1883", "0.0.0.0:1883", "[::]:1883"};
    struct rc_address address;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(rc_address_parse(all[i], &address, NULL), 0);
        assert_true(rc_address_is_wildcard(&address));
        assert_int_equal(rc_address_port(&address), 1883);
    }
    assert_int_equal(rc_address_parse("127.0.0.1:1883", &address, NULL), 0);
    assert_false(rc_address_is_wildcard(&address));
}

static void test_a_peer_without_a_name_has_a_text_all_the_same(void **state)
{
    struct rc_address address;
    char text[RC_ADDRESS_TEXT_MAX];
    memset(&address, 'x', sizeof(address)); /* what lies behind `len` must not be read */
    address.any.sa_family = AF_UNIX;
    address.len = sizeof(sa_family_t);
    assert_string_equal(rc_address_format(&address, text), "unix:");
    address.len = sizeof(struct sockaddr_un);
    assert_int_equal(strlen(rc_address_format(&address, text)), 5 + 108);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_read_back_as_written),
        cmocka_unit_test(test_what_is_no_address_is_refused_in_words),
        cmocka_unit_test(test_an_ipv4_client_of_an_ipv6_socket_is_written_as_ipv4),
        cmocka_unit_test(test_the_bytes_of_an_ip_are_given_in_network_order),
        cmocka_unit_test(test_all_addresses_of_the_machine_are_told_from_one),
        cmocka_unit_test(test_a_peer_without_a_name_has_a_text_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
