"""Outflow and inflow rules: MQTT messages that become RocketMQ messages, and the other way round."""

import json
import subprocess
import threading
import urllib.request

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.procs import wait_until
from harness.rollcall import BINARY, GROUP, INSTANCE, PARENT, Rollcall, password, user

OUT = "{id: out-1, type: outflow, source: {mqtt_topic: sensors}, topic: GID_out, queues: 4}"
IN = "{id: in-1, type: inflow, source: {topic: GID_in}, target: {mqtt_topic: sensors}, queues: 4}"


def make_server(home, *rules, **options):
    server = Rollcall(home, **options)
    set_rules(server, *rules)
    return server


def set_rules(server, *rules):
    lines = server.config.read_text().splitlines()
    lines[-1] = f"    rules: [{', '.join(rules)}]"
    server.config.write_text("\n".join(lines) + "\n")


def reload(server):
    before = server.log().count(" reloaded:")
    server.process.child.send_signal(1)
    wait_until("the reload", lambda: server.log().count(" reloaded:") > before)


class Client:
    """A paho client that remembers what came: (topic, payload, qos)."""

    def __init__(self, server, name, version=mqtt.MQTTv311, clean=True, filters=()):
        self.id = f"{GROUP}@@@{name}"
        options = {"clean_session": clean} if version != mqtt.MQTTv5 else {}
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, self.id, protocol=version, **options)
        self.client.username_pw_set(user(), password(self.id))
        self.messages, self.raw, self.acked = [], [], 0
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        connected = threading.Event()
        self.client.on_connect = lambda *_: connected.set()
        self.client.connect("127.0.0.1", server.mqtt_port)
        self.client.loop_start()
        assert connected.wait(30)
        if filters:
            subscribed = threading.Event()
            self.client.on_subscribe = lambda *_: subscribed.set()
            self.client.subscribe([(filter, 1) for filter in filters])
            assert subscribed.wait(30)

    def _on_message(self, _client, _data, message):
        self.raw.append(message)
        self.messages.append((message.topic, message.payload.decode(), message.qos))

    def _on_publish(self, *_):
        self.acked += 1

    def publish(self, topic, payload, qos=1, properties=None):
        self.client.publish(topic, payload, qos, properties=properties)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def logged(server, topic):
    """The (stopped) log's messages of a topic, in the order of each queue."""
    return [message for message in server.dump() if message["topic"] == topic]


def test_what_clients_publish_is_in_the_log_with_its_properties(tmp_path):
    server = make_server(tmp_path, OUT).start()
    old = Client(server, "old", clean=False)
    new = Client(server, "new", mqtt.MQTTv5)
    old.publish(PARENT, "parent alone", 0)
    old.publish(f"{PARENT}/a/b", "below", 1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("k1", "v1"), ("k\"2", "v2")]
    properties.MessageExpiryInterval, properties.ContentType = 60, "text/plain"
    new.publish(f"{PARENT}/p2p/{GROUP}@@@nobody", "to one", 2, properties)
    wait_until("the acknowledgements", lambda: old.acked == 2 and new.acked == 1)
    old.close(), new.close()
    server.stop()
    found = {message["body"]: message["properties"] for message in logged(server, "GID_out")}
    assert set(found) == {"parent alone", "below", "to one"}
    below = {key: found["below"][key] for key in ("qoslevel", "cleansessionflag", "mqttSecondTopic", "clientId", "topic")}
    assert below == {"qoslevel": "1", "cleansessionflag": "false", "mqttSecondTopic": "/a/b",
                     "clientId": old.id, "topic": f"{PARENT}/a/b"}
    assert (found["parent alone"]["qoslevel"], found["parent alone"]["mqttSecondTopic"]) == ("0", "")
    to_one = found["to one"]
    assert (to_one["qoslevel"], to_one["cleansessionflag"]) == ("2", "true")
    assert json.loads(to_one["mqtt5UserProperty"]) == [{"key": "k1", "value": "v1"}, {"key": "k\"2", "value": "v2"}]
    assert (to_one["mqtt5MsgExpireInterval"], to_one["mqtt5ContentType"]) == ("60", "text/plain")
    assert len({message["properties"]["UNIQ_KEY"] for message in logged(server, "GID_out")}) == 3


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_acknowledged_is_in_the_log_after_kill_9(qos, tmp_path):
    server = make_server(tmp_path, OUT).start()
    client = Client(server, "many", clean=False)
    for i in range(2000):
        client.publish(f"{PARENT}/n", str(i), qos)
    wait_until("some acknowledgements", lambda: client.acked >= 200)
    server.kill()
    client.client.loop_stop()
    acked = client.acked
    server.start()
    server.stop()
    bodies = [int(message["body"]) for message in logged(server, "GID_out")]
    assert bodies[:acked] == list(range(acked)) and bodies == sorted(bodies)


def test_a_disabled_rule_takes_nothing_and_a_reload_brings_it_back(tmp_path):
    server = make_server(tmp_path, OUT[:-1] + ", enabled: false}").start()
    client = Client(server, "one")
    client.publish(PARENT, "before")
    wait_until("the first", lambda: client.acked == 1)
    set_rules(server, OUT)
    reload(server)
    client.publish(PARENT, "after")
    wait_until("the second", lambda: client.acked == 2)
    client.close()
    server.stop()
    assert [message["body"] for message in logged(server, "GID_out")] == ["after"]


@pytest.mark.parametrize("rule, words", [
    ("{id: r-1, type: outflow, topic: GID_a}", "`source.mqtt_topic` was expected"),
    ("{id: r-1, type: outflow, source: {mqtt_topic: other}, topic: GID_a}", "is none of the instance's `topics`"),
    ("{id: r-1, type: outflow, source: {mqtt_topic: sensors}}", "neither `topic` nor `target` was given"),
    ("{id: r-1, type: outflow, source: {mqtt_topic: sensors}, topic: RC_RULE_x}", "are the server's own"),
    ("{id: r-1, type: outflow, source: {mqtt_topic: sensors}, group: GID_test, topic: GID_a}", "goes with `type: status-notice`"),
    (f"{OUT}, {OUT.replace('out-1', 'out-2')}", "the MQTT topic has a rule of this type already"),
    ("{id: r-1, type: inflow, target: {mqtt_topic: sensors}}", "`source.topic` was expected"),
    ("{id: r-1, type: inflow, source: {topic: GID_in}}", "`target.mqtt_topic` was expected"),
    ("{id: r-1, type: inflow, source: {topic: GID_in, instance: no}, target: {mqtt_topic: sensors}}",
     "`source.instance` names none of `rocketmq.instances`"),
    ("{id: r-1, group: GID_test, topic: GID_a, source: {mqtt_topic: sensors}}", "go with `type: outflow` or `inflow`"),
])
def test_a_rule_that_cannot_be_is_refused_with_words(rule, words, tmp_path):
    server = make_server(tmp_path, rule)
    done = subprocess.run([BINARY, "serve", "-c", server.config, "-t"], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr, done.stderr
