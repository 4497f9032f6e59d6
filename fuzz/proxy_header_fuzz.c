/* A PROXY header: nothing past its end is asked for, and every beginning of a right one is waited for. */
#include "net/proxy_protocol.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_right)
{
    if (!is_right)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rc_proxy_header header;
    char text[RC_ADDRESS_TEXT_MAX];
    int64_t whole = rc_proxy_parse(rc_slice(data, size), &header);
    check(whole <= (int64_t)size && whole <= RC_PROXY_HEADER_MAX);
    if (whole > 0 && header.client.len > 0)
        rc_address_format(&header.client, text);
    if (whole > 0)
        check(rc_proxy_parse(rc_slice(data, (size_t)whole), &header) == whole);
    /* As it is read: what is certain to belong to it, piece by piece. */
    size_t len = 0;
    int64_t parsed = 0;
    while (parsed == 0 && len < size) {
        size_t wants = rc_proxy_wants(rc_slice(data, len));
        check(wants > 0 && len + wants <= RC_PROXY_HEADER_MAX);
        if (whole > 0)
            check(len + wants <= (size_t)whole);
        len = len + wants < size ? len + wants : size;
        parsed = rc_proxy_parse(rc_slice(data, len), &header);
    }
    check(whole <= 0 || parsed == whole);
    return 0;
}
