#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/cidr.h"
#include "net/proxy_protocol.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) text, sizeof(text) - 1

struct header {
    const char *bytes;
    size_t len;
    const char *client; /* "" when it names none */
    bool is_local;
};

static const struct header right[] = {
    {BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n"), "192.0.2.1:56324", false},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535", false},
    {BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", false},
    {BYTES("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1", false},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
           "65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", false},
    {BYTES("PROXY UNKNOWN\r\n"), "", false},
    {BYTES("PROXY UNKNOWN what ever may stand here\r\n"), "", false},
    {BYTES(V2 "\x21\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), "192.0.2.7:4660", false},
    {BYTES(V2 "\x21\x11\0\x12\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b\x04\0\x03"
              "abc"),
     "192.0.2.7:4660", false},
    {BYTES(V2
           "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50"
           "\0\x51"),
     "[2001:db8::9]:80", false},
    {BYTES(V2 "\x20\0\0\0"), "", true},
    {BYTES(V2 "\x20\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), "", true},
    {BYTES(V2 "\x21\0\0\x03"
              "xyz"),
     "", false},
};

static const struct header wrong[] = {
    {BYTES("\x10\x0c\0\4MQTT"), NULL, false},
    {BYTES("PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 \r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 ::1 ::1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1\r 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n"), NULL, false},
    {BYTES("PROXY \r\n"), NULL, false},
    {BYTES(
         "PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
         "56789012345\r\n"),
     NULL, false},
    {BYTES(V2 "\x22\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), NULL, false},
    {BYTES(V2 "\x11\x11\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), NULL, false},
    {BYTES(V2 "\x21\x11\0\x0b\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), NULL, false},
    {BYTES(V2 "\x21\x21\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), NULL, false},
    {BYTES(V2 "\x21\x31\0\x01\x01"), NULL, false},
    {BYTES(V2 "\x21\x12\0\x0c\xc0\0\x02\x07\x7f\0\0\x01\x12\x34\x07\x5b"), NULL, false},
    {BYTES(V2 "\x21\x41\0\x00"), NULL, false},
    {BYTES(V2 "\x21\x11\xff\xff\xc0\0\x02\x07"), NULL, false},
    {BYTES("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c"), NULL, false},
};

static void check_client(const struct rc_proxy_header *header, const struct header *expected)
{
    char text[RC_ADDRESS_TEXT_MAX] = "";
    if (header->client.len > 0)
        rc_address_format(&header->client, text);
    assert_string_equal(text, expected->client);
    assert_int_equal(header->is_local, expected->is_local);
}

static void test_a_header_names_the_client(void **state)
{
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        struct rc_proxy_header header;
        assert_int_equal(rc_proxy_parse(rc_slice(right[i].bytes, right[i].len), &header), right[i].len);
        check_client(&header, &right[i]);
    }
}

static void test_a_header_that_comes_byte_by_byte_is_waited_for(void **state)
{
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        for (size_t len = 0; len < right[i].len; len++) {
            struct rc_proxy_header header;
            struct rc_slice in = rc_slice(right[i].bytes, len);
            assert_int_equal(rc_proxy_parse(in, &header), 0);
            size_t wants = rc_proxy_wants(in);
            assert_true(wants > 0);
            assert_true(len + wants <= right[i].len); /* never a byte of what follows */
        }
    }
}

static void test_a_header_takes_few_reads(void **state)
{
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        size_t len = 0, reads = 0;
        for (; len < right[i].len; reads++)
            len += rc_proxy_wants(rc_slice(right[i].bytes, len));
        assert_true(reads <= 40);
    }
}

static void test_a_malformed_header_is_refused(void **state)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct rc_proxy_header header;
        int64_t size = 0;
        for (size_t len = 0; len <= wrong[i].len && size == 0; len++)
            size = rc_proxy_parse(rc_slice(wrong[i].bytes, len), &header);
        if (size != RC_ERR_PROTOCOL)
            fail_msg("row %zu: %lld", i, (long long)size);
    }
}

static struct rc_address address_of(const char *text)
{
    struct rc_address address;
    assert_int_equal(rc_address_parse(text, &address, NULL), 0);
    return address;
}

static void test_a_block_holds_its_addresses(void **state)
{
    static const struct {
        const char *block, *address;
        bool is_in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1:1", true},
        {"10.0.0.0/8", "11.0.0.1:1", false},
        {"192.0.2.128/25", "192.0.2.129:1", true},
        {"192.0.2.128/25", "192.0.2.127:1", false},
        {"192.0.2.1", "192.0.2.1:9", true},
        {"192.0.2.1", "192.0.2.2:9", false},
        {"0.0.0.0/0", "203.0.113.1:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"::/0", "203.0.113.1:1", true},
        {"2001:db8::/32", "[2001:db8:1::1]:1", true},
        {"2001:db8::/32", "[2001:db9::1]:1", false},
        {"::1", "[::1]:5", true},
        {"10.0.0.0/8", "[::ffff:10.1.2.3]:1", true},
        {"unix", "unix:/tmp/x", true},
        {"unix", "127.0.0.1:1", false},
        {"0.0.0.0/0", "unix:/tmp/x", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rc_cidr cidr;
        struct rc_address address = address_of(rows[i].address);
        assert_true(rc_cidr_parse(rc_slice_str(rows[i].block), &cidr));
        if (rc_cidr_has(&cidr, &address) != rows[i].is_in)
            fail_msg("%s in %s", rows[i].address, rows[i].block);
    }
}

static void test_what_is_no_block_is_refused(void **state)
{
    static const char *const texts[] = {"",           "10.0.0.0/33", "10.0.0.0/", "10.0.0.1/8",  "10.0.0/8",
                                        "::1/129",    "::1/64",      "name",      "10.0.0.0/8 ", "/8",
                                        "10.0.0.0/-1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(rc_cidr_is_valid(rc_slice_str(texts[i])));
    assert_false(rc_cidr_is_valid(rc_slice("10.0.0.0\0", 9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_header_names_the_client),
        cmocka_unit_test(test_a_header_that_comes_byte_by_byte_is_waited_for),
        cmocka_unit_test(test_a_header_takes_few_reads),
        cmocka_unit_test(test_a_malformed_header_is_refused),
        cmocka_unit_test(test_a_block_holds_its_addresses),
        cmocka_unit_test(test_what_is_no_block_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
