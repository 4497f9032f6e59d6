"""Outflow and inflow rules that are made by the API: the same as those of the file, changed without a reload."""

import json
import signal
import subprocess

import pytest

from harness.procs import wait_until
from harness.rollcall import GROUP, INSTANCE, PARENT, Rollcall, password, run, user
from test_flows import Producer, numbers
from test_rest import BASE, ask

CLIENT = f"{GROUP}@@@one"


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall").start()
    yield server
    server.stop()


@pytest.fixture
def device(server, clients):
    return clients(server, CLIENT, user(), password(CLIENT))


def rules(server, path="rules"):
    """Each rule by its id, as it is told."""
    return {one["RuleId"]: one for one in ask(server, "GET", f"{BASE}/{path}")[1]["Rules"]}


def make(server, path, **rule):
    status, answer = ask(server, "POST", f"{BASE}/{path}", rule)
    assert status == 200, answer


def change(server, path, **fields):
    status, answer = ask(server, "PUT", f"{BASE}/{path}", fields)
    assert status == 200, answer


def bodies(server, topic):
    """What stands in the (stopped) log's topic."""
    return [message["body"] for message in server.dump() if message["topic"] == topic]


def test_an_outflow_rule_from_its_making_to_its_end(server, device):
    device.publish(f"{PARENT}/a", "before")
    make(server, "outflow-rules", RuleId="out-1", MqttTopic=PARENT, Topic="GID_out", Queues=2, Description="uplink")
    device.publish(f"{PARENT}/a", "one")
    told = rules(server)["out-1"]
    assert (told["Type"], told["MqttTopic"], told["Topic"], told["Description"], told["Enabled"], told["State"],
            told["Delivered"]) == ("outflow", PARENT, "GID_out", "uplink", True, "running", 1)
    change(server, "outflow-rules/out-1", Enabled=False)
    device.publish(f"{PARENT}/a", "while it is off")
    told = rules(server, "outflow-rules")["out-1"]
    assert (told["Topic"], told["Description"], told["Enabled"], told["State"]) == ("GID_out", "uplink", False, "stopped")
    change(server, "outflow-rules/out-1", Enabled=True)
    device.publish(f"{PARENT}/a", "two")
    server.stop()
    server.start()
    assert rules(server)["out-1"]["Topic"] == "GID_out"
    assert ask(server, "DELETE", f"{BASE}/outflow-rules/out-1")[0] == 200
    assert "out-1" not in rules(server)
    server.stop()
    assert bodies(server, "GID_out") == ["one", "two"]


def test_an_inflow_rule_from_its_making_to_its_end(server, device, rmq49):
    assert device.subscribe(f"{PARENT}/#") == 1
    make(server, "inflow-rules", RuleId="in-1", MqttTopic=PARENT, Topic="GID_in", From="first")
    producer = Producer(rmq49, server.namesrv, ak="TestAccessKey", sk="TestSecretKey")
    producer.send("GID_in", "one", mqttSecondTopic="/x")
    assert device.message()[:2] == (f"{PARENT}/x", "one")
    wait_until("its count", lambda: rules(server)["in-1"]["Delivered"] == 1)
    told = rules(server, "inflow-rules")["in-1"]
    assert (told["SourceInstance"], told["Topic"], told["ConsumerGroup"]) == ("", "GID_in", f"GID_rollcall_{INSTANCE}_in-1")
    change(server, "inflow-rules/in-1", Enabled=False)
    producer.send("GID_in", "two")
    change(server, "inflow-rules/in-1", Enabled=True, Description="downlink")
    assert device.message()[:2] == (PARENT, "two")  # it goes on where it was
    assert rules(server)["in-1"]["Description"] == "downlink"
    producer.send("GID_in", "to nobody", mqttSecondTopic=f"/p2p/{GROUP}@@@nobody")
    wait_until("the one that nobody got", lambda: rules(server)["in-1"]["DroppedNoClient"] == 1)
    assert numbers(server, "in-1")["dropped_no_client"] == 1
    assert ask(server, "DELETE", f"{BASE}/inflow-rules/in-1")[0] == 200
    producer.close()


