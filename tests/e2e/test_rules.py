"""Status rules that lead to real Apache clusters."""

import json
import re
import subprocess
import time
import urllib.request

import pytest

from harness.apache import RealCluster, route
from harness.certificates import Authority
from harness.fake_broker import FakeBroker
from harness.jvm import Driver
from harness.procs import wait_until
from harness.rollcall import AK, BINARY, GROUP, PARENT, SK, Device, Rollcall, Watch, run
from test_flows import Client
from test_rest import BASE, ask

OWN_TOPIC = "RC_RULE_"


def make_server(home, cluster, topic, keys="", rule="", **options):
    server = Rollcall(home, **options, rocketmq_more=f", instances: [{{name: apache, nameservers: ['{cluster.namesrv}']{keys}}}]")
    retarget(server, f"target: {{instance: apache, topic: {topic}{rule}}}")
    return server


def retarget(server, target):
    lines = server.config.read_text().splitlines()
    lines[-1] = f"    rules: [{{id: status-1, type: status-notice, group: GID_test, {target}}}]"
    server.config.write_text("\n".join(lines) + "\n")


def make_topic(driver, cluster, topic, **keys):
    name = f"make-{topic}-{time.monotonic_ns()}"
    driver.call("producer", name=name, namesrv=cluster.namesrv, **keys)
    driver.call("send", name=name, topic=topic, tags="none", body="makes the topic")
    driver.call("stopProducer", name=name)


def told(server):
    """Each client's events in the (stopped) log, in order, over all topics of rules: [(type, channel)]."""
    clients = {}
    for message in server.dump():
        if message["topic"].startswith(OWN_TOPIC):
            body = json.loads(message["body"])
            clients.setdefault(body["clientId"], []).append((body["eventType"], body["channelId"]))
    return clients


def tried(server):
    """(exit code, words) of rollcall rule test."""
    done = subprocess.run([BINARY, "rule", "test", "-c", server.config], capture_output=True, text=True)
    return done.returncode, done.stdout


def rule(server, verb, *arguments):
    """(exit code, words) of rollcall rule list or drop."""
    done = run("rule", verb, *arguments, "--url", f"http://127.0.0.1:{server.http_port}/", "--access-key", AK,
               "--secret-key", SK)
    return done.returncode, done.stdout + done.stderr


