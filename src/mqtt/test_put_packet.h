/* For the tests of the codec and its fuzz target: a decoded packet encoded, whatever its type. */
#ifndef RC_MQTT_TEST_PUT_PACKET_H
#define RC_MQTT_TEST_PUT_PACKET_H

#include "mqtt/packet.h"

/* Puts together again what was taken apart; RC_OK, or as the encoder says. */
static inline int test_put_packet(struct rc_buf *out, uint8_t version, const struct rc_mqtt_packet *packet)
{
    switch (packet->type) {
    case RC_MQTT_CONNECT:
        return rc_mqtt_put_connect(out, &packet->connect, packet->connect.props.raw,
                                   packet->connect.will_props.raw);
    case RC_MQTT_CONNACK:
        return rc_mqtt_put_connack(out, version, packet->connack.session_present, packet->connack.reason,
                                   packet->connack.props.raw);
    case RC_MQTT_PUBLISH:
        return rc_mqtt_put_publish(out, version, &packet->publish, packet->publish.props.raw);
    case RC_MQTT_SUBSCRIBE:
        return rc_mqtt_put_subscribe(out, version, packet->subscribe.packet_id, packet->subscribe.entries,
                                     packet->subscribe.props.raw);
    case RC_MQTT_UNSUBSCRIBE:
        return rc_mqtt_put_unsubscribe(out, version, packet->subscribe.packet_id, packet->subscribe.entries,
                                       packet->subscribe.props.raw);
    case RC_MQTT_SUBACK:
        return rc_mqtt_put_suback(out, version, packet->suback.packet_id, packet->suback.codes,
                                  packet->suback.props.raw);
    case RC_MQTT_UNSUBACK:
        return rc_mqtt_put_unsuback(out, version, packet->suback.packet_id, packet->suback.codes,
                                    packet->suback.props.raw);
    case RC_MQTT_PINGREQ:
        return rc_mqtt_put_pingreq(out);
    case RC_MQTT_PINGRESP:
        return rc_mqtt_put_pingresp(out);
    case RC_MQTT_DISCONNECT:
        return rc_mqtt_put_disconnect(out, version, packet->reasoned.reason, packet->reasoned.props.raw);
    case RC_MQTT_AUTH:
        return rc_mqtt_put_auth(out, packet->reasoned.reason, packet->reasoned.props.raw);
    default:
        return rc_mqtt_put_ack(out, version, packet->type, packet->ack.packet_id, packet->ack.reason,
                               packet->ack.props.raw);
    }
}

#endif
