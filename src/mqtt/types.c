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

bool rc_mqtt_reason_is_of(uint8_t ack_type, uint8_t reason)
{
    switch (reason) {
    case RC_MQTT_SUCCESS:
        return true;
    case RC_MQTT_PACKET_ID_NOT_FOUND:
        return ack_type == RC_MQTT_PUBREL || ack_type == RC_MQTT_PUBCOMP;
    case RC_MQTT_NO_MATCHING_SUBSCRIBERS:
    case RC_MQTT_UNSPECIFIED_ERROR:
    case RC_MQTT_IMPLEMENTATION_ERROR:
    case RC_MQTT_NOT_AUTHORIZED:
    case RC_MQTT_TOPIC_NAME_INVALID:
    case RC_MQTT_PACKET_ID_IN_USE:
    case RC_MQTT_QUOTA_EXCEEDED:
    case RC_MQTT_PAYLOAD_FORMAT_INVALID:
        return ack_type == RC_MQTT_PUBACK || ack_type == RC_MQTT_PUBREC;
    default:
        return false;
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
