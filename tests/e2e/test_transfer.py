"""rollcall registry export and import: one of every resource that can be made at run time, on another server; and what is
said of a file that is wrong."""

import base64
import hashlib
import hmac
import json
import ssl
import time

import paho.mqtt.client as mqtt
import pytest

from harness.certificates import Authority
from harness.procs import free_port, wait_until
from harness.rollcall import AK, INSTANCE, SK, Rollcall, password, run

ADMIN = {"ROLLCALL_ACCESS_KEY": "AdminAccessKey", "ROLLCALL_SECRET_KEY": "AdminSecretKey"}
GID = "GID_made"
CLUSTER = 'rocketmq: {instances: [{name: apache, nameservers: ["127.0.0.1:1"]}], '
DEVICES = """, {{name: devices, bind: "127.0.0.1:{port}", transport: tls, tls: {{certificates: [{{certificate: {certificate},
  key: {key}}}], client_certificate: registered}}}}]}}"""
KINDS = {"instances", "groups", "topics", "keys", "credentials", "revocations", "identities", "permissions", "blacklist",
         "certificates", "tags", "rules", "rocketmq_topics", "rocketmq_groups"}


def with_ca(server, authority):
    """The harness' configuration, an administrator, a cluster that rules may name, a listener for devices' certificates."""
    certificate, key = authority.make("server", "localhost", "DNS:localhost,IP:127.0.0.1")
    server.device_port = free_port()
    text = server.config.read_text().replace("rocketmq: {", CLUSTER)
    text = text.replace("}]}\n", "}" + DEVICES.format(port=server.device_port, certificate=certificate, key=key) + "\n", 1)
    server.config.write_text(text + "administrators: [{access_key: AdminAccessKey, secret_key: AdminSecretKey}]\n")
    return server


def ctl(server, *words, instance="made", code=0):
    result = run("ctl", *words, "--instance", instance, "--url", f"http://127.0.0.1:{server.http_port}/")
    assert result.returncode == code, result.stdout + result.stderr
    return dict(line.split(None, 1) for line in result.stdout.splitlines() if " " in line)


def export(server):
    done = run("registry", "export", "-c", server.config)
    assert done.returncode == 0, done.stderr
    return done.stdout


def put_into(server, text):
    file = server.home / "registry.jsonl"
    file.write_text(text)
    return run("registry", "import", "-c", server.config, "-f", file)


def sign(text, key):
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def dial_tls(server, authority, pair, client_id, instance):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
    client.tls_set(str(authority.ca), *map(str, pair), cert_reqs=ssl.CERT_NONE)
    client.tls_insecure_set(True)
    client.username_pw_set(f"Certificate||{instance}")
    codes = []
    client.on_connect = lambda c, u, flags, reason, props: codes.append(reason.value)
    client.on_disconnect = lambda c, u, flags, reason, props: codes.append(None)
    client.connect("127.0.0.1", server.device_port, 60)
    client.loop_start()
    wait_until("an answer to CONNECT", lambda: codes)
    client.disconnect()
    client.loop_stop()
    return codes[0]


def make_one_of_each(server, authority, home):
    """By the API, in the instance `made`; returns the secrets that were told."""
    told = {}
    secret = home / "secret"
    secret.write_text("s3cret of identities\n")
    ctl(server, "instance", "create", "made", "--name", "Made", "--limits", "subscriptions=2", "--trace", "true")
    ctl(server, "instance", "create", "free", "--profile", "standard")
    ctl(server, "group", "create", GID)
    for topic in ("orders", "bills"):
        ctl(server, "topic", "create", topic)
    for role in ("user", "read-only", "admin"):
        told[role] = ctl(server, "key", "create", "--role", role)
    told["device"] = ctl(server, "credential", "create", f"{GID}@@@device")
    for name in ("token", "revoked"):
        told[name] = ctl(server, "token", "create", "--actions", "R", "--topics", "orders/#", "--expires",
                         int(time.time() * 1000) + 3_600_000)["Token"]
    ctl(server, "token", "revoke", told["revoked"])
    ctl(server, "identity", "create", "anna", "--type", "USER", "--secret", secret, "--mode", "ORIGIN")
    ctl(server, "identity", "create", "meter", "--type", "CLIENT", "--client", f"{GID}@@@meter", "--secret", secret,
        "--mode", "SIGNED")
    ctl(server, "permission", "create", "anna", "--type", "USER", "--topic", "orders/#", "--permit", "SUB", "--effect", "ALLOW")
    ctl(server, "permission", "create", f"{GID}@@@meter", "--type", "CLIENT", "--topic", "orders/m", "--permit", "PUB_SUB",
        "--effect", "DENY")
    ctl(server, "black", "create", f"{GID}@@@lost")
    verification, _ = authority.make("verification", ctl(server, "ca", "code")["RegisterCode"].strip())
    told["ca"] = ctl(server, "ca", "create", "factory", "--certificate", authority.ca, "--verification", verification)["Sn"]
    told["pair"] = authority.make("device", "device-1")
    assert dial_tls(server, authority, told["pair"], f"{GID}@@@tls", "made") == 0  # so its certificate is known
    ctl(server, "tag", "create", "made", "--type", "INSTANCE", "--key", "owner", "--value", "lighting")
    ctl(server, "tag", "create", f"made/{GID}", "--type", "GROUP", "--key", "floor", "--value", "3")
    ctl(server, "rule", "create", "r-status", "--group", GID, "--topic", "MADE_STATUS", "--queues", "3")
    ctl(server, "outflow", "create", "r-out", "--mqtt-topic", "orders", "--target", "apache", "--target-topic", "ORDERS",
        "--failover", "true", "--description", "to the cluster", "--enabled", "false")
    ctl(server, "inflow", "create", "r-in", "--mqtt-topic", "bills", "--topic", "BILLS", "--from", "first")
    ctl(server, "rocketmq-topic", "create", "MADE_TOPIC", "--queues", "5")
    ctl(server, "rocketmq-topic", "create", "GONE_TOPIC")
    ctl(server, "rocketmq-topic", "delete", "GONE_TOPIC")
    ctl(server, "rocketmq-topic", "create", "OTHERS", instance=INSTANCE)
    ctl(server, "consumer", "create", "GID_made_backend")
    return told


