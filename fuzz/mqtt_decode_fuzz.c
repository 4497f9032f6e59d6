/* Whatever bytes come, decoding MQTT reads only those, and walking what it accepted stays inside of them. */
#include "base/error.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    if (used > 0)
        walk(&packet, in);
    rc_topic_filter_is_valid(in);
    free(copy);
    return 0;
}
