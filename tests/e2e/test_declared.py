"""What the configuration file declares besides groups and rules: it counts, is listed, cannot be changed by the API, goes
with its line; what the API made is left alone."""

import base64
import hashlib
import hmac
import json
import signal

import pytest

from harness.procs import ROOT, wait_until
from harness.rollcall import Rollcall, run

EXAMPLE = (ROOT / "examples/tenants.yaml").read_text()
HALL, METER, LOST = "GID_lamps@@@hall", "GID_lamps@@@meter", "GID_lamps@@@lost"
ADMIN = {"ROLLCALL_ACCESS_KEY": "AdminAccessKey", "ROLLCALL_SECRET_KEY": "AdminSecretKey"}
SECRETS = ("HallSecret", "AnnaSecret", "MeterSecret", "LampsReaderSecretKey", "LampsSecretKey")


class Example(Rollcall):
    """The example itself, with ports and a directory of its own."""

    def __init__(self, home):
        super().__init__(home)
        self.text = EXAMPLE.replace("data/tenants", str(self.store)).replace(":1883", f":{self.mqtt_port}")
        self.text = self.text.replace(":9876", f":{self.rocketmq_port}").replace(":18083", f":{self.http_port}")
        self.config.write_text(self.text)

    def reload(self, text):
        before = self.log().count("config: reloaded")
        self.config.write_text(text)
        self.process.signal(signal.SIGHUP)
        wait_until("the reload", lambda: self.log().count("config: reloaded") > before)

    def without(self, *lines):
        kept = [line for line in self.text.splitlines() if not any(word in line for word in lines)]
        return "\n".join(kept) + "\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Example(tmp_path_factory.mktemp("declared")).start()
    yield server
    server.stop()


@pytest.fixture
def ctl(server, monkeypatch):
    for name, value in ADMIN.items():
        monkeypatch.setenv(name, value)

    def call(*words, code=0, instance="lamps"):
        result = run("ctl", *words, "--instance", instance, "--url", f"http://127.0.0.1:{server.http_port}/")
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout if code == 0 else result.stderr
    return call


def column(text, name):
    head, *rows = text.splitlines()
    at = head.split().index(name)
    return [row.split()[at] for row in rows]


def sign(text, key):
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha1).digest()).decode()


def test_it_counts(server, clients):
    def code(client, user, word):
        return clients(server, client, user, word).code
    assert code(HALL, "DeviceCredential|DC.hall|lamps", sign(HALL, "HallSecret")) == 0
    assert code("GID_lamps@@@1", "DeviceCredential|DC.hall|lamps", sign("GID_lamps@@@1", "HallSecret")) != 0
    assert code("GID_lamps@@@2", "anna|lamps", "AnnaSecret") == 0
    assert code(METER, "meter|lamps", sign(METER, "MeterSecret")) == 0
    assert code(LOST, "Signature|LampsAccessKey|lamps", sign(LOST, "LampsSecretKey")) != 0
    assert code("GID_lamps@@@3", "Signature|LampsAccessKey|lamps", sign("GID_lamps@@@3", "LampsSecretKey")) == 0
    for secret in SECRETS:
        assert secret not in server.log()


def test_it_is_listed_and_belongs_to_the_file(ctl):
    assert ctl("key", "list").split("LampsReader")[1].split()[1] == "read-only"
    shown = dict(line.split(None, 1) for line in ctl("credential", "show", HALL).splitlines())
    assert shown["DeviceAccessKeySecret"].strip() == "HallSecret" and shown["Declared"].strip() == "yes"
    identities = {one["Username"]: one for one in json.loads(ctl("identity", "list", "--json"))["Data"]["Results"]}
    assert identities["anna"]["Secret"] == "AnnaSecret" and identities["meter"]["SignMode"] == "SIGNED"
    rows = {(one["Identity"], one["Topic"]): (one["PermitAction"], one["Effect"])
            for one in json.loads(ctl("permission", "list", "--json"))["Data"]["Results"]}
    assert rows == {("anna", "lamps/#"): ("SUB", "ALLOW"), ("anna", "lamps/private"): ("PUB_SUB", "DENY"),
                    (METER, "lamps/meter"): ("PUB", "ALLOW")}
    assert column(ctl("black", "list"), "ClientId") == [LOST]
    assert column(ctl("ca", "list"), "CaName") == ["factory"]
    assert column(ctl("certificate", "list"), "DeviceName") == ["device-stolen"]
    assert "lighting" in ctl("tag", "list", "lamps", "--type", "INSTANCE")
    assert column(ctl("rocketmq-topic", "list"), "Queues")[column(ctl("rocketmq-topic", "list"), "Topic").index("LAMP_ORDERS")] == "4"
    assert column(ctl("consumer", "list"), "Declared")[column(ctl("consumer", "list"), "ConsumerGroup").index("GID_lamp_backend")] == "yes"
    sn = column(ctl("ca", "list"), "Sn")[0]
    for words in (("credential", "delete", HALL), ("credential", "create", HALL),
                  ("identity", "delete", "anna", "--type", "USER"), ("black", "delete", LOST), ("black", "create", LOST),
                  ("permission", "delete", "anna", "--type", "USER", "--topic", "lamps/#"),
                  ("ca", "delete", sn), ("ca", "disable", sn), ("rocketmq-topic", "delete", "LAMP_ORDERS"),
                  ("consumer", "delete", "GID_lamp_backend"), ("key", "delete", "LampsReader"),
                  ("tag", "create", "lamps", "--type", "INSTANCE", "--key", "owner", "--value", "x")):
        assert "configuration file" in ctl(*words, code=1), words


