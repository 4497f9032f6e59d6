"""The endpoint's topics and consumer groups as resources, and messages to MQTT clients."""

import json

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from alibabacloud_onsmqtt20200420 import models
from Tea.exceptions import TeaException

from harness.procs import wait_until
from harness.rollcall import GROUP, INSTANCE, TOPIC, Device, Rollcall, Watch
from test_api import old_sdk, sdk


@pytest.fixture
def server(tmp_path):
    server = Rollcall(tmp_path).start()
    yield server
    server.stop()


def ask(server, action, **params):
    return json.loads(old_sdk(server, action, **params))


def refused(server, action, **params):
    with pytest.raises(ServerException) as error:
        old_sdk(server, action, **params)
    return error.value.get_error_code()


def topics(server):
    return {one["Topic"]: one for one in ask(server, "ListRocketMqTopics")["Topics"]}


def test_topics_are_made_listed_and_deleted(server):
    assert "orders" not in topics(server) and TOPIC in topics(server)
    ask(server, "CreateRocketMqTopic", Topic="orders", Queues="6")
    assert topics(server)["orders"] == {"Topic": "orders", "Queues": 6, "Messages": 0, "Declared": False}
    assert refused(server, "CreateRocketMqTopic", Topic="orders") == "InvalidParameter.Exists"
    for wrong in ("a b", "a/b", "%RETRY%x", "RC_RULE_x", "x" * 200):
        assert refused(server, "CreateRocketMqTopic", Topic=wrong) in ("ParameterCheckFailed", "PermissionCheckFailed")
    assert refused(server, "CreateRocketMqTopic", Topic="many", Queues="5000") == "ParameterCheckFailed"
    ask(server, "DeleteRocketMqTopic", Topic="orders")
    assert "orders" not in topics(server)
    assert refused(server, "DeleteRocketMqTopic", Topic="orders") == "InvalidParameter.NotFound"
    assert refused(server, "DeleteRocketMqTopic", Topic=TOPIC) == "InvalidParameter.InUse"
    server.stop()
    server.start()
    assert "orders" not in topics(server)
    ask(server, "CreateRocketMqTopic", Topic="orders")
    assert topics(server)["orders"]["Queues"] == 6  # what was there


def test_a_group_has_members_a_lag_and_an_offset_that_can_be_set(server, tmp_path):
    devices = [Device(server, f"d{i}") for i in range(20)]
    watch = Watch(server, tmp_path)
    watch.wait("all events", lambda lines: len(lines) >= 20)
    assert "GID_watch" in ask(server, "ListConsumerGroups")["ConsumerGroups"]

    def group():
        return ask(server, "DescribeConsumerGroup", ConsumerGroup="GID_watch")
    wait_until(lambda: f"the offsets: {group()}", lambda: group()["Lag"] == 0 and len(group()["Queues"]) == 5)
    members = group()["Members"]
    assert len(members) == 1 and members[0]["Address"].startswith("127.0.0.1:") and TOPIC in group()["Topics"]
    told = len(watch.lines.snapshot())
    ask(server, "ResetConsumerOffset", ConsumerGroup="GID_watch", Topic=TOPIC, Position="first")
    watch.wait("everything again, while it runs", lambda lines: len(lines) == 2 * told, 5)
    wait_until("the offsets again", lambda: group()["Lag"] == 0)
    watch.close()
    wait_until("it to leave", lambda: group()["Members"] == [])
    for device in devices[:5]:
        device.disconnect()
    wait_until("the lag", lambda: group()["Lag"] == 10)
    assert all(queue["EndOffset"] - queue["ConsumerOffset"] == queue["Lag"] for queue in group()["Queues"])
    assert any(queue["LagMs"] >= 0 and queue["Lag"] for queue in group()["Queues"])
    ask(server, "ResetConsumerOffset", ConsumerGroup="GID_watch", Topic=TOPIC, Position="first")
    assert group()["Lag"] == 30
    again = Watch(server, tmp_path / "again")
    again.wait("everything again", lambda lines: len({line["channelId"] for line in lines}) == 20)
    again.close()
    ask(server, "ResetConsumerOffset", ConsumerGroup="GID_watch", Topic=TOPIC)
    assert group()["Lag"] == 0
    for wrong in ("sometime", "-1", "1x"):
        assert refused(server, "ResetConsumerOffset", ConsumerGroup="GID_watch", Topic=TOPIC,
                       Position=wrong) == "ParameterCheckFailed"
    assert refused(server, "ResetConsumerOffset", ConsumerGroup="GID_watch", Topic="nothing") == \
        "InvalidParameter.NotFound"
    assert ask(server, "ListDeadLetters", ConsumerGroup="GID_watch")["Total"] == 0
    ask(server, "DeleteConsumerGroup", ConsumerGroup="GID_watch")
    assert "GID_watch" not in ask(server, "ListConsumerGroups")["ConsumerGroups"]
    assert refused(server, "DeleteConsumerGroup", ConsumerGroup="GID_watch") == "InvalidParameter.NotFound"
    ask(server, "CreateConsumerGroup", ConsumerGroup="GID_watch")
    assert refused(server, "CreateConsumerGroup", ConsumerGroup="GID_watch") == "InvalidParameter.Exists"
    for device in devices[5:]:
        device.disconnect()


def send(server, topic, payload):
    request = models.SendMessageRequest(instance_id=INSTANCE, mqtt_topic=topic, payload=payload)
    return sdk(server).send_message(request).body.msg_id


def test_a_message_reaches_subscribers_and_the_client_that_a_p2p_topic_names(server):
    device, other = Device(server, "one"), Device(server, "two")
    device.send(0x82, b"\x00\x01\x00\x0asensors/up\x01")
    assert device.receive()[0] == 0x90
    assert len(send(server, "sensors/up", "grüße")) == 32
    first, body = device.receive()
    assert first == 0x32 and body[2:12] == b"sensors/up" and body[14:] == "grüße".encode()
    send(server, f"sensors/p2p/{GROUP}@@@two", "for you")
    assert other.receive()[1].endswith(b"for you")
    for topic, payload in (("nothing/of/ours", "x"), ("sensors/#", "x"), ("sensors/up", "x" * 70_000)):
        with pytest.raises(TeaException) as error:
            send(server, topic, payload)
        assert error.value.code == "ParameterCheckFailed"
    device.disconnect()
    other.disconnect()
