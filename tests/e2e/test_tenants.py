"""Nothing crosses tenants: each kind of credential, by MQTT, RocketMQ and HTTP, at its own instance and another's."""

import json
import socket
import struct
import time

import pytest

from harness.http_api import CROSSING, actions, call, rest
from harness.procs import wait_until
from harness.remoting import Remoting
from harness.rollcall import AK, INSTANCE, SK, TOPIC, Rollcall, password

B, B_AK, B_SK, B_GROUP, B_TOPIC = "tenant-b", "KeyOfTenantB", "SecretOfTenantB", "GID_bbb", "GID_bbb_MQTT"
TENANTS = f"""
  - id: {B}
    keys: [{{access_key: {B_AK}, secret_key: {B_SK}}}]
    groups: [{B_GROUP}, GID_test, GID_quiet]
    topics: [sensors]
    rules: [{{id: status-b, type: status-notice, group: {B_GROUP}, topic: {B_TOPIC}, queues: 2}}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("tenants"))
    server.config.write_text(server.config.read_text() + TENANTS +
                             "administrators: [{access_key: AdminKey, secret_key: AdminSecret}]\n")
    yield server.start()
    server.stop()


# ---- HTTP: each action by each role ----

JUNK = {name: "x" for name in (
    "ClientId Sn CaSn DeviceSn IdentityType Secret SignMode Username Effect Identity PermitAction Topic Actions ExpireTime "
    "Resources GroupId PageNo PageSize Size Token CaContent CaName VerificationContent MqttTopic Payload RuleId "
    "ConsumerGroup AccessKey MqttRegionId ResourceType ClientIdList.1 BeginTime EndTime CurrentPage").split()}


@pytest.mark.parametrize("role", ["user", "read-only"])
def test_no_action_reaches_another_tenant(server, role):
    key = call(server, "CreateKey", Role=role)[1]
    pair = {"ak": key["AccessKey"], "sk": key["SecretKey"]}
    for name, instance, writes, is_admins in actions():
        if instance is None:
            continue
        code, _ = call(server, name, **pair, **{**JUNK, instance: B})
        assert code in CROSSING, f"{role} {name} at another's: {code}"
        code, _ = call(server, name, **pair, **{**JUNK, instance: INSTANCE})
        may = not is_admins and not (writes and role == "read-only")
        assert (code in CROSSING) is (not may), f"{role} {name} at its own: {code}"


def test_an_administrator_reaches_all_and_makes_instances(server):
    admin = {"ak": "AdminKey", "sk": "AdminSecret"}
    for name, instance, _, _ in actions():
        if instance is None or name == "DeleteInstance":
            continue
        for id_ in (INSTANCE, B):
            code, _ = call(server, name, **admin, **{**JUNK, instance: id_, "AccessKey": "nobody"})
            assert code not in CROSSING or name == "RegisterCaCertificate", f"{name} at {id_}: {code}"
    code, answer = call(server, "ListTopic", **admin)
    assert code == "MissingParameter" and "--instance" in answer["Message"]  # of which one?
    assert call(server, "CreateInstance", **admin, NewInstanceId="tenant-c")[1]["InstanceId"] == "tenant-c"
    assert call(server, "CreateInstance", NewInstanceId="tenant-d")[0] == "PermissionCheckFailed"
    assert {one["InstanceId"] for one in call(server, "ListInstances", **admin)[1]["Instances"]} == {INSTANCE, B, "tenant-c"}
    key = call(server, "CreateKey", **admin, InstanceId="tenant-c")[1]
    pair = {"ak": key["AccessKey"], "sk": key["SecretKey"]}
    assert call(server, "CreateGroupId", **pair, InstanceId="tenant-c", GroupId="GID_c_group")[0] is None
    assert call(server, "ListGroupId", **pair, InstanceId=B)[0] == "InstancePermissionCheckFailed"
    assert mqtt_code(server, "GID_c_group@@@x", f"Signature|{key['AccessKey']}|tenant-c",
                     password("GID_c_group@@@x", key["SecretKey"])) == 0
    assert call(server, "DeleteInstance", **admin, InstanceId="tenant-c")[0] == "InvalidParameter.InUse"
    assert call(server, "DeleteInstance", **admin, InstanceId="tenant-c", Cascade="true")[0] is None
    assert call(server, "ListGroupId", **pair, InstanceId="tenant-c")[0] == "InvalidAccessKeyId.NotFound"
    assert not refused(Remoting(server.rocketmq_port, "AdminKey", "AdminSecret").ask(ROUTE, topic=B_TOPIC))


def test_administrators_are_shown_their_keys_and_nobody_else(server):
    admin = {"ak": "AdminKey", "sk": "AdminSecret"}
    made = call(server, "CreateKey", **admin, InstanceId=INSTANCE, Role="admin")[1]["AccessKey"]
    shown = {key["AccessKey"]: key["Role"] for key in call(server, "ListKeys", **admin, InstanceId=B)[1]["Keys"]}
    assert shown[made] == shown["AdminKey"] == "admin" and shown[B_AK] == "user" and AK not in shown
    assert made not in str(call(server, "ListKeys")[1])
    assert call(server, "CreateKey", SecretKey="x" * 15)[0] == "ParameterCheckFailed"
    assert call(server, "DeleteKey", **admin, InstanceId=B, AccessKey=made)[0] is None


def test_lists_show_nothing_of_another_tenant(server):
    for path, pair in (("groups", (AK, SK)), ("topics", (AK, SK)), ("keys", (AK, SK)), ("rules", (AK, SK)),
                       ("rocketmq/topics", (AK, SK)), ("rocketmq/groups", (AK, SK))):
        for instance, status in ((INSTANCE, 200), (B, 403)):
            got, answer = rest(server, "GET", f"/v1/instances/{instance}/{path}", key=pair)
            text = str(answer)
            assert got == status and B_GROUP not in text and B_AK not in text and B_TOPIC not in text, (path, text)
    instances = [one["InstanceId"] for one in call(server, "ListInstances")[1]["Instances"]]
    assert instances == [INSTANCE]
    code, answer = call(server, "ListTagResources", ResourceType="INSTANCE", **{"ResourceId.1": B})
    assert code in CROSSING
    assert call(server, "TagResources", ResourceType="GROUP", **{"ResourceId.1": f"{B}/{B_GROUP}", "Tag.1.Key": "x"})[0] \
        in CROSSING
    assert call(server, "DeleteKey", AccessKey=B_AK)[0] == "InvalidParameter.NotFound"
    assert call(server, "ListKeys", B_AK, B_SK)[1]["Keys"][0]["AccessKey"] == B_AK


# ---- MQTT: each kind of credential ----

def credentials(server):
    """kind -> (user name for an instance, password) of a client of the first tenant."""
    client = "GID_test@@@matrix"
    device = call(server, "RegisterDeviceCredential", InstanceId=INSTANCE, ClientId=client)[1]["DeviceCredential"]
    token = call(server, "ApplyToken", InstanceId=INSTANCE, Actions="R,W", Resources="sensors/#",
                 ExpireTime=str(int(time.time() * 1000) + 600_000))[1]["Token"]
    for user, mode in (("origin", "ORIGIN"), ("signed", "SIGNED")):
        call(server, "AddCustomAuthIdentity", InstanceId=INSTANCE, IdentityType="USER", Username=user, Secret="s3cret",
             SignMode=mode)
        call(server, "AddCustomAuthPermission", InstanceId=INSTANCE, IdentityType="USER", Identity=user,
             Topic="sensors/#", PermitAction="PUB_SUB", Effect="ALLOW")
    return {
        "signature": (lambda instance: f"Signature|{AK}|{instance}", password(client, SK)),
        "token": (lambda instance: f"Token|{AK}|{instance}", f"RW|{token}"),
        "device": (lambda instance: f"DeviceCredential|{device['DeviceAccessKeyId']}|{instance}",
                   password(client, device["DeviceAccessKeySecret"])),
    }


@pytest.mark.parametrize("kind", ["signature", "token", "device"])
def test_a_credential_opens_its_own_instance_alone(server, kind):
    user, word = credentials(server)[kind]
    client = "GID_test@@@matrix"
    assert mqtt_code(server, client, user(INSTANCE), word) == 0
    for wrong_client, instance in ((client, B), (f"{B_GROUP}@@@matrix", INSTANCE), (f"{B_GROUP}@@@matrix", B)):
        assert mqtt_code(server, wrong_client, user(instance), word) not in (0,), (wrong_client, instance)


def test_a_custom_identity_is_its_tenants_alone(server):
    credentials(server)
    for user, word in (("origin", "s3cret"), ("signed", password(f"{B_GROUP}@@@matrix", "s3cret"))):
        assert mqtt_code(server, f"{B_GROUP}@@@matrix", user, word) != 0


def mqtt_code(server, client_id, user, word):
    def text(value):
        return struct.pack(">H", len(value.encode())) + value.encode()
    with socket.create_connection(("127.0.0.1", server.mqtt_port), 5) as stream:
        stream.settimeout(20)
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + text(client_id) + text(user) + text(word)
        length = len(body)
        size = bytes([length]) if length < 128 else bytes([length % 128 | 128, length // 128])
        stream.sendall(b"\x10" + size + body)
        answer = stream.recv(4)
        return answer[3] if len(answer) == 4 else "closed"


def test_topics_of_the_same_name_are_two(server):
    """Both tenants have sensors and a group GID_test: messages and clients stay apart."""
    def open_client(instance, ak, sk, client_id="GID_test@@@same"):
        def text(value):
            return struct.pack(">H", len(value)) + value.encode()
        stream = socket.create_connection(("127.0.0.1", server.mqtt_port), 5)
        stream.settimeout(20)
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c" + text(client_id) + text(f"Signature|{ak}|{instance}") + text(
            password(client_id, sk))
        stream.sendall(b"\x10" + bytes([len(body)]) + body)
        assert stream.recv(4) == b"\x20\x02\x00\x00"
        return stream
    ours, theirs = open_client(INSTANCE, AK, SK), open_client(B, B_AK, B_SK)  # neither takes the other's place
    for stream in (ours, theirs):
        stream.sendall(b"\x82\x0f\x00\x01\x00\x0asensors/up\x00")
        assert stream.recv(5) == b"\x90\x03\x00\x01\x00"
    theirs.sendall(b"\x30\x12\x00\x0asensors/uptheirs")
    assert theirs.recv(100).endswith(b"theirs")
    ours.sendall(b"\x30\x10\x00\x0asensors/upours")
    assert ours.recv(100) == b"\x30\x10\x00\x0asensors/upours"  # the first that comes is its own
    count = {ak: call(server, "CountOnlineClients", ak, sk, GroupId="GID_test")[1]["OnlineCount"]
             for ak, sk in ((AK, SK), (B_AK, B_SK))}
    assert count == {AK: 1, B_AK: 1}
    assert call(server, "CloseConnection", B_AK, B_SK, InstanceId=B, ClientId="GID_test@@@same")[0] is None
    assert theirs.recv(100) == b""
    assert call(server, "QuerySessionByClientId", InstanceId=INSTANCE, ClientId="GID_test@@@same")[1]["OnlineStatus"]
    ours.close()


# ---- RocketMQ ----

ROUTE, PULL, OFFSET, COMMIT, SEND, BACK, VIEW, MEMBERS, QUERY, LOCK, HEARTBEAT = 105, 11, 14, 15, 310, 36, 33, 38, 12, 41, 34


@pytest.fixture
def ours(server):
    return Remoting(server.rocketmq_port, AK, SK)


@pytest.fixture
def theirs(server):
    return Remoting(server.rocketmq_port, B_AK, B_SK)


def pull(connection, topic, group):
    return connection.ask(PULL, consumerGroup=group, topic=topic, queueId=0, queueOffset=0, maxMsgNums=32, sysFlag=4,
                          commitOffset=0, suspendTimeoutMillis=1000, subscription="*", subVersion=0, expressionType="TAG")


def send(connection, topic, body=b"x"):
    return connection.ask(SEND, body, a="p", b=topic, c="TBW102", d=4, e=0, f=0, g=int(time.time() * 1000), h=0, i="", j=0,
                          k="false", m="false")


def refused(answer):
    code, _, remark, _ = answer
    return code == 1 and "AclException" in remark


def test_the_topic_of_a_rule_is_read_and_written_by_its_own_tenant(ours, theirs):
    assert theirs.ask(ROUTE, topic=B_TOPIC)[0] == 0 and ours.ask(ROUTE, topic=TOPIC)[0] == 0
    for asked, stranger in ((B_TOPIC, ours), (TOPIC, theirs), (f"RC_RULE_x", ours), ("SCHEDULE_TOPIC_XXXX", ours)):
        assert refused(stranger.ask(ROUTE, topic=asked)), asked
        assert refused(pull(stranger, asked, "GID_any")), asked
        assert refused(send(stranger, asked)), asked
        assert refused(stranger.ask(QUERY, topic=asked, key="x", maxNum=32, beginTimestamp=0, endTimestamp=2 ** 60)), asked
        assert refused(stranger.ask(OFFSET, consumerGroup="GID_any", topic=asked, queueId=0)), asked
    assert not refused(pull(theirs, B_TOPIC, "GID_backend_b"))


@pytest.fixture
def rules_group(server):
    """A group of the first tenant without a rule; its rule goes after the test."""
    assert call(server, "CreateGroupId", InstanceId=INSTANCE, GroupId="GID_ruled")[0] is None
    yield "GID_ruled"
    call(server, "DeleteClientStatusNotifyRule", RuleId="cross")
    assert call(server, "DeleteGroupId", InstanceId=INSTANCE, GroupId="GID_ruled")[0] is None


SYSTEM_TOPICS = ("SCHEDULE_TOPIC_XXXX", "TBW102", "%RETRY%GID_b_consumers", "%DLQ%GID_b_consumers", "ROLLCALL_PRESENCE",
                 "RC_RULE_x")


@pytest.mark.parametrize("kind", ["ClientStatusNotify", "MqttOutbound", "MqttInbound"])
def test_a_rule_made_by_the_api_opens_no_topic_of_another(server, rules_group, ours, theirs, kind):
    assert send(theirs, "b-of-a-client")[0] == 0
    theirs.ask(COMMIT, consumerGroup="GID_b_consumers", topic="b-of-a-client", queueId=0, commitOffset=0)
    source = {"GroupId": rules_group} if kind == "ClientStatusNotify" else {"MqttTopic": "sensors"}
    for topic in (B_TOPIC, "b-of-a-client", *SYSTEM_TOPICS):
        rule = {"RuleId": "cross", **source, "Topic": topic}
        time.sleep(0.2)  # of these calls 10 a second are let through
        assert call(server, f"Create{kind}Rule", **rule)[0] in CROSSING | {"ParameterCheckFailed"}, topic
        assert call(server, f"Create{kind}Rule", **{**rule, "Topic": "a-of-a-rule"})[0] is None
        assert call(server, f"Update{kind}Rule", **rule)[0] in CROSSING | {"ParameterCheckFailed"}, topic
        assert call(server, f"Delete{kind}Rule", RuleId="cross")[0] is None
        assert refused(ours.ask(ROUTE, topic=topic)) or topic == "TBW102", topic
        assert refused(pull(ours, topic, "GID_ours")) and refused(send(ours, topic)), topic


def test_a_rules_topic_stays_its_instances_when_the_rule_goes(server, rules_group, ours, theirs):
    assert call(server, "CreateClientStatusNotifyRule", RuleId="cross", GroupId=rules_group, Topic="a-was-a-rules")[0] is None
    assert call(server, "DeleteClientStatusNotifyRule", RuleId="cross")[0] is None
    assert refused(send(theirs, "a-was-a-rules")) and refused(pull(theirs, "a-was-a-rules", "GID_backend_b"))
    assert send(ours, "a-was-a-rules")[0] == 0


def test_topics_and_groups_belong_to_who_used_them_first(server, ours, theirs):
    assert send(theirs, "b-made")[0] == 0
    assert refused(send(ours, "b-made")) and refused(pull(ours, "b-made", "GID_ours"))
    beat = {"clientID": "c", "producerDataSet": [], "consumerDataSet": [{
        "groupName": "GID_b_consumers", "messageModel": "CLUSTERING", "consumeType": "CONSUME_PASSIVELY",
        "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET", "subscriptionDataSet": [
            {"topic": "b-made", "subString": "*", "subVersion": 1, "expressionType": "TAG"}]}]}
    assert theirs.ask(HEARTBEAT, json.dumps(beat).encode())[0] == 0
    assert theirs.ask(MEMBERS, consumerGroup="GID_b_consumers")[0] == 0
    assert refused(ours.ask(MEMBERS, consumerGroup="GID_b_consumers"))
    assert refused(ours.ask(COMMIT, consumerGroup="GID_b_consumers", topic="b-made", queueId=0, commitOffset=9))
    for topic in ("%RETRY%GID_b_consumers", "%DLQ%GID_b_consumers"):
        assert refused(ours.ask(ROUTE, topic=topic)) and refused(send(ours, topic)), topic
    ours.ask(HEARTBEAT, json.dumps(beat).encode())  # passed over
    group = call(server, "DescribeConsumerGroup", B_AK, B_SK, ConsumerGroup="GID_b_consumers")[1]
    assert len(group["Members"]) == 1
    lock = {"consumerGroup": "GID_b_consumers", "clientId": "thief",
            "mqSet": [{"topic": "b-made", "brokerName": "rollcall-1", "queueId": 0}]}
    assert json.loads(ours.ask(LOCK, json.dumps(lock).encode())[3])["lockOKMQSet"] == []
    for action in ("DescribeConsumerGroup", "ListDeadLetters", "ResetConsumerOffset", "DeleteConsumerGroup"):
        assert call(server, action, ConsumerGroup="GID_b_consumers", Topic="b-made")[0] == "InvalidParameter.NotFound", action
    assert call(server, "DeleteRocketMqTopic", Topic="b-made")[0] == "InvalidParameter.NotFound"
    assert call(server, "CreateConsumerGroup", ConsumerGroup="%DLQ%x y")[0] in CROSSING | {"ParameterCheckFailed"}


def test_a_message_is_not_seen_by_its_place_in_the_log(server, ours, theirs):
    sent = send(theirs, "b-secret", b"for the second tenant alone")
    assert sent[0] == 0
    place = int(sent[1]["msgId"][16:], 16)
    assert b"for the second tenant alone" in theirs.ask(VIEW, offset=place)[3]
    assert ours.ask(VIEW, offset=place)[0] != 0
    assert ours.ask(BACK, offset=place, group="GID_ours", delayLevel=1, originTopic="b-secret", originMsgId="x",
                    unitMode="false", maxReconsumeTimes=16)[0] != 0


def test_a_read_only_key_sends_nothing(server):
    key = call(server, "CreateKey", Role="read-only")[1]
    reader = Remoting(server.rocketmq_port, key["AccessKey"], key["SecretKey"])
    assert refused(send(reader, "anything"))
    assert reader.ask(ROUTE, topic=TOPIC)[0] == 0


def test_to_look_at_a_name_or_with_a_read_only_key_is_no_claim(server, ours, theirs):
    key = call(server, "CreateKey", Role="read-only")[1]
    reader = Remoting(server.rocketmq_port, key["AccessKey"], key["SecretKey"])
    for connection in (reader, ours):
        assert not refused(connection.ask(ROUTE, topic="free-name"))
        assert not refused(pull(connection, "free-name", "GID_free_name"))
        assert not refused(connection.ask(MEMBERS, consumerGroup="GID_free_name"))
    assert refused(reader.ask(COMMIT, consumerGroup="GID_free_name", topic=TOPIC, queueId=0, commitOffset=9))
    assert send(theirs, "free-name")[0] == 0
    assert not refused(theirs.ask(COMMIT, consumerGroup="GID_free_name", topic="free-name", queueId=0, commitOffset=1))
    assert refused(ours.ask(ROUTE, topic="free-name"))
    assert refused(ours.ask(MEMBERS, consumerGroup="GID_free_name"))


def test_a_read_only_key_commits_nothing(server, ours):
    assert send(ours, "a-to-read")[0] == 0
    key = call(server, "CreateKey", Role="read-only")[1]
    reader = Remoting(server.rocketmq_port, key["AccessKey"], key["SecretKey"])
    where = {"consumerGroup": "GID_to_read", "topic": "a-to-read", "queueId": 0}
    assert ours.ask(COMMIT, **where, commitOffset=0)[0] == 0
    found = reader.ask(PULL, **where, queueOffset=0, maxMsgNums=32, sysFlag=5, commitOffset=1, suspendTimeoutMillis=1000,
                       subscription="*", subVersion=0, expressionType="TAG")
    assert found[0] == 0  # it reads, but its offset is not kept
    assert ours.ask(OFFSET, **where)[1]["offset"] == "0"


def test_a_deleted_instances_messages_go_to_nobody(server, ours):
    admin = {"ak": "AdminKey", "sk": "AdminSecret"}
    assert call(server, "CreateInstance", **admin, NewInstanceId="tenant-gone")[0] is None
    key = call(server, "CreateKey", **admin, InstanceId="tenant-gone")[1]
    gone = Remoting(server.rocketmq_port, key["AccessKey"], key["SecretKey"])
    assert send(gone, "gone-made")[0] == 0
    assert call(server, "CreateGroupId", **admin, InstanceId="tenant-gone", GroupId="GID_gone")[0] is None
    assert call(server, "CreateClientStatusNotifyRule", **admin, InstanceId="tenant-gone", RuleId="gone-rule",
                GroupId="GID_gone", Topic="gone-events")[0] is None
    assert send(gone, "gone-events")[0] == 0
    assert call(server, "DeleteInstance", **admin, InstanceId="tenant-gone", Cascade="true")[0] is None
    for topic in ("gone-made", "gone-events"):
        assert refused(ours.ask(ROUTE, topic=topic)) and refused(pull(ours, topic, "GID_ours")), topic
        assert call(server, "CreateRocketMqTopic", Topic=topic)[0] in CROSSING | {"InvalidParameter.Exists"}
        assert call(server, "CreateClientStatusNotifyRule", RuleId="cross", GroupId="GID_other", Topic=topic)[0] is not None


def test_who_owns_what_outlives_a_restart(server, theirs):
    assert send(theirs, "b-kept")[0] == 0
    server.kill()
    server.start()
    wait_until("the endpoint", lambda: Remoting(server.rocketmq_port, AK, SK).ask(ROUTE, topic=TOPIC)[0] == 0)
    assert refused(send(Remoting(server.rocketmq_port, AK, SK), "b-kept"))
    assert send(Remoting(server.rocketmq_port, B_AK, B_SK), "b-kept")[0] == 0
