"""
The authorization matrix: each kind of credential by each action, at resources of its own instance and of another. What there
is comes from the program itself (the table of actions, the document of REST, the table of RocketMQ requests), so that
nothing new is forgotten here.
"""

import json
import re
import ssl
import struct
import time
from typing import Callable, NamedTuple

import pytest

from harness.certificates import Authority
from harness.http_api import CROSSING, SOURCES, actions, call, rest
from harness.mqtt_wire import Wire
from harness.procs import PATIENCE, free_port, wait_until
from harness.remoting import Remoting
from harness.rollcall import Rollcall, password
from test_api_registry import old_call

ADMIN = {"ak": "AdminKey", "sk": "AdminSecret"}
REGISTERED = """, {{name: device, transport: tls, bind: "127.0.0.1:{port}", tls: {{client_certificate: registered,
  certificates: [{{certificate: "{certificate}", key: "{key}"}}]}}}}]}}"""
LISTENER = "GID_shared@@@listener"  # of both tenants


class Tenant:
    """An instance with one of everything, all of it made by the API. `letter` is in the name of what the other has not."""

    def __init__(self, server, letter, home):
        self.server, self.letter, self.id = server, letter, f"ten-{letter}"
        call(server, "CreateInstance", **ADMIN, NewInstanceId=self.id, Limits="wills=true")
        self.key = self._make_key("user", **ADMIN)
        self.reader = self._make_key("read-only", **self.key)
        self.secrets = {self.key["sk"], self.reader["sk"], f"secret-of-{letter}"}
        for name in ("GID_shared", f"GID_{letter}_only"):
            self.make("CreateGroupId", GroupId=name)
        for name in ("sensors", f"only-{letter}"):
            self.make("CreateTopic", Topic=name)
        self.credential = self.make("RegisterDeviceCredential", ClientId=f"GID_shared@@@cred-{letter}")["DeviceCredential"]
        self.secrets.add(self.credential["DeviceAccessKeySecret"])
        self._make_identities()
        self.make("AddCustomAuthConnectBlack", ClientId=f"GID_shared@@@black-{letter}")
        self.authority = Authority(home / f"ca-{letter}")
        self.ca_sn = self._register_ca()
        self.tokens = {what: self.make("ApplyToken", Actions=what, Resources="sensors/#",
                                       ExpireTime=str(int(time.time() * 1000) + 3600_000))["Token"]
                       for what in ("R", "W", "R,W")}
        self.secrets.update(self.tokens.values())
        self.make("CreateClientStatusNotifyRule", RuleId=f"status-{letter}", GroupId=f"GID_{letter}_only",
                  Topic=f"events-{letter}", Queues="1")
        self.make("CreateMqttOutboundRule", RuleId=f"out-{letter}", MqttTopic=f"only-{letter}", Topic=f"out-{letter}")
        self.make("CreateMqttInboundRule", RuleId=f"in-{letter}", MqttTopic=f"only-{letter}", Topic=f"in-{letter}")
        self.topic, self.group = f"topic-{letter}", f"GID_group_{letter}"
        self.make("CreateRocketMqTopic", Topic=self.topic, Queues="1")
        self.make("CreateConsumerGroup", ConsumerGroup=self.group)
        self.make("TagResources", ResourceType="GROUP", **{"ResourceId.1": f"{self.id}/GID_shared", "Tag.1.Key": "of",
                                                           "Tag.1.Value": letter})

    def make(self, action, **params):
        code, answer = call(self.server, action, **self.key, InstanceId=self.id, MqttInstanceId=self.id, **params)
        assert code is None, (action, answer)
        return answer

    def _make_key(self, role, **by):
        answer = call(self.server, "CreateKey", **by, InstanceId=self.id, Role=role)[1]
        return {"ak": answer["AccessKey"], "sk": answer["SecretKey"]}

    def _make_identities(self):
        for name, mode, permit in (("origin", "ORIGIN", "PUB_SUB"), ("signed", "SIGNED", "PUB_SUB"), ("sub", "ORIGIN", "SUB")):
            who = {"IdentityType": "USER"}
            self.make("AddCustomAuthIdentity", **who, Username=f"{name}-{self.letter}", Secret=f"secret-of-{self.letter}",
                      SignMode=mode)
            self.make("AddCustomAuthPermission", **who, Identity=f"{name}-{self.letter}", Topic="sensors/#",
                      PermitAction=permit, Effect="ALLOW")

    def _register_ca(self):
        code = self.make("GetRegisterCode")["RegisterCode"]
        verification, _ = self.authority.make("verification", code)
        return self.make("RegisterCaCertificate", CaName=f"ca-{self.letter}", CaContent=self.authority.ca.read_text(),
                         VerificationContent=verification.read_text())["Sn"]

    def names(self):
        """Parameters for any action: each names what this tenant has."""
        letter, client = self.letter, f"GID_shared@@@cred-{self.letter}"
        return {"ClientId": client, "ClientIdList.1": client, "Sn": self.ca_sn, "CaSn": self.ca_sn, "DeviceSn": "01",
                "IdentityType": "USER", "Username": f"origin-{letter}", "Identity": f"origin-{letter}",
                "Secret": "secret-of-nobody", "SignMode": "SIGNED", "Effect": "DENY", "PermitAction": "SUB",
                "Topic": self.topic, "MqttTopic": f"only-{letter}", "Payload": "across", "GroupId": f"GID_{letter}_only",
                "RuleId": f"status-{letter}", "ConsumerGroup": self.group, "Token": self.tokens["R,W"], "Actions": "R",
                "Resources": f"only-{letter}/#", "ExpireTime": str(int(time.time() * 1000) + 600_000),
                "AccessKey": self.key["ak"], "CaContent": "x", "CaName": "x", "VerificationContent": "x", "All": "true",
                "MqttRegionId": "x", "MsgId": "x", "BeginTime": "0", "EndTime": "9999999999999", "CurrentPage": "1",
                "PageSize": "10", "PageNo": "1", "Size": "100", "ResourceType": "GROUP",
                "ResourceId.1": f"{self.id}/GID_shared", "Tag.1.Key": "of", "Tag.1.Value": "another", "TagKey.1": "of"}

    def everything(self):
        """What an administrator is told of it, by all actions that tell: but for what changes by itself."""
        volatile = {"RequestId", "LogPosition", "LastActive", "LagMs"}

        def still(value):
            if isinstance(value, dict):
                return {key: still(one) for key, one in value.items() if key not in volatile}
            return [still(one) for one in value] if isinstance(value, (list, tuple)) else value
        here = {**self.names(), "InstanceId": self.id, "MqttInstanceId": self.id}
        return {one.name: still(call(self.server, one.name, **ADMIN, **here)) for one in actions()
                if re.match("List|Query|Get|Describe|Count", one.name)}


