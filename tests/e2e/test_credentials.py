"""Every way to log in besides Signature, right and wrong: tokens, device credentials, custom identities, certificates."""

import base64
import hashlib
import hmac
import json
import os
import signal
import ssl
import struct
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest

from harness.certificates import Authority
from harness.procs import free_port, wait_until
from harness.rollcall import AK, GROUP, INSTANCE, PARENT, TOPIC, Rollcall, password, run, user

NOT_AUTHORIZED, BAD_CREDENTIALS, ADMINISTRATIVE_ACTION = 0x87, 0x86, 0x98
TOKEN_KEY = bytes(range(32))
ME = f"{GROUP}@@@me"


# ---- tokens, made as the server makes them ----

def make_token(actions, topics, life_s, key=TOKEN_KEY, access_key=AK, instance=INSTANCE):
    def text(value):
        return bytes([len(value)]) + value.encode()
    bits = ("R" in actions) + 2 * ("W" in actions)
    body = struct.pack(">BBQ", 1, bits, int((time.time() + life_s) * 1000)) + os.urandom(16)
    body += text(instance) + text(access_key) + bytes([len(topics)]) + b"".join(map(text, topics))
    return base64.urlsafe_b64encode(body + hmac.new(key, body, hashlib.sha256).digest()).decode().rstrip("=")


def line(kind, **fields):
    return json.dumps({"kind": kind, **fields})


class Registry:
    """An export that is made by hand, imported before the server starts."""

    def __init__(self):
        self.lines = [line("rollcall-registry", version=1),
                      line("instances", id=INSTANCE, name=INSTANCE, origin=1, token_key=TOKEN_KEY.hex(),
                           registration_code="code", created=1, updated=1)]

    def credential(self, client_id, access_key, secret):
        self.lines.append(line("credentials", instance=INSTANCE, client_id=client_id, access_key=access_key,
                               secret=secret, created=1, updated=1))

    def identity(self, name, secret, signed=False, client_id=""):
        self.lines.append(line("identities", instance=INSTANCE, type=int(bool(client_id)), username=name,
                               client_id=client_id, is_signed=int(signed), secret=secret, created=1, updated=1))

    def permission(self, identity, topic, actions, denies=False, is_client=False):
        self.lines.append(line("permissions", instance=INSTANCE, type=int(is_client), identity=identity, topic=topic,
                               actions=actions, denies=int(denies)))

    def black(self, client_id):
        self.lines.append(line("blacklist", instance=INSTANCE, client_id=client_id, created=1))

    def put_into(self, server):
        file = server.home / "registry.jsonl"
        file.write_text("\n".join(self.lines) + "\n")
        done = run("registry", "import", "-c", server.config, "-f", file)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    yield server
    server.stop()


def start(server, registry):
    registry.put_into(server)
    return server.start()


def token_user(access_key=AK):
    return f"Token|{access_key}|{INSTANCE}"


# ---- tokens ----

def test_a_token_lets_its_client_do_what_it_says(server, registry, clients):
    start(server, registry)
    both = f"R|{make_token('R', [PARENT + '/in/#'], 3600)}|W|{make_token('W', [PARENT + '/out'], 3600)}"
    client = clients(server, ME, token_user(), both)
    assert client.code == 0
    assert client.subscribe(f"{PARENT}/in/+") == 1
    assert client.publish(f"{PARENT}/out", "x") in (0, 0x10)
    client.paho.publish(f"{PARENT}/in/a", "not for writing", 1)
    assert client.end() == NOT_AUTHORIZED
    reader = clients(server, ME, token_user(), f"RW|{make_token('RW', [PARENT + '/in/#'], 3600)}")
    assert reader.subscribe(f"{PARENT}/in/#") == 1
    reader.publish(f"{PARENT}/in/a", "x")
    assert reader.message()[:2] == (f"{PARENT}/in/a", "x")
    reader.paho.subscribe(f"{PARENT}/#", 1)
    assert reader.end() == NOT_AUTHORIZED


