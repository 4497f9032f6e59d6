"""Outflow and inflow through real clusters that ask for TLS, signatures and a namespace, through deaths, and to other targets."""

import signal

import paho.mqtt.client as mqtt
import pytest

from harness.apache import RealCluster, has_route
from harness.certificates import Authority
from harness.jvm import Driver
from harness.procs import wait_until
from harness.rollcall import AK, PARENT, SK
from test_flow_rules import change, make as make_rule, rules
from test_flows import Client, Producer, make_server, numbers

OUT = "{{id: out-1, type: outflow, source: {{mqtt_topic: sensors}}, target: {{instance: apache, topic: {}}}}}"
IN = "{{id: in-1, type: inflow, source: {{instance: apache, topic: {}, from: first}}, target: {{mqtt_topic: sensors}}}}"


def make(home, cluster, out_topic, in_topic, more=""):
    """A server with a rule each way, not started."""
    return make_server(home, OUT.format(out_topic), IN.format(in_topic),
                       rocketmq_more=f", instances: [{{name: apache, nameservers: ['{cluster.namesrv}']{more}}}]")


def told(driver, consumer):
    """The bodies that a consumer was given, first occurrences, in the order of its one queue."""
    lines = sorted((line["message"] for line in driver.messages(consumer)), key=lambda message: message["queueOffset"])
    bodies = [message["body"] for message in lines if message["properties"].get("clientId")]
    return list(dict.fromkeys(bodies))


def both_ways(server, driver, cluster, out_topic, in_topic, **keys):
    """One message out, one message in."""
    device = Client(server, "device", mqtt.MQTTv5, filters=[f"{PARENT}/down"])
    driver.call("push", name="both", group=out_topic.replace("GID_out", "GID_readers"), topic=out_topic,
                namesrv=cluster.namesrv, **keys, **{"from": "first"})
    producer = Producer(driver, cluster.namesrv, **keys)
    producer.send(in_topic, "inwards", mqttSecondTopic="/down")
    device.publish(f"{PARENT}/up", "outwards")
    wait_until(lambda: f"the message from RocketMQ: {rules(server)}", lambda: device.messages, 60)
    driver.wait_messages("the message to RocketMQ", "both", lambda lines: told(driver, "both") == ["outwards"], 60)
    assert device.messages == [(f"{PARENT}/down", "inwards", 1)]
    device.close(), producer.close()
    driver.call("stop", name="both")


def test_a_cluster_that_takes_nothing_but_tls(tmp_path):
    authority, stranger = Authority(tmp_path / "tls"), Authority(tmp_path / "stranger")
    certificate, key = authority.make("broker", "broker", "DNS:mq.example")
    cluster = RealCluster(tmp_path / "apache", 49, broker_options=["-Dtls.server.mode=enforcing"], options=[
        "-Dtls.test.mode.enable=false", f"-Dtls.server.certPath={certificate}", f"-Dtls.server.keyPath={key}",
        "-Dtls.enable=true", "-Dtls.client.authServer=false"]).start()
    driver = Driver("rmq49", tmp_path / "driver", options=["-Dtls.enable=true"])
    tls = f", tls: {{enabled: true, ca: {stranger.ca}, server_name: mq.example}}"
    server = make(tmp_path, cluster, "GID_out", "GID_in", tls).start()
    try:
        maker = Producer(driver, cluster.namesrv)
        for topic in ("GID_out", "GID_in"):
            maker.send(topic, "makes the topic", cleansessionflag="true", mqttSecondTopic="/elsewhere")
        maker.close()
        wait_until("what is in the way", lambda: "certificate" in rules(server)["in-1"]["Error"], 60)
        assert rules(server)["in-1"]["State"] == "retrying"
        server.config.write_text(server.config.read_text().replace(str(stranger.ca), str(authority.ca)))
        server.process.child.send_signal(1)
        both_ways(server, driver, cluster, "GID_out", "GID_in")
        wait_until("it to run", lambda: rules(server)["in-1"]["State"] == "running", 60)
        server.stop()
    finally:
        server.kill() if server.process.running() else None
        driver.close()
        cluster.stop()


