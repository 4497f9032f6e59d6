/* The vocabulary of MQTT: versions, packet types, reason codes. */
#ifndef RC_MQTT_TYPES_H
#define RC_MQTT_TYPES_H

#include <stdbool.h>
#include <stdint.h>

enum { RC_MQTT_V31 = 3, RC_MQTT_V311 = 4, RC_MQTT_V5 = 5 };

enum {
    RC_MQTT_REMAINING_MAX = 268435455, /* what four length bytes can say */
    RC_MQTT_STRING_MAX = 65535,
    RC_MQTT_FIXED_HEADER_MAX = 5,
};

#define RC_MQTT_TYPE_MAP(X)                                                                                  \
    X(RC_MQTT_CONNECT, 1, "CONNECT")                                                                         \
    X(RC_MQTT_CONNACK, 2, "CONNACK")                                                                         \
    X(RC_MQTT_PUBLISH, 3, "PUBLISH")                                                                         \
    X(RC_MQTT_PUBACK, 4, "PUBACK")                                                                           \
    X(RC_MQTT_PUBREC, 5, "PUBREC")                                                                           \
    X(RC_MQTT_PUBREL, 6, "PUBREL")                                                                           \
    X(RC_MQTT_PUBCOMP, 7, "PUBCOMP")                                                                         \
    X(RC_MQTT_SUBSCRIBE, 8, "SUBSCRIBE")                                                                     \
    X(RC_MQTT_SUBACK, 9, "SUBACK")                                                                           \
    X(RC_MQTT_UNSUBSCRIBE, 10, "UNSUBSCRIBE")                                                                \
    X(RC_MQTT_UNSUBACK, 11, "UNSUBACK")                                                                      \
    X(RC_MQTT_PINGREQ, 12, "PINGREQ")                                                                        \
    X(RC_MQTT_PINGRESP, 13, "PINGRESP")                                                                      \
    X(RC_MQTT_DISCONNECT, 14, "DISCONNECT")                                                                  \
    X(RC_MQTT_AUTH, 15, "AUTH")

enum rc_mqtt_type {
#define X(name, value, text) name = value,
    RC_MQTT_TYPE_MAP(X)
#undef X
};