def check_logins(server, clients, authority, told):
    def code(client, user, word):
        return clients(server, client, user, word).code
    key, device = told["user"], told["device"]
    assert code(f"{GID}@@@1", f"Signature|{key['AccessKey'].strip()}|made", sign(f"{GID}@@@1", key["SecretKey"].strip())) == 0
    name = f"DeviceCredential|{device['DeviceAccessKeyId'].strip()}|made"
    assert code(f"{GID}@@@device", name, sign(f"{GID}@@@device", device["DeviceAccessKeySecret"].strip())) == 0
    for token, right in ((told["token"], True), (told["revoked"], False)):
        made_by = f"Token|{ADMIN['ROLLCALL_ACCESS_KEY']}|made"
        assert (code(f"{GID}@@@2", made_by, f"R|{token.strip()}") == 0) is right
    anna = clients(server, f"{GID}@@@3", "anna|made", "s3cret of identities")
    assert anna.code == 0 and anna.subscribe("orders/a") == 1
    assert code(f"{GID}@@@meter", "meter|made", sign(f"{GID}@@@meter", "s3cret of identities")) == 0
    assert code(f"{GID}@@@lost", f"Signature|{key['AccessKey'].strip()}|made",
                sign(f"{GID}@@@lost", key["SecretKey"].strip())) != 0
    assert dial_tls(server, authority, told["pair"], f"{GID}@@@tls", "made") == 0
    reader = {"ROLLCALL_ACCESS_KEY": told["read-only"]["AccessKey"], "ROLLCALL_SECRET_KEY": told["read-only"]["SecretKey"]}
    admin = {"ROLLCALL_ACCESS_KEY": told["admin"]["AccessKey"], "ROLLCALL_SECRET_KEY": told["admin"]["SecretKey"]}
    return reader, admin


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def servers(tmp_path, monkeypatch, authority):
    for name, value in ADMIN.items():
        monkeypatch.setenv(name, value)
    both = [with_ca(Rollcall(tmp_path / name), authority) for name in ("first", "second")]
    yield both
    for server in both:
        server.stop()


def test_one_of_each_resource_goes_along(servers, clients, authority, tmp_path, monkeypatch):
    first, second = servers
    first.start()
    told = make_one_of_each(first, authority, tmp_path)
    check_logins(first, clients, authority, told)
    text = export(first)
    rows = [json.loads(line) for line in text.splitlines()][1:]
    assert {row["kind"] for row in rows} == KINDS
    names = {row.get("topic") or row["group"]: row for row in rows if row["kind"].startswith("rocketmq_")}
    assert names["MADE_TOPIC"] == {"kind": "rocketmq_topics", "instance": "made", "topic": "MADE_TOPIC", "queues": 5, "perm": 6}
    assert names["OTHERS"]["instance"] == INSTANCE and names["GID_made_backend"]["instance"] == "made"
    assert "GONE_TOPIC" not in names
    assert put_into(first, text).returncode == 1  # it runs
    done = put_into(second, text)
    assert done.returncode == 0, done.stderr
    assert export(second) == text  # before the first start,
    second.start()
    reader, admin = check_logins(second, clients, authority, told)
    assert export(second) == text  # and after it
    for name, value in reader.items():
        monkeypatch.setenv(name, value.strip())
    ctl(second, "group", "create", "GID_none", code=1)
    assert json.loads(run("ctl", "rocketmq-topic", "list", "--instance", "made", "--json", "--url",
                          f"http://127.0.0.1:{second.http_port}/").stdout)["Topics"]
    for name, value in admin.items():
        monkeypatch.setenv(name, value.strip())
    listed = run("ctl", "consumer", "list", "--instance", "made", "--url", f"http://127.0.0.1:{second.http_port}/").stdout
    assert "GID_made_backend" in listed
    ctl(second, "rocketmq-topic", "create", "OTHERS", code=1)  # still another instance's
    second.stop()
    assert put_into(second, text).returncode == 0 and export(second) == text  # once more changes nothing


