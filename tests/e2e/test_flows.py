"""Outflow and inflow rules: MQTT messages that become RocketMQ messages, and the other way round."""

import json
import subprocess
import threading
import urllib.request
from datetime import datetime

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.procs import wait_until
from harness.rollcall import BINARY, GROUP, INSTANCE, PARENT, Rollcall, password, user
from harness.sides import Own

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
    keys = {message["properties"]["UNIQ_KEY"] for message in logged(server, "GID_out")}
    assert len(keys) == 3
    month = datetime.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since = (datetime.now() - month).total_seconds() * 1000  # from here RocketMQ's clients know when to look a key up
    assert all(since - 120_000 < int(key[20:28], 16) <= since for key in keys)


def test_a_message_whose_properties_are_too_many_goes_on_in_mqtt_alone(tmp_path):
    server = make_server(tmp_path, OUT).start()
    client = Client(server, "one", mqtt.MQTTv5, filters=[f"{PARENT}/#"])
    for size in (100, 1025, 33000):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "x" * size
        client.publish(PARENT, str(size), 1, properties)
    wait_until("the acknowledgements", lambda: client.acked == 3)
    wait_until("the messages", lambda: [payload for _, payload, _ in client.messages] == ["100", "1025", "33000"])
    wait_until("the numbers", lambda: numbers(server, "out-1").get("dropped") == 2)
    client.close()
    server.stop()
    assert [message["body"] for message in logged(server, "GID_out")] == ["100"]


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
    ("{id: r-1, type: inflow, source: {topic: ROLLCALL_PRESENCE}, target: {mqtt_topic: sensors}}", "are the server's own"),
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


# ---- inflow, and both ways through real clusters ----

class Producer:
    def __init__(self, driver, namesrv, **keys):
        self.driver, self.name = driver, f"p-{namesrv}"
        driver.call("producer", name=self.name, namesrv=namesrv, **keys)

    def send(self, to, body, **properties):
        return self.driver.call("send", name=self.name, topic=to, tags="MQ2MQTT", body=body, properties=properties)

    def close(self):
        self.driver.call("stopProducer", name=self.name)


def in_rule(side, topic):
    return f"{{id: in-1, type: inflow, source: {{{side.source(topic)}}}, target: {{mqtt_topic: sensors}}, queues: 4}}"


def numbers(server, rule):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return {line.split("{")[0].removeprefix("rollcall_rule_").removesuffix("_total"): float(line.split()[-1])
            for line in lines if line.startswith("rollcall_rule_") and f'rule="{rule}"' in line}


def test_rocketmq_messages_reach_subscribers_and_single_clients(side, rmq49, tmp_path):
    topic = f"GID_in_{side.version}"
    was_there = side.version != "own"  # a broker gives a new group all that a young topic holds
    if was_there:  # it makes the topic
        first = Producer(rmq49, side.namesrv(None), **side.keys)
        first.send(topic, "before the rule")
        first.close()
    server = make_server(tmp_path, in_rule(side, topic), rocketmq_more=side.more).start()
    reader = Client(server, "reader", mqtt.MQTTv5, filters=[f"{PARENT}/sub/#", PARENT])
    device = Client(server, "device", clean=False)  # has subscribed to nothing
    producer = Producer(rmq49, side.namesrv(server), **side.keys)
    for i in range(20):
        producer.send(topic, f"m{i}", mqttSecondTopic="/sub/x" if i % 2 else "sub/x")
    producer.send(topic, "qos0", qoslevel="0")
    producer.send(topic, "five", mqttSecondTopic="/sub", mqtt5ContentType="text/plain", mqtt5MsgExpireInterval="600",
                  mqtt5UserProperty='[{"key":"k","value":"v"}]')
    producer.send(topic, "p2p", mqttSecondTopic=f"/p2p/{device.id}")
    producer.send(topic, "real", mqttSecondTopic=f"/p2p/{device.id}", mqttRealTopic="shown/to/you", qoslevel="2")
    def has_come():  # what was there before comes as soon as the server runs, which may be before its reader subscribed
        return len([body for _, body, _ in reader.messages if body != "before the rule"]) >= 22 and len(device.messages) >= 2
    wait_until(lambda: f"what was published: {reader.messages} {device.messages} {numbers(server, 'in-1')} "
                       f"{server.log()[-1500:]}", has_come, 60)
    device.close()
    producer.send(topic, "not kept", mqttSecondTopic=f"/p2p/{device.id}", cleansessionflag="true")
    producer.send(topic, "kept", mqttSecondTopic=f"/p2p/{device.id}", cleansessionflag="false")
    wait_until("all of them", lambda: numbers(server, "in-1")["matched"] == 26 + was_there, 60)
    back = Client(server, "device", clean=False)
    wait_until("what was kept", lambda: back.messages, 30)
    back.close(), reader.close(), producer.close()
    subscribed = [message for message in reader.messages if message[0] == f"{PARENT}/sub/x"]
    assert sorted(subscribed) == sorted((f"{PARENT}/sub/x", f"m{i}", 1) for i in range(20))
    assert (PARENT, "qos0", 0) in reader.messages
    five = next(message for message in reader.raw if message.payload == b"five")
    assert five.properties.UserProperty == [("k", "v")] and five.properties.ContentType == "text/plain"
    assert 0 < five.properties.MessageExpiryInterval <= 600
    assert sorted(device.messages) == sorted([("shown/to/you", "real", 2), (f"{PARENT}/p2p/{device.id}", "p2p", 1)])
    assert back.messages == [(f"{PARENT}/p2p/{device.id}", "kept", 1)]
    told = numbers(server, "in-1")
    assert (told["delivered"], told["dropped"]) == (25 + was_there, 1)  # nobody got what was not to be kept
    server.stop()