class World(NamedTuple):
    server: Rollcall
    a: Tenant
    b: Tenant
    device_port: int  # takes clients with a certificate of a registered CA


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    home = tmp_path_factory.mktemp("matrix")
    server = Rollcall(home / "rollcall")
    certificate, key = Authority(home / "server").make("server", "localhost", "DNS:localhost")
    port = free_port()
    text = server.config.read_text().replace("shards: 2", "shards: 1")  # then a ping's answer comes behind all deliveries
    line = next(line for line in text.splitlines() if line.startswith("mqtt:"))
    more = REGISTERED.format(port=port, certificate=certificate, key=key)
    server.config.write_text(text.replace(line, line.removesuffix("]}") + more) +
                             "administrators: [{access_key: AdminKey, secret_key: AdminSecret}]\n")
    server.start()
    yield World(server, Tenant(server, "a", home), Tenant(server, "b", home), port)
    server.stop()


def dial(world, client_id, user, word, tls=None, will=None):
    """(wire, CONNACK's code)"""
    wire = Wire(world.device_port if tls else world.server.mqtt_port, 5, 5 * PATIENCE, tls)
    answer = wire.connect(client_id, user=user, password=word, will=will)
    return wire, answer[2] if answer[0] == "CONNACK" else answer[0]


def listen(world, tenant, *filters):
    """A client that is called the same at both tenants."""
    wire, code = dial(world, LISTENER, f"Signature|{tenant.key['ak']}|{tenant.id}", password(LISTENER, tenant.key["sk"]))
    assert code == 0
    wire.subscribe(*((name, 0) for name in filters))
    assert wire.read()[0] == "SUBACK"
    return wire


