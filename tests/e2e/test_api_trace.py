"""Traces of devices, and rules: listed with what they sent, and told again."""

import json
import re
import time

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from alibabacloud_onsmqtt20200420 import models

from harness.clients import Client
from harness.http_api import call, rest
from harness.procs import wait_until
from harness.remoting import Remoting
from harness.rollcall import AK, GROUP, INSTANCE, PARENT, SK, TOPIC, Device, Rollcall, password, run, user
from test_access import reload
from test_api import get, old_sdk, sdk
from test_tenants import send


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path).start()
    yield server
    server.stop()


def trace(server, name, begin=0, end=None, page=1, size=100, reverse=False):
    request = models.QueryMqttTraceDeviceRequest(
        instance_id=INSTANCE, mqtt_region_id="local", client_id=f"{GROUP}@@@{name}", begin_time=begin,
        end_time=end if end is not None else int(time.time() * 1000) + 60_000, current_page=page, page_size=size,
        reverse=reverse)
    return sdk(server).query_mqtt_trace_device(request).body


def actions(answer):
    return [(one.action, one.action_info) for one in answer.device_info_list]


def test_a_device_is_traced_through_its_life(server):
    device = Device(server, "one")
    other = Device(server, "other")
    device.disconnect()
    wait_until("its end", lambda: len(actions(trace(server, "one"))) == 3)  # else the next one takes over
    again = Device(server, "one")
    taken = Device(server, "one")  # takes the place of the one before
    life = [("connect", "accepted"), ("disconnect", "disconnected by client"), ("close", "disconnected by client"),
            ("connect", "accepted"), ("close", "clientId conflict"), ("connect", "accepted")]
    wait_until("the trace", lambda: actions(trace(server, "one")) == life)
    answer = trace(server, "one")
    assert answer.total == 6 and len({one.channel_id for one in answer.device_info_list}) == 3
    one = answer.device_info_list[0]
    assert one.action_code == "mqtt.trace.action.connect" and len(one.channel_id) == 32
    at = time.strptime(one.time[:19], "%Y-%m-%d %H:%M:%S")
    assert abs(time.mktime(at) - time.time()) < 120 and one.time[19] == "."
    assert actions(trace(server, "one", reverse=True)) == life[::-1]
    assert actions(trace(server, "one", page=2, size=4)) == life[4:]
    beyond = trace(server, "one", page=9, size=4)
    assert actions(beyond) == [] and beyond.total == 6
    assert actions(trace(server, "one", begin=1, end=2)) == []
    assert actions(trace(server, "nobody")) == []
    for socket in (other, again, taken):
        socket.socket.close()


@pytest.mark.parametrize("wrong, code", [
    ({"PageSize": "101"}, "ParameterCheckFailed"), ({"PageSize": "x"}, "ParameterCheckFailed"),
    ({"CurrentPage": "0"}, "ParameterCheckFailed"), ({"BeginTime": "9", "EndTime": "1"}, "ParameterCheckFailed"),
    ({"BeginTime": ""}, "MissingParameter"), ({"MqttRegionId": ""}, "MissingParameter"),
    ({"EndTime": "99999999999999999999"}, "ParameterCheckFailed"), ({"InstanceId": "other"}, "InstancePermissionCheckFailed")])
def test_what_is_wrong_with_a_question_for_a_trace(server, wrong, code):
    right = {"InstanceId": INSTANCE, "MqttRegionId": "local", "ClientId": f"{GROUP}@@@one", "BeginTime": "0",
             "EndTime": "1", "CurrentPage": "1", "PageSize": "10"}
    with pytest.raises(ServerException) as error:
        old_sdk(server, "QueryMqttTraceDevice", **{**right, **wrong})
    assert error.value.get_error_code() == code


def test_events_are_found_in_topics_of_former_rules(tmp_path):
    server = Rollcall(tmp_path).start()
    Device(server, "one").disconnect()
    wait_until("the trace", lambda: len(actions(trace(server, "one"))) == 3)
    server.config.write_text(server.config.read_text().replace("topic: GID_test_MQTT", "topic: GID_test_later"))
    reload(server)
    Device(server, "one").disconnect()
    wait_until("both lives", lambda: len(actions(trace(server, "one"))) == 6)
    server.stop()