def test_what_is_taken_out_goes_and_what_the_api_made_stays(server, ctl, clients, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("BertSecret\n")
    ctl("black", "create", "GID_lamps@@@made")
    ctl("identity", "create", "bert", "--type", "USER", "--secret", secret, "--mode", "ORIGIN")
    ctl("tag", "create", "lamps", "--type", "INSTANCE", "--key", "made", "--value", "here")
    ctl("rocketmq-topic", "create", "MADE_HERE")
    hall = clients(server, HALL, "DeviceCredential|DC.hall|lamps", sign(HALL, "HallSecret"))
    assert hall.code == 0
    less = server.without("DC.hall", "user: anna", "blacklist:", "key: owner", "GID_lamp_backend]")
    server.reload(less.replace("LAMP_ORDERS", "MADE_HERE"))
    wait_until("the end of who came by it", lambda: not hall.paho.is_connected())
    assert column(ctl("black", "list"), "ClientId") == ["GID_lamps@@@made"]
    assert column(ctl("identity", "list"), "Username") == ["bert", "meter"]
    assert {one.split()[0] for one in ctl("rocketmq-topic", "list").splitlines()[1:]} == {"GID_lamps_MQTT", "MADE_HERE"}
    assert "GID_lamp_backend" not in ctl("consumer", "list")
    tags = ctl("tag", "list", "lamps", "--type", "INSTANCE")
    assert "made" in tags and "lighting" not in tags
    server.reload(server.text)  # it had MADE_HERE, which was there before
    assert "MADE_HERE" in column(ctl("rocketmq-topic", "list"), "Topic")
    assert set(column(ctl("black", "list"), "ClientId")) == {LOST, "GID_lamps@@@made"}
    assert clients(server, HALL, "DeviceCredential|DC.hall|lamps", sign(HALL, "HallSecret")).code == 0
    ctl("identity", "delete", "bert", "--type", "USER")


def test_the_files_word_counts_while_it_stands_and_the_apis_afterwards(server, ctl, clients, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("BertSecret\n")

    def declared_of(resource):
        rows = [line.split() for line in ctl(resource, "list").splitlines()]
        assert rows[0][-1] == "Declared"
        return {row[0]: row[-1] for row in rows[1:]}
    ctl("identity", "create", "bert", "--type", "USER", "--secret", secret, "--mode", "ORIGIN")
    ctl("group", "create", "GID_bert")
    ctl("topic", "create", "bert")
    new = server.text.replace("anna, secret: AnnaSecret", "bert, secret: FileSecret").replace("user: anna", "user: bert")
    server.reload(new.replace("groups: [GID_lamps]", "groups: [GID_lamps, GID_bert]").replace("topics: [lamps]\n", "topics: [lamps, bert]\n"))
    assert declared_of("group") == {"GID_lamps": "yes", "GID_bert": "yes"} and declared_of("topic") == {"lamps": "yes", "bert": "yes"}
    assert clients(server, "GID_lamps@@@b", "bert|lamps", "FileSecret").code == 0
    assert clients(server, "GID_lamps@@@c", "bert|lamps", "BertSecret").code != 0
    listed = {one["Username"]: one for one in json.loads(ctl("identity", "list", "--json"))["Data"]["Results"]}
    assert listed["bert"]["Secret"] == "FileSecret" and listed["bert"]["Declared"]
    server.reload(server.text)
    assert declared_of("group") == {"GID_lamps": "yes", "GID_bert": "no"} and declared_of("topic") == {"lamps": "yes", "bert": "no"}
    assert clients(server, "GID_lamps@@@c", "bert|lamps", "BertSecret").code == 0
    server.stop()
    server.config.write_text(server.without("LAMP_ORDERS"))
    server.start()  # taken out while it was down
    assert "LAMP_ORDERS" not in ctl("rocketmq-topic", "list") and "GID_lamp_backend" in ctl("consumer", "list")
    assert set(column(ctl("identity", "list"), "Username")) == {"anna", "bert", "meter"}


WRONG = [("GID_lamps@@@hall", "GID_lamp@@@hall", "perhaps 'GID_lamps'"), ("signed: true", "signed: yes", "true or false was expected"),
         ("GID_lamps@@@lost]", "GID_lamps@@@lost, GID_lamps@@@lost]", "was given before"), ("-----BEGIN", "-----BEGUN", "no certificate in PEM"),
         ("client: GID_lamps@@@meter, access", "client: GID_lamps@@@meter, user: x, access", "`user` and `client` were given"),
         ("name: LAMP_ORDERS", "name: '%RETRY%x'", "server's own"), ("role: read-only", "role: reader", "user or read-only was expected"),
         ("secret: AnnaSecret", "secret: 'file:/nowhere'", "/nowhere cannot be read"), ("user: anna, secret", "user: anna, word", "the key 'word' is unknown")]


@pytest.mark.parametrize("right, wrong, sentence", WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path, right, wrong, sentence):
    file = tmp_path / "wrong.yaml"
    text = EXAMPLE.replace(right, wrong, 1)
    assert text != EXAMPLE
    file.write_text(text)
    done = run("serve", "-c", file, "--test-config")
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line not in EXAMPLE.splitlines())
    assert done.returncode == 2 and sentence in done.stderr
    assert any(f"{file}:{at}:" in done.stderr for at in (line, line - 1)), done.stderr
    assert "HallSecret" not in done.stderr


def test_what_is_printed_reads_back(tmp_path):
    file = tmp_path / "tenants.yaml"
    file.write_text(EXAMPLE)
    printed = run("serve", "-c", file, "--print-config")
    assert printed.returncode == 0 and not any(secret in printed.stdout for secret in SECRETS)
    file.write_text(printed.stdout)
    assert run("serve", "-c", file, "--test-config").returncode == 0


def test_instances_and_keys_of_the_api_are_changed(server, ctl, clients, tmp_path):
    ctl("instance", "create", "made", "--profile", "standard", "--limits", "subscriptions=2,keep_alive=60s")

    def row(name):
        return next(one for one in json.loads(ctl("instance", "list", "--json"))["Instances"] if one["InstanceId"] == name)
    assert (row("made")["Profile"], row("made")["Limits"]) == ("standard", "subscriptions=2,keep_alive=60s")
    assert row("lamps")["Profile"] == "product"
    secrets = [tmp_path / name for name in ("first", "second")]
    for file in secrets:
        file.write_text(f"{file.name} secret of a key\n")
    key = dict(line.split(None, 1) for line in ctl("key", "create", instance="made").splitlines())
    access_key, user = key["AccessKey"].strip(), f"Signature|{key['AccessKey'].strip()}|made"
    client = clients(server, "any name", user, sign("any name", key["SecretKey"].strip()))
    assert client.code == 0
    granted = [client.subscribe(f"any/topic/{n}") for n in range(3)]
    assert [code >= 0x80 for code in granted] == [False, False, True]
    ctl("key", "update", access_key, "--secret", secrets[0], instance="made")
    wait_until("the end of who came by the old secret", lambda: not client.paho.is_connected())
    word = sign("any name", "first secret of a key")
    assert clients(server, "any name", user, word).code == 0
    ctl("key", "update", access_key, "--role", "read-only", instance="made")
    assert ctl("key", "list", instance="made").split(access_key)[1].split()[1] == "read-only"
    assert "stays one" in ctl("key", "update", access_key, "--role", "admin", instance="made", code=1)
    assert "configuration file" in ctl("key", "update", "LampsReader", "--role", "user", code=1)
    assert "perhaps meant: subscriptions" in ctl("instance", "update", "made", "--limits", "subscription=2", code=1)
    assert "from 0 to 100000" in ctl("instance", "update", "made", "--limits", "subscriptions=many", code=1)
    assert "product or standard" in ctl("instance", "update", "made", "--profile", "odd", code=1)
    assert "configuration file" in ctl("instance", "update", "lamps", "--profile", "standard", code=1)
    ctl("instance", "update", "made", "--limits", "", "--name", "Made")
    assert (row("made")["Profile"], row("made")["Limits"], row("made")["InstanceName"]) == ("standard", "", "Made")
    ctl("instance", "update", "made", "--limits", "client_id=10")
    exported = run("registry", "export", "-c", server.config).stdout
    kept = next(one for one in map(json.loads, exported.splitlines()) if one["kind"] == "instances" and one["id"] == "made")
    assert (kept["profile"], kept["limits"]) == (1, "client_id=10")
    server.stop()
    server.start()
    assert (row("made")["Profile"], row("made")["Limits"]) == ("standard", "client_id=10")
    assert clients(server, "any name", user, word).code == 0
    assert clients(server, "too long a name", user, sign("too long a name", "first secret of a key")).code != 0
    ctl("instance", "update", "made", "--profile", "product")
    assert clients(server, "any name", user, word).code != 0
    ctl("instance", "delete", "made", "--cascade")
