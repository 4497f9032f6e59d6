"""rollcall ctl: each resource from the shell; rollcall status with rules and last events; completion."""

import json
import os
import subprocess
import time

import pytest

from harness.certificates import Authority
from harness.procs import wait_until
from harness.rollcall import BINARY, GROUP, INSTANCE, TOPIC, Device, Rollcall, run

HERE = f"{GROUP}@@@here"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("ctl"))
    server.config.write_text(server.config.read_text().replace("- id: rc-test", "- id: rc-test\n    trace: true"))
    yield server.start()
    server.stop()


@pytest.fixture
def ctl(server):
    def call(*words, code=0):
        result = run("ctl", *words, "--url", f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout if code == 0 else result.stderr
    return call


def first_column(text):
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_names_are_listed_made_and_deleted(ctl):
    for resource, name in (("group", "GID_ctl"), ("topic", "orders"), ("rocketmq-topic", "T_ctl"), ("consumer", "GID_c")):
        ctl(resource, "create", name)
        assert name in first_column(ctl(resource, "list"))
        assert "It is there already" in ctl(resource, "create", name, code=1)
        assert ctl(resource, "delete", name) == "done\n"
        assert name not in first_column(ctl(resource, "list"))
        assert "(InvalidParameter.NotFound)" in ctl(resource, "delete", name, code=1)
    table = ctl("group", "list").splitlines()
    assert table[0].split() == ["GroupId", "CreateTime", "Declared"] and table[1].rstrip().endswith("yes")
    assert len({line.index(word) for line, word in zip(table, ("CreateTime", "20", "20"))}) == 1  # aligned
    as_json = json.loads(ctl("group", "list", "--json"))
    assert {one["GroupId"] for one in as_json["Data"]} == {GROUP, "GID_other"}


def test_what_a_name_may_be_is_told(ctl):
    assert "it has GID_ or GID-, and then 3 to 60 letters, digits, - and _." in ctl("group", "create", "bad", code=1)
    assert "it has 3 to 64 letters, digits, - and _." in ctl("topic", "create", "a/b", code=1)


def test_a_deleted_topic_has_no_offsets_to_set(ctl):
    ctl("rocketmq-topic", "create", "T_gone")
    ctl("consumer", "create", "GID_reset")
    assert len(ctl("consumer", "reset", "GID_reset", "--topic", "T_gone").splitlines()) == 9
    ctl("rocketmq-topic", "delete", "T_gone")
    assert "no topic of that name" in ctl("consumer", "reset", "GID_reset", "--topic", "T_gone", code=1)
    assert ctl("consumer", "list").splitlines()[0].split() == ["ConsumerGroup", "Declared"]
    assert ["GID_reset", "no"] in [line.split() for line in ctl("consumer", "list").splitlines()]
    ctl("consumer", "delete", "GID_reset")


def test_rules_from_the_shell(server, ctl):
    ctl("group", "create", "GID_rules")
    ctl("rule", "create", "ctl-rule", "--group", "GID_rules", "--topic", "GID_rules_MQTT", "--queues", "2")
    device = Device(server, "d", group="GID_rules")
    assert device.code == 0
    wait_until("its event", lambda: "ctl-rule" in first_column(ctl("rule", "list")))
    assert ctl("rule", "replay", "ctl-rule").split() == ["Clients", "1"]
    ctl("rule", "update", "ctl-rule", "--topic", "GID_rules_other", "--enabled", "false")
    row = [line.split() for line in ctl("rule", "list").splitlines() if line.startswith("ctl-rule")][0]
    assert row[1:4] == ["GID_rules", "GID_rules_other", "stopped"]
    device.disconnect()
    ctl("rule", "delete", "ctl-rule")
    ctl("group", "delete", "GID_rules")


def test_keys_credentials_tokens_and_identities(server, ctl, tmp_path):
    made = dict(line.split(None, 1) for line in ctl("key", "create", "--role", "read-only").splitlines())
    assert made["Role"] == "read-only" and made["AccessKey"] in first_column(ctl("key", "list"))
    assert made["SecretKey"] not in ctl("key", "list", "--json")
    env = {**os.environ, "ROLLCALL_ACCESS_KEY": made["AccessKey"], "ROLLCALL_SECRET_KEY": made["SecretKey"]}
    with_it = subprocess.run([BINARY, "ctl", "group", "create", "GID_none", "--url",
                              f"http://127.0.0.1:{server.http_port}/"], env=env, capture_output=True, text=True, timeout=20)
    assert with_it.returncode == 1 and "PermissionCheckFailed" in with_it.stderr
    ctl("key", "delete", made["AccessKey"])
    assert "DeviceAccessKeySecret" in ctl("credential", "create", HERE)
    assert first_column(ctl("credential", "list", "--group", GROUP)) == [HERE]
    ctl("credential", "delete", HERE)
    token = ctl("token", "create", "--actions", "R", "--topics", "sensors/#", "--expires",
                int(time.time() * 1000) + 600_000).split()[1]
    assert ctl("token", "show", token).split() == ["TokenStatus", "yes"]
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    ctl("identity", "create", "anna", "--type", "USER", "--secret", secret, "--mode", "ORIGIN")
    assert json.loads(ctl("identity", "list", "--json"))["Data"]["Results"][0]["Secret"] == "s3cret"
    ctl("permission", "create", "anna", "--type", "USER", "--topic", "sensors/#", "--permit", "SUB", "--effect", "ALLOW")
    assert ctl("permission", "list").splitlines()[1].split() == ["USER", "anna", "sensors/#", "SUB", "ALLOW", "no"]
    ctl("permission", "delete", "anna", "--type", "USER", "--topic", "sensors/#")
    ctl("identity", "delete", "anna", "--type", "USER")
    ctl("black", "create", HERE)
    assert first_column(ctl("black", "list")) == [HERE]
    ctl("black", "delete", HERE)


def test_certificates_and_tags(ctl, tmp_path):
    authority = Authority(tmp_path / "ca")
    code = ctl("ca", "code").split()[1]
    verification, _ = authority.make("verification", code)
    sn = ctl("ca", "create", "factory", "--certificate", authority.ca, "--verification", verification).split()[1]
    assert first_column(ctl("ca", "list")) == [sn]
    ctl("ca", "disable", sn)
    assert "BEGIN CERTIFICATE" in ctl("ca", "show", sn)
    assert ctl("ca", "certificates", sn).split() == "DeviceSn DeviceName Status ValidBegin ValidEnd Declared".split()
    ctl("ca", "delete", sn)
    assert "none: not found" in ctl("ca", "create", "x", "--certificate", tmp_path / "none", code=1)
    ctl("tag", "create", f"{INSTANCE}/{GROUP}", "--type", "GROUP", "--key", "floor", "--value", "3")
    assert ctl("tag", "list", "--type", "GROUP").splitlines()[1].split() == [
        "GROUP", f"{INSTANCE}/{GROUP}", "floor", "3", "no"]
    ctl("tag", "delete", f"{INSTANCE}/{GROUP}", "--type", "GROUP", "--all")


def test_clients_and_messages(server, ctl):
    devices = [Device(server, f"c{i}") for i in range(5)]
    assert sorted(first_column(ctl("client", "list", "--group", GROUP))) == [f"{GROUP}@@@c{i}" for i in range(5)]
    assert "5" in ctl("client", "count").split()
    ctl("message", "send", f"sensors/p2p/{GROUP}@@@c1", "--payload", "hello")
    assert devices[1].receive()[1].endswith(b"hello")
    ctl("client", "close", f"{GROUP}@@@c0")
    wait_until("its trace", lambda: "close" in ctl("client", "trace", f"{GROUP}@@@c0"))
    assert first_column(ctl("client", "show", f"{GROUP}@@@c2")) == [f"{GROUP}@@@c2"]
    ids = ",".join(device.client_id for device in devices[1:3]) + f",{GROUP}@@@nobody"
    told = sorted(line.split()[1] for line in ctl("client", "sessions", ids).splitlines()[1:])
    assert told == ["no", "yes", "yes"]
    assert ctl("client", "session", f"{GROUP}@@@nobody").split() == ["OnlineStatus", "no"]
    assert "10 are the most at once" in ctl("client", "sessions", ",".join("x" * 11), code=1)
    for device in devices[1:]:
        device.disconnect()


def test_traces_of_messages(server, ctl):
    device = Device(server, "traced")
    sent = ctl("message", "send", f"sensors/p2p/{device.client_id}", "--payload", "hello").split()[1]
    wait_until("its steps", lambda: "sub" in ctl("message", "received", sent))
    assert ctl("message", "published", sent).splitlines()[1].split()[2] == "pub_mq"
    assert "sub" not in ctl("message", "received", sent, "--client", f"{GROUP}@@@nobody")
    assert sent in ctl("client", "messages", device.client_id)
    device.disconnect()


def test_messages_of_rules_are_given_up(ctl):
    assert "One of All=true" in ctl("rule", "drop", "status-1", code=1)
    assert "no such rule that leads to another cluster" in ctl("rule", "drop", "status-1", "--all", code=1)
    assert ctl("rule", "list").splitlines()[0].split()[-1] == "LagMs"


def test_status_tells_of_rules_and_last_events(server):
    def status(*words):
        return run("status", "--url", f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config, *words).stdout
    device = Device(server, "here")
    wait_until("its event", lambda: "accepted" in status(HERE))
    lines = status(HERE).splitlines()
    assert lines[0] == f"{HERE}: online" and lines[-1].split()[-2:] == ["connect", "accepted"]
    device.disconnect()
    wait_until("its end", lambda: "close " in status(HERE))
    lines = status(HERE).splitlines()
    assert lines[0] == f"{HERE}: offline" and [line.split()[-4] for line in lines[1:3]]
    whole = status()
    assert whole.splitlines()[0].endswith(" online")
    assert f"rule status-1: running, {GROUP} -> {TOPIC}, delivered " in whole


def test_what_the_server_misses_is_told_by_its_option(ctl):
    assert "GroupId is given by --group.\n" in ctl("credential", "list", code=1)
    missing = ctl("token", "create", "--actions", "R", "--topics", "x", code=1)
    assert "ExpireTime is given by --expires.\n" in missing and "--actions" not in missing


def test_what_is_wrong_on_the_command_line(ctl):
    assert run("ctl").returncode == 2 and "RESOURCE VERB" in run("ctl", "--help").stdout
    assert "no resource 'ship'" in run("ctl", "ship", "list").stderr
    assert "it has: list, create, delete" in run("ctl", "group", "eat").stderr
    assert "GID is missing" in run("ctl", "group", "create").stderr
    assert "did you mean '--role'" in run("ctl", "key", "create", "--rolle", "x").stderr
    assert "key pair is missing" in run("ctl", "group", "list").stderr


def test_bash_completes(tmp_path):
    script = f"""
        source {os.path.dirname(__file__)}/../../cmake/rollcall.bash
        try() {{ COMP_WORDS=({BINARY} "$@"); COMP_CWORD=$#; COMPREPLY=(); _rollcall; echo "${{COMPREPLY[*]}}"; }}
        try c; try ctl gro; try ctl group cre; try ctl rule create x --tar"""
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30)
    assert out.stdout.splitlines() == ["ctl", "group", "create", "--target --target-topic"], out.stderr
