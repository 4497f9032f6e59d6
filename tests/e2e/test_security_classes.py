"""Classes of faults that brokers have had, each with tests named after it; docs/architecture.md says where all of them are."""

import base64
import os
import pathlib
import socket
import stat
import struct
import subprocess

import paho.mqtt.client as mqtt
import pytest

from harness.clients import Client
from harness.procs import PATIENCE
from harness.rollcall import AK, BINARY, GROUP, PARENT, SK, Rollcall, password, user
from test_rest import BASE, ask
from test_access import NOT_AUTHORIZED, change, hashed, reload, server, standard  # noqa: F401, fixtures

ROOT = pathlib.Path(__file__).resolve().parents[2]


# ---- 8: rights that are believed although they are gone, or never were ----

@pytest.mark.parametrize("through", ["reload", "restart"])
def test_class_08_a_revoked_right_is_revoked_for_what_waits_too(server, clients, through):
    users = "\n".join(hashed("x", "-n", "10", name) for name in ("alice", "bob"))
    standard(server, users=users, acl="- {user: bob, topics: ['#']}\n- {user: alice, topics: [a, b]}").start()
    alice = clients(server, "alice", "alice", "x", clean=False)
    assert alice.subscribe("a") == 1 and alice.subscribe("b") == 1
    alice.close()
    bob = clients(server, "bob", "bob", "x")
    assert bob.publish("a", "while she might read it") == 0
    change(server, "topics: [a, b]", "topics: [b]")
    if through == "reload":
        reload(server)
    else:
        server.kill()
        server.start()
        bob = clients(server, "bob", "bob", "x")
    assert bob.publish("a", "after that") in (0, 0x10)
    assert bob.publish("b", "hers") == 0
    alice = clients(server, "alice", "alice", "x", clean=False)
    assert alice.present
    assert alice.message()[:2] == ("b", "hers")
    assert bob.publish("a", "now") in (0, 0x10)
    assert bob.publish("b", "end") == 0
    assert alice.message()[:2] == ("b", "end")


def test_class_08_a_will_is_no_way_round_the_rules(server, clients):
    standard(server, acl="- {topics: ['open/#']}").start()
    watcher = clients(server, "watcher")
    assert watcher.subscribe("open/#") == 1
    for topic, expected in (("$SYS/broker/clients/total", (5, 0x87)), ("$CONTROL/v1", (5, 0x87)), ("secret", (5, 0x87))):
        told = []
        sly = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "sly", protocol=mqtt.MQTTv311)
        sly.on_connect = lambda c, u, flags, reason, props: told.append(reason.value)
        sly.will_set(topic, "mine", 1)
        sly.connect("127.0.0.1", server.mqtt_port)
        for _ in range(100):
            if told or sly.loop(0.1) != 0:
                break
        assert told and told[0] in (*expected, 0x80, 135), (topic, told)
    assert watcher.messages.empty()


def test_class_08_rules_that_name_somebody_else_allow_nothing(server, clients):
    standard(server, acl="- {client: somebody-else, topics: ['#']}").start()
    nobody = clients(server, "nobody")
    assert nobody.subscribe("a") == NOT_AUTHORIZED
    assert nobody.publish("a", "x") == NOT_AUTHORIZED


@pytest.mark.parametrize("entry", ["", "plain", "$7$101$short", "$pbkdf2-sha512$x", ":", "$7$0$AAAA$AAAA"])
def test_class_08_a_malformed_password_is_an_error_and_never_a_way_in(server, entry):
    standard(server, users=f"- {{name: alice, password: '{entry}'}}")
    with pytest.raises(AssertionError):
        server.start()
    assert "password" in server.log()


# ---- 11: parsers of HTTP ----

def http(server, request, size=400):
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=10 * PATIENCE) as sock:
        try:
            sock.sendall(request)
            return sock.recv(size)
        except ConnectionError:
            return b""


