"""The error codes that the product documents: each by what causes it here, and all of them in the documentation."""

import pathlib
import re
import socket
import sqlite3
import threading
import time

import pytest
from alibabacloud_onsmqtt20200420 import models
from alibabacloud_onsmqtt20200420.client import Client
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException

from harness.http_api import SOURCES, call, rest
from harness.procs import wait_until
from harness.rollcall import AK, GROUP, INSTANCE, SK, Rollcall

DOCS = pathlib.Path(__file__).parents[2] / "docs/http.md"


@pytest.fixture(scope="module")
def silent():
    """Where a name server might be, that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener


@pytest.fixture(scope="module")
def server(tmp_path_factory, silent):
    server = Rollcall(tmp_path_factory.mktemp("codes"),
                      rocketmq_more=f", instances: [{{name: silent, nameservers: ['127.0.0.1:{silent.getsockname()[1]}']}}]")
    yield server.start()
    server.stop()


def test_each_code_is_documented():
    """The table in the program against the one for its users."""
    table = re.findall(r'\[RC_API_\w+\] = \{(\d+), (\d+),\s+"([\w.]+)"', (SOURCES / "api/openapi_call.c").read_text())
    told = re.findall(r"^\| `([\w.]+)` \| (\d+) \| (\d+) \|", DOCS.read_text(), re.M)
    assert len(table) > 20 and set(told) == {(code, *statuses) for *statuses, code in table}


@pytest.mark.parametrize("action, params, code", [
    ("CreateGroupId", {"InstanceId": "another", "GroupId": "GID_x"}, "InstancePermissionCheckFailed"),
    ("CreateInstance", {}, "PermissionCheckFailed"),
    ("CreateGroupId", {"InstanceId": INSTANCE, "GroupId": "x"}, "ParameterCheckFailed"),
    ("DeleteGroupId", {"InstanceId": INSTANCE, "GroupId": "GID_none"}, "InvalidParameter.NotFound"),
    ("CreateGroupId", {"InstanceId": INSTANCE, "GroupId": GROUP}, "InvalidParameter.Exists"),
    ("SetSniConfig", {"MqttInstanceId": INSTANCE}, "ApiNotSupport"),
    ("ListInstances", {"SecurityToken": "CAISsomething"}, "CheckAccountInfoFailed"),
])
def test_what_causes_it(server, action, params, code):
    assert call(server, action, **params)[0] == code


def test_a_security_token_of_the_product_is_told_from_a_wrong_key(server):
    """As SDKs send one: with keys that are the token's own, and nowhere else known."""
    for more in ({"access_key_id": AK, "access_key_secret": SK}, {"access_key_id": "STS.x", "access_key_secret": "x"}):
        client = Client(Config(**more, security_token="CAISsomething", protocol="HTTP", endpoint=f"127.0.0.1:{server.http_port}"))
        with pytest.raises(TeaException) as error:
            client.list_group_id(models.ListGroupIdRequest(instance_id=INSTANCE))
        assert error.value.code == "CheckAccountInfoFailed"
    assert call(server, "ListInstances", SecurityToken="")[0] is None


@pytest.mark.parametrize("action, code, a_second", [("ApplyToken", "ApplyTokenOverFlow", 100),
                                                    ("QueryToken", "QueryTokenOverFlow", 100),
                                                    ("RevokeToken", "RevokeTokenOverFlow", 5),
                                                    ("ListTopic", "Throttling.User", 50)])
def test_who_calls_too_often_is_told_in_the_products_words(server, action, code, a_second):
    params = {"InstanceId": INSTANCE, "Actions": "R", "Resources": "sensors/#", "Token": "x",
              "ExpireTime": str(int(time.time() * 1000) + 600_000)}
    told = []

    def ask():
        while time.monotonic() < end and code not in told:
            told.append(call(server, action, **params)[0])
    end = time.monotonic() + 20
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert code in told and told.index(code) >= a_second - len(threads)  # they tell in their own order


def test_too_much_at_once_and_what_the_server_cannot_do(server, silent):
    other = sqlite3.connect(server.store / "rollcall" / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # as a disk that takes nothing
    assert call(server, "CreateGroupId", InstanceId=INSTANCE, GroupId="GID_not_kept")[0] == "InternalError"
    other.execute("ROLLBACK")
    other.close()
    trial = {"InstanceId": INSTANCE, "TargetInstance": "silent", "TargetTopic": "T"}
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(call(server, "TestRule", **trial)[0])) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until("one too many", lambda: answers)
    assert answers == ["SystemOverFlow"]  # the others wait for the silent one
    time.sleep(0.5)  # of these calls 5 a second are let through
    status, answer = rest(server, "POST", f"/v1/instances/{INSTANCE}/rocketmq-instances/silent/test", {"TargetTopic": "T"})
    assert (status, answer["Code"]) == (429, "SystemOverFlow")
    silent.close()  # which ends their waiting
    for thread in threads:
        thread.join()
