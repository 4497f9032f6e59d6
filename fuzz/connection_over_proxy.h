/* A PROXY header in front of MQTT: of version 1 or 2, right, damaged, cut, or whatever the input has. */

static struct rc_transport *over_make(void)
{
    struct rc_transport *transport = rc_transport_create(RC_TRANSPORT_TCP, "proxied");
    transport->trusted = rc_new(struct rc_cidr);
    transport->trusted_count = 1;
    check(rc_cidr_parse(rc_slice_str("203.0.113.0/24"), transport->trusted), "no block of addresses");
    return transport;
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEADER(text) rc_slice(text, sizeof(text) - 1)

static struct rc_slice some_header(uint8_t how)
{
    const struct rc_slice all[] = {
        HEADER("PROXY TCP4 198.51.100.7 192.0.2.1 4242 1883\r\n"),
        HEADER("PROXY TCP6 2001:db8::7 2001:db8::1 4242 1883\r\n"),
        HEADER("PROXY UNKNOWN\r\n"),
        HEADER(SIGNATURE "\x21\x11\0\x0c\xc6\x33\x64\7\xc0\0\2\1\x10\x92\7\x5b"),
        HEADER(SIGNATURE "\x21\x11\0\x14\xc6\x33\x64\7\xc0\0\2\1\x10\x92\7\x5b\2\0\5a.com"),
        HEADER(SIGNATURE "\x21\x21\0\x24"
                         "0123456789abcdef"
                         "0123456789abcdef"
                         "\x10\x92\7\x5b"),
        HEADER(SIGNATURE "\x20\0\0\0"),
    };
    return all[how % (sizeof(all) / sizeof(all[0]))];
}

static void over_begin(int i)
{
    uint8_t how = next_byte(), header[128];
    struct rc_slice right = some_header(how % 8);
    if (how >= 240) {
        put_raw(i, next_bytes(next_byte()));
        return;
    }
    memcpy(header, right.ptr, right.len);
    if (how >= 208)
        header[next_byte() % right.len] ^= (uint8_t)(1 + next_byte());
    size_t cut = how >= 160 && how < 208 ? next_byte() % right.len : right.len;
    put_raw(i, rc_slice(header, cut));
    if (cut == right.len || how < 192) { /* else MQTT begins in its midst */
        if (cut < right.len)
            turn(1);
        put_raw(i, rc_slice_from(right, cut));
    }
}

static void over_put(int i, struct rc_slice bytes)
{
    put_raw(i, bytes);
}

static size_t over_take(int i, uint8_t *bytes, size_t size)
{
    return take_raw(i, bytes, size);
}

static void over_end(int i)
{
}
