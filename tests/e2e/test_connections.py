"""Connections of every version, made by mosquitto's and paho's clients: last words, sessions, wills, and their events."""

import json
import queue
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.procs import PATIENCE, wait_until
from harness.rollcall import Rollcall

TAKEN_OVER, SHUTTING_DOWN, KEEP_ALIVE, WITH_WILL = 0x8E, 0x8B, 0x8D, 4

STANDARD = """
  - id: home
    profile: standard
    group: GID_home
    anonymous: true
    limits: {keep_alive: 60s}
"""


class Client:
    """A paho client of version 5; what it was told is in `connack`, `messages` and `ends`."""

    def __init__(self, server, client_id="", clean=True, expiry=None, will=None, delay=0, keep_alive=30):
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self.paho.reconnect_delay_set(3600, 3600)
        connacks, self.messages, self.ends, self.subacks = (queue.Queue() for _ in range(4))
        self.paho.on_connect = lambda c, u, flags, reason, props: connacks.put((reason.value, flags, props))
        self.paho.on_disconnect = lambda c, u, flags, reason, props: self.ends.put(reason.value)
        self.paho.on_subscribe = lambda c, u, mid, reasons, props: self.subacks.put(reasons)
        self.paho.on_message = lambda c, u, message: self.messages.put(message)
        if will:
            properties = Properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = delay
            properties.ContentType = "text/plain"
            properties.UserProperty = ("why", "gone")
            self.paho.will_set(will, "gone", qos=1, properties=properties)
        properties = Properties(PacketTypes.CONNECT)
        if expiry is not None:
            properties.SessionExpiryInterval = expiry
        self.paho.connect("127.0.0.1", server.mqtt_port, keep_alive, clean_start=clean, properties=properties)
        self.paho.loop_start()
        self.code, self.flags, self.connack = connacks.get(timeout=10 * PATIENCE)

    def subscribe(self, filter):
        self.paho.subscribe(filter, 1)
        self.subacks.get(timeout=10 * PATIENCE)

    def message(self):
        return self.messages.get(timeout=10 * PATIENCE)

    def end(self):
        return self.ends.get(timeout=10 * PATIENCE)

    def cut(self):
        """Leaves without a word."""
        self.paho.loop_stop()
        self.paho.socket().close()

    def close(self, reason=None):
        self.paho.disconnect(reasoncode=reason)
        self.paho.loop_stop()


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    server.config.write_text(server.config.read_text() + STANDARD.lstrip("\n"))
    yield server.start()
    server.stop()


def test_connack_tells_an_assigned_id_and_a_shorter_keep_alive(server):
    client = Client(server, keep_alive=600)
    assert client.code == 0
    assert client.connack.AssignedClientIdentifier.startswith("rc-")
    assert client.connack.ServerKeepAlive == 60
    assert client.connack.MaximumPacketSize >= 128 * 1024
    assert client.connack.ReceiveMaximum > 0
    client.close()


def test_the_server_says_why_it_ends_a_connection(server):
    first = Client(server, "a")
    second = Client(server, "a")
    assert first.end() == TAKEN_OVER
    server.stop()
    assert second.end() == SHUTTING_DOWN
    for client in (first, second):
        client.paho.loop_stop()


def test_a_session_is_resumed_while_it_has_not_expired(server):
    first = Client(server, "a", expiry=2**32 - 1)
    first.subscribe("t/#")
    first.close()
    second = Client(server, "a", clean=False, expiry=1)
    assert second.flags.session_present
    other = Client(server, "b")
    other.paho.publish("t/1", "hello", qos=1)
    assert second.message().payload == b"hello"
    second.close()
    wait_until("the session to expire", lambda: not _present(server))
    other.close()


def _present(server):
    client = Client(server, "a", clean=False, expiry=1)
    present = client.flags.session_present
    client.close()
    if present:
        time.sleep(1.2)
    return present


def test_a_will_is_sent_when_it_should_be(server):
    watcher = Client(server, "watcher")
    watcher.subscribe("will/#")
    Client(server, "goodbye", will="will/goodbye").close()
    Client(server, "asked", will="will/asked").close(mqtt.ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL))
    message = watcher.message()
    assert (message.topic, message.payload) == ("will/asked", b"gone")
    assert message.properties.ContentType == "text/plain"
    assert message.properties.UserProperty == [("why", "gone")]
    Client(server, "cut", will="will/cut").cut()
    assert watcher.message().topic == "will/cut"
    back = Client(server, "back", will="will/back", delay=60, expiry=60)
    back.cut()
    Client(server, "back", clean=False, expiry=60).close()
    Client(server, "late", will="will/late", delay=1, expiry=60).cut()
    assert watcher.message().topic == "will/late"
    watcher.close()


def test_events_tell_the_version(server):
    for version in ("mqttv31", "mqttv311", "mqttv5"):
        subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-V", version, "-i", version, "-t", "t", "-m", "x"],
                       check=True, timeout=30 * PATIENCE)
    server.stop()
    told = {}
    for message in server.dump():
        body = json.loads(message["body"])
        told.setdefault(body["clientId"], []).append((body["eventType"], message["properties"]["rcProtocol"]))
    assert told == {version: [(kind, text) for kind in ("connect", "disconnect", "tcpclean")]
                    for version, text in (("mqttv31", "mqtt-3.1"), ("mqttv311", "mqtt-3.1.1"), ("mqttv5", "mqtt-5.0"))}
