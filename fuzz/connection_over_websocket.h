/* WebSocket in front of MQTT: the upgrade, then frames, whole and in pieces, with others between. */

static struct rc_transport *over_make(void)
{
    struct rc_transport *transport = rc_transport_create(RC_TRANSPORT_WS, "ws");
    transport->path = rc_strdup("/mqtt");
    return transport;
}

static void over_begin(int i)
{
    static const char request[] =
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    put_raw(i, rc_slice(request, sizeof(request) - 1));
    turn(2);
}

/* Masked with a key of naught, which leaves the payload as it is. */
static void put_frame(int i, uint8_t first, struct rc_slice payload)
{
    uint8_t header[14] = {first};
    size_t len = 2;
    header[1] = (uint8_t)(0x80 | (payload.len < 126 ? payload.len : payload.len < 65536 ? 126 : 127));
    for (int shift = payload.len < 126 ? -8 : payload.len < 65536 ? 8 : 56; shift >= 0; shift -= 8)
        header[len++] = (uint8_t)(payload.len >> shift);
    put_raw(i, rc_slice(header, len + 4));
    put_raw(i, payload);
}

static void over_put(int i, struct rc_slice bytes)
{
    enum { CONTINUED = 0, BINARY = 2, PING = 9, FIN = 0x80 };
    if (bytes.len == 0)
        return;
    uint8_t how = next_byte();
    size_t half = how >= 16 && how < 64 ? how % bytes.len : 0;
    if (how < 4)
        put_raw(i, bytes);
    else if (how < 8)
        put_frame(i, next_byte(), bytes);
    if (how < 8)
        return;
    if (how < 16)
        put_frame(i, FIN | PING, rc_slice(bytes.ptr, bytes.len % 126));
    if (half > 0)
        put_frame(i, BINARY, rc_slice(bytes.ptr, half));
    put_frame(i, FIN | (half > 0 ? CONTINUED : BINARY), rc_slice_from(bytes, half));
}

static size_t over_take(int i, uint8_t *bytes, size_t size)
{
    return take_raw(i, bytes, size);
}

static void over_end(int i)
{
}