@pytest.mark.parametrize("wrong", ["forged", "expired", "key", "type", "instance", "form", "one of two"])
def test_a_wrong_token_lets_nobody_in(server, registry, clients, wrong):
    start(server, registry)
    good = make_token("R", [PARENT], 3600)
    word = {
        "forged": "R|" + make_token("R", [PARENT], 3600, key=b"x" * 32),
        "expired": "R|" + make_token("R", [PARENT], -1),
        "key": "R|" + make_token("R", [PARENT], 3600, access_key="AnotherKey"),
        "type": "W|" + good,
        "instance": "R|" + make_token("R", [PARENT], 3600, instance="another"),
        "form": good,
        "one of two": f"R|{good}|W|{make_token('W', [PARENT], -1)}",
    }[wrong]
    assert clients(server, ME, token_user(), word).code == BAD_CREDENTIALS
    assert clients(server, ME, token_user(), word, version=mqtt.MQTTv311).code in (4, 5, BAD_CREDENTIALS, NOT_AUTHORIZED)
    assert clients(server, ME, token_user("NoKey"), f"R|{good}").code == NOT_AUTHORIZED
    assert clients(server, ME, token_user(), f"R|{good}").code == 0


def test_a_client_is_told_before_its_token_ends_and_when_it_did(server, registry, clients):
    start(server, registry)
    client = clients(server, ME, token_user(), f"R|{make_token('R', [PARENT], 3)}")
    topic, payload, _ = client.message()
    notice = json.loads(payload)
    assert topic == "$SYS/tokenExpireNotice" and notice["type"] == "R" and notice["expireTime"] > time.time() * 1000
    topic, payload, _ = client.message()
    assert topic == "$SYS/tokenInvalidNotice" and json.loads(payload) == {"code": 2, "type": "R"}
    assert client.end() == NOT_AUTHORIZED


def test_a_token_is_renewed_and_a_wrong_one_ends_the_connection(server, registry, clients):
    start(server, registry)
    client = clients(server, ME, token_user(), f"R|{make_token('R', [PARENT + '/a'], 4)}")
    assert client.message()[0] == "$SYS/tokenExpireNotice"
    assert client.subscribe(f"{PARENT}/a") == 1
    renewed = {"token": make_token("R", [PARENT + "/a", PARENT + "/b"], 3600), "type": "R"}
    assert client.publish("$SYS/uploadToken", json.dumps(renewed)) == 0
    assert client.subscribe(f"{PARENT}/b") == 1
    time.sleep(4.5)  # the first one has ended by then
    assert client.paho.is_connected() and client.messages.empty()
    for code, token in [(8, make_token("R", [PARENT], 60, key=b"x" * 32)), (2, make_token("R", [PARENT], -1)),
                        (5, make_token("W", [PARENT], 60)), (1, "nonsense"), (-1, make_token("R", [PARENT], 60, access_key="X")),
                        (4, make_token("R", [PARENT + "/b"], 3600))]:
        if not client.paho.is_connected():
            client = clients(server, ME, token_user(), f"R|{make_token('R', [PARENT + '/a'], 3600)}")
            assert client.code == 0 and client.subscribe(f"{PARENT}/a") == 1
        client.paho.publish("$SYS/uploadToken", json.dumps({"token": token, "type": "R"}), 1)
        topic, payload, _ = client.message()
        assert topic == "$SYS/tokenInvalidNotice" and json.loads(payload)["code"] == code
        assert client.end() == NOT_AUTHORIZED


# ---- device credentials ----

def test_a_device_credential_is_for_its_client_alone(server, registry, clients):
    registry.credential(ME, "DC.one", "device secret")
    other = f"{GROUP}@@@other"
    start(server, registry)
    name = f"DeviceCredential|DC.one|{INSTANCE}"
    assert clients(server, ME, name, password(ME, "device secret")).code == 0
    assert clients(server, ME, name, password(ME, "device secret"), version=mqtt.MQTTv311).code == 0
    assert clients(server, ME, name, password(ME, "another")).code == BAD_CREDENTIALS
    assert clients(server, other, name, password(other, "device secret")).code == NOT_AUTHORIZED
    assert clients(server, ME, f"DeviceCredential|DC.two|{INSTANCE}", password(ME, "device secret")).code == NOT_AUTHORIZED
    assert clients(server, ME, "DeviceCredential|DC.one|elsewhere", password(ME, "device secret")).code == NOT_AUTHORIZED


# ---- custom identities ----

