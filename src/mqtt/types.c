#include "mqtt/types.h"

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
