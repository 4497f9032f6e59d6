"""Who may do what: the product's ways, and the standard profile as an ordinary broker with users and rules."""

import json
import signal
import socket
import struct
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest

from harness.procs import PATIENCE, wait_until
from harness.rollcall import BINARY, GROUP, PARENT, SK, Device, Rollcall, password, user

NOT_AUTHORIZED, ADMINISTRATIVE_ACTION, BAD_CREDENTIALS, CLIENT_ID = 0x87, 0x98, 0x86, 0x85

STANDARD = """
  - id: home
    profile: standard
    group: GID_home
    anonymous: {anonymous}
    users:
{users}
    acl:
{acl}
"""


def hashed(word, *more):
    return subprocess.run([BINARY, "passwd", *more], input=word, capture_output=True, text=True, check=True).stdout.strip()


def mosquitto_hash(tmp_path, word):
    file = tmp_path / "mosquitto.passwd"
    file.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", file, "u", word], check=True, capture_output=True)
    return file.read_text().strip().split(":", 1)[1]


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    yield server
    server.stop()


def standard(server, users="", acl="", anonymous="true"):
    """Adds the instance `home` to the server's configuration."""
    text = server.config.read_text()
    users = "\n".join("      " + line for line in users.splitlines()) or "      []"
    acl = "\n".join("      " + line for line in acl.splitlines()) or "      []"
    server.config.write_text(text + STANDARD.format(anonymous=anonymous, users=users, acl=acl).lstrip("\n"))
    return server


def change(server, old, new):
    text = server.config.read_text()
    assert old in text
    server.config.write_text(text.replace(old, new))


def reload(server):
    before = server.log().count("config: reloaded")
    server.process.signal(signal.SIGHUP)
    wait_until("the reload", lambda: server.log().count("config: reloaded") > before)


# ---- profile standard: who may come in ----

def test_anonymous_clients_come_in_only_where_the_configuration_says_so(server, clients):
    standard(server, users=f"- {{name: alice, password: '{hashed('x')}'}}", anonymous="false").start()
    assert clients(server, "nobody").code == NOT_AUTHORIZED
    change(server, "anonymous: false", "anonymous: true")
    reload(server)
    assert clients(server, "nobody").code == 0
    assert clients(server, "nobody-3", version=mqtt.MQTTv311).code == 0


def test_users_log_in_with_entries_of_rollcall_and_of_mosquitto(server, clients, tmp_path):
    users = hashed("s3cret", "alice") + f"\n- {{name: bob, password: '{mosquitto_hash(tmp_path, 'word')}'}}"
    standard(server, users=users, anonymous="false").start()
    for _ in range(2):  # the second time it is remembered
        assert clients(server, "a", "alice", "s3cret").code == 0
        assert clients(server, "b", "bob", "word", version=mqtt.MQTTv311).code == 0
        assert clients(server, "c", "alice|home", "s3cret").code == 0
        for name, word in ("alice", "word"), ("bob", ""), ("carol", "s3cret"), ("alice", None), ("alice|rc-test", "s3cret"):
            assert clients(server, "d", name, word).code in (BAD_CREDENTIALS, NOT_AUTHORIZED), name
    assert clients(server, "e", "bob", "wrong", version=mqtt.MQTTv311).code in (4, 5, BAD_CREDENTIALS, NOT_AUTHORIZED)
    assert "s3cret" not in server.log()


def test_wrong_passwords_are_slowed_down_for_that_client_alone(server, clients):
    standard(server, users=hashed("right", "-n", "10", "alice")).start()
    codes = [clients(server, "guesser", "alice", f"guess {i}").code for i in range(12)]
    assert codes[:10] == [BAD_CREDENTIALS] * 10
    assert codes[10:] == [0x9F] * 2
    assert clients(server, "guesser", "alice", "right").code == 0x9F
    assert clients(server, "another", "alice", "right").code == 0


def connect_packet(client_id, name, word):
    payload = b"".join(len(f).to_bytes(2, "big") + f.encode() for f in (client_id, name, word))
    body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + payload
    return b"\x10" + bytes([len(body)]) + body