def test_custom_identities_keep_to_their_permissions(server, registry, clients):
    registry.identity("bob", "open word")
    registry.identity("carol", "signing key", signed=True)
    registry.identity("bob", "his own", client_id=f"{GROUP}@@@special")
    registry.permission("bob", f"{PARENT}/#", 3)
    registry.permission("bob", f"{PARENT}/secret", 1, denies=True)
    registry.permission(ME, f"{PARENT}/mine", 2, is_client=True)
    registry.black(f"{GROUP}@@@banned")
    start(server, registry)
    bob = clients(server, ME, "bob", "open word")
    assert bob.code == 0
    assert bob.subscribe(f"{PARENT}/news") == 1
    assert bob.publish(f"{PARENT}/news", "x") == 0
    assert bob.message()[1] == "x"
    bob.paho.subscribe(f"{PARENT}/secret", 1)
    assert bob.end() == NOT_AUTHORIZED
    assert clients(server, ME, "bob", "wrong").code == BAD_CREDENTIALS
    assert clients(server, ME, f"bob|{INSTANCE}", "open word").code == 0
    assert clients(server, f"{GROUP}@@@special", "bob", "open word").code == BAD_CREDENTIALS
    assert clients(server, f"{GROUP}@@@special", "bob", "his own").code == 0
    assert clients(server, f"{GROUP}@@@banned", "bob", "open word").code == NOT_AUTHORIZED
    assert clients(server, f"{GROUP}@@@x", "nobody", "open word").code == BAD_CREDENTIALS
    carol = clients(server, ME, "carol", password(ME, "signing key"))
    assert carol.code == 0
    assert carol.publish(f"{PARENT}/mine", "x") in (0, 0x10)  # the client's own permission
    carol.paho.publish(f"{PARENT}/news", "x", 1)
    assert carol.end() == NOT_AUTHORIZED
    assert clients(server, ME, "carol", "signing key").code == BAD_CREDENTIALS


def test_a_will_needs_the_right_to_its_topic(server, registry, clients):
    server.config.write_text(server.config.read_text().replace("- id: rc-test", "- id: rc-test\n    limits: {wills: true}"))
    start(server, registry)

    def code_of(topic):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, ME, protocol=mqtt.MQTTv5)
        client.username_pw_set(token_user(), f"W|{make_token('W', [PARENT + '/gone'], 3600)}")
        client.will_set(topic, "bye", 1)
        codes = []
        client.on_connect = lambda c, u, flags, reason, props: codes.append(reason.value)
        client.connect("127.0.0.1", server.mqtt_port)
        client.loop_start()
        wait_until("CONNACK", lambda: codes)
        client.disconnect()
        client.loop_stop()
        return codes[0]
    assert code_of(f"{PARENT}/gone") == 0
    assert code_of(f"{PARENT}/other") == NOT_AUTHORIZED


# ---- certificates ----

TLS_LISTENER = """, {{name: device, transport: tls, bind: "127.0.0.1:{port}", tls: {{client_certificate: registered,
  certificates: [{{certificate: "{certificate}", key: "{key}"}}]}}}}]}}"""


@pytest.fixture
def with_ca(server, registry, tmp_path):
    """A listener for registered certificates; its instance knows the CA. Returns what makes devices' certificates."""
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    server.device_port = free_port()
    text = server.config.read_text()
    line_end = next(line for line in text.splitlines() if line.startswith("mqtt:"))
    more = TLS_LISTENER.format(port=server.device_port, certificate=certificate, key=key)
    server.config.write_text(text.replace(line_end, line_end.removesuffix("]}") + more))
    server.ca_sn = subprocess.run(["openssl", "x509", "-in", authority.ca, "-noout", "-serial"], capture_output=True,
                                  text=True, check=True).stdout.strip().split("=")[1].lower()
    registry.ca = line("certificates", instance=INSTANCE, ca_sn="", sn=server.ca_sn, name="ca",
                       content=authority.ca.read_text(), verification="", code="code", is_active=1, valid_from=1, valid_to=2)
    registry.lines.append(registry.ca)
    return authority