@pytest.fixture
def traced(tmp_path):
    server = Rollcall(tmp_path)
    server.config.write_text(server.config.read_text().replace("- id: rc-test", "- id: rc-test\n    trace: true"))
    server.start()
    yield server
    server.stop()


def client(server, name, clean=True):
    client_id = f"{GROUP}@@@{name}"
    return Client(server, client_id, user(), password(client_id), clean=clean)


def window(**more):
    return {"InstanceId": INSTANCE, "MqttRegionId": "local", "BeginTime": "0",
            "EndTime": str(int(time.time() * 1000) + 60_000), **more}


def paged(page=1, size=100, **more):
    return window(CurrentPage=str(page), PageSize=str(size), **more)


def of_client(server, name, **more):
    return json.loads(old_sdk(server, "QueryMqttTraceMessageOfClient", ClientId=f"{GROUP}@@@{name}", **paged(**more)))


def steps(rows):
    return [(row["Action"], row["ClientId"].partition("@@@")[2]) for row in rows]


def test_a_message_is_traced_from_its_publisher_to_its_receivers(traced):
    here, away = client(traced, "here"), client(traced, "away", clean=False)
    for receiver in (here, away):
        receiver.subscribe(f"{PARENT}/t")
    away.close()
    sender = client(traced, "sender")
    sender.publish(f"{PARENT}/t", "hello")
    assert here.message()[1] == "hello"
    wait_until("the ack", lambda: len(of_client(traced, "here")["MessageOfClientList"]) == 2)
    away = client(traced, "away", clean=False)
    assert away.message()[1] == "hello"
    wait_until("its ack", lambda: len(of_client(traced, "away")["MessageOfClientList"]) == 2)

    published = of_client(traced, "sender")
    assert steps(published["MessageOfClientList"]) == [("pub_mqtt", "sender")] and published["Total"] == 1
    row = published["MessageOfClientList"][0]
    assert row["ActionCode"] == "mqtt.trace.action.msg.pub.mqtt" and row["ActionInfo"] == "Pub From Mqtt Client"
    assert len(row["MsgId"]) == 32 and row["Time"][19] == "."
    message = row["MsgId"]
    told = json.loads(old_sdk(traced, "QueryMqttTraceMessagePublish", MsgId=message, **window()))
    assert told["MessageTraceLists"] == [row]
    told = json.loads(old_sdk(traced, "QueryMqttTraceMessageSubscribe", MsgId=message, **paged()))
    life = [("sub", "here"), ("ack", "here"), ("push_offline", "away"), ("ack", "away")]
    assert steps(told["MessageTraceLists"]) == life and told["Total"] == 4
    assert told["MessageTraceLists"][2]["ActionInfo"] == "Push Offline Msg To Mqtt Client"
    told = json.loads(old_sdk(traced, "QueryMqttTraceMessageSubscribe", MsgId=message, Reverse="true",
                              **paged(page=2, size=3)))
    assert steps(told["MessageTraceLists"]) == life[:1] and told["CurrentPage"] == 2 and told["PageSize"] == 3
    told = json.loads(old_sdk(traced, "QueryMqttTraceMessageSubscribe", MsgId=message,
                              ClientId=f"{GROUP}@@@away", **paged()))
    assert steps(told["MessageTraceLists"]) == life[2:]
    assert of_client(traced, "nobody")["MessageOfClientList"] == []
    for other in ("0" * 32, "x"):
        told = json.loads(old_sdk(traced, "QueryMqttTraceMessagePublish", MsgId=other, **window()))
        assert told["MessageTraceLists"] == []
    request = models.QueryMqttTraceMessageOfClientRequest(
        instance_id=INSTANCE, mqtt_region_id="local", client_id=f"{GROUP}@@@here", begin_time=0,
        end_time=int(time.time() * 1000) + 60_000, current_page=1, page_size=10)
    body = sdk(traced).query_mqtt_trace_message_of_client(request).body
    assert [one.action for one in body.message_of_client_list] == ["sub", "ack"]
    assert {one.msg_id for one in body.message_of_client_list} == {message}