# ---- HTTP ----

def test_no_action_reaches_what_is_anothers_by_its_name(world):
    """The instance is the caller's own, all else is named as the other tenant's is."""
    listener = listen(world, world.b, "sensors/#", "only-b/#")
    before = world.b.everything()
    assert sum(code is None for code, _ in before.values()) >= 30
    here = {**world.b.names(), "InstanceId": world.a.id, "MqttInstanceId": world.a.id}
    for action in actions():
        answer = call(world.server, action.name, **world.a.key, **here)[1]
        told = {secret for secret in world.b.secrets if secret in json.dumps(answer)}
        assert not told, (action.name, answer)
        if action.instance is None and action.name.endswith("TagResources"):
            assert answer.get("Code") in CROSSING, action.name
    assert world.b.everything() == before
    assert listener.until_quiet() == []
    listener.close()


def some_value(schema, word):
    text = word.ljust(schema.get("minLength", 0), "x")
    return {"string": text, "integer": max(schema.get("minimum", 1), 1), "boolean": False, "array": [text]}[schema["type"]]


def rest_calls(server, word):
    """(method, path with {InstanceId}, body, action) of all that REST has for key pairs; whatever is named is named `word`."""
    known = {one.name: one for one in actions()}
    known |= {"DescribeClient": known["DescribeClients"], "TestCluster": known["TestRule"]}  # each call has a name of its own
    for path, methods in rest(server, "GET", "/openapi.json")[1]["paths"].items():
        for method, call_ in methods.items():
            if call_.get("security") == []:
                continue
            for param in call_["parameters"]:
                if param["in"] == "path" and param["name"] != "InstanceId":
                    path = path.replace("{%s}" % param["name"], some_value(param["schema"], word))
            query = "&".join(f"{param['name']}={some_value(param['schema'], word)}" for param in call_["parameters"]
                             if param["in"] == "query" and param["required"])
            body = call_.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            yield (method.upper(), path + ("?" + query if query else ""),
                   {name: some_value(body["properties"][name], word) for name in body.get("required", [])} if body else None,
                   known[call_["operationId"]])


def test_rest_lets_each_role_do_what_it_may_and_no_more(world):
    admin, user, reader, other = ((one["ak"], one["sk"]) for one in (ADMIN, world.a.key, world.a.reader, world.b.key))
    cells = 0
    for role, key in (("nobody", None), ("wrong", (world.a.reader["ak"] + "x", "wrong")), ("other", other),
                      ("read-only", reader), ("user", user), ("admin", admin)):
        calls = list(rest_calls(world.server, f"of-{role}"))
        assert len(calls) > 40 and sum(action.writes for *_, action in calls) > 25
        for method, path, body, action in calls:
            for tenant in (world.a, world.b) if "{InstanceId}" in path else (world.a,):
                is_own = tenant.id == (world.b.id if role == "other" else world.a.id) or "{InstanceId}" not in path
                may = role == "admin" or (is_own and not action.is_admins and not (action.writes and role == "read-only"))
                status, answer = rest(world.server, method, path.replace("{InstanceId}", tenant.id), body, key)
                where = f"{role} {method} {path} at {tenant.id}: {status} {answer}"
                if role in ("nobody", "wrong"):
                    assert status in (401, 429) and (status == 401 or role == "wrong"), where
                else:
                    assert (status == 403) is not may and status != 401 and status < 500, where
                cells += 1
    assert cells > 400


def withdrawn(tenant, token):
    """path -> (signed parameters, unsigned ones) of a call about the tenant."""
    token = {"token": token}
    return {
        "/route/clientId/get": ({"resource": "GID_shared@@@x", "timestamp": int(time.time() * 1000),
                                 "instanceId": tenant.id}, {}),
        "/token/apply": ({"resources": "sensors/#", "actions": "R", "serviceName": "mq", "instanceId": tenant.id,
                          "expireTime": int(time.time() * 1000) + 600_000}, {"proxyType": "MQTT"}),
        "/token/query": ({**token, "instanceId": tenant.id}, {}),
        "/token/revoke": ({**token, "instanceId": tenant.id}, {}),
    }