@pytest.mark.parametrize("path, rule, code", [
    ("outflow-rules", {"RuleId": "status-1", "MqttTopic": PARENT, "Topic": "T"}, 409),  # the file's, of another type
    ("outflow-rules", {"RuleId": "out-1", "MqttTopic": "other", "Topic": "T"}, 404),
    ("outflow-rules", {"RuleId": "out-1", "MqttTopic": PARENT}, 400),
    ("outflow-rules", {"RuleId": "out-1", "MqttTopic": PARENT, "Topic": "%RETRY%GID_x"}, 400),
    ("outflow-rules", {"RuleId": "out-1", "MqttTopic": PARENT, "TargetInstance": "no", "TargetTopic": "T"}, 404),
    ("inflow-rules", {"RuleId": "in-1", "MqttTopic": PARENT, "Topic": "RC_RULE_x"}, 400),
    ("inflow-rules", {"RuleId": "in-1", "MqttTopic": PARENT, "Topic": "T", "From": "middle"}, 400),
    ("inflow-rules", {"RuleId": "in-1", "MqttTopic": PARENT, "Topic": "T", "ConsumerGroup": "GID_x"}, 400),
])
def test_a_rule_that_cannot_be_is_refused(server, path, rule, code):
    status, answer = ask(server, "POST", f"{BASE}/{path}", rule)
    assert status == code, answer
    assert set(rules(server)) == {"status-1"}


def test_what_a_status_rule_is_not_told_stays(server):
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_made"})[0] == 200
    make(server, "rules", RuleId="made-1", GroupId="GID_made", Topic="GID_made_MQTT", Description="first words")
    change(server, "rules/made-1", Enabled=False)
    told = rules(server)["made-1"]
    assert (told["Topic"], told["Description"], told["Enabled"]) == ("GID_made_MQTT", "first words", False)
    for text, status in (("True", 200), ("False", 200), ("maybe", 400), ("1", 400)):
        got = run("ctl", "rule", "update", "made-1", "--enabled", text, "--url", f"http://127.0.0.1:{server.http_port}/",
                  "--key-file", server.config)
        assert (got.returncode == 0) == (status == 200), got.stdout + got.stderr
    assert rules(server)["made-1"]["Enabled"] is False
    change(server, "rules/made-1", Topic="GID_elsewhere", Description="")
    told = rules(server)["made-1"]
    assert (told["Topic"], told["Description"], told["Enabled"]) == ("GID_elsewhere", "", False)


