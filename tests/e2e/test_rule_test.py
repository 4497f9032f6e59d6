"""rollcall rule test: what is in the way of a rule, found without putting anything into its topic."""

import json
import socket
import threading
import time

import pytest

from harness.apache import RealCluster, ask
from harness.procs import wait_until
from harness.rollcall import AK, PARENT, SK, Rollcall, run
from test_flow_clusters import make
from test_flow_rules import rules
from test_flows import Client, Producer
from test_rest import BASE, ask as call
from test_rules import tried

RESTRICTED = """
- accessKey: ReaderKey
  secretKey: SecretOfReader
  topicPerms: [GID_out=SUB, GID_in=SUB]
  groupPerms: [GID_rollcall_rc-test_in-1=SUB]
- accessKey: WriterKey
  secretKey: SecretOfWriter
  topicPerms: [GID_out=PUB, GID_in=PUB]
  groupPerms: [GID_rollcall_rc-test_in-1=PUB]
"""


def tried_by(server, *arguments):
    """(exit code, the answer or words) of rollcall ctl rule test."""
    done = run("ctl", "rule", "test", *arguments, "--json", "--url", f"http://127.0.0.1:{server.http_port}/", "--access-key",
               AK, "--secret-key", SK)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def verdict(server, *arguments):
    """(exit code, what is in the way, queues)"""
    code, answer = tried_by(server, *arguments)
    return code, answer["Error"], answer["Queues"]


@pytest.mark.parametrize("cluster_name", ["cluster49", "cluster53"])
def test_what_is_tried_is_not_put_into_the_topic(cluster_name, request, rmq49, tmp_path):
    cluster = request.getfixturevalue(cluster_name)
    out_topic, in_topic = f"GID_tried_out_{cluster.version}", f"GID_tried_in_{cluster.version}"
    for topic, perm in ((out_topic, "6"), (in_topic, "4")):  # the other may only be read
        code, body = ask(cluster.broker_port, 17, topic=topic, defaultTopic="TBW102", readQueueNums="2", writeQueueNums="2",
                         perm=perm, topicFilterType="SINGLE_TAG", topicSysFlag="0", order="false")
        assert code == 0, body
    server = make(tmp_path, cluster, out_topic, in_topic)
    wait_until("both to be well", lambda: tried(server)[0] == 0, 60)
    assert tried(server)[1] == (f"rc-test/out-1 -> apache/{out_topic}: ok, queues=2 brokers=1\n"
                                f"rc-test/in-1 <- apache/{in_topic}: ok, queues=2 brokers=1\n")
    server.start()  # by which rules of the API are tried, and what might become one
    assert verdict(server, "out-1") == verdict(server, "in-1") == (0, "", 2)
    assert verdict(server, "--target", "apache", "--target-topic", out_topic) == (0, "", 2)
    assert verdict(server, "--target", "apache", "--target-topic", "GID_none") == \
        (1, "no topic: the cluster has no route for 'GID_none'", 0)
    code, body = call(server, "POST", f"{BASE}/rules/out-1/test")
    assert (code, body["Ok"], body["Brokers"], body["TargetTopic"]) == (200, True, 1, out_topic)
    server.stop()
    name = f"tried-{cluster.version}"
    rmq49.call("push", name=name, group=f"GID_{name}", topic=out_topic, namesrv=cluster.namesrv, **{"from": "first"})
    producer = Producer(rmq49, cluster.namesrv)
    producer.send(out_topic, "the only one")
    rmq49.wait_messages("the marker", name, lambda lines: lines, 60)
    assert [line["message"]["body"] for line in rmq49.messages(name)] == ["the only one"]
    rmq49.call("stop", name=name)
    producer.close()


@pytest.mark.parametrize("version", [49, 53])
def test_what_keys_may_not_is_found_out(version, rmq49, tmp_path):
    cluster = RealCluster(tmp_path / "apache", version, acl=(AK, SK), accounts=RESTRICTED).start()
    try:
        maker = Producer(rmq49, cluster.namesrv, ak=AK, sk=SK)
        for topic in ("GID_out", "GID_in"):
            maker.send(topic, "makes the topic")
        for key, secret, out, into in ((AK, SK, "ok", "ok"), ("ReaderKey", "SecretOfReader", "no permission", "ok"),
                                       ("WriterKey", "SecretOfWriter", "ok", "no permission")):
            server = make(tmp_path / key, cluster, "GID_out", "GID_in", f", access_key: {key}, secret_key: {secret}")
            code, said = tried(server)
            words = dict(line.split(": ", 2)[:2] for line in said.splitlines())
            words = {name.split("/")[1].split(" ")[0]: text.split(",")[0] for name, text in words.items()}
            assert words == {"out-1": out, "in-1": into}, said
            assert code == (0 if (out, into) == ("ok", "ok") else 1)
        # What was tried is so: the reader's key brings what is sent, and puts nothing into the topic.
        server = make(tmp_path / "reads", cluster, "GID_out", "GID_in",
                      ", access_key: ReaderKey, secret_key: SecretOfReader").start()
        device = Client(server, "device", filters=[f"{PARENT}/down"])
        maker.send("GID_in", "inwards", mqttSecondTopic="/down")
        device.publish(f"{PARENT}/up", "outwards")
        wait_until(lambda: f"the message from RocketMQ: {rules(server)}", lambda: device.messages, 60)
        if version == 53:  # 4.9 looks at no rights where a batch is sent
            wait_until("the refusal", lambda: "no permission" in rules(server)["out-1"]["Error"])
        device.close(), maker.close()
        server.stop()
    finally:
        cluster.stop()


@pytest.fixture
def silent():
    """The address of a name server that never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_trial_by_the_server_holds_up_nobody(silent, tmp_path):
    server = Rollcall(tmp_path, rocketmq_more=f", instances: [{{name: silent, nameservers: ['{silent}']}}]").start()
    answers, trial = [], f"{BASE}/rocketmq-instances/silent/test"
    threads = [threading.Thread(target=lambda: answers.append(call(server, "POST", trial, {"TargetTopic": "T"})))
               for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until("the one too many", lambda: answers)
    assert answers.pop()[0] == 429
    assert call(server, "GET", f"{BASE}/rules")[0] == 200 and len(answers) == 0  # while the others wait
    for thread in threads:
        thread.join()
    assert [(code, body["Ok"]) for code, body in answers] == [(200, False)] * 4
    assert {body["Error"].split(": ")[1] for _, body in answers} == {f"name server {silent}"}
    threads = [threading.Thread(target=lambda: answers.append(call(server, "POST", trial, {"TargetTopic": "T"})))]
    threads[0].start()
    time.sleep(0.5)
    server.stop()  # which waits for no trial
    threads[0].join()
    assert answers[-1][1]["Error"] == "the server is being stopped"


@pytest.mark.parametrize("fields,code,words", [
    ({"RuleId": "none"}, 404, "There is no rule none."),
    ({"TargetInstance": "none", "TargetTopic": "T"}, 404, "There is no RocketMQ instance none."),
])
def test_only_what_a_rule_may_lead_to_is_tried(fields, code, words, tmp_path):
    server = Rollcall(tmp_path).start()
    path = f"rules/{fields['RuleId']}/test" if "RuleId" in fields else f"rocketmq-instances/{fields['TargetInstance']}/test"
    status, body = call(server, "POST", f"{BASE}/{path}", {"TargetTopic": "T"} if "TargetTopic" in fields else None)
    assert status == code and words in body["Message"]
    server.stop()