def test_the_withdrawn_calls_keep_to_the_keys_instance(world):
    paths = re.findall(r'\{"(/[\w/]+)",', (SOURCES / "api/legacy.c").read_text())
    assert set(withdrawn(world.a, "")) == set(paths) and len(paths) == 4
    token = world.a.make("ApplyToken", Actions="R", Resources="sensors/#", ExpireTime=str(int(time.time() * 1000) + 600_000))
    roles = {"other": world.b.key, "read-only": world.a.reader, "user": world.a.key}
    for role, key in roles.items():  # the user's call revokes the token in the end
        for path, (signed, unsigned) in withdrawn(world.a, token["Token"]).items():
            who = {"accessKey": key["ak"]}
            if path.startswith("/route"):
                signed |= who
            else:
                unsigned |= who
            may = role == "user" or (role == "read-only" and path in ("/route/clientId/get", "/token/query"))
            status, answer = old_call(world.server, path, key["sk"], unsigned, **signed)
            assert answer["success"] is may and (status == 200 if may else status == 403), (role, path, status, answer)
    for path in ("/token/query", "/token/revoke"):  # of the key's own instance, where such a token is not known
        status, answer = old_call(world.server, path, world.a.key["sk"], {"accessKey": world.a.key["ak"]},
                                  token=world.b.tokens["R"])
        assert answer.get("tokenStatus") is not True, (path, status, answer)
    assert call(world.server, "QueryToken", **world.b.key, InstanceId=world.b.id, Token=world.b.tokens["R"])[1]["TokenStatus"]


# ---- MQTT ----

class Login(NamedTuple):
    """A way for tenant A's client to log in."""
    name: str
    user: Callable  # of the instance
    word: Callable  # of the client id
    may: str        # "r", "w", "rw"
    tls: ssl.SSLContext | None = None
    client: str | None = None  # the only one it is for


def certificate_of(tenant, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*tenant.authority.make(name, name))
    return context


def logins(tenant):
    keys = {"signature": (tenant.key, "rw"), "signature of read-only": (tenant.reader, "r")}
    for name, (key, may) in keys.items():
        yield Login(name, lambda id_, key=key: f"Signature|{key['ak']}|{id_}",
                    lambda client, key=key: password(client, key["sk"]), may)
    for actions_, token in tenant.tokens.items():
        bits = actions_.replace(",", "")
        yield Login(f"token {bits}", lambda id_: f"Token|{tenant.key['ak']}|{id_}",
                    lambda client, word=f"{bits}|{token}": word, bits.lower())
    made = tenant.credential
    yield Login("device credential", lambda id_: f"DeviceCredential|{made['DeviceAccessKeyId']}|{id_}",
                lambda client: password(client, made["DeviceAccessKeySecret"]), "rw", client=made["ClientId"])
    secret = f"secret-of-{tenant.letter}"
    yield Login("identity ORIGIN", lambda id_: f"origin-{tenant.letter}|{id_}", lambda client: secret, "rw")
    yield Login("identity ORIGIN to subscribe", lambda id_: f"sub-{tenant.letter}|{id_}", lambda client: secret, "r")
    yield Login("identity SIGNED", lambda id_: f"signed-{tenant.letter}|{id_}", lambda client: password(client, secret), "rw")
    yield Login("certificate", lambda id_: f"Certificate||{id_}", lambda client: None, "rw", certificate_of(tenant, "device"))


def test_a_credential_opens_its_own_instance_alone(world):
    cells = 0
    for login in logins(world.a):
        for instance in (world.a.id, world.b.id, "ten-none"):
            for group in ("GID_shared", "GID_a_only", "GID_b_only"):
                client = login.client if login.client and group == "GID_shared" else f"{group}@@@c{cells}"
                may = instance == world.a.id and group != "GID_b_only" and login.client in (None, client)
                wire, code = dial(world, client, login.user(instance), login.word(client), login.tls)
                wire.close()
                assert (code == 0) is may, (login.name, instance, client, code)
                cells += 1
    assert cells >= 90
    mixed = certificate_of(world.a, "mixed")  # whatever the user name is, the certificate must be the instance's too
    for tenant in (world.a, world.b):
        wire, code = dial(world, "GID_shared@@@mixed", f"Signature|{tenant.key['ak']}|{tenant.id}",
                          password("GID_shared@@@mixed", tenant.key["sk"]), mixed)
        wire.close()
        assert (code == 0) is (tenant is world.a), (tenant.id, code)
    for user in ("origin-a", "signed-a"):  # no instance: not the one that would have them
        wire, code = dial(world, "GID_shared@@@plain", user, "secret-of-a")
        wire.close()
        assert code != 0, user