def dial_tls(server, authority, pair, client_id, name=None, word=None):
    """CONNACK's code; None when the handshake fails. The client stays for the test to close."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    client.tls_set(str(authority.ca), *(map(str, pair) if pair else ()))
    if name is not None:
        client.username_pw_set(name, word)
    codes = []
    client.on_connect = lambda c, u, flags, reason, props: codes.append(reason.value)
    client.on_disconnect = lambda c, u, flags, reason, props: codes.append(None)
    try:
        client.connect("127.0.0.1", server.device_port)
    except (ssl.SSLError, ConnectionError):
        return client, None
    client.loop_start()
    wait_until("an answer", lambda: codes)
    return client, codes[0]


def test_a_registered_cas_certificate_is_a_login(server, registry, with_ca, tmp_path):
    device, other = with_ca.make("device", "device-1"), with_ca.make("other", "device-2")
    stranger = Authority(tmp_path / "strangers").make("device", "device-1")
    start(server, registry)
    made = []

    def code(pair, client_id=ME, **login):
        client, result = dial_tls(server, with_ca, pair, client_id, **login)
        made.append(client)
        return result
    try:
        assert code(device) == 0
        assert code(device, name=f"Certificate||{INSTANCE}") == 0
        assert code(device, name=f"Certificate||elsewhere") == NOT_AUTHORIZED
        assert code(other, f"{GROUP}@@@other", name=f"Signature|{AK}|{INSTANCE}", word=password(f"{GROUP}@@@other")) == 0
        assert code(other, f"{GROUP}@@@other", name=f"Signature|{AK}|{INSTANCE}", word="wrong") == BAD_CREDENTIALS
        assert code(stranger) == NOT_AUTHORIZED
        assert code(stranger, name=f"Signature|{AK}|{INSTANCE}", word=password(ME)) == NOT_AUTHORIZED
        assert code(None) is None
        assert code(device, "GID_none@@@x") == NOT_AUTHORIZED

        def seen():
            out = run("registry", "export", "-c", server.config).stdout
            return [row for row in map(json.loads, out.splitlines()) if row["kind"] == "certificates" and row["ca_sn"]]
        wait_until("both certificates to be known", lambda: {row["name"] for row in seen()} == {"device-1", "device-2"})
        rows = seen()
    finally:
        for client in made:
            client.disconnect()
            client.loop_stop()
    server.stop()
    bodies = [json.loads(m["body"]) for m in server.dump() if m["topic"] == TOPIC]
    assert {b.get("certificateChainSn") for b in bodies} == {row["sn"] for row in rows}
    # One that was made inactive is let in no more.
    registry.lines += [json.dumps({**row, "is_active": int(row["name"] != "device-1")}) for row in rows]
    start(server, registry)
    client, result = dial_tls(server, with_ca, device, ME)
    assert result == NOT_AUTHORIZED
    client.loop_stop()
    server.stop()
    registry.lines.append(registry.ca.replace('"is_active": 1', '"is_active": 0'))
    start(server, registry)
    client, result = dial_tls(server, with_ca, other, ME)
    assert result == NOT_AUTHORIZED
    client.loop_stop()


# ---- changed while clients are there ----

def ctl(server, *words):
    done = run("ctl", *words, "--url", f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_revoked_token_ends_its_connection_and_no_other(server, clients):
    server.start()
    expires = str(int((time.time() + 3600) * 1000))
    first, second = (ctl(server, "token", "create", "--actions", "R", "--topics", PARENT, "--expires", expires)["Token"]
                     for _ in range(2))
    one, two = clients(server, ME, token_user(), f"R|{first}"), clients(server, f"{GROUP}@@@2", token_user(), f"R|{second}")
    assert one.code == two.code == 0
    ctl(server, "token", "revoke", first)
    topic, payload, _ = one.message()
    assert topic == "$SYS/tokenInvalidNotice" and json.loads(payload) == {"code": 3, "type": "R"}
    assert one.end() == NOT_AUTHORIZED
    assert clients(server, ME, token_user(), f"R|{first}").code == BAD_CREDENTIALS
    assert two.paho.is_connected() and two.messages.empty()


def test_who_is_shown_out_leaves_no_will(server, clients):
    server.config.write_text(server.config.read_text().replace("- id: rc-test", "- id: rc-test\n    limits: {wills: true}"))
    server.start()
    watcher = clients(server, f"{GROUP}@@@watcher", user(), password(f"{GROUP}@@@watcher"))
    watcher.subscribe(f"{PARENT}/gone/+")
    expires = str(int((time.time() + 3600) * 1000))
    token = ctl(server, "token", "create", "--actions", "W", "--topics", f"{PARENT}/gone/#", "--expires", expires)["Token"]
    credential = ctl(server, "credential", "create", ME)["DeviceCredential"]
    key = ctl(server, "key", "create")
    for name, word, change in [
            (token_user(), f"W|{token}", ("token", "revoke", token)),
            (f"DeviceCredential|{credential['DeviceAccessKeyId']}|{INSTANCE}",
             password(ME, credential["DeviceAccessKeySecret"]), ("credential", "delete", ME)),
            (f"Signature|{key['AccessKey']}|{INSTANCE}", password(ME, key["SecretKey"]), ("key", "delete", key["AccessKey"])),
            (user(), password(ME), ("black", "create", ME))]:
        client = clients(server, ME, name, word, will=(f"{PARENT}/gone/{change[0]}", "bye", 1))
        assert client.code == 0
        ctl(server, *change)
        assert client.end() in (NOT_AUTHORIZED, ADMINISTRATIVE_ACTION)
    ctl(server, "black", "delete", ME)
    last = clients(server, ME, user(), password(ME), will=(f"{PARENT}/gone/last", "bye", 1))
    ctl(server, "client", "close", ME)  # this one may still speak
    assert last.end() and watcher.message()[0] == f"{PARENT}/gone/last" and watcher.messages.empty()


def test_credentials_count_at_once_and_end_at_once(server, clients):
    server.start()

    def name_and_word(answer):
        made = answer["DeviceCredential"]
        return f"DeviceCredential|{made['DeviceAccessKeyId']}|{INSTANCE}", password(ME, made["DeviceAccessKeySecret"])
    by_key = clients(server, f"{GROUP}@@@key", f"Signature|{AK}|{INSTANCE}", password(f"{GROUP}@@@key"))
    first = clients(server, ME, *name_and_word(ctl(server, "credential", "create", ME)))
    assert first.code == 0
    second = name_and_word(ctl(server, "credential", "refresh", ME))
    assert first.end() == NOT_AUTHORIZED
    again = clients(server, ME, *second)
    assert again.code == 0
    ctl(server, "black", "create", ME)
    assert again.end() == ADMINISTRATIVE_ACTION
    assert clients(server, ME, *second).code == NOT_AUTHORIZED
    ctl(server, "black", "delete", ME)
    last = clients(server, ME, *second)
    assert last.code == 0
    ctl(server, "credential", "delete", ME)
    assert last.end() == NOT_AUTHORIZED
    assert by_key.code == 0 and by_key.paho.is_connected()


def test_a_ca_is_registered_and_disabled_while_the_server_runs(server, registry, with_ca):
    registry.lines.remove(registry.ca)
    device = with_ca.make("device", "device-1")
    start(server, registry)
    client, code = dial_tls(server, with_ca, device, ME)
    client.loop_stop()
    assert code == NOT_AUTHORIZED
    answer = ctl(server, "ca", "code")
    wrong, _ = with_ca.make("wrong", "another-code")
    verification, _ = with_ca.make("verification", answer["RegisterCode"])
    refused = run("ctl", "ca", "create", "mine", "--certificate", with_ca.ca, "--verification", wrong, "--url",
                  f"http://127.0.0.1:{server.http_port}/", "--key-file", server.config)
    assert refused.returncode == 1
    sn = ctl(server, "ca", "create", "mine", "--certificate", str(with_ca.ca), "--verification", str(verification))["Sn"]
    assert sn == server.ca_sn
    ctl(server, "ca", "enable", sn)
    client, code = dial_tls(server, with_ca, device, ME)
    assert code == 0
    ctl(server, "ca", "disable", sn)
    wait_until("the client to be closed", lambda: not client.is_connected())
    client.loop_stop()
    client, code = dial_tls(server, with_ca, device, ME)
    client.loop_stop()
    assert code == NOT_AUTHORIZED


# ---- what holds for all ----

def test_guessing_is_slowed_whatever_the_way(server, registry, clients):
    registry.credential(ME, "DC.one", "device secret")
    start(server, registry)
    name = f"DeviceCredential|DC.one|{INSTANCE}"
    codes = [clients(server, ME, name, password(ME, f"guess {i}")).code for i in range(12)]
    assert codes[:10] == [BAD_CREDENTIALS] * 10 and 0x9F in codes
    assert clients(server, ME, name, password(ME, "device secret")).code == 0x9F
    assert clients(server, f"{GROUP}@@@2", token_user(), "R|" + make_token("R", [PARENT], 60)).code == 0


def test_what_was_made_outlives_a_restart_and_a_reload(server, registry, clients):
    registry.credential(ME, "DC.one", "device secret")
    start(server, registry)
    name = f"DeviceCredential|DC.one|{INSTANCE}"
    client = clients(server, ME, name, password(ME, "device secret"))
    assert client.code == 0
    server.process.signal(signal.SIGHUP)
    wait_until("the reload", lambda: "config: reloaded" in server.log())
    assert client.paho.is_connected()
    assert run("registry", "import", "-c", server.config, "-f", server.home / "registry.jsonl").returncode == 1  # it runs
    exported = run("registry", "export", "-c", server.config)
    assert exported.returncode == 0 and '"client_id":"' + ME in exported.stdout
    server.stop()
    server.start()
    assert clients(server, ME, name, password(ME, "device secret")).code == 0
    assert "device secret" not in server.log() and TOKEN_KEY.hex() not in server.log()