/* Reason codes of MQTT 5. 0x00 also stands for granted QoS 0 and normal disconnection. */
#define RC_MQTT_REASON_MAP(X)                                                                                \
    X(RC_MQTT_SUCCESS, 0x00, "success")                                                                      \
    X(RC_MQTT_GRANTED_QOS_1, 0x01, "granted QoS 1")                                                          \
    X(RC_MQTT_GRANTED_QOS_2, 0x02, "granted QoS 2")                                                          \
    X(RC_MQTT_DISCONNECT_WITH_WILL, 0x04, "disconnect with will message")                                    \
    X(RC_MQTT_NO_MATCHING_SUBSCRIBERS, 0x10, "no matching subscribers")                                      \
    X(RC_MQTT_NO_SUBSCRIPTION_EXISTED, 0x11, "no subscription existed")                                      \
    X(RC_MQTT_CONTINUE_AUTHENTICATION, 0x18, "continue authentication")                                      \
    X(RC_MQTT_REAUTHENTICATE, 0x19, "re-authenticate")                                                       \
    X(RC_MQTT_UNSPECIFIED_ERROR, 0x80, "unspecified error")                                                  \
    X(RC_MQTT_MALFORMED_PACKET, 0x81, "malformed packet")                                                    \
    X(RC_MQTT_PROTOCOL_ERROR, 0x82, "protocol error")                                                        \
    X(RC_MQTT_IMPLEMENTATION_ERROR, 0x83, "implementation specific error")                                   \
    X(RC_MQTT_UNSUPPORTED_VERSION, 0x84, "unsupported protocol version")                                     \
    X(RC_MQTT_CLIENT_ID_NOT_VALID, 0x85, "client identifier not valid")                                      \
    X(RC_MQTT_BAD_CREDENTIALS, 0x86, "bad user name or password")                                            \
    X(RC_MQTT_NOT_AUTHORIZED, 0x87, "not authorized")                                                        \
    X(RC_MQTT_SERVER_UNAVAILABLE, 0x88, "server unavailable")                                                \
    X(RC_MQTT_SERVER_BUSY, 0x89, "server busy")                                                              \
    X(RC_MQTT_BANNED, 0x8A, "banned")                                                                        \
    X(RC_MQTT_SERVER_SHUTTING_DOWN, 0x8B, "server shutting down")                                            \
    X(RC_MQTT_BAD_AUTHENTICATION_METHOD, 0x8C, "bad authentication method")                                  \
    X(RC_MQTT_KEEP_ALIVE_TIMEOUT, 0x8D, "keep alive timeout")                                                \
    X(RC_MQTT_SESSION_TAKEN_OVER, 0x8E, "session taken over")                                                \
    X(RC_MQTT_TOPIC_FILTER_INVALID, 0x8F, "topic filter invalid")                                            \
    X(RC_MQTT_TOPIC_NAME_INVALID, 0x90, "topic name invalid")                                                \
    X(RC_MQTT_PACKET_ID_IN_USE, 0x91, "packet identifier in use")                                            \
    X(RC_MQTT_PACKET_ID_NOT_FOUND, 0x92, "packet identifier not found")                                      \
    X(RC_MQTT_RECEIVE_MAXIMUM_EXCEEDED, 0x93, "receive maximum exceeded")                                    \
    X(RC_MQTT_TOPIC_ALIAS_INVALID, 0x94, "topic alias invalid")                                              \
    X(RC_MQTT_PACKET_TOO_LARGE, 0x95, "packet too large")                                                    \
    X(RC_MQTT_MESSAGE_RATE_TOO_HIGH, 0x96, "message rate too high")                                          \
    X(RC_MQTT_QUOTA_EXCEEDED, 0x97, "quota exceeded")                                                        \
    X(RC_MQTT_ADMINISTRATIVE_ACTION, 0x98, "administrative action")                                          \
    X(RC_MQTT_PAYLOAD_FORMAT_INVALID, 0x99, "payload format invalid")                                        \
    X(RC_MQTT_RETAIN_NOT_SUPPORTED, 0x9A, "retain not supported")                                            \
    X(RC_MQTT_QOS_NOT_SUPPORTED, 0x9B, "QoS not supported")                                                  \
    X(RC_MQTT_USE_ANOTHER_SERVER, 0x9C, "use another server")                                                \
    X(RC_MQTT_SERVER_MOVED, 0x9D, "server moved")                                                            \
    X(RC_MQTT_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, 0x9E, "shared subscriptions not supported")                \
    X(RC_MQTT_CONNECTION_RATE_EXCEEDED, 0x9F, "connection rate exceeded")                                    \
    X(RC_MQTT_MAXIMUM_CONNECT_TIME, 0xA0, "maximum connect time")                                            \
    X(RC_MQTT_SUBSCRIPTION_IDS_NOT_SUPPORTED, 0xA1, "subscription identifiers not supported")                \
    X(RC_MQTT_WILDCARDS_NOT_SUPPORTED, 0xA2, "wildcard subscriptions not supported")

enum { RC_MQTT_REASON_STRING_MAX = 48 }; /* the property with the longest of these texts */

enum rc_mqtt_reason {
#define X(name, value, text) name = value,
    RC_MQTT_REASON_MAP(X)
#undef X
};

/* CONNACK return codes of 3.1 and 3.1.1 */
enum rc_mqtt_connack_v3 {
    RC_MQTT_V3_ACCEPTED = 0,
    RC_MQTT_V3_BAD_VERSION = 1,
    RC_MQTT_V3_ID_REJECTED = 2,
    RC_MQTT_V3_UNAVAILABLE = 3,
    RC_MQTT_V3_BAD_CREDENTIALS = 4,
    RC_MQTT_V3_NOT_AUTHORIZED = 5,
};

const char *rc_mqtt_type_name(uint8_t type);     /* never NULL */
const char *rc_mqtt_reason_text(uint8_t reason); /* never NULL */
/* Whether a packet of that type may carry the reason in version 5, whoever sends it. */
bool rc_mqtt_reason_is_of(uint8_t type, uint8_t reason);
/* The nearest 3.1.1 CONNACK code of a reason. */
uint8_t rc_mqtt_connack_v3_of(uint8_t reason);

#endif