def test_what_the_api_sends_is_traced_by_the_id_that_it_answers(traced):
    here = client(traced, "here")
    here.subscribe(f"{PARENT}/t")
    sent = json.loads(old_sdk(traced, "SendMessage", InstanceId=INSTANCE, MqttTopic=f"{PARENT}/t", Payload="hello"))

    def told():
        return json.loads(old_sdk(traced, "QueryMqttTraceMessageSubscribe", MsgId=sent["MsgId"], **paged()))
    wait_until("its steps", lambda: steps(told()["MessageTraceLists"]) == [("sub", "here"), ("ack", "here")])
    told = json.loads(old_sdk(traced, "QueryMqttTraceMessagePublish", MsgId=sent["MsgId"], **window()))
    assert steps(told["MessageTraceLists"]) == [("pub_mq", "")]


def test_a_refused_login_stands_in_the_trace(traced):
    assert Device(traced, "one", secret="wrong").code != 0
    wait_until("it", lambda: actions(trace(traced, "one")) == [("connect", "not authorized")])
    Device(traced, "one").disconnect()
    wait_until("its life", lambda: [a for a, _ in actions(trace(traced, "one"))] ==
               ["connect", "connect", "disconnect", "close"])


def test_traces_above_the_rate_are_dropped_and_counted(tmp_path):
    server = Rollcall(tmp_path)
    text = server.config.read_text().replace("- id: rc-test", "- id: rc-test\n    trace: true")
    server.config.write_text(text.replace("mqtt: {", "mqtt: {traces_per_second: 2, "))
    server.start()
    sender = client(server, "sender")
    for _ in range(50):
        sender.publish(f"{PARENT}/t", "x")
    sender.close()
    found = re.search(r"^rollcall_mqtt_traces_dropped_total (\d+)$", get(server, "/metrics"), re.M)
    dropped = int(found[1])
    assert 30 <= dropped <= 49
    wait_until("the others", lambda: of_client(server, "sender")["Total"] == 50 - dropped)
    server.stop()


def test_the_topic_of_traces_is_the_servers_own(traced):
    code, _, remark, _ = send(Remoting(traced.rocketmq_port, AK, SK), "RC_SYS_TRACE")
    assert code != 0 and "the server's own" in remark


def test_messages_are_not_traced_unless_the_instance_asks_for_it(server):
    for action in ("QueryMqttTraceMessageOfClient", "QueryMqttTraceMessagePublish", "QueryMqttTraceMessageSubscribe"):
        with pytest.raises(ServerException) as error:
            old_sdk(server, action, MsgId="0", ClientId="x", **paged())
        assert error.value.get_error_code() == "ApiNotSupport" and "trace: true" in str(error.value)