def test_a_client_reads_and_writes_in_its_own_instance_alone(world):
    ours, theirs = listen(world, world.a, "sensors/#", "only-a/#"), listen(world, world.b, "sensors/#", "only-b/#")
    expected = set()
    for login in logins(world.a):
        client = login.client or "GID_shared@@@acting"
        for does, topic, needs in (("publish", "sensors/m", "w"), ("publish", "only-b/m", None),
                                   ("publish", f"sensors/p2p/{LISTENER}", "w"), ("subscribe", "sensors/m", "r"),
                                   ("subscribe", "only-b/m", None), ("subscribe", "only-b/#", None),
                                   ("subscribe", "+/m", None), ("will", "sensors/m", "w"), ("will", "only-b/m", None)):
            what = f"{login.name}: {does} {topic}"
            will = (topic, what, 1, False) if does == "will" else None
            wire, code = dial(world, client, login.user(world.a.id), login.word(client), login.tls, will)
            may = needs is not None and needs in login.may
            if does != "will":
                assert code == 0, what
                wire.publish(topic, what, 1) if does == "publish" else wire.subscribe((topic, 1))
                answer = wire.read()
                done = (answer[0] == "PUBACK" and answer[2] in (0, 0x10)) or (answer[0] == "SUBACK" and answer[2] == [1])
                assert done is may and (may or answer[:2] == ("DISCONNECT", 0x87)), (what, answer)
            else:
                assert (code == 0) is may, (what, code)
            if may and does != "subscribe":
                expected.add(what)
            wire.close()  # without a goodbye: a will is published
    while expected:
        message = ours.read()
        expected.remove(message[2].decode())
    assert theirs.until_quiet() == []
    theirs.publish("sensors/m", "of b")
    theirs.publish(f"sensors/p2p/{LISTENER}", "p2p of b")
    assert {one[2] for one in theirs.until_quiet()} == {b"of b", b"p2p of b"}
    assert ours.until_quiet() == []
    ours.close()
    theirs.close()


def device_sn(tenant):
    """Of the one device that has come: it becomes known beside its coming."""
    def known():
        listed = tenant.make("ListDeviceCertificateByCaSn", CaSn=tenant.ca_sn, PageNo="1", PageSize="10")["Data"]
        return [one["DeviceSn"] for one in listed["DeviceCertificateVOS"]]
    wait_until("its certificate to be known", lambda: len(known()) == 1)
    return known()[0]


@pytest.fixture(scope="module")
def losing(world, tmp_path_factory):
    """One that is taken apart."""
    return Tenant(world.server, "c", tmp_path_factory.mktemp("losing"))


# Way to log in, what is taken away, and of which of what names() has; in an order in which each is there yet.
LOSSES = [
    ("identity ORIGIN", "UpdateCustomAuthIdentity", {}),
    ("identity SIGNED", "DeleteCustomAuthIdentity", {"Username": "signed-c"}),
    ("identity ORIGIN to subscribe", "DeleteCustomAuthPermission", {"Identity": "sub-c", "Topic": "sensors/#"}),
    ("device credential", "RefreshDeviceCredential", {}),
    ("certificate", "InactivateDeviceCertificate", {"DeviceSn": device_sn}),
    ("certificate", "DeleteCaCertificate", {}),
    ("token R", "RevokeToken", {"Token": lambda tenant: tenant.tokens["R"]}),
    ("signature of read-only", "UpdateKey", {"AccessKey": lambda tenant: tenant.reader["ak"], "SecretKey": "x" * 20}),
    ("signature", "AddCustomAuthConnectBlack", {"ClientId": "GID_shared@@@banned"}),
    ("token W", "DeleteGroupId", {"GroupId": "GID_shared"}),
]


