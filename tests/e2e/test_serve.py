"""The program as an operator meets it: options, configuration, signals, a full disk, a damaged log."""

import re
import shlex
import signal
import socket
import subprocess
import time

import pytest

from harness.procs import Process, wait_until
from harness.rollcall import BINARY, GROUP, PARENT, SK, TOPIC, Device, Rollcall, run

SERVER_UNAVAILABLE, NOT_AUTHORIZED = 3, 5


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    yield server
    server.stop()


def change(server, old, new):
    text = server.config.read_text()
    assert old in text
    server.config.write_text(text.replace(old, new))


# ---- the command line ----

def test_an_unknown_command_is_answered_with_the_nearest_and_exit_code_2():
    answer = run("wach")
    assert answer.returncode == 2
    assert "did you mean 'watch'?" in answer.stderr


def test_every_command_explains_itself_with_examples():
    commands = re.findall(r"^  (\w+) ", run("--help").stdout, re.MULTILINE)
    assert {"serve", "watch", "sign", "store"} <= set(commands)
    for command in set(commands) - {"rollcall", "store"}:
        answer = run(command, "--help")
        assert answer.returncode == 0 and "Examples:" in answer.stdout, command
    for verb in "check", "dump":
        assert "Examples:" in run("store", verb, "--help").stdout


# ---- the configuration ----

def test_all_errors_of_a_configuration_are_told_with_their_places_and_nothing_is_started(server):
    change(server, "node: rollcall-1", "nod: rollcall-1")
    change(server, "queues: 4", "queues: four")
    change(server, "group: GID_test,", "group: GID_tset,")
    answer = run("serve", "-c", server.config)
    assert answer.returncode == 2
    lines = answer.stderr.splitlines()
    assert f"{server.config}:2:1: the key 'nod' is unknown, did you mean 'node'?" in lines
    assert any(re.search(r":13:\d+: instances\[0\]\.rules\[0\]\.queues: 'four' was given, a whole number", line)
               for line in lines)
    assert not server.store.exists()
    change(server, "nod:", "node:")
    change(server, "queues: four", "queues: 4")
    answer = run("serve", "-c", server.config, "--test-config")
    assert answer.returncode == 2 and "perhaps 'GID_test'" in answer.stderr


def test_the_effective_configuration_reads_back_and_holds_no_secret(server, tmp_path):
    answer = run("serve", "-c", server.config, "--print-config")
    assert answer.returncode == 0
    assert SK not in answer.stdout
    again = tmp_path / "again.yaml"
    again.write_text(answer.stdout)
    assert run("serve", "-c", again, "--print-config").stdout == answer.stdout
    assert run("serve", "-c", again, "--test-config").returncode == 0


# ---- what stands in the way of a start ----

def test_a_port_in_use_and_a_directory_in_use_are_told_before_anything_happens(server, tmp_path):
    server.start()
    other = Rollcall(tmp_path / "other")
    other_config = other.config.read_text()
    other.config.write_text(other_config.replace(str(other.mqtt_port), str(server.mqtt_port)))
    answer = run("serve", "-c", other.config)
    assert answer.returncode == 1 and f"127.0.0.1:{server.mqtt_port}" in answer.stderr
    other.config.write_text(other_config.replace(str(other.store), str(server.store)))
    answer = run("serve", "-c", other.config)
    assert answer.returncode == 1 and f"in use by process {server.process.pid}" in answer.stderr
    assert Device(server, "a").code == 0


def test_a_strange_directory_is_left_alone(server):
    server.store.mkdir()
    (server.store / "letters").write_text("dear")
    answer = run("serve", "-c", server.config)
    assert answer.returncode == 1 and str(server.store) in answer.stderr
    assert [entry.name for entry in server.store.iterdir()] == ["letters"]


# ---- reload ----

def reload(server, expected):
    before = server.log().count(expected)
    server.process.signal(signal.SIGHUP)
    wait_until(f"the log to say {expected}", lambda: server.log().count(expected) > before)