def metrics(server):
    """The rule's numbers by name, as /metrics tells them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    return {line.split("{")[0].removeprefix("rollcall_rule_").removesuffix("_total"): float(line.split()[-1])
            for line in lines if line.startswith("rollcall_rule_")}


def first_occurrences(lines):
    clients = {}
    for line in lines:
        event = (line["eventType"], line["channelId"])
        if event not in clients.setdefault(line["clientId"], []):
            clients[line["clientId"]].append(event)
    return clients


@pytest.fixture(params=["cluster49", "cluster53"])
def cluster(request):
    return request.getfixturevalue(request.param)


def visit(server, name, times=1):
    for i in range(times):
        device = Device(server, name)
        assert device.code == 0
        device.disconnect() if i % 2 else device.cut()


def test_a_status_rule_reaches_a_cluster_in_order_once_its_topic_is_there(cluster, rmq49, tmp_path):
    topic = f"GID_rule_{cluster.version}"
    server = make_server(tmp_path, cluster, topic).start()
    for i in range(10):
        visit(server, f"d{i}", 4)
    wait_until("what is in the way", lambda: "no topic: the cluster has no route for" in server.log())
    assert (tried(server)[0], "no topic:" in tried(server)[1]) == (1, True)
    wait_until("the numbers of what waits", lambda: metrics(server)["waiting"] == 100)
    assert metrics(server)["state"] == 1 and metrics(server)["lag_seconds"] > 0
    make_topic(rmq49, cluster, topic)
    watch = Watch(cluster, tmp_path, group=f"GID_read_{cluster.version}", topic=topic)
    watch.wait("all events", lambda lines: sum(map(len, first_occurrences(lines).values())) >= 100, 60)
    assert tried(server) == (0, f"rc-test/status-1 -> apache/{topic}: ok, queues=4 brokers=1\n")
    wait_until("the numbers of what was sent", lambda: metrics(server)["delivered"] == 100)
    numbers = metrics(server)
    assert (numbers["matched"], numbers["waiting"], numbers["dropped"], numbers["state"]) == (100, 0, 0, 0)
    server.stop()
    assert first_occurrences(watch.lines.snapshot()) == told(server)
    watch.close()
    assert "runs again" in server.log()


def test_what_was_sent_is_not_sent_again_after_a_restart(cluster, rmq49, tmp_path):
    topic = f"GID_again_{cluster.version}"
    make_topic(rmq49, cluster, topic)
    server = make_server(tmp_path, cluster, topic).start()
    visit(server, "one", 2)
    watch = Watch(cluster, tmp_path, group=f"GID_again_read_{cluster.version}", topic=topic)
    watch.wait("the first events", lambda lines: len(lines) >= 5, 60)
    server.stop()
    server.start()
    visit(server, "two", 2)
    watch.wait("the second's events", lambda lines: sum("two" in line["clientId"] for line in lines) >= 5, 60)
    server.stop()
    assert len(watch.lines.snapshot()) == 10
    watch.close()


def test_a_rule_with_another_target_leaves_no_channel_half_told(cluster49, rmq49, tmp_path):
    for topic in ("GID_old_target", "GID_new_target"):
        make_topic(rmq49, cluster49, topic)
    server = make_server(tmp_path, cluster49, "GID_old_target").start()
    stays = Device(server, "stays")
    assert stays.code == 0
    retarget(server, "target: {instance: apache, topic: GID_new_target}")
    server.process.child.send_signal(1)
    wait_until("the reload", lambda: " reloaded:" in server.log())
    visit(server, "comes")
    retarget(server, "topic: GID_test_MQTT")
    server.process.child.send_signal(1)
    wait_until("the second reload", lambda: server.log().count(" reloaded:") == 2)
    # What nothing is owed to is forgotten: the second target, and the first not before its last channel has ended.
    wait_until("the second target to be forgotten", lambda: len(rule_files(server)) == 1)
    assert kept(rule_files(server)[0])["targetTopic"] == "GID_old_target"
    stays.cut()
    old = Watch(cluster49, tmp_path / "old", group="GID_read_old", topic="GID_old_target")
    new = Watch(cluster49, tmp_path / "new", group="GID_read_new", topic="GID_new_target")
    old.wait("the end of the one that stayed", lambda lines: len(lines) >= 2, 60)
    new.wait("the one that came", lambda lines: len(lines) >= 2, 60)
    wait_until("the first target to be forgotten", lambda: not rule_files(server))
    server.stop()
    for watch, name in ((old, "stays"), (new, "comes")):
        assert [(line["clientId"], line["eventType"]) for line in watch.lines.snapshot()] == \
            [(f"{GROUP}@@@{name}", "connect"), (f"{GROUP}@@@{name}", "tcpclean")]
        watch.close()


@pytest.mark.parametrize("version", [49, 53])
def test_requests_are_signed_where_the_cluster_asks_for_it_and_namespaces_are_kept(version, rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", version, acl=(AK, SK)).start()
    try:
        make_topic(rmq49, cluster, "MQ_INST_one%GID_signed", ak=AK, sk=SK)
        server = make_server(tmp_path, cluster, "GID_signed",
                             f", access_key: {AK}, secret_key: wrong-key, namespace: MQ_INST_one").start()
        visit(server, "one")
        wait_until("the refusal", lambda: "no permission:" in server.log())
        assert "no permission:" in tried(server)[1]
        server.config.write_text(server.config.read_text().replace("wrong-key", SK))
        server.process.child.send_signal(1)
        watch = Watch(cluster, tmp_path, topic="MQ_INST_one%GID_signed")
        watch.wait("the events", lambda lines: len(lines) >= 2, 60)
        watch.close()
        server.stop()
    finally:
        cluster.stop()


def rounds(server, times):
    for i in range(times):
        for name in range(12):
            visit(server, f"d{name}")


def of_each_client(driver):
    """What the driver's consumer was given: each client's queues, and its events in their order there."""
    queues, events = {}, {}
    lines = [line["message"] for line in driver.messages("c") if "channelId" in line["message"]["body"]]
    for message in sorted(lines, key=lambda one: one["queueOffset"]):
        body = json.loads(message["body"])
        queues.setdefault(body["clientId"], set()).add((message["storeHost"], message["queueId"]))
        event = (body["eventType"], body["channelId"])
        if event not in events.setdefault(body["clientId"], []):
            events[body["clientId"]].append(event)
    return queues, events


def test_clients_wait_for_the_broker_that_holds_their_queue_unless_the_rule_fails_over(rmq49, tmp_path):
    a = RealCluster(tmp_path / "a", 49).start()
    b = RealCluster(tmp_path / "b", 49, beside=a)
    try:
        b.start_broker()
        for broker in (a, b):
            broker.create_topic("GID_two")
        wait_until("the topic on both", lambda: "broker-a" in (found := route(a.namesrv_port, "GID_two")[1])
                   and "broker-b" in found)
        server = make_server(tmp_path, a, "GID_two").start()
        rounds(server, 2)
        wait_until("all to be sent", lambda: metrics(server)["delivered"] == 60 - 12, 60)
        b.broker.kill()
        rounds(server, 2)
        numbers = wait_until("the rule to wait", lambda: (n := metrics(server))["state"] == 1 and n["matched"] == 96
                             and n["waiting"] < 48 and n)
        assert 0 < numbers["waiting"] and "broker broker-b" in rule(server, "list")[1]
        b.start_broker()
        wait_until("what waited", lambda: metrics(server)["waiting"] == 0, 60)
        rmq49.call("push", name="c", group="GID_read_two", topic="GID_two", namesrv=a.namesrv, **{"from": "first"})
        # Some may come twice, and two threads consume: only when each is there is their order known.
        rmq49.wait_messages("every event", "c", lambda lines: sum(
            len(own) for own in of_each_client(rmq49)[1].values()) == 96, 60)
        queues, events = of_each_client(rmq49)
        assert all(len(own) == 1 for own in queues.values()) and len({host for own in queues.values() for host, _ in own}) == 2
        b.broker.kill()
        rounds(server, 1)
        wait_until("some to wait again", lambda: metrics(server)["waiting"] > 0)
        retarget(server, "target: {instance: apache, topic: GID_two, failover: true}")
        server.process.child.send_signal(1)
        wait_until("all to be sent without it", lambda: metrics(server)["waiting"] == 0, 60)
        server.stop()
        in_log = told(server)
        assert {client: in_log[client][:len(own)] for client, own in events.items()} == events
    finally:
        b.stop()
        a.stop()


def test_what_a_broker_answers_decides_what_is_sent_again(tmp_path):
    # Busy and not available: again, the same. Stored but not flushed or copied: not again. Too large: in halves.
    broker = FakeBroker([2, 14, 13, 13])
    server = make_server(tmp_path, broker, "GID_fake").start()
    for i in range(3):
        visit(server, f"d{i}")
    wait_until("all to be sent", lambda: (n := metrics(server))["waiting"] == 0 and n["matched"] == 6)
    stored = [key for code, keys in broker.batches if code == 0 for key in keys]
    assert len(stored) == len(set(stored)) == 6
    assert {key for _, keys in broker.batches for key in keys} == set(stored)
    first = broker.batches[0][1]
    assert broker.batches[1][1][:len(first)] == first  # it may have grown at its end
    assert metrics(server)["retries"] > 0 and metrics(server)["uncertain"] == 0
    broker.answers = [10, 11, 12]
    before = len(broker.batches)
    for i in range(3):
        visit(server, "uncertain")
        wait_until("it to be sent", lambda: (n := metrics(server))["matched"] == 8 + 2 * i and n["waiting"] == 0)
    stored = [key for _, keys in broker.batches[before:] for key in keys]
    assert len(stored) == len(set(stored)) == 6
    assert metrics(server)["uncertain"] >= 3
    server.stop()
    broker.stop()


def test_what_does_not_arrive_in_time_is_sent_in_halves_until_it_does(tmp_path):
    broker = FakeBroker()
    server = make_server(tmp_path, broker, "GID_fake").start()
    visit(server, "first")
    wait_until("a route", lambda: metrics(server)["delivered"] == 2)
    broker.answers = [14] * 5  # meanwhile many gather
    broker.slow_above = 60
    for i in range(120):
        visit(server, f"d{i}")
    wait_until("all to be sent", lambda: metrics(server)["delivered"] == 242, 90)
    sizes = [len(keys) for code, keys in broker.batches if code is None]
    assert sizes and all(later <= earlier // 2 for earlier, later in zip(sizes, sizes[1:]))
    server.stop()
    broker.stop()


def test_a_message_too_large_for_the_cluster_is_named_and_an_operator_drops_it_alone(rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", 49, settings={"maxMessageSize": 4096}).start()
    try:
        make_topic(rmq49, cluster, "GID_small")
        server = make_server(tmp_path, cluster, "GID_small")
        lines = server.config.read_text().splitlines()
        lines[-1] = ("    rules: [{id: status-1, type: outflow, source: {mqtt_topic: sensors}, "
                     "target: {instance: apache, topic: GID_small}}]")
        server.config.write_text("\n".join(lines) + "\n")
        server.start()
        client = Client(server, "one")
        for body in ("before", "x" * 10000, "after 1", "after 2"):
            client.publish(f"{PARENT}/a", body)
        wait_until("the acknowledgements", lambda: client.acked == 4)
        client.close()
        wait_until("the message to be named", lambda: "message 1 is in the way (`rule drop --message 1`" in server.log(), 60)
        numbers = metrics(server)
        assert (numbers["delivered"], numbers["waiting"], numbers["state"]) == (1, 3, 1)
        assert "gives it up): code 13, " in server.log()
        assert rule(server, "drop", "status-1", "--message", "1", "--all")[0] == 2
        assert rule(server, "drop", "status-1", "--message", "9") == (0, "status-1: dropped=0 targets=1\n")
        assert rule(server, "drop", "status-1", "--message", "1") == (0, "status-1: dropped=1 targets=1\n")
        wait_until("the others", lambda: metrics(server)["waiting"] == 0, 60)
        numbers = metrics(server)
        assert (numbers["delivered"], numbers["dropped_by_operator"], numbers["state"]) == (3, 1, 0)
        assert "AUDIT: dropped by an operator: instance=rc-test rule=status-1 target=apache/GID_small messages=1" in server.log()
        rmq49.call("push", name="small", group="GID_read_small", topic="GID_small", namesrv=cluster.namesrv, **{"from": "first"})
        # Two threads consume: their callbacks may change places.
        rmq49.wait_messages("the others", "small", lambda lines: sum(
            "clientId" in line["message"]["properties"] for line in lines) >= 3, 60)
        got = sorted((line["message"] for line in rmq49.messages("small") if "clientId" in line["message"]["properties"]),
                     key=lambda message: message["queueOffset"])
        assert [message["body"] for message in got] == ["before", "after 1", "after 2"]
        server.stop()
    finally:
        cluster.stop()


def set_tls(server, settings):
    lines = server.config.read_text().splitlines()
    lines = [re.sub(r"(, tls: {[^}]*})?}]}$", f"{settings}}}]}}", line) if line.startswith("rocketmq:") else line
             for line in lines]
    server.config.write_text("\n".join(lines) + "\n")


def test_a_cluster_that_takes_nothing_but_tls(tmp_path):
    authority, stranger = Authority(tmp_path / "tls"), Authority(tmp_path / "stranger")
    certificate, key = authority.make("broker", "broker", "DNS:mq.example")
    cluster = RealCluster(tmp_path / "apache", 49, broker_options=["-Dtls.server.mode=enforcing"], options=[
        "-Dtls.test.mode.enable=false", f"-Dtls.server.certPath={certificate}", f"-Dtls.server.keyPath={key}",
        "-Dtls.enable=true", "-Dtls.client.authServer=false"]).start()
    driver = Driver("rmq49", tmp_path / "driver", options=["-Dtls.enable=true"])
    server = make_server(tmp_path, cluster, "GID_tls")
    try:
        make_topic(driver, cluster, "GID_tls")
        server.start()
        visit(server, "one")
        wait_until("the refusal of a connection without TLS", lambda: "broker-a: the connection was closed" in server.log())
        assert "no broker:" in tried(server)[1]
        for settings, words in ((f"ca: {authority.ca}", "IP address mismatch"), ("ca: ''", "certificate"),
                                (f"ca: {stranger.ca}, server_name: mq.example", "certificate"),
                                (f"ca: {authority.ca}, server_name: other.example", "ostname mismatch")):
            set_tls(server, f", tls: {{enabled: true, {settings}}}")
            code, said = tried(server)
            assert code == 1 and "no TLS: the server's certificate: " in said and words in said
        set_tls(server, f", tls: {{enabled: true, ca: {authority.ca}, server_name: mq.example}}")
        assert tried(server)[0] == 0
        server.process.child.send_signal(1)
        driver.call("push", name="c", group="GID_read_tls", topic="GID_tls", namesrv=cluster.namesrv)
        driver.wait_messages("the events", "c", lambda lines: sum("channelId" in line["message"]["body"] for line in lines) >= 2, 60)
        server.stop()
    finally:
        server.kill() if server.process and server.process.running() else None
        driver.close()
        cluster.stop()


@pytest.mark.parametrize("tls, words", [
    ("ca: /nowhere.pem", "`tls` was given without `enabled: true`"),
    ("enabled: true, ca: /nowhere.pem", "the CA /nowhere.pem cannot be read: No such file or directory"),
    ("enabled: true, ca: /etc/passwd", "the file /etc/passwd holds no certificates in PEM form"),
    ("enabled: true, key: /etc/passwd", "one of `tls.certificate` and `tls.key` was given"),
])
def test_certificates_that_cannot_be_used_are_refused_with_words(tls, words, tmp_path):
    class Nobody:
        namesrv = "127.0.0.1:1"
    server = make_server(tmp_path, Nobody, "GID_there", f", tls: {{{tls}}}")
    done = subprocess.run([BINARY, "serve", "-c", server.config, "-t"], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr


def test_without_a_cluster_the_words_say_so(tmp_path):
    class Nobody:
        namesrv = "127.0.0.1:1"
    server = make_server(tmp_path, Nobody, "GID_nowhere").start()
    assert tried(server) == (1, "rc-test/status-1 -> apache/GID_nowhere: no route: name server 127.0.0.1:1: "
                                "no connection\n")
    visit(server, "one")
    wait_until("the number that waits", lambda: metrics(server)["waiting"] == 2)
    server.stop()


@pytest.mark.parametrize("rule, words", [
    ("target: {instance: other, topic: GID_there}", "`target.instance` names none of `rocketmq.instances`"),
    ("target: {instance: apache}", "`target` lacks its `instance` or `topic`"),
    ("topic: GID_a, target: {instance: apache, topic: GID_b}", "`topic` and `target` were given"),
    ("enabled: true", "neither `topic` nor `target` was given"),
    ("topic: RC_RULE_mine", "are the server's own"),
    ("topic: SCHEDULE_TOPIC_XXXX", "are the server's own"),
    ("topic: '%RETRY%GID_any'", "are the server's own"),
])
def test_a_rule_that_leads_nowhere_is_refused_with_words(rule, words, tmp_path):
    class Nobody:
        namesrv = "127.0.0.1:1"
    server = make_server(tmp_path, Nobody, "GID_there")
    retarget(server, rule)
    done = subprocess.run([BINARY, "serve", "-c", server.config, "-t"], capture_output=True, text=True)
    assert done.returncode == 2 and words in done.stderr


def fill(server):
    """Clients come and go until the log is full."""
    def refused():
        try:
            device = Device(server, "many")
        except ConnectionError:  # the one whose arrival did not fit
            return False
        device.cut()
        return device.code == 3
    wait_until("the quota", refused, 60, pause=0)
    return refused


def test_an_operator_drops_what_waits_and_nobody_else_does(tmp_path):
    class Nobody:
        namesrv = "127.0.0.1:1"
    server = make_server(tmp_path, Nobody, "GID_nowhere", store=", retain_size: 64KiB, quota: 512KiB", segment="64KiB")
    server.start()
    refused = fill(server)
    wait_until("the alarm", lambda: "ALARM: retention reaches what status-1 -> apache/GID_nowhere has not sent" in server.log())
    code, said = rule(server, "list")
    assert code == 1 and "status-1 -> apache/GID_nowhere: retrying since " in said and "ALARM: retention" in said
    assert "error: name server 127.0.0.1:1: no connection" in said
    assert metrics(server)["alarm"] == 2 and metrics(server)["dropped"] == 0
    assert rule(server, "drop", "status-1")[0] == 2 and rule(server, "drop", "status-2", "--all")[0] == 1
    waiting = metrics(server)["waiting"]
    code, said = rule(server, "drop", "status-1", "--before", "1000")
    assert (code, said) == (0, "status-1: dropped=0 targets=1\n")
    code, said = rule(server, "drop", "status-1", "--all")
    assert code == 0 and re.fullmatch(r"status-1: dropped=\d+ targets=1\n", said)
    dropped = int(said.split("=")[1].split()[0])
    assert dropped >= waiting
    assert f"AUDIT: dropped by an operator: instance=rc-test rule=status-1 target=apache/GID_nowhere messages={dropped}" \
        in server.log() and f"by={AK}" in server.log()
    wait_until("a client to be let in", lambda: not refused(), 60)
    server.kill()
    server.start()
    visit(server, "after")
    numbers = wait_until("what came after to wait", lambda: (n := metrics(server))["waiting"] >= 2 and n)
    assert numbers["dropped"] == numbers["dropped_by_operator"] == dropped and numbers["delivered"] == 0
    assert numbers["matched"] == dropped + numbers["waiting"]
    server.stop()


def test_what_was_not_sent_stays_and_new_clients_are_refused_until_it_is(cluster49, rmq49, tmp_path):
    server = make_server(tmp_path, cluster49, "GID_late", store=", retain_size: 64KiB, quota: 512KiB", segment="64KiB")
    server.start()
    refused = fill(server)
    assert "retention stops at" in server.log()
    waiting = metrics(server)["waiting"]
    assert waiting > 100
    make_topic(rmq49, cluster49, "GID_late")
    wait_until("all to be sent", lambda: metrics(server)["waiting"] == 0, 60)
    wait_until("a client to be let in", lambda: not refused(), 60)
    server.stop()
    assert lost(server) == 0


def kept(file):
    """What a rule's file holds: the newer of its two slots (store/slot_file.h)."""
    raw = file.read_bytes()
    slots = [raw[:len(raw) // 2], raw[len(raw) // 2:]]
    newest = max((slot for slot in slots if slot.startswith(b"RCSLOT1\n")), key=lambda slot: slot[8:16])
    return json.loads(newest[24:24 + int.from_bytes(newest[16:20], "big")])


def lost(server):
    """How many messages the rule lost: its file says."""
    return sum(sum(map(kept(file).get, ("dropped", "droppedByOperator"))) for file in rule_files(server))


def rule_files(server):
    return list((server.store / "rollcall").glob("rule-*"))


def at_its_rate(server, method, path, fields=None):
    """A call, again for as long as it comes too fast."""
    status, answer = wait_until("the call's turn", lambda: (found := ask(server, method, f"{BASE}/{path}", fields))[0] != 429
                                and found)
    assert status == 200, answer


def test_rules_that_come_and_go_leave_no_file_through_kill(tmp_path):
    server = Rollcall(tmp_path, rocketmq_more=", instances: [{name: apache, nameservers: ['127.0.0.1:1']}]").start()
    leads = {"MqttTopic": PARENT, "TargetInstance": "apache"}
    device = Client(server, "device")
    for i in range(24):
        at_its_rate(server, "POST", "outflow-rules", {"RuleId": f"out-{i}", "TargetTopic": "GID_first", **leads})
        at_its_rate(server, "PUT", f"outflow-rules/out-{i}", {"TargetTopic": "GID_second"})
        if i == 20:  # this one is owed, as there is no cluster
            device.publish(f"{PARENT}/up", "waits")
            wait_until("the acknowledgement", lambda: device.acked == 1)
        if i == 10:
            device.close()
            server.kill()
            server.start()
            device = Client(server, "device")
        at_its_rate(server, "DELETE", f"outflow-rules/out-{i}")
    wait_until("all to be forgotten but the one", lambda: len(rule_files(server)) == 1)
    server.kill()
    server.start()
    assert [kept(file)["rule"] for file in rule_files(server)] == ["out-20"]
    assert "out-20 -> apache/GID_second (former target)" in rule(server, "list")[1]
    assert "dropped=1" in rule(server, "drop", "out-20", "--all")[1]
    wait_until("it to be forgotten", lambda: not rule_files(server))
    assert "former target" not in rule(server, "list")[1]
    device.close()
    server.stop()