def test_slow_passwords_hold_up_nobody_who_needs_none(server, clients):
    standard(server, users=hashed("x", "-n", "1000000", "alice")).start()  # half a second or more for each
    sockets = [socket.create_connection(("127.0.0.1", server.mqtt_port), 5) for _ in range(40)]
    for i, one in enumerate(sockets):
        one.sendall(connect_packet(f"slow-{i}", "alice", "wrong"))
    begun = time.monotonic()
    assert clients(server, "nobody").code == 0
    assert product(clients, server, "device").code == 0
    assert time.monotonic() - begun < 5 * PATIENCE
    for one in sockets:  # gone before the answer, which nobody waits for then
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 15 * PATIENCE


def test_any_client_id_up_to_1024_bytes_and_its_presence_is_the_same(server, clients):
    standard(server).start()
    longest = "ü" * 512
    for name in longest, "a b/c+#%", '"quoted\\"', "GID_test@@@x":
        client = clients(server, name)
        assert client.code == 0, name
        client.close()
    assert clients(server, longest + "x").code == CLIENT_ID
    assert clients(server, "a\tb").code == CLIENT_ID
    server.stop()
    bodies = [json.loads(m["body"]) for m in server.dump() if m["topic"] == "ROLLCALL_PRESENCE"]
    for name in longest, "a b/c+#%", '"quoted\\"':
        assert [b["eventType"] for b in bodies if b["clientId"] == name] == ["connect", "disconnect", "tcpclean"] or \
               [b["eventType"] for b in bodies if b["clientId"] == name] == ["connect", "disconnect"], name


def test_a_session_is_its_users_own(server, clients):
    standard(server, users="\n".join(hashed("x", "-n", "10", name) for name in ("alice", "bob")))
    change(server, "shards: 2", "shards: 1")  # where one shard knows all, PUBACK tells that nobody has subscribed
    server.start()
    first = clients(server, "shared-id", "alice", "x", clean=False)
    assert first.subscribe("private") == 1
    first.close()
    assert clients(server, "sender").publish("private", "for alice") == 0
    bob = clients(server, "shared-id", "bob", "x", clean=False)
    assert bob.code == 0 and not bob.present
    assert bob.publish("private", "nobody") == 0x10
    assert bob.messages.empty()
    bob.close()
    again = clients(server, "shared-id", "bob", "x", clean=False)
    assert again.present


# ---- profile standard: rules ----

def test_rules_say_who_reads_and_writes_what(server, clients):
    acl = """- {user: admin, topics: ['#']}
- {access: deny, topics: ['secret/#']}
- {client: 'dash*', access: read, topics: ['#']}
- {topics: ['dev/%c/#']}
- {user: '*', access: write, topics: ['log/%u']}"""
    users = hashed("x", "alice") + "\n" + hashed("x", "admin")
    standard(server, users=users, acl=acl).start()
    dash = clients(server, "dash-1")
    assert dash.subscribe("secret/#") == NOT_AUTHORIZED
    assert dash.subscribe("secret/x") == NOT_AUTHORIZED
    assert dash.subscribe("dev/#") == 1
    assert dash.publish("dev/other/x", "no") == NOT_AUTHORIZED
    device = clients(server, "d1")
    assert device.subscribe("dev/d1/+") == 1
    assert device.subscribe("dev/d2/+") == NOT_AUTHORIZED
    assert device.subscribe("$SYS/#") == NOT_AUTHORIZED
    assert device.publish("dev/d2/x", "no") == NOT_AUTHORIZED
    assert device.publish("log/alice", "no") == NOT_AUTHORIZED
    assert device.publish("dev/d1/x", "yes", qos=2) == 0
    assert dash.message()[:2] == ("dev/d1/x", "yes")
    assert device.message()[:2] == ("dev/d1/x", "yes")
    old = clients(server, "d3", version=mqtt.MQTTv311)
    assert old.subscribe("dev/d2/+") == 0x80
    assert old.publish("secret/x", "no") == 0  # 3.1.1 has no word for it: acknowledged, and dropped
    alice = clients(server, "a", "alice", "x")
    admin = clients(server, "b", "admin", "x")
    assert admin.subscribe("#") == 1
    assert alice.publish("log/admin", "no") == NOT_AUTHORIZED
    assert alice.publish("log/alice", "yes") in (0, 0x10)
    assert admin.message()[:2] == ("log/alice", "yes")
    assert admin.publish("secret/x", "yes") in (0, 0x10)
    assert admin.message()[:2] == ("secret/x", "yes")
    assert dash.messages.empty() and old.messages.empty()


