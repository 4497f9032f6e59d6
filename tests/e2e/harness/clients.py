"""paho clients on threads of their own, for tests that look at every answer."""

import queue

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .procs import PATIENCE


class Client:
    """A paho client on its own thread; what it was told is in `messages`, `connacks`, `subacks`, `ends`."""

    def __init__(self, server, client_id, name=None, word=None, version=mqtt.MQTTv5, clean=True, will=None):
        more = {} if version == mqtt.MQTTv5 else {"clean_session": clean}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=version, **more)
        self.paho.reconnect_delay_set(3600, 3600)
        if name is not None:
            self.paho.username_pw_set(name, word)
        if will is not None:
            self.paho.will_set(*will)
        self.messages, self.connacks, self.subacks, self.acks, self.ends = (queue.Queue() for _ in range(5))
        self.paho.on_connect = lambda c, u, flags, reason, props: self.connacks.put((reason.value, flags.session_present))
        self.paho.on_disconnect = lambda c, u, flags, reason, props: self.ends.put(reason.value)
        self.paho.on_subscribe = lambda c, u, mid, reasons, props: self.subacks.put([r.value for r in reasons])
        self.paho.on_publish = lambda c, u, mid, reason, props: self.acks.put(reason.value)
        self.paho.on_message = lambda c, u, m: self.messages.put((m.topic, m.payload.decode(), m.retain))
        properties = None
        if version == mqtt.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 0 if clean else 3600
        start = {"clean_start": clean, "properties": properties} if version == mqtt.MQTTv5 else {}
        self.paho.connect("127.0.0.1", server.mqtt_port, 60, **start)
        self.paho.loop_start()
        self.code, self.present = self.connacks.get(timeout=10 * PATIENCE)

    def subscribe(self, filter, qos=1):
        result, _ = self.paho.subscribe(filter, qos)
        assert result == mqtt.MQTT_ERR_SUCCESS
        return self.subacks.get(timeout=10 * PATIENCE)[0]

    def publish(self, topic, payload, qos=1, retain=False):
        self.paho.publish(topic, payload, qos, retain)
        return self.acks.get(timeout=10 * PATIENCE)

    def message(self):
        return self.messages.get(timeout=10 * PATIENCE)

    def end(self):
        return self.ends.get(timeout=10 * PATIENCE)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()