@pytest.mark.parametrize("way, action, params", LOSSES, ids=[f"{way}: {action}" for way, action, _ in LOSSES])
def test_who_loses_his_right_is_shown_out_and_nobody_else(world, losing, way, action, params):
    login = next(one for one in logins(losing) if one.name == way)
    client = login.client or f"GID_shared@@@{'banned' if action == 'AddCustomAuthConnectBlack' else 'loser'}"
    loser, code = dial(world, client, login.user(losing.id), login.word(client), login.tls)
    other, same = listen(world, world.a, "sensors/#"), "GID_c_only@@@other"
    beside, beside_code = dial(world, same, f"Signature|{losing.key['ak']}|{losing.id}", password(same, losing.key["sk"]))
    assert code == beside_code == 0
    if "r" in login.may:
        loser.subscribe(("sensors/m", 1))
        assert loser.read()[2] == [1]
    losing.make(action, **{**losing.names(), **{name: value(losing) if callable(value) else value
                                                for name, value in params.items()}})
    while (told := loser.read())[0] == "PUBLISH":
        assert told[1].startswith("$SYS/token")
    assert told[0] == "DISCONNECT" and told[1] in (0x87, 0x98), told
    again, code = dial(world, client, login.user(losing.id), login.word(client), login.tls)
    assert code != 0 or action in ("DeleteCustomAuthPermission",)
    for one in (other, beside):
        assert one.until_quiet() == []
    for one in (loser, other, beside, again):
        one.close()


@pytest.mark.parametrize("letter, action, params", [("d", "DeleteKey", {"AccessKey": lambda tenant: tenant.key["ak"]}),
                                                    ("e", "DeleteInstance", {"Cascade": "true"})])
def test_a_key_or_an_instance_goes_with_all_who_came_by_it(world, tmp_path, letter, action, params):
    tenant = Tenant(world.server, letter, tmp_path)
    other = listen(world, world.a, "sensors/#")
    clients = {one.name: dial(world, one.client or f"GID_shared@@@{number}", one.user(tenant.id),
                              one.word(one.client or f"GID_shared@@@{number}"), one.tls)
               for number, one in enumerate(logins(tenant))}
    assert {code for _, code in clients.values()} == {0}
    assert call(world.server, action, **ADMIN, InstanceId=tenant.id, **{
        name: value(tenant) if callable(value) else value for name, value in params.items()})[0] is None
    for name, (wire, _) in clients.items():
        goes = action == "DeleteInstance" or name == "signature" or name.startswith("token")
        told = [one for one in wire.until_quiet() if one[0] != "PUBLISH"] if not goes else []
        while goes and (not told or told[0][0] == "PUBLISH"):
            told = [wire.read()]
        assert (told != []) is goes and all(one[0] == "DISCONNECT" for one in told), (name, told)
        wire.close()
    assert other.until_quiet() == []
    other.close()
    call(world.server, "DeleteInstance", **ADMIN, InstanceId=tenant.id, Cascade="true")


# ---- RocketMQ ----

def requests_served():
    """name -> code of all requests that the endpoint has a row for."""
    codes = dict(re.findall(r"RC_REQ_(\w+) = (\d+)", (SOURCES / "rocketmq/remoting.h").read_text()))
    served = re.findall(r"\{RC_REQ_(\w+), \w+\}", (SOURCES / "rocketmq/dispatch.c").read_text())
    assert len(served) > 20
    return {name: int(codes[name]) for name in served}


def batch_of(body):
    return struct.pack(">IIIII", 22 + len(body), 0, 0, 0, len(body)) + body + b"\0\0"


def queues_of(topic, group, who):
    return json.dumps({"consumerGroup": group, "clientId": who,
                       "mqSet": [{"topic": topic, "brokerName": "rollcall-1", "queueId": 0}]}).encode()


def heartbeat_of(topic, group, who):
    return json.dumps({"clientID": who, "producerDataSet": [], "consumerDataSet": [{
        "groupName": group, "messageModel": "CLUSTERING", "consumeType": "CONSUME_PASSIVELY",
        "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [
            {"topic": topic, "subString": "*", "subVersion": 1, "expressionType": "TAG"}]}]}).encode()


