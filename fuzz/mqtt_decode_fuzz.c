/*
 * Whatever bytes come, decoding MQTT reads only those, and walking what it accepted stays inside of them.
 * What was accepted can be encoded, and that decodes to what encodes to the same bytes.
 */
#include "base/error.h"
#include "mqtt/test_put_packet.h"
#include "mqtt/topic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 21 };

static void walk(const struct rc_mqtt_packet *packet, struct rc_slice in)
{
    struct rc_slice one, two;
    uint8_t options;
    uint32_t id, count = 0;
    if (packet->type == RC_MQTT_SUBSCRIBE) {
        for (size_t at = 0; rc_mqtt_next_subscription(packet->subscribe.entries, &at, &one, &options);
             count++)
            if (one.ptr < in.ptr || one.ptr + one.len > in.ptr + in.len)
                abort();
        if (count != packet->subscribe.count)
            abort();
    }
    if (packet->type == RC_MQTT_PUBLISH) {
        for (size_t at = 0; rc_mqtt_props_next_user(packet->publish.props.raw, &at, &one, &two);)
            count++;
        for (size_t at = 0; rc_mqtt_props_next_subscription_id(packet->publish.props.raw, &at, &id);)
            count++;
        rc_topic_matches(rc_slice_str("a/+/#"), packet->publish.topic);
    }
}

static void check_encoding(uint8_t version, const struct rc_mqtt_packet *packet)
{
    struct rc_buf once, twice;
    struct rc_mqtt_packet again;
    if (packet->type == RC_MQTT_CONNECT)
        version = packet->connect.version;
    rc_buf_init(&once, ROOM);
    rc_buf_init(&twice, ROOM);
    if (test_put_packet(&once, version, packet) != RC_OK ||
        rc_mqtt_decode(rc_buf_slice(&once), version, ROOM, &again) != (int64_t)rc_buf_len(&once) ||
        again.type != packet->type || test_put_packet(&twice, version, &again) != RC_OK ||
        !rc_slice_eq(rc_buf_slice(&once), rc_buf_slice(&twice)))
        abort();
    rc_buf_free(&once);
    rc_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t version = (uint8_t)(RC_MQTT_V31 + data[0] % 3);
    /* A copy of its own length, so that a byte read too far is noticed. */
    uint8_t *copy = malloc(size);
    memcpy(copy, data + 1, size - 1);
    struct rc_slice in = rc_slice(copy, size - 1);
    struct rc_mqtt_packet packet;
    int64_t used = rc_mqtt_decode(in, version, 1 << 20, &packet);
    if (used > (int64_t)in.len)
        abort();
    if (used > 0) {
        walk(&packet, in);
        check_encoding(version, &packet);
    }
    rc_topic_filter_is_valid(in);
    free(copy);
    return 0;
}