def test_class_11_nonsense_in_requests_is_answered_and_nothing_breaks(server):
    server.start()
    lines = [b"/?Action=" + b"A" * 7000, b"/?%", b"/?%4", b"/?%zz=%00", b"/?" + b"&" * 3000, b"/?=&=&==", b"/?Action",
             b"/?Action=QuerySessionByClientId&Signature=" + b"%3D" * 1000, b"/" + b"../" * 1000, b"/%2e%2e/%2e%2e/etc/passwd",
             b"/?SignatureNonce=" + base64.b64encode(os.urandom(3000)), b"/?Timestamp=9999999999999999999999999"]
    for line in lines:
        answer = http(server, b"GET " + line + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer == b"" or answer.split(b" ")[1][:1] in (b"4", b"3"), (line[:60], answer[:80])
    for body in (b"Action=%", b"=" * 4000, b"\0" * 4000, b"Action=ListGroupId&" * 200):
        answer = http(server, b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                      b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert answer == b"" or answer.split(b" ")[1][:1] == b"4", answer[:80]
    http(server, b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: ACS3-HMAC-SHA256 Credential=,SignedHeaders=;;;,Signature=" +
         b"f" * 4000 + b"\r\n\r\n")
    http(server, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\nx")
    assert b" 200 " in http(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


# ---- 12: requests to addresses of an attacker's choice ----

def test_class_12_a_rule_leads_to_no_address_that_its_maker_chose(server):
    """Whom the server dials stands in its configuration: a rule names a cluster of that, and never an address."""
    server.start()
    assert ask(server, "POST", f"{BASE}/groups", {"GroupId": "GID_made"})[0] == 200
    with socket.create_server(("127.0.0.1", 0)) as trap:
        port = trap.getsockname()[1]
        rules = [("rules", "Target", {"RuleId": "sly", "GroupId": "GID_made"}),
                 ("outflow-rules", "Target", {"RuleId": "sly", "MqttTopic": PARENT}),
                 ("inflow-rules", "Source", {"RuleId": "sly", "MqttTopic": PARENT})]
        for path, side, rule in rules:
            for address in (f"127.0.0.1:{port}", f"localhost:{port}", f"http://127.0.0.1:{port}/x", f"2130706433:{port}",
                            f"[::ffff:127.0.0.1]:{port}", f"127.0.0.1:{port};127.0.0.1:{port}", "127.0.0.1"):
                for more in ({f"{side}Instance": address, f"{side}Topic": "T"}, {"Topic": address},
                             {f"{side}Instance": "", f"{side}Topic": address},
                             {f"{side}Instance": address, f"{side}Topic": "T", "NameServer": address}):
                    status, answer = ask(server, "POST", f"{BASE}/{path}", rule | more)
                    assert status in (400, 404), (path, more, answer)
        assert [one["RuleId"] for one in ask(server, "GET", f"{BASE}/rules")[1]["Rules"]] == ["status-1"]
        trap.settimeout(1)
        with pytest.raises(TimeoutError):
            trap.accept()


# ---- 13: secrets where they do not belong ----

def test_class_13_nothing_that_the_server_tells_holds_a_secret(server, clients):
    word = "Korrekt-Pferd-7731"
    entry = hashed(word, "-n", "10", "alice")
    standard(server, users=entry)
    text = server.config.read_text()
    server.config.write_text("log: {level: debug}\n" + text)
    server.start()
    client_id = f"{GROUP}@@@1"
    signature = password(client_id)
    assert clients(server, "a", "alice", word).code == 0
    assert clients(server, "b", "alice", word + "x").code != 0
    assert clients(server, client_id, user(), signature).code == 0
    assert clients(server, client_id, user(), signature[:-2] + "x=").code != 0
    http(server, f"GET /?Action=ListGroupId&AccessKeyId={AK}&Signature={SK} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    metrics = http(server, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1 << 20).decode()
    printed = subprocess.run([BINARY, "serve", "-c", server.config, "--print-config"], capture_output=True, text=True)
    wrong = server.home / "wrong.yaml"
    wrong.write_text(server.config.read_text().replace("profile: standard", "profile: standrad"))
    faulty = subprocess.run([BINARY, "serve", "-c", wrong], capture_output=True, text=True)
    assert faulty.returncode != 0
    told = server.log() + metrics + printed.stdout + printed.stderr + faulty.stdout + faulty.stderr
    for secret in (word, entry.split("password: ")[-1].strip("'\"}{ "), SK, signature):
        assert secret not in told, secret


# ---- 14: credentials that everybody knows ----

def test_class_14_nobody_is_let_in_whom_the_configuration_does_not_name(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    text = server.config.read_text()
    server.config.write_text(text[:text.index("instances:")])
    server.start()
    try:
        for name, word in (("admin", "public"), ("admin", "admin"), ("Signature|QuickAccessKey|rc-quick", "x"), (None, None)):
            assert Client(server, f"{GROUP}@@@x", name, word, version=mqtt.MQTTv311).code in (4, 5, 134, 135)
    finally:
        server.stop()


def test_class_14_the_examples_with_public_keys_listen_on_this_machine_alone():
    for example in (ROOT / "examples").glob("*.yaml"):
        text = example.read_text()
        if "SecretKey" not in text:
            continue
        for line in text.splitlines():
            if line.strip().removeprefix("- ").startswith("bind:"):
                assert "127.0.0.1:" in line.split("#")[0] or "[::1]:" in line, (example, line)


# ---- 16: files that others can read or swap ----

def test_class_16_what_the_server_writes_is_not_for_everybody(server):
    old = os.umask(0)
    try:
        server.start()
    finally:
        os.umask(old)
    server.stop()
    for path in [server.store, *server.store.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert not mode & stat.S_IWOTH, (path, oct(mode))
    for path in (server.store, server.store / "rollcall"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o007, path
