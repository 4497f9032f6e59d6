#include "mqtt/types.h"

#include <string.h>

const char *rc_mqtt_type_name(uint8_t type)
{
    switch (type) {
#define X(name, value, text)                                                                                 \
    case value:                                                                                              \
        return text;
        RC_MQTT_TYPE_MAP(X)
#undef X
    default:
        return "reserved";
    }
}

const char *rc_mqtt_reason_text(uint8_t reason)
{
    switch (reason) {
#define X(name, value, text)                                                                                 \
    case value:                                                                                              \
        return text;
        RC_MQTT_REASON_MAP(X)
#undef X
    default:
        return "unknown reason";
    }
}

#define CODES(...)                                                                                           \
    {                                                                                                        \
        (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})                               \
    }

/* Table 2-6 of the standard. */
static const struct {
    const uint8_t *codes;
    size_t count;
} reasons[] = {
    [RC_MQTT_CONNACK] = CODES(0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C,
                              0x90, 0x95, 0x97, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F),
    [RC_MQTT_PUBACK] = CODES(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99),
    [RC_MQTT_PUBREC] = CODES(0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99),
    [RC_MQTT_PUBREL] = CODES(0x00, 0x92),
    [RC_MQTT_PUBCOMP] = CODES(0x00, 0x92),
    [RC_MQTT_SUBACK] = CODES(0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2),
    [RC_MQTT_UNSUBACK] = CODES(0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91),
    [RC_MQTT_DISCONNECT] =
        CODES(0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95,
              0x96, 0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2),
    [RC_MQTT_AUTH] = CODES(0x00, 0x18, 0x19),
};

bool rc_mqtt_reason_is_of(uint8_t type, uint8_t reason)
{
    return type <= RC_MQTT_AUTH && reasons[type].codes != NULL &&
           memchr(reasons[type].codes, reason, reasons[type].count) != NULL;
}

uint8_t rc_mqtt_connack_v3_of(uint8_t reason)
{
    switch (reason) {
    case RC_MQTT_SUCCESS:
        return RC_MQTT_V3_ACCEPTED;
    case RC_MQTT_UNSUPPORTED_VERSION:
        return RC_MQTT_V3_BAD_VERSION;
    case RC_MQTT_CLIENT_ID_NOT_VALID:
        return RC_MQTT_V3_ID_REJECTED;
    case RC_MQTT_BAD_CREDENTIALS:
        return RC_MQTT_V3_BAD_CREDENTIALS;
    case RC_MQTT_NOT_AUTHORIZED:
    case RC_MQTT_BANNED:
        return RC_MQTT_V3_NOT_AUTHORIZED;
    default:
        return RC_MQTT_V3_UNAVAILABLE;
    }
}