def asking(name, topic, group, place, who):
    """(fields, body) of the request for that topic and group; `place`: of a message in the topic."""
    queue = {"topic": topic, "queueId": 0}
    pull = {**queue, "consumerGroup": group, "queueOffset": 0, "maxMsgNums": 1, "sysFlag": 4, "commitOffset": 0,
            "suspendTimeoutMillis": 1000, "subscription": "*", "subVersion": 0, "expressionType": "TAG"}
    send = {"producerGroup": "p", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": 4, "queueId": 0,
            "sysFlag": 0, "bornTimestamp": int(time.time() * 1000), "flag": 0, "properties": "", "reconsumeTimes": 0,
            "unitMode": "false", "batch": "false"}
    short = dict(zip("abcdefghijkm", send.values()))
    return {
        "PULL": (pull, b""), "LITE_PULL": (pull, b""),
        "UPDATE_OFFSET": ({**queue, "consumerGroup": group, "commitOffset": 0}, b""),
        "QUERY_OFFSET": ({**queue, "consumerGroup": group}, b""),
        "HEARTBEAT": ({}, heartbeat_of(topic, group, who)),
        "UNREGISTER": ({"clientID": "nobody", "consumerGroup": group}, b""),
        "CONSUMER_LIST": ({"consumerGroup": group}, b""),
        "ROUTE": ({"topic": topic}, b""), "CLUSTER_INFO": ({}, b""), "CHECK_CLIENT_CONFIG": ({}, b"{}"),
        "SEND": (send, b"x"), "SEND_V2": (short, b"x"), "SEND_BATCH": ({**short, "m": "true"}, batch_of(b"x")),
        "SEND_BACK": ({"offset": place, "group": group, "delayLevel": 18, "originTopic": topic, "originMsgId": "x",
                       "unitMode": "false", "maxReconsumeTimes": 16}, b""),
        "LOCK_BATCH": ({}, queues_of(topic, group, who)), "UNLOCK_BATCH": ({}, queues_of(topic, group, who)),
        "MAX_OFFSET": (queue, b""), "MIN_OFFSET": (queue, b""), "EARLIEST_STORE_TIME": (queue, b""),
        "SEARCH_OFFSET": ({**queue, "timestamp": 0}, b""), "VIEW_MESSAGE": ({"offset": place}, b""),
        "QUERY_MESSAGE": ({"topic": topic, "key": "x", "maxNum": 1, "beginTimestamp": 0, "endTimestamp": 2 ** 60}, b""),
    }[name]


OF_NOBODY = {"CLUSTER_INFO", "CHECK_CLIENT_CONFIG"}
WRITING = {"UPDATE_OFFSET", "SEND", "SEND_V2", "SEND_BATCH", "SEND_BACK", "LOCK_BATCH", "UNLOCK_BATCH"}
OF_TOPIC_AND_GROUP = {"PULL", "LITE_PULL", "UPDATE_OFFSET", "QUERY_OFFSET", "SEND_BACK", "LOCK_BATCH"}
BY_BODY = {"HEARTBEAT", "UNLOCK_BATCH"}  # answered alike whatever was done: the effect is looked at


def is_acl(answer):
    return answer[0] == 1 and "AclException" in answer[2]


def went_through(name, answer):
    if name == "LOCK_BATCH":
        return not is_acl(answer) and json.loads(answer[3])["lockOKMQSet"] != []
    if name in ("VIEW_MESSAGE", "SEND_BACK"):
        return answer[0] == 0
    assert is_acl(answer) or answer[0] in (0, 19, 21, 22) or name == "CHECK_CLIENT_CONFIG", (name, answer)
    return not is_acl(answer)


