"""The official Java SDK that the guide names, unmodified: each call right and wrong."""

import json
import time

import pytest

from harness.jvm import Driver
from harness.rollcall import AK, GROUP, INSTANCE, SK, Device, Rollcall

HERE = f"{GROUP}@@@here"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("java-api")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    driver = Driver("openapi", tmp_path_factory.mktemp("openapi"))
    yield driver
    driver.close()


@pytest.fixture
def call(server, java):
    def ask(op="call", method="POST", form="JSON", ak=AK, sk=SK, parsed=False, **parameters):
        return java.call(op, endpoint=f"127.0.0.1:{server.http_port}", ak=ak, sk=sk, method=method, format=form,
                         parsed=parsed, parameters=parameters)
    return ask


def body(answer):
    assert answer["status"] == 200, answer
    return json.loads(answer["body"])


@pytest.mark.parametrize("op, method", [("call", "GET"), ("call", "POST"), ("common", "POST")])
def test_a_client_is_seen_to_come(server, call, op, method):
    name = f"{op}{method}"
    query = {"Action": "QuerySessionByClientId", "InstanceId": INSTANCE, "ClientId": f"{GROUP}@@@{name}"}
    assert body(call(op, method, **query))["OnlineStatus"] is False
    device = Device(server, name)
    assert body(call(op, method, **query))["OnlineStatus"] is True
    device.disconnect()


def test_lists_and_names_in_chinese_are_signed_alike(call):
    ids = {f"ClientIdList.{i + 1}": name for i, name in enumerate([HERE, "设备 *~+%/=&", "a b"])}
    for op in ("call", "common"):
        answer = body(call(op, Action="BatchQuerySessionByClientIds", InstanceId=INSTANCE, **ids))
        assert sorted(one["ClientId"] for one in answer["OnlineStatusList"]) == sorted(ids.values())


def test_json_and_xml_are_read_by_the_sdks_own_reader(call):
    for form in ("JSON", "XML"):
        answer = call(form=form, parsed=True, Action="ListGroupId", InstanceId=INSTANCE)
        assert len(answer["requestId"]) == 36, answer


@pytest.mark.parametrize("wrong, code", [
    # The SDK finds that the server signed the same text, so it is the secret that is wrong.
    ({"sk": "wrong"}, "SDK.InvalidAccessKeySecret"), ({"ak": "Nobody"}, "InvalidAccessKeyId.NotFound"),
    ({"InstanceId": "another"}, "InstancePermissionCheckFailed"), ({"ClientId": ""}, "MissingParameter"),
    ({"Action": "MakeCoffee"}, "InvalidAction.NotFound")])
def test_what_is_wrong_is_told_by_its_code(call, wrong, code):
    right = {"Action": "QuerySessionByClientId", "InstanceId": INSTANCE, "ClientId": HERE}
    answer = call(parsed=True, **{**right, **wrong})
    assert answer["code"] == code and len(answer["requestId"]) == 36
    if "ak" not in wrong and "sk" not in wrong:
        assert call("common", **{**right, **wrong})["code"] == code


@pytest.mark.parametrize("action, other", [("DisasterRecovery", "RecoveryInstanceId"),
                                           ("DisasterDowngrade", "DowngradeInstanceId")])
def test_what_is_about_regions_is_not_served(call, action, other):
    assert call("common", Action=action, InstanceId=INSTANCE, **{other: INSTANCE})["code"] == "ApiNotSupport"


def test_a_method_that_an_action_does_not_take(call):
    answer = call(method="GET", parsed=True, Action="CloseConnection", InstanceId=INSTANCE, ClientId=HERE)
    assert answer["code"] == "UnsupportedHTTPMethod"
    assert body(call(method="POST", Action="CloseConnection", InstanceId=INSTANCE, ClientId=HERE))["Success"] is True


def test_each_action_of_the_guides_sdk_right_and_wrong(server, call):
    """onsmqtt 1.0.3's thirteen, in an order that makes sense; each once for another instance, which is refused."""
    client = f"{GROUP}@@@java"
    soon = int(time.time() * 1000) + 600_000
    right = [
        ("CreateGroupId", {"GroupId": "GID_java"}), ("ListGroupId", {}), ("DeleteGroupId", {"GroupId": "GID_java"}),
        ("RegisterDeviceCredential", {"ClientId": client}), ("GetDeviceCredential", {"ClientId": client}),
        ("RefreshDeviceCredential", {"ClientId": client}), ("UnRegisterDeviceCredential", {"ClientId": client}),
        ("SendMessage", {"MqttTopic": "sensors/java", "Payload": "你好"}), ("QuerySessionByClientId", {"ClientId": client}),
        ("BatchQuerySessionByClientIds", {"ClientIdList.1": client}),
        ("ApplyToken", {"Actions": "R", "Resources": "sensors/#", "ExpireTime": soon})]
    token = None
    for action, fields in right:
        answer = body(call(Action=action, InstanceId=INSTANCE, **fields))
        assert len(answer["RequestId"]) == 36
        token = answer.get("Token", token)
        assert call("common", Action=action, InstanceId="another", **fields)["code"] == "InstancePermissionCheckFailed"
        if fields:
            assert call("common", Action=action, InstanceId=INSTANCE)["code"] == "MissingParameter"
    assert body(call(Action="QueryToken", InstanceId=INSTANCE, Token=token))["TokenStatus"] is True
    assert body(call(Action="RevokeToken", InstanceId=INSTANCE, Token=token))["RequestId"]


OLD_SDK = ["ApplyToken", "BatchQuerySessionByClientIds", "CreateGroupId", "DeleteGroupId", "GetDeviceCredential",
           "ListGroupId", "QuerySessionByClientId", "QueryToken", "RefreshDeviceCredential", "RegisterDeviceCredential",
           "RevokeToken", "SendMessage", "UnRegisterDeviceCredential"]


def test_the_sdk_of_that_generation_in_python(server):
    """aliyun-python-sdk-onsmqtt: the same generated classes, made from the same description of the product."""
    import importlib
    import pkgutil

    import aliyunsdkonsmqtt.request.v20200420 as package
    from aliyunsdkcore.client import AcsClient
    assert sorted(module.name[:-7] for module in pkgutil.iter_modules(package.__path__)) == OLD_SDK
    sdk = AcsClient(AK, SK, "local")
    token = None
    for action in ["CreateGroupId", "ListGroupId", "DeleteGroupId", "RegisterDeviceCredential", "GetDeviceCredential",
                   "RefreshDeviceCredential", "UnRegisterDeviceCredential", "QuerySessionByClientId",
                   "BatchQuerySessionByClientIds", "SendMessage", "ApplyToken", "QueryToken", "RevokeToken"]:
        made = getattr(importlib.import_module(f"{package.__name__}.{action}Request"), action + "Request")()
        made.set_endpoint(f"127.0.0.1:{server.http_port}")
        made.set_protocol_type("http")
        for name, value in (("InstanceId", INSTANCE), ("GroupId", "GID_python"), ("ClientId", f"{GROUP}@@@python"),
                            ("ClientIdLists", [f"{GROUP}@@@python"]), ("ClientIdList", [f"{GROUP}@@@python"]),
                            ("MqttTopic", "sensors/x"), ("Payload", "x"), ("Actions", "W"), ("Resources", "sensors/x"),
                            ("ExpireTime", int(time.time() * 1000) + 600_000), ("Token", token)):
            if hasattr(made, "set_" + name):
                getattr(made, "set_" + name)(value)
        answer = json.loads(sdk.do_action_with_exception(made))
        assert len(answer["RequestId"]) == 36, action
        token = answer.get("Token", token)