@pytest.mark.parametrize("version", [49, 53])
def test_a_cluster_with_signatures_and_a_namespace(version, rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", version, acl=(AK, SK)).start()
    server = make(tmp_path, cluster, "GID_out", "GID_in", f", access_key: {AK}, secret_key: wrong-key, namespace: MQ_INST_one")
    try:
        keys = {"ak": AK, "sk": SK}
        maker = Producer(rmq49, cluster.namesrv, **keys)
        for topic in ("MQ_INST_one%GID_out", "MQ_INST_one%GID_in"):
            maker.send(topic, "makes the topic", mqttSecondTopic="/elsewhere")
        maker.close()
        server.start()
        wait_until("the refusal", lambda: rules(server)["in-1"]["State"] == "retrying" and rules(server)["in-1"]["Error"], 60)
        server.config.write_text(server.config.read_text().replace("wrong-key", SK))
        server.process.child.send_signal(1)
        both_ways(server, rmq49, cluster, "MQ_INST_one%GID_out", "MQ_INST_one%GID_in", **keys)
        server.stop()
    finally:
        server.kill() if server.process and server.process.running() else None
        cluster.stop()


@pytest.mark.parametrize("cluster_name", ["cluster49", "cluster53"])
def test_nothing_is_lost_through_the_death_of_any_of_them(cluster_name, request, rmq49, tmp_path):
    cluster = request.getfixturevalue(cluster_name)
    out_topic, in_topic, deaths = (f"{name}_{cluster.version}" for name in ("GID_deaths_out", "GID_deaths_in", "deaths"))
    server = make(tmp_path, cluster, out_topic, in_topic)
    counts = {"out": 0, "in": 0}
    try:
        for topic in (out_topic, in_topic):
            cluster.create_topic(topic)
        server.start()
        rmq49.call("push", name=deaths, group=f"GID_{deaths}", topic=out_topic, namesrv=cluster.namesrv, **{"from": "first"})
        producer = Producer(rmq49, cluster.namesrv)
        device = Client(server, "device", clean=False, filters=[f"{PARENT}/down"])

        def out(times=20):
            acked = device.acked
            for _ in range(times):
                device.publish(f"{PARENT}/up", str(counts["out"]))
                counts["out"] += 1
            wait_until("the acknowledgements", lambda: device.acked == acked + times, 60)

        def inwards(times=20):
            for _ in range(times):
                producer.send(in_topic, str(counts["in"]), mqttSecondTopic="/down")
                counts["in"] += 1

        out(), inwards()
        wait_until("the first messages", lambda: len(device.messages) >= 20, 60)
        cluster.broker.child.send_signal(signal.SIGSTOP)
        out()
        wait_until("nobody to answer", lambda: rules(server)["out-1"]["WaitsFor"] == cluster.name, 60)
        cluster.broker.child.send_signal(signal.SIGCONT)
        inwards()
        wait_until("all of both", lambda: len({payload for _, payload, _ in device.messages}) == counts["in"]
                   and numbers(server, "out-1")["waiting"] == 0, 60)
        cluster.broker.kill()
        out()
        wait_until("what is in the way", lambda: {one["State"] for one in rules(server).values()} == {"retrying"}, 60)
        cluster.start_broker()
        inwards()
        cluster.namesrv_process.kill()
        out(), inwards()
        cluster.start_namesrv()
        wait_until("the broker at the new name server", lambda: has_route(cluster.namesrv_port, in_topic), 60)
        seen = {payload for _, payload, _ in device.messages}
        server.kill()
        device.client.loop_stop()
        seen |= {payload for _, payload, _ in device.messages}
        inwards()
        server.start()
        device = Client(server, "device", clean=False)
        out()
        wait_until(lambda: f"all from RocketMQ: {rules(server)['in-1']}", lambda: {str(i) for i in range(counts["in"])} <=
                   seen | {payload for _, payload, _ in device.messages}, 90)
        rmq49.wait_messages("all to RocketMQ", deaths, lambda lines: len(told(rmq49, deaths)) == counts["out"], 90)
        assert told(rmq49, deaths) == [str(i) for i in range(counts["out"])]  # in order
        wait_until("both to run", lambda: {one["State"] for one in rules(server).values()} == {"running"}, 60)
        wait_until("nothing to wait", lambda: numbers(server, "in-1")["waiting"] == numbers(server, "out-1")["waiting"] == 0, 60)
        device.close(), producer.close()
        rmq49.call("stop", name=deaths)
        server.stop()
    finally:
        server.kill() if server.process and server.process.running() else None


@pytest.mark.parametrize("cluster_name", ["cluster49", "cluster53"])
def test_rules_with_another_target_leave_nothing_behind(cluster_name, request, rmq49, tmp_path):
    cluster = request.getfixturevalue(cluster_name)
    topics = [f"GID_{name}_{cluster.version}" for name in ("retarget_one", "retarget_two", "source_one", "source_two")]
    for topic in topics:
        cluster.create_topic(topic)
    server = make(tmp_path, cluster, topics[0], topics[2])
    lines = server.config.read_text().splitlines()  # rules of the file are changed there: these are made by the API
    server.config.write_text("\n".join(lines[:-1]) + "\n")
    server.start()
    make_rule(server, "outflow-rules", RuleId="out-1", MqttTopic=PARENT, TargetInstance="apache", TargetTopic=topics[0])
    make_rule(server, "inflow-rules", RuleId="in-1", MqttTopic=PARENT, SourceInstance="apache", SourceTopic=topics[2],
              From="first")
    device = Client(server, "device", filters=[f"{PARENT}/down"])
    producer = Producer(rmq49, cluster.namesrv)
    for at, name in enumerate(("one", "two")):
        rmq49.call("push", name=f"re-{name}", group=f"GID_re_{name}_{cluster.version}", topic=topics[at], namesrv=cluster.namesrv,
                   **{"from": "first"})
    for i in range(20):
        device.publish(f"{PARENT}/up", str(i))
    producer.send(topics[2], "from the first", mqttSecondTopic="/down")
    wait_until("the first", lambda: device.acked == 20 and len(device.messages) == 1, 60)
    change(server, "outflow-rules/out-1", TargetTopic=topics[1])
    change(server, "inflow-rules/in-1", SourceTopic=topics[3])
    for i in range(20, 40):
        device.publish(f"{PARENT}/up", str(i))
    producer.send(topics[3], "from the second", mqttSecondTopic="/down")
    wait_until("the second", lambda: len(device.messages) == 2, 60)
    assert [payload for _, payload, _ in device.messages] == ["from the first", "from the second"]
    files = server.store / "rollcall"
    wait_until("what was there for the first", lambda: len(list(files.glob("rule-*"))) == len(list(files.glob("inflow-*"))) == 1)
    for name, first in (("one", 0), ("two", 20)):
        rmq49.wait_messages(name, f"re-{name}", lambda lines, name=name: len(told(rmq49, f"re-{name}")) == 20, 60)
        assert told(rmq49, f"re-{name}") == [str(i) for i in range(first, first + 20)]
        rmq49.call("stop", name=f"re-{name}")
    assert (rules(server)["out-1"]["TargetInstance"], rules(server)["out-1"]["Topic"]) == ("apache", topics[1])
    device.close(), producer.close()
    server.stop()