HEAD = '{"kind":"rollcall-registry","version":1}\n'
INSTANCE_LINE = json.dumps({"kind": "instances", "id": "i-1", "name": "i", "origin": 0, "token_key": "00" * 32,
                            "registration_code": "c", "created": 1, "updated": 1}) + "\n"
KEY = {"kind": "keys", "access_key": "AK1", "instance": "i-1", "role": 0, "secret": "a secret word", "origin": 0, "created": 1}
RULE = {"kind": "rules", "instance": "i-1", "id": "r-1", "group_id": "GID_none", "topic": "T_1", "target_instance": "",
        "target_topic": "", "queues": 1, "is_enabled": 1, "fails_over": 0}
GROUP_ROW = {"kind": "groups", "instance": "i-1", "id": "GID_one", "origin": 0, "created": 1, "updated": 1}
TOPIC_ROW = {"kind": "rocketmq_topics", "instance": "i-1", "topic": "T_MADE", "queues": 4, "perm": 6}


def without(row, name):
    return {field: value for field, value in row.items() if field != name}


@pytest.mark.parametrize("line, told", [
    ('{"kind":"keys","secret":"a secret word" "role"', ["line 3, column 4"]),
    ({**KEY, "role": 7}, ["line 3: role: 7 was given, 0 (user), 1 (read-only) or 2 (administrator)"]),
    ({**KEY, "role": "user"}, ["line 3: role: user was given, 0 (user)"]),
    ({**KEY, "secret": ""}, ["line 3: secret: something else was given, 1 to 256 bytes"]),
    ({**KEY, "instance": ""}, ["line 3: instance: an administrator's key (role 2) has none"]),
    ({**KEY, "instance": "i-2"}, ["line 3: instance: there is no instance i-2"]),
    ({**KEY, "rol": 1}, ["line 3: keys has no field rol"]),
    (without(KEY, "secret"), ["line 3: secret is missing: 1 to 256 bytes"]),
    ({**GROUP_ROW, "id": "GID_"}, ["line 3: id: GID_ was given, GID_ or GID-, and then 3 to 60 letters"]),
    ({**GROUP_ROW, "kind": "group"}, ["line 3: kind: group was given"]),
    (RULE, ["line 3: group_id: there is no group GID_none"]),
    ({**RULE, "target_instance": "apache"}, ["line 3: topic: a rule has a topic, or a target_instance"]),
    ({**TOPIC_ROW, "queues": 0}, ["line 3: queues: 0 was given, 1 to 1024 was expected"]),
    ({**TOPIC_ROW, "topic": "%RETRY%x"}, ["line 3: topic: %RETRY%x was given"]),
    ({**TOPIC_ROW, "instance": "i-2"}, ["line 3: instance: there is no instance i-2"]),
])
def test_what_is_wrong_in_a_file_is_told_with_its_place(tmp_path, line, told):
    server = Rollcall(tmp_path / "rollcall")
    right = json.dumps(TOPIC_ROW) + "\n" + json.dumps(GROUP_ROW) + "\n"
    wrong = line if isinstance(line, str) else json.dumps(line)
    done = put_into(server, HEAD + INSTANCE_LINE + wrong + "\n" + right)
    assert done.returncode == 1
    for text in told:
        assert text in done.stderr
    assert "a secret word" not in done.stderr
    # Nothing of it was taken, neither before nor behind the line.
    assert [json.loads(row)["kind"] for row in export(server).splitlines()] == ["rollcall-registry"]


def test_a_name_of_another_instance_is_not_taken_over(tmp_path):
    server = Rollcall(tmp_path / "rollcall")
    second = INSTANCE_LINE.replace("i-1", "i-2")
    assert put_into(server, HEAD + INSTANCE_LINE + second + json.dumps(TOPIC_ROW) + "\n").returncode == 0
    before = export(server)
    done = put_into(server, HEAD + json.dumps({**TOPIC_ROW, "topic": "T_NEW"}) + "\n" +
                    json.dumps({**TOPIC_ROW, "instance": "i-2"}) + "\n")
    assert done.returncode == 1 and "line 3: instance: the topic T_MADE is here the instance i-1's" in done.stderr
    assert export(server) == before