def test_what_came_from_rocketmq_for_an_absent_client_survives_kill_9(rmq49, tmp_path):
    side = Own()
    server = make_server(tmp_path, in_rule(side, "GID_kept")).start()
    Client(server, "away", clean=False).close()
    producer = Producer(rmq49, server.namesrv, **Own.keys)
    for i in range(200):
        producer.send("GID_kept", str(i), mqttSecondTopic=f"/p2p/{GROUP}@@@away")
    wait_until("some of them", lambda: numbers(server, "in-1")["delivered"] >= 50, 60)
    server.kill()
    server.start()
    wait_until("the rest", lambda: numbers(server, "in-1")["matched"] > 0, 60)
    away = Client(server, "away", clean=False)
    wait_until("all", lambda: len({payload for _, payload, _ in away.messages}) == 200, 60)
    away.close(), producer.close()
    server.stop()


def test_what_cannot_be_published_is_dropped_and_counted_and_the_rest_goes_on(rmq49, tmp_path):
    server = make_server(tmp_path, in_rule(Own(), "GID_bad")).start()
    reader = Client(server, "reader", filters=[f"{PARENT}/#"])
    producer = Producer(rmq49, server.namesrv, **Own.keys)
    producer.send("GID_bad", "wildcard", mqttSecondTopic="/a/#")
    producer.send("GID_bad", "x" * (64 * 1024 + 1))
    producer.send("GID_bad", "its own", topic=f"{PARENT}/a", rcInstance=INSTANCE)
    producer.send("GID_bad", "good")
    wait_until("the good one", lambda: reader.messages, 60)
    wait_until("all", lambda: numbers(server, "in-1")["matched"] == 4, 60)
    assert reader.messages == [(PARENT, "good", 1)]
    assert (numbers(server, "in-1")["delivered"], numbers(server, "in-1")["dropped"]) == (1, 3)
    reader.close(), producer.close()
    server.stop()


def test_mqtt_messages_reach_java_consumers(side, rmq49, tmp_path):
    topic, name = f"GID_o_{side.version}", f"out-{side.version}"
    if side.version != "own":
        first = Producer(rmq49, side.namesrv(None), **side.keys)
        first.send(topic, "makes the topic")
        first.close()
    rule = f"{{id: out-1, type: outflow, source: {{mqtt_topic: sensors}}, {side.target(topic)}, queues: 4}}"
    server = make_server(tmp_path, rule, rocketmq_more=side.more).start()
    rmq49.call("push", name=name, group=f"GID_{name}", topic=topic, tags="*", namesrv=side.namesrv(server),
               **side.keys, **{"from": "first"})
    client = Client(server, "sender")
    for i in range(50):
        client.publish(f"{PARENT}/a", str(i))
    wait_until("the acknowledgements", lambda: client.acked == 50)

    def mine(lines):
        return [line["message"] for line in lines if line["message"]["properties"].get("clientId") == client.id]
    rmq49.wait_messages("all", name, lambda lines: len(mine(lines)) >= 50, 60)
    got = sorted(mine(rmq49.messages(name)), key=lambda message: message["queueOffset"])  # its callbacks run side by side
    assert len({message["queueId"] for message in got}) == 1
    assert [int(message["body"]) for message in got] == list(range(50))
    assert got[0]["properties"]["mqttSecondTopic"] == "/a" and got[0]["properties"]["qoslevel"] == "1"
    wait_until("the numbers", lambda: numbers(server, "out-1").get("delivered") == 50)
    client.close()
    server.stop()