def test_a_reload_admits_a_new_group_and_one_with_an_error_changes_nothing(server):
    server.start()
    assert Device(server, "x", group="GID_third").code == NOT_AUTHORIZED
    change(server, "GID_other]", "GID_other, GID_third]")
    reload(server, " config: reloaded:")
    assert Device(server, "x", group="GID_third").code == 0
    change(server, "GID_other, GID_third]", "GID_other, wrong]")
    reload(server, "the old one stays")
    assert "instances[0].groups[2]: 'wrong' was given" in server.log()
    assert Device(server, "y", group="GID_third").code == 0
    change(server, "shards: 2", "shards: 3")
    change(server, "GID_other, wrong]", "GID_other]")
    reload(server, "shards has changed; that takes effect at the next start")
    assert Device(server, "z", group="GID_third").code == NOT_AUTHORIZED
    assert Device(server, "z").code == 0


def test_a_rule_that_changes_at_a_reload_binds_new_channels_only(server):
    server.start()
    old, new = "GID_test_MQTT", "GID_test_NEW"
    first = Device(server, "a")
    change(server, f"topic: {old}", f"topic: {new}")
    reload(server, " config: reloaded:")
    second = Device(server, "b")
    first.disconnect()
    second.disconnect()
    server.stop()
    topics = {}
    for message in server.dump():
        topics.setdefault(message["properties"]["KEYS"], []).append((message["topic"], message["properties"]["TAGS"]))
    kinds = ["connect", "disconnect", "tcpclean"]
    assert topics == {f"{GROUP}@@@a": [(old, kind) for kind in kinds], f"{GROUP}@@@b": [(new, kind) for kind in kinds]}


