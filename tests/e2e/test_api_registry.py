"""What is made at run time: every action of the product's SDK, right and wrong, and what comes of it for devices."""

import base64
import hashlib
import hmac
import json
import sqlite3
import time
import urllib.error

import pytest
from alibabacloud_onsmqtt20200420 import models
from alibabacloud_onsmqtt20200420.client import Client
from aliyunsdkcore.acs_exception.exceptions import ServerException
from Tea.exceptions import TeaException

from harness.certificates import Authority
from harness.procs import wait_until
from harness.rollcall import AK, GROUP, INSTANCE, Device, Rollcall
from test_api import get, old_sdk, sdk, signed_query

HERE = f"{GROUP}@@@here"
NAMES = sorted(name[:-13] for name in dir(Client) if name.endswith("_with_options"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Rollcall(tmp_path_factory.mktemp("registry")).start()
    yield server
    server.stop()


@pytest.fixture
def call(server):
    client = sdk(server)

    def ask(name, **fields):
        """The SDK's own method and request model."""
        camel = "".join(part.capitalize() for part in name.split("_"))
        request = getattr(models, camel + "Request")(**fields)
        return getattr(client, name)(request).body
    return ask


def refused(call, name, **fields):
    with pytest.raises(TeaException) as error:
        call(name, **fields)
    return error.value.code


def own(server, action, **params):
    return json.loads(old_sdk(server, action, **params))


# ---- health ----

def readyz(server):
    try:
        return get(server, "/readyz")
    except urllib.error.HTTPError as error:
        assert error.code == 503
        return error.read().decode()


def test_who_cannot_change_anything_is_not_ready(server, call):
    assert readyz(server) == "ok\n"
    other = sqlite3.connect(server.store / "rollcall" / "registry.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # as a disk that is read-only, or broken, it lets nobody write
    wait_until("not ready", lambda: "the registry takes no changes" in readyz(server))
    assert get(server, "/healthz") == "ok\n"
    other.execute("ROLLBACK")
    other.close()
    wait_until("ready", lambda: readyz(server) == "ok\n")
    call("create_group_id", instance_id=INSTANCE, group_id="GID_ready")
    call("delete_group_id", instance_id=INSTANCE, group_id="GID_ready")


# ---- groups, topics, tags ----

def groups(call, **more):
    return {one.group_id: one for one in call("list_group_id", instance_id=INSTANCE, **more).data}


def test_groups_are_made_with_tags_and_their_clients_may_come(server, call):
    assert Device(server, "d", group="GID_made").code != 0
    old_sdk(server, "CreateGroupId", InstanceId=INSTANCE, GroupId="GID_made", **{"Tag.1.Key": "colour", "Tag.1.Value": "red"})
    device = Device(server, "d", group="GID_made")
    assert device.code == 0
    made = groups(call)["GID_made"]
    assert [(one.tag_key, one.tag_value) for one in made.tags] == [("colour", "red")]
    assert abs(made.create_time - time.time() * 1000) < 60_000
    assert set(groups(call)) == {GROUP, "GID_other", "GID_made"}
    assert refused(call, "create_group_id", instance_id=INSTANCE, group_id="GID_made") == "InvalidParameter.Exists"
    for wrong in ("made", "GID_", "GID_ä", "GID_" + "x" * 61):
        assert refused(call, "create_group_id", instance_id=INSTANCE, group_id=wrong) == "ParameterCheckFailed"
    assert refused(call, "delete_group_id", instance_id=INSTANCE, group_id=GROUP) in (
        "PermissionCheckFailed", "InvalidParameter.InUse")  # the file's
    call("create_group_id", instance_id=INSTANCE, group_id="GID_blue", tags='[{"Key": "colour", "Value": "blue"}]')
    assert set(groups(call, tags='[{"key": "colour", "value": "blue"}]')) == {"GID_blue"}
    assert refused(call, "create_group_id", instance_id=INSTANCE, group_id="GID_odd", tags="[{]") == "ParameterCheckFailed"
    call("delete_group_id", instance_id=INSTANCE, group_id="GID_blue")
    call("delete_group_id", instance_id=INSTANCE, group_id="GID_made")
    assert "GID_made" not in groups(call)
    assert refused(call, "delete_group_id", instance_id=INSTANCE, group_id="GID_made") == "InvalidParameter.NotFound"
    with pytest.raises((ConnectionError, OSError)):
        while True:  # its client is shown out
            device.receive()


def test_tags_of_resources(call):
    key = models.TagResourcesRequestTag
    ids = [f"{INSTANCE}/{GROUP}", f"{INSTANCE}/GID_other"]
    call("tag_resources", resource_id=ids, resource_type="GROUP", tag=[key(key="a", value="1"), key(key="b", value="2")])
    rows = call("list_tag_resources", resource_type="GROUP", resource_id=ids).tag_resources
    assert sorted((one.resource_id, one.tag_key, one.tag_value) for one in rows) == sorted(
        (one, *pair) for one in ids for pair in (("a", "1"), ("b", "2")))
    call("untag_resources", resource_id=ids[:1], resource_type="GROUP", tag_key=["a"], all=False)
    call("untag_resources", resource_id=ids[1:], resource_type="GROUP", all=True)
    rows = call("list_tag_resources", resource_type="GROUP").tag_resources
    assert [(one.resource_id, one.tag_key) for one in rows] == [(ids[0], "b")]
    call("tag_resources", resource_id=[INSTANCE], resource_type="INSTANCE", tag=[key(key="env", value="test")])
    instances = call("list_instances").instances
    assert [(one.instance_id, [t.tag_key for t in one.mqtt_tags]) for one in instances] == [(INSTANCE, ["env"])]
    some = [key(key="a", value="1")]
    for wrong, code in (({"resource_id": ["other"], "resource_type": "INSTANCE"}, "PermissionCheckFailed"),
                        ({"resource_id": [INSTANCE], "resource_type": "SHIP"}, "ParameterCheckFailed"),
                        ({"resource_id": [f"{INSTANCE}/GID_none"], "resource_type": "GROUP"}, "InvalidParameter.NotFound")):
        assert refused(call, "tag_resources", tag=some, **wrong) == code


def test_parent_topics_are_made_and_used(server):
    assert [one["Topic"] for one in own(server, "ListTopic")["Topics"]] == ["sensors"]
    own(server, "CreateTopic", Topic="orders")
    device = Device(server, "topics")
    device.send(0x82, b"\x00\x01\x00\x08orders/x\x01")
    assert device.receive() == (0x90, b"\x00\x01\x01")
    own(server, "DeleteTopic", Topic="orders")
    assert [one["Topic"] for one in own(server, "ListTopic")["Topics"]] == ["sensors"]
    device.disconnect()


# ---- key pairs ----

def test_key_pairs_are_made_with_roles(server):
    made = own(server, "CreateKey")
    with_it = sdk(server, made["AccessKey"], made["SecretKey"])
    request = models.ListGroupIdRequest(instance_id=INSTANCE)
    assert with_it.list_group_id(request).body.data
    reader = own(server, "CreateKey", Role="read-only")
    read_only = sdk(server, reader["AccessKey"], reader["SecretKey"])
    assert read_only.list_group_id(request).body.data
    with pytest.raises(TeaException) as error:
        read_only.create_group_id(models.CreateGroupIdRequest(instance_id=INSTANCE, group_id="GID_readonly"))
    assert error.value.code == "PermissionCheckFailed"
    with pytest.raises(ServerException) as error:
        old_sdk(server, "CreateKey", Role="admin")
    assert error.value.get_error_code() == "PermissionCheckFailed"
    keys = {one["AccessKey"]: one["Role"] for one in own(server, "ListKeys")["Keys"]}
    assert keys == {AK: "user", made["AccessKey"]: "user", reader["AccessKey"]: "read-only"}
    assert "SecretKey" not in str(own(server, "ListKeys"))
    own(server, "DeleteKey", AccessKey=made["AccessKey"])
    with pytest.raises(TeaException) as error:
        with_it.list_group_id(request)
    assert error.value.code == "InvalidAccessKeyId.NotFound"
    own(server, "DeleteKey", AccessKey=reader["AccessKey"])
    for wrong in (AK, "nobody's"):
        with pytest.raises(ServerException):
            old_sdk(server, "DeleteKey", AccessKey=wrong)


# ---- device credentials ----

def test_device_credentials_live_as_the_product_says(call):
    fields = {"instance_id": INSTANCE, "client_id": HERE}
    assert refused(call, "get_device_credential", **fields) == "InvalidParameter.NotFound"
    assert refused(call, "refresh_device_credential", **fields) == "InvalidParameter.NotFound"
    first = call("register_device_credential", **fields).device_credential
    assert first.client_id == HERE and first.instance_id == INSTANCE and first.device_access_key_secret
    assert call("get_device_credential", **fields).device_credential.to_map() == first.to_map()
    second = call("refresh_device_credential", **fields).device_credential
    assert second.device_access_key_secret != first.device_access_key_secret
    for i in range(7):
        call("register_device_credential", instance_id=INSTANCE, client_id=f"{GROUP}@@@many{i}")
    seen, token = [], None
    for _ in range(3):
        page = call("list_device_credential_client_id", instance_id=INSTANCE, group_id=GROUP, page_size="3",
                    next_token=token).device_credential_client_id_list
        seen += page.client_id_list
        token = page.next_token
        assert page.total == "8" and page.page_size == "3"
    assert not token and sorted(seen) == sorted([HERE] + [f"{GROUP}@@@many{i}" for i in range(7)])
    by_number = call("list_device_credential_client_id", instance_id=INSTANCE, group_id=GROUP, page_size="3", page_no="3")
    assert len(by_number.device_credential_client_id_list.client_id_list) == 2
    call("un_register_device_credential", **fields)
    assert refused(call, "get_device_credential", **fields) == "InvalidParameter.NotFound"
    assert refused(call, "register_device_credential", instance_id=INSTANCE, client_id="nonsense") in (
        "ParameterCheckFailed", "InvalidParameter.NotFound")
    assert refused(call, "list_device_credential_client_id", instance_id=INSTANCE, group_id=GROUP,
                   page_size="1000") == "ParameterCheckFailed"


# ---- tokens ----

def test_tokens_are_applied_for_asked_about_and_revoked(call):
    soon = int(time.time() * 1000) + 3_600_000
    right = {"instance_id": INSTANCE, "actions": "R,W", "resources": "sensors/+/up,sensors/down", "expire_time": soon}
    token = call("apply_token", **right).token
    assert call("query_token", instance_id=INSTANCE, token=token).token_status is True
    assert call("query_token", instance_id=INSTANCE, token=token[:-4] + "AAAA").token_status is False
    assert call("query_token", instance_id=INSTANCE, token="nonsense").token_status is False
    call("revoke_token", instance_id=INSTANCE, token=token)
    wait_until("the revocation", lambda: call("query_token", instance_id=INSTANCE, token=token).token_status is False)
    for wrong in ({"actions": "X"}, {"expire_time": 1}, {"resources": "a/#/b"},
                  {"resources": ",".join(f"sensors/{i}" for i in range(101))}):
        assert refused(call, "apply_token", **{**right, **wrong}) == "ParameterCheckFailed"
    assert refused(call, "revoke_token", instance_id=INSTANCE, token="nonsense") == "ParameterCheckFailed"


def test_pages_leave_out_nobody_when_others_are_deleted_meanwhile(call):
    ids = [f"GID_other@@@page{i}" for i in range(5)]
    for i in ids:
        call("register_device_credential", instance_id=INSTANCE, client_id=i)
        call("add_custom_auth_identity", instance_id=INSTANCE, identity_type="USER", username=i.rpartition("@")[2],
             secret="s", sign_mode="ORIGIN")

    def page(token=None, **more):
        return call("list_device_credential_client_id", instance_id=INSTANCE, group_id="GID_other", page_size="2",
                    next_token=token, **more).device_credential_client_id_list

    def identities(token=None):
        return call("query_custom_auth_identity", instance_id=INSTANCE, size=2, next_token=token).data
    first, named = page(), identities()
    assert first.client_id_list == ids[:2] and [one.username for one in named.results] == ["page0", "page1"]
    for i in ids[:2]:
        call("un_register_device_credential", instance_id=INSTANCE, client_id=i)
    call("delete_custom_auth_identity", instance_id=INSTANCE, identity_type="USER", username="page0")
    assert page(first.next_token).client_id_list == ids[2:4]
    assert [one.username for one in identities(named.next_token).results] == ["page2", "page3"]
    for wrong in ("2", "xy", "00" * 3000):
        assert refused(call, "list_device_credential_client_id", instance_id=INSTANCE, group_id="GID_other",
                       page_size="2", next_token=wrong) == "ParameterCheckFailed"
    assert page(page_no="42949673").client_id_list == []  # times 100 it is beyond 32 bits
    for i in ids[2:]:
        call("un_register_device_credential", instance_id=INSTANCE, client_id=i)
    for i in range(1, 5):
        call("delete_custom_auth_identity", instance_id=INSTANCE, identity_type="USER", username=f"page{i}")


# ---- custom identities ----

def test_custom_identities_and_permissions_and_the_blacklist(call):
    who = {"instance_id": INSTANCE, "identity_type": "USER", "username": "anna"}
    call("add_custom_auth_identity", secret="s1", sign_mode="ORIGIN", **who)
    call("add_custom_auth_identity", instance_id=INSTANCE, identity_type="CLIENT", username="bert", client_id=HERE,
         secret="s2", sign_mode="SIGNED")
    assert refused(call, "add_custom_auth_identity", secret="x", sign_mode="ORIGIN", **who) == "InvalidParameter.Exists"
    call("update_custom_auth_identity", secret="s3", sign_mode="SIGNED", **who)
    data = call("query_custom_auth_identity", instance_id=INSTANCE, size=100).data
    assert {(one.identity_type, one.username, one.secret, one.sign_mode) for one in data.results} == {
        ("USER", "anna", "s3", "SIGNED"), ("CLIENT", "bert", "s2", "SIGNED")}
    first = call("query_custom_auth_identity", instance_id=INSTANCE, size=1).data
    rest = call("query_custom_auth_identity", instance_id=INSTANCE, size=1, next_token=first.next_token).data
    assert {first.results[0].username, rest.results[0].username} == {"anna", "bert"} and not rest.next_token
    assert call("query_custom_auth_identity", instance_id=INSTANCE, size=9, username="bert").data.results[0].client_id == HERE
    rule = {"instance_id": INSTANCE, "identity_type": "USER", "identity": "anna", "topic": "sensors/#"}
    call("add_custom_auth_permission", permit_action="SUB", effect="ALLOW", **rule)
    call("update_custom_auth_permission", permit_action="PUB_SUB", effect="DENY", **rule)
    row = call("query_custom_auth_permission", instance_id=INSTANCE, size=10, identity="anna").data.results[0]
    assert (row.topic, row.permit_action, row.effect) == ("sensors/#", "PUB_SUB", "DENY")
    for wrong in ({"permit_action": "EAT", "effect": "ALLOW"}, {"permit_action": "PUB", "effect": "MAYBE"}):
        assert refused(call, "add_custom_auth_permission", **{**rule, **wrong}) == "ParameterCheckFailed"
    assert refused(call, "add_custom_auth_identity", secret="x", sign_mode="ODD", **{**who, "username": "c"}) == \
        "ParameterCheckFailed"
    assert refused(call, "add_custom_auth_identity", secret="x", sign_mode="ORIGIN",
                   **{**who, "identity_type": "GROUP"}) == "ParameterCheckFailed"
    call("delete_custom_auth_permission", **rule)
    assert call("query_custom_auth_permission", instance_id=INSTANCE, size=10).data.results == []
    call("delete_custom_auth_identity", **who)
    assert refused(call, "delete_custom_auth_identity", **who) == "InvalidParameter.NotFound"
    call("delete_custom_auth_identity", instance_id=INSTANCE, identity_type="CLIENT", username="bert", client_id=HERE)


def test_the_blacklist(call):
    fields = {"instance_id": INSTANCE, "client_id": f"{GROUP}@@@bad"}
    call("add_custom_auth_connect_black", **fields)
    rows = call("query_custom_auth_connect_black", instance_id=INSTANCE, size=10).data.results
    assert [(one.client_id, one.permit_action, one.effect) for one in rows] == [(fields["client_id"], "CONNECT", "DENY")]
    call("delete_custom_auth_connect_black", **fields)
    assert refused(call, "delete_custom_auth_connect_black", **fields) == "InvalidParameter.NotFound"


# ---- certificates ----

def test_ca_certificates_are_registered_after_their_owner_has_shown_that_he_is(call, tmp_path):
    authority = Authority(tmp_path / "ca")
    code = call("get_register_code", mqtt_instance_id=INSTANCE).register_code
    verification, _ = authority.make("verification", code)
    wrong, _ = authority.make("wrong", "something else")
    content = authority.ca.read_text()
    fields = {"mqtt_instance_id": INSTANCE, "ca_name": "factory", "ca_content": content}
    assert refused(call, "register_ca_certificate", verification_content=wrong.read_text(), **fields) == \
        "PermissionCheckFailed"
    assert refused(call, "register_ca_certificate", verification_content="x", **{**fields, "ca_content": "nonsense"}) == \
        "ParameterCheckFailed"
    sn = call("register_ca_certificate", verification_content=verification.read_text(), **fields).sn
    one = {"mqtt_instance_id": INSTANCE, "sn": sn}
    data = call("get_ca_certificate", **one).data
    assert data.sn == sn and data.ca_name == "factory" and data.status == "1" and "BEGIN CERTIFICATE" in data.ca_content
    assert int(data.valid_begin) < time.time() * 1000 < int(data.valid_end)
    listed = call("list_ca_certificate", mqtt_instance_id=INSTANCE, page_no="1", page_size="10").data
    assert listed.total == 1 and listed.ca_certificate_vos[0].sn == sn
    assert call("inactivate_ca_certificate", **one).sn == sn
    assert call("get_ca_certificate", **one).data.status == "0"
    assert call("active_ca_certificate", **one).sn == sn
    assert call("get_ca_certificate", **one).data.status == "1"
    devices = {"mqtt_instance_id": INSTANCE, "page_no": "1", "page_size": "10"}
    assert call("list_device_certificate", **devices).data.total == 0
    assert call("list_device_certificate_by_ca_sn", ca_sn=sn, **devices).data.total == 0
    nobody = {"mqtt_instance_id": INSTANCE, "ca_sn": sn, "device_sn": "12ab"}
    for name in ("get_device_certificate", "active_device_certificate", "inactivate_device_certificate",
                 "delete_device_certificate"):
        assert refused(call, name, **nobody) == "InvalidParameter.NotFound"
    assert call("delete_ca_certificate", **one).sn == sn
    assert refused(call, "get_ca_certificate", **one) == "InvalidParameter.NotFound"


# ---- every action ----

NOT_SERVED = {"disaster_downgrade", "disaster_recovery", "query_mqtt_trace_message_of_client",
              "query_mqtt_trace_message_publish", "query_mqtt_trace_message_subscribe", "set_sni_config"}
OF_NO_INSTANCE = {"list_instances", "list_tag_resources", "tag_resources", "untag_resources"}


def some_request(name, instance):
    """The SDK's request with something in each of its fields."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    made = getattr(models, camel + "Request")()
    for field in list(vars(made)):
        if field in ("instance_id", "mqtt_instance_id"):
            setattr(made, field, instance)
        elif field in ("client_id_list", "resource_id", "tag_key"):
            setattr(made, field, ["x"])
        elif field in ("tag", "tags"):
            continue
        elif field in ("size", "page_size", "page_no", "current_page", "begin_time", "end_time", "expire_time"):
            setattr(made, field, 1)
        elif field in ("all", "reverse"):
            setattr(made, field, False)
        else:
            setattr(made, field, "x")
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_action_of_the_sdk_is_known_and_keeps_to_the_keys_instance(server, name):
    client = sdk(server)
    expected = {"ApiNotSupport"} if name in NOT_SERVED else set()
    if name in OF_NO_INSTANCE:
        expected |= {None, "ParameterCheckFailed", "PermissionCheckFailed"}
    elif not name.startswith("disaster"):
        expected |= {"InstancePermissionCheckFailed"}
    try:
        getattr(client, name)(some_request(name, "another-instance"))
        code = None
    except TeaException as error:
        code = error.code
    assert code in expected, f"{name}: {code}"


def test_all_fifty_are_there():
    assert len(NAMES) == 50, NAMES


# ---- the withdrawn HTTP calls ----

def old_call(server, path, secret="TestSecretKey", unsigned=(), **params):
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    import urllib.error
    import urllib.parse
    import urllib.request
    every = {**params, **dict(unsigned), "signature": signature}
    url = f"http://127.0.0.1:{server.http_port}{path}"
    data = urllib.parse.urlencode(every)
    try:
        with (urllib.request.urlopen(f"{url}?{data}", timeout=10) if path.startswith("/route")
              else urllib.request.urlopen(url, data.encode(), timeout=10)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_withdrawn_query_and_token_calls_still_work(server):
    def ask(client="there", secret="TestSecretKey", off=0, instance=INSTANCE):
        return old_call(server, "/route/clientId/get", secret, accessKey=AK, resource=f"{GROUP}@@@{client}",
                        timestamp=int(time.time() * 1000) + off, instanceId=instance)
    assert ask() == (200, {"code": 0, "success": True, "online": 0, "message": "success"})
    device = Device(server, "there")
    assert ask()[1]["online"] == 1
    device.disconnect()
    assert [ask(secret="wrong")[1]["code"], ask(off=-400_000)[1]["code"], ask(instance="other")[1]["code"]] == [2, 4, 3]
    assert ask(secret="wrong")[0] == 403
    who = {"accessKey": AK, "proxyType": "MQTT"}
    status, answer = old_call(server, "/token/apply", unsigned=who, resources="sensors/#", actions="R", serviceName="mq",
                              expireTime=int(time.time() * 1000) + 3_600_000, instanceId=INSTANCE)
    assert status == 200 and answer["success"] is True
    token = answer["tokenData"]
    assert old_call(server, "/token/query", unsigned={"accessKey": AK}, token=token)[1]["tokenStatus"] is True
    assert old_call(server, "/token/revoke", "wrong", {"accessKey": AK}, token=token)[0] == 403
    assert old_call(server, "/token/revoke", unsigned={"accessKey": AK}, token=token)[1]["success"] is True
    wait_until("it to be revoked", lambda: old_call(
        server, "/token/query", unsigned={"accessKey": AK}, token=token)[1]["tokenStatus"] is False)
    assert old_call(server, "/token/apply", unsigned=who, actions="R", resources="sensors/#")[0] == 400