def test_what_is_denied_is_left_out_of_wider_subscriptions(server, clients):
    acl = """- {user: admin, topics: ['#']}
- {access: deny, topics: ['secret/#']}
- {topics: ['#']}"""
    standard(server, users=hashed("x", "admin"), acl=acl).start()
    admin = clients(server, "boss", "admin", "x")
    for topic in ("secret/kept", "news/kept"):
        assert admin.publish(topic, "kept", retain=True) in (0, 0x10)
    reader = clients(server, "reader", clean=False)
    assert reader.subscribe("#") == 1
    assert reader.message()[:2] == ("news/kept", "kept")
    assert admin.publish("secret/x", "no") in (0, 0x10)  # nobody who may read it
    assert admin.publish("news/x", "yes") == 0
    assert reader.message()[:2] == ("news/x", "yes")
    assert reader.subscribe("$share/group/#") == NOT_AUTHORIZED  # nobody could say which member gets it
    reader.close()
    assert admin.publish("secret/y", "no") in (0, 0x10)
    assert admin.publish("news/y", "yes") == 0
    back = clients(server, "reader", clean=False)
    assert back.message()[:2] == ("news/y", "yes")
    change(server, "topics: ['secret/#']", "topics: ['news/#']")
    reload(server)
    assert admin.publish("news/z", "no") in (0, 0x10)
    assert admin.publish("secret/z", "yes") == 0
    assert back.message()[:2] == ("secret/z", "yes")
    assert back.messages.empty()


def test_a_client_whose_name_is_a_wildcard_gets_no_more_than_its_own(server, clients):
    standard(server, acl="- {topics: ['dev/%c']}").start()
    sly = clients(server, "+")
    assert sly.subscribe("dev/+") == NOT_AUTHORIZED
    assert sly.publish("dev/x", "no") == NOT_AUTHORIZED


# ---- profile product ----

def product(clients, server, name, **more):
    client_id = f"{GROUP}@@@{name}"
    return clients(server, client_id, user(), password(client_id), **more)


def test_p2p_reaches_a_client_without_a_subscription_and_nobody_else(server, clients):
    server.start()
    listener = product(clients, server, "listener")
    assert listener.subscribe(f"{PARENT}/#") == 1
    receivers = [product(clients, server, f"r{i}") for i in range(6)]  # on both shards
    sender = product(clients, server, "sender", version=mqtt.MQTTv311)
    for i in range(6):
        for qos in 0, 1:
            sender.publish(f"{PARENT}/p2p/{GROUP}@@@r{i}", f"{i} {qos}", qos)
    for i, receiver in enumerate(receivers):
        got = [receiver.message()[:2] for _ in range(2)]
        assert got == [(f"{PARENT}/p2p/{GROUP}@@@r{i}", f"{i} {qos}") for qos in (0, 1)]
    sender.publish(f"{PARENT}/end", "end")
    assert listener.message()[:2] == (f"{PARENT}/end", "end")


def test_p2p_waits_for_a_client_that_comes_back(server, clients):
    server.start()
    product(clients, server, "away", version=mqtt.MQTTv311, clean=False).close()
    sender = product(clients, server, "sender")
    assert sender.publish(f"{PARENT}/p2p/{GROUP}@@@away", "kept") == 0
    assert sender.publish(f"{PARENT}/p2p/{GROUP}@@@unknown", "dropped") in (0, 0x10)
    back = product(clients, server, "away", version=mqtt.MQTTv311, clean=False)
    assert back.message()[:2] == (f"{PARENT}/p2p/{GROUP}@@@away", "kept")


@pytest.mark.parametrize("filter", [f"{PARENT}/p2p/{GROUP}@@@other", f"{PARENT}/p2p/+", f"{PARENT}/p2p/#", "unknown/x", "#",
                                    "$SYS/#"])
