#include "net/websocket_client.h"

#include "base/bytes.h"
#include "base/error.h"
#include "net/websocket_output.h"

#include <stdio.h>
#include <string.h>

enum {
    CONTINUATION = 0,
    BINARY = 2,
    CLOSE = 8,
    PING = 9,
    PONG = 10,
    FINAL = 0x80,
    MASKED = 0x80,
    REQUEST_MAX = 1024,
    MASK_LEN = 4,
};

int rc_websocket_client_request(struct rc_buf *out, const char *host, const char *path)
{
    char text[REQUEST_MAX];
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: cm9sbGNhbGwgYmVuY2hlcw==\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
                       path, host);
    return len < (int)sizeof(text) ? rc_buf_put(out, text, (size_t)len) : RC_ERR_FULL;
}

int64_t rc_websocket_client_answer(struct rc_slice in)
{
    static const char agrees[] = "HTTP/1.1 101";
    size_t compared = in.len < sizeof(agrees) - 1 ? in.len : sizeof(agrees) - 1;
    if (memcmp(in.ptr, agrees, compared) != 0)
        return RC_ERR_PROTOCOL;
    const uint8_t *end = memmem(in.ptr, in.len, "\r\n\r\n", 4);
    if (end != NULL)
        return end + 4 - in.ptr;
    return in.len < RC_WEBSOCKET_CLIENT_HEAD_MAX ? 0 : RC_ERR_PROTOCOL;
}

static size_t put_header(uint8_t *out, uint8_t opcode, uint64_t len)
{
    size_t header = rc_websocket_put_header(out, opcode, len);
    out[1] |= MASKED;
    memset(out + header, 0, MASK_LEN);
    return header + MASK_LEN;
}

size_t rc_websocket_client_header(uint8_t *out, uint64_t len)
{
    return put_header(out, BINARY, len);
}

size_t rc_websocket_client_pong(uint8_t *out, struct rc_slice payload)
{
    size_t header = put_header(out, PONG, payload.len);
    if (payload.len > 0)
        memcpy(out + header, payload.ptr, payload.len);
    return header + payload.len;
}

/* ---- reading ---- */

/* How long the header is that begins with these bytes (2 at least). */
static uint8_t header_size(const uint8_t *head)
{
    uint8_t length = head[1] & 0x7f;
    return length == 126 ? 4 : length == 127 ? 10 : 2;
}

static int begin_frame(struct rc_websocket_reader *reader)
{
    const uint8_t *head = reader->head;
    uint8_t length = head[1];
    reader->opcode = head[0] & 0x0f;
    reader->left = length == 126 ? rc_load_u16(head + 2) : length == 127 ? rc_load_u64(head + 2) : length;
    reader->head_len = 0;
    bool is_control = reader->opcode >= CLOSE;
    if ((head[0] & 0x70) != 0 || (head[1] & MASKED) != 0 || (reader->left >> 63) != 0)
        return RC_ERR_PROTOCOL;
    if (is_control && (!(head[0] & FINAL) || reader->left > RC_WEBSOCKET_CONTROL_MAX))
        return RC_ERR_PROTOCOL;
    if (is_control)
        reader->control_len = 0;
    if (reader->opcode == CLOSE)
        return RC_ERR_CLOSED;
    reader->has_ping |= reader->opcode == PING && reader->left == 0;
    return is_control ? reader->opcode <= PONG ? RC_OK : RC_ERR_PROTOCOL
           : reader->opcode == BINARY || reader->opcode == CONTINUATION ? RC_OK
                                                                        : RC_ERR_PROTOCOL;
}

/* A byte of a header: 0, or how the reading ends. */
static int take_head(struct rc_websocket_reader *reader, uint8_t byte)
{
    reader->head[reader->head_len++] = byte;
    if (reader->head_len < 2 || reader->head_len < header_size(reader->head))
        return RC_OK;
    return begin_frame(reader);
}

static void take_control(struct rc_websocket_reader *reader, const uint8_t *bytes, size_t len)
{
    memcpy(reader->control + reader->control_len, bytes, len);
    reader->control_len = (uint8_t)(reader->control_len + len);
    reader->has_ping |= reader->opcode == PING && reader->left == 0;
}

int64_t rc_websocket_reader_take(struct rc_websocket_reader *reader, uint8_t *bytes, size_t len)
{
    size_t done = 0, at = 0;
    while (at < len) {
        if (reader->left == 0) {
            int err = take_head(reader, bytes[at++]);
            if (err != RC_OK)
                return err;
            continue;
        }
        size_t part = reader->left < len - at ? (size_t)reader->left : len - at;
        reader->left -= part;
        if (reader->opcode >= CLOSE) {
            take_control(reader, bytes + at, part);
        } else {
            memmove(bytes + done, bytes + at, part);
            done += part;
        }
        at += part;
    }
    return (int64_t)done;
}