def test_rules_from_the_shell_are_told_everywhere(server, device):
    def cli(*words, code=0):
        done = run(*words, "--url", f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout
    cli("ctl", "outflow", "create", "out-1", "--mqtt-topic", PARENT, "--topic", "GID_out", "--description", "uplink")
    cli("ctl", "inflow", "create", "in-1", "--mqtt-topic", PARENT, "--topic", "GID_in")
    device.publish(f"{PARENT}/a", "x")
    assert [line.split()[0] for line in cli("ctl", "rule", "list").splitlines()[1:]] == ["status-1", "out-1", "in-1"]
    assert json.loads(cli("ctl", "outflow", "list", "--json"))["Rules"][0]["Delivered"] == 1
    listed = cli("rule", "list")
    assert "out-1 -> GID_out: running\n  uplink\n  matched=1 delivered=1" in listed and "in-1 <- GID_in: running" in listed
    status = cli("status")
    assert f"rule out-1: running, {PARENT} -> GID_out, delivered 1" in status
    assert f"rule in-1: running, GID_in -> {PARENT}, delivered 0" in status
    assert numbers(server, "status-1")["delivered"] == 1 and numbers(server, "out-1")["delivered"] == 1
    cli("ctl", "outflow", "update", "out-1", "--enabled", "false")
    cli("ctl", "outflow", "delete", "out-1"), cli("ctl", "inflow", "delete", "in-1")
    assert [line.split()[0] for line in cli("ctl", "rule", "list").splitlines()[1:]] == ["status-1"]


def clusters(server, mine):
    text = server.config.read_text().split("rocketmq:", 1)
    rest = text[1].split("\n", 1)[1]
    server.config.write_text(f"""{text[0]}rocketmq: {{bind: "{server.namesrv}", instances: [
  {{name: mine, nameservers: ["127.0.0.1:9"], allowed: [{mine}]}}, {{name: theirs, nameservers: ["127.0.0.1:9"], allowed: [other]}}]}}
{rest}""")


def test_a_cluster_serves_the_instances_that_it_is_for(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    clusters(server, INSTANCE)
    server.start()
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_more"})[0] == 200
    for path, side, fields in (("outflow-rules", "Target", {"MqttTopic": PARENT}),
                               ("inflow-rules", "Source", {"MqttTopic": PARENT}),
                               ("rules", "Target", {"GroupId": "GID_more"})):
        def leads(cluster):
            return {f"{side}Instance": cluster, f"{side}Topic": "T"}
        refused = ask(server, "POST", f"{BASE}/{path}", {"RuleId": f"x-{path}", **leads("theirs"), **fields})
        assert refused[0] == 404 and "theirs" in refused[1]["Message"], refused
        made = ask(server, "POST", f"{BASE}/{path}", {"RuleId": f"x-{path}", **leads("mine"), **fields})
        assert made[0] == 200, made
        moved = ask(server, "PUT", f"{BASE}/{path}/x-{path}", leads("theirs"))
        assert moved[0] == 404, moved
    assert ask(server, "POST", f"{BASE}/rocketmq-instances/theirs/test", {"TargetTopic": "T"})[0] == 404
    server.config.write_text(server.config.read_text().replace(f"allowed: [{INSTANCE}]", "allowed: [other]"))
    server.process.child.send_signal(signal.SIGHUP)
    wait_until("the reload", lambda: " reloaded:" in server.log())
    assert set(rules(server)) == {"status-1"}
    assert server.log().count("does not work now: There is no RocketMQ instance mine.") == 3
    server.stop()


REFUSING_DISK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Writes to the registry's write-ahead log, which a COMMIT makes, find no room while the file is there. */
static int refuses(int fd)
{
    char link[64], path[1024];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0)
        return 0;
    path[len] = 0;
    return strstr(path, "registry.db-wal") != NULL && access(getenv("DISK_IS_FULL"), F_OK) == 0;
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    ssize_t (*next)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (refuses(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return next(fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}
"""


def test_what_a_full_disk_does_not_keep_goes_on_as_before(tmp_path, clients, rmq49, monkeypatch):
    library, full = tmp_path / "disk.so", tmp_path / "full"
    (tmp_path / "disk.c").write_text(REFUSING_DISK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, tmp_path / "disk.c"], check=True)
    with monkeypatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("DISK_IS_FULL", str(full))
        server = Rollcall(tmp_path / "rollcall").start()
    device = clients(server, CLIENT, user(), password(CLIENT))
    device.subscribe(f"{PARENT}/#")
    make(server, "inflow-rules", RuleId="in-1", MqttTopic=PARENT, Topic="GID_in", From="first")
    producer = Producer(rmq49, server.namesrv, ak="TestAccessKey", sk="TestSecretKey")
    producer.send("GID_in", "one")
    assert device.message()[:2] == (PARENT, "one")
    full.touch()
    assert ask(server, "DELETE", f"{BASE}/inflow-rules/in-1")[0] >= 500
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_new"})[0] >= 500
    assert rules(server)["in-1"]["State"] == "running"
    producer.send("GID_in", "two")
    assert device.message()[:2] == (PARENT, "two")
    full.unlink()
    assert ask(server, "DELETE", f"{BASE}/inflow-rules/in-1")[0] == 200
    assert "in-1" not in rules(server) and "nothing was changed" in server.log()
    producer.close()
    server.stop()