def test_a_subscription_that_is_not_allowed_ends_the_connection(server, clients, filter):
    server.start()
    client = product(clients, server, "me")
    assert client.subscribe(f"{PARENT}/p2p/{GROUP}@@@me") == 1
    client.paho.subscribe(filter, 1)
    assert client.end() == NOT_AUTHORIZED
    old = Device(server, "old")
    body = b"\x00\x01" + len(filter).to_bytes(2, "big") + filter.encode() + b"\x01"
    old.send(0x82, body)
    with pytest.raises(ConnectionError):
        old.receive()


@pytest.mark.parametrize("topic,size,code", [("unknown/x", 1, NOT_AUTHORIZED), ("$SYS/x", 1, NOT_AUTHORIZED),
                                             (PARENT + "/" + "x" * 64, 1, NOT_AUTHORIZED),
                                             (PARENT + "/x", 64 * 1024 + 1, 0x95)])
def test_a_publish_that_is_not_allowed_ends_the_connection(server, clients, topic, size, code):
    server.start()
    client = product(clients, server, "me")
    assert client.publish("$SYS/enableOrderMsg", '{"order":"true"}') == 0
    assert client.publish(f"{PARENT}/x", "x" * 64 * 1024) in (0, 0x10)
    client.paho.publish(topic, "x" * size, 1)
    assert client.end() == code


def test_only_30_subscriptions_and_the_instances_own_limit_where_it_is_set(server, clients):
    server.start()
    client = product(clients, server, "many")
    assert [client.subscribe(f"{PARENT}/{i}") for i in range(30)] == [1] * 30
    assert client.subscribe(f"{PARENT}/30") == 0x97
    change(server, "topics: [sensors]", "topics: [sensors]\n    limits: {subscriptions: 31}")
    reload(server)
    assert client.subscribe(f"{PARENT}/30") == 1
    assert client.subscribe(f"{PARENT}/31") == 0x97


# ---- reload ----

def test_a_reload_shows_out_who_lost_his_right_and_nobody_else(server, clients):
    users = "\n".join(hashed("x", "-n", "10", name) for name in ("alice", "bob", "carol"))
    standard(server, users=users, acl="- {user: carol, topics: ['c/#']}\n- {topics: ['all/#']}").start()
    gone = clients(server, "gone", "alice", "x")
    other = clients(server, "other", "bob", "x")
    carol = clients(server, "carol", "carol", "x", clean=False)
    anonymous = clients(server, "anonymous")
    assert carol.subscribe("c/1") == 1 and carol.subscribe("all/1") == 1
    device = product(clients, server, "device")
    grouped = clients(server, "GID_other@@@x", user(), password("GID_other@@@x"))
    stays = [other, device]
    assert [c.code for c in (gone, other, carol, anonymous, device, grouped)] == [0] * 6
    text = server.config.read_text()
    alice = next(line for line in text.splitlines() if "alice" in line)
    change(server, alice + "\n", "")
    change(server, "GID_test, GID_other", "GID_test")
    change(server, "topics: ['c/#']", "topics: ['d/#']")
    change(server, "anonymous: true", "anonymous: false")
    reload(server)
    assert gone.end() == NOT_AUTHORIZED
    assert carol.end() == NOT_AUTHORIZED
    assert anonymous.end() == NOT_AUTHORIZED
    assert grouped.end() == ADMINISTRATIVE_ACTION
    for client in stays:
        assert client.ends.empty() and client.paho.is_connected()
    again = clients(server, "carol", "carol", "x", clean=False)
    assert again.code == 0
    assert other.publish("c/1", "no") == NOT_AUTHORIZED
    assert other.publish("all/1", "yes") == 0  # the subscription that is still allowed was kept
    assert again.message()[:2] == ("all/1", "yes")
    assert clients(server, "gone", "alice", "x").code == BAD_CREDENTIALS
    change(server, f"secret_key: {SK}", "secret_key: AnotherSecret")
    reload(server)
    assert device.end() == NOT_AUTHORIZED
    assert other.paho.is_connected()