@pytest.fixture(scope="module")
def places(world):
    """tenant -> the place of a message in its topic; the topic's group has a member."""
    found = {}
    for tenant in (world.a, world.b):
        connection = Remoting(world.server.rocketmq_port, tenant.key["ak"], tenant.key["sk"])
        fields, body = asking("SEND_V2", tenant.topic, tenant.group, 0, "")
        code, sent, remark, _ = connection.ask(310, body, **fields)
        assert code == 0, remark
        found[tenant.id] = int(sent["msgId"][16:], 16)
        assert connection.ask(34, heartbeat_of(tenant.topic, tenant.group, f"member-{tenant.letter}"))[0] == 0
        found[tenant.letter] = connection  # its member stays with it
    return found


def roles_of_rocketmq(world):
    """role -> its key pair, and the tenant whose key it is."""
    wrong = {**world.a.key, "sk": "wrong"}
    return {"admin": (ADMIN, None), "user": (world.a.key, world.a), "read-only": (world.a.reader, world.a),
            "other": (world.b.key, world.b), "wrong": (wrong, None), "nobody": ({"ak": "", "sk": ""}, None)}


def test_rocketmq_requests_reach_what_is_the_keys_alone(world, places):
    members = Remoting(world.server.rocketmq_port, *ADMIN.values())
    for role, (key, own) in roles_of_rocketmq(world).items():
        for tenant in (world.a, world.b):
            for name, code in requests_served().items():
                connection = Remoting(world.server.rocketmq_port, key["ak"], key["sk"])
                who = f"{role}-at-{tenant.letter}"
                fields, body = asking(name, tenant.topic, tenant.group, places[tenant.id], who)
                answer = connection.ask(code, body, **fields)
                may = role == "admin" or (own is not None and (name in OF_NOBODY or (
                    own is tenant and not (role == "read-only" and name in WRITING))))
                if role in ("wrong", "nobody"):
                    assert is_acl(answer), (role, name, answer)
                elif name == "HEARTBEAT":
                    there = json.loads(members.ask(38, consumerGroup=tenant.group)[3])["consumerIdList"]
                    assert (who in there) is may, (role, tenant.id, there)
                elif name not in BY_BODY:
                    assert went_through(name, answer) is may, (role, name, tenant.id, answer)


def test_rocketmq_requests_need_both_the_topic_and_the_group(world, places):
    a, b = world.a, world.b
    connection = Remoting(world.server.rocketmq_port, a.key["ak"], a.key["sk"])
    for name, code in requests_served().items():
        if name not in OF_TOPIC_AND_GROUP:
            continue
        for topic, group, place in ((a.topic, b.group, places[a.id]), (b.topic, a.group, places[b.id])):
            fields, body = asking(name, topic, group, place, "mixer")
            answer = connection.ask(code, body, **fields)
            assert not went_through(name, answer), (name, topic, group, answer)


def test_a_lock_is_not_taken_away_by_another_tenant(world, places):
    queues = queues_of(world.b.topic, world.b.group, "holder")
    holder = Remoting(world.server.rocketmq_port, world.b.key["ak"], world.b.key["sk"])
    assert went_through("LOCK_BATCH", holder.ask(41, queues))
    thief = Remoting(world.server.rocketmq_port, world.a.key["ak"], world.a.key["sk"])
    thief.ask(42, queues)
    assert not went_through("LOCK_BATCH", holder.ask(41, queues_of(world.b.topic, world.b.group, "second")))
    assert holder.ask(42, queues)[0] == 0
    assert went_through("LOCK_BATCH", holder.ask(41, queues_of(world.b.topic, world.b.group, "second")))


# Of Apache's broker and name server: make and delete topics and groups, settings, statistics, running clients, permissions.
ADMINISTRATION = (17, 21, 25, 26, 28, 43, 50, 51, 100, 103, 104, 200, 201, 202, 203, 204, 206, 207, 208, 215, 216, 217, 219, 222,
                  223, 224, 225, 300, 307, 309, 315, 323, 325, 326, 327, 328)


def test_there_is_no_administration_by_rocketmq(world, places):
    for key in (world.a.key, world.a.reader, ADMIN):
        connection = Remoting(world.server.rocketmq_port, key["ak"], key["sk"])
        for code in ADMINISTRATION:
            answer = connection.ask(code, b"", topic=world.a.topic, group=world.a.group, groupName=world.a.group,
                                    consumerGroup=world.a.group, timestamp=0, isForce="true")
            assert answer[0] == 3, (code, answer)