def test_an_instance_of_the_api_is_traced_while_it_is_told_to(tmp_path):
    server = Rollcall(tmp_path)  # without any that is traced by the file
    server.config.write_text(server.config.read_text() + "administrators: [{access_key: AdminKey, secret_key: AdminSecret}]\n")
    server.start()
    admin = {"ak": "AdminKey", "sk": "AdminSecret", "InstanceId": "made"}
    client_id = "GID_made@@@one"

    def do(action, **params):
        code, answer = call(server, action, **{**admin, **params})
        assert code is None, answer
        return answer

    def is_listed():
        return {one["InstanceId"]: one["Trace"] for one in do("ListInstances")["Instances"]}

    def publish():
        one = Client(server, client_id, f"Signature|{key['AccessKey']}|made", password(client_id, key["SecretKey"]))
        assert one.code == 0
        one.publish("sensors/t", "hello")
        one.close()

    def traced_now():
        return do("QueryMqttTraceMessageOfClient", ClientId=client_id, **{**paged(), "InstanceId": "made"})["Total"]
    do("CreateInstance", NewInstanceId="made")
    do("CreateGroupId", GroupId="GID_made")
    do("CreateTopic", Topic="sensors")
    key = do("CreateKey")
    assert is_listed() == {INSTANCE: False, "made": False}
    assert call(server, "UpdateInstance", **admin, Trace="perhaps")[0] == "ParameterCheckFailed"
    assert call(server, "UpdateInstance", **{**admin, "InstanceId": INSTANCE}, Trace="true")[0] == "PermissionCheckFailed"
    publish()
    assert call(server, "QueryMqttTraceMessageOfClient", **{**paged(), **admin}, ClientId=client_id)[0] == "ApiNotSupport"
    do("UpdateInstance", Trace="true")
    assert is_listed() == {INSTANCE: False, "made": True}
    publish()
    wait_until("the message of now, not the one of before", lambda: traced_now() == 1)
    do("UpdateInstance", InstanceName="Made")  # leaves it as it is
    reload(server)
    assert is_listed() == {INSTANCE: False, "made": True}
    publish()
    wait_until("the one behind the reload", lambda: traced_now() == 2)
    server.kill()
    server.start()
    publish()
    wait_until("the one behind the restart", lambda: traced_now() == 3)
    assert rest(server, "PUT", "/v1/instances/made", {"Trace": False}, ("AdminKey", "AdminSecret"))[0] == 200
    publish()
    assert call(server, "QueryMqttTraceMessageOfClient", **{**paged(), **admin}, ClientId=client_id)[0] == "ApiNotSupport"
    do("CreateInstance", NewInstanceId="second", Trace="true")
    do("DeleteInstance", Cascade="true")
    server.stop()
    assert sum(m["topic"] == "RC_SYS_TRACE" for m in server.dump()) == 3
    exported = run("registry", "export", "-c", server.config).stdout
    assert [one["is_traced"] for one in map(json.loads, exported.splitlines()) if one.get("id") == "second"] == [1]
    (tmp_path / "export").write_text(exported)
    other = Rollcall(tmp_path / "other")
    assert run("registry", "import", "-c", other.config, "-f", tmp_path / "export").returncode == 0
    other.config.write_text(other.config.read_text() + "administrators: [{access_key: AdminKey, secret_key: AdminSecret}]\n")
    server = other.start()
    assert is_listed() == {INSTANCE: False, "second": True}
    other.stop()


def rules(server):
    return json.loads(old_sdk(server, "ListClientStatusNotifyRules"))["Rules"]


def test_a_rule_tells_its_roll_again(server):
    devices = [Device(server, f"d{i}") for i in range(300)]
    gone = Device(server, "gone")
    gone.disconnect()
    wait_until("all events", lambda: rules(server)[0]["Matched"] == 303)
    assert rules(server)[0] | {"LagMs": 0} == {
        "RuleId": "status-1", "Type": "status-notice", "GroupId": GROUP, "Enabled": True, "Topic": TOPIC,
        "TargetInstance": "", "State": "running", "Matched": 303, "Delivered": 303, "Waiting": 0, "Dropped": 0,
        "Retries": 0, "LagMs": 0, "Error": "", "Description": "", "DroppedByOperator": 0, "DroppedLost": 0,
        "DroppedUnfit": 0, "DroppedLogFull": 0, "DroppedExpired": 0, "DroppedEcho": 0, "DroppedNoClient": 0, "Refused": 0,
        "Uncertain": 0, "HeldBytes": 0, "RetryingSince": 0, "LagAlarm": False, "RetentionAlarm": False,
        "WindowFull": False, "WaitsFor": ""}
    assert json.loads(old_sdk(server, "ReplayClientStatusNotifyRule", RuleId="status-1"))["Clients"] == 300
    wait_until("them again", lambda: rules(server)[0]["Matched"] == 603)
    assert len(actions(trace(server, "d7"))) == 1  # a trace tells what happened, once
    with pytest.raises(ServerException) as error:
        old_sdk(server, "ReplayClientStatusNotifyRule", RuleId="nothing")
    assert error.value.get_error_code() == "InvalidParameter.NotFound"
    server.kill()
    connects = {}
    for message in server.dump():
        if message["properties"]["TAGS"] == "connect":
            body = json.loads(message["body"])
            connects.setdefault(body["channelId"], []).append((message["body"], message["properties"]["UNIQ_KEY"],
                                                               message["queueId"], "rcReplay" in message["properties"]))
    assert sorted(len(told) for told in connects.values()) == [1] + [2] * 300
    for told in connects.values():
        assert len({one[:3] for one in told}) == 1  # the same words, key and queue
        assert [one[3] for one in told] == [False, True][:len(told)]
    server.start()  # 300 channels were open: each has one end
    wait_until("the ends", lambda: rules(server)[0]["Matched"] == 903)
    for device in devices:
        device.socket.close()
