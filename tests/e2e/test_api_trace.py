"""Traces of devices, and rules: listed with what they sent, and told again."""

import json
import time

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from alibabacloud_onsmqtt20200420 import models

from harness.procs import wait_until
from harness.rollcall import GROUP, INSTANCE, TOPIC, Device, Rollcall
from test_api import old_sdk, sdk


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


def test_messages_are_not_traced_and_the_answer_says_so(server):
    for action in ("QueryMqttTraceMessageOfClient", "QueryMqttTraceMessagePublish", "QueryMqttTraceMessageSubscribe"):
        with pytest.raises(ServerException) as error:
            old_sdk(server, action, InstanceId=INSTANCE)
        assert error.value.get_error_code() == "ApiNotSupport"


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
        "Uncertain": 0, "HeldBytes": 0, "RetryingSince": 0, "LagAlarm": False, "RetentionAlarm": False}
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