def test_the_service_manager_is_told_of_each_state(server, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        process = Process([BINARY, "serve", "-c", server.config], tmp_path / "notified",
                          env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            assert manager.recv(200) == b"READY=1"
            process.signal(signal.SIGHUP)
            assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(200))
            assert manager.recv(200) == b"READY=1"
            process.signal(signal.SIGTERM)
            assert manager.recv(200) == b"STOPPING=1"
            assert process.wait() == 0
        finally:
            process.kill()


# ---- what the hints say ----

def test_the_commands_of_the_hints_work_as_they_are_printed(server, tmp_path):
    change(server, "shards: 2", "shards: 2\nhints: true")
    server.start()
    wait_until("the hints", lambda: "mosquitto_pub" in server.log())
    lines = {word: next(line.strip() for line in server.log().splitlines() if f"{word} " in line and " -" in line)
             for word in ("watch --endpoint", "mosquitto_pub")}
    assert SK not in server.log()
    watch = Process(shlex.split(lines["watch --endpoint"]), tmp_path / "watch")
    try:
        wait_until("the watch to read", lambda: "reading GID_test_MQTT" in watch.output())
        assert subprocess.run(shlex.split(lines["mosquitto_pub"]), timeout=20).returncode == 0
        wait_until("the device's events", lambda: "tcpclean" in watch.output())
        assert "connect" in watch.output() and "ClientStatus :false" in watch.output()
    finally:
        watch.stop()


def test_the_hints_name_the_addresses_that_are_listened_on(server):
    change(server, "shards: 2", "shards: 2\nhints: true")
    change(server, f'bind: "127.0.0.1:{server.mqtt_port}"', f'bind: "127.0.0.2:{server.mqtt_port}"')
    change(server, f'rocketmq: {{bind: "127.0.0.1:{server.rocketmq_port}"', f'rocketmq: {{bind: ":{server.rocketmq_port}"')
    server.start()
    wait_until("the hints", lambda: "mosquitto_pub" in server.log())
    assert f"-h 127.0.0.2 -p {server.mqtt_port} " in server.log()
    assert f"--endpoint 127.0.0.1:{server.rocketmq_port} " in server.log()


# ---- a full log ----

@pytest.fixture
def small(tmp_path):
    server = Rollcall(tmp_path / "small", segment="64KiB", store=", quota: 128KiB")
    yield server
    if server.process.running():
        server.kill()


def fill(server):
    """Devices come and go until one is refused; how many came. Those whose event waits for room hear nothing."""
    for count in range(1000):
        try:
            device = Device(server, f"f{count}")
        except (ConnectionError, TimeoutError):
            continue
        if device.code == SERVER_UNAVAILABLE:
            return count
        assert device.code == 0
        device.disconnect()
    raise AssertionError("the log never became full")


def test_a_full_log_refuses_new_clients_keeps_old_ones_and_loses_no_event(small):
    change(small, "mqtt: {", "mqtt: {connect_timeout: 500ms, ")
    small.start()
    old = Device(small, "old")
    assert old.code == 0 and fill(small) > 20
    assert "WRITING TO THE LOG FAILS" in small.log()
    old.send(0xC0, b"")
    assert old.receive()[0] == 0xD0, "the old client is still served"
    small.process.signal(signal.SIGTERM)
    wait_until("the stop to begin", lambda: "stopping: signal=SIGTERM" in small.log())
    assert small.process.stop(timeout=5) == 1, "a second signal ends it at once"
    change(small, "quota: 128KiB", "quota: 1MiB")
    small.start()
    small.stop()
    channels = {}
    for message in small.dump():
        channels.setdefault(message["properties"]["KEYS"], []).append(message["properties"]["TAGS"])
    assert all(kinds[0] == "connect" and kinds.count("tcpclean") == 1 and kinds[-1] == "tcpclean"
               for kinds in channels.values()), channels
    assert f"{GROUP}@@@old" in channels
    small.check()


def test_a_stop_with_a_full_log_does_not_take_long(small):
    change(small, "mqtt: {", "mqtt: {connect_timeout: 500ms, ")
    small.start()
    devices = [Device(small, "old"), Device(small, "older")]
    fill(small)
    begun = time.monotonic()
    assert small.process.stop(timeout=20) == 0
    assert time.monotonic() - begun < 8
    assert "the next start" in small.log() and all(device.code == 0 for device in devices)


# ---- a damaged log ----

def test_damage_is_found_told_and_not_started_on(server):
    server.start()
    for name in "abc":
        Device(server, name).disconnect()
    wait_until("all events", lambda: len(server.dump()) == 9)
    server.stop()
    log = server.store / "commitlog" / ("0" * 20)
    assert run("store", "check", server.store).stdout.startswith("sound: 9 messages")
    content = bytearray(log.read_bytes())
    at = content.index(b'"tcpclean"')  # the first of them: of how many messages?
    before = next(i for i, m in enumerate(server.dump()) if m["properties"]["TAGS"] == "tcpclean")
    content[at + 1] ^= 1
    log.write_bytes(content)
    answer = run("store", "check", server.store)
    assert answer.returncode == 1 and "DAMAGED" in answer.stdout
    answer = run("store", "dump", server.store)
    assert answer.returncode == 1 and len(answer.stdout.splitlines()) == before
    answer = run("serve", "-c", server.config)
    assert answer.returncode == 1 and "the log is damaged" in answer.stderr


def test_dump_finds_a_device_by_key_and_stops_at_a_limit(server):
    server.start()
    Device(server, "a").disconnect()
    Device(server, "b").disconnect()
    wait_until("all events", lambda: len(server.dump()) == 6)
    lines = run("store", "dump", server.store, "--key", f"{GROUP}@@@b").stdout.splitlines()
    assert len(lines) == 3 and all(f" {TOPIC}/" in line and f"keys={GROUP}@@@b " in line for line in lines)
    assert len(run("store", "dump", server.store, "--limit", 4).stdout.splitlines()) == 4
    assert PARENT not in run("store", "dump", server.store, "--topic", TOPIC).stdout
