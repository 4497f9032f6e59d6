"""$SYS as administrators see it: the numbers of both families, and who comes and goes."""

import json
import re
import subprocess

import pytest

from harness.procs import wait_until
from harness.rollcall import GROUP, Device, Rollcall, password, user

NOT_AUTHORIZED = 0x87


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    text = server.config.read_text()
    text = text.replace('mqtt: {', 'mqtt: {sys_interval: 300ms, ')
    text = text.replace("secret_key: TestSecretKey}", "secret_key: TestSecretKey, admin: true}, "
                                                      "{access_key: Plain, secret_key: PlainSecret}")
    text += """  - id: home
    profile: standard
    anonymous: true
    acl:
      - {client: watcher, access: read, topics: ['$SYS/brokers/+/clients/#']}
      - {topics: ['#']}
"""
    server.config.write_text(text)
    server.start()
    yield server
    server.stop()


def admin(clients, server, name="admin", **more):
    client_id = f"{GROUP}@@@{name}"
    return clients(server, client_id, user(), password(client_id), **more)


def take(client, topics):
    """The first value of each topic, and whether it came as a retained one."""
    found = {}
    while topics - set(found):
        topic, payload, retained = client.message()
        found.setdefault(topic, (payload, retained))
    return found


MOSQUITTOS = ("version uptime clients/total clients/connected clients/disconnected clients/maximum subscriptions/count "
              "messages/received messages/sent bytes/received bytes/sent publish/messages/received publish/messages/sent "
              "publish/messages/dropped publish/bytes/received publish/bytes/sent load/messages/received/1min "
              "load/bytes/sent/15min load/connections/5min").split()


def test_administrators_read_the_numbers_of_both_families_at_once(server, clients):
    client = admin(clients, server)
    device = Device(server, "d1")
    assert device.code == 0
    assert client.subscribe("$SYS/#", 0) == 0
    topics = {f"$SYS/broker/{name}" for name in MOSQUITTOS}
    topics |= {"$SYS/brokers"} | {f"$SYS/brokers/rollcall-1/{name}" for name in
                                  ("version", "uptime", "datetime", "stats/connections/count", "metrics/bytes/received",
                                   "metrics/rollcall/keep_alive_timeouts")}
    found = take(client, topics)
    assert all(retained for _, retained in found.values())
    assert found["$SYS/broker/version"][0].startswith("rollcall version ")
    assert re.fullmatch(r"\d+ seconds", found["$SYS/broker/uptime"][0])
    assert found["$SYS/broker/clients/connected"][0] == found["$SYS/broker/clients/maximum"][0] == "2"
    assert found["$SYS/brokers"][0] == "rollcall-1"
    assert found["$SYS/brokers/rollcall-1/stats/connections/count"][0] == "2"
    assert int(found["$SYS/broker/bytes/received"][0]) > 100
    device.disconnect()


def test_the_numbers_follow_what_happens(server, clients):
    client = admin(clients, server)
    assert client.subscribe("$SYS/broker/clients/connected", 0) == 0
    assert client.subscribe("$SYS/broker/publish/bytes/received", 0) == 0
    devices = [Device(server, f"d{i}") for i in range(3)]
    devices[0].send(0x30, b"\x00\x09sensors/x" + b"p" * 1000)

    def seen(topic, value):
        while not client.messages.empty():
            message = client.message()
            if message[:2] == (topic, value):
                return True
        return False
    wait_until("four clients", lambda: seen("$SYS/broker/clients/connected", "4"))
    for device in devices:
        device.disconnect()
    wait_until("one client", lambda: seen("$SYS/broker/clients/connected", "1"))
    wait_until("the payload", lambda: seen("$SYS/broker/publish/bytes/received", "1000"))


def test_others_may_not_read_it_and_nobody_may_write_it(server, clients):
    client_id = f"{GROUP}@@@plain"
    plain = clients(server, client_id, "Signature|Plain|rc-test", password(client_id, "PlainSecret"))
    plain.paho.subscribe("$SYS/broker/version", 0)
    assert plain.end() == NOT_AUTHORIZED
    nobody = clients(server, "nobody")
    assert nobody.subscribe("$SYS/#") == NOT_AUTHORIZED
    assert nobody.subscribe("#") == 1  # does not take $SYS
    assert nobody.publish("$SYS/broker/version", "mine") == NOT_AUTHORIZED
    assert nobody.publish("end", "end") == 0
    assert nobody.message()[:2] == ("end", "end")
    boss = admin(clients, server)
    boss.paho.publish("$SYS/broker/version", "mine", 1)
    assert boss.end() == NOT_AUTHORIZED


def test_comings_and_goings_are_told_to_those_who_may_read_them(server, clients):
    watcher = clients(server, "watcher")
    assert watcher.subscribe("$SYS/brokers/rollcall-1/clients/+/+") == 1
    boss = admin(clients, server)  # of another instance
    assert boss.subscribe("$SYS/brokers/+/clients/#") == 1
    for name in [f"guest {i}" for i in range(4)] + ["a/b+c%"]:  # on both shards
        guest = clients(server, name)
        guest.close()
        level = name.replace("%", "%25").replace("/", "%2F").replace("+", "%2B")
        topic, payload, _ = watcher.message()
        come = json.loads(payload)
        assert topic == f"$SYS/brokers/rollcall-1/clients/{level}/connected"
        assert come["clientid"] == name and come["proto_ver"] == 5 and come["keepalive"] == 60
        topic, payload, _ = watcher.message()
        gone = json.loads(payload)
        assert topic == f"$SYS/brokers/rollcall-1/clients/{level}/disconnected"
        assert gone["reason"] == "client-disconnect" and gone["channelid"] == come["channelid"]
        assert gone["disconnected_at"] >= gone["connected_at"] == come["connected_at"]
    device = Device(server, "d1")
    device.cut()
    assert json.loads(boss.message()[1])["clientid"] == device.client_id
    assert json.loads(boss.message()[1])["reason"] == "connection-lost"
    assert boss.messages.empty() and watcher.messages.empty()


def test_mosquitto_sub_reads_it(server):
    client_id = f"{GROUP}@@@mosquitto"
    out = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(server.mqtt_port), "-i", client_id, "-u", user(),
                          "-P", password(client_id), "-t", "$SYS/broker/version", "-C", "1", "-W", "20"],
                         capture_output=True, text=True, timeout=30)
    assert out.stdout.startswith("rollcall version ")
